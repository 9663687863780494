/* test_job_faults.c - every kind of job the committer takes, from devices and from the office, when the k-th call of the database or the k-th
 * allocation fails, for every k: either the job is done in full, or it says that it is not and nothing of it is there; and the same job
 * once more, with all well again, is done. Afterwards the pool is what it says it is (verify.h). The same when documents that
 * it needs are damaged.
 *
 * What a session makes of that is for integration_server_faults. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "proto/wire.h"
#include "server/office/control_arguments.h"
#include "server/pool/epochs.h"
#include "server/pool/pool.h"
#include "server/store/sqlite.h"
#include "server/office/verify.h"
#include "tests/sim/hand.h"
#include "tests/support/failing_sql.h"
#include "tests/support/short_memory.h"

enum { ANN, BEN, MONA, PEOPLE }; /* two reps and a manager */

typedef struct bench {
    hand hand;
    uint32_t device[PEOPLE];
    hlc clock[PEOPLE];
    uint64_t batch[PEOPLE];
    changes_writer writer;
    lp_id lead, other, touch; /* two leads of Ann's, what follows the first */
} bench;

/* What is about to be done. */
typedef struct deed {
    const char *name;
    void (*prepare)(bench *b);
    job *(*make)(bench *b);
} deed;

static void done(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

static void run(bench *b, job *j) {
    j->done = done;
    committer_run(b->hand.world->committer, j);
}

static void must(bench *b, job *j) {
    run(b, j);
    if (j->result)
        fail_msg("%s", j->error.message);
    job_free(j);
}

/* ---- what devices send ---- */

static job *ask(bench *b, job_kind kind, uint32_t who, const message *m) {
    job *j = job_new(kind);
    assert_non_null(j);
    j->device = b->device[who];
    assert_int_equal(message_encode(m, &j->request, NULL), LP_OK);
    return j;
}

static void put_text(bench *b, uint32_t field, const char *key, const char *text) {
    buf value = {0};
    wire_put_text(&value, span_text(text));
    change_put(&b->writer, field, span_text(key), buf_span(&value));
    buf_fini(&value);
}

static void put_lead(bench *b, const lp_id *lead) {
    buf value = {0};
    wire_put_bytes(&value, id_span(lead));
    change_put(&b->writer, TOUCH_LEAD, (span){0}, buf_span(&value));
    buf_fini(&value);
}

static void put_deleted(bench *b) {
    buf value = {0};
    wire_put_bool(&value, true);
    change_put(&b->writer, LEAD_DELETED, (span){0}, buf_span(&value));
    buf_fini(&value);
}

static void end_set_at(bench *b, uint32_t who, uint32_t kind, const lp_id *id, stamp at) {
    at.author = b->device[who];
    changes_end(&b->writer, kind, id, at, STAMP_NONE, 0);
}

static void end_set(bench *b, uint32_t who, uint32_t kind, const lp_id *id) {
    end_set_at(b, who, kind, id, hlc_next(&b->clock[who], b->hand.world->now_ms));
}

/* The sets that were put, as the next batch of somebody's device; with that device's first cursors. */
static job *push(bench *b, uint32_t who) {
    buf changes = {0};
    assert_int_equal(changes_finish(&b->writer, &changes, NULL), LP_OK);
    changes_reset(&b->writer);
    message m = {.number = MSG_SYNC,
                 .batch = ++b->batch[who],
                 .changes = buf_span(&changes),
                 .cursors = buf_span(&b->hand.cursors)};
    job *j = ask(b, JOB_PUSH, who, &m);
    buf_fini(&changes);
    return j;
}

static void begin_lead(bench *b, const char *owner, const char *event) {
    changes_begin(&b->writer);
    put_text(b, LEAD_FULL_NAME, "", "Li Wei");
    put_text(b, LEAD_COMPANY, "", "Acme");
    put_text(b, LEAD_OWNER, "", owner);
    put_text(b, LEAD_EVENT, "", event);
    put_text(b, LEAD_SOCIAL, "wechat", "liwei");
}

static job *push_leads(bench *b) {
    begin_lead(b, "Ann", "IFA");
    end_set(b, ANN, KIND_LEAD, &b->lead);
    changes_begin(&b->writer);
    put_lead(b, &b->lead);
    put_text(b, TOUCH_TEXT, "", "called");
    end_set(b, ANN, KIND_TOUCH, &b->touch);
    begin_lead(b, "Ann", "");
    end_set(b, ANN, KIND_LEAD, &b->other);
    return push(b, ANN);
}

static void have_leads(bench *b) {
    must(b, push_leads(b));
}

/* With what follows it. */
static job *push_a_move(bench *b) {
    changes_begin(&b->writer);
    put_text(b, LEAD_OWNER, "", "Ben");
    put_text(b, LEAD_EVENT, "", "");
    end_set(b, MONA, KIND_LEAD, &b->lead);
    return push(b, MONA);
}

static void have_moved(bench *b) {
    have_leads(b);
    must(b, push_a_move(b));
}

/* Ann writes what is Ben's by now, and was hers when she last heard of it; and what she never had. */
static job *push_from_outside(bench *b) {
    lp_id unknown = {{9, 9, 9}};
    changes_begin(&b->writer);
    put_text(b, LEAD_NOTES, "", "late");
    end_set(b, ANN, KIND_LEAD, &b->lead);
    changes_begin(&b->writer);
    put_text(b, LEAD_OWNER, "", "Ben");
    put_text(b, LEAD_NOTES, "", "of nobody");
    end_set(b, ANN, KIND_LEAD, &unknown);
    return push(b, ANN);
}

/* Two values that neither author had seen the other's of: the later stands, a conflict is listed. */
static job *push_a_conflict(bench *b) {
    changes_begin(&b->writer);
    put_text(b, LEAD_FULL_NAME, "", "Lee Way");
    end_set(b, MONA, KIND_LEAD, &b->lead);
    return push(b, MONA);
}

static job *push_a_loser(bench *b) {
    changes_begin(&b->writer);
    put_text(b, LEAD_COMPANY, "", "Acme before");
    end_set_at(b, MONA, KIND_LEAD, &b->lead, (stamp){(uint64_t)(b->hand.world->now_ms - 60000) << 16, 0});
    return push(b, MONA);
}

static job *push_a_deletion(bench *b) {
    changes_begin(&b->writer);
    put_deleted(b);
    end_set(b, ANN, KIND_LEAD, &b->lead);
    return push(b, ANN);
}

static void have_deleted(bench *b) {
    have_leads(b);
    must(b, push_a_deletion(b));
    b->hand.world->now_ms += 400 * DAY_MS;
}

static job *push_nonsense(bench *b) {
    changes_begin(&b->writer);
    put_text(b, LEAD_COMPANY, "", "\xff");
    put_text(b, LEAD_NOTES, "", "good");
    put_text(b, 999, "", "of a newer version");
    end_set(b, ANN, KIND_LEAD, &b->lead);
    changes_begin(&b->writer);
    put_text(b, STAFF_NAME, "", "not a device's");
    end_set(b, ANN, KIND_STAFF, &b->other);
    return push(b, ANN);
}

/* A batch of no changes, so that the same can be made again. */
static job *push_nothing(bench *b) {
    b->batch[ANN] = 0;
    return push(b, ANN);
}

static void have_pushed_nothing(bench *b) {
    must(b, push_nothing(b));
}

static job *offer_again(bench *b) {
    buf changes = {0};
    begin_lead(b, "Ann", "IFA");
    end_set(b, ANN, KIND_LEAD, &b->lead);
    assert_int_equal(changes_finish(&b->writer, &changes, NULL), LP_OK);
    changes_reset(&b->writer);
    message m = {.number = MSG_REOFFER, .changes = buf_span(&changes)};
    job *j = ask(b, JOB_REOFFER, ANN, &m);
    buf_fini(&changes);
    return j;
}

static job *fence(bench *b) {
    job *j = job_new(JOB_FENCE);
    assert_non_null(j);
    j->device = b->device[ANN];
    j->batch = 7;
    return j;
}

static job *note_seen(bench *b) {
    job *j = job_new(JOB_SEEN);
    assert_non_null(j);
    b->hand.world->now_ms += DAY_MS;
    j->device = b->device[ANN];
    j->read_seq = 1;
    return j;
}

/* A cursor of this epoch is of another history. */
static job *draw_epoch(bench *b) {
    store_reader *reader = b->hand.world->reader;
    epochs e;
    assert_int_equal(reader->ops->snapshot(reader, NULL), LP_OK);
    assert_int_equal(epochs_read(reader, &e, NULL), LP_OK);
    reader->ops->snapshot_end(reader);
    job *j = job_new(JOB_EPOCH);
    assert_non_null(j);
    memcpy(j->epoch, e.epoch, sizeof j->epoch);
    return j;
}

/* ---- joining ---- */

static job *join_as(bench *b, uint8_t seed, const uint8_t token[INVITE_TOKEN_BYTES]) {
    uint8_t key[CRYPTO_KEY_BYTES] = {seed}, install[16] = {seed};
    message m = {.number = MSG_JOIN,
                 .version = PROTOCOL_VERSION,
                 .token = span_of(token, INVITE_TOKEN_BYTES),
                 .public_key = span_of(key, sizeof key),
                 .install = span_of(install, sizeof install),
                 .label = SPAN_LITERAL("a phone")};
    return ask(b, JOB_JOIN, ANN, &m);
}

static uint8_t token[INVITE_TOKEN_BYTES];

static void have_invitation(bench *b) {
    world_invite(b->hand.world, "Zoe", "rep", token);
}

static job *join(bench *b) {
    return join_as(b, 99, token);
}

/* The signature was looked at before. */
static job *rejoin(bench *b) {
    uint8_t key[CRYPTO_KEY_BYTES] = {98}, install[16] = {98};
    message m = {.number = MSG_REJOIN,
                 .version = PROTOCOL_VERSION,
                 .device = b->device[ANN],
                 .public_key = span_of(key, sizeof key),
                 .install = span_of(install, sizeof install)};
    return ask(b, JOB_REJOIN, ANN, &m);
}

static void enter(bench *b, uint32_t who, const char *name, const char *role) {
    message answer;
    uint8_t invited[INVITE_TOKEN_BYTES];
    world_invite(b->hand.world, name, role, invited);
    job *j = join_as(b, (uint8_t)(who + 1), invited);
    run(b, j);
    assert_int_equal(j->result, LP_OK);
    assert_int_equal(message_decode(buf_span(&j->answer), &answer, NULL), LP_OK);
    b->device[who] = b->clock[who].author = (uint32_t)answer.device;
    job_free(j);
}

/* ---- what the office does ---- */

static job *control(job_kind kind, const char *verb, const control_pair *pairs, uint32_t count) {
    job *j = job_new(kind);
    assert_non_null(j);
    assert_int_equal(control_request(verb, pairs, count, &j->request, NULL), LP_OK);
    return j;
}

static job *control_one(const char *verb, const char *name, const char *value) {
    const control_pair pair = {name, value};
    return control(JOB_CONTROL, verb, &pair, 1);
}

static job *change_scope(const char *verb, const char *scope) {
    const control_pair pairs[] = {{"staff", "Ben"}, {"scope", scope}};
    return control(JOB_CONTROL, verb, pairs, 2);
}

static job *grant_event(bench *b) {
    (void)b;
    return change_scope("grant", "event:IFA");
}

static job *grant_pool(bench *b) {
    (void)b;
    return change_scope("grant", "pool");
}

static void have_granted(bench *b) {
    have_leads(b);
    must(b, grant_event(b));
}

static job *ungrant_event(bench *b) {
    (void)b;
    return change_scope("ungrant", "event:IFA");
}

static job *invite_with_scope(bench *b) {
    const control_pair pairs[] = {{"staff", "Zoe"}, {"role", "rep"}, {"scope", "event:IFA,event:CES"}};
    (void)b;
    return control(JOB_INVITE, "invite", pairs, 3);
}

static job *erase(bench *b) {
    char id[LP_ID_TEXT_BYTES];
    lp_id_format(&b->lead, id);
    return control_one("erase", "lead", id);
}

static job *revoke(bench *b) {
    char number[16];
    snprintf(number, sizeof number, "%u", b->device[BEN]);
    return control_one("revoke", "device", number);
}

static void have_ledgers(bench *b) {
    have_granted(b);
    must(b, erase(b));
    must(b, revoke(b));
}

static job *replay(bench *b) {
    (void)b;
    return job_new(JOB_REPLAY);
}

static job *list_devices(bench *b) {
    (void)b;
    return control(JOB_CONTROL, "devices", NULL, 0);
}

static job *purge(bench *b) {
    (void)b;
    return control_one("purge", "days", "1");
}

static job *list_review(bench *b) {
    (void)b;
    return control(JOB_CONTROL, "review", NULL, 0);
}

/* What a device still sends that was revoked. */
static job *push_when_revoked(bench *b) {
    changes_begin(&b->writer);
    put_text(b, LEAD_NOTES, "", "from a lost phone");
    end_set(b, BEN, KIND_LEAD, &b->lead);
    return push(b, BEN);
}

static void have_revoked(bench *b) {
    have_granted(b);
    must(b, revoke(b));
}

static void have_review(bench *b) {
    have_revoked(b);
    must(b, push_when_revoked(b));
}

static job *accept_review(bench *b) {
    (void)b;
    return control_one("review", "accept", "1");
}

static job *reject_review(bench *b) {
    (void)b;
    return control_one("review", "reject", "1");
}

/* The pool was written with a clock that was ahead. */
static void have_written_in_the_future(bench *b) {
    b->hand.world->now_ms += DAY_MS;
    have_leads(b);
    must(b, push_a_loser(b));
    b->hand.world->now_ms -= DAY_MS;
}

static job *repair_clock(bench *b) {
    (void)b;
    return control(JOB_CONTROL, "repair-clock", NULL, 0);
}

static job *begin_backup(bench *b) {
    (void)b;
    return job_new(JOB_BACKUP_BEGIN);
}

static job *note_backup(bench *b) {
    job *j = job_new(JOB_BACKUP);
    j->seq = committer_seq(b->hand.world->committer);
    return j;
}

static void nothing(bench *b) {
    (void)b;
}

static const deed deeds[] = {
    {"leads and what follows one", nothing, push_leads},
    {"a lead moves", have_leads, push_a_move},
    {"changes from outside the scopes", have_moved, push_from_outside},
    {"a conflict", have_leads, push_a_conflict},
    {"a change that loses", have_leads, push_a_loser},
    {"a deletion", have_granted, push_a_deletion},
    {"changes that are refused", have_leads, push_nonsense},
    {"a batch again", have_pushed_nothing, push_nothing},
    {"an offer", have_leads, offer_again},
    {"a fence", nothing, fence},
    {"a device was here", nothing, note_seen},
    {"another epoch", have_leads, draw_epoch},
    {"a join", have_invitation, join},
    {"a rejoin", have_leads, rejoin},
    {"a grant of an event", have_leads, grant_event},
    {"a grant of the pool", have_granted, grant_pool},
    {"the end of a grant", have_granted, ungrant_event},
    {"an invitation with scopes", have_leads, invite_with_scope},
    {"an erasure", have_granted, erase},
    {"a revocation", have_leads, revoke},
    {"the ledgers again", have_ledgers, replay},
    {"the list of devices", have_leads, list_devices},
    {"a purge", have_deleted, purge},
    {"changes of a revoked device", have_revoked, push_when_revoked},
    {"the list of reviews", have_review, list_review},
    {"a review is accepted", have_review, accept_review},
    {"a review is rejected", have_review, reject_review},
    {"the clock is repaired", have_written_in_the_future, repair_clock},
    {"a backup begins", have_leads, begin_backup},
    {"a backup is noted", have_leads, note_backup},
};

/* ---- what came of it ---- */

typedef struct injector {
    const char *name;
    void (*begin)(uint64_t at, uint64_t count);
    uint64_t (*end)(void);
} injector;

static const injector database = {"database calls", failing_sql_fail, failing_sql_end},
                      memory = {"allocations", short_memory_fail, short_memory_end};

static void open(bench *b, const deed *d, const store_ops *engine) {
    memset(b, 0, sizeof *b);
    hand_open_on(&b->hand, 0, engine);
    changes_init(&b->writer);
    b->lead.bytes[0] = 1;
    b->other.bytes[0] = 2;
    b->touch.bytes[0] = 3;
    enter(b, ANN, "Ann", "rep");
    enter(b, BEN, "Ben", "rep");
    enter(b, MONA, "Mona", "manager");
    d->prepare(b);
}

static store_counts counted(bench *b) {
    store_reader *reader = b->hand.world->reader;
    store_counts counts;
    assert_int_equal(reader->ops->snapshot(reader, NULL), LP_OK);
    assert_int_equal(reader->ops->counts(reader, &counts, NULL), LP_OK);
    reader->ops->snapshot_end(reader);
    return counts;
}

static void close(bench *b, const deed *d) {
    world *w = b->hand.world;
    lp_error error = {.message = ""};
    committer_rest(w->committer);
    assert_int_equal(w->reader->ops->snapshot(w->reader, NULL), LP_OK);
    if (verify_all(&w->pool, w->reader, NULL, NULL, &error) != LP_OK)
        fail_msg("%s: %s", d->name, error.message);
    w->reader->ops->snapshot_end(w->reader);
    changes_fini(&b->writer);
    hand_close(&b->hand);
}

static job *copy_of(const job *j) {
    job *copy = job_new(j->kind);
    assert_non_null(copy);
    *copy = (job){.kind = j->kind, .device = j->device, .batch = j->batch, .read_seq = j->read_seq, .seq = j->seq};
    memcpy(copy->epoch, j->epoch, sizeof copy->epoch);
    buf_append_span(&copy->request, buf_span(&j->request));
    return copy;
}

/* Faults `at` and on, until one does not keep the job from being done; the number of the next. *more_out: there may be more. */
static uint64_t try(const injector *how, const deed *d, const store_ops *engine, uint64_t at, bool *more_out) {
    bench b;
    open(&b, d, engine);
    job *pattern = d->make(&b);
    for (lp_err err = LP_IO; err; at++) {
        job *j = copy_of(pattern);
        store_counts before = counted(&b), after;
        how->begin(at, 1);
        run(&b, j);
        *more_out = at < how->end();
        err = j->result;
        after = counted(&b);
        if (err &&
            (after.last_seq != before.last_seq || after.records != before.records || after.history != before.history))
            fail_msg("%s, fault %llu: told to have failed, and something of it is there", d->name,
                     (unsigned long long)at);
        if (!err && j->seq != after.last_seq)
            fail_msg("%s, fault %llu: done, and said to be in the pool by %llu when that is at %llu", d->name,
                     (unsigned long long)at, (unsigned long long)j->seq, (unsigned long long)after.last_seq);
        if (err && !*more_out)
            fail_msg("%s: without a fault: %s", d->name, j->error.message);
        if (err && (!j->error.message[0] || j->answer.size))
            fail_msg("%s, fault %llu: failed without a reason, or with an answer", d->name, (unsigned long long)at);
        job_free(j);
    }
    job_free(pattern);
    close(&b, d);
    return at;
}

static void sweep(const injector *how, const store_ops *engine) {
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++) {
        uint64_t at = 0;
        for (bool more = true; more;)
            at = try(how, &deeds[i], engine, at, &more);
        fprintf(stderr, "[     INFO ] %s: %llu %s failed\n", deeds[i].name, (unsigned long long)at - 1, how->name);
    }
}

