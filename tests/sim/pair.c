/* pair.c - both ends and the line between them; see pair.h. */
#include "tests/sim/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/replica/txn.h"
#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/pool/auth.h"
#include "server/store/sqlite.h"

#define ROUNDS_MAX 400

void pair_fail(const pair *p, const char *format, ...) {
    fprintf(stderr, "%s, step %llu: ", p->deed ? p->deed : "preparing", (unsigned long long)p->at);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    fail();
    abort();
}

/* ---- environments ---- */

static int64_t server_ms(void *ctx) {
    return ((const pair *)ctx)->now_ms;
}

static void server_random(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((pair *)ctx)->random, bytes, size);
}

static void server_boot(void *ctx, uint8_t id_out[16]) {
    memset(id_out, (int)((const pair *)ctx)->boots, 16);
}

static int64_t device_ms(void *ctx) {
    const pair_device *d = ctx;
    return d->pair->now_ms + d->off_ms;
}

static int64_t device_boot_ms(void *ctx) {
    return ((const pair_device *)ctx)->pair->now_ms - PAIR_START_MS;
}

static void device_random(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((pair_device *)ctx)->pair->random, bytes, size);
}

static void device_boot(void *ctx, uint8_t id_out[16]) {
    server_boot(((pair_device *)ctx)->pair, id_out);
}

/* ---- opening and closing ---- */

lp_err pair_open_server(pair *p, lp_error *error) {
    lp_err err = store_sqlite_ops.open("/ram/pool", false, &p->store, error);
    if (!err)
        err = pool_open(&p->pool, p->store, &p->env, error);
    if (!err)
        err = committer_new(&p->pool, &p->committer, error);
    if (!err)
        err = p->store->ops->reader_open(p->store, &p->reader, error);
    if (err)
        pair_close_server(p);
    return err;
}

static void drop_line(pair *p) {
    session_free(p->line);
    p->line = NULL;
    for (uint32_t i = 0; i < p->queued; i++)
        buf_fini(&p->queue[i].bytes);
    p->queued = 0;
}

void pair_close_server(pair *p) {
    drop_line(p);
    if (p->reader)
        p->reader->ops->reader_close(p->reader);
    committer_free(p->committer);
    pool_close(&p->pool);
    if (p->store)
        p->store->ops->close(p->store);
    p->reader = NULL;
    p->committer = NULL;
    p->store = NULL;
    p->pool = (pool){0};
}

lp_err pair_open_device(pair *p, uint32_t who, lp_error *error) {
    pair_device *d = &p->devices[who];
    lp_err err = replica_open(d->path, false, &d->env, NULL, &d->replica, error);
    if (!err)
        err = client_session_new(d->replica, &d->session, error);
    if (err)
        pair_close_device(p, who);
    return err;
}

void pair_close_device(pair *p, uint32_t who) {
    pair_device *d = &p->devices[who];
    client_session_free(d->session);
    replica_close(d->replica);
    d->session = NULL;
    d->replica = NULL;
}

static void close_all(pair *p) {
    pair_close_server(p);
    pair_close_device(p, 0);
    pair_close_device(p, 1);
}

static void open_all(pair *p) {
    lp_error error = {.message = ""};
    p->boots++;
    for (uint32_t i = 0; i < 2; i++) {
        bool wanted = !p->devices[i].replica && vfs_exists(p->devices[i].disk, "replica");
        pair_expect(p, !wanted || !pair_open_device(p, i, &error), "device %u: %s", i, error.message);
    }
    pair_expect(p, p->store || !pair_open_server(p, &error), "server: %s", error.message);
}

void pair_revive(pair *p, vfs_loss loss, uint32_t tear_bytes) {
    if (vfs_is_off(p->disk)) {
        pair_close_server(p);
        vfs_power_on(p->disk, loss, tear_bytes);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (!vfs_is_off(p->devices[i].disk))
            continue;
        pair_close_device(p, i);
        vfs_power_on(p->devices[i].disk, loss, tear_bytes);
    }
    open_all(p);
}

void pair_keep(pair *p) {
    close_all(p);
    p->kept.disks[0] = vfs_save(p->devices[0].disk);
    p->kept.disks[1] = vfs_save(p->devices[1].disk);
    p->kept.disks[2] = vfs_save(p->disk);
    p->kept.now_ms = p->now_ms;
    p->kept.save_count = p->save_count;
    p->kept.groups = p->groups;
    p->kept.values = p->values;
    p->kept.lead_count = p->lead_count;
    open_all(p);
}

