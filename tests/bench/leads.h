/* leads.h - the records that the benchmarks work on: 25 columns, names in English and Chinese, about 770 bytes as JSON.
 *
 * Lead `index` is a function of its index alone, so every process of a run can make any of them, and say what an update
 * writes, without asking another. A seed database (table seed_leads(i, 25 columns)) may take the generator's place: that is
 * how a foreign rig hands in rows of its own.
 *
 * Thread: one at a time. */
#ifndef TESTS_BENCH_LEADS_H
#define TESTS_BENCH_LEADS_H

#include <stdbool.h>
#include <stdint.h>

#include "leadpool/value.h"

#define LEAD_COLUMNS 25
#define LEAD_TEXT_BYTES 512 /* of the longest value, with its NUL */
#define LEAD_CYCLE 100000   /* rows of a seed database; higher indexes repeat them under other ids */

typedef struct lead_column {
    const char *name;  /**< in the line protocol */
    const char *field; /**< where leadpool keeps it; NULL: it is the record's id */
    bool number;
} lead_column;

extern const lead_column lead_columns[LEAD_COLUMNS];

typedef struct lead_row {
    lp_id id;
    char text[LEAD_COLUMNS][LEAD_TEXT_BYTES];
    int64_t number[LEAD_COLUMNS];
} lead_row;

typedef struct leads leads;

/** `seed_db` NULL: made up here. NULL if the database cannot be read. */
leads *leads_open(const char *seed_db);
void leads_close(leads *l);
/** False if the seed database has no such row. */
bool leads_row(leads *l, uint64_t index, lead_row *row_out);
bool leads_id(leads *l, uint64_t index, lp_id *id_out);

/** The column called `name`, or -1. */
int lead_column_named(const char *name);
/** What `update COLUMN .. TAG` writes to lead `index`. */
void lead_update_text(int column, const char *tag, uint64_t index, char text_out[LEAD_TEXT_BYTES]);
int64_t lead_update_number(const char *tag, uint64_t index);

#endif
