/* fault_sweep.c - see fault_sweep.h. */
#include "tests/support/fault_sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "client/replica/statements.h"
#include "tests/support/failing_sql.h"
#include "tests/support/short_memory.h"

static void check(rig *r, const thing *what, uint64_t at) {
    static const char *const never[] = {
        "SELECT count(*) FROM outbox LEFT JOIN record USING(rid) WHERE record.rid IS NULL",
        "SELECT count(*) FROM record WHERE unsent <> (rid IN (SELECT rid FROM outbox))",
        "SELECT count(*) FROM leaving JOIN record USING(rid) WHERE held OR NOT unsent",
        "SELECT count(*) FROM record JOIN erased USING(id)",
    };
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (rig_count(r, never[i]) != 0)
            fail_msg("%s, fault %llu: %s", what->name, (unsigned long long)at, never[i]);
    if (rig_count(r, "SELECT count(*) FROM scope WHERE name = 'pool'") && !rig_digest_holds(r))
        fail_msg("%s, fault %llu: the digest", what->name, (unsigned long long)at);
}

typedef struct injector {
    const char *name;
    void (*begin)(uint64_t at, uint64_t count);
    uint64_t (*end)(void);
} injector;

static const injector database = {"database calls", failing_sql_fail, failing_sql_end},
                      memory = {"allocations", short_memory_fail, short_memory_end};

/* Every statement is prepared anew: that can fail too. */
static void forget_statements(rig *r) {
    statements_close(r->replica);
    assert_int_equal(statements_open(r->replica, NULL), LP_OK);
}

/* One fault; true if it was within reach of the thing. */
static bool try(const injector *how, const thing *what, uint64_t at, uint64_t count, int64_t *before, int64_t *after) {
    rig r;
    rig_open(&r, true);
    told_begin(&r);
    what->prepare(&r);
    what->talk(&r);
    *before = at ? *before : rig_count(&r, what->counted);
    forget_statements(&r);
    how->begin(at, count);
    what->act(&r);
    uint64_t made = how->end();
    int64_t now = rig_count(&r, what->counted);
    if (!count)
        *after = now;
    if (now != *before && now != *after)
        fail_msg("%s, fault %llu: %lld", what->name, (unsigned long long)at, (long long)now);
    check(&r, what, at);
    if (now != *after) {
        rig_reopen(&r);
        what->talk(&r);
        what->act(&r);
        assert_int_equal(rig_count(&r, what->counted), *after);
        check(&r, what, at);
    }
    rig_close(&r);
    return at < made;
}

static void sweep(const injector *how, const thing *things, uint64_t count) {
    for (const thing *what = things; what->name; what++) {
        int64_t before = 0, after = 0;
        uint64_t at = 0;
        try(how, what, 0, 0, &before, &after);
        assert_int_not_equal(before, after);
        while (try(how, what, at, count, &before, &after))
            at++;
        fprintf(stderr, "[     INFO ] %s: %llu %s failed\n", what->name, (unsigned long long)at, how->name);
    }
}

static void a_database_call_that_fails_leaves_nothing_by_half(void **state) {
    sweep(&database, *state, 1);
}

static void a_database_that_stays_broken_leaves_nothing_by_half(void **state) {
    sweep(&database, *state, UINT64_MAX);
}

static void an_allocation_that_fails_leaves_nothing_by_half(void **state) {
    if (!short_memory_works())
        skip();
    sweep(&memory, *state, 1);
}

static int forget(void **state) {
    (void)state;
    told_end();
    return 0;
}

int fault_sweep(const char *name, const thing *things) {
    void *list = (void *)(uintptr_t)things; /* cmocka's states are not const */
    short_memory_spare_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(a_database_call_that_fails_leaves_nothing_by_half, list),
        cmocka_unit_test_prestate(a_database_that_stays_broken_leaves_nothing_by_half, list),
        cmocka_unit_test_prestate(an_allocation_that_fails_leaves_nothing_by_half, list),
    };
    return cmocka_run_group_tests_name(name, tests, NULL, forget);
}
