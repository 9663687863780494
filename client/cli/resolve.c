/* resolve.c - from what a person types as an id to the id; see cli_resolve in cli.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/cli.h"

#define PREFIX_DIGITS_MIN 4
#define CANDIDATES_SHOWN 4

static bool is_id_prefix(const char *text) {
    size_t digits = 0;
    for (; *text; text++) {
        if (!isxdigit((unsigned char)*text) && *text != '-')
            return false;
        digits += *text != '-';
    }
    return digits >= PREFIX_DIGITS_MIN;
}

/* The ids that begin with the text. */
typedef struct candidates {
    uint32_t count;
    lp_id first;
    char names[CANDIDATES_SHOWN * (LP_ID_TEXT_BYTES + 2)];
} candidates;

static void add_candidate(candidates *found, const lp_id *id) {
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(id, text);
    if (found->count == 0)
        found->first = *id;
    size_t used = strlen(found->names);
    if (found->count < CANDIDATES_SHOWN)
        snprintf(found->names + used, sizeof found->names - used, "%s%s", used ? ", " : "", text);
    found->count++;
}

/* The text with its missing digits, all `rest`: the least or greatest id that begins with it. Hyphens may be left out. */
static bool complete(const char *text, char rest, char *id_out) {
    size_t at = 0;
    for (; at < LP_ID_TEXT_BYTES - 1; at++) {
        bool hyphen = at == 8 || at == 13 || at == 18 || at == 23;
        if (*text == '-' && !hyphen)
            return false;
        id_out[at] = hyphen ? '-' : *text ? (char)tolower((unsigned char)*text) : rest;
        text += *text && (!hyphen || *text == '-');
    }
    id_out[at] = '\0';
    return *text == '\0';
}

static lp_err find(cli *c, const char *kind, const char *text, candidates *found, lp_error *error) {
    char least[LP_ID_TEXT_BYTES];
    char greatest[LP_ID_TEXT_BYTES];
    char filter[2 * LP_ID_TEXT_BYTES + 16];
    if (!complete(text, '0', least) || !complete(text, 'f', greatest))
        return cli_fail(c, error, LP_INVALID, T_NOT_AN_ID, text, NULL);
    snprintf(filter, sizeof filter, "id>=%s and id<=%s", least, greatest);
    lp_query query = {.kind = kind, .filter = filter, .deleted = true, .limit = CANDIDATES_SHOWN + 1};
    lp_rows *rows = NULL;
    lp_err code = lp_list(c->replica, &query, &rows, error);
    for (uint32_t i = 0; code == LP_OK && i < lp_rows_count(rows); i++)
        add_candidate(found, lp_record_id(lp_rows_at(rows, i)));
    lp_rows_free(rows);
    return code;
}

lp_err cli_resolve(cli *c, const char *kind, const char *text, lp_id *id_out, lp_error *error) {
    if (lp_id_parse(text, id_out))
        return LP_OK;
    if (!is_id_prefix(text) || strlen(text) >= LP_ID_TEXT_BYTES)
        return cli_fail(c, error, LP_INVALID, T_NOT_AN_ID, text, NULL);
    candidates found = {0};
    lp_err code = find(c, kind, text, &found, error);
    if (code)
        return code;
    if (found.count == 0)
        return cli_fail(c, error, LP_NOT_FOUND,
                        kind && strcmp(kind, "conflict") == 0 ? T_NO_SUCH_CONFLICT : T_NO_SUCH_ID, text, NULL);
    if (found.count > 1)
        return cli_fail(c, error, LP_INVALID, T_AMBIGUOUS_ID, text, found.names, NULL);
    *id_out = found.first;
    return LP_OK;
}
