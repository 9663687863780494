/* served.h - a whole server in the test's own process: memory store, committer, commit thread, net, on a free loopback port. */
#ifndef TESTS_SUPPORT_SERVED_H
#define TESTS_SUPPORT_SERVED_H

#include "proto/crypto.h"
#include "proto/message.h"
#include "server/host.h"
#include "server/net/net.h"

typedef struct served {
    config config; /**< set options between served_init and served_start */
    logger log;
    store *store;
    pool pool;
    committer *committer;
    commit_thread *thread;
    net *net;
    tls_context *tls;
    uint8_t pin[PIN_BYTES];
} served;

/** Defaults: 127.0.0.1:0, `plaintext` as given, errors logged. */
void served_init(served *s, bool plaintext);
/** Starts it; assertions fail if that fails. */
void served_start(served *s);
/** Drains and frees. */
void served_stop(served *s);
/** An invitation for `staff`, made by the committer like any other. */
void served_invite(served *s, const char *staff, const char *role, uint8_t token_out[INVITE_TOKEN_BYTES]);

/** A device that speaks the protocol by hand: over a plain socket and a channel, blocking, at most 20 s a step. */
typedef struct caller {
    int fd;
    tls_context *tls; /**< NULL: plain text */
    channel *channel;
    uint8_t binding[64];
    size_t binding_size;
    buf answer; /**< what `message` of the last answer borrows */
    uint8_t seed[CRYPTO_SEED_BYTES];
    uint8_t install[16];
    uint32_t device; /**< after caller_join */
} caller;

/** Connects a TCP socket to a loopback port; -1 if that fails. */
int caller_dial(uint16_t port);
/** Connects and opens the channel; false if the server does not let it. `c` keeps identity and device over several calls. */
bool caller_connect(caller *c, served *s);
void caller_disconnect(caller *c);
void caller_free(caller *c);
/** Sends a message without waiting for its answer. */
bool caller_send(caller *c, uint32_t id, span bytes);
/** The next answer, or false if the connection ended. */
bool caller_receive(caller *c, uint32_t *id_out, message *message_out);
/** Encodes, sends and waits for the answer. */
bool caller_ask(caller *c, const message *request, message *answer_out);
/** Joins with a token: the answer. */
bool caller_join(caller *c, const uint8_t token[INVITE_TOKEN_BYTES], message *answer_out);
/** Fills a hello of the joined device, signed; its spans borrow `c` and `signature`. */
void caller_hello(caller *c, message *hello_out, uint8_t signature[CRYPTO_SIGNATURE_BYTES]);

#endif
