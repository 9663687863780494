/* test_csv.c - the CSV reader and writer, cells, encodings and sheets of the rep's command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cell.h"
#include "client/cli/csv.h"
#include "client/cli/encoding.h"
#include "client/cli/sheet.h"

/* ---- the reader, its rows written as text: "1:a|b\n" is line 1 with two cells ---- */

typedef struct seen {
    FILE *out;
    char *text;
    size_t size;
} seen;

static void note_row(void *ctx, uint32_t line, const csv_cell *cells, uint32_t count) {
    seen *s = ctx;
    fprintf(s->out, "%u:", (unsigned)line);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(cells[i].text[cells[i].size], '\0');
        fprintf(s->out, "%s%.*s", i ? "|" : "", (int)cells[i].size, cells[i].text);
    }
    fputc('\n', s->out);
}

static csv_problem read_pieces(const char *text, size_t size, size_t piece, char **rows_out, uint32_t *line_out) {
    seen s = {0};
    s.out = open_memstream(&s.text, &s.size);
    csv_reader *reader = csv_reader_new(',', note_row, &s);
    assert_non_null(reader);
    csv_problem problem = CSV_FINE;
    for (size_t at = 0; at < size && !problem; at += piece)
        problem = csv_reader_feed(reader, text + at, size - at < piece ? size - at : piece);
    if (!problem)
        problem = csv_reader_end(reader);
    *line_out = csv_reader_line(reader);
    csv_reader_free(reader);
    fclose(s.out);
    *rows_out = s.text;
    return problem;
}

static void expect_rows(const char *text, const char *expected) {
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        char *rows = NULL;
        uint32_t line = 0;
        assert_int_equal(read_pieces(text, strlen(text), piece, &rows, &line), CSV_FINE);
        assert_string_equal(rows, expected);
        free(rows);
    }
}

static void expect_problem(const char *text, csv_problem expected, uint32_t expected_line) {
    for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
        char *rows = NULL;
        uint32_t line = 0;
        assert_int_equal(read_pieces(text, strlen(text), piece, &rows, &line), expected);
        assert_int_equal(line, expected_line);
        free(rows);
    }
}

static void rows_are_the_same_however_the_bytes_are_cut(void **state) {
    (void)state;
    expect_rows("a,b\n1,2\n", "1:a|b\n2:1|2\n");
    expect_rows("a,b\r\n1,2", "1:a|b\n2:1|2\n");
    expect_rows("a,b\r1,2\r", "1:a|b\n2:1|2\n");
    expect_rows("a,\"b\"\"c\"\n\"x\ny\",\"\"\n", "1:a|b\"c\n2:x\ny|\n");
    expect_rows("\"a\r\nb\",c\r\nd,e\r\n", "1:a\r\nb|c\n3:d|e\n");
    expect_rows("", "");
    expect_rows("\n\na\n\n\nb\n", "3:a\n6:b\n");
    expect_rows(",\n,,\n", "1:|\n2:||\n");
    expect_rows("\"\"\n", "1:\n");
}

static void spaces_around_cells_are_kept(void **state) {
    (void)state;
    expect_rows(" a , b\t\n\" c \",d\n", "1: a | b\t\n2: c |d\n");
}

static void a_quote_in_a_plain_cell_is_a_character(void **state) {
    (void)state;
    expect_rows("37°36'37.8\"N 121°2'17.9\"W,Modesto\n", "1:37°36'37.8\"N 121°2'17.9\"W|Modesto\n");
    expect_rows("37\"N,x\"\"y\n", "1:37\"N|x\"\"y\n");
    expect_rows(" \"a\",b\n", "1: \"a\"|b\n");
}

static void text_after_a_closing_quote_is_named_by_its_line(void **state) {
    (void)state;
    expect_problem("a\n\"b\"c\n", CSV_STRAY_QUOTE, 2);
    expect_problem("a\n\"b\nc\"d\n", CSV_STRAY_QUOTE, 3);
}

static void a_quote_that_never_closes_is_named_by_the_line_of_its_row(void **state) {
    (void)state;
    expect_problem("a\nb\n\"c\nd\ne\n", CSV_OPEN_QUOTE, 3);
    expect_problem("\"", CSV_OPEN_QUOTE, 1);
}

