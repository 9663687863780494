/* test_store.c - the store port's contract, stamped over every engine: what store.h says, sentence by sentence.
 *
 * A new engine is one more group in main. The last tests run the same random operations on two engines side by side. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/prop.h"
#include "tests/support/store_kit.h"

typedef struct fixture {
    const store_ops *ops;
    kit_directory directory;
    store *s;
    store_reader *r;
    lp_error error;
} fixture;

static void must(fixture *f, lp_err err) {
    if (err)
        print_error("%s: %s: %s\n", f->ops->name, lp_err_name(err), f->error.message);
    assert_int_equal(err, LP_OK);
}

static int set_up(void **state, const store_ops *ops) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->ops = ops;
    kit_directory_make(&f->directory);
    must(f, ops->open(f->directory.path, true, &f->s, &f->error));
    must(f, ops->reader_open(f->s, &f->r, &f->error));
    *state = f;
    return 0;
}

static int set_up_memory(void **state) {
    return set_up(state, &store_memory_ops);
}

static int set_up_sqlite(void **state) {
    return set_up(state, &store_sqlite_ops);
}

static int tear_down(void **state) {
    fixture *f = *state;
    f->ops->reader_close(f->r);
    f->ops->close(f->s);
    kit_directory_remove(&f->directory);
    free(f);
    return 0;
}

static void begin(fixture *f) {
    must(f, f->ops->begin(f->s, &f->error));
}

static void commit(fixture *f) {
    must(f, f->ops->commit(f->s, &f->error));
}

static uint64_t take(fixture *f, uint64_t count) {
    uint64_t first = 0;
    must(f, f->ops->take_seq(f->s, count, &first, &f->error));
    return first;
}

static bool append(fixture *f, const store_history *entry) {
    bool added = false;
    must(f, f->ops->append(f->s, entry, &added, &f->error));
    return added;
}

static bool is_there(fixture *f, uint64_t number) {
    store_row row;
    lp_id id = kit_id(number);
    lp_err err = f->ops->load(f->s, &id, &row, &f->error);
    assert_true(err == LP_OK || err == LP_NOT_FOUND);
    return err == LP_OK;
}

static store_counts counts(fixture *f) {
    store_counts c;
    must(f, f->ops->snapshot(f->r, &f->error));
    must(f, f->ops->counts(f->r, &c, &f->error));
    f->ops->snapshot_end(f->r);
    return c;
}

static void put_text(fixture *f, store_space space, const char *key, const char *value) {
    must(f, f->ops->put(f->s, space, span_text(key), span_text(value), &f->error));
}

static void assert_text(fixture *f, store_space space, const char *key, const char *value) {
    span found = {0};
    lp_err err = f->ops->get(f->s, space, span_text(key), &found, &f->error);
    assert_int_equal(err, value ? LP_OK : LP_NOT_FOUND);
    assert_true(!value || span_equal(found, span_text(value)));
}

static void verify(fixture *f, lp_err expected) {
    must(f, f->ops->snapshot(f->r, &f->error));
    lp_err err = f->ops->verify(f->r, NULL, NULL, &f->error);
    if (err != expected)
        print_error("verify: %s\n", f->error.message);
    assert_int_equal(err, expected);
    f->ops->snapshot_end(f->r);
}

/* What an iteration met, written down: seqs of rows, bodies of history, key=value of documents. */
typedef struct notes {
    char text[512];
    uint32_t count;
    uint32_t limit; /* stop after so many; 0: never */
} notes;

static bool more(notes *n) {
    return ++n->count != n->limit;
}

static bool note_row(void *ctx, const store_row *row) {
    notes *n = ctx;
    size_t at = strlen(n->text);
    snprintf(n->text + at, sizeof n->text - at, "%llu ", (unsigned long long)row->seq);
    return more(n);
}

static bool note_entry(void *ctx, const store_history *entry) {
    notes *n = ctx;
    size_t at = strlen(n->text);
    snprintf(n->text + at, sizeof n->text - at, "%.*s ", (int)entry->body.size, (const char *)entry->body.data);
    return more(n);
}

static bool note_document(void *ctx, span key, span value) {
    notes *n = ctx;
    size_t at = strlen(n->text);
    snprintf(n->text + at, sizeof n->text - at, "%.*s=%.*s ", (int)key.size, (const char *)key.data, (int)value.size,
             (const char *)value.data);
    return more(n);
}

static void assert_feed(fixture *f, scope_class scope, uint64_t after, uint32_t limit, const char *expected) {
    notes n = {.limit = limit};
    must(f, f->ops->feed(f->r, scope, after, note_row, &n, &f->error));
    assert_string_equal(n.text, expected);
}

static void assert_history(fixture *f, uint64_t number, const char *expected) {
    notes n = {0};
    lp_id id = kit_id(number);
    must(f, f->ops->history(f->s, &id, note_entry, &n, &f->error));
    assert_string_equal(n.text, expected);
}

static void assert_documents(fixture *f, store_space space, span prefix, uint32_t limit, const char *expected) {
    notes n = {.limit = limit};
    must(f, f->ops->each(f->s, space, prefix, note_document, &n, &f->error));
    assert_string_equal(n.text, expected);
}

/* --- sentences --- */

static void every_slot_is_filled(void **state) {
    fixture *f = *state;
    assert_true(store_ops_complete(f->ops));
    for (size_t slot = 0; slot < sizeof *f->ops / sizeof(void *); slot++) {
        store_ops holed = *f->ops;
        memset((uint8_t *)&holed + slot * sizeof(void *), 0, sizeof(void *));
        assert_false(store_ops_complete(&holed));
    }
}

