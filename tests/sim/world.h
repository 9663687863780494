/* world.h - a pool in one process, by one seed: the production client cores, the production server core, virtual time, and
 * a network of whole messages that breaks as it is told. No sockets, no threads, no clock of the machine.
 *
 *     device 0..n-1                              network                     server
 *     replica file + client_session  --- link: two ordered queues ---  session --> jobs --> committer --> store
 *
 * What there is to happen lies in the world as data: messages with a time of arrival, deadlines of the sessions, jobs waiting for a
 * commit. world_step takes the earliest, moves the time there and carries it out; ties go by age. So a run is a function of
 * the seed and of what the test does, and a failing schedule can be had again.
 *
 *     world_run     the engine (world.c), links (world_net.c), the server's end (world_server.c), devices (world_device.c)
 *     world_act     what people do, and a ledger of what was reported saved (world_people.c)
 *     world_check   what must hold once all is quiet (world_check.c, world_conflicts.c)
 *
 * Every replica and the store lie on a disk of vfs.h. Disks fail only while production code runs on them (world_arm), so that looking at
 * them is safe at any time.
 *
 * A failure ends the run: it is kept in world.failure for whoever set world.escape, otherwise it is an assertion and printed with the seed and
 * the last steps. With LEADPOOL_TRACE set every step is printed as it is taken. world.hash is a hash of every message, commit and fault. */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdio.h>

#include "client/replica/replica.h"
#include "client/sync/session.h"
#include "proto/crypto.h"
#include "proto/invite.h"
#include "proto/message.h"
#include "server/pool/auth.h"
#include "server/pool/committer.h"
#include "server/office/control_arguments.h"
#include "server/office/ledger.h"
#include "server/session/session.h"
#include "tests/sim/counts.h"
#include "tests/sim/vfs.h"
#include "tests/support/prop.h"

#define WORLD_DEVICES_MAX 6
#define WORLD_LINKS_MAX 64
#define WORLD_RECORDS_MAX 32
#define WORLD_START_MS INT64_C(1795000000000)
#define WORLD_TRACE_LINES 60

/** What may go wrong from now on; all zero is a perfect network. Percentages are per message or step. */
typedef struct world_faults {
    int64_t delay_min_ms, delay_max_ms; /**< of a message, one way */
    uint32_t
        cut_percent; /**< the link breaks instead of carrying the message; both ends are told, at times of their own */
    uint32_t hang_percent;     /**< the link goes silent for good instead, and nobody is told */
    uint32_t deaf_percent;     /**< the same, but in one direction only */
    uint32_t overtake_percent; /**< an answer does not wait for those before it */
    uint32_t grow_percent;     /**< a message has a part that this version does not know, as a newer peer's has */
    uint32_t repeat_percent;   /**< a request arrives twice */
    uint32_t refuse_percent;   /**< a connection cannot be made */
    uint32_t lock_percent;     /**< another process holds the replica: a write transaction does not begin */
    int64_t commit_max_ms;     /**< longest that jobs gather before a commit */
    uint32_t bytes_per_s;      /**< what a link carries, one way; 0: as much as there is */
    uint32_t lose_percent; /**< of the segments of such a link: they come a second later, and so does all behind them */
} world_faults;

typedef struct world_options {
    const store_ops *engine;
    uint32_t devices;
    uint32_t people; /**< devices belong to them in turn; 0: one each */
    uint32_t reps;   /**< bit n: "person n" is a rep; all others are managers */
    uint64_t seed;
    const char *name; /**< printed with the seed */
    uint32_t ram;     /**< its disks are /ram/<ram>/...; worlds that are there at once need different ones */
} world_options;

typedef struct world world;

/** One way a message can go, or the news that the link has ended. */
typedef struct world_parcel {
    struct world_parcel *next;
    int64_t at_ms;
    uint64_t order;
    uint32_t link;
    bool to_server;
    bool open; /**< no message: the link stands */
    bool end;  /**< no message: the link is closed */
    uint32_t id;
    buf message;
} world_parcel;

