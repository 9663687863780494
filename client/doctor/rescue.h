/* rescue.h - what nobody else has, out of a damaged replica: the changes that were not sent yet, those that were refused,
 * what was typed here before, and what the server has lost.
 *
 * All the rest of a replica comes back from the server. So a new replica is made that holds these, and the identity if that is whole:
 * it goes on where the old one stopped. Without an identity the new replica has to join, and then sends the changes as its own.
 *
 * Invariants:
 *   (1) The damaged file is read only (image.h): another attempt, with better means, finds all that this one found.
 *   (2) A change in a page that is intact is taken over, whatever else is damaged. If nothing tells any more which record it
 *       belongs to, it becomes a record of its own. So does an older value typed here (past), or a value that the server has lost
 *       (recovered), but the latter says itself whose it is.
 *   (3) Batches are cut anew, under new numbers: a number never stands for other bytes than before. What the server had applied
 *       already it knows by its stamp.
 * Thread: one at a time. */
#ifndef CLIENT_RESCUE_H
#define CLIENT_RESCUE_H

#include "client/replica/image.h"
#include "client/replica/replica.h"

/** Takes everything over from `from` into the empty replica `to`, in one transaction. Errors: those of the replica. */
lp_err rescue_run(disk_image *from, replica *to, lp_rescued *rescued_out, lp_error *error);

/** Makes the unsent changes of a replica that is joining its own, in the caller's transaction: their stamps, and bases that name
 *  them, get the device's new number. Nothing happens without unsent changes. */
lp_err rescue_adopt(replica *r, uint32_t device, lp_error *error);

#endif
