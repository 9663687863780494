/* test_errors.c - every error a program that embeds the library can see, met as its user would meet it: through leadpool.h, with a server in the
 * same process. The code is the one the header promises; the message is one line, names the thing, and says what to do.
 *
 * Two tables: `meetings` provokes an error, `unmet` says why a code of errors.def never reaches the caller of a public function. Every code
 * is in one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/os.h"
#include "client/replica/replica.h"
#include "leadpool/leadpool.h"
#include "proto/invite.h"
#include "server/pool/auth.h"
#include "server/office/control_arguments.h"
#include "server/os.h"
#include "tests/support/failing_disk.h"
#include "tests/support/served.h"
#include "tests/support/short_memory.h"
#include "tests/support/store_kit.h"

#define LONG_MS 20000

/* A server, and a replica that has joined it and holds one lead, sent. */
typedef struct place {
    kit_directory directory;
    char path[320], other[320]; /* of the replica; of nothing yet */
    served served;
    bool serving;
    ledger ledger;
    buf lines[LEDGER_KINDS];
    uint16_t port;
    lp_replica *replica;
    lp_id lead;
} place;

typedef struct meeting {
    lp_err code;
    const char *thing;  /* that the message names */
    const char *advice; /* that it gives */
    const char *name;   /* of what happens */
    lp_err (*meet)(place *p, lp_error *error);
} meeting;

/* ---- the place ---- */

/* The server's clock, which may be set, or run away from whoever looks at it. */
static _Atomic int64_t wall_off_ms, ahead_ms, stride_ms;

static int64_t shifted_wall_ms(void *ctx) {
    const lp_env *real = server_os_env();
    (void)ctx;
    return real->wall_ms(real->ctx) + atomic_load(&wall_off_ms);
}

static int64_t shifted_boot_ms(void *ctx) {
    const lp_env *real = server_os_env();
    (void)ctx;
    return real->boot_ms(real->ctx) + atomic_fetch_add(&ahead_ms, atomic_load(&stride_ms));
}

static lp_err append_line(void *ctx, ledger_kind which, span line, lp_error *error) {
    (void)error;
    buf_append_span(&((place *)ctx)->lines[which], line);
    return LP_OK;
}

static lp_err read_lines(void *ctx, ledger_kind which, buf *lines_out, lp_error *error) {
    (void)error;
    buf_append_span(lines_out, buf_span(&((place *)ctx)->lines[which]));
    return LP_OK;
}

static void start_server(place *p, uint16_t port) {
    static lp_env shifted;
    char listen[32];
    served_init(&p->served, false);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    assert_int_equal(config_set(&p->served.config, "listen", listen, NULL), LP_OK);
    served_start(&p->served);
    shifted = *server_os_env();
    shifted.wall_ms = shifted_wall_ms;
    shifted.boot_ms = shifted_boot_ms;
    atomic_store(&wall_off_ms, 0);
    atomic_store(&stride_ms, 0);
    atomic_store(&ahead_ms, 0);
    p->served.pool.time.env = &shifted;
    p->ledger = (ledger){p, append_line, read_lines};
    p->served.pool.ledger = &p->ledger;
    p->serving = true;
    p->port = net_port(p->served.net);
}

static void stop_server(place *p) {
    if (p->serving)
        served_stop(&p->served);
    p->serving = false;
}

/* Owned by the caller. `token` NULL: a fresh one. */
static buf invitation(place *p, const uint8_t *token) {
    invite inv = {.host = "127.0.0.1", .port = p->port};
    buf text = {0};
    if (token)
        memcpy(inv.token, token, sizeof inv.token);
    else
        served_invite(&p->served, "Li Wei", "rep", inv.token);
    memcpy(inv.pin, p->served.pin, sizeof inv.pin);
    invite_format(&inv, &text);
    buf_append_byte(&text, '\0');
    assert_false(text.failed);
    return text;
}

static lp_err join_with(const char *path, buf *text, int32_t timeout_ms, lp_replica **replica_out, lp_error *error) {
    lp_err err = lp_join(path, (const char *)text->data, "test", timeout_ms, replica_out, error);
    buf_fini(text);
    return err;
}

