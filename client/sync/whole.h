/* whole.h - a record that comes whole stands for all that the server holds of it.
 *
 * Its changes are gathered as a record of their own, and at the end replace the server layer; what a person sees is made anew from that and
 * from what is unsent. Inside the caller's write transaction. */
#ifndef CLIENT_WHOLE_H
#define CLIENT_WHOLE_H

#include "client/replica/layers.h"

/** Puts `came` in the place of the server layer of `l`, which layers_open has found, and saves if that changes anything. `tell`: registers the
 *  server does not have any more are told to replica.gone. `*news_out`: the visible values changed. */
lp_err whole_replace(replica *r, layers *l, const record *came, bool tell, bool *news_out, lp_error *error);

#endif
