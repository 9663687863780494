/* requests.c - what a session asks of the server: hello, push, pull, wait; and which answers are due. See session_parts.h. */
#include <assert.h>

#include "client/replica/clock.h"
#include "client/replica/outbox.h"
#include "client/sync/pull.h"
#include "client/replica/recovered.h"
#include "client/sync/session_parts.h"
#include "proto/crypto.h"
#include "proto/err.h"

int64_t session_boot_ms(const client_session *s) {
    return s->replica->env->boot_ms(s->replica->env->ctx);
}

client_action *session_act(client_actions *actions, client_action_kind kind) {
    assert(actions->count < CLIENT_ACTIONS_MAX); /* a step does less: a window of requests, and what tells of it */
    client_action *a = &actions->list[actions->count++];
    *a = (client_action){.kind = kind};
    return a;
}

bool requests_pulling(const client_session *s) {
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (s->requests[i].pulls)
            return true;
    return false;
}

uint32_t requests_in_flight(const client_session *s, request_kind kind) {
    uint32_t count = 0;
    for (int i = 0; i < REQUESTS_MAX; i++)
        count += s->requests[i].kind == kind;
    return count;
}

bool requests_moving(const client_session *s) {
    return requests_in_flight(s, REQUEST_PUSH) + requests_in_flight(s, REQUEST_PULL) > 0;
}

request *requests_find(client_session *s, uint32_t id) {
    for (int i = 0; i < REQUESTS_MAX; i++)
        if (s->requests[i].kind != REQUEST_FREE && s->requests[i].id == id)
            return &s->requests[i];
    return NULL;
}

static request *send(client_session *s, client_actions *actions, request_kind kind, const message *m, lp_err *err_out,
                     lp_error *error) {
    request *r = NULL;
    for (int i = 0; i < REQUESTS_MAX && !r; i++)
        if (s->requests[i].kind == REQUEST_FREE)
            r = &s->requests[i];
    if (!r) {
        *err_out = err_set(error, LP_BUSY, "too many requests at once");
        return NULL;
    }
    client_action *a = session_act(actions, CLIENT_SEND);
    *err_out = message_encode(m, &a->message, error);
    if (*err_out) {
        buf_fini(&a->message);
        actions->count--;
        return NULL;
    }
    s->next_id = (s->next_id + 1) | 0x80000000u;
    a->id = s->next_id;
    *r = (request){.moves = s->moves,
                   .acked_seq = s->acked_seq,
                   .kind = kind,
                   .id = a->id,
                   .batch = m->batch,
                   .bytes = a->message.size,
                   .sent_ms = session_boot_ms(s)};
    if (kind != REQUEST_WAIT) /* which the deadline of what came before it covers */
        s->deadline_ms = r->sent_ms + CLIENT_ANSWER_MS;
    return r;
}

/* What is frozen cannot be cut smaller, and may be more than the line carries between two cuts: then the hello gives it up. */
static lp_err look_at_frozen(client_session *s, bool *anew_out, lp_error *error) {
    size_t bytes = 0;
    uint32_t entries = 0;
    lp_err err = outbox_first_size(s->replica, &bytes, &entries, error);
    /* Once a connection: a hello that gives up must have nothing behind it. */
    *anew_out = !s->welcomed && entries > 1 && bytes > 2 * (size_t)s->line.bytes;
    s->patient = !s->welcomed && (*anew_out || bytes > HASTY_BYTES);
    return err;
}

