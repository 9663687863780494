/* lines.c - the line protocol of bench_peer; see peer.h. */
#include "tests/bench/peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool takes_field(const char *verb) {
    return strcmp(verb, "update") == 0 || strcmp(verb, "lat_update") == 0 || strcmp(verb, "field") == 0;
}

bool command_read(command *c) {
    char line[256];
    if (!fgets(line, sizeof line, stdin))
        return false;
    *c = (command){.count = 0};
    sscanf(line, "%31s", c->verb);
    if (takes_field(c->verb))
        sscanf(line, "%*s %31s %" SCNu64 " %" SCNu64 " %31s", c->field, &c->from, &c->count, c->tag);
    else
        sscanf(line, "%*s %" SCNu64 " %" SCNu64, &c->from, &c->count);
    return true;
}

void answer_ready(void) {
    puts("{\"ready\":true}");
    fflush(stdout);
}

void answer_ok(void) {
    puts("{\"ok\":true}");
    fflush(stdout);
}

void answer_number(const char *name, uint64_t value) {
    printf("{\"ok\":true,\"%s\":%" PRIu64 "}\n", name, value);
    fflush(stdout);
}

void print_json(const char *text, size_t size) {
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

void answer_error(const char *why) {
    printf("{\"ok\":false,\"error\":");
    print_json(why, strlen(why));
    puts("}");
    fflush(stdout);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void answer_latency(double *seconds, uint64_t count) {
    double sum = 0;
    if (count == 0) {
        answer_error("nothing to measure");
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        sum += seconds[i];
    qsort(seconds, count, sizeof *seconds, by_size);
    printf("{\"ok\":true,\"n\":%" PRIu64 ",\"p50_us\":%.0f,\"p99_us\":%.0f,\"mean_us\":%.0f}\n", count,
           seconds[count / 2] * 1e6, seconds[count * 99 / 100] * 1e6, sum / (double)count * 1e6);
    fflush(stdout);
}

void die(const char *what, const char *why) {
    fprintf(stderr, "bench_peer: %s: %s\n", what, why);
    exit(1);
}

double now_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void print_lead(const lp_id *id, const void *record, peer_value_fn value) {
    char text[LP_ID_TEXT_BYTES];
    lp_id_format(id, text);
    printf("{\"ok\":true,\"lead\":{\"id\":\"%s\"", text);
    for (int i = 1; i < LEAD_COLUMNS; i++) {
        lp_value v = value(record, i);
        printf(",\"%s\":", lead_columns[i].name);
        if (lead_columns[i].number)
            printf("%" PRId64, v.integer);
        else
            print_json(v.data ? v.data : "", v.size);
    }
    putchar('}');
}

bool value_matches(const command *c, int column, uint64_t index, const lp_value *value) {
    if (lead_columns[column].number)
        return value->type == LP_INT && value->integer == lead_update_number(c->tag, index);
    char wanted[LEAD_TEXT_BYTES];
    lead_update_text(column, c->tag, index, wanted);
    return value->type == LP_TEXT && value->size == strlen(wanted) && memcmp(value->data, wanted, value->size) == 0;
}
