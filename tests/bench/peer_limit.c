/* peer_limit.c - what SQLite does with the same rows and nothing else: the limit that a pool on SQLite is measured against.
 *
 * One table, a column per field, WAL and synchronous=FULL as in the product: all rows in one commit; one column of each in one
 * commit; and durable inserts one by one. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/peer.h"

#define SINGLES 500

static sqlite3 *db;

static void run(const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(const char *sql) {
    sqlite3_stmt *s;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    return s;
}

static void step(sqlite3_stmt *s) {
    if (sqlite3_step(s) != SQLITE_DONE)
        die("limit", sqlite3_errmsg(db));
    sqlite3_reset(s);
}

static void make_table(void) {
    char sql[2048];
    size_t used =
        (size_t)snprintf(sql, sizeof sql, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE lead(");
    for (int i = 0; i < LEAD_COLUMNS; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, "%s%s %s%s", i ? ", " : "", lead_columns[i].name,
                                 lead_columns[i].number ? "INTEGER" : "TEXT", i ? "" : " PRIMARY KEY NOT NULL");
    snprintf(sql + used, sizeof sql - used, ")");
    run(sql);
}

static sqlite3_stmt *prepare_insert(void) {
    char sql[256];
    size_t used = (size_t)snprintf(sql, sizeof sql, "INSERT INTO lead VALUES(?");
    for (int i = 1; i < LEAD_COLUMNS; i++)
        used += (size_t)snprintf(sql + used, sizeof sql - used, ",?");
    snprintf(sql + used, sizeof sql - used, ")");
    return prepare(sql);
}

static void insert(sqlite3_stmt *s, const lead_row *row) {
    for (int i = 0; i < LEAD_COLUMNS; i++)
        if (lead_columns[i].number)
            sqlite3_bind_int64(s, i + 1, row->number[i]);
        else
            sqlite3_bind_text(s, i + 1, row->text[i], -1, SQLITE_STATIC);
    step(s);
}

static double insert_all(sqlite3_stmt *s, const lead_row *rows, uint64_t count) {
    double start = now_seconds();
    run("BEGIN IMMEDIATE");
    for (uint64_t i = 0; i < count; i++)
        insert(s, &rows[i]);
    run("COMMIT");
    return now_seconds() - start;
}

static double update_all(const lead_row *rows, uint64_t count) {
    char text[LEAD_TEXT_BYTES];
    int stage = lead_column_named("stage");
    sqlite3_stmt *s = prepare("UPDATE lead SET stage = ?1 WHERE id = ?2");
    double start = now_seconds();
    run("BEGIN IMMEDIATE");
    for (uint64_t i = 0; i < count; i++) {
        lead_update_text(stage, "limit", i, text);
        sqlite3_bind_text(s, 1, text, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 2, rows[i].text[0], -1, SQLITE_STATIC);
        step(s);
    }
    run("COMMIT");
    double seconds = now_seconds() - start;
    sqlite3_finalize(s);
    return seconds;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of durable inserts of one row each. */
static double insert_singles(sqlite3_stmt *s, const lead_row *rows) {
    static double seconds[SINGLES];
    for (int i = 0; i < SINGLES; i++) {
        double start = now_seconds();
        insert(s, &rows[i]);
        seconds[i] = now_seconds() - start;
    }
    qsort(seconds, SINGLES, sizeof seconds[0], by_size);
    return seconds[SINGLES / 2];
}

int peer_limit(const char *directory, uint64_t count) {
    char path[600];
    leads *l = leads_open(getenv("BENCH_SEED"));
    lead_row *rows = calloc(count + SINGLES, sizeof *rows);
    snprintf(path, sizeof path, "%s/limit.db", directory);
    if (!l || !rows || sqlite3_open(path, &db) != SQLITE_OK)
        die("limit", path);
    for (uint64_t i = 0; i < count + SINGLES; i++)
        if (!leads_row(l, i, &rows[i]))
            die("limit", "no such lead");
    make_table();
    sqlite3_stmt *s = prepare_insert();
    double inserted = insert_all(s, rows, count);
    double updated = update_all(rows, count);
    double single = insert_singles(s, rows + count);
    printf("{\"n\":%llu,\"insert_s\":%.4f,\"update_s\":%.4f,\"single_p50_us\":%.0f}\n", (unsigned long long)count,
           inserted, updated, single * 1e6);
    sqlite3_finalize(s);
    sqlite3_close(db);
    free(rows);
    leads_close(l);
    return 0;
}
