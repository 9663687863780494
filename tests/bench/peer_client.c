/* peer_client.c - a device in a measurement: one replica, used through the public functions alone.
 *
 * It joins with one of the invitations its server laid out in a folder beside its own, whose port it exchanges for the one it
 * was given: between the two ends stands a proxy that counts bytes.
 *
 *     push    keeps in sync in the background until nothing is unsent, then stops
 *     pull    syncs once, to the end of every scope */
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leadpool/leadpool.h"
#include "proto/buf.h"
#include "proto/invite.h"
#include "tests/bench/peer.h"

#define JOIN_MS 20000
#define SYNC_MS 240000
#define EVENT_MS 1000
#define PATH_BYTES 600

typedef struct client {
    lp_replica *replica;
    leads *leads;
    lead_row row;
    lp_id last; /* written last, by this process; the nil id if nothing was */
} client;

static void must(lp_err err, const lp_error *error) {
    if (err)
        die("client", error->message);
}

/* ---- joining ---- */

/* The folder of the newest server beside ours: the last in order of length, then of name. */
static void find_server(const char *directory, char path_out[PATH_BYTES]) {
    char pattern[PATH_BYTES];
    glob_t found;
    const char *best = NULL;
    snprintf(pattern, sizeof pattern, "%s/../srv*/invites", directory);
    if (glob(pattern, 0, NULL, &found) != 0)
        die("no server's invitations", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++)
        if (!best || strlen(found.gl_pathv[i]) > strlen(best) ||
            (strlen(found.gl_pathv[i]) == strlen(best) && strcmp(found.gl_pathv[i], best) > 0))
            best = found.gl_pathv[i];
    snprintf(path_out, PATH_BYTES, "%s", best);
    globfree(&found);
}

/* Takes an invitation nobody has taken: a file of its number says that it is. */
static void take_invitation(const char *directory, char text_out[PATH_BYTES]) {
    char path[PATH_BYTES], taken[PATH_BYTES + 16];
    find_server(directory, path);
    FILE *f = fopen(path, "r");
    if (!f)
        die("cannot read", path);
    for (int i = 0; fgets(text_out, PATH_BYTES, f); i++) {
        snprintf(taken, sizeof taken, "%s.%d", path, i);
        int fd = open(taken, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0)
            continue;
        close(fd);
        fclose(f);
        return;
    }
    die("all invitations are taken", path);
}

static lp_replica *join(const char *directory, uint16_t port, const char *device) {
    char text[PATH_BYTES], path[PATH_BYTES];
    lp_error error;
    invite inv;
    buf invitation = {0};
    lp_replica *replica;
    snprintf(path, sizeof path, "%s/replica.db", directory);
    if (access(path, F_OK) == 0) {
        must(lp_open(path, &replica, &error), &error);
        return replica;
    }
    take_invitation(directory, text);
    must(invite_parse(span_text(text), &inv, &error), &error);
    inv.port = port;
    invite_format(&inv, &invitation);
    buf_append_byte(&invitation, 0);
    must(lp_join(path, (const char *)invitation.data, device, JOIN_MS, &replica, &error), &error);
    buf_fini(&invitation);
    return replica;
}

/* ---- writing ---- */

static lp_err fill(lp_txn *txn, client *c, lp_error *error) {
    const lead_row *row = &c->row;
    c->last = row->id;
    lp_err err = lp_create(txn, "lead", &row->id, NULL, error);
    for (int i = 1; !err && i < LEAD_COLUMNS; i++) {
        bool truth = strcmp(lead_columns[i].name, "consent") == 0;
        lp_value value = {.type = truth ? LP_BOOL : LP_INT, .integer = row->number[i]};
        if (!lead_columns[i].number)
            value = (lp_value){.type = LP_TEXT, .data = row->text[i], .size = (uint32_t)strlen(row->text[i])};
        err = lp_set(txn, &row->id, lead_columns[i].field, &value, error);
    }
    return err;
}

static lp_err change(lp_txn *txn, client *c, const command *cmd, int column, uint64_t index, lp_error *error) {
    char text[LEAD_TEXT_BYTES];
    lp_id id;
    if (!leads_id(c->leads, index, &id))
        die("no such lead", cmd->verb);
    c->last = id;
    lp_value value = {.type = LP_INT, .integer = lead_update_number(cmd->tag, index)};
    if (!lead_columns[column].number) {
        lead_update_text(column, cmd->tag, index, text);
        value = (lp_value){.type = LP_TEXT, .data = text, .size = (uint32_t)strlen(text)};
    }
    return lp_set(txn, &id, lead_columns[column].field, &value, error);
}

/* Column -1 creates. */
static lp_err write_one(lp_txn *txn, client *c, const command *cmd, int column, uint64_t index, lp_error *error) {
    if (column >= 0)
        return change(txn, c, cmd, column, index, error);
    if (!leads_row(c->leads, index, &c->row))
        die("no such lead", cmd->verb);
    return fill(txn, c, error);
}

static void write_all(client *c, const command *cmd, int column) {
    lp_txn *txn;
    lp_error error;
    must(lp_begin(c->replica, &txn, &error), &error);
    for (uint64_t i = 0; i < cmd->count; i++)
        must(write_one(txn, c, cmd, column, cmd->from + i, &error), &error);
    must(lp_commit(txn, &error), &error);
    answer_ok();
}

