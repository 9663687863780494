/* hand.c - see hand.h. */
#include "tests/sim/hand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- life ---- */

static void take_identity(hand *h) {
    replica *r = h->world->devices[0].replica;
    buf seed = {0}, install = {0};
    assert_int_equal(replica_meta(r, "device.seed", &seed, NULL), LP_OK);
    assert_int_equal(replica_meta(r, "device.install", &install, NULL), LP_OK);
    memcpy(h->seed, seed.data, sizeof h->seed);
    memcpy(h->install, install.data, sizeof h->install);
    h->device = r->clock.author;
    buf_fini(&seed);
    buf_fini(&install);
}

static void start_cursors(hand *h) {
    cursor first = {.scope = SPAN_LITERAL("setup")}, second = {.scope = SPAN_LITERAL("pool")};
    wire_put_array(&h->cursors, 2);
    cursor_put(&h->cursors, &first);
    cursor_put(&h->cursors, &second);
}

void hand_open(hand *h, uint32_t devices) {
    hand_open_on(h, devices, &store_memory_ops);
}

void hand_open_on(hand *h, uint32_t devices, const store_ops *engine) {
    world_options options = {.engine = engine, .devices = devices, .seed = 1, .name = "hand"};
    *h = (hand){.link = -1, .version = PROTOCOL_VERSION, .version_min = PROTOCOL_VERSION_MIN, .kind = KIND_LEAD};
    h->world = world_new(&options);
    h->next_id = 0x80000000u;
    h->record = id_new(&h->world->env, h->world->now_ms);
    changes_init(&h->writer);
    start_cursors(h);
    if (devices) {
        take_identity(h);
    } else {
        world_invite(h->world, "a stranger", "manager", h->token);
        prop_bytes(&h->world->random, h->seed, sizeof h->seed);
        prop_bytes(&h->world->random, h->install, sizeof h->install);
    }
    h->clock.author = (uint32_t)h->device;
}

static void hang_up(hand *h) {
    if (h->link < 0)
        return;
    world_link *l = &h->world->links[h->link];
    while (l->caught) {
        world_parcel *p = l->caught;
        l->caught = p->next;
        world_parcel_free(p);
    }
    world_hang_up(h->world, (uint32_t)h->link, false);
    h->link = -1;
}

void hand_close(hand *h) {
    hang_up(h);
    world_run(h->world, 1000);
    world_free(h->world);
    changes_fini(&h->writer);
    buf_fini(&h->pushed);
    buf_fini(&h->bytes);
    buf_fini(&h->cursors);
}

void hand_connect(hand *h) {
    hang_up(h);
    h->link = world_connect(h->world, 0);
    h->world->links[h->link].by_hand = true;
    memcpy(h->binding, h->world->links[h->link].binding, sizeof h->binding);
}

/* ---- requests ---- */

void hand_send(hand *h, buf *request) {
    world_send(h->world, (uint32_t)h->link, true, ++h->next_id, request);
}

void hand_send_message(hand *h, const message *m) {
    buf request = {0};
    assert_int_equal(message_encode(m, &request, NULL), LP_OK);
    hand_send(h, &request);
}

void hand_join(hand *h) {
    uint8_t key[CRYPTO_KEY_BYTES];
    assert_int_equal(crypto_public_key(h->seed, key, NULL), LP_OK);
    message join = {.number = MSG_JOIN,
                    .version = h->version,
                    .token = span_of(h->token, sizeof h->token),
                    .public_key = span_of(key, sizeof key),
                    .install = span_of(h->install, sizeof h->install),
                    .label = SPAN_LITERAL("by hand")};
    hand_send_message(h, &join);
}

void hand_hello(hand *h, uint64_t batch) {
    buf to_sign = {0};
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    message hello = {.number = MSG_HELLO,
                     .version = h->version,
                     .version_min = h->version_min,
                     .device = h->device,
                     .install = span_of(h->install, sizeof h->install),
                     .now_ms = h->world->now_ms + h->off_ms,
                     .batch = batch,
                     .anew = h->anew,
                     .epoch = h->epoch};
    message_hello_signed(&hello, span_of(h->binding, sizeof h->binding), &to_sign);
    assert_int_equal(crypto_sign(h->seed, buf_span(&to_sign), signature, NULL), LP_OK);
    hello.signature = span_of(signature, sizeof signature);
    hello.batch = h->forge_batch ? h->forge_batch : batch;
    hand_send_message(h, &hello);
    buf_fini(&to_sign);
}

