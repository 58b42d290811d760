/* print_repo: answers about the repository as text. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>

err_t print_repo_stat(task_t *t, cli_t *c, json_t *o)
{
    bool is_human = cli_flag(c, "human", false), is_short = cli_flag(c, "size-only", false);
    uint64_t size = (uint64_t)json_number(o, "RepoSize"), max = (uint64_t)json_number(o, "StorageMax");
    if (!is_short)
        TRY(cli_out("NumObjects: %" PRId64 "\n", json_number(o, "NumObjects")));
    TRY(is_human ? cli_out("RepoSize:   %s\nStorageMax: %s\n", cli_human_bytes(size), cli_human_bytes(max))
                 : cli_out("RepoSize:   %" PRIu64 "\nStorageMax: %" PRIu64 "\n", size, max));
    return is_short ? OK
                    : cli_out("RepoPath:   %s\nVersion:    %s\n", field(o, "RepoPath"), field(o, "Version"));
}

err_t print_repo_version(task_t *t, cli_t *c, json_t *o)
{
    const char *version = field(o, "Version");
    return cli_flag(c, "quiet", false) ? cli_out("%s\n", version)
                                       : cli_out("%s repo version %s\n", c->program, version);
}

err_t print_repo_gc(task_t *t, cli_t *c, json_t *o)
{
    const char *why = json_text(o, "Error");
    const char *cid = json_text(json_object_get(o, "Key"), "/");
    if (cli_flag(c, "silent", false))
        return OK;
    if (*why)
        return cli_out("Error: %s\n", cli_escape(why));
    if (!*cid)
        return OK;
    return cli_out(cli_flag(c, "quiet", false) ? "%s\n" : "removed %s\n", cli_escape(cid));
}

/* Progress stands on one line that is written again and again: Kubo's form, on a terminal alone. */
err_t print_repo_verify(task_t *t, cli_t *c, json_t *o)
{
    const char *message = json_text(o, "Msg");
    if (*message)
        return cli_out("%s\n", cli_escape(message));
    if (!c->is_terminal_out && !c->is_kubo)
        return OK;
    TRY(cli_out("%" PRId64 " blocks processed.\r", json_number(o, "Progress")));
    fflush(stdout);
    return OK;
}

err_t print_repo_migrated(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s\n", field(o, "Message"));
}
