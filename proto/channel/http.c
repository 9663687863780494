/* http.c - a bounded HTTP request head; see http.h. The grammar is http-parser's (Debian 12) or llhttp's (newer), the
 * choice between them is made here and nowhere else. What those libraries tolerate beyond the grammar (bare line feeds,
 * folded lines, HTTP/0.9, "HTTX/1.1", spaces in header names) is refused by line_byte and the callbacks: Debian builds
 * http-parser without its strict mode. */
#include "proto/channel/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<http_parser.h>)
#include <http_parser.h>

typedef http_parser grammar;
typedef http_parser_settings grammar_callbacks;

static void grammar_init(grammar *g, const grammar_callbacks *callbacks) {
    (void)callbacks;
    http_parser_init(g, HTTP_REQUEST);
}

/* True if all bytes are good so far. */
static bool grammar_read(grammar *g, const grammar_callbacks *callbacks, span bytes) {
    size_t used = http_parser_execute(g, callbacks, (const char *)bytes.data, bytes.size);
    return HTTP_PARSER_ERRNO(g) == HPE_OK && used == bytes.size;
}

static const char *grammar_method(const grammar *g) {
    return http_method_str((enum http_method)g->method);
}
#else
#include <llhttp.h>

typedef llhttp_t grammar;
typedef llhttp_settings_t grammar_callbacks;

static void grammar_init(grammar *g, const grammar_callbacks *callbacks) {
    llhttp_init(g, HTTP_REQUEST, callbacks);
}

/* True if all bytes are good so far. */
static bool grammar_read(grammar *g, const grammar_callbacks *callbacks, span bytes) {
    (void)callbacks;
    llhttp_errno_t result = llhttp_execute(g, (const char *)bytes.data, bytes.size);
    return result == HPE_OK || result == HPE_PAUSED_UPGRADE;
}

static const char *grammar_method(const grammar *g) {
    return llhttp_method_name((llhttp_method_t)g->method);
}
#endif

#define NAME_BYTES 32
#define VERSION_BYTES 9 /* " HTTP/1.1" */

/* Where the value of a header goes. */
typedef struct field {
    const char *name;
    size_t offset;
    size_t bytes;
    bool list;
} field;

static const field fields[] = {
#define F(member, name, bytes, list) {name, offsetof(http_request, member), bytes, list},
    HTTP_FIELDS(F)
#undef F
};

#define FIELD_COUNT (sizeof fields / sizeof *fields)

struct http_head {
    grammar grammar;
    http_request request;
    char name[NAME_BYTES]; /* of the header being read; one that does not fit is none of ours */
    size_t name_size;
    bool in_value;
    int current; /* index in fields, -1: a header nobody looks at */
    bool seen[FIELD_COUNT];
    size_t total;      /* bytes of the head so far */
    uint8_t previous;  /* last byte of the head so far */
    size_t line_bytes; /* of the line being read, CR included */
    bool first_line_read;
    char version[VERSION_BYTES]; /* the last bytes of the first line so far, CR left out */
    bool whole;                  /* the empty line was reached */
    int status;                  /* of the first refusal */
};

/* Always false, so that a callback can end in it. */
static bool refuse(http_head *h, int status) {
    if (!h->status)
        h->status = status;
    return false;
}

static bool append_text(http_head *h, char *text, size_t capacity, const char *more, size_t size, int status) {
    size_t used = strlen(text);
    if (size >= capacity - used)
        return refuse(h, status);
    memcpy(text + used, more, size);
    text[used + size] = '\0';
    return true;
}

static bool target_byte(char c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("-._~!$&'()*+,;=:@/?", c) != NULL;
}

/* What a callback of the grammar returns: nonzero stops it. */
static int callback_result(bool good) {
    return good ? 0 : -1;
}

static int on_url(grammar *g, const char *at, size_t size) {
    http_head *h = g->data;
    for (size_t i = 0; i < size; i++)
        if (!target_byte(at[i]) || (i == 0 && !h->request.target[0] && at[i] != '/'))
            return callback_result(refuse(h, 400));
    return callback_result(append_text(h, h->request.target, sizeof h->request.target, at, size, 414));
}

static int on_header_field(grammar *g, const char *at, size_t size) {
    http_head *h = g->data;
    if (h->in_value)
        h->name_size = 0;
    h->in_value = false;
    if (memchr(at, ' ', size))
        return callback_result(refuse(h, 400));
    for (size_t i = 0; i < size; i++, h->name_size++)
        if (h->name_size < NAME_BYTES)
            h->name[h->name_size] = (char)(at[i] >= 'A' && at[i] <= 'Z' ? at[i] + 32 : at[i]);
    return 0;
}

