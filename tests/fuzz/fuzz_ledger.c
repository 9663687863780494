/* fuzz_ledger.c - any bytes as a ledger: read or refused; what is measured is what is read, and lines that are added are read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "server/office/ledger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

typedef struct memory {
    buf lines;
} memory;

static lp_err append(void *ctx, ledger_kind which, span line, lp_error *error) {
    (void)which;
    (void)error;
    buf_append_span(&((memory *)ctx)->lines, line);
    return LP_OK;
}

static lp_err read_lines(void *ctx, ledger_kind which, buf *lines_out, lp_error *error) {
    (void)which;
    (void)error;
    buf_append_span(lines_out, buf_span(&((memory *)ctx)->lines));
    return LP_OK;
}

static lp_err count(void *ctx, span subject, int64_t at_ms, lp_error *error) {
    uint32_t device;
    uint8_t key[32];
    (void)at_ms;
    (void)error;
    must(subject.size > 0);
    ledger_read_revoked(subject, &device, key);
    ledger_grant grant;
    ledger_read_granted(subject, &grant);
    ++*(uint64_t *)ctx;
    return LP_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    memory m = {0};
    ledger l = {.ctx = &m, .append = append, .read = read_lines};
    lp_error error;
    size_t good = 0;
    uint64_t before = 0, after = 0;
    static const lp_id id = {{7}};
    lp_err measured = ledger_measure(span_of(data, size), &good, &error);
    must(measured || good <= size);
    buf_append(&m.lines, data, measured ? size : good);
    lp_err walked = ledger_each(&l, LEDGER_ERASED, count, &before, &error);
    must((measured == LP_OK) == (walked == LP_OK));
    if (!walked) {
        must(ledger_note_erased(&l, &id, 1, 1795000000000, &error) == LP_OK);
        must(ledger_each(&l, LEDGER_ERASED, count, &after, &error) == LP_OK);
        must(after == before + 1);
    }
    buf_fini(&m.lines);
    return 0;
}
