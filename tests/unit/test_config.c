/* test_config.c - options from defaults, file and flags, and their one-line errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config.h"
#include "server/log.h"

static lp_err read_text(config *c, const char *text, lp_error *error) {
    char path[] = "/tmp/leadpool-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    config_defaults(c);
    lp_err err = config_read(c, path, error);
    unlink(path);
    return err;
}

static void every_option_has_the_default_of_its_table(void **state) {
    (void)state;
    config c;
    config_defaults(&c);
    assert_string_equal(c.listen, "0.0.0.0:7117");
    assert_string_equal(c.address, "");
    assert_int_equal(c.handshake_timeout_ms, 10000);
    assert_int_equal(c.log_level, LOG_LEVEL_INFO);
    assert_int_equal(c.log_format, LOG_FORMAT_TEXT);
    assert_false(c.plaintext);
    assert_int_equal(config_check(&c, NULL), LP_OK);
}

static void a_file_sets_options_and_skips_comments(void **state) {
    (void)state;
    config c;
    lp_error error;
    assert_int_equal(
        read_text(&c, "# ours\nlisten = [::1]:9 \n\nlog_level=debug\nplaintext = yes\nworkers = 3 ; few\n", &error),
        LP_OK);
    assert_string_equal(c.listen, "[::1]:9");
    assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
    assert_true(c.plaintext);
    assert_int_equal(c.workers, 3);
}

static void an_unknown_key_names_file_and_line(void **state) {
    (void)state;
    config c;
    lp_error error;
    assert_int_equal(read_text(&c, "listen = 127.0.0.1:1\nlisten_on = 2\n", &error), LP_INVALID);
    assert_non_null(strstr(error.message, ":2: there is no option 'listen_on'"));
}

static void a_bad_value_names_file_line_and_range(void **state) {
    (void)state;
    config c;
    lp_error error;
    assert_int_equal(read_text(&c, "\n\nworkers = 17\nidle_timeout_ms = x\n", &error), LP_INVALID);
    assert_non_null(strstr(error.message, ":3: workers must be a whole number from 0 to 16, not '17'"));
    assert_int_equal(read_text(&c, "workers = -1\n", &error), LP_INVALID);
    assert_int_equal(read_text(&c, "workers = 99999999999999999999\n", &error), LP_INVALID);
    assert_int_equal(read_text(&c, "plaintext = maybe\n", &error), LP_INVALID);
    assert_int_equal(read_text(&c, "log_level = inf\n", &error), LP_INVALID);
    assert_non_null(strstr(error.message, "error|warn|info|debug"));
}

static void a_line_that_is_no_pair_and_a_section_are_refused(void **state) {
    (void)state;
    config c;
    lp_error error;
    assert_int_equal(read_text(&c, "listen\n", &error), LP_INVALID);
    assert_non_null(strstr(error.message, ":1:"));
    assert_int_equal(read_text(&c, "[net]\nworkers = 1\n", &error), LP_INVALID);
    assert_non_null(strstr(error.message, "[net]"));
}

static void a_line_longer_than_the_reader_is_refused(void **state) {
    (void)state;
    config c;
    lp_error error;
    char text[600];
    memset(text, 'a', sizeof text);
    memcpy(text, "origins = ", 10);
    text[598] = '\n';
    text[599] = '\0';
    assert_int_equal(read_text(&c, text, &error), LP_INVALID);
    assert_non_null(strstr(error.message, ":1: the line is too long"));
}

static void a_flag_name_may_have_dashes(void **state) {
    (void)state;
    config c;
    lp_error error;
    config_defaults(&c);
    assert_int_equal(config_set(&c, "max-connections-per-address", "7", &error), LP_OK);
    assert_int_equal(c.max_connections_per_address, 7);
    assert_int_equal(config_set(&c, "max-connection", "7", &error), LP_NOT_FOUND);
    assert_true(config_is_switch("plaintext"));
    assert_false(config_is_switch("listen"));
}

static void plain_text_is_refused_off_the_loopback(void **state) {
    (void)state;
    config c;
    lp_error error;
    config_defaults(&c);
    assert_int_equal(config_set(&c, "plaintext", "true", &error), LP_OK);
    assert_int_equal(config_check(&c, &error), LP_INVALID);
    assert_int_equal(config_set(&c, "listen", "127.0.0.1:0", &error), LP_OK);
    assert_int_equal(config_check(&c, &error), LP_OK);
    assert_int_equal(config_set(&c, "listen", "localhost.example.com:0", &error), LP_OK);
    assert_int_equal(config_check(&c, &error), LP_INVALID);
}

static void addresses_split_into_host_and_port(void **state) {
    (void)state;
    char host[CONFIG_HOST_BYTES];
    uint16_t port;
    lp_error error;
    assert_int_equal(config_split_address("[2001:db8::1]:443", host, &port, &error), LP_OK);
    assert_string_equal(host, "2001:db8::1");
    assert_int_equal(port, 443);
    static const char *const bad[] = {"", "host", "host:", "host:x", "host:65536", "::1:5", "host:-1", "host:1 "};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(config_split_address(bad[i], host, &port, &error), LP_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_has_the_default_of_its_table),
        cmocka_unit_test(a_file_sets_options_and_skips_comments),
        cmocka_unit_test(an_unknown_key_names_file_and_line),
        cmocka_unit_test(a_bad_value_names_file_line_and_range),
        cmocka_unit_test(a_line_that_is_no_pair_and_a_section_are_refused),
        cmocka_unit_test(a_line_longer_than_the_reader_is_refused),
        cmocka_unit_test(a_flag_name_may_have_dashes),
        cmocka_unit_test(plain_text_is_refused_off_the_loopback),
        cmocka_unit_test(addresses_split_into_host_and_port),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
