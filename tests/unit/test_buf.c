/* test_buf.c - spans, growable bytes and the error convention. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <wchar.h>

#include "proto/buf.h"
#include "proto/err.h"

static void spans_compare_as_bytes_shorter_first(void **state) {
    (void)state;
    assert_true(span_equal(span_of("ab", 2), SPAN_LITERAL("ab")));
    assert_false(span_equal(SPAN_LITERAL("ab"), SPAN_LITERAL("ac")));
    assert_false(span_equal(SPAN_LITERAL("ab"), SPAN_LITERAL("abc")));
    assert_true(span_equal((span){0}, span_text("")));
    assert_int_equal(span_text(NULL).size, 0);
    assert_true(span_compare(SPAN_LITERAL("a"), SPAN_LITERAL("ab")) < 0);
    assert_true(span_compare(SPAN_LITERAL("b"), SPAN_LITERAL("ab")) > 0);
    assert_true(span_compare(SPAN_LITERAL("\xff"), SPAN_LITERAL("a")) > 0);
    assert_true(span_compare((span){0}, SPAN_LITERAL("a")) < 0);
    assert_int_equal(span_compare((span){0}, (span){0}), 0);
    assert_int_equal(span_compare(SPAN_LITERAL("ab"), SPAN_LITERAL("ab")), 0);
}

static void spans_are_taken_from_the_front(void **state) {
    (void)state;
    span s = SPAN_LITERAL("abc"), taken, none = {0};
    assert_true(span_take(&s, 2, &taken));
    assert_true(span_equal(taken, SPAN_LITERAL("ab")) && span_equal(s, SPAN_LITERAL("c")));
    assert_false(span_take(&s, 2, &taken));
    assert_true(span_take(&s, 1, &taken));
    assert_true(span_take(&none, 0, &taken));
    assert_int_equal(taken.size, 0);
}

static void bytes_are_appended_and_consumed(void **state) {
    (void)state;
    buf b;
    buf_init(&b);
    for (int i = 0; i < 1000; i++)
        buf_append_byte(&b, (uint8_t)i);
    buf_append_span(&b, SPAN_LITERAL("end"));
    buf_append(&b, NULL, 0);
    assert_int_equal(b.size, 1003);
    buf_consume(&b, 0);
    buf_consume(&b, 1000);
    assert_true(span_equal(buf_span(&b), SPAN_LITERAL("end")));
    buf_clear(&b);
    assert_int_equal(b.size, 0);
    buf_fini(&b);
    buf_fini(&b);
    assert_null(b.data);
}

static void a_failed_buffer_stays_as_it_was_until_cleared(void **state) {
    (void)state;
    buf b = {0};
    buf_append_byte(&b, 'x');
    assert_false(buf_reserve(&b, SIZE_MAX));
    assert_true(b.failed);
    buf_append_byte(&b, 'y');
    assert_false(buf_reserve(&b, 0));
    assert_int_equal(b.size, 1);
    buf_clear(&b);
    buf_append_byte(&b, 'y');
    assert_int_equal(b.data[0], 'y');
    buf_fini(&b);
}

static void varints_come_back_at_every_width(void **state) {
    (void)state;
    for (int bits = 0; bits <= 64; bits++) {
        uint64_t value = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, back;
        for (int plus = 0; plus < 2 && value + (uint64_t)plus >= value; plus++) {
            buf b = {0};
            buf_append_varint(&b, value + (uint64_t)plus);
            span s = buf_span(&b);
            assert_true(span_take_varint(&s, &back));
            assert_int_equal(back, value + (uint64_t)plus);
            assert_int_equal(s.size, 0);
            for (size_t cut = 0; cut < b.size; cut++) {
                s = span_of(b.data, cut);
                assert_false(span_take_varint(&s, &back));
            }
            buf_fini(&b);
        }
    }
}

static void varints_beyond_64_bits_are_refused(void **state) {
    (void)state;
    uint64_t value;
    span too_big = SPAN_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    span too_long = SPAN_LITERAL("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
    span greatest = SPAN_LITERAL("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    assert_false(span_take_varint(&too_big, &value));
    assert_false(span_take_varint(&too_long, &value));
    assert_true(span_take_varint(&greatest, &value));
    assert_int_equal(value, UINT64_MAX);
}

static void an_error_is_one_clean_line(void **state) {
    (void)state;
    lp_error e;
    assert_int_equal(err_set(&e, LP_INVALID, "a\nb\x1b[1m %s\x7f", "c"), LP_INVALID);
    assert_int_equal(e.code, LP_INVALID);
    assert_string_equal(e.message, "a b [1m c ");
    assert_int_equal(err_set(NULL, LP_BUSY, "%s", "x"), LP_BUSY);
    assert_int_equal(err_plain(&e, LP_FULL), LP_FULL);
    assert_string_equal(e.message, lp_err_text(LP_FULL));
}

static void a_long_error_is_cut_between_characters(void **state) {
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe5\x85\xac", "\xf0\x9f\x98\x80"};
    for (size_t c = 0; c < 4; c++)
        for (int pad = 0; pad < 4; pad++) {
            char text[600] = "xxx";
            size_t at = (size_t)pad, size = strlen(characters[c]);
            while (at + size < sizeof text) {
                memcpy(text + at, characters[c], size);
                at += size;
            }
            text[at] = '\0';
            lp_error e;
            err_set(&e, LP_INVALID, "%s", text);
            size_t kept = strlen(e.message);
            assert_true(kept > LP_ERROR_MESSAGE_BYTES - 5 && kept < LP_ERROR_MESSAGE_BYTES);
            assert_int_equal((kept - (size_t)pad) % size, 0);
        }
    char tails[400];
    memset(tails, 0x80, sizeof tails); /* no beginning anywhere: nothing to cut at */
    tails[sizeof tails - 1] = '\0';
    lp_error e;
    err_set(&e, LP_INVALID, "%s", tails);
    assert_int_equal(strlen(e.message), LP_ERROR_MESSAGE_BYTES - 1);
}

