/* committer.c - jobs into one durable commit; see committer.h. */
#include "server/pool/committer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "server/pool/apply.h"
#include "server/pool/auth.h"
#include "server/office/backups.h"
#include "server/pool/batches.h"
#include "server/office/operations.h"
#include "server/office/review.h"
#include "server/pool/rights.h"
#include "server/pool/scopes.h"
#include "server/pool/seen.h"
#include "server/pool/epochs.h"
#include "server/pool/rejoin.h"
#include "server/pool/reoffer.h"

#define RETRY_BUSY_MS 1000  /* the store was busy: soon */
#define RETRY_FULL_MS 30000 /* no space or a failing disk: an operator has to act */

struct committer {
    pool *pool;
    uint64_t seq;
    bool in_doubt; /* the last commit failed, and may have happened: look before going on */
};

lp_err committer_new(pool *p, committer **committer_out, lp_error *error) {
    committer *c = calloc(1, sizeof *c);
    if (!c)
        return err_plain(error, LP_NOMEM);
    c->pool = p;
    c->seq = p->store->ops->last_seq(p->store);
    *committer_out = c;
    return LP_OK;
}

void committer_free(committer *c) {
    free(c);
}

uint64_t committer_seq(const committer *c) {
    return c->seq;
}

/* ---- the kinds of jobs ---- */

