/* control_arguments.c - see control_arguments.h. */
#include "server/office/control_arguments.h"

#include <string.h>

#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"

lp_err control_request(const char *verb, const control_pair *pairs, size_t count, buf *out, lp_error *error) {
    buf arguments = {0};
    uint32_t present = 0;
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].value && !text_valid(span_text(pairs[i].value)))
            return err_set(error, LP_INVALID, "%s is not UTF-8 text", pairs[i].name);
        present += pairs[i].value != NULL;
    }
    wire_put_map(&arguments, present);
    for (size_t i = 0; i < count; i++) {
        if (!pairs[i].value)
            continue;
        wire_put_text(&arguments, span_text(pairs[i].name));
        wire_put_text(&arguments, span_text(pairs[i].value));
    }
    message m = {.number = MSG_CONTROL, .verb = span_text(verb), .arguments = buf_span(&arguments)};
    lp_err err = arguments.failed ? err_plain(error, LP_NOMEM) : message_encode(&m, out, error);
    buf_fini(&arguments);
    return err;
}

bool control_argument(span arguments, const char *name, char *text_out, size_t size) {
    wire_reader r = wire_open(arguments);
    text_out[0] = '\0';
    for (uint32_t left = arguments.size ? wire_map(&r) : 0; left > 0 && !r.failed; left--) {
        span key = wire_text(&r), value = wire_text(&r);
        if (r.failed || !span_equal(key, span_text(name)))
            continue;
        if (value.size >= size)
            return false;
        memcpy(text_out, value.data, value.size);
        text_out[value.size] = '\0';
        return true;
    }
    return true;
}