/* A join that is to fail, into a new file. */
static lp_err join(place *p, buf text, int32_t timeout_ms, lp_error *error) {
    lp_replica *r;
    return join_with(p->other, &text, timeout_ms, &r, error);
}

static lp_err set_text(place *p, const char *field, const char *text, lp_error *error) {
    lp_txn *t;
    assert_int_equal(lp_begin(p->replica, &t, NULL), LP_OK);
    lp_err err = lp_set_text(t, &p->lead, field, text, error);
    if (!err)
        return lp_commit(t, error);
    lp_rollback(t);
    return err;
}

static void make_lead(place *p) {
    lp_txn *t;
    assert_int_equal(lp_begin(p->replica, &t, NULL), LP_OK);
    assert_int_equal(lp_create(t, "lead", NULL, &p->lead, NULL), LP_OK);
    assert_int_equal(lp_set_text(t, &p->lead, "company", "Acme", NULL), LP_OK);
    assert_int_equal(lp_commit(t, NULL), LP_OK);
}

static void arrive(place *p) {
    lp_error error;
    memset(p, 0, sizeof *p);
    kit_directory_make(&p->directory);
    kit_path(&p->directory, "replica.db", p->path);
    kit_path(&p->directory, "other.db", p->other);
    start_server(p, 0);
    buf text = invitation(p, NULL);
    if (join_with(p->path, &text, LONG_MS, &p->replica, &error) != LP_OK)
        fail_msg("%s", error.message);
    make_lead(p);
    if (lp_sync(p->replica, LONG_MS, NULL, &error) != LP_OK)
        fail_msg("%s", error.message);
}

static void leave(place *p) {
    lp_close(p->replica);
    stop_server(p);
    for (int i = 0; i < LEDGER_KINDS; i++)
        buf_fini(&p->lines[i]);
    kit_directory_remove(&p->directory);
}

static void close_replica(place *p) {
    lp_close(p->replica);
    p->replica = NULL;
}

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void tamper(const char *path, const char *sql) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* What the office does. */
static void operate(place *p, const char *verb, const char *name, const char *value) {
    const control_pair pair = {name, value};
    job *j = job_new(JOB_CONTROL);
    assert_non_null(j);
    assert_int_equal(control_request(verb, &pair, 1, &j->request, NULL), LP_OK);
    commit_thread_run(p->served.thread, j);
    assert_int_equal(j->result, LP_OK);
    job_free(j);
}

/* ---- open ---- */

static lp_err open_at(const char *path, lp_error *error) {
    lp_replica *r;
    return lp_open(path, &r, error);
}

static lp_err open_nothing(place *p, lp_error *error) {
    return open_at(p->other, error);
}

static lp_err open_a_text(place *p, lp_error *error) {
    write_text(p->other,
               "This is no database, and is longer than the head of one would be. This is no database at all, really.");
    return open_at(p->other, error);
}

static lp_err open_a_newer(place *p, lp_error *error) {
    close_replica(p);
    tamper(p->path, "PRAGMA user_version = 9999");
    return open_at(p->path, error);
}

static lp_err open_a_directory(place *p, lp_error *error) {
    return open_at(p->directory.path, error);
}

static lp_err open_the_unjoined(place *p, lp_error *error) {
    stop_server(p);
    static const uint8_t token[INVITE_TOKEN_BYTES] = {1};
    assert_int_equal(join(p, invitation(p, token), LONG_MS, NULL), LP_OFFLINE);
    return open_at(p->other, error);
}

/* ---- join ---- */

static lp_err join_with_nonsense(place *p, lp_error *error) {
    lp_replica *r;
    return lp_join(p->other, "leadpool://example.org", NULL, LONG_MS, &r, error);
}

static lp_err join_twice(place *p, lp_error *error) {
    lp_replica *r;
    close_replica(p);
    buf text = invitation(p, NULL);
    return join_with(p->path, &text, LONG_MS, &r, error);
}

