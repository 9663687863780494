/* peer_server.c - the server in a measurement: the parts of `leadpoold serve`, put together in this process so that what the
 * process costs is what the server costs. Commands are answered from a reader of the store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/invite.h"
#include "proto/message.h"
#include "proto/schema.h"
#include "proto/wire.h"
#include "server/admin/admin.h"
#include "server/office/control_arguments.h"
#include "server/host.h"
#include "server/net/net.h"
#include "server/os.h"
#include "tests/bench/peer.h"

#define DRAIN_MS 3000
#define ROLE "manager"
#define PEOPLE 4 /* devices next to each other belong to different people: only they can conflict */

typedef struct server {
    config config;
    logger log;
    host host;
    net *net;
    commit_thread *thread;
    store_reader *reader;
    leads *leads;
} server;

static void must(lp_err err, const lp_error *error) {
    if (err)
        die("server", error->message);
}

/* ---- start and stop ---- */

static void start(server *s, const char *directory, uint16_t port) {
    lp_error error;
    char listen[64];
    admin_args args = {.data = directory, .name = "bench"};
    must(admin_init(&args, &error), &error);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    config_defaults(&s->config);
    must(config_set(&s->config, "listen", listen, &error), &error);
    server_os_signals_block();
    server_os_raise_files();
    log_init(&s->log, server_os_env(), stderr, LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    must(host_open(&s->host, directory, &error), &error);
    net_options options = {.pool = &s->host.pool, .config = &s->config, .tls = s->host.tls, .log = &s->log};
    must(net_new(&options, &s->net, &error), &error);
    must(commit_thread_start(s->host.committer, s->config.queue_limit, net_moved, s->net, &s->thread, &error), &error);
    must(net_start(s->net, s->thread, &error), &error);
    must(s->host.store->ops->reader_open(s->host.store, &s->reader, &error), &error);
}

static void stop(server *s) {
    net_drain(s->net, DRAIN_MS);
    commit_thread_stop(s->thread);
    net_free(s->net);
    s->host.store->ops->reader_close(s->reader);
    host_close(&s->host);
    log_fini(&s->log);
    leads_close(s->leads);
}

/* ---- invitations ---- */

static void invite_staff(server *s, const char *staff, invite *inv) {
    lp_error error;
    message answer;
    job *j = job_new(JOB_INVITE);
    const control_pair pairs[] = {{"staff", staff}, {"role", ROLE}, {"scope", "pool"}};
    if (!j)
        die("server", "out of memory");
    must(control_request("invite", pairs, 3, &j->request, &error), &error);
    commit_thread_run(s->thread, j);
    must(j->result, &j->error);
    must(message_decode(buf_span(&j->answer), &answer, &error), &error);
    wire_reader r = wire_open(answer.result);
    wire_map(&r);
    wire_text(&r);
    span token = wire_bytes(&r);
    if (token.size != sizeof inv->token)
        die("server", "an invitation without a token");
    memcpy(inv->token, token.data, token.size);
    job_free(j);
}

/* One line each in DIR/invites, made under another name first: clients look for the file. */
static void write_invites(server *s, const char *directory, uint16_t port) {
    char draft[600], path[600];
    snprintf(draft, sizeof draft, "%s/invites.new", directory);
    snprintf(path, sizeof path, "%s/invites", directory);
    FILE *f = fopen(draft, "w");
    if (!f)
        die("cannot write", draft);
    for (int i = 0; i < INVITES; i++) {
        char staff[32];
        buf text = {0};
        invite inv = {.host = "127.0.0.1", .port = port};
        snprintf(staff, sizeof staff, "Person %d", i % PEOPLE);
        memcpy(inv.pin, s->host.pin, sizeof inv.pin);
        invite_staff(s, staff, &inv);
        invite_format(&inv, &text);
        fprintf(f, "%.*s\n", (int)text.size, (const char *)text.data);
        buf_fini(&text);
    }
    if (fclose(f) != 0 || rename(draft, path) != 0)
        die("cannot write", path);
}

/* ---- reading ---- */

static lp_value column_value(const void *record_read, int column) {
    const record *rec = record_read;
    const char *name = lead_columns[column].field;
    const char *dot = strchr(name, '.');
    size_t size = dot ? (size_t)(dot - name) : strlen(name);
    const field_info *info = schema_field_named(rec->kind, span_of(name, size));
    span raw = info ? record_value(rec, info->number, dot ? span_text(dot + 1) : (span){0}) : (span){0};
    return raw.size ? wire_value(raw) : (lp_value){.type = LP_NULL};
}

/* Unpacked registers borrow from the reader until its next call. */
static bool read_lead(server *s, uint64_t index, record *rec) {
    lp_id id;
    store_row row;
    record_init(rec, KIND_LEAD, &(lp_id){{0}});
    if (!leads_id(s->leads, index, &id) || s->reader->ops->read(s->reader, &id, &row, NULL))
        return false;
    rec->id = id;
    return record_unpack(rec, row.body, row.stamps, NULL) == LP_OK;
}

static void count(server *s) {
    store_counts counts;
    lp_error error;
    must(s->reader->ops->counts(s->reader, &counts, &error), &error);
    answer_number("count", counts.leads);
}

static void match(server *s, const command *cmd, int column) {
    uint64_t matches = 0;
    for (uint64_t i = cmd->from; i < cmd->from + cmd->count; i++) {
        record rec;
        if (read_lead(s, i, &rec)) {
            lp_value value = column_value(&rec, column);
            matches += value_matches(cmd, column, i, &value);
        }
        record_fini(&rec);
    }
    answer_number("match", matches);
}

typedef struct lost_values {
    lp_id of;
    uint64_t count;
} lost_values;

/* Prints the values that lost in conflicts of one lead. */
static bool print_lost(void *ctx, const store_row *row) {
    lost_values *lost = ctx;
    record rec;
    record_init(&rec, row->kind, &row->id);
    if (row->kind == KIND_CONFLICT && record_unpack(&rec, row->body, row->stamps, NULL) == LP_OK) {
        lp_value of = wire_value(record_value(&rec, CONFLICT_RECORD, (span){0}));
        span raw = record_value(&rec, CONFLICT_LOST_VALUE, (span){0});
        lp_value value = raw.size ? wire_value(raw) : (lp_value){.type = LP_NULL};
        if (of.type == LP_BYTES && of.size == 16 && memcmp(of.data, lost->of.bytes, 16) == 0 && value.type == LP_TEXT) {
            printf("%s", lost->count++ ? "," : "");
            print_json(value.data, value.size);
        }
    }
    record_fini(&rec);
    return true;
}

static bool count_entry(void *ctx, const store_history *entry) {
    (void)entry;
    ++*(uint64_t *)ctx;
    return true;
}

static void get(server *s, const command *cmd) {
    record rec;
    if (!read_lead(s, cmd->from, &rec)) {
        answer_error("no such lead");
        return;
    }
    lost_values lost = {rec.id, 0};
    uint64_t entries = 0;
    print_lead(&rec.id, &rec, column_value);
    s->reader->ops->read_history(s->reader, &lost.of, count_entry, &entries, NULL);
    printf(",\"extra\":{\"history\":%" PRIu64 ",\"lost\":[", entries);
    s->reader->ops->feed(s->reader, SCOPE_POOL, 0, print_lost, &lost, NULL);
    puts("]}}");
    fflush(stdout);
    record_fini(&rec);
}

static bool execute(server *s, const command *cmd) {
    lp_error error;
    int column = lead_column_named(cmd->field);
    must(s->reader->ops->snapshot(s->reader, &error), &error);
    if (strcmp(cmd->verb, "count") == 0)
        count(s);
    else if (strcmp(cmd->verb, "field") == 0 && column >= 1)
        match(s, cmd, column);
    else if (strcmp(cmd->verb, "get") == 0)
        get(s, cmd);
    else if (strcmp(cmd->verb, "quit") == 0)
        answer_ok();
    else
        answer_error("no such command or field");
    s->reader->ops->snapshot_end(s->reader);
    return strcmp(cmd->verb, "quit") != 0;
}

int peer_server(const char *directory, uint16_t port) {
    command cmd;
    server s = {.leads = leads_open(getenv("BENCH_SEED"))};
    if (!s.leads)
        return 1;
    start(&s, directory, port);
    write_invites(&s, directory, port);
    answer_ready();
    while (command_read(&cmd) && execute(&s, &cmd))
        ;
    stop(&s);
    return 0;
}
