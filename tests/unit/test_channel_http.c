/* test_channel_http.c - the bounded HTTP head: what is let in, what is refused with which status, whatever the cuts. */
#include "channel_ends.h"

#include "proto/channel/http.h"

/* Status of a head fed in pieces; 0: wants more. */
static int read_cut(span bytes, size_t cut, size_t *used_out, http_request *request_out) {
    http_head *h = http_head_new();
    assert_non_null(h);
    int status = 0;
    *used_out = 0;
    while (bytes.size > 0 && status == 0) {
        span piece;
        size_t used;
        span_take(&bytes, ends_piece(cut, bytes.size), &piece);
        status = http_head_read(h, piece, &used);
        *used_out += used;
        assert_true(used <= piece.size);
    }
    if (status == 200)
        *request_out = *http_head_request(h);
    http_head_free(h);
    return status;
}

static int read_head(span bytes, http_request *request_out) {
    size_t whole, cut;
    http_request other = {0};
    memset(request_out, 0, sizeof *request_out);
    int status = read_cut(bytes, 0, &whole, request_out);
    for (size_t size = 1; size < 40; size += 6) {
        assert_int_equal(read_cut(bytes, size, &cut, &other), status);
        assert_true(status != 200 || (cut == whole && memcmp(&other, request_out, sizeof other) == 0));
    }
    return status;
}

static int status_of(const char *text) {
    http_request request;
    return read_head(span_text(text), &request);
}

#define HOST "Host: h\r\n"

static void get_and_head_of_plain_paths_are_read(void **state) {
    (void)state;
    http_request r;
    assert_int_equal(read_head(SPAN_LITERAL("GET /a/b-c_d.~1?x=1 HTTP/1.1\r\nhOST: Example.org:8443\r\nX-Other:\r\n"
                                            "Origin: https://example.org\r\n\r\n"),
                               &r),
                     200);
    assert_string_equal(r.method, "GET");
    assert_string_equal(r.target, "/a/b-c_d.~1?x=1");
    assert_string_equal(r.host, "Example.org:8443");
    assert_string_equal(r.origin, "https://example.org");
    assert_int_equal(read_head(SPAN_LITERAL("HEAD / HTTP/1.0\r\n\r\n"), &r), 200);
    assert_string_equal(r.method, "HEAD");
}

static void bytes_after_the_head_are_left_alone(void **state) {
    (void)state;
    span bytes = SPAN_LITERAL("GET / HTTP/1.1\r\n" HOST "\r\n\x82\x80\n\rrest");
    http_request r;
    for (size_t cut = 0; cut < 30; cut += 29) {
        size_t used;
        assert_int_equal(read_cut(bytes, cut, &used, &r), 200);
        assert_int_equal(used, strlen("GET / HTTP/1.1\r\n" HOST "\r\n"));
    }
}

static void head_cut_at_any_byte_is_not_a_request(void **state) {
    (void)state;
    span bytes = SPAN_LITERAL("GET /index.html HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\n");
    http_request r;
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(read_head(span_of(bytes.data, size), &r), 0);
    assert_int_equal(read_head(bytes, &r), 200);
}

