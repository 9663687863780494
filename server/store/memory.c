/* memory.c - opening and closing the pool in memory; see memory.h. */
#include <assert.h>
#include <stdlib.h>

#include "proto/err.h"
#include "server/store/memory.h"

static lp_err memory_open(const char *path, bool create, store **store_out, lp_error *error) {
    (void)path;
    assert(store_ops_complete(&store_memory_ops));
    if (!create)
        return err_set(error, LP_NOT_FOUND, "there is no pool in memory yet; create it first");
    memory_store *m = calloc(1, sizeof *m);
    if (!m)
        return err_plain(error, LP_NOMEM);
    m->base.ops = &store_memory_ops;
    pthread_mutex_init(&m->lock, NULL);
    *store_out = &m->base;
    return LP_OK;
}

static void memory_close(store *base) {
    memory_store *m = (memory_store *)base;
    assert(!m->readers);
    memory_rollback(base);
    table_fini(&m->rows);
    table_fini(&m->feed);
    table_fini(&m->history);
    table_fini(&m->documents);
    free(m->journal.items);
    free(m->unsettled.items);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

static void memory_rest(store *base) {
    (void)base;
}

static lp_err memory_backup(store *base, const char *path, store_progress_fn progress, void *ctx, lp_error *error) {
    (void)base;
    (void)progress;
    (void)ctx;
    return err_set(error, LP_UNSUPPORTED, "a pool in memory cannot be copied to %s; use the sqlite store", path);
}

const store_ops store_memory_ops = {
    .name = "memory",
    .open = memory_open,
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .rollback = memory_rollback,
    .rest = memory_rest,
    .savepoint = memory_savepoint,
    .release = memory_release,
    .undo = memory_undo,
    .load = memory_load,
    .save = memory_save,
    .take_seq = memory_take_seq,
    .last_seq = memory_last_seq,
    .append = memory_append,
    .history = memory_history,
    .history_at = memory_history_at,
    .rows = memory_rows,
    .drop_history = memory_drop_history,
    .drop_row = memory_drop_row,
    .scrub = memory_scrub,
    .get = memory_get,
    .put = memory_put,
    .each = memory_each,
    .reader_open = memory_reader_open,
    .reader_close = memory_reader_close,
    .snapshot = memory_snapshot,
    .snapshot_end = memory_snapshot_end,
    .counts = memory_counts,
    .feed = memory_feed,
    .read = memory_read,
    .read_history = memory_read_history,
    .read_document = memory_read_document,
    .read_documents = memory_read_documents,
    .read_next = memory_read_next,
    .backup = memory_backup,
    .verify = memory_verify,
};
