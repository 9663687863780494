/* statements.h - the replica's prepared statements, each prepared when first used and kept. */
#ifndef CLIENT_STATEMENTS_H
#define CLIENT_STATEMENTS_H

#include "client/replica/replica.h"

/* S(NAME, sql) */
#define STATEMENTS(S)                                                                                                  \
    S(BEGIN, "BEGIN IMMEDIATE")                                                                                        \
    S(COMMIT, "COMMIT")                                                                                                \
    S(ROLLBACK, "ROLLBACK")                                                                                            \
    S(META_GET, "SELECT value FROM meta WHERE key = ?1")                                                               \
    S(META_PUT, "INSERT INTO meta(key, value) VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = excluded.value")   \
    S(META_DROP, "DELETE FROM meta WHERE key = ?1")                                                                    \
    S(ROW_BY_ID,                                                                                                       \
      "SELECT rid, id, kind, unsent, body, stamps, server_body, server_stamps, held FROM record WHERE id = ?1")        \
    S(ROW_BY_RID,                                                                                                      \
      "SELECT rid, id, kind, unsent, body, stamps, server_body, server_stamps, held FROM record WHERE rid = ?1")       \
    S(ROW_SETTLED, "UPDATE record SET unsent = 0, held = ?2, server_body = NULL, server_stamps = NULL WHERE rid = ?1") \
    S(ROW_DROP, "DELETE FROM record WHERE rid = ?1")                                                                   \
    S(SCOPES, "SELECT number, name, digest, reading FROM scope ORDER BY number")                                       \
    S(LEAVING_ANY, "SELECT EXISTS(SELECT 1 FROM leaving)")                                                             \
    S(SCOPE_PUT, "INSERT INTO scope(number, name, digest, reading) VALUES(?1, ?2, ?3, ?4) "                            \
                 "ON CONFLICT(number) DO UPDATE SET name = ?2, digest = ?3, reading = ?4")                             \
    S(SCOPE_DROP, "DELETE FROM scope WHERE number = ?1")                                                               \
    S(DIGEST, "SELECT digest FROM scope WHERE name IN ('pool', 'mine') ORDER BY name DESC LIMIT 1")                    \
    S(HELD_PUT, "UPDATE record SET held = ?2 WHERE rid = ?1")                                                          \
    S(UNHELD, "SELECT rid FROM record WHERE rid > ?2 AND held >> ?1 & 1 = 0 ORDER BY rid LIMIT 1")                     \
    S(HELD_BY_NONE, "SELECT rid FROM record WHERE rid > ?2 AND held = 0 AND NOT EXISTS"                                \
                    "(SELECT 1 FROM leaving WHERE leaving.rid = record.rid) ORDER BY rid LIMIT 1")                     \
    S(HELD_BY, "SELECT rid FROM record WHERE rid > ?2 AND held >> ?1 & 1 ORDER BY rid LIMIT 1")                        \
    S(HELD_NOT_CAME, "SELECT rid FROM record WHERE rid > ?2 AND held >> ?1 & 1 "                                       \
                     "AND NOT EXISTS(SELECT 1 FROM came WHERE scope = ?1 AND came.rid = record.rid) "                  \
                     "ORDER BY rid LIMIT 1")                                                                           \
    S(HELD_LAYERS, "SELECT id, kind, held, coalesce(server_body, body), coalesce(server_stamps, stamps) FROM record "  \
                   "WHERE id BETWEEN ?1 AND ?2 AND held & ?3 ORDER BY id")                                             \
    S(HELD_IDS, "SELECT id FROM record WHERE id BETWEEN ?1 AND ?2 AND held & ?3 ORDER BY id")                          \
    S(META_DROP_LIKE, "DELETE FROM meta WHERE key GLOB ?1")                                                            \
    S(CAME_ADD, "INSERT OR IGNORE INTO came(scope, rid) VALUES(?1, ?2)")                                               \
    S(CAME_DROP, "DELETE FROM came WHERE scope = ?1")                                                                  \
    S(CAME_DROP_RID, "DELETE FROM came WHERE rid = ?1")                                                                \
    S(LEAVING_ADD, "INSERT OR IGNORE INTO leaving(rid) VALUES(?1)")                                                    \
    S(LEAVING_DROP, "DELETE FROM leaving WHERE rid = ?1")                                                              \
    S(LEAVING_READY, "SELECT rid FROM leaving WHERE NOT EXISTS(SELECT 1 FROM outbox o WHERE o.rid = leaving.rid"       \
                     " AND o.oseq > ?1) LIMIT 1")                                                                      \
    S(PAST_DROP, "DELETE FROM past WHERE rid = ?1")                                                                    \
    S(PAST_DROP_LOST, "DELETE FROM past WHERE rid NOT IN "                                                             \
                      "(SELECT rid FROM record UNION SELECT rid FROM outbox UNION SELECT rid FROM refused)")           \
    S(UNINDEXED_DROP, "DELETE FROM unindexed WHERE rid = ?1")                                                          \
    S(REFUSED_HAS, "SELECT 1 FROM refused WHERE rid = ?1 LIMIT 1")                                                     \
    S(UNINDEXED, "INSERT OR IGNORE INTO unindexed(rid) VALUES(?1)")                                                    \
    S(PAST, "INSERT INTO past(rid, stamp, body, uncertain) VALUES(?1, ?2, ?3, ?4)")                                    \
    S(OUTBOX_ADD, "INSERT INTO outbox(rid, stamp, base, seen, made_ms, boot, boot_ms, count, body) VALUES(?1, ?2, "    \
                  "?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                                                       \
    S(OUTBOX_OF, "SELECT oseq, stamp, base, count, body FROM outbox WHERE rid = ?1 ORDER BY oseq")                     \
    S(OUTBOX_HOLDS, "SELECT 1 FROM outbox WHERE rid = ?1 LIMIT 1")                                                     \
    S(OUTBOX_UNFROZEN_OF,                                                                                              \
      "SELECT oseq, stamp, base, count, body FROM outbox WHERE rid = ?1 AND oseq > ?2 ORDER BY oseq DESC")             \
    S(OUTBOX_SIZES, "SELECT oseq, length(body) FROM outbox WHERE oseq > ?1 ORDER BY oseq")                             \
    S(OUTBOX_SHRINK, "UPDATE outbox SET count = ?2, body = ?3 WHERE oseq = ?1")                                        \
    S(OUTBOX_DROP, "DELETE FROM outbox WHERE oseq = ?1")                                                               \
    S(OUTBOX_DROP_RANGE, "DELETE FROM outbox WHERE oseq BETWEEN ?1 AND ?2")                                            \
    S(OUTBOX_RANGE, "SELECT o.oseq, o.rid, r.kind, r.id, o.stamp, o.base, o.made_ms, o.count, o.body, o.seen, "        \
                    "o.boot, o.boot_ms, o.uncertain FROM outbox o "                                                    \
                    "JOIN record r ON r.rid = o.rid WHERE o.oseq BETWEEN ?1 AND ?2 ORDER BY o.oseq")                   \
    S(OUTBOX_RESTAMP, "UPDATE outbox SET stamp = ?2, base = ?3 WHERE oseq = ?1")                                       \
    S(OUTBOX_NEWEST, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'")                        \
    S(OUTBOX_UNCERTAIN, "UPDATE outbox SET uncertain = 1 - uncertain WHERE oseq BETWEEN ?1 AND ?2 AND uncertain <> "   \
                        "(boot <> ?3 AND boot NOT IN (SELECT boot FROM contact))")                                     \
    S(BOOT_GET, "SELECT number, offset_ms FROM boot WHERE id = ?1")                                                    \
    S(BOOT_ADD, "INSERT INTO boot(id, offset_ms) VALUES(?1, ?2)")                                                      \
    S(BOOT_SET, "UPDATE boot SET offset_ms = ?2 WHERE number = ?1")                                                    \
    S(BOOT_FORGET,                                                                                                     \
      "DELETE FROM boot WHERE number <> ?1 AND number NOT IN (SELECT boot FROM contact) AND number NOT IN "            \
      "(SELECT boot FROM outbox)")                                                                                     \
    S(CONTACTS, "SELECT boot, boot_ms, server_ms, error_ms, oseq FROM contact ORDER BY server_ms")                     \
    S(CONTACT_OF,                                                                                                      \
      "SELECT boot, boot_ms, server_ms, error_ms, oseq FROM contact WHERE boot = ?1 ORDER BY boot_ms DESC LIMIT 1")    \
    S(CONTACT_LAST, "SELECT coalesce(max(server_ms), 0) FROM contact")                                                 \
    S(CONTACT_ADD, "INSERT INTO contact(boot, boot_ms, server_ms, error_ms, oseq) VALUES(?1, ?2, ?3, ?4, ?5)")         \
    S(CONTACT_DROP_LATER, "DELETE FROM contact WHERE server_ms > ?1")                                                  \
    S(CONTACT_DROP_OF, "DELETE FROM contact WHERE boot = ?1")                                                          \
    S(CONTACT_THIN,                                                                                                    \
      "DELETE FROM contact WHERE boot = ?1 AND oseq = ?2 AND rowid NOT IN (SELECT min(rowid) FROM contact "            \
      "WHERE boot = ?1 AND oseq = ?2 UNION SELECT max(rowid) FROM contact)")                                           \
    S(CONTACT_FORGET,                                                                                                  \
      "DELETE FROM contact WHERE boot <> ?1 AND boot NOT IN (SELECT boot FROM outbox) AND oseq < (SELECT max(oseq) "   \
      "FROM contact WHERE oseq < coalesce((SELECT min(oseq) FROM outbox), 9223372036854775807))")                      \
    S(BATCH_ADD, "INSERT INTO batch(number, first, last) VALUES(?1, ?2, ?3)")                                          \
    S(BATCH_GET, "SELECT first, last FROM batch WHERE number = ?1")                                                    \
    S(BATCH_BEFORE, "SELECT coalesce(max(number), 0) FROM batch WHERE number < ?1")                                    \
    S(BATCH_NEXT, "SELECT number, first, last FROM batch WHERE number > ?1 ORDER BY number LIMIT 1")                   \
    S(BATCH_FIRST_SIZE, "SELECT count(*), coalesce(sum(length(o.body)), 0) FROM (SELECT first, last FROM batch "       \
                        "ORDER BY number LIMIT 1) b JOIN outbox o ON o.oseq BETWEEN b.first AND b.last")               \
    S(BATCH_DROP, "DELETE FROM batch WHERE number = ?1")                                                               \
    S(BATCH_DROP_ABOVE, "DELETE FROM batch WHERE number > ?1")                                                         \
    S(BATCH_LAST, "SELECT coalesce(max(last), 0) FROM batch")                                                          \
    S(REFUSED_ADD,                                                                                                     \
      "INSERT INTO refused(rid, stamp, field, key, value, reason, at_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")          \
    S(ERASED_ADD, "INSERT OR IGNORE INTO erased(id) VALUES(?1)")                                                       \
    S(ERASED_HOLDS, "SELECT 1 FROM erased WHERE id = ?1")                                                              \
    S(TOUCHES_OF, "SELECT id FROM record WHERE kind = 2 AND c_lead = ?1")                                              \
    S(CONFLICTS_OF, "SELECT id FROM record WHERE kind = 5 AND c_record = ?1")                                          \
    S(ERASE_QUARANTINE, "DELETE FROM quarantine WHERE id = ?1 OR instr(changes, ?1) > 0")                              \
    S(ERASE_BATCHES, "DELETE FROM batch WHERE number >= (SELECT min(number) FROM batch JOIN outbox"                    \
                     " ON oseq BETWEEN first AND last WHERE rid = ?1)")                                                \
    S(ERASE_OUTBOX, "DELETE FROM outbox WHERE rid = ?1")                                                               \
    S(ERASE_REFUSED, "DELETE FROM refused WHERE rid = ?1")                                                             \
    S(ERASE_PAST, "DELETE FROM past WHERE rid = ?1")                                                                   \
    S(ERASE_WAITING, "DELETE FROM unindexed WHERE rid = ?1")                                                           \
    S(ERASE_ROW, "DELETE FROM record WHERE rid = ?1")                                                                  \
    S(REFUSED_OF, "SELECT field, key, value, stamp FROM refused WHERE rid = ?1 ORDER BY stamp DESC")                   \
    S(REFUSED_DROP, "DELETE FROM refused WHERE rid = ?1 AND field = ?2 AND key = ?3")                                  \
    S(QUARANTINE_ADD, "INSERT INTO quarantine(id, kind, scope, changes, reason, version, at_ms)"                       \
                      " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                                           \
    S(QUARANTINE_NEXT, "SELECT qid, scope, changes FROM quarantine WHERE qid > ?1 AND version <> ?2 ORDER BY qid"      \
                       " LIMIT 1")                                                                                     \
    S(QUARANTINE_DROP, "DELETE FROM quarantine WHERE qid = ?1")                                                        \
    S(QUARANTINE_AGAIN, "UPDATE quarantine SET version = ?2 WHERE qid = ?1")                                           \
    S(COUNT_QUARANTINED, "SELECT count(*) FROM quarantine")                                                            \
    S(COUNT_UNSENT,                                                                                                    \
      "SELECT coalesce(sum(count), 0), coalesce(min(made_ms), 0), coalesce(sum(length(body)), 0) FROM outbox")         \
    S(FORGET_CURSORS, "DELETE FROM meta WHERE key LIKE 'cursor.%'")                                                    \
    S(RECOVERED_ERASE, "DELETE FROM recovered WHERE id = ?1")                                                          \
    S(RECOVERED_ADD, "INSERT OR IGNORE INTO recovered(id, kind, field, key, value, stamp, at_ms)"                      \
                     " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")                                                            \
    S(RECOVERED_AT,                                                                                                    \
      "SELECT id, kind, field, key, stamp FROM recovered ORDER BY id, field, key, stamp LIMIT 1 OFFSET ?1")            \
    S(RECOVERED_DROP, "DELETE FROM recovered WHERE id = ?1 AND field = ?2 AND key = ?3 AND stamp = ?4")                \
    S(RECOVERED_SEND, "UPDATE recovered SET sending = (SELECT max(sending) + 1 FROM recovered)"                        \
                      " WHERE id = ?1 AND sending = 0")                                                                \
    S(RECOVERED_GIVE_UP, "DELETE FROM recovered WHERE id = ?1 AND sending = 0")                                        \
    S(RECOVERED_TO_SEND, "SELECT id, kind, field, key, stamp, value, sending FROM recovered"                           \
                         " WHERE sending = (SELECT min(sending) FROM recovered WHERE sending > 0)"                     \
                         " ORDER BY field, key, stamp")                                                                \
    S(RECOVERED_SENT, "DELETE FROM recovered WHERE sending = ?1")                                                      \
    S(COUNT_RECOVERED, "SELECT count(*) FROM recovered WHERE sending = 0")                                             \
    S(KEPT_ADD, "INSERT INTO kept(id, seq, sealed) VALUES(?1, ?2, ?3)")                                                \
    S(KEPT_FORGET, "DELETE FROM kept WHERE seq <= ?1")                                                                 \
    S(KEPT_ABOVE, "SELECT EXISTS(SELECT 1 FROM kept WHERE seq > ?1 AND id = ?2)")                                      \
    S(KEPT_SEQS_ABOVE, "SELECT count(DISTINCT seq) FROM kept WHERE seq > ?1")                                          \
    S(KEPT_ERASE, "DELETE FROM kept WHERE id = ?1")                                                                    \
    S(KEPT_LAST, "SELECT coalesce(max(n), 0) FROM kept")                                                               \
    S(KEPT_NEXT, "SELECT n, sealed FROM kept WHERE n > ?1 AND n <= ?2 AND seq > ?3 ORDER BY n")                        \
    S(KEPT_RETURNED, "UPDATE kept SET seq = ?4 WHERE n > ?1 AND n <= ?2 AND seq > ?3")                                 \
    S(KEPT_STANDING, "SELECT rid, id, kind, coalesce(server_body, body), coalesce(server_stamps, stamps)"              \
                     " FROM record WHERE rid > ?1 ORDER BY rid")                                                       \
    S(COUNT_REFUSED, "SELECT count(*) FROM refused")                                                                   \
    S(COUNT_LEADS, "SELECT count(*) FROM record WHERE kind = 1 AND deleted = 0 AND body <> x''")                       \
    S(COUNT_CONFLICTS, "SELECT count(*) FROM record WHERE kind = 5 AND deleted = 0 AND c_resolved IS NOT 1")

typedef enum statement_name {
#define S(NAME, sql) STATEMENT_##NAME,
    STATEMENTS(S)
#undef S
        STATEMENT_ROW_ADD, /* generated: one parameter per column */
    STATEMENT_ROW_PUT,
    STATEMENT_COUNT
} statement_name;

/** Makes the cache of a replica whose `db` is open. Errors: LP_NOMEM. */
lp_err statements_open(replica *r, lp_error *error);
/** Ends what reads: rows that were handed out are gone. */
void statements_rest(replica *r);
void statements_close(replica *r);

/** The statement, reset and with its old bindings, or NULL after filling `error`: also if something in the open write transaction has
 *  failed. Reset it when done with its rows. */
sqlite3_stmt *statement(replica *r, statement_name name, lp_error *error);

/** Steps a statement that yields no row, and resets it. */
lp_err statement_run(replica *r, sqlite3_stmt *s, const char *what, lp_error *error);
/** The same of a statement whose one parameter is a number. */
lp_err statement_run_int(replica *r, statement_name name, int64_t parameter, lp_error *error);
/** Steps to the next row: LP_OK, or LP_NOT_FOUND (error untouched) at the end, which also resets it. */
lp_err statement_row(replica *r, sqlite3_stmt *s, const char *what, lp_error *error);
/** The one integer of a query without parameters. */
lp_err statement_int(replica *r, statement_name name, int64_t *value_out, lp_error *error);

void bind_span(sqlite3_stmt *s, int parameter,
               span bytes); /**< as a blob, borrowed until reset; empty is a zero-length blob */
void bind_text(sqlite3_stmt *s, int parameter,
               span text); /**< as text, borrowed until reset; empty is the empty text */
void bind_stamp(sqlite3_stmt *s, int parameter, stamp value); /**< as 12 bytes, copied */
span column_span(sqlite3_stmt *s, int column);
stamp column_stamp(sqlite3_stmt *s, int column); /**< none unless 12 bytes */

#endif
