/* sp.c - nng's message framing; see sp.h. */
#include "proto/channel/sp.h"

#include <inttypes.h>

#include "proto/err.h"

#define ID_BYTES 4
#define LENGTH_BYTES 8

static void append_number(buf *out, uint64_t value, unsigned bytes) {
    uint8_t digits[8];
    for (unsigned i = 0; i < bytes; i++)
        digits[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    buf_append(out, digits, bytes);
}

static uint64_t read_number(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

void sp_append_header(buf *out, sp_protocol own) {
    const uint8_t header[SP_HEADER_BYTES] = {0, 'S', 'P', 0, 0, (uint8_t)own, 0, 0};
    buf_append(out, header, sizeof header);
}

bool sp_header_is(span header, sp_protocol protocol) {
    const uint8_t expected[SP_HEADER_BYTES] = {0, 'S', 'P', 0, 0, (uint8_t)protocol, 0, 0};
    return span_equal(header, span_of(expected, sizeof expected));
}

void sp_append_message(buf *out, uint32_t id, span body) {
    append_number(out, (uint64_t)ID_BYTES + body.size, LENGTH_BYTES);
    append_number(out, id | SP_ID_BIT, ID_BYTES);
    buf_append_span(out, body);
}

lp_err sp_take_id(span *message, uint32_t *id_out, lp_error *error) {
    span digits;
    if (!span_take(message, ID_BYTES, &digits))
        return err_set(error, LP_PROTOCOL, "a message without a request id; the peer must be a REQ or REP socket");
    *id_out = (uint32_t)read_number(digits.data, ID_BYTES);
    if (!(*id_out & SP_ID_BIT))
        return err_set(error, LP_UNSUPPORTED, "a request relayed by a nanomsg device; connect to the server directly");
    return LP_OK;
}

lp_err sp_take_message(fifo *in, uint32_t body_bytes_max, bool *found_out, sp_message *message_out, lp_error *error) {
    *found_out = false;
    span bytes = fifo_span(in);
    span digits, message;
    if (!span_take(&bytes, LENGTH_BYTES, &digits))
        return LP_OK;
    uint64_t length = read_number(digits.data, LENGTH_BYTES);
    if (length > (uint64_t)ID_BYTES + body_bytes_max)
        return err_set(error, LP_TOO_LARGE, "a message of %" PRIu64 " bytes; the limit is %" PRIu32, length,
                       body_bytes_max);
    if (length < ID_BYTES)
        return sp_take_id(&(span){0}, &message_out->id, error);
    if (!span_take(&bytes, (size_t)length, &message))
        return LP_OK;
    lp_err err = sp_take_id(&message, &message_out->id, error);
    if (err)
        return err;
    message_out->body = message;
    fifo_take(in, LENGTH_BYTES + (size_t)length);
    *found_out = true;
    return LP_OK;
}
