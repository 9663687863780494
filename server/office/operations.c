/* operations.c - see operations.h. One function a verb, found by name in a table. */
#include "server/office/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bug.h"
#include "proto/err.h"
#include "proto/message.h"
#include "server/pool/access.h"
#include "server/pool/auth.h"
#include "server/office/control_arguments.h"
#include "server/office/erase.h"
#include "server/office/ledger.h"
#include "server/office/purge.h"
#include "server/office/regrant.h"
#include "server/office/repair.h"
#include "server/office/review.h"
#include "server/pool/seen.h"

#define ARGUMENT_BYTES 64
#define DEVICES_SHOWN_MAX 1500 /* an answer holds about as many; older ones come first */
#define LIST_BYTES_MAX (WIRE_MESSAGE_BYTES_MAX - 64 * 1024)

static void put_text(buf *out, const char *name, const char *value) {
    wire_put_text(out, span_text(name));
    wire_put_text(out, span_text(value));
}

static void put_number(buf *out, const char *name, int64_t value) {
    wire_put_text(out, span_text(name));
    wire_put_i64(out, value);
}

/* Copies an argument; empty if it is not there. */
static lp_err take_argument(span arguments, const char *name, char text_out[ARGUMENT_BYTES], lp_error *error) {
    if (control_argument(arguments, name, text_out, ARGUMENT_BYTES))
        return LP_OK;
    return err_set(error, LP_INVALID, "--%s is too long", name);
}

/* A whole number from `least` on. */
static lp_err read_number(const char *name, const char *text, uint64_t least, uint64_t *number_out, lp_error *error) {
    char *end = NULL;
    unsigned long long number = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end || number < least || number > INT64_MAX)
        return err_set(error, LP_INVALID, "--%s needs a number, not '%.40s'", name, text);
    *number_out = number;
    return LP_OK;
}

/* A list in the making: elements behind each other, counted. */
typedef struct list {
    pool *pool;
    buf elements;
    uint32_t count;
} list;

static lp_err put_list(list *l, buf *out, lp_error *error) {
    wire_put_array(out, l->count);
    buf_append_span(out, buf_span(&l->elements));
    lp_err err = l->elements.failed ? err_plain(error, LP_NOMEM) : LP_OK;
    buf_fini(&l->elements);
    return err;
}

/* ---- erase ---- */

static lp_err do_erase(pool *p, span arguments, buf *out, lp_error *error) {
    char text[ARGUMENT_BYTES];
    lp_id lead;
    uint32_t count;
    lp_err err = take_argument(arguments, "lead", text, error);
    if (!err && !lp_id_parse(text, &lead))
        err = err_set(error, LP_INVALID, "erase needs the whole id of a lead; give --lead ID");
    if (!err)
        err = erase_lead(p, &lead, &count, error);
    if (err)
        return err;
    wire_put_map(out, 2);
    put_text(out, "lead", text);
    put_number(out, "erased", count);
    return LP_OK;
}

/* ---- review ---- */

static void put_field_name(buf *out, uint32_t kind, const reg *change) {
    char name[KEY_BYTES_MAX + 80];
    const field_info *info = schema_field(kind, change->field);
    int size = info ? snprintf(name, 80, "%s", info->name) : snprintf(name, 80, "#%u", change->field);
    if (change->key.size) {
        name[size++] = '.';
        memcpy(name + size, change->key.data, change->key.size);
        size += (int)change->key.size;
    }
    wire_put_text(out, span_of(name, (size_t)size));
}

static void put_fields(buf *out, const change_set *set) {
    change_set walk = *set;
    reg change;
    wire_put_text(out, SPAN_LITERAL("fields"));
    wire_put_map(out, set->field_count);
    while (change_next(&walk, &change)) {
        put_field_name(out, set->kind, &change);
        buf_append_span(out, change.value);
    }
}

static bool add_entry(void *ctx, const review_entry *e) {
    list *l = ctx;
    buf *out = &l->elements;
    char id[LP_ID_TEXT_BYTES], person[LP_ID_TEXT_BYTES], number[16];
    const kind_info *kind = schema_kind(e->set.kind);
    size_t before = out->size;
    lp_id_format(&e->set.id, id);
    lp_id_format(&e->person, person);
    snprintf(number, sizeof number, "#%u", e->set.kind);
    wire_put_map(out, 8);
    put_number(out, "number", (int64_t)e->number);
    put_text(out, "reason", review_reason_name(e->why));
    put_number(out, "at", e->at_ms);
    put_number(out, "device", e->device);
    put_text(out, "person", person);
    put_text(out, "kind", kind ? kind->name : number);
    put_text(out, "record", id);
    put_fields(out, &e->set);
    if (out->size > LIST_BYTES_MAX) {
        out->size = before; /* the rest is listed once some of these are decided */
        return false;
    }
    l->count++;
    return true;
}

