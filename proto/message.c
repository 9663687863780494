/* message.c - messages of messages.def to bytes and back; see message.h.
 *
 * Both directions are the same table read twice: a message's parts in ascending key order. */
#include "proto/message.h"

#include <string.h>

#include "proto/err.h"
#include "proto/hlc.h"
#include "proto/wire.h"

const char *message_name(uint32_t number) {
    switch (number) {
#define MESSAGE(NAME, number, name)                                                                                    \
    case number:                                                                                                       \
        return name;
#define PART(MESSAGE, key, member, type)
#include "proto/messages.def"
#undef MESSAGE
#undef PART
    default:
        return "unknown";
    }
}

typedef enum part_type { PART_U64, PART_I64, PART_BOOL, PART_TEXT, PART_BYTES, PART_RAW } part_type;

typedef struct part {
    uint32_t message;
    uint32_t key;
    part_type type;
    size_t offset;
} part;

static const part parts[] = {
#define MESSAGE(NAME, number, name)
#define PART(MESSAGE, key, member, type) {MSG_##MESSAGE, key, PART_##type, offsetof(message, member)},
#include "proto/messages.def"
#undef MESSAGE
#undef PART
};

#define PARTS_ALL (sizeof parts / sizeof parts[0])

/* Checks at compile time that every member has the C type its table row says. */
#define MESSAGE(NAME, number, name)
#define PART(MESSAGE, key, member, type)                                                                               \
    _Static_assert(_Generic(((message *)0)->member, MSG_TYPE_##type : 1, default : 0), #member " is not " #type);
#include "proto/messages.def"
#undef MESSAGE
#undef PART

static void *member(const part *p, message *m) {
    return (char *)m + p->offset;
}

static bool is_sized(part_type type) {
    return type == PART_TEXT || type == PART_BYTES || type == PART_RAW;
}

static bool is_zero(const part *p, message *m) {
    if (is_sized(p->type))
        return ((span *)member(p, m))->size == 0;
    if (p->type == PART_BOOL)
        return !*(bool *)member(p, m);
    return *(uint64_t *)member(p, m) == 0; /* int64_t reads as uint64_t: C11 6.5p7 */
}

static void put(const part *p, message *m, buf *out) {
    wire_put_u64(out, p->key);
    switch (p->type) {
    case PART_U64:
        wire_put_u64(out, *(uint64_t *)member(p, m));
        break;
    case PART_I64:
        wire_put_i64(out, *(int64_t *)member(p, m));
        break;
    case PART_BOOL:
        wire_put_bool(out, *(bool *)member(p, m));
        break;
    case PART_TEXT:
        wire_put_text(out, *(span *)member(p, m));
        break;
    case PART_BYTES:
        wire_put_bytes(out, *(span *)member(p, m));
        break;
    case PART_RAW:
        buf_append_span(out, *(span *)member(p, m));
        break;
    }
}

/* Times that no stamp can hold are refused here, so that nobody behind has to think of overflow when subtracting two. */
static int64_t take_time(wire_reader *r) {
    int64_t ms = wire_i64(r);
    if (ms < -STAMP_MS_MAX || ms > STAMP_MS_MAX)
        r->failed = true;
    return ms;
}

static void take(const part *p, message *m, wire_reader *r) {
    switch (p->type) {
    case PART_U64:
        *(uint64_t *)member(p, m) = wire_u64(r);
        break;
    case PART_I64:
        *(int64_t *)member(p, m) = take_time(r);
        break;
    case PART_BOOL:
        *(bool *)member(p, m) = wire_bool(r);
        break;
    case PART_TEXT:
        *(span *)member(p, m) = wire_text(r);
        break;
    case PART_BYTES:
        *(span *)member(p, m) = wire_bytes(r);
        break;
    case PART_RAW:
        *(span *)member(p, m) = wire_raw(r);
        break;
    }
}

lp_err message_encode(const message *m, buf *out, lp_error *error) {
    message copy = *m; /* so that one set of accessors serves both directions */
    size_t start = out->size;
    uint32_t count = 0;
    for (size_t i = 0; i < PARTS_ALL; i++)
        count += parts[i].message == m->number && !is_zero(&parts[i], &copy);
    wire_put_array(out, 2);
    wire_put_u64(out, m->number);
    wire_put_map(out, count);
    for (size_t i = 0; i < PARTS_ALL; i++)
        if (parts[i].message == m->number && !is_zero(&parts[i], &copy))
            put(&parts[i], &copy, out);
    if (out->failed)
        return err_plain(error, LP_NOMEM);
    if (out->size - start > WIRE_MESSAGE_BYTES_MAX)
        return err_set(error, LP_TOO_LARGE, "a %s message of %zu bytes is larger than allowed", message_name(m->number),
                       out->size - start);
    return LP_OK;
}

static const part *find_part(uint32_t message_number, uint64_t key) {
    for (size_t i = 0; i < PARTS_ALL; i++)
        if (parts[i].message == message_number && parts[i].key == key)
            return &parts[i];
    return NULL;
}

lp_err message_decode(span bytes, message *message_out, lp_error *error) {
    lp_err err = wire_scan(bytes, error);
    return err ? err : message_decode_scanned(bytes, message_out, error);
}

lp_err message_decode_scanned(span bytes, message *message_out, lp_error *error) {
    *message_out = (message){0};
    wire_reader r = wire_open(bytes);
    if (wire_array(&r) < 2)
        return err_set(error, LP_PROTOCOL, "the message is not [number, {parts}]");
    uint64_t number = wire_u64(&r);
    uint32_t count = wire_map(&r);
    if (r.failed || number > UINT32_MAX)
        return err_set(error, LP_PROTOCOL, "the message is not [number, {parts}]");
    message_out->number = (uint32_t)number;
    uint64_t last = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = wire_u64(&r);
        if (r.failed || key <= last)
            return err_set(error, LP_PROTOCOL, "the parts of a %s message are not in ascending order",
                           message_name(message_out->number));
        last = key;
        const part *p = find_part(message_out->number, key);
        if (p)
            take(p, message_out, &r);
        else
            wire_raw(&r);
        if (r.failed)
            return err_set(error, LP_PROTOCOL, "part %llu of a %s message has the wrong type", (unsigned long long)key,
                           message_name(message_out->number));
    }
    return LP_OK;
}

void message_hello_signed(const message *hello, span binding, buf *out) {
    wire_put_text(out, SPAN_LITERAL("leadpool hello 1"));
    wire_put_bytes(out, binding);
    wire_put_u64(out, hello->device);
    wire_put_bytes(out, hello->install);
    wire_put_u64(out, hello->batch);
    wire_put_i64(out, hello->now_ms);
}

void message_rejoin_signed(const message *rejoin, span binding, buf *out) {
    wire_put_text(out, SPAN_LITERAL("leadpool rejoin 1"));
    wire_put_bytes(out, binding);
    wire_put_u64(out, rejoin->device);
    wire_put_bytes(out, rejoin->public_key);
    wire_put_bytes(out, rejoin->install);
}