static void hostile_request_lines_are_refused(void **state) {
    (void)state;
    assert_int_equal(status_of("GET /aaa%41 HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET /%2e%2e/etc/hostname HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET http://other/ HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET * HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET /a\\b HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET /a b HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/9.9\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/2.0\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/0.9\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET / HTTX/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("GET /\r\n\r\n"), 400);
    assert_int_equal(status_of("BREW / HTTP/1.1\r\n" HOST "\r\n"), 400);
    assert_int_equal(status_of("\x16\x03\x01\x02"), 400);
}

static void hostile_header_lines_are_refused(void **state) {
    (void)state;
    assert_int_equal(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\nHost: h\n\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: h\r\nX Y: h\r\n\r\n"), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\nHost: h\x01\r\n\r\n"), 400);
    http_request r;
    assert_int_equal(read_head(SPAN_LITERAL("GET / HTTP/1.1\r\nHost: h\0i\r\n\r\n"), &r), 400);
    assert_int_equal(status_of("GET / HTTP/1.1\r\n: h\r\n\r\n"), 400);
}

static void requests_with_a_body_are_refused(void **state) {
    (void)state;
    assert_int_equal(status_of("POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"), 413);
    assert_int_equal(status_of("GET /x HTTP/1.1\r\n" HOST "Content-Length: 1844674407370955161\r\n\r\n"), 413);
    assert_int_equal(status_of("GET /x HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n"), 400);
    assert_int_equal(status_of("GET /x HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n"), 400);
    assert_int_equal(status_of("GET /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    assert_int_equal(status_of("GET /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"), 200);
    assert_int_equal(status_of("POST /x HTTP/1.1\r\n" HOST "\r\n"), 405);
    assert_int_equal(status_of("DELETE /x HTTP/1.1\r\n" HOST "\r\n"), 405);
}

/* "GET /aaa... HTTP/1.1" with `path` bytes of path and a header with `value` bytes of value. */
static int status_of_sizes(size_t path, const char *header, size_t value) {
    buf b = {0};
    buf_append_span(&b, SPAN_LITERAL("GET /"));
    for (size_t i = 1; i < path; i++)
        buf_append_byte(&b, 'a');
    buf_append_span(&b, SPAN_LITERAL(" HTTP/1.1\r\n" HOST));
    buf_append_span(&b, span_text(header));
    for (size_t i = 0; i < value; i++)
        buf_append_byte(&b, 'v');
    buf_append_span(&b, SPAN_LITERAL("\r\n\r\n"));
    http_request r;
    int status = read_head(buf_span(&b), &r);
    buf_fini(&b);
    return status;
}

static void lines_and_heads_are_bounded(void **state) {
    (void)state;
    assert_int_equal(status_of_sizes(255, "X: ", 10), 200);
    assert_int_equal(status_of_sizes(256, "X: ", 10), 414);
    assert_int_equal(status_of_sizes(100000, "X: ", 10), 414);
    assert_int_equal(status_of_sizes(1, "Origin: ", 255), 200);
    assert_int_equal(status_of_sizes(1, "Origin: ", 256), 431);
    assert_int_equal(status_of_sizes(1, "X: ", 16000), 200);
    assert_int_equal(status_of_sizes(1, "X: ", HTTP_HEAD_BYTES_MAX), 431);
    assert_int_equal(status_of_sizes(1, "X: ", 1000000), 431);
}

static void lists_are_searched_by_whole_tokens(void **state) {
    (void)state;
    assert_true(http_list_has("keep-alive, Upgrade", "upgrade"));
    assert_true(http_list_has("upgrade", "Upgrade"));
    assert_true(http_list_has(" a ,\tupgrade\t,b", "upgrade"));
    assert_false(http_list_has("upgrades", "upgrade"));
    assert_false(http_list_has("", "upgrade"));
    assert_false(http_list_has(",,", "upgrade"));
}

static void answer_ends_the_connection_and_head_has_no_body(void **state) {
    (void)state;
    buf out = {0};
    http_append_answer(&out, 200, "text/html", SPAN_LITERAL("<p>"), true);
    buf_append_byte(&out, 0);
    const char *text = (const char *)out.data;
    ends_assert_contains(text, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n");
    ends_assert_contains(text, "Connection: close\r\n\r\n");
    assert_null(strstr(text, "<p>"));
    buf_fini(&out);
}

int main(void) {
    ends_start("unit_channel_http");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_and_head_of_plain_paths_are_read),
        cmocka_unit_test(bytes_after_the_head_are_left_alone),
        cmocka_unit_test(head_cut_at_any_byte_is_not_a_request),
        cmocka_unit_test(hostile_request_lines_are_refused),
        cmocka_unit_test(hostile_header_lines_are_refused),
        cmocka_unit_test(requests_with_a_body_are_refused),
        cmocka_unit_test(lines_and_heads_are_bounded),
        cmocka_unit_test(lists_are_searched_by_whole_tokens),
        cmocka_unit_test(answer_ends_the_connection_and_head_has_no_body),
    };
    return cmocka_run_group_tests_name("channel_http", tests, NULL, NULL);
}
