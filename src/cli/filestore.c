/* filestore: commands and lines of `filestore …`. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>

/* "HASH SIZE PATH OFFSET" as Kubo spaces it; the hash alone when it is nowhere. */
static err_t print_place(json_t *o)
{
    const char *key = cli_escape(json_text(json_object_get(o, "Key"), "/")), *path = json_text(o, "FilePath");
    if (!*key)
        return cli_out("<corrupt key>");
    if (!*path)
        return cli_out("%s", key);
    return cli_out("%-50s %6" PRId64 " %s %" PRId64, key, json_number(o, "Size"), cli_escape(path),
                   json_number(o, "Offset"));
}

static const char *status_name(int64_t status)
{
    switch (status) {
    case 0:
        return "ok";
    case 10:
        return "error";
    case 11:
        return "no-file";
    case 12:
        return "changed";
    case 20:
        return "ERROR";
    case 30:
        return "missing";
    default:
        return "???";
    }
}

/* What cannot be listed is said, and makes the command fail when all is listed. */
static bool has_failed;

static err_t print_reference(task_t *t, cli_t *c, json_t *o)
{
    const char *why = json_text(o, "ErrorMsg");
    if (*why) {
        fprintf(stderr, "%s\n", cli_escape(why));
        has_failed = true;
        return OK;
    }
    TRY(print_place(o));
    return cli_out("\n");
}

static err_t print_verified(task_t *t, cli_t *c, json_t *o)
{
    int64_t status = json_number(o, "Status");
    if (status == 20)
        fprintf(stderr, "%s\n", cli_escape(json_text(o, "ErrorMsg")));
    TRY(cli_out("%-7s ", status_name(status)));
    TRY(print_place(o));
    if (cli_flag(c, "remove-bad-blocks", false))
        TRY(cli_out(status && status != 20 ? " remove" : " keep"));
    return cli_out("\n");
}

static err_t run_ls(task_t *t, cli_t *c, const cli_command_t *command)
{
    has_failed = false;
    TRY(cli_run_generic(t, c, command));
    return has_failed ? fail(ERR_IO, "errors while displaying some entries") : OK;
}

static const cli_spec_t ls_specs[] = {{"file-order", 0, false, NULL, "in the order of files"},
                                      {NULL, 0, false, NULL, NULL}};
static const cli_spec_t verify_specs[] = {
    {"file-order", 0, false, NULL, "in the order of files"},
    {"remove-bad-blocks", 0, false, NULL, "forget those that no longer hold"},
    {NULL, 0, false, NULL, NULL}};

const cli_command_t cli_filestore_commands[] = {
    {"filestore ls", "[CID]…", "list blocks whose bytes stay in files", CLI_RPC, "filestore/ls", 0, SIZE_MAX,
     false, ls_specs, run_ls, print_reference, false},
    {"filestore verify", "[CID]…", "check that the files are as they were", CLI_RPC, "filestore/verify", 0,
     SIZE_MAX, false, verify_specs, NULL, print_verified, false},
    {"filestore dups", "", "list such blocks that are in the block store too", CLI_RPC, "filestore/dups", 0,
     0, false, NULL, NULL, print_refs, false},
    {NULL, NULL, NULL, 0, NULL, 0, 0, false, NULL, NULL, NULL, false},
};
