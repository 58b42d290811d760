/* fs: `fs put` and its like, which ask the file service and print what it answers. */
#ifndef MAIN_FS_H
#define MAIN_FS_H
#include "cli/cli.h"
MUST_CHECK err_t run_fs(task_t *t, const cli_t *c, const cli_command_t *command);
#endif
