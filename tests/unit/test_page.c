/* test_page.c - cursors, pages and verdicts that break the form, and those a newer peer has lengthened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/page.h"

#define EPOCH                                                                                                          \
    "\xc4\x10"                                                                                                         \
    "eeeeeeeeeeeeeeee"
#define TAG                                                                                                            \
    "\xc4\x08"                                                                                                         \
    "tttttttt"
#define SCOPE64 "ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss"

static bool cursor_ok(span raw) {
    cursor c;
    assert_int_equal(wire_scan(raw, NULL), LP_OK);
    wire_reader r = wire_open(raw);
    bool ok = cursor_take(&r, &c);
    assert_int_equal(ok, wire_done(&r)); /* a refusal is sticky, whatever it was for */
    return ok;
}

static bool page_ok(span raw) {
    page p;
    assert_int_equal(wire_scan(raw, NULL), LP_OK);
    wire_reader r = wire_open(raw);
    bool ok = page_take(&r, &p);
    assert_int_equal(ok, wire_done(&r));
    return ok;
}

static bool verdict_ok(span raw) {
    verdict v;
    assert_int_equal(wire_scan(raw, NULL), LP_OK);
    wire_reader r = wire_open(raw);
    bool ok = verdict_take(&r, &v);
    assert_int_equal(ok, wire_done(&r));
    return ok;
}

static void cursors_are_held_to_their_form(void **state) {
    (void)state;
    assert_true(cursor_ok(SPAN_LITERAL("\x94\xa4pool" EPOCH "\x07" TAG)));
    assert_true(cursor_ok(SPAN_LITERAL("\x94\xa4pool\xc4\x00\x00\xc4\x00")));
    assert_true(cursor_ok(SPAN_LITERAL("\x99\xa4pool\xc4\x00\x00\xc4\x00\x00\x05\xc3\x09\xa1x")));
    assert_false(cursor_ok(SPAN_LITERAL("\x96\xa4pool\xc4\x00\x00\xc4\x00\x00\xa1x")));
    assert_true(cursor_ok(SPAN_LITERAL("\x95\xa4pool" EPOCH "\x07" TAG "\x07")));
    assert_false(cursor_ok(SPAN_LITERAL("\x95\xa4pool" EPOCH "\x07" TAG "\x08")));
    assert_false(cursor_ok(SPAN_LITERAL("\x95\xa4pool" EPOCH "\x07" TAG "\xff")));
    assert_true(cursor_ok(SPAN_LITERAL("\x94\xd9\x40" SCOPE64 "\xc4\x00\x00\xc4\x00")));
    assert_false(cursor_ok(SPAN_LITERAL("\x94\xd9\x41s" SCOPE64 "\xc4\x00\x00\xc4\x00")));
    assert_false(cursor_ok(SPAN_LITERAL("\x94\xa0\xc4\x00\x00\xc4\x00")));
    assert_false(cursor_ok(SPAN_LITERAL("\x94\xa4pool\xc4\x01"
                                        "e\x00\xc4\x00")));
    assert_false(cursor_ok(SPAN_LITERAL("\x94\xa4pool\xc4\x00\x00\xc4\x01t")));
    assert_false(cursor_ok(SPAN_LITERAL("\x94\xa4pool\xc4\x00\xff\xc4\x00")));
    assert_false(cursor_ok(SPAN_LITERAL("\x93\xa4pool\xc4\x00\x00")));
    assert_false(cursor_ok(SPAN_LITERAL("\xc0")));
}

static void pages_are_held_to_their_form(void **state) {
    (void)state;
    assert_true(page_ok(SPAN_LITERAL("\x97\xa4pool" EPOCH "\x07" TAG "\xc3\x92\x90\x90\xc0")));
    assert_true(page_ok(SPAN_LITERAL("\x97\xa4pool" EPOCH "\x07" TAG "\xc2\x92\x90\x90" EPOCH)));
    assert_true(page_ok(SPAN_LITERAL("\x98\xa4pool" EPOCH "\x07" TAG "\xc2\x92\x90\x90\xc0\x03")));
    assert_false(page_ok(SPAN_LITERAL("\x97\xa4pool" EPOCH "\x07" TAG "\xc2\x92\x90\x90\xc4\x08"
                                      "dddddddd")));
    assert_false(page_ok(SPAN_LITERAL("\x97\xa4pool" EPOCH "\x07" TAG "\xc2\x92\x90\x90\xc4\x00")));
    assert_false(page_ok(SPAN_LITERAL("\x97\xa4pool" EPOCH "\x07" TAG "\x01\x92\x90\x90\xc0")));
    assert_false(page_ok(SPAN_LITERAL("\x97\xa4pool\xc4\x01"
                                      "e\x07" TAG "\xc2\x92\x90\x90\xc0")));
    assert_false(page_ok(SPAN_LITERAL("\x96\xa4pool" EPOCH "\x07" TAG "\xc2\x92\x90\x90")));
}

