/* test_doctor.c - a damaged replica: what doctor finds, what it puts right, and what is rescued (F13, F15, F16). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/replica/contact.h"
#include "client/doctor/doctor.h"
#include "client/replica/outbox.h"
#include "client/find/search.h"
#include "proto/schema.h"
#include "tests/support/rig.h"

/* ---- files ---- */

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes read_file(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    bytes b = {malloc((size_t)st.st_size + 1), (size_t)st.st_size};
    assert_int_equal(read(fd, b.data, b.size), b.size);
    close(fd);
    return b;
}

static void write_file(const char *path, bytes b) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, b.data, b.size), b.size);
    close(fd);
}

/* A replica with all sorts in it, closed, with its bytes. */
typedef struct patient {
    rig rig;
    char path[320], spare[340];
    bytes bytes;
    uint64_t unsent;
} patient;

static void populate(rig *r) {
    static char long_text[6001];
    memset(long_text, 'n', sizeof long_text - 1);
    stamp seen = {(uint64_t)(RIG_START_MS - 100000) << 16, 99};
    for (int i = 0; i < 60; i++) {
        char name[32];
        lp_id id = prop_id(&r->random);
        snprintf(name, sizeof name, "Pulled %d", i);
        seen.time += 7;
        rig_pull(r, &id, LEAD_FULL_NAME, name, seen);
        if (i % 6 == 0)
            rig_set(r, &id, "company", "Changed here");
    }
    for (int i = 0; i < 25; i++) {
        char name[32];
        snprintf(name, sizeof name, "Made here %d", i);
        lp_id id = rig_make_lead(r, name);
        if (i % 8 == 0)
            rig_set(r, &id, "notes", long_text);
        r->now_ms += 10;
    }
    bool done;
    assert_int_equal(search_catch_up(r->replica, 0, &done, NULL), LP_OK);
}

static void close_core(rig *r) {
    client_session_free(r->session);
    replica_close(r->replica);
    r->session = NULL;
    r->replica = NULL;
}

static void admit(patient *p) {
    memset(p, 0, sizeof *p);
    rig_open(&p->rig, true);
    contact where = {.host = "hall.example.com", .port = 4443, .pin = {1}};
    assert_int_equal(contact_store(p->rig.replica, &where, NULL), LP_OK);
    populate(&p->rig);
    p->unsent = (uint64_t)rig_count(&p->rig, "SELECT sum(count) FROM outbox");
    snprintf(p->path, sizeof p->path, "%s", p->rig.path);
    snprintf(p->spare, sizeof p->spare, "%s.new", p->path);
    close_core(&p->rig);
    p->bytes = read_file(p->path);
}

