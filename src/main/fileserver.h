/* fileserver: a storage node of the file service as a process. */
#ifndef MAIN_FILESERVER_H
#define MAIN_FILESERVER_H
#include "cli/cli.h"
MUST_CHECK err_t run_fileserver(task_t *t, const cli_t *c);
#endif
