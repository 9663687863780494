/* test_vectors.c - the golden messages of proto/vectors: what another client may be checked against.
 *
 * A vector is a file NAME.hex: lines that start with # say what it is, the others are the bytes in hexadecimal. Version 1 of the
 * protocol means these bytes, so a difference is a mistake in the code. For a message that is new, LEADPOOL_VECTORS=write in the
 * environment makes the files; look at the diff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/change.h"
#include "proto/crypto.h"
#include "proto/digest.h"
#include "proto/message.h"
#include "proto/page.h"
#include "proto/ranges.h"
#include "proto/schema.h"

#define BYTES_16(first) first "123456789abcdef"
#define BYTES_32(first) BYTES_16(first) BYTES_16("0")
#define NOW_MS INT64_C(1795322106123) /* 2026-11-22T04:35:06.123Z */

/* RFC 8032 section 7.1, test 2: the device's key. */
static const uint8_t seed[CRYPTO_SEED_BYTES] = {0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3,
                                                0x46, 0xec, 0x11, 0x4e, 0x0f, 0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab,
                                                0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb};

/* Everything the messages are made of. */
typedef struct fixture {
    uint8_t public_key[CRYPTO_KEY_BYTES];
    uint8_t signature[CRYPTO_SIGNATURE_BYTES];
    uint8_t digest[DIGEST_BYTES];
    buf hello_signed, changes, page_changes, cursors, pages, verdicts, scopes, arguments, result, forks, entries,
        sealed;
    buf ranges, digests;
} fixture;

static stamp at(int64_t ms, uint32_t count, uint32_t author) {
    return (stamp){(uint64_t)ms << 16 | count, author};
}

static void put_text_change(changes_writer *w, uint32_t field, span key, span text) {
    buf value = {0};
    wire_put_text(&value, text);
    change_put(w, field, key, buf_span(&value));
    buf_fini(&value);
}

/* Two transactions of device 17: a new lead, then a city corrected (the whole address goes along), a tag set, a field cleared; and a
 * field of a kind that this version does not know. */
static void make_changes(fixture *f) {
    lp_id lead, unknown;
    assert_true(lp_id_parse("019aa9d0-7a4b-7111-8222-333344445555", &lead));
    assert_true(lp_id_parse("019aa9d0-7a4b-7111-8222-333344446666", &unknown));
    stamp first = at(NOW_MS - 60000, 0, 17), second = at(NOW_MS, 2, 17), seen = at(NOW_MS - 3600000, 0, 16);
    changes_writer w;
    changes_init(&w);
    changes_begin(&w);
    put_text_change(&w, LEAD_FULL_NAME, (span){0}, SPAN_LITERAL("\xe7\x8e\x8b\xe4\xbc\x9f"));
    put_text_change(&w, LEAD_COMPANY, (span){0}, SPAN_LITERAL("Acme GmbH"));
    changes_end(&w, KIND_LEAD, &lead, first, STAMP_NONE, -2500);
    changes_begin(&w);
    put_text_change(&w, LEAD_STREET, (span){0}, SPAN_LITERAL("1 Main St"));
    put_text_change(&w, LEAD_CITY, (span){0}, SPAN_LITERAL("K\xc3\xb6ln"));
    change_put(&w, LEAD_STATE, (span){0}, WIRE_NIL_SPAN);
    change_put(&w, LEAD_POSTAL_CODE, (span){0}, WIRE_NIL_SPAN);
    put_text_change(&w, LEAD_COUNTRY, (span){0}, SPAN_LITERAL("DE"));
    changes_end(&w, KIND_LEAD, &lead, second, seen, -2500);
    changes_begin(&w);
    change_put(&w, LEAD_TAGS, SPAN_LITERAL("vip"), SPAN_LITERAL("\xc3"));
    changes_end(&w, KIND_LEAD, &lead, second, STAMP_NONE, -2500);
    changes_begin(&w);
    change_put(&w, 300, (span){0},
               SPAN_LITERAL("\x82\xa1"
                            "a\x01\xa1"
                            "b\xcb\x3f\xe0\0\0\0\0\0\0"));
    changes_end(&w, 200, &unknown, second, first, -2500);
    assert_int_equal(changes_finish(&w, &f->changes, NULL), LP_OK);
    changes_reset(&w);
    changes_begin(&w);
    put_text_change(&w, STAFF_NAME, (span){0}, SPAN_LITERAL("Li Wei"));
    changes_end(&w, KIND_STAFF, &unknown, at(NOW_MS - 7200000, 0, 1), STAMP_NONE, 0);
    assert_int_equal(changes_finish(&w, &f->page_changes, NULL), LP_OK);
    changes_fini(&w);
}

