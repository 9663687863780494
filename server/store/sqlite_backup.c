/* sqlite_backup.c - a consistent copy of the last commit, while others read and write.
 *
 * The copy is taken page by page inside one read transaction of a connection of its own: without it, every commit meanwhile
 * would start the copy again. It is written as NAME.part, made one whole file without a log, checked, and given its name only
 * then: a file under that name is a good backup.
 * Thread: any; it touches nothing of the store but its path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"
#include "server/store/files.h"
#include "server/store/sqlite.h"
#include "server/store/sqlite_file.h"

#define PAGES_A_STEP 64

static lp_err copy_pages(sql_conn *from, sql_conn *to, store_progress_fn progress, void *ctx, lp_error *error) {
    sqlite3_backup *copy = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!copy)
        return sql_failed(to, sqlite3_extended_errcode(to->db), error);
    int result;
    bool wanted = true;
    do {
        result = sqlite3_backup_step(copy, PAGES_A_STEP);
        uint64_t total = (uint64_t)sqlite3_backup_pagecount(copy);
        if (progress && (result == SQLITE_OK || result == SQLITE_DONE))
            wanted = progress(ctx, total - (uint64_t)sqlite3_backup_remaining(copy), total);
    } while (wanted && result == SQLITE_OK);
    sqlite3_backup_finish(copy);
    if (!wanted)
        return err_set(error, LP_CLOSED, "the backup to %s was given up", to->path);
    return result == SQLITE_DONE ? LP_OK : sql_failed(to, result, error);
}

/* One file, openable anywhere: the copied header asks for a log beside it. */
static lp_err finish(sql_conn *to, lp_error *error) {
    lp_err err = sql_exec(to, "PRAGMA journal_mode = DELETE", error);
    int64_t application = 0, damaged = 0;
    if (err == LP_OK)
        err = sql_number(to, "PRAGMA application_id", &application, error);
    if (err == LP_OK)
        err = sql_number(to, "SELECT count(*) FROM pragma_quick_check(1) WHERE quick_check <> 'ok'", &damaged, error);
    if (err == LP_OK && (application != POOL_APPLICATION_ID || damaged))
        err = err_set(error, LP_CORRUPT, "the backup %s does not check out; verify the pool", to->path);
    return err;
}

static lp_err write_copy(const char *source, const char *part, store_progress_fn progress, void *ctx, lp_error *error) {
    sql_conn from = {0}, to = {0};
    sql_tally tally;
    lp_err err = sql_open(&from, source, SQL_READER, error);
    if (err == LP_OK)
        err = sql_do(&from, SQL_SNAPSHOT, error);
    if (err == LP_OK)
        err = sql_tally_read(&from, &tally, error);
    if (err == LP_OK)
        err = sql_open(&to, part, SQL_BUILDER, error);
    if (err == LP_OK)
        err = copy_pages(&from, &to, progress, ctx, error);
    if (err == LP_OK)
        err = finish(&to, error);
    sql_close(&to);
    sql_close(&from);
    return err;
}

lp_err sqlite_file_copy(const char *from, const char *path, store_progress_fn progress, void *ctx, lp_error *error) {
    if (file_exists(path))
        return err_set(error, LP_EXISTS, "%s exists already; choose another name", path);
    size_t size = strlen(path) + sizeof ".part";
    char *part = malloc(size);
    if (!part)
        return err_plain(error, LP_NOMEM);
    snprintf(part, size, "%s.part", path);
    lp_err err = file_create(part, error);
    if (err)
        goto out;
    err = write_copy(from, part, progress, ctx, error);
    if (err == LP_OK)
        err = file_publish(part, path, error);
    if (err)
        file_remove(part);
out:
    free(part);
    return err;
}

lp_err sqlite_backup(store *base, const char *path, store_progress_fn progress, void *ctx, lp_error *error) {
    return sqlite_file_copy(((const sqlite_store *)base)->path, path, progress, ctx, error);
}
