/* outbox_batches.c - the frozen batches of the outbox; see outbox.h. */
#include "client/replica/outbox_parts.h"

#include "client/replica/clock.h"
#include "client/replica/statements.h"

/* What an entry costs on the wire beside its fields: array heads, kind, id, indexes, and its stamp. */
#define ENTRY_BYTES 64

lp_err outbox_last_batch(replica *r, uint64_t *number_out, lp_error *error) {
    int64_t number;
    lp_err err = replica_meta_read_int(r, "batch.last", 0, &number, error);
    *number_out = (uint64_t)number;
    return err;
}

lp_err outbox_unfrozen(replica *r, bool *waiting_out, lp_error *error) {
    int64_t frozen;
    *waiting_out = false;
    lp_err err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_SIZES, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, frozen);
    err = statement_row(r, s, "read the outbox", error);
    sqlite3_reset(s);
    *waiting_out = !err;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

bool outbox_is_empty(replica *r) {
    uint64_t frozen = 1;
    bool waiting = true;
    return !outbox_next_batch(r, 0, &frozen, NULL) && frozen == 0 && !outbox_unfrozen(r, &waiting, NULL) && !waiting;
}

/* The oseqs the next batch spans; first is 0 if nothing is left to freeze. */
static lp_err next_range(replica *r, size_t bytes_max, int64_t *first_out, int64_t *last_out, lp_error *error) {
    int64_t frozen;
    size_t bytes = 0;
    size_t most = bytes_max < OUTBOX_BATCH_BYTES ? bytes_max : OUTBOX_BATCH_BYTES;
    *first_out = 0;
    lp_err err = statement_int(r, STATEMENT_BATCH_LAST, &frozen, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_SIZES, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, frozen);
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        bytes += (size_t)sqlite3_column_int64(s, 1) + ENTRY_BYTES;
        if (*first_out && bytes > most)
            break;
        if (*first_out == 0)
            *first_out = sqlite3_column_int64(s, 0);
        *last_out = sqlite3_column_int64(s, 0);
    }
    sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err outbox_freeze(replica *r, size_t bytes_max, uint64_t *number_out, lp_error *error) {
    int64_t first = 0, last = 0;
    *number_out = 0;
    lp_err err = next_range(r, bytes_max, &first, &last, error);
    if (err || first == 0)
        return err;
    uint64_t number = 0;
    err = outbox_last_batch(r, &number, error);
    number++;
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_BATCH_ADD, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    sqlite3_bind_int64(s, 2, first);
    sqlite3_bind_int64(s, 3, last);
    err = statement_run(r, s, "save", error);
    if (!err)
        err = clock_mark_uncertain(r, first, last, error);
    if (!err)
        err = replica_meta_put_int(r, "batch.last", (int64_t)number, error);
    if (!err)
        *number_out = number;
    return err;
}

lp_err outbox_first_size(replica *r, size_t *bytes_out, uint32_t *entries_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BATCH_FIRST_SIZE, error);
    lp_err err = s ? statement_row(r, s, "read the outbox", error) : LP_IO;
    if (err)
        return err;
    *entries_out = (uint32_t)sqlite3_column_int64(s, 0);
    *bytes_out = (size_t)sqlite3_column_int64(s, 1) + (size_t)*entries_out * ENTRY_BYTES;
    sqlite3_reset(s);
    return LP_OK;
}

lp_err outbox_batch_range(replica *r, uint64_t number, int64_t *first_out, int64_t *last_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BATCH_GET, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    lp_err err = statement_row(r, s, "read the outbox", error);
    if (err)
        return err;
    *first_out = sqlite3_column_int64(s, 0);
    *last_out = sqlite3_column_int64(s, 1);
    sqlite3_reset(s);
    return LP_OK;
}

/* The number a query for a batch beside `number` finds; 0 if there is none. */
static lp_err batch_beside(replica *r, statement_name query, uint64_t number, uint64_t *found_out, lp_error *error) {
    *found_out = 0;
    sqlite3_stmt *s = statement(r, query, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, (int64_t)number);
    lp_err err = statement_row(r, s, "read the outbox", error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    *found_out = (uint64_t)sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return LP_OK;
}

uint64_t outbox_last_settled(replica *r) {
    return (uint64_t)replica_meta_int(r, "batch.settled", 0);
}

lp_err outbox_next_batch(replica *r, uint64_t after, uint64_t *number_out, lp_error *error) {
    return batch_beside(r, STATEMENT_BATCH_NEXT, after, number_out, error);
}

lp_err outbox_batch_before(replica *r, uint64_t number, uint64_t *before_out, lp_error *error) {
    lp_err err = batch_beside(r, STATEMENT_BATCH_BEFORE, number, before_out, error);
    uint64_t settled = outbox_last_settled(r);
    if (settled < number && settled > *before_out)
        *before_out = settled;
    return err;
}

uint64_t outbox_given_up(replica *r, uint64_t number, uint64_t before) {
    uint64_t settled = outbox_last_settled(r), thawed = (uint64_t)replica_meta_int(r, "batch.thawed", 0);
    uint64_t known = before > settled ? before : settled;
    known = known > thawed ? known : thawed;
    return number > known ? number - known - 1 : 0;
}

lp_err outbox_thaw(replica *r, int64_t rid, lp_error *error) {
    uint64_t last = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_ERASE_BATCHES, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err err = statement_run(r, s, "erase a record", error);
    if (err || sqlite3_changes(r->db) == 0)
        return err;
    err = outbox_last_batch(r, &last, error);
    return err ? err : replica_meta_put_int(r, "batch.thawed", (int64_t)last, error);
}

lp_err outbox_encode(replica *r, uint64_t number, buf *out, uint64_t *count_out, lp_error *error) {
    int64_t first, last;
    *count_out = 0;
    lp_err err = outbox_batch_range(r, number, &first, &last, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_RANGE, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, first);
    sqlite3_bind_int64(s, 2, last);
    changes_writer w;
    changes_init(&w);
    while (!(err = statement_row(r, s, "read the outbox", error))) {
        lp_id id = {{0}};
        uint32_t count = (uint32_t)sqlite3_column_int64(s, 7);
        id_from_span(column_span(s, 3), &id);
        stamp at = column_stamp(s, 4);
        changes_begin(&w);
        if (sqlite3_column_int(s, 12))
            changes_mark_uncertain(&w);
        change_put_packed(&w, column_span(s, 8), count);
        changes_end(&w, (uint32_t)sqlite3_column_int64(s, 2), &id, at, column_stamp(s, 5),
                    sqlite3_column_int64(s, 6) - stamp_ms(at));
        *count_out += count;
    }
    sqlite3_reset(s);
    if (err == LP_NOT_FOUND)
        err = changes_finish(&w, out, error);
    changes_fini(&w);
    return err;
}
