/* peer_proxy.c - counts the bytes between clients and a server: TCP payload, both directions. Two threads a connection. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/peer.h"

#define BLOCK_BYTES (256 * 1024)

typedef struct pair {
    int client, server;
    atomic_int ends; /* pumps still running; the last one closes */
} pair;

typedef struct pump {
    pair *pair;
    int from, to;
    atomic_ullong *bytes;
} pump;

static atomic_ullong up, down;
static uint16_t target_port;

static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static bool write_all(int fd, const char *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = send(fd, bytes, size, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        bytes += put;
        size -= (size_t)put;
    }
    return true;
}

static void *run(void *argument) {
    pump p = *(pump *)argument;
    free(argument);
    char *block = malloc(BLOCK_BYTES);
    ssize_t got;
    while (block && (got = recv(p.from, block, BLOCK_BYTES, 0)) > 0) {
        atomic_fetch_add(p.bytes, (unsigned long long)got);
        if (!write_all(p.to, block, (size_t)got))
            break;
    }
    shutdown(p.to, SHUT_WR);
    shutdown(p.from, SHUT_RD);
    free(block);
    if (atomic_fetch_sub(&p.pair->ends, 1) == 1) {
        close(p.pair->client);
        close(p.pair->server);
        free(p.pair);
    }
    return NULL;
}

static void start(pair *both, int from, int to, atomic_ullong *bytes) {
    pthread_t thread;
    pump *p = malloc(sizeof *p);
    if (!p)
        die("proxy", "out of memory");
    *p = (pump){both, from, to, bytes};
    if (pthread_create(&thread, NULL, run, p) != 0)
        die("proxy", "cannot start a thread");
    pthread_detach(thread);
}

static void join_ends(int client) {
    int on = 1;
    struct sockaddr_in address = loopback(target_port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server < 0 || connect(server, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(server);
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    pair *both = malloc(sizeof *both);
    if (!both)
        die("proxy", "out of memory");
    both->client = client;
    both->server = server;
    atomic_init(&both->ends, 2);
    start(both, client, server, &up);
    start(both, server, client, &down);
}

static void *accept_all(void *argument) {
    int listener = *(const int *)argument;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0)
            join_ends(client);
    }
    return NULL;
}

int peer_proxy(uint16_t port, uint16_t target) {
    int on = 1;
    command cmd;
    pthread_t thread;
    struct sockaddr_in address = loopback(port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    target_port = target;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 256) != 0)
        die("proxy", "cannot listen");
    if (pthread_create(&thread, NULL, accept_all, &listener) != 0)
        die("proxy", "cannot start a thread");
    answer_ready();
    while (command_read(&cmd) && strcmp(cmd.verb, "quit") != 0) {
        if (strcmp(cmd.verb, "reset") == 0) {
            atomic_store(&up, 0);
            atomic_store(&down, 0);
        }
        printf("{\"ok\":true,\"up\":%llu,\"down\":%llu}\n", atomic_load(&up), atomic_load(&down));
        fflush(stdout);
    }
    return 0;
}
