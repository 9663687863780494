/* tokenizer.h - cuts folded text into what full-text search looks up.
 *
 * Text is folded without accents (fold.h), then cut into runs: words (letters and digits of scripts with spaces) and runs of
 * CJK characters, which have none. A word is one token; a search asks for its beginning. A CJK run of n characters is its n-1
 * overlapping pairs and, when indexed, its last character alone, so that every character begins a token and one
 * character can be asked for by prefix. Pairs in a row, asked for as a phrase, are the run itself found anywhere. */
#ifndef CLIENT_TOKENIZER_H
#define CLIENT_TOKENIZER_H

#include <sqlite3.h>

#include "leadpool/error.h"
#include "proto/buf.h"

#define TOKEN_BYTES_MAX 128 /**< longer words are cut to this, when indexed and when asked for */

typedef enum run_kind { RUN_WORD, RUN_CJK } run_kind;

typedef struct run {
    run_kind kind;
    span text;      /**< borrowed from the folded text */
    uint32_t chars; /**< code points in it */
} run;

/** Takes the next run off the front of folded text; false if there is none. */
bool tokenizer_next_run(span *folded, run *run_out);

/** Registers the FTS5 tokenizer "leadpool" on a connection. Errors: LP_UNSUPPORTED a SQLite without FTS5; LP_NOMEM. */
lp_err tokenizer_register(sqlite3 *db, lp_error *error);

#endif
