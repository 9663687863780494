/* feed.h - pages: what a device has not read yet, in the pool's order, bounded in bytes. */
#ifndef SERVER_FEED_H
#define SERVER_FEED_H

#include "proto/change.h"
#include "server/pool/access.h"

#define FEED_PAGE_BYTES 262144 /**< a page's size if the device does not say */
#define FEED_PAGE_BYTES_MAX                                                                                            \
    655360 /**< what it may ask for. Only a record that is larger by itself goes above; with verdicts either fits a message */

/** Builds the pages for `cursors` (page.h) into `pages_out`, in the reader's present snapshot. Registers that the device wrote itself are
 *  left out: it has them. *news_out: some page holds changes or has more.
 *  Errors: LP_EXPIRED a cursor of this very epoch is of a history this pool does not have (epochs.h); LP_PROTOCOL cursors do not read, LP_DENIED a scope the device may not read, those of the store. */
lp_err feed_pages(store_reader *reader, const device *d, const access *may, span cursors, uint64_t page_bytes,
                  buf *pages_out, bool *news_out, lp_error *error);

/** Puts a record whole, one set per stamp. Errors: LP_NOMEM. */
lp_err feed_put_record(changes_writer *w, const record *rec, lp_error *error);

#endif
