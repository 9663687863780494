/* daily.c - see daily.h. */
#include "server/office/daily.h"

#include "proto/err.h"
#include "proto/message.h"
#include "proto/wire.h"
#include "server/office/control_arguments.h"
#include "server/office/control_verbs.h"

/* One number of a result; 0 if it is not there. */
static int64_t number_of(span result, const char *name) {
    wire_reader r = wire_open(result);
    for (uint32_t left = wire_map(&r); left > 0 && !r.failed; left--) {
        bool found = span_equal(wire_text(&r), span_text(name));
        if (found)
            return wire_i64(&r);
        wire_raw(&r);
    }
    return 0;
}

/* One step; *more_out: there is more to do. */
static lp_err step(control *c, span request, int64_t *purged, int64_t *waiting, bool *more_out, lp_error *error) {
    job *j;
    message answer;
    *more_out = false;
    lp_err err = control_job(c, JOB_CONTROL, request, &j, error);
    if (!err)
        err = message_decode(buf_span(&j->answer), &answer, error);
    if (!err) {
        *purged += number_of(answer.result, "purged");
        *waiting = number_of(answer.result, "waiting");
        *more_out = number_of(answer.result, "more") != 0;
    }
    job_free(j);
    return err;
}

void daily_run(control *c, logger *log) {
    buf request = {0};
    lp_error error = {.message = ""};
    int64_t purged = 0, waiting = 0;
    bool more = true;
    lp_err err = control_request("purge", NULL, 0, &request, &error);
    while (!err && more)
        err = step(c, buf_span(&request), &purged, &waiting, &more, &error);
    buf_fini(&request);
    if (err)
        log_line(log, LOG_LEVEL_WARN, "purge failed", LOG_TEXT("reason", error.message));
    else if (purged)
        log_line(log, LOG_LEVEL_INFO, "purged", LOG_NUMBER("records", (uint64_t)purged),
                 LOG_NUMBER("waiting", (uint64_t)waiting));
}
