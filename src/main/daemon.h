/* daemon: `node`, `gateway` and `init`. */
#ifndef MAIN_DAEMON_H
#define MAIN_DAEMON_H
#include "cli/cli.h"
MUST_CHECK err_t run_init(task_t *t, const cli_t *c);
MUST_CHECK err_t run_node(task_t *t, const cli_t *c);
MUST_CHECK err_t run_gateway(task_t *t, cli_t *c, const cli_command_t *command);
#endif
