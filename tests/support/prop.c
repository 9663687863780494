/* prop.c - the generator of prop.h. */
#include "tests/support/prop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

prop prop_seeded(uint64_t seed) {
    return (prop){.state = seed, .first = seed, .seed = seed, .name = "seeded"};
}

prop prop_begin(const char *name) {
    uint64_t seed = 14695981039346656037u; /* FNV-1a of the name */
    for (const char *c = name; *c; c++)
        seed = (seed ^ (unsigned char)*c) * UINT64_C(1099511628211);
    const char *given = getenv("LEADPOOL_SEED");
    if (given && *given)
        seed = strtoull(given, NULL, 0);
    prop p = prop_seeded(seed);
    p.name = name;
    return p;
}

void prop_round(prop *p, uint32_t round) {
    p->seed = round ? mix(p->first + round * UINT64_C(0x9e3779b97f4a7c15)) : p->first;
    p->state = p->seed;
}

uint32_t prop_rounds(uint32_t normal) {
    const char *given = getenv("LEADPOOL_ROUNDS");
    return given && *given ? (uint32_t)strtoul(given, NULL, 0) : normal;
}

bool prop_holds(const prop *p, bool condition, const char *what) {
    if (!condition)
        fprintf(stderr, "%s: does not hold: %s; replay with LEADPOOL_SEED=0x%llx\n", p->name, what,
                (unsigned long long)p->seed);
    return condition;
}

uint64_t prop_u64(prop *p) {
    p->state += UINT64_C(0x9e3779b97f4a7c15);
    return mix(p->state);
}

uint64_t prop_below(prop *p, uint64_t bound) {
    return bound ? prop_u64(p) % bound : 0; /* the bias of % does not matter to a test */
}

int64_t prop_between(prop *p, int64_t least, int64_t most) {
    uint64_t width = (uint64_t)most - (uint64_t)least;
    uint64_t drawn = width == UINT64_MAX ? prop_u64(p) : prop_below(p, width + 1);
    return (int64_t)((uint64_t)least + drawn);
}

bool prop_chance(prop *p, uint32_t percent) {
    return prop_below(p, 100) < percent;
}

uint64_t prop_number(prop *p) {
    uint64_t bits = prop_below(p, 65);
    uint64_t mask = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    return prop_chance(p, 30) ? mask : prop_u64(p) & mask;
}

void prop_bytes(prop *p, void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)prop_u64(p);
}

void prop_shuffle(prop *p, void *items, size_t count, size_t item_bytes) {
    unsigned char *at = items;
    for (size_t i = count; i > 1; i--) {
        unsigned char *a = at + (i - 1) * item_bytes;
        unsigned char *b = at + prop_below(p, i) * item_bytes;
        for (size_t j = 0; j < item_bytes; j++) {
            unsigned char kept = a[j];
            a[j] = b[j];
            b[j] = kept;
        }
    }
}

lp_id prop_id(prop *p) {
    lp_id id;
    prop_bytes(p, id.bytes, sizeof id.bytes);
    return id;
}

static void put_character(buf *b, uint32_t c) {
    if (c < 0x80) {
        buf_append_byte(b, (uint8_t)c);
        return;
    }
    int tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    buf_append_byte(b, (uint8_t)(lead[tail] | c >> (6 * tail)));
    while (tail-- > 0)
        buf_append_byte(b, (uint8_t)(0x80 | (c >> (6 * tail) & 0x3F)));
}

void prop_text(prop *p, buf *b, size_t size_max) {
    /* The last code points of each length of sequence, and both sides of the surrogates. */
    static const uint32_t edges[] = {1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF};
    size_t wanted = prop_below(p, size_max + 1);
    size_t start = b->size;
    while (b->size - start + 4 <= wanted) {
        uint32_t c = prop_chance(p, 20)   ? edges[prop_below(p, sizeof edges / sizeof edges[0])]
                     : prop_chance(p, 50) ? 0x20 + (uint32_t)prop_below(p, 0x5F)
                                          : 0x4E00 + (uint32_t)prop_below(p, 0x5000);
        put_character(b, c);
    }
    while (b->size - start < wanted)
        buf_append_byte(b, 'x');
}

static void put_nested(prop *p, buf *b, int depth) {
    uint32_t count = (uint32_t)prop_below(p, prop_chance(p, 10) ? 20 : 4);
    bool map = prop_chance(p, 50);
    if (map)
        wire_put_map(b, count);
    else
        wire_put_array(b, count);
    for (uint32_t i = 0; i < (map ? count * 2 : count); i++)
        prop_value(p, b, depth - 1);
}

void prop_value(prop *p, buf *b, int depth) {
    buf bytes = {0};
    switch (prop_below(p, depth > 0 ? 8 : 7)) {
    case 0:
        wire_put_nil(b);
        break;
    case 1:
        wire_put_bool(b, prop_chance(p, 50));
        break;
    case 2:
        wire_put_u64(b, prop_number(p));
        break;
    case 3:
        wire_put_i64(b, (int64_t)(0 - prop_number(p)));
        break;
    case 4:
        wire_put_real(b, (double)prop_between(p, -1000000, 1000000) / 64);
        break;
    case 5:
        prop_text(p, &bytes, prop_chance(p, 5) ? 300 : 40);
        wire_put_text(b, buf_span(&bytes));
        break;
    case 6:
        if (buf_reserve(&bytes, 300))
            bytes.size = prop_below(p, prop_chance(p, 5) ? 300 : 20);
        prop_bytes(p, bytes.data, bytes.size);
        wire_put_bytes(b, buf_span(&bytes));
        break;
    default:
        put_nested(p, b, depth);
        break;
    }
    buf_fini(&bytes);
}
