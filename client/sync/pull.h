/* pull.h - pages into the replica: rows, cursor and digest move in one transaction. */
#ifndef CLIENT_PULL_H
#define CLIENT_PULL_H

#include "client/replica/replica.h"
#include "proto/page.h"

/** What a page brought. */
typedef struct pull_outcome {
    uint64_t changes; /**< in the page */
    uint32_t records; /**< whose visible value changed */
    lp_id record;     /**< the last of them */
    uint64_t
        compared; /**< scopes, a bit each by number, that a page ended at this replica's cursor: digests were compared */
    uint64_t differs; /**< those whose digest at the page's end is not the server's */
} pull_outcome;

/** True if a page, whose request something was acknowledged after, may be from before that and has a record whole of which it was: a record that comes
 *  whole takes the place of all that was known of it, the acknowledged change included. Then the page has to be asked for again. Outside a transaction too. */
lp_err pull_is_overtaken(replica *r, const page *p, bool *overtaken_out, lp_error *error);
/** Applies one page, in the caller's write transaction. after the last of an answer call holdings_evict. Errors: LP_PROTOCOL, those of the replica. */
lp_err pull_page(replica *r, const page *p, pull_outcome *outcome, lp_error *error);

/** Appends the cursors of all scopes this replica holds (page.h); *known_out is false if it knows of none yet. */
lp_err pull_cursors(replica *r, buf *out, bool *known_out, lp_error *error);
/** The next pull reads every scope from its beginning. In a write transaction. */
lp_err pull_forget_cursors(replica *r, lp_error *error);
/** The next pull reads this scope from its beginning, and what the server does not have goes to `recovered`. In a write transaction. */
lp_err pull_doubt(replica *r, held_scope *scope, lp_error *error);
/** The cursor kept for a scope, which borrows `kept`; one at the beginning, and `kept` empty, if there is none. Errors: LP_CORRUPT, those of
 *  the replica. */
lp_err pull_cursor(replica *r, span scope, buf *kept, cursor *cursor_out, lp_error *error);
/** Takes note of the scopes the server named (an array of texts): those missing hold nothing any more. In a write transaction; call
 *  holdings_evict at its end. */
lp_err pull_scopes(replica *r, span scopes, lp_error *error);

#endif
