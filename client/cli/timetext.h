/* timetext.h - UTC ms since 1970 as people and files write them. Pure but for the local zone, which comes from TZ. */
#ifndef CLIENT_CLI_TIMETEXT_H
#define CLIENT_CLI_TIMETEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_TEXT_BYTES 32

/** "2026-11-22T06:30:00.125Z": exact, for files. `text_out` holds TIME_TEXT_BYTES. */
void time_format_iso(int64_t ms, char *text_out);
/** "2026-11-22 14:30" in the local zone, for people. `text_out` holds TIME_TEXT_BYTES. */
void time_format_local(int64_t ms, char *text_out);
/** The same with seconds, where it matters who was first. */
void time_format_local_seconds(int64_t ms, char *text_out);
/** Reads what time_format_iso writes, any ISO 8601 date with or without time, and / for -. Without a zone: the local one. The year
 *  comes first: 3/4/2026 has two meanings and is not read. */
bool time_parse(const char *text, size_t size, int64_t *ms_out);

#endif
