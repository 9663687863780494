/* clock.c - boots, contacts and the estimate of server time; see clock.h. */
#include "client/replica/clock.h"

#include <stdlib.h>
#include <string.h>

#include "client/replica/statements.h"
#include "proto/err.h"
#include "proto/message.h"

#define OFTEN_MS 60000 /* a contact that tells nothing new is stored so often */
#define WORTH_MS 100   /* a better sample is stored if it moves the estimate by more */
#define PACE_PPM 50    /* what a quartz may stray; extrapolation is wrong by that at most */
#define STRAY_PPM 1000 /* more than any quartz and any slewing of a clock: the two contacts contradict */

static int64_t within_range(int64_t ms) {
    return ms < 0 ? 0 : ms > STAMP_MS_MAX ? STAMP_MS_MAX : ms;
}

/* Differences of clocks that may show anything, without overflow: nothing beyond what a stamp can hold matters. */
static int64_t wall_ms(const replica *r) {
    int64_t ms = r->env->wall_ms(r->env->ctx);
    return ms < -STAMP_MS_MAX ? -STAMP_MS_MAX : ms > STAMP_MS_MAX ? STAMP_MS_MAX : ms;
}

static int64_t boot_ms(const replica *r) {
    return r->env->boot_ms(r->env->ctx);
}

static int64_t distance(int64_t a, int64_t b) {
    return a > b ? a - b : b - a;
}

static int64_t share(int64_t ms, int64_t ppm) {
    return ms / 1000000 * ppm + ms % 1000000 * ppm / 1000000;
}

/* ---- the boot ---- */

/* Number and offset of the present boot; LP_NOT_FOUND (error untouched) if nothing was written in it yet. */
static lp_err find_boot(replica *r, int64_t *number_out, int64_t *offset_ms_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BOOT_GET, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, span_of(r->boot_id, sizeof r->boot_id));
    lp_err err = statement_row(r, s, "read the clock", error);
    if (err)
        return err;
    *number_out = sqlite3_column_int64(s, 0);
    *offset_ms_out = sqlite3_column_int64(s, 1);
    sqlite3_reset(s);
    return LP_OK;
}

/* The wall clock, wrong by as much as it was at the last contact; but that contact was, and it was before now. */
static int64_t first_estimate(replica *r) {
    int64_t last_ms = 0;
    int64_t ms = within_range(wall_ms(r) + replica_meta_int(r, "clock.offset_ms", 0));
    if (statement_int(r, STATEMENT_CONTACT_LAST, &last_ms, NULL))
        last_ms = 0;
    return ms > last_ms ? ms : last_ms;
}

int64_t clock_now_ms(replica *r) {
    int64_t number, offset_ms;
    return find_boot(r, &number, &offset_ms, NULL) ? first_estimate(r) : within_range(boot_ms(r) + offset_ms);
}

static lp_err add_boot(replica *r, int64_t offset_ms, int64_t *number_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BOOT_ADD, error);
    if (!s)
        return LP_IO;
    bind_span(s, 1, span_of(r->boot_id, sizeof r->boot_id));
    sqlite3_bind_int64(s, 2, offset_ms);
    lp_err err = statement_run(r, s, "save", error);
    *number_out = sqlite3_last_insert_rowid(r->db);
    return err;
}

static lp_err require_boot(replica *r, int64_t *number_out, int64_t *offset_ms_out, lp_error *error) {
    lp_err err = find_boot(r, number_out, offset_ms_out, error);
    if (err != LP_NOT_FOUND)
        return err;
    *offset_ms_out = first_estimate(r) - boot_ms(r);
    return add_boot(r, *offset_ms_out, number_out, error);
}

static lp_err set_offset(replica *r, int64_t boot, int64_t offset_ms, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_BOOT_SET, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, boot);
    sqlite3_bind_int64(s, 2, offset_ms);
    r->mark = (clock_mark){0};
    return statement_run(r, s, "save", error);
}

lp_err clock_mark_now(replica *r, clock_mark *mark_out, lp_error *error) {
    int64_t offset_ms;
    lp_err err = LP_OK;
    if (r->mark.boot == 0) {
        err = require_boot(r, &r->mark.boot, &offset_ms, error);
        r->mark.boot_ms = boot_ms(r);
        r->mark.wall_ms = wall_ms(r);
        r->mark.now_ms = err ? 0 : within_range(r->mark.boot_ms + offset_ms);
    }
    *mark_out = r->mark;
    return err;
}

/* ---- stamps ---- */

