/* crypto.h - hashes, signatures, text forms of bytes. With channel/tls.c the only files that include OpenSSL. Thread: any. */
#ifndef PROTO_CRYPTO_H
#define PROTO_CRYPTO_H

#include <stdbool.h>
#include <stdint.h>

#include "leadpool/error.h"
#include "proto/buf.h"

#define CRYPTO_HASH_BYTES 32
#define CRYPTO_SEED_BYTES 32 /**< Ed25519 private key (RFC 8032 section 5.1.5) */
#define CRYPTO_KEY_BYTES 32  /**< Ed25519 public key */
#define CRYPTO_SIGNATURE_BYTES 64

void crypto_sha256(span bytes, uint8_t hash_out[CRYPTO_HASH_BYTES]);
void crypto_sha256_two(span first, span second, uint8_t hash_out[CRYPTO_HASH_BYTES]); /**< of their concatenation */
bool crypto_equal(span a, span b); /**< in constant time for equal sizes */

#define CRYPTO_MAC_BYTES 16
typedef struct crypto_mac
    crypto_mac; /**< SipHash-2-4 with 128 bits of output and one key, reused; one thread at a time */
crypto_mac *crypto_mac_new(const uint8_t key[16]); /**< NULL if out of memory */
void crypto_mac_free(crypto_mac *mac);
void crypto_mac_three(crypto_mac *mac, span a, span b, span c,
                      uint8_t mac_out[CRYPTO_MAC_BYTES]); /**< of a || b || c */

/** Public key of a seed. Errors: LP_NOMEM. */
lp_err crypto_public_key(const uint8_t seed[CRYPTO_SEED_BYTES], uint8_t key_out[CRYPTO_KEY_BYTES], lp_error *error);
lp_err crypto_sign(const uint8_t seed[CRYPTO_SEED_BYTES], span bytes, uint8_t signature_out[CRYPTO_SIGNATURE_BYTES],
                   lp_error *error);
bool crypto_verify(span public_key, span bytes, span signature);

/** Base64url without padding (RFC 4648 section 5), appended. */
void crypto_base64url(buf *b, span bytes);
/** The inverse, appended; false if `text` is not that. */
bool crypto_base64url_read(buf *b, span text);
void crypto_hex(span bytes, char *text_out); /**< 2 * size digits and a NUL */

#endif
