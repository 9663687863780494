/* admin_qr.c - an invitation for a phone's camera: libqrencode's modules as UTF-8 half blocks, two rows a line. */
#include <qrencode.h>
#include <stdio.h>

#include "server/admin/admin.h"

#define QUIET 2 /* modules of margin; ISO/IEC 18004 asks for 4, cameras are content with 2 */

static bool light(const QRcode *code, int x, int y) {
    if (x < 0 || y < 0 || x >= code->width || y >= code->width)
        return true;
    return !(code->data[y * code->width + x] & 1);
}

/* Light modules are drawn, so that it reads on the usual dark terminal; scanners take the inverse as well. */
void admin_print_qr(const char *text) {
    static const char *const cells[] = {" ", "\xe2\x96\x84", "\xe2\x96\x80",
                                        "\xe2\x96\x88"}; /* none, lower, upper, full */
    QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_M);
    if (!code)
        return;
    for (int y = -QUIET; y < code->width + QUIET; y += 2) {
        for (int x = -QUIET; x < code->width + QUIET; x++)
            fputs(cells[light(code, x, y) * 2 + light(code, x, y + 1)], stdout);
        putchar('\n');
    }
    QRcode_free(code);
}
