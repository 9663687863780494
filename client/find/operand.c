/* operand.c - one side and one comparison of a filter's term; see operand.h.
 *
 * The SQL side of every operand is as it is compared (c_ columns, lp_field, lp_code), so texts are compared by bytes: texts
 * folded, codes as they are. `Google` and `google` are two codes, and a count by source must not mix them. */
#include "client/find/operand.h"

#include <stdio.h>
#include <string.h>

#include "client/replica/fields.h"
#include "client/find/fold.h"
#include "client/find/typed.h"
#include "proto/err.h"
#include "proto/id.h"

/* ---- the field ---- */

static const struct {
    const char *name;
    const char *sql;
    field_type type;
} virtuals[] = {
    {"id", "record.id", FIELD_ID},
    {"updated", "lp_updated(record.stamps)", FIELD_TIME},
    {"unsent", "record.unsent", FIELD_BOOL},
};

static void append_sql(operand *o, const char *sql) {
    buf_append(&o->sql, sql, strlen(sql));
}

static bool find_virtual(operand *o, span name) {
    for (size_t i = 0; i < sizeof virtuals / sizeof virtuals[0]; i++) {
        if (!span_equal(span_text(virtuals[i].name), name))
            continue;
        o->type = virtuals[i].type;
        append_sql(o, virtuals[i].sql);
        return true;
    }
    return false;
}

/* The key is bound by way of the clause, which then loses the parameter's text again: the operand places it itself. */
static lp_err append_key(clause *c, operand *o, span key, lp_error *error) {
    if (key.size == 0) {
        append_sql(o, o->whole_map ? "NULL" : "''");
        return LP_OK;
    }
    size_t before = c->sql.size;
    lp_value value = {.type = LP_TEXT, .data = (const char *)key.data, .size = (uint32_t)key.size};
    lp_err code = clause_append_value(c, &value, error);
    if (code == LP_OK && !c->sql.failed)
        buf_append(&o->sql, c->sql.data + before, c->sql.size - before);
    c->sql.size = before;
    return code;
}

lp_err operand_parse(clause *c, uint32_t kind, span name, operand *operand_out, lp_error *error) {
    *operand_out = (operand){.type = FIELD_ANY};
    snprintf(operand_out->name, sizeof operand_out->name, "%.*s", name.size < 40 ? (int)name.size : 40,
             (const char *)name.data);
    field_ref ref;
    if (find_virtual(operand_out, name))
        return LP_OK;
    lp_err code = fields_parse(kind, name, &ref, error);
    if (code != LP_OK)
        return code;
    if (ref.info)
        operand_out->type = ref.info->type;
    operand_out->whole_map = ref.info && (ref.info->flags & FIELD_MAP) && ref.key.size == 0;
    const char *column = ref.info ? fields_column_of(ref.info) : NULL;
    if (column) {
        append_sql(operand_out, "record.");
        append_sql(operand_out, column);
        return LP_OK;
    }
    char call[48];
    snprintf(call, sizeof call, "%s(record.body, %u, ", operand_out->type == FIELD_CODE ? "lp_code" : "lp_field",
             ref.number);
    append_sql(operand_out, call);
    code = append_key(c, operand_out, ref.key, error);
    append_sql(operand_out, ")");
    return code;
}

void operand_fini(operand *o) {
    buf_fini(&o->sql);
}

/* ---- the comparison ---- */

static void append_operand(clause *c, const operand *o) {
    c->sql.failed |= o->sql.failed;
    buf_append_span(&c->sql, buf_span(&o->sql));
}

static lp_err compare(clause *c, const operand *o, const char *sql_operator, const lp_value *value, lp_error *error) {
    append_operand(c, o);
    clause_append(c, sql_operator);
    return clause_append_value(c, value, error);
}

/* An order is never true of an empty field; saying so outright keeps the term two-valued. */
static lp_err compare_order(clause *c, const operand *o, const char *sql_operator, const lp_value *value,
                            lp_error *error) {
    append_operand(c, o);
    clause_append(c, " IS NOT NULL AND ");
    return compare(c, o, sql_operator, value, error);
}