void pair_again(pair *p) {
    close_all(p);
    vfs_restore(p->devices[0].disk, p->kept.disks[0]);
    vfs_restore(p->devices[1].disk, p->kept.disks[1]);
    vfs_restore(p->disk, p->kept.disks[2]);
    p->now_ms = p->kept.now_ms;
    p->save_count = p->kept.save_count;
    p->groups = p->kept.groups;
    p->values = p->kept.values;
    p->lead_count = p->kept.lead_count;
    p->devices[0].off_ms = p->devices[1].off_ms = 0;
    p->refusal = LP_OK;
    open_all(p);
}

/* ---- jobs ---- */

static void on_done(void *ctx, job *j) {
    (void)j;
    *(bool *)ctx = true;
}

static void run_job(pair *p, job *j) {
    bool done = false;
    if (p->cold)
        sqlite3_db_release_memory(((sqlite_store *)p->store)->conn.db);
    j->done = on_done;
    j->ctx = &done;
    committer_run(p->committer, j);
    assert_true(done);
}

static bool take_token(span result, uint8_t token_out[INVITE_TOKEN_BYTES]) {
    wire_reader r = wire_open(result);
    uint32_t count = wire_map(&r);
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        if (!span_equal(wire_text(&r), SPAN_LITERAL("token"))) {
            wire_raw(&r);
            continue;
        }
        span token = wire_bytes(&r);
        if (token.size == INVITE_TOKEN_BYTES)
            memcpy(token_out, token.data, token.size);
        return token.size == INVITE_TOKEN_BYTES;
    }
    return false;
}

static lp_err make_invitation(pair *p, const char *staff, uint8_t token_out[INVITE_TOKEN_BYTES], lp_error *error) {
    buf arguments = {0};
    message answer;
    wire_put_map(&arguments, 2);
    wire_put_text(&arguments, SPAN_LITERAL("staff"));
    wire_put_text(&arguments, span_text(staff));
    wire_put_text(&arguments, SPAN_LITERAL("role"));
    wire_put_text(&arguments, SPAN_LITERAL("manager"));
    message control = {.number = MSG_CONTROL, .verb = SPAN_LITERAL("invite"), .arguments = buf_span(&arguments)};
    job *j = job_new(JOB_INVITE);
    assert_non_null(j);
    assert_int_equal(message_encode(&control, &j->request, NULL), LP_OK);
    buf_fini(&arguments);
    run_job(p, j);
    lp_err err = j->result;
    if (err)
        *error = j->error;
    else if (message_decode(buf_span(&j->answer), &answer, NULL) || !take_token(answer.result, token_out))
        err = LP_PROTOCOL;
    job_free(j);
    return err;
}

lp_err pair_join(pair *p, uint32_t who, lp_error *error) {
    pair_device *d = &p->devices[who];
    uint8_t token[INVITE_TOKEN_BYTES];
    char staff[16];
    snprintf(staff, sizeof staff, "person %u", who);
    lp_err err = make_invitation(p, staff, token, error);
    if (!err)
        err = replica_open(d->path, true, &d->env, NULL, &d->replica, error);
    job *j = job_new(JOB_JOIN);
    assert_non_null(j);
    if (!err)
        err = client_join_request(d->replica, token, "tablet", &j->request, error);
    if (!err) {
        run_job(p, j);
        err = j->result;
        *error = j->error;
    }
    if (!err)
        err = client_join_take(d->replica, buf_span(&j->answer), error);
    job_free(j);
    if (!err)
        err = client_session_new(d->replica, &d->session, error);
    if (err)
        pair_close_device(p, who);
    return err;
}

/* ---- life ---- */

