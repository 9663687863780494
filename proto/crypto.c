/* crypto.c - OpenSSL's hashes and signatures behind plain functions; see crypto.h.
 *
 * Hashing of bounded input cannot fail but for want of memory inside OpenSSL; such a failure is asserted, because
 * no caller could go on with a wrong hash. */
#include "proto/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "proto/err.h"

static void must(int ok) {
    if (ok != 1)
        abort();
}

void crypto_sha256(span bytes, uint8_t hash_out[CRYPTO_HASH_BYTES]) {
    must(EVP_Digest(bytes.data, bytes.size, hash_out, NULL, EVP_sha256(), NULL));
}

void crypto_sha256_two(span first, span second, uint8_t hash_out[CRYPTO_HASH_BYTES]) {
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must(ctx != NULL);
    must(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL));
    must(EVP_DigestUpdate(ctx, first.data, first.size));
    must(EVP_DigestUpdate(ctx, second.data, second.size));
    must(EVP_DigestFinal_ex(ctx, hash_out, NULL));
    EVP_MD_CTX_free(ctx);
}

bool crypto_equal(span a, span b) {
    return a.size == b.size && (a.size == 0 || CRYPTO_memcmp(a.data, b.data, a.size) == 0);
}

struct crypto_mac {
    EVP_MAC_CTX *ctx;
    uint8_t key[16];
};

crypto_mac *crypto_mac_new(const uint8_t key[16]) {
    crypto_mac *mac = calloc(1, sizeof *mac);
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    if (mac && algorithm)
        mac->ctx = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm);
    if (!mac || !mac->ctx) {
        free(mac);
        return NULL;
    }
    memcpy(mac->key, key, sizeof mac->key);
    return mac;
}

void crypto_mac_free(crypto_mac *mac) {
    if (!mac)
        return;
    EVP_MAC_CTX_free(mac->ctx);
    free(mac);
}

void crypto_mac_three(crypto_mac *mac, span a, span b, span c, uint8_t mac_out[CRYPTO_MAC_BYTES]) {
    uint8_t together[512];
    const span parts[] = {a, b, c};
    size_t size = 0;
    must(EVP_MAC_init(mac->ctx, mac->key, sizeof mac->key, NULL));
    /* Short parts go in together: what an update costs is the call. */
    for (int i = 0; i < 3; i++) {
        if (parts[i].size > sizeof together - size) {
            must(EVP_MAC_update(mac->ctx, together, size));
            size = 0;
        }
        if (parts[i].size > sizeof together) {
            must(EVP_MAC_update(mac->ctx, parts[i].data, parts[i].size));
        } else if (parts[i].size) {
            memcpy(together + size, parts[i].data, parts[i].size);
            size += parts[i].size;
        }
    }
    must(EVP_MAC_update(mac->ctx, together, size));
    must(EVP_MAC_final(mac->ctx, mac_out, &size, CRYPTO_MAC_BYTES));
}

lp_err crypto_public_key(const uint8_t seed[CRYPTO_SEED_BYTES], uint8_t key_out[CRYPTO_KEY_BYTES], lp_error *error) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_SEED_BYTES);
    size_t size = CRYPTO_KEY_BYTES;
    int ok = key && EVP_PKEY_get_raw_public_key(key, key_out, &size) == 1;
    EVP_PKEY_free(key);
    return ok ? LP_OK : err_plain(error, LP_NOMEM);
}

lp_err crypto_sign(const uint8_t seed[CRYPTO_SEED_BYTES], span bytes, uint8_t signature_out[CRYPTO_SIGNATURE_BYTES],
                   lp_error *error) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_SEED_BYTES);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t size = CRYPTO_SIGNATURE_BYTES;
    int ok = key && ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestSign(ctx, signature_out, &size, bytes.data, bytes.size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return ok ? LP_OK : err_plain(error, LP_NOMEM);
}

lp_err crypto_verify(span public_key, span bytes, span signature, lp_error *error) {
    if (public_key.size != CRYPTO_KEY_BYTES || signature.size != CRYPTO_SIGNATURE_BYTES)
        return LP_REFUSED;
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key.data, public_key.size);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ready = key && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1;
    bool fits = ready && EVP_DigestVerify(ctx, signature.data, signature.size, bytes.data, bytes.size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return fits ? LP_OK : ready ? LP_REFUSED : err_plain(error, LP_NOMEM);
}

/* OpenSSL's base64 has the other alphabet and padding; the translation is shorter than a codec. */
void crypto_base64url(buf *b, span bytes) {
    size_t size = 4 * ((bytes.size + 2) / 3);
    if (!buf_reserve(b, size + 1))
        return;
    uint8_t *text = b->data + b->size;
    EVP_EncodeBlock(text, bytes.data, (int)bytes.size);
    while (size && text[size - 1] == '=')
        size--;
    for (size_t i = 0; i < size; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    b->size += size;
}

/* The bits that padding leaves over must be 0: every value has one text (RFC 4648 section 3.5). */
bool crypto_base64url_read(buf *b, span text) {
    buf standard = {0};
    if (text.size == 0)
        return true;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '+' || c == '/' || c == '=' || c <= ' ')
            goto bad;
        buf_append_byte(&standard, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    size_t padding = (4 - text.size % 4) % 4;
    if (padding == 3)
        goto bad;
    buf_append(&standard, "===", padding);
    size_t size = standard.size / 4 * 3;
    if (standard.failed || !buf_reserve(b, size))
        goto bad;
    uint8_t *bytes = b->data + b->size;
    if (EVP_DecodeBlock(bytes, standard.data, (int)standard.size) != (int)size)
        goto bad;
    if (padding && bytes[size - padding] != 0)
        goto bad;
    b->size += size - padding;
    buf_fini(&standard);
    return true;
bad:
    buf_fini(&standard);
    return false;
}

void crypto_hex(span bytes, char *text_out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        *text_out++ = digits[bytes.data[i] >> 4];
        *text_out++ = digits[bytes.data[i] & 15];
    }
    *text_out = '\0';
}
