/* access.h - which scopes a device is entitled to. One table; roles, events and grants deepen it later.
 *
 * Today a rep's device holds the whole pool like a manager's: the booth team shares its leads. */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include "server/auth.h"

/** The scope called `name`, if `d` may read it: false otherwise. */
bool access_scope(const device *d, span name, scope_class *scope_out);
/** Appends the list of scope names for `d`, most urgent first, as msgpack. */
void access_scopes(const device *d, buf *out);

#endif