/* One durable transaction each. What is written is made up before the clock starts. */
static void write_each(client *c, const command *cmd, int column) {
    double *seconds = calloc(cmd->count + 1, sizeof *seconds);
    lp_error error;
    for (uint64_t i = 0; seconds && i < cmd->count; i++) {
        lp_txn *txn;
        if (column < 0 && !leads_row(c->leads, cmd->from + i, &c->row))
            die("no such lead", cmd->verb);
        double start = now_seconds();
        must(lp_begin(c->replica, &txn, &error), &error);
        lp_err err = column < 0 ? fill(txn, c, &error) : change(txn, c, cmd, column, cmd->from + i, &error);
        must(err, &error);
        must(lp_commit(txn, &error), &error);
        seconds[i] = now_seconds() - start;
    }
    answer_latency(seconds, cmd->count);
    free(seconds);
}

/* ---- syncing ---- */

static lp_status status(client *c) {
    lp_status s;
    lp_error error;
    must(lp_status_get(c->replica, &s, &error), &error);
    if (s.state == LP_STATE_BLOCKED)
        die("blocked", s.reason);
    return s;
}

/* Batches are acknowledged in order, so the record written last is the last one to be: asking for it is cheaper than asking for
 * the status, which counts the outbox. */
static bool is_last_unsent(client *c) {
    static const lp_id nil;
    lp_record *found;
    if (memcmp(&c->last, &nil, sizeof nil) == 0 || lp_get(c->replica, &c->last, &found, NULL))
        return false;
    bool unsent = lp_record_unsent(found);
    lp_record_free(found);
    return unsent;
}

static void push(client *c) {
    lp_error error;
    lp_event event;
    double until = now_seconds() + SYNC_MS / 1000.0;
    must(lp_sync_start(c->replica, &error), &error);
    bool unsent = true;
    while (unsent && now_seconds() < until) {
        unsent = is_last_unsent(c);
        if (!unsent)
            unsent = status(c).unsent > 0;
        else if (!lp_poll(c->replica, EVENT_MS))
            status(c); /* dies if it is blocked */
        while (unsent && lp_next_event(c->replica, &event))
            ;
    }
    lp_sync_stop(c->replica);
    if (unsent)
        answer_error("the push took too long");
    else
        answer_ok();
}

static void pull(client *c) {
    lp_error error;
    lp_sync_result result;
    if (lp_sync(c->replica, SYNC_MS, &result, &error)) {
        answer_error(error.message);
        return;
    }
    printf("{\"ok\":true,\"pulled\":%" PRIu64 ",\"round_trips\":%u,\"conflicts\":%" PRIu64 "}\n", result.pulled,
           result.round_trips, result.conflicts);
    fflush(stdout);
}

/* ---- reading ---- */

static lp_value column_value(const void *record, int column) {
    return lp_record_value(record, lead_columns[column].field);
}

static void count(client *c) {
    uint64_t leads_here;
    lp_error error;
    must(lp_count(c->replica, &(lp_query){.kind = "lead"}, &leads_here, &error), &error);
    answer_number("count", leads_here);
}

static void match(client *c, const command *cmd, int column) {
    uint64_t matches = 0;
    for (uint64_t i = cmd->from; i < cmd->from + cmd->count; i++) {
        lp_id id;
        lp_record *found;
        if (!leads_id(c->leads, i, &id) || lp_get(c->replica, &id, &found, NULL))
            continue;
        lp_value value = column_value(found, column);
        matches += value_matches(cmd, column, i, &value);
        lp_record_free(found);
    }
    answer_number("match", matches);
}

static void get(client *c, const command *cmd) {
    lp_id id;
    lp_record *found;
    lp_error error = {.message = "no such lead"};
    if (!leads_id(c->leads, cmd->from, &id) || lp_get(c->replica, &id, &found, &error)) {
        answer_error(error.message);
        return;
    }
    print_lead(&id, found, column_value);
    printf(",\"extra\":{\"conflicts\":%" PRIu64 "}}\n", status(c).conflicts);
    fflush(stdout);
    lp_record_free(found);
}

static bool execute(client *c, const command *cmd) {
    int column = lead_column_named(cmd->field);
    if (cmd->field[0] && column < 1)
        answer_error("no such field");
    else if (strcmp(cmd->verb, "create") == 0 || strcmp(cmd->verb, "update") == 0)
        write_all(c, cmd, column);
    else if (strcmp(cmd->verb, "lat_create") == 0 || strcmp(cmd->verb, "lat_update") == 0)
        write_each(c, cmd, column);
    else if (strcmp(cmd->verb, "push") == 0)
        push(c);
    else if (strcmp(cmd->verb, "pull") == 0)
        pull(c);
    else if (strcmp(cmd->verb, "count") == 0)
        count(c);
    else if (strcmp(cmd->verb, "field") == 0)
        match(c, cmd, column);
    else if (strcmp(cmd->verb, "get") == 0)
        get(c, cmd);
    else if (strcmp(cmd->verb, "offline") == 0 || strcmp(cmd->verb, "quit") == 0)
        answer_ok(); /* no connection outlives a push or a pull */
    else
        answer_error("no such command");
    return strcmp(cmd->verb, "quit") != 0;
}

int peer_client(const char *directory, uint16_t port, const char *device) {
    command cmd;
    client c = {.replica = join(directory, port, device), .leads = leads_open(getenv("BENCH_SEED"))};
    if (!c.leads)
        return 1;
    answer_ready();
    while (command_read(&cmd) && execute(&c, &cmd))
        ;
    leads_close(c.leads);
    lp_close(c.replica);
    return 0;
}
