/* world.c - time, and the order in which things happen; see world.h. */
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/support/store_kit.h"

#define SETTLE_STEPS_MAX 20000
#define SETTLE_MS_MAX INT64_C(7200000)

/* ---- telling ---- */

void world_note(world *w, const char *format, ...) {
    char *line = w->trace[w->trace_count++ % WORLD_TRACE_LINES];
    int used = snprintf(line, sizeof w->trace[0], "%9lld ", (long long)(w->now_ms - WORLD_START_MS));
    va_list list;
    va_start(list, format);
    vsnprintf(line + used, sizeof w->trace[0] - (size_t)used, format, list);
    va_end(list);
    if (getenv("LEADPOOL_TRACE"))
        fprintf(stderr, "%s\n", line);
}

void world_fail(world *w, const char *format, ...) {
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

/* ---- the server's clock ---- */

static int64_t server_now(void *ctx) {
    return ((const world *)ctx)->now_ms;
}

static void server_random(void *ctx, void *bytes, size_t size) {
    prop_bytes(&((world *)ctx)->random, bytes, size);
}

static void server_boot_id(void *ctx, uint8_t id_out[16]) {
    memset(id_out, (int)((const world *)ctx)->server_boots, 16);
}

/* ---- life ---- */

/* In memory if the machine offers a file system there: thousands of replicas are made and thrown away. */
static void make_directory(world *w) {
    const char *base = getenv("TMPDIR");
    if (!base)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(w->directory, sizeof w->directory, "%s/leadpool-world-XXXXXX", base);
    assert_non_null(mkdtemp(w->directory));
}

world *world_new(const world_options *options) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->options = *options;
    w->random = prop_seeded(options->seed);
    w->now_ms = WORLD_START_MS;
    w->commit_at_ms = INT64_MAX;
    w->env = (lp_env){w, server_now, server_now, server_random, server_boot_id};
    make_directory(w);
    world_server_open(w, true);
    uint32_t people = options->people ? options->people : options->devices;
    for (uint32_t i = 0; i < options->devices; i++) {
        char staff[24];
        uint8_t token[INVITE_TOKEN_BYTES];
        snprintf(staff, sizeof staff, "person %u", i % people);
        world_invite(w, staff, token);
        world_device_open(w, i, true);
        world_device_join(w, i, token);
    }
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
    kit_directory store_files = {{0}}, files = {{0}};
    snprintf(store_files.path, sizeof store_files.path, "%.240s/store", w->directory);
    snprintf(files.path, sizeof files.path, "%.240s", w->directory);
    kit_directory_remove(&store_files);
    kit_directory_remove(&files);
    free(w->typed);
    free(w);
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
    bool quiet = d->keep ? client_state(d->session) == LP_STATE_LIVE : !d->running && d->done == LP_OK;
    if (!quiet || w->jobs)
        return false;
    uint64_t seq = committer_seq(w->committer);
    return world_device_count(d, "SELECT count(*) FROM outbox") == 0 && world_device_cursor(d, "pool") == seq &&
           world_device_cursor(d, "setup") == seq;
}

/* Starts who has come to an end before all was there: others went on writing. */
static bool settle_some(world *w, bool keep) {
    bool settled = true;
    for (uint32_t i = 0; i < w->options.devices; i++) {
        world_device *d = &w->devices[i];
        world_expect(w, client_state(d->session) != LP_STATE_BLOCKED, "device %u is blocked: %s", i,
                     client_reason(d->session));
        if (is_settled(w, d))
            continue;
        settled = false;
        if (!d->running)
            world_device_start(d, keep);
    }
    return settled;
}

void world_settle(world *w, bool keep) {
    w->faults = (world_faults){.delay_min_ms = 1, .delay_max_ms = 50, .commit_max_ms = 5};
    for (uint32_t i = 0; i < w->options.devices; i++) {
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
        client_result(d->session, &result);
        world_expect(w, result.complete, "device %u settled and does not say so", i);
        world_expect(w, !result.diverged, "device %u says that it diverged", i);
    }
}
