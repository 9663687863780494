/* world_device.c - a device of the world: what client/loop.c and client/link.c do, one step at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/sync/pull.h"
#include "proto/err.h"
#include "tests/sim/world_scopes.h"

/* ---- its environment ---- */

static int64_t wall_ms(void *ctx) {
    const world_device *d = ctx;
    return d->world->now_ms + d->wall_offset_ms;
}

static int64_t boot_ms(void *ctx) {
    const world_device *d = ctx;
    return d->world->now_ms - d->boot_at_ms;
}

static void random_bytes(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((world_device *)ctx)->random, bytes, size);
}

static void boot_id(void *ctx, uint8_t id_out[16]) {
    const world_device *d = ctx;
    memset(id_out, 0, 16);
    memcpy(id_out, &d->boots, sizeof d->boots);
    id_out[15] = (uint8_t)(d->index + 1);
}

static lp_err acquire(void *ctx, lp_error *error) {
    world_device *d = ctx;
    world *w = d->world;
    if (!d->session || !prop_chance(&w->random, w->faults.lock_percent))
        return LP_OK;
    world_count(w, FAULT_LOCKED);
    return err_set(error, LP_BUSY, "another program is using the replica; try again");
}

static void release(void *ctx) {
    (void)ctx;
}

/* ---- life ---- */

static void prepare(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    *d = (world_device){.world = w, .index = who, .link = -1, .done = LP_OFFLINE};
    snprintf(d->path, sizeof d->path, "/ram/%u/device%u", w->options.ram, who);
    d->disk.disk = vfs_disk_new(d->path, w->options.seed + who + 1);
    snprintf(d->path, sizeof d->path, "/ram/%u/device%u/replica", w->options.ram, who);
    d->env = (lp_env){d, wall_ms, boot_ms, random_bytes, boot_id};
    d->lock = (replica_lock){.ctx = d, .acquire = acquire, .release = release};
    d->random = prop_seeded(prop_u64(&w->random));
    d->boot_at_ms = w->now_ms;
}

void world_device_open(world *w, uint32_t who, bool create) {
    world_device *d = &w->devices[who];
    lp_error error = {.message = ""};
    if (create)
        prepare(w, who);
    world_expect(w, !replica_open(d->path, create, &d->env, &d->lock, &d->replica, &error), "device %u: %s", who,
                 error.message);
    if (!create)
        world_expect(w, !client_session_new(d->replica, &d->session, &error), "device %u: %s", who, error.message);
}

void world_device_join(world *w, uint32_t who, const uint8_t token[INVITE_TOKEN_BYTES]) {
    world_device *d = &w->devices[who];
    lp_error error = {.message = ""};
    buf request = {0};
    world_expect(w, !client_join_request(d->replica, token, "tablet", &request, &error), "join: %s", error.message);
    d->link = world_connect(w, who);
    world_send(w, (uint32_t)d->link, true, 0x80000001u, &request);
    while (!d->replica->clock.author)
        world_expect(w, world_step(w, w->now_ms + 60000), "no answer to join");
    world_hang_up(w, (uint32_t)d->link, false);
    d->link = -1;
    world_expect(w, !client_session_new(d->replica, &d->session, &error), "device %u: %s", who, error.message);
}

static void hang_up(world_device *d) {
    if (d->link >= 0)
        world_hang_up(d->world, (uint32_t)d->link, false);
    d->link = -1;
}

/* Nothing runs afterwards. */
static void put_down(world_device *d) {
    client_session_free(d->session);
    d->session = NULL;
    d->running = false;
    d->asleep_ms = 0;
    replica_close(d->replica);
    d->replica = NULL;
}

static void boot(world_device *d) {
    d->boots++;
    d->boot_at_ms = d->world->now_ms;
}

void world_device_restart(world_device *d, bool anew) {
    world_note(d->world, "device %u dies%s", d->index, anew ? " and is booted" : "");
    world_count(d->world, anew ? FAULT_DEVICE_BOOTED : FAULT_DEVICE_KILLED);
    vfs_crash(d->disk.disk);
    put_down(d);
    hang_up(d);
    if (anew)
        boot(d);
    world_device_open(d->world, d->index, false);
}