void hand_rejoin(hand *h, const uint8_t new_seed[CRYPTO_SEED_BYTES], span pass, bool lie) {
    static const uint8_t install[16] = {7};
    buf to_sign = {0};
    uint8_t key[CRYPTO_KEY_BYTES], signature[CRYPTO_SIGNATURE_BYTES];
    assert_int_equal(crypto_public_key(new_seed, key, NULL), LP_OK);
    message rejoin = {.number = MSG_REJOIN,
                      .version = h->version,
                      .device = h->device,
                      .public_key = span_of(key, sizeof key),
                      .install = span_of(install, sizeof install),
                      .pass = pass};
    message_rejoin_signed(&rejoin, span_of(h->binding, sizeof h->binding), &to_sign);
    assert_int_equal(crypto_sign(h->seed, buf_span(&to_sign), signature, NULL), LP_OK);
    signature[3] ^= lie;
    rejoin.signature = span_of(signature, sizeof signature);
    hand_send_message(h, &rejoin);
    buf_fini(&to_sign);
}

void hand_reoffer(hand *h, span entries, span changes) {
    message m = {.number = MSG_REOFFER, .entries = entries, .changes = changes};
    hand_send_message(h, &m);
}

void hand_greet(hand *h, uint64_t batch) {
    if (h->link < 0)
        hand_connect(h);
    hand_hello(h, batch);
    hand_expect(h, MSG_WELCOME);
}

void hand_begin(hand *h) {
    changes_reset(&h->writer);
    changes_begin(&h->writer);
}

void hand_put_key(hand *h, uint32_t field, const char *key, const char *text) {
    buf value = {0};
    wire_put_text(&value, span_text(text));
    change_put(&h->writer, field, span_text(key), buf_span(&value));
    buf_fini(&value);
}

void hand_put_text(hand *h, uint32_t field, const char *text) {
    hand_put_key(h, field, "", text);
}

void hand_push(hand *h, uint64_t batch) {
    buf changes = {0};
    buf request = {0};
    stamp at = hlc_next(&h->clock, h->world->now_ms + h->clock_ms);
    changes_end(&h->writer, h->kind, &h->record, at, h->base, 0);
    assert_int_equal(changes_finish(&h->writer, &changes, NULL), LP_OK);
    message m = {.number = MSG_SYNC, .batch = batch, .given_up = h->given_up, .changes = buf_span(&changes)};
    buf_clear(&h->pushed);
    assert_int_equal(message_encode(&m, &h->pushed, NULL), LP_OK);
    buf_append_span(&request, buf_span(&h->pushed));
    hand_send(h, &request);
    buf_fini(&changes);
}

void hand_push_text(hand *h, uint64_t batch, uint32_t field, const char *text) {
    hand_begin(h);
    hand_put_text(h, field, text);
    hand_push(h, batch);
}

void hand_repeat(hand *h) {
    buf request = {0};
    buf_append_span(&request, buf_span(&h->pushed));
    hand_send(h, &request);
}

void hand_ask(hand *h, uint64_t batch) {
    message pushed;
    uint8_t hash[CRYPTO_HASH_BYTES];
    assert_int_equal(message_decode(buf_span(&h->pushed), &pushed, NULL), LP_OK);
    crypto_sha256(pushed.changes, hash);
    message m = {.number = MSG_SYNC, .batch = batch, .hash = span_of(hash, sizeof hash)};
    hand_send_message(h, &m);
}

void hand_pull_from(hand *h, span cursors) {
    message m = {.number = MSG_SYNC, .cursors = cursors};
    hand_send_message(h, &m);
}

void hand_pull(hand *h) {
    hand_pull_from(h, buf_span(&h->cursors));
}

void hand_wait(hand *h, uint64_t timeout_ms) {
    message m = {.number = MSG_WAIT, .cursors = buf_span(&h->cursors), .timeout_ms = timeout_ms};
    hand_send_message(h, &m);
}

/* ---- answers ---- */

bool hand_has_answer(const hand *h) {
    const world_parcel *p = h->world->links[h->link].caught;
    return p && !p->end;
}

