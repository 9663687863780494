/* link.h - the device's only way to the network: one nng stream and a channel on it. Shell.
 *
 * The only client file that includes nng. It turns aio completions into link events that link_wait hands out one by one on
 * the caller's thread, so that everything above runs single-threaded. */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "leadpool/error.h"
#include "proto/channel/channel.h"

typedef struct link link_t;

typedef enum link_event_kind {
    LINK_TIMEOUT, /**< the time given is up */
    LINK_OPEN,    /**< `bytes`: channel binding */
    LINK_MESSAGE, /**< `id`, `bytes` */
    LINK_LOST,    /**< `error`: refused, reset, wrong pin, not leadpool, closed ... */
    LINK_WOKEN,   /**< link_wake was called */
} link_event_kind;

typedef struct link_event {
    link_event_kind kind;
    uint32_t id;
    span bytes; /**< valid until the next link_wait */
    lp_error error;
} link_event;

/** Errors: LP_NOMEM. */
lp_err link_new(link_t **link_out, lp_error *error);
void link_free(link_t *l);

/** Starts connecting; an open connection is closed first. `tls` NULL means plain text and is refused unless `host` is a loopback address.
 *  The result comes as LINK_OPEN or LINK_LOST, at the latest after `timeout_ms`. */
void link_connect(link_t *l, const char *host, uint16_t port, tls_context *tls, int32_t timeout_ms);
lp_err link_send(link_t *l, uint32_t id, span message, lp_error *error);
void link_close(link_t *l); /**< no LINK_LOST follows */
/** The next event, waiting at most `timeout_ms` (<0: for ever, 0: not at all). Thread: the loop's. */
void link_wait(link_t *l, int32_t timeout_ms, link_event *event_out);
/** Makes link_wait return LINK_WOKEN. Thread: any. */
void link_wake(link_t *l);
/** Bytes on the network since link_new, TLS included. */
void link_bytes(link_t *l, uint64_t *up_out, uint64_t *down_out);

#endif
