/* test_codec.c - what is written can be read, what was read is written again bit for bit, and nothing unknown is lost on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "proto/change.h"
#include "proto/message.h"
#include "proto/page.h"
#include "proto/schema.h"
#include "tests/support/prop.h"

#define REGS_MAX 40

/* Registers with random content; the bytes they borrow lie in `bytes`, which does not move while they are drawn. */
typedef struct drawn {
    buf bytes;
    reg regs[REGS_MAX];
    uint32_t count;
} drawn;

static span draw_span(prop *p, buf *b, bool key) {
    size_t start = b->size;
    if (key)
        prop_text(p, b, 20);
    else
        prop_value(p, b, 3);
    return span_of(b->data + start, b->size - start);
}

static stamp draw_stamp(prop *p) {
    return (stamp){prop_number(p), 1 + (uint32_t)prop_below(p, UINT32_MAX)};
}

static void draw(prop *p, drawn *d) {
    d->bytes = (buf){0};
    assert_true(buf_reserve(&d->bytes, 1 << 20));
    d->count = (uint32_t)prop_below(p, REGS_MAX + 1);
    for (uint32_t i = 0; i < d->count; i++) {
        reg *r = &d->regs[i];
        bool alike = i && prop_chance(p, 60);
        *r = alike ? d->regs[i - 1] : (reg){.stamp = draw_stamp(p), .seq = prop_number(p)};
        if (prop_chance(p, alike ? 20 : 50)) /* alike but for one thing: another run all the same */
            r->base = draw_stamp(p);
        else if (alike && prop_chance(p, 20))
            r->seq = prop_number(p);
        r->uncertain = alike ? r->uncertain : prop_chance(p, 30);
        r->field = prop_chance(p, 70) ? 1 + i : 1 + (uint32_t)prop_below(p, FIELD_NUMBER_MAX);
        r->key = prop_chance(p, 30) ? draw_span(p, &d->bytes, true) : (span){0};
        r->value = draw_span(p, &d->bytes, false);
    }
}

static bool same_reg(const reg *a, const reg *b) {
    return a->field == b->field && span_equal(a->key, b->key) && span_equal(a->value, b->value) &&
           stamp_compare(a->stamp, b->stamp) == 0 && stamp_compare(a->base, b->base) == 0 && a->seq == b->seq;
}

static void records_survive_packing_byte_for_byte(void **state) {
    (void)state;
    prop p = prop_begin("record pack");
    for (uint32_t i = 0; i < prop_rounds(1500); i++) {
        prop_round(&p, i);
        drawn d;
        record rec, back;
        lp_id id = prop_id(&p);
        buf body = {0}, stamps = {0}, body_again = {0}, stamps_again = {0};
        draw(&p, &d);
        record_init(&rec, 7, &id);
        record_init(&back, 7, &id);
        for (uint32_t j = 0; j < d.count; j++) {
            bool made;
            *record_at(&rec, d.regs[j].field, d.regs[j].key, &made) = d.regs[j];
        }
        assert_int_equal(record_pack(&rec, &body, &stamps, NULL), LP_OK);
        assert_true(prop_holds(&p, record_unpack(&back, buf_span(&body), buf_span(&stamps), NULL) == LP_OK, "unpacks"));
        assert_int_equal(back.count, rec.count);
        for (uint32_t j = 0; j < rec.count; j++)
            assert_true(prop_holds(&p, same_reg(&rec.regs[j], &back.regs[j]), "each register comes back"));
        assert_int_equal(record_pack(&back, &body_again, &stamps_again, NULL), LP_OK);
        assert_true(prop_holds(&p, span_equal(buf_span(&body), buf_span(&body_again)), "body again"));
        assert_true(prop_holds(&p, span_equal(buf_span(&stamps), buf_span(&stamps_again)), "stamps again"));
        assert_true(prop_holds(&p, record_bytes(&rec) >= body.size, "counted at least what it takes"));
        for (size_t cut = 0; cut < stamps.size; cut++)
            assert_int_equal(record_unpack(&back, buf_span(&body), span_of(stamps.data, cut), NULL), LP_CORRUPT);
        record_fini(&rec);
        record_fini(&back);
        buf_fini(&body);
        buf_fini(&stamps);
        buf_fini(&body_again);
        buf_fini(&stamps_again);
        buf_fini(&d.bytes);
    }
}