static void a_new_store_is_empty_and_sound(void **state) {
    fixture *f = *state;
    store_counts c = counts(f);
    assert_int_equal(c.last_seq + c.leads + c.records + c.history, 0);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_feed(f, SCOPE_POOL, 0, 0, "");
    verify(f, LP_OK);
}

static void opening_what_is_not_there_is_not_found(void **state) {
    fixture *f = *state;
    kit_directory empty;
    kit_directory_make(&empty);
    store *other = NULL;
    lp_error error = {0};
    assert_int_equal(f->ops->open(empty.path, false, &other, &error), LP_NOT_FOUND);
    assert_null(other);
    assert_string_not_equal(error.message, "");
    kit_directory_remove(&empty);
}

static void a_saved_row_is_loaded_byte_for_byte(void **state) {
    fixture *f = *state;
    begin(f);
    kit_lead lead = {0};
    kit_lead_make(&lead, KIND_LEAD, 1, take(f, 1), false, 300000);
    must(f, f->ops->save(f->s, &lead.row, &f->error));
    store_row row;
    must(f, f->ops->load(f->s, &lead.row.id, &row, &f->error));
    assert_int_equal(row.kind, KIND_LEAD);
    assert_true(id_equal(&row.id, &lead.row.id));
    assert_int_equal(row.scope, SCOPE_POOL);
    assert_int_equal(row.seq, 1);
    assert_false(row.deleted);
    assert_true(span_equal(row.body, lead.row.body));
    assert_true(span_equal(row.stamps, lead.row.stamps));
    kit_lead_fini(&lead);
    commit(f);
}

static void a_row_unknown_is_not_found_and_leaves_the_error_alone(void **state) {
    fixture *f = *state;
    begin(f);
    lp_error untouched = {LP_BUSY, "as it was"};
    lp_id id = kit_id(1);
    store_row row;
    assert_int_equal(f->ops->load(f->s, &id, &row, &untouched), LP_NOT_FOUND);
    assert_int_equal(f->ops->load(f->s, &id, &row, &untouched), LP_NOT_FOUND);
    assert_string_equal(untouched.message, "as it was");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_int_equal(f->ops->read(f->r, &id, &row, &untouched), LP_NOT_FOUND);
    assert_string_equal(untouched.message, "as it was");
}

static void saving_again_replaces_and_moves_the_row_in_the_feed(void **state) {
    fixture *f = *state;
    begin(f);
    kit_save(f->s, 1, false);
    kit_save(f->s, 2, false);
    kit_save(f->s, 1, false);
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_feed(f, SCOPE_POOL, 0, 0, "2 3 ");
    assert_int_equal(counts(f).records, 2);
    kit_commit_lead(f->s, 2);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_feed(f, SCOPE_POOL, 0, 0, "3 4 ");
    verify(f, LP_OK);
}

static void bytes_just_loaded_can_be_saved(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    begin(f);
    lp_id id = kit_id(1);
    store_row row;
    must(f, f->ops->load(f->s, &id, &row, &f->error));
    kit_lead lead = {0};
    kit_lead_make(&lead, KIND_LEAD, 1, take(f, 1), false, 40);
    row.seq = lead.row.seq;
    row.stamps = lead.row.stamps;
    must(f, f->ops->load(f->s, &id, &row, &f->error));
    row.seq = lead.row.seq;
    must(f, f->ops->save(f->s, &row, &f->error));
    must(f, f->ops->load(f->s, &id, &row, &f->error));
    assert_true(span_equal(row.body, lead.row.body));
    kit_lead_fini(&lead);
    commit(f);
}

static void seqs_are_handed_out_in_blocks_without_gaps(void **state) {
    fixture *f = *state;
    begin(f);
    assert_int_equal(take(f, 1), 1);
    assert_int_equal(take(f, 5), 2);
    assert_int_equal(take(f, 1), 7);
    commit(f);
    assert_int_equal(counts(f).last_seq, 7);
    begin(f);
    assert_int_equal(take(f, 1), 8);
    commit(f);
}

static void rollback_gives_rows_seqs_history_documents_and_counts_back(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    begin(f);
    uint64_t seq = kit_save(f->s, 2, false);
    kit_save(f->s, 1, true);
    store_history entry = kit_entry(2, 1, seq, "a");
    append(f, &entry);
    put_text(f, STORE_META, "k", "v");
    f->ops->rollback(f->s);
    store_counts c = counts(f);
    assert_int_equal(c.last_seq, 1);
    assert_int_equal(c.records, 1);
    assert_int_equal(c.leads, 1);
    assert_int_equal(c.history, 0);
    begin(f);
    assert_false(is_there(f, 2));
    assert_text(f, STORE_META, "k", NULL);
    assert_history(f, 2, "");
    assert_int_equal(kit_save(f->s, 2, false), 2);
    commit(f);
    verify(f, LP_OK);
}

static void rollback_without_a_transaction_is_harmless(void **state) {
    fixture *f = *state;
    f->ops->rollback(f->s);
    kit_commit_lead(f->s, 1);
    f->ops->rollback(f->s);
    assert_int_equal(counts(f).records, 1);
}

