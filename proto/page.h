/* page.h - cursors, pages and verdicts: the parts of sync that are lists. Thread: any.
 *
 *     cursors  := [ [ scope, epoch, seq, tag, behind?, generation?, again?, forgot? ], ... ]
 *     pages    := [ page, ... ]
 *     page     := [ scope, epoch, seq, tag, more, changes, digest, behind, start, whole, left, erased, joined, generation, again,
 *                   purged, forgot ]
 *                 seq: the cursor after this page. digest is nil unless `more` is false: 16 bytes, of the whole scope at this
 *                 cursor. From behind on, parts that are zero or empty are left out at the end
 *                 start, again: bool; whole, left, erased, joined, purged: [ bin16 id, ... ]
 *     verdicts := [ [ set index, field index, verdict, reason ], ... ]          what is not listed was applied;
 *                 field index -1 speaks of the whole set */
#ifndef PROTO_PAGE_H
#define PROTO_PAGE_H

#include "leadpool/error.h"
#include "leadpool/value.h"
#include "proto/wire.h"

#define EPOCH_BYTES 16
#define CURSOR_TAG_BYTES 8
#define SCOPE_NAME_BYTES_MAX 64
#define CURSORS_MAX 64

typedef struct cursor {
    span scope; /**< "setup", "pool", ... */
    span epoch; /**< 16 bytes, or empty: nothing read yet */
    uint64_t seq;
    span tag; /**< 8 bytes, or empty */
    /** Between the pages of one pull: how far below `seq` that pull began; 0 at its end. Records come in the order of their latest
     *  change, so one that comes late also has fields written long before `seq`: wanted are those above seq - behind. */
    uint64_t behind;
    /** Of the grant the scope was read under. Another one is another slice of the pool, and is read from its beginning. */
    uint64_t generation;
    /** Between the pages of a re-read; with seq 0: wanted is one. Without, own registers do not come: the device has them. */
    bool again;
    /** Between the pages of a pull, and on the last page of a re-read: what the pool had forgotten when it began, as a seq. If the server
     *  begins anew because it has forgotten something that the device has not heard of, this is another, and what came before does not count. */
    uint64_t forgot;
} cursor;

typedef struct page {
    cursor cursor;
    bool more;
    span changes; /**< change.h; page_put takes empty for a list without sets */
    span digest;  /**< 16 bytes or empty */
    /** The page is of a re-read, the first one if `start`, the last one if there is no `more`. Every record of a re-read comes whole, and what a
     *  replica held of the scope and did not get by its end is not in it any more. */
    bool again;
    bool start;
    span whole;  /**< page_ids: records that come whole in another pull: they joined the scope */
    span left;   /**< page_ids: records that left the scope */
    span erased; /**< page_ids: records that were erased for good, here and everywhere */
    span purged; /**< page_ids: records that were deleted long ago and are forgotten */
    span joined; /**< page_ids: records that joined the scope and of which the device has everything: it made them */
} page;

typedef enum verdict_kind {
    VERDICT_APPLIED = 0,
    VERDICT_LOST = 1,
    VERDICT_REFUSED = 2,
    VERDICT_RECEIVED = 3
} verdict_kind;

typedef struct verdict {
    uint32_t set;  /**< index in the batch, from 0 */
    int32_t field; /**< index in the set, from 0; -1: all of it */
    verdict_kind kind;
    span reason; /**< one line for a person; empty unless refused */
} verdict;

void cursor_put(buf *b, const cursor *c);
bool cursor_take(wire_reader *r, cursor *cursor_out); /**< false on nonsense */
void page_put(buf *b, const page *p);
bool page_take(wire_reader *r, page *page_out);
/** Reads the ids of a page's part one by one: begin with wire_open(part), `*left_out` ids follow. Every part of a taken page reads to its end. */
wire_reader page_ids(span part, uint32_t *left_out);
lp_id page_next_id(wire_reader *ids);
void verdict_put(buf *b, const verdict *v);
bool verdict_take(wire_reader *r, verdict *verdict_out);

#endif
