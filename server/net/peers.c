/* peers.c - a chained hash table of counts; see peers.h. */
#include "server/net/peers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct peer_entry {
    peer_entry *next;
    peer_key key;
    uint32_t count;
};

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

void peers_init(peers *p, uint64_t salt) {
    memset(p, 0, sizeof *p);
    p->salt = salt;
    pthread_mutex_init(&p->mutex, NULL);
}

void peers_fini(peers *p) {
    for (uint32_t i = 0; i < PEERS_BUCKETS; i++)
        while (p->buckets[i]) {
            peer_entry *entry = p->buckets[i];
            p->buckets[i] = entry->next;
            free(entry);
        }
    pthread_mutex_destroy(&p->mutex);
}

/* Multiply-xorshift with a secret salt (the finaliser of splitmix64). */
static uint32_t bucket_of(const peers *p, const peer_key *key) {
    uint64_t halves[2];
    memcpy(halves, key->bytes, sizeof halves);
    uint64_t h = p->salt;
    for (int i = 0; i < 2; i++) {
        h ^= halves[i];
        h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
        h ^= h >> 31;
    }
    return (uint32_t)(h % PEERS_BUCKETS);
}

static peer_entry **find(peers *p, const peer_key *key) {
    peer_entry **at = &p->buckets[bucket_of(p, key)];
    while (*at && memcmp(&(*at)->key, key, sizeof *key) != 0)
        at = &(*at)->next;
    return at;
}

bool peers_add(peers *p, const peer_key *key, uint32_t limit) {
    pthread_mutex_lock(&p->mutex);
    peer_entry **at = find(p, key);
    if (!*at && (*at = calloc(1, sizeof **at)) != NULL)
        (*at)->key = *key;
    bool room = *at && (*at)->count < limit;
    if (room)
        (*at)->count++;
    pthread_mutex_unlock(&p->mutex);
    return room;
}

void peers_remove(peers *p, const peer_key *key) {
    pthread_mutex_lock(&p->mutex);
    peer_entry **at = find(p, key);
    if (*at && --(*at)->count == 0) {
        peer_entry *gone = *at;
        *at = gone->next;
        free(gone);
    }
    pthread_mutex_unlock(&p->mutex);
}

bool peer_key_from(const nng_sockaddr *address, peer_key *key_out, uint16_t *port_out) {
    memset(key_out, 0, sizeof *key_out);
    if (address->s_family == NNG_AF_INET) {
        memcpy(key_out->bytes, mapped_prefix, sizeof mapped_prefix);
        memcpy(key_out->bytes + 12, &address->s_in.sa_addr, 4);
        *port_out = ntohs(address->s_in.sa_port);
        return true;
    }
    if (address->s_family != NNG_AF_INET6)
        return false;
    bool mapped = memcmp(address->s_in6.sa_addr, mapped_prefix, sizeof mapped_prefix) == 0;
    memcpy(key_out->bytes, address->s_in6.sa_addr, mapped ? 16 : 8);
    *port_out = ntohs(address->s_in6.sa_port);
    return true;
}

void peer_format(const peer_key *key, uint16_t port, char text_out[PEER_TEXT_BYTES]) {
    char host[INET6_ADDRSTRLEN] = "?";
    bool mapped = memcmp(key->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
    inet_ntop(mapped ? AF_INET : AF_INET6, mapped ? key->bytes + 12 : key->bytes, host, sizeof host);
    snprintf(text_out, PEER_TEXT_BYTES, mapped ? "%s:%u" : "[%s]:%u", host, port);
}
