/* test_crypto.c - hashes, signatures and texts against published vectors; the digest that is built on them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/crypto.h"
#include "proto/digest.h"
#include "tests/support/prop.h"

static void assert_hex(span bytes, const char *wanted) {
    char text[200];
    crypto_hex(bytes, text);
    assert_string_equal(text, wanted);
}

static void sha256_is_that_of_fips_180(void **state) {
    (void)state;
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256(SPAN_LITERAL("abc"), hash);
    assert_hex(span_of(hash, 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256_two(SPAN_LITERAL("a"), SPAN_LITERAL("bc"), hash);
    assert_hex(span_of(hash, 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256((span){0}, hash);
    assert_hex(span_of(hash, 32), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_sha256_two((span){0}, (span){0}, hash);
    assert_hex(span_of(hash, 32), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void the_mac_is_siphash_2_4_with_128_bits(void **state) {
    (void)state;
    /* https://github.com/veorq/SipHash/blob/master/vectors.h, vectors_sip128[0], [1] and [15] */
    uint8_t key[16], in[16], mac_bytes[CRYPTO_MAC_BYTES];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = in[i] = i;
    crypto_mac *mac = crypto_mac_new(key);
    assert_non_null(mac);
    crypto_mac_three(mac, (span){0}, (span){0}, (span){0}, mac_bytes);
    assert_hex(span_of(mac_bytes, 16), "a3817f04ba25a8e66df67214c7550293");
    crypto_mac_three(mac, (span){0}, span_of(in, 1), (span){0}, mac_bytes);
    assert_hex(span_of(mac_bytes, 16), "da87c1d86b99af44347659119b22fc45");
    for (size_t first = 0; first <= 15; first++) {
        crypto_mac_three(mac, span_of(in, first), span_of(in + first, 15 - first), (span){0}, mac_bytes);
        assert_hex(span_of(mac_bytes, 16), "5493e99933b0a8117e08ec0f97cfc3d9");
    }
    crypto_mac_free(mac);
    crypto_mac_free(NULL);
}

/* RFC 8032 section 7.1, test 2. */
static const uint8_t seed[32] = {0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3,
                                 0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab,
                                 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb};

