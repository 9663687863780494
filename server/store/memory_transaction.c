/* memory_transaction.c - versions put on entries, kept by commit and taken off again by rollback; see memory.h. */
#include <assert.h>
#include <stdlib.h>

#include "proto/err.h"
#include "server/store/memory.h"

static bool list_reserve(entry_list *list, size_t more) {
    if (list->count + more <= list->capacity)
        return true;
    size_t capacity = (list->count + more) * 2;
    table_entry **items = realloc(list->items, capacity * sizeof(table_entry *));
    if (!items)
        return false;
    list->items = items;
    list->capacity = capacity;
    return true;
}

lp_err memory_put_version(memory_store *m, table *t, span key, table_version *version, lp_error *error) {
    if (!version)
        return err_plain(error, LP_NOMEM);
    version->at = m->commits + 1;
    memory_lock(m);
    bool room = list_reserve(&m->journal, 1) && list_reserve(&m->unsettled, m->journal.count + 1);
    table_entry *entry = room ? table_put(t, key, version) : NULL;
    if (entry)
        m->journal.items[m->journal.count++] = entry;
    memory_unlock(m);
    if (entry)
        return LP_OK;
    free(version);
    return err_plain(error, LP_NOMEM);
}

lp_err memory_put_gone(memory_store *m, table *t, span key, lp_error *error) {
    span nothing = {0}, nothing_too = {0};
    table_version *version = table_version_new(&nothing, &nothing_too);
    if (version)
        version->gone = true;
    return memory_put_version(m, t, key, version, error);
}

lp_err memory_begin(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(!m->open);
    m->open = true;
    m->marked = false;
    m->now = m->last;
    return LP_OK;
}

static uint64_t oldest_snapshot(const memory_store *m) {
    uint64_t oldest = m->commits;
    for (const memory_reader *r = m->readers; r; r = r->next)
        if (r->open && r->at < oldest)
            oldest = r->at;
    return oldest;
}

static void settle(memory_store *m) {
    uint64_t oldest = oldest_snapshot(m);
    size_t kept = 0;
    for (size_t i = 0; i < m->unsettled.count; i++) {
        table_entry *entry = m->unsettled.items[i];
        entry->listed = false;
        if (table_settle(entry, oldest))
            continue;
        entry->listed = true;
        m->unsettled.items[kept++] = entry;
    }
    m->unsettled.count = kept;
}

lp_err memory_commit(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && !m->marked);
    memory_lock(m);
    m->commits++;
    m->last = m->now;
    for (size_t i = 0; i < m->journal.count; i++) {
        table_entry *entry = m->journal.items[i];
        if (!entry->listed)
            m->unsettled.items[m->unsettled.count++] = entry;
        entry->listed = true;
    }
    m->journal.count = 0;
    settle(m);
    memory_unlock(m);
    m->open = false;
    return LP_OK;
}

static void take_back(memory_store *m, size_t down_to) {
    memory_lock(m);
    while (m->journal.count > down_to)
        table_pop(m->journal.items[--m->journal.count]);
    memory_unlock(m);
}

void memory_rollback(store *base) {
    memory_store *m = (memory_store *)base;
    if (!m->open)
        return;
    take_back(m, 0);
    m->open = false;
    m->marked = false;
}

lp_err memory_savepoint(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && !m->marked);
    m->marked = true;
    m->mark = m->now;
    m->journal_mark = m->journal.count;
    return LP_OK;
}

lp_err memory_release(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && m->marked);
    m->marked = false;
    return LP_OK;
}

lp_err memory_undo(store *base, lp_error *error) {
    (void)error;
    memory_store *m = (memory_store *)base;
    assert(m->open && m->marked);
    take_back(m, m->journal_mark);
    m->now = m->mark;
    m->marked = false;
    return LP_OK;
}