static void values_are_canonical(void **state) {
    (void)state;
    prop p = prop_begin("value");
    for (uint32_t i = 0; i < prop_rounds(20000); i++) {
        prop_round(&p, i);
        buf raw = {0}, again = {0};
        prop_value(&p, &raw, 6);
        assert_true(prop_holds(&p, wire_scan(buf_span(&raw), NULL) == LP_OK, "what the writer makes the scan accepts"));
        lp_value value = wire_value(buf_span(&raw));
        wire_put_value(&again, &value);
        assert_true(prop_holds(&p, span_equal(buf_span(&raw), buf_span(&again)), "read and written again"));
        buf_fini(&raw);
        buf_fini(&again);
    }
}

/* Rewrites any accepted object with the writer. If the scan is strict, the bytes cannot differ. */
static void rewrite(wire_reader *r, buf *out) {
    uint32_t count = 0;
    wire_kind kind = wire_peek(r);
    wire_reader probe = *r;
    switch (kind) {
    case WIRE_ARRAY:
        count = wire_array(r);
        wire_put_array(out, count);
        break;
    case WIRE_MAP:
        count = wire_map(r);
        wire_put_map(out, count);
        count *= 2;
        break;
    case WIRE_INT:
        wire_i64(&probe);
        if (probe.failed)
            wire_put_u64(out, wire_u64(r));
        else
            wire_put_i64(out, wire_i64(r));
        break;
    default: {
        lp_value value = wire_value(wire_raw(r));
        wire_put_value(out, &value);
        break;
    }
    }
    for (uint32_t i = 0; i < count; i++)
        rewrite(r, out);
}

static void whatever_the_scan_accepts_has_one_form(void **state) {
    (void)state;
    prop p = prop_begin("canonical");
    uint32_t accepted = 0;
    for (uint32_t i = 0; i < prop_rounds(60000); i++) {
        prop_round(&p, i);
        buf raw = {0}, again = {0};
        prop_value(&p, &raw, 3);
        for (uint64_t flips = prop_below(&p, 3); flips > 0 && raw.size; flips--)
            raw.data[prop_below(&p, raw.size)] = (uint8_t)prop_u64(&p);
        if (wire_scan(buf_span(&raw), NULL) == LP_OK) {
            accepted++;
            wire_reader r = wire_open(buf_span(&raw));
            rewrite(&r, &again);
            assert_true(prop_holds(&p, wire_done(&r), "read to the end"));
            assert_true(prop_holds(&p, span_equal(buf_span(&raw), buf_span(&again)), "one form"));
        }
        buf_fini(&raw);
        buf_fini(&again);
    }
    assert_true(accepted > 0);
}

static void change_sets_come_back_as_they_went(void **state) {
    (void)state;
    prop p = prop_begin("changes");
    changes_writer w;
    changes_init(&w);
    for (uint32_t i = 0; i < prop_rounds(800); i++) {
        prop_round(&p, i);
        drawn d;
        buf raw = {0};
        draw(&p, &d);
        changes_reset(&w);
        uint32_t sets = 0;
        lp_id ids[REGS_MAX];
        int64_t skews[REGS_MAX];
        stamp bases[REGS_MAX];
        bool uncertain[REGS_MAX];
        for (uint32_t j = 0; j < d.count; j++) { /* set j holds change j, twice */
            ids[j] = prop_id(&p);
            skews[j] = prop_between(&p, -STAMP_MS_MAX, STAMP_MS_MAX);
            bases[j] = j && prop_chance(&p, 30) ? d.regs[prop_below(&p, j)].stamp : d.regs[j].base;
            buf packed = {0};
            uncertain[j] = prop_chance(&p, 20);
            changes_begin(&w);
            if (uncertain[j])
                changes_mark_uncertain(&w);
            change_put(&w, d.regs[j].field, d.regs[j].key, d.regs[j].value);
            change_pack(&packed, d.regs[j].field, d.regs[j].key, d.regs[j].value);
            change_put_packed(&w, buf_span(&packed), 1);
            changes_end(&w, 1 + j, &ids[j], d.regs[j].stamp, bases[j], skews[j]);
            buf_fini(&packed);
            sets++;
        }
        assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
        assert_true(changes_bytes(&w) >= raw.size);
        assert_true(prop_holds(&p, wire_scan(buf_span(&raw), NULL) == LP_OK, "scans"));
        changes_reader r;
        change_set set;
        assert_int_equal(changes_open(&r, buf_span(&raw), NULL), LP_OK);
        assert_int_equal(r.set_count, sets);
        for (uint32_t j = 0; changes_next(&r, &set); j++) {
            assert_true(id_equal(&set.id, &ids[j]) && set.kind == 1 + j && set.field_count == 2);
            assert_true(prop_holds(&p, set.skew_ms == skews[j], "the set's own skew"));
            assert_true(prop_holds(&p, set.uncertain == uncertain[j], "its certainty"));
            assert_true(prop_holds(&p, stamp_compare(set.stamp, d.regs[j].stamp) == 0, "its stamp"));
            assert_true(prop_holds(&p, stamp_compare(set.base, bases[j]) == 0, "its base"));
            reg change;
            for (int k = 0; k < 2; k++) {
                assert_true(change_next(&set, &change));
                assert_true(change.field == d.regs[j].field && span_equal(change.key, d.regs[j].key));
                assert_true(prop_holds(&p, span_equal(change.value, d.regs[j].value), "its value"));
            }
            assert_false(change_next(&set, &change));
            assert_false(set.fields.failed);
        }
        assert_false(r.sets.failed);
        assert_int_equal(r.next, sets);
        changes_close(&r);
        buf_fini(&raw);
        buf_fini(&d.bytes);
    }
    changes_fini(&w);
}

