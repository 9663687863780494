/* store_kit.c - see store_kit.h. */
#include "tests/support/store_kit.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/wire.h"

void kit_directory_make(kit_directory *d) {
    const char *base = getenv("TMPDIR");
    snprintf(d->path, sizeof d->path, "%s/leadpool-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(d->path));
}

void kit_path(const kit_directory *d, const char *name, char path_out[320]) {
    snprintf(path_out, 320, "%s/%.60s", d->path, name);
}

void kit_directory_remove(const kit_directory *d) {
    DIR *listing = opendir(d->path);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        char path[320];
        kit_path(d, entry->d_name, path);
        if (entry->d_name[0] == '.' || unlink(path) == 0)
            continue;
        kit_directory below;
        snprintf(below.path, sizeof below.path, "%.250s", path);
        kit_directory_remove(&below);
    }
    if (listing)
        closedir(listing);
    rmdir(d->path);
}

lp_id kit_id(uint64_t number) {
    lp_id id = {{0}};
    for (int i = 0; i < 8; i++)
        id.bytes[15 - i] = (uint8_t)(number >> (8 * i));
    id.bytes[0] = 1;
    return id;
}

stamp kit_stamp(uint64_t number) {
    return (stamp){(number + 1) << 16, 16};
}

static void put(record *rec, uint32_t field, span value, stamp at, uint64_t seq) {
    bool made;
    reg *r = record_at(rec, field, (span){0}, &made);
    assert_non_null(r);
    r->value = value;
    r->stamp = at;
    r->seq = seq;
}

void kit_lead_make(kit_lead *lead, uint32_t kind, uint64_t number, uint64_t seq, bool deleted, size_t notes_bytes) {
    buf_clear(&lead->body);
    buf_clear(&lead->stamps);
    buf notes = {0}, name = {0}, gone = {0};
    char *text = calloc(1, notes_bytes + 1);
    assert_non_null(text);
    memset(text, 'n', notes_bytes);
    wire_put_text(&notes, span_of(text, notes_bytes));
    wire_put_u64(&name, number);
    wire_put_bool(&gone, true);
    lp_id id = kit_id(number);
    record rec;
    record_init(&rec, kind, &id);
    put(&rec, LEAD_NOTES, buf_span(&notes), kit_stamp(seq), seq);
    put(&rec, LEAD_SCORE, buf_span(&name), kit_stamp(seq), seq);
    if (deleted)
        put(&rec, FIELD_DELETED, buf_span(&gone), kit_stamp(seq), seq);
    assert_int_equal(record_pack(&rec, &lead->body, &lead->stamps, NULL), LP_OK);
    const kind_info *info = schema_kind(kind);
    lead->row = (store_row){
        kind, id, info ? info->scope : SCOPE_POOL, seq, deleted, buf_span(&lead->body), buf_span(&lead->stamps)};
    record_fini(&rec);
    buf_fini(&notes);
    buf_fini(&name);
    buf_fini(&gone);
    free(text);
}

void kit_lead_fini(kit_lead *lead) {
    buf_fini(&lead->body);
    buf_fini(&lead->stamps);
}

store_history kit_entry(uint64_t number, uint64_t stamp_number, uint64_t seq, const char *body) {
    return (store_history){.seq = seq,
                           .id = kit_id(number),
                           .stamp = kit_stamp(stamp_number),
                           .person = kit_id(7),
                           .device_ms = -5,
                           .server_ms = 1700000000000,
                           .body = span_text(body),
                           .bases = SPAN_LITERAL("twelve bytes")};
}

uint64_t kit_save(store *s, uint64_t number, bool deleted) {
    kit_lead lead = {0};
    uint64_t seq = 0;
    lp_error error = {0};
    assert_int_equal(s->ops->take_seq(s, 1, &seq, &error), LP_OK);
    kit_lead_make(&lead, KIND_LEAD, number, seq, deleted, 40);
    assert_int_equal(s->ops->save(s, &lead.row, &error), LP_OK);
    kit_lead_fini(&lead);
    return seq;
}

uint64_t kit_commit_lead(store *s, uint64_t number) {
    assert_int_equal(s->ops->begin(s, NULL), LP_OK);
    uint64_t seq = kit_save(s, number, false);
    assert_int_equal(s->ops->commit(s, NULL), LP_OK);
    return seq;
}