static void a_job_is_done_in_full_or_not_at_all_whatever_call_of_the_database_fails(void **state) {
    (void)state;
    sweep(&database, &store_sqlite_ops);
}

/* On the memory store: the simulated disk under the other needs memory itself. */
static void a_job_is_done_in_full_or_not_at_all_whatever_allocation_fails(void **state) {
    (void)state;
    if (!short_memory_works())
        skip();
    sweep(&memory, &store_memory_ops);
}

/* ---- damage ---- */

#define SPACES STORE_GRANT

typedef struct keys {
    uint8_t list[64][80];
    size_t sizes[64];
    uint32_t count;
} keys;

static bool note_key(void *ctx, span key, span value) {
    keys *k = ctx;
    (void)value;
    assert_true(k->count < 64 && key.size <= sizeof k->list[0]);
    memcpy(k->list[k->count], key.data, key.size);
    k->sizes[k->count++] = key.size;
    return true;
}

/* Every document of a space becomes `value`; false if there is none. */
static bool damage(bench *b, store_space space, span value) {
    store *s = b->hand.world->store;
    keys k = {.count = 0};
    assert_int_equal(s->ops->begin(s, NULL), LP_OK);
    assert_int_equal(s->ops->each(s, space, (span){0}, note_key, &k, NULL), LP_OK);
    for (uint32_t i = 0; i < k.count; i++)
        assert_int_equal(s->ops->put(s, space, span_of(k.list[i], k.sizes[i]), value, NULL), LP_OK);
    assert_int_equal(s->ops->commit(s, NULL), LP_OK);
    return k.count > 0;
}

