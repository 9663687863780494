/* bug.h - bugs planted on purpose, to see that the tests find them.
 *
 * Why: a simulator that never fails may be checking nothing. Each bug of proto/bugs.def stands in the code at the one place where
 * somebody could have made it, as BUG(NAME). Everywhere but in a build with -DLEADPOOL_BUGS=ON that is the constant false, and the
 * compiler leaves no trace of it; there, the variable LEADPOOL_BUG names the one that is live (tests/sim/bugs.py). */
#ifndef PROTO_BUG_H
#define PROTO_BUG_H

typedef enum bug {
    BUG_NONE,
#define B(name, what) BUG_##name,
#include "proto/bugs.def"
#undef B
    BUG_COUNT
} bug;

#ifdef LEADPOOL_BUGS
extern bug bug_live;
#define BUG(name) (bug_live == BUG_##name)
#else
#define BUG(name) (BUG_##name == BUG_NONE)
#endif

#endif
