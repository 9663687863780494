/* control_socket.h - the operator's way into a running server: DIRECTORY/control.sock, mode 0600, plain SP messages.
 *
 * Whoever may open the socket may do everything: the file's mode is the whole of its protection, as with the database file
 * beside it. Few and trusted peers, so both ends simply block, each on a thread of its own. */
#ifndef SERVER_NET_CONTROL_SOCKET_H
#define SERVER_NET_CONTROL_SOCKET_H

#include "server/office/control.h"
#include "server/log.h"

typedef struct control_server control_server;

/** Serves `c` at `directory`, whose store the caller has opened: a socket left there by a crash is removed. Borrows all.
 *  Errors: LP_IO, LP_NOMEM. */
lp_err control_server_start(control *c, const char *directory, logger *log, control_server **server_out,
                            lp_error *error);
/** Gives up what is being carried out and ends. NULL is harmless. */
void control_server_stop(control_server *s);

/** Sends one request to the server of `directory` and waits for its answer, an encoded message, appended. `progress` may be NULL.
 *  Errors: LP_OFFLINE nobody serves there; LP_IO, LP_PROTOCOL, LP_NOMEM. */
lp_err control_call(const char *directory, span request, store_progress_fn progress, void *ctx, buf *answer_out,
                    lp_error *error);

#endif
