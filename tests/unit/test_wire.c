/* test_wire.c - the scan lets through one form of each value and nothing that could hurt; the cursor and the writer agree with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

#define BYTES(...) span_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* The bytes are copied to memory of their exact size, so that AddressSanitizer sees a read past the end. */
static lp_err scan(span bytes) {
    uint8_t *exact = malloc(bytes.size ? bytes.size : 1);
    assert_non_null(exact);
    if (bytes.size)
        memcpy(exact, bytes.data, bytes.size);
    lp_error error = {.code = LP_OK};
    lp_err err = wire_scan(span_of(exact, bytes.size), &error);
    assert_true(err == LP_OK || (error.code == err && error.message[0]));
    free(exact);
    return err;
}

static void assert_refused_everywhere(span bytes) {
    assert_int_equal(scan(bytes), LP_PROTOCOL);
    buf nested = {0};
    wire_put_array(&nested, 1);
    buf_append_span(&nested, bytes);
    assert_int_equal(scan(buf_span(&nested)), LP_PROTOCOL);
    buf_fini(&nested);
}

/* Every first byte, followed by zeros: which begin an object, and how many bytes it has. */
static void every_first_byte_is_judged(void **state) {
    (void)state;
    for (int first = 0; first < 256; first++) {
        size_t taken = 0; /* 0: not accepted */
        if (first < 0x80 || first >= 0xe0 || first == 0xc0 || first == 0xc2 || first == 0xc3)
            taken = 1;
        else if (first < 0x90)
            taken = 1 + 2 * (size_t)(first & 15);
        else if (first < 0xa0)
            taken = 1 + (size_t)(first & 15);
        else if (first == 0xa0)
            taken = 1; /* other texts would hold NUL */
        else if (first == 0xc4)
            taken = 2; /* empty bin */
        else if (first == 0xcb)
            taken = 9; /* 0.0 */
        uint8_t bytes[64] = {(uint8_t)first};
        for (size_t size = 1; size < sizeof bytes; size++)
            assert_int_equal(scan(span_of(bytes, size)), size == taken ? LP_OK : LP_PROTOCOL);
    }
}