static lp_err apply_batch(pool *p, const message *request, const device *d, job *j, buf *verdicts_out,
                          lp_error *error) {
    changes_reader changes;
    apply_verdicts verdicts = {0};
    apply_author author = {
        .device = d->number, .person = d->staff, .former = d, .review = d->revoked_ms ? REVIEW_REVOKED : 0};
    change_set set;
    rights may;
    lp_err err = rights_load(p, d, &may, error);
    author.rights = &may;
    if (err)
        return err;
    err = changes_open(&changes, request->changes, error);
    for (uint32_t i = 0; !err && changes_next(&changes, &set); i++)
        err = apply_set(p, &set, i, &author, &verdicts, error);
    if (!err && changes.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a change set of the batch is malformed");
    if (!err) {
        wire_put_array(verdicts_out, verdicts.count);
        buf_append_span(verdicts_out, buf_span(&verdicts.list));
        if (verdicts.list.failed || verdicts_out->failed)
            err = err_plain(error, LP_NOMEM);
    }
    j->cloned = verdicts.cloned;
    buf_fini(&verdicts.list);
    changes_close(&changes);
    return err;
}

static lp_err note_seen(pool *p, const device *d, span cursors, lp_error *error) {
    epochs e;
    lp_err err = epochs_load(p, &e, error);
    return err ? err : seen_note(p, d->number, seen_read_seq(span_of(e.epoch, EPOCH_BYTES), cursors), error);
}

/* The device gave the number up, and after that the fence kept it from being applied; yet it is: a copy of the device has used it. */
static bool used_by_twin(const message *request, const device *d) {
    return d->batch > 0 && request->batch > d->batch && request->batch - d->batch <= request->given_up;
}

static lp_err run_push(pool *p, job *j, lp_error *error) {
    message request;
    device d;
    batch_state state;
    uint8_t hash[CRYPTO_HASH_BYTES];
    buf verdicts = {0};
    lp_err err = message_decode_scanned(buf_span(&j->request), &request, error);
    if (!err)
        err = auth_device_load(p, j->device, &d, error);
    if (err == LP_NOT_FOUND)
        err = err_set(error, LP_FORGOTTEN, "this pool does not know the device; join again with a new invitation");
    if (err)
        return err;
    bool by_hash = request.hash.size == sizeof hash;
    if (by_hash)
        memcpy(hash, request.hash.data, sizeof hash);
    else
        crypto_sha256(request.changes, hash);
    if (request.batch <= d.fence && request.batch > d.batch)
        return err_set(error, LP_BUSY, "the batch was given up when the device's clock was set right");
    if (request.after > d.batch && !BUG(BATCH_BEFORE_IGNORED))
        return err_set(error, LP_BUSY, "the batch before this one has not been applied");
    err = batches_find(p, d.number, request.batch, d.batch, hash, &state, &verdicts, error);
    if (!err && state == BATCH_CLONED)
        err = err_set(error, LP_CLONED,
                      "batch %llu of this device came with another content before: a copy of the replica is in use",
                      (unsigned long long)request.batch);
    if (!err && used_by_twin(&request, &d))
        err = err_set(error, LP_CLONED,
                      "batch %llu, which this replica gave up, came from elsewhere: a copy of the replica is in use",
                      (unsigned long long)d.batch);
    j->revoked = d.revoked_ms != 0;
    if (!err && state == BATCH_NEW && j->revoked && pool_now_ms(p) - d.revoked_ms >= p->revoked_grace_ms)
        err = auth_revoked(&d, error);
    if (!err && state == BATCH_NEW && by_hash)
        err = err_set(error, LP_BUSY, "the server does not hold this batch; send it whole");
    if (!err && state == BATCH_NEW) {
        err = apply_batch(p, &request, &d, j, &verdicts, error);
        d.batch = request.batch;
        if (!err)
            err = batches_keep(p, d.number, request.batch, hash, buf_span(&verdicts), error);
        if (!err)
            err = auth_device_save(p, &d, error);
    }
    if (!err && request.cursors.size && !j->revoked)
        err = note_seen(p, &d, request.cursors, error);
    if (!err) {
        message answer = {
            .number = MSG_SYNCED, .batch = request.batch, .verdicts = buf_span(&verdicts), .now_ms = pool_told_ms(p)};
        err = message_encode(&answer, &j->answer, error);
    }
    buf_fini(&verdicts);
    return err;
}

static lp_err run_fence(pool *p, job *j, lp_error *error) {
    device d;
    lp_err err = auth_device_load(p, j->device, &d, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, LP_REFUSED, "this pool does not know the device; join again with a new invitation");
    if (err)
        return err;
    d.fence = j->batch > d.fence ? j->batch : d.fence;
    err = auth_device_save(p, &d, error);
    message answer = {.number = MSG_CLOCK, .batch = d.batch, .now_ms = pool_now_ms(p)};
    return err ? err : message_encode(&answer, &j->answer, error);
}

static lp_err run_join(pool *p, job *j, lp_error *error) {
    message request;
    device d;
    buf pass = {0};
    lp_err err = message_decode(buf_span(&j->request), &request, error);
    if (!err)
        err = j->kind == JOB_JOIN ? auth_join(p, &request, &d, error) : rejoin(p, &request, &d, error);
    if (!err)
        err = rejoin_pass(p, &d, &pass, error);
    if (err)
        goto out;
    message answer = {.number = MSG_JOINED,
                      .version = PROTOCOL_VERSION,
                      .device = d.number,
                      .pool = id_span(&p->id),
                      .pool_name = span_text(p->name),
                      .staff = id_span(&d.staff),
                      .staff_name = span_text(d.staff_name),
                      .role = span_text(d.role),
                      .now_ms = pool_now_ms(p),
                      .seal_key = span_of(p->seal_key, sizeof p->seal_key),
                      .pass = buf_span(&pass)};
    err = message_encode(&answer, &j->answer, error);
out:
    buf_fini(&pass);
    return err;
}

static lp_err run_reoffer(pool *p, job *j, lp_error *error) {
    message request;
    device d;
    reoffer_outcome outcome;
    lp_err err = message_decode_scanned(buf_span(&j->request), &request, error);
    if (!err)
        err = auth_device_load(p, j->device, &d, error);
    if (err == LP_NOT_FOUND)
        err = err_set(error, LP_REFUSED, "this pool does not know the device; join again with a new invitation");
    if (!err)
        err = reoffer(p, &d, &request, &outcome, error);
    /* Another copy under this number, which the pool has forgotten to be one, has to hear of it. */
    if (!err && !d.shared) {
        d.shared = true;
        err = auth_device_save(p, &d, error);
    }
    if (err)
        return err;
    j->cloned = outcome.cloned;
    message answer = {.number = MSG_REOFFERED, .taken = outcome.taken};
    return message_encode(&answer, &j->answer, error);
}

/* The text argument `name` of a CONTROL message, copied; false if it is missing or too long. */
static bool argument(span arguments, const char *name, char *text_out, size_t size) {
    wire_reader r = wire_open(arguments);
    uint32_t count = wire_map(&r);
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        span key = wire_text(&r);
        span value = wire_text(&r);
        if (r.failed || !span_equal(key, span_text(name)))
            continue;
        if (value.size >= size)
            return false;
        memcpy(text_out, value.data ? (const void *)value.data : "", value.size);
        text_out[value.size] = '\0';
        return true;
    }
    return false;
}