/** A connection: a client session's, or a hand-driven one. */
typedef struct world_link {
    bool used;
    bool silent;  /**< hangs: nothing arrives any more */
    bool deaf[2]; /**< nothing arrives any more in one direction, by to_server */
    bool client_gone, server_gone;
    uint32_t device;
    int64_t clear_ms[2]; /**< nothing sent later arrives earlier: order is kept per direction */
    int64_t free_ms[2];  /**< when a link of few bytes a second has sent all that was queued */
    int64_t open_ms;     /**< when the device learns that the link stands: no answer comes before */
    bool by_hand;        /**< no device: what arrives is kept in `caught`, oldest first */
    world_parcel *caught;
    session *session; /**< the server's end; NULL once closed */
    uint8_t binding[32];
} world_link;

/** A change that somebody made and was told to be saved. */
typedef struct world_typed {
    uint32_t device;
    uint32_t record; /**< index in world.records */
    uint32_t field;
    char key[16];
    uint8_t value[64];
    size_t value_size;
    stamp stamp; /**< as of the last look; a clock correction moves it */
    stamp
        over; /**< another device's value that its author replaced with it; none: there was none, or it is not looked at */
    stamp held;       /**< what the pool had it under before its clock was repaired; none: it had not */
    bool repaired;    /**< the pool has it under a stamp that no device can move any more */
    bool superseded;  /**< its author wrote the register again */
    bool may_be_lost; /**< the file it was saved in was replaced by an older one before it was in the pool */
    bool may_refuse;  /**< the server is expected to refuse it */
    bool stored;      /**< it was in the pool's history when that was purged last */
    bool ahead;       /**< its record was `ahead` when it was typed */
    bool stray;       /**< written to a record that was not on the device */
    bool watched;     /**< I3: still to be seen on the author's device, unless something greater is */
} world_typed;

/** Somebody devices belong to, "person N", and what the office has granted: the model of world_scopes.c. */
typedef struct world_person {
    lp_id id;
    bool rep;
    bool moved;      /**< something was granted or taken back: what the person's devices hold may leave them */
    uint32_t grants; /**< bits of WORLD_GRANTS */
} world_person;

/** A disk of vfs.h, and what is going to happen to it. */
typedef struct world_disk {
    vfs_disk *disk;
    vfs_faults faults; /**< counted from the next time it is armed */
    uint64_t full_seen;
    bool hurt; /**< something has gone wrong while it was armed last */
} world_disk;

/** A batch as it was sent. */
typedef struct world_batch {
    uint64_t number;
    buf changes;
} world_batch;

#define WORLD_BATCHES_KEPT 8

/** A backup of the pool, as the office knows it. */
typedef struct world_backup {
    char name[16];
    int64_t made_ms;
} world_backup;

#define WORLD_BACKUPS_KEPT 8

typedef struct world_device {
    world *world;
    uint32_t index;
    char path[64];
    world_disk disk;
    int64_t asleep_ms; /**< suspended until then, world time */
    bool revoked;
    int64_t revoked_ms;
    uint32_t person;
    bool old; /**< its program is older than the server's: see world_age */
    world_batch batches[WORLD_BATCHES_KEPT];
    uint32_t told_left; /**< bit n: record n left its scopes, as the last page that spoke of it said */
    vfs_image *copy;    /**< the schedule's: a backup of the phone; NULL: none */
    uint32_t copied_at; /**< how many changes had been typed by then */
    lp_env env;
    replica_lock lock;
    prop random;
    int64_t wall_offset_ms; /**< how wrong its clock is */
    int64_t boot_at_ms;     /**< world time of its last boot */
    uint64_t boots;
    replica *replica;
    client_session *session;
    int32_t link;       /**< -1: none */
    bool running, keep; /**< a start is in force */
    bool no_route;      /**< in the running step a connection could not be made */
    lp_err done;        /**< result of the last CLIENT_DONE */
    uint32_t done_count;
    uint32_t clock_answers; /**< MSG_CLOCK that arrived */
    bool poisoned;          /**< it wrote something the server refuses */
    bool damaged;           /**< a row was changed behind its back */
    bool rolled_back;       /**< its file was replaced by an older copy, or is a copy of another's */
    int64_t corrections;    /**< as of the last look: how often it gave new stamps */
} world_device;

typedef struct world_record {
    uint32_t kind;
    lp_id id;
    int32_t follows; /**< a touch: index of its lead; -1: none */
    bool erased;     /**< the office erased it: see world_is_erased */
    bool purged;     /**< it was deleted long ago, and the pool has forgotten it */
    bool moved;      /**< a lead whose owner or event somebody changed: it may leave devices */
    bool ahead;      /**< a stamp from the future is on it: what is typed there follows that stamp */
} world_record;

