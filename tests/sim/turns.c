/* turns.c - what may happen in a schedule (schedule.h): a table, so that a fault is one function and one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"
#include "tests/sim/scenes.h"
#include "tests/sim/schedule.h"
#include "tests/sim/turns.h"

/* ---- people and programs ---- */

static void start(world *w, uint32_t who) {
    world_device_start(&w->devices[who], prop_chance(&w->random, 50));
}

/* The index is made when somebody wants it. */
static void search(world *w, uint32_t who) {
    world_search(w, who);
}

static void stop(world *w, uint32_t who) {
    world_device_stop(&w->devices[who]);
}

static void wait_some(world *w, uint32_t who) {
    (void)who;
    world_run(w, prop_between(&w->random, 0, 500));
}

static void wait_long(world *w, uint32_t who) {
    (void)who;
    world_run(w, prop_between(&w->random, 500, 60000));
}

/* ---- network ---- */

static void network(world *w, uint32_t who) {
    prop *p = &w->random;
    (void)who;
    world_faults f = {
        .delay_min_ms = 1, .delay_max_ms = prop_between(p, 1, 400), .commit_max_ms = prop_between(p, 0, 200)};
    if (prop_chance(p, 30))
        f.delay_max_ms = prop_between(p, 400, 3000);
    f.cut_percent = (uint32_t)prop_below(p, 15);
    f.hang_percent = (uint32_t)prop_below(p, 4);
    f.deaf_percent = (uint32_t)prop_below(p, 4);
    f.refuse_percent = (uint32_t)prop_below(p, 30);
    f.repeat_percent = (uint32_t)prop_below(p, 10);
    f.bytes_per_s = prop_chance(p, 10) ? 1000 + (uint32_t)prop_below(p, 4000) : 0;
    f.overtake_percent = prop_chance(p, 50) ? (uint32_t)prop_below(p, 40) : 0;
    f.lock_percent = w->faults.lock_percent;
    f.grow_percent = w->faults.grow_percent;
    w->faults = f;
}

static void calm(world *w, uint32_t who) {
    (void)who;
    w->faults = (world_faults){.delay_min_ms = 1,
                               .delay_max_ms = prop_between(&w->random, 1, 400),
                               .commit_max_ms = prop_between(&w->random, 0, 200)};
}

/* ---- devices ---- */

static void kill_program(world *w, uint32_t who) {
    world_device_restart(&w->devices[who], false);
}

static void boot(world *w, uint32_t who) {
    world_device_restart(&w->devices[who], true);
}

static void lock_replicas(world *w, uint32_t who) {
    (void)who;
    w->faults.lock_percent = (uint32_t)prop_below(&w->random, 10);
}

static void sleep_some(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    d->asleep_ms = w->now_ms + prop_between(&w->random, 1000, 600000);
    world_count(w, FAULT_DEVICE_ASLEEP);
    world_note(w, "device %u sleeps for %lld ms", who, (long long)(d->asleep_ms - w->now_ms));
}

/* ---- clocks ---- */

static void set_offset(world *w, world_device *d, int64_t off_ms) {
    d->wall_offset_ms = off_ms;
    world_note(w, "the clock of device %u is off by %lld ms now", d->index, (long long)off_ms);
}

/* A person sets the clock, or the device corrects it by itself. */
static void set_clock(world *w, uint32_t who) {
    world_count(w, FAULT_CLOCK_SET);
    set_offset(w, &w->devices[who], prop_chance(&w->random, 40) ? 0 : prop_between(&w->random, -7200000, 7200000));
}

/* Empty batteries and overflows: 1970, 2001, 2038, 2106. */
static void set_absurd_clock(world *w, uint32_t who) {
    static const int64_t times_ms[] = {1000, 978307200000, 2147483648000, 4294967296000};
    world_count(w, FAULT_CLOCK_ABSURD);
    set_offset(w, &w->devices[who], times_ms[prop_below(&w->random, 4)] - w->now_ms);
}

/* ---- disks ---- */

