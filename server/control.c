/* control.c - the operator's verbs; see control.h. One function a verb, found by name in a table. */
#include "server/control.h"

#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/invite.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/config.h"
#include "server/control_arguments.h"

#define BUSY_RETRY_MS 1000

typedef struct request {
    control *control;
    span bytes; /* the whole message */
    span arguments;
    store_progress_fn progress;
    void *ctx;
} request;

/* ---- status ---- */

static uint64_t device_count(store_reader *reader) {
    span value;
    if (reader->ops->read_document(reader, STORE_META, SPAN_LITERAL("device.next"), &value, NULL) != LP_OK)
        return 0;
    wire_reader r = wire_open(value);
    uint64_t next = wire_u64(&r);
    return r.failed || next < DEVICE_NUMBER_MIN ? 0 : next - DEVICE_NUMBER_MIN;
}

static void put_text(buf *out, const char *name, const char *value) {
    wire_put_text(out, span_text(name));
    wire_put_text(out, span_text(value));
}

static void put_number(buf *out, const char *name, uint64_t value) {
    wire_put_text(out, span_text(name));
    wire_put_u64(out, value);
}

static lp_err report(control *c, store_reader *reader, buf *out, lp_error *error) {
    store_counts counts;
    digest sum;
    char pool_id[LP_ID_TEXT_BYTES], epoch[EPOCH_BYTES * 2 + 1], sum_text[DIGEST_BYTES * 2 + 1];
    lp_err err = reader->ops->counts(reader, &counts, error);
    if (err == LP_OK)
        err = pool_digest(reader, &sum, error);
    if (err != LP_OK)
        return err;
    lp_id_format(&c->pool->id, pool_id);
    crypto_hex(span_of(c->pool->epoch, EPOCH_BYTES), epoch);
    digest_format(sum, sum_text);
    wire_put_map(out, 13);
    put_text(out, "pool", c->pool->name);
    put_text(out, "pool_id", pool_id);
    put_text(out, "epoch", epoch);
    put_number(out, "seq", counts.last_seq);
    put_number(out, "leads", counts.leads);
    put_number(out, "devices", device_count(reader));
    put_number(out, "records", counts.records);
    put_number(out, "bytes", counts.bytes);
    put_text(out, "digest", sum_text);
    put_number(out, "connections", c->connections ? c->connections(c->ctx) : 0);
    wire_put_text(out, SPAN_LITERAL("serving"));
    wire_put_bool(out, c->started_ms != 0);
    put_text(out, "listen", c->listen ? c->listen : "");
    wire_put_text(out, SPAN_LITERAL("started_at"));
    wire_put_i64(out, c->started_ms);
    return LP_OK;
}

static lp_err with_snapshot(request *r, lp_err (*fn)(request *, store_reader *, buf *, lp_error *), buf *out,
                            lp_error *error) {
    store *s = r->control->pool->store;
    store_reader *reader;
    lp_err err = s->ops->reader_open(s, &reader, error);
    if (err != LP_OK)
        return err;
    err = s->ops->snapshot(reader, error);
    if (err == LP_OK)
        err = fn(r, reader, out, error);
    s->ops->snapshot_end(reader);
    s->ops->reader_close(reader);
    return err;
}

static lp_err read_status(request *r, store_reader *reader, buf *out, lp_error *error) {
    return report(r->control, reader, out, error);
}

static lp_err do_status(request *r, buf *out, lp_error *error) {
    return with_snapshot(r, read_status, out, error);
}

/* ---- invite ---- */

typedef struct invited {
    span token, staff, role;
    int64_t expires_ms;
} invited;

static lp_err read_invited(span answer, invited *out, lp_error *error) {
    message m;
    *out = (invited){0};
    lp_err err = message_decode(answer, &m, error);
    if (err != LP_OK)
        return err;
    wire_reader r = wire_open(m.result);
    for (uint32_t left = wire_map(&r); left > 0 && !r.failed; left--) {
        span name = wire_text(&r);
        if (span_equal(name, SPAN_LITERAL("token")))
            out->token = wire_bytes(&r);
        else if (span_equal(name, SPAN_LITERAL("expires_at")))
            out->expires_ms = wire_i64(&r);
        else if (span_equal(name, SPAN_LITERAL("staff")))
            out->staff = wire_text(&r);
        else if (span_equal(name, SPAN_LITERAL("role")))
            out->role = wire_text(&r);
        else
            wire_raw(&r);
    }
    if (r.failed || out->token.size != INVITE_TOKEN_BYTES)
        return err_set(error, LP_PROTOCOL, "the committer's answer to invite makes no sense");
    return LP_OK;
}

static void put_invitation(const control *c, const invited *made, invite *inv, buf *out) {
    buf text = {0};
    memcpy(inv->token, made->token.data, INVITE_TOKEN_BYTES);
    memcpy(inv->pin, c->pin, PIN_BYTES);
    invite_format(inv, &text);
    wire_put_map(out, 4);
    wire_put_text(out, SPAN_LITERAL("invitation"));
    wire_put_text(out, buf_span(&text));
    wire_put_text(out, SPAN_LITERAL("expires_at"));
    wire_put_i64(out, made->expires_ms);
    wire_put_text(out, SPAN_LITERAL("staff"));
    wire_put_text(out, made->staff);
    wire_put_text(out, SPAN_LITERAL("role"));
    wire_put_text(out, made->role);
    out->failed |= text.failed;
    buf_fini(&text);
}