static lp_err join_uninvited(place *p, lp_error *error) {
    static const uint8_t token[INVITE_TOKEN_BYTES] = {1};
    return join(p, invitation(p, token), LONG_MS, error);
}

static lp_err join_too_late(place *p, lp_error *error) {
    buf text = invitation(p, NULL);
    atomic_fetch_add(&wall_off_ms, INVITE_LIFETIME_MS + 1000);
    atomic_fetch_add(&p->served.pool.time.offset_ms, INVITE_LIFETIME_MS + 1000);
    return join(p, text, LONG_MS, error);
}

static lp_err join_nobody(place *p, lp_error *error) {
    buf text = invitation(p, NULL);
    stop_server(p);
    return join(p, text, LONG_MS, error);
}

static lp_err join_an_impostor(place *p, lp_error *error) {
    p->served.pin[0] ^= 1;
    return join(p, invitation(p, NULL), LONG_MS, error);
}

static lp_err join_the_silent(place *p, lp_error *error) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    p->port = ntohs(address.sin_port);
    lp_err err = join(p, invitation(p, NULL), 200, error);
    close(fd);
    return err;
}

/* ---- wipe, doctor, rescue ---- */

static lp_err wipe_nothing(place *p, lp_error *error) {
    return lp_wipe(p->other, error);
}

static lp_err wipe_a_text(place *p, lp_error *error) {
    write_text(p->other, "dear diary");
    return lp_wipe(p->other, error);
}

static lp_err wipe_what_is_open(place *p, lp_error *error) {
    lp_err err = lp_wipe(p->path, error);
    assert_int_equal(access(p->path, F_OK), 0);
    return err;
}

static lp_err examine_nothing(place *p, lp_error *error) {
    return lp_doctor(p->other, false, NULL, NULL, NULL, error);
}

static lp_err examine_the_damaged(place *p, lp_error *error) {
    close_replica(p);
    tamper(p->path, "UPDATE meta SET value = x'00' WHERE key LIKE 'digest%'; DELETE FROM record");
    return lp_doctor(p->path, false, NULL, NULL, NULL, error);
}

static lp_err rescue_nothing(place *p, lp_error *error) {
    lp_rescued got;
    char third[320];
    kit_path(&p->directory, "third.db", third);
    return lp_rescue(p->other, third, &got, error);
}

static lp_err rescue_over_a_file(place *p, lp_error *error) {
    lp_rescued got;
    write_text(p->other, "dear diary");
    return lp_rescue(p->path, p->other, &got, error);
}

/* ---- write ---- */

static const lp_id nobody = {{1, 2, 3}};

static lp_err with_txn(place *p, lp_err (*act)(place *p, lp_txn *t, lp_error *error), lp_error *error) {
    lp_txn *t;
    assert_int_equal(lp_begin(p->replica, &t, NULL), LP_OK);
    lp_err err = act(p, t, error);
    lp_rollback(t);
    return err;
}

static lp_err make_a_unicorn(place *p, lp_txn *t, lp_error *error) {
    (void)p;
    return lp_create(t, "unicorn", NULL, NULL, error);
}

static lp_err make_staff(place *p, lp_txn *t, lp_error *error) {
    (void)p;
    return lp_create(t, "staff", NULL, NULL, error);
}

static lp_err make_a_lead_a_touch(place *p, lp_txn *t, lp_error *error) {
    return lp_create(t, "touch", &p->lead, NULL, error);
}

static lp_err set_of_nobody(place *p, lp_txn *t, lp_error *error) {
    (void)p;
    return lp_set_text(t, &nobody, "company", "Acme", error);
}

static lp_err set_a_wrong_type(place *p, lp_txn *t, lp_error *error) {
    return lp_set(t, &p->lead, "company", &(lp_value){.type = LP_INT, .integer = 7}, error);
}

static lp_err create_unknown(place *p, lp_error *error) {
    return with_txn(p, make_a_unicorn, error);
}

static lp_err create_the_servers(place *p, lp_error *error) {
    return with_txn(p, make_staff, error);
}

