/* ws_upgrade.c - the HTTP request that becomes a WebSocket (RFC 6455 section 4.2); see ws.h. */
#include <string.h>

#include "proto/channel/tls.h"
#include "proto/channel/ws.h"
#include "proto/err.h"

/* 16 bytes in base64. */
#define KEY_CHARACTERS 24

bool ws_wanted(const http_request *request) {
    return http_list_has(request->upgrade, "websocket");
}

static bool sound_key(const char *key) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return strlen(key) == KEY_CHARACTERS && strspn(key, alphabet) == KEY_CHARACTERS - 2 && !strcmp(key + 22, "==");
}

/* A browser names the page that opened the WebSocket; others do not. The scheme may differ: a proxy may end TLS. */
static bool origin_allowed(const http_request *request, const char *const *origins) {
    if (!request->origin[0])
        return true;
    const char *host = strstr(request->origin, "://");
    if (host && http_same(host + 3, request->host))
        return true;
    for (; origins && *origins; origins++)
        if (http_same(*origins, request->origin))
            return true;
    return false;
}

int ws_judge(const http_request *request, const char *const *origins) {
    if (strcmp(request->target, "/") != 0 && strcmp(request->target, "/sp") != 0)
        return 404;
    if (strcmp(request->method, "GET") != 0 || !request->has_host || !http_list_has(request->connection, "upgrade"))
        return 400;
    if (strcmp(request->ws_version, "13") != 0)
        return 426;
    if (!sound_key(request->ws_key) || !http_list_has(request->ws_protocols, WS_PROTOCOL))
        return 400;
    return origin_allowed(request, origins) ? 101 : 403;
}

lp_err ws_append_accept(buf *out, const http_request *request, lp_error *error) {
    char accept[TLS_WEBSOCKET_ACCEPT_BYTES];
    lp_err err = tls_websocket_accept(request->ws_key, accept, error);
    if (err)
        return err;
    buf_append_span(out,
                    SPAN_LITERAL("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Protocol: " WS_PROTOCOL "\r\nSec-WebSocket-Accept: "));
    buf_append_span(out, span_text(accept));
    buf_append_span(out, SPAN_LITERAL("\r\n\r\n"));
    return out->failed ? err_plain(error, LP_NOMEM) : LP_OK;
}
