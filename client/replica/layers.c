/* layers.c - server layer and visible layer of a record; see layers.h. */
#include "client/replica/layers.h"

#include <stdlib.h>
#include <string.h>

#include "client/replica/erase.h"
#include "client/replica/holdings.h"
#include "client/replica/kept.h"
#include "client/replica/outbox.h"
#include "client/replica/refused.h"
#include "client/replica/statements.h"
#include "proto/bug.h"
#include "proto/change.h"
#include "proto/err.h"
#include "proto/merge.h"
#include "proto/schema.h"

lp_err layers_copy(record *to, const record *from, lp_error *error) {
    record_clear(to);
    for (uint32_t i = 0; i < from->count; i++) {
        bool made;
        reg *slot = record_at(to, from->regs[i].field, from->regs[i].key, &made);
        if (!slot)
            return err_plain(error, LP_NOMEM);
        *slot = from->regs[i];
    }
    return LP_OK;
}

static lp_err fill(const replica_row *row, bool with_visible, layers *l, lp_error *error) {
    const span parts[] = {row->body, row->stamps, row->server_body, row->server_stamps};
    size_t at[4];
    buf_reserve(&l->bytes, row->body.size + row->stamps.size + row->server_body.size + row->server_stamps.size);
    for (int i = 0; i < 4; i++) {
        at[i] = l->bytes.size;
        buf_append_span(&l->bytes, parts[i]);
    }
    if (l->bytes.failed)
        return err_plain(error, LP_NOMEM);
    const uint8_t *base = l->bytes.data;
    l->rid = row->rid;
    l->unsent = row->unsent;
    l->held = row->held;
    l->layered = row->layered;
    l->visible.kind = l->server.kind = row->kind;
    l->visible.id = l->server.id = row->id;
    l->body = span_of(base + at[0], row->body.size);
    l->stamps = span_of(base + at[1], row->stamps.size);
    lp_err err = with_visible ? record_unpack(&l->visible, l->body, l->stamps, error) : LP_OK;
    if (!err && row->layered)
        err = record_unpack(&l->server, span_of(base + at[2], row->server_body.size),
                            span_of(base + at[3], row->server_stamps.size), error);
    return err;
}

lp_err layers_open(replica *r, uint32_t kind, const lp_id *id, layers *l, lp_error *error) {
    *l = (layers){0};
    record_init(&l->visible, kind, id);
    record_init(&l->server, kind, id);
    replica_row row;
    lp_err err = replica_load(r, id, &row, error);
    if (err == LP_NOT_FOUND)
        return LP_OK;
    if (!err)
        err = fill(&row, true, l, error);
    /* The row's bytes were copied: the statement may end, and with it what would hold back a checkpoint. */
    statement(r, STATEMENT_ROW_BY_ID, NULL);
    return err;
}

lp_err layers_open_rid(replica *r, int64_t rid, layers *l, lp_error *error) {
    *l = (layers){0};
    replica_row row;
    lp_err err = replica_load_rid(r, rid, &row, error);
    if (err == LP_NOT_FOUND)
        return err_set(error, LP_CORRUPT, "the outbox names a record that is gone; run leadpool doctor");
    if (!err)
        err = fill(&row, !row.layered, l, error);
    statement(r, STATEMENT_ROW_BY_RID, NULL);
    /* An earlier entry of the same batch may have settled all that was unacked: then the two layers are one, not one and none. */
    if (!err && !l->layered)
        err = layers_copy(&l->server, &l->visible, error);
    l->apart = true;
    return err;
}

lp_err layers_save(replica *r, layers *l, lp_error *error) {
    replica_image image = {&l->visible, l->layered ? &l->server : NULL, l->unsent, l->held};
    bool stays = l->held_anew && l->rid;
    l->held_anew = false;
    lp_err err = replica_store(r, l->rid, &image, &l->rid, error);
    return !err && stays && r->scopes.leaving ? statement_run_int(r, STATEMENT_LEAVING_DROP, l->rid, error) : err;
}

void layers_close(layers *l) {
    record_fini(&l->visible);
    record_fini(&l->server);
    buf_fini(&l->bytes);
    buf_fini(&l->unacked);
}

