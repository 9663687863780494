/* test_api_faults.c - what the public functions do when the k-th call of the database or the k-th allocation fails, for every k: they say so, as
 * what it is and not as something that is not there; nothing of the replica is other than before; and once all is well the same call gives
 * what it should. What a sync does then is for fault_sweep.h and integration_short_memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/replica/outbox.h"
#include "client/replica/recovered.h"
#include "client/find/search.h"
#include "proto/page.h"
#include "tests/support/failing_sql.h"
#include "tests/support/rig.h"
#include "tests/support/short_memory.h"

#define OTHERS ((stamp){(uint64_t)(RIG_START_MS - 100000) << 16, 99})

typedef struct place {
    rig rig; /* made the file; closed */
    char spare[340];
    lp_id lead, refused,
        lost; /* one with a past, one of which a change was refused, one of which something was recovered */
    lp_replica *replica;
} place;

/* *got_out: a number that tells whether it gave what it should. */
typedef struct call {
    const char *name;
    lp_err (*run)(place *p, uint64_t *got_out, lp_error *error);
    bool closed; /* the replica must not be open */
    bool writes;
} call;

/* ---- the replica ---- */

static void have_refused(rig *r, const lp_id *id) {
    uint64_t number;
    outbox_outcome outcome;
    buf verdicts = {0};
    verdict no = {.set = 1, .field = -1, .kind = VERDICT_REFUSED, .reason = SPAN_LITERAL("too long")};
    rig_set(r, id, "company", "Acme and so on");
    wire_put_array(&verdicts, 1);
    verdict_put(&verdicts, &no);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(outbox_freeze(r->replica, OUTBOX_BATCH_BYTES, &number, NULL), LP_OK);
    assert_int_equal(outbox_settle(r->replica, number, buf_span(&verdicts), 1, &outcome, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    assert_int_equal(outcome.refused, 1);
    buf_fini(&verdicts);
}

static void have_lost(rig *r, const lp_id *id) {
    buf value = {0};
    wire_put_text(&value, SPAN_LITERAL("Acme"));
    reg lost = {.field = LEAD_COMPANY, .value = buf_span(&value), .stamp = OTHERS};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(recovered_keep(r->replica, KIND_LEAD, id, &lost, NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    buf_fini(&value);
}

static void arrive(place *p, bool open) {
    rig *r = &p->rig;
    bool done;
    memset(p, 0, sizeof *p);
    rig_open(r, true);
    p->refused = rig_make_lead(r, "Ada");
    have_refused(r, &p->refused);
    p->lost = prop_id(&r->random);
    have_lost(r, &p->lost);
    p->lead = rig_make_lead(r, "Li Wei");
    rig_set(r, &p->lead, "notes", "first");
    rig_set(r, &p->lead, "notes", "second");
    rig_set(r, &p->lead, "social.wechat", "liwei");
    rig_pull(r, &p->lead, LEAD_COMPANY, "Bolt", OTHERS);
    assert_int_equal(search_catch_up(r->replica, 0, &done, NULL), LP_OK);
    client_session_free(r->session);
    replica_close(r->replica);
    r->session = NULL;
    r->replica = NULL;
    snprintf(p->spare, sizeof p->spare, "%s.new", r->path);
    if (open)
        assert_int_equal(lp_open(r->path, &p->replica, NULL), LP_OK);
}

static void remove_file(const char *path) {
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", ".reserve"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char name[400];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

static void leave(place *p) {
    lp_close(p->replica);
    remove_file(p->rig.path);
    remove_file(p->spare);
    rig_close(&p->rig);
}

/* What a call that failed must not have changed. */
static void look(place *p, char text_out[200]) {
    lp_status s;
    lp_replica *opened = NULL;
    lp_error error = {.message = ""};
    if (!p->replica && lp_open(p->rig.path, &opened, &error))
        fail_msg("%s", error.message);
    assert_int_equal(lp_status_get(opened ? opened : p->replica, &s, NULL), LP_OK);
    snprintf(text_out, 200, "%llu unsent, %llu refused, %llu recovered, %llu leads, digest %s",
             (unsigned long long)s.unsent, (unsigned long long)s.refused, (unsigned long long)s.recovered,
             (unsigned long long)s.leads, s.digest);
    lp_close(opened);
}

/* ---- the calls ---- */

static lp_err take_rows(lp_err err, lp_rows *const *rows, uint64_t *got_out) {
    if (err)
        return err;
    *got_out = lp_rows_count(*rows);
    lp_rows_free(*rows);
    return LP_OK;
}

static lp_err open_replica(place *p, uint64_t *got_out, lp_error *error) {
    lp_replica *r;
    lp_err err = lp_open(p->rig.path, &r, error);
    *got_out = 1;
    if (!err)
        lp_close(r);
    return err;
}

static lp_err get(place *p, uint64_t *got_out, lp_error *error) {
    lp_record *r;
    lp_err err = lp_get(p->replica, &p->lead, &r, error);
    if (err)
        return err;
    *got_out = lp_record_field_count(r);
    lp_record_free(r);
    return LP_OK;
}

static lp_err list(place *p, uint64_t *got_out, lp_error *error) {
    lp_rows *rows;
    lp_query query = {.filter = "(company=Bolt or social.wechat=liwei) and not notes~nothing and full_name!=''",
                      .sort = "-company,full_name"};
    return take_rows(lp_list(p->replica, &query, &rows, error), &rows, got_out);
}

static lp_err count(place *p, uint64_t *got_out, lp_error *error) {
    return lp_count(p->replica, &(lp_query){.filter = "notes~sec"}, got_out, error);
}

static lp_err search(place *p, uint64_t *got_out, lp_error *error) {
    lp_rows *rows;
    return take_rows(lp_search(p->replica, "li wei", 10, &rows, error), &rows, got_out);
}

static lp_err history(place *p, uint64_t *got_out, lp_error *error) {
    lp_log *log;
    lp_err err = lp_history(p->replica, &p->refused, &log, error);
    if (err)
        return err;
    *got_out = lp_log_count(log);
    lp_log_free(log);
    return LP_OK;
}

static lp_err refused(place *p, uint64_t *got_out, lp_error *error) {
    lp_rows *rows;
    return take_rows(lp_refused(p->replica, &rows, error), &rows, got_out);
}

static lp_err recovered(place *p, uint64_t *got_out, lp_error *error) {
    lp_rows *rows;
    return take_rows(lp_recovered(p->replica, &rows, error), &rows, got_out);
}

static lp_err status(place *p, uint64_t *got_out, lp_error *error) {
    lp_status s;
    lp_err err = lp_status_get(p->replica, &s, error);
    *got_out = s.unsent * 100 + s.refused * 10 + s.recovered;
    return err;
}

static lp_err write_lead(place *p, uint64_t *got_out, lp_error *error) {
    lp_txn *t;
    lp_id id = {{7, 7, 7}};
    lp_err err = lp_begin(p->replica, &t, error);
    if (err)
        return err;
    *got_out = 1;
    err = lp_create(t, "lead", &id, NULL, error);
    if (!err)
        err = lp_set_text(t, &id, "full_name", "Zhang Min", error);
    if (!err)
        err = lp_set_text(t, &p->lead, "street", "Main St", error);
    if (!err)
        err = lp_set_text(t, &p->lead, "social.new", "zhang", error);
    if (!err)
        err = lp_delete(t, &p->refused, error);
    if (!err)
        return lp_commit(t, error);
    lp_rollback(t);
    return err;
}

static lp_err resend(place *p, uint64_t *got_out, lp_error *error) {
    *got_out = 1;
    return lp_refused_resend(p->replica, &p->refused, error);
}

static lp_err drop_refused(place *p, uint64_t *got_out, lp_error *error) {
    *got_out = 1;
    return lp_refused_drop(p->replica, &p->refused, error);
}

static lp_err send_recovered(place *p, uint64_t *got_out, lp_error *error) {
    *got_out = 1;
    return lp_recovered_send(p->replica, &p->lost, error);
}

static lp_err drop_recovered(place *p, uint64_t *got_out, lp_error *error) {
    *got_out = 1;
    return lp_recovered_drop(p->replica, &p->lost, error);
}

static lp_err examine(place *p, uint64_t *got_out, lp_error *error) {
    lp_checkup k;
    lp_err err = lp_doctor(p->rig.path, false, NULL, NULL, &k, error);
    *got_out = k.records * 100 + k.findings;
    return err;
}

static lp_err rescue(place *p, uint64_t *got_out, lp_error *error) {
    lp_rescued got;
    remove_file(p->spare);
    lp_err err = lp_rescue(p->rig.path, p->spare, &got, error);
    *got_out = got.changes * 100 + got.refused * 10 + got.recovered;
    return err;
}

static const call calls[] = {
    {"open", open_replica, true, false},
    {"get", get, false, false},
    {"list", list, false, false},
    {"count", count, false, false},
    {"search", search, false, false},
    {"history", history, false, false},
    {"refused", refused, false, false},
    {"recovered", recovered, false, false},
    {"status", status, false, false},
    {"write", write_lead, false, true},
    {"resend", resend, false, true},
    {"drop refused", drop_refused, false, true},
    {"send recovered", send_recovered, false, true},
    {"drop recovered", drop_recovered, false, true},
    {"examine", examine, true, false},
    {"rescue", rescue, true, false},
};

/* ---- what came of it ---- */

typedef struct injector {
    const char *name;
    void (*begin)(uint64_t at, uint64_t count);
    uint64_t (*end)(void);
} injector;

static const injector database = {"database calls", failing_sql_fail, failing_sql_end},
                      memory = {"allocations", short_memory_fail, short_memory_end};

static void expect_told(const call *c, uint64_t at, lp_err err, const lp_error *error) {
    bool fits = err == LP_IO || err == LP_NOMEM || err == LP_FULL || err == LP_BUSY;
    if (!fits || error->code != err || !error->message[0])
        fail_msg("%s, fault %llu: told as %s: %s", c->name, (unsigned long long)at, lp_err_name(err), error->message);
}

/* Faults `at` and on until one is survived; the number of the next. *more_out: there may be more. */
static uint64_t try(const injector *how, const call *c, uint64_t at, uint64_t should, bool *more_out) {
    place p;
    char before[200], after[200];
    lp_err err;
    arrive(&p, !c->closed);
    look(&p, before);
    do {
        lp_error error = {.code = LP_OK, .message = ""};
        uint64_t got = 0;
        how->begin(at, 1);
        err = c->run(&p, &got, &error);
        *more_out = at < how->end();
        if (err && !*more_out)
            fail_msg("%s: without a fault: %s", c->name, error.message);
        if (err)
            expect_told(c, at, err, &error);
        else if (got != should)
            fail_msg("%s, fault %llu: gave %llu, not %llu", c->name, (unsigned long long)at, (unsigned long long)got,
                     (unsigned long long)should);
        look(&p, after);
        if ((err || !c->writes) && strcmp(before, after) != 0)
            fail_msg("%s, fault %llu: before %s, after %s", c->name, (unsigned long long)at, before, after);
        at++;
    } while (err);
    leave(&p);
    return at;
}

static uint64_t what_it_gives(const call *c) {
    place p;
    uint64_t got = 0;
    lp_error error = {.message = ""};
    arrive(&p, !c->closed);
    if (c->run(&p, &got, &error))
        fail_msg("%s: %s", c->name, error.message);
    assert_true(got > 0);
    leave(&p);
    return got;
}

static void sweep(const injector *how, bool open_too) {
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        uint64_t at = 0, should = what_it_gives(&calls[i]);
        if (!open_too && calls[i].run == open_replica)
            continue;
        for (bool more = true; more;)
            at = try(how, &calls[i], at, should, &more);
        fprintf(stderr, "[     INFO ] %s: %llu %s failed\n", calls[i].name, (unsigned long long)at - 1, how->name);
    }
}

static void a_database_call_that_fails_is_told_and_changes_nothing(void **state) {
    (void)state;
    sweep(&database, true);
}

/* But for lp_open: the library of the network does without memory as it likes. */
static void an_allocation_that_fails_is_told_and_changes_nothing(void **state) {
    (void)state;
    if (!short_memory_works())
        skip();
    sweep(&memory, false);
}

int main(void) {
    short_memory_spare_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_database_call_that_fails_is_told_and_changes_nothing),
        cmocka_unit_test(an_allocation_that_fails_is_told_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("integration_api_faults", tests, NULL, NULL);
}