static void an_error_that_cannot_be_printed_is_empty(void **state) {
    (void)state;
    lp_error e;
    volatile wint_t no_character = 0x7fffffff;
    assert_int_equal(err_set(&e, LP_IO, "%lc", no_character), LP_IO);
    assert_string_equal(e.message, "");
}

static void every_error_has_name_sentence_and_exit_status(void **state) {
    (void)state;
#define E(name, number, exit_code, sentence)                                                                           \
    assert_string_equal(lp_err_name((lp_err)number), #name);                                                           \
    assert_string_equal(lp_err_text((lp_err)number), sentence);                                                        \
    assert_int_equal(lp_err_exit_code((lp_err)number), exit_code);
#include "leadpool/errors.def"
#undef E
    assert_string_equal(lp_err_name((lp_err)9999), "UNKNOWN");
    assert_non_null(lp_err_text((lp_err)9999));
    assert_int_equal(lp_err_exit_code((lp_err)9999), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_compare_as_bytes_shorter_first),
        cmocka_unit_test(spans_are_taken_from_the_front),
        cmocka_unit_test(bytes_are_appended_and_consumed),
        cmocka_unit_test(a_failed_buffer_stays_as_it_was_until_cleared),
        cmocka_unit_test(varints_come_back_at_every_width),
        cmocka_unit_test(varints_beyond_64_bits_are_refused),
        cmocka_unit_test(an_error_is_one_clean_line),
        cmocka_unit_test(a_long_error_is_cut_between_characters),
        cmocka_unit_test(an_error_that_cannot_be_printed_is_empty),
        cmocka_unit_test(every_error_has_name_sentence_and_exit_status),
    };
    return cmocka_run_group_tests_name("unit_buf", tests, NULL, NULL);
}
