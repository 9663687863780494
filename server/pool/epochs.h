/* epochs.h - which history this is: the epoch, those it came from, and the tag of every commit.
 *
 * Why: a pool that was restored from a backup is another history. A device that read or wrote beyond the backup has to learn
 * from where on the two differ (the fork), so that it offers again what is missing and reads anew what is other. Restoring
 * says so itself (restore.h). A server that was set back behind our back, by a copied file or a machine's snapshot, is noticed by
 * the tags: every commit draws one at random and cursors carry them, so a cursor with a tag that is not here is of another history.
 *
 *   meta "epochs"   [ epoch, drawn ms, [ epoch, fork, ... ] ]    newest fork first
 *   tag             key last seq of a commit, 8 bytes            8 random bytes
 *
 * Invariants:
 *   (1) Two commits of different histories never have the same tag.
 *   (2) Up to an old epoch's fork its history is this one's.
 *   (3) An epoch is drawn by the writer, in a transaction; readers take it from their snapshot, with the rows it names. */
#ifndef SERVER_EPOCHS_H
#define SERVER_EPOCHS_H

#include "server/pool/pool.h"

#define EPOCH_NUMBERS_SKIPPED 65536
#define EPOCH_FORKS_MAX 32 /**< older ones are forgotten: who comes back from there offers everything again */
/** Between two epochs that cursors bring about. A cursor can be forged, and a new epoch costs every device a full pull. */
#define EPOCH_REDRAW_MIN_MS (INT64_C(10) * 60 * 1000)

typedef struct epoch_fork {
    uint8_t epoch[EPOCH_BYTES];
    uint64_t seq;
} epoch_fork;

typedef struct epochs {
    uint8_t epoch[EPOCH_BYTES];
    int64_t drawn_ms; /**< when a cursor brought this one about; 0: none did */
    uint32_t count;
    epoch_fork forks[EPOCH_FORKS_MAX];
} epochs;

/** The first document of an empty pool. In a transaction. */
lp_err epochs_create(store *s, const lp_env *env, lp_error *error);
/** As of the reader's snapshot. Errors: LP_CORRUPT, those of the store. */
lp_err epochs_read(store_reader *reader, epochs *epochs_out, lp_error *error);
/** As of the writer's transaction. */
lp_err epochs_load(pool *p, epochs *epochs_out, lp_error *error);
/** Where the history of `epoch` leaves this one: its fork; 0 if nothing is known of it; UINT64_MAX for the present epoch. */
uint64_t epochs_fork_of(const epochs *e, span epoch);
/** `[ [ bin16 epoch, seq ], ... ]` for WELCOME; nothing if there are none. */
void epochs_put_forks(const epochs *e, buf *out);

/** Draws a new epoch: what was up to `fork` is still true, what devices know beyond it they are to offer again. All device numbers given
 *  so far and `numbers` more are never given again: somebody may have joined in the history that is gone. In a transaction.
 *  UINT64_MAX as `fork`: all of it is still true, and only to be read anew. */
lp_err epochs_redraw(pool *p, uint64_t fork, uint32_t numbers, lp_error *error);
/** The same because a cursor of epoch `named` has an unknown tag. Nothing happens if that is not the epoch any more. *drawn_out: it did.
 *  Errors: LP_BUSY not so soon after the last one. */
lp_err epochs_answer_cursor(pool *p, const uint8_t named[EPOCH_BYTES], bool *drawn_out, lp_error *error);
/** Takes over what another database knew of earlier epochs: the one this pool's file replaces, whose epochs are `other`. */
void epochs_adopt(epochs *e, const epochs *other, uint64_t last_seq);
lp_err epochs_save(pool *p, const epochs *e, lp_error *error);

/** Draws the tag of the open transaction's commit. */
lp_err epochs_tag(pool *p, lp_error *error);
/** The tag of the first commit that holds `seq`; it borrows `bytes_out`. Empty at the beginning, and if nothing has a tag from there on. */
lp_err epochs_tag_at(store_reader *reader, uint64_t seq, uint8_t bytes_out[CURSOR_TAG_BYTES], span *tag_out,
                     lp_error *error);

typedef enum cursor_history {
    CURSOR_FITS,  /**< read on from there */
    CURSOR_OTHER, /**< nothing read yet, or of another epoch: read from the beginning */
    CURSOR_LOST,  /**< it names this epoch, and this pool never was where it says: the pool was set back */
} cursor_history;
lp_err epochs_judge_cursor(store_reader *reader, const epochs *e, const cursor *c, uint64_t last_seq,
                           cursor_history *history_out, lp_error *error);

#endif
