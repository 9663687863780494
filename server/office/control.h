/* control.h - what the operator's commands do, on a running server (through its control socket) and without one alike. */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

#include "server/pool/commit_thread.h"
#include "server/pool/pool.h"

/** What control needs to know besides the pool. */
typedef struct control {
    pool *pool;
    commit_thread *thread; /**< NULL: no server runs in this process, `committer` is called directly */
    committer *committer;
    const char *address;                /**< host:port devices are to use */
    const char *listen;                 /**< host:port the server listens on; "" when none serves */
    const uint8_t *pin;                 /**< PIN_BYTES */
    uint64_t (*connections)(void *ctx); /**< NULL: none */
    void *ctx;
    int64_t started_ms; /**< 0: not serving */
} control;

/** Carries out one CONTROL message ("status", "invite", "backup", "verify") and appends a CONTROLLED, REFUSED or BUSY message. Blocks for
 *  as long as the work takes. `progress` (may be NULL) is told of long work. Thread: any but the committer's. */
void control_execute(control *c, span request, store_progress_fn progress, void *ctx, buf *answer_out);

#endif
