/* restore.c - see restore.h. */
#include "server/office/restore.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/err.h"
#include "server/office/backups.h"
#include "server/pool/epochs.h"
#include "server/office/operations.h"
#include "server/store/files.h"
#include "server/store/sqlite_file.h"
#include "server/office/verify.h"

typedef struct restoring {
    const lp_env *env;
    const ledger *ledgers;
    char database[PATH_MAX]; /* DIR/pool.db */
    char staging[PATH_MAX];  /* DIR/restore.new, a directory like a pool's */
    char copy[PATH_MAX];     /* the database in it */
    char lock[PATH_MAX];
    bool had_pool;
    bool knows_epochs; /* those of the pool that is replaced */
    epochs epochs;
    buf backups; /* that pool's list: those may be restored too */
    lp_id pool;
} restoring;

static lp_err join(char path_out[PATH_MAX], const char *directory, const char *name, lp_error *error) {
    int size = snprintf(path_out, PATH_MAX, "%s/%s", directory, name);
    return size > 0 && size < PATH_MAX ? LP_OK : err_set(error, LP_INVALID, "the data directory's name is too long");
}

static lp_err name_paths(restoring *r, const char *directory, lp_error *error) {
    lp_err err = join(r->database, directory, "pool.db", error);
    if (!err)
        err = join(r->staging, directory, "restore.new", error);
    if (!err)
        err = join(r->copy, r->staging, "pool.db", error);
    return err ? err : join(r->lock, r->staging, "pool.lock", error);
}

/* What a restore that was cut short has left: nothing of it is in use. */
static void clear_staging(const restoring *r) {
    static const char *const endings[] = {"", "-wal", "-shm", ".part", "-journal"};
    char path[PATH_MAX + 16];
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(path, sizeof path, "%s%s", r->copy, endings[i]);
        file_remove(path);
    }
    file_remove(r->lock);
    file_remove_directory(r->staging);
}

/* ---- what is there ---- */

static lp_err take_pool_id(store_reader *reader, lp_id *id_out) {
    span document;
    lp_err err = reader->ops->read_document(reader, STORE_META, SPAN_LITERAL("pool"), &document, NULL);
    wire_reader from = wire_open(err ? (span){0} : document);
    wire_array(&from);
    return !err && id_from_span(wire_bytes(&from), id_out) ? LP_OK : LP_CORRUPT;
}

/* The pool that is replaced may be damaged: then its epochs are not known, and devices offer more than they had to. */
static void look_at_old(restoring *r) {
    store_reader *reader;
    r->had_pool = file_exists(r->database);
    if (!r->had_pool || sqlite_file_read(r->database, &reader, NULL))
        return;
    if (reader->ops->snapshot(reader, NULL) == LP_OK)
        r->knows_epochs = !take_pool_id(reader, &r->pool) && !epochs_read(reader, &r->epochs, NULL);
    if (r->knows_epochs)
        backups_copy(reader, &r->backups);
    reader->ops->reader_close(reader);
}

/* ---- the copy ---- */

static lp_err check_copy(restoring *r, store *s, const pool *p, store_progress_fn progress, void *ctx,
                         restored *restored_out, lp_error *error) {
    store_reader *reader;
    store_counts counts;
    if (r->knows_epochs && !id_equal(&r->pool, &p->id))
        return err_set(error, LP_INVALID, "the backup is of another pool, %s; restore it into a directory of its own",
                       p->name);
    lp_err err = s->ops->reader_open(s, &reader, error);
    if (err)
        return err;
    err = reader->ops->snapshot(reader, error);
    if (!err)
        err = verify_all(p, reader, progress, ctx, error);
    if (!err)
        err = reader->ops->counts(reader, &counts, error);
    reader->ops->reader_close(reader);
    if (err)
        return err;
    snprintf(restored_out->pool_name, sizeof restored_out->pool_name, "%s", p->name);
    restored_out->seq = counts.last_seq;
    restored_out->leads = counts.leads;
    return LP_OK;
}

/* What the pool that is replaced knew and the backup does not. */
static lp_err adopt(const restoring *r, pool *p, uint64_t seq, lp_error *error) {
    epochs e;
    lp_err err = epochs_load(p, &e, error);
    if (err || !r->knows_epochs)
        return err;
    epochs_adopt(&e, &r->epochs, seq);
    uint64_t fork = epochs_fork_of(&e, span_of(r->epochs.epoch, EPOCH_BYTES));
    err = epochs_save(p, &e, error);
    return err ? err : backups_adopt(p, buf_span(&r->backups), fork < seq ? fork : seq, error);
}

