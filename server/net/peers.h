/* peers.h - how many connections each network address holds. Thread: any. */
#ifndef SERVER_NET_PEERS_H
#define SERVER_NET_PEERS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <nng/nng.h>

/** An IPv4 address mapped into IPv6 (RFC 4291 section 2.5.5.2), or the /64 of an IPv6 address: one customer's share. */
typedef struct peer_key {
    uint8_t bytes[16];
} peer_key;

#define PEERS_BUCKETS 4096u

typedef struct peer_entry peer_entry;

typedef struct peers {
    pthread_mutex_t mutex;
    uint64_t salt; /**< so that nobody can choose addresses that collide */
    peer_entry *buckets[PEERS_BUCKETS];
} peers;

void peers_init(peers *p, uint64_t salt);
void peers_fini(peers *p);
/** Counts one more of `key`; false if it holds `limit` already, or no memory is left. */
bool peers_add(peers *p, const peer_key *key, uint32_t limit);
void peers_remove(peers *p, const peer_key *key);

/** Key and port of an address; false if it is not IP. */
bool peer_key_from(const nng_sockaddr *address, peer_key *key_out, uint16_t *port_out);
#define PEER_TEXT_BYTES 64
/** "192.0.2.1:4711", "[2001:db8::]:4711". */
void peer_format(const peer_key *key, uint16_t port, char text_out[PEER_TEXT_BYTES]);

#endif
