/* world.c - time, and the order in which things happen; see world.h. */
#include "tests/sim/world_scopes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SETTLE_STEPS_MAX 20000
#define SETTLE_MS_MAX INT64_C(7200000)

/* ---- telling ---- */

/* A schedule tells its story only when it is replayed. */
void world_note(world *w, const char *format, ...) {
    bool told = getenv("LEADPOOL_TRACE") != NULL;
    if (w->escape && !told)
        return;
    char *line = w->trace[w->trace_count++ % WORLD_TRACE_LINES];
    int used = snprintf(line, sizeof w->trace[0], "%9lld ", (long long)(w->now_ms - WORLD_START_MS));
    va_list list;
    va_start(list, format);
    vsnprintf(line + used, sizeof w->trace[0] - (size_t)used, format, list);
    va_end(list);
    if (told)
        fprintf(stderr, "%s\n", line);
}

void world_fail(world *w, const char *format, ...) {
    if (w->escape) {
        va_list told;
        va_start(told, format);
        vsnprintf(w->failure, sizeof w->failure, format, told);
        va_end(told);
        world_note(w, "%s", w->failure);
        longjmp(*w->escape, 1);
    }
    uint32_t first = w->trace_count > WORLD_TRACE_LINES ? w->trace_count - WORLD_TRACE_LINES : 0;
    for (uint32_t i = first; i < w->trace_count; i++)
        fprintf(stderr, "%s\n", w->trace[i % WORLD_TRACE_LINES]);
    fprintf(stderr, "%s: ", w->options.name);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "; replay with LEADPOOL_SEED=0x%llx\n", (unsigned long long)w->options.seed);
    fail();
    abort();
}

void world_hash(world *w, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    uint64_t h = w->hash ^ size;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 32;
    }
    for (; size; size--)
        h = (h ^ *at++) * UINT64_C(0x100000001b3);
    w->hash = h;
}

void world_count(world *w, world_fault fault) {
    w->counts->faults[fault]++;
    uint64_t what[2] = {fault, (uint64_t)w->now_ms};
    world_hash(w, what, sizeof what);
}

void world_happened(world *w, world_event event) {
    w->counts->events[event]++;
}

/* ---- disks ---- */

void world_arm(world_disk *d) {
    vfs_break(d->disk, &d->faults);
}

/* What has been waited for and what has been used up counts for the next time. */
void world_disarm(world *w, world_disk *d) {
    const vfs_counts *c = vfs_count(d->disk);
    d->hurt = vfs_is_off(d->disk) || c->full > d->full_seen;
    if (vfs_is_off(d->disk))
        d->faults.cut_at = 0;
    else if (d->faults.cut_at)
        d->faults.cut_at = d->faults.cut_at > c->steps ? d->faults.cut_at - c->steps : 1;
    for (int op = 0; op < VFS_OPS; op++) {
        uint64_t *at = &d->faults.eio[op].at, *count = &d->faults.eio[op].count, ran = c->ops[op];
        if (!*at)
            continue;
        if (ran < *at) {
            *at -= ran;
            continue;
        }
        uint64_t used = ran - *at + 1;
        world_count(w, FAULT_DISK_EIO);
        world_note(w, "a disk gives errors, operation %d", op);
        d->hurt = true;
        *at = used < *count;
        *count = used < *count ? *count - used : 0;
    }
    if (d->faults.space_bytes && c->full > d->full_seen)
        world_count(w, FAULT_DISK_FULL);
    d->full_seen = c->full;
    if (!vfs_is_off(d->disk))
        vfs_break(d->disk, NULL);
}

/* ---- the server's clock ---- */

static int64_t server_wall(void *ctx) {
    const world *w = ctx;
    return w->now_ms + w->server_wall_off_ms;
}

static int64_t server_boot(void *ctx) {
    return ((const world *)ctx)->now_ms;
}

static void server_random(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((world *)ctx)->random, bytes, size);
}

static void server_boot_id(void *ctx, uint8_t id_out[16]) {
    memset(id_out, (int)((const world *)ctx)->server_boots, 16);
}

/* ---- life ---- */

static uint32_t worlds; /* whoever is first puts the disks in place, whoever is last takes them away */

