/* http.h - one bounded HTTP/1.1 request head, and the answer to it. Everything else HTTP can do is refused.
 *
 * Invariants:
 *   (1) A head is at most 16 KiB and costs one http_head, whatever its length; its bytes are not kept.
 *   (2) The verdict depends on the bytes alone, not on how they were cut.
 *   (3) Lines end in CR LF and nothing else; no control bytes, no folded lines; a path is made of unreserved and
 *       sub-delim characters (RFC 3986 section 2), never of percent escapes: our paths need none, attacks do.
 *   (4) A request with a body is refused.
 * Thread: one at a time per head. */
#ifndef PROTO_CHANNEL_HTTP_H
#define PROTO_CHANNEL_HTTP_H

#include <stdbool.h>

#include "leadpool/error.h"
#include "proto/buf.h"

#define HTTP_HEAD_BYTES_MAX (16 * 1024)

/* F(member, header name in lower case, bytes with NUL, lines may be joined by commas): every header that is looked
 * at. */
#define HTTP_FIELDS(F)                                                                                                 \
    F(host, "host", 256, false)                                                                                        \
    F(origin, "origin", 256, false)                                                                                    \
    F(upgrade, "upgrade", 64, true)                                                                                    \
    F(connection, "connection", 128, true)                                                                             \
    F(ws_key, "sec-websocket-key", 32, false)                                                                          \
    F(ws_version, "sec-websocket-version", 16, false)                                                                  \
    F(ws_protocols, "sec-websocket-protocol", 256, true)                                                               \
    F(content_length, "content-length", 24, false)                                                                     \
    F(transfer_encoding, "transfer-encoding", 64, true)

/** NUL-terminated texts; a header that was not sent is empty. */
typedef struct http_request {
    char method[16];
    char target[256]; /**< path, and query if any, as sent */
    bool has_host;
#define F(member, name, bytes, list) char member[bytes];
    HTTP_FIELDS(F)
#undef F
} http_request;

typedef struct http_head http_head;

/** NULL: out of memory. */
http_head *http_head_new(void);
void http_head_free(http_head *h);

/** Reads on. `used_out`: bytes that belong to the head. Returns 0 (wants more), 200 (the head is whole and sound) or
 *  the status of a refusal. Not to be called again after that. */
int http_head_read(http_head *h, span bytes, size_t *used_out);
/** The request of a head that answered 200. Borrowed. */
const http_request *http_head_request(const http_head *h);

/** True if the comma-separated `list` names `token`, in any case (RFC 9110 section 5.6.1). */
bool http_list_has(const char *list, const char *token);
/** True if two texts differ at most in ASCII case. */
bool http_same(const char *a, const char *b);

/** Appends an answer that ends the connection, with the headers that keep a browser from doing more than showing it.
 *  `head_only`: the answer to HEAD, without the body itself. */
void http_append_answer(buf *out, int status, const char *content_type, span body, bool head_only);
/** Appends a refusal with the headers that its status asks for. */
void http_append_refusal(buf *out, int status);
/** "Bad Request" and so on. Static storage, never NULL. */
const char *http_reason(int status);

#endif
