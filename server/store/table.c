/* table.c - a sorted array of version chains; see table.h. */
#include "server/store/table.h"

#include <stdlib.h>
#include <string.h>

span table_key(const table_entry *entry) {
    return span_of(entry->key, entry->key_size);
}

static void free_chain(table_version *version) {
    while (version) {
        table_version *older = version->older;
        free(version);
        version = older;
    }
}

void table_fini(table *t) {
    for (size_t i = 0; i < t->count; i++) {
        free_chain(t->entries[i]->newest);
        free(t->entries[i]);
    }
    free(t->entries);
    *t = (table){0};
}

table_version *table_version_new(span *first, span *second) {
    table_version *v = calloc(1, sizeof *v + first->size + second->size);
    if (!v)
        return NULL;
    if (first->size)
        memcpy(v->bytes, first->data, first->size);
    if (second->size)
        memcpy(v->bytes + first->size, second->data, second->size);
    first->data = v->bytes;
    second->data = v->bytes + first->size;
    return v;
}

/* Index of the first entry with a key >= `key`. Most keys are new and greatest, so the end is tried first. */
static size_t lower_bound(const table *t, span key) {
    if (t->count && span_compare(table_key(t->entries[t->count - 1]), key) < 0)
        return t->count;
    size_t low = 0, high = t->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_compare(table_key(t->entries[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static table_entry *insert(table *t, size_t at, span key) {
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 64;
        table_entry **entries = realloc(t->entries, capacity * sizeof *entries);
        if (!entries)
            return NULL;
        t->entries = entries;
        t->capacity = capacity;
    }
    table_entry *entry = calloc(1, sizeof *entry + key.size);
    if (!entry)
        return NULL;
    entry->table = t;
    entry->key_size = key.size;
    if (key.size)
        memcpy(entry->key, key.data, key.size);
    memmove(t->entries + at + 1, t->entries + at, (t->count - at) * sizeof *t->entries);
    t->entries[at] = entry;
    t->count++;
    return entry;
}

table_entry *table_put(table *t, span key, table_version *version) {
    size_t at = lower_bound(t, key);
    bool there = at < t->count && span_equal(table_key(t->entries[at]), key);
    table_entry *entry = there ? t->entries[at] : insert(t, at, key);
    if (!entry)
        return NULL;
    version->older = entry->newest;
    entry->newest = version;
    return entry;
}

static void drop_entry(table_entry *entry) {
    table *t = entry->table;
    size_t at = lower_bound(t, table_key(entry));
    memmove(t->entries + at, t->entries + at + 1, (t->count - at - 1) * sizeof *t->entries);
    t->count--;
    free_chain(entry->newest);
    free(entry);
}

void table_pop(table_entry *entry) {
    table_version *version = entry->newest;
    entry->newest = version->older;
    free(version);
    if (!entry->newest)
        drop_entry(entry);
}

bool table_settle(table_entry *entry, uint64_t oldest) {
    table_version *version = entry->newest;
    while (version && version->at > oldest)
        version = version->older;
    if (!version)
        return !entry->newest->older && !entry->newest->gone;
    free_chain(version->older);
    version->older = NULL;
    if (version != entry->newest)
        return false;
    if (version->gone)
        drop_entry(entry);
    return true;
}

const table_version *table_version_at(const table_entry *entry, uint64_t at) {
    const table_version *version = entry->newest;
    while (version && version->at > at)
        version = version->older;
    return version && !version->gone ? version : NULL;
}

const table_version *table_get(const table *t, span key, uint64_t at) {
    size_t i = lower_bound(t, key);
    bool there = i < t->count && span_equal(table_key(t->entries[i]), key);
    return there ? table_version_at(t->entries[i], at) : NULL;
}

const table_entry *table_seek(const table *t, span from, bool beyond, uint64_t at) {
    size_t i = lower_bound(t, from);
    if (beyond && i < t->count && span_equal(table_key(t->entries[i]), from))
        i++;
    while (i < t->count && !table_version_at(t->entries[i], at))
        i++;
    return i < t->count ? t->entries[i] : NULL;
}
