/* http_answer.c - writing HTTP answers, and small texts of HTTP; see http.h.
 *
 * Invariant: every answer, refusals too, carries safety_headers. What we say is for the one who asked: no page of ours
 * loads, runs or frames anything, and no cache, neighbour page or address bar history keeps it. */
#include "proto/channel/http.h"

#include <stdio.h>
#include <string.h>

typedef struct status_text {
    int status;
    const char *reason;
    const char *headers; /* that this status asks for, each ending in CR LF */
} status_text;

static const status_text status_texts[] = {
    {200, "OK", ""},
    {204, "No Content", ""},
    {301, "Moved Permanently", ""},
    {302, "Found", ""},
    {304, "Not Modified", ""},
    {400, "Bad Request", ""},
    {401, "Unauthorized", ""},
    {403, "Forbidden", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET, HEAD\r\n"},
    {408, "Request Timeout", ""},
    {413, "Content Too Large", ""},
    {414, "URI Too Long", ""},
    {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
    {429, "Too Many Requests", ""},
    {431, "Request Header Fields Too Large", ""},
    {500, "Internal Server Error", ""},
    {503, "Service Unavailable", ""},
};

/* frame-ancestors has no fallback to default-src (CSP level 3, section 6.1). */
static const char safety_headers[] = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
                                     "X-Content-Type-Options: nosniff\r\n"
                                     "Referrer-Policy: no-referrer\r\n"
                                     "Cache-Control: no-store\r\n";

static const status_text *find_status(int status) {
    static const status_text other = {0, "Other", ""};
    for (size_t i = 0; i < sizeof status_texts / sizeof *status_texts; i++)
        if (status_texts[i].status == status)
            return &status_texts[i];
    return &other;
}

const char *http_reason(int status) {
    return find_status(status)->reason;
}

static void append_line(buf *out, const char *name, const char *value) {
    buf_append_span(out, span_text(name));
    buf_append_span(out, span_text(value));
    buf_append_span(out, SPAN_LITERAL("\r\n"));
}

void http_append_answer(buf *out, int status, const char *content_type, span body, bool head_only) {
    const status_text *text = find_status(status);
    char number[32];
    snprintf(number, sizeof number, "%d ", status);
    buf_append_span(out, SPAN_LITERAL("HTTP/1.1 "));
    append_line(out, number, text->reason);
    append_line(out, "Content-Type: ", content_type ? content_type : "text/plain; charset=utf-8");
    snprintf(number, sizeof number, "%zu", body.size);
    append_line(out, "Content-Length: ", number);
    buf_append_span(out, span_text(safety_headers));
    buf_append_span(out, span_text(text->headers));
    append_line(out, "Connection: ", "close");
    buf_append_span(out, SPAN_LITERAL("\r\n"));
    if (!head_only)
        buf_append_span(out, body);
}

void http_append_refusal(buf *out, int status) {
    char body[64];
    snprintf(body, sizeof body, "%d %s\n", status, http_reason(status));
    http_append_answer(out, status, NULL, span_text(body), false);
}

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool same_bytes(const char *a, size_t size, const char *b) {
    if (strlen(b) != size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (lower(a[i]) != lower(b[i]))
            return false;
    return true;
}

bool http_same(const char *a, const char *b) {
    return same_bytes(a, strlen(a), b);
}

bool http_list_has(const char *list, const char *token) {
    while (*list) {
        list += strspn(list, " \t,");
        size_t size = strcspn(list, ",");
        size_t trimmed = size;
        while (trimmed > 0 && (list[trimmed - 1] == ' ' || list[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed > 0 && same_bytes(list, trimmed, token))
            return true;
        list += size;
    }
    return false;
}
