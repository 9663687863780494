/* turns.h - turns that stand in files of their own; see schedule.h. */
#ifndef TESTS_SIM_TURNS_H
#define TESTS_SIM_TURNS_H

#include "tests/sim/world.h"

/* Who is entitled to what (turns_scopes.c). */
void turn_move_lead(world *w, uint32_t who);
void turn_move_under_edits(world *w, uint32_t who);
void turn_grant(world *w, uint32_t who);
void turn_stray(world *w, uint32_t who);

#endif
