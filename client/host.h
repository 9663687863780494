/* host.h - what a server's host name or address looks like. Pure: nothing is resolved. Thread: any. */
#ifndef CLIENT_HOST_H
#define CLIENT_HOST_H

#include <stdbool.h>

#define HOST_BYTES 256 /**< with the NUL */

/** A name, an IPv4 address, or an IPv6 address without brackets. */
bool host_is_valid(const char *host);
/** An address, so that there is nothing to look up. */
bool host_is_numeric(const char *host);
/** 127.0.0.0/8, ::1, or the name "localhost". */
bool host_is_loopback(const char *host);

#endif