static void remove_with_log(const char *path) {
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < 4; i++) {
        char name[400];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

static void discharge(patient *p) {
    remove_with_log(p->path);
    remove_with_log(p->spare);
    free(p->bytes.data);
    rig_close(&p->rig);
}

static lp_err examine(patient *p, bool repair, lp_checkup *k) {
    return lp_doctor(p->path, repair, NULL, NULL, k, NULL);
}

static int64_t ask(const char *path, const char *sql) {
    sqlite3 *db;
    sqlite3_stmt *s;
    int64_t value = -1;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return value;
}

static void tamper(patient *p, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* ---- checks ---- */

static void a_sound_replica_has_no_findings(void **state) {
    patient p;
    lp_checkup k;
    (void)state;
    admit(&p);
    assert_int_equal(examine(&p, false, &k), LP_OK);
    assert_int_equal(k.findings, 0);
    assert_int_equal(k.records, 85);
    assert_int_equal(k.unsent, p.unsent);
    discharge(&p);
}

/* One sort of damage each; what is repaired is sound afterwards, and the outbox is as it was. */
static void what_follows_from_the_rest_is_repaired(void **state) {
    static const char *const damages[] = {
        "UPDATE record SET c_company = 'other' WHERE rid = 7",
        "UPDATE record SET unsent = 1 - unsent WHERE rid = 9",
        "UPDATE record SET deleted = 1 WHERE rid = 3",
        "UPDATE record SET body = server_body, stamps = server_stamps WHERE rid = (SELECT min(rid) FROM outbox)",
        "UPDATE scope SET digest = x'00112233445566778899aabbccddeeff' WHERE name = 'pool'",
        "INSERT OR REPLACE INTO meta VALUES('scopes', x'91a4706f6f6c'); INSERT OR REPLACE INTO meta "
        "VALUES('cursor.pool', x'c1')",
        "UPDATE lead_text_content SET c0 = 'nobody' WHERE id = 4",
        "DELETE FROM lead_text_data WHERE id > 10",
    };
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        patient p;
        lp_checkup k;
        admit(&p);
        tamper(&p, damages[i]);
        if (examine(&p, false, &k) != LP_CORRUPT)
            fail_msg("not found: %s", damages[i]);
        assert_true(k.findings > 0);
        assert_int_equal(k.repaired, 0);
        lp_error error;
        if (lp_doctor(p.path, true, NULL, NULL, &k, &error) != LP_OK)
            fail_msg("not repaired: %s: %s", damages[i], error.message);
        assert_int_equal(k.repaired, k.findings);
        if (examine(&p, false, &k) != LP_OK)
            fail_msg("not sound afterwards: %s", damages[i]);
        assert_int_equal(k.unsent, p.unsent);
        discharge(&p);
    }
}

static void what_nothing_else_tells_is_not_repaired(void **state) {
    static const char *const damages[] = {
        "UPDATE outbox SET body = x'c1' WHERE oseq = 5",
        "UPDATE outbox SET count = 3 WHERE oseq = 5",
        "UPDATE outbox SET stamp = x'00' WHERE oseq = 5",
        "UPDATE outbox SET rid = 99999 WHERE oseq = 5",
        "UPDATE record SET body = x'c1' WHERE rid = 3",
        "UPDATE record SET stamps = CAST(substr(stamps, 1, 13) || x'08' || substr(stamps, 15) AS BLOB) WHERE rid = 2",
        "INSERT INTO batch VALUES(1, 4, 2)",
        "INSERT INTO refused(rid, stamp, field, key, value, reason, at_ms) VALUES(1, x'00', 2, '', x'c0', 'because', "
        "1)",
        "INSERT INTO refused(rid, stamp, field, key, value, reason, at_ms) VALUES(99999, x'000102030405060708090a0b', "
        "2, '', x'c0', 'because', 1)",
        "INSERT INTO past(rid, stamp, body) VALUES(1, x'000102030405060708090a0b', x'c1')",
    };
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        patient p;
        lp_checkup k;
        admit(&p);
        tamper(&p, damages[i]);
        bytes before = read_file(p.path);
        if (examine(&p, true, &k) != LP_CORRUPT)
            fail_msg("repaired, or not found: %s", damages[i]);
        assert_int_equal(k.repaired, 0);
        bytes after = read_file(p.path);
        assert_int_equal(before.size, after.size);
        assert_memory_equal(before.data, after.data, after.size);
        free(before.data);
        free(after.data);
        discharge(&p);
    }
}

/* ---- what waits ---- */

typedef struct heard {
    uint32_t refused, quarantined, others;
    char refused_text[256], quarantine_text[256], quarantine_advice[256];
} heard;

static void hear(void *ctx, const lp_finding *f) {
    heard *h = ctx;
    bool refused = strcmp(f->area, "refused") == 0, aside = strcmp(f->area, "quarantine") == 0;
    h->refused += f->waits && refused;
    h->quarantined += f->waits && aside;
    h->others += !f->waits;
    if (refused)
        snprintf(h->refused_text, sizeof h->refused_text, "%s; %s", f->text, f->advice);
    if (aside && h->quarantined == 1) {
        snprintf(h->quarantine_text, sizeof h->quarantine_text, "%s", f->text);
        snprintf(h->quarantine_advice, sizeof h->quarantine_advice, "%s", f->advice);
    }
}

