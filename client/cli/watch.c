/* watch.c - see watch.h.
 *
 * Signals are blocked before the library's thread starts (which inherits the mask) and taken with sigtimedwait between events, so no
 * handler ever runs in the middle of anything. */
#include "client/cli/watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "client/cli/display.h"
#include "client/cli/json.h"
#include "client/cli/timetext.h"

#define POLL_MS 100 /* the longest a signal waits */

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool id_is_nil(const lp_id *id) {
    static const lp_id nil;
    return memcmp(id, &nil, sizeof nil) == 0;
}

static const char *event_name(lp_event_kind kind) {
    switch (kind) {
    case LP_EVENT_STATE:
        return "state";
    case LP_EVENT_CHANGED:
        return "changed";
    case LP_EVENT_PROGRESS:
        return "progress";
    case LP_EVENT_REFUSED:
        return "refused";
    case LP_EVENT_REJOINED:
        return "rejoined";
    default:
        return "none";
    }
}

static void print_json(cli *c, const lp_event *event) {
    json_t *object = json_pack("{s:s, s:I}", "event", event_name(event->kind), "at_ms", (json_int_t)cli_now_ms());
    lp_status status;
    if (event->kind == LP_EVENT_STATE && lp_status_get(c->replica, &status, NULL) == LP_OK) {
        json_object_set_new(object, "state", json_string(status.state_name));
        json_object_set_new(object, "reason", json_of_text(status.reason));
    }
    if (event->kind == LP_EVENT_CHANGED || event->kind == LP_EVENT_REFUSED)
        json_object_set_new(object, "id", id_is_nil(&event->id) ? json_null() : json_of_id(&event->id));
    if (event->kind == LP_EVENT_PROGRESS) {
        json_object_set_new(object, "done", json_integer((json_int_t)event->done));
        json_object_set_new(object, "total", json_integer((json_int_t)event->total));
    }
    if (event->kind == LP_EVENT_REJOINED)
        json_object_set_new(object, "device", json_integer((json_int_t)event->done));
    json_print(c->out, object);
}

static void say_record(cli *c, text_id id, const lp_event *event) {
    char text[LP_ID_TEXT_BYTES];
    char name[DISPLAY_TEXT_BYTES] = "";
    char when[TIME_TEXT_BYTES];
    lp_record *record = NULL;
    time_format_local_seconds(cli_now_ms(), when);
    if (id_is_nil(&event->id)) {
        cli_say(c, T_WATCH_MANY, when, NULL);
        return;
    }
    lp_id_format(&event->id, text);
    if (lp_get(c->replica, &event->id, &record, NULL) == LP_OK)
        display_name(record, name, sizeof name);
    lp_record_free(record);
    cli_say(c, id, when, text, name, NULL);
}

static void print_event(cli *c, const lp_event *event) {
    lp_status status;
    char when[TIME_TEXT_BYTES];
    if (c->json) {
        print_json(c, event);
        return;
    }
    time_format_local_seconds(cli_now_ms(), when);
    if (event->kind == LP_EVENT_STATE && lp_status_get(c->replica, &status, NULL) == LP_OK)
        cli_say(c, T_WATCH_STATE, when, status.state_name, status.reason, NULL);
    else if (event->kind == LP_EVENT_CHANGED)
        say_record(c, T_WATCH_CHANGED, event);
    else if (event->kind == LP_EVENT_REFUSED)
        say_record(c, T_WATCH_REFUSED, event);
    else if (event->kind == LP_EVENT_REJOINED)
        cli_say_rejoined(c, (uint32_t)event->done);
    fflush(c->out);
}

static bool was_interrupted(const sigset_t *signals) {
    struct timespec now = {0};
    return sigtimedwait(signals, NULL, &now) > 0;
}

static lp_err follow(cli *c, const sigset_t *signals, uint32_t seconds, lp_error *error) {
    int64_t end_ms = monotonic_ms() + (int64_t)seconds * 1000;
    lp_event event;
    while (!was_interrupted(signals) && (seconds == 0 || monotonic_ms() < end_ms)) {
        lp_poll(c->replica, POLL_MS);
        while (lp_next_event(c->replica, &event))
            print_event(c, &event);
        if (ferror(c->out))
            return cli_fail(c, error, LP_IO, T_CANNOT_WRITE, "stdout", strerror(errno), NULL);
    }
    return LP_OK;
}

lp_err watch_run(cli *c, uint32_t seconds, lp_error *error) {
    sigset_t signals;
    sigset_t before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, &before);
    lp_err code = lp_sync_start(c->replica, error);
    if (code == LP_OK) {
        code = follow(c, &signals, seconds, error);
        lp_sync_stop(c->replica);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}
