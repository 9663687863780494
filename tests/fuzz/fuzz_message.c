/* fuzz_message.c - any bytes as a message: what decodes is encoded, decoded and encoded again without a difference. Then its lists. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/message.h"
#include "proto/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void read_cursors(span raw) {
    wire_reader r = wire_open(raw);
    cursor c;
    uint32_t count = wire_array(&r);
    for (uint32_t i = 0; i < count && cursor_take(&r, &c); i++)
        must(c.scope.size > 0 && c.scope.size <= SCOPE_NAME_BYTES_MAX);
}

static void read_pages(span raw) {
    wire_reader r = wire_open(raw);
    page p, back;
    uint32_t count = wire_array(&r);
    for (uint32_t i = 0; i < count && page_take(&r, &p); i++) {
        buf b = {0};
        page_put(&b, &p);
        wire_reader again = wire_open(buf_span(&b));
        must(page_take(&again, &back) && wire_done(&again) && span_equal(p.changes, back.changes));
        must(p.start == back.start && span_equal(p.whole, back.whole) && span_equal(p.left, back.left) &&
             span_equal(p.erased, back.erased));
        buf_fini(&b);
    }
}

static void read_verdicts(span raw) {
    wire_reader r = wire_open(raw);
    verdict v;
    uint32_t count = wire_array(&r);
    for (uint32_t i = 0; i < count && verdict_take(&r, &v); i++)
        must(v.field >= -1 && v.kind <= VERDICT_RECEIVED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    message m, back;
    if (message_decode((span){data, size}, &m, NULL))
        return 0;
    buf once = {0}, twice = {0}, hello = {0};
    must(message_encode(&m, &once, NULL) == LP_OK);
    must(once.size <= size); /* unknown parts and explicit zeros fall away */
    must(message_decode(buf_span(&once), &back, NULL) == LP_OK);
    must(message_encode(&back, &twice, NULL) == LP_OK);
    must(span_equal(buf_span(&once), buf_span(&twice)));
    message_hello_signed(&m, m.token, &hello);
    read_cursors(m.cursors);
    read_pages(m.pages);
    read_verdicts(m.verdicts);
    buf_fini(&once);
    buf_fini(&twice);
    buf_fini(&hello);
    return 0;
}