static lp_err create_what_is_another(place *p, lp_error *error) {
    return with_txn(p, make_a_lead_a_touch, error);
}

static lp_err set_unknown_record(place *p, lp_error *error) {
    return with_txn(p, set_of_nobody, error);
}

static lp_err set_wrong_type(place *p, lp_error *error) {
    return with_txn(p, set_a_wrong_type, error);
}

static lp_err set_unknown_field(place *p, lp_error *error) {
    return set_text(p, "compnay", "Acme", error);
}

static lp_err set_no_number(place *p, lp_error *error) {
    return set_text(p, "budget_amount", "a lot", error);
}

static lp_err set_bad_utf8(place *p, lp_error *error) {
    return set_text(p, "company", "\xff", error);
}

static lp_err set_too_long(place *p, lp_error *error) {
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    return set_text(p, "company", text, error);
}

static lp_err commit_too_much(place *p, lp_error *error) {
    static char text[8001];
    char field[32];
    lp_txn *t;
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(lp_begin(p->replica, &t, NULL), LP_OK);
    for (int i = 0; i < 70; i++) {
        snprintf(field, sizeof field, "answers.q%d", i);
        assert_int_equal(lp_set_text(t, &p->lead, field, text, NULL), LP_OK);
    }
    return lp_commit(t, error);
}

static lp_err write_of_the_erased(place *p, lp_error *error) {
    char id[LP_ID_TEXT_BYTES];
    lp_txn *t;
    lp_id touch;
    lp_id_format(&p->lead, id);
    operate(p, "erase", "lead", id);
    assert_int_equal(lp_sync(p->replica, LONG_MS, NULL, NULL), LP_OK);
    assert_int_equal(lp_begin(p->replica, &t, NULL), LP_OK);
    assert_int_equal(lp_create(t, "touch", NULL, &touch, NULL), LP_OK);
    assert_int_equal(lp_set_text(t, &touch, "lead", id, NULL), LP_OK);
    return lp_commit(t, error);
}

/* On a disk that does `what` to writes from then on. */
static lp_err commit_on_a_bad_disk(place *p, bool full, lp_error *error) {
    close_replica(p);
    failing_disk_install();
    assert_int_equal(lp_open(p->path, &p->replica, NULL), LP_OK);
    failing_disk_fill(full);
    failing_disk_fail_syncs(full ? 0 : 100);
    lp_err err = set_text(p, "company", "Acme AG", error);
    failing_disk_fill(false);
    failing_disk_fail_syncs(0);
    close_replica(p);
    failing_disk_remove();
    return err;
}

static lp_err commit_on_a_full_disk(place *p, lp_error *error) {
    return commit_on_a_bad_disk(p, true, error);
}

static lp_err commit_on_a_broken_disk(place *p, lp_error *error) {
    return commit_on_a_bad_disk(p, false, error);
}

static lp_err begin_without_memory(place *p, lp_error *error) {
    lp_txn *t;
    stop_server(p); /* its threads need memory */
    short_memory_fail(0, 1);
    lp_err err = lp_begin(p->replica, &t, error);
    short_memory_end();
    return err;
}

static lp_err restore_nobody(place *p, lp_error *error) {
    return lp_restore(p->replica, &nobody, error);
}

static lp_err restore_a_lead(place *p, lp_error *error) {
    return lp_restore(p->replica, &p->lead, error);
}

static lp_err resend_what_was_not_refused(place *p, lp_error *error) {
    return lp_refused_resend(p->replica, &p->lead, error);
}

static lp_err send_what_was_not_recovered(place *p, lp_error *error) {
    return lp_recovered_send(p->replica, &p->lead, error);
}

/* ---- read ---- */

static lp_err get_nobody(place *p, lp_error *error) {
    lp_record *r;
    return lp_get(p->replica, &nobody, &r, error);
}

static lp_err history_of_nobody(place *p, lp_error *error) {
    lp_log *log;
    return lp_history(p->replica, &nobody, &log, error);
}

