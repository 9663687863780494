/* test_nomem.c - proto/ when memory runs out: each allocation in turn fails once, nothing leaks, nothing is half done.
 *
 * Under sanitizers, which bring an allocator of their own, the tests are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/change.h"
#include "proto/crypto.h"
#include "proto/digest.h"
#include "proto/merge.h"
#include "proto/schema.h"
#include "tests/support/short_memory.h"

static void need_own_allocator(void) {
    if (!short_memory_works())
        skip();
}

static void a_buffer_that_cannot_grow_keeps_what_it_has(void **state) {
    (void)state;
    need_own_allocator();
    buf b = {0};
    buf_append(&b, "abc", 3);
    short_memory_fail(0, 1);
    bool reserved = buf_reserve(&b, 1000);
    short_memory_end();
    assert_false(reserved);
    assert_true(b.failed && b.size == 3);
    buf_fini(&b);
}

static void a_list_of_changes_that_cannot_be_opened_is_closed(void **state) {
    (void)state;
    need_own_allocator();
    span raw = SPAN_LITERAL("\x92\x92\xc4\x0cssssssssssss\x00\x90");
    for (uint64_t i = 0; i < 3; i++) {
        changes_reader r;
        lp_error error;
        short_memory_fail(i, 1);
        lp_err err = changes_open(&r, raw, &error);
        short_memory_end();
        assert_int_equal(err, LP_NOMEM);
        changes_close(&r);
    }
}

static void a_change_that_finds_no_memory_changes_nothing(void **state) {
    (void)state;
    need_own_allocator();
    lp_id id = {{1}};
    record rec;
    reg before, change = {.field = LEAD_COMPANY, .value = SPAN_LITERAL("\xa1x"), .stamp = {1, 1}};
    record_init(&rec, KIND_LEAD, &id);
    short_memory_fail(0, 1);
    merge_outcome outcome = merge_change(&rec, &change, &before);
    short_memory_fail(0, 1);
    lp_err err = record_unpack(&rec, SPAN_LITERAL("\x02\x01"), SPAN_LITERAL("\x01ssssssssssss\x01\x00"), NULL);
    short_memory_end();
    assert_int_equal(outcome, MERGE_NOMEM);
    assert_int_equal(err, LP_NOMEM);
    assert_int_equal(rec.count, 0);
    record_fini(&rec);
}

static void keys_and_signatures_report_it(void **state) {
    (void)state;
    need_own_allocator();
    uint8_t seed[CRYPTO_SEED_BYTES] = {1}, key[CRYPTO_KEY_BYTES], signature[CRYPTO_SIGNATURE_BYTES];
    /* Once with memory, so that OpenSSL has set itself up. */
    assert_int_equal(crypto_public_key(seed, key, NULL), LP_OK);
    assert_int_equal(crypto_sign(seed, SPAN_LITERAL("x"), signature, NULL), LP_OK);
    assert_int_equal(
        crypto_verify(span_of(key, sizeof key), SPAN_LITERAL("x"), span_of(signature, sizeof signature), NULL), LP_OK);
    int failures[5] = {0};
    for (uint64_t i = 0; i < 40; i++) {
        uint8_t other_key[CRYPTO_KEY_BYTES], other[CRYPTO_SIGNATURE_BYTES];
        buf text = {0}, back = {0};
        crypto_mac *mac;
        short_memory_fail(i, 1);
        lp_err made = crypto_public_key(seed, other_key, NULL);
        short_memory_fail(i, 1);
        lp_err signed_ok = crypto_sign(seed, SPAN_LITERAL("x"), other, NULL);
        short_memory_fail(i, 1);
        lp_err verified =
            crypto_verify(span_of(key, sizeof key), SPAN_LITERAL("x"), span_of(signature, sizeof signature), NULL);
        short_memory_fail(i, 1);
        mac = crypto_mac_new(seed);
        short_memory_fail(i, 1);
        bool read = crypto_base64url_read(&back, SPAN_LITERAL("AAAA"));
        short_memory_end();
        failures[0] += made == LP_NOMEM;
        failures[1] += signed_ok == LP_NOMEM;
        failures[2] += verified == LP_NOMEM;
        failures[3] += !mac;
        failures[4] += !read;
        assert_true(made == LP_NOMEM || made == LP_OK);
        assert_true(read || back.size == 0);
        crypto_mac_free(mac);
        buf_fini(&text);
        buf_fini(&back);
    }
    for (int i = 0; i < 5; i++)
        assert_true(failures[i] > 0 && failures[i] < 40);
}

/* digester_new hashes first, and a hash without memory is a reason to stop the program: those allocations are let through. */
static void a_digester_that_finds_no_memory_is_not_made(void **state) {
    (void)state;
    need_own_allocator();
    lp_id pool = {{1}};
    uint8_t hash[CRYPTO_HASH_BYTES];
    digester *d;
    assert_int_equal(digester_new(&pool, &d, NULL), LP_OK);
    digester_free(d);
    short_memory_fail(UINT64_MAX, 0);
    crypto_sha256_two(SPAN_LITERAL("leadpool digest 1"), id_span(&pool), hash);
    uint64_t hashing = short_memory_end();
    for (uint64_t i = 0; i < 2; i++) {
        short_memory_fail(hashing + i, 1);
        lp_err err = digester_new(&pool, &d, NULL);
        short_memory_end();
        assert_int_equal(err, LP_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_that_cannot_grow_keeps_what_it_has),
        cmocka_unit_test(a_list_of_changes_that_cannot_be_opened_is_closed),
        cmocka_unit_test(a_change_that_finds_no_memory_changes_nothing),
        cmocka_unit_test(keys_and_signatures_report_it),
        cmocka_unit_test(a_digester_that_finds_no_memory_is_not_made),
    };
    return cmocka_run_group_tests_name("unit_nomem", tests, NULL, NULL);
}
