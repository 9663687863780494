/* control.c - the operator's verbs; see control.h. One function a verb, found by name in a table. */
#include "server/office/control.h"

#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/office/control_arguments.h"
#include "server/office/control_verbs.h"
#include "server/office/operations.h"
#include "server/pool/epochs.h"
#include "server/store/files.h"
#include "server/office/verify.h"

#define BUSY_RETRY_MS 1000

typedef struct request {
    control *control;
    span bytes; /* the whole message */
    span arguments;
    store_progress_fn progress;
    void *ctx;
} request;

/* ---- status ---- */

/* Numbers have gaps: a new epoch skips some. */
static uint64_t device_count(store_reader *reader) {
    uint64_t count = 0;
    uint8_t from[5] = {0};
    span key = span_of(from, 4), value;
    while (reader->ops->read_next(reader, STORE_DEVICE, key, &key, &value, NULL) == LP_OK && key.size == 4) {
        memcpy(from, key.data, 4);
        from[4] = 0; /* the least key behind it */
        key = span_of(from, 5);
        count++;
    }
    return count;
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
    epochs e;
    char pool_id[LP_ID_TEXT_BYTES], epoch[EPOCH_BYTES * 2 + 1], sum_text[DIGEST_BYTES * 2 + 1];
    lp_err err = reader->ops->counts(reader, &counts, error);
    if (err == LP_OK)
        err = pool_digest(reader, &sum, error);
    if (err == LP_OK)
        err = epochs_read(reader, &e, error);
    if (err != LP_OK)
        return err;
    lp_id_format(&c->pool->id, pool_id);
    crypto_hex(span_of(e.epoch, EPOCH_BYTES), epoch);
    digest_format(sum, sum_text);
    wire_put_map(out, 15);
    put_text(out, "pool", c->pool->name);
    put_text(out, "pool_id", pool_id);
    put_text(out, "epoch", epoch);
    put_number(out, "seq", counts.last_seq);
    put_number(out, "leads", counts.leads);
    put_number(out, "devices", device_count(reader));
    put_number(out, "records", counts.records);
    put_number(out, "bytes", counts.bytes);
    put_text(out, "digest", sum_text);
    put_number(out, "healed", c->pool->healed);
    put_number(out, "connections", c->connections ? c->connections(c->ctx) : 0);
    wire_put_text(out, SPAN_LITERAL("serving"));
    wire_put_bool(out, c->started_ms != 0);
    put_text(out, "listen", c->listen ? c->listen : "");
    wire_put_text(out, SPAN_LITERAL("started_at"));
    wire_put_i64(out, c->started_ms);
    char trouble[TIMEKEEPER_TEXT_BYTES] = "right";
    timekeeper_troubled(&c->pool->time, trouble);
    put_text(out, "clock", trouble);
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

/* ---- invite, backup, verify ---- */

static lp_err do_invite(request *r, buf *out, lp_error *error) {
    return control_invite(r->control, r->bytes, r->arguments, out, error);
}

/* A backup is one when it was read back, all of it. */
static lp_err verify_copy(request *r, const char *path, uint64_t *seq_out, lp_error *error) {
    store_counts counts;
    lp_err err = verify_file(path, r->progress, r->ctx, &counts, error);
    if (err == LP_OK)
        *seq_out = counts.last_seq;
    return err;
}

static void ignore(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

/* Notes a backup (backups.h); `seq` is for those that were made. */
static lp_err note_backup(control *c, job_kind kind, uint64_t seq, lp_error *error) {
    job *j = job_new(kind);
    if (!j)
        return err_plain(error, LP_NOMEM);
    j->seq = seq;
    j->done = ignore;
    if (c->thread)
        commit_thread_run(c->thread, j);
    else
        committer_run(c->committer, j);
    lp_err err = j->result;
    if (err != LP_OK)
        *error = j->error;
    job_free(j);
    return err;
}

static lp_err do_backup(request *r, buf *out, lp_error *error) {
    char path[4096];
    if (!control_argument(r->arguments, "to", path, sizeof path) || path[0] == '\0')
        return err_set(error, LP_INVALID, "backup needs a file to write to; give --to FILE");
    store *s = r->control->pool->store;
    uint64_t seq = 0;
    lp_err err = note_backup(r->control, JOB_BACKUP_BEGIN, 0, error);
    if (err == LP_OK)
        err = s->ops->backup(s, path, r->progress, r->ctx, error);
    if (err == LP_OK)
        err = verify_copy(r, path, &seq, error);
    if (err == LP_CORRUPT)
        file_remove(path);
    if (err == LP_OK)
        err = note_backup(r->control, JOB_BACKUP, seq, error);
    if (err != LP_OK)
        return err;
    wire_put_map(out, 2);
    put_text(out, "backup", path);
    put_number(out, "seq", seq);
    return LP_OK;
}

static lp_err read_verify(request *r, store_reader *reader, buf *out, lp_error *error) {
    lp_err err = verify_all(r->control->pool, reader, r->progress, r->ctx, error);
    store_counts counts;
    if (err == LP_OK)
        err = reader->ops->counts(reader, &counts, error);
    if (err != LP_OK)
        return err;
    verify_report(&counts, out);
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

lp_err control_job(control *c, job_kind kind, span bytes, job **job_out, lp_error *error) {
    job *j = *job_out = job_new(kind);
    if (!j)
        return err_plain(error, LP_NOMEM);
    buf_append_span(&j->request, bytes);
    j->done = ignore;
    if (j->request.failed)
        return err_plain(error, LP_NOMEM);
    if (c->thread)
        commit_thread_run(c->thread, j);
    else
        committer_run(c->committer, j);
    if (j->result != LP_OK)
        *error = j->error;
    return j->result;
}

/* A job of the pool's own: operations.h. */
static lp_err operate(request *r, buf *out, lp_error *error) {
    message answer;
    job *j;
    lp_err err = control_job(r->control, JOB_CONTROL, r->bytes, &j, error);
    if (err == LP_OK)
        err = message_decode(buf_span(&j->answer), &answer, error);
    if (err == LP_OK)
        buf_append_span(out, answer.result);
    job_free(j);
    return err;
}

static lp_err run(request *r, span verb, buf *out, lp_error *error) {
    if (operations_know(verb))
        return operate(r, out, error);
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
