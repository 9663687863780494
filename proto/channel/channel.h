/* channel.h - bytes in, bytes out: from what the network delivered to whole messages, and back. Sans-I/O, both ends.
 *
 *     network bytes -> [tls] -> first bytes or ALPN tell -> [sp]                     -> messages (id, body)
 *                                                       \-> [http head] -> [ws]      -> messages (id, body)
 *                                                                     \-> one HTTP request, for the owner to answer
 *
 * Layers, each its own file and testable alone: tls.h (OpenSSL over memory BIOs), sp.h (nng's SP framing over TCP), ws.h
 * (wslay frames, subprotocol rep.sp.nanomsg.org), http.h (a bounded request head). This file stacks them.
 *
 * The owner (server/net, client/link, tests) does: channel_receive(bytes from the socket), then channel_next until
 * CHANNEL_NOTHING, then writes channel_output to the socket and channel_output_done. The channel never calls anyone.
 *
 * Invariants:
 *   (1) A message is delivered whole or not at all, and only after authentication of its bytes by TLS where TLS is on.
 *   (2) Memory held for a peer is bounded: 8 KiB of input before its handshake ends, 16 KiB of HTTP head,
 *       then one message of at most message_bytes_max, and output only of what the owner sent.
 *   (3) After CHANNEL_FAILED the channel accepts nothing more; output may still hold an alert or close frame.
 * Ownership: the caller owns a channel; spans in events are valid until the next channel call. Thread: one at a time. */
#ifndef PROTO_CHANNEL_H
#define PROTO_CHANNEL_H

#include "leadpool/error.h"
#include "proto/buf.h"

typedef struct channel channel;
typedef struct tls_context tls_context; /**< tls.h: certificate and keys of a server, or pin and ticket of a client */

typedef enum channel_event_kind {
    CHANNEL_NOTHING, /**< wants more bytes */
    CHANNEL_OPEN, /**< handshakes done; `bytes` is the channel binding (RFC 9266 tls-exporter, 32 bytes; empty in plain text) */
    CHANNEL_MESSAGE, /**< `id` and `bytes` */
    CHANNEL_HTTP,    /**< a plain HTTP request: `method`, `path`; answer with channel_http_answer. Server only */
    CHANNEL_CLOSED,  /**< the peer ended in good order */
    CHANNEL_FAILED,  /**< `error` says why */
} channel_event_kind;

typedef struct channel_event {
    channel_event_kind kind;
    uint32_t id; /**< SP request id, high bit set; an answer carries the id of its request */
    span bytes;
    char method[16];
    char path[256];
    lp_error error;
} channel_event;

typedef struct channel_options {
    tls_context *tls; /**< borrowed, outlives the channel; NULL: plain text (loopback only, the owner sees to it) */
    bool server;
    bool allow_http; /**< server: browsers welcome (HTTP, WebSocket) */
    const char *const *
        origins; /**< server: NULL-terminated list of allowed Origin values beside the request's own Host; NULL: none */
    uint32_t message_bytes_max; /**< 0: WIRE_MESSAGE_BYTES_MAX */
} channel_options;

/** Errors: LP_NOMEM. A client channel has its first flight in channel_output at once. */
lp_err channel_new(const channel_options *options, channel **channel_out, lp_error *error);
void channel_free(channel *c);

/** Hands in bytes from the network. Errors are delivered as CHANNEL_FAILED. */
void channel_receive(channel *c, span bytes);
/** The network said end of file: CHANNEL_CLOSED, or CHANNEL_FAILED in the middle of something. */
void channel_receive_end(channel *c);
/** The next event. CHANNEL_CLOSED and CHANNEL_FAILED come once, after all messages before them; then CHANNEL_NOTHING. */
void channel_next(channel *c, channel_event *event_out);

/** Changes the limit of messages received from now on, e.g. up from a small one once the peer has proved who it is. */
void channel_limit(channel *c, uint32_t message_bytes_max);

/** Queues one message. Not before CHANNEL_OPEN. Errors: LP_CLOSED, LP_NOMEM, LP_TOO_LARGE. */
lp_err channel_send(channel *c, uint32_t id, span body, lp_error *error);
/** Answers a CHANNEL_HTTP event and ends the connection (Connection: close). `content_type` NULL: text/plain; charset=utf-8. */
lp_err channel_http_answer(channel *c, int status, const char *content_type, span body, lp_error *error);
/** Queues a close in good order (TLS close_notify, WebSocket close). */
void channel_close(channel *c);

/** Bytes for the network, borrowed until the next call; empty if there are none. */
span channel_output(const channel *c);
/** The first `count` of them are written. */
void channel_output_done(channel *c, size_t count);
/** Bytes of input held for an unfinished message or handshake: what a peer costs now. */
size_t channel_held_bytes(const channel *c);
/** True if the owner asked to close, the answer to an HTTP request is out, or the channel closed or failed, and all output
 *  has been taken. */
bool channel_finished(const channel *c);

#endif
