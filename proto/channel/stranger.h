/* stranger.h - a sentence about a peer whose first bytes are not ours.
 *
 * Why: in an exhibition hall the usual reason for "cannot sync" is a captive portal or a wrong port. The first bytes
 * tell which, and the rep can act on it. Thread: any. */
#ifndef PROTO_CHANNEL_STRANGER_H
#define PROTO_CHANNEL_STRANGER_H

#include <stdbool.h>

#include "leadpool/error.h"
#include "proto/buf.h"

/** First bytes of a peer worth keeping for the sentence. */
#define STRANGER_BYTES 8

/** True if the bytes begin like a TLS record (RFC 8446 section 5.1). */
bool stranger_speaks_tls(span first);
/** Fills `error` with what the peer seems to be. `server`: we are the server. Returns LP_PROTOCOL. */
lp_err stranger_describe(span first, bool server, lp_error *error);

#endif