static void draw_disk_trouble(world *w, world_disk *disk, uint64_t used_bytes) {
    prop *p = &w->random;
    disk->faults = (vfs_faults){0};
    switch (prop_below(p, 4)) {
    case 0:
        disk->faults.cut_at = 1 + prop_below(p, 60);
        break;
    case 1:
        disk->faults.space_bytes = used_bytes + prop_below(p, 40000);
        break;
    case 2: {
        static const vfs_op ops[] = {VFS_READ, VFS_WRITE, VFS_SYNC};
        vfs_op op = ops[prop_below(p, 3)];
        disk->faults.eio[op].at = 1 + prop_below(p, 30);
        disk->faults.eio[op].count = 1 + prop_below(p, prop_chance(p, 50) ? 1 : 20);
        break;
    }
    default: /* whole again */
        break;
    }
}

static void device_disk(world *w, uint32_t who) {
    world_disk *disk = &w->devices[who].disk;
    draw_disk_trouble(w, disk, vfs_used_bytes(disk->disk));
    world_note(w, "the disk of device %u: cut at %llu, space %llu, errors r%llu w%llu s%llu", who,
               (unsigned long long)disk->faults.cut_at, (unsigned long long)disk->faults.space_bytes,
               (unsigned long long)disk->faults.eio[VFS_READ].at, (unsigned long long)disk->faults.eio[VFS_WRITE].at,
               (unsigned long long)disk->faults.eio[VFS_SYNC].at);
}

static void device_power(world *w, uint32_t who) {
    world_device_power_cut(&w->devices[who]);
}

/* True if the device's person has nothing to do with a record: what they typed there is looked for. */
static bool is_strange_to(const world *w, uint32_t who, uint32_t index) {
    for (uint32_t i = 0; i < w->typed_count; i++)
        if (w->typed[i].record == index && w->typed[i].device == who)
            return false;
    return true;
}

/* A bit turns over in the file: a value is another, or a row is gone, or one is there that nobody made. */
static void damage(world *w, uint32_t who) {
    world_damage_kind kind = (world_damage_kind)prop_below(&w->random, 3);
    uint32_t drawn = (uint32_t)prop_below(&w->random, w->record_count ? w->record_count : 1);
    lp_id id;
    prop_bytes(&w->random, id.bytes, sizeof id.bytes);
    if (kind != DAMAGE_ROW_EXTRA) {
        if (drawn >= w->record_count || !is_strange_to(w, who, drawn) || world_is_erased(w, drawn))
            return;
        id = w->records[drawn].id;
    }
    if (!w->devices[who].revoked && world_damage(w, who, kind, &id))
        world_count(w, FAULT_DAMAGED);
}

/* ---- copies ---- */

/* What a phone's backup keeps: one per device. */
static void copy_device(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    vfs_image_free(d->copy);
    d->copy = world_device_copy(w, who);
    d->copied_at = w->typed_count;
}

/* What was saved after the copy and is not in the pool yet is gone with the file; all else is not. */
static void roll_back(world *w, uint32_t who) {
    world_device *d = &w->devices[who];
    if (!d->copy || d->revoked)
        return;
    world_count(w, FAULT_ROLLED_BACK);
    world_forgive(w, who, d->copied_at);
    world_device_roll_back(w, who, d->copy);
}

static void clone(world *w, uint32_t who) {
    if (w->options.devices >= 4 || w->devices[who].revoked)
        return;
    vfs_image *copy = world_device_copy(w, who);
    if (world_device_clone(w, who, copy))
        world_count(w, FAULT_CLONED);
    vfs_image_free(copy);
}

static const char *backup_name(char name_out[16], uint32_t number) {
    snprintf(name_out, 16, "pool%u", number);
    return name_out;
}

#define BACKUPS_MAX 3

static void back_up(world *w, uint32_t who) {
    char name[16];
    (void)who;
    if (w->options.engine == &store_sqlite_ops && w->backups < BACKUPS_MAX)
        world_server_backup(w, backup_name(name, w->backups++));
}

static void restore_pool(world *w, uint32_t who) {
    char name[16];
    (void)who;
    if (!w->backups || w->restores >= BACKUPS_MAX)
        return;
    w->restores++;
    backup_name(name, (uint32_t)prop_below(&w->random, w->backups));
    bool told = prop_chance(&w->random, 70);
    world_count(w, told ? FAULT_RESTORED : FAULT_SET_BACK);
    if (told)
        world_server_restore(w, name);
    else
        world_server_set_back(w, name);
    /* Two faults at once: what a device set back has forgotten, and the pool has too, nobody can offer again. */
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (w->devices[i].rolled_back)
            world_forgive(w, i, 0);
}

