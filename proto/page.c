/* page.c - cursors, pages, verdicts; the forms are in page.h. encode and decode of each side by side. */
#include "proto/page.h"

#include "proto/digest.h"
#include "proto/id.h"

/* Parts of a page on the wire: those that always come, and all that this version knows. */
#define PARTS_ALWAYS 7
#define PARTS_ALL 17

/* Skips what a newer peer appended to a list of known length. */
static void skip_rest(wire_reader *r, uint32_t count, uint32_t known) {
    for (uint32_t i = known; i < count; i++)
        wire_raw(r);
}

void cursor_put(buf *b, const cursor *c) {
    uint32_t count = c->forgot ? 8 : c->again ? 7 : c->generation ? 6 : c->behind ? 5 : 4;
    wire_put_array(b, count);
    wire_put_text(b, c->scope);
    wire_put_bytes(b, c->epoch);
    wire_put_u64(b, c->seq);
    wire_put_bytes(b, c->tag);
    if (count > 4)
        wire_put_u64(b, c->behind);
    if (count > 5)
        wire_put_u64(b, c->generation);
    if (count > 6)
        wire_put_bool(b, c->again);
    if (count > 7)
        wire_put_u64(b, c->forgot);
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

bool cursor_take(wire_reader *r, cursor *cursor_out) {
    uint32_t count = wire_array(r);
    take_cursor_parts(r, cursor_out);
    if (count > 4)
        cursor_out->behind = wire_u64(r);
    if (count > 5)
        cursor_out->generation = wire_u64(r);
    if (count > 6)
        cursor_out->again = wire_bool(r);
    if (count > 7)
        cursor_out->forgot = wire_u64(r);
    r->failed |= count < 4 || cursor_out->behind > cursor_out->seq;
    skip_rest(r, count, 8);
    return !r->failed;
}

/* How many parts a page has on the wire: those at the end that say nothing are left out. */
static uint32_t count_parts(const page *p) {
    const bool said[] = {p->cursor.behind > 0,     p->start,           p->whole.size > 0,
                         p->left.size > 0,         p->erased.size > 0, p->joined.size > 0,
                         p->cursor.generation > 0, p->again,           p->purged.size > 0,
                         p->cursor.forgot > 0};
    uint32_t count = PARTS_ALWAYS;
    for (uint32_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (said[i])
            count = PARTS_ALWAYS + i + 1;
    return count;
}

static void put_ids(buf *b, span ids) {
    if (ids.size)
        buf_append_span(b, ids);
    else
        wire_put_array(b, 0);
}

void page_put(buf *b, const page *p) {
    uint32_t count = count_parts(p);
    wire_put_array(b, count);
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
    if (count > PARTS_ALWAYS)
        wire_put_u64(b, p->cursor.behind);
    if (count > PARTS_ALWAYS + 1)
        wire_put_bool(b, p->start);
    const span ids[] = {p->whole, p->left, p->erased, p->joined};
    for (uint32_t i = 0; i < 4 && count > PARTS_ALWAYS + 2 + i; i++)
        put_ids(b, ids[i]);
    if (count > PARTS_ALWAYS + 6)
        wire_put_u64(b, p->cursor.generation);
    if (count > PARTS_ALWAYS + 7)
        wire_put_bool(b, p->again);
    if (count > PARTS_ALWAYS + 8)
        put_ids(b, p->purged);
    if (count > PARTS_ALWAYS + 9)
        wire_put_u64(b, p->cursor.forgot);
}

/* A list of ids, proved to be one; empty if there are none. */
static span take_ids(wire_reader *r) {
    span ids = wire_raw(r);
    wire_reader inside = wire_open(ids);
    lp_id id;
    uint32_t count = wire_array(&inside);
    for (uint32_t i = 0; i < count && !inside.failed; i++)
        inside.failed |= !id_from_span(wire_bytes(&inside), &id);
    r->failed |= inside.failed;
    return count ? ids : (span){0};
}

wire_reader page_ids(span part, uint32_t *left_out) {
    wire_reader ids = wire_open(part);
    *left_out = part.size ? wire_array(&ids) : 0;
    return ids;
}

lp_id page_next_id(wire_reader *ids) {
    lp_id id = {{0}};
    id_from_span(wire_bytes(ids), &id);
    return id;
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
    if (count > PARTS_ALWAYS)
        page_out->cursor.behind = wire_u64(r);
    if (count > PARTS_ALWAYS + 1)
        page_out->start = wire_bool(r);
    span *const ids[] = {&page_out->whole, &page_out->left, &page_out->erased, &page_out->joined};
    for (uint32_t i = 0; i < 4 && count > PARTS_ALWAYS + 2 + i; i++)
        *ids[i] = take_ids(r);
    if (count > PARTS_ALWAYS + 6)
        page_out->cursor.generation = wire_u64(r);
    if (count > PARTS_ALWAYS + 7)
        page_out->again = wire_bool(r);
    if (count > PARTS_ALWAYS + 8)
        page_out->purged = take_ids(r);
    if (count > PARTS_ALWAYS + 9)
        page_out->cursor.forgot = wire_u64(r);
    page_out->cursor.again = page_out->again && page_out->more;
    r->failed |= page_out->start && !page_out->again;
    r->failed |= count < PARTS_ALWAYS || page_out->cursor.behind > page_out->cursor.seq;
    skip_rest(r, count, PARTS_ALL);
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