static void make_digest(fixture *f) {
    lp_id pool, staff;
    digester *d;
    digest sum = {0, 0};
    reg name = {.field = STAFF_NAME, .value = SPAN_LITERAL("\xa6Li Wei"), .stamp = at(NOW_MS - 7200000, 0, 1)};
    assert_true(id_from_span(SPAN_LITERAL(BYTES_16("P")), &pool));
    assert_true(lp_id_parse("019aa9d0-7a4b-7111-8222-333344446666", &staff));
    assert_int_equal(digester_new(&pool, &d, NULL), LP_OK);
    digest_add(d, &sum, KIND_STAFF, &staff, &name);
    digest_pack(sum, f->digest);
    digester_free(d);
}

/* Keys that are easy to write down: private keys 1, 2, .. 32 (ephemeral) and 65, 66, .. 96 (the pool's). */
static void make_sealed(fixture *f) {
    uint8_t ephemeral[CRYPTO_SEAL_KEY_BYTES], pool[CRYPTO_SEAL_KEY_BYTES], key[CRYPTO_SEAL_KEY_BYTES];
    crypto_sealer *sealer;
    for (uint8_t i = 0; i < 32; i++) {
        ephemeral[i] = (uint8_t)(i + 1);
        pool[i] = (uint8_t)(i + 65);
    }
    assert_int_equal(crypto_seal_public(pool, key, NULL), LP_OK);
    assert_int_equal(crypto_sealer_new(key, ephemeral, &sealer, NULL), LP_OK);
    assert_int_equal(crypto_seal(sealer, buf_span(&f->changes), &f->sealed, NULL), LP_OK);
    crypto_sealer_free(sealer);
}

static void make_lists(fixture *f) {
    cursor fresh = {.scope = SPAN_LITERAL("setup")};
    cursor read = {SPAN_LITERAL("pool"), SPAN_LITERAL(BYTES_16("E")), 70000, SPAN_LITERAL("tag45678"), 0, 0, false, 0};
    cursor after = {SPAN_LITERAL("setup"), SPAN_LITERAL(BYTES_16("E")), 12, SPAN_LITERAL("tag01234"), 0, 0, false, 0};
    page last = {
        .cursor = after, .changes = buf_span(&f->page_changes), .digest = span_of(f->digest, sizeof f->digest)};
    page empty = {.cursor = read, .more = true};
    verdict verdicts[] = {
        {0, -1, VERDICT_RECEIVED, (span){0}},
        {1, 1, VERDICT_REFUSED, SPAN_LITERAL("city is 90 bytes long, at most 80 are allowed; shorten it")},
        {2, 0, VERDICT_LOST, (span){0}},
    };
    wire_put_array(&f->cursors, 2);
    cursor_put(&f->cursors, &fresh);
    cursor_put(&f->cursors, &read);
    wire_put_array(&f->pages, 2);
    page_put(&f->pages, &last);
    page_put(&f->pages, &empty);
    wire_put_array(&f->verdicts, 3);
    for (int i = 0; i < 3; i++)
        verdict_put(&f->verdicts, &verdicts[i]);
    wire_put_array(&f->scopes, 2);
    wire_put_text(&f->scopes, SPAN_LITERAL("setup"));
    wire_put_text(&f->scopes, SPAN_LITERAL("pool"));
    wire_put_array(&f->forks, 1);
    wire_put_array(&f->forks, 2);
    wire_put_bytes(&f->forks, SPAN_LITERAL(BYTES_16("D")));
    wire_put_u64(&f->forks, 69000);
    wire_put_array(&f->entries, 1);
    wire_put_bytes(&f->entries, buf_span(&f->sealed));
    const id_range ranges[] = {{{{0}}, {{0x7f}}}, {{{0x80}}, range_of_all.last}};
    range_sum sums[2] = {{.count = 1}, {.count = 0}};
    assert_true(digest_unpack(span_of(f->digest, sizeof f->digest), &sums[0].sum));
    ranges_put(&f->ranges, ranges, 2);
    range_sums_put(&f->digests, sums, 2);
    wire_put_map(&f->arguments, 1);
    wire_put_text(&f->arguments, SPAN_LITERAL("staff"));
    wire_put_text(&f->arguments, SPAN_LITERAL("Li Wei"));
    wire_put_map(&f->result, 1);
    wire_put_text(&f->result, SPAN_LITERAL("leads"));
    wire_put_u64(&f->result, 300);
}