static lp_err begin_epoch(const restoring *r, pool *p, lp_error *error) {
    store *s = p->store;
    uint64_t seq = s->ops->last_seq(s);
    lp_err err = adopt(r, p, seq, error);
    if (!err)
        err = epochs_redraw(p, seq, EPOCH_NUMBERS_SKIPPED, error);
    if (!err)
        err = backups_note(p, seq, error);
    if (!err)
        err = operations_replay(p, error);
    if (!err)
        err = pool_save_digests(p, error);
    return err || s->ops->last_seq(s) == seq ? err : epochs_tag(p, error);
}

static lp_err draw_epoch(const restoring *r, pool *p, lp_error *error) {
    store *s = p->store;
    lp_err err = s->ops->begin(s, error);
    if (!err)
        err = begin_epoch(r, p, error);
    if (!err)
        return s->ops->commit(s, error);
    s->ops->rollback(s);
    return err;
}

static lp_err prepare(restoring *r, store_progress_fn progress, void *ctx, restored *restored_out, lp_error *error) {
    store *s;
    pool p;
    lp_err err = store_sqlite_ops.open(r->staging, false, &s, error);
    if (err)
        return err;
    err = pool_open(&p, s, r->env, error);
    if (!err) {
        p.ledger = r->ledgers;
        err = check_copy(r, s, &p, progress, ctx, restored_out, error);
        if (!err)
            err = draw_epoch(r, &p, error);
        pool_close(&p);
    }
    s->ops->close(s);
    return err;
}

/* ---- putting it in place ---- */

static lp_err move_aside(restoring *r, const char *directory, restored *restored_out, lp_error *error) {
    static const char *const names[] = {"pool.db", "pool.db-wal", "pool.db-shm"};
    char from[PATH_MAX], to[PATH_MAX + 16], when[32];
    time_t seconds = (time_t)(r->env->wall_ms(r->env->ctx) / 1000);
    struct tm parts;
    strftime(when, sizeof when, "replaced-%Y%m%d-%H%M%S", gmtime_r(&seconds, &parts));
    lp_err err = LP_OK;
    bool made = false;
    for (size_t i = 0; !err && i < sizeof names / sizeof names[0]; i++) {
        err = join(from, directory, names[i], error);
        if (err || !file_exists(from))
            continue;
        if (!made)
            err = file_make_fresh_directory(directory, when, restored_out->replaced, sizeof restored_out->replaced,
                                            error);
        made = true;
        snprintf(to, sizeof to, "%.4000s/%s", restored_out->replaced, names[i]);
        if (!err)
            err = file_publish(from, to, error);
    }
    return err;
}

static lp_err restore(restoring *r, const char *directory, const char *file, store_progress_fn progress, void *ctx,
                      restored *restored_out, lp_error *error) {
    char key[PATH_MAX];
    clear_staging(r);
    look_at_old(r);
    lp_err err = file_make_directory(r->staging, error);
    if (!err)
        err = sqlite_file_copy(file, r->copy, progress, ctx, error);
    if (!err)
        err = prepare(r, progress, ctx, restored_out, error);
    if (!err)
        err = move_aside(r, directory, restored_out, error);
    if (!err)
        err = file_publish(r->copy, r->database, error);
    clear_staging(r);
    restored_out->has_key = !join(key, directory, "server.key", NULL) && file_exists(key);
    return err;
}

lp_err restore_pool(const char *directory, const char *file, const lp_env *env, const ledger *ledgers,
                    store_progress_fn progress, void *ctx, restored *restored_out, lp_error *error) {
    restoring r = {.env = env, .ledgers = ledgers};
    store_reader *reader;
    int lock;
    *restored_out = (restored){.seq = 0};
    lp_err err = sqlite_file_read(file, &reader, error);
    if (err)
        return err;
    reader->ops->reader_close(reader);
    err = name_paths(&r, directory, error);
    if (!err)
        err = file_make_directory(directory, error);
    if (!err)
        err = file_lock(directory, &lock, error);
    if (err)
        return err;
    err = restore(&r, directory, file, progress, ctx, restored_out, error);
    buf_fini(&r.backups);
    file_unlock(lock);
    return err;
}
