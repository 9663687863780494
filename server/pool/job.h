/* job.h - one unit of work for the committer: everything that writes the pool is a job. */
#ifndef SERVER_JOB_H
#define SERVER_JOB_H

#include <stdbool.h>

#include "leadpool/error.h"
#include "proto/buf.h"

typedef enum job_kind {
    JOB_PUSH,    /**< one batch of a device */
    JOB_JOIN,    /**< an invitation is used */
    JOB_FENCE,   /**< the device's clock was off: batches up to `batch` are not applied any more; answered with CLOCK */
    JOB_REJOIN,  /**< a replica that is a copy, or was forgotten, becomes another device */
    JOB_REOFFER, /**< changes that a device had acknowledged in another epoch */
    JOB_EPOCH,   /**< a cursor of epoch `epoch` is of a history this pool does not have: draw another; no answer */
    JOB_BACKUP_BEGIN, /**< a backup is going to be made: it is to hold a note of itself */
    JOB_BACKUP,       /**< a backup was made that holds everything up to `seq`: it is noted */
    JOB_INVITE, /**< an invitation is made: arguments {"staff", "role"}, result {"token": bin16, "expires_at": ms, "staff", "role"} */
    JOB_SEEN,    /**< the device was here and has read up to `read_seq`; without request or answer */
    JOB_CONTROL, /**< a verb of operations.h: `request` is a CONTROL message, `answer` a CONTROLLED */
    JOB_REPLAY,  /**< what the ledgers say was done is done again; without request or answer */
    JOB_BARRIER, /**< does nothing but wait for the commit of what came before */
} job_kind;

/** Ownership: the submitter owns a job and keeps it alive until `done` was called; `done` may free it. */
typedef struct job {
    job_kind kind;
    uint32_t device;     /**< PUSH: the author */
    uint64_t greeting;   /**< PUSH: of the session (greetings.h) */
    uint64_t batch;      /**< FENCE: the highest number the device may have sent */
    uint64_t read_seq;   /**< SEEN */
    bool revoked;        /**< PUSH: the device is revoked: it gets verdicts and no pages */
    uint8_t epoch[16];   /**< EPOCH: the one the cursor names */
    bool drawn;          /**< EPOCH: a new one was drawn */
    uint32_t request_id; /**< the request this answers; the session's */
    buf request; /**< PUSH, JOIN, REJOIN, REOFFER: the message as it came, which message_decode has taken; INVITE, CONTROL: an encoded CONTROL message */
    lp_err result; /**< LP_OK: committed, `answer` is the answer's parts; else `error` */
    lp_error error;
    uint32_t retry_ms; /**< with LP_BUSY and friends: nothing was refused, try again */
    uint64_t
        cloned; /**< PUSH, REOFFER: changes whose stamps had come with other values before: a copy of the device is in use */
    buf answer;   /**< an encoded message: SYNCED without pages, JOINED, REOFFERED, or CONTROLLED */
    uint64_t seq; /**< the pool's last seq after the commit; BACKUP: given */
    void (*done)(void *ctx, struct job *job); /**< called once, after the commit, on the committer's thread */
    void *ctx;
    struct job *next; /**< the committer's */
} job;

job *job_new(job_kind kind); /**< NULL if out of memory */
void job_free(job *j);

#endif
