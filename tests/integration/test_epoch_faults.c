/* test_epoch_faults.c - a device finds that the pool, or it itself, is another than before: a new epoch, offers, another number, while its database
 * or its memory fails (fault_sweep.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/replica/recovered.h"
#include "tests/support/fault_sweep.h"

/* ---- what the replica holds ---- */

static void keep_to_offer(rig *r) {
    uint8_t secret[CRYPTO_SEAL_KEY_BYTES] = {1}, key[CRYPTO_SEAL_KEY_BYTES];
    assert_int_equal(crypto_seal_public(secret, key, NULL), LP_OK);
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(replica_meta_put(r->replica, "seal.key", span_of(key, sizeof key), NULL), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
}

static void acknowledged(rig *r) {
    keep_to_offer(r);
    told_four_leads(r);
    told_settle_before(r, (span){0});
    rig_make_lead(r, "Li Wei");
    told_settle_before(r, (span){0});
    told_be_welcomed(r);
    rig_reopen(r);
}

static void lost_by_the_server(rig *r) {
    acknowledged(r);
    lp_error error;
    reg lost = {.field = LEAD_CITY, .value = SPAN_LITERAL("\xa3Ulm"), .stamp = told_when};
    assert_int_equal(replica_begin(r->replica, NULL), LP_OK);
    assert_int_equal(r->replica->gone(r->replica, KIND_LEAD, &told_ids[3], &lost, &error), LP_OK);
    assert_int_equal(r->replica->gone(r->replica, KIND_LEAD, &told_ids[2], &lost, &error), LP_OK);
    assert_int_equal(replica_commit(r->replica, NULL), LP_OK);
    assert_int_equal(recovered_send(r->replica, &told_ids[3], &error), LP_OK);
    assert_int_equal(recovered_send(r->replica, &told_ids[2], &error), LP_OK);
}

static void hear_of_mine(rig *r, const uint8_t epoch[EPOCH_BYTES], bool before) {
    told_greet(r);
    told_welcome(r, "mine", NULL, (message){.epoch = span_of(epoch, EPOCH_BYTES)});
    if (before)
        told_hear(r);
}

/* What was acknowledged and is in no scope, as far as is known: it was not pulled yet. */
static void acknowledged_and_not_pulled(rig *r) {
    told_scopes_before(r, "mine", NULL);
    told_page_before(r, (page){.cursor = {.scope = SPAN_LITERAL("mine"), .seq = 2}}, "Acme", 0);
    rig_make_lead(r, "Li Wei");
    told_settle_before(r, (span){0});
    hear_of_mine(r, told_epochs[0], true);
    rig_reopen(r);
}

/* ---- what the server says ---- */

static void told_of_a_new_epoch_in_mine(rig *r) {
    hear_of_mine(r, told_epochs[1], false);
}

static void told_of_a_new_epoch(rig *r) {
    told_greet(r);
    told_welcome(r, "setup", "pool", (message){.epoch = span_of(told_epochs[1], EPOCH_BYTES)});
}

static void offering(rig *r) {
    told_of_a_new_epoch(r);
    told_hear(r);
    message taken = {.number = MSG_REOFFERED, .taken = 100, .seq = 8};
    told_put(&taken, told_asked(r, MSG_REOFFER));
}

static void offering_what_others_wrote(rig *r) {
    told_be_welcomed(r);
    message taken = {.number = MSG_REOFFERED, .taken = 1, .seq = 8};
    told_put(&taken, told_asked(r, MSG_REOFFER));
}

/* A pool that was set back: the first page has less, and is the last. */
static void sent_another_history(rig *r) {
    changes_writer w;
    told_be_welcomed(r);
    assert_int_equal(sqlite3_exec(r->replica->db, "DELETE FROM meta WHERE key = 'epoch'", NULL, NULL, NULL), SQLITE_OK);
    changes_init(&w);
    told_lead(&w, &told_ids[1], "4711", 0); /* stamped before what is here */
    told_page(r,
              (page){.cursor = {.epoch = span_of(told_epochs[1], EPOCH_BYTES), .seq = 3}, .start = true, .again = true},
              &w);
}

static void called_a_copy(rig *r) {
    told_greet(r);
    message refused = {.number = MSG_REFUSED, .code = LP_CLONED, .reason = SPAN_LITERAL("a copy")};
    told_put(&refused, told_asked(r, MSG_HELLO));
}

static void given_another_number(rig *r) {
    if (r->replica->clock.author != RIG_DEVICE)
        return;
    called_a_copy(r);
    told_hear(r);
    message joined = {.number = MSG_JOINED,
                      .version = 1,
                      .device = RIG_DEVICE + 1,
                      .pool = id_span(&r->replica->pool),
                      .pool_name = SPAN_LITERAL("Messe"),
                      .staff = id_span(&r->replica->person),
                      .staff_name = SPAN_LITERAL("Li Wei"),
                      .role = SPAN_LITERAL("rep"),
                      .now_ms = r->now_ms};
    told_put(&joined, told_asked(r, MSG_REJOIN));
}

static const thing things[] = {
    {"a new epoch", acknowledged, told_of_a_new_epoch, told_take,
     "SELECT coalesce((SELECT value FROM meta WHERE key = 'offer.last'), 0)"},
    {"an offer taken", acknowledged, offering, told_take, "SELECT count(*) FROM kept WHERE seq = 8 + 1"},
    {"others' values taken", lost_by_the_server, offering_what_others_wrote, told_take,
     "SELECT count(*) FROM recovered"},
    {"another history", told_four_leads, sent_another_history, told_take, "SELECT count(*) FROM recovered"},
    {"called a copy", told_two_batches, called_a_copy, told_take,
     "SELECT count(*) FROM meta WHERE key = 'rejoin.install'"},
    {"another number", told_two_batches, given_another_number, told_take,
     "SELECT value FROM meta WHERE key = 'device.number'"},
    {"a new epoch, and something not pulled", acknowledged_and_not_pulled, told_of_a_new_epoch_in_mine, told_take,
     "SELECT count(*) FROM record WHERE held"},
    {0},
};

int main(void) {
    return fault_sweep("integration_epoch_faults", things);
}
