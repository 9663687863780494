/* author.h - who a device number is, from the staff and device records every replica holds. */
#ifndef CLIENT_AUTHOR_H
#define CLIENT_AUTHOR_H

#include "client/replica/replica.h"

/** lp_author_name. */
void author_name(replica *r, uint32_t author, char *text_out, uint32_t size);

#endif