static void what_waits_for_somebody_is_listed_and_is_no_damage(void **state) {
    patient p;
    lp_checkup k;
    heard h = {0};
    (void)state;
    admit(&p);
    tamper(&p, "INSERT INTO refused(rid, stamp, field, key, value, reason, at_ms) VALUES"
               "(1, x'000102030405060708090a0b', 2, '', x'c0', 'too long', 1);"
               "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 23)"
               " INSERT INTO quarantine(id, kind, scope, changes, reason, version, at_ms)"
               " SELECT zeroblob(16), 1, 'pool', x'c0', 'a kind of tomorrow', '0.0.9', 1 FROM n");
    assert_int_equal(lp_doctor(p.path, false, hear, &h, &k, NULL), LP_OK);
    assert_int_equal(k.findings, 0);
    assert_int_equal(k.refused, 1);
    assert_int_equal(k.quarantined, 23);
    assert_int_equal(h.others, 0);
    assert_int_equal(h.refused, 1);
    assert_int_equal(h.quarantined, 21); /* 20, and how many more */
    assert_non_null(strstr(h.refused_text, "full_name"));
    assert_non_null(strstr(h.refused_text, "too long"));
    assert_non_null(strstr(h.refused_text, "--resend"));
    assert_non_null(strstr(h.quarantine_text, "a kind of tomorrow"));
    assert_non_null(strstr(h.quarantine_advice, "update"));
    discharge(&p);
}

/* ---- rescue ---- */

/* So many that the table has inner pages: the rows in those count too. */
static void what_was_replaced_here_and_what_the_server_lost_are_rescued(void **state) {
    patient p;
    lp_rescued got;
    lp_checkup k;
    char same[700];
    (void)state;
    admit(&p);
    tamper(&p, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
               " INSERT INTO recovered(id, kind, field, key, value, stamp, at_ms, sending)"
               " SELECT randomblob(16), 1, 2, '', x'a3616461', x'000102030405060708090a0b', i, i % 2 FROM n;"
               "INSERT INTO past(rid, stamp, body) SELECT rid, x'000102030405060708090a0b', x'02a3616461' FROM record"
               " WHERE rid % 2");
    assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_OK);
    assert_int_equal(got.recovered, 400);
    assert_int_equal(got.past, 43);
    assert_int_equal(got.orphans + got.damaged, 0);
    assert_int_equal(got.changes, p.unsent);
    sqlite3 *db;
    sqlite3_stmt *s;
    assert_int_equal(sqlite3_open(p.spare, &db), SQLITE_OK);
    snprintf(same, sizeof same, "ATTACH '%s' AS old", p.path);
    assert_int_equal(sqlite3_exec(db, same, NULL, NULL, NULL), SQLITE_OK);
    static const char lost[] =
        "SELECT (SELECT count(*) FROM (SELECT * FROM old.recovered EXCEPT SELECT * FROM main.recovered))"
        " + (SELECT count(*) FROM (SELECT r.id, q.stamp, q.body, q.uncertain FROM old.past q"
        " JOIN old.record r ON r.rid = q.rid EXCEPT SELECT r.id, q.stamp, q.body, q.uncertain"
        " FROM main.past q JOIN main.record r ON r.rid = q.rid))";
    assert_int_equal(sqlite3_prepare_v2(db, lost, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(s, 0), 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    assert_int_equal(lp_doctor(p.spare, false, NULL, NULL, &k, NULL), LP_OK);
    discharge(&p);
}

static void a_sound_replica_is_rescued_whole_and_goes_on(void **state) {
    patient p;
    lp_rescued got;
    lp_checkup k;
    (void)state;
    admit(&p);
    assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_OK);
    assert_int_equal(got.changes, p.unsent);
    assert_int_equal(got.records, 35);
    assert_int_equal(got.orphans + got.damaged + got.unreadable_pages, 0);
    assert_true(got.joined);
    assert_int_equal(lp_doctor(p.spare, false, NULL, NULL, &k, NULL), LP_OK);
    assert_int_equal(k.unsent, p.unsent);
    assert_int_equal(ask(p.spare, "SELECT count(*) FROM record WHERE c_full_name LIKE 'made here%'"), 25);
    assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_EXISTS);
    lp_replica *r;
    assert_int_equal(lp_open(p.spare, &r, NULL), LP_OK);
    lp_close(r);
    discharge(&p);
}

