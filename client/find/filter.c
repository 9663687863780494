/* filter.c - reads filters and sort orders; see filter.h.
 *
 *     or    := and { "or" and }
 *     and   := not { ["and"] not }
 *     not   := "not" not | "(" or ")" | term
 *     term  := name operator value
 *     name, value := a word, or anything within "..." or '...' (\ before a quote or a \ stands for that character)
 *
 * SQL binds NOT, AND, OR in this same order and every term goes out in parentheses, so the SQL is written while reading.
 * A value follows its operator at once; `name=` followed by white space is the empty value, unless white space stands before the
 * operator too (`score >= 5`). */
#include "client/find/filter.h"

#include <string.h>

#include "client/find/operand.h"
#include "proto/err.h"
#include "proto/wire.h"

typedef struct parser {
    const char *at;
    clause *out;
    uint32_t kind;
    uint32_t depth;
    uint32_t terms;
    lp_error *error;
} parser;

const char *lp_filter_help(void) {
    return "FIELD=VALUE    equal, without regard to case and width (codes such as source: to the letter); FIELD!=VALUE "
           "not equal\n"
           "FIELD~VALUE    contains\n"
           "FIELD<VALUE    less; also <= > >= (numbers, times, text)\n"
           "FIELD=         empty; FIELD!= not empty\n"
           "Terms in a row or with `and` must all hold; `or`, `not` and parentheses as usual.\n"
           "Put words with spaces or parentheses in quotes: company=\"Acme (Shanghai)\"\n"
           "Yes/no fields: converted=yes; empty counts as no. One key of a map field: tags.vip=yes\n"
           "Times: captured_at>=2026-11-22, captured_at<\"2026-11-22 14:30\" (local), 2026-11-22T06:30:00Z\n"
           "Beside the fields of the kind: id, updated (a time), unsent (yes/no).\n";
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool ends_word(char c) {
    return c == 0 || is_blank(c) || c == '(' || c == ')';
}

static bool is_operator(char c) {
    return c == '=' || c == '!' || c == '<' || c == '>' || c == '~';
}

static void skip_blanks(parser *p) {
    while (is_blank(*p->at))
        p->at++;
}

/* True if the next word is this keyword, in whatever case, alone. */
static bool at_keyword(const char *at, const char *keyword) {
    size_t size = strlen(keyword);
    for (size_t i = 0; i < size; i++)
        if ((at[i] | 0x20) != keyword[i])
            return false;
    return ends_word(at[size]);
}

static bool take_keyword(parser *p, const char *keyword) {
    skip_blanks(p);
    if (!at_keyword(p->at, keyword))
        return false;
    p->at += strlen(keyword);
    return true;
}

/* At the end of what an `and` chain can go on with. */
static bool at_stop(parser *p) {
    skip_blanks(p);
    return *p->at == 0 || *p->at == ')' || at_keyword(p->at, "or");
}

static lp_err take_quoted(parser *p, buf *text_out) {
    const char *start = p->at;
    char quote = *p->at++;
    for (; *p->at != quote; p->at++) {
        if (*p->at == '\\' && (p->at[1] == quote || p->at[1] == '\\'))
            p->at++;
        if (*p->at == 0)
            return err_set(p->error, LP_INVALID, "the filter has no closing quote for %.40s", start);
        buf_append_byte(text_out, (uint8_t)*p->at);
    }
    p->at++;
    return LP_OK;
}

static lp_err take_name(parser *p, buf *name_out) {
    const char *start = p->at;
    if (*p->at == '"' || *p->at == '\'')
        return take_quoted(p, name_out);
    while (!ends_word(*p->at) && !is_operator(*p->at))
        buf_append_byte(name_out, (uint8_t)*p->at++);
    if (p->at == start)
        return err_set(p->error, LP_INVALID, "the filter needs a field's name before '%.40s'", start);
    return LP_OK;
}

static lp_err take_operator(parser *p, const char *name, comparison *how_out) {
    static const struct {
        const char *text;
        comparison how;
    } operators[] = {
        {"==", CMP_EQUAL}, {"!=", CMP_NOT_EQUAL}, {"<>", CMP_NOT_EQUAL}, {"<=", CMP_AT_MOST}, {">=", CMP_AT_LEAST},
        {"=", CMP_EQUAL},  {"<", CMP_LESS},       {">", CMP_GREATER},    {"~", CMP_CONTAINS},
    };
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        size_t size = strlen(operators[i].text);
        if (strncmp(p->at, operators[i].text, size) != 0)
            continue;
        p->at += size;
        *how_out = operators[i].how;
        return LP_OK;
    }
    return err_set(p->error, LP_INVALID, "the filter needs one of = != < <= > >= ~ after '%.80s', as in %.80s=value",
                   name, name);
}

static lp_err take_value(parser *p, bool spaced, buf *value_out) {
    if (spaced) {
        skip_blanks(p);
        if (at_keyword(p->at, "and") || at_keyword(p->at, "or"))
            return LP_OK;
    }
    if (*p->at == '"' || *p->at == '\'') {
        lp_err code = take_quoted(p, value_out);
        if (code == LP_OK && !ends_word(*p->at))
            return err_set(p->error, LP_INVALID, "the filter needs a space after the closing quote, before '%.40s'",
                           p->at);
        return code;
    }
    while (!ends_word(*p->at))
        buf_append_byte(value_out, (uint8_t)*p->at++);
    return LP_OK;
}

