/* test_nomem.c - proto/ when memory runs out: each allocation in turn fails once, nothing leaks, nothing is half done.
 *
 * The C library's allocator is replaced in this one program. Sanitizers bring their own, so under them the tests are skipped. */
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

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#define OWN_ALLOCATOR !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define OWN_ALLOCATOR 1
#endif

static int fail_at = -1; /* allocations until the one that fails; negative: none does */
static int allocations;

#if OWN_ALLOCATOR
/* glibc's allocator under its other names. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

static int due(void) {
    allocations++;
    return fail_at >= 0 && fail_at-- == 0;
}

void *malloc(size_t size) {
    return due() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return due() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    return due() ? NULL : __libc_realloc(old, size);
}
#endif

static void need_own_allocator(void) {
    if (!OWN_ALLOCATOR)
        skip();
}

static void a_buffer_that_cannot_grow_keeps_what_it_has(void **state) {
    (void)state;
    need_own_allocator();
    buf b = {0};
    buf_append(&b, "abc", 3);
    fail_at = 0;
    bool reserved = buf_reserve(&b, 1000);
    fail_at = -1;
    assert_false(reserved);
    assert_true(b.failed && b.size == 3);
    buf_fini(&b);
}

static void a_list_of_changes_that_cannot_be_opened_is_closed(void **state) {
    (void)state;
    need_own_allocator();
    span raw = SPAN_LITERAL("\x92\x92\xc4\x0cssssssssssss\x00\x90");
    for (int i = 0; i < 2; i++) {
        changes_reader r;
        lp_error error;
        fail_at = i;
        lp_err err = changes_open(&r, raw, &error);
        fail_at = -1;
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
    fail_at = 0;
    merge_outcome outcome = merge_change(&rec, &change, &before);
    fail_at = 0;
    lp_err err = record_unpack(&rec, SPAN_LITERAL("\x02\x01"), SPAN_LITERAL("\x01ssssssssssss\x01\x00"), NULL);
    fail_at = -1;
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
    assert_true(crypto_verify(span_of(key, sizeof key), SPAN_LITERAL("x"), span_of(signature, sizeof signature)));
    int failures[5] = {0};
    for (int i = 0; i < 40; i++) {
        uint8_t other_key[CRYPTO_KEY_BYTES], other[CRYPTO_SIGNATURE_BYTES];
        buf text = {0}, back = {0};
        crypto_mac *mac;
        fail_at = i;
        lp_err made = crypto_public_key(seed, other_key, NULL);
        fail_at = i;
        lp_err signed_ok = crypto_sign(seed, SPAN_LITERAL("x"), other, NULL);
        fail_at = i;
        bool verified =
            crypto_verify(span_of(key, sizeof key), SPAN_LITERAL("x"), span_of(signature, sizeof signature));
        fail_at = i;
        mac = crypto_mac_new(seed);
        fail_at = i;
        bool read = crypto_base64url_read(&back, SPAN_LITERAL("AAAA"));
        fail_at = -1;
        failures[0] += made == LP_NOMEM;
        failures[1] += signed_ok == LP_NOMEM;
        failures[2] += !verified;
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
    allocations = 0;
    crypto_sha256_two(SPAN_LITERAL("leadpool digest 1"), id_span(&pool), hash);
    int hashing = allocations;
    for (int i = 0; i < 2; i++) {
        fail_at = hashing + i;
        lp_err err = digester_new(&pool, &d, NULL);
        fail_at = -1;
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
