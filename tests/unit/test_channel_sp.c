/* test_channel_sp.c - nng's message framing: layout, limits, cuts; and the fifo under it. */
#include "channel_ends.h"

#include "proto/channel/sp.h"

static void message_has_the_layout_of_nng(void **state) {
    (void)state;
    const uint8_t expected[] = {0, 'S', 'P', 0, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0x80, 0, 0, 7, 'h', 'i'};
    buf out = {0};
    sp_append_header(&out, SP_REQ);
    sp_append_message(&out, 7, SPAN_LITERAL("hi"));
    assert_true(span_equal(buf_span(&out), span_of(expected, sizeof expected)));
    assert_true(sp_header_is(span_of(expected, 8), SP_REQ));
    assert_false(sp_header_is(span_of(expected, 8), SP_REP));
    assert_false(sp_header_is(span_of(expected, 7), SP_REQ));
    buf_fini(&out);
}

static void message_cut_at_any_byte_is_not_taken(void **state) {
    (void)state;
    buf wire = {0};
    sp_append_message(&wire, 0x80000001, SPAN_LITERAL("whole or not at all"));
    for (size_t size = 0; size <= wire.size; size++) {
        fifo in = {0};
        bool found;
        sp_message message;
        buf_append(fifo_tail(&in), wire.data, size);
        assert_int_equal(sp_take_message(&in, 100, &found, &message, NULL), LP_OK);
        assert_int_equal(found, size == wire.size);
        assert_int_equal(fifo_span(&in).size, found ? 0 : size);
        fifo_fini(&in);
    }
    buf_fini(&wire);
}

static lp_err take_raw(const uint8_t *bytes, size_t size, lp_error *error) {
    fifo in = {0};
    bool found;
    sp_message message;
    buf_append(fifo_tail(&in), bytes, size);
    lp_err err = sp_take_message(&in, 1000, &found, &message, error);
    assert_false(found);
    fifo_fini(&in);
    return err;
}

static void length_over_the_limit_is_refused_before_its_bytes(void **state) {
    (void)state;
    const uint8_t one_over[] = {0, 0, 0, 0, 0, 0, 0x03, 0xED};
    const uint8_t exact[] = {0, 0, 0, 0, 0, 0, 0x03, 0xEC};
    const uint8_t four_gib[] = {0, 0, 0, 1, 0, 0, 0, 0};
    const uint8_t largest[] = {255, 255, 255, 255, 255, 255, 255, 255};
    assert_int_equal(take_raw(exact, 8, NULL), LP_OK);
    assert_int_equal(take_raw(one_over, 8, NULL), LP_TOO_LARGE);
    assert_int_equal(take_raw(four_gib, 8, NULL), LP_TOO_LARGE);
    assert_int_equal(take_raw(largest, 8, NULL), LP_TOO_LARGE);
}

static void message_without_a_whole_id_is_refused(void **state) {
    (void)state;
    for (uint8_t length = 0; length < 4; length++) {
        const uint8_t bytes[12] = {0, 0, 0, 0, 0, 0, 0, length, 0x80};
        assert_int_equal(take_raw(bytes, sizeof bytes, NULL), LP_PROTOCOL);
    }
}

static void hop_of_a_device_is_refused_with_advice(void **state) {
    (void)state;
    const uint8_t bytes[] = {0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0x80, 0, 0, 1};
    lp_error error;
    assert_int_equal(take_raw(bytes, sizeof bytes, &error), LP_UNSUPPORTED);
    ends_assert_contains(error.message, "device");
}

static void fifo_keeps_order_under_random_use(void **state) {
    (void)state;
    fifo f = {0};
    uint64_t written = 0;
    uint64_t read = 0;
    for (int i = 0; i < 20000; i++) {
        uint8_t chunk[300];
        size_t size = ends_random(sizeof chunk);
        for (size_t k = 0; k < size; k++)
            chunk[k] = (uint8_t)(written++ % 251);
        buf_append(fifo_tail(&f), chunk, size);
        span left = fifo_span(&f);
        size_t count = ends_random(left.size + 1);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(left.data[k], read++ % 251);
        fifo_take(&f, count);
        if (i % 7 == 0)
            fifo_trim(&f);
    }
    assert_int_equal(fifo_span(&f).size, written - read);
    fifo_fini(&f);
}

int main(void) {
    ends_start("unit_channel_sp");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_has_the_layout_of_nng),
        cmocka_unit_test(message_cut_at_any_byte_is_not_taken),
        cmocka_unit_test(length_over_the_limit_is_refused_before_its_bytes),
        cmocka_unit_test(message_without_a_whole_id_is_refused),
        cmocka_unit_test(hop_of_a_device_is_refused_with_advice),
        cmocka_unit_test(fifo_keeps_order_under_random_use),
    };
    return cmocka_run_group_tests_name("channel_sp", tests, NULL, NULL);
}
