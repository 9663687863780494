/* test_operations.c - what the office asks of the pool in a wrong way: every verb of operations.h says which argument is wrong, or what there is
 * not, and does nothing. What they do when asked well is for the tests of each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/wire.h"
#include "server/pool/access.h"
#include "server/office/control_arguments.h"
#include "server/office/operations.h"
#include "tests/sim/hand.h"

#define X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void done(void *ctx, job *j) {
    (void)ctx;
    (void)j;
}

/* The job, done: to be freed by the caller. */
static job *ask(hand *h, const char *verb, const control_pair *pairs, uint32_t count) {
    job *j = job_new(strcmp(verb, "invite") == 0 ? JOB_INVITE : JOB_CONTROL);
    assert_non_null(j);
    assert_int_equal(control_request(verb, pairs, count, &j->request, NULL), LP_OK);
    j->done = done;
    committer_run(h->world->committer, j);
    return j;
}

typedef struct mistake {
    const char *verb;
    control_pair pairs[3]; /* those with a name */
    lp_err code;
    const char *says;
} mistake;

static const mistake mistakes[] = {
    {"fly", {{0}}, LP_UNSUPPORTED, "does not know this command"},
    {"erase", {{0}}, LP_INVALID, "give --lead ID"},
    {"erase", {{"lead", "Li Wei"}}, LP_INVALID, "give --lead ID"},
    {"erase", {{"lead", X64}}, LP_INVALID, "--lead is too long"},
    {"erase", {{"lead", "01a1ee56-5e00-7052-819d-4cbb2e922a47"}}, LP_NOT_FOUND, "01a1ee56"},
    {"review", {{"accept", "1"}, {"reject", "2"}}, LP_INVALID, "one decision at a time"},
    {"review", {{"accept", "first"}}, LP_INVALID, "--accept needs a number, not 'first'"},
    {"review", {{"reject", "0"}}, LP_INVALID, "--reject needs a number"},
    {"review", {{"reject", "1x"}}, LP_INVALID, "--reject needs a number"},
    {"review", {{"accept", "18446744073709551615"}}, LP_INVALID, "--accept needs a number"},
    {"review", {{"accept", X64}}, LP_INVALID, "--accept is too long"},
    {"review", {{"reject", X64}}, LP_INVALID, "--reject is too long"},
    {"review", {{"accept", "1"}}, LP_NOT_FOUND, "nothing with number 1 awaits review"},
    {"review", {{"reject", "7"}}, LP_NOT_FOUND, "nothing with number 7 awaits review"},
    {"revoke", {{0}}, LP_INVALID, "--device needs a number"},
    {"revoke", {{"device", X64}}, LP_INVALID, "--device is too long"},
    {"revoke", {{"device", "9999"}}, LP_NOT_FOUND, "there is no device 9999"},
    {"revoke", {{"device", "4294967296"}}, LP_NOT_FOUND, "there is no device 4294967296"},
    {"purge", {{"days", "0"}}, LP_INVALID, "--days needs a number"},
    {"purge", {{"days", "36501"}}, LP_INVALID, "at most 36500"},
    {"purge", {{"days", X64}}, LP_INVALID, "--days is too long"},
    {"grant", {{"staff", "Ann"}}, LP_INVALID, "give --staff NAME --scope SCOPE"},
    {"grant", {{"scope", "pool"}}, LP_INVALID, "give --staff NAME --scope SCOPE"},
    {"grant", {{"staff", "Ann"}, {"scope", X64 "x"}}, LP_INVALID, "too long"},
    {"grant", {{"staff", X64 X64}, {"scope", "pool"}}, LP_INVALID, "too long"},
    {"grant", {{"staff", "Nobody"}, {"scope", "pool"}}, LP_NOT_FOUND, "Nobody"},
    {"grant", {{"staff", "Ann"}, {"scope", "warehouse"}}, LP_INVALID, "warehouse"},
    {"grant", {{"staff", "Ann"}, {"scope", "event:"}}, LP_INVALID, "event:"},
    {"grant", {{"staff", "Ann"}, {"scope", "event:a,b"}}, LP_INVALID, "event:a,b"},
    {"ungrant", {{"staff", "Ann"}}, LP_INVALID, "give --staff NAME --scope SCOPE"},
    {"invite", {{"staff", ""}, {"role", "rep"}}, LP_INVALID, "--staff"},
    {"invite", {{"staff", "two\nlines"}, {"role", "rep"}}, LP_INVALID, "--staff"},
    {"invite", {{"staff", "a\x7f"}, {"role", "rep"}}, LP_INVALID, "--staff"},
    {"invite", {{"staff", "Ben"}, {"role", "king"}}, LP_INVALID, "king"},
    {"invite", {{"staff", "Ben"}, {"role", "rep"}, {"scope", "warehouse"}}, LP_INVALID, "warehouse"},
};