static lp_err list(place *p, lp_query query, lp_error *error) {
    lp_rows *rows;
    return lp_list(p->replica, &query, &rows, error);
}

static lp_err list_unicorns(place *p, lp_error *error) {
    return list(p, (lp_query){.kind = "unicorn"}, error);
}

static lp_err filter_by_nothing(place *p, lp_error *error) {
    return list(p, (lp_query){.filter = "company"}, error);
}

static lp_err filter_unclosed(place *p, lp_error *error) {
    return list(p, (lp_query){.filter = "company='Acme"}, error);
}

static lp_err sort_by_nothing(place *p, lp_error *error) {
    return list(p, (lp_query){.sort = "company,,score"}, error);
}

static lp_err search_bad_utf8(place *p, lp_error *error) {
    lp_rows *rows;
    return lp_search(p->replica, "\xff\xfe", 0, &rows, error);
}

/* ---- sync ---- */

static lp_err sync(place *p, lp_error *error) {
    return lp_sync(p->replica, LONG_MS, NULL, error);
}

static lp_err sync_with_nobody(place *p, lp_error *error) {
    stop_server(p);
    return sync(p, error);
}

static lp_err sync_with_another_server(place *p, lp_error *error) {
    uint16_t port = p->port;
    stop_server(p);
    start_server(p, port);
    return sync(p, error);
}

static lp_err sync_revoked(place *p, lp_error *error) {
    lp_status status;
    char number[16];
    assert_int_equal(lp_status_get(p->replica, &status, NULL), LP_OK);
    snprintf(number, sizeof number, "%u", status.device);
    operate(p, "revoke", "device", number);
    return sync(p, error);
}

static lp_err sync_in_no_time(place *p, lp_error *error) {
    return lp_sync(p->replica, 0, NULL, error);
}

static lp_err sync_while_the_servers_clock_is_off(place *p, lp_error *error) {
    assert_int_equal(set_text(p, "company", "Acme AG", NULL), LP_OK);
    atomic_fetch_add(&wall_off_ms, INT64_C(3600) * 1000);
    return sync(p, error);
}

static lp_err sync_while_the_servers_clock_runs_away(place *p, lp_error *error) {
    atomic_store(&stride_ms, 10000);
    return sync(p, error);
}

static lp_err sync_twice_at_once(place *p, lp_error *error) {
    assert_int_equal(lp_sync_start(p->replica, NULL), LP_OK);
    lp_err err = sync(p, error);
    lp_sync_stop(p->replica);
    return err;
}

static lp_err start_twice(place *p, lp_error *error) {
    assert_int_equal(lp_sync_start(p->replica, NULL), LP_OK);
    lp_err err = lp_sync_start(p->replica, error);
    lp_sync_stop(p->replica);
    return err;
}

static void *echo_once(void *ctx) {
    nng_msg *heard = NULL;
    if (nng_recvmsg(*(nng_socket *)ctx, &heard, 0) == 0 && nng_sendmsg(*(nng_socket *)ctx, heard, 0) != 0)
        nng_msg_free(heard);
    return NULL;
}

static void point_at_plain_port(place *p, uint16_t port) {
    replica *core;
    close_replica(p);
    assert_int_equal(replica_open(p->path, false, os_env(), NULL, &core, NULL), LP_OK);
    assert_int_equal(replica_begin(core, NULL), LP_OK);
    assert_int_equal(replica_meta_put_int(core, "server.plain", 1, NULL), LP_OK);
    assert_int_equal(replica_meta_put_int(core, "server.port", port, NULL), LP_OK);
    assert_int_equal(replica_commit(core, NULL), LP_OK);
    replica_close(core);
    assert_int_equal(lp_open(p->path, &p->replica, NULL), LP_OK);
}