/* ---- server ---- */

static void kill_server(world *w, uint32_t who) {
    (void)who;
    world_count(w, FAULT_SERVER_KILLED);
    world_server_restart(w);
}

static void server_power(world *w, uint32_t who) {
    (void)who;
    if (w->options.engine == &store_sqlite_ops)
        world_server_power_cut(w);
}

static void server_disk(world *w, uint32_t who) {
    (void)who;
    if (w->options.engine == &store_sqlite_ops)
        draw_disk_trouble(w, &w->disk, vfs_used_bytes(w->disk.disk));
}

/* ---- what others say ---- */

/* A value no server takes, written past the library's own checks. */
static void poison(world *w, uint32_t who) {
    char text[301];
    buf value = {0};
    memset(text, 'x', sizeof text);
    wire_put_text(&value, span_of(text, sizeof text));
    if (w->record_count && w->records[0].kind == KIND_LEAD && world_holds(w, who, 0)) {
        world_count(w, FAULT_POISON);
        w->devices[who].poisoned |= world_force(w, who, &w->records[0], LEAD_JOB_TITLE, buf_span(&value));
    }
    buf_fini(&value);
}

/* Everybody's messages have a part that this version does not know. */
static void newer_parts(world *w, uint32_t who) {
    (void)who;
    w->faults.grow_percent = (uint32_t)prop_below(&w->random, 60);
}

/* The rep has not updated the app. */
static void older_program(world *w, uint32_t who) {
    w->devices[who].old = true;
}

#define FIELD_OF_LATER 900
#define KIND_OF_LATER 900

static void newer_field(world *w, uint32_t who) {
    buf value = {0};
    wire_put_u64(&value, prop_u64(&w->random));
    for (uint32_t i = 0; i < w->record_count; i++)
        if (w->records[i].kind == KIND_LEAD && world_holds(w, who, i)) {
            world_count(w, FAULT_NEWER_FIELD);
            world_force(w, who, &w->records[i], FIELD_OF_LATER, buf_span(&value));
            break;
        }
    buf_fini(&value);
}

static void newer_kind(world *w, uint32_t who) {
    world_record made = {.kind = KIND_OF_LATER};
    buf value = {0};
    prop_bytes(&w->random, made.id.bytes, sizeof made.id.bytes);
    wire_put_text(&value, SPAN_LITERAL("of a later version"));
    world_count(w, FAULT_NEWER_KIND);
    world_force(w, who, &made, 7, buf_span(&value));
    buf_fini(&value);
}

/* Somebody who is no device of this pool, or repeats what one said. */
static void stranger(world *w, uint32_t who) {
    uint32_t refuse = w->faults.refuse_percent;
    w->faults.refuse_percent = 0;
    int32_t link = world_connect(w, who);
    w->faults.refuse_percent = refuse;
    w->links[link].by_hand = true;
    world_count(w, FAULT_STRANGER);
    buf request = {0};
    uint8_t bytes[64];
    prop_bytes(&w->random, bytes, sizeof bytes);
    message m = {.number = MSG_CHALLENGE};
    bool nonsense = prop_chance(&w->random, 40);
    if (!nonsense && prop_chance(&w->random, 50))
        m = (message){.number = MSG_HELLO,
                      .version = PROTOCOL_VERSION,
                      .version_min = PROTOCOL_VERSION_MIN,
                      .device = w->devices[who].replica->clock.author,
                      .install = span_of(bytes, 16),
                      .now_ms = w->now_ms,
                      .signature = span_of(bytes, sizeof bytes)};
    if (nonsense)
        buf_append(&request, bytes, 1 + prop_below(&w->random, sizeof bytes - 1));
    else
        message_encode(&m, &request, NULL);
    uint64_t before = committer_seq(w->committer);
    world_send(w, (uint32_t)link, true, 1, &request);
    for (int i = 0; i < 50 && !w->links[link].caught; i++)
        world_step(w, w->now_ms + 1000);
    world_forget_link(w, (uint32_t)link);
    (void)before;
}

/* ---- the office ---- */

static void erase_lead(world *w, uint32_t who) {
    uint32_t drawn = (uint32_t)prop_below(&w->random, w->record_count ? w->record_count : 1);
    (void)who;
    if (drawn < w->record_count && w->records[drawn].kind == KIND_LEAD && !world_is_erased(w, drawn))
        world_erase(w, drawn);
}

