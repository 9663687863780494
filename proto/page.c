/* page.c - cursors, pages, verdicts; the forms are in page.h. encode and decode of each side by side. */
#include "proto/page.h"

#include "proto/digest.h"

/* Skips what a newer peer appended to a list of known length. */
static void skip_rest(wire_reader *r, uint32_t count, uint32_t known) {
    for (uint32_t i = known; i < count; i++)
        wire_raw(r);
}

void cursor_put(buf *b, const cursor *c) {
    wire_put_array(b, c->behind ? 5 : 4);
    wire_put_text(b, c->scope);
    wire_put_bytes(b, c->epoch);
    wire_put_u64(b, c->seq);
    wire_put_bytes(b, c->tag);
    if (c->behind)
        wire_put_u64(b, c->behind);
}

static void take_cursor_parts(wire_reader *r, cursor *c) {
    *c = (cursor){0};
    c->scope = wire_text(r);
    c->epoch = wire_bytes(r);
    c->seq = wire_u64(r);
    c->tag = wire_bytes(r);
    if (c->scope.size == 0 || c->scope.size > SCOPE_NAME_BYTES_MAX || (c->epoch.size && c->epoch.size != EPOCH_BYTES) ||
        (c->tag.size && c->tag.size != CURSOR_TAG_BYTES))
        r->failed = true;
}

/* The optional last part: element `index` of a list of `count`. */
static void take_behind(wire_reader *r, uint32_t count, uint32_t index, cursor *c) {
    if (count > index)
        c->behind = wire_u64(r);
    r->failed |= count < index || c->behind > c->seq;
    skip_rest(r, count, index + 1);
}

bool cursor_take(wire_reader *r, cursor *cursor_out) {
    uint32_t count = wire_array(r);
    take_cursor_parts(r, cursor_out);
    take_behind(r, count, 4, cursor_out);
    return !r->failed;
}

void page_put(buf *b, const page *p) {
    wire_put_array(b, p->cursor.behind ? 8 : 7);
    wire_put_text(b, p->cursor.scope);
    wire_put_bytes(b, p->cursor.epoch);
    wire_put_u64(b, p->cursor.seq);
    wire_put_bytes(b, p->cursor.tag);
    wire_put_bool(b, p->more);
    buf_append_span(b, p->changes.size ? p->changes : SPAN_LITERAL("\x92\x90\x90")); /* no stamps, no sets */
    if (p->digest.size)
        wire_put_bytes(b, p->digest);
    else
        wire_put_nil(b);
    if (p->cursor.behind)
        wire_put_u64(b, p->cursor.behind);
}

bool page_take(wire_reader *r, page *page_out) {
    *page_out = (page){0};
    uint32_t count = wire_array(r);
    take_cursor_parts(r, &page_out->cursor);
    page_out->more = wire_bool(r);
    page_out->changes = wire_raw(r);
    if (wire_peek(r) == WIRE_NIL)
        wire_nil(r);
    else
        page_out->digest = wire_bytes(r);
    r->failed |= page_out->digest.data && page_out->digest.size != DIGEST_BYTES;
    take_behind(r, count, 7, &page_out->cursor);
    return !r->failed;
}

void verdict_put(buf *b, const verdict *v) {
    wire_put_array(b, 4);
    wire_put_u64(b, v->set);
    wire_put_i64(b, v->field);
    wire_put_u64(b, (uint64_t)v->kind);
    wire_put_text(b, v->reason);
}

bool verdict_take(wire_reader *r, verdict *verdict_out) {
    *verdict_out = (verdict){0};
    uint32_t count = wire_array(r);
    uint64_t set = wire_u64(r);
    int64_t field = wire_i64(r);
    uint64_t kind = wire_u64(r);
    verdict_out->reason = wire_text(r);
    if (count < 4 || set > UINT32_MAX || field < -1 || field > INT32_MAX || kind > VERDICT_RECEIVED)
        r->failed = true;
    verdict_out->set = (uint32_t)set;
    verdict_out->field = (int32_t)field;
    verdict_out->kind = (verdict_kind)kind;
    skip_rest(r, count, 4);
    return !r->failed;
}