/* Something that speaks nng, and repeats what it hears. */
static lp_err sync_with_an_echo(place *p, lp_error *error) {
    nng_socket rep;
    nng_listener listener;
    nng_sockaddr address;
    pthread_t thread;
    assert_int_equal(nng_rep0_open(&rep), 0);
    nng_socket_set_ms(rep, NNG_OPT_RECVTIMEO, LONG_MS);
    assert_int_equal(nng_listen(rep, "tcp://127.0.0.1:0", &listener, 0), 0);
    assert_int_equal(nng_listener_get_addr(listener, NNG_OPT_LOCADDR, &address), 0);
    assert_int_equal(pthread_create(&thread, NULL, echo_once, &rep), 0);
    point_at_plain_port(p, ntohs(address.s_in.sa_port));
    lp_err err = sync(p, error);
    pthread_join(thread, NULL);
    nng_close(rep);
    return err;
}

/* ---- the tables ---- */

#define MEET(code, thing, advice, meet)                                                                                \
    { LP_##code, thing, advice, #meet, meet }

static const meeting meetings[] = {
    MEET(INVALID, "invitation", "paste all", join_with_nonsense),
    MEET(INVALID, "unicorn", "leads are", create_unknown),
    MEET(INVALID, "staff", "ask the office", create_the_servers),
    MEET(INVALID, "the id", "use another", create_what_is_another),
    MEET(INVALID, "compnay", "did you mean company", set_unknown_field),
    MEET(INVALID, "company", "text", set_wrong_type),
    MEET(INVALID, "budget_amount", "must be", set_no_number),
    MEET(INVALID, "company", "convert it", set_bad_utf8),
    MEET(INVALID, "conflict", "list them", restore_a_lead),
    MEET(INVALID, "unicorn", "are kinds", list_unicorns),
    MEET(INVALID, "company", "as in company=value", filter_by_nothing),
    MEET(INVALID, "filter", "closing quote", filter_unclosed),
    MEET(INVALID, "sort order", "write it like", sort_by_nothing),
    MEET(INVALID, "search text", "convert it", search_bad_utf8),
    MEET(NOT_FOUND, "other.db", "join with an invitation", open_nothing),
    MEET(NOT_FOUND, "other.db", "join with an invitation", open_the_unjoined),
    MEET(NOT_FOUND, "other.db", "check the path", wipe_nothing),
    MEET(NOT_FOUND, "other.db", "check the path", examine_nothing),
    MEET(NOT_FOUND, "other.db", "check the path", rescue_nothing),
    MEET(NOT_FOUND, "01020300", "check the id", set_unknown_record),
    MEET(NOT_FOUND, "01020300", "check the id", get_nobody),
    MEET(NOT_FOUND, "01020300", "check the id", history_of_nobody),
    MEET(NOT_FOUND, "01020300", "check the id", restore_nobody),
    MEET(NOT_FOUND, "refused", "see leadpool refused", resend_what_was_not_refused),
    MEET(NOT_FOUND, "recovered", "lists what was", send_what_was_not_recovered),
    MEET(EXISTS, "replica.db", "give another", join_twice),
    MEET(EXISTS, "other.db", "give another", rescue_over_a_file),
    MEET(EXISTS, "sync", "stop it first", sync_twice_at_once),
    MEET(EXISTS, "sync", "stop it first", start_twice),
    MEET(REFUSED, "invitation", "ask for", join_uninvited),
    MEET(BUSY, "replica", "stop it", wipe_what_is_open),
    MEET(BUSY, "the server's clock", "repair-clock", sync_while_the_servers_clock_is_off),
    MEET(OFFLINE, "127.0.0.1", "check", join_nobody),
    MEET(OFFLINE, "127.0.0.1", "check", sync_with_nobody),
    MEET(UNTRUSTED, "the server's key", "ask for a new invitation", join_an_impostor),
    MEET(UNTRUSTED, "the server's key", "ask for a new invitation", sync_with_another_server),
    MEET(PROTOCOL, "server", "update", sync_with_an_echo),
    MEET(VERSION, "replica", "update", open_a_newer),
    MEET(TOO_LARGE, "company", "shorten it", set_too_long),
    MEET(TOO_LARGE, "record", "shorten", commit_too_much),
    MEET(FULL, "the device", "free some space", commit_on_a_full_disk),
    MEET(IO, "save", "check the disk", commit_on_a_broken_disk),
    MEET(IO, "open", "check", open_a_directory),
    MEET(CORRUPT, "other.db", "run leadpool doctor", open_a_text),
    MEET(CORRUPT, "other.db", "left alone", wipe_a_text),
    MEET(CORRUPT, "replica", "doctor", examine_the_damaged),
    MEET(NOMEM, "memory", "", begin_without_memory),
    MEET(TIMEOUT, "server", "join again", join_the_silent),
    MEET(TIMEOUT, "in sync", "sync again", sync_in_no_time),
    MEET(EXPIRED, "invitation", "ask for a new one", join_too_late),
    MEET(DENIED, "erased", "make a new lead", write_of_the_erased),
    MEET(CLOCK, "the device's clock and the server's", "try again later", sync_while_the_servers_clock_runs_away),
    MEET(REVOKED, "device", "Ask the office", sync_revoked),
};

static const struct {
    lp_err code;
    const char *why;
} unmet[] = {
    {LP_OK, "is no error"},
    {LP_CLOSED, "becomes OFFLINE before it leaves the link, and is BUSY on the wire"},
    {LP_UNSUPPORTED, "a SQLite without FTS5, which this program does not have"},
    {LP_CLONED, "the library goes on as another device, and sync says so in `rejoined`; integration_copies"},
    {LP_FORGOTTEN, "the same; integration_copies"},
};

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

static void expect_sentence(const meeting *m, const lp_error *error) {
    const char *text = error->message;
    if (error->code != m->code)
        fail_msg("%s: %s instead of %s: %s", m->name, lp_err_name(error->code), lp_err_name(m->code), text);
    if (!strstr(text, m->thing) || !strstr(text, m->advice))
        fail_msg("%s: \"%s\" does not name \"%s\" or say \"%s\"", m->name, text, m->thing, m->advice);
    size_t size = strlen(text);
    if (isupper((unsigned char)text[0]) || strchr(text, '\n') || text[size - 1] == '.' ||
        size >= sizeof error->message - 1)
        fail_msg("%s: \"%s\" is not one line that begins in lower case and ends without a full stop", m->name, text);
}

static void every_error_names_the_thing_and_says_what_to_do(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(meetings); i++) {
        const meeting *m = &meetings[i];
        place p;
        lp_error error = {.code = LP_OK, .message = ""};
        if (m->code == LP_NOMEM && !short_memory_works())
            continue;
        arrive(&p);
        lp_err err = m->meet(&p, &error);
        if (err != m->code)
            fail_msg("%s: %s instead of %s: %s", m->name, lp_err_name(err), lp_err_name(m->code), error.message);
        expect_sentence(m, &error);
        leave(&p);
    }
}

