/* test_log.c - one call is one line, whatever it holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/log.h"

static int64_t fixed_ms(void *ctx) {
    (void)ctx;
    return INT64_C(1795322106123); /* 2026-11-22T04:35:06.123Z */
}

static const lp_env env = {.wall_ms = fixed_ms};

typedef struct sink {
    logger log;
    char *text;
    size_t size;
} sink;

static void open_sink(sink *s, log_level level, log_format format) {
    log_init(&s->log, &env, open_memstream(&s->text, &s->size), level, format);
}

static void close_sink(sink *s) {
    fclose(s->log.stream);
    log_fini(&s->log);
    free(s->text);
}

static void text_lines_have_time_level_event_and_pairs(void **state) {
    (void)state;
    sink s;
    open_sink(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_line(&s.log, LOG_LEVEL_INFO, "listening", LOG_TEXT("address", "127.0.0.1:7117"), LOG_NUMBER("workers", -2));
    assert_string_equal(s.text, "2026-11-22T04:35:06.123Z info listening address=127.0.0.1:7117 workers=-2\n");
    close_sink(&s);
}

static void values_cannot_break_the_line_or_forge_a_pair(void **state) {
    (void)state;
    sink s;
    open_sink(&s, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_line(&s.log, LOG_LEVEL_WARN, "refused", LOG_TEXT("reason", "a\nb \"c\" level=x\\"), LOG_TEXT("none", ""));
    assert_string_equal(s.text,
                        "2026-11-22T04:35:06.123Z warn refused reason=\"a\\u000ab \\\"c\\\" level=x\\\\\" none=\"\"\n");
    close_sink(&s);
}

static void json_lines_are_json_whatever_the_value(void **state) {
    (void)state;
    sink s;
    open_sink(&s, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    char every[256];
    for (int i = 0; i < 127; i++)
        every[i] = (char)(i + 1);
    every[127] = '\0';
    log_line(&s.log, LOG_LEVEL_ERROR, "x", LOG_TEXT("value", every), LOG_NUMBER("n", 5));
    json_t *line = json_loads(s.text, 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "value")), every);
    assert_int_equal(json_integer_value(json_object_get(line, "n")), 5);
    json_decref(line);
    close_sink(&s);
}

static void a_long_value_is_cut_between_characters(void **state) {
    (void)state;
    sink s;
    open_sink(&s, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    char text[2000] = "";
    for (size_t i = 0; i < 600; i++)
        memcpy(text + i * 3, "王", 4);
    log_line(&s.log, LOG_LEVEL_ERROR, "x", LOG_TEXT("value", text));
    json_t *line = json_loads(s.text, 0, NULL);
    assert_non_null(line);
    assert_true(strlen(json_string_value(json_object_get(line, "value"))) <= LOG_VALUE_BYTES_MAX + 3);
    json_decref(line);
    close_sink(&s);
}

static void lines_below_the_level_are_left_out_and_the_level_may_change(void **state) {
    (void)state;
    sink s;
    open_sink(&s, LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_line(&s.log, LOG_LEVEL_INFO, "hidden", LOG_NUMBER("n", 1));
    fflush(s.log.stream);
    assert_int_equal(s.size, 0);
    log_set_level(&s.log, LOG_LEVEL_DEBUG);
    log_line(&s.log, LOG_LEVEL_DEBUG, "shown", LOG_NUMBER("n", 1));
    assert_non_null(strstr(s.text, "debug shown n=1"));
    close_sink(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines_have_time_level_event_and_pairs),
        cmocka_unit_test(values_cannot_break_the_line_or_forge_a_pair),
        cmocka_unit_test(json_lines_are_json_whatever_the_value),
        cmocka_unit_test(a_long_value_is_cut_between_characters),
        cmocka_unit_test(lines_below_the_level_are_left_out_and_the_level_may_change),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
