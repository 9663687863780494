/* replica_watch.h - has another process written the replica? For the loop, which otherwise knows of this process's writes only.
 * Thread: the replica's. */
#ifndef CLIENT_REPLICA_WATCH_H
#define CLIENT_REPLICA_WATCH_H

#include "client/replica/replica.h"

/** A number that changes when another connection has committed to the file, and not for this connection's own commits.
 *  `before` if it cannot be read now: the next look will tell. */
int64_t replica_watch(replica *r, int64_t before);

#endif
