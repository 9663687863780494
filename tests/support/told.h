/* told.h - what a server tells the device of a rig, made beforehand, so that to tell it allocates nothing: for tests that let the k-th allocation
 * fail. And what such a device holds before. Failures are assertions. Thread: one. */
#ifndef TESTS_SUPPORT_TOLD_H
#define TESTS_SUPPORT_TOLD_H

#include "proto/change.h"
#include "proto/page.h"
#include "tests/support/rig.h"

#define TOLD_IDS 6

/** Leads of the pool; drawn anew by told_begin. */
extern lp_id told_ids[TOLD_IDS];
extern const uint8_t told_epochs[2][EPOCH_BYTES];
/** What told_lead writes is stamped a little later than this. */
extern const stamp told_when;

void told_begin(rig *r);
/** Frees what is prepared. */
void told_end(void);

/* What is said: prepared by these, and told by told_take. One at a time. */

/** An answer to request `id`; 0: to none, and nobody waits for it. */
void told_put(const message *m, uint32_t id);
/** `more`: what the welcome says beside the scopes, of which `second` may be NULL. */
void told_welcome(rig *r, const char *first, const char *second, message more);
/** The answer to the latest sync: a page, with what `w` holds. Ends `w`. */
void told_page(rig *r, page p, changes_writer *w);
/** Tells the session; what it does then is forgotten. */
void told_take(rig *r);
/** Tells it, too; what it asks then is kept by the rig. */
void told_hear(rig *r);
/** Any event; what the session does is forgotten. */
void told_step(rig *r, const client_event *event);

/** The latest request of a kind; 0 if there is none: then the answer goes nowhere. */
uint32_t told_asked(const rig *r, uint32_t number);
/** A lead with a company, and what else may be in a field that `strange_field` names unless it is 0. */
void told_lead(changes_writer *w, const lp_id *id, const char *company, uint32_t strange_field);

/* Before. */

/** Start, and an open channel: the hello is sent. */
void told_greet(rig *r);
void told_be_welcomed(rig *r);
/** Applies a page with the first `count` of told_ids, which are called `company`. */
void told_page_before(rig *r, page p, const char *company, uint32_t count);
void told_scopes_before(rig *r, const char *first, const char *second);
/** Freezes a batch and settles it at seq 4. */
void told_settle_before(rig *r, span verdicts);
#define TOLD_REFUSED SPAN_LITERAL("\x91\x94\x00\xff\x02\xa2no")
/** Four leads of the pool; of the first something of ours is unsent, of the second something was refused. */
void told_four_leads(rig *r);
/** The same, and a lead made here. */
void told_two_batches(rig *r);

#endif