static void cells_and_rows_are_bounded(void **state) {
    (void)state;
    char *rows = NULL;
    uint32_t line = 0;
    size_t size = CSV_CELL_BYTES_MAX + 2;
    char *text = malloc(size);
    memset(text, 'x', size);
    text[size - 1] = '\n';
    assert_int_equal(read_pieces(text, size, 65536, &rows, &line), CSV_CELL_TOO_LARGE);
    free(rows);
    text[size - 2] = '\n';
    assert_int_equal(read_pieces(text, size, 65536, &rows, &line), CSV_FINE);
    free(rows);
    memset(text, ',', CSV_COLUMNS_MAX);
    assert_int_equal(read_pieces(text, CSV_COLUMNS_MAX, 65536, &rows, &line), CSV_TOO_MANY_COLUMNS);
    free(rows);
    assert_int_equal(read_pieces(text, CSV_COLUMNS_MAX - 1, 65536, &rows, &line), CSV_FINE);
    free(rows);
    free(text);
}

/* ---- the writer ---- */

static void expect_cell(const char *text, int alone, const char *expected) {
    char *out_text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&out_text, &size);
    csv_cell_write(out, text, strlen(text), alone);
    fclose(out);
    assert_string_equal(out_text, expected);
    free(out_text);
}

static void cells_are_quoted_only_where_they_must_be(void **state) {
    (void)state;
    expect_cell("plain text", 0, "plain text");
    expect_cell("a,b", 0, "\"a,b\"");
    expect_cell("say \"hi\"", 0, "\"say \"\"hi\"\"\"");
    expect_cell("two\nlines", 0, "\"two\nlines\"");
    expect_cell(" lead", 0, "\" lead\"");
    expect_cell("", 0, "");
    expect_cell("", 1, "\"\"");
}

/* ---- meaning of a cell ---- */

static void stand_ins_for_nothing_are_blank(void **state) {
    (void)state;
    const char *const blanks[] = {"",    " ",   "\t\r\n", "Select", "SELECT", " select ", "请选择",
                                  "NaN", "nan", "null",   "NULL",   "N/A",    "n/a"};
    const char *const texts[] = {"0", "-", "selected", "none", "NA", "nullable", "选择"};
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        assert_true(cell_is_blank(blanks[i], strlen(blanks[i])));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(cell_is_blank(texts[i], strlen(texts[i])));
}

static void formulas_are_guarded_and_the_guard_comes_off_again(void **state) {
    (void)state;
    const char *const texts[] = {"=1+1", "+86 138", "-5",   "@x",    "\tx", "\rx",   "'=1", "''=1", "'hello",
                                 "'",    "''",      "null", "'null", "N/A", "plain", " ",   "' ",   ""};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char cell[32] = "";
        size_t size = strlen(texts[i]);
        if (size && cell_needs_guard(texts[i], size))
            strcat(cell, "'");
        strcat(cell, texts[i]);
        assert_true(size == 0 || !strchr("=+-@\t\r", cell[0]));
        assert_string_equal(cell + cell_guard_bytes(cell, strlen(cell)), texts[i]);
    }
}

/* ---- encodings ---- */

static void expect_text(const char *data, size_t size, const char *expected, const char *encoding) {
    encoding_text text;
    size_t bad = 0;
    assert_int_equal(encoding_to_utf8(data, size, NULL, &text, &bad), LP_OK);
    assert_int_equal(text.size, strlen(expected));
    assert_memory_equal(text.data, expected, text.size);
    assert_string_equal(text.name, encoding);
    free(text.data);
}

static void the_encoding_is_found_by_mark_then_utf8_then_gb18030(void **state) {
    (void)state;
    expect_text("\xef\xbb\xbf"
                "a,b",
                6, "a,b", "UTF-8");
    expect_text("\xff\xfe"
                "a\0\x4e\x67",
                6, "a\xe6\x9d\x8e", "UTF-16LE");
    expect_text("\xfe\xff\0a", 4, "a", "UTF-16BE");
    expect_text("\xe7\x8e\x8b", 3, "王", "UTF-8");
    expect_text("\xcd\xf5\xce\xb0", 4, "王伟", "GB18030");
    expect_text("\x81\x30\x81\x30", 4, "\xc2\x80", "GB18030");
    expect_text("", 0, "", "UTF-8");
}

