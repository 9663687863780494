/* channel_ends.h - what the tests of the channel layers share: seeded randomness, cutting bytes in pieces, and a log of
 * everything a channel says, so that two runs can be compared byte for byte. */
#ifndef TESTS_CHANNEL_ENDS_H
#define TESTS_CHANNEL_ENDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/channel/channel.h"

/* Randomness of a test program: LEADPOOL_SEED repeats a run. */
static uint64_t ends_seed;

static inline void ends_start(const char *program) {
    const char *given = getenv("LEADPOOL_SEED");
    ends_seed = given ? strtoull(given, NULL, 10) : 20240611;
    printf("%s: LEADPOOL_SEED=%llu\n", program, (unsigned long long)ends_seed);
    ends_seed = ends_seed * 2 + 1;
}

static inline uint64_t ends_random(uint64_t below) {
    ends_seed ^= ends_seed << 13;
    ends_seed ^= ends_seed >> 7;
    ends_seed ^= ends_seed << 17;
    return ends_seed % below;
}

/* How input is cut: 0 as a whole, 1 byte by byte, larger: pieces of random size below it. */
static inline size_t ends_piece(size_t cut, size_t left) {
    size_t piece = cut == 0 ? left : cut == 1 ? 1 : 1 + ends_random(cut);
    return piece < left ? piece : left;
}

static inline void ends_log(buf *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void ends_log(buf *log, const char *format, ...) {
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    buf_append_span(log, span_text(line));
}

/* Reads all events there are into `log`, one line each, and answers HTTP requests. */
static inline void ends_events(channel *c, buf *log) {
    static const char *const names[] = {"nothing", "open", "message", "http", "closed", "failed"};
    for (;;) {
        channel_event event;
        channel_next(c, &event);
        if (event.kind == CHANNEL_NOTHING)
            return;
        ends_log(log, "%s", names[event.kind]);
        if (event.kind == CHANNEL_MESSAGE) {
            ends_log(log, " %08x ", event.id);
            buf_append_span(log, event.bytes);
        }
        if (event.kind == CHANNEL_HTTP) {
            ends_log(log, " %s %s", event.method, event.path);
            assert_int_equal(channel_http_answer(c, 200, NULL, SPAN_LITERAL("fine"), NULL), LP_OK);
        }
        if (event.kind == CHANNEL_FAILED)
            ends_log(log, " %s %s", lp_err_name(event.error.code), event.error.message);
        ends_log(log, "\n");
    }
}

static inline void ends_feed(channel *c, span input, size_t cut, buf *log) {
    while (input.size > 0) {
        span piece;
        span_take(&input, ends_piece(cut, input.size), &piece);
        channel_receive(c, piece);
        ends_events(c, log);
    }
}

/* A plain channel's whole life on `input`: events, then "| " and its output. `end`: the network ends after it. */
static inline void ends_run(const channel_options *options, span input, size_t cut, bool end, buf *log) {
    channel *c;
    assert_int_equal(channel_new(options, &c, NULL), LP_OK);
    ends_feed(c, input, cut, log);
    if (end) {
        channel_receive_end(c);
        ends_events(c, log);
    }
    ends_log(log, "| ");
    buf_append_span(log, channel_output(c));
    buf_append_byte(log, '\0');
    channel_free(c);
}

/* Runs `input` whole, byte by byte and in random pieces, proves that nothing differs, and leaves the text in `log`. */
static inline const char *ends_every_cut(const channel_options *options, span input, bool end, buf *log) {
    buf_clear(log);
    ends_run(options, input, 0, end, log);
    for (size_t cut = 1; cut < 64; cut = cut * 2 + 1) {
        buf other = {0};
        ends_run(options, input, cut, end, &other);
        if (!span_equal(buf_span(log), buf_span(&other)))
            fail_msg("cut %zu gives\n%s\nand the whole\n%s", cut, (char *)other.data, (char *)log->data);
        buf_fini(&other);
    }
    return (const char *)log->data;
}

/* Moves output between two channels in random pieces until both are silent. Events go to the logs. */
static inline void ends_pump(channel *a, buf *log_a, channel *b, buf *log_b, size_t cut) {
    ends_events(a, log_a);
    ends_events(b, log_b);
    while (channel_output(a).size + channel_output(b).size > 0) {
        for (int side = 0; side < 2; side++) {
            channel *from = side ? b : a;
            channel *to = side ? a : b;
            span output = channel_output(from);
            size_t piece = output.size ? ends_piece(cut, output.size) : 0;
            channel_receive(to, span_of(output.data, piece));
            channel_output_done(from, piece);
            ends_events(to, side ? log_a : log_b);
        }
    }
}

static inline void ends_assert_contains(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

#endif
