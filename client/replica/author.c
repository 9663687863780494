/* author.c - device number -> "Li Wei (iPad 3)"; see author.h. Deleted staff and devices keep their names: history needs them. */
#include "client/replica/author.h"

#include <stdio.h>
#include <string.h>

#include "proto/change.h"
#include "proto/schema.h"

#define AUTHOR_BYTES_MAX 128 /* staff.name and device.label are at most 120 */

/* The value of a field without key in a packed body. */
static lp_value body_value(sqlite3_stmt *statement, uint32_t field) {
    const void *body = sqlite3_column_blob(statement, 0);
    wire_reader r = wire_open(span_of(body, (size_t)sqlite3_column_bytes(statement, 0)));
    reg found;
    while (change_unpack(&r, &found))
        if (found.field == field)
            return wire_value(found.value);
    return (lp_value){.type = LP_NULL};
}

static void copy_text(lp_value value, char text_out[AUTHOR_BYTES_MAX]) {
    if (value.type == LP_TEXT && value.size < AUTHOR_BYTES_MAX)
        snprintf(text_out, AUTHOR_BYTES_MAX, "%.*s", (int)value.size, value.data);
}

static bool find_device(replica *r, uint32_t author, char label_out[AUTHOR_BYTES_MAX], lp_id *staff_out) {
    sqlite3_stmt *statement = NULL;
    bool found = false;
    if (sqlite3_prepare_v2(r->db, "SELECT body FROM record WHERE kind = ?1 AND c_number = ?2", -1, &statement, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_int(statement, 1, KIND_DEVICE);
        sqlite3_bind_int64(statement, 2, author);
        found = sqlite3_step(statement) == SQLITE_ROW;
    }
    if (found) {
        lp_value staff = body_value(statement, DEVICE_STAFF);
        copy_text(body_value(statement, DEVICE_LABEL), label_out);
        if (staff.type == LP_BYTES)
            id_from_span(span_of(staff.data, staff.size), staff_out);
    }
    sqlite3_finalize(statement);
    return found;
}

static void find_person(replica *r, const lp_id *staff, char name_out[AUTHOR_BYTES_MAX]) {
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(r->db, "SELECT body FROM record WHERE id = ?1 AND kind = ?2", -1, &statement, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_blob(statement, 1, staff->bytes, sizeof staff->bytes, SQLITE_STATIC);
        sqlite3_bind_int(statement, 2, KIND_STAFF);
        if (sqlite3_step(statement) == SQLITE_ROW)
            copy_text(body_value(statement, STAFF_NAME), name_out);
    }
    sqlite3_finalize(statement);
}

/* Before the first sync brings people and devices: its own name a device knows from joining. */
static void find_self(replica *r, char name_out[AUTHOR_BYTES_MAX]) {
    buf name = {0};
    if (replica_meta(r, "staff.name", &name, NULL) == LP_OK && name.size < AUTHOR_BYTES_MAX)
        snprintf(name_out, AUTHOR_BYTES_MAX, "%.*s", (int)name.size, (const char *)name.data);
    buf_fini(&name);
}

static void copy_cut(const char *text, char *text_out, uint32_t size) {
    size_t length = strlen(text);
    if (size == 0)
        return;
    if (length >= size)
        length = size - 1;
    while (length && ((unsigned char)text[length] & 0xC0) == 0x80)
        length--;
    memcpy(text_out, text, length);
    text_out[length] = 0;
}

void author_name(replica *r, uint32_t author, char *text_out, uint32_t size) {
    char label[AUTHOR_BYTES_MAX] = "";
    char name[AUTHOR_BYTES_MAX] = "";
    char whole[2 * AUTHOR_BYTES_MAX + 8];
    lp_id staff = {0};
    if (find_device(r, author, label, &staff) && !id_is_nil(&staff))
        find_person(r, &staff, name);
    if (!name[0] && author == r->clock.author)
        find_self(r, name);
    if (name[0] && label[0])
        snprintf(whole, sizeof whole, "%s (%s)", name, label);
    else if (name[0] || label[0])
        snprintf(whole, sizeof whole, "%s", name[0] ? name : label);
    else
        snprintf(whole, sizeof whole, "device %u", author);
    copy_cut(whole, text_out, size);
}