static lp_err parse_term(parser *p) {
    buf name = {0}, value = {0};
    operand field = {0};
    comparison how = CMP_EQUAL;
    if (++p->terms > FILTER_TERMS_MAX)
        return err_set(p->error, LP_INVALID, "the filter has more than %d terms; make it shorter", FILTER_TERMS_MAX);
    lp_err code = take_name(p, &name);
    if (code != LP_OK)
        goto out;
    bool spaced = is_blank(*p->at);
    skip_blanks(p);
    buf_append_byte(&name, 0);
    if (name.failed) {
        code = err_plain(p->error, LP_NOMEM);
        goto out;
    }
    if ((code = take_operator(p, (const char *)name.data, &how)) != LP_OK)
        goto out;
    if ((code = take_value(p, spaced, &value)) != LP_OK)
        goto out;
    if ((code = operand_parse(p->out, p->kind, span_of(name.data, name.size - 1), &field, p->error)) != LP_OK)
        goto out;
    code = value.failed ? err_plain(p->error, LP_NOMEM)
                        : operand_append_term(p->out, &field, how, buf_span(&value), p->error);
out:
    operand_fini(&field);
    buf_fini(&name);
    buf_fini(&value);
    return code;
}

static lp_err parse_or(parser *p);

static lp_err parse_group(parser *p) {
    p->at++;
    clause_append(p->out, "(");
    lp_err code = parse_or(p);
    if (code != LP_OK)
        return code;
    skip_blanks(p);
    if (*p->at != ')')
        return err_set(p->error, LP_INVALID, "the filter has no closing parenthesis");
    p->at++;
    clause_append(p->out, ")");
    return LP_OK;
}

static lp_err parse_not(parser *p) {
    if (p->depth == FILTER_DEPTH_MAX)
        return err_set(p->error, LP_INVALID, "the filter is nested deeper than %d", FILTER_DEPTH_MAX);
    p->depth++;
    lp_err code;
    if (take_keyword(p, "not")) {
        clause_append(p->out, "NOT ");
        code = parse_not(p);
    } else if (*p->at == '(') {
        code = parse_group(p);
    } else if (at_stop(p) || at_keyword(p->at, "and")) {
        code = err_set(p->error, LP_INVALID, "the filter needs a term before '%.40s'", *p->at ? p->at : "its end");
    } else {
        code = parse_term(p);
    }
    p->depth--;
    return code;
}

static lp_err parse_and(parser *p) {
    lp_err code = parse_not(p);
    while (code == LP_OK && !at_stop(p)) {
        take_keyword(p, "and");
        clause_append(p->out, " AND ");
        code = parse_not(p);
    }
    return code;
}

static lp_err parse_or(parser *p) {
    lp_err code = parse_and(p);
    while (code == LP_OK && take_keyword(p, "or")) {
        clause_append(p->out, " OR ");
        code = parse_and(p);
    }
    return code;
}

lp_err filter_append(clause *c, uint32_t kind, const char *text, lp_error *error) {
    parser p = {.at = text ? text : "", .out = c, .kind = kind, .error = error};
    skip_blanks(&p);
    if (*p.at == 0) {
        clause_append(c, "1");
        return LP_OK;
    }
    if (!text_valid(span_text(p.at)))
        return err_set(error, LP_INVALID, "the filter is not UTF-8; convert it first");
    lp_err code = parse_or(&p);
    if (code == LP_OK && *p.at)
        code = err_set(error, LP_INVALID, "the filter has a closing parenthesis too many: '%.40s'", p.at);
    return code;
}

static lp_err append_order(clause *c, uint32_t kind, span name, lp_error *error) {
    bool down = name.size && name.data[0] == '-';
    if (down)
        name = span_of(name.data + 1, name.size - 1);
    operand field;
    lp_err code = operand_parse(c, kind, name, &field, error);
    if (code == LP_OK && field.whole_map)
        code = err_set(error, LP_INVALID, "%s needs a key to sort by, such as %s.name", field.name, field.name);
    if (code == LP_OK) {
        c->sql.failed |= field.sql.failed;
        buf_append_span(&c->sql, buf_span(&field.sql));
        clause_append(c, down ? " DESC NULLS LAST, " : " ASC NULLS LAST, ");
    }
    operand_fini(&field);
    return code;
}

lp_err filter_append_order(clause *c, uint32_t kind, const char *text, lp_error *error) {
    if (!text || text[strspn(text, " ")] == 0) {
        clause_append(c, "record.rid DESC");
        return LP_OK;
    }
    while (text) {
        text += strspn(text, " ");
        const char *comma = strchr(text, ',');
        size_t size = comma ? (size_t)(comma - text) : strlen(text);
        while (size && text[size - 1] == ' ')
            size--;
        if (size == 0)
            return err_set(error, LP_INVALID, "the sort order has an empty field name; write it like -score,full_name");
        lp_err code = append_order(c, kind, span_of(text, size), error);
        if (code != LP_OK)
            return code;
        text = comma ? comma + 1 : NULL;
    }
    clause_append(c, "record.id");
    return LP_OK;
}