lp_err layers_keep_past(replica *r, int64_t rid, const reg *before, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_PAST, error);
    buf body = {0};
    if (!s)
        return LP_IO;
    change_pack(&body, before->field, before->key, before->value);
    sqlite3_bind_int64(s, 1, rid);
    bind_stamp(s, 2, before->stamp);
    bind_span(s, 3, buf_span(&body));
    sqlite3_bind_int(s, 4, before->uncertain);
    lp_err err = body.failed ? err_plain(error, LP_NOMEM) : statement_run(r, s, "save", error);
    buf_fini(&body);
    return err;
}

/* ---- local writes ---- */

static bool in_list(const reg *list, uint32_t count, uint32_t field, span key) {
    for (uint32_t i = 0; i < count; i++)
        if (list[i].field == field && span_equal(list[i].key, key))
            return true;
    return false;
}

/* The changes that differ from what is visible, with the members of every group they touch. NULL if out of memory. */
static reg *gather(const layers *l, const reg *changes, uint32_t count, uint32_t *count_out) {
    uint32_t field_count;
    const field_info *fields = schema_fields(l->visible.kind, &field_count);
    reg *list = malloc((count + field_count + 1) * sizeof *list);
    uint32_t n = 0;
    for (uint32_t i = 0; list && i < count; i++) {
        const reg *stored = record_find(&l->visible, changes[i].field, changes[i].key);
        span present = stored ? stored->value : WIRE_NIL_SPAN;
        if (!span_equal(present, changes[i].value) && !in_list(list, n, changes[i].field, changes[i].key))
            list[n++] = changes[i];
    }
    uint32_t written = n;
    for (uint32_t i = 0; list && i < written; i++) {
        const field_info *info = schema_field(l->visible.kind, list[i].field);
        for (uint32_t f = 0; info && info->group && f < field_count && !BUG(GROUP_MEMBER_LEFT_OUT); f++) {
            if (fields[f].group != info->group || in_list(list, n, fields[f].number, (span){0}))
                continue;
            const reg *stored = record_find(&l->visible, fields[f].number, (span){0});
            list[n++] = (reg){.field = fields[f].number, .value = stored ? stored->value : WIRE_NIL_SPAN};
        }
    }
    *count_out = n;
    return list;
}

/* Base of every change: the stamp of what its author looked at. Members of a group share the greatest of theirs. */
static void set_bases(const layers *l, reg *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const reg *stored = record_find(&l->visible, list[i].field, list[i].key);
        list[i].base = stored && !BUG(BASE_NOT_NOTED) ? stored->stamp : STAMP_NONE;
    }
    for (uint32_t i = 0; i < count; i++) {
        const field_info *a = schema_field(l->visible.kind, list[i].field);
        for (uint32_t k = 0; a && a->group && k < count; k++) {
            const field_info *b = schema_field(l->visible.kind, list[k].field);
            if (b && b->group == a->group && stamp_compare(list[k].base, list[i].base) > 0)
                list[i].base = list[k].base;
        }
    }
}

static lp_err start_layering(layers *l, lp_error *error) {
    l->unsent = true;
    if (l->layered)
        return LP_OK;
    l->layered = true;
    if (l->rid == 0) {
        record_clear(&l->server);
        return LP_OK;
    }
    return layers_copy(&l->server, &l->visible, error);
}

/* Merges what was written into visible; what it replaces goes to the past. */
static lp_err merge_local(replica *r, layers *l, reg *list, uint32_t count, stamp at, lp_error *error) {
    size_t before_bytes = record_bytes(&l->visible);
    uint32_t before_count = l->visible.count;
    for (uint32_t i = 0; i < count; i++) {
        reg before;
        list[i].stamp = at;
        if (merge_change(&l->visible, &list[i], &before) == MERGE_NOMEM)
            return err_plain(error, LP_NOMEM);
        bool had_value = !stamp_is_none(before.stamp) && !span_equal(before.value, WIRE_NIL_SPAN);
        lp_err err = had_value ? layers_keep_past(r, l->rid, &before, error) : LP_OK;
        if (err)
            return err;
    }
    if (l->visible.count > RECORD_FIELDS_MAX && l->visible.count > before_count)
        return err_set(error, LP_TOO_LARGE, "the record would have more than %d fields; remove some tags or answers",
                       RECORD_FIELDS_MAX);
    size_t bytes = record_bytes(&l->visible);
    if (bytes > RECORD_BYTES_MAX && bytes > before_bytes)
        return err_set(error, LP_TOO_LARGE, "the record would grow above %d KiB; shorten something of it",
                       RECORD_BYTES_MAX / 1024);
    return LP_OK;
}