/* All entries of the outbox of `path`, as text; what a rescue must bring. Ownership: the caller frees. */
static uint64_t common_entries(const char *whole, const char *rescued) {
    sqlite3 *db;
    sqlite3_stmt *s;
    char sql[900];
    int64_t value = -1;
    assert_int_equal(sqlite3_open(rescued, &db), SQLITE_OK);
    snprintf(sql, sizeof sql, "ATTACH '%s' AS old", whole);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    const char *count = "SELECT count(*) FROM main.outbox n JOIN old.outbox o ON o.oseq = n.oseq AND o.stamp = n.stamp"
                        " AND o.base = n.base AND o.body = n.body JOIN main.record nr ON nr.rid = n.rid"
                        " JOIN old.record r ON r.rid = o.rid AND r.id = nr.id AND r.kind = nr.kind";
    assert_int_equal(sqlite3_prepare_v2(db, count, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return (uint64_t)value;
}

/* Which pages hold outbox rows, by dbstat of the sound file. */
static uint64_t entries_in_page(const char *path, uint32_t page) {
    char sql[200];
    snprintf(sql, sizeof sql,
             "SELECT coalesce(sum(ncell), 0) FROM dbstat WHERE name = 'outbox' AND pagetype = 'leaf' AND pageno = %u",
             page);
    return (uint64_t)ask(path, sql);
}

static void every_entry_outside_a_lost_page_is_rescued(void **state) {
    patient p;
    (void)state;
    admit(&p);
    char sound[360];
    snprintf(sound, sizeof sound, "%s.sound", p.path);
    write_file(sound, p.bytes);
    uint64_t entries = (uint64_t)ask(sound, "SELECT count(*) FROM outbox");
    bool stat = ask(sound, "SELECT count(*) FROM dbstat") > 0;
    for (uint32_t page = 1; page <= p.bytes.size / 4096; page++) {
        lp_rescued got;
        bytes hurt = {malloc(p.bytes.size), p.bytes.size};
        memcpy(hurt.data, p.bytes.data, hurt.size);
        memset(hurt.data + (page - 1) * 4096, 0xa5, 4096);
        remove_with_log(p.path);
        remove_with_log(p.spare);
        write_file(p.path, hurt);
        free(hurt.data);
        assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_OK);
        char large_sql[] = "SELECT count(*) FROM outbox WHERE length(body) > 4000";
        uint64_t large = (uint64_t)ask(sound, large_sql); /* their overflow pages may be the lost ones */
        uint64_t common = common_entries(sound, p.spare), lost = stat ? entries_in_page(sound, page) : 30;
        if (common + lost + (lost ? 0 : 1) < entries && common + lost + large < entries)
            fail_msg("page %u: %d of %d entries, %d were in the page", page, (int)common, (int)entries, (int)lost);
        if (!stat || lost == 0)
            assert_true(common + 1 >= entries);
        lp_checkup k;
        lp_err err = lp_doctor(p.spare, false, NULL, NULL, &k, NULL);
        if (err)
            fail_msg("page %u: the new replica is not sound", page);
    }
    remove_with_log(sound);
    discharge(&p);
}

static void a_file_without_its_beginning_is_rescued_without_an_identity_at_worst(void **state) {
    patient p;
    lp_rescued got;
    lp_replica *r;
    (void)state;
    admit(&p);
    memset(p.bytes.data, 0, 4096);
    write_file(p.path, p.bytes);
    assert_int_equal(lp_open(p.path, &r, NULL), LP_CORRUPT);
    assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_OK);
    assert_int_equal(got.changes, p.unsent);
    discharge(&p);
}

static void a_rescue_without_identity_joins_and_sends_as_its_own(void **state) {
    patient p;
    lp_rescued got;
    (void)state;
    admit(&p);
    tamper(&p, "DELETE FROM meta WHERE key = 'device.seed'");
    assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_OK);
    assert_false(got.joined);
    assert_int_equal(got.changes, p.unsent);
    lp_replica *r;
    assert_int_equal(lp_open(p.spare, &r, NULL), LP_NOT_FOUND);
    rename(p.spare, p.rig.path);
    assert_int_equal(replica_open(p.rig.path, true, &p.rig.env, NULL, &p.rig.replica, NULL), LP_OK);
    rig_join(&p.rig, 4711);
    assert_int_equal(rig_count(&p.rig, "SELECT count(*) FROM outbox WHERE substr(stamp, 9) <> x'00001267'"), 0);
    assert_int_equal(rig_count(&p.rig, "SELECT sum(count) FROM outbox"), p.unsent);
    close_core(&p.rig);
    lp_checkup k;
    assert_int_equal(lp_doctor(p.path, false, NULL, NULL, &k, NULL), LP_OK);
    discharge(&p);
}

