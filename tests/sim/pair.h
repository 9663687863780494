/* pair.h - a pool and two devices of managers on disks that break (vfs.h), joined by a perfect line: to break one disk at every
 * step of one deed, and see what is left. The production cores of both ends; no network, no time but what a retry waits for.
 *
 *     device 0 on /ram/a, device 1 on /ram/b     replica + client_session
 *     server on /ram/pool                        store, committer, one session per connection
 *
 * Whatever was reported saved is remembered in the ledger as a text that occurs nowhere else; texts of one transaction share a
 * group. So what is where is a search for bytes in two SQLite files, and knows nothing of packed forms.
 *
 *     pair_keep, pair_again   back to a moment, disks and ledger: a deed is done many times from the same start
 *     pair_revive             after a cut: the power comes back, whoever died starts again
 *     pair_audit              what must hold of a device at any moment between transactions
 *     pair_settle             both sync until all is sent and read, then everything is compared */
#ifndef TESTS_SIM_PAIR_H
#define TESTS_SIM_PAIR_H

#include "client/replica/replica.h"
#include "client/sync/session.h"
#include "server/pool/committer.h"
#include "server/session/session.h"
#include "tests/sim/vfs.h"
#include "tests/support/prop.h"

#define PAIR_SAVES_MAX 96
#define PAIR_QUEUE_MAX 64
#define PAIR_START_MS INT64_C(1795000000000)

typedef struct pair_save {
    char text[24]; /**< as stored; unique */
    uint32_t who, group;
    bool told; /**< reported saved; else it may be there, with all of its group, or not */
    uint32_t lead;
    const char *field;
} pair_save;

typedef struct pair_device {
    struct pair *pair;
    uint32_t index;
    char path[32];
    vfs_disk *disk;
    lp_env env;
    int64_t off_ms; /**< how wrong its clock is */
    replica *replica;
    client_session *session;
    bool done;
    lp_error result; /**< of the last sync */
} pair_device;

typedef struct pair_parcel {
    bool to_server;
    uint32_t id;
    buf bytes;
} pair_parcel;

typedef struct pair {
    int64_t now_ms;
    prop random;
    uint64_t boots;

    vfs_disk *disk; /**< the server's */
    lp_env env;
    store *store;
    pool pool;
    committer *committer;
    store_reader *reader;

    pair_device devices[2];
    session *line; /**< the server's end of the one connection */
    pair_parcel queue[PAIR_QUEUE_MAX];
    uint32_t queued;

    pair_save saves[PAIR_SAVES_MAX];
    uint32_t save_count, groups, values;
    lp_id leads[16];
    uint32_t lead_count;

    struct {
        vfs_image *disks[3];
        int64_t now_ms;
        uint32_t save_count, groups, values, lead_count;
    } kept;
    bool cold;        /**< nobody keeps pages in memory from one step to the next: each reads its disk */
    lp_err refusal;   /**< why the last save or start failed that did */
    const char *deed; /**< printed if something does not hold */
    uint64_t at;
} pair;

/** A pool, two joined devices, nothing in it. */
pair *pair_new(uint64_t seed);
void pair_free(pair *p);
void pair_keep(pair *p);
void pair_again(pair *p);
/** Prints the deed and fails. */
void pair_fail(const pair *p, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
#define pair_expect(p, condition, ...) ((condition) ? (void)0 : pair_fail(p, __VA_ARGS__))

/* What dies with the power, and starts. */
lp_err pair_open_server(pair *p, lp_error *error);
void pair_close_server(pair *p);
lp_err pair_open_device(pair *p, uint32_t who, lp_error *error);
void pair_close_device(pair *p, uint32_t who);
void pair_revive(pair *p, vfs_loss loss, uint32_t tear_bytes);

/* Deeds. Each reports what a person would see; a disk that failed is no reason to stop. */
/** A new lead with two fields; its index, valid even if it was not saved. */
uint32_t pair_make_lead(pair *p, uint32_t who, lp_err *err_out);
/** Sets one field of each of some leads, in one transaction. */
lp_err pair_set(pair *p, uint32_t who, const char *field, const uint32_t *leads, uint32_t count);
lp_err pair_sync(pair *p, uint32_t who);
/** Makes device `who` a member of the pool, with a replica that is new. */
lp_err pair_join(pair *p, uint32_t who, lp_error *error);

/* Checks. */
/** What was saved just now is what its author sees (I3). A disk that cannot be read is no failure. */
void pair_look(const pair *p, const pair_save *save);
void pair_audit(pair *p, uint32_t who);
void pair_settle(pair *p);
int64_t pair_count(const pair *p, sqlite3 *db, const char *sql);

#endif
