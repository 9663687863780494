/* http.h - what a browser that is not the phone app gets to see. Pure. */
#ifndef SERVER_NET_HTTP_H
#define SERVER_NET_HTTP_H

#include "proto/channel/channel.h"

/** Answers a CHANNEL_HTTP event. Errors: those of channel_http_answer. */
lp_err http_answer(channel *c, const char *method, const char *path, lp_error *error);

#endif
