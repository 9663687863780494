/* test_verify.c - what `leadpoold verify` finds beside the engine's own checks: rows against history, conflicts, documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/wire.h"
#include "server/pool/apply.h"
#include "server/office/verify.h"
#include "tests/support/prop.h"

#define START_MS INT64_C(1795000000000)

typedef struct basin {
    lp_env env;
    prop random;
    store *store;
    pool pool;
} basin;

static const lp_id lead = {{1, 2, 3}};

static int64_t now(void *ctx) {
    (void)ctx;
    return START_MS + 1000000;
}

static void random_bytes(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((basin *)ctx)->random, bytes, size);
}

static void boot_id(void *ctx, uint8_t id_out[16]) {
    (void)ctx;
    memset(id_out, 1, 16);
}

/* A device's change of the one lead's company. */
static void write_company(basin *b, uint32_t device, int64_t at_ms, const char *text) {
    changes_writer w;
    changes_reader reader;
    change_set set;
    buf value = {0}, raw = {0};
    apply_verdicts verdicts = {0};
    apply_author author = {.device = device, .person = {{(uint8_t)device}}};
    changes_init(&w);
    wire_put_text(&value, span_text(text));
    changes_begin(&w);
    change_put(&w, LEAD_COMPANY, (span){0}, buf_span(&value));
    changes_end(&w, KIND_LEAD, &lead, (stamp){(uint64_t)(START_MS + at_ms) << 16, device}, STAMP_NONE, 0);
    assert_int_equal(changes_finish(&w, &raw, NULL), LP_OK);
    assert_int_equal(changes_open(&reader, buf_span(&raw), NULL), LP_OK);
    assert_true(changes_next(&reader, &set));
    assert_int_equal(b->store->ops->begin(b->store, NULL), LP_OK);
    assert_int_equal(apply_set(&b->pool, &set, 0, &author, &verdicts, NULL), LP_OK);
    assert_int_equal(pool_save_digests(&b->pool, NULL), LP_OK);
    assert_int_equal(b->store->ops->commit(b->store, NULL), LP_OK);
    changes_close(&reader);
    changes_fini(&w);
    buf_fini(&value);
    buf_fini(&raw);
    buf_fini(&verdicts.list);
}

static void basin_open(basin *b) {
    *b = (basin){.random = prop_seeded(3)};
    b->env = (lp_env){b, now, now, random_bytes, boot_id};
    assert_int_equal(store_memory_ops.open(NULL, true, &b->store, NULL), LP_OK);
    assert_int_equal(pool_create(b->store, &b->env, "Messe", NULL), LP_OK);
    assert_int_equal(pool_open(&b->pool, b->store, &b->env, NULL), LP_OK);
    write_company(b, 20, 1, "Acme");
    write_company(b, 21, 2, "Acme Ltd"); /* conflicts with the first */
}

static void basin_close(basin *b) {
    pool_close(&b->pool);
    b->store->ops->close(b->store);
}

static lp_err verify(basin *b, store_progress_fn progress, lp_error *error) {
    store_reader *reader;
    assert_int_equal(b->store->ops->reader_open(b->store, &reader, NULL), LP_OK);
    assert_int_equal(reader->ops->snapshot(reader, NULL), LP_OK);
    lp_err err = verify_contents(reader, progress, NULL, error);
    if (!err && !progress)
        assert_int_equal(verify_all(&b->pool, reader, NULL, NULL, NULL), LP_OK);
    reader->ops->snapshot_end(reader);
    reader->ops->reader_close(reader);
    return err;
}

static void a_pool_that_was_only_written_by_its_own_rules_is_sound(void **state) {
    basin b;
    lp_error error;
    (void)state;
    basin_open(&b);
    assert_int_equal(verify(&b, NULL, &error), LP_OK);
    basin_close(&b);
}

/* Stores the lead with its company set behind the back of all rules. */
static void force(basin *b, const char *text, stamp at, bool gone) {
    store_row row;
    record rec;
    buf body = {0}, stamps = {0}, value = {0}, old = {0};
    assert_int_equal(b->store->ops->begin(b->store, NULL), LP_OK);
    assert_int_equal(b->store->ops->load(b->store, &lead, &row, NULL), LP_OK);
    buf_append_span(&old, row.body);
    buf_append_span(&old, row.stamps);
    record_init(&rec, row.kind, &lead);
    size_t size = row.body.size;
    assert_int_equal(record_unpack(&rec, span_of(old.data, size), span_of(old.data + size, old.size - size), NULL),
                     LP_OK);
    reg *company = record_find(&rec, LEAD_COMPANY, (span){0});
    assert_non_null(company);
    wire_put_text(&value, span_text(text));
    company->value = buf_span(&value);
    company->stamp = at;
    company->field = gone ? LEAD_STATE : company->field;
    assert_int_equal(b->store->ops->take_seq(b->store, 1, &row.seq, NULL), LP_OK);
    company->seq = row.seq;
    assert_int_equal(record_pack(&rec, &body, &stamps, NULL), LP_OK);
    row.id = lead;
    row.body = buf_span(&body);
    row.stamps = buf_span(&stamps);
    assert_int_equal(b->store->ops->save(b->store, &row, NULL), LP_OK);
    assert_int_equal(b->store->ops->commit(b->store, NULL), LP_OK);
    record_fini(&rec);
    buf_fini(&body);
    buf_fini(&stamps);
    buf_fini(&value);
    buf_fini(&old);
}

