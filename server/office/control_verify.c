/* control_verify.c - the pool's digest from scratch; see control_verbs.h. */
#include "proto/err.h"
#include "server/office/control_verbs.h"

/* What the digest should be, from the rows. */
typedef struct summing {
    digester *digester;
    digest sum;
    record record;
    lp_err err;
    lp_error *error;
} summing;

static bool sum_row(void *ctx, const store_row *row) {
    summing *s = ctx;
    s->record.kind = row->kind;
    s->record.id = row->id;
    s->err = record_unpack(&s->record, row->body, row->stamps, s->error);
    for (uint32_t i = 0; s->err == LP_OK && i < s->record.count; i++)
        digest_add(s->digester, &s->sum, row->kind, &row->id, &s->record.regs[i]);
    return s->err == LP_OK;
}

lp_err control_verify_digest(const pool *p, store_reader *reader, lp_error *error) {
    summing s = {.error = error};
    digest stored;
    record_init(&s.record, 0, &(lp_id){{0}});
    lp_err err = digester_new(&p->id, &s.digester, error);
    if (err == LP_OK)
        err = pool_digest(reader, &stored, error);
    if (err == LP_OK)
        err = reader->ops->feed(reader, SCOPE_POOL, 0, sum_row, &s, error);
    if (err == LP_OK)
        err = s.err;
    if (err == LP_OK && !digest_equal(s.sum, stored))
        err = err_set(error, LP_CORRUPT, "the pool's digest is not that of its records; restore a backup");
    digester_free(s.digester);
    record_fini(&s.record);
    return err;
}
