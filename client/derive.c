/* derive.c - ids that are a function of a name, for programs that embed the client; see lp_id_derive in leadpool.h. */
#include "leadpool/leadpool.h"

#include "proto/id.h"

void lp_id_derive(const lp_id *pool, const char *name, uint32_t size, lp_id *id_out) {
    *id_out = id_derive(pool, span_of(name, size));
}