static const uint32_t numbers[] = {
#define MESSAGE(NAME, number, name) number,
#define PART(MESSAGE, key, member, type)
#include "proto/messages.def"
#undef MESSAGE
#undef PART
};

static span draw_text_span(prop *p, buf *b) {
    size_t start = b->size;
    prop_text(p, b, 60);
    return span_of(b->data + start, b->size - start);
}

static uint64_t draw_u64(prop *p) {
    return prop_number(p);
}

static int64_t draw_i64(prop *p) {
    return prop_between(p, -STAMP_MS_MAX, STAMP_MS_MAX);
}

static bool draw_bool(prop *p) {
    return prop_chance(p, 50);
}

#define DRAW_U64 draw_u64(p)
#define DRAW_I64 draw_i64(p)
#define DRAW_BOOL draw_bool(p)
#define DRAW_TEXT draw_text_span(p, bytes)
#define DRAW_BYTES draw_text_span(p, bytes)
#define DRAW_RAW draw_span(p, bytes, false)

static void draw_message(prop *p, buf *bytes, message *m) {
    *m = (message){.number = numbers[prop_below(p, sizeof numbers / sizeof numbers[0])]};
#define MESSAGE(NAME, number, name)
#define PART(MESSAGE, key, member, type)                                                                               \
    if (m->number == MSG_##MESSAGE && prop_chance(p, 80))                                                              \
        m->member = DRAW_##type;
#include "proto/messages.def"
#undef MESSAGE
#undef PART
}

static void messages_come_back_as_they_went(void **state) {
    (void)state;
    prop p = prop_begin("messages");
    for (uint32_t i = 0; i < prop_rounds(5000); i++) {
        prop_round(&p, i);
        message m, back;
        buf bytes = {0}, wire = {0}, again = {0};
        assert_true(buf_reserve(&bytes, 1 << 18));
        draw_message(&p, &bytes, &m);
        assert_int_equal(message_encode(&m, &wire, NULL), LP_OK);
        assert_true(prop_holds(&p, message_decode(buf_span(&wire), &back, NULL) == LP_OK, "decodes"));
        assert_int_equal(back.number, m.number);
        assert_int_equal(message_encode(&back, &again, NULL), LP_OK);
        assert_true(prop_holds(&p, span_equal(buf_span(&wire), buf_span(&again)), "encoded again"));
        buf_fini(&bytes);
        buf_fini(&wire);
        buf_fini(&again);
    }
}

static void unknown_parts_and_appended_elements_are_passed_over(void **state) {
    (void)state;
    prop p = prop_begin("newer peer");
    for (uint32_t i = 0; i < prop_rounds(3000); i++) {
        prop_round(&p, i);
        message m, back;
        buf bytes = {0}, wire = {0}, newer = {0}, again = {0};
        assert_true(buf_reserve(&bytes, 1 << 18));
        draw_message(&p, &bytes, &m);
        assert_int_equal(message_encode(&m, &wire, NULL), LP_OK);
        wire_reader r = wire_open(buf_span(&wire));
        wire_array(&r);
        wire_put_array(&newer, 3);
        wire_put_u64(&newer, wire_u64(&r));
        uint32_t parts = wire_map(&r);
        wire_put_map(&newer, parts + 2);
        buf_append(&newer, r.at, (size_t)(r.end - r.at));
        wire_put_u64(&newer, 1000);
        prop_value(&p, &newer, 3);
        wire_put_u64(&newer, 1000 + 1 + prop_number(&p) / 2);
        prop_value(&p, &newer, 3);
        prop_value(&p, &newer, 3); /* the third element */
        assert_true(prop_holds(&p, message_decode(buf_span(&newer), &back, NULL) == LP_OK, "understood"));
        assert_int_equal(message_encode(&back, &again, NULL), LP_OK);
        assert_true(prop_holds(&p, span_equal(buf_span(&wire), buf_span(&again)), "the known parts as they were"));
        buf_fini(&bytes);
        buf_fini(&wire);
        buf_fini(&newer);
        buf_fini(&again);
    }
}

static void cursors_pages_and_verdicts_come_back(void **state) {
    (void)state;
    prop p = prop_begin("lists");
    for (uint32_t i = 0; i < prop_rounds(3000); i++) {
        prop_round(&p, i);
        uint8_t random[EPOCH_BYTES + CURSOR_TAG_BYTES + 16];
        buf bytes = {0}, raw = {0}, again = {0};
        prop_bytes(&p, random, sizeof random);
        assert_true(buf_reserve(&bytes, 1 << 16));
        prop_text(&p, &bytes, SCOPE_NAME_BYTES_MAX - 1);
        buf_append_byte(&bytes, 'x');
        page one = {.cursor = {.scope = buf_span(&bytes), .seq = prop_number(&p)}, .more = prop_chance(&p, 50)};
        if (prop_chance(&p, 50))
            one.cursor.epoch = span_of(random, EPOCH_BYTES);
        if (prop_chance(&p, 50))
            one.cursor.tag = span_of(random + EPOCH_BYTES, CURSOR_TAG_BYTES);
        if (prop_chance(&p, 50))
            one.digest = span_of(random + EPOCH_BYTES + CURSOR_TAG_BYTES, 16);
        if (prop_chance(&p, 30))
            one.cursor.behind = prop_below(&p, one.cursor.seq / 2 + 1);
        one.start = prop_chance(&p, 30);
        const span ids = SPAN_LITERAL("\x91\xc4\x10iiiiiiiiiiiiiiii");
        one.again = one.start || prop_chance(&p, 30);
        one.cursor.again = one.again && one.more;
        if (prop_chance(&p, 30))
            one.cursor.generation = prop_number(&p);
        span *const lists[] = {&one.whole, &one.left, &one.erased, &one.joined, &one.purged};
        for (int k = 0; k < 5; k++)
            if (prop_chance(&p, 30))
                *lists[k] = ids;
        verdict judged = {.set = (uint32_t)prop_number(&p),
                          .field = (int32_t)prop_between(&p, -1, INT32_MAX),
                          .kind = (verdict_kind)prop_below(&p, 4),
                          .reason = one.cursor.scope};
        wire_put_array(&raw, 3);
        page_put(&raw, &one);
        cursor_put(&raw, &one.cursor);
        verdict_put(&raw, &judged);
        assert_true(prop_holds(&p, wire_scan(buf_span(&raw), NULL) == LP_OK, "scans"));
        wire_reader r = wire_open(buf_span(&raw));
        page page_back;
        cursor cursor_back;
        verdict verdict_back;
        wire_put_array(&again, wire_array(&r));
        assert_true(page_take(&r, &page_back) && cursor_take(&r, &cursor_back) && verdict_take(&r, &verdict_back));
        page_put(&again, &page_back);
        cursor_put(&again, &cursor_back);
        verdict_put(&again, &verdict_back);
        assert_true(prop_holds(&p, wire_done(&r) && span_equal(buf_span(&raw), buf_span(&again)), "written again"));
        buf_fini(&bytes);
        buf_fini(&raw);
        buf_fini(&again);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_survive_packing_byte_for_byte),
        cmocka_unit_test(values_are_canonical),
        cmocka_unit_test(whatever_the_scan_accepts_has_one_form),
        cmocka_unit_test(change_sets_come_back_as_they_went),
        cmocka_unit_test(messages_come_back_as_they_went),
        cmocka_unit_test(unknown_parts_and_appended_elements_are_passed_over),
        cmocka_unit_test(cursors_pages_and_verdicts_come_back),
    };
    return cmocka_run_group_tests_name("property_codec", tests, NULL, NULL);
}