/* What an author had before their eyes: the greatest stamp of somebody else on the record. Their own stamps ascend anyway. */
static uint64_t greatest_seen(const replica *r, const layers *l) {
    uint64_t greatest = 0;
    for (uint32_t i = 0; i < l->visible.count; i++) {
        const stamp *at = &l->visible.regs[i].stamp;
        if (at->author != r->clock.author && at->time > greatest)
            greatest = at->time;
    }
    return greatest;
}

lp_err layers_write(replica *r, layers *l, const reg *changes, uint32_t count, stamp at, uint32_t *changed_out,
                    lp_error *error) {
    uint32_t n = 0;
    outbox_made made = {at, greatest_seen(r, l)};
    lp_err refused = erase_check_write(r, l->visible.kind, &l->visible.id, changes, count, error);
    if (refused)
        return refused;
    reg *list = gather(l, changes, count, &n);
    lp_err err = list ? LP_OK : err_plain(error, LP_NOMEM);
    *changed_out = n;
    if (err || n == 0)
        goto out;
    set_bases(l, list, n);
    err = l->rid ? refused_replaced(r, l->rid, list, n, error) : LP_OK;
    if (!err)
        err = start_layering(l, error);
    if (!err && l->rid)
        err = outbox_coalesce(r, l->rid, list, n, error);
    if (!err)
        err = merge_local(r, l, list, n, at, error);
    if (!err)
        err = layers_save(r, l, error);
    if (!err)
        err = outbox_add(r, l->rid, &made, list, n, error);
out:
    free(list);
    return err;
}

/* ---- pull ---- */

/* Merges into the server layer proper and keeps its digest. */
static lp_err merge_server(replica *r, const layers *l, record *rec, const reg *change, reg *before_out,
                           merge_outcome *outcome_out, lp_error *error) {
    *outcome_out = merge_change(rec, change, before_out);
    if (*outcome_out == MERGE_NOMEM)
        return err_plain(error, LP_NOMEM);
    if ((*outcome_out != MERGE_APPLIED && *outcome_out != MERGE_CLONED) || BUG(DIGEST_NOT_MOVED))
        return LP_OK;
    /* What was applied is what stands now; looking for it would cost as much as the merge did. */
    bool applied = *outcome_out == MERGE_APPLIED;
    const reg *now = applied ? change : record_find(rec, change->field, change->key);
    holdings_count(r, l, now, stamp_is_none(before_out->stamp) ? NULL : before_out);
    return LP_OK;
}

/* True if what is visible is another value than `before`. A copy of this device may have given one the same stamp. */
static bool has_replaced(const layers *l, const reg *change, merge_outcome outcome, const reg *before) {
    if (outcome != MERGE_CLONED)
        return outcome == MERGE_APPLIED;
    return !span_equal(record_find(&l->visible, change->field, change->key)->value, before->value);
}

lp_err layers_pull(replica *r, layers *l, const reg *change, bool *news_out, lp_error *error) {
    reg before;
    merge_outcome outcome;
    *news_out = false;
    lp_err err = merge_server(r, l, l->layered && !BUG(PULL_SKIPS_SERVER_LAYER) ? &l->server : &l->visible, change,
                              &before, &outcome, error);
    if (!err && l->layered) {
        if (BUG(PULL_OVER_UNSENT) && record_find(&l->visible, change->field, change->key))
            record_find(&l->visible, change->field, change->key)->stamp = STAMP_NONE;
        outcome = merge_change(&l->visible, change, &before);
        if (outcome == MERGE_NOMEM)
            err = err_plain(error, LP_NOMEM);
    }
    if (err || !has_replaced(l, change, outcome, &before))
        return err;
    *news_out = true;
    bool had_value = !stamp_is_none(before.stamp) && !span_equal(before.value, WIRE_NIL_SPAN);
    return l->rid && had_value && !BUG(PAST_NOT_KEPT) ? layers_keep_past(r, l->rid, &before, error) : LP_OK;
}