struct world {
    world_options options;
    prop random;
    world_faults faults;
    jmp_buf *escape; /**< where a failure goes; NULL: it is an assertion */
    char failure[400];
    uint64_t hash;
    world_counts *counts; /**< own_counts, or the runner's */
    world_counts own_counts;
    int64_t now_ms;             /**< true time, UTC ms */
    int64_t server_wall_off_ms; /**< how wrong the server's wall clock is */
    bool server_clock_set;      /**< it was wrong once */
    int64_t server_ahead_ms;    /**< by so much ahead at most */
    uint64_t order;             /**< of the next event */
    uint64_t steps;

    lp_env env;    /**< the server's */
    char path[64]; /**< of the store */
    world_disk disk;
    vfs_disk *copies;        /**< of the pool */
    uint32_t revoked_author; /**< 0: nobody is */
    bool copied;   /**< a device was cloned or set back: what it had not sent may come twice, under two stamps */
    bool searched; /**< some device has an index */
    world_backup made[WORLD_BACKUPS_KEPT]; /**< oldest first */
    uint32_t made_count;
    int64_t forgotten_ms; /**< devices may have forgotten what was accepted up to then, and the pool too; 0: nothing */
    uint32_t backups, restores; /**< the schedule's */
    uint32_t repairs;           /**< of the server's clock */
    store *store;
    pool pool;
    committer *committer;
    lp_error trouble; /**< the last the server would have logged; code LP_OK if there was none */
    store_reader *reader;
    job *jobs;            /**< waiting for a commit, in order of submission */
    int64_t commit_at_ms; /**< INT64_MAX: none planned */
    uint32_t server_boots;
    ledger ledger; /**< outside the store: whatever happens to that, this stays */
    buf ledger_lines[LEDGER_KINDS];

    world_link links[WORLD_LINKS_MAX];
    world_parcel *parcels; /**< in order of arrival */
    world_device devices[WORLD_DEVICES_MAX];
    world_person people[WORLD_DEVICES_MAX];

    world_record records[WORLD_RECORDS_MAX];
    uint32_t record_count;
    world_typed *typed;
    uint32_t typed_count, typed_capacity;
    uint32_t values;    /**< counter that makes values unique */
    int64_t slowest_ms; /**< longest that a message took: no clock is set more exactly */

    char trace[WORLD_TRACE_LINES][160];
    uint32_t trace_count;
};

/* ---- life (world.c) ---- */

