/* ws.h - WebSocket (RFC 6455), server side, as nng's browsers speak it: subprotocol rep.sp.nanomsg.org, each binary
 * message a 4-byte request id (high bit set) and the payload. Frames by wslay; messages are put together here, because
 * wslay's own assembly costs a block of memory per fragment and queues one pong per ping.
 *
 * Invariants:
 *   (1) A message is at most body_bytes_max + 4 bytes over all its fragments; more is refused at the frame's first
 *       byte.
 *   (2) Of unanswered pings only the newest is answered (RFC 6455 section 5.5.3): a peer cannot make us queue pongs.
 *   (3) After WS_CLOSED or WS_FAILED nothing more is read.
 * Thread: one at a time. */
#ifndef PROTO_CHANNEL_WS_H
#define PROTO_CHANNEL_WS_H

#include "leadpool/error.h"
#include "proto/buf.h"
#include "proto/channel/fifo.h"
#include "proto/channel/http.h"
#include "proto/channel/sp.h"

#define WS_PROTOCOL "rep.sp.nanomsg.org"

typedef struct ws ws;

typedef enum ws_result { WS_MORE, WS_MESSAGE, WS_CLOSED, WS_FAILED } ws_result;

/** True if the request asks for a WebSocket, well or badly. */
bool ws_wanted(const http_request *request);
/** Judges such a request: 101, or the status of its refusal. `origins`: NULL-terminated, or NULL for none beside
 *  Host. */
int ws_judge(const http_request *request, const char *const *origins);
/** Appends the answer 101. Errors: LP_NOMEM. */
lp_err ws_append_accept(buf *out, const http_request *request, lp_error *error);

/** NULL: out of memory. */
ws *ws_new(uint32_t body_bytes_max);
void ws_free(ws *w);
/** Changes the limit for frames that have not begun. */
void ws_limit(ws *w, uint32_t body_bytes_max);

/** Reads frames off `in` up to the next message (its body is valid until the next call), the peer's close, or a failure
 *  (`error` filled; the close frame to answer with is in ws_append_replies). */
ws_result ws_next(ws *w, fifo *in, sp_message *message_out, lp_error *error);
/** Appends the pong or close frame that is owed, if any. */
void ws_append_replies(ws *w, buf *out);
void ws_append_message(ws *w, buf *out, uint32_t id, span body);
/** Appends our own close frame (1000) unless one was sent. */
void ws_append_close(ws *w, buf *out);
/** Bytes of input held. */
size_t ws_held_bytes(const ws *w);

#endif