static void undo_gives_back_what_came_after_the_savepoint_only(void **state) {
    fixture *f = *state;
    begin(f);
    kit_save(f->s, 1, false);
    put_text(f, STORE_META, "k", "before");
    must(f, f->ops->savepoint(f->s, &f->error));
    uint64_t seq = kit_save(f->s, 2, false);
    kit_save(f->s, 1, true);
    store_history entry = kit_entry(3, 1, seq, "a");
    append(f, &entry);
    put_text(f, STORE_META, "k", "after");
    must(f, f->ops->undo(f->s, &f->error));
    assert_false(is_there(f, 2));
    assert_true(is_there(f, 1));
    assert_text(f, STORE_META, "k", "before");
    assert_history(f, 3, "");
    must(f, f->ops->savepoint(f->s, &f->error));
    assert_int_equal(kit_save(f->s, 3, false), 2);
    must(f, f->ops->release(f->s, &f->error));
    commit(f);
    store_counts c = counts(f);
    assert_int_equal(c.last_seq, 2);
    assert_int_equal(c.leads, 2);
    assert_int_equal(c.records, 2);
    assert_int_equal(c.history, 0);
    verify(f, LP_OK);
}

static void rollback_takes_a_released_and_an_open_savepoint_along(void **state) {
    fixture *f = *state;
    begin(f);
    must(f, f->ops->savepoint(f->s, &f->error));
    kit_save(f->s, 1, false);
    must(f, f->ops->release(f->s, &f->error));
    must(f, f->ops->savepoint(f->s, &f->error));
    kit_save(f->s, 2, false);
    f->ops->rollback(f->s);
    assert_int_equal(counts(f).last_seq, 0);
    assert_int_equal(kit_commit_lead(f->s, 2), 1);
}

static void live_leads_are_counted_and_nothing_else(void **state) {
    fixture *f = *state;
    begin(f);
    kit_save(f->s, 1, false);
    kit_save(f->s, 2, false);
    kit_save(f->s, 3, true);
    kit_lead touch = {0};
    kit_lead_make(&touch, KIND_TOUCH, 4, take(f, 1), false, 0);
    must(f, f->ops->save(f->s, &touch.row, &f->error));
    kit_lead_fini(&touch);
    commit(f);
    assert_int_equal(counts(f).leads, 2);
    assert_int_equal(counts(f).records, 4);
    begin(f);
    kit_save(f->s, 1, true);
    kit_save(f->s, 3, false);
    kit_save(f->s, 2, true);
    kit_save(f->s, 2, true);
    commit(f);
    assert_int_equal(counts(f).leads, 1);
    assert_int_equal(counts(f).records, 4);
}

static void the_same_change_set_is_appended_once(void **state) {
    fixture *f = *state;
    begin(f);
    store_history entry = kit_entry(1, 1, take(f, 1), "a");
    assert_true(append(f, &entry));
    assert_false(append(f, &entry));
    store_history later = kit_entry(1, 1, take(f, 1), "a");
    assert_false(append(f, &later));
    commit(f);
    begin(f);
    assert_false(append(f, &later));
    commit(f);
    assert_int_equal(counts(f).history, 1);
}

static void another_body_or_base_or_stamp_or_record_is_another_entry(void **state) {
    fixture *f = *state;
    begin(f);
    store_history entry = kit_entry(1, 1, take(f, 1), "a");
    assert_true(append(f, &entry));
    store_history body = kit_entry(1, 1, take(f, 1), "b");
    assert_true(append(f, &body));
    store_history base = kit_entry(1, 1, take(f, 1), "a");
    base.bases = SPAN_LITERAL("other  bytes");
    assert_true(append(f, &base));
    store_history later = kit_entry(1, 2, take(f, 1), "a");
    assert_true(append(f, &later));
    store_history elsewhere = kit_entry(2, 1, take(f, 1), "a");
    assert_true(append(f, &elsewhere));
    commit(f);
    assert_int_equal(counts(f).history, 5);
    verify(f, LP_OK);
}

static void history_may_come_before_its_row_or_without_one(void **state) {
    fixture *f = *state;
    begin(f);
    store_history entry = kit_entry(1, 1, take(f, 1), "a");
    append(f, &entry);
    assert_false(is_there(f, 1));
    kit_save(f->s, 1, false);
    store_history orphan = kit_entry(2, 1, take(f, 1), "b");
    append(f, &orphan);
    commit(f);
    begin(f);
    assert_history(f, 1, "a ");
    assert_history(f, 2, "b ");
    assert_false(is_there(f, 2));
    commit(f);
    assert_int_equal(counts(f).records, 1);
    verify(f, LP_OK);
}

static bool count_row(void *ctx, const store_row *row) {
    uint32_t *count = ctx;
    assert_false(id_is_nil(&row->id));
    ++*count;
    return *count < 100;
}

static uint32_t count_rows(fixture *f, bool deleted_only) {
    uint32_t count = 0;
    must(f, f->ops->rows(f->s, deleted_only, count_row, &count, &f->error));
    return count;
}

static void what_is_dropped_is_gone_and_counted_so(void **state) {
    fixture *f = *state;
    begin(f);
    for (uint64_t n = 1; n <= 3; n++) {
        kit_save(f->s, n, n == 3);
        store_history entry = kit_entry(n, 1, take(f, 1), "a");
        append(f, &entry);
    }
    commit(f);
    begin(f);
    lp_id one = kit_id(1), two = kit_id(2), nobody = kit_id(9);
    assert_int_equal(count_rows(f, false), 3);
    assert_int_equal(count_rows(f, true), 1);
    must(f, f->ops->drop_history(f->s, &one, &f->error));
    must(f, f->ops->drop_row(f->s, &one, &f->error));
    must(f, f->ops->drop_row(f->s, &one, &f->error));
    must(f, f->ops->drop_history(f->s, &two, &f->error));
    must(f, f->ops->drop_history(f->s, &nobody, &f->error));
    must(f, f->ops->drop_row(f->s, &nobody, &f->error));
    assert_false(is_there(f, 1));
    assert_history(f, 1, "");
    assert_int_equal(count_rows(f, false), 2);
    commit(f);
    must(f, f->ops->scrub(f->s, &f->error));
    store_counts c = counts(f);
    assert_int_equal(c.records, 2);
    assert_int_equal(c.leads, 1);
    assert_int_equal(c.history, 1);
    verify(f, LP_OK);
    /* What was dropped may come again. */
    begin(f);
    kit_save(f->s, 1, false);
    store_history again = kit_entry(1, 1, take(f, 1), "a");
    assert_true(append(f, &again));
    commit(f);
    assert_int_equal(counts(f).records, 3);
    verify(f, LP_OK);
}

