/* counts.h - what a run has exercised: every fault, message, verdict and outcome of a merge has a counter, and one that stays at 0 says
 * that something is believed and not tested. The linker puts counts.c before proto/merge.h (--wrap; tests/CMakeLists.txt). */
#ifndef TESTS_SIM_COUNTS_H
#define TESTS_SIM_COUNTS_H

#include <stdint.h>

#include "proto/message.h"

#define WORLD_FAULTS(F)                                                                                                \
    F(DELAY, "message-late")                                                                                           \
    F(OVERTAKE, "answer-overtaken")                                                                                    \
    F(REPEAT, "request-repeated")                                                                                      \
    F(CUT, "link-cut")                                                                                                 \
    F(HANG, "link-hangs")                                                                                              \
    F(ONE_WAY, "link-one-way")                                                                                         \
    F(THIN, "thin-line")                                                                                               \
    F(NO_ROUTE, "no-route")                                                                                            \
    F(NEWER_PART, "newer-part")                                                                                        \
    F(OLDER_PEER, "older-peer")                                                                                        \
    F(OLDER_IN_FULL, "older-batch-in-full")                                                                            \
    F(NEWER_FIELD, "newer-field")                                                                                      \
    F(NEWER_KIND, "newer-kind")                                                                                        \
    F(STRANGER, "stranger")                                                                                            \
    F(POISON, "poison-change")                                                                                         \
    F(LOCKED, "replica-locked")                                                                                        \
    F(DEVICE_KILLED, "device-killed")                                                                                  \
    F(DEVICE_BOOTED, "device-booted")                                                                                  \
    F(DEVICE_POWER, "device-power-cut")                                                                                \
    F(DEVICE_ASLEEP, "device-asleep")                                                                                  \
    F(CLOCK_SET, "clock-set")                                                                                          \
    F(CLOCK_ABSURD, "clock-absurd")                                                                                    \
    F(FUTURE, "future-stamp")                                                                                          \
    F(DISK_FULL, "disk-full")                                                                                          \
    F(DISK_EIO, "disk-error")                                                                                          \
    F(TEAR, "disk-tears")                                                                                              \
    F(ERASED, "lead-erased")                                                                                           \
    F(REVOKED, "device-revoked")                                                                                       \
    F(ROLLED_BACK, "device-set-back")                                                                                  \
    F(CLONED, "device-cloned")                                                                                         \
    F(DAMAGED, "row-damaged")                                                                                          \
    F(RESTORED, "server-restored")                                                                                     \
    F(SET_BACK, "server-set-back")                                                                                     \
    F(SERVER_KILLED, "server-killed")                                                                                  \
    F(SERVER_POWER, "server-power-cut")                                                                                \
    F(SERVER_CLOCK, "server-clock-set")

typedef enum world_fault {
#define F(name, text) FAULT_##name,
    WORLD_FAULTS(F)
#undef F
        FAULT_COUNT
} world_fault;

/** What is no fault, and has to happen all the same. */
#define WORLD_EVENTS(E)                                                                                                \
    E(MOVED, "lead-moved")                                                                                             \
    E(GRANTED, "scope-granted")                                                                                        \
    E(UNGRANTED, "scope-taken")                                                                                        \
    E(LEFT, "record-left")                                                                                             \
    E(REGAINED, "record-regained")                                                                                     \
    E(LEAVING, "left-under-unsent-edits")                                                                              \
    E(STRAY, "edit-outside-scopes")                                                                                    \
    E(REVIEWED, "review-outside")                                                                                      \
    E(MONTHS, "months-passed")                                                                                         \
    E(PURGED, "record-purged")                                                                                         \
    E(MARK_FORGOTTEN, "purge-mark-forgotten")                                                                          \
    E(REVIEWED_PURGED, "review-purged")                                                                                \
    E(REPAIRED, "server-clock-repaired")

typedef enum world_event {
#define E(name, text) EVENT_##name,
    WORLD_EVENTS(E)
#undef E
        EVENT_COUNT
} world_event;

#define COUNTED_MESSAGES 128
#define COUNTED_MERGES 4
#define COUNTED_VERDICTS 4

typedef struct world_counts {
    uint64_t faults[FAULT_COUNT];
    uint64_t events[EVENT_COUNT];
    uint64_t messages[2][COUNTED_MESSAGES]; /**< sent, by to_server and number */
    uint64_t merges[COUNTED_MERGES];        /**< by outcome */
    uint64_t verdicts
        [COUNTED_VERDICTS]; /**< that devices got, by kind; applied is counted per batch without exceptions too */
    uint64_t conflicts;     /**< conflict records at the end */
    uint64_t healed;        /**< records that devices set right */
} world_counts;

/** Merges are counted here from now on; NULL: nowhere. */
void counts_use(world_counts *counts);
void counts_message(world_counts *counts, span bytes, bool to_server);
/** The verdicts of a synced. */
void counts_verdicts(world_counts *counts, const message *m);
void counts_add(world_counts *sum, const world_counts *more);
uint64_t counts_faults(const world_counts *counts);
/** Calls `each` with every counter that a long enough run must move. `sqlite`: the pool lay on a disk. */
void counts_each(const world_counts *counts, bool sqlite, void (*each)(void *ctx, const char *name, uint64_t count),
                 void *ctx);

#endif
