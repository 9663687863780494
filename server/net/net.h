/* net.h - the server's network side: one port, many connections, a few threads. Shell.
 *
 *     nng: accept, receive, send (bytes only)         workers: one connection at a time each
 *       accepted, bytes in, bytes out  --signal-->  [run queue] --> conn_run: channel -> session -> channel
 *       commit thread: job done, pool moved --signal--^                               `-> jobs -> commit thread
 *       tick: deadline passed --signal--------------'
 *
 * Invariants:
 *   (1) nng's threads only move bytes and signal; OpenSSL and SQLite run on our workers.
 *   (2) A connection is run by at most one worker at a time, and a signal during a run makes it run again.
 *   (3) Accepting never ends while serving: an error of accept is followed by another accept, after a pause.
 *   (4) What a peer can make us hold is bounded: input, output, jobs, connections of an address, time in every state. */
#ifndef SERVER_NET_H
#define SERVER_NET_H

#include "proto/channel/channel.h"
#include "server/pool/commit_thread.h"
#include "server/config.h"
#include "server/log.h"
#include "server/pool/pool.h"

typedef struct net net;

/** Everything is borrowed and outlives the net. */
typedef struct net_options {
    pool *pool;
    const config *config;
    tls_context *tls; /**< NULL: plain text, which config_check allows on loopback only */
    logger *log;
} net_options;

/** Errors: LP_NOMEM. */
lp_err net_new(const net_options *options, net **net_out, lp_error *error);
/** Starts the workers, listens and accepts. Errors: LP_INVALID address, LP_BUSY in use, LP_IO, those of the store. */
lp_err net_start(net *n, commit_thread *thread, lp_error *error);
/** Stops accepting, lets what is at the committer be answered, and closes every connection, in good order if they let us within
 *  `timeout_ms`. The commit thread must still run. No connection is left when it returns. */
void net_drain(net *n, int32_t timeout_ms);
/** After net_drain, and after the commit thread has ended. */
void net_free(net *n);

/** The commit thread's `moved` hook; `ctx` is the net. */
void net_moved(void *ctx, uint64_t seq);

/** "127.0.0.1:7117": where it really listens. */
const char *net_address(const net *n);
/** The port of it. */
uint16_t net_port(const net *n);
/** Connections open now; `ctx` is the net. Thread: any. */
uint64_t net_connections(void *ctx);

#endif