static void signatures_are_those_of_rfc_8032(void **state) {
    (void)state;
    uint8_t key[CRYPTO_KEY_BYTES], signature[CRYPTO_SIGNATURE_BYTES];
    assert_int_equal(crypto_public_key(seed, key, NULL), LP_OK);
    assert_hex(span_of(key, 32), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_int_equal(crypto_sign(seed, SPAN_LITERAL("\x72"), signature, NULL), LP_OK);
    assert_hex(span_of(signature, 64), "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                       "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    assert_int_equal(crypto_verify(span_of(key, 32), SPAN_LITERAL("\x72"), span_of(signature, 64), NULL), LP_OK);
    assert_int_equal(crypto_verify(span_of(key, 32), SPAN_LITERAL("\x73"), span_of(signature, 64), NULL), LP_REFUSED);
    assert_int_equal(crypto_verify(span_of(key, 31), SPAN_LITERAL("\x72"), span_of(signature, 64), NULL), LP_REFUSED);
    assert_int_equal(crypto_verify(span_of(key, 32), SPAN_LITERAL("\x72"), span_of(signature, 63), NULL), LP_REFUSED);
    for (int i = 0; i < 64; i++) {
        signature[i] ^= 1;
        assert_int_equal(crypto_verify(span_of(key, 32), SPAN_LITERAL("\x72"), span_of(signature, 64), NULL),
                         LP_REFUSED);
        signature[i] ^= 1;
    }
    assert_int_equal(crypto_sign(seed, (span){0}, signature, NULL), LP_OK);
    assert_int_equal(crypto_verify(span_of(key, 32), (span){0}, span_of(signature, 64), NULL), LP_OK);
}

/* Computed with another library (pyca/cryptography): X25519, HKDF and AESGCM put together as crypto_seal.c says. */
static void sealing_is_as_another_library_does_it(void **state) {
    (void)state;
    uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES], private_key[CRYPTO_SEAL_KEY_BYTES], key[CRYPTO_SEAL_KEY_BYTES];
    span plain = SPAN_LITERAL("Hello \xe7\x8e\x8b\xe4\xbc\x9f");
    crypto_sealer *sealer;
    buf sealed = {0}, opened = {0};
    for (uint8_t i = 0; i < 32; i++) {
        ephemeral[i] = (uint8_t)(i + 1);
        private_key[i] = (uint8_t)(i + 65);
    }
    assert_int_equal(crypto_seal_public(private_key, key, NULL), LP_OK);
    assert_hex(span_of(key, 32), "64b101b1d0be5a8704bd078f9895001fc03e8e9f9522f188dd128d9846d48466");
    assert_int_equal(crypto_sealer_new(key, ephemeral, &sealer, NULL), LP_OK);
    assert_int_equal(crypto_seal(sealer, plain, &sealed, NULL), LP_OK);
    assert_hex(buf_span(&sealed), "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
                                  "0000000000000001f0bb8cb9155f47dbc2c1d65af650be6121bcb82a0d1fc402dc515dae");
    buf_clear(&sealed);
    assert_int_equal(crypto_seal(sealer, plain, &sealed, NULL), LP_OK);
    assert_hex(buf_span(&sealed), "07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c"
                                  "000000000000000256e544b1cb55df2168895cfbfd6cd07428b26018f689b947858444b7");
    assert_int_equal(crypto_unseal(private_key, buf_span(&sealed), &opened, NULL), LP_OK);
    assert_true(span_equal(buf_span(&opened), plain));
    crypto_sealer_free(sealer);
    crypto_sealer_free(NULL);
    buf_fini(&sealed);
    buf_fini(&opened);
}

static void what_was_sealed_opens_only_whole_and_with_its_key(void **state) {
    (void)state;
    prop p = prop_begin("unit_crypto");
    uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES], private_key[CRYPTO_SEAL_KEY_BYTES], key[CRYPTO_SEAL_KEY_BYTES];
    crypto_sealer *sealer;
    buf sealed = {0}, opened = {0};
    prop_bytes(&p, ephemeral, sizeof ephemeral);
    prop_bytes(&p, private_key, sizeof private_key);
    assert_int_equal(crypto_seal_public(private_key, key, NULL), LP_OK);
    assert_int_equal(crypto_sealer_new(key, ephemeral, &sealer, NULL), LP_OK);
    assert_int_equal(crypto_seal(sealer, (span){0}, &sealed, NULL), LP_OK);
    assert_int_equal(sealed.size, CRYPTO_SEAL_EXTRA_BYTES);
    assert_int_equal(crypto_unseal(private_key, buf_span(&sealed), &opened, NULL), LP_OK);
    assert_int_equal(opened.size, 0);
    assert_int_equal(crypto_seal(sealer, SPAN_LITERAL("x"), &sealed, NULL), LP_OK);
    span second = span_of(sealed.data + CRYPTO_SEAL_EXTRA_BYTES, CRYPTO_SEAL_EXTRA_BYTES + 1);
    assert_int_equal(crypto_unseal(private_key, second, &opened, NULL), LP_OK);
    for (size_t i = 0; i < second.size; i++) {
        sealed.data[CRYPTO_SEAL_EXTRA_BYTES + i] ^= 0x40;
        assert_int_equal(crypto_unseal(private_key, second, &opened, NULL), LP_INVALID);
        assert_int_equal(crypto_unseal(private_key, span_of(second.data, i), &opened, NULL), LP_INVALID);
        sealed.data[CRYPTO_SEAL_EXTRA_BYTES + i] ^= 0x40;
    }
    private_key[7] ^= 1;
    assert_int_equal(crypto_unseal(private_key, second, &opened, NULL), LP_INVALID);
    memset(key, 0, sizeof key); /* a point of small order: everybody would know the secret */
    assert_int_equal(crypto_sealer_new(key, ephemeral, &sealer, NULL), LP_INVALID);
    crypto_sealer_free(sealer);
    buf_fini(&sealed);
    buf_fini(&opened);
}

static void equality_is_of_bytes_and_size(void **state) {
    (void)state;
    assert_true(crypto_equal(SPAN_LITERAL("ab"), SPAN_LITERAL("ab")));
    assert_false(crypto_equal(SPAN_LITERAL("ab"), SPAN_LITERAL("ac")));
    assert_false(crypto_equal(SPAN_LITERAL("ab"), SPAN_LITERAL("abc")));
    assert_true(crypto_equal((span){0}, (span){0}));
}

static void base64url_comes_back_and_has_one_text(void **state) {
    (void)state;
    prop p = prop_begin("base64");
    for (size_t size = 0; size < 200; size++) {
        uint8_t bytes[200];
        buf text = {0}, back = {0};
        prop_bytes(&p, bytes, size);
        buf_append_span(&text, SPAN_LITERAL("x"));
        crypto_base64url(&text, span_of(bytes, size));
        assert_int_equal(text.size, 1 + (size * 4 + 2) / 3);
        assert_true(crypto_base64url_read(&back, span_of(text.data + 1, text.size - 1)));
        assert_true(span_equal(buf_span(&back), span_of(bytes, size)));
        buf_fini(&text);
        buf_fini(&back);
    }
    buf b = {0};
    crypto_base64url(&b, SPAN_LITERAL("\xfb\xff\xbf"));
    assert_true(span_equal(buf_span(&b), SPAN_LITERAL("-_-_")));
    static const char *const bad[] = {"A",    "AAAAA", "AA==", "A+AA", "A/AA",       "A AA", "AA\n",
                                      "AA=A", "AB",    "AAB",  "A*AA", "AA\xc3\xa9", "=",    "\x01\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        buf_clear(&b);
        if (crypto_base64url_read(&b, span_text(bad[i])))
            fail_msg("%s was read", bad[i]);
        assert_int_equal(b.size, 0);
    }
    buf_reserve(&b, SIZE_MAX);
    crypto_base64url(&b, SPAN_LITERAL("abc"));
    assert_false(crypto_base64url_read(&b, SPAN_LITERAL("AAAA")));
    assert_int_equal(b.size, 0);
    buf_fini(&b);
}

