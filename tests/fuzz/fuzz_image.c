/* fuzz_image.c - any bytes as a replica's file and its log: whatever cells are found in them lie within what was read, and an outbox entry or
 * a record that passes its check can be walked. The first two bytes say how much of the rest is the log. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/doctor/cells.h"
#include "client/doctor/checks.h"
#include "client/replica/image.h"
#include "proto/change.h"
#include "proto/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds) {
    if (!holds)
        abort();
}

static void put(const char *path, const uint8_t *data, size_t size) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    close(fd);
}

static void walk_entry(span body) {
    wire_reader from = wire_open(body);
    reg change;
    while (from.at < from.end && change_unpack(&from, &change))
        wire_value(change.value);
    must(wire_done(&from));
}

static bool look(void *ctx, const cell *row) {
    uint64_t *sum = ctx;
    record rec;
    must(row->count <= CELL_COLUMNS_MAX);
    record_init(&rec, 1, &(lp_id){{0}});
    for (uint32_t i = 0; i < row->count; i++) {
        span bytes = row->values[i].bytes;
        for (size_t k = 0; k < bytes.size; k++)
            *sum += bytes.data[k];
        for (int64_t count = 1; count <= 3; count++)
            if (check_entry(bytes, count) == LP_OK)
                walk_entry(bytes);
        if (i + 1 < row->count && check_record(&rec, bytes, row->values[i + 1].bytes) == LP_OK)
            must(record_bytes(&rec) == bytes.size);
    }
    record_fini(&rec);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[128], log[140];
    if (size < 2)
        return 0;
    if (!path[0]) {
        const char *directory = getenv("TMPDIR");
        snprintf(path, sizeof path, "%.100s/image-%d", directory ? directory : "/tmp", (int)getpid());
        snprintf(log, sizeof log, "%s-wal", path);
    }
    size_t of_log = ((size_t)data[0] << 8 | data[1]) % (size - 1);
    put(path, data + 2, size - 2 - (of_log > size - 2 ? size - 2 : of_log));
    put(log, data + (size - of_log), of_log);
    disk_image *m = NULL;
    lp_error error;
    if (image_open(path, &m, &error) == LP_OK) {
        uint64_t sum = 0;
        uint32_t skipped = 0, pages = image_pages(m) < 64 ? image_pages(m) : 64;
        for (uint32_t page = 1; page <= pages; page++)
            cells_each(m, page, look, &sum, &skipped);
        image_close(m);
    }
    unlink(path);
    unlink(log);
    return 0;
}