void world_device_power_cut(world_device *d) {
    world *w = d->world;
    world_note(w, "device %u loses power", d->index);
    world_count(w, FAULT_DEVICE_POWER);
    if (!vfs_is_off(d->disk.disk))
        vfs_cut(d->disk.disk);
    put_down(d);
    if (d->link >= 0) {
        w->links[d->link].client_gone = true;
        world_silence(w, (uint32_t)d->link);
        d->link = -1;
    }
    vfs_loss loss = (vfs_loss)prop_below(&w->random, VFS_LOSSES);
    uint32_t tear_bytes = prop_chance(&w->random, 50) ? 512 : 0;
    if (tear_bytes)
        world_count(w, FAULT_TEAR);
    vfs_power_on(d->disk.disk, loss, tear_bytes);
    d->disk.faults = (vfs_faults){0};
    boot(d);
    world_device_open(w, d->index, false);
}

/* ---- copies ---- */

vfs_image *world_device_copy(world *w, uint32_t who) {
    world_note(w, "the files of device %u are copied", who);
    return vfs_save(w->devices[who].disk.disk);
}

void world_device_roll_back(world *w, uint32_t who, const vfs_image *copy) {
    world_device *d = &w->devices[who];
    world_note(w, "device %u is set back", who);
    vfs_crash(d->disk.disk);
    put_down(d);
    hang_up(d);
    vfs_restore(d->disk.disk, copy);
    d->rolled_back = true;
    w->copied = true;
    for (uint32_t i = 0; i < w->typed_count; i++)
        w->typed[i].watched &= w->typed[i].device != who;
    world_device_open(w, who, false);
    d->corrections = replica_meta_int(d->replica, "clock.corrections", 0);
}

bool world_device_clone(world *w, uint32_t of, const vfs_image *copy) {
    uint32_t who = w->options.devices;
    if (who == WORLD_DEVICES_MAX)
        return false;
    world_note(w, "device %u is a copy", who);
    prepare(w, who);
    vfs_restore(w->devices[who].disk.disk, copy);
    w->devices[who].rolled_back = true;
    w->devices[who].person = w->devices[of].person;
    w->copied = true;
    world_device_open(w, who, false);
    w->options.devices++;
    return true;
}

/* ---- its session ---- */

static bool dial(world_device *d) {
    d->link = world_connect(d->world, d->index);
    if (d->link >= 0)
        world_open_link(d->world, (uint32_t)d->link);
    return d->link >= 0;
}

static void send(world_device *d, client_action *a) {
    message m;
    assert_int_equal(message_decode(buf_span(&a->message), &m, NULL), LP_OK);
    world_note(d->world, "device %u sends %s, batch %llu, id %x", d->index, message_name(m.number),
               (unsigned long long)m.batch, a->id);
    if (d->link >= 0)
        world_send(d->world, (uint32_t)d->link, true, a->id, &a->message);
    else
        buf_fini(&a->message);
}

static void drop(client_actions *actions) {
    for (uint32_t i = 0; i < actions->count; i++)
        if (actions->list[i].kind == CLIENT_SEND)
            buf_fini(&actions->list[i].message);
    actions->count = 0;
}

/* True: a connection was wanted and could not be made. */
static bool carry_out(world_device *d, client_actions *actions) {
    bool dialled = true;
    for (uint32_t i = 0; i < actions->count; i++) {
        client_action *a = &actions->list[i];
        switch (a->kind) {
        case CLIENT_CONNECT:
            hang_up(d);
            dialled = dial(d);
            break;
        case CLIENT_SEND:
            send(d, a);
            break;
        case CLIENT_CLOSE:
            hang_up(d);
            break;
        case CLIENT_NOTIFY:
            break;
        case CLIENT_DONE:
            world_note(d->world, "device %u is done: %s", d->index, a->error.message);
            d->running = false;
            d->done = a->error.code;
            d->done_count++;
            break;
        }
    }
    actions->count = 0;
    return !dialled;
}

/* What leaves before a durable write. After the power went nothing leaves any more. */
static void carry_early(void *ctx, client_actions *actions) {
    world_device *d = ctx;
    if (vfs_is_off(d->disk.disk))
        drop(actions);
    else
        d->no_route |= carry_out(d, actions);
}

static void step(world_device *d, const client_event *event) {
    client_actions actions = {.carry_out = carry_early, .ctx = d};
    d->no_route = false;
    world_arm(&d->disk);
    client_step(d->session, event, &actions);
    world_disarm(d->world, &d->disk);
    if (vfs_is_off(d->disk.disk)) {
        drop(&actions);
        world_device_power_cut(d);
        return;
    }
    bool no_route = carry_out(d, &actions) || d->no_route;
    if (no_route) {
        client_event lost = {.kind = CLIENT_LOST};
        err_set(&lost.error, LP_OFFLINE, "no route");
        step(d, &lost);
    }
}