static bool is_whole(void *ctx, const store_history *entry) {
    const store_history *sent = ctx;
    assert_int_equal(entry->seq, sent->seq);
    assert_true(id_equal(&entry->id, &sent->id));
    assert_int_equal(stamp_compare(entry->stamp, sent->stamp), 0);
    assert_true(id_equal(&entry->person, &sent->person));
    assert_int_equal(entry->device_ms, sent->device_ms);
    assert_int_equal(entry->server_ms, sent->server_ms);
    assert_int_equal(entry->uncertain, sent->uncertain);
    assert_true(span_equal(entry->bases, sent->bases));
    assert_true(span_equal(entry->body, sent->body));
    return true;
}

static void history_comes_back_whole_oldest_stamp_first(void **state) {
    fixture *f = *state;
    begin(f);
    store_history third = kit_entry(1, 300, take(f, 1), "3");
    store_history first = kit_entry(1, 2, take(f, 1), "1");
    store_history second = kit_entry(1, 2, take(f, 1), "2");
    store_history other = kit_entry(2, 1, take(f, 1), "x");
    third.uncertain = true;
    append(f, &third);
    append(f, &first);
    append(f, &second);
    append(f, &other);
    assert_history(f, 1, "1 2 3 ");
    notes at = {0};
    must(f, f->ops->history_at(f->s, &first.id, first.stamp, note_entry, &at, &f->error));
    assert_string_equal(at.text, "1 2 ");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    notes n = {.limit = 2};
    must(f, f->ops->read_history(f->r, &first.id, note_entry, &n, &f->error));
    assert_string_equal(n.text, "1 2 ");
    must(f, f->ops->read_history(f->r, &other.id, is_whole, &other, &f->error));
}

static void documents_are_put_replaced_and_deleted_by_an_empty_value(void **state) {
    fixture *f = *state;
    begin(f);
    lp_error untouched = {LP_BUSY, "as it was"};
    span value;
    assert_int_equal(f->ops->get(f->s, STORE_META, span_text("k"), &value, &untouched), LP_NOT_FOUND);
    assert_string_equal(untouched.message, "as it was");
    put_text(f, STORE_META, "k", "one");
    put_text(f, STORE_STAFF, "k", "another space");
    assert_text(f, STORE_META, "k", "one");
    put_text(f, STORE_META, "k", "two");
    assert_text(f, STORE_META, "k", "two");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    must(f, f->ops->read_document(f->r, STORE_META, span_text("k"), &value, &f->error));
    assert_true(span_equal(value, span_text("two")));
    begin(f);
    put_text(f, STORE_META, "k", "");
    put_text(f, STORE_META, "never there", "");
    assert_text(f, STORE_META, "k", NULL);
    assert_text(f, STORE_STAFF, "k", "another space");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_int_equal(f->ops->read_document(f->r, STORE_META, span_text("k"), &value, &untouched), LP_NOT_FOUND);
}

static void the_next_document_is_found_from_any_key(void **state) {
    fixture *f = *state;
    span key, value;
    begin(f);
    put_text(f, STORE_STAFF, "z", "0");
    put_text(f, STORE_TAG, "b", "1");
    put_text(f, STORE_TAG, "d", "2");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    must(f, f->ops->read_next(f->r, STORE_TAG, (span){0}, &key, &value, &f->error));
    assert_true(span_equal(key, span_text("b")) && span_equal(value, span_text("1")));
    must(f, f->ops->read_next(f->r, STORE_TAG, span_text("b"), &key, &value, &f->error));
    assert_true(span_equal(key, span_text("b")));
    must(f, f->ops->read_next(f->r, STORE_TAG, span_text("bb"), &key, &value, &f->error));
    assert_true(span_equal(key, span_text("d")) && span_equal(value, span_text("2")));
    assert_int_equal(f->ops->read_next(f->r, STORE_TAG, span_text("e"), &key, &value, &f->error), LP_NOT_FOUND);
    assert_int_equal(f->ops->read_next(f->r, STORE_DEVICE, span_text("a"), &key, &value, &f->error), LP_NOT_FOUND);
}

static void documents_are_listed_by_prefix_in_order_of_key(void **state) {
    fixture *f = *state;
    begin(f);
    put_text(f, STORE_DEVICE, "b", "4");
    put_text(f, STORE_DEVICE, "aa", "2");
    put_text(f, STORE_DEVICE, "a", "1");
    put_text(f, STORE_DEVICE, "ab", "3");
    put_text(f, STORE_BATCH, "a", "x");
    put_text(f, STORE_DEVICE, "\xff\xff", "5");
    put_text(f, STORE_DEVICE, "ac", "gone");
    put_text(f, STORE_DEVICE, "ac", "");
    assert_documents(f, STORE_DEVICE, (span){0}, 0, "a=1 aa=2 ab=3 b=4 \xff\xff=5 ");
    assert_documents(f, STORE_DEVICE, span_text("a"), 0, "a=1 aa=2 ab=3 ");
    assert_documents(f, STORE_DEVICE, span_text("a"), 2, "a=1 aa=2 ");
    assert_documents(f, STORE_DEVICE, span_text("\xff"), 0, "\xff\xff=5 ");
    assert_documents(f, STORE_DEVICE, span_text("abc"), 0, "");
    assert_documents(f, STORE_INVITE, (span){0}, 0, "");
    commit(f);
}

