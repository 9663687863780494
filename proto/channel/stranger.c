/* stranger.c - what a peer that is not ours seems to be; see stranger.h. */
#include "proto/channel/stranger.h"

#include <string.h>

#include "proto/err.h"

static bool begins(span bytes, span prefix) {
    return bytes.size >= prefix.size && memcmp(bytes.data, prefix.data, prefix.size) == 0;
}

bool stranger_speaks_tls(span first) {
    return first.size >= 2 && first.data[0] >= 0x14 && first.data[0] <= 0x17 && first.data[1] == 3;
}

/* Clients meet answers ("HTTP/1.1 302", "<html>"), servers meet requests ("GET /"). */
static bool speaks_http(span first) {
    static const char *const beginnings[] = {"HTTP/", "<", "GET ", "HEAD ", "POST ", "PUT ", "OPTIONS", "CONNECT"};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (begins(first, span_text(beginnings[i])))
            return true;
    return false;
}

static const char *guess(span first, bool server) {
    if (speaks_http(first))
        return server ? "it speaks HTTP, which is not welcome here" : "it speaks HTTP; a captive portal?";
    if (stranger_speaks_tls(first))
        return "it speaks TLS, this end does not";
    if (begins(first, SPAN_LITERAL("\0SP\0")))
        return "it speaks another nanomsg protocol";
    return "its first bytes are of no known protocol";
}

lp_err stranger_describe(span first, bool server, lp_error *error) {
    const char *who =
        server ? "the peer does not speak leadpool's protocol" : "the server at this address is not leadpool";
    const char *advice = server ? "" : "; sign in to the network if it asks for it, and check the address";
    /* Whoever answers a device in HTTP is no server that refuses it: the network is blocked, until somebody signs in. */
    lp_err code = !server && speaks_http(first) ? LP_OFFLINE : LP_PROTOCOL;
    return err_set(error, code, "%s (%s)%s", who, guess(first, server), advice);
}