world *world_new(const world_options *options) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->options = *options;
    w->random = prop_seeded(options->seed);
    w->now_ms = WORLD_START_MS;
    w->commit_at_ms = INT64_MAX;
    w->env = (lp_env){w, server_wall, server_boot, server_random, server_boot_id};
    w->counts = &w->own_counts;
    counts_use(w->counts);
    if (worlds++ == 0)
        vfs_install();
    vfs_reseed(options->seed);
    snprintf(w->path, sizeof w->path, "/ram/%u/store", options->ram);
    w->disk.disk = vfs_disk_new(w->path, options->seed);
    char backups[64];
    snprintf(backups, sizeof backups, "/ram/%u/backups", options->ram);
    w->copies = vfs_disk_new(backups, options->seed);
    world_ledger_open(w);
    world_server_open(w, true);
    uint32_t people = options->people ? options->people : options->devices;
    for (uint32_t i = 0; i < options->devices; i++) {
        char staff[24];
        uint8_t token[INVITE_TOKEN_BYTES];
        snprintf(staff, sizeof staff, "person %u", i % people);
        world_invite(w, staff, options->reps >> (i % people) & 1 ? "rep" : "manager", token);
        world_device_open(w, i, true);
        world_device_join(w, i, token);
        w->devices[i].person = i % people;
    }
    world_meet_people(w, people);
    return w;
}

void world_free(world *w) {
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_device *d = &w->devices[i];
        client_session_free(d->session);
        replica_close(d->replica);
    }
    world_server_crash(w);
    if (w->store)
        w->store->ops->close(w->store);
    while (w->parcels) {
        world_parcel *p = w->parcels;
        w->parcels = p->next;
        world_parcel_free(p);
    }
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_age_end(&w->devices[i]);
        vfs_image_free(w->devices[i].copy);
        vfs_disk_free(w->devices[i].disk.disk);
    }
    vfs_disk_free(w->disk.disk);
    vfs_disk_free(w->copies);
    counts_use(NULL);
    if (--worlds == 0)
        vfs_remove();
    for (int i = 0; i < LEDGER_KINDS; i++)
        buf_fini(&w->ledger_lines[i]);
    free(w->typed);
    free(w);
}

void world_reseed(world *w, uint64_t seed) {
    prop p = prop_seeded(seed);
    w->options.seed = seed;
    w->random = prop_seeded(prop_u64(&p));
    w->hash = seed;
    counts_use(w->counts);
    vfs_reseed(prop_u64(&p));
    vfs_disk_reseed(w->disk.disk, prop_u64(&p));
    for (uint32_t i = 0; i < w->options.devices; i++) {
        w->devices[i].random = prop_seeded(prop_u64(&p));
        vfs_disk_reseed(w->devices[i].disk.disk, prop_u64(&p));
    }
}

/* ---- one thing after another ---- */

typedef enum source { SOURCE_NONE, SOURCE_PARCEL, SOURCE_COMMIT, SOURCE_SERVER, SOURCE_DEVICE } source;

static source earliest(const world *w, int64_t until_ms, uint32_t *device_out) {
    source from = SOURCE_NONE;
    int64_t at_ms = until_ms == INT64_MAX ? INT64_MAX : until_ms + 1;
    if (w->parcels && w->parcels->at_ms < at_ms) {
        at_ms = w->parcels->at_ms;
        from = SOURCE_PARCEL;
    }
    if (w->commit_at_ms < at_ms) {
        at_ms = w->commit_at_ms;
        from = SOURCE_COMMIT;
    }
    int64_t server_ms = world_server_deadline_ms(w);
    if (server_ms < at_ms) {
        at_ms = server_ms;
        from = SOURCE_SERVER;
    }
    for (uint32_t i = 0; i < w->options.devices; i++) {
        int64_t device_ms = world_device_deadline_ms(&w->devices[i]);
        if (device_ms < at_ms) {
            at_ms = device_ms;
            from = SOURCE_DEVICE;
            *device_out = i;
        }
    }
    return from;
}

