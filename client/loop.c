/* loop.c - what happened on the link goes into the session, what the session wants is done; see loop.h.
 *
 * One turn: wait on the link without the mutex, then under it step the session and carry out its actions, none of which waits for the
 * network. The thread that syncs is the caller's in loop_sync and loop_join, and the loop's own between loop_start and loop_stop;
 * never both, so the link and the session have one user at a time.
 *
 * An action that cannot be carried out (no address stored, out of memory) is told to the session as a lost connection at the next turn: the
 * session then has one place that decides about back-off, and no action can make it recurse. */
#include "client/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/replica/contact.h"
#include "client/link.h"
#include "client/os.h"
#include "client/replica/replica_watch.h"
#include "proto/err.h"

/* How often a live loop looks for other processes' writes: see replica_watch.c. */
#define WATCH_MS 200
/* The link waits by a clock that stands still while the device sleeps, the session plans by one that does not: so look again after this. */
#define WAIT_MS_MAX 10000
#define JOIN_ID 0x80000001u

struct loop {
    replica *r;
    const char *path;       /* of the replica; borrowed */
    pthread_mutex_t *mutex; /* guards r and session */
    loop_notify_fn notify;
    void *ctx;
    link_t *link;
    client_session *session; /* made at the first sync: an unjoined replica has nothing to make it of */
    tls_context *tls;        /* for `pin`; NULL until the first connection */
    uint8_t pin[PIN_BYTES];
    bool ticket_due; /* this connection's ticket is not kept yet */
    bool failed;     /* `failure` is to be told as a lost connection */
    lp_error failure;
    bool done; /* a sync without keep ended, with `outcome` */
    lp_error outcome;
    int64_t version;      /* of the file, by replica_watch */
    uint64_t moved_bytes; /* on the network, when last looked */
    bool running;         /* `thread` exists; the owner's thread only */
    lp_state kept;        /* whose reason was kept */
    pthread_t thread;
    atomic_bool stopping;
};

static int64_t now_ms(const loop *l) {
    return l->r->env->boot_ms(l->r->env->ctx);
}

static int64_t deadline_ms(const loop *l, int32_t timeout_ms) {
    return timeout_ms < 0 ? INT64_MAX : now_ms(l) + timeout_ms;
}

static lp_err copy_error(lp_error *error, const lp_error *from) {
    return err_set(error, from->code, "%s", from->message);
}

lp_err loop_new(replica *r, const char *path, pthread_mutex_t *mutex, loop_notify_fn notify, void *ctx, loop **loop_out,
                lp_error *error) {
    loop *l = calloc(1, sizeof *l);
    if (!l)
        return err_plain(error, LP_NOMEM);
    *l = (loop){.r = r, .path = path, .mutex = mutex, .notify = notify, .ctx = ctx};
    lp_err rc = link_new(&l->link, error);
    if (rc != LP_OK) {
        free(l);
        return rc;
    }
    *loop_out = l;
    return LP_OK;
}

void loop_free(loop *l) {
    if (!l)
        return;
    loop_stop(l);
    client_session_free(l->session);
    link_free(l->link);
    tls_context_free(l->tls);
    free(l);
}

/* ---- actions; the mutex is held ---- */

static void fail(loop *l, const lp_error *error) {
    link_close(l->link);
    l->failed = true;
    l->failure = *error;
}

/* Keeps the context, and with it the newest ticket, as long as the pin stays. */
static lp_err prepare_tls(loop *l, const contact *c, lp_error *error) {
    if (l->tls && memcmp(l->pin, c->pin, sizeof l->pin) == 0)
        return LP_OK;
    link_close(l->link); /* its channel borrows the context */
    tls_context_free(l->tls);
    l->tls = NULL;
    memcpy(l->pin, c->pin, sizeof l->pin);
    return contact_tls(l->r, c, &l->tls, error);
}

/* With the disk full nothing that the server acknowledges could be written down, and the outbox would never get shorter. */
static void look_for_space(loop *l) {
    if (l->r->read_only)
        return;
    os_reserve_keep(l->path);
    l->r->tight = os_reserve_give_up(l->path) || !os_may_save(l->path);
    if (l->r->tight)
        replica_checkpoint(l->r, false);
}

static lp_err connect_server(loop *l, lp_error *error) {
    contact c;
    look_for_space(l);
    lp_err rc = contact_load(l->r, &c, error);
    if (rc == LP_OK && !c.plain)
        rc = prepare_tls(l, &c, error);
    if (rc != LP_OK)
        return rc;
    l->ticket_due = !c.plain;
    link_connect(l->link, c.host, c.port, c.plain ? NULL : l->tls, CLIENT_CONNECT_MS);
    return LP_OK;
}

