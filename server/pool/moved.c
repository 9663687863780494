/* moved.c - see moved.h. */
#include "server/pool/moved.h"

#include "server/pool/apply.h"
#include "server/pool/auth.h"

#define ENTRY_WORK 256 /* what looking at an entry of history costs */

/* ---- what an entry keeps ---- */

static size_t kept_count(const store_history *entry) {
    return entry->bases.size / STAMP_BYTES;
}

/* 0: the base. */
static stamp kept_at(const store_history *entry, size_t index) {
    return index < kept_count(entry) ? stamp_unpack(entry->bases.data + index * STAMP_BYTES) : STAMP_NONE;
}

stamp moved_base(const store_history *entry) {
    return kept_at(entry, 0);
}

static void put(buf *out, stamp at) {
    uint8_t packed[STAMP_BYTES];
    stamp_pack(at, packed);
    buf_append_span(out, span_of(packed, sizeof packed));
}

void moved_put(buf *out, stamp base, const store_history *entry, stamp from) {
    put(out, base);
    for (size_t i = 1; entry && i < kept_count(entry); i++)
        put(out, kept_at(entry, i));
    if (!stamp_is_none(from))
        put(out, from);
}

/* ---- where a change belongs ---- */

/* A change that was moved: the time it was given, and the one it has. */
typedef struct mark {
    uint64_t given, now;
} mark;

typedef struct search {
    const change_set *set;
    const apply_author *author;
    uint64_t opened_seq;
    uint64_t limit; /* times above it are ahead */
    stamp known;    /* what the set has become; none: it is not there */
    stamp alike;    /* if another history had moved it: the latest of its author's that says the same */
    mark lower;     /* the last that was given no later time; none: 0 */
    mark upper;     /* the first after it */
    uint64_t work;
} search;

static bool is_own(const apply_author *author, uint32_t number) {
    return number == author->device || (author->former && auth_wrote(author->former, number));
}

/* Its author has sent it since the pool was opened, and did not offer it: what is offered and not here was acknowledged before that. */
static bool is_later(const search *s, const store_history *entry) {
    return kept_count(entry) == 1 && entry->seq > s->opened_seq && is_own(s->author, entry->stamp.author);
}

static bool had_stamp(const store_history *entry, stamp at) {
    bool had = false;
    for (size_t i = 1; i < kept_count(entry); i++)
        had |= stamp_compare(kept_at(entry, i), at) == 0;
    return had;
}

static bool has_change_of(const store_history *entry, const change_set *set) {
    bool has = false;
    reg there, change;
    wire_reader from = wire_open(entry->body);
    while (from.at < from.end && change_unpack(&from, &there))
        for (change_set walk = *set; change_next(&walk, &change);)
            has |= change.field == there.field && span_equal(change.key, there.key) &&
                   span_equal(change.value, there.value);
    return has;
}

/* From the oldest stamp to the latest. */
static bool look(void *ctx, const store_history *entry) {
    search *s = ctx;
    mark m = {kept_at(entry, 1).time, entry->stamp.time};
    bool moved = kept_count(entry) > 1 && m.given != m.now;
    s->work += ENTRY_WORK;
    if (had_stamp(entry, s->set->stamp)) {
        s->known = entry->stamp;
        return false;
    }
    if (moved && (s->set->stamp.time & STAMP_MOVED) && entry->stamp.author == s->set->stamp.author &&
        has_change_of(entry, s->set))
        s->alike = entry->stamp;
    if (!moved && !is_later(s, entry))
        return true;
    if (m.given > s->limit && stamp_compare(kept_at(entry, 1), s->set->stamp) < 0) {
        s->lower = m;
        s->upper = (mark){0, 0};
    } else if (s->upper.now == 0)
        s->upper = m;
    return true;
}

/* An odd time between two; 0 if there is none. */
static uint64_t between(mark lower, mark upper, uint64_t given) {
    uint64_t places = upper.now > lower.now ? (upper.now - lower.now + 1) / 2 - 1 : 0;
    if (places == 0)
        return 0;
    bool spread = upper.given > given; /* as the times are that they were given */
    uint64_t at = spread ? (given - lower.given) / ((upper.given - lower.given) / places + 1) : places / 2;
    return lower.now + 2 + 2 * at;
}

/* The last moment before the pool was opened. */
static uint64_t find_beginning(pool *p) {
    return (uint64_t)(pool_opened_ms(p) - 1) << 16 | STAMP_MOVED;
}

static bool note_taken(void *ctx, const store_history *entry) {
    (void)entry;
    *(bool *)ctx = true;
    return false;
}

/* The first free time of an author from `time` on. */
static lp_err find_free(pool *p, const lp_id *id, stamp *at_io, lp_error *error) {
    lp_err err = LP_OK;
    for (bool taken = true; !err && taken; at_io->time += taken ? 2 : 0) {
        taken = false;
        err = p->store->ops->history_at(p->store, id, *at_io, note_taken, &taken, error);
    }
    return err;
}

static uint64_t find_place(pool *p, const search *s) {
    if (s->lower.now && s->upper.now) {
        uint64_t time = between(s->lower, s->upper, s->set->stamp.time);
        return time ? time : (s->upper.now + 2) | STAMP_MOVED;
    }
    uint64_t time = find_beginning(p);
    if (s->upper.now && time >= s->upper.now)
        return (s->upper.now - MOVED_STEP) | STAMP_MOVED;
    return time > s->lower.now ? time : s->lower.now + MOVED_STEP;
}

/* Walks through the record's history. True in *known_out if the set is there, under the stamp that it gets. */
static lp_err find_known(pool *p, change_set *set, const apply_author *author, search *s, uint64_t *work_io,
                         bool *known_out, lp_error *error) {
    *s = (search){.set = set,
                  .author = author,
                  .opened_seq = p->opened_seq,
                  .limit = (uint64_t)(pool_now_ms(p) + APPLY_AHEAD_MS) << 16};
    lp_err err = p->store->ops->history(p->store, &set->id, look, s, error);
    *work_io += s->work;
    stamp now = stamp_is_none(s->known) ? s->alike : s->known;
    *known_out = !err && !stamp_is_none(now);
    if (*known_out)
        set->stamp = now;
    return err;
}

static lp_err move_to(pool *p, change_set *set, uint64_t time, lp_error *error) {
    stamp at = {time, set->stamp.author};
    lp_err err = find_free(p, &set->id, &at, error);
    if (!err)
        set->stamp = at;
    return err;
}

lp_err moved_place(pool *p, change_set *set, const apply_author *author, bool ahead, uint64_t *work_io,
                   lp_error *error) {
    search s;
    bool known;
    lp_err err = find_known(p, set, author, &s, work_io, &known, error);
    return err || known || !ahead ? err : move_to(p, set, find_place(p, &s), error);
}

lp_err moved_follow(pool *p, change_set *set, const apply_author *author, const record *rec, uint64_t *work_io,
                    lp_error *error) {
    uint64_t last = 0;
    for (uint32_t i = 0; i < rec->count; i++) {
        stamp at = rec->regs[i].stamp;
        if ((at.time & STAMP_MOVED) && at.time > last && is_own(author, at.author))
            last = at.time;
    }
    if (last < set->stamp.time)
        return LP_OK;
    search s; /* a transaction comes in several sets of one stamp */
    bool known;
    lp_err err = find_known(p, set, author, &s, work_io, &known, error);
    return err || known ? err : move_to(p, set, last + MOVED_STEP, error);
}