static void numbers_have_one_form(void **state) {
    (void)state;
    /* The least and greatest of each form pass; one that fits the form before it does not. */
    assert_int_equal(scan(BYTES(0xcc, 0x80)), LP_OK);
    assert_int_equal(scan(BYTES(0xcc, 0xff)), LP_OK);
    assert_int_equal(scan(BYTES(0xcd, 0x01, 0x00)), LP_OK);
    assert_int_equal(scan(BYTES(0xcd, 0xff, 0xff)), LP_OK);
    assert_int_equal(scan(BYTES(0xce, 0x00, 0x01, 0x00, 0x00)), LP_OK);
    assert_int_equal(scan(BYTES(0xcf, 0, 0, 0, 1, 0, 0, 0, 0)), LP_OK);
    assert_int_equal(scan(BYTES(0xcf, 255, 255, 255, 255, 255, 255, 255, 255)), LP_OK);
    assert_int_equal(scan(BYTES(0xd0, 0xdf)), LP_OK); /* -33 */
    assert_int_equal(scan(BYTES(0xd0, 0x80)), LP_OK);
    assert_int_equal(scan(BYTES(0xd1, 0xff, 0x7f)), LP_OK); /* -129 */
    assert_int_equal(scan(BYTES(0xd2, 0xff, 0xff, 0x7f, 0xff)), LP_OK);
    assert_int_equal(scan(BYTES(0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff)), LP_OK);
    assert_int_equal(scan(BYTES(0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0)), LP_OK);
    assert_refused_everywhere(BYTES(0xcc, 0x7f));
    assert_refused_everywhere(BYTES(0xcd, 0x00, 0xff));
    assert_refused_everywhere(BYTES(0xce, 0x00, 0x00, 0xff, 0xff));
    assert_refused_everywhere(BYTES(0xcf, 0, 0, 0, 0, 255, 255, 255, 255));
    assert_refused_everywhere(BYTES(0xd0, 0x01)); /* not negative */
    assert_refused_everywhere(BYTES(0xd0, 0x7f));
    assert_refused_everywhere(BYTES(0xd0, 0xe0)); /* -32 */
    assert_refused_everywhere(BYTES(0xd0, 0xff));
    assert_refused_everywhere(BYTES(0xd1, 0x01, 0x00));
    assert_refused_everywhere(BYTES(0xd1, 0xff, 0x80)); /* -128 */
    assert_refused_everywhere(BYTES(0xd2, 0x7f, 0xff, 0xff, 0xff));
    assert_refused_everywhere(BYTES(0xd2, 0xff, 0xff, 0x80, 0x00));
    assert_refused_everywhere(BYTES(0xd3, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
    assert_refused_everywhere(BYTES(0xd3, 0xff, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00));
}

/* An object of `count` bytes or elements under a header of `head` bytes: first byte, then the count in `head - 1` bytes. */
static lp_err scan_sized(uint8_t first, size_t head, uint64_t count, size_t body, uint8_t fill) {
    buf b = {0};
    buf_append_byte(&b, first);
    for (size_t i = 1; i < head; i++)
        buf_append_byte(&b, (uint8_t)(count >> (8 * (head - 1 - i))));
    for (size_t i = 0; i < body; i++)
        buf_append_byte(&b, fill);
    lp_err err = scan(buf_span(&b));
    buf_fini(&b);
    return err;
}

static void lengths_have_one_form(void **state) {
    (void)state;
    struct {
        uint8_t first;
        size_t head, least, width;
    } forms[] = {{0xc4, 2, 0, 1},     {0xc5, 3, 256, 1}, {0xc6, 5, 65536, 1}, {0xd9, 2, 32, 1}, {0xda, 3, 256, 1},
                 {0xdb, 5, 65536, 1}, {0xdc, 3, 16, 1},  {0xdd, 5, 65536, 1}, {0xde, 3, 16, 2}, {0xdf, 5, 65536, 2}};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t least = forms[i].least, width = forms[i].width;
        assert_int_equal(scan_sized(forms[i].first, forms[i].head, least, least * width, 'a'), LP_OK);
        assert_int_equal(scan_sized(forms[i].first, forms[i].head, least + 1, (least + 1) * width, 'a'), LP_OK);
        if (least)
            assert_int_equal(scan_sized(forms[i].first, forms[i].head, least - 1, (least - 1) * width, 'a'),
                             LP_PROTOCOL);
        assert_int_equal(scan_sized(forms[i].first, forms[i].head, least + 1, least * width, 'a'), LP_PROTOCOL);
        assert_int_equal(scan_sized(forms[i].first, forms[i].head, least, least * width + 1, 'a'), LP_PROTOCOL);
    }
}

static void extensions_float32_and_the_unused_byte_are_refused(void **state) {
    (void)state;
    uint8_t bytes[40] = {0};
    static const uint8_t firsts[] = {0xc1, 0xc7, 0xc8, 0xc9, 0xca, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8};
    for (size_t i = 0; i < sizeof firsts; i++)
        for (size_t size = 1; size <= sizeof bytes; size++) {
            bytes[0] = firsts[i];
            assert_refused_everywhere(span_of(bytes, size));
        }
}

static lp_err scan_real(uint64_t bits) {
    return scan_sized(0xcb, 9, bits, 0, 0);
}

static void reals_are_finite_and_zero_has_no_sign(void **state) {
    (void)state;
    assert_int_equal(scan_real(0), LP_OK);
    assert_int_equal(scan_real(1), LP_OK); /* the smallest denormal */
    assert_int_equal(scan_real(UINT64_C(0x7fefffffffffffff)), LP_OK);
    assert_int_equal(scan_real(UINT64_C(0xffefffffffffffff)), LP_OK);
    assert_int_equal(scan_real(UINT64_C(0x8000000000000001)), LP_OK);
    assert_int_equal(scan_real(UINT64_C(0x8000000000000000)), LP_PROTOCOL); /* -0 */
    assert_int_equal(scan_real(UINT64_C(0x7ff0000000000000)), LP_PROTOCOL);
    assert_int_equal(scan_real(UINT64_C(0xfff0000000000000)), LP_PROTOCOL);
    assert_int_equal(scan_real(UINT64_C(0x7ff8000000000000)), LP_PROTOCOL);
    assert_int_equal(scan_real(UINT64_C(0x7ff0000000000001)), LP_PROTOCOL);
}

static void eight_levels_pass_and_nine_do_not(void **state) {
    (void)state;
    for (uint8_t first = 0x81; first <= 0x91; first += 0x10) /* maps of one pair, arrays of one element */
        for (int depth = 1; depth < 20; depth++) {
            buf b = {0};
            for (int i = 0; i < depth; i++) {
                buf_append_byte(&b, first);
                if (first == 0x81)
                    buf_append_byte(&b, 1);
            }
            buf_append_byte(&b, 0xc0);
            assert_int_equal(scan(buf_span(&b)), depth <= WIRE_DEPTH_MAX ? LP_OK : LP_PROTOCOL);
            buf_fini(&b);
        }
}

static void bombs_are_refused_by_their_header(void **state) {
    (void)state;
    assert_refused_everywhere(BYTES(0xdd, 0xff, 0xff, 0xff, 0xff));
    assert_refused_everywhere(BYTES(0xdf, 0xff, 0xff, 0xff, 0xff));
    assert_refused_everywhere(BYTES(0xdf, 0x80, 0x00, 0x00, 0x01, 1, 1)); /* twice the count is 2 mod 2^32 */
    assert_refused_everywhere(BYTES(0xdb, 0xff, 0xff, 0xff, 0xff, 'a'));
    assert_refused_everywhere(BYTES(0xc6, 0xff, 0xff, 0xff, 0xff, 'a'));
    /* Arrays that each promise nearly all that is left. */
    buf b = {0};
    for (int i = 0; i < 8; i++) {
        buf_append(&b, "\xdd\x00\x01\x00\x00", 5);
    }
    for (int i = 0; i < 70000; i++)
        buf_append_byte(&b, 1);
    assert_int_equal(scan(buf_span(&b)), LP_PROTOCOL);
    buf_fini(&b);
}

static void a_message_has_at_most_a_mebibyte(void **state) {
    (void)state;
    size_t most = WIRE_MESSAGE_BYTES_MAX;
    assert_int_equal(scan_sized(0xc6, 5, most - 5, most - 5, 0), LP_OK);
    assert_int_equal(scan_sized(0xc6, 5, most - 4, most - 4, 0), LP_TOO_LARGE);
    assert_int_equal(wire_scan((span){0}, NULL), LP_PROTOCOL);
}

static void put_everything(buf *b) {
    static const char long_text[300] = "x";
    wire_put_map(b, 5);
    wire_put_text(b, SPAN_LITERAL("\xe7\x8e\x8b\xe4\xbc\x9f"));
    wire_put_array(b, 20);
    for (int i = 0; i < 20; i++)
        wire_put_i64(b, -(INT64_C(1) << (3 * i)));
    wire_put_u64(b, UINT64_MAX);
    wire_put_real(b, 0.1);
    wire_put_bytes(b, span_of(long_text, sizeof long_text));
    wire_put_nil(b);
    wire_put_bool(b, true);
    wire_put_map(b, 1);
    wire_put_bool(b, false);
    wire_put_text(b, SPAN_LITERAL("a text of more than thirty-one bytes in UTF-8"));
    wire_put_array(b, 0);
    wire_put_u64(b, 1 << 20);
}

static void a_message_cut_at_any_byte_is_refused(void **state) {
    (void)state;
    buf b = {0};
    put_everything(&b);
    assert_int_equal(scan(buf_span(&b)), LP_OK);
    for (size_t cut = 0; cut < b.size; cut++)
        assert_int_equal(scan(span_of(b.data, cut)), LP_PROTOCOL);
    buf_append_byte(&b, 0xc0);
    assert_int_equal(scan(buf_span(&b)), LP_PROTOCOL);
    buf_fini(&b);
}

static void only_well_formed_text_passes(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "abc",
                                       "\x01\x1f\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xe7\x8e\x8b\xe4\xbc\x9f \xf0\x9f\x98\x80",
                                       "\xf1\x80\x80\x80",
                                       "\xec\xbf\xbf",
                                       "\xe1\x80\x80",
                                       "\xf3\xbf\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "a\x80",
                                      "\xc2",
                                      "\xc2"
                                      "a",
                                      "\xc2\xc2",
                                      "\xe1\x80",
                                      "\xe1\x80"
                                      "a",
                                      "\xe1"
                                      "a\x80",
                                      "\xf1\x80\x80",
                                      "\xf1\x80\x80"
                                      "a",
                                      "\xf1"
                                      "a\x80\x80",
                                      "\xf1\x80"
                                      "a\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xf0\x80\x80\x80",
                                      "\xf0\x8f\xbf\xbf", /* overlong */
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xed\xa0\x80\xed\xb0\x80", /* surrogates */
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf8\x88\x80\x80\x80",
                                      "\xfe",
                                      "\xff" /* beyond U+10FFFF */};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(text_valid(span_text(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(text_valid(span_text(bad[i])));
        buf b = {0};
        wire_put_text(&b, span_text(bad[i]));
        assert_refused_everywhere(buf_span(&b));
        buf_fini(&b);
        b = (buf){0};
        wire_put_bytes(&b, span_text(bad[i])); /* bytes may be anything */
        assert_int_equal(scan(buf_span(&b)), LP_OK);
        buf_fini(&b);
    }
    assert_false(text_valid(SPAN_LITERAL("a\0b")));
    assert_false(text_valid(SPAN_LITERAL("\0")));
    assert_true(text_valid((span){0}));
}

static void every_code_point_passes_but_nul_and_surrogates(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x200000; c++) { /* four bytes hold up to U+1FFFFF */
        uint8_t b[4] = {(uint8_t)c};
        size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
        for (size_t i = size - 1; size > 1 && i > 0; i--)
            b[i] = (uint8_t)(0x80 | (c >> (6 * (size - 1 - i)) & 0x3F));
        if (size > 1)
            b[0] = (uint8_t)(lead[size] | c >> (6 * (size - 1)));
        bool wanted = c != 0 && (c < 0xD800 || c > 0xDFFF) && c < 0x110000;
        if (text_valid(span_of(b, size)) != wanted)
            fail_msg("U+%04X is judged wrongly", (unsigned)c);
    }
}

static void the_cursor_reads_what_was_written(void **state) {
    (void)state;
    buf b = {0};
    put_everything(&b);
    wire_reader r = wire_open(buf_span(&b));
    assert_int_equal(wire_map(&r), 5);
    assert_true(span_equal(wire_text(&r), SPAN_LITERAL("\xe7\x8e\x8b\xe4\xbc\x9f")));
    assert_int_equal(wire_peek(&r), WIRE_ARRAY);
    assert_int_equal(wire_array(&r), 20);
    for (int i = 0; i < 20; i++)
        assert_true(wire_i64(&r) == -(INT64_C(1) << (3 * i)));
    assert_true(wire_u64(&r) == UINT64_MAX);
    assert_true(wire_real(&r) == 0.1);
    assert_int_equal(wire_bytes(&r).size, 300);
    wire_nil(&r);
    assert_true(wire_bool(&r));
    assert_int_equal(wire_raw(&r).size, 1 + 1 + 2 + 45);
    assert_int_equal(wire_array(&r), 0);
    assert_false(wire_done(&r));
    assert_int_equal(wire_i64(&r), 1 << 20);
    assert_true(wire_done(&r));
    assert_int_equal(wire_peek(&r), WIRE_NONE);
    buf_fini(&b);
}

static void reading_another_type_fails_and_stays_failed(void **state) {
    (void)state;
    span nil = WIRE_NIL_SPAN;
#define FAILS(call)                                                                                                    \
    do {                                                                                                               \
        wire_reader r = wire_open(nil);                                                                                \
        call;                                                                                                          \
        assert_true(r.failed);                                                                                         \
        assert_false(wire_done(&r));                                                                                   \
        wire_nil(&r);                                                                                                  \
        assert_int_equal(wire_raw(&r).size, 0);                                                                        \
        assert_int_equal(wire_peek(&r), WIRE_NONE);                                                                    \
        assert_true(r.failed);                                                                                         \
    } while (0)
    FAILS(assert_false(wire_bool(&r)));
    FAILS(assert_int_equal(wire_u64(&r), 0));
    FAILS(assert_int_equal(wire_i64(&r), 0));
    FAILS(assert_true(wire_real(&r) == 0));
    FAILS(assert_int_equal(wire_text(&r).size, 0));
    FAILS(assert_int_equal(wire_bytes(&r).size, 0));
    FAILS(assert_int_equal(wire_array(&r), 0));
    FAILS(assert_int_equal(wire_map(&r), 0));
    nil = BYTES(0x01);
    FAILS(wire_nil(&r));
    nil = BYTES(0xff);
    FAILS(assert_int_equal(wire_u64(&r), 0)); /* negative */
    nil = BYTES(0xcf, 0x80, 0, 0, 0, 0, 0, 0, 0);
    FAILS(assert_int_equal(wire_i64(&r), 0)); /* above INT64_MAX */
    FAILS(assert_true(wire_real(&r) == 0));
    nil = (span){0};
    FAILS(assert_int_equal(wire_u64(&r), 0));
#undef FAILS
}

static void an_integer_reads_as_a_real(void **state) {
    (void)state;
    wire_reader r = wire_open(BYTES(0x93, 0xff, 0x07, 0xcb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0));
    assert_int_equal(wire_array(&r), 3);
    assert_true(wire_real(&r) == -1 && wire_real(&r) == 7 && wire_real(&r) == 1 && wire_done(&r));
}

/* A damaged file is read without a scan: the cursor must not leave its bytes. */
static void unscanned_lies_end_the_cursor(void **state) {
    (void)state;
    span lies[] = {BYTES(0xdd, 0xff, 0xff, 0xff, 0xff),
                   BYTES(0xdf, 0xff, 0xff, 0xff, 0xff),
                   BYTES(0xdb, 0xff, 0xff, 0xff, 0xff),
                   BYTES(0xc6, 0xff, 0xff, 0xff, 0xff),
                   BYTES(0xa5, 'a'),
                   BYTES(0x92, 0x01),
                   BYTES(0x82, 0x01, 0x01, 0x01),
                   BYTES(0xcd, 0x01)};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        uint8_t *exact = malloc(lies[i].size);
        assert_non_null(exact);
        memcpy(exact, lies[i].data, lies[i].size);
        span s = span_of(exact, lies[i].size);
        wire_reader r = wire_open(s);
        assert_int_equal(wire_raw(&r).size, 0);
        assert_true(r.failed);
        r = wire_open(s);
        assert_int_equal(wire_text(&r).size, 0);
        r = wire_open(s);
        assert_int_equal(wire_bytes(&r).size, 0);
        r = wire_open(s);
        assert_true(wire_array(&r) <= s.size);
        r = wire_open(s);
        assert_true(wire_map(&r) <= s.size);
        free(exact);
    }
}

