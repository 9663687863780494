/* invite.c - the invitation as text; its form is in invite.h. */
#include "proto/invite.h"

#include <stdio.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"

#define SCHEME "leadpool://"

void invite_format(const invite *inv, buf *out) {
    uint8_t secret[INVITE_TOKEN_BYTES + PIN_BYTES];
    memcpy(secret, inv->token, INVITE_TOKEN_BYTES);
    memcpy(secret + INVITE_TOKEN_BYTES, inv->pin, PIN_BYTES);
    bool brackets = strchr(inv->host, ':') != NULL;
    char port[8];
    snprintf(port, sizeof port, ":%u/", inv->port);
    buf_append_span(out, span_text(SCHEME));
    buf_append_span(out, span_text(brackets ? "[" : ""));
    buf_append_span(out, span_text(inv->host));
    buf_append_span(out, span_text(brackets ? "]" : ""));
    buf_append_span(out, span_text(port));
    crypto_base64url(out, span_of(secret, sizeof secret));
}

static span trim(span text) {
    while (text.size && text.data[0] <= ' ') {
        text.data++;
        text.size--;
    }
    while (text.size && text.data[text.size - 1] <= ' ')
        text.size--;
    return text;
}

/* Position of the last `c` in `text`, or its size. */
static size_t last_of(span text, uint8_t c) {
    for (size_t i = text.size; i > 0; i--)
        if (text.data[i - 1] == c)
            return i - 1;
    return text.size;
}

static bool parse_port(span digits, uint16_t *port_out) {
    uint32_t port = 0;
    if (digits.size == 0 || digits.size > 5)
        return false;
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9')
            return false;
        port = port * 10 + (digits.data[i] - '0');
    }
    *port_out = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

static bool host_byte(uint8_t c, bool address6) {
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    return letter || digit || c == '.' || c == '-' || c == '_' || (address6 && (c == ':' || c == '%'));
}

/* Nothing but what names and addresses are made of: the host goes into URLs and log lines. */
static bool parse_host(span host, invite *inv) {
    bool address6 = host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']';
    if (address6)
        host = span_of(host.data + 1, host.size - 2);
    if (host.size == 0 || host.size >= sizeof inv->host || (address6 && last_of(host, ':') == host.size))
        return false;
    for (size_t i = 0; i < host.size; i++)
        if (!host_byte(host.data[i], address6))
            return false;
    memcpy(inv->host, host.data, host.size);
    return true;
}

static bool parse_secret(span text, invite *inv) {
    buf secret = {0};
    bool ok = crypto_base64url_read(&secret, text) && secret.size == INVITE_TOKEN_BYTES + PIN_BYTES;
    if (ok) {
        memcpy(inv->token, secret.data, INVITE_TOKEN_BYTES);
        memcpy(inv->pin, secret.data + INVITE_TOKEN_BYTES, PIN_BYTES);
    }
    buf_fini(&secret);
    return ok;
}

lp_err invite_parse(span text, invite *invite_out, lp_error *error) {
    *invite_out = (invite){0};
    text = trim(text);
    span scheme;
    if (!span_take(&text, strlen(SCHEME), &scheme) || !span_equal(scheme, span_text(SCHEME)))
        return err_set(error, LP_INVALID, "an invitation starts with " SCHEME "; ask for it again and paste all of it");
    size_t slash = last_of(text, '/');
    if (slash == text.size)
        return err_set(error, LP_INVALID, "the invitation is cut short; paste all of it");
    span place = span_of(text.data, slash);
    size_t colon = last_of(place, ':');
    if (colon == place.size || !parse_port(span_of(place.data + colon + 1, place.size - colon - 1), &invite_out->port))
        return err_set(error, LP_INVALID, "the invitation names no port between 1 and 65535; ask for it again");
    if (!parse_host(span_of(place.data, colon), invite_out))
        return err_set(error, LP_INVALID, "the invitation names no valid host; ask for it again");
    if (!parse_secret(span_of(text.data + slash + 1, text.size - slash - 1), invite_out))
        return err_set(error, LP_INVALID, "the invitation's secret is damaged or cut short; paste all of it");
    return LP_OK;
}
