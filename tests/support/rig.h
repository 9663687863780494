/* rig.h - a replica, and if wanted its session, with the rest of the world played by the test: the clock is a number, what the session
 * sends is kept, answers are made by hand. For contracts of the client's core. Failures are assertions. */
#ifndef TESTS_SUPPORT_RIG_H
#define TESTS_SUPPORT_RIG_H

#include "client/replica/replica.h"
#include "client/sync/session.h"
#include "proto/crypto.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "tests/support/prop.h"
#include "tests/support/store_kit.h"

#define RIG_DEVICE 17
#define RIG_SENT_MAX 64
#define RIG_START_MS INT64_C(1795000000000)

/** A request the session has sent. */
typedef struct rig_sent {
    uint32_t number, id;
    message message; /**< borrows `bytes` */
    buf bytes;
} rig_sent;

typedef struct rig {
    kit_directory directory;
    char path[320];
    lp_env env;
    prop random;
    int64_t now_ms;        /**< wall clock and time since boot alike */
    int64_t server_off_ms; /**< what the welcomes say is off by so much */
    uint8_t boot;          /**< which boot of the device it is */
    replica *replica;
    client_session *session;
    uint8_t seed[CRYPTO_SEED_BYTES];
    rig_sent sent[RIG_SENT_MAX];
    uint32_t sent_count;
    uint32_t connects, closes, done_count, refused_events;
    lp_err done;
} rig;

/** An empty replica; `joined`: with an identity, of device RIG_DEVICE. */
void rig_open(rig *r, bool joined);
/** Gives a replica that has none an identity, as a server's answer does. */
void rig_join(rig *r, uint32_t device);
void rig_close(rig *r);
/** Closes and opens the file, as a restart does. The session is new too. */
void rig_reopen(rig *r);

/* Events of the session. */
void rig_start(rig *r, bool keep);
void rig_channel(rig *r, const char *binding);
void rig_lost(rig *r, lp_err err);
void rig_work(rig *r);
void rig_tick(rig *r); /**< moves the time to the deadline */
void rig_answer(rig *r, uint32_t id, const message *m);
void rig_answer_bytes(rig *r, uint32_t id, span bytes);
/** Answers the hello: the scopes are setup and pool. */
void rig_welcome(rig *r, uint64_t batch);
void rig_welcome_fenced(rig *r, uint64_t batch, uint64_t fence);
/** Answers the last request; `seq` not 0: with empty last pages of both scopes at that seq. */
void rig_synced(rig *r, uint64_t batch, uint64_t seq);
rig_sent *rig_last(rig *r);

/* The replica. */
lp_id rig_make_lead(rig *r, const char *name);
/** Sets a text field in a transaction of its own; NULL clears. */
void rig_set(rig *r, const lp_id *id, const char *field, const char *text);
/** The visible register; its value and stamp. False if there is none. Text goes to `text_out` (64 bytes), which may be NULL. */
bool rig_get(rig *r, const lp_id *id, const char *field, stamp *at_out, char *text_out);
/** Pulls one change of a lead by author `author`, in a transaction of its own. */
void rig_pull(rig *r, const lp_id *id, uint32_t field, const char *text, stamp at);
int64_t rig_count(rig *r, const char *sql);
int64_t rig_unsent(rig *r); /**< entries of the outbox */
/** The server's digest as the replica keeps it is that of its server layers. */
bool rig_digest_holds(rig *r);

#endif