static void integers_are_written_in_their_shortest_form(void **state) {
    (void)state;
    for (int bits = 0; bits < 64; bits++)
        for (int64_t off = -2; off <= 2; off++)
            for (int sign = 0; sign < 2; sign++) {
                uint64_t magnitude = (UINT64_C(1) << bits) + (uint64_t)off;
                int64_t value = (int64_t)(sign ? 0 - magnitude : magnitude);
                buf b = {0};
                wire_put_i64(&b, value);
                assert_int_equal(scan(buf_span(&b)), LP_OK);
                wire_reader r = wire_open(buf_span(&b));
                assert_true(wire_i64(&r) == value && wire_done(&r));
                buf_clear(&b);
                wire_put_u64(&b, magnitude);
                assert_int_equal(scan(buf_span(&b)), LP_OK);
                r = wire_open(buf_span(&b));
                assert_true(wire_u64(&r) == magnitude && wire_done(&r));
                buf_fini(&b);
            }
}

static void values_of_every_type_come_back(void **state) {
    (void)state;
    lp_value values[] = {
        {.type = LP_NULL},
        {.type = LP_BOOL, .integer = 1},
        {.type = LP_BOOL},
        {.type = LP_INT, .integer = INT64_MIN},
        {.type = LP_INT, .integer = INT64_MAX},
        {.type = LP_REAL, .real = -2.5},
        {.type = LP_TEXT, .data = "\xe7\x8e\x8b", .size = 3},
        {.type = LP_BYTES, .data = "\x00\xff", .size = 2},
        {.type = LP_OTHER, .data = "\x92\x01\xc0", .size = 3},
        {.type = LP_OTHER, .data = "\x81\x01\xc0", .size = 3},
        {.type = LP_OTHER, .data = "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", .size = 9},
    };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        buf b = {0};
        wire_put_value(&b, &values[i]);
        assert_int_equal(scan(buf_span(&b)), LP_OK);
        lp_value back = wire_value(buf_span(&b));
        assert_int_equal(back.type, values[i].type);
        assert_true(back.integer == values[i].integer && back.real == values[i].real && back.size == values[i].size);
        assert_true(span_equal(span_of(back.data, back.size), span_of(values[i].data, values[i].size)));
        buf_fini(&b);
    }
    lp_value beyond = {.type = LP_TYPE_FORCE_INT32};
    buf b = {0};
    wire_put_value(&b, &beyond);
    assert_true(span_equal(buf_span(&b), WIRE_NIL_SPAN));
    buf_clear(&b);
    wire_put_real(&b, -0.0);
    assert_int_equal(scan(buf_span(&b)), LP_OK);
    buf_fini(&b);
}