static void assert_read(fixture *f, const char *prefix, const char *after, uint32_t limit, const char *expected) {
    notes n = {.limit = limit};
    must(f, f->ops->read_documents(f->r, STORE_MEMBER_FEED, span_text(prefix), span_text(after), note_document, &n,
                                   &f->error));
    assert_string_equal(n.text, expected);
}

static void a_reader_walks_documents_after_a_key_within_a_prefix(void **state) {
    fixture *f = *state;
    begin(f);
    put_text(f, STORE_MEMBER_FEED, "b3", "3");
    put_text(f, STORE_MEMBER_FEED, "a9", "0");
    put_text(f, STORE_MEMBER_FEED, "b1", "1");
    put_text(f, STORE_MEMBER_FEED, "b", "b");
    put_text(f, STORE_MEMBER_FEED, "b22", "22");
    put_text(f, STORE_MEMBER_FEED, "b2", "2");
    put_text(f, STORE_MEMBER_FEED, "c1", "4");
    put_text(f, STORE_MEMBER, "b4", "another space");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_read(f, "b", "", 0, "b=b b1=1 b2=2 b22=22 b3=3 ");
    assert_read(f, "b", "b1", 0, "b2=2 b22=22 b3=3 ");
    assert_read(f, "b", "b11", 0, "b2=2 b22=22 b3=3 ");
    assert_read(f, "b", "b", 2, "b1=1 b2=2 ");
    assert_read(f, "b", "b3", 0, "");
    assert_read(f, "b", "bz", 0, "");
    assert_read(f, "d", "", 0, "");
    assert_read(f, "", "b3", 0, "c1=4 ");
    /* What is not committed, or came after the snapshot, is not there. */
    begin(f);
    put_text(f, STORE_MEMBER_FEED, "b4", "5");
    put_text(f, STORE_MEMBER_FEED, "b3", "");
    assert_read(f, "b", "b22", 0, "b3=3 ");
    commit(f);
    assert_read(f, "b", "b22", 0, "b3=3 ");
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_read(f, "b", "b22", 0, "b4=5 ");
}

typedef struct look_aside {
    fixture *fixture;
    notes found;
} look_aside;

/* As the feed of a narrow scope does: each id leads to its membership. */
static bool look(void *ctx, span key, span value) {
    look_aside *l = ctx;
    span aside;
    (void)key;
    must(l->fixture, l->fixture->ops->read_document(l->fixture->r, STORE_MEMBER, value, &aside, &l->fixture->error));
    return note_document(&l->found, value, aside);
}

static void a_walk_over_documents_may_read_others(void **state) {
    fixture *f = *state;
    look_aside l = {.fixture = f};
    begin(f);
    put_text(f, STORE_MEMBER_FEED, "1", "x");
    put_text(f, STORE_MEMBER_FEED, "2", "y");
    put_text(f, STORE_MEMBER, "x", "first");
    put_text(f, STORE_MEMBER, "y", "second");
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    must(f, f->ops->read_documents(f->r, STORE_MEMBER_FEED, (span){0}, (span){0}, look, &l, &f->error));
    assert_string_equal(l.found.text, "x=first y=second ");
}

static void the_feed_is_in_order_bounded_and_stops_when_told(void **state) {
    fixture *f = *state;
    begin(f);
    for (uint64_t i = 1; i <= 5; i++)
        kit_save(f->s, 6 - i, i == 3);
    kit_lead staff = {0};
    kit_lead_make(&staff, KIND_STAFF, 9, take(f, 1), false, 0);
    must(f, f->ops->save(f->s, &staff.row, &f->error));
    kit_lead_fini(&staff);
    commit(f);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_feed(f, SCOPE_POOL, 0, 0, "1 2 3 4 5 ");
    assert_feed(f, SCOPE_POOL, 2, 0, "3 4 5 ");
    assert_feed(f, SCOPE_POOL, 2, 2, "3 4 ");
    assert_feed(f, SCOPE_POOL, 5, 0, "");
    assert_feed(f, SCOPE_POOL, UINT64_MAX, 0, "");
    assert_feed(f, SCOPE_SETUP, 0, 0, "6 ");
}

static void an_open_transaction_is_invisible_to_readers(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    begin(f);
    uint64_t seq = kit_save(f->s, 2, false);
    kit_save(f->s, 1, true);
    store_history entry = kit_entry(1, 1, seq, "a");
    append(f, &entry);
    put_text(f, STORE_META, "k", "v");
    store_counts c = counts(f);
    assert_int_equal(c.last_seq, 1);
    assert_int_equal(c.leads, 1);
    assert_int_equal(c.history, 0);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_feed(f, SCOPE_POOL, 0, 0, "1 ");
    span value;
    assert_int_equal(f->ops->read_document(f->r, STORE_META, span_text("k"), &value, NULL), LP_NOT_FOUND);
    notes n = {0};
    must(f, f->ops->read_history(f->r, &entry.id, note_entry, &n, &f->error));
    assert_string_equal(n.text, "");
    commit(f);
}

