/* tls.h - TLS 1.3 by OpenSSL over memory BIOs, and the server's identity. See channel.h for the contract of the
 * layer. */
#ifndef PROTO_CHANNEL_TLS_H
#define PROTO_CHANNEL_TLS_H

#include "proto/channel/channel.h"
#include "proto/invite.h"

#define TLS_ALPN_NATIVE "leadpool/1"
#define TLS_BINDING_BYTES 32

/** Makes a P-256 key and a self-signed certificate for `common_name` (valid from 2020-01-01 for 100 years: nobody
 *  checks the dates, the pin is the trust), both as PEM, appended. For browsers the certificate names `common_name`, if
 *  it is a host name or IP address, and localhost, 127.0.0.1 and ::1. Errors: LP_NOMEM. */
lp_err tls_identity_make(const char *common_name, buf *key_pem_out, buf *certificate_pem_out, lp_error *error);

/** A server's context: TLS 1.3 only, tickets for resumption, ALPN "leadpool/1" then "http/1.1". Errors: LP_CORRUPT,
 *  LP_NOMEM. */
lp_err tls_context_server(span key_pem, span certificate_pem, tls_context **context_out, lp_error *error);
/** Pin of a server context's key. */
void tls_context_pin(const tls_context *context, uint8_t pin_out[PIN_BYTES]);

/** A client's context: trusts a key with one of the `count` pins and nothing else; dates and names do not matter.
 *  `ticket` resumes an earlier session or is empty; one that cannot be read is ignored. A pin that does not match
 *  fails the channel with LP_UNTRUSTED. */
lp_err tls_context_client(const uint8_t (*pins)[PIN_BYTES], uint32_t count, span ticket, tls_context **context_out,
                          lp_error *error);
/** The newest session ticket a client's channels received, to be kept for next time; empty if none. Appended. */
void tls_context_ticket(tls_context *context, buf *out);
/** True if the channel's handshake resumed an earlier session. */
bool channel_resumed(const channel *c);

/** Thread: a server's context may serve channels on many threads at once; a client's keeps the newest ticket, so it
 *  and its channels are for one thread at a time. */
void tls_context_free(tls_context *context);

/* One connection, for channel.c and the tests of this layer. Bytes for the network are appended to `network_out`. */

/** Input accepted from a peer before its handshake ends: a good one needs about 2 KiB. */
#define TLS_HANDSHAKE_BYTES_MAX (8 * 1024)

typedef struct tls_session tls_session;

/** `context` is borrowed and outlives the session. Errors: LP_NOMEM. A client's first flight goes to `network_out`. */
lp_err tls_session_new(tls_context *context, buf *network_out, tls_session **session_out, lp_error *error);
void tls_session_free(tls_session *s);
/** Takes bytes from the network and appends what they decrypt to. An alert may be in `network_out` after an error, and
 *  `plain_out` keeps what came before it. Errors: LP_PROTOCOL, LP_UNTRUSTED (client: not the pinned key), LP_NOMEM. */
lp_err tls_session_receive(tls_session *s, span network, buf *plain_out, buf *network_out, lp_error *error);
/** Encrypts. Only once ready. Errors: LP_CLOSED, LP_NOMEM. */
lp_err tls_session_send(tls_session *s, span plain, buf *network_out, lp_error *error);
/** Sends close_notify, if there is a session to close. */
void tls_session_close(tls_session *s, buf *network_out);
bool tls_session_ready(const tls_session *s);  /**< the handshake is done, and the peer trusted */
bool tls_session_begun(const tls_session *s);  /**< the peer sent anything at all */
bool tls_session_ended(const tls_session *s);  /**< the peer sent close_notify */
bool tls_session_native(const tls_session *s); /**< ALPN chose TLS_ALPN_NATIVE */
bool tls_session_resumed(const tls_session *s);
/** The channel binding (RFC 9266). Once ready. Errors: LP_NOMEM. */
lp_err tls_session_binding(tls_session *s, uint8_t binding_out[TLS_BINDING_BYTES], lp_error *error);
size_t tls_session_held_bytes(const tls_session *s);
/** Gives memory of an idle session back. */
void tls_session_trim(tls_session *s);

#define TLS_WEBSOCKET_ACCEPT_BYTES 29

/** Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 section 4.2.2): here because SHA-1 is OpenSSL's. Errors:
 *  LP_NOMEM. */
lp_err tls_websocket_accept(const char *key, char accept_out[TLS_WEBSOCKET_ACCEPT_BYTES], lp_error *error);

#endif
