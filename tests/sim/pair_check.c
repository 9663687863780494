/* pair_check.c - what must hold of a pair, at any moment and in the end; see pair.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/record.h"
#include "server/office/verify.h"
#include "tests/sim/pair.h"

#define SETTLE_ROUNDS 12

int64_t pair_count(const pair *p, sqlite3 *db, const char *sql) {
    sqlite3_stmt *s = NULL;
    int64_t value = -1;
    pair_expect(p, sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

static sqlite3 *open_pool(const pair *p) {
    sqlite3 *db = NULL;
    pair_expect(p, sqlite3_open_v2("/ram/pool/pool.db", &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK, "no pool");
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return db;
}

/* How many rows of a table's bodies hold a text. */
static int64_t holds(const pair *p, sqlite3 *db, const char *sql, const char *text) {
    sqlite3_stmt *s = NULL;
    pair_expect(p, sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_bind_blob(s, 1, text, (int)strlen(text), SQLITE_STATIC);
    int64_t count = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : -1;
    sqlite3_finalize(s);
    return count;
}

#define IN_HISTORY "SELECT count(*) FROM history WHERE instr(body, ?1)"
#define IN_RECORD "SELECT count(*) FROM record WHERE instr(body, ?1)"
#define IN_PAST "SELECT count(*) FROM past WHERE instr(body, ?1)"
#define IN_OUTBOX "SELECT count(*) FROM outbox WHERE instr(body, ?1)"

static bool written_again(const pair *p, uint32_t index) {
    const pair_save *s = &p->saves[index];
    for (uint32_t i = index + 1; i < p->save_count; i++) {
        const pair_save *o = &p->saves[i];
        if (o->who == s->who && o->lead == s->lead && strcmp(o->field, s->field) == 0)
            return true;
    }
    return false;
}

/* ---- at any moment ---- */

static void audit_tables(const pair *p, uint32_t who, sqlite3 *db) {
    static const char *const nothing[] = {
        "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
        "SELECT count(*) FROM outbox WHERE rid NOT IN (SELECT rid FROM record)",
        "SELECT count(*) FROM record WHERE unsent <> (rid IN (SELECT rid FROM outbox))",
        "SELECT count(*) FROM record WHERE server_body NOT NULL AND rid NOT IN (SELECT rid FROM outbox)",
        "SELECT count(*) FROM batch WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE oseq BETWEEN first AND last)",
        "SELECT count(*) FROM batch WHERE number > (SELECT value FROM meta WHERE key = 'batch.last')",
    };
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        pair_expect(p, pair_count(p, db, nothing[i]) == 0, "device %u: %s", who, nothing[i]);
}

/* Invariant (3) of replica.h, for what matters: the stamps made here. They are in the order of the queue. */
static void audit_clock(const pair *p, uint32_t who, sqlite3 *db) {
    sqlite3_stmt *s = NULL;
    int64_t clock = pair_count(p, db, "SELECT coalesce((SELECT value FROM meta WHERE key = 'clock.last'), 0)");
    pair_expect(p, sqlite3_prepare_v2(db, "SELECT stamp FROM outbox ORDER BY oseq", -1, &s, NULL) == SQLITE_OK,
                "no outbox");
    stamp last = STAMP_NONE;
    while (sqlite3_step(s) == SQLITE_ROW) {
        stamp at = stamp_unpack(sqlite3_column_blob(s, 0));
        pair_expect(p, stamp_compare(at, last) >= 0, "device %u: its queue is not in the order of its stamps", who);
        last = at;
        pair_expect(p, at.time <= (uint64_t)clock, "device %u: its clock is behind its own stamps", who);
    }
    sqlite3_finalize(s);
}

/* I1 on the device, F2, and all of a transaction or nothing. */
static void audit_saves(const pair *p, uint32_t who, sqlite3 *db, sqlite3 *truth) {
    for (uint32_t i = 0; i < p->save_count; i++) {
        const pair_save *s = &p->saves[i];
        if (s->who != who)
            continue;
        bool shown = holds(p, db, IN_RECORD, s->text), past = holds(p, db, IN_PAST, s->text);
        bool queued = holds(p, db, IN_OUTBOX, s->text), sent = holds(p, truth, IN_HISTORY, s->text);
        pair_expect(p, !s->told || shown || past, "device %u: %s was saved and is gone (I1)", who, s->text);
        pair_expect(p, !queued || shown || past, "device %u: %s is queued and in no record (F2)", who, s->text);
        pair_expect(p, !shown || queued || sent, "device %u: %s is in its record and nowhere else (F2)", who, s->text);
        const pair_save *first = i && p->saves[i - 1].group == s->group ? &p->saves[i - 1] : s;
        bool before = holds(p, db, IN_RECORD, first->text) || holds(p, db, IN_PAST, first->text);
        pair_expect(p, (shown || past) == before, "device %u: %s without the rest of its transaction", who, s->text);
    }
}

void pair_look(const pair *p, const pair_save *save) {
    sqlite3 *db = p->devices[save->who].replica->db;
    pair_expect(p, holds(p, db, IN_RECORD, save->text), "device %u: %s was saved and is not shown (I3)", save->who,
                save->text);
}

void pair_audit(pair *p, uint32_t who) {
    pair_expect(p, p->devices[who].replica, "device %u has no replica any more", who);
    sqlite3 *db = p->devices[who].replica->db, *truth = open_pool(p);
    audit_tables(p, who, db);
    audit_clock(p, who, db);
    audit_saves(p, who, db, truth);
    sqlite3_close(truth);
}

/* ---- in the end ---- */

static void unpack(record *rec, sqlite3_stmt *s) {
    lp_id id;
    memcpy(id.bytes, sqlite3_column_blob(s, 0), sizeof id.bytes);
    record_init(rec, (uint32_t)sqlite3_column_int(s, 1), &id);
    span body = span_of(sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2));
    span stamps = span_of(sqlite3_column_blob(s, 3), (size_t)sqlite3_column_bytes(s, 3));
    assert_int_equal(record_unpack(rec, body, stamps, NULL), LP_OK);
}