/* At most one: somebody has to be left. */
static void revoke(world *w, uint32_t who) {
    for (uint32_t i = 0; i < w->options.devices; i++)
        if (w->devices[i].revoked)
            return;
    world_revoke(w, who);
}

const turn_info turns[] = {
    {"somebody writes", 45, 0, world_act},
    {"somebody searches", 2, 0, search},
    {"sync starts", 15, 0, start},
    {"sync stops", 4, 0, stop},
    {"some time passes", 19, 0, wait_some},
    {"much time passes", 5, 0, wait_long},
    {"much is written", 1, 0, scene_bulk},
    {"two write at once", 3, 0, scene_busy},
    {"the network changes", 4, TROUBLE_NETWORK, network},
    {"the network calms down", 1, TROUBLE_NETWORK, calm},
    {"the program dies", 3, TROUBLE_DEVICES, kill_program},
    {"the device boots", 1, TROUBLE_DEVICES, boot},
    {"the device loses power", 2, TROUBLE_DEVICES, device_power},
    {"the device sleeps", 2, TROUBLE_DEVICES, sleep_some},
    {"others lock the replicas", 3, TROUBLE_LOCKS, lock_replicas},
    {"the clock is set", 2, TROUBLE_CLOCKS, set_clock},
    {"the clock is absurd", 1, TROUBLE_CLOCKS, set_absurd_clock},
    {"a batch is lost, then the clock", 2, TROUBLE_CLOCKS, scene_lost_batch},
    {"a stamp from the future", 2, TROUBLE_CLOCKS, scene_future},
    {"the device's disk", 4, TROUBLE_DISKS, device_disk},
    {"a row changes by itself", 2, TROUBLE_DISKS, damage},
    {"the phone is backed up", 2, TROUBLE_COPIES, copy_device},
    {"the phone is set back", 2, TROUBLE_COPIES, roll_back},
    {"the phone is cloned", 2, TROUBLE_COPIES, clone},
    {"the pool is backed up", 2, TROUBLE_COPIES, back_up},
    {"the pool is restored", 2, TROUBLE_COPIES, restore_pool},
    {"the server is killed", 2, TROUBLE_SERVER, kill_server},
    {"the server loses power", 2, TROUBLE_SERVER, server_power},
    {"the server's clock is set", 2, TROUBLE_SERVER | TROUBLE_CLOCKS, turn_set_server_clock},
    {"somebody sees to the server's clock", 2, TROUBLE_SERVER | TROUBLE_CLOCKS, turn_see_to_server_clock},
    {"the server's disk", 3, TROUBLE_SERVER | TROUBLE_DISKS, server_disk},
    {"a commit fails among many", 2, TROUBLE_SERVER | TROUBLE_DISKS, scene_failed_commit},
    {"a change nobody takes", 1, 0, poison},
    {"newer messages", 2, TROUBLE_VERSIONS, newer_parts},
    {"an older program", 2, TROUBLE_VERSIONS, older_program},
    {"a newer field", 1, TROUBLE_VERSIONS, newer_field},
    {"a newer kind", 1, TROUBLE_VERSIONS, newer_kind},
    {"a lead is erased", 1, TROUBLE_OFFICE, erase_lead},
    {"a device is revoked", 1, TROUBLE_OFFICE, revoke},
    {"a lead goes to somebody", 7, TROUBLE_SCOPES, turn_move_lead},
    {"a lead goes while somebody writes", 4, TROUBLE_SCOPES, turn_move_under_edits},
    {"a lead is passed round", 3, TROUBLE_SCOPES, turn_pass_round},
    {"an event is worked by several", 2, TROUBLE_SCOPES, turn_event},
    {"a scope is granted or taken", 3, TROUBLE_SCOPES, turn_grant},
    {"somebody writes elsewhere", 2, TROUBLE_SCOPES, turn_stray},
    {"months pass", 1, TROUBLE_PURGE, turn_months},
    {"the pool forgets", 2, TROUBLE_PURGE, turn_purge},
    {"a lead is deleted and forgotten", 2, TROUBLE_PURGE, turn_forget_lead},
    {"a stranger calls", 1, TROUBLE_VERSIONS, stranger},
};
const uint32_t turn_count = sizeof turns / sizeof turns[0];
