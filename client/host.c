/* host.c - see host.h. */
#include "client/host.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* nng reads more than a name out of a URL's host ("a;b" sets the source address), so what cannot be in a name is refused. */
bool host_is_valid(const char *host) {
    size_t size = strlen(host);
    if (size == 0 || size >= HOST_BYTES)
        return false;
    for (const unsigned char *c = (const unsigned char *)host; *c; c++)
        if (*c <= ' ' || *c == 0x7f || strchr(";/@[]*?#\\", *c))
            return false;
    return true;
}

bool host_is_numeric(const char *host) {
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || strchr(host, ':');
}

bool host_is_loopback(const char *host) {
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") == 0;
}