static int find_field(const http_head *h) {
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (h->name_size < NAME_BYTES && span_equal(span_text(fields[i].name), span_of(h->name, h->name_size)))
            return (int)i;
    return -1;
}

/* A header sent twice is a list if it may be, else the sender wants two readers to see two requests. */
static bool start_value(http_head *h) {
    h->in_value = true;
    h->current = find_field(h);
    if (h->current < 0)
        return true;
    const field *f = &fields[h->current];
    bool again = h->seen[h->current];
    h->seen[h->current] = true;
    if (!again)
        return true;
    if (!f->list)
        return refuse(h, 400);
    return append_text(h, (char *)&h->request + f->offset, f->bytes, ",", 1, 431);
}

static int on_header_value(grammar *g, const char *at, size_t size) {
    http_head *h = g->data;
    if (!h->in_value && !start_value(h))
        return -1;
    if (h->current < 0)
        return 0;
    const field *f = &fields[h->current];
    return callback_result(append_text(h, (char *)&h->request + f->offset, f->bytes, at, size, 431));
}

/* Answers "no body, another protocol may follow": the grammar stops here. */
static int on_headers_complete(grammar *g) {
    (void)g;
    return 2;
}

static const grammar_callbacks callbacks = {.on_url = on_url,
                                            .on_header_field = on_header_field,
                                            .on_header_value = on_header_value,
                                            .on_headers_complete = on_headers_complete};

http_head *http_head_new(void) {
    http_head *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    grammar_init(&h->grammar, &callbacks);
    h->grammar.data = h;
    h->current = -1;
    return h;
}

void http_head_free(http_head *h) {
    free(h);
}

const http_request *http_head_request(const http_head *h) {
    return &h->request;
}

/* Follows the first line to its end, where the version must stand. */
static bool first_line_byte(http_head *h, uint8_t byte) {
    if (byte == '\r')
        return true;
    if (byte == '\n') {
        h->first_line_read = true;
        return memcmp(h->version, " HTTP/1.", VERSION_BYTES - 1) == 0;
    }
    memmove(h->version, h->version + 1, VERSION_BYTES - 1);
    h->version[VERSION_BYTES - 1] = (char)byte;
    return true;
}

/* True if `byte` may follow what was read of the head. */
static bool line_byte(http_head *h, uint8_t byte) {
    if ((byte == '\n') != (h->previous == '\r'))
        return false;
    if (byte < 0x20 && byte != '\r' && byte != '\n' && byte != '\t')
        return false;
    if (h->line_bytes == 0 && (byte == ' ' || byte == '\t'))
        return false;
    if (!h->first_line_read && !first_line_byte(h, byte))
        return false;
    h->whole = byte == '\n' && h->line_bytes == 1;
    h->line_bytes = byte == '\n' ? 0 : h->line_bytes + 1;
    h->previous = byte;
    h->total++;
    return true;
}

/* How many bytes belong to the head and are sound line by line. */
static size_t head_prefix(http_head *h, span bytes) {
    size_t used = 0;
    while (used < bytes.size && !h->whole && h->total < HTTP_HEAD_BYTES_MAX && line_byte(h, bytes.data[used]))
        used++;
    return used;
}

static bool all_zeros(const char *digits) {
    return digits[strspn(digits, "0")] == '\0';
}

static int judge(http_head *h) {
    http_request *r = &h->request;
    bool get = !strcmp(r->method, "GET") || !strcmp(r->method, "HEAD");
    if (h->grammar.http_major != 1 || h->grammar.http_minor > 1)
        return 400;
    if (r->transfer_encoding[0])
        return 400;
    if (!all_zeros(r->content_length))
        return 413;
    if (h->grammar.http_minor == 1 && !r->has_host)
        return 400;
    return get ? 200 : 405;
}

int http_head_read(http_head *h, span bytes, size_t *used_out) {
    size_t sound = head_prefix(h, bytes);
    *used_out = sound;
    if (sound > 0 && !grammar_read(&h->grammar, &callbacks, span_of(bytes.data, sound)))
        return h->status ? h->status : 400;
    if (h->whole) {
        h->request.has_host = h->request.host[0] != '\0';
        snprintf(h->request.method, sizeof h->request.method, "%s", grammar_method(&h->grammar));
        return judge(h);
    }
    if (h->total == HTTP_HEAD_BYTES_MAX)
        return 431;
    return sound < bytes.size ? 400 : 0;
}
