/* cmd_sync.c - join and sync: everything that needs the network. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/cli.h"
#include "client/cli/json.h"
#include "client/cli/tty.h"
#include "client/cli/watch.h"

#define TIMEOUT_S 60

static lp_err read_timeout(const cli *c, const args *a, int32_t *timeout_ms_out, lp_error *error) {
    uint32_t seconds = 0;
    lp_err code = args_number(a, c->lang, "timeout", TIMEOUT_S, &seconds, error);
    *timeout_ms_out = seconds > INT32_MAX / 1000 ? INT32_MAX : (int32_t)(seconds * 1000);
    return code;
}

lp_err cmd_join(cli *c, const args *a, lp_error *error) {
    int32_t timeout_ms = 0;
    lp_status status;
    lp_err code = read_timeout(c, a, &timeout_ms, error);
    if (code == LP_OK)
        code = cli_make_directory(c, error);
    if (code == LP_OK)
        code = lp_join(c->path, a->rest[0], args_value(a, "label"), timeout_ms, &c->replica, error);
    if (code == LP_OK)
        code = lp_status_get(c->replica, &status, error);
    if (code)
        return code;
    cli_say(c, T_JOINED, status.pool_name, status.staff_name, status.role, c->path, NULL);
    if (c->json)
        json_print(c->out, json_pack("{s:o, s:o, s:o, s:o, s:I, s:o}", "replica", json_of_text(c->path), "pool_name",
                                     json_of_text(status.pool_name), "staff", json_of_text(status.staff_name), "role",
                                     json_of_text(status.role), "device", (json_int_t)status.device, "pool",
                                     json_of_id(&status.pool)));
    return LP_OK;
}

/* ---- sync ---- */

static void draw_progress(void *ctx, const lp_event *event) {
    cli *c = ctx;
    if (event->kind == LP_EVENT_PROGRESS)
        tty_progress(c->err, text_get(c->lang, T_SYNCING), event->done, event->total);
}

static json_t *result_json(const lp_sync_result *r) {
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:I, s:b, s:b, s:I, s:I, s:I}", "pushed",
                     (json_int_t)r->pushed, "pulled", (json_int_t)r->pulled, "lost", (json_int_t)r->lost, "refused",
                     (json_int_t)r->refused, "bytes_up", (json_int_t)r->bytes_up, "bytes_down",
                     (json_int_t)r->bytes_down, "round_trips", (int)r->round_trips, "conflicts",
                     (json_int_t)r->conflicts, "complete", (int)r->complete, "diverged", (int)r->diverged, "healed",
                     (json_int_t)r->healed, "rejoined", (json_int_t)r->rejoined, "received", (json_int_t)r->received);
}

static void say_count(const cli *c, text_id id, uint64_t count) {
    char number[24];
    snprintf(number, sizeof number, "%" PRIu64, count);
    if (count)
        cli_say(c, id, number, NULL);
}

static void say_result(const cli *c, const lp_sync_result *r) {
    char numbers[4][24];
    const uint64_t values[] = {r->pushed, r->pulled, r->bytes_up, r->bytes_down};
    for (size_t i = 0; i < 4; i++)
        snprintf(numbers[i], sizeof numbers[i], "%" PRIu64, values[i]);
    cli_say(c, T_SYNC_RESULT, numbers[0], numbers[1], numbers[2], numbers[3], NULL);
    if (r->rejoined)
        cli_say_rejoined(c, r->rejoined);
    say_count(c, T_SYNC_LOST, r->lost);
    say_count(c, T_SYNC_REFUSED, r->refused);
    say_count(c, T_SYNC_RECEIVED, r->received);
    say_count(c, T_SYNC_HEALED, r->healed);
    say_count(c, T_SYNC_CONFLICTS, r->conflicts);
}

/* One object whether it worked or not: what was transferred by then stays, and a script wants to know. */
static void print_result(cli *c, const lp_sync_result *result, lp_err code, const lp_error *error) {
    if (!c->json) {
        if (code == LP_OK || result->pushed || result->pulled || result->rejoined)
            say_result(c, result);
        return;
    }
    json_t *object = result_json(result);
    if (code)
        json_object_set_new(object, "error", json_error_body(error));
    json_print(c->out, object);
    c->answered = true;
}

static lp_err sync_once(cli *c, const args *a, lp_error *error) {
    int32_t timeout_ms = 0;
    lp_sync_result result = {0};
    lp_error mine = {0};
    lp_err code = read_timeout(c, a, &timeout_ms, error);
    if (code)
        return code;
    if (c->err_terminal)
        lp_on_event(c->replica, draw_progress, c);
    code = lp_sync(c->replica, timeout_ms, &result, &mine);
    mine.code = code;
    if (c->err_terminal) {
        lp_on_event(c->replica, NULL, NULL);
        tty_progress_end(c->err);
    }
    print_result(c, &result, code, &mine);
    *error = mine;
    return code;
}

lp_err cmd_sync(cli *c, const args *a, lp_error *error) {
    uint32_t seconds = 0;
    lp_err code = args_number(a, c->lang, "for", 0, &seconds, error);
    if (code == LP_OK)
        code = cli_open(c, error);
    if (code)
        return code;
    return args_flag(a, "watch") ? watch_run(c, seconds, error) : sync_once(c, a, error);
}