static void carry(world *w, world_parcel *p) {
    const world_device *d = &w->devices[w->links[p->link].device];
    if (!p->to_server && !w->links[p->link].by_hand && d->asleep_ms > w->now_ms) {
        world_put_off(w, p, d->asleep_ms);
        return;
    }
    uint64_t what[4] = {p->link, p->to_server, (uint64_t)w->now_ms, p->id};
    world_hash(w, what, sizeof what);
    if (!p->to_server && w->links[p->link].by_hand) {
        world_catch(w, p);
        return;
    }
    if (p->to_server)
        world_server_take(w, p);
    else
        world_device_take(w, p);
    world_parcel_free(p);
}

static void move_to(world *w, int64_t at_ms) {
    if (at_ms > w->now_ms)
        w->now_ms = at_ms;
}

bool world_step(world *w, int64_t until_ms) {
    uint32_t who = 0;
    world_parcel *p;
    w->steps++;
    switch (earliest(w, until_ms, &who)) {
    case SOURCE_PARCEL:
        move_to(w, w->parcels->at_ms);
        p = world_take_parcel(w, w->now_ms);
        carry(w, p);
        return true;
    case SOURCE_COMMIT:
        move_to(w, w->commit_at_ms);
        world_server_commit(w);
        return true;
    case SOURCE_SERVER:
        move_to(w, world_server_deadline_ms(w));
        world_server_tick(w);
        return true;
    case SOURCE_DEVICE:
        move_to(w, world_device_deadline_ms(&w->devices[who]));
        world_device_tick(&w->devices[who]);
        return true;
    case SOURCE_NONE:
        break;
    }
    move_to(w, until_ms);
    return false;
}

void world_run(world *w, int64_t ms) {
    int64_t until_ms = w->now_ms + ms;
    for (uint32_t i = 0; world_step(w, until_ms); i++)
        world_expect(w, i < SETTLE_STEPS_MAX, "%d steps within %lld ms: something spins", SETTLE_STEPS_MAX,
                     (long long)ms);
}

/* ---- settling ---- */

static bool is_settled(world *w, const world_device *d) {
    if (d->revoked && client_state(d->session) == LP_STATE_BLOCKED)
        return true; /* for good: copies of it that came again and again would end each other's connections */
    bool quiet = d->keep ? client_state(d->session) == LP_STATE_LIVE : !d->running && d->done == LP_OK;
    if (!quiet || w->jobs)
        return false;
    return world_has_read_all(w, d->index) && world_device_count(d, "SELECT count(*) FROM outbox") == 0;
}

/* Starts who has come to an end before all was there: others went on writing. */
static bool settle_some(world *w, bool keep) {
    bool settled = !w->jobs;
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_device *d = &w->devices[i];
        world_expect(w, d->revoked || client_state(d->session) != LP_STATE_BLOCKED, "device %u is blocked: %s", i,
                     client_reason(d->session));
        /* A copy that went on reading while the other one wrote under their number learns of it from its next hello. */
        lp_sync_result result = {0};
        client_result(d->session, &result);
        if (w->copied && result.diverged)
            world_device_stop(d);
        else if (is_settled(w, d))
            continue;
        settled = false;
        if (!d->running)
            world_device_start(d, keep);
    }
    return settled;
}

void world_settle(world *w, bool keep) {
    w->faults = (world_faults){.delay_min_ms = 1, .delay_max_ms = 50, .commit_max_ms = 5};
    w->disk.faults = (vfs_faults){0};
    world_heal_server_clock(w);
    for (uint32_t i = 0; i < w->options.devices; i++) {
        w->devices[i].disk.faults = (vfs_faults){0};
        w->devices[i].asleep_ms = 0;
        world_device_stop(&w->devices[i]);
        world_device_start(&w->devices[i], keep);
    }
    int64_t until_ms = w->now_ms + SETTLE_MS_MAX;
    for (uint32_t i = 0; !settle_some(w, keep); i++) {
        world_expect(w, i < SETTLE_STEPS_MAX && w->now_ms < until_ms, "it does not settle (I6)");
        world_step(w, until_ms);
    }
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_device *d = &w->devices[i];
        lp_sync_result result = {0};
        if (d->revoked)
            continue;
        client_result(d->session, &result);
        world_expect(w, result.complete, "device %u settled and does not say so", i);
        world_expect(w, !result.diverged, "device %u says that it diverged", i);
    }
}
