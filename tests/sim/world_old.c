/* world_old.c - a device that runs an older program of this version of the protocol: it leaves out every part that came later, and has never heard of
 * those that others send. Version 1 says that a part may be missing (proto/PROTOCOL.md, section 14); so nothing may depend on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/sim/world.h"

/* ---- batches in full ---- */

static void keep_batch(world_device *d, const message *m) {
    world_batch *b = &d->batches[m->batch % WORLD_BATCHES_KEPT];
    b->number = m->batch;
    b->changes.size = 0;
    buf_append_span(&b->changes, m->changes);
}

/* An older program does not know that a hash would do. False: the world has not seen what is under this number. */
static bool put_in_full(const world_device *d, message *m) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    const world_batch *b = &d->batches[m->batch % WORLD_BATCHES_KEPT];
    crypto_sha256(buf_span(&b->changes), hash);
    if (b->number != m->batch || !span_equal(span_of(hash, sizeof hash), m->hash))
        return false;
    m->changes = buf_span(&b->changes);
    m->hash = (span){0};
    return true;
}

/* ---- messages ---- */

static void age_request(world_device *d, message *m) {
    if (m->number == MSG_SYNC && m->batch && m->changes.size)
        keep_batch(d, m);
    if (m->number == MSG_HELLO) {
        m->anew = false;
        m->program = (span){0};
    }
    if (m->number == MSG_SYNC || m->number == MSG_WAIT)
        m->page_bytes = 0;
    if (m->number == MSG_SYNC && m->hash.size && put_in_full(d, m))
        world_count(d->world, FAULT_OLDER_IN_FULL);
}

/* What it would not read is as good as not sent. */
static void age_answer(message *m) {
    if (m->number == MSG_WELCOME)
        m->kept_seq = 0;
    if (m->number == MSG_SYNCED)
        m->scopes = (span){0};
}

void world_age(world *w, uint32_t who, bool to_server, buf *bytes) {
    world_device *d = &w->devices[who];
    message m;
    buf aged = {0};
    if (!d->old || message_decode(buf_span(bytes), &m, NULL))
        return;
    if (to_server)
        age_request(d, &m);
    else
        age_answer(&m);
    assert_int_equal(message_encode(&m, &aged, NULL), LP_OK);
    if (!span_equal(buf_span(&aged), buf_span(bytes)))
        world_count(w, FAULT_OLDER_PEER);
    buf_fini(bytes);
    *bytes = aged;
}

void world_age_end(world_device *d) {
    for (int i = 0; i < WORLD_BATCHES_KEPT; i++)
        buf_fini(&d->batches[i].changes);
}