static void bytes_that_are_no_text_are_refused_with_their_place(void **state) {
    (void)state;
    encoding_text text;
    size_t bad = 0;
    assert_int_equal(encoding_to_utf8("ab\xff\xff", 4, NULL, &text, &bad), LP_INVALID);
    assert_int_equal(bad, 2);
    assert_int_equal(encoding_to_utf8("\xef\xbb\xbf\xc3\x28", 5, NULL, &text, &bad), LP_INVALID);
    assert_int_equal(bad, 3);
    assert_int_equal(encoding_to_utf8("a", 1, "no-such-encoding", &text, &bad), LP_UNSUPPORTED);
}

/* ---- sheets ---- */

static sheet read_sheet(const char *text) {
    sheet s;
    sheet_fault fault;
    assert_true(sheet_read(text, strlen(text), 0, &s, &fault));
    return s;
}

static void expect_fault(const char *text, size_t size, sheet_fault_kind kind, uint32_t line) {
    sheet s;
    sheet_fault fault;
    assert_false(sheet_read(text, size, 0, &s, &fault));
    assert_int_equal(fault.kind, kind);
    assert_int_equal(fault.line, line);
}

static void the_delimiter_is_the_one_the_rows_agree_on(void **state) {
    (void)state;
    const struct {
        const char *text;
        char delimiter;
    } cases[] = {{"a,b,c\n1,2,3\n", ','},
                 {"a;b;c\n1,5;2,5;3,5\n", ';'},
                 {"a\tb\n\"x,y\",z\t1\n", '\t'},
                 {"name|mail\nSmith, J|a@b.c\nLee; K|d@e.f\n", '|'},
                 {"name\nSmith\n", ','},
                 {"a;b,c;d\n1;2,3;4\n", ';'},
                 {"", ','}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(sheet_delimiter(cases[i].text, strlen(cases[i].text)), cases[i].delimiter);
}

static void a_sheet_names_its_columns_apart_and_drops_nameless_empty_ones(void **state) {
    (void)state;
    sheet s = read_sheet("a,a,,b,,a (2)\n1,2,,4,5,6\n");
    assert_int_equal(s.column_count, 5);
    assert_string_equal(s.names[0], "a");
    assert_string_equal(s.names[1], "a (2)");
    assert_string_equal(s.names[2], "b");
    assert_string_equal(s.names[3], "column 5");
    assert_string_equal(s.names[4], "a (2) (2)");
    assert_string_equal(sheet_cell(&s, 0, 2).text, "4");
    assert_string_equal(sheet_cell(&s, 0, 3).text, "5");
    sheet_fini(&s);
}

static void short_rows_are_filled_and_blank_rows_are_no_rows(void **state) {
    (void)state;
    sheet s = read_sheet("a,b,c\n1,2,3\n,Select,\n4,5\n6,7,8\n");
    assert_int_equal(s.row_count, 3);
    assert_int_equal(s.rows[1].line, 4);
    assert_int_equal(sheet_cell(&s, 1, 2).size, 0);
    sheet_fini(&s);
}

static void spaces_count_only_in_quotes(void **state) {
    (void)state;
    sheet s = read_sheet("a, b\t,c\n 1 , Select ,\" 3 \"\n");
    assert_string_equal(s.names[1], "b");
    assert_string_equal(sheet_cell(&s, 0, 0).text, "1");
    assert_int_equal(sheet_cell(&s, 0, 1).size, 0);
    assert_string_equal(sheet_cell(&s, 0, 2).text, " 3 ");
    sheet_fini(&s);
}

static void guards_are_gone_and_guarded_stand_ins_are_texts(void **state) {
    (void)state;
    sheet s = read_sheet("a,b,c\n'=1,'null,null\n");
    assert_string_equal(sheet_cell(&s, 0, 0).text, "=1");
    assert_string_equal(sheet_cell(&s, 0, 1).text, "null");
    assert_int_equal(sheet_cell(&s, 0, 1).size, 4);
    assert_int_equal(sheet_cell(&s, 0, 2).size, 0);
    sheet_fini(&s);
}

static void nonsense_is_no_sheet_and_its_line_is_named(void **state) {
    (void)state;
    expect_fault("", 0, SHEET_EMPTY, 1);
    expect_fault("\n\n", 2, SHEET_EMPTY, 1);
    expect_fault("a,b\n1\0,2\n", 9, SHEET_NUL, 2);
    expect_fault("a,b\n1,\"2\n", 9, SHEET_CSV, 2);
    expect_fault("a,b,c\n1,2,3\n1\n2,3,4,5\n6,7\n", 26, SHEET_RAGGED, 3);
    expect_fault("a\x01,b\n1,2\n", 9, SHEET_HEADER, 1);
}

/* ---- csv-spectrum, where the data is there ---- */

static char *read_file(const char *path, size_t *size_out) {
    FILE *in = fopen(path, "rb");
    if (!in)
        return NULL;
    char *data = malloc(1 << 20);
    *size_out = fread(data, 1, (1 << 20) - 1, in);
    data[*size_out] = '\0';
    fclose(in);
    return data;
}

/* The stored *_crlf files have lost their carriage returns on the way, which their JSON still has. */
static char *restore_crlf(char *data, size_t *size) {
    char *restored = malloc(2 * *size + 1);
    size_t out = 0;
    for (size_t i = 0; i < *size; i++) {
        if (data[i] == '\n' && (i == 0 || data[i - 1] != '\r'))
            restored[out++] = '\r';
        restored[out++] = data[i];
    }
    free(data);
    *size = out;
    return restored;
}

static void check_spectrum(const char *root, const char *name) {
    char path[512];
    size_t size = 0;
    size_t json_size = 0;
    snprintf(path, sizeof path, "%s/csv/csv-spectrum/csvs/%s.csv", root, name);
    char *data = read_file(path, &size);
    snprintf(path, sizeof path, "%s/csv/csv-spectrum/json/%s.json", root, name);
    char *json = read_file(path, &json_size);
    assert_non_null(data);
    assert_non_null(json);
    if (strstr(name, "_crlf"))
        data = restore_crlf(data, &size);
    json_t *expected = json_loadb(json, json_size, 0, NULL);
    assert_non_null(expected);
    sheet s;
    sheet_fault fault;
    assert_true(sheet_read(data, size, 0, &s, &fault));
    assert_int_equal(s.row_count, json_array_size(expected));
    for (uint32_t r = 0; r < s.row_count; r++)
        for (uint32_t i = 0; i < s.column_count; i++)
            assert_string_equal(sheet_cell(&s, r, i).size ? sheet_cell(&s, r, i).text : "",
                                json_string_value(json_object_get(json_array_get(expected, r), s.names[i])));
    sheet_fini(&s);
    json_decref(expected);
    free(json);
    free(data);
}

static void csv_spectrum_reads_as_its_json_says(void **state) {
    (void)state;
    static const char *const names[] = {"comma_in_quotes",
                                        "empty",
                                        "empty_crlf",
                                        "escaped_quotes",
                                        "json",
                                        "newlines",
                                        "newlines_crlf",
                                        "quotes_and_newlines",
                                        "simple",
                                        "simple_crlf",
                                        "utf8"};
    const char *root = getenv("LEADPOOL_DATA") ? getenv("LEADPOOL_DATA") : "../shared/data";
    DIR *there = opendir(root);
    if (!there)
        skip();
    closedir(there);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        check_spectrum(root, names[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_same_however_the_bytes_are_cut),
        cmocka_unit_test(spaces_around_cells_are_kept),
        cmocka_unit_test(a_quote_in_a_plain_cell_is_a_character),
        cmocka_unit_test(text_after_a_closing_quote_is_named_by_its_line),
        cmocka_unit_test(a_quote_that_never_closes_is_named_by_the_line_of_its_row),
        cmocka_unit_test(cells_and_rows_are_bounded),
        cmocka_unit_test(cells_are_quoted_only_where_they_must_be),
        cmocka_unit_test(stand_ins_for_nothing_are_blank),
        cmocka_unit_test(formulas_are_guarded_and_the_guard_comes_off_again),
        cmocka_unit_test(the_encoding_is_found_by_mark_then_utf8_then_gb18030),
        cmocka_unit_test(bytes_that_are_no_text_are_refused_with_their_place),
        cmocka_unit_test(the_delimiter_is_the_one_the_rows_agree_on),
        cmocka_unit_test(a_sheet_names_its_columns_apart_and_drops_nameless_empty_ones),
        cmocka_unit_test(short_rows_are_filled_and_blank_rows_are_no_rows),
        cmocka_unit_test(spaces_count_only_in_quotes),
        cmocka_unit_test(guards_are_gone_and_guarded_stand_ins_are_texts),
        cmocka_unit_test(nonsense_is_no_sheet_and_its_line_is_named),
        cmocka_unit_test(csv_spectrum_reads_as_its_json_says),
    };
    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