lp_err requests_hello(client_session *s, client_actions *actions, lp_error *error) {
    replica *r = s->replica;
    buf seed = {0};
    buf install = {0};
    buf signed_bytes = {0};
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    lp_err err = replica_meta(r, "device.seed", &seed, error);
    if (!err)
        err = replica_meta(r, "device.install", &install, error);
    if (err == LP_NOT_FOUND || (!err && seed.size != CRYPTO_SEED_BYTES))
        err = err_set(error, LP_CORRUPT, "the replica has lost its key; keep the file and join again");
    buf epoch = {0};
    bool anew = false;
    uint64_t high = 0;
    if (!err)
        err = replica_meta(r, "epoch", &epoch, error);
    err = err == LP_NOT_FOUND ? LP_OK : err;
    if (!err)
        err = outbox_last_batch(r, &high, error);
    if (!err)
        err = look_at_frozen(s, &anew, error);
    message hello = {.number = MSG_HELLO,
                     .version = PROTOCOL_VERSION,
                     .version_min = PROTOCOL_VERSION_MIN,
                     .device = r->clock.author,
                     .install = buf_span(&install),
                     .now_ms = clock_now_ms(r) + s->lead_ms,
                     .batch = high,
                     .program = SPAN_LITERAL("leadpool " LEADPOOL_VERSION),
                     .anew = anew,
                     .epoch = buf_span(&epoch)};
    if (!err) {
        message_hello_signed(&hello, span_of(s->binding, s->binding_size), &signed_bytes);
        err = signed_bytes.failed ? err_plain(error, LP_NOMEM)
                                  : crypto_sign(seed.data, buf_span(&signed_bytes), signature, error);
    }
    hello.signature = span_of(signature, sizeof signature);
    if (!err) {
        send(s, actions, REQUEST_HELLO, &hello, &err, error);
        s->hello_ms = session_boot_ms(s);
        s->settled = outbox_last_settled(r);
    }
    buf_fini(&seed);
    buf_fini(&epoch);
    buf_fini(&install);
    buf_fini(&signed_bytes);
    return err;
}

lp_err requests_next_batch(client_session *s, uint64_t *number_out, lp_error *error) {
    lp_err err = outbox_next_batch(s->replica, s->sent, number_out, error);
    if (err || *number_out)
        return err;
    bool pending;
    err = outbox_unfrozen(s->replica, &pending, error);
    if (err || !pending)
        return err;
    /* Freeze as many as the window takes: one durable commit for all of them. */
    err = replica_begin(s->replica, error);
    uint64_t frozen = 1;
    for (int i = 0; !err && frozen && i < CLIENT_WINDOW; i++) {
        err = outbox_freeze(s->replica, s->line.bytes, &frozen, error);
        if (!err && *number_out == 0)
            *number_out = frozen;
    }
    if (!err)
        return replica_commit(s->replica, error);
    replica_rollback(s->replica);
    return err;
}

/* A batch as it travels: whole, or, if the server has it, by its hash. */
static lp_err fill_batch(client_session *s, uint64_t number, buf *changes, uint8_t hash[CRYPTO_HASH_BYTES], message *m,
                         lp_error *error) {
    uint64_t count;
    lp_err err = outbox_encode(s->replica, number, changes, &count, error);
    m->changes = buf_span(changes);
    if (!err && number <= s->held) {
        crypto_sha256(m->changes, hash);
        m->hash = span_of(hash, CRYPTO_HASH_BYTES);
        m->changes = (span){0};
    }
    return err;
}

/* True if nothing follows batch `number` in the outbox. */
static lp_err is_last(client_session *s, uint64_t number, bool *last_out, lp_error *error) {
    uint64_t next;
    bool unfrozen = false;
    lp_err err = outbox_next_batch(s->replica, number, &next, error);
    if (!err && next == 0)
        err = outbox_unfrozen(s->replica, &unfrozen, error);
    *last_out = next == 0 && !unfrozen;
    return err;
}

/* The last batch asks for pages too: the normal reconnect is one round trip. Behind others of a bulk it does not: verdicts would wait
 * until the server has walked over all that was just pushed. Nor before them: no page may come while an older batch awaits its verdict, for that may
 * be remembered from before something on the page. "Applied" to what has been purged since would bring it back here. */
