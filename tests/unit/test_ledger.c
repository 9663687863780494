/* test_ledger.c - erasures and revocations outside the database: what was written down is read again, what a crash tore counts for
 * nothing, what was damaged is not passed over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/office/ledger_files.h"
#include "server/os.h"
#include "tests/support/store_kit.h"

typedef struct found {
    char text[512];
    uint32_t count;
} found;

static lp_err keep(void *ctx, span subject, int64_t at_ms, lp_error *error) {
    found *f = ctx;
    (void)error;
    size_t used = strlen(f->text);
    snprintf(f->text + used, sizeof f->text - used, "%.*s@%lld ", (int)subject.size, (const char *)subject.data,
             (long long)at_ms);
    f->count++;
    return LP_OK;
}

static void open_files(ledger_files *f, const kit_directory *d, lp_err expected) {
    lp_error error = {.message = ""};
    lp_err err = ledger_files_open(f, d->path, &error);
    if (err != expected)
        print_error("%s\n", error.message);
    assert_int_equal(err, expected);
}

static void assert_erased(ledger_files *f, uint32_t count) {
    found all = {.count = 0};
    assert_int_equal(ledger_each(&f->port, LEDGER_ERASED, keep, &all, NULL), LP_OK);
    assert_int_equal(all.count, count);
}

static void damage(const ledger_files *f, long at, const char *bytes, size_t size) {
    FILE *file = fopen(f->paths[LEDGER_ERASED], "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void make(kit_directory *d, ledger_files *f) {
    kit_directory_make(d);
    assert_int_equal(ledger_files_make(d->path, NULL), LP_OK);
    open_files(f, d, LP_OK);
}

static void what_was_written_down_is_read_again(void **state) {
    kit_directory d;
    ledger_files f;
    found erased = {.count = 0}, revoked = {.count = 0}, granted = {.count = 0};
    ledger_grant grant;
    lp_id ids[] = {kit_id(1), kit_id(2), kit_id(3)};
    char text[3][LP_ID_TEXT_BYTES], expected[256];
    uint8_t key[32] = {7, 0xff, 0x1a};
    (void)state;
    make(&d, &f);
    assert_int_equal(ledger_note_erased(&f.port, ids, 2, 1700, NULL), LP_OK);
    assert_int_equal(ledger_note_erased(&f.port, ids + 2, 1, 1800, NULL), LP_OK);
    assert_int_equal(ledger_note_revoked(&f.port, 17, span_of(key, sizeof key), 1900, NULL), LP_OK);
    assert_int_equal(ledger_note_granted(&f.port, &ids[1], SPAN_LITERAL("event:a b"), false, 2000, NULL), LP_OK);
    open_files(&f, &d, LP_OK);
    assert_int_equal(ledger_each(&f.port, LEDGER_ERASED, keep, &erased, NULL), LP_OK);
    assert_int_equal(ledger_each(&f.port, LEDGER_REVOKED, keep, &revoked, NULL), LP_OK);
    for (int i = 0; i < 3; i++)
        lp_id_format(&ids[i], text[i]);
    snprintf(expected, sizeof expected, "%s@1700 %s@1700 %s@1800 ", text[0], text[1], text[2]);
    assert_string_equal(erased.text, expected);
    assert_int_equal(strncmp(revoked.text, "17:07", 5), 0);
    uint8_t read_key[32];
    uint32_t device;
    assert_true(ledger_read_revoked(span_of(revoked.text, strcspn(revoked.text, "@")), &device, read_key));
    assert_int_equal(device, 17);
    assert_memory_equal(read_key, key, sizeof key);
    assert_int_equal(ledger_each(&f.port, LEDGER_GRANTED, keep, &granted, NULL), LP_OK);
    span words = span_of(granted.text, strcspn(granted.text, "@"));
    assert_true(ledger_read_granted(words, &grant));
    assert_true(id_equal(&grant.person, &ids[1]));
    assert_false(grant.granted);
    assert_true(span_equal(span_of(grant.scope, grant.scope_size), SPAN_LITERAL("event:a b")));
    assert_false(ledger_read_granted(span_of(words.data, words.size - 1), &grant)); /* half a byte */
    assert_false(ledger_read_granted(span_of(words.data + 1, words.size - 1), &grant));
    assert_false(ledger_read_granted(SPAN_LITERAL("nobody:+00"), &grant));
    assert_false(ledger_read_revoked(SPAN_LITERAL("17"), &device, read_key));
    assert_false(ledger_read_revoked(SPAN_LITERAL("0:07"), &device, read_key));
    assert_int_equal(ledger_files_make(d.path, NULL), LP_OK); /* an `init` that was cut short does not empty them */
    assert_erased(&f, 3);
    kit_directory_remove(&d);
}

