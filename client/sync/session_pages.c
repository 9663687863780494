/* session_pages.c - what SYNCED brings: verdicts and pages, applied in one transaction. See session_parts.h. */
#include "client/replica/holdings.h"
#include "client/replica/outbox.h"
#include "client/sync/pull.h"
#include "client/sync/session_parts.h"
#include "client/replica/unpulled.h"
#include "proto/bug.h"
#include "proto/err.h"

static lp_err apply_pages(client_session *s, span pages, bool *more_out, pull_outcome *outcome, lp_error *error) {
    wire_reader from = wire_open(pages);
    page p;
    bool stale = false;
    *more_out = false;
    for (uint32_t left = wire_array(&from); left > 0 && page_take(&from, &p); left--) {
        if (BUG(CURSOR_AHEAD_OF_ROWS) && s->state == LP_STATE_LIVE)
            p.changes = (span){0};
        lp_err err = pull_page(s->replica, &p, outcome, error);
        if (err)
            return err;
        *more_out |= p.more;
        stale |= p.cursor.seq < s->acked_seq;
    }
    if (from.failed)
        return err_set(error, LP_PROTOCOL, "a page from the server is malformed");
    /* Answers may come in any order: what is on a page from before a push that is settled here already cannot be compared. */
    outcome->compared = stale ? 0 : outcome->compared;
    return LP_OK;
}

/* Asks for what follows a page before applying it: of the scopes that were asked for, however many there are by now. */
static lp_err read_ahead(client_session *s, client_actions *actions, const request *done, span pages, lp_error *error) {
    buf cursors = {0};
    wire_reader from = wire_open(pages);
    uint32_t count = wire_array(&from);
    bool more = false;
    page p;
    wire_put_array(&cursors, count);
    for (uint32_t i = 0; i < count && page_take(&from, &p); i++) {
        cursor_put(&cursors, &p.cursor);
        more |= p.more;
    }
    lp_err err = LP_OK;
    if (more && !from.failed && !cursors.failed) {
        err = requests_pull(s, actions, REQUEST_PULL, buf_span(&cursors), s->line.bytes, error);
        if (!err)
            requests_find(s, s->next_id)->moves = done->moves;
        s->result.round_trips++;
    }
    buf_fini(&cursors);
    return err;
}

static void report(client_session *s, client_actions *actions, const outbox_outcome *pushed,
                   const pull_outcome *pulled) {
    s->result.pushed += pushed->pushed;
    s->result.lost += pushed->lost;
    s->result.received += pushed->received;
    s->result.refused += pushed->refused;
    s->result.pulled += pulled->changes;
    if (pushed->refused)
        session_notify(actions, LP_EVENT_REFUSED, &pushed->refused_id, 0);
    if (pulled->records)
        session_notify(actions, LP_EVENT_CHANGED, pulled->records == 1 ? &pulled->record : NULL, 0);
    if (s->state != LP_STATE_LIVE)
        session_notify(actions, LP_EVENT_PROGRESS, NULL, s->result.pushed + s->result.pulled);
}

/* Pages of an epoch this replica was not welcomed to, or that come while something is offered, are not applied. *strange_out: the
 * pool became another while this connection stood. */
static lp_err look_at_epoch(client_session *s, span pages, bool *applied_out, bool *strange_out, lp_error *error) {
    wire_reader from = wire_open(pages);
    page first;
    *applied_out = true;
    if (wire_array(&from) == 0 || !page_take(&from, &first))
        return LP_OK;
    lp_err err = epoch_takes(s->replica, first.cursor.epoch, applied_out, error);
    *strange_out = !err && !*applied_out && s->welcomed && !epoch_offering(s->replica);
    s->pulled &= *applied_out;
    return err;
}

/* Answers overtake each other (pull.h): such pages are not applied, nor is what follows them asked for. */
static lp_err look_for_overtaken(client_session *s, span pages, bool *applied_out, lp_error *error) {
    wire_reader from = wire_open(pages);
    page p;
    lp_err err = LP_OK;
    bool overtaken = false;
    for (uint32_t left = wire_array(&from); !err && !overtaken && left > 0 && page_take(&from, &p); left--)
        err = pull_is_overtaken(s->replica, &p, &overtaken, error);
    *applied_out &= !overtaken;
    s->pulled &= !overtaken;
    return err;
}

void session_on_synced(client_session *s, client_actions *actions, request done, const message *m) {
    lp_error error = {.code = LP_OK};
    outbox_outcome pushed = {0};
    pull_outcome pulled = {0};
    uint64_t evicted = 0;
    bool more = false;
    bool has_pages = m->pages.size > 0, strange = false;
    uint32_t line_bytes = s->line.bytes;
    if (done.kind != REQUEST_WAIT)
        line_answered(&s->line, done.bytes > m->pages.size ? done.bytes : m->pages.size,
                      session_boot_ms(s) - done.sent_ms);
    lp_err err = has_pages ? look_at_epoch(s, m->pages, &has_pages, &strange, &error) : LP_OK;
    if (!err && has_pages && done.acked_seq != s->acked_seq)
        err = look_for_overtaken(s, m->pages, &has_pages, &error);
    if (!err && done.kind == REQUEST_PUSH)
        err = session_push(s, actions, &error);
    if (!err && has_pages && done.pulls)
        err = read_ahead(s, actions, &done, m->pages, &error);
    session_hand_over(actions); /* the server works while this end does */
    if (!err)
        err = replica_begin(s->replica, &error);
    if (done.kind == REQUEST_PUSH && m->seq > s->acked_seq)
        s->acked_seq = m->seq;
    if (!err && done.kind == REQUEST_PUSH)
        err = outbox_settle(s->replica, done.batch, m->verdicts, m->seq, &pushed, &error);
    if (!err && has_pages)
        err = apply_pages(s, m->pages, &more, &pulled, &error);
    if (!err && s->line.bytes != line_bytes)
        err = replica_meta_put_int(s->replica, "line.bytes", s->line.bytes, &error);
    if (!err && m->scopes.size)
        err = pull_scopes(s->replica, m->scopes, &error);
    if (!err)
        err = unpulled_let_go(s->replica, &error);
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
    s->progressed = true;
    s->clocks = 0;
    replica_checkpoint(s->replica, true);
    if (has_pages)
        s->pulled = !more && requests_in_flight(s, REQUEST_PUSH) == 0;
    s->moves += m->scopes.size != 0;
    s->differs = m->scopes.size ? 0 : s->differs; /* numbers of scopes may be others now */
    s->pulled &= done.moves == s->moves;          /* what was granted meanwhile has to be read */
    if (pulled.compared && (outbox_is_empty(s->replica) || BUG(COMPARED_WHILE_UNSENT)))
        s->differs = (s->differs & ~pulled.compared) | (pulled.differs & pulled.compared);
    s->result.diverged = s->differs != 0;
    pulled.records += (uint32_t)evicted * 2; /* no one of them is named: it is not there any more */
    if (pulled.changes || evicted)
        session_count_conflicts(s);
    report(s, actions, &pushed, &pulled);
    if (strange)
        session_greet_again(s, actions);
}
