/* display.c - see display.h. */
#include "client/cli/display.h"

#include <stdlib.h>
#include <string.h>

#include "client/cli/fieldtext.h"
#include "client/cli/timetext.h"

/* Copies what fits, cut between characters. */
static void copy_text(char *text_out, size_t size, const char *text, size_t text_size) {
    size_t fits = text_size < size ? text_size : size - 1;
    while (fits < text_size && fits && ((unsigned char)text[fits] & 0xC0) == 0x80)
        fits--;
    if (fits)
        memcpy(text_out, text, fits);
    text_out[fits] = '\0';
}

void display_name(const lp_record *record, char *text_out, size_t size) {
    static const char *const whole[] = {"full_name", "company", "email", "phone", "mobile", "badge_code"};
    lp_value family = lp_record_value(record, "family_name");
    lp_value given = lp_record_value(record, "given_name");
    lp_value full = lp_record_value(record, "full_name");
    if (full.type != LP_TEXT && (family.type == LP_TEXT || given.type == LP_TEXT)) {
        bool east = family.type == LP_TEXT && family.size && (unsigned char)family.data[0] >= 0xE3;
        char text[DISPLAY_TEXT_BYTES];
        const lp_value *first = east ? &family : &given;
        const lp_value *second = east ? &given : &family;
        int n = snprintf(text, sizeof text, "%.*s%s%.*s", (int)first->size, first->size ? first->data : "",
                         first->size && second->size && !east ? " " : "", (int)second->size,
                         second->size ? second->data : "");
        copy_text(text_out, size, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
        return;
    }
    text_out[0] = '\0';
    for (size_t i = 0; i < sizeof whole / sizeof *whole && !text_out[0]; i++) {
        lp_value value = lp_record_value(record, whole[i]);
        if (value.type == LP_TEXT)
            copy_text(text_out, size, value.data, value.size);
    }
}

void display_value(const lp_value *value, bool time, language lang, char *text_out, size_t size) {
    char time_text[TIME_TEXT_BYTES];
    if (time && value->type == LP_INT) {
        time_format_local(value->integer, time_text);
        copy_text(text_out, size, time_text, strlen(time_text));
        return;
    }
    if (value->type == LP_BOOL || value->type == LP_NULL) {
        const char *word = text_get(lang, value->type == LP_NULL ? T_EMPTY : value->integer ? T_YES : T_NO);
        copy_text(text_out, size, word, strlen(word));
        return;
    }
    char *text = NULL;
    size_t text_size = 0;
    FILE *out = open_memstream(&text, &text_size);
    text_out[0] = '\0';
    if (!out)
        return;
    field_print(out, value, false);
    if (fclose(out) == 0)
        copy_text(text_out, size, text, text_size);
    free(text);
}

bool display_is_time(const char *kind, const char *name) {
    lp_field_info info;
    for (uint32_t i = 0; lp_schema_field(kind, i, &info) == LP_OK; i++)
        if (strcmp(info.name, name) == 0)
            return info.time;
    return false;
}

const char *display_label(language lang, const lp_field *field) {
    const char *label = lang == LANGUAGE_ZH ? field->label_zh : field->label_en;
    return label && label[0] ? label : field->name;
}
