/* filestore: commands and lines of `filestore …`. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>

/* What cannot be listed is said, and makes the command fail when all is listed. */
static err_t run_ls(task_t *t, cli_t *c, const cli_command_t *command)
{
    TRY(cli_run_generic(t, c, command));
    return c->has_failed ? fail(ERR_IO, "errors while displaying some entries") : OK;
}

static const cli_spec_t ls_specs[] = {{"file-order", 0, false, NULL, "in the order of files"},
                                      {NULL, 0, false, NULL, NULL}};
static const cli_spec_t verify_specs[] = {
    {"file-order", 0, false, NULL, "in the order of files"},
    {"remove-bad-blocks", 0, false, NULL, "forget those that no longer hold"},
    {NULL, 0, false, NULL, NULL}};

const cli_command_t cli_filestore_commands[] = {
    {"filestore ls", "[CID]…", "list blocks whose bytes stay in files", CLI_RPC, "filestore/ls", 0, SIZE_MAX,
     false, ls_specs, run_ls, NULL, false},
    {"filestore verify", "[CID]…", "check that the files are as they were", CLI_RPC, "filestore/verify", 0,
     SIZE_MAX, false, verify_specs, NULL, NULL, false},
    {"filestore dups", "", "list such blocks that are in the block store too", CLI_RPC, "filestore/dups", 0,
     0, false, NULL, NULL, NULL, false},
    {NULL, NULL, NULL, 0, NULL, 0, 0, false, NULL, NULL, NULL, false},
};
