/* admin_table.h - results of commands for a person to read, on standard output; see admin_output.c for those for programs. */
#ifndef SERVER_ADMIN_TABLE_H
#define SERVER_ADMIN_TABLE_H

#include <jansson.h>

/** An array of objects that have the same keys in the same order: a line of their names, then one of values each, aligned. Nothing for none. */
void admin_table_print(const json_t *rows);
/** An object, a line for each of its values. */
void admin_lines_print(const json_t *object);

#endif