/* ---- never empty (F13, F16) ---- */

static void a_file_that_lost_its_version_is_not_an_empty_one(void **state) {
    patient p;
    lp_replica *r;
    lp_error error;
    (void)state;
    admit(&p);
    memset(p.bytes.data + 60, 0, 4); /* user_version */
    write_file(p.path, p.bytes);
    assert_int_equal(lp_open(p.path, &r, &error), LP_CORRUPT);
    discharge(&p);
}

/* The file is cut to nothing while its log still holds what was saved: SQLite would delete the log. */
static void a_log_outlives_its_file(void **state) {
    rig r;
    char copy[340], log[360], from[360];
    lp_rescued got;
    lp_replica *open;
    (void)state;
    rig_open(&r, true);
    populate(&r);
    uint64_t unsent = (uint64_t)rig_count(&r, "SELECT sum(count) FROM outbox");
    snprintf(copy, sizeof copy, "%s.copy", r.path);
    snprintf(log, sizeof log, "%s-wal", copy);
    snprintf(from, sizeof from, "%s-wal", r.path);
    bytes b = read_file(from);
    assert_true(b.size > 0);
    write_file(copy, (bytes){b.data, 0});
    write_file(log, b);
    free(b.data);
    assert_int_equal(lp_open(copy, &open, NULL), LP_CORRUPT);
    char spare[360];
    snprintf(spare, sizeof spare, "%s.new", copy);
    assert_int_equal(lp_rescue(copy, spare, &got, NULL), LP_OK);
    assert_int_equal(got.changes, unsent);
    remove_with_log(copy);
    remove_with_log(spare);
    rig_close(&r);
}

/* ---- flips (F15) ---- */

/* unmarked(kind, body, stamps): the stamps without the mark that their time is uncertain. */
static void unmarked(sqlite3_context *c, int count, sqlite3_value **v) {
    record rec;
    buf packed[2] = {{0}};
    (void)count;
    record_init(&rec, (uint32_t)sqlite3_value_int64(v[0]), &(lp_id){{0}});
    span body = span_of(sqlite3_value_blob(v[1]), (size_t)sqlite3_value_bytes(v[1]));
    span stamps = span_of(sqlite3_value_blob(v[2]), (size_t)sqlite3_value_bytes(v[2]));
    if (record_unpack(&rec, body, stamps, NULL) == LP_OK) {
        for (uint32_t i = 0; i < rec.count; i++)
            rec.regs[i].uncertain = false;
        if (record_pack(&rec, &packed[0], &packed[1], NULL) == LP_OK)
            sqlite3_result_blob(c, packed[1].data, (int)packed[1].size, SQLITE_TRANSIENT);
    }
    buf_fini(&packed[0]);
    buf_fini(&packed[1]);
    record_fini(&rec);
}

/* Whether the time of a value that is the server's is marked as uncertain, nothing else here says, and the digest covers values and stamps
 * only. The mark decides nothing, neither who wins nor what is sent; the next time the record is read it comes again. So it may differ. */

