/* invite.h - the invitation: where the server is, how to recognise it, and a one-time secret.
 *
 *     leadpool://HOST:PORT/BASE64URL(token 16 bytes, pin 32 bytes)
 *
 * pin = SHA-256 of the server key's SubjectPublicKeyInfo (as in RFC 7469 section 2.4). HOST may be a name, an IPv4
 * address or an [IPv6 address]. Thread: any. */
#ifndef PROTO_INVITE_H
#define PROTO_INVITE_H

#include "leadpool/error.h"
#include "proto/buf.h"

#define INVITE_TOKEN_BYTES 16
#define PIN_BYTES 32
#define INVITE_HOST_BYTES 256

typedef struct invite {
    char host[INVITE_HOST_BYTES]; /**< without brackets */
    uint16_t port;
    uint8_t token[INVITE_TOKEN_BYTES];
    uint8_t pin[PIN_BYTES];
} invite;

void invite_format(const invite *inv, buf *out);
/** Errors: LP_INVALID, with what is wrong. Surrounding white space is ignored. */
lp_err invite_parse(span text, invite *invite_out, lp_error *error);

#endif
