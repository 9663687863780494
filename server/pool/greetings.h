/* greetings.h - which connection of a device is its latest: the one whose pushes count.
 *
 * Why: a connection that hangs may still hold requests that arrive, or wait for the writer, when the device has long greeted on another one. It
 * thinks of them as unanswered, and may have given them other stamps. So a hello ends whatever older connections of its
 * device would still write; they may go on reading. So does setting the server's time, for everybody: a hello is where a device's time is
 * compared with it.
 *
 * Thread: any; no lock, because every session and the committer ask. */
#ifndef SERVER_GREETINGS_H
#define SERVER_GREETINGS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct greetings greetings;

greetings *greetings_new(void); /**< NULL if out of memory */
void greetings_free(greetings *g);
/** The number of a device's new greeting, above all before; 0 if out of memory. */
uint64_t greetings_next(greetings *g, uint32_t device);
/** Nothing of what the device's connections have sent so far is written any more: one of them is a copy's. */
void greetings_end(greetings *g, uint32_t device);
/** The same of all devices: the server's time was set, and by what was right before it they may be far off. */
void greetings_end_all(greetings *g);
/** True if the device has greeted again since, or its greetings were ended. */
bool greetings_passed(const greetings *g, uint32_t device, uint64_t greeting);

#endif