static void expect_damage(basin *b, const char *words) {
    lp_error error = {0};
    assert_int_equal(verify(b, NULL, &error), LP_CORRUPT);
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

static stamp moment(int64_t at_ms, uint32_t device) {
    return (stamp){(uint64_t)(START_MS + at_ms) << 16, device};
}

static void what_stands_must_be_the_greatest_of_its_history(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t at_ms;
        uint32_t device;
        bool gone;
        const char *words;
    } cases[] = {
        {"Acme", 1, 20, false, "an older value stands"},
        {"Acme LTD", 2, 21, false, "older value stands"}, /* the same stamp, lesser bytes */
        {"Nobody's", 3, 21, false, "not in its history"},
        {"Zcme Ltd", 2, 21, false, "not in its history"}, /* the same stamp, greater bytes */
        {"Acme Ltd", 2, 21, true, "a field that it has not"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        basin b;
        basin_open(&b);
        force(&b, cases[i].text, moment(cases[i].at_ms, cases[i].device), cases[i].gone);
        expect_damage(&b, cases[i].words);
        basin_close(&b);
    }
}

static void a_conflict_must_name_what_was_there(void **state) {
    basin b;
    lp_id id = {{7}};
    buf stamp_value = {0}, record_value_bytes = {0}, field = {0};
    uint8_t made[STAMP_BYTES];
    (void)state;
    basin_open(&b);
    stamp_pack(moment(77, 20), made);
    wire_put_bytes(&stamp_value, span_of(made, sizeof made));
    wire_put_bytes(&record_value_bytes, id_span(&lead));
    wire_put_u64(&field, LEAD_COMPANY);
    reg regs[] = {{.field = CONFLICT_RECORD, .value = buf_span(&record_value_bytes)},
                  {.field = CONFLICT_FIELD, .value = buf_span(&field)},
                  {.field = CONFLICT_LOST_STAMP, .value = buf_span(&stamp_value)}};
    assert_int_equal(b.store->ops->begin(b.store, NULL), LP_OK);
    assert_int_equal(apply_own(&b.pool, KIND_CONFLICT, &id, regs, 3, NULL), LP_OK);
    assert_int_equal(b.store->ops->commit(b.store, NULL), LP_OK);
    expect_damage(&b, "names a change that its record never had");
    buf_fini(&stamp_value);
    buf_fini(&record_value_bytes);
    buf_fini(&field);
    basin_close(&b);
}

static void put(basin *b, store_space space, span key, span value) {
    assert_int_equal(b->store->ops->begin(b->store, NULL), LP_OK);
    assert_int_equal(b->store->ops->put(b->store, space, key, value, NULL), LP_OK);
    assert_int_equal(b->store->ops->commit(b->store, NULL), LP_OK);
}

static void devices_and_batches_must_read(void **state) {
    static const uint8_t batch_key[12] = {0, 0, 0, 99, 1};
    buf batch = {0};
    basin b;
    (void)state;
    basin_open(&b);
    put(&b, STORE_DEVICE, SPAN_LITERAL("\0\0\0\x14"), SPAN_LITERAL("\xc1"));
    expect_damage(&b, "device 20 is damaged");
    basin_close(&b);
    basin_open(&b);
    put(&b, STORE_DEVICE, SPAN_LITERAL("x"), SPAN_LITERAL("\xc1"));
    expect_damage(&b, "has no number");
    basin_close(&b);
    basin_open(&b);
    put(&b, STORE_BATCH, span_of(batch_key, sizeof batch_key), SPAN_LITERAL("\x91\xc0"));
    expect_damage(&b, "memory of a batch of device 99");
    basin_close(&b);
    basin_open(&b);
    wire_put_array(&batch, 2);
    wire_put_bytes(&batch, span_of((const uint8_t[32]){0}, 32));
    wire_put_array(&batch, 0);
    put(&b, STORE_BATCH, span_of(batch_key, sizeof batch_key), buf_span(&batch));
    expect_damage(&b, "no such device");
    buf_fini(&batch);
    basin_close(&b);
}

static bool give_up(void *ctx, uint64_t done, uint64_t total) {
    (void)ctx;
    (void)done;
    (void)total;
    return false;
}

static void a_check_can_be_given_up(void **state) {
    basin b;
    (void)state;
    basin_open(&b);
    for (int i = 0; i < 300; i++) {
        lp_id id = prop_id(&b.random);
        buf value = {0};
        wire_put_text(&value, SPAN_LITERAL("x"));
        reg one = {.field = STAFF_NAME, .value = buf_span(&value)};
        assert_int_equal(b.store->ops->begin(b.store, NULL), LP_OK);
        assert_int_equal(apply_own(&b.pool, KIND_STAFF, &id, &one, 1, NULL), LP_OK);
        assert_int_equal(b.store->ops->commit(b.store, NULL), LP_OK);
        buf_fini(&value);
    }
    assert_int_equal(verify(&b, give_up, NULL), LP_CLOSED);
    basin_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_that_was_only_written_by_its_own_rules_is_sound),
        cmocka_unit_test(what_stands_must_be_the_greatest_of_its_history),
        cmocka_unit_test(a_conflict_must_name_what_was_there),
        cmocka_unit_test(devices_and_batches_must_read),
        cmocka_unit_test(a_check_can_be_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