static void every_mistake_is_told_and_changes_nothing(void **state) {
    hand h;
    uint8_t token[INVITE_TOKEN_BYTES];
    (void)state;
    hand_open(&h, 1);
    world_invite(h.world, "Ann", "rep", token);
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const mistake *m = &mistakes[i];
        uint32_t count = 0;
        while (count < 3 && m->pairs[count].name)
            count++;
        uint64_t before = committer_seq(h.world->committer);
        job *j = ask(&h, m->verb, m->pairs, count);
        if (j->result != m->code || !strstr(j->error.message, m->says))
            fail_msg("mistake %zu, %s: %s: %s", i, m->verb, lp_err_name(j->result), j->result ? j->error.message : "");
        assert_int_equal(j->answer.size, 0);
        assert_int_equal(committer_seq(h.world->committer), before);
        job_free(j);
    }
    hand_close(&h);
}

static void a_verb_is_known_or_not(void **state) {
    (void)state;
    assert_true(operations_know(SPAN_LITERAL("erase")));
    assert_false(operations_know(SPAN_LITERAL("eras")));
    assert_false(operations_know(SPAN_LITERAL("")));
}

static void a_person_may_be_granted_so_many_scopes_and_no_more(void **state) {
    hand h;
    uint8_t token[INVITE_TOKEN_BYTES];
    char scope[32];
    (void)state;
    hand_open(&h, 1);
    world_invite(h.world, "Ann", "rep", token);
    for (uint32_t i = 0; i <= ACCESS_GRANTS_MAX; i++) {
        const control_pair pairs[] = {{"staff", "Ann"}, {"scope", scope}};
        snprintf(scope, sizeof scope, "event:%u", i);
        job *j = ask(&h, "grant", pairs, 2);
        assert_int_equal(j->result, i < ACCESS_GRANTS_MAX ? LP_OK : LP_INVALID);
        job_free(j);
    }
    /* What there is may be taken and given again. */
    const control_pair first[] = {{"staff", "Ann"}, {"scope", "event:0"}};
    assert_true(world_operate_with(h.world, "ungrant", first, 2));
    assert_true(world_operate_with(h.world, "grant", first, 2));
    hand_close(&h);
}

/* ---- lists ---- */

/* Device 0 is revoked; what it still sends awaits a decision. */
static void send_when_revoked(hand *h, uint64_t batch, uint32_t count) {
    static char text[8001];
    char key[16];
    memset(text, 'x', sizeof text - 1);
    hand_begin(h);
    for (uint32_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "q%02u", i);
        hand_put_key(h, LEAD_ANSWERS, key, text);
    }
    hand_push(h, batch);
    hand_expect(h, MSG_SYNCED);
}

static bool holds(span bytes, const char *text) {
    span wanted = span_text(text);
    for (size_t at = 0; at + wanted.size <= bytes.size; at++)
        if (memcmp(bytes.data + at, wanted.data, wanted.size) == 0)
            return true;
    return false;
}

static void a_list_of_reviews_names_map_keys_and_is_cut_when_it_is_too_long(void **state) {
    hand h;
    char number[16];
    (void)state;
    hand_open(&h, 1);
    hand_greet(&h, 99);
    snprintf(number, sizeof number, "%u", h.clock.author);
    assert_true(world_operate(h.world, "revoke", "device", number));
    for (uint32_t rounds = 0; rounds < 3; rounds++) {
        send_when_revoked(&h, rounds + 1, 50);
        h.record.bytes[15]++;
        job *j = ask(&h, "review", NULL, 0);
        message answer;
        assert_int_equal(j->result, LP_OK);
        assert_int_equal(message_decode(buf_span(&j->answer), &answer, NULL), LP_OK);
        wire_reader list = wire_open(answer.result);
        assert_int_equal(wire_array(&list), rounds == 2 ? 2 : rounds + 1);
        assert_true(holds(answer.result, "answers.q49"));
        job_free(j);
    }
    hand_close(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_told_and_changes_nothing),
        cmocka_unit_test(a_verb_is_known_or_not),
        cmocka_unit_test(a_person_may_be_granted_so_many_scopes_and_no_more),
        cmocka_unit_test(a_list_of_reviews_names_map_keys_and_is_cut_when_it_is_too_long),
    };
    return cmocka_run_group_tests_name("integration_operations", tests, NULL, NULL);
}
