/* ids.c - see ids.h. */
#include "server/pool/ids.h"

#include <stdlib.h>
#include <string.h>

static uint32_t lower_bound(const id_set *s, const lp_id *id) {
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (id_compare(&s->list[middle], id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool ids_hold(const id_set *s, const lp_id *id) {
    uint32_t at = lower_bound(s, id);
    return at < s->count && id_equal(&s->list[at], id);
}

bool ids_add(id_set *s, const lp_id *id) {
    uint32_t at = lower_bound(s, id);
    if (at < s->count && id_equal(&s->list[at], id))
        return false;
    if (s->count == s->capacity) {
        uint32_t capacity = s->capacity ? s->capacity * 2 : 16;
        lp_id *list = realloc(s->list, capacity * sizeof *list);
        if (!list) {
            s->failed = true;
            return false;
        }
        s->list = list;
        s->capacity = capacity;
    }
    memmove(s->list + at + 1, s->list + at, (s->count - at) * sizeof *s->list);
    s->list[at] = *id;
    s->count++;
    return true;
}

void ids_fini(id_set *s) {
    free(s->list);
    *s = (id_set){0};
}
