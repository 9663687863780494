/* conn.h - a connection and the net as the files of server/net see them. */
#ifndef SERVER_NET_CONN_H
#define SERVER_NET_CONN_H

#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>

#include "server/net/net.h"
#include "server/net/peers.h"
#include "server/net/wheel.h"
#include "server/session/session.h"

/** Why a connection is to be run. EVENT_ACTIVE: it is queued or running already. */
enum {
    EVENT_ACTIVE = 1 << 0,
    EVENT_NEW = 1 << 1,
    EVENT_RECEIVED = 1 << 2,
    EVENT_SENT = 1 << 3,
    EVENT_COMMITTED = 1 << 4,
    EVENT_MOVED = 1 << 5,
    EVENT_TICK = 1 << 6,
    EVENT_DRAIN = 1 << 7, /**< answer what is due, then close */
    EVENT_KILL = 1 << 8,  /**< close at once */
    EVENT_MORE = 1 << 9,  /**< it gave way to others with work left */
};

typedef enum conn_phase {
    CONN_NEW,      /**< accepted, not looked at yet */
    CONN_OPENING,  /**< handshake */
    CONN_GREETING, /**< open, but no hello accepted yet */
    CONN_SERVING,
    CONN_CLOSING, /**< output and the peer's end of file are still waited for, for a short time */
    CONN_DEAD,    /**< the stream is closed; what is under way comes back, then it is freed */
} conn_phase;

/* Members are touched by the worker that runs the connection, but for `events`, `done` and the links. */
typedef struct conn {
    net *net;
    _Atomic uint32_t events;
    job *done;                              /* jobs that came back, newest first; net->done_mutex */
    struct conn *run_next;                  /* run queue's */
    struct conn *prev, *next;               /* list of all, net->list_mutex */
    struct conn *parked_prev, *parked_next; /* net->parked_mutex */
    wheel_node timer;                       /* wheel's */
    bool parked;

    nng_stream *stream;
    nng_aio *receive_aio, *send_aio;
    bool receiving, sending;
    bool ended; /* the peer's end of file, or an error, was seen */
    bool draining;
    bool limited; /* counted in net->peers */
    conn_phase phase;
    uint8_t *input;
    uint32_t input_size, input_wanted;
    buf output; /* handed to nng */
    channel *channel;
    session *session;
    uint32_t jobs; /* at the committer */
    uint64_t moves_seen;
    int64_t greet_by_ms, close_by_ms, received_ms, sent_ms, active_ms; /* boot time */
    peer_key peer;
    uint16_t peer_port;
} conn;

struct net {
    pool *pool;
    const config *config;
    tls_context *tls;
    logger *log;
    commit_thread *thread;
    const char **origins; /* NULL-terminated, texts in origins_text */
    char *origins_text;
    char address[300];
    uint16_t port;

    nng_stream_listener *listener;
    nng_aio *accept_aio, *pause_aio, *tick_aio;
    _Atomic bool stopping;

    pthread_t workers[16];
    store_reader *readers[16];
    uint32_t worker_count;
    pthread_mutex_t run_mutex; /* guards the run queue */
    pthread_cond_t run_filled;
    conn *run_first, *run_last;
    bool run_over;

    pthread_mutex_t list_mutex; /* guards the list of all and count */
    pthread_cond_t list_empty;
    conn *list;
    _Atomic uint64_t count;

    pthread_mutex_t parked_mutex; /* guards the list of parked ones */
    conn *parked;
    pthread_mutex_t done_mutex; /* guards every connection's `done` */
    _Atomic uint64_t moves;     /* commits that moved the pool */

    peers peers;
    wheel wheel;
};

/** Takes a stream that was accepted. On failure the stream is freed. */
void conn_open(net *n, nng_stream *stream);
/** Asks for a run because of `events`. The connection may be gone when it returns. Thread: any. */
void conn_signal(conn *c, uint32_t events);
/** Works off what was signalled. Thread: a worker. */
void conn_run(conn *c, store_reader *reader);

int64_t conn_now_ms(const conn *c); /**< boot time */
/** Begins to close: the last output goes out first. */
void conn_close(conn *c, const char *reason);

/* conn_session.c: messages between the channel and the session. */
#define CONN_STRANGER_HELD_MAX (60u * 1024u) /**< with the 4 KiB of input: 64 KiB, design I10 */
void conn_take_jobs(conn *c, store_reader *reader);
void conn_wake_waits(conn *c, store_reader *reader, uint32_t events, int64_t now_ms);
void conn_take_events(conn *c, store_reader *reader);
/** False while the peer has to wait: too much unread, or too many jobs. */
bool conn_has_room(const conn *c);

/* conn_io.c: bytes between the stream and the channel. */
void conn_take_received(conn *c, int64_t now_ms);
void conn_take_sent(conn *c, int64_t now_ms);
void conn_start_receive(conn *c);
void conn_start_send(conn *c, int64_t now_ms);
/** Closes the stream; what is under way comes back with an error. */
void conn_drop(conn *c);
lp_err conn_io_init(conn *c);
void conn_io_fini(conn *c);

/* workers.c */
lp_err workers_start(net *n, lp_error *error);
void workers_stop(net *n);
void workers_push(net *n, conn *c);

/* parked.c: connections that wait for the pool to move. */
void parked_set(conn *c, bool parked);

#endif
