/* fuzz_change.c - any bytes as a list of changes: read, checked, merged, packed; written again it reads the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "proto/change.h"
#include "proto/merge.h"
#include "proto/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

/* Reads a list and writes it to `out`; merges it into `rec` if that is not NULL. False if it breaks the form. */
static bool copy(span raw, buf *out, record *rec) {
    changes_reader r;
    changes_writer w;
    change_set set;
    reg change;
    changes_init(&w);
    bool ok = changes_open(&r, raw, NULL) == LP_OK;
    while (ok && changes_next(&r, &set)) {
        uint32_t count = 0;
        changes_begin(&w);
        while (change_next(&set, &change)) {
            count++;
            lp_error error;
            schema_check(set.kind, change.field, change.key, change.value, &error);
            change_put(&w, change.field, change.key, change.value);
            if (rec)
                must(merge_change(rec, &change, NULL) != MERGE_NOMEM);
        }
        ok = !set.fields.failed;
        must(!ok || count == set.field_count);
        if (set.uncertain)
            changes_mark_uncertain(&w);
        changes_end(&w, set.kind, &set.id, set.stamp, set.base, set.skew_ms);
    }
    ok = ok && !r.sets.failed;
    must(!ok || r.next == r.set_count);
    must(changes_finish(&w, out, NULL) == LP_OK);
    changes_close(&r);
    changes_fini(&w);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    lp_id id = {{0}};
    record rec, back;
    buf once = {0}, twice = {0}, body = {0}, stamps = {0};
    span bytes = {data, size};
    if (wire_scan(bytes, NULL))
        return 0;
    record_init(&rec, KIND_LEAD, &id);
    record_init(&back, KIND_LEAD, &id);
    if (copy(bytes, &once, &rec)) {
        must(wire_scan(buf_span(&once), NULL) == LP_OK);
        must(copy(buf_span(&once), &twice, NULL));
        must(span_equal(buf_span(&once), buf_span(&twice)));
        must(record_pack(&rec, &body, &stamps, NULL) == LP_OK);
        must(record_unpack(&back, buf_span(&body), buf_span(&stamps), NULL) == LP_OK && back.count == rec.count);
    }
    record_fini(&rec);
    record_fini(&back);
    buf_fini(&once);
    buf_fini(&twice);
    buf_fini(&body);
    buf_fini(&stamps);
    return 0;
}
