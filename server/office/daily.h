/* daily.h - what a server does once a day without being asked: it forgets what was deleted long ago. Shell. */
#ifndef SERVER_DAILY_H
#define SERVER_DAILY_H

#include "server/office/control.h"
#include "server/log.h"

#define DAILY_MS DAY_MS

/** Purges step by step, each a job of its own between those of the devices, and logs what came of it. Thread: any but the committer's. */
void daily_run(control *c, logger *log);

#endif