static void a_snapshot_stands_still_until_the_next_one(void **state) {
    fixture *f = *state;
    kit_commit_lead(f->s, 1);
    must(f, f->ops->snapshot(f->r, &f->error));
    begin(f);
    kit_save(f->s, 1, true);
    put_text(f, STORE_META, "k", "v");
    commit(f);
    kit_commit_lead(f->s, 2);
    kit_commit_lead(f->s, 1);
    assert_feed(f, SCOPE_POOL, 0, 0, "1 ");
    store_row row;
    lp_id id = kit_id(1);
    must(f, f->ops->read(f->r, &id, &row, &f->error));
    assert_int_equal(row.seq, 1);
    id = kit_id(2);
    assert_int_equal(f->ops->read(f->r, &id, &row, NULL), LP_NOT_FOUND);
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_feed(f, SCOPE_POOL, 0, 0, "3 4 ");
    f->ops->snapshot_end(f->r);
    f->ops->snapshot_end(f->r);
}

static void two_readers_hold_two_snapshots(void **state) {
    fixture *f = *state;
    store_reader *other = NULL;
    must(f, f->ops->reader_open(f->s, &other, &f->error));
    kit_commit_lead(f->s, 1);
    must(f, f->ops->snapshot(f->r, &f->error));
    kit_commit_lead(f->s, 1);
    must(f, f->ops->snapshot(other, &f->error));
    kit_commit_lead(f->s, 1);
    assert_feed(f, SCOPE_POOL, 0, 0, "1 ");
    notes n = {0};
    must(f, f->ops->feed(other, SCOPE_POOL, 0, note_row, &n, &f->error));
    assert_string_equal(n.text, "2 ");
    f->ops->reader_close(other);
    assert_feed(f, SCOPE_POOL, 0, 0, "1 ");
    kit_commit_lead(f->s, 1);
    assert_feed(f, SCOPE_POOL, 0, 0, "1 ");
}

static void closing_rolls_an_open_transaction_back(void **state) {
    fixture *f = *state;
    begin(f);
    kit_save(f->s, 1, false);
    /* tear_down closes: nothing may leak or hang. */
}

static void verify_finds_a_row_that_does_not_unpack(void **state) {
    fixture *f = *state;
    begin(f);
    kit_lead lead = {0};
    kit_lead_make(&lead, KIND_LEAD, 1, take(f, 1), false, 40);
    lead.row.body.size -= 3;
    must(f, f->ops->save(f->s, &lead.row, &f->error));
    kit_lead_fini(&lead);
    commit(f);
    verify(f, LP_CORRUPT);
    assert_non_null(strstr(f->error.message, "01000000-0000-0000-0000-000000000001"));
}

static void verify_finds_a_row_that_differs_from_its_registers(void **state) {
    fixture *f = *state;
    begin(f);
    kit_lead lead = {0};
    take(f, 2);
    kit_lead_make(&lead, KIND_LEAD, 1, 1, false, 40);
    lead.row.seq = 2;
    must(f, f->ops->save(f->s, &lead.row, &f->error));
    kit_lead_fini(&lead);
    commit(f);
    verify(f, LP_CORRUPT);
}

static void verify_finds_a_seq_used_twice(void **state) {
    fixture *f = *state;
    begin(f);
    uint64_t seq = take(f, 1);
    kit_lead lead = {0};
    for (uint64_t i = 1; i <= 2; i++) {
        kit_lead_make(&lead, KIND_LEAD, i, seq, false, 40);
        must(f, f->ops->save(f->s, &lead.row, &f->error));
    }
    kit_lead_fini(&lead);
    commit(f);
    verify(f, LP_CORRUPT);
}

static void verify_finds_a_seq_used_twice_in_history(void **state) {
    fixture *f = *state;
    begin(f);
    uint64_t seq = take(f, 1);
    store_history one = kit_entry(1, 1, seq, "a"), two = kit_entry(2, 1, seq, "b");
    append(f, &one);
    append(f, &two);
    commit(f);
    verify(f, LP_CORRUPT);
}

static bool give_up(void *ctx, uint64_t done, uint64_t total) {
    (void)done;
    (void)total;
    ++*(int *)ctx;
    return false;
}

static void verify_can_be_given_up(void **state) {
    fixture *f = *state;
    begin(f);
    for (uint64_t i = 1; i <= 2000; i++)
        kit_save(f->s, i, false);
    commit(f);
    int calls = 0;
    must(f, f->ops->snapshot(f->r, &f->error));
    assert_int_equal(f->ops->verify(f->r, give_up, &calls, &f->error), LP_CLOSED);
    assert_int_equal(calls, 1);
    verify(f, LP_OK);
}

/* --- readers beside a writer --- */

typedef struct watch {
    fixture *f;
    store_reader *r;
    atomic_bool *done;
    uint64_t after;
    uint64_t last_seq;
    uint64_t rows;
    uint64_t snapshots;
    bool failed;
} watch;

static bool watch_row(void *ctx, const store_row *row) {
    watch *w = ctx;
    w->failed |= row->seq <= w->after || row->seq > w->last_seq;
    w->after = row->seq;
    w->rows++;
    return true;
}

/* Invariant (4): every seq of these rows is used once and never replaced, so rows up to last_seq are exactly last_seq many. */
static void watch_once(watch *w) {
    store_counts c = {0};
    w->failed |= w->f->ops->snapshot(w->r, NULL) != LP_OK;
    w->failed |= w->f->ops->counts(w->r, &c, NULL) != LP_OK;
    w->after = w->rows = 0;
    w->last_seq = c.last_seq;
    w->failed |= w->f->ops->feed(w->r, SCOPE_POOL, 0, watch_row, w, NULL) != LP_OK;
    w->failed |= w->rows != c.last_seq || c.records != c.last_seq || c.leads != c.last_seq;
    w->f->ops->snapshot_end(w->r);
    w->snapshots++;
}

