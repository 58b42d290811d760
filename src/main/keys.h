/* keys: `key export` and `key rotate`, which this process does by itself. */
#ifndef MAIN_KEYS_H
#define MAIN_KEYS_H
#include "cli/cli.h"

MUST_CHECK err_t fail_daemon_runs(const cli_t *c); /* ERR_IN_USE, in the words of whoever is called */
MUST_CHECK err_t run_key_export(task_t *t, const cli_t *c);
MUST_CHECK err_t run_key_rotate(task_t *t, const cli_t *c);
#endif
