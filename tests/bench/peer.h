/* peer.h - the parts of bench_peer: one program that plays server or client in a measurement and speaks a line protocol.
 *
 * Every line on stdin is a command, every answer one JSON object on a line of stdout, {"ok":true,...} or
 * {"ok":false,"error":"..."}. README.md beside this file lists the commands. Both ends use what a user has: the public
 * functions of the library, and the server as `leadpoold serve` puts it together (TLS, synchronous=FULL, history, rights). */
#ifndef TESTS_BENCH_PEER_H
#define TESTS_BENCH_PEER_H

#include <stddef.h>

#include "leadpool/error.h"
#include "tests/bench/leads.h"

#define INVITES 64 /* devices that can join a server */

/** A line of stdin, cut into what commands are made of. Parts that are not there are empty or 0. */
typedef struct command {
    char verb[32];
    char field[32];
    char tag[32];
    uint64_t from, count;
} command;

/** Reads the next command; false at the end of stdin. Field and tag are read where the verb takes a field. */
bool command_read(command *c);

void answer_ready(void);
void answer_ok(void);
void answer_error(const char *why);
/** {"ok":true,"NAME":VALUE} */
void answer_number(const char *name, uint64_t value);
/** For `lat_...`: sorts `seconds`. */
void answer_latency(double *seconds, uint64_t count);
/** Prints `text` as a JSON string. */
void print_json(const char *text, size_t size);
/** Exits with a line on stderr. */
_Noreturn void die(const char *what, const char *why);
double now_seconds(void);

/** What a record shows in a column, as the line protocol prints it: the text, or the digits of a number. */
typedef lp_value (*peer_value_fn)(const void *record, int column);
/** {"ok":true,"lead":{...} without the closing brace, so that the caller may add to it. */
void print_lead(const lp_id *id, const void *record, peer_value_fn value);
/** True if `value` is what `update` wrote to lead `index` under the command's tag. */
bool value_matches(const command *c, int column, uint64_t index, const lp_value *value);

int peer_server(const char *directory, uint16_t port);
int peer_client(const char *directory, uint16_t port, const char *device);
/** Prints {"insert_s":..,"update_s":..,"single_p50_us":..}: the same rows in plain SQLite tables, WAL and FULL. */
int peer_limit(const char *directory, uint64_t count);
/** Counts bytes between `port` and `target`: `stat` answers {"up":..,"down":..}, `reset` forgets them. */
int peer_proxy(uint16_t port, uint16_t target);

#endif
