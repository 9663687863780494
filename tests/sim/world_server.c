/* world_server.c - the server's end of the world: what server/net and the commit thread do, one step at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/wire.h"
#include "server/pool/apply.h"
#include "server/office/control_arguments.h"
#include "server/office/restore.h"
#include "server/store/files.h"
#include "server/store/sqlite_file.h"
#include "tests/sim/world_scopes.h"

/* What a job came from. A session that is gone by the time its job is done has orphaned it. */
typedef struct origin {
    world *world;
    int32_t link; /* -1: the operator */
    session *session;
    bool done;
} origin;

static void on_done(void *ctx, job *j) {
    (void)j;
    ((origin *)ctx)->done = true;
}

static void run_operators_job(world *w, job *j) {
    origin from = {w, -1, NULL, false};
    j->done = on_done;
    j->ctx = &from;
    committer_run(w->committer, j);
    world_expect(w, from.done, "the operator's job is not done");
}

/* What serve does first: a restored pool may not know of what the ledgers hold. */
static void replay_ledgers(world *w) {
    job *j = job_new(JOB_REPLAY);
    assert_non_null(j);
    run_operators_job(w, j);
    world_expect(w, !j->result, "replaying the ledgers: %s", j->error.message);
    job_free(j);
}

void world_server_open(world *w, bool create) {
    lp_error error = {.message = ""};
    bool in_memory = w->options.engine == &store_memory_ops;
    if (!in_memory || create)
        world_expect(w, !w->options.engine->open(in_memory ? NULL : w->path, create, &w->store, &error), "store: %s",
                     error.message);
    w->server_boots++;
    if (create)
        world_expect(w, !pool_create(w->store, &w->env, "Messe", &error), "pool: %s", error.message);
    world_expect(w, !pool_open(&w->pool, w->store, &w->env, &error), "pool: %s", error.message);
    w->pool.ledger = &w->ledger;
    world_expect(w, !committer_new(&w->pool, &w->committer, &error), "committer: %s", error.message);
    world_expect(w, !w->store->ops->reader_open(w->store, &w->reader, &error), "reader: %s", error.message);
    replay_ledgers(w);
}

static void drop_job(job *j) {
    free(j->ctx);
    job_free(j);
}

static void drop_session(world_link *l) {
    session_free(l->session);
    l->session = NULL;
}

/* Without a word to the committer: its jobs come back as orphans. */
static void forget_jobs_of(world *w, uint32_t link) {
    for (job *j = w->jobs; j; j = j->next) {
        origin *from = j->ctx;
        if (from->link == (int32_t)link)
            from->session = NULL;
    }
}

void world_server_crash(world *w) {
    if (!w->committer)
        return;
    world_note(w, "the server dies");
    vfs_crash(w->disk.disk);
    for (uint32_t i = 0; i < WORLD_LINKS_MAX; i++) {
        if (!w->links[i].used || !w->links[i].session)
            continue;
        world_hang_up(w, i, true);
        drop_session(&w->links[i]);
    }
    while (w->jobs) {
        job *next = w->jobs->next;
        drop_job(w->jobs);
        w->jobs = next;
    }
    w->commit_at_ms = INT64_MAX;
    w->reader->ops->reader_close(w->reader);
    committer_free(w->committer);
    pool_close(&w->pool);
    w->reader = NULL;
    w->committer = NULL;
    if (w->options.engine == &store_memory_ops)
        return; /* what it committed is durable for the life of the process */
    w->store->ops->close(w->store);
    w->store = NULL;
}

void world_server_restart(world *w) {
    world_server_crash(w);
    world_server_open(w, false);
}

/* ---- backups ---- */

static void backup_path(const world *w, const char *name, char path_out[400]) {
    snprintf(path_out, 400, "/ram/%u/backups/%s", w->options.ram, name);
}

static void note_backup(world *w, job_kind kind) {
    job *j = job_new(kind);
    assert_non_null(j);
    j->seq = committer_seq(w->committer);
    run_operators_job(w, j);
    world_expect(w, !j->result, "noting the backup: %s", j->error.message);
    job_free(j);
}

void world_server_backup(world *w, const char *name) {
    char path[400];
    lp_error error = {.message = ""};
    backup_path(w, name, path);
    note_backup(w, JOB_BACKUP_BEGIN);
    world_expect(w, !w->store->ops->backup(w->store, path, NULL, NULL, &error), "backup: %s", error.message);
    note_backup(w, JOB_BACKUP);
    world_note(w, "backup at %llu", (unsigned long long)committer_seq(w->committer));
    assert_true(w->made_count < WORLD_BACKUPS_KEPT);
    world_backup *made = &w->made[w->made_count++];
    snprintf(made->name, sizeof made->name, "%s", name);
    made->made_ms = w->now_ms;
}

