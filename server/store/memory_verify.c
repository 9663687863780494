/* memory_verify.c - is a pool in memory what it says it is? See memory.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "proto/err.h"
#include "server/store/check.h"
#include "server/store/memory.h"

/* One row: it unpacks, agrees with itself, and the feed leads to it. */
static lp_err check_one(memory_reader *r, const store_row *row, lp_error *error) {
    record scratch;
    record_init(&scratch, row->kind, &row->id);
    lp_err err = check_row(row, r->tally.last_seq, &scratch, error);
    record_fini(&scratch);
    if (err)
        return err;
    uint8_t bytes[FEED_KEY_BYTES];
    const table_version *version =
        memory_look(r->store, &r->store->feed, memory_feed_key(bytes, row->scope, row->seq), r->at);
    if (!version || !span_equal(version->value, id_span(&row->id)))
        return err_set(error, LP_CORRUPT, "seq %" PRIu64 " is there twice", row->seq);
    return LP_OK;
}

static lp_err check_rows(memory_reader *r, store_progress_fn progress, void *ctx, lp_error *error) {
    memory_store *m = r->store;
    uint64_t records = 0, leads = 0;
    span key = {0};
    const table_version *version = memory_step(m, &m->rows, key, false, r->at, &key);
    for (; version; version = memory_step(m, &m->rows, key, true, r->at, &key)) {
        lp_err err = check_one(r, &version->row, error);
        if (err)
            return err;
        records++;
        leads += memory_is_live_lead(&version->row);
        if (progress && !progress(ctx, records, r->tally.records + r->tally.history))
            return err_set(error, LP_CLOSED, "the check was given up");
    }
    if (records != r->tally.records || leads != r->tally.leads)
        return err_set(error, LP_CORRUPT, "the pool counts %" PRIu64 " records, but holds %" PRIu64, r->tally.records,
                       records);
    return LP_OK;
}

static int compare_seqs(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static lp_err check_seqs(uint64_t *seqs, uint64_t count, uint64_t last_seq, lp_error *error) {
    qsort(seqs, count, sizeof *seqs, compare_seqs);
    for (uint64_t i = 0; i < count; i++)
        if (seqs[i] == 0 || seqs[i] > last_seq || (i && seqs[i] == seqs[i - 1]))
            return err_set(error, LP_CORRUPT,
                           "seq %" PRIu64 " in the history is there twice or outside the pool's order", seqs[i]);
    return LP_OK;
}

static lp_err check_history(memory_reader *r, lp_error *error) {
    memory_store *m = r->store;
    uint64_t *seqs = malloc((r->tally.history + 1) * sizeof *seqs);
    if (!seqs)
        return err_plain(error, LP_NOMEM);
    uint64_t count = 0;
    span key = {0};
    const table_version *version = memory_step(m, &m->history, key, false, r->at, &key);
    for (; version && count < r->tally.history; version = memory_step(m, &m->history, key, true, r->at, &key))
        seqs[count++] = version->entry.seq;
    lp_err err = check_seqs(seqs, count, r->tally.last_seq, error);
    if (err == LP_OK && (version || count != r->tally.history))
        err = err_set(error, LP_CORRUPT, "the pool does not hold the %" PRIu64 " history it counts", r->tally.history);
    free(seqs);
    return err;
}

lp_err memory_verify(store_reader *base, store_progress_fn progress, void *ctx, lp_error *error) {
    memory_reader *r = (memory_reader *)base;
    assert(r->open);
    lp_err err = check_rows(r, progress, ctx, error);
    return err ? err : check_history(r, error);
}
