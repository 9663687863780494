/* epoch.c - see epoch.h. */
#include "client/sync/epoch.h"

#include "client/replica/unpulled.h"
#include "client/sync/pull.h"
#include "proto/bug.h"
#include "proto/err.h"
#include "proto/page.h"
#include "proto/wire.h"

bool epoch_offering(replica *r) {
    return replica_meta_int(r, "offer.fork", -1) >= 0;
}

lp_err epoch_takes(replica *r, span epoch, bool *takes_out, lp_error *error) {
    buf known = {0};
    lp_err err = replica_meta(r, "epoch", &known, error);
    bool same = err == LP_NOT_FOUND || span_equal(buf_span(&known), epoch);
    *takes_out = same && !epoch_offering(r);
    buf_fini(&known);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

/* Up to where the history of `epoch` is that of the pool; 0 if the welcome does not say. */
static uint64_t find_fork(span forks, span epoch) {
    wire_reader from = wire_open(forks);
    uint32_t count = forks.size ? wire_array(&from) : 0;
    for (uint32_t i = 0; i < count && !from.failed; i++) {
        wire_reader fork = wire_open(wire_raw(&from));
        wire_array(&fork);
        span old = wire_bytes(&fork);
        uint64_t seq = wire_u64(&fork);
        if (!fork.failed && span_equal(old, epoch))
            return seq;
    }
    return 0;
}

/* A pool that lacks `lacking` batches which it had acknowledged has them above the fork. If fewer are there it was set back before, and nobody had
 * noticed when the clock was repaired: what it says of the fork counts for nothing. Some are not there for other reasons, and then
 * something is offered in vain. */
static lp_err doubt_fork(replica *r, uint64_t lacking, int64_t *fork, lp_error *error) {
    int64_t above;
    lp_err err = kept_seqs_above(r, (uint64_t)*fork, &above, error);
    if (!err && (uint64_t)above < lacking)
        *fork = 0;
    return err;
}

/* Offers that an earlier new epoch has begun, and not ended, begin again: from the lower of the two forks. `lacking`: so many batches that the
 *  pool had acknowledged it lacks. */
static lp_err begin_offering(replica *r, uint64_t fork, uint64_t lacking, lp_error *error) {
    int64_t before = replica_meta_int(r, "offer.fork", -1);
    int64_t from = fork > INT64_MAX ? INT64_MAX : (int64_t)fork;
    int64_t last = 0;
    lp_err err = doubt_fork(r, lacking, &from, error);
    from = before >= 0 && before < from ? before : from;
    if (!err)
        err = kept_last(r, &last, error);
    if (!err)
        err = replica_meta_put_int(r, "offer.fork", from, error);
    if (!err)
        err = replica_meta_put_int(r, "offer.last", last, error);
    if (!err)
        err = replica_meta_put_int(r, "offer.at", 0, error);
    return err ? err : replica_meta_put_int(r, "offer.record", -1, error);
}

static lp_err take_welcome(replica *r, const message *welcome, span known, bool is_new, bool unanswered,
                           lp_error *error) {
    lp_err err = LP_OK;
    uint64_t settled = (uint64_t)replica_meta_int(r, "batch.settled", 0);
    uint64_t lacking = settled > welcome->batch ? settled - welcome->batch : 0;
    if (is_new)
        err = begin_offering(r, find_fork(welcome->forks, known), lacking, error);
    if (!err && is_new)
        err = unpulled_doubt(r, error);
    /* Cursors of an epoch that was set back may fit, and yet what was read may have other stamps there. */
    if (!err && is_new && span_equal(known, welcome->epoch))
        err = pull_forget_cursors(r, error);
    /* Between taking a batch and answering it the pool may have become another, with other stamps (repair-clock): who has no cursor yet has
     * to be sent its own changes as well (pull.c). */
    if (!err && (is_new || unanswered))
        err = replica_meta_put_int(r, "evicted", 1, error);
    /* What was acknowledged under this number is offered, and is no sign of another setting back. */
    if (!err && is_new && lacking)
        err = replica_meta_put_int(r, "batch.settled", (int64_t)welcome->batch, error);
    if (!err && (is_new || known.size == 0))
        return replica_meta_put(r, "epoch", welcome->epoch, error);
    return err ? err : kept_forget(r, welcome->kept_seq, error);
}

lp_err epoch_welcome(replica *r, const message *welcome, uint64_t settled, bool *over_out, lp_error *error) {
    buf known = {0};
    *over_out = false;
    if (welcome->epoch.size != EPOCH_BYTES)
        return err_set(error, LP_PROTOCOL, "the server does not say which epoch it is of");
    lp_err err = replica_meta(r, "epoch", &known, error);
    bool first = err == LP_NOT_FOUND;
    err = first ? LP_OK : err;
    bool same = !first && span_equal(buf_span(&known), welcome->epoch) && welcome->batch >= settled;
    bool forgets = same && !epoch_offering(r) && welcome->kept_seq > (uint64_t)replica_meta_int(r, "kept.floor", 0);
    if (!err && (!same || forgets)) {
        bool is_new = !same && !first, unanswered = first && welcome->batch > settled;
        *over_out = is_new || unanswered;
        err = replica_begin(r, error);
        if (!err && (err = take_welcome(r, welcome, buf_span(&known), is_new, unanswered, error)))
            replica_rollback(r);
        else if (!err)
            err = replica_commit(r, error);
    }
    buf_fini(&known);
    return err;
}

lp_err epoch_forget(replica *r, lp_error *error) {
    static const uint8_t nobodys[EPOCH_BYTES] = {0};
    return replica_meta_put(r, "epoch", span_of(nobodys, sizeof nobodys), error);
}

/* ---- offering ---- */

lp_err epoch_next_offer(replica *r, uint32_t most, size_t bytes, buf *list_out, epoch_offer *offer_out, bool *some_out,
                        lp_error *error) {
    int64_t fork = replica_meta_int(r, "offer.fork", -1), shown = replica_meta_int(r, "offer.record", -1);
    kept_range range = {.after = replica_meta_int(r, "offer.at", 0),
                        .last = replica_meta_int(r, "offer.last", 0),
                        .fork = (uint64_t)fork + BUG(FORK_OFF_BY_ONE),
                        .most = most,
                        .bytes = bytes};
    *offer_out = (epoch_offer){.range = range};
    *some_out = false;
    if (fork < 0 || (BUG(OFFER_STOPS_EARLY) && range.after > 0))
        return LP_OK;
    lp_err err = kept_next(r, &range, list_out, &offer_out->count, &offer_out->range.last, error);
    *some_out = !err && offer_out->count > 0;
    if (err || *some_out || replica_meta_int(r, "kept.floor", 0) <= fork)
        return err;
    buf_clear(list_out);
    err = kept_standing(r, shown < 0 ? 0 : shown, bytes, list_out, &offer_out->record, error);
    *some_out = !err && offer_out->record > 0;
    return err;
}

lp_err epoch_offered(replica *r, const epoch_offer *offer, uint64_t seq, lp_error *error) {
    if (offer->record)
        return replica_meta_put_int(r, "offer.record", offer->record, error);
    /* What went to review moves no seq: the next one is the first that surely came after it. */
    lp_err err = kept_returned(r, &offer->range, seq + 1, error);
    return err ? err : replica_meta_put_int(r, "offer.at", offer->range.last, error);
}

lp_err epoch_finish(replica *r, lp_error *error) {
    lp_err err = replica_begin(r, error);
    if (err)
        return err;
    err = replica_meta_put_int(r, "offer.fork", -1, error);
    if (!err)
        return replica_commit(r, error);
    replica_rollback(r);
    return err;
}