/* The golden message of a number: every part set. */
static message golden(fixture *f, uint32_t number) {
    message m = {
        .number = number, .version = PROTOCOL_VERSION, .version_min = PROTOCOL_VERSION_MIN, .device = 17, .batch = 3};
    m.page_bytes = 262144;
    m.after = 2;
    m.given_up = 1;
    m.fence = 5;
    m.nonce = SPAN_LITERAL(BYTES_32("N"));
    m.timeout_ms = 25000;
    m.retry_ms = 1500;
    m.code = number == MSG_ERROR ? LP_PROTOCOL : LP_REFUSED;
    m.now_ms = NOW_MS;
    m.more = true;
    m.token = SPAN_LITERAL(BYTES_16("T"));
    m.public_key = span_of(f->public_key, sizeof f->public_key);
    m.install = SPAN_LITERAL(BYTES_16("I"));
    m.label = SPAN_LITERAL("iPad 3");
    m.pool = SPAN_LITERAL(BYTES_16("P"));
    m.pool_name = SPAN_LITERAL("Hannover 2026");
    m.staff = SPAN_LITERAL(BYTES_16("S"));
    m.staff_name = SPAN_LITERAL("Li Wei");
    m.role = SPAN_LITERAL("rep");
    m.seal_key = SPAN_LITERAL(BYTES_32("K"));
    m.pass = SPAN_LITERAL("pass: opaque");
    m.seq = 70001;
    m.kept_seq = 60000;
    m.taken = 1;
    m.records = m.moved = true;
    m.ranges = buf_span(&f->ranges);
    m.digests = buf_span(&f->digests);
    m.digest = span_of(f->digest, sizeof f->digest);
    m.forks = buf_span(&f->forks);
    m.entries = buf_span(&f->entries);
    m.others = buf_span(&f->page_changes);
    m.signature = span_of(f->signature, sizeof f->signature);
    m.program = SPAN_LITERAL("leadpool 0.1.0");
    m.epoch = SPAN_LITERAL(BYTES_16("E"));
    m.scopes = buf_span(&f->scopes);
    m.changes = buf_span(&f->changes);
    m.cursors = buf_span(&f->cursors);
    m.verdicts = buf_span(&f->verdicts);
    m.pages = buf_span(&f->pages);
    m.reason = SPAN_LITERAL("the reason, for a person");
    m.verb = SPAN_LITERAL("invite");
    m.arguments = buf_span(&f->arguments);
    m.result = buf_span(&f->result);
    return m;
}

static int set_up(void **state) {
    static fixture f;
    *state = &f;
    make_changes(&f);
    make_digest(&f);
    make_sealed(&f);
    make_lists(&f);
    message hello = golden(&f, MSG_HELLO);
    message_hello_signed(&hello, SPAN_LITERAL(BYTES_32("B")), &f.hello_signed);
    return crypto_public_key(seed, f.public_key, NULL) ||
           crypto_sign(seed, buf_span(&f.hello_signed), f.signature, NULL);
}

static int tear_down(void **state) {
    fixture *f = *state;
    buf *all[] = {&f->hello_signed, &f->changes, &f->page_changes, &f->cursors, &f->pages,  &f->verdicts, &f->scopes,
                  &f->arguments,    &f->result,  &f->forks,        &f->entries, &f->sealed, &f->ranges,   &f->digests};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        buf_fini(all[i]);
    return 0;
}

