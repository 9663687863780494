/* match.c - the text of records and of queries; see match.h. */
#include "client/find/match.h"

#include "client/find/fold.h"
#include "client/find/tokenizer.h"
#include "proto/schema.h"
#include "proto/wire.h"

#define COUNTRY_CODE_DIGITS_MAX 3 /* ITU-T E.164 */
#define NUMBER_DIGITS_MAX 32
#define NUMBER_DIGITS_MIN 7 /* shorter joined digits would match by accident */
#define QUERY_RUNS_MAX 64   /* words of a query beyond these are left out */

bool match_indexes(uint32_t kind) {
    return kind == KIND_LEAD || kind == KIND_TOUCH;
}

/* ---- numbers ---- */

/* The digits of a dialled number and where its parts begin. */
typedef struct number {
    char digits[NUMBER_DIGITS_MAX];
    uint32_t count;
    uint32_t parts[NUMBER_DIGITS_MAX];
    uint32_t part_count;
    bool international; /* begins with + or 00 */
} number;

/* False unless the folded text is digits and their punctuation, seven digits or more. */
static bool parse_number(span text, number *number_out) {
    *number_out = (number){0};
    bool in_part = false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        bool digit = c >= '0' && c <= '9';
        bool punctuation = c == ' ' || c == '-' || c == '(' || c == ')' || c == '.' || c == '/' || c == '+';
        if ((!digit && !punctuation) || (digit && number_out->count == NUMBER_DIGITS_MAX))
            return false;
        number_out->international |= c == '+';
        if (digit && !in_part)
            number_out->parts[number_out->part_count++] = number_out->count;
        if (digit)
            number_out->digits[number_out->count++] = (char)c;
        in_part = digit;
    }
    number_out->international |= number_out->count > 1 && number_out->digits[0] == '0' && number_out->digits[1] == '0';
    return number_out->count >= NUMBER_DIGITS_MIN;
}

static void append_digits(const number *n, uint32_t from, buf *text) {
    if (n->count < from + NUMBER_DIGITS_MIN)
        return;
    buf_append_byte(text, '\n');
    buf_append(text, n->digits + from, n->count - from);
}

static void append_joined(const number *n, buf *text) {
    for (uint32_t i = 0; i < n->part_count; i++)
        append_digits(n, n->parts[i], text);
    uint32_t code_at = n->digits[0] == '0' && n->digits[1] == '0' ? 2 : 0;
    for (uint32_t i = code_at ? 0 : 1; n->international && i <= COUNTRY_CODE_DIGITS_MAX; i++)
        append_digits(n, code_at + i, text);
}

/* ---- records ---- */

static bool is_name(uint32_t kind, uint32_t field) {
    if (kind != KIND_LEAD)
        return false;
    switch (field) {
    case LEAD_FULL_NAME:
    case LEAD_FAMILY_NAME:
    case LEAD_GIVEN_NAME:
    case LEAD_PHONETIC_NAME:
    case LEAD_COMPANY:
    case LEAD_LOCAL_COMPANY:
        return true;
    default:
        return false;
    }
}

static void append_number(span text, buf *other) {
    buf folded = {0};
    number n;
    if (text.size <= 4 * NUMBER_DIGITS_MAX) {
        fold_text(text, FOLD_DROP_ACCENTS, &folded);
        if (parse_number(buf_span(&folded), &n))
            append_joined(&n, other);
    }
    other->failed |= folded.failed;
    buf_fini(&folded);
}

void match_texts(const record *rec, buf *names, buf *other) {
    for (uint32_t i = 0; i < rec->count; i++) {
        const reg *r = &rec->regs[i];
        const field_info *info = schema_field(rec->kind, r->field);
        if (!info || !(info->flags & FIELD_SEARCH))
            continue;
        lp_value value = wire_value(r->value);
        if (value.type != LP_TEXT)
            continue;
        buf *to = is_name(rec->kind, r->field) ? names : other;
        span text = span_of(value.data, value.size);
        buf_append_span(to, text);
        append_number(text, other);
        /* A line end is in no token, so words of two fields never look like neighbours in one. */
        buf_append_byte(to, '\n');
    }
}

/* ---- queries ---- */

static void append_quoted(const run *r, buf *expression) {
    buf_append_byte(expression, '"');
    buf_append_span(expression, r->text);
    buf_append_byte(expression, '"');
    if (r->kind == RUN_WORD || r->chars == 1)
        buf_append_byte(expression, '*');
}

/* A Latin word asked for whole as well as by its beginning: found either way, but Li ranks before Lisa. */
static void append_word(const run *r, buf *expression) {
    if (r->kind == RUN_CJK) {
        append_quoted(r, expression);
        return;
    }
    buf_append(expression, "(\"", 2);
    buf_append_span(expression, r->text);
    buf_append(expression, "\" OR ", 5);
    append_quoted(r, expression);
    buf_append_byte(expression, ')');
}

static void append_words(span folded, buf *expression) {
    run next;
    for (uint32_t i = 0; i < QUERY_RUNS_MAX && tokenizer_next_run(&folded, &next); i++) {
        if (i)
            buf_append(expression, " AND ", 5);
        append_word(&next, expression);
    }
}

/* Besides its words as typed, a number may be stored joined, and without the country code that was typed. */
static void append_number_query(const number *n, buf *expression) {
    buf joined = {0};
    append_joined(n, &joined);
    span rest = buf_span(&joined);
    run next;
    while (tokenizer_next_run(&rest, &next)) {
        buf_append(expression, " OR ", 4);
        append_quoted(&next, expression);
    }
    expression->failed |= joined.failed;
    buf_fini(&joined);
}

void match_expression(span text, buf *expression) {
    buf folded = {0};
    number n;
    fold_text(text, FOLD_DROP_ACCENTS, &folded);
    append_words(buf_span(&folded), expression);
    if (parse_number(buf_span(&folded), &n))
        append_number_query(&n, expression);
    expression->failed |= folded.failed;
    buf_fini(&folded);
}
