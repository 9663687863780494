/* id.c - UUIDs; see id.h. */
#include "proto/id.h"

#include <stdlib.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/hlc.h"

static void set_version(lp_id *id, uint8_t version) {
    id->bytes[6] = (uint8_t)((id->bytes[6] & 0x0f) | (version << 4));
    id->bytes[8] = (uint8_t)((id->bytes[8] & 0x3f) | 0x80);
}

lp_id id_new(const lp_env *env, int64_t now_ms) {
    lp_id id;
    uint64_t ms = now_ms < 0 ? 0 : now_ms > STAMP_MS_MAX ? (uint64_t)STAMP_MS_MAX : (uint64_t)now_ms;
    env->random(env->ctx, id.bytes, sizeof id.bytes);
    for (int i = 0; i < 6; i++)
        id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    set_version(&id, 7);
    return id;
}

lp_id id_derive(const lp_id *namespace_id, span name) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256_two(id_span(namespace_id), name, hash);
    lp_id id;
    memcpy(id.bytes, hash, sizeof id.bytes);
    set_version(&id, 8);
    return id;
}

bool id_equal(const lp_id *a, const lp_id *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool id_is_nil(const lp_id *id) {
    static const lp_id nil;
    return id_equal(id, &nil);
}

int id_compare(const lp_id *a, const lp_id *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

span id_span(const lp_id *id) {
    return span_of(id->bytes, sizeof id->bytes);
}

bool id_from_span(span bytes, lp_id *id_out) {
    if (bytes.size != sizeof id_out->bytes)
        return false;
    memcpy(id_out->bytes, bytes.data, sizeof id_out->bytes);
    return true;
}

/* A dash stands before bytes 4, 6, 8 and 10. */
static bool dash_before(int byte) {
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

void lp_id_format(const lp_id *id, char *text_out) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (dash_before(i))
            *text_out++ = '-';
        *text_out++ = digits[id->bytes[i] >> 4];
        *text_out++ = digits[id->bytes[i] & 15];
    }
    *text_out = '\0';
}

static int digit_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool lp_id_parse(const char *text, lp_id *id_out) {
    lp_id id;
    for (int i = 0; i < 16; i++) {
        if (dash_before(i) && *text++ != '-')
            return false;
        int high = digit_value(text[0]);
        int low = high < 0 ? -1 : digit_value(text[1]);
        if (low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text)
        return false;
    *id_out = id;
    return true;
}
