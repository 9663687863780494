/* keys.c - see keys.h. The linker puts these before the functions of proto/crypto.c. */
#include "tests/sim/keys.h"

#include <string.h>

#include "proto/crypto.h"

static bool quick;

lp_err __real_crypto_public_key(const uint8_t seed[CRYPTO_SEED_BYTES], uint8_t key_out[CRYPTO_KEY_BYTES],
                                lp_error *error);
lp_err __real_crypto_sign(const uint8_t seed[CRYPTO_SEED_BYTES], span bytes,
                          uint8_t signature_out[CRYPTO_SIGNATURE_BYTES], lp_error *error);
lp_err __real_crypto_verify(span public_key, span bytes, span signature, lp_error *error);

lp_err __wrap_crypto_public_key(const uint8_t seed[CRYPTO_SEED_BYTES], uint8_t key_out[CRYPTO_KEY_BYTES],
                                lp_error *error);
lp_err __wrap_crypto_sign(const uint8_t seed[CRYPTO_SEED_BYTES], span bytes,
                          uint8_t signature_out[CRYPTO_SIGNATURE_BYTES], lp_error *error);
lp_err __wrap_crypto_verify(span public_key, span bytes, span signature, lp_error *error);

void keys_quick(void) {
    quick = true;
}

static void make_key(const uint8_t *seed, uint8_t *key_out) {
    crypto_sha256_two(SPAN_LITERAL("simulated key"), span_of(seed, CRYPTO_SEED_BYTES), key_out);
}

static void make_signature(span public_key, span bytes, uint8_t *signature_out) {
    crypto_sha256_two(public_key, bytes, signature_out);
    memcpy(signature_out + CRYPTO_HASH_BYTES, public_key.data, CRYPTO_SIGNATURE_BYTES - CRYPTO_HASH_BYTES);
}

lp_err __wrap_crypto_public_key(const uint8_t seed[CRYPTO_SEED_BYTES], uint8_t key_out[CRYPTO_KEY_BYTES],
                                lp_error *error) {
    if (!quick)
        return __real_crypto_public_key(seed, key_out, error);
    make_key(seed, key_out);
    return LP_OK;
}

lp_err __wrap_crypto_sign(const uint8_t seed[CRYPTO_SEED_BYTES], span bytes,
                          uint8_t signature_out[CRYPTO_SIGNATURE_BYTES], lp_error *error) {
    if (!quick)
        return __real_crypto_sign(seed, bytes, signature_out, error);
    uint8_t key[CRYPTO_KEY_BYTES];
    make_key(seed, key);
    make_signature(span_of(key, sizeof key), bytes, signature_out);
    return LP_OK;
}

lp_err __wrap_crypto_verify(span public_key, span bytes, span signature, lp_error *error) {
    if (!quick)
        return __real_crypto_verify(public_key, bytes, signature, error);
    uint8_t good[CRYPTO_SIGNATURE_BYTES];
    if (public_key.size != CRYPTO_KEY_BYTES)
        return LP_REFUSED;
    make_signature(public_key, bytes, good);
    return span_equal(span_of(good, sizeof good), signature) ? LP_OK : LP_REFUSED;
}