static void carry_out(loop *l, client_action *action) {
    lp_error error;
    switch (action->kind) {
    case CLIENT_CONNECT:
        l->failed = false;
        if (connect_server(l, &error) != LP_OK)
            fail(l, &error);
        break;
    case CLIENT_SEND:
        if (!l->failed && link_send(l->link, action->id, buf_span(&action->message), &error) != LP_OK)
            fail(l, &error);
        buf_fini(&action->message);
        break;
    case CLIENT_CLOSE:
        l->failed = false;
        link_close(l->link);
        break;
    case CLIENT_NOTIFY:
        l->notify(l->ctx, &action->event);
        break;
    case CLIENT_DONE:
        l->done = true;
        l->outcome = action->error;
        break;
    }
}

static void carry_out_all(void *ctx, client_actions *actions) {
    loop *l = ctx;
    assert(actions->count <= CLIENT_ACTIONS_MAX);
    for (uint32_t i = 0; i < actions->count; i++)
        carry_out(l, &actions->list[i]);
    actions->count = 0;
}

static void step(loop *l, const client_event *event) {
    client_actions actions = {.carry_out = carry_out_all, .ctx = l};
    client_step(l->session, event, &actions);
    carry_out_all(l, &actions);
}

/* ---- turns ---- */

static void keep_ticket(loop *l) {
    if (l->ticket_due)
        contact_keep_ticket(l->r, l->tls);
    l->ticket_due = false;
}

static void deliver(loop *l, const link_event *happened) {
    client_event event = {.id = happened->id, .bytes = happened->bytes, .error = happened->error};
    switch (happened->kind) {
    case LINK_OPEN:
        event.kind = CLIENT_OPEN;
        break;
    case LINK_MESSAGE:
        event.kind = CLIENT_MESSAGE;
        break;
    case LINK_LOST:
        event.kind = CLIENT_LOST;
        break;
    case LINK_WOKEN:
        event.kind = CLIENT_WORK;
        break;
    case LINK_TIMEOUT:
        return;
    }
    if (happened->kind == LINK_MESSAGE)
        keep_ticket(l); /* a server sends it before its first answer */
    step(l, &event);
}

static void look_for_writes(loop *l) {
    if (client_state(l->session) != LP_STATE_LIVE)
        return;
    int64_t version = replica_watch(l->r, l->version);
    if (version == l->version)
        return;
    l->version = version;
    step(l, &(client_event){.kind = CLIENT_WORK});
}

static void look_for_bytes(loop *l) {
    uint64_t up, down;
    link_bytes(l->link, &up, &down);
    if (up + down != l->moved_bytes)
        client_alive(l->session);
    l->moved_bytes = up + down;
}

static int32_t wait_ms(const loop *l, int64_t until_ms) {
    int64_t longest_ms = client_state(l->session) == LP_STATE_LIVE ? WATCH_MS : WAIT_MS_MAX;
    int64_t due_ms = client_deadline_ms(l->session);
    int64_t next_ms = due_ms < until_ms ? due_ms : until_ms;
    int64_t now = now_ms(l);
    if (next_ms <= now)
        return 0;
    return (int32_t)(next_ms - now < longest_ms ? next_ms - now : longest_ms);
}

static void wait_link(loop *l, int64_t until_ms, link_event *happened_out) {
    pthread_mutex_lock(l->mutex);
    int32_t ms = wait_ms(l, until_ms);
    bool failed = l->failed;
    l->failed = false;
    pthread_mutex_unlock(l->mutex);
    if (failed)
        *happened_out = (link_event){.kind = LINK_LOST, .error = l->failure};
    else
        link_wait(l->link, ms, happened_out);
}

/* How a sync ended outlives the process that tried: `leadpool status` is another one. It counts until the next time all is in sync. */
static void keep_attempt(loop *l, const char *reason) {
    lp_error ignored;
    lp_state state = client_state(l->session);
    if (replica_begin(l->r, &ignored))
        return;
    if (replica_meta_put(l->r, "sync.reason", span_text(reason), &ignored) ||
        replica_meta_put_int(l->r, "sync.state", state == LP_STATE_BLOCKED || state == LP_STATE_WAITING ? state : 0,
                             &ignored) ||
        replica_meta_put_int(l->r, "sync.next_ms", client_next_attempt_ms(l->session), &ignored) ||
        replica_meta_put_int(l->r, "sync.failed_ms", l->r->env->wall_ms(l->r->env->ctx), &ignored))
        replica_rollback(l->r);
    else
        replica_commit(l->r, &ignored);
}

