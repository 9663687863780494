/* control_invite.c - from the committer's token to the text a device joins with; see control_verbs.h. */
#include <string.h>

#include "proto/err.h"
#include "proto/invite.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/config.h"
#include "server/office/control_arguments.h"
#include "server/office/control_verbs.h"

typedef struct invited {
    span token, staff, role;
    int64_t expires_ms;
} invited;

static lp_err read_invited(span answer, invited *out, lp_error *error) {
    message m;
    *out = (invited){0};
    lp_err err = message_decode(answer, &m, error);
    if (err != LP_OK)
        return err;
    wire_reader r = wire_open(m.result);
    for (uint32_t left = wire_map(&r); left > 0 && !r.failed; left--) {
        span name = wire_text(&r);
        if (span_equal(name, SPAN_LITERAL("token")))
            out->token = wire_bytes(&r);
        else if (span_equal(name, SPAN_LITERAL("expires_at")))
            out->expires_ms = wire_i64(&r);
        else if (span_equal(name, SPAN_LITERAL("staff")))
            out->staff = wire_text(&r);
        else if (span_equal(name, SPAN_LITERAL("role")))
            out->role = wire_text(&r);
        else
            wire_raw(&r);
    }
    if (r.failed || out->token.size != INVITE_TOKEN_BYTES)
        return err_set(error, LP_PROTOCOL, "the committer's answer to invite makes no sense");
    return LP_OK;
}

static void put_invitation(const control *c, const invited *made, invite *inv, buf *out) {
    buf text = {0};
    memcpy(inv->token, made->token.data, INVITE_TOKEN_BYTES);
    memcpy(inv->pin, c->pin, PIN_BYTES);
    invite_format(inv, &text);
    wire_put_map(out, 4);
    wire_put_text(out, SPAN_LITERAL("invitation"));
    wire_put_text(out, buf_span(&text));
    wire_put_text(out, SPAN_LITERAL("expires_at"));
    wire_put_i64(out, made->expires_ms);
    wire_put_text(out, SPAN_LITERAL("staff"));
    wire_put_text(out, made->staff);
    wire_put_text(out, SPAN_LITERAL("role"));
    wire_put_text(out, made->role);
    out->failed |= text.failed;
    buf_fini(&text);
}

lp_err control_invite(control *c, span request, span arguments, buf *out, lp_error *error) {
    invite inv = {0};
    char address[INVITE_HOST_BYTES + 16];
    if (!control_argument(arguments, "address", address, sizeof address))
        return err_set(error, LP_INVALID, "the address is too long");
    lp_err err = config_split_address(address[0] ? address : c->address, inv.host, &inv.port, error);
    if (err != LP_OK)
        return err;
    if (inv.host[0] == '\0' || inv.port == 0)
        return err_set(error, LP_INVALID,
                       "an invitation needs the address devices reach the server at; give --address HOST:PORT");
    job *j;
    invited made;
    err = control_job(c, JOB_INVITE, request, &j, error);
    if (err == LP_OK)
        err = read_invited(buf_span(&j->answer), &made, error);
    if (err == LP_OK)
        put_invitation(c, &made, &inv, out);
    job_free(j);
    return err;
}
