/* value.h - ids and typed values as a program that embeds leadpool sees them. */
#ifndef LEADPOOL_VALUE_H
#define LEADPOOL_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Identity of a record: a UUID (RFC 9562), version 7 when made on a device. Plain bytes, network order. */
typedef struct lp_id {
    uint8_t bytes[16];
} lp_id;

/** Bytes of a printed id, terminating NUL included: 8-4-4-4-12 lower-case hexadecimal digits. */
#define LP_ID_TEXT_BYTES 37

/** Writes `id` as text. `text_out` must hold LP_ID_TEXT_BYTES bytes. Thread: any. Errors: none. */
void lp_id_format(const lp_id *id, char *text_out);

/** Reads a UUID of either case. Returns false, and leaves `id_out` alone, if `text` is not exactly one. Thread: any. */
bool lp_id_parse(const char *text, lp_id *id_out);

/** Type of a value. */
typedef enum lp_type {
    LP_NULL = 0,  /**< empty: never set, or cleared */
    LP_BOOL = 1,  /**< .integer is 0 or 1 */
    LP_INT = 2,   /**< .integer */
    LP_REAL = 3,  /**< .real, finite */
    LP_TEXT = 4,  /**< .data, .size: UTF-8 without NUL; when leadpool hands it out a NUL follows it */
    LP_BYTES = 5, /**< .data, .size */
    LP_OTHER = 6, /**< something this version cannot read, kept as it came: .data, .size are its msgpack bytes */
    LP_TYPE_FORCE_INT32 = 0x7fffffff
} lp_type;

/** A typed value. Ownership: `data` is borrowed; each function says from whom and for how long. */
typedef struct lp_value {
    lp_type type;
    uint32_t size; /**< bytes at `data`; 0 unless TEXT, BYTES or OTHER */
    int64_t integer;
    double real;
    const char *data;
} lp_value;

#ifdef __cplusplus
}
#endif

#endif
