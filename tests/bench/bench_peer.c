/* bench_peer.c - plays one part of a measurement; see peer.h for the parts and README.md for how they are put together. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/peer.h"

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    const char *part = argc > 2 ? argv[1] : "";
    if (argc == 4 && strcmp(part, "server") == 0)
        return peer_server(argv[2], (uint16_t)atoi(argv[3]));
    if (argc == 5 && strcmp(part, "client") == 0)
        return peer_client(argv[2], (uint16_t)atoi(argv[3]), argv[4]);
    if (argc == 4 && strcmp(part, "limit") == 0)
        return peer_limit(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(part, "proxy") == 0)
        return peer_proxy((uint16_t)atoi(argv[2]), (uint16_t)atoi(argv[3]));
    fprintf(stderr, "usage: bench_peer server DIR PORT | client DIR PORT DEVICE | limit DIR N | proxy PORT TARGET\n");
    return 2;
}