/* ---- verdicts ---- */

lp_err layers_apply(replica *r, layers *l, const reg *change, lp_error *error) {
    reg before;
    merge_outcome outcome;
    return merge_server(r, l, &l->server, change, &before, &outcome, error);
}

static lp_err merge_unacked(void *ctx, const reg *change, lp_error *error) {
    layers *l = ctx;
    l->unsent = true;
    return merge_change(&l->visible, change, NULL) == MERGE_NOMEM ? err_plain(error, LP_NOMEM) : LP_OK;
}

lp_err layers_show(replica *r, layers *l, lp_error *error) {
    l->unsent = false;
    buf_clear(&l->unacked);
    lp_err err = layers_copy(&l->visible, &l->server, error);
    if (!err)
        err = outbox_each(r, l->rid, &l->unacked, merge_unacked, l, error);
    l->layered = l->unsent;
    return err;
}

/* Only the second layer goes: neither columns nor search index are touched. */
static lp_err drop_server(replica *r, const layers *l, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_ROW_SETTLED, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, l->rid);
    sqlite3_bind_int64(s, 2, (int64_t)l->held);
    lp_err err = statement_run(r, s, "save", error);
    bool stays = l->held_anew && r->scopes.leaving;
    return !err && stays ? statement_run_int(r, STATEMENT_LEAVING_DROP, l->rid, error) : err;
}

static lp_err save_settled(replica *r, layers *l, lp_error *error) {
    buf body = {0};
    buf stamps = {0};
    lp_err err = l->layered ? LP_OK : record_pack(&l->visible, &body, &stamps, error);
    bool same = !l->layered && span_equal(buf_span(&body), l->body) && span_equal(buf_span(&stamps), l->stamps);
    if (!err)
        err = same ? drop_server(r, l, error) : layers_save(r, l, error);
    buf_fini(&body);
    buf_fini(&stamps);
    return err;
}

static lp_err is_queued(replica *r, int64_t rid, bool *queued_out, lp_error *error) {
    sqlite3_stmt *s = statement(r, STATEMENT_OUTBOX_HOLDS, error);
    if (!s)
        return LP_IO;
    sqlite3_bind_int64(s, 1, rid);
    lp_err err = statement_row(r, s, "read the outbox", error);
    sqlite3_reset(s);
    *queued_out = err == LP_OK;
    return err == LP_NOT_FOUND ? LP_OK : err;
}

lp_err layers_settle(replica *r, layers *l, bool as_seen, lp_error *error) {
    bool queued;
    lp_err err = is_queued(r, l->rid, &queued, error);
    if (err)
        return err;
    if (as_seen && (!queued || BUG(SECOND_ENTRY_DROPPED)))
        return drop_server(r, l, error);
    err = layers_show(r, l, error);
    return err ? err : save_settled(r, l, error);
}

/* Keeps what `seen` showed of this device's own and the rebuilt record does not show any more. */
static lp_err keep_overtaken(replica *r, const layers *l, const record *seen, lp_error *error) {
    for (uint32_t i = 0; i < seen->count; i++) {
        const reg *was = &seen->regs[i];
        const reg *now = record_find(&l->visible, was->field, was->key);
        bool stands = now && span_equal(now->value, was->value);
        if (!kept_is_own(r, was->stamp.author) || stands || span_equal(was->value, WIRE_NIL_SPAN))
            continue;
        lp_err err = layers_keep_past(r, l->rid, was, error);
        if (err)
            return err;
    }
    return LP_OK;
}

lp_err layers_rebuild(replica *r, int64_t rid, lp_error *error) {
    layers l;
    record seen;
    lp_err err = layers_open_rid(r, rid, &l, error);
    record_init(&seen, l.visible.kind, &l.visible.id);
    if (!err)
        err = record_unpack(&seen, l.body, l.stamps, error);
    if (!err)
        err = layers_settle(r, &l, false, error);
    if (!err)
        err = keep_overtaken(r, &l, &seen, error);
    record_fini(&seen);
    layers_close(&l);
    return err;
}