/* In the background each attempt that failed is kept when it has. */
static void note_attempt(loop *l) {
    lp_state state = client_state(l->session);
    if (state != l->kept && (state == LP_STATE_WAITING || state == LP_STATE_BLOCKED))
        keep_attempt(l, client_reason(l->session));
    l->kept = state;
}

static void turn(loop *l, int64_t until_ms) {
    link_event happened;
    wait_link(l, until_ms, &happened);
    if (atomic_load(&l->stopping))
        return;
    pthread_mutex_lock(l->mutex);
    deliver(l, &happened);
    if (l->running)
        look_for_writes(l);
    look_for_bytes(l);
    if (now_ms(l) >= client_deadline_ms(l->session))
        step(l, &(client_event){.kind = CLIENT_TICK});
    if (l->running)
        note_attempt(l);
    pthread_mutex_unlock(l->mutex);
}

static void begin(loop *l, bool keep) {
    pthread_mutex_lock(l->mutex);
    l->done = false;
    l->failed = false;
    l->version = replica_watch(l->r, 0);
    step(l, &(client_event){.kind = CLIENT_START, .keep = keep});
    pthread_mutex_unlock(l->mutex);
}

/* Refuses while the background thread runs; makes the session the first time. */
static lp_err get_ready(loop *l, lp_error *error) {
    if (l->running)
        return err_set(error, LP_EXISTS, "sync is already running in the background; stop it first");
    if (l->session)
        return LP_OK;
    pthread_mutex_lock(l->mutex);
    lp_err rc = client_session_new(l->r, &l->session, error);
    pthread_mutex_unlock(l->mutex);
    return rc;
}

/* ---- once ---- */

static const char *state_name(lp_state state) {
    switch (state) {
    case LP_STATE_CONNECTING:
        return "connecting";
    case LP_STATE_SYNCING:
        return "syncing";
    case LP_STATE_LIVE:
        return "live";
    case LP_STATE_WAITING:
        return "waiting";
    case LP_STATE_BLOCKED:
        return "blocked";
    case LP_STATE_IDLE:
    case LP_STATE_FORCE_INT32:
        break;
    }
    return "idle";
}

static lp_err time_is_up(loop *l, int32_t timeout_ms, lp_error *error) {
    const char *reason = client_reason(l->session);
    return err_set(error, LP_TIMEOUT, "not in sync after %d ms: %s; what was transferred stays, sync again", timeout_ms,
                   reason[0] ? reason : state_name(client_state(l->session)));
}

lp_err loop_sync(loop *l, int32_t timeout_ms, lp_sync_result *result_out, lp_error *error) {
    lp_sync_result result = {0};
    lp_error failure = {LP_OK, ""};
    uint64_t up_bytes, down_bytes;
    if (result_out)
        *result_out = result;
    lp_err rc = get_ready(l, error);
    if (rc != LP_OK)
        return rc;
    link_bytes(l->link, &up_bytes, &down_bytes);
    int64_t until_ms = deadline_ms(l, timeout_ms);
    begin(l, false);
    while (!l->done && now_ms(l) < until_ms)
        turn(l, until_ms);
    pthread_mutex_lock(l->mutex);
    if (!l->done)
        rc = time_is_up(l, timeout_ms, &failure);
    else if (l->outcome.code != LP_OK)
        rc = copy_error(&failure, &l->outcome);
    if (rc != LP_OK) {
        keep_attempt(l, failure.message);
        copy_error(error, &failure);
    }
    client_result(l->session, &result);
    if (!l->done)
        step(l, &(client_event){.kind = CLIENT_STOP}); /* else its state and reason stay for loop_status */
    pthread_mutex_unlock(l->mutex);
    link_close(l->link);
    link_bytes(l->link, &result.bytes_up, &result.bytes_down);
    result.bytes_up -= up_bytes;
    result.bytes_down -= down_bytes;
    if (result_out)
        *result_out = result;
    return rc;
}

/* ---- for good ---- */

static void *run(void *ctx) {
    loop *l = ctx;
    begin(l, true);
    while (!atomic_load(&l->stopping))
        turn(l, INT64_MAX);
    pthread_mutex_lock(l->mutex);
    step(l, &(client_event){.kind = CLIENT_STOP});
    pthread_mutex_unlock(l->mutex);
    link_close(l->link);
    return NULL;
}

/* The host program's signal handlers are for its own threads. */
static int start_thread(loop *l) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&l->thread, NULL, run, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

