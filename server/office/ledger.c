/* ledger.c - lines of a ledger, written and read; see ledger.h. */
#include "server/office/ledger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/crypto.h"
#include "proto/err.h"
#include "proto/id.h"

#define SUM_DIGITS 16

static void put_sum(span rest, char sum_out[SUM_DIGITS + 1]) {
    uint8_t hash[CRYPTO_HASH_BYTES];
    crypto_sha256(rest, hash);
    crypto_hex(span_of(hash, SUM_DIGITS / 2), sum_out);
}

/* `body` is the line behind its sum, without its end. */
static lp_err append(const ledger *l, ledger_kind which, const buf *body, lp_error *error) {
    if (!l)
        return err_set(error, LP_UNSUPPORTED,
                       "this pool has no ledger to write it down in; use a server with a data directory");
    char sum[SUM_DIGITS + 1];
    buf line = {0};
    put_sum(buf_span(body), sum);
    buf_append(&line, sum, SUM_DIGITS);
    buf_append_byte(&line, ' ');
    buf_append_span(&line, buf_span(body));
    buf_append_byte(&line, '\n');
    lp_err err =
        body->failed || line.failed ? err_plain(error, LP_NOMEM) : l->append(l->ctx, which, buf_span(&line), error);
    buf_fini(&line);
    return err;
}

static void put_number(buf *body, int64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    buf_append_span(body, span_text(text));
}

lp_err ledger_note_erased(const ledger *l, const lp_id *ids, uint32_t count, int64_t at_ms, lp_error *error) {
    buf body = {0};
    put_number(&body, at_ms);
    for (uint32_t i = 0; i < count; i++) {
        char text[LP_ID_TEXT_BYTES];
        lp_id_format(&ids[i], text);
        buf_append_byte(&body, ' ');
        buf_append_span(&body, span_text(text));
    }
    lp_err err = append(l, LEDGER_ERASED, &body, error);
    buf_fini(&body);
    return err;
}

#define DEVICE_KEY_BYTES 32

lp_err ledger_note_revoked(const ledger *l, uint32_t device, span key, int64_t at_ms, lp_error *error) {
    buf body = {0};
    char hex[2 * DEVICE_KEY_BYTES + 1];
    assert(key.size == DEVICE_KEY_BYTES);
    crypto_hex(key, hex);
    put_number(&body, at_ms);
    buf_append_byte(&body, ' ');
    put_number(&body, device);
    buf_append_byte(&body, ':');
    buf_append_span(&body, span_text(hex));
    lp_err err = append(l, LEDGER_REVOKED, &body, error);
    buf_fini(&body);
    return err;
}

lp_err ledger_note_granted(const ledger *l, const lp_id *person, span scope, bool granted, int64_t at_ms,
                           lp_error *error) {
    buf body = {0};
    char id[LP_ID_TEXT_BYTES], hex[2 * LEDGER_SCOPE_BYTES_MAX + 1];
    assert(scope.size > 0 && scope.size <= LEDGER_SCOPE_BYTES_MAX);
    lp_id_format(person, id);
    crypto_hex(scope, hex);
    put_number(&body, at_ms);
    buf_append_byte(&body, ' ');
    buf_append_span(&body, span_text(id));
    buf_append_span(&body, granted ? SPAN_LITERAL(":+") : SPAN_LITERAL(":-"));
    buf_append_span(&body, span_text(hex));
    lp_err err = append(l, LEDGER_GRANTED, &body, error);
    buf_fini(&body);
    return err;
}

/* ---- reading ---- */