static bool same(const record *a, const record *b) {
    bool equal = a->count == b->count && a->kind == b->kind && id_equal(&a->id, &b->id);
    for (uint32_t i = 0; equal && i < a->count; i++) {
        const reg *x = &a->regs[i], *y = &b->regs[i];
        equal = x->field == y->field && span_equal(x->key, y->key) && span_equal(x->value, y->value) &&
                stamp_compare(x->stamp, y->stamp) == 0;
    }
    return equal;
}

/* I2: row for row. */
static void compare_rows(const pair *p, uint32_t who, sqlite3 *truth) {
    static const char *const of_pool = "SELECT id, kind, body, stamps FROM record ORDER BY id";
    static const char *const of_device = "SELECT id, kind, coalesce(server_body, body), coalesce(server_stamps, stamps)"
                                         " FROM record WHERE length(stamps) > 0 ORDER BY id";
    sqlite3_stmt *a = NULL, *b = NULL;
    pair_expect(p, !sqlite3_prepare_v2(truth, of_pool, -1, &a, NULL), "no rows");
    pair_expect(p, !sqlite3_prepare_v2(p->devices[who].replica->db, of_device, -1, &b, NULL), "no rows");
    for (;;) {
        int more = sqlite3_step(a), there = sqlite3_step(b);
        pair_expect(p, more == there, "device %u holds %s records than the pool (I2)", who,
                    more == SQLITE_ROW ? "fewer" : "more");
        if (more != SQLITE_ROW)
            break;
        record x, y;
        unpack(&x, a);
        unpack(&y, b);
        pair_expect(p, same(&x, &y), "device %u holds other values than the pool (I2)", who);
        record_fini(&x);
        record_fini(&y);
    }
    sqlite3_finalize(a);
    sqlite3_finalize(b);
}

static bool is_quiet(const pair *p, uint32_t who) {
    return pair_count(p, p->devices[who].replica->db, "SELECT count(*) FROM outbox") == 0;
}

static void sync_all(pair *p) {
    for (int i = 0;; i++) {
        bool fine = true;
        for (uint32_t who = 0; who < 2; who++)
            fine &= pair_sync(p, who) == LP_OK && is_quiet(p, who);
        if (fine)
            break;
        pair_expect(p, i < SETTLE_ROUNDS, "it does not settle (I6): %s / %s", p->devices[0].result.message,
                    p->devices[1].result.message);
        p->now_ms += 60000;
    }
    pair_expect(p, pair_sync(p, 0) == LP_OK && pair_sync(p, 1) == LP_OK, "it does not stay settled");
}

void pair_settle(pair *p) {
    lp_error error = {.message = ""};
    sync_all(p);
    sqlite3 *truth = open_pool(p);
    for (uint32_t who = 0; who < 2; who++) {
        lp_sync_result result = {0};
        client_result(p->devices[who].session, &result);
        pair_expect(p, !result.diverged && !result.healed, "device %u says that it diverged", who);
        compare_rows(p, who, truth);
        bool due = pair_count(p, p->devices[who].replica->db,
                              "SELECT count(*) FROM meta WHERE key = 'scrub.due' AND value <> 0") > 0;
        pair_expect(p, !due && !p->devices[who].replica->scrub, "device %u still has to scrub its file (I5)", who);
    }
    for (uint32_t i = 0; i < p->save_count; i++) {
        const pair_save *s = &p->saves[i];
        int64_t times = holds(p, truth, IN_HISTORY, s->text);
        sqlite3 *db = p->devices[s->who].replica->db;
        pair_expect(p, times <= 1, "%s is in history %lld times", s->text, (long long)times);
        pair_expect(p, !s->told || times || (written_again(p, i) && holds(p, db, IN_PAST, s->text)),
                    "%s was saved and never arrived (I1)", s->text);
    }
    sqlite3_close(truth);
    pair_audit(p, 0);
    pair_audit(p, 1);
    pair_expect(p, !p->reader->ops->snapshot(p->reader, &error), "snapshot: %s", error.message);
    pair_expect(p, !verify_all(&p->pool, p->reader, NULL, NULL, &error), "verify: %s", error.message);
    p->reader->ops->snapshot_end(p->reader);
}
