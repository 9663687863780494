/* blocking.h - a stream with a plain channel on it, for threads that have nothing else to do than wait. */
#ifndef SERVER_NET_BLOCKING_H
#define SERVER_NET_BLOCKING_H

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

#include "proto/channel/channel.h"

#define BLOCKING_INPUT_BYTES 4096

typedef struct blocking {
    nng_aio *aio;       /**< borrowed; stopping it ends every wait */
    nng_stream *stream; /**< owned */
    channel *channel;
    uint8_t input[BLOCKING_INPUT_BYTES];
} blocking;

/** "ipc://DIRECTORY/control.sock". The path of a Unix socket holds at most 107 bytes: for a longer one the directory is opened and
 *  named as /proc/self/fd/N; *fd_out is then to be closed when the socket is no longer needed, else it is -1. Errors: LP_IO. */
#define BLOCKING_URL_BYTES 160
lp_err blocking_url(const char *directory, char url_out[BLOCKING_URL_BYTES], int *fd_out, lp_error *error);

/** Takes the stream over, also when it fails. Errors: LP_NOMEM. */
lp_err blocking_open(blocking *b, nng_stream *stream, nng_aio *aio, bool server, lp_error *error);
void blocking_close(blocking *b);
/** Until both ends have said what they speak; before the first send or receive. Same errors as those. */
lp_err blocking_handshake(blocking *b, int32_t timeout_ms, lp_error *error);
/** Errors: LP_CLOSED the peer has gone, LP_TIMEOUT, those of the channel. */
lp_err blocking_send(blocking *b, uint32_t id, span message, int32_t timeout_ms, lp_error *error);
/** The next message, valid until the next call. Same errors. `timeout_ms` < 0: for ever. */
lp_err blocking_receive(blocking *b, int32_t timeout_ms, uint32_t *id_out, span *message_out, lp_error *error);

#endif