lp_err requests_push(client_session *s, client_actions *actions, uint64_t number, lp_error *error) {
    buf changes = {0};
    buf cursors = {0};
    uint64_t before = 0;
    uint8_t hash[CRYPTO_HASH_BYTES];
    bool last = false, known = false;
    message m = {.number = MSG_SYNC, .batch = number};
    lp_err err = fill_batch(s, number, &changes, hash, &m, error);
    if (err == LP_NOT_FOUND) {
        s->sent = number; /* another process that syncs this replica has settled it meanwhile */
        return LP_OK;
    }
    if (!err && requests_in_flight(s, REQUEST_PUSH) == 0)
        err = is_last(s, number, &last, error);
    if (!err)
        err = outbox_batch_before(s->replica, number, &before, error);
    if (!err && last && !epoch_offering(s->replica))
        err = pull_cursors(s->replica, &cursors, &known, error);
    if (!err) {
        m.after = before;
        m.given_up = outbox_given_up(s->replica, number, before);
        if (known) {
            m.cursors = buf_span(&cursors);
            m.page_bytes = s->line.bytes;
        }
        request *r = send(s, actions, REQUEST_PUSH, &m, &err, error);
        if (r) {
            r->pulls = known;
            s->sent = number;
            s->pulled = false;
        }
    }
    buf_fini(&changes);
    buf_fini(&cursors);
    return err;
}

#define OFFER_MOST 1000

/* What a person has handed to the office. */
static lp_err offer_recovered(client_session *s, client_actions *actions, bool *some_out, lp_error *error) {
    buf list = {0};
    int64_t sending;
    lp_err err = recovered_to_send(s->replica, &list, &sending, error);
    *some_out = !err && sending;
    if (*some_out) {
        message m = {.number = MSG_REOFFER, .others = buf_span(&list)};
        request *r = send(s, actions, REQUEST_OFFER, &m, &err, error);
        if (r)
            r->sending = sending;
    }
    buf_fini(&list);
    return err;
}

lp_err requests_offer(client_session *s, client_actions *actions, bool *some_out, lp_error *error) {
    buf list = {0};
    epoch_offer offer;
    lp_err err = epoch_next_offer(s->replica, s->offer_most ? s->offer_most : OFFER_MOST, s->line.bytes, &list, &offer,
                                  some_out, error);
    if (!err && !*some_out && !epoch_offering(s->replica)) {
        err = offer_recovered(s, actions, some_out, error);
    } else if (!err && *some_out) {
        message m = {.number = MSG_REOFFER};
        *(offer.record ? &m.changes : &m.entries) = buf_span(&list);
        request *r = send(s, actions, REQUEST_OFFER, &m, &err, error);
        if (r)
            r->offer = offer;
    }
    buf_fini(&list);
    return err;
}

lp_err requests_rejoin(client_session *s, client_actions *actions, lp_error *error) {
    buf bytes = {0};
    message m;
    lp_err err = client_rejoin_request(s->replica, span_of(s->binding, s->binding_size), &bytes, error);
    if (!err)
        err = message_decode(buf_span(&bytes), &m, error);
    if (!err)
        send(s, actions, REQUEST_REJOIN, &m, &err, error);
    buf_fini(&bytes);
    return err;
}

lp_err requests_heal(client_session *s, client_actions *actions, lp_error *error) {
    buf cursors = {0}, ranges = {0};
    message m;
    lp_err err = heal_ask(s->replica, &s->heal, &m, &cursors, &ranges, error);
    if (!err)
        send(s, actions, REQUEST_HEAL, &m, &err, error);
    s->result.round_trips += !err;
    buf_fini(&cursors);
    buf_fini(&ranges);
    return err;
}

lp_err requests_pull(client_session *s, client_actions *actions, request_kind kind, span cursors, size_t page_bytes,
                     lp_error *error) {
    message m = {.number = kind == REQUEST_WAIT ? MSG_WAIT : MSG_SYNC,
                 .cursors = cursors,
                 .page_bytes = page_bytes,
                 .timeout_ms = kind == REQUEST_WAIT ? CLIENT_WAIT_MS : 0};
    lp_err err;
    request *r = send(s, actions, kind, &m, &err, error);
    if (r)
        r->pulls = kind == REQUEST_PULL;
    return err;
}