static void take_verdicts(hand *h) {
    wire_reader r = wire_open(h->answer.verdicts);
    uint32_t count = h->answer.verdicts.size ? wire_array(&r) : 0;
    verdict v;
    for (h->verdict_count = 0; h->verdict_count < count; h->verdict_count++) {
        assert_true(verdict_take(&r, &v));
        if (h->verdict_count < sizeof h->verdicts / sizeof h->verdicts[0])
            h->verdicts[h->verdict_count] = v;
    }
}

bool hand_receive(hand *h) {
    world_link *l = &h->world->links[h->link];
    int64_t until_ms = h->world->now_ms + 10000;
    while (!l->caught && world_step(h->world, until_ms))
        ;
    world_parcel *p = l->caught;
    if (!p || p->end)
        return false;
    l->caught = p->next;
    buf_fini(&h->bytes);
    h->bytes = p->message;
    p->message = (buf){0};
    h->answer_id = p->id;
    world_parcel_free(p);
    assert_int_equal(message_decode(buf_span(&h->bytes), &h->answer, NULL), LP_OK);
    take_verdicts(h);
    return true;
}

void hand_expect(hand *h, uint32_t number) {
    assert_true(hand_receive(h));
    if (h->answer.number != number)
        fprintf(stderr, "%s: %.*s\n", message_name(h->answer.number), (int)h->answer.reason.size,
                h->answer.reason.size ? (const char *)h->answer.reason.data : "");
    assert_string_equal(message_name(h->answer.number), message_name(number));
}

void hand_expect_of(hand *h, uint32_t number, uint32_t back) {
    hand_expect(h, number);
    assert_int_equal(h->answer_id, h->next_id - back);
}

void hand_expect_refused(hand *h, lp_err code) {
    hand_expect(h, MSG_REFUSED);
    assert_string_equal(lp_err_name((lp_err)h->answer.code), lp_err_name(code));
    assert_true(h->answer.reason.size > 0);
}

void hand_expect_verdict(const hand *h, uint32_t set, int32_t field, verdict_kind kind) {
    for (uint32_t i = 0; i < h->verdict_count && i < sizeof h->verdicts / sizeof h->verdicts[0]; i++) {
        const verdict *v = &h->verdicts[i];
        if (v->set != set || v->field != field)
            continue;
        assert_int_equal(v->kind, kind);
        assert_true(kind != VERDICT_REFUSED || v->reason.size > 0);
        return;
    }
    fail_msg("no verdict on change %d of set %u", field, set);
}

void hand_read_pages(hand *h) {
    wire_reader r = wire_open(h->answer.pages);
    uint32_t count = wire_array(&r);
    page p;
    h->more = false;
    buf_clear(&h->cursors);
    wire_put_array(&h->cursors, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(page_take(&r, &p));
        cursor_put(&h->cursors, &p.cursor);
        h->more |= p.more;
        if (!span_equal(p.cursor.scope, SPAN_LITERAL("pool")))
            continue;
        changes_reader sets;
        assert_int_equal(changes_open(&sets, p.changes, NULL), LP_OK);
        h->pool_sets = sets.set_count;
        h->pool_seq = p.cursor.seq;
        changes_close(&sets);
    }
}

/* ---- the pool ---- */

bool hand_pool_has(hand *h, uint32_t field) {
    store_reader *reader = h->world->reader;
    store_row row;
    record rec;
    bool found = false;
    assert_int_equal(reader->ops->snapshot(reader, NULL), LP_OK);
    if (reader->ops->read(reader, &h->record, &row, NULL) == LP_OK) {
        record_init(&rec, row.kind, &row.id);
        assert_int_equal(record_unpack(&rec, row.body, row.stamps, NULL), LP_OK);
        found = record_value(&rec, field, (span){0}).size > 0;
        record_fini(&rec);
    }
    reader->ops->snapshot_end(reader);
    return found;
}

static bool count_entry(void *ctx, const store_history *entry) {
    (void)entry;
    (*(uint32_t *)ctx)++;
    return true;
}

uint32_t hand_history(hand *h) {
    store_reader *reader = h->world->reader;
    uint32_t count = 0;
    assert_int_equal(reader->ops->snapshot(reader, NULL), LP_OK);
    assert_int_equal(reader->ops->read_history(reader, &h->record, count_entry, &count, NULL), LP_OK);
    reader->ops->snapshot_end(reader);
    return count;
}
