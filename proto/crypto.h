/* crypto.h - hashes, signatures, sealing, text forms of bytes. With channel/tls.c the only files that include OpenSSL. Thread: any. */
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
/** Errors: LP_REFUSED (error untouched) it is not the key's signature of these bytes; LP_NOMEM, which says nothing of the signature (of
 *  what is allocated within the arithmetic OpenSSL tells nothing: then it is LP_REFUSED too). */
lp_err crypto_verify(span public_key, span bytes, span signature, lp_error *error);

#define CRYPTO_SEAL_KEY_BYTES 32                                 /**< X25519 key, private or public (RFC 7748) */
#define CRYPTO_SEAL_EXTRA_BYTES (CRYPTO_SEAL_KEY_BYTES + 8 + 16) /**< what a sealed text is longer than the plain one */

/* Sealing: whoever has the public key can seal, only the holder of the private key can open. One sealer draws one key pair of its own
 * and counts: RFC 7748, RFC 5869, AES-256-GCM; the bytes are in PROTOCOL.md. */
lp_err crypto_seal_public(const uint8_t private_key[CRYPTO_SEAL_KEY_BYTES], uint8_t key_out[CRYPTO_SEAL_KEY_BYTES],
                          lp_error *error);

typedef struct crypto_sealer crypto_sealer; /**< one thread at a time */
/** `ephemeral`: 32 strong random bytes, of no use for anything else. Errors: LP_NOMEM, LP_INVALID not a key. */
lp_err crypto_sealer_new(const uint8_t public_key[CRYPTO_SEAL_KEY_BYTES],
                         const uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES], crypto_sealer **sealer_out, lp_error *error);
void crypto_sealer_free(crypto_sealer *sealer);
/** Appends the sealed text. Errors: LP_NOMEM. */
lp_err crypto_seal(crypto_sealer *sealer, span plain, buf *out, lp_error *error);
/** Appends the plain text. Errors: LP_INVALID it was not sealed to this key, or was touched since; LP_NOMEM. */
lp_err crypto_unseal(const uint8_t private_key[CRYPTO_SEAL_KEY_BYTES], span sealed, buf *out, lp_error *error);

/** Base64url without padding (RFC 4648 section 5), appended. */
void crypto_base64url(buf *b, span bytes);
/** The inverse, appended; false if `text` is not that. */
bool crypto_base64url_read(buf *b, span text);
void crypto_hex(span bytes, char *text_out); /**< 2 * size digits and a NUL */

#endif
