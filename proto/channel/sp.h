/* sp.h - the framing of nng's TCP transport (the SP protocols of nanomsg, https://nanomsg.org/documentation.html: RFCs
 * sp-tcp-mapping-01 and sp-request-reply-01), so that stock REQ and REP sockets interoperate with us.
 *
 *     each end first:   00 'S' 'P' 00  00 30|31  00 00       REQ = 0x30, REP = 0x31
 *     then messages:    length (8 bytes, big-endian)  request id (4 bytes, high bit set)  body (length - 4 bytes)
 *
 * A request id without the high bit is the hop of a nanomsg device, the real id comes after it. Devices are refused: a
 * channel keeps one id only, and TLS ends at the channel anyway.
 *
 * Invariants: a message is taken whole or not at all; a length over the limit is refused before its bytes are waited
 * for.
 * Thread: any. */
#ifndef PROTO_CHANNEL_SP_H
#define PROTO_CHANNEL_SP_H

#include "leadpool/error.h"
#include "proto/buf.h"
#include "proto/channel/fifo.h"

#define SP_HEADER_BYTES 8
#define SP_FRAME_BYTES 12 /**< length and request id, before the body */
#define SP_ID_BIT 0x80000000u

typedef enum sp_protocol { SP_REQ = 0x30, SP_REP = 0x31 } sp_protocol;

typedef struct sp_message {
    uint32_t id; /**< high bit set */
    span body;   /**< borrowed from the fifo, until its next append */
} sp_message;

void sp_append_header(buf *out, sp_protocol own);
/** True if `header` is that of a peer speaking `protocol`. */
bool sp_header_is(span header, sp_protocol protocol);

/** `id` without its high bit gets it. */
void sp_append_message(buf *out, uint32_t id, span body);
/** Reads a request id off the front of a message. Errors: LP_PROTOCOL (cut short), LP_UNSUPPORTED (a device's hop). */
lp_err sp_take_id(span *message, uint32_t *id_out, lp_error *error);
/** Takes the next whole message, if there is one. Errors: LP_TOO_LARGE, and those of sp_take_id. */
lp_err sp_take_message(fifo *in, uint32_t body_bytes_max, bool *found_out, sp_message *message_out, lp_error *error);

#endif
