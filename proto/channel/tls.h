/* tls.h - TLS 1.3 by OpenSSL over memory BIOs, and the server's identity. See channel.h for the contract of the layer. */
#ifndef PROTO_CHANNEL_TLS_H
#define PROTO_CHANNEL_TLS_H

#include "proto/channel/channel.h"
#include "proto/invite.h"

#define TLS_ALPN_NATIVE "leadpool/1"
#define TLS_BINDING_BYTES 32

/** Makes a P-256 key and a self-signed certificate for `common_name` (valid from 2020-01-01 for 100 years: nobody checks the
 *  dates, the pin is the trust), both as PEM, appended. Errors: LP_NOMEM. */
lp_err tls_identity_make(const char *common_name, buf *key_pem_out, buf *certificate_pem_out, lp_error *error);

/** A server's context: TLS 1.3 only, tickets for resumption, ALPN "leadpool/1" then "http/1.1". Errors: LP_CORRUPT, LP_NOMEM. */
lp_err tls_context_server(span key_pem, span certificate_pem, tls_context **context_out, lp_error *error);
/** Pin of a server context's key. */
void tls_context_pin(const tls_context *context, uint8_t pin_out[PIN_BYTES]);

/** A client's context: trusts a key with one of the `count` pins and nothing else; dates and names do not matter. `ticket`
 *  resumes an earlier session or is empty; one that cannot be read is ignored. A pin that does not match fails the channel with LP_UNTRUSTED. */
lp_err tls_context_client(const uint8_t (*pins)[PIN_BYTES], uint32_t count, span ticket, tls_context **context_out, lp_error *error);
/** The newest session ticket a client's channels received, to be kept for next time; empty if none. Appended. */
void tls_context_ticket(tls_context *context, buf *out);
/** True if the channel's handshake resumed an earlier session. */
bool channel_resumed(const channel *c);

void tls_context_free(tls_context *context);

#endif