/* ---- files ---- */

static FILE *open_vector(const char *name, const char *mode) {
    char path[1000];
    snprintf(path, sizeof path, "%s/proto/vectors/%s.hex", LEADPOOL_SOURCE_DIR, name);
    FILE *file = fopen(path, mode);
    if (!file)
        fail_msg("%s cannot be opened; make it with LEADPOOL_VECTORS=write", path);
    return file;
}

static void read_vector(const char *name, buf *bytes) {
    char line[400];
    FILE *file = open_vector(name, "r");
    while (fgets(line, sizeof line, file))
        for (char *c = line; *line != '#' && c[0] > ' '; c += 2) {
            char digits[3] = {c[0], c[1], 0};
            buf_append_byte(bytes, (uint8_t)strtoul(digits, NULL, 16));
        }
    fclose(file);
}

static void write_hex(FILE *file, const char *start, span bytes, const char *end) {
    char text[65];
    for (size_t i = 0; i < bytes.size; i += 32) {
        crypto_hex(span_of(bytes.data + i, bytes.size - i < 32 ? bytes.size - i : 32), text);
        fprintf(file, "%s%s%s", i && *start ? "#                  " : start, text, end);
    }
}

static void write_part(FILE *file, uint32_t key, const char *member, const char *type, span value) {
    char head[80];
    snprintf(head, sizeof head, "# %2u %-13s ", key, member);
    if (strcmp(type, "TEXT") == 0)
        fprintf(file, "%s%.*s\n", head, (int)value.size, (const char *)value.data);
    else
        write_hex(file, head, value, "\n");
}

static void write_number(FILE *file, uint32_t key, const char *member, int64_t value) {
    fprintf(file, "# %2u %-13s %lld\n", key, member, (long long)value);
}

#define WRITE_U64(key, member) write_number(file, key, #member, (int64_t)m.member);
#define WRITE_I64(key, member) write_number(file, key, #member, m.member);
#define WRITE_BOOL(key, member) write_number(file, key, #member, m.member);
#define WRITE_TEXT(key, member) write_part(file, key, #member, "TEXT", m.member);
#define WRITE_BYTES(key, member) write_part(file, key, #member, "BYTES", m.member);
#define WRITE_RAW(key, member) write_part(file, key, #member, "RAW", m.member);

static void write_message(fixture *f, uint32_t number, span bytes) {
    message m = golden(f, number);
    FILE *file = open_vector(message_name(number), "w");
    fprintf(file, "# %s: message %u\n", message_name(number), number);
#define MESSAGE(NAME, number, name)
#define PART(MESSAGE, key, member, type)                                                                               \
    if (number == MSG_##MESSAGE)                                                                                       \
    WRITE_##type(key, member)
#include "proto/messages.def"
#undef MESSAGE
#undef PART
    write_hex(file, "", bytes, "\n");
    fclose(file);
}

static bool writing(void) {
    const char *wanted = getenv("LEADPOOL_VECTORS");
    return wanted && strcmp(wanted, "write") == 0;
}

static void check_list(const char *name, const char *about, span wanted) {
    if (writing()) {
        FILE *file = open_vector(name, "w");
        fprintf(file, "# %s\n", about);
        write_hex(file, "", wanted, "\n");
        fclose(file);
    }
    buf bytes = {0};
    read_vector(name, &bytes);
    if (!span_equal(buf_span(&bytes), wanted))
        fail_msg("%s.hex is not what the code writes", name);
    buf_fini(&bytes);
}

/* ---- tests ---- */

static const uint32_t numbers[] = {
#define MESSAGE(NAME, number, name) number,
#define PART(MESSAGE, key, member, type)
#include "proto/messages.def"
#undef MESSAGE
#undef PART
};

static void every_message_has_a_vector_that_comes_back_bit_for_bit(void **state) {
    fixture *f = *state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        message m = golden(f, numbers[i]), back;
        buf wanted = {0}, bytes = {0}, again = {0};
        assert_int_equal(message_encode(&m, &wanted, NULL), LP_OK);
        if (writing())
            write_message(f, numbers[i], buf_span(&wanted));
        read_vector(message_name(numbers[i]), &bytes);
        assert_int_equal(message_decode(buf_span(&bytes), &back, NULL), LP_OK);
        assert_int_equal(back.number, numbers[i]);
        assert_int_equal(message_encode(&back, &again, NULL), LP_OK);
        assert_true(span_equal(buf_span(&bytes), buf_span(&again)));
        if (!span_equal(buf_span(&bytes), buf_span(&wanted)))
            fail_msg("%s.hex is not what the code writes", message_name(numbers[i]));
        buf_fini(&wanted);
        buf_fini(&bytes);
        buf_fini(&again);
    }
}