static void a_page_without_changes_holds_an_empty_list(void **state) {
    (void)state;
    buf b = {0};
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .seq = 7}};
    page_put(&b, &p);
    assert_true(span_equal(buf_span(&b), SPAN_LITERAL("\x97\xa4pool\xc4\x00\x07\xc4\x00\xc2\x92\x90\x90\xc0")));
    buf_fini(&b);
}

static void ids_of_a_page_come_back_as_they_were_put(void **state) {
    (void)state;
    const span one = SPAN_LITERAL("\x91" EPOCH), two = SPAN_LITERAL("\x92" EPOCH "\xc4\x10gggggggggggggggQ");
    buf b = {0};
    page p = {.cursor = {.scope = SPAN_LITERAL("pool"), .seq = 7}, .start = true, .whole = one, .erased = two}, back;
    p.joined = one;
    p.cursor.generation = 300;
    p.again = true;
    p.cursor.forgot = 70000;
    page_put(&b, &p);
    wire_reader r = wire_open(buf_span(&b));
    assert_true(page_take(&r, &back) && wire_done(&r));
    assert_true(back.start && span_equal(back.whole, one) && back.left.size == 0 && span_equal(back.erased, two));
    assert_true(back.again && span_equal(back.joined, one) && back.cursor.generation == 300);
    assert_int_equal(back.cursor.forgot, 70000);
    uint32_t left;
    wire_reader ids = page_ids(back.erased, &left);
    assert_int_equal(left, 2);
    assert_memory_equal(page_next_id(&ids).bytes, "eeeeeeeeeeeeeeee", 16);
    assert_memory_equal(page_next_id(&ids).bytes, "gggggggggggggggQ", 16);
    assert_true(wire_done(&ids));
    page_ids(back.left, &left);
    assert_int_equal(left, 0);
    buf_fini(&b);
}

static void ids_of_a_page_are_held_to_their_form(void **state) {
    (void)state;
#define HEAD "\xa4pool" EPOCH "\x07" TAG "\xc2\x92\x90\x90\xc0"
    assert_true(page_ok(SPAN_LITERAL("\x99" HEAD "\x00\xc2")));
    assert_true(page_ok(SPAN_LITERAL("\x9f" HEAD "\x00\xc3\x90\x90\x90\x90\x00\xc3")));
    assert_false(page_ok(SPAN_LITERAL("\x99" HEAD "\x00\xc3"))); /* a re-read begins, and the page is of none */
    assert_false(page_ok(SPAN_LITERAL("\x99" HEAD "\x00\x01")));
    assert_false(page_ok(SPAN_LITERAL("\x98" HEAD "\x08"))); /* behind its own beginning */
    assert_true(page_ok(SPAN_LITERAL("\x9a" HEAD "\x00\xc2\x91" EPOCH)));
    assert_true(page_ok(SPAN_LITERAL("\xdc\x00\x12" HEAD "\x00\xc2\x90\x90\x91" EPOCH "\x90\x05\xc3\x90\x09\xa1x")));
    assert_false(page_ok(SPAN_LITERAL("\x9d" HEAD "\x00\xc2\x90\x90\x90\x07")));
    assert_false(page_ok(SPAN_LITERAL("\x9a" HEAD "\x00\xc2\x91" TAG)));
    assert_false(page_ok(SPAN_LITERAL("\x9a" HEAD "\x00\xc2\x92" TAG EPOCH)));
    assert_false(page_ok(SPAN_LITERAL("\x9b" HEAD "\x00\xc2\x90\xc0")));
    assert_false(page_ok(SPAN_LITERAL("\x9c" HEAD "\x00\xc2\x90\x90\x91\x07")));
#undef HEAD
}

static void verdicts_are_held_to_their_form(void **state) {
    (void)state;
    assert_true(verdict_ok(SPAN_LITERAL("\x94\x00\xff\x00\xa0")));
    assert_true(verdict_ok(SPAN_LITERAL("\x94\xce\xff\xff\xff\xff\xce\x7f\xff\xff\xff\x03\xa1x")));
    assert_true(verdict_ok(SPAN_LITERAL("\x95\x00\x00\x02\xa1x\xc0")));
    assert_false(verdict_ok(SPAN_LITERAL("\x94\x00\xfe\x00\xa0")));
    assert_false(verdict_ok(SPAN_LITERAL("\x94\x00\xce\x80\x00\x00\x00\x00\xa0")));
    assert_false(verdict_ok(SPAN_LITERAL("\x94\xcf\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xa0")));
    assert_false(verdict_ok(SPAN_LITERAL("\x94\x00\x00\x04\xa0")));
    assert_false(verdict_ok(SPAN_LITERAL("\x94\x00\x00\x00\xc0")));
    assert_false(verdict_ok(SPAN_LITERAL("\x93\x00\x00\x00")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cursors_are_held_to_their_form),
        cmocka_unit_test(pages_are_held_to_their_form),
        cmocka_unit_test(a_page_without_changes_holds_an_empty_list),
        cmocka_unit_test(ids_of_a_page_come_back_as_they_were_put),
        cmocka_unit_test(ids_of_a_page_are_held_to_their_form),
        cmocka_unit_test(verdicts_are_held_to_their_form),
    };
    return cmocka_run_group_tests_name("unit_page", tests, NULL, NULL);
}
