/* crypto_seal.c - sealing to a public key; see crypto.h.
 *
 *     sealed := ephemeral public key 32 || counter 8, big-endian || ciphertext || tag 16
 *     key    := HKDF-SHA256(input X25519(ephemeral, recipient), salt ephemeral public || recipient public, info "leadpool seal 1")
 *     nonce  := 4 zero bytes || counter
 *
 * Why a key pair for many texts: an agreement costs as much as a thousand short encryptions, and a device seals each change it gets
 * acknowledged. The counter makes every nonce under one key different; the key pair lives and dies in the memory of one process. */
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/core_names.h>
#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"

#define AES_KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define HEAD_BYTES (CRYPTO_SEAL_KEY_BYTES + 8)

static const char info_text[] = "leadpool seal 1";

lp_err crypto_seal_public(const uint8_t private_key[CRYPTO_SEAL_KEY_BYTES], uint8_t key_out[CRYPTO_SEAL_KEY_BYTES],
                          lp_error *error) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, CRYPTO_SEAL_KEY_BYTES);
    size_t size = CRYPTO_SEAL_KEY_BYTES;
    int ok = key && EVP_PKEY_get_raw_public_key(key, key_out, &size) == 1;
    EVP_PKEY_free(key);
    return ok ? LP_OK : err_plain(error, LP_NOMEM);
}

/* X25519; false also for the few points that give a secret anybody knows. */
static bool agree(const uint8_t private_key[CRYPTO_SEAL_KEY_BYTES], const uint8_t public_key[CRYPTO_SEAL_KEY_BYTES],
                  uint8_t secret_out[CRYPTO_SEAL_KEY_BYTES]) {
    EVP_PKEY *own = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, private_key, CRYPTO_SEAL_KEY_BYTES);
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, CRYPTO_SEAL_KEY_BYTES);
    EVP_PKEY_CTX *ctx = own ? EVP_PKEY_CTX_new(own, NULL) : NULL;
    size_t size = CRYPTO_SEAL_KEY_BYTES;
    bool ok = ctx && peer && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1 &&
              EVP_PKEY_derive(ctx, secret_out, &size) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(own);
    EVP_PKEY_free(peer);
    return ok;
}

static bool expand(const uint8_t secret[CRYPTO_SEAL_KEY_BYTES], const uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES],
                   const uint8_t recipient[CRYPTO_SEAL_KEY_BYTES], uint8_t key_out[AES_KEY_BYTES]) {
    uint8_t salt[2 * CRYPTO_SEAL_KEY_BYTES];
    memcpy(salt, ephemeral, CRYPTO_SEAL_KEY_BYTES);
    memcpy(salt + CRYPTO_SEAL_KEY_BYTES, recipient, CRYPTO_SEAL_KEY_BYTES);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    size_t size = AES_KEY_BYTES;
    bool ok = ctx && EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) == 1 &&
              EVP_PKEY_CTX_set1_hkdf_salt(ctx, salt, sizeof salt) == 1 &&
              EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, CRYPTO_SEAL_KEY_BYTES) == 1 &&
              EVP_PKEY_CTX_add1_hkdf_info(ctx, (const uint8_t *)info_text, sizeof info_text - 1) == 1 &&
              EVP_PKEY_derive(ctx, key_out, &size) == 1;
    EVP_PKEY_CTX_free(ctx);
    return ok;
}

struct crypto_sealer {
    EVP_CIPHER_CTX *ctx; /* keyed; each text sets its nonce */
    uint8_t public_key[CRYPTO_SEAL_KEY_BYTES];
    uint64_t counter; /* of the last text sealed */
};

lp_err crypto_sealer_new(const uint8_t public_key[CRYPTO_SEAL_KEY_BYTES],
                         const uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES], crypto_sealer **sealer_out, lp_error *error) {
    uint8_t secret[CRYPTO_SEAL_KEY_BYTES], key[AES_KEY_BYTES];
    crypto_sealer *sealer = calloc(1, sizeof *sealer);
    if (!sealer)
        return err_plain(error, LP_NOMEM);
    sealer->ctx = EVP_CIPHER_CTX_new();
    lp_err err = sealer->ctx ? crypto_seal_public(ephemeral, sealer->public_key, error) : err_plain(error, LP_NOMEM);
    if (!err && !agree(ephemeral, public_key, secret))
        err = err_set(error, LP_INVALID, "the pool's sealing key is not a key");
    if (!err && (!expand(secret, sealer->public_key, public_key, key) ||
                 EVP_EncryptInit_ex(sealer->ctx, EVP_aes_256_gcm(), NULL, key, NULL) != 1))
        err = err_plain(error, LP_NOMEM);
    if (err) {
        crypto_sealer_free(sealer);
        return err;
    }
    *sealer_out = sealer;
    return LP_OK;
}