/* The sound patient and one with a flipped bit agree on all that matters: the bytes, not what SQLite takes them for. */
static bool is_harmless(const char *sound, const char *hurt) {
    static const char *const same[] = {
        "SELECT count(*) = (SELECT count(*) FROM old.record) FROM main.record n JOIN old.record o ON o.id = n.id AND "
        "o.kind = n.kind"
        " AND CAST(o.body AS BLOB) = CAST(n.body AS BLOB)"
        " AND unmarked(o.kind, o.body, o.stamps) = unmarked(n.kind, n.body, n.stamps)",
        "SELECT count(*) = (SELECT count(*) FROM old.outbox) FROM main.outbox n JOIN old.outbox o ON o.oseq = n.oseq "
        "AND o.rid = n.rid"
        " AND CAST(o.stamp AS BLOB) = CAST(n.stamp AS BLOB) AND CAST(o.base AS BLOB) = CAST(n.base AS BLOB) AND "
        "CAST(o.body AS BLOB) = CAST(n.body AS BLOB) AND o.count = n.count",
    };
    sqlite3 *db;
    char sql[900];
    bool ok = sqlite3_open(hurt, &db) == SQLITE_OK;
    sqlite3_create_function(db, "unmarked", 3, SQLITE_UTF8, NULL, unmarked, NULL, NULL);
    snprintf(sql, sizeof sql, "ATTACH '%s' AS old", sound);
    ok = ok && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
    for (size_t i = 0; ok && i < 2; i++) {
        sqlite3_stmt *s = NULL;
        ok = sqlite3_prepare_v2(db, same[i], -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW &&
             sqlite3_column_int(s, 0);
        sqlite3_finalize(s);
    }
    sqlite3_close(db);
    return ok;
}

static void a_flipped_bit_is_found_or_harmless_and_the_outbox_is_rescued(void **state) {
    patient p;
    char sound[360];
    prop random = prop_begin("doctor flips");
    const char *asked = getenv("LEADPOOL_FLIPS");
    long flips = asked ? strtol(asked, NULL, 10) : 300, found = 0, unharmed = 0;
    (void)state;
    admit(&p);
    snprintf(sound, sizeof sound, "%s.sound", p.path);
    write_file(sound, p.bytes);
    uint64_t entries = (uint64_t)ask(sound, "SELECT count(*) FROM outbox");
    for (long i = 0; i < flips; i++) {
        size_t at = prop_below(&random, (uint32_t)p.bytes.size);
        uint8_t bit = (uint8_t)(1 << prop_below(&random, 8));
        lp_rescued got;
        lp_checkup k;
        p.bytes.data[at] ^= bit;
        remove_with_log(p.path);
        remove_with_log(p.spare);
        write_file(p.path, p.bytes);
        p.bytes.data[at] ^= bit;
        lp_err err = lp_doctor(p.path, false, NULL, NULL, &k, NULL);
        found += err != LP_OK;
        unharmed += err == LP_OK;
        if (err == LP_OK && !is_harmless(sound, p.path))
            fail_msg("a flip of byte %zu by %d was not found (seed %llu)", at, bit, (unsigned long long)random.seed);
        assert_int_equal(lp_rescue(p.path, p.spare, &got, NULL), LP_OK);
        uint64_t common = common_entries(sound, p.spare);
        /* One flip can take a whole page of the outbox with it, or the two entries of a record whose id it changes, not more. */
        if (common + entries_in_page(sound, (uint32_t)(at / 4096) + 1) + 2 < entries || got.changes + 30 < p.unsent)
            fail_msg("a flip of byte %zu by %d: only %d of %d entries were rescued", at, bit, (int)common,
                     (int)entries);
    }
    print_message("%ld flips: %ld found, %ld harmless\n", flips, found, unharmed);
    assert_true(found > 0);
    remove_with_log(sound);
    discharge(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_replica_has_no_findings),
        cmocka_unit_test(what_follows_from_the_rest_is_repaired),
        cmocka_unit_test(what_nothing_else_tells_is_not_repaired),
        cmocka_unit_test(what_waits_for_somebody_is_listed_and_is_no_damage),
        cmocka_unit_test(what_was_replaced_here_and_what_the_server_lost_are_rescued),
        cmocka_unit_test(a_sound_replica_is_rescued_whole_and_goes_on),
        cmocka_unit_test(every_entry_outside_a_lost_page_is_rescued),
        cmocka_unit_test(a_file_without_its_beginning_is_rescued_without_an_identity_at_worst),
        cmocka_unit_test(a_rescue_without_identity_joins_and_sends_as_its_own),
        cmocka_unit_test(a_file_that_lost_its_version_is_not_an_empty_one),
        cmocka_unit_test(a_log_outlives_its_file),
        cmocka_unit_test(a_flipped_bit_is_found_or_harmless_and_the_outbox_is_rescued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