/** Makes a pool and its devices, joined over the protocol. */
world *world_new(const world_options *options);
/** From here on everything is drawn from `seed`: several runs may begin in copies of one world. */
void world_reseed(world *w, uint64_t seed);
void world_free(world *w);
/** Carries out the next thing to happen up to `until_ms`; false, and the time is `until_ms`, if there is none. */
bool world_step(world *w, int64_t until_ms);
/** Runs for so long. */
void world_run(world *w, int64_t ms);
/** Heals the network, starts every device and runs until all is sent and read by all; fails if that does not come. */
void world_settle(world *w, bool keep);
/** A fault has happened, or something else that is worth counting. */
void world_count(world *w, world_fault fault);
void world_happened(world *w, world_event event);
/** Goes into the hash of what happened. */
void world_hash(world *w, const void *bytes, size_t size);
/** Production code is going to run on a disk: its faults are in force until world_disarm. */
void world_arm(world_disk *disk);
void world_disarm(world *w, world_disk *disk);
/** One line for the story of a failure. */
void world_note(world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Fails the test after printing seed, `what` and the story. */
void world_fail(world *w, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
#define world_expect(w, condition, ...) ((condition) ? (void)0 : world_fail(w, __VA_ARGS__))

/* ---- network (world_net.c) ---- */

/** A message of or to a device becomes what it is with an older program (world_old.c). */
void world_age(world *w, uint32_t who, bool to_server, buf *bytes);
void world_age_end(world_device *d);
/** A new link of a device; -1 if the network refuses. The binding is drawn anew for each. */
int32_t world_connect(world *w, uint32_t who);
/** Puts a message on its way; `bytes` is taken. */
void world_send(world *w, uint32_t link, bool to_server, uint32_t id, buf *bytes);
/** One end closes; what is on its way to the other still arrives, then the news of the end. */
void world_hang_up(world *w, uint32_t link, bool by_server);
/** The link breaks, and what is on its way is lost. */
void world_cut(world *w, uint32_t link);
/** Whoever drives a link by hand is done with it. */
void world_forget_link(world *w, uint32_t link);
/** Keeps a parcel for whoever drives the link by hand. */
void world_catch(world *w, world_parcel *p);
/** The end that goes cannot even say so: the server notices later, nothing arrives any more. */
void world_silence(world *w, uint32_t link);
/** Puts a parcel back until its receiver is awake. */
void world_put_off(world *w, world_parcel *p, int64_t until_ms);
/** Tells the device, in time, that the link stands. */
void world_open_link(world *w, uint32_t link);
/** Takes the first parcel that is due; NULL if none is. Free it with world_parcel_free. */
world_parcel *world_take_parcel(world *w, int64_t until_ms);
void world_parcel_free(world_parcel *p);

/* ---- the server's end (world_server.c) ---- */

void world_server_open(world *w, bool create);
/** Stops without a word: sessions and jobs are gone, what was committed stays. */
void world_server_crash(world *w);
void world_server_restart(world *w);
/** A backup of the pool in a new file on a disk of its own, noted as `leadpoold backup` does. SQLite only. */
void world_server_backup(world *w, const char *name);
/** The server stops, the backup is put in place as `leadpoold restore` does, and it starts again. */
void world_server_restore(world *w, const char *name);
/** The same behind its back: the file is copied in place. */
void world_server_set_back(world *w, const char *name);
/** True if nobody has to have a change of that stamp any more, unless it stands: the pool was put back to before it by a backup too old to count. */
bool world_is_forgotten(const world *w, stamp at);
/** The machine loses power, if it has not yet, and starts again. In memory nothing is lost. */
void world_server_power_cut(world *w);
void world_server_take(world *w, world_parcel *p);
/** Commits the jobs that have gathered, as one group, and hands them back. */
void world_server_commit(world *w);
void world_server_tick(world *w);
int64_t world_server_deadline_ms(const world *w);
/** An invitation, made by the committer. `role`: "manager" or "rep". */
void world_invite(world *w, const char *staff, const char *role, uint8_t token_out[INVITE_TOKEN_BYTES]);

/** A command of the operator, with one argument, or some. False if the pool refuses it. */
bool world_operate(world *w, const char *verb, const char *name, const char *value);
bool world_operate_with(world *w, const char *verb, const control_pair *pairs, uint32_t count);

/** The machine's clock is right again, and a pool that was written while it was not is repaired (turns_clock.c). */
void world_heal_server_clock(world *w);

/* ---- the office (world_office.c) ---- */

/** Before the pool is opened. */
void world_ledger_open(world *w);
void world_erase(world *w, uint32_t record);
void world_revoke(world *w, uint32_t who);
/** It was erased, or the lead it follows was. */
bool world_is_erased(const world *w, uint32_t record);
/** I8: nothing of what was erased is anywhere. Needs a snapshot. */
void world_check_erased(world *w);
/** Forgets what was deleted long ago, as `leadpoold purge` does. */
void world_purge(world *w);
/** Nothing of what was purged is back. Needs a snapshot. */
void world_check_purged(world *w);
/** Counts what awaits the office's decision. */
void world_count_reviews(world *w);
/** A change that somebody typed awaits the office's decision. */
bool world_in_review(world *w, const world_typed *t);
/** What the device wrote that nobody takes does: the lead was outside its scopes, and that comes first. */
bool world_poison_in_review(world *w, uint32_t who);

/* ---- devices (world_device.c) ---- */

void world_device_open(world *w, uint32_t who, bool create);
/** Joins with a token over a link of its own, without faults. */
void world_device_join(world *w, uint32_t who, const uint8_t token[INVITE_TOKEN_BYTES]);
void world_device_start(world_device *d, bool keep);
void world_device_stop(world_device *d);
void world_device_work(world_device *d);
/** The program dies and is started again; the machine may be started anew. */
void world_device_restart(world_device *d, bool boot);
/** The machine loses power, if it has not yet, and starts again. */
void world_device_power_cut(world_device *d);
/** A device's files as they are, as a backup of the phone has them; vfs_image_free it. */
vfs_image *world_device_copy(world *w, uint32_t who);
/** The phone is set back to such a copy. */
void world_device_roll_back(world *w, uint32_t who, const vfs_image *copy);
/** Such a copy of device `of` on another phone: one more device. False if there is no room. */
bool world_device_clone(world *w, uint32_t of, const vfs_image *copy);
/** What may happen to a row behind the replica's back (world_damage.c). */
typedef enum world_damage_kind { DAMAGE_VALUE, DAMAGE_ROW_GONE, DAMAGE_ROW_EXTRA } world_damage_kind;
/** Does that to the record `id`, of which nothing may be unsent (of a row that is too many: the id it gets), and the day passes after which the
 *  replica looks. False if there is no such record, or nothing in it to spoil. */
bool world_damage(world *w, uint32_t who, world_damage_kind kind, const lp_id *id);
void world_device_take(world *w, world_parcel *p);
void world_device_tick(world_device *d);
int64_t world_device_deadline_ms(const world_device *d);                /**< in world time */
int64_t world_device_count(const world_device *d, const char *sql);     /**< one integer */
uint64_t world_device_cursor(const world_device *d, const char *scope); /**< its seq; 0 at the beginning */

/* ---- people (world_people.c) ---- */

/** One random deed of one device's person: some records made, some fields set, cleared, deleted, undeleted, a conflict restored. */
void world_act(world *w, uint32_t who);
/** Makes a lead on a device; its index in world.records. */
uint32_t world_make_lead(world *w, uint32_t who, const char *name);
/** Sets a text field ("company", "answers.size"); NULL clears. */
void world_set(world *w, uint32_t who, uint32_t record, const char *field, const char *text);
/** The person of a device looks for something, and finds it if it is there. */
void world_search(world *w, uint32_t who);
void world_delete(world *w, uint32_t who, uint32_t record);
/** Sets some field of a lead to a text nobody has typed before. */
void world_write(world *w, uint32_t who, uint32_t record);
/** Puts something typed past the ledger into it. */
void world_remember(world *w, const world_typed *typed);
/** Writes one value past the library's own checks and the ledger, as a program of another version might. False: the replica was locked. */
bool world_force(world *w, uint32_t who, const world_record *rec, uint32_t field, span value);
/** The same with a stamp after a hybrid time, and nothing that says so: the server is the first to notice. */
bool world_force_after(world *w, uint32_t who, const world_record *rec, uint32_t field, span value, uint64_t after);
/** The same with a text of its own, and the ledger: somebody writes to a record that is not on the device. */
void world_stray(world *w, uint32_t who, uint32_t record);
/** The visible text of a field in `text_out`, "" if empty. */
const char *world_text(world *w, uint32_t who, uint32_t record, const char *field, char text_out[256]);
/** True if a device has the record. */
bool world_holds(const world *w, uint32_t who, uint32_t record);
/** The file of a device is replaced: what it saved from ledger entry `from` on need not come any more, unless it has come already. */
void world_forgive(world *w, uint32_t who, uint32_t from);
/** What is in the pool's history now may be purged from it. */
void world_note_stored(world *w);
/** The stamp under which the pool's history has it now; none: it has not. */
stamp world_stored_at(world *w, const world_typed *typed);
/** The pool's clock was repaired: what it has of what people typed has earlier stamps now. */
void world_restamped(world *w);
/** The same before: notes under what stamps the pool has it. */
void world_restamps(world *w);
/** I3, for the watched changes of a device. */
void world_look(world *w, uint32_t who);
/** A clock correction arrived: what is watched has new stamps. */
void world_look_again(world *w, uint32_t who);
/** Loads a record of a device: registers as seen, or of the server layer. `bytes` keeps them. False if it is not there. */
bool world_load(world *w, uint32_t who, const lp_id *id, bool server_layer, record *rec, buf *bytes);

/* ---- checks (world_check.c, world_conflicts.c) ---- */

/** Everything that must hold when all is quiet. */
void world_check(world *w);
/** Conflict records are a function of the history. Needs a snapshot. */
void world_check_conflicts(world *w);
/** What authors say to have seen was there (world_bases.c). Needs a snapshot. */
void world_check_bases(world *w);

#endif
