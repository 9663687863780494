/* test_sending_faults.c - a device saves, greets and pushes, and hears what the server says to that, while its database or its memory fails
 * (fault_sweep.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/replica/txn.h"
#include "tests/support/fault_sweep.h"

static void clock_was_ahead(rig *r) {
    told_four_leads(r);
    r->now_ms += 3600000;
    rig_set(r, &told_ids[3], "notes", "an hour ahead");
    r->now_ms -= 3600000;
    assert_int_equal(
        sqlite3_exec(r->replica->db, "INSERT OR REPLACE INTO meta VALUES('clock.forced', 1)", NULL, NULL, NULL),
        SQLITE_OK);
}

static void twenty_leads(rig *r) {
    told_four_leads(r);
    for (int i = 0; i < 20; i++)
        rig_make_lead(r, "Li Wei");
}

static void rebooted(rig *r) {
    r->boot++;
    rig_reopen(r);
}

/* The server gave up what this device had frozen. */
static void told_of_a_fence(rig *r) {
    told_greet(r);
    told_welcome(r, "setup", "pool", (message){.fence = 100});
}

static void told_another_time(rig *r) {
    told_greet(r);
    message clock = {.number = MSG_CLOCK, .now_ms = r->now_ms - 3600000};
    told_put(&clock, told_asked(r, MSG_HELLO));
}

/* The server has all of it, stamps ahead and all; what is typed now comes after. */
static void told_another_time_of_what_is_sent(rig *r) {
    told_greet(r);
    rig_set(r, &told_ids[0], "notes", "typed meanwhile");
    message clock = {.number = MSG_CLOCK, .now_ms = r->now_ms - 3600000, .batch = 2};
    told_put(&clock, told_asked(r, MSG_HELLO));
}

static void judged(rig *r) {
    buf verdicts = {0};
    told_be_welcomed(r);
    verdict received = {.set = 0, .field = 0, .kind = VERDICT_RECEIVED},
            refused = {.set = 0, .field = 1, .kind = VERDICT_REFUSED};
    wire_put_array(&verdicts, 2);
    verdict_put(&verdicts, &received);
    verdict_put(&verdicts, &refused);
    message synced = {.number = MSG_SYNCED, .batch = 1, .seq = 9, .verdicts = buf_span(&verdicts), .now_ms = r->now_ms};
    told_put(&synced, told_asked(r, MSG_SYNC));
    buf_fini(&verdicts);
}

static void start(rig *r) {
    client_event event = {.kind = CLIENT_START, .keep = true};
    told_step(r, &event);
}

static void open_channel(rig *r) {
    client_event event = {.kind = CLIENT_OPEN, .bytes = SPAN_LITERAL("binding")};
    told_step(r, &event);
}

static void lose_the_line(rig *r) {
    client_event event = {.kind = CLIENT_LOST, .error = {.code = LP_OFFLINE}};
    told_step(r, &event);
}

static void save(rig *r) {
    lp_txn *t = NULL;
    lp_err err = txn_new(r->replica, NULL, &t, NULL);
    if (!err)
        err = txn_set_text(t, &told_ids[0], "notes", "typed again", NULL);
    if (!err)
        err = txn_set_text(t, &told_ids[0], "tags.vip", "yes", NULL);
    if (!err)
        err = txn_set_text(t, &told_ids[1], "city", "Ulm", NULL);
    if (!err)
        txn_commit(t, NULL);
    txn_free(t);
}

static void nothing(rig *r) {
    (void)r;
}

static const thing things[] = {
    {"save", told_four_leads, nothing, save, "SELECT count(*) FROM outbox"},
    {"the first save after a reboot", told_four_leads, rebooted, save, "SELECT count(*) FROM outbox"},
    {"greet and push", told_two_batches, start, open_channel, "SELECT count(*) FROM batch"},
    {"greet with stamps that are ahead", clock_was_ahead, start, open_channel,
     "SELECT value = 0 FROM meta WHERE key = 'clock.forced'"},
    {"a fence", told_two_batches, told_of_a_fence, told_take, "SELECT min(number) > 2 FROM batch"},
    {"another time", told_two_batches, told_another_time, told_take,
     "SELECT count(*) FROM meta WHERE key = 'clock.corrections'"},
    {"another time, and stamps that are ahead stay", twenty_leads, told_another_time_of_what_is_sent, told_take,
     "SELECT count(*) FROM meta WHERE key = 'clock.corrections'"},
    {"verdicts", told_two_batches, judged, told_take, "SELECT count(*) FROM outbox"},
    {"a line that is cut", told_two_batches, told_be_welcomed, lose_the_line,
     "SELECT count(*) FROM meta WHERE key = 'line.bytes'"},
    {0},
};

int main(void) {
    return fault_sweep("integration_sending_faults", things);
}