void crypto_sealer_free(crypto_sealer *sealer) {
    if (!sealer)
        return;
    EVP_CIPHER_CTX_free(sealer->ctx);
    free(sealer);
}

static void put_counter(uint64_t counter, uint8_t bytes_out[8]) {
    for (int i = 0; i < 8; i++)
        bytes_out[i] = (uint8_t)(counter >> (56 - 8 * i));
}

lp_err crypto_seal(crypto_sealer *sealer, span plain, buf *out, lp_error *error) {
    uint8_t nonce[NONCE_BYTES] = {0};
    int size = 0, rest = 0;
    if (!buf_reserve(out, plain.size + CRYPTO_SEAL_EXTRA_BYTES))
        return err_plain(error, LP_NOMEM);
    put_counter(++sealer->counter, nonce + 4);
    uint8_t *at = out->data + out->size;
    memcpy(at, sealer->public_key, CRYPTO_SEAL_KEY_BYTES);
    memcpy(at + CRYPTO_SEAL_KEY_BYTES, nonce + 4, 8);
    bool ok = EVP_EncryptInit_ex(sealer->ctx, NULL, NULL, NULL, nonce) == 1 &&
              EVP_EncryptUpdate(sealer->ctx, at + HEAD_BYTES, &size, plain.data, (int)plain.size) == 1 &&
              EVP_EncryptFinal_ex(sealer->ctx, at + HEAD_BYTES + size, &rest) == 1 &&
              EVP_CIPHER_CTX_ctrl(sealer->ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, at + HEAD_BYTES + plain.size) == 1;
    if (!ok)
        return err_plain(error, LP_NOMEM);
    out->size += plain.size + CRYPTO_SEAL_EXTRA_BYTES;
    return LP_OK;
}

static bool decrypt(const uint8_t key[AES_KEY_BYTES], span sealed, uint8_t *plain_out) {
    uint8_t nonce[NONCE_BYTES] = {0}, tag[TAG_BYTES];
    int size = 0, rest = 0;
    size_t text_bytes = sealed.size - CRYPTO_SEAL_EXTRA_BYTES;
    memcpy(nonce + 4, sealed.data + CRYPTO_SEAL_KEY_BYTES, 8);
    memcpy(tag, sealed.data + HEAD_BYTES + text_bytes, TAG_BYTES);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
              EVP_DecryptUpdate(ctx, plain_out, &size, sealed.data + HEAD_BYTES, (int)text_bytes) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
              EVP_DecryptFinal_ex(ctx, plain_out + size, &rest) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

lp_err crypto_unseal(const uint8_t private_key[CRYPTO_SEAL_KEY_BYTES], span sealed, buf *out, lp_error *error) {
    uint8_t secret[CRYPTO_SEAL_KEY_BYTES], public_key[CRYPTO_SEAL_KEY_BYTES], key[AES_KEY_BYTES];
    if (sealed.size < CRYPTO_SEAL_EXTRA_BYTES || sealed.size > INT32_MAX)
        return err_set(error, LP_INVALID, "a sealed change is too short to be one");
    if (!buf_reserve(out, sealed.size))
        return err_plain(error, LP_NOMEM);
    lp_err err = crypto_seal_public(private_key, public_key, error);
    if (err)
        return err;
    if (!agree(private_key, sealed.data, secret) || !expand(secret, sealed.data, public_key, key) ||
        !decrypt(key, sealed, out->data + out->size))
        return err_set(error, LP_INVALID, "a sealed change was not sealed to this pool, or is damaged");
    out->size += sealed.size - CRYPTO_SEAL_EXTRA_BYTES;
    return LP_OK;
}
