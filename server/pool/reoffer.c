/* reoffer.c - see reoffer.h. */
#include "server/pool/reoffer.h"

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/wire.h"
#include "server/office/review.h"
#include "server/pool/rights.h"

#define WORK_MAX (APPLY_WORK_MAX / 8) /* a job that would cost more stops early, and is asked for the rest */

/* Who offers. */
typedef struct offerer {
    const device *device;
    rights may;
} offerer;

static lp_err apply_changes(pool *p, const offerer *by, span raw, review_reason why, apply_verdicts *verdicts,
                            lp_error *error) {
    changes_reader changes;
    change_set set;
    apply_author author = {.device = by->device->number,
                           .person = by->device->staff,
                           .former = by->device,
                           .reoffer = true,
                           .review = by->device->revoked_ms ? REVIEW_REVOKED : why,
                           .rights = &by->may};
    lp_err err = changes_open(&changes, raw, error);
    for (uint32_t i = 0; !err && changes_next(&changes, &set); i++) {
        change_set offered = set;
        uint64_t refused = verdicts->refused;
        err = apply_set(p, &set, i, &author, verdicts, error);
        /* Its author was told when the changes came first, and does not ask now. */
        buf_clear(&verdicts->list);
        if (!err && verdicts->refused > refused)
            err = review_put(p, &author, &offered, REVIEW_REFUSED, error);
    }
    if (!err && changes.sets.failed)
        err = err_set(error, LP_PROTOCOL, "a change set that is offered again is malformed");
    changes_close(&changes);
    return err;
}

static lp_err apply_entry(pool *p, const offerer *by, span sealed, buf *plain, apply_verdicts *verdicts,
                          lp_error *error) {
    buf_clear(plain);
    lp_err err = crypto_unseal(p->seal_private, sealed, plain, error);
    if (!err)
        err = wire_scan(buf_span(plain), error);
    return err ? err : apply_changes(p, by, buf_span(plain), 0, verdicts, error);
}

lp_err reoffer(pool *p, const device *d, const message *m, reoffer_outcome *outcome_out, lp_error *error) {
    apply_verdicts verdicts = {.work = 0};
    buf plain = {0};
    wire_reader entries = wire_open(m->entries);
    uint32_t count = m->entries.size ? wire_array(&entries) : 0;
    offerer by = {.device = d};
    *outcome_out = (reoffer_outcome){.taken = 0};
    lp_err err = rights_load(p, d, &by.may, error);
    if (!err && m->changes.size)
        err = apply_changes(p, &by, m->changes, 0, &verdicts, error);
    if (!err && m->others.size)
        err = apply_changes(p, &by, m->others, REVIEW_RECOVERED, &verdicts, error);
    outcome_out->taken = count == 0;
    while (!err && outcome_out->taken < count && verdicts.work < WORK_MAX) {
        err = apply_entry(p, &by, wire_bytes(&entries), &plain, &verdicts, error);
        bool broken = err == LP_INVALID || err == LP_PROTOCOL || err == LP_TOO_LARGE;
        outcome_out->broken += broken;
        outcome_out->taken++;
        err = broken ? LP_OK : err;
    }
    outcome_out->cloned = verdicts.cloned;
    buf_fini(&verdicts.list);
    buf_fini(&plain);
    return err;
}