static void *watch_all(void *ctx) {
    watch *w = ctx;
    while (!atomic_load(w->done))
        watch_once(w);
    watch_once(w);
    return NULL;
}

static void snapshots_are_whole_while_a_writer_commits(void **state) {
    fixture *f = *state;
    atomic_bool done = false;
    watch watches[2] = {{.f = f, .done = &done}, {.f = f, .done = &done}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        must(f, f->ops->reader_open(f->s, &watches[i].r, &f->error));
        assert_int_equal(pthread_create(&threads[i], NULL, watch_all, &watches[i]), 0);
    }
    uint64_t number = 0;
    for (int i = 0; i < 150; i++) {
        begin(f);
        for (int n = 0; n < 4; n++)
            kit_save(f->s, ++number, false);
        must(f, f->ops->savepoint(f->s, &f->error));
        kit_save(f->s, number + 1, false);
        must(f, i % 2 ? f->ops->undo(f->s, &f->error) : f->ops->release(f->s, &f->error));
        number += i % 2 == 0;
        if (i % 7 == 3) {
            f->ops->rollback(f->s);
            number = counts(f).last_seq;
        } else {
            commit(f);
        }
    }
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_false(watches[i].failed);
        assert_int_equal(watches[i].last_seq, number);
        f->ops->reader_close(watches[i].r);
    }
    verify(f, LP_OK);
}

/* --- two engines side by side --- */

#define RECORDS 40

static void append_number(buf *b, uint64_t number) {
    buf_append_varint(b, number);
}

static bool print_row(void *ctx, const store_row *row) {
    buf *b = ctx;
    append_number(b, row->kind);
    buf_append_span(b, id_span(&row->id));
    append_number(b, row->scope);
    append_number(b, row->seq);
    append_number(b, row->deleted);
    append_number(b, row->body.size);
    buf_append_span(b, row->body);
    buf_append_span(b, row->stamps);
    return true;
}

static bool print_entry(void *ctx, const store_history *entry) {
    buf *b = ctx;
    uint8_t packed[STAMP_BYTES];
    stamp_pack(entry->stamp, packed);
    buf_append(b, packed, sizeof packed);
    append_number(b, entry->seq);
    buf_append_span(b, entry->body);
    buf_append_span(b, entry->bases);
    return true;
}

static bool print_document(void *ctx, span key, span value) {
    buf *b = ctx;
    buf_append_span(b, key);
    buf_append_byte(b, '=');
    buf_append_span(b, value);
    return true;
}

/* Everything a reader can see, as bytes. */
static void print_snapshot(fixture *f, buf *b) {
    store_counts c;
    must(f, f->ops->counts(f->r, &c, &f->error));
    append_number(b, c.last_seq);
    append_number(b, c.leads);
    append_number(b, c.records);
    append_number(b, c.history);
    must(f, f->ops->feed(f->r, SCOPE_SETUP, 0, print_row, b, &f->error));
    must(f, f->ops->feed(f->r, SCOPE_POOL, c.last_seq / 2, print_row, b, &f->error));
    for (uint64_t i = 0; i < RECORDS; i++) {
        lp_id id = kit_id(i);
        store_row row;
        if (f->ops->read(f->r, &id, &row, &f->error) == LP_OK)
            print_row(b, &row);
        must(f, f->ops->read_history(f->r, &id, print_entry, b, &f->error));
    }
}

static void random_save(fixture *f, prop *p, buf *b) {
    static const uint32_t kinds[] = {KIND_LEAD, KIND_LEAD, KIND_TOUCH, KIND_STAFF};
    uint64_t number = prop_below(p, RECORDS);
    uint64_t first = take(f, 1 + prop_below(p, 3));
    kit_lead lead = {0};
    kit_lead_make(&lead, kinds[number % 4], number, first, prop_chance(p, 30), prop_below(p, 900));
    store_row row;
    lp_id id = kit_id(number);
    if (prop_chance(p, 50) && f->ops->load(f->s, &id, &row, &f->error) == LP_OK)
        print_row(b, &row);
    must(f, f->ops->save(f->s, &lead.row, &f->error));
    kit_lead_fini(&lead);
}

static void random_append(fixture *f, prop *p, buf *b) {
    static const char *const bodies[] = {"a", "b", ""};
    uint64_t number = prop_below(p, RECORDS), at = prop_below(p, 4);
    store_history entry = kit_entry(number, at, take(f, 1), bodies[prop_below(p, 3)]);
    append_number(b, append(f, &entry));
    must(f, f->ops->history(f->s, &entry.id, print_entry, b, &f->error));
    must(f, f->ops->history_at(f->s, &entry.id, entry.stamp, print_entry, b, &f->error));
}

static void random_drop(fixture *f, prop *p, buf *b) {
    lp_id id = kit_id(prop_below(p, RECORDS));
    if (prop_chance(p, 60))
        must(f, f->ops->drop_history(f->s, &id, &f->error));
    if (prop_chance(p, 60))
        must(f, f->ops->drop_row(f->s, &id, &f->error));
    must(f, f->ops->history(f->s, &id, print_entry, b, &f->error));
    append_number(b, count_rows(f, prop_chance(p, 50)));
}

static void random_document(fixture *f, prop *p, buf *b) {
    uint8_t key[3], value[40];
    prop_bytes(p, value, sizeof value);
    size_t size = prop_below(p, sizeof key + 1);
    for (size_t i = 0; i < size; i++)
        key[i] = prop_chance(p, 50) ? 0xff : 'a';
    store_space space = (store_space)(1 + prop_below(p, 2));
    span name = span_of(key, size);
    must(f, f->ops->put(f->s, space, name, span_of(value, prop_below(p, sizeof value)), &f->error));
    span found;
    if (f->ops->get(f->s, space, name, &found, &f->error) == LP_OK)
        print_document(b, name, found);
    must(f, f->ops->each(f->s, space, span_of(key, prop_below(p, size + 1)), print_document, b, &f->error));
}