static int digit(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(span digits, uint8_t *bytes_out) {
    for (size_t i = 0; i < digits.size / 2; i++) {
        int high = digit(digits.data[2 * i]), low = digit(digits.data[1 + 2 * i]);
        if (high < 0 || low < 0)
            return false;
        bytes_out[i] = (uint8_t)(high << 4 | low);
    }
    return digits.size % 2 == 0;
}

bool ledger_read_granted(span subject, ledger_grant *grant_out) {
    const size_t id_size = LP_ID_TEXT_BYTES - 1;
    char id[LP_ID_TEXT_BYTES] = "";
    if (subject.size <= id_size + 2 || subject.data[id_size] != ':')
        return false;
    memcpy(id, subject.data, id_size);
    uint8_t sign = subject.data[id_size + 1];
    span hex = span_of(subject.data + id_size + 2, subject.size - id_size - 2);
    grant_out->granted = sign == '+';
    grant_out->scope_size = hex.size / 2;
    return (sign == '+' || sign == '-') && hex.size <= 2 * LEDGER_SCOPE_BYTES_MAX &&
           lp_id_parse(id, &grant_out->person) && read_hex(hex, grant_out->scope);
}

bool ledger_read_revoked(span subject, uint32_t *device_out, uint8_t key_out[32]) {
    uint64_t number = 0;
    size_t at = 0;
    for (; at < subject.size && at < 10 && subject.data[at] >= '0' && subject.data[at] <= '9'; at++)
        number = number * 10 + (uint64_t)(subject.data[at] - '0');
    if (number == 0 || number > UINT32_MAX || subject.size != at + 1 + 2 * DEVICE_KEY_BYTES || subject.data[at] != ':')
        return false;
    *device_out = (uint32_t)number;
    return read_hex(span_of(subject.data + at + 1, 2 * DEVICE_KEY_BYTES), key_out);
}

/* Cuts the next line off, without its end; false if none is left. *ended_out: it had an end. */
static bool next_line(span *left, span *line_out, bool *ended_out) {
    if (left->size == 0)
        return false;
    const uint8_t *end = memchr(left->data, '\n', left->size);
    size_t size = end ? (size_t)(end - left->data) : left->size;
    *line_out = span_of(left->data, size);
    *ended_out = end != NULL;
    size += *ended_out;
    *left = span_of(left->data + size, left->size - size);
    return true;
}

/* A right sum is no proof of a right form: whoever writes lines by hand may sum them, too. */
static bool adds_up(span line) {
    char sum[SUM_DIGITS + 1];
    if (line.size <= SUM_DIGITS + 1 || line.data[SUM_DIGITS] != ' ')
        return false;
    for (size_t i = SUM_DIGITS; i + 1 < line.size; i++)
        if (line.data[i] == ' ' && line.data[i + 1] == ' ')
            return false;
    put_sum(span_of(line.data + SUM_DIGITS + 1, line.size - SUM_DIGITS - 1), sum);
    return memcmp(sum, line.data, SUM_DIGITS) == 0;
}

static span next_word(span *left) {
    size_t size = 0;
    while (size < left->size && left->data[size] != ' ')
        size++;
    span word = span_of(left->data, size);
    size += size < left->size;
    *left = span_of(left->data + size, left->size - size);
    return word;
}

static int64_t read_ms(span word) {
    int64_t ms = 0;
    for (size_t i = 0; i < word.size && i < 15; i++)
        if (word.data[i] >= '0' && word.data[i] <= '9')
            ms = ms * 10 + (word.data[i] - '0');
    return ms;
}

/* Walks the lines that count; `each` may be NULL. */
static lp_err walk(span lines, ledger_fn each, void *ctx, size_t *size_out, lp_error *error) {
    span left = lines, line;
    bool ended;
    uint32_t number = 0;
    *size_out = 0;
    while (next_line(&left, &line, &ended)) {
        number++;
        if (!ended || !adds_up(line)) {
            if (left.size == 0)
                return LP_OK;
            return err_set(error, LP_CORRUPT, "line %u is damaged; put back the copy kept with the backups", number);
        }
        *size_out = lines.size - left.size;
        span words = span_of(line.data + SUM_DIGITS + 1, line.size - SUM_DIGITS - 1);
        int64_t at_ms = read_ms(next_word(&words));
        while (each && words.size > 0) {
            lp_err err = each(ctx, next_word(&words), at_ms, error);
            if (err)
                return err;
        }
    }
    return LP_OK;
}

lp_err ledger_measure(span lines, size_t *size_out, lp_error *error) {
    return walk(lines, NULL, NULL, size_out, error);
}

lp_err ledger_each(const ledger *l, ledger_kind which, ledger_fn each, void *ctx, lp_error *error) {
    if (!l)
        return LP_OK;
    size_t size;
    buf lines = {0};
    lp_err err = l->read(l->ctx, which, &lines, error);
    if (!err)
        err = walk(buf_span(&lines), each, ctx, &size, error);
    buf_fini(&lines);
    return err;
}