/* ---- digest ---- */

static digester *open_digester(uint8_t pool_byte) {
    lp_id pool = {{pool_byte}};
    digester *d;
    assert_int_equal(digester_new(&pool, &d, NULL), LP_OK);
    return d;
}

static void a_digest_does_not_depend_on_order_and_can_be_undone(void **state) {
    (void)state;
    prop p = prop_begin("digest");
    digester *d = open_digester(1);
    uint32_t order[50];
    reg regs[50];
    lp_id ids[50];
    for (uint32_t i = 0; i < 50; i++) {
        order[i] = i;
        ids[i] = prop_id(&p);
        regs[i] = (reg){.field = 1 + i, .value = SPAN_LITERAL("\xa1x"), .stamp = {prop_number(&p), 1 + i}};
    }
    for (int round = 0; round < 200; round++) {
        digest sum = {0, 0}, again = {0, 0}, zero = {0, 0};
        for (uint32_t i = 0; i < 50; i++)
            digest_add(d, &sum, 1, &ids[order[i]], &regs[order[i]]);
        prop_shuffle(&p, order, 50, sizeof order[0]);
        for (uint32_t i = 0; i < 50; i++)
            digest_add(d, &again, 1, &ids[order[i]], &regs[order[i]]);
        assert_true(digest_equal(sum, again));
        assert_false(digest_equal(sum, zero));
        prop_shuffle(&p, order, 50, sizeof order[0]);
        for (uint32_t i = 0; i < 50; i++)
            digest_remove(d, &again, 1, &ids[order[i]], &regs[order[i]]);
        assert_true(digest_equal(again, zero));
    }
    digester_free(d);
    digester_free(NULL);
}

static void a_digest_tells_every_part_apart(void **state) {
    (void)state;
    digester *d = open_digester(1), *other_pool = open_digester(2);
    lp_id id = {{1}}, other_id = {{2}};
    reg plain = {.field = 57, .key = SPAN_LITERAL("ab"), .value = SPAN_LITERAL("\xa1x"), .stamp = {5, 6}};
    digest sums[9];
    memset(sums, 0, sizeof sums);
    for (int i = 0; i < 9; i++) {
        reg r = plain;
        r.field += i == 1;
        r.stamp.time += i == 2;
        r.stamp.author += i == 3;
        if (i == 4)
            r.value = SPAN_LITERAL("\xa1y");
        if (i == 5) { /* the same bytes, divided otherwise */
            r.key = SPAN_LITERAL("a");
            r.value = SPAN_LITERAL("b\xa1x");
        }
        digest_add(i == 6 ? other_pool : d, &sums[i], i == 7 ? 2 : 1, i == 8 ? &other_id : &id, &r);
        for (int j = 0; j < i; j++)
            assert_false(digest_equal(sums[i], sums[j]));
    }
    plain.seq = 9;
    plain.base = (stamp){1, 1};
    digest again = {0, 0};
    digest_add(d, &again, 1, &id, &plain);
    assert_true(digest_equal(again, sums[0])); /* seq is the server's own; a base does not change what stands */
    digester_free(d);
    digester_free(other_pool);
}

static void digests_are_kept_as_16_bytes(void **state) {
    (void)state;
    digest sum = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}, back;
    uint8_t bytes[DIGEST_BYTES];
    char text[DIGEST_BYTES * 2 + 1];
    digest_pack(sum, bytes);
    digest_format(sum, text);
    assert_string_equal(text, "000102030405060708090a0b0c0d0e0f");
    assert_true(digest_unpack(span_of(bytes, sizeof bytes), &back));
    assert_true(digest_equal(sum, back));
    back.high++;
    assert_false(digest_equal(sum, back));
    assert_true(digest_unpack((span){0}, &back));
    assert_true(digest_equal(back, (digest){0, 0}));
    assert_false(digest_unpack(span_of(bytes, 15), &back));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_that_of_fips_180),
        cmocka_unit_test(the_mac_is_siphash_2_4_with_128_bits),
        cmocka_unit_test(signatures_are_those_of_rfc_8032),
        cmocka_unit_test(sealing_is_as_another_library_does_it),
        cmocka_unit_test(what_was_sealed_opens_only_whole_and_with_its_key),
        cmocka_unit_test(equality_is_of_bytes_and_size),
        cmocka_unit_test(base64url_comes_back_and_has_one_text),
        cmocka_unit_test(a_digest_does_not_depend_on_order_and_can_be_undone),
        cmocka_unit_test(a_digest_tells_every_part_apart),
        cmocka_unit_test(digests_are_kept_as_16_bytes),
    };
    return cmocka_run_group_tests_name("unit_crypto", tests, NULL, NULL);
}
