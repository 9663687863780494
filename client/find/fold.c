/* fold.c - folding by utf8proc; see fold.h.
 *
 * Only marks of the diacritic blocks count as accents. Marks of other scripts are letters to their readers (vowel signs of
 * Devanagari or Thai, the voicing marks of kana), and dropping those would make different words equal. */
#include "client/find/fold.h"

#include <stdlib.h>
#include <utf8proc.h>

#define FOLD_OPTIONS (UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE)

static bool fold_ascii(span text, buf *out) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] >= 0x80)
            return false;
    if (!buf_reserve(out, text.size))
        return true;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        out->data[out->size++] = byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
    }
    return true;
}

static bool is_accent(int32_t c) {
    return (c >= 0x0300 && c <= 0x036F) || (c >= 0x1AB0 && c <= 0x1AFF) || (c >= 0x1DC0 && c <= 0x1DFF) ||
           (c >= 0x20D0 && c <= 0x20FF);
}

/* Decomposed so that accents stand apart, thinned, composed again. False: not UTF-8, or out of memory. */
static bool fold_unicode(span text, fold_accents accents, buf *out) {
    const utf8proc_option_t options = FOLD_OPTIONS | UTF8PROC_DECOMPOSE;
    int32_t *chars = NULL;
    bool folded = false;
    utf8proc_ssize_t count = utf8proc_decompose(text.data, (utf8proc_ssize_t)text.size, NULL, 0, options);
    if (count < 0)
        return false;
    /* utf8proc_reencode writes UTF-8 over the code points and a NUL behind it. */
    chars = malloc(((size_t)count + 1) * sizeof *chars);
    if (!chars) {
        out->failed = true;
        return true;
    }
    count = utf8proc_decompose(text.data, (utf8proc_ssize_t)text.size, chars, count, options);
    if (count < 0)
        goto out;
    utf8proc_ssize_t kept = 0;
    for (utf8proc_ssize_t i = 0; i < count; i++)
        if (accents == FOLD_KEEP_ACCENTS || !is_accent(chars[i]))
            chars[kept++] = chars[i];
    utf8proc_ssize_t bytes = utf8proc_reencode(chars, kept, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (bytes < 0)
        goto out;
    buf_append(out, chars, (size_t)bytes);
    folded = true;
out:
    free(chars);
    return folded;
}

void fold_text(span text, fold_accents accents, buf *out) {
    if (text.size == 0 || fold_ascii(text, out) || fold_unicode(text, accents, out))
        return;
    buf_append_span(out, text);
}

int32_t fold_take_char(span *text) {
    utf8proc_int32_t c;
    utf8proc_ssize_t size = utf8proc_iterate(text->data, (utf8proc_ssize_t)text->size, &c);
    if (size <= 0) {
        size = 1;
        c = 0xFFFD;
    }
    text->data += size;
    text->size -= (size_t)size;
    return c;
}
