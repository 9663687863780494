/* fuzz_page.c - any bytes as pages, cursors and verdicts: read or refused, and written again they read the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/id.h"
#include "proto/page.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void walk_ids(span part) {
    uint32_t left;
    wire_reader ids = page_ids(part, &left);
    while (left-- > 0)
        page_next_id(&ids);
    must(wire_done(&ids) || part.size == 0);
}

/* Both forms of a page say the same. */
static void compare(const page *a, const page *b) {
    must(span_equal(a->cursor.scope, b->cursor.scope) && span_equal(a->cursor.epoch, b->cursor.epoch));
    must(a->cursor.seq == b->cursor.seq && a->cursor.behind == b->cursor.behind &&
         span_equal(a->cursor.tag, b->cursor.tag));
    must(a->more == b->more && a->start == b->start && span_equal(a->digest, b->digest));
    must(span_equal(a->changes, b->changes));
    uint32_t n, m;
    const span *lists[] = {&a->whole, &b->whole, &a->left, &b->left, &a->erased, &b->erased};
    for (int i = 0; i < 6; i += 2) {
        wire_reader x = page_ids(*lists[i], &n), y = page_ids(*lists[i + 1], &m);
        must(n == m);
        for (; n > 0; n--) {
            lp_id p = page_next_id(&x), q = page_next_id(&y);
            must(id_equal(&p, &q));
        }
    }
}

static void try_page(span raw) {
    page p, again;
    wire_reader r = wire_open(raw);
    if (!page_take(&r, &p))
        return;
    walk_ids(p.whole);
    walk_ids(p.left);
    walk_ids(p.erased);
    buf out = {0};
    page_put(&out, &p);
    wire_reader back = wire_open(buf_span(&out));
    must(!out.failed && wire_scan(buf_span(&out), NULL) == LP_OK);
    must(page_take(&back, &again) && wire_done(&back));
    compare(&p, &again);
    buf_fini(&out);
}

static void try_cursor(span raw) {
    cursor c, again;
    wire_reader r = wire_open(raw);
    if (!cursor_take(&r, &c))
        return;
    buf out = {0};
    cursor_put(&out, &c);
    wire_reader back = wire_open(buf_span(&out));
    must(cursor_take(&back, &again) && wire_done(&back) && again.seq == c.seq && again.behind == c.behind);
    buf_fini(&out);
}

static void try_verdict(span raw) {
    verdict v, again;
    wire_reader r = wire_open(raw);
    if (!verdict_take(&r, &v))
        return;
    buf out = {0};
    verdict_put(&out, &v);
    wire_reader back = wire_open(buf_span(&out));
    must(verdict_take(&back, &again) && again.set == v.set && again.field == v.field && again.kind == v.kind);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    span raw = span_of(data, size);
    if (wire_scan(raw, NULL) == LP_OK) {
        try_page(raw);
        try_cursor(raw);
        try_verdict(raw);
    }
    return 0;
}