lp_err loop_start(loop *l, lp_error *error) {
    lp_err rc = get_ready(l, error);
    if (rc != LP_OK)
        return rc;
    atomic_store(&l->stopping, false);
    l->running = true;
    if (start_thread(l) == 0)
        return LP_OK;
    l->running = false;
    return err_set(error, LP_NOMEM, "cannot start a thread to sync on");
}

void loop_stop(loop *l) {
    if (!l->running)
        return;
    atomic_store(&l->stopping, true);
    link_wake(l->link);
    pthread_join(l->thread, NULL);
    l->running = false;
    atomic_store(&l->stopping, false);
}

void loop_work(loop *l) {
    link_wake(l->link);
}

/* Fills in what this process's own session says; with none, or one at rest without a word, what was kept stands. */
void loop_status(loop *l, lp_status *status_out) {
    const char *reason = l->session ? client_reason(l->session) : "";
    lp_state state = l->session ? client_state(l->session) : LP_STATE_IDLE;
    if (state != LP_STATE_IDLE || reason[0]) {
        status_out->state = state;
        status_out->next_attempt_ms = client_next_attempt_ms(l->session);
        snprintf(status_out->reason, sizeof status_out->reason, "%s", reason);
    }
    snprintf(status_out->state_name, sizeof status_out->state_name, "%s", state_name(status_out->state));
}

/* ---- joining ---- */

static lp_err await(loop *l, link_event_kind wanted, int64_t until_ms, link_event *happened_out, lp_error *error) {
    for (;;) {
        int64_t left_ms = until_ms - now_ms(l);
        if (left_ms <= 0)
            return err_set(error, LP_TIMEOUT, "the server did not answer in time; join again with the same invitation");
        link_wait(l->link, (int32_t)(left_ms < WAIT_MS_MAX ? left_ms : WAIT_MS_MAX), happened_out);
        if (happened_out->kind == LINK_LOST)
            return copy_error(error, &happened_out->error);
        if (happened_out->kind == wanted && (wanted != LINK_MESSAGE || happened_out->id == JOIN_ID))
            return LP_OK;
    }
}

/* The address is stored before anything is sent: when the answer is taken, all is there. Without an answer it is harmless. */
static lp_err open_joining(loop *l, const contact *c, int64_t until_ms, lp_error *error) {
    pthread_mutex_lock(l->mutex);
    lp_err rc = contact_store(l->r, c, error);
    if (rc == LP_OK)
        rc = connect_server(l, error);
    pthread_mutex_unlock(l->mutex);
    link_event opened;
    return rc == LP_OK ? await(l, LINK_OPEN, until_ms, &opened, error) : rc;
}

static lp_err ask_to_join(loop *l, const uint8_t token[16], const char *label, lp_error *error) {
    buf request = {0};
    pthread_mutex_lock(l->mutex);
    lp_err rc = client_join_request(l->r, token, label, &request, error);
    pthread_mutex_unlock(l->mutex);
    if (rc == LP_OK)
        rc = link_send(l->link, JOIN_ID, buf_span(&request), error);
    buf_fini(&request);
    return rc;
}

static lp_err take_joining(loop *l, int64_t until_ms, lp_error *error) {
    int64_t patience_ms = now_ms(l) + CLIENT_ANSWER_MS;
    link_event answer;
    lp_err rc = await(l, LINK_MESSAGE, until_ms < patience_ms ? until_ms : patience_ms, &answer, error);
    if (rc != LP_OK)
        return rc;
    pthread_mutex_lock(l->mutex);
    rc = client_join_take(l->r, answer.bytes, error);
    if (rc == LP_OK)
        keep_ticket(l);
    pthread_mutex_unlock(l->mutex);
    return rc;
}

lp_err loop_join(loop *l, const char *host, uint16_t port, const uint8_t pin[32], const uint8_t token[16],
                 const char *label, int32_t timeout_ms, lp_error *error) {
    contact c = {.port = port};
    assert(!l->running);
    if (strlen(host) >= sizeof c.host)
        return err_set(error, LP_INVALID, "the invitation's host name is too long");
    snprintf(c.host, sizeof c.host, "%s", host);
    memcpy(c.pin, pin, sizeof c.pin);
    int64_t until_ms = deadline_ms(l, timeout_ms);
    lp_err rc = open_joining(l, &c, until_ms, error);
    if (rc == LP_OK)
        rc = ask_to_join(l, token, label, error);
    if (rc == LP_OK)
        rc = take_joining(l, until_ms, error);
    link_close(l->link);
    return rc;
}
