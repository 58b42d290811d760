/* metadata: the metadata service as a process, and tools for its database. */
#ifndef MAIN_METADATA_H
#define MAIN_METADATA_H
#include "cli/cli.h"
MUST_CHECK err_t run_metadata(task_t *t, const cli_t *c);
MUST_CHECK err_t run_metadata_backup(task_t *t, const cli_t *c);
MUST_CHECK err_t run_audit_verify(task_t *t, const cli_t *c);
#endif