static lp_err run_invite(pool *p, job *j, lp_error *error) {
    message request;
    char staff[STAFF_NAME_BYTES], role[ROLE_BYTES], scopes[1024] = "";
    uint8_t token[INVITE_TOKEN_BYTES];
    int64_t expires_ms;
    lp_err err = message_decode(buf_span(&j->request), &request, error);
    if (err)
        return err;
    if (!argument(request.arguments, "staff", staff, sizeof staff))
        return err_set(error, LP_INVALID, "an invitation needs a person's name of at most %d bytes; give --staff",
                       STAFF_NAME_BYTES - 1);
    if (!argument(request.arguments, "role", role, sizeof role))
        return err_set(error, LP_INVALID, "an invitation needs a role; give --role rep or --role manager");
    if (!argument(request.arguments, "scope", scopes, sizeof scopes))
        scopes[0] = '\0';
    err = auth_invite(p, staff, role, token, &expires_ms, error);
    if (!err)
        err = access_invite(p, staff, role, scopes, error);
    if (err)
        return err;
    buf result = {0};
    wire_put_map(&result, 4);
    wire_put_text(&result, SPAN_LITERAL("token"));
    wire_put_bytes(&result, span_of(token, sizeof token));
    wire_put_text(&result, SPAN_LITERAL("expires_at"));
    wire_put_i64(&result, expires_ms);
    wire_put_text(&result, SPAN_LITERAL("staff"));
    wire_put_text(&result, span_text(staff));
    wire_put_text(&result, SPAN_LITERAL("role"));
    wire_put_text(&result, span_text(role));
    message answer = {.number = MSG_CONTROLLED, .result = buf_span(&result)};
    err = result.failed ? err_plain(error, LP_NOMEM) : message_encode(&answer, &j->answer, error);
    buf_fini(&result);
    return err;
}

/* What devices write waits until somebody has said what time it is (timekeeper.h), or until they have greeted again (greetings.h). */
static lp_err may_write(pool *p, const job *j, lp_error *error) {
    char why[TIMEKEEPER_TEXT_BYTES];
    bool changes = j->kind == JOB_PUSH || j->kind == JOB_REOFFER;
    bool joins = j->kind == JOB_JOIN || j->kind == JOB_REJOIN;
    if ((changes || joins) && timekeeper_troubled(&p->time, why))
        return err_set(error, LP_BUSY, "%s", why);
    /* With a job before it in this group the server's time is being set. */
    if (changes && (p->trusting || greetings_passed(p->greetings, j->device, j->greeting)))
        return err_set(error, LP_BUSY, "this connection does not write any more; greet again");
    return LP_OK;
}

static lp_err run(pool *p, job *j, lp_error *error) {
    lp_err err = may_write(p, j, error);
    if (err)
        return err;
    switch (j->kind) {
    case JOB_PUSH:
        err = run_push(p, j, error);
        /* The copy's next batch may be here already, and says that the author saw what is in this one. */
        if (err == LP_CLONED)
            greetings_end(p->greetings, j->device);
        return err;
    case JOB_FENCE:
        return run_fence(p, j, error);
    case JOB_JOIN:
    case JOB_REJOIN:
        return run_join(p, j, error);
    case JOB_REOFFER:
        return run_reoffer(p, j, error);
    case JOB_BACKUP_BEGIN:
        return backups_begin(p, p->store->ops->last_seq(p->store), error);
    case JOB_BACKUP:
        return backups_note(p, j->seq, error);
    case JOB_EPOCH:
        return epochs_answer_cursor(p, j->epoch, &j->drawn, error);
    case JOB_INVITE:
        return run_invite(p, j, error);
    case JOB_SEEN:
        return seen_note(p, j->device, j->read_seq, error);
    case JOB_CONTROL:
        return operations_run(p, j, error);
    case JOB_REPLAY:
        return operations_replay(p, error);
    case JOB_BARRIER:
        break;
    }
    return LP_OK;
}

/* ---- the group ---- */

