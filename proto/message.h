/* message.h - messages as structs, derived from messages.def; encode and decode. Thread: any.
 *
 * struct msg_hello { uint64_t version; ...; } and so on: U64 uint64_t, I64 int64_t, BOOL bool, TEXT BYTES RAW span. */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include "leadpool/error.h"
#include "proto/buf.h"

#define PROTOCOL_VERSION 1
#define PROTOCOL_VERSION_MIN 1
#define CLOCK_TOLERANCE_MS 2000 /**< design: within 2 s nothing happens */

#define MSG_TYPE_U64 uint64_t
#define MSG_TYPE_I64 int64_t
#define MSG_TYPE_BOOL bool
#define MSG_TYPE_TEXT span
#define MSG_TYPE_BYTES span
#define MSG_TYPE_RAW span

enum message_number {
#define MESSAGE(NAME, number, name) MSG_##NAME = number,
#define PART(MESSAGE, key, member, type)
#include "proto/messages.def"
#undef MESSAGE
#undef PART
};

/* One flat struct for all: the members of every message that share name and type share storage by design of messages.def.
 * `number` says which members mean something; the others are zero. */
typedef struct message {
    uint32_t number;
    uint64_t version, version_min, device, batch, after, fence, page_bytes, timeout_ms, code, retry_ms, kept_seq, seq,
        taken, given_up;
    int64_t now_ms;
    bool more, anew, records, moved;
    span nonce, token, public_key, install, label, pool, pool_name, staff, staff_name, role, signature, program, epoch,
        scopes, seal_key, pass, forks, entries, others, ranges, digests, digest;
    span changes, hash, cursors, verdicts, pages, reason, verb, arguments, result;
} message;

const char *message_name(uint32_t number); /**< "hello"; "unknown" */

/** Appends the wire form. Empty members are left out. Errors: LP_NOMEM, LP_TOO_LARGE. */
lp_err message_encode(const message *m, buf *out, lp_error *error);

/** Scans and decodes. Members borrow `bytes`. An unknown message number decodes with just the number.
 *  Errors: LP_PROTOCOL, LP_TOO_LARGE. */
lp_err message_decode(span bytes, message *message_out, lp_error *error);
/** The same without the scan, for bytes that message_decode has taken before. */
lp_err message_decode_scanned(span bytes, message *message_out, lp_error *error);

/** The bytes a device signs in its hello: "leadpool hello 1", channel binding, device, install, batch, now_ms. */
void message_hello_signed(const message *hello, span binding, buf *out);

/** The bytes a device signs with its old key to become another: "leadpool rejoin 1", channel binding, device, new key, new install. */
void message_rejoin_signed(const message *rejoin, span binding, buf *out);

#endif