static const char *order_operator(comparison how) {
    return how == CMP_LESS ? " < " : how == CMP_AT_MOST ? " <= " : how == CMP_GREATER ? " > " : " >= ";
}

static lp_err compare_value(clause *c, const operand *o, comparison how, const lp_value *value, lp_error *error) {
    if (how == CMP_EQUAL || how == CMP_NOT_EQUAL)
        return compare(c, o, how == CMP_EQUAL ? " IS " : " IS NOT ", value, error);
    return compare_order(c, o, order_operator(how), value, error);
}

static void append_empty(clause *c, const operand *o, comparison how) {
    clause_append(c, how == CMP_EQUAL ? "ifnull(" : "NOT ifnull(");
    append_operand(c, o);
    clause_append(c, " = '', 1)");
}

static lp_err refuse(const operand *o, const char *must_be, span value, lp_error *error) {
    return err_set(error, LP_INVALID, "%s is compared with %s, not '%.*s'", o->name, must_be,
                   value.size < 80 ? (int)value.size : 80, (const char *)value.data);
}

static lp_err compare_number(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    lp_value value = {.type = LP_INT};
    if (!typed_int(text, &value.integer)) {
        value.type = LP_REAL;
        if (!typed_real(text, &value.real))
            return refuse(o, "a number", text, error);
    }
    return compare_value(c, o, how, &value, error);
}

/* A box nobody ticked is not ticked: empty counts as no. */
static lp_err compare_bool(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    bool yes;
    if (!typed_bool(text, &yes))
        return refuse(o, "yes or no", text, error);
    if (how != CMP_EQUAL && how != CMP_NOT_EQUAL)
        return err_set(error, LP_INVALID, "%s is yes or no and has no order; use = or !=", o->name);
    clause_append(c, "ifnull(");
    append_operand(c, o);
    clause_append(c, yes == (how == CMP_EQUAL) ? ", 0) <> 0" : ", 0) = 0");
    return LP_OK;
}

/* What is typed names a span of time, [start, end): a day, a minute. Equal is within it, greater is after it. */
static lp_err compare_time(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    lp_value start = {.type = LP_INT}, end = {.type = LP_INT};
    if (!typed_time(text, &start.integer, &end.integer))
        return refuse(o, "a time such as 2026-11-22 or '2026-11-22 14:30'", text, error);
    lp_err code = LP_OK;
    switch (how) {
    case CMP_LESS:
        return compare_order(c, o, " < ", &start, error);
    case CMP_AT_MOST:
        return compare_order(c, o, " < ", &end, error);
    case CMP_GREATER:
        return compare_order(c, o, " >= ", &end, error);
    case CMP_AT_LEAST:
        return compare_order(c, o, " >= ", &start, error);
    case CMP_EQUAL:
    case CMP_NOT_EQUAL:
    case CMP_CONTAINS:
        break;
    }
    clause_append(c, how == CMP_EQUAL ? "(" : "NOT (");
    code = compare_order(c, o, " >= ", &start, error);
    clause_append(c, " AND ");
    if (code == LP_OK)
        code = compare(c, o, " < ", &end, error);
    clause_append(c, ")");
    return code;
}

static lp_err compare_id(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    char typed[LP_ID_TEXT_BYTES];
    lp_id id;
    if (text.size != sizeof typed - 1)
        return refuse(o, "an id", text, error);
    memcpy(typed, text.data, text.size);
    typed[text.size] = 0;
    if (!lp_id_parse(typed, &id))
        return refuse(o, "an id", text, error);
    lp_value value = {.type = LP_BYTES, .data = (const char *)id.bytes, .size = sizeof id.bytes};
    return compare_value(c, o, how, &value, error);
}

