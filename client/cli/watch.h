/* watch.h - sync --watch: stay connected and say what happens, until SIGINT, SIGTERM or the time is up. */
#ifndef CLIENT_CLI_WATCH_H
#define CLIENT_CLI_WATCH_H

#include "client/cli/cli.h"

/** `seconds` 0: until a signal. Ending is no error. Errors: as lp_sync_start; LP_IO nobody reads the output any more. */
lp_err watch_run(cli *c, uint32_t seconds, lp_error *error);

#endif