static lp_err list_review(pool *p, buf *out, lp_error *error) {
    list l = {.pool = p};
    lp_err err = review_each(p, add_entry, &l, error);
    lp_err put = put_list(&l, out, error);
    return err ? err : put;
}

static lp_err do_review(pool *p, span arguments, buf *out, lp_error *error) {
    char accept[ARGUMENT_BYTES], reject[ARGUMENT_BYTES];
    uint64_t number = 0;
    lp_err err = take_argument(arguments, "accept", accept, error);
    if (!err)
        err = take_argument(arguments, "reject", reject, error);
    if (err)
        return err;
    if (!accept[0] && !reject[0])
        return list_review(p, out, error);
    if (accept[0] && reject[0])
        return err_set(error, LP_INVALID, "one decision at a time: give --accept N or --reject N");
    err = read_number(accept[0] ? "accept" : "reject", accept[0] ? accept : reject, 1, &number, error);
    if (!err)
        err = accept[0] ? review_accept(p, number, error) : review_reject(p, number, error);
    if (err)
        return err;
    wire_put_map(out, 2);
    put_number(out, "number", (int64_t)number);
    put_text(out, "decision", accept[0] ? "accepted" : "rejected");
    return LP_OK;
}

/* ---- revoke, devices ---- */

static lp_err do_revoke(pool *p, span arguments, buf *out, lp_error *error) {
    char text[ARGUMENT_BYTES];
    uint64_t number = 0;
    device d;
    lp_err err = take_argument(arguments, "device", text, error);
    if (!err)
        err = read_number("device", text, DEVICE_NUMBER_MIN, &number, error);
    if (!err)
        err = number > UINT32_MAX ? LP_NOT_FOUND : auth_device_load(p, (uint32_t)number, &d, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, err,
                       "there is no device %s; leadpoold devices lists them, and who joined after a restored backup "
                       "once they have called",
                       text);
    if (!err && !d.revoked_ms) {
        int64_t now_ms = pool_now_ms(p);
        err = ledger_note_revoked(p->ledger, d.number, span_of(d.public_key, sizeof d.public_key), now_ms, error);
        if (!err)
            err = auth_revoke(p, &d, now_ms, error);
    }
    if (err)
        return err;
    wire_put_map(out, 4);
    put_number(out, "device", d.number);
    put_text(out, "staff", d.staff_name);
    put_text(out, "label", d.label);
    put_number(out, "revoked_at", d.revoked_ms);
    return LP_OK;
}

/* What the device list says of one. The store is asked afterwards: a walk must not. */
static bool add_device(void *ctx, const device *d) {
    list *l = ctx;
    buf_append(&l->elements, d, sizeof *d);
    l->count++;
    return !l->elements.failed;
}

static lp_err put_device(pool *p, const device *d, buf *out, lp_error *error) {
    seen s;
    lp_err err = seen_get(p, d->number, &s, error);
    wire_put_map(out, 8);
    put_number(out, "device", d->number);
    put_text(out, "staff", d->staff_name);
    put_text(out, "role", d->role);
    put_text(out, "label", d->label);
    put_number(out, "batch", (int64_t)d->batch);
    put_number(out, "seen_at", s.at_ms);
    put_number(out, "read_seq", (int64_t)s.seq);
    put_number(out, "revoked_at", d->revoked_ms);
    return err;
}

static lp_err do_devices(pool *p, span arguments, buf *out, lp_error *error) {
    list l = {.pool = p};
    (void)arguments;
    lp_err err = auth_each_device(p, add_device, &l, error);
    if (!err && l.elements.failed)
        err = err_plain(error, LP_NOMEM);
    uint32_t shown = l.count < DEVICES_SHOWN_MAX ? l.count : DEVICES_SHOWN_MAX;
    wire_put_array(out, shown);
    for (uint32_t i = 0; !err && i < shown; i++) {
        device d;
        memcpy(&d, l.elements.data + i * sizeof d, sizeof d);
        err = put_device(p, &d, out, error);
    }
    buf_fini(&l.elements);
    return err;
}

/* ---- purge ---- */