/* Nobody restores a backup that is older than those which count, but in need: older by the clock that the server had. What a later one holds
 * devices had been told to forget by then. */
static void note_restored(world *w, const char *name) {
    int64_t made_ms = 0;
    for (uint32_t i = 0; i < w->made_count; i++)
        if (strcmp(w->made[i].name, name) == 0)
            made_ms = w->made[i].made_ms;
    int64_t latest_ms = w->made[w->made_count - 1].made_ms;
    if (w->now_ms - made_ms + w->server_ahead_ms > w->pool.backup_retention_ms && latest_ms > made_ms)
        w->forgotten_ms = latest_ms + w->server_ahead_ms;
}

bool world_is_forgotten(const world *w, stamp at) {
    return w->forgotten_ms && stamp_ms(at) <= w->forgotten_ms + APPLY_AHEAD_MS;
}

void world_server_restore(world *w, const char *name) {
    char path[400];
    lp_error error = {.message = ""};
    restored result;
    backup_path(w, name, path);
    note_restored(w, name);
    world_server_crash(w);
    world_expect(w, !restore_pool(w->path, path, &w->env, w->pool.ledger, NULL, NULL, &result, &error), "restore: %s",
                 error.message);
    world_note(w, "restored to %llu", (unsigned long long)result.seq);
    world_server_open(w, false);
    world_read_grants(w);
}

void world_server_set_back(world *w, const char *name) {
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[400], database[80], file[96];
    lp_error error = {.message = ""};
    backup_path(w, name, path);
    note_restored(w, name);
    world_server_crash(w);
    snprintf(database, sizeof database, "%s/pool.db", w->path);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        snprintf(file, sizeof file, "%s%s", database, endings[i]);
        file_remove(file);
    }
    world_expect(w, !sqlite_file_copy(path, database, NULL, NULL, &error), "set back: %s", error.message);
    world_note(w, "set back behind its back");
    world_server_open(w, false);
    world_read_grants(w);
}

void world_server_power_cut(world *w) {
    world_count(w, FAULT_SERVER_POWER);
    if (!vfs_is_off(w->disk.disk))
        vfs_cut(w->disk.disk);
    world_server_crash(w);
    vfs_loss loss = (vfs_loss)prop_below(&w->random, VFS_LOSSES);
    uint32_t tear_bytes = prop_chance(&w->random, 50) ? 512 : 0;
    if (tear_bytes)
        world_count(w, FAULT_TEAR);
    vfs_power_on(w->disk.disk, loss, tear_bytes);
    w->disk.faults = (vfs_faults){0};
    world_server_open(w, false);
}

/* ---- jobs ---- */

static void submit(world *w, int32_t link, job *j) {
    origin *from = calloc(1, sizeof *from);
    assert_non_null(from);
    *from = (origin){w, link, link < 0 ? NULL : w->links[link].session, false};
    j->done = on_done;
    j->ctx = from;
    j->next = NULL;
    job **at = &w->jobs;
    while (*at)
        at = &(*at)->next;
    *at = j;
    if (w->commit_at_ms == INT64_MAX)
        w->commit_at_ms = w->now_ms + prop_between(&w->random, 0, w->faults.commit_max_ms);
}

static void carry_out(world *w, uint32_t link, session_actions *actions) {
    for (uint32_t i = 0; i < actions->count; i++) {
        session_action *a = &actions->list[i];
        switch (a->kind) {
        case SESSION_ANSWER:
            world_send(w, link, false, a->id, &a->answer);
            break;
        case SESSION_COMMIT:
            submit(w, (int32_t)link, a->job);
            break;
        case SESSION_CLOSE:
            world_hang_up(w, link, true);
            break;
        }
    }
}

static void step(world *w, uint32_t link, const session_event *event) {
    session_actions actions;
    world_arm(&w->disk);
    session_step(w->links[link].session, w->reader, event, &actions);
    world_disarm(w, &w->disk);
    if (actions.trouble.code != LP_OK)
        w->trouble = actions.trouble;
    carry_out(w, link, &actions);
}

void world_server_take(world *w, world_parcel *p) {
    world_link *l = &w->links[p->link];
    if (!l->session)
        return;
    if (p->end) {
        forget_jobs_of(w, p->link);
        world_hang_up(w, p->link, true);
        drop_session(l);
        return;
    }
    session_event event = {.kind = SESSION_MESSAGE, .id = p->id, .bytes = buf_span(&p->message)};
    step(w, p->link, &event);
}

static void tell_sessions(world *w, session_event_kind kind) {
    session_event event = {.kind = kind};
    for (uint32_t i = 0; i < WORLD_LINKS_MAX; i++)
        if (w->links[i].session && session_parked(w->links[i].session))
            step(w, i, &event);
}

