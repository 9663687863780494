/* fuzz_channel.c - arbitrary bytes in arbitrary pieces, to a plain server that welcomes browsers and to a plain client.
 *
 * The first byte chooses the end, the second seeds the pieces. Checked: what a peer costs stays within its bound, a
 * failed or closed channel says nothing more, a message comes only from an open channel, and output without our
 * sending is bounded. */
#include <stdlib.h>

#include "proto/channel/channel.h"

#define MESSAGE_BYTES_MAX 5000u
/* Header, answer, pongs of one input. */
#define OUTPUT_BYTES_MAX (80 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds)
        abort();
}

typedef struct seen {
    bool open;
    bool over;
} seen;

static void take_event(channel *c, const channel_event *event, seen *s) {
    require(!s->over);
    if (event->kind == CHANNEL_OPEN) {
        require(!s->open && event->bytes.size == 0);
        s->open = true;
    }
    if (event->kind == CHANNEL_MESSAGE) {
        require(s->open && (event->id & 0x80000000u) && event->bytes.size <= MESSAGE_BYTES_MAX);
        require(channel_send(c, event->id, (span){0}, NULL) == LP_OK);
    }
    if (event->kind == CHANNEL_HTTP) {
        require(event->path[0] == '/');
        require(channel_http_answer(c, 404, NULL, SPAN_LITERAL("no"), NULL) == LP_OK);
    }
    if (event->kind == CHANNEL_FAILED)
        require(event->error.code != LP_OK && event->error.message[0] != '\0');
    s->over = event->kind == CHANNEL_CLOSED || event->kind == CHANNEL_FAILED;
}

static void take_events(channel *c, seen *s) {
    channel_event event;
    for (channel_next(c, &event); event.kind != CHANNEL_NOTHING; channel_next(c, &event))
        take_event(c, &event, s);
    require(channel_held_bytes(c) <= MESSAGE_BYTES_MAX + 32);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    bool server = data[0] & 1;
    uint32_t pieces = data[1];
    span input = {data + 2, size - 2};
    const channel_options options = {.server = server, .allow_http = server, .message_bytes_max = MESSAGE_BYTES_MAX};
    channel *c;
    seen s = {0};
    if (channel_new(&options, &c, NULL))
        return 0;
    while (input.size > 0) {
        span piece;
        pieces = pieces * 1103515245u + 12345u;
        size_t count = (data[1] & 1) ? input.size : 1 + (pieces >> 16) % 64;
        span_take(&input, count < input.size ? count : input.size, &piece);
        channel_receive(c, piece);
        take_events(c, &s);
        require(channel_output(c).size <= OUTPUT_BYTES_MAX + 16 * size);
        if (pieces & 0x40000)
            channel_output_done(c, channel_output(c).size / 2);
    }
    channel_receive_end(c);
    take_events(c, &s);
    require(s.over || !channel_finished(c) || channel_output(c).size == 0);
    channel_free(c);
    return 0;
}