/* One step: whoever wants all asks again while `more`. */
static lp_err do_purge(pool *p, span arguments, buf *out, lp_error *error) {
    char text[ARGUMENT_BYTES];
    uint64_t days = 0;
    purge_outcome o;
    lp_err err = take_argument(arguments, "days", text, error);
    if (!err && text[0])
        err = read_number("days", text, 1, &days, error);
    if (!err && days > 36500)
        err = err_set(error, LP_INVALID, "--days is at most 36500");
    if (!err)
        err = purge_step(p, days ? (int64_t)days * DAY_MS : p->retention_ms, &o, error);
    if (err)
        return err;
    wire_put_map(out, 4);
    put_number(out, "purged", o.purged);
    put_number(out, "waiting", o.waiting);
    put_number(out, "marks", o.marks);
    put_number(out, "more", o.more);
    return LP_OK;
}

/* ---- repair-clock ---- */

static lp_err do_repair_clock(pool *p, span arguments, buf *out, lp_error *error) {
    repair_report report;
    (void)arguments;
    lp_err err = repair_clock(p, &report, error);
    if (err)
        return err;
    wire_put_map(out, 3);
    put_number(out, "time_at", p->env->wall_ms(p->env->ctx));
    put_number(out, "stamps", (int64_t)report.stamps);
    put_number(out, "records", (int64_t)report.records);
    return LP_OK;
}

/* ---- grant, ungrant ---- */

static lp_err do_change(pool *p, span arguments, bool grant, buf *out, lp_error *error) {
    char staff[STAFF_NAME_BYTES] = "", scope[SCOPE_NAME_BYTES_MAX + 1] = "";
    if (!control_argument(arguments, "staff", staff, sizeof staff) ||
        !control_argument(arguments, "scope", scope, sizeof scope))
        return err_set(error, LP_INVALID, "--staff or --scope is too long");
    if (!staff[0] || !scope[0])
        return err_set(error, LP_INVALID, "a grant needs a person and a scope; give --staff NAME --scope SCOPE");
    lp_err err = access_change(p, staff, span_text(scope), grant, error);
    if (err)
        return err;
    wire_put_map(out, 3);
    put_text(out, "staff", staff);
    put_text(out, "scope", scope);
    wire_put_text(out, SPAN_LITERAL("granted"));
    wire_put_bool(out, grant);
    return LP_OK;
}

static lp_err do_grant(pool *p, span arguments, buf *out, lp_error *error) {
    return do_change(p, arguments, true, out, error);
}

static lp_err do_ungrant(pool *p, span arguments, buf *out, lp_error *error) {
    return do_change(p, arguments, false, out, error);
}

/* ---- dispatch ---- */

static const struct verb {
    const char *name;
    lp_err (*run)(pool *p, span arguments, buf *out, lp_error *error);
} verbs[] = {{"grant", do_grant},   {"ungrant", do_ungrant}, {"erase", do_erase}, {"review", do_review},
             {"revoke", do_revoke}, {"devices", do_devices}, {"purge", do_purge}, {"repair-clock", do_repair_clock}};

static const struct verb *find(span verb) {
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (span_equal(verb, span_text(verbs[i].name)))
            return &verbs[i];
    return NULL;
}

bool operations_know(span verb) {
    return find(verb) != NULL;
}

lp_err operations_run(pool *p, job *j, lp_error *error) {
    message request;
    buf result = {0};
    lp_err err = message_decode(buf_span(&j->request), &request, error);
    const struct verb *v = err ? NULL : find(request.verb);
    if (!err && !v)
        err = err_set(error, LP_UNSUPPORTED, "the pool does not know this command");
    if (!err)
        err = v->run(p, request.arguments, &result, error);
    if (!err && result.failed)
        err = err_plain(error, LP_NOMEM);
    message answer = {.number = MSG_CONTROLLED, .result = buf_span(&result)};
    if (!err)
        err = message_encode(&answer, &j->answer, error);
    buf_fini(&result);
    return err;
}

static lp_err revoke_again(void *ctx, span subject, int64_t at_ms, lp_error *error) {
    pool *p = ctx;
    device d;
    uint32_t number;
    uint8_t key[sizeof d.public_key];
    if (!ledger_read_revoked(subject, &number, key))
        return err_set(error, LP_CORRUPT, "the ledger of revocations names what is no device");
    lp_err err = auth_device_load(p, number, &d, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    bool same = memcmp(key, d.public_key, sizeof key) == 0; /* and not another, that got the number after a restore */
    return same && !d.revoked_ms ? auth_revoke(p, &d, at_ms, error) : LP_OK;
}

lp_err operations_replay(pool *p, lp_error *error) {
    uint32_t erased;
    lp_err err = BUG(ERASURES_NOT_REPLAYED) ? LP_OK : erase_replay(p, &erased, error);
    if (!err)
        err = ledger_each(p->ledger, LEDGER_REVOKED, revoke_again, p, error);
    return err ? err : regrant_replay(p, error);
}