pair *pair_new(uint64_t seed) {
    pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    lp_error error = {.message = ""};
    vfs_reseed(seed);
    p->random = prop_seeded(seed);
    p->now_ms = PAIR_START_MS;
    p->env = (lp_env){p, server_ms, server_ms, server_random, server_boot};
    p->disk = vfs_disk_new("/ram/pool", seed);
    for (uint32_t i = 0; i < 2; i++) {
        pair_device *d = &p->devices[i];
        d->pair = p;
        d->index = i;
        snprintf(d->path, sizeof d->path, "/ram/%c", 'a' + (int)i);
        d->disk = vfs_disk_new(d->path, seed + i + 1);
        snprintf(d->path, sizeof d->path, "/ram/%c/replica", 'a' + (int)i);
        d->env = (lp_env){d, device_ms, device_boot_ms, device_random, device_boot};
    }
    pair_expect(p, !store_sqlite_ops.open("/ram/pool", true, &p->store, &error), "store: %s", error.message);
    pair_expect(p, !pool_create(p->store, &p->env, "Messe", &error), "pool: %s", error.message);
    pair_close_server(p);
    pair_expect(p, !pair_open_server(p, &error), "server: %s", error.message);
    for (uint32_t i = 0; i < 2; i++)
        pair_expect(p, !pair_join(p, i, &error), "device %u joins: %s", i, error.message);
    return p;
}

void pair_free(pair *p) {
    close_all(p);
    for (int i = 0; i < 3; i++)
        vfs_image_free(p->kept.disks[i]);
    vfs_disk_free(p->devices[0].disk);
    vfs_disk_free(p->devices[1].disk);
    vfs_disk_free(p->disk);
    free(p);
}

/* ---- the line ---- */

static void post(pair *p, bool to_server, uint32_t id, buf *bytes) {
    pair_expect(p, p->queued < PAIR_QUEUE_MAX, "too many messages on their way");
    p->queue[p->queued++] = (pair_parcel){to_server, id, *bytes};
    *bytes = (buf){0};
}

static void client_do(pair_device *d, const client_event *event);

static void connect(pair_device *d) {
    pair *p = d->pair;
    uint8_t binding[32];
    prop_bytes(&p->random, binding, sizeof binding);
    drop_line(p);
    bool up = p->store && !session_new(&p->pool, span_of(binding, sizeof binding), &p->line, NULL);
    client_event event = {.kind = up ? CLIENT_OPEN : CLIENT_LOST, .bytes = span_of(binding, sizeof binding)};
    if (!up)
        err_set(&event.error, LP_OFFLINE, "no route");
    client_do(d, &event);
}

static void cool(pair_device *d) {
    if (d->pair->cold)
        sqlite3_db_release_memory(d->replica->db);
}

static void client_do(pair_device *d, const client_event *event) {
    client_actions actions = {.count = 0};
    bool dial = false;
    cool(d);
    client_step(d->session, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++) {
        client_action *a = &actions.list[i];
        if (a->kind == CLIENT_SEND && !vfs_is_off(d->disk))
            post(d->pair, true, a->id, &a->message);
        else if (a->kind == CLIENT_SEND)
            buf_fini(&a->message);
        dial |= a->kind == CLIENT_CONNECT;
        if (a->kind == CLIENT_CLOSE)
            drop_line(d->pair);
        if (a->kind == CLIENT_DONE) {
            d->done = true;
            d->result = a->error;
        }
    }
    if (dial)
        connect(d);
}

static void server_do(pair *p, const session_event *event) {
    session_actions actions;
    bool close = false;
    if (p->cold)
        sqlite3_db_release_memory(((sqlite_reader *)p->reader)->conn.db);
    session_step(p->line, p->reader, event, &actions);
    for (uint32_t i = 0; i < actions.count; i++) {
        session_action *a = &actions.list[i];
        if (a->kind == SESSION_ANSWER)
            post(p, false, a->id, &a->answer);
        close |= a->kind == SESSION_CLOSE;
        if (a->kind != SESSION_COMMIT)
            continue;
        run_job(p, a->job);
        committer_rest(p->committer);
        session_event committed = {.kind = SESSION_COMMITTED, .job = a->job};
        server_do(p, &committed);
    }
    if (close) {
        session_free(p->line);
        p->line = NULL;
    }
}

static void lose_line(pair_device *d) {
    client_event lost = {.kind = CLIENT_LOST};
    drop_line(d->pair);
    err_set(&lost.error, LP_OFFLINE, "the line is gone");
    client_do(d, &lost);
}

