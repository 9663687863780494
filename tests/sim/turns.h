/* turns.h - turns that stand in files of their own; see schedule.h. */
#ifndef TESTS_SIM_TURNS_H
#define TESTS_SIM_TURNS_H

#include "tests/sim/world.h"

/* Who is entitled to what (turns_scopes.c). */
void turn_move_lead(world *w, uint32_t who);
void turn_move_under_edits(world *w, uint32_t who);
void turn_pass_round(world *w, uint32_t who);
void turn_event(world *w, uint32_t who);
void turn_grant(world *w, uint32_t who);
void turn_stray(world *w, uint32_t who);

/* What is forgotten in the course of months (turns_purge.c). */
void turn_months(world *w, uint32_t who);
void turn_purge(world *w, uint32_t who);
void turn_forget_lead(world *w, uint32_t who);

/** A lead on the device; -1 if none of some draws is. */
int32_t turn_draw_lead(world *w, uint32_t who);

/* The server's clock (turns_clock.c). */
void turn_set_server_clock(world *w, uint32_t who);
void turn_see_to_server_clock(world *w, uint32_t who);

#endif