/* What is read once, when the pool is opened, was read before. */
static void a_job_that_meets_a_damaged_document_says_so_or_does_without_it(void **state) {
    static const span values[] = {SPAN_LITERAL("\xc1"), SPAN_LITERAL("\x90"), SPAN_LITERAL("\x93\xa1"),
                                  SPAN_LITERAL("\x92\xc4\x02xx\x90")};
    uint32_t met = 0;
    (void)state;
    for (size_t i = 0; i < sizeof deeds / sizeof deeds[0]; i++)
        for (int space = STORE_META; space <= SPACES; space++)
            for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
                bench b;
                open(&b, &deeds[i], &store_memory_ops);
                job *j = deeds[i].make(&b);
                if (damage(&b, (store_space)space, values[v])) {
                    store_counts before = counted(&b), after;
                    run(&b, j);
                    after = counted(&b);
                    met += j->result == LP_CORRUPT;
                    bool told = j->result == LP_CORRUPT && (strstr(j->error.message, "run leadpoold verify") ||
                                                            strstr(j->error.message, "restore a backup"));
                    if (j->result && !told)
                        fail_msg("%s, space %d, value %zu: told as %s: %s", deeds[i].name, space, v,
                                 lp_err_name(j->result), j->error.message);
                    if (j->result && (after.last_seq != before.last_seq || after.history != before.history))
                        fail_msg("%s, space %d, value %zu: something of it is there", deeds[i].name, space, v);
                }
                job_free(j);
                changes_fini(&b.writer);
                hand_close(&b.hand);
            }
    fprintf(stderr, "[     INFO ] damage was met %u times\n", met);
    assert_true(met > 0);
}

int main(void) {
    short_memory_spare_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_done_in_full_or_not_at_all_whatever_call_of_the_database_fails),
        cmocka_unit_test(a_job_is_done_in_full_or_not_at_all_whatever_allocation_fails),
        cmocka_unit_test(a_job_that_meets_a_damaged_document_says_so_or_does_without_it),
    };
    return cmocka_run_group_tests_name("integration_job_faults", tests, NULL, NULL);
}