static void random_transaction(fixture *f, prop *p, buf *b) {
    begin(f);
    bool marked = false;
    for (uint64_t left = prop_below(p, 12); left; left--) {
        uint64_t choice = prop_below(p, 9);
        if (choice < 3)
            random_save(f, p, b);
        else if (choice < 5)
            random_append(f, p, b);
        else if (choice < 6)
            random_document(f, p, b);
        else if (choice < 7)
            random_drop(f, p, b);
        else if (!marked)
            must(f, f->ops->savepoint(f->s, &f->error));
        else
            must(f, prop_chance(p, 50) ? f->ops->undo(f->s, &f->error) : f->ops->release(f->s, &f->error));
        marked = choice < 7 ? marked : !marked;
    }
    if (prop_chance(p, 25)) {
        f->ops->rollback(f->s);
        return;
    }
    if (marked)
        must(f, f->ops->release(f->s, &f->error));
    commit(f);
}

static void run_round(const store_ops *ops, prop p, buf *b) {
    void *state = NULL;
    set_up(&state, ops);
    fixture *f = state;
    must(f, ops->snapshot(f->r, &f->error));
    for (int i = 0; i < 25; i++) {
        random_transaction(f, &p, b);
        if (prop_chance(&p, 30))
            must(f, ops->snapshot(f->r, &f->error));
        print_snapshot(f, b);
    }
    tear_down(&state);
}

static void any_operations_give_the_same_answers_on_both_engines(void **state) {
    (void)state;
    prop p = prop_begin("store");
    for (uint32_t i = 0; i < prop_rounds(12); i++) {
        prop_round(&p, i);
        buf memory = {0}, sqlite = {0};
        run_round(&store_memory_ops, p, &memory);
        run_round(&store_sqlite_ops, p, &sqlite);
        assert_true(prop_holds(&p, span_equal(buf_span(&memory), buf_span(&sqlite)), "memory and sqlite answer alike"));
        buf_fini(&memory);
        buf_fini(&sqlite);
    }
}

#define TESTS(T)                                                                                                       \
    T(every_slot_is_filled)                                                                                            \
    T(a_new_store_is_empty_and_sound)                                                                                  \
    T(opening_what_is_not_there_is_not_found)                                                                          \
    T(a_saved_row_is_loaded_byte_for_byte)                                                                             \
    T(a_row_unknown_is_not_found_and_leaves_the_error_alone)                                                           \
    T(saving_again_replaces_and_moves_the_row_in_the_feed)                                                             \
    T(bytes_just_loaded_can_be_saved)                                                                                  \
    T(seqs_are_handed_out_in_blocks_without_gaps)                                                                      \
    T(rollback_gives_rows_seqs_history_documents_and_counts_back)                                                      \
    T(rollback_without_a_transaction_is_harmless)                                                                      \
    T(undo_gives_back_what_came_after_the_savepoint_only)                                                              \
    T(rollback_takes_a_released_and_an_open_savepoint_along)                                                           \
    T(live_leads_are_counted_and_nothing_else)                                                                         \
    T(the_same_change_set_is_appended_once)                                                                            \
    T(another_body_or_base_or_stamp_or_record_is_another_entry)                                                        \
    T(history_may_come_before_its_row_or_without_one)                                                                  \
    T(what_is_dropped_is_gone_and_counted_so)                                                                          \
    T(history_comes_back_whole_oldest_stamp_first)                                                                     \
    T(documents_are_put_replaced_and_deleted_by_an_empty_value)                                                        \
    T(the_next_document_is_found_from_any_key)                                                                         \
    T(documents_are_listed_by_prefix_in_order_of_key)                                                                  \
    T(a_reader_walks_documents_after_a_key_within_a_prefix)                                                            \
    T(a_walk_over_documents_may_read_others)                                                                           \
    T(the_feed_is_in_order_bounded_and_stops_when_told)                                                                \
    T(an_open_transaction_is_invisible_to_readers)                                                                     \
    T(a_snapshot_stands_still_until_the_next_one)                                                                      \
    T(two_readers_hold_two_snapshots)                                                                                  \
    T(closing_rolls_an_open_transaction_back)                                                                          \
    T(verify_finds_a_row_that_does_not_unpack)                                                                         \
    T(verify_finds_a_row_that_differs_from_its_registers)                                                              \
    T(verify_finds_a_seq_used_twice)                                                                                   \
    T(verify_finds_a_seq_used_twice_in_history)                                                                        \
    T(verify_can_be_given_up)                                                                                          \
    T(snapshots_are_whole_while_a_writer_commits)

int main(void) {
#define ON_MEMORY(test) cmocka_unit_test_setup_teardown(test, set_up_memory, tear_down),
#define ON_SQLITE(test) cmocka_unit_test_setup_teardown(test, set_up_sqlite, tear_down),
    const struct CMUnitTest memory[] = {TESTS(ON_MEMORY)};
    const struct CMUnitTest sqlite[] = {TESTS(ON_SQLITE)};
    const struct CMUnitTest both[] = {cmocka_unit_test(any_operations_give_the_same_answers_on_both_engines)};
    int failed = cmocka_run_group_tests_name("store on memory", memory, NULL, NULL);
    failed += cmocka_run_group_tests_name("store on sqlite", sqlite, NULL, NULL);
    return failed + cmocka_run_group_tests_name("stores side by side", both, NULL, NULL);
}
