/* main.c - leadpoold; everything is in admin.c, where tests reach it. */
#include "server/admin/admin.h"

int main(int argc, char **argv) {
    return admin_main(argc, argv);
}
