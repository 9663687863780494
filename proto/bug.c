/* bug.c - which planted bug is live; see bug.h. Compiled in builds with LEADPOOL_BUGS only. */
#include "proto/bug.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bug bug_live;

static const char *const names[] = {
    "NONE",
#define B(name, what) #name,
#include "proto/bugs.def"
#undef B
};

__attribute__((constructor)) static void choose(void) {
    const char *wanted = getenv("LEADPOOL_BUG");
    for (int i = 0; wanted && *wanted && i < BUG_COUNT; i++) {
        if (strcmp(names[i], wanted) == 0) {
            bug_live = (bug)i;
            return;
        }
    }
    if (wanted && *wanted) {
        fprintf(stderr, "there is no bug %s; see proto/bugs.def\n", wanted);
        exit(2);
    }
}