static void every_list_has_a_vector(void **state) {
    fixture *f = *state;
    check_list("list-changes",
               "a list of changes: new lead, corrected city, tag, a kind and field unknown to version 1",
               buf_span(&f->changes));
    check_list("list-cursors", "cursors: setup from the beginning, pool after seq 70000", buf_span(&f->cursors));
    check_list("list-pages", "pages: the last one of setup, with a digest; an empty one of pool, with more to come",
               buf_span(&f->pages));
    check_list("list-verdicts", "verdicts: set 0 received, change 1 of set 1 refused, change 0 of set 2 lost",
               buf_span(&f->verdicts));
    check_list(
        "sealed",
        "list-changes.hex sealed to the pool whose private key is the bytes 65, 66, .. 96, by the ephemeral key 1, 2, "
        ".. 32,\n# counter 1",
        buf_span(&f->sealed));
    check_list("digest",
               "digest of pool \"P123456789abcdef\" holding one register: kind 3, id "
               "019aa9d0-7a4b-7111-8222-333344446666, field 2,\n"
               "# no key, stamp of list-pages.hex, value a6\"Li Wei\"",
               span_of(f->digest, sizeof f->digest));
}

static void the_hello_is_signed_as_documented(void **state) {
    fixture *f = *state;
    check_list("hello-signed",
               "what hello.hex signs, with the binding \"B123456789abcdef0123456789abcdef\" and the key of RFC 8032 "
               "section 7.1, test 2",
               buf_span(&f->hello_signed));
    buf bytes = {0}, signed_bytes = {0};
    message hello;
    read_vector("hello", &bytes);
    assert_int_equal(message_decode(buf_span(&bytes), &hello, NULL), LP_OK);
    message_hello_signed(&hello, SPAN_LITERAL(BYTES_32("B")), &signed_bytes);
    assert_int_equal(
        crypto_verify(span_of(f->public_key, sizeof f->public_key), buf_span(&signed_bytes), hello.signature, NULL),
        LP_OK);
    buf_fini(&bytes);
    buf_fini(&signed_bytes);
}

static void the_lists_read_as_they_were_meant(void **state) {
    (void)state;
    buf bytes = {0};
    changes_reader r;
    change_set set;
    reg change;
    uint32_t sets = 0, changes = 0;
    read_vector("list-changes", &bytes);
    assert_int_equal(wire_scan(buf_span(&bytes), NULL), LP_OK);
    assert_int_equal(changes_open(&r, buf_span(&bytes), NULL), LP_OK);
    while (changes_next(&r, &set)) {
        sets++;
        assert_int_equal(set.skew_ms, -2500);
        assert_int_equal(set.stamp.author, 17);
        while (change_next(&set, &change)) {
            changes++;
            assert_int_equal(schema_check(set.kind, change.field, change.key, change.value, NULL), LP_OK);
        }
    }
    assert_int_equal(sets, 4);
    assert_int_equal(changes, 2 + 5 + 1 + 1);
    changes_close(&r);
    buf_fini(&bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_has_a_vector_that_comes_back_bit_for_bit),
        cmocka_unit_test(every_list_has_a_vector),
        cmocka_unit_test(the_hello_is_signed_as_documented),
        cmocka_unit_test(the_lists_read_as_they_were_meant),
    };
    return cmocka_run_group_tests_name("unit_vectors", tests, set_up, tear_down);
}