/* What a dead server had to say it says to nobody. */
static void carry(pair_device *d) {
    pair *p = d->pair;
    pair_parcel parcel = p->queue[0];
    memmove(p->queue, p->queue + 1, --p->queued * sizeof p->queue[0]);
    if (parcel.to_server) {
        session_event event = {.kind = SESSION_MESSAGE, .id = parcel.id, .bytes = buf_span(&parcel.bytes)};
        if (p->line)
            server_do(p, &event);
    } else {
        client_event event = {.kind = CLIENT_MESSAGE, .id = parcel.id, .bytes = buf_span(&parcel.bytes)};
        client_do(d, &event);
    }
    buf_fini(&parcel.bytes);
    if (vfs_is_off(p->disk) && p->line)
        lose_line(d);
}

lp_err pair_sync(pair *p, uint32_t who) {
    pair_device *d = &p->devices[who];
    d->done = false;
    d->result = (lp_error){.code = LP_OFFLINE, .message = "it did not end"};
    client_event event = {.kind = CLIENT_START};
    client_do(d, &event);
    for (uint32_t i = 0; i < ROUNDS_MAX && !d->done && !vfs_is_off(d->disk); i++) {
        if (p->queued) {
            carry(d);
            continue;
        }
        int64_t at_ms = client_deadline_ms(d->session);
        if (vfs_is_off(p->disk) || at_ms == INT64_MAX || i > ROUNDS_MAX / 2)
            break;
        /* The device's boot time began with the pair. */
        p->now_ms = at_ms + PAIR_START_MS > p->now_ms ? at_ms + PAIR_START_MS : p->now_ms;
        event.kind = CLIENT_TICK;
        client_do(d, &event);
    }
    event.kind = CLIENT_STOP;
    if (!d->done && !vfs_is_off(d->disk))
        client_do(d, &event);
    drop_line(p);
    return d->result.code;
}

/* ---- people ---- */

static const char *remember(pair *p, uint32_t who, uint32_t lead, const char *field) {
    pair_expect(p, p->save_count < PAIR_SAVES_MAX, "too many saves");
    pair_save *s = &p->saves[p->save_count++];
    *s = (pair_save){.who = who, .group = p->groups, .lead = lead, .field = field};
    snprintf(s->text, sizeof s->text, "<v%u by %u>", p->values++, who);
    return s->text;
}

static lp_err put(lp_txn *t, const lp_id *id, const char *field, const char *text, lp_error *error) {
    lp_value value = {.type = LP_TEXT, .data = text, .size = (uint32_t)strlen(text)};
    return txn_set(t, id, field, &value, error);
}

static void tell(pair *p, pair_save *save) {
    save->told = true;
    pair_look(p, save);
}

/* An error is a sentence, whatever the disk does. */
static lp_err finish(pair *p, lp_txn *t, lp_err err, lp_error *error) {
    if (!err)
        err = txn_commit(t, error);
    txn_free(t);
    pair_expect(p, !err || error->message[0], "error %d says nothing", err);
    pair_expect(p, !err || error->code == err, "error %d says that it is error %d", err, error->code);
    p->refusal = err ? err : p->refusal;
    for (uint32_t i = p->save_count; !err && i-- > 0 && p->saves[i].group == p->groups;)
        tell(p, &p->saves[i]);
    p->groups++;
    p->now_ms++;
    return err;
}

uint32_t pair_make_lead(pair *p, uint32_t who, lp_err *err_out) {
    lp_error error = {.message = ""};
    lp_txn *t = NULL;
    lp_id id = {{0}};
    uint32_t at = p->lead_count++;
    assert_true(at < sizeof p->leads / sizeof p->leads[0]);
    cool(&p->devices[who]);
    lp_err err = txn_new(p->devices[who].replica, NULL, &t, &error);
    assert_int_equal(err, LP_OK);
    err = txn_create(t, "lead", NULL, &id, &error);
    p->leads[at] = id;
    if (!err)
        err = put(t, &id, "full_name", remember(p, who, at, "full_name"), &error);
    if (!err)
        err = put(t, &id, "company", remember(p, who, at, "company"), &error);
    *err_out = finish(p, t, err, &error);
    return at;
}

lp_err pair_set(pair *p, uint32_t who, const char *field, const uint32_t *leads, uint32_t count) {
    lp_error error = {.message = ""};
    lp_txn *t = NULL;
    cool(&p->devices[who]);
    lp_err err = txn_new(p->devices[who].replica, NULL, &t, &error);
    assert_int_equal(err, LP_OK);
    for (uint32_t i = 0; !err && i < count; i++)
        err = put(t, &p->leads[leads[i]], field, remember(p, who, leads[i], field), &error);
    return finish(p, t, err, &error);
}
