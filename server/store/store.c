/* store.c - what all engines share: the completeness of their tables, and the checks a row must pass on any of them. */
#include "server/store/check.h"

#include "proto/err.h"
#include "server/store/store.h"

bool store_ops_complete(const store_ops *ops) {
    return ops->name && ops->open && ops->close && ops->begin && ops->commit && ops->rollback && ops->rest &&
           ops->savepoint && ops->release && ops->undo && ops->load && ops->save && ops->take_seq && ops->append &&
           ops->history && ops->history_at && ops->rows && ops->drop_history && ops->drop_row && ops->scrub &&
           ops->get && ops->put && ops->each && ops->reader_open && ops->reader_close && ops->snapshot &&
           ops->snapshot_end && ops->counts && ops->feed && ops->read && ops->read_history && ops->read_document &&
           ops->read_documents && ops->backup && ops->read_next && ops->last_seq && ops->verify;
}

static uint64_t greatest_seq(const record *rec) {
    uint64_t greatest = 0;
    for (uint32_t i = 0; i < rec->count; i++)
        if (rec->regs[i].seq > greatest)
            greatest = rec->regs[i].seq;
    return greatest;
}

lp_err check_row(const store_row *row, uint64_t last_seq, record *scratch, lp_error *error) {
    char name[LP_ID_TEXT_BYTES];
    lp_id_format(&row->id, name);
    lp_error why = {0};
    lp_err err = record_unpack(scratch, row->body, row->stamps, &why);
    if (err == LP_NOMEM)
        return err_plain(error, err);
    if (err)
        return err_set(error, LP_CORRUPT, "record %s is damaged: %s", name, why.message);
    uint64_t greatest = greatest_seq(scratch);
    if (row->seq == 0 || row->seq > last_seq || row->seq != greatest)
        return err_set(error, LP_CORRUPT, "record %s has seq %llu, its registers reach %llu, the pool %llu", name,
                       (unsigned long long)row->seq, (unsigned long long)greatest, (unsigned long long)last_seq);
    if (row->deleted != record_deleted(scratch))
        return err_set(error, LP_CORRUPT, "record %s and its row differ on whether it is deleted", name);
    const kind_info *kind = schema_kind(row->kind);
    if (kind && kind->scope != row->scope)
        return err_set(error, LP_CORRUPT, "record %s is in feed %d, its kind belongs to feed %d", name, (int)row->scope,
                       (int)kind->scope);
    return LP_OK;
}
