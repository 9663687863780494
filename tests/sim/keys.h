/* keys.h - signatures that cost nothing, for schedules.
 *
 * Why: of a schedule's time a quarter went into Ed25519, which does the same whatever the schedule is about; unit_crypto, the vectors
 * and every other test run the true one. What matters to a session stays: a signature is good for one key and one text, and a
 * stranger who draws bytes has none. It hides nothing from somebody who reads this file. */
#ifndef TESTS_SIM_KEYS_H
#define TESTS_SIM_KEYS_H

/** From here on, in this process: a public key is a hash of the seed, a signature one of public key and text. Before any key is made. */
void keys_quick(void);

#endif