static void what_is_no_value_is_kept_as_it_is(void **state) {
    (void)state;
    assert_int_equal(wire_value((span){0}).type, LP_NULL);
    lp_value broken = wire_value(BYTES(0xc1, 0x01));
    assert_int_equal(broken.type, LP_OTHER);
    assert_int_equal(broken.size, 2);
    assert_int_equal(wire_value(BYTES(0xa5, 'a')).type, LP_OTHER);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_first_byte_is_judged),
        cmocka_unit_test(numbers_have_one_form),
        cmocka_unit_test(lengths_have_one_form),
        cmocka_unit_test(extensions_float32_and_the_unused_byte_are_refused),
        cmocka_unit_test(reals_are_finite_and_zero_has_no_sign),
        cmocka_unit_test(eight_levels_pass_and_nine_do_not),
        cmocka_unit_test(bombs_are_refused_by_their_header),
        cmocka_unit_test(a_message_has_at_most_a_mebibyte),
        cmocka_unit_test(a_message_cut_at_any_byte_is_refused),
        cmocka_unit_test(only_well_formed_text_passes),
        cmocka_unit_test(every_code_point_passes_but_nul_and_surrogates),
        cmocka_unit_test(the_cursor_reads_what_was_written),
        cmocka_unit_test(reading_another_type_fails_and_stays_failed),
        cmocka_unit_test(an_integer_reads_as_a_real),
        cmocka_unit_test(unscanned_lies_end_the_cursor),
        cmocka_unit_test(integers_are_written_in_their_shortest_form),
        cmocka_unit_test(values_of_every_type_come_back),
        cmocka_unit_test(what_is_no_value_is_kept_as_it_is),
    };
    return cmocka_run_group_tests_name("unit_wire", tests, NULL, NULL);
}
