/* digest.c - sums of keyed hashes; see digest.h. */
#include "proto/digest.h"

#include <stdlib.h>

#include "proto/crypto.h"
#include "proto/err.h"

struct digester {
    crypto_mac *mac;
};

lp_err digester_new(const lp_id *pool, digester **digester_out, lp_error *error) {
    uint8_t key[CRYPTO_HASH_BYTES];
    crypto_sha256_two(SPAN_LITERAL("leadpool digest 1"), id_span(pool), key);
    digester *d = malloc(sizeof *d);
    crypto_mac *mac = d ? crypto_mac_new(key) : NULL;
    if (!mac) {
        free(d);
        return err_plain(error, LP_NOMEM);
    }
    d->mac = mac;
    *digester_out = d;
    return LP_OK;
}

void digester_free(digester *d) {
    if (!d)
        return;
    crypto_mac_free(d->mac);
    free(d);
}

static void put_number(uint8_t *at, uint64_t number, int size) {
    for (int i = 0; i < size; i++)
        at[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t take_number(const uint8_t *at) {
    uint64_t number = 0;
    for (int i = 7; i >= 0; i--)
        number = number << 8 | at[i];
    return number;
}

/* Kind, id, field, stamp, size of key; then key and value, whose end needs no mark because the value is last. */
digest digest_term(digester *d, uint32_t kind, const lp_id *id, const reg *r) {
    uint8_t head[4 + 16 + 4 + STAMP_BYTES + 4];
    put_number(head, kind, 4);
    for (int i = 0; i < 16; i++)
        head[4 + i] = id->bytes[i];
    put_number(head + 20, r->field, 4);
    stamp_pack(r->stamp, head + 24);
    put_number(head + 36, r->key.size, 4);
    uint8_t out[CRYPTO_MAC_BYTES];
    crypto_mac_three(d->mac, span_of(head, sizeof head), r->key, r->value, out);
    return (digest){take_number(out), take_number(out + 8)};
}

void digest_plus(digest *sum, digest term) {
    sum->low += term.low;
    sum->high += term.high + (sum->low < term.low);
}

void digest_minus(digest *sum, digest term) {
    sum->high -= term.high + (sum->low < term.low);
    sum->low -= term.low;
}

void digest_add(digester *d, digest *sum, uint32_t kind, const lp_id *id, const reg *r) {
    digest_plus(sum, digest_term(d, kind, id, r));
}

void digest_remove(digester *d, digest *sum, uint32_t kind, const lp_id *id, const reg *r) {
    digest_minus(sum, digest_term(d, kind, id, r));
}

void digest_pack(digest sum, uint8_t bytes_out[DIGEST_BYTES]) {
    put_number(bytes_out, sum.low, 8);
    put_number(bytes_out + 8, sum.high, 8);
}

bool digest_unpack(span bytes, digest *sum_out) {
    *sum_out = (digest){0, 0};
    if (bytes.size == 0)
        return true;
    if (bytes.size != DIGEST_BYTES)
        return false;
    *sum_out = (digest){take_number(bytes.data), take_number(bytes.data + 8)};
    return true;
}

void digest_format(digest sum, char text_out[DIGEST_BYTES * 2 + 1]) {
    uint8_t bytes[DIGEST_BYTES];
    digest_pack(sum, bytes);
    crypto_hex(span_of(bytes, sizeof bytes), text_out);
}

bool digest_equal(digest a, digest b) {
    return a.low == b.low && a.high == b.high;
}