static void fail(job *j, lp_err err, const lp_error *error) {
    j->result = err;
    j->error = *error;
    j->retry_ms = err == LP_FULL || err == LP_IO ? RETRY_FULL_MS : RETRY_BUSY_MS;
    buf_clear(&j->answer);
}

/* Runs one job in a savepoint. The digests are part of the transaction and go back with it. */
static void run_in_savepoint(pool *p, job *j) {
    store *s = p->store;
    lp_error error = {.code = LP_OK};
    digest kept[SCOPE_POOL + 1];
    uint64_t last = p->clock.last;
    bool trusting = p->trusting;
    pool_scopes scopes;
    memcpy(kept, p->digests, sizeof kept);
    lp_err err = scopes_copy(&p->scopes, &scopes, &error);
    if (!err)
        err = s->ops->savepoint(s, &error);
    else {
        fail(j, err, &error);
        return;
    }
    if (!err)
        err = run(p, j, &error);
    if (!err)
        err = s->ops->release(s, &error);
    if (!err) {
        j->result = LP_OK;
        scopes_free(&scopes);
        return;
    }
    lp_error undone;
    if (BUG(SAVEPOINT_NOT_UNDONE))
        s->ops->release(s, &undone);
    else
        s->ops->undo(s, &undone);
    if (!BUG(DIGEST_NOT_RESTORED))
        memcpy(p->digests, kept, sizeof kept);
    p->clock.last = p->clock.last < last ? last : p->clock.last;
    p->trusting = trusting;
    scopes_free(&p->scopes);
    p->scopes = scopes;
    fail(j, err, &error);
}

/* What moved the pool's order has a tag: `before` is where it stood. Nothing is read any more once it is done: what can fail then cannot be
 * told. */
static lp_err commit(committer *c, uint64_t before, lp_error *error) {
    store *s = c->pool->store;
    lp_err err = pool_save_digests(c->pool, error);
    if (!err && s->ops->last_seq(s) != before)
        err = epochs_tag(c->pool, error);
    uint64_t now = s->ops->last_seq(s);
    if (!err)
        err = s->ops->commit(s, error);
    if (!err || BUG(FAILED_COMMIT_ANSWERED))
        c->seq = now;
    return err;
}

/* A commit that failed may have happened all the same (power, a failing disk): what the store holds now decides what the
 * next group starts from, and the devices will ask again by batch number. */
static void start_over(committer *c, job *jobs, lp_err err, const lp_error *error, const digest *kept) {
    c->pool->store->ops->rollback(c->pool->store);
    c->in_doubt = true; /* the scopes' sums, too, are read anew before anything else */
    c->pool->trusting = false;
    memcpy(c->pool->digests, kept, sizeof c->pool->digests);
    for (job *j = jobs; j; j = j->next)
        fail(j, err, error);
}

/* What was erased leaves the files at once, or, if a reader holds the log, when there is time. */
static void scrub_if_due(committer *c) {
    lp_error ignored;
    if (c->pool->scrub_due && !c->pool->store->ops->scrub(c->pool->store, &ignored))
        c->pool->scrub_due = false;
}

void committer_rest(committer *c) {
    scrub_if_due(c);
    c->pool->store->ops->rest(c->pool->store);
}

void committer_run(committer *c, job *jobs) {
    store *s = c->pool->store;
    lp_error error = {.code = LP_OK};
    lp_err err = s->ops->begin(s, &error);
    if (!err && c->in_doubt)
        err = pool_reload(c->pool, &error);
    c->in_doubt &= err != LP_OK;
    uint64_t before = err ? 0 : s->ops->last_seq(s);
    digest kept[SCOPE_POOL + 1];
    memcpy(kept, c->pool->digests, sizeof kept);
    for (job *j = jobs; !err && j; j = j->next)
        run_in_savepoint(c->pool, j);
    if (!err)
        err = commit(c, before, &error);
    if (err && !BUG(FAILED_COMMIT_ANSWERED))
        start_over(c, jobs, err, &error, kept);
    if (!err && c->pool->trusting) {
        timekeeper_trust(&c->pool->time);
        greetings_end_all(c->pool->greetings);
    }
    c->pool->trusting = false;
    if (!err)
        scrub_if_due(c);
    for (job *j = jobs; j;) {
        job *next = j->next;
        j->seq = c->seq;
        j->next = NULL;
        j->done(j->ctx, j);
        j = next;
    }
}
