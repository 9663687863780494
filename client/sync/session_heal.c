/* session_heal.c - in sync, and yet not the same: asks where, and sets it right (heal.h). See session_parts.h. */
#include <string.h>

#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/sync/session_parts.h"
#include "proto/bug.h"
#include "proto/err.h"

/* The first scope that differs and has a try left; NULL if there is none. */
static const held_scope *find_scope(const client_session *s) {
    for (uint32_t i = 0; i < s->replica->scopes.count; i++) {
        const held_scope *scope = &s->replica->scopes.list[i];
        if ((s->differs >> scope->number & 1) && heal_may_try(s->replica, scope->name))
            return scope;
    }
    return NULL;
}

lp_err session_heal(client_session *s, client_actions *actions, bool *busy_out, lp_error *error) {
    char name[SCOPE_NAME_BYTES_MAX + 1];
    heal_step step;
    const held_scope *scope = s->differs && !BUG(HEALING_NOT_DONE) ? find_scope(s) : NULL;
    *busy_out = requests_in_flight(s, REQUEST_HEAL) > 0;
    if (*busy_out || !scope || epoch_offering(s->replica) || !outbox_is_empty(s->replica))
        return LP_OK;
    memcpy(name, scope->name, sizeof name);
    lp_err err = heal_begin(s->replica, name, &s->heal, &step, error);
    if (err)
        return err;
    session_enter(s, actions, LP_STATE_SYNCING, "");
    *busy_out = step == HEAL_NARROWED;
    s->pulled &= *busy_out;
    return *busy_out ? requests_heal(s, actions, error) : LP_OK;
}

/* The records are right now, or were all the time. */
static void note_healed(client_session *s, client_actions *actions, const heal_outcome *outcome) {
    s->result.healed += outcome->healed;
    if (outcome->pulled.records)
        session_notify(actions, LP_EVENT_CHANGED, outcome->pulled.records == 1 ? &outcome->pulled.record : NULL, 0);
    const held_scope *scope = holdings_find(s->replica, span_text(s->heal.scope));
    bool well = outcome->step == HEAL_READ || outcome->step == HEAL_SAME;
    if (well && scope)
        s->differs &= ~(UINT64_C(1) << scope->number);
    s->result.diverged = s->differs != 0;
}

void session_on_digested(client_session *s, client_actions *actions, const message *m) {
    lp_error error = {.code = LP_OK};
    heal_outcome outcome;
    uint64_t evicted = 0;
    lp_err err = replica_begin(s->replica, &error);
    if (!err)
        err = heal_answered(s->replica, &s->heal, m, &outcome, &error);
    if (!err)
        err = holdings_evict(s->replica, &evicted, &error);
    if (!err)
        err = replica_commit(s->replica, &error);
    else
        replica_rollback(s->replica);
    if (err) {
        session_fail(s, actions, err, &error);
        return;
    }
    note_healed(s, actions, &outcome);
    if (evicted || outcome.pulled.changes)
        session_count_conflicts(s);
    if (outcome.step == HEAL_NARROWED)
        err = requests_heal(s, actions, &error);
    else if (outcome.step == HEAL_REREAD || outcome.step == HEAL_AGAIN)
        s->pulled = false;
    if (err)
        session_fail(s, actions, err, &error);
}

void session_on_heal_refused(client_session *s, client_actions *actions) {
    lp_error ignored;
    heal_give_up(s->replica, s->heal.scope, &ignored);
    session_retry(s, actions, LP_OFFLINE, "the server is of a version that cannot say where this replica differs", 0);
}

const char *session_divergence(const client_session *s) {
    for (uint32_t i = 0; i < s->replica->scopes.count; i++) {
        const held_scope *scope = &s->replica->scopes.list[i];
        if ((s->differs >> scope->number & 1) && heal_blames_server(s->replica, scope->name))
            return "the server's digest is not that of its records, which are the same as here; tell who runs it to "
                   "use "
                   "leadpoold verify";
    }
    return "this replica differs from the server's pool and could not be set right; it is tried again tomorrow. Run "
           "leadpool "
           "doctor, or join again into a new replica";
}