void world_server_commit(world *w) {
    job *list[256];
    uint32_t count = 0;
    uint64_t before = committer_seq(w->committer);
    w->commit_at_ms = INT64_MAX;
    for (job *j = w->jobs; j; j = j->next) {
        assert_true(count < 256);
        list[count++] = j;
    }
    job *group = w->jobs;
    w->jobs = NULL;
    world_note(w, "commit of %u jobs", count);
    world_arm(&w->disk);
    committer_run(w->committer, group);
    if (prop_chance(&w->random, 30))
        committer_rest(w->committer);
    world_disarm(w, &w->disk);
    if (vfs_is_off(w->disk.disk)) {
        for (uint32_t i = 0; i < count; i++)
            drop_job(list[i]);
        world_server_power_cut(w);
        return;
    }
    uint64_t what[2] = {count, committer_seq(w->committer)};
    world_hash(w, what, sizeof what);
    for (uint32_t i = 0; i < count; i++) {
        origin *from = list[i]->ctx;
        assert_true(from->done);
        bool alive = from->link >= 0 && from->session && w->links[from->link].session == from->session;
        uint32_t link = (uint32_t)from->link;
        if (!alive) {
            drop_job(list[i]);
            continue;
        }
        free(from);
        session_event event = {.kind = SESSION_COMMITTED, .job = list[i]};
        step(w, link, &event);
    }
    if (committer_seq(w->committer) > before)
        tell_sessions(w, SESSION_MOVED);
}

bool world_operate(world *w, const char *verb, const char *name, const char *value) {
    const control_pair pair = {name, value};
    return world_operate_with(w, verb, &pair, 1);
}

bool world_operate_with(world *w, const char *verb, const control_pair *pairs, uint32_t count) {
    uint64_t before = committer_seq(w->committer);
    job *j = job_new(JOB_CONTROL);
    assert_non_null(j);
    assert_int_equal(control_request(verb, pairs, count, &j->request, NULL), LP_OK);
    run_operators_job(w, j);
    bool ok = !j->result;
    world_note(w, "leadpoold %s --%s %s: %s", verb, count ? pairs[0].name : "", count ? pairs[0].value : "",
               ok ? "done" : j->error.message);
    job_free(j);
    if (committer_seq(w->committer) > before)
        tell_sessions(w, SESSION_MOVED);
    return ok;
}

/* ---- time ---- */

int64_t world_server_deadline_ms(const world *w) {
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < WORLD_LINKS_MAX; i++) {
        int64_t at_ms = w->links[i].session ? session_deadline_ms(w->links[i].session) : 0;
        if (at_ms && at_ms < first)
            first = at_ms;
    }
    return first;
}

void world_server_tick(world *w) {
    session_event event = {.kind = SESSION_TICK};
    for (uint32_t i = 0; i < WORLD_LINKS_MAX; i++) {
        int64_t at_ms = w->links[i].session ? session_deadline_ms(w->links[i].session) : 0;
        if (at_ms && at_ms <= w->now_ms)
            step(w, i, &event);
    }
}

/* ---- the operator ---- */

static bool take_token(span result, uint8_t token_out[INVITE_TOKEN_BYTES]) {
    wire_reader r = wire_open(result);
    uint32_t count = wire_map(&r);
    for (uint32_t i = 0; i < count && !r.failed; i++) {
        bool found = span_equal(wire_text(&r), SPAN_LITERAL("token"));
        if (!found) {
            wire_raw(&r);
            continue;
        }
        span token = wire_bytes(&r);
        if (token.size != INVITE_TOKEN_BYTES)
            return false;
        memcpy(token_out, token.data, token.size);
        return true;
    }
    return false;
}

void world_invite(world *w, const char *staff, const char *role, uint8_t token_out[INVITE_TOKEN_BYTES]) {
    buf arguments = {0};
    wire_put_map(&arguments, 2);
    wire_put_text(&arguments, SPAN_LITERAL("staff"));
    wire_put_text(&arguments, span_text(staff));
    wire_put_text(&arguments, SPAN_LITERAL("role"));
    wire_put_text(&arguments, span_text(role));
    message control = {.number = MSG_CONTROL, .verb = SPAN_LITERAL("invite"), .arguments = buf_span(&arguments)};
    job *j = job_new(JOB_INVITE);
    assert_non_null(j);
    assert_int_equal(message_encode(&control, &j->request, NULL), LP_OK);
    buf_fini(&arguments);
    run_operators_job(w, j);
    world_expect(w, !j->result, "invite: %s", j->error.message);
    message answer;
    assert_int_equal(message_decode(buf_span(&j->answer), &answer, NULL), LP_OK);
    assert_true(take_token(answer.result, token_out));
    job_free(j);
}