void world_device_start(world_device *d, bool keep) {
    if (d->running)
        world_device_stop(d);
    d->running = true;
    d->keep = keep;
    d->done = LP_BUSY;
    client_event event = {.kind = CLIENT_START, .keep = keep};
    step(d, &event);
}

void world_device_stop(world_device *d) {
    d->running = false;
    client_event event = {.kind = CLIENT_STOP};
    step(d, &event);
}

void world_device_work(world_device *d) {
    client_event event = {.kind = CLIENT_WORK};
    if (d->session)
        step(d, &event);
}

static void take_message(world_device *d, world_parcel *p) {
    world *w = d->world;
    message m;
    assert_int_equal(message_decode(buf_span(&p->message), &m, NULL), LP_OK);
    world_note(w, "device %u gets %s, batch %llu, id %x %.*s", d->index, message_name(m.number),
               (unsigned long long)m.batch, p->id, (int)m.reason.size,
               m.reason.size ? (const char *)m.reason.data : "");
    d->clock_answers += m.number == MSG_CLOCK;
    counts_verdicts(w->counts, &m);
    client_event event = {.kind = CLIENT_MESSAGE, .id = p->id, .bytes = buf_span(&p->message)};
    uint64_t boots = d->boots;
    lp_sync_result before = {0};
    client_result(d->session, &before);
    step(d, &event);
    if (d->boots != boots)
        return;
    world_note_pages(w, d->index, &m);
    lp_sync_result result = {0};
    client_result(d->session, &result);
    w->counts->healed += result.healed - before.healed;
    /* Of two copies one gets none of what the other sends under their number, until it has a number of its own. */
    world_expect(w, !(result.diverged || result.healed) || w->copied || d->damaged,
                 "device %u says that it diverged (I2)", d->index);
    if (m.number == MSG_CLOCK)
        world_look_again(w, d->index);
    else
        world_look(w, d->index);
}

void world_device_take(world *w, world_parcel *p) {
    world_device *d = &w->devices[w->links[p->link].device];
    if (d->link != (int32_t)p->link)
        return;
    lp_error error = {.message = ""};
    if (!d->session) {
        world_expect(w, !client_join_take(d->replica, buf_span(&p->message), &error), "join: %s", error.message);
    } else if (p->open) {
        const uint8_t *binding = w->links[p->link].binding;
        client_event event = {.kind = CLIENT_OPEN, .bytes = span_of(binding, sizeof w->links[0].binding)};
        step(d, &event);
    } else if (p->end) {
        client_event event = {.kind = CLIENT_LOST};
        err_set(&event.error, LP_OFFLINE, "the connection was closed");
        step(d, &event);
    } else {
        take_message(d, p);
    }
}

void world_device_tick(world_device *d) {
    client_event event = {.kind = CLIENT_TICK};
    step(d, &event);
}

int64_t world_device_deadline_ms(const world_device *d) {
    int64_t at_ms = d->session ? client_deadline_ms(d->session) : INT64_MAX;
    if (at_ms == INT64_MAX)
        return INT64_MAX;
    at_ms += d->boot_at_ms;
    return at_ms > d->asleep_ms ? at_ms : d->asleep_ms;
}

/* ---- looking into it ---- */

int64_t world_device_count(const world_device *d, const char *sql) {
    sqlite3_stmt *s = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(d->replica->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return value;
}

uint64_t world_device_cursor(const world_device *d, const char *scope) {
    char key[80];
    buf kept = {0};
    cursor c = {.seq = 0};
    snprintf(key, sizeof key, "cursor.%.60s", scope);
    if (replica_meta(d->replica, key, &kept, NULL) == LP_OK) {
        wire_reader r = wire_open(buf_span(&kept));
        assert_true(cursor_take(&r, &c));
    }
    buf_fini(&kept);
    return c.seq;
}

bool world_load(world *w, uint32_t who, const lp_id *id, bool server_layer, record *rec, buf *bytes) {
    replica *r = w->devices[who].replica;
    replica_row row;
    if (replica_load(r, id, &row, NULL))
        return false;
    bool second = server_layer && row.layered;
    span body = second ? row.server_body : row.body;
    span stamps = second ? row.server_stamps : row.stamps;
    buf_append_span(bytes, body);
    buf_append_span(bytes, stamps);
    record_init(rec, row.kind, id);
    lp_err err =
        record_unpack(rec, span_of(bytes->data, body.size), span_of(bytes->data + body.size, stamps.size), NULL);
    world_expect(w, !err, "device %u holds a damaged record", who);
    return true;
}