lp_err clock_stamp(replica *r, uint64_t seen, stamp *at_out, lp_error *error) {
    clock_mark mark;
    lp_err err = clock_mark_now(r, &mark, error);
    if (err)
        return err;
    uint64_t before = r->clock.last;
    stamp at = hlc_next(&r->clock, mark.now_ms);
    if (seen >= at.time) {
        hlc ahead = {seen, r->clock.author};
        at = hlc_next(&ahead, 0);
        bool near = stamp_ms(at) - mark.now_ms <= CLOCK_TOLERANCE_MS;
        r->clock.last = near ? at.time : before; /* invariant (4) */
        r->seen = at.time > r->seen ? at.time : r->seen;
    }
    r->touched = true;
    *at_out = at;
    bool forced = stamp_ms(at) - mark.now_ms > CLOCK_TOLERANCE_MS;
    return forced ? replica_meta_put_int(r, "clock.forced", 1, error) : LP_OK;
}

/* ---- contacts ---- */

typedef struct contact {
    int64_t boot, boot_ms, server_ms, error_ms, oseq;
} contact;

static contact read_contact(sqlite3_stmt *s) {
    return (contact){sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2),
                     sqlite3_column_int64(s, 3), sqlite3_column_int64(s, 4)};
}

/* The last contact of a boot; LP_NOT_FOUND (error untouched) if there is none. */
static lp_err last_contact(replica *r, int64_t boot, contact *contact_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_CONTACT_OF, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, boot);
    lp_err err = statement_row(r, s, "read the clock", error);
    if (err)
        return err;
    *contact_out = read_contact(s);
    sqlite3_reset(s);
    return LP_OK;
}

void clock_fit(replica *r, clock_sample *sample) {
    int64_t estimate_ms = clock_now_ms(r) - (boot_ms(r) - sample->boot_ms);
    if (distance(estimate_ms, sample->server_ms) <= sample->error_ms)
        sample->server_ms = estimate_ms;
}

bool clock_wants(replica *r, const clock_sample *sample) {
    int64_t boot, offset_ms;
    contact last;
    if (find_boot(r, &boot, &offset_ms, NULL) || last_contact(r, boot, &last, NULL))
        return true;
    int64_t elapsed_ms = sample->boot_ms - last.boot_ms;
    int64_t moves_ms = distance(sample->server_ms, sample->boot_ms + offset_ms);
    int64_t doubt_ms = last.error_ms + share(elapsed_ms, PACE_PPM);
    if (moves_ms > doubt_ms + sample->error_ms)
        return true;
    return sample->error_ms <= doubt_ms && (moves_ms > WORTH_MS || elapsed_ms > OFTEN_MS);
}

static lp_err run_with(replica *r, statement_name name, int64_t first, int64_t second, lp_error *error) {
    sqlite3_stmt *s = statement(r, name, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, first);
    if (sqlite3_bind_parameter_count(s) > 1)
        sqlite3_bind_int64(s, 2, second);
    return statement_run(r, s, "save", error);
}

/* Invariant (3). */
static lp_err drop_contradicted(replica *r, int64_t boot, const clock_sample *sample, lp_error *error) {
    contact last;
    lp_err err = run_with(r, STATEMENT_CONTACT_DROP_LATER, sample->server_ms + CLOCK_TOLERANCE_MS, 0, error);
    if (!err)
        err = last_contact(r, boot, &last, error);
    if (err)
        return err == LP_NOT_FOUND ? LP_OK : err;
    int64_t elapsed_ms = sample->boot_ms - last.boot_ms;
    int64_t strays_ms = distance(sample->server_ms - last.server_ms, elapsed_ms);
    int64_t excused_ms = last.error_ms + sample->error_ms + CLOCK_TOLERANCE_MS + share(elapsed_ms, STRAY_PPM);
    return strays_ms > excused_ms ? run_with(r, STATEMENT_CONTACT_DROP_OF, boot, 0, error) : LP_OK;
}

static lp_err add_contact(replica *r, int64_t boot, const clock_sample *sample, int64_t oseq, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_CONTACT_ADD, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, boot);
    sqlite3_bind_int64(s, 2, sample->boot_ms);
    sqlite3_bind_int64(s, 3, sample->server_ms);
    sqlite3_bind_int64(s, 4, sample->error_ms);
    sqlite3_bind_int64(s, 5, oseq);
    return statement_run(r, s, "save", error);
}

/* What no entry of the outbox needs any more goes: of contacts between which nothing was written the first and the last stay. */
static lp_err forget(replica *r, int64_t boot, int64_t oseq, lp_error *error) {
    lp_err err = run_with(r, STATEMENT_CONTACT_THIN, boot, oseq, error);
    if (!err)
        err = run_with(r, STATEMENT_CONTACT_FORGET, boot, 0, error);
    return err ? err : run_with(r, STATEMENT_BOOT_FORGET, boot, 0, error);
}

