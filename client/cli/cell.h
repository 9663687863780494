/* cell.h - what a spreadsheet cell means: which ones are empty, and the guard that keeps a text from being run as a formula.
 *
 * A spreadsheet program runs a cell that begins with = + - @ TAB or CR. Export writes an apostrophe before such a text, and
 * before a text that import would otherwise take for an empty cell ("N/A"); import takes it off again. A real apostrophe
 * before such a text gets one more, so that cell_unguard(cell_guard(text)) is the text, always. Pure. */
#ifndef CLIENT_CLI_CELL_H
#define CLIENT_CLI_CELL_H

#include <stdbool.h>
#include <stddef.h>

/** Nothing, only white space, or a stand-in for nothing: Select, NaN, null, N/A in any case, 请选择. */
bool cell_is_blank(const char *text, size_t size);
/** True if export must write an apostrophe first. */
bool cell_needs_guard(const char *text, size_t size);
/** Bytes (0 or 1) to skip at the front of a cell that was read. */
size_t cell_guard_bytes(const char *text, size_t size);

#endif
