/* test_golden.c - sessions that devices and servers of earlier versions had (tests/data/v*): every message still reads, and means the same,
 * for written again it has the same bytes (F88). tests/data/make says how they came to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "proto/message.h"
#include "proto/page.h"

#define SESSION LEADPOOL_SOURCE_DIR "/tests/data/v1/session.hex"

static uint32_t count_changes(span raw) {
    changes_reader reader;
    change_set set;
    reg change;
    uint32_t count = 0;
    assert_int_equal(changes_open(&reader, raw, NULL), LP_OK);
    while (changes_next(&reader, &set))
        while (change_next(&set, &change))
            count++;
    assert_false(reader.sets.failed);
    changes_close(&reader);
    return count;
}

static uint32_t count_pages(span raw) {
    wire_reader from = wire_open(raw);
    uint32_t count = raw.size ? wire_array(&from) : 0;
    page p;
    for (uint32_t i = 0; i < count; i++) {
        assert_true(page_take(&from, &p));
        count_changes(p.changes);
    }
    return count;
}

/* Reads the bytes of a line behind its mark; false at the end of the file. */
static bool take_line(FILE *file, buf *out) {
    int c = fgetc(file);
    buf_clear(out);
    if (c == EOF)
        return false;
    assert_true(c == '>' || c == '<');
    unsigned byte;
    while (fscanf(file, "%2x", &byte) == 1) {
        buf_append_byte(out, (uint8_t)byte);
        c = fgetc(file);
        if (c == '\n')
            break;
        ungetc(c, file);
    }
    return true;
}

static void every_message_of_an_earlier_session_reads_and_means_the_same(void **state) {
    (void)state;
    FILE *file = fopen(SESSION, "r");
    assert_non_null(file);
    buf bytes = {0}, again = {0};
    uint32_t messages = 0, changes = 0, pages = 0;
    while (take_line(file, &bytes)) {
        message m;
        lp_error error = {.message = ""};
        if (message_decode(buf_span(&bytes), &m, &error))
            fail_msg("message %u: %s", messages, error.message);
        buf_clear(&again);
        assert_int_equal(message_encode(&m, &again, &error), LP_OK);
        assert_true(span_equal(buf_span(&bytes), buf_span(&again)));
        changes += m.changes.size ? count_changes(m.changes) : 0;
        pages += count_pages(m.pages);
        messages++;
    }
    fclose(file);
    buf_fini(&bytes);
    buf_fini(&again);
    assert_true(messages >= 4 && changes >= 2 && pages >= 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_message_of_an_earlier_session_reads_and_means_the_same)};
    return cmocka_run_group_tests_name("unit_golden", tests, NULL, NULL);
}
