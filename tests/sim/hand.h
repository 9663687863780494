/* hand.h - a device driven message by message against the production server of a world: for contracts, and for what no honest
 * device would send. Virtual time; failures are assertions. */
#ifndef TESTS_SIM_HAND_H
#define TESTS_SIM_HAND_H

#include "proto/change.h"
#include "proto/page.h"
#include "tests/sim/world.h"

typedef struct hand {
    world *world;
    int32_t link; /**< -1: not connected */

    /* Who it is: device 0 of the world, or a stranger with an invitation if the world has none. Change them to lie. */
    uint8_t seed[CRYPTO_SEED_BYTES], install[16], token[INVITE_TOKEN_BYTES], binding[32];
    uint64_t device;
    uint64_t version, version_min;
    int64_t off_ms;       /**< how wrong the time in its hello is */
    uint64_t forge_batch; /**< not 0: put into the hello after signing */
    bool anew;            /**< said in its hello */
    span epoch;           /**< likewise; borrowed, empty: says nothing of it */
    uint64_t given_up;    /**< said in its pushes */

    /* What it writes. */
    uint32_t kind;
    lp_id record;
    hlc clock;
    int64_t clock_ms; /**< added to the time for stamps */
    changes_writer writer;
    stamp base;

    /* What it sent and got. */
    uint32_t next_id;
    buf pushed; /**< the last push, as sent */
    uint32_t answer_id;
    message answer; /**< borrows `bytes` */
    buf bytes;
    verdict verdicts[32]; /**< the first of them */
    uint32_t verdict_count;

    /* What it has read. */
    buf cursors;
    uint32_t pool_sets; /**< change sets in the last answer's page of scope pool */
    uint64_t pool_seq;
    bool more;
} hand;

/** A world with `devices` joined devices on the memory store. */
void hand_open(hand *h, uint32_t devices);
void hand_open_on(hand *h, uint32_t devices, const store_ops *engine);
void hand_close(hand *h);
/** A new connection; the one before is closed. */
void hand_connect(hand *h);

/* Requests. */
void hand_send(hand *h, buf *request); /**< takes it */
void hand_send_message(hand *h, const message *m);
void hand_join(hand *h);
void hand_hello(hand *h, uint64_t batch);
/** Becomes another device: signed with `seed`, or that key with one bit turned if `lie`; the new key is `new_seed`. */
void hand_rejoin(hand *h, const uint8_t new_seed[CRYPTO_SEED_BYTES], span pass, bool lie);
/** Offers `entries` (sealed changes) again, or `changes`. */
void hand_reoffer(hand *h, span entries, span changes);
/** Connects if need be, says hello and is welcome. */
void hand_greet(hand *h, uint64_t batch);
void hand_begin(hand *h);
void hand_put_text(hand *h, uint32_t field, const char *text);
void hand_put_key(hand *h, uint32_t field, const char *key, const char *text);
/** Pushes what was put as one set of `record`. */
void hand_push(hand *h, uint64_t batch);
void hand_push_text(hand *h, uint64_t batch, uint32_t field, const char *text);
void hand_repeat(hand *h);              /**< the last push again */
void hand_ask(hand *h, uint64_t batch); /**< the last push's batch by its hash, under any number */
void hand_pull(hand *h);
void hand_pull_from(hand *h, span cursors);
void hand_wait(hand *h, uint64_t timeout_ms);

/* Answers. */
/** Runs up to 10 s for the next answer; false if there is none or the connection has ended. */
bool hand_receive(hand *h);
bool hand_has_answer(const hand *h);
void hand_expect(hand *h, uint32_t number);
/** The next answer is to the request sent `back` requests before the last. */
void hand_expect_of(hand *h, uint32_t number, uint32_t back);
void hand_expect_refused(hand *h, lp_err code);
void hand_expect_verdict(const hand *h, uint32_t set, int32_t field, verdict_kind kind);
/** Reads the pages of the answer and takes over their cursors. */
void hand_read_pages(hand *h);

/* The pool. */
bool hand_pool_has(hand *h, uint32_t field); /**< `record` has a value there */
uint32_t hand_history(hand *h);              /**< entries of `record` */

#endif
