/* backups.c - see backups.h. */
#include "server/office/backups.h"

#include "proto/err.h"
#include "proto/wire.h"

static const span made_key = {(const uint8_t *)"backups", 7};
static const span begun_key = {(const uint8_t *)"backups.begun", 13};

typedef struct backup {
    uint64_t seq;
    int64_t made_ms;
} backup;

static backup take_backup(wire_reader *r) {
    backup b = {.seq = wire_u64(r)};
    b.made_ms = wire_i64(r);
    return b;
}

static lp_err damaged(lp_error *error) {
    return err_set(error, LP_CORRUPT, "the list of backups is damaged; run leadpoold verify");
}

static bool counts(pool *p, const backup *b, int64_t now_ms) {
    return now_ms - b->made_ms <= p->backup_retention_ms;
}

/* Rewrites the list: what does not count any more goes, but never the latest. */
static lp_err append(pool *p, span document, const backup *latest, buf *out, lp_error *error) {
    wire_reader r = wire_open(document);
    uint32_t count = document.size ? wire_array(&r) / 2 : 0, kept = 0;
    buf list = {0};
    uint32_t room = BACKUPS_NOTED_MAX - 1;
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        backup b = take_backup(&r);
        bool squeezed = kept == 1 && count - i > room - 1;
        if (!counts(p, &b, latest->made_ms) || squeezed)
            continue;
        wire_put_u64(&list, b.seq);
        wire_put_i64(&list, b.made_ms);
        kept++;
    }
    wire_put_array(out, 2 * (kept + 1));
    buf_append_span(out, buf_span(&list));
    wire_put_u64(out, latest->seq);
    wire_put_i64(out, latest->made_ms);
    bool failed = list.failed || out->failed;
    buf_fini(&list);
    return r.failed ? damaged(error) : failed ? err_plain(error, LP_NOMEM) : LP_OK;
}

static lp_err note(pool *p, span key, const backup *latest, lp_error *error) {
    span value = {0};
    buf document = {0};
    lp_err err = p->store->ops->get(p->store, STORE_META, key, &value, error);
    if (!err || err == LP_NOT_FOUND)
        err = append(p, value, latest, &document, error);
    if (!err)
        err = p->store->ops->put(p->store, STORE_META, key, buf_span(&document), error);
    buf_fini(&document);
    return err;
}

lp_err backups_begin(pool *p, uint64_t seq, lp_error *error) {
    return note(p, begun_key, &(backup){seq, pool_now_ms(p)}, error);
}

lp_err backups_note(pool *p, uint64_t seq, lp_error *error) {
    return note(p, made_key, &(backup){seq, pool_now_ms(p)}, error);
}

/* ---- those of another database ---- */

void backups_copy(store_reader *reader, buf *list_out) {
    const span keys[] = {made_key, begun_key};
    for (int i = 0; i < 2; i++) {
        span value;
        if (reader->ops->read_document(reader, STORE_META, keys[i], &value, NULL))
            continue;
        wire_reader r = wire_open(value);
        for (uint32_t left = wire_array(&r) / 2; left > 0 && !r.failed; left--) {
            backup b = take_backup(&r);
            wire_put_u64(list_out, b.seq);
            wire_put_i64(list_out, b.made_ms);
        }
    }
}

lp_err backups_adopt(pool *p, span list, uint64_t shared, lp_error *error) {
    wire_reader r = wire_open(list);
    lp_err err = LP_OK;
    while (!err && r.at < r.end) {
        backup b = take_backup(&r);
        b.seq = b.seq < shared ? b.seq : shared;
        err = r.failed ? damaged(error) : note(p, begun_key, &b, error);
    }
    return err;
}

/* ---- what they mean ---- */

/* The least seq of what counts; UINT64_MAX if nothing does. `latest_counts`: the last one does, whatever its age. */
static lp_err least_of(pool *p, store_reader *reader, span key, bool latest_counts, uint64_t *least_out,
                       lp_error *error) {
    span value;
    *least_out = UINT64_MAX;
    lp_err err = reader->ops->read_document(reader, STORE_META, key, &value, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    wire_reader r = wire_open(value);
    int64_t now_ms = pool_now_ms(p);
    for (uint32_t left = wire_array(&r) / 2; left > 0 && !r.failed; left--) {
        backup b = take_backup(&r);
        bool matters = (left == 1 && latest_counts) || counts(p, &b, now_ms);
        *least_out = matters && b.seq < *least_out ? b.seq : *least_out;
    }
    return r.failed ? damaged(error) : LP_OK;
}

lp_err backups_kept_seq(pool *p, store_reader *reader, uint64_t *seq_out, lp_error *error) {
    uint64_t made, begun = UINT64_MAX;
    lp_err err = least_of(p, reader, made_key, true, &made, error);
    if (!err)
        err = least_of(p, reader, begun_key, false, &begun, error);
    *seq_out = err || made == UINT64_MAX ? 0 : begun < made ? begun : made;
    return err;
}