static void a_last_line_cut_at_any_byte_counts_for_nothing_and_is_written_over(void **state) {
    kit_directory d;
    ledger_files f;
    lp_id ids[] = {kit_id(1), kit_id(2), kit_id(3)};
    (void)state;
    make(&d, &f);
    assert_int_equal(ledger_note_erased(&f.port, ids, 1, 1700, NULL), LP_OK);
    size_t whole = f.sizes[LEDGER_ERASED];
    assert_int_equal(ledger_note_erased(&f.port, ids + 1, 1, 1800, NULL), LP_OK);
    size_t both = f.sizes[LEDGER_ERASED];
    for (size_t size = both - 1; size > whole; size--) {
        assert_int_equal(truncate(f.paths[LEDGER_ERASED], (off_t)size), 0);
        open_files(&f, &d, LP_OK);
        assert_int_equal(f.sizes[LEDGER_ERASED], whole);
        assert_erased(&f, 1);
    }
    assert_int_equal(ledger_note_erased(&f.port, ids + 2, 1, 1900, NULL), LP_OK);
    open_files(&f, &d, LP_OK);
    assert_erased(&f, 2);
    /* A sector that was never written reads as zeros. */
    damage(&f, -20, "\0\0\0\0\0\0\0\0", 8);
    open_files(&f, &d, LP_OK);
    assert_erased(&f, 1);
    kit_directory_remove(&d);
}

static void a_damaged_line_before_the_last_is_not_passed_over(void **state) {
    kit_directory d;
    ledger_files f;
    lp_id ids[] = {kit_id(1), kit_id(2)};
    (void)state;
    make(&d, &f);
    assert_int_equal(ledger_note_erased(&f.port, ids, 1, 1700, NULL), LP_OK);
    assert_int_equal(ledger_note_erased(&f.port, ids + 1, 1, 1800, NULL), LP_OK);
    damage(&f, 30, "?", 1);
    open_files(&f, &d, LP_CORRUPT);
    kit_directory_remove(&d);
}

/* Found by the fuzzer: the sum is right. */
static void a_line_with_a_gap_names_nobody_and_is_damaged(void **state) {
    static const char gap[] = "733ae02eca8d35a7 1795000000000 01020300-0000-7000-8000-000000000000  "
                              "01020300-0000-7000-8000-0000000\x10"
                              "001\n";
    char lines[2 * sizeof gap];
    size_t size;
    (void)state;
    snprintf(lines, sizeof lines, "%s%s", gap, gap);
    assert_int_equal(ledger_measure(span_text(lines), &size, NULL), LP_CORRUPT);
    assert_int_equal(size, 0);
}

static void a_missing_ledger_is_an_error_that_says_what_to_do(void **state) {
    kit_directory d;
    ledger_files f;
    lp_error error;
    (void)state;
    make(&d, &f);
    unlink(f.paths[LEDGER_REVOKED]);
    assert_int_equal(ledger_files_open(&f, d.path, &error), LP_NOT_FOUND);
    assert_non_null(strstr(error.message, "revoked.ledger"));
    assert_non_null(strstr(error.message, "touch"));
    kit_directory_remove(&d);
}

static void without_a_ledger_nothing_can_be_erased(void **state) {
    lp_id id = kit_id(1);
    (void)state;
    assert_int_equal(ledger_note_erased(NULL, &id, 1, 1700, NULL), LP_UNSUPPORTED);
    assert_int_equal(ledger_each(NULL, LEDGER_ERASED, keep, NULL, NULL), LP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_down_is_read_again),
        cmocka_unit_test(a_last_line_cut_at_any_byte_counts_for_nothing_and_is_written_over),
        cmocka_unit_test(a_damaged_line_before_the_last_is_not_passed_over),
        cmocka_unit_test(a_line_with_a_gap_names_nobody_and_is_damaged),
        cmocka_unit_test(a_missing_ledger_is_an_error_that_says_what_to_do),
        cmocka_unit_test(without_a_ledger_nothing_can_be_erased),
    };
    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