lp_err clock_contact(replica *r, const clock_sample *sample, lp_error *error) {
    int64_t boot, offset_ms, oseq = 0;
    lp_err err = require_boot(r, &boot, &offset_ms, error);
    if (!err)
        err = drop_contradicted(r, boot, sample, error);
    if (!err)
        err = statement_int(r, STATEMENT_OUTBOX_NEWEST, &oseq, error);
    if (!err)
        err = add_contact(r, boot, sample, oseq, error);
    if (!err)
        err = set_offset(r, boot, sample->server_ms - sample->boot_ms, error);
    /* What the wall clock showed at the contact: the first guess of the next boot. */
    int64_t wall_then_ms = wall_ms(r) - (boot_ms(r) - sample->boot_ms);
    if (!err)
        err = replica_meta_put_int(r, "clock.offset_ms", sample->server_ms - wall_then_ms, error);
    return err ? err : forget(r, boot, oseq, error);
}

lp_err clock_mark_uncertain(replica *r, int64_t first, int64_t last, lp_error *error) {
    clock_mark mark;
    lp_err err = clock_mark_now(r, &mark, error);
    sqlite3_stmt *s = err ? NULL : statement(r, STATEMENT_OUTBOX_UNCERTAIN, error);
    if (!s)
        return err ? err : LP_IO;
    sqlite3_bind_int64(s, 1, first);
    sqlite3_bind_int64(s, 2, last);
    sqlite3_bind_int64(s, 3, mark.boot);
    return statement_run(r, s, "save", error);
}

/* ---- the line ---- */

struct clock_line {
    int64_t boot, offset_ms, now_ms; /* the present */
    contact *list;                   /* by server time */
    uint32_t count;
};

static lp_err read_contacts(replica *r, clock_line *line, lp_error *error) {
    uint32_t capacity = 0;
    sqlite3_stmt *s = statement(r, STATEMENT_CONTACTS, error);
    lp_err err = s ? LP_OK : LP_IO;
    while (!err && !(err = statement_row(r, s, "read the clock", error))) {
        if (line->count == capacity) {
            capacity = capacity ? capacity * 2 : 16;
            contact *list = realloc(line->list, capacity * sizeof *list);
            if (!list) {
                err = err_plain(error, LP_NOMEM);
                break;
            }
            line->list = list;
        }
        line->list[line->count++] = read_contact(s);
    }
    if (s)
        sqlite3_reset(s);
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err clock_line_new(replica *r, clock_line **line_out, lp_error *error) {
    clock_line *line = calloc(1, sizeof *line);
    if (!line)
        return err_plain(error, LP_NOMEM);
    lp_err err = require_boot(r, &line->boot, &line->offset_ms, error);
    line->now_ms = clock_now_ms(r);
    if (!err)
        err = read_contacts(r, line, error);
    if (err) {
        clock_line_free(line);
        return err;
    }
    *line_out = line;
    return LP_OK;
}

void clock_line_free(clock_line *line) {
    if (!line)
        return;
    free(line->list);
    free(line);
}

static int64_t interpolate(const contact *before, const contact *after, int64_t at_ms) {
    int64_t span_ms = after->boot_ms - before->boot_ms; /* not 0: at_ms lies in it, and is not its end */
    int64_t passed_ms = at_ms - before->boot_ms;
    int64_t gained_ms = after->server_ms - before->server_ms - span_ms;
    /* The gain is the drift of a clock: small, so the product does not overflow. */
    return before->server_ms + passed_ms + gained_ms * passed_ms / span_ms;
}

bool clock_line_at(const clock_line *line, int64_t boot, int64_t boot_ms, int64_t *server_ms_out) {
    const contact *before = NULL, *after = NULL;
    for (uint32_t i = 0; i < line->count; i++) {
        const contact *c = &line->list[i];
        if (c->boot != boot)
            continue;
        if (c->boot_ms <= boot_ms)
            before = c;
        else if (!after)
            after = c;
    }
    int64_t ms;
    if (before && after)
        ms = interpolate(before, after, boot_ms);
    else if (before || after)
        ms = boot_ms + (before ? before->server_ms - before->boot_ms : after->server_ms - after->boot_ms);
    else if (boot == line->boot)
        ms = boot_ms + line->offset_ms;
    else
        return false;
    ms = within_range(ms);
    *server_ms_out = ms < line->now_ms ? ms : line->now_ms;
    return true;
}

bool clock_line_reached(const clock_line *line) {
    bool reached = false;
    for (uint32_t i = 0; i < line->count; i++)
        reached |= line->list[i].boot == line->boot;
    return reached;
}

void clock_line_around(const clock_line *line, int64_t oseq, int64_t *before_ms_out, int64_t *after_ms_out) {
    *before_ms_out = 0;
    *after_ms_out = line->now_ms;
    for (uint32_t i = 0; i < line->count; i++) {
        const contact *c = &line->list[i];
        if (c->oseq < oseq && c->server_ms > *before_ms_out)
            *before_ms_out = c->server_ms;
        if (c->oseq >= oseq && c->server_ms < *after_ms_out)
            *after_ms_out = c->server_ms;
    }
}
