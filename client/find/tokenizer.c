/* tokenizer.c - runs of folded text, and the FTS5 tokenizer made of them; see tokenizer.h.
 *
 * FTS5's own interface: https://www.sqlite.org/fts5.html section 7.1. Token offsets serve its highlight functions only; they
 * would have to point into the unfolded text, nobody uses them, and all are zero. */
#include "client/find/tokenizer.h"

#include <string.h>
#include <utf8proc.h>

#include "client/find/fold.h"
#include "proto/err.h"

typedef struct range {
    int32_t first, last;
} range;

/* Han with its radicals, repeat mark and zero; kana, bopomofo, Hangul (Unicode 14 blocks). The katakana middle dot is left
 * out: it separates. */
static const range cjk[] = {
    {0x1100, 0x11FF}, {0x2E80, 0x2FDF}, {0x3005, 0x3007}, {0x3041, 0x309F},   {0x30A0, 0x30FA},
    {0x30FC, 0x318F}, {0x31A0, 0x31BF}, {0x31F0, 0x31FF}, {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
    {0xA960, 0xA97F}, {0xAC00, 0xD7FF}, {0xF900, 0xFAFF}, {0x1B000, 0x1B16F}, {0x20000, 0x3FFFF},
};

typedef enum char_class { CHAR_BREAK, CHAR_WORD, CHAR_CJK } char_class;

static char_class classify(int32_t c) {
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ? CHAR_WORD : CHAR_BREAK;
    for (size_t i = 0; i < sizeof cjk / sizeof cjk[0]; i++)
        if (c >= cjk[i].first && c <= cjk[i].last)
            return c == 0x3006 ? CHAR_WORD : CHAR_CJK;
    utf8proc_category_t category = utf8proc_category(c);
    bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
    bool number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
    return letter || mark || number ? CHAR_WORD : CHAR_BREAK;
}

bool tokenizer_next_run(span *folded, run *run_out) {
    char_class kind = CHAR_BREAK;
    const uint8_t *start = folded->data;
    uint32_t chars = 0;
    while (folded->size) {
        span before = *folded;
        char_class next = classify(fold_take_char(folded));
        if (kind == CHAR_BREAK) {
            kind = next;
            start = before.data;
        }
        if (next != kind) {
            *folded = before;
            break;
        }
        chars += kind != CHAR_BREAK;
    }
    if (kind == CHAR_BREAK)
        return false;
    run_kind found = kind == CHAR_CJK ? RUN_CJK : RUN_WORD;
    *run_out = (run){found, span_of(start, (size_t)(folded->data - start)), chars};
    return true;
}

/* ---- FTS5 ---- */

typedef struct sink {
    void *ctx;
    int (*token)(void *ctx, int flags, const char *text, int size, int start, int end);
    bool query;
} sink;

static int emit(const sink *to, span token) {
    return to->token(to->ctx, 0, (const char *)token.data, (int)token.size, 0, 0);
}

static int emit_word(const sink *to, span word) {
    size_t size = word.size < TOKEN_BYTES_MAX ? word.size : TOKEN_BYTES_MAX;
    while (size < word.size && (word.data[size] & 0xC0) == 0x80)
        size--;
    return emit(to, span_of(word.data, size));
}

/* Pairs; the last character alone too if indexed. A query of one character asks for it by prefix. */
static int emit_cjk(const sink *to, const run *r) {
    span rest = r->text;
    int code = SQLITE_OK;
    for (uint32_t i = 0; i < r->chars && code == SQLITE_OK; i++) {
        const uint8_t *start = rest.data;
        fold_take_char(&rest);
        span second = rest;
        if (rest.size)
            fold_take_char(&second);
        bool pair = second.data != rest.data;
        if (pair || !to->query || r->chars == 1)
            code = emit(to, span_of(start, (size_t)(second.data - start)));
    }
    return code;
}

static int tokenize(Fts5Tokenizer *tokenizer, void *ctx, int flags, const char *text, int size,
                    int (*token)(void *, int, const char *, int, int, int)) {
    (void)tokenizer;
    sink to = {ctx, token, (flags & FTS5_TOKENIZE_QUERY) != 0};
    buf folded = {0};
    fold_text(span_of(text, size > 0 ? (size_t)size : 0), FOLD_DROP_ACCENTS, &folded);
    int code = folded.failed ? SQLITE_NOMEM : SQLITE_OK;
    span rest = buf_span(&folded);
    run next;
    while (code == SQLITE_OK && tokenizer_next_run(&rest, &next))
        code = next.kind == RUN_CJK ? emit_cjk(&to, &next) : emit_word(&to, next.text);
    buf_fini(&folded);
    return code;
}

/* FTS5 wants an object per table; ours has no state, and an address that outlives the table stands for it. */
static int create(void *ctx, const char **arguments, int count, Fts5Tokenizer **tokenizer_out) {
    (void)arguments;
    (void)count;
    *tokenizer_out = ctx;
    return SQLITE_OK;
}

static void delete (Fts5Tokenizer *tokenizer) {
    (void)tokenizer;
}

lp_err tokenizer_register(sqlite3 *db, lp_error *error) {
    fts5_tokenizer methods = {create, delete, tokenize};
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, (void *)&api, "fts5_api_ptr", NULL);
        rc = sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    if (!api && rc != SQLITE_ROW && rc != SQLITE_ERROR) /* SQLITE_ERROR: there is no such function */
        return err_set(error, LP_IO, "cannot prepare the search: %s; check the disk and its free space",
                       sqlite3_errstr(rc));
    if (!api || api->iVersion < 2)
        return err_set(error, LP_UNSUPPORTED, "this SQLite is built without FTS5; use one with it");
    if (api->xCreateTokenizer(api, "leadpool", api, &methods, NULL) != SQLITE_OK)
        return err_plain(error, LP_NOMEM);
    return LP_OK;
}