static void ignore(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

static lp_err do_invite(request *r, buf *out, lp_error *error) {
    control *c = r->control;
    invite inv = {0};
    char address[INVITE_HOST_BYTES + 16];
    if (!control_argument(r->arguments, "address", address, sizeof address))
        return err_set(error, LP_INVALID, "the address is too long");
    lp_err err = config_split_address(address[0] ? address : c->address, inv.host, &inv.port, error);
    if (err != LP_OK)
        return err;
    if (inv.host[0] == '\0' || inv.port == 0)
        return err_set(error, LP_INVALID,
                       "an invitation needs the address devices reach the server at; give --address HOST:PORT");
    job *j = job_new(JOB_INVITE);
    if (!j)
        return err_plain(error, LP_NOMEM);
    buf_append_span(&j->request, r->bytes);
    j->done = ignore;
    if (j->request.failed)
        err_plain(&j->error, j->result = LP_NOMEM);
    else if (c->thread)
        commit_thread_run(c->thread, j);
    else
        committer_run(c->committer, j);
    invited made;
    err = j->result;
    if (err != LP_OK)
        *error = j->error;
    else
        err = read_invited(buf_span(&j->answer), &made, error);
    if (err == LP_OK)
        put_invitation(c, &made, &inv, out);
    job_free(j);
    return err;
}

/* ---- backup, verify ---- */

static lp_err do_backup(request *r, buf *out, lp_error *error) {
    char path[4096];
    if (!control_argument(r->arguments, "to", path, sizeof path) || path[0] == '\0')
        return err_set(error, LP_INVALID, "backup needs a file to write to; give --to FILE");
    store *s = r->control->pool->store;
    lp_err err = s->ops->backup(s, path, r->progress, r->ctx, error);
    if (err != LP_OK)
        return err;
    wire_put_map(out, 1);
    put_text(out, "backup", path);
    return LP_OK;
}

/* What the digest should be, from the rows. */
typedef struct summing {
    digester *digester;
    digest sum;
    record record;
    lp_err err;
    lp_error *error;
} summing;

static bool sum_row(void *ctx, const store_row *row) {
    summing *s = ctx;
    s->record.kind = row->kind;
    s->record.id = row->id;
    s->err = record_unpack(&s->record, row->body, row->stamps, s->error);
    for (uint32_t i = 0; s->err == LP_OK && i < s->record.count; i++)
        digest_add(s->digester, &s->sum, row->kind, &row->id, &s->record.regs[i]);
    return s->err == LP_OK;
}

static lp_err verify_digest(control *c, store_reader *reader, lp_error *error) {
    summing s = {.error = error};
    digest stored;
    record_init(&s.record, 0, &(lp_id){{0}});
    lp_err err = digester_new(&c->pool->id, &s.digester, error);
    if (err == LP_OK)
        err = pool_digest(reader, &stored, error);
    if (err == LP_OK)
        err = reader->ops->feed(reader, SCOPE_POOL, 0, sum_row, &s, error);
    if (err == LP_OK)
        err = s.err;
    if (err == LP_OK && !digest_equal(s.sum, stored))
        err = err_set(error, LP_CORRUPT, "the pool's digest is not that of its records; restore a backup");
    digester_free(s.digester);
    record_fini(&s.record);
    return err;
}

static lp_err read_verify(request *r, store_reader *reader, buf *out, lp_error *error) {
    lp_err err = reader->ops->verify(reader, r->progress, r->ctx, error);
    if (err == LP_OK)
        err = verify_digest(r->control, reader, error);
    store_counts counts;
    if (err == LP_OK)
        err = reader->ops->counts(reader, &counts, error);
    if (err != LP_OK)
        return err;
    wire_put_map(out, 3);
    wire_put_text(out, SPAN_LITERAL("verified"));
    wire_put_bool(out, true);
    put_number(out, "records", counts.records);
    put_number(out, "seq", counts.last_seq);
    return LP_OK;
}

static lp_err do_verify(request *r, buf *out, lp_error *error) {
    return with_snapshot(r, read_verify, out, error);
}

/* ---- dispatch ---- */

static const struct verb {
    const char *name;
    lp_err (*run)(request *r, buf *out, lp_error *error);
} verbs[] = {{"status", do_status}, {"invite", do_invite}, {"backup", do_backup}, {"verify", do_verify}};

static lp_err run(request *r, span verb, buf *out, lp_error *error) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_equal(verb, span_text(verbs[i].name)))
            return verbs[i].run(r, out, error);
    return err_set(error, LP_UNSUPPORTED, "this server does not know the command '%.*s'; is it an older version?",
                   (int)(verb.size < 40 ? verb.size : 40), (const char *)verb.data);
}

void control_execute(control *c, span bytes, store_progress_fn progress, void *ctx, buf *answer_out) {
    message m = {0};
    lp_error error = {.code = LP_OK};
    buf result = {0};
    lp_err err = message_decode(bytes, &m, &error);
    if (err == LP_OK && m.number != MSG_CONTROL)
        err = err_set(&error, LP_PROTOCOL, "only control messages are taken here");
    request r = {.control = c, .bytes = bytes, .arguments = m.arguments, .progress = progress, .ctx = ctx};
    if (err == LP_OK)
        err = run(&r, m.verb, &result, &error);
    if (err == LP_OK && result.failed)
        err = err_plain(&error, LP_NOMEM);
    message answer = {.number = MSG_CONTROLLED, .result = buf_span(&result)};
    if (err == LP_BUSY)
        answer = (message){.number = MSG_BUSY, .retry_ms = BUSY_RETRY_MS, .reason = span_text(error.message)};
    else if (err != LP_OK)
        answer = (message){.number = MSG_REFUSED, .code = (uint64_t)err, .reason = span_text(error.message)};
    message_encode(&answer, answer_out, NULL);
    buf_fini(&result);
}
