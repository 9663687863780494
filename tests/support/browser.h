/* browser.h - what a browser does to a server, by hand and with OpenSSL and frames of its own, so that the server's reading
 * is judged by other code than its own: TLS with a browser's ALPN, HTTP requests as text, WebSocket frames (RFC 6455).
 *
 * Everything blocks, at most 20 s a step. An assertion fails where the test cannot go on. */
#ifndef TESTS_SUPPORT_BROWSER_H
#define TESTS_SUPPORT_BROWSER_H

#include "proto/message.h"
#include "tests/support/served.h"

typedef struct ssl_st ssl_st;
typedef struct ssl_ctx_st ssl_ctx_st;

typedef struct browser {
    int fd;
    uint16_t port;
    ssl_ctx_st *context;
    ssl_st *ssl;
    buf in;          /**< read, not taken yet */
    buf taken;       /**< what spans and texts that were handed out borrow, until the next call */
    bool ended_well; /**< the server ended with TLS close_notify, not by cutting the line */
} browser;

/** ALPN as browsers send it, with length bytes; NULL offers none. */
#define BROWSER_ALPN "\x02h2\x08http/1.1"

/** Connects and shakes hands; false if the server refuses that. */
bool browser_open(browser *b, const served *s, const char *alpn);
void browser_close(browser *b);
void browser_write(browser *b, span bytes);
/** Sends one request on a new connection and reads to the end. Empty if nothing came. Borrowed. */
const char *browser_fetch(browser *b, const served *s, span request);
/** Reads until the server ends the connection: all that was not taken yet. Borrowed. */
const char *browser_rest(browser *b);

/** The upgrade of a page at our own origin, as browsers write it; printf's arguments: port, port. */
#define BROWSER_UPGRADE                                                                                                \
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n"   \
    "User-Agent: Mozilla/5.0\r\nUpgrade: websocket\r\nOrigin: https://127.0.0.1:%u\r\nSec-WebSocket-Version: 13\r\n"   \
    "Accept-Encoding: gzip, deflate, br\r\nAccept-Language: de,en;q=0.8\r\n"                                           \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"                                                                  \
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"                                         \
    "Sec-WebSocket-Protocol: rep.sp.nanomsg.org\r\n\r\n"

/** Opens a connection and upgrades it; the head of the answer. Borrowed. */
const char *browser_upgrade(browser *b, const served *s);
/** The same with `old`, a part of the request, replaced by `new`. */
const char *browser_upgrade_with(browser *b, const served *s, const char *old, const char *new);

enum {
    FRAME_REST = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
    FRAME_LAST = 0x80
};

/** Sends a masked frame; `first`: kind, with FRAME_LAST unless more fragments follow. */
void browser_frame(browser *b, uint8_t first, span payload);
/** The next frame's kind, with FRAME_LAST, and payload; 0 if the connection ended. Borrowed. */
uint8_t browser_next(browser *b, span *payload_out);
/** The code of the next frame, a close; 0 if it is something else. */
uint16_t browser_close_code(browser *b);

/** Sends a message with its id in one frame. */
void browser_send(browser *b, uint32_t id, const message *m);
/** Takes one binary frame and decodes its message; returns its id. */
uint32_t browser_receive(browser *b, message *message_out);
/** The channel binding of this connection (RFC 9266). */
span browser_binding(browser *b, uint8_t binding_out[32]);

#endif