/* A caller that does not care for sentences passes NULL. */
static void every_error_can_do_without_a_sentence(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(meetings); i++) {
        place p;
        if (meetings[i].code == LP_NOMEM && !short_memory_works())
            continue;
        arrive(&p);
        assert_int_equal(meetings[i].meet(&p, NULL), meetings[i].code);
        leave(&p);
    }
}

static void every_code_is_met_or_said_why_not(void **state) {
    static const lp_err all[] = {
#define E(name, number, exit_code, sentence) LP_##name,
#include "leadpool/errors.def"
#undef E
    };
    (void)state;
    for (size_t i = 0; i < COUNT(all); i++) {
        uint32_t met = 0, said = 0;
        for (size_t j = 0; j < COUNT(meetings); j++)
            met += meetings[j].code == all[i];
        for (size_t j = 0; j < COUNT(unmet); j++)
            said += unmet[j].code == all[i];
        if ((met > 0) == (said > 0))
            fail_msg("%s is met %u times, and said %u times not to be", lp_err_name(all[i]), met, said);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_names_the_thing_and_says_what_to_do),
        cmocka_unit_test(every_error_can_do_without_a_sentence),
        cmocka_unit_test(every_code_is_met_or_said_why_not),
    };
    return cmocka_run_group_tests_name("integration_errors", tests, NULL, NULL);
}