static lp_err compare_folded(clause *c, const operand *o, comparison how, const lp_value *value, lp_error *error) {
    if (how != CMP_CONTAINS)
        return compare_value(c, o, how, value, error);
    clause_append(c, "ifnull(instr(");
    append_operand(c, o);
    clause_append(c, ", ");
    lp_err code = clause_append_value(c, value, error);
    clause_append(c, "), 0) > 0");
    return code;
}

static lp_err compare_text(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    buf folded = {0};
    fold_text(text, FOLD_KEEP_ACCENTS, &folded);
    lp_value value = {.type = LP_TEXT, .data = (const char *)folded.data, .size = (uint32_t)folded.size};
    lp_err code = folded.failed ? err_plain(error, LP_NOMEM) : compare_folded(c, o, how, &value, error);
    buf_fini(&folded);
    return code;
}

/* Codes are equal or not to the letter; only "contains" is lenient. */
static lp_err compare_code(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    lp_value value = {.type = LP_TEXT, .data = (const char *)text.data, .size = (uint32_t)text.size};
    if (how != CMP_CONTAINS)
        return compare_value(c, o, how, &value, error);
    operand folded = *o;
    folded.sql = (buf){0};
    append_sql(&folded, "lp_fold(");
    buf_append_span(&folded.sql, buf_span(&o->sql));
    append_sql(&folded, ")");
    lp_err code = compare_text(c, &folded, how, text, error);
    operand_fini(&folded);
    return code;
}

/* A field of unknown type is compared as text, whatever it holds; an order by type would be a guess. */
static lp_err compare_any(clause *c, const operand *o, comparison how, span text, lp_error *error) {
    if (how != CMP_EQUAL && how != CMP_NOT_EQUAL && how != CMP_CONTAINS)
        return err_set(error, LP_INVALID, "%s is of no one type and has no order; use =, != or ~", o->name);
    operand as_text = *o;
    as_text.sql = (buf){0};
    append_sql(&as_text, "CAST(");
    buf_append_span(&as_text.sql, buf_span(&o->sql));
    append_sql(&as_text, " AS TEXT)");
    lp_err code = compare_text(c, &as_text, how, text, error);
    operand_fini(&as_text);
    return code;
}

static lp_err append_comparison(clause *c, const operand *o, comparison how, span value, lp_error *error) {
    bool equality = how == CMP_EQUAL || how == CMP_NOT_EQUAL;
    if (value.size == 0 && equality) {
        append_empty(c, o, how);
        return LP_OK;
    }
    if (value.size == 0)
        return err_set(error, LP_INVALID, "a value is missing after %s; only = and != may stand alone", o->name);
    if (o->whole_map)
        return err_set(error, LP_INVALID, "%s needs a key, such as %s.name", o->name, o->name);
    bool text = o->type == FIELD_TEXT || o->type == FIELD_CODE || o->type == FIELD_ANY || o->type == FIELD_BYTES;
    if (how == CMP_CONTAINS && !text)
        return err_set(error, LP_INVALID, "%s is not text; use = or != instead of ~", o->name);
    switch (o->type) {
    case FIELD_INT:
    case FIELD_REAL:
        return compare_number(c, o, how, value, error);
    case FIELD_BOOL:
        return compare_bool(c, o, how, value, error);
    case FIELD_TIME:
        return compare_time(c, o, how, value, error);
    case FIELD_ID:
        return compare_id(c, o, how, value, error);
    case FIELD_BYTES:
        return err_set(error, LP_INVALID, "%s holds bytes and can only be empty or not: '%s=', '%s!='", o->name,
                       o->name, o->name);
    case FIELD_TEXT:
        return compare_text(c, o, how, value, error);
    case FIELD_CODE:
        return compare_code(c, o, how, value, error);
    case FIELD_ANY:
        break;
    }
    return compare_any(c, o, how, value, error);
}

lp_err operand_append_term(clause *c, const operand *o, comparison how, span value, lp_error *error) {
    clause_append(c, "(");
    lp_err code = append_comparison(c, o, how, value, error);
    clause_append(c, ")");
    return code;
}
