/* print_repo: answers about the repository as text. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>

/* "20 kB", "2.4 MB": one digit behind the point below 10 (dustin/go-humanize, which Kubo prints sizes with).
 */
static const char *short_size(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < ARRAY_LEN(units); unit++)
        value /= 1000;
    double shown = (double)(uint64_t)(value * 10 + 0.5) / 10;
    snprintf(out, 32, unit && shown < 10 ? "%.1f %s" : "%.0f %s", shown, units[unit]);
    return out;
}

err_t print_repo_stat(task_t *t, cli_t *c, json_t *o)
{
    bool is_human = cli_flag(c, "human", false), is_short = cli_flag(c, "size-only", false);
    uint64_t size = (uint64_t)json_number(o, "RepoSize"), max = (uint64_t)json_number(o, "StorageMax");
    if (!is_short)
        TRY(cli_out("NumObjects: %" PRId64 "\n", json_number(o, "NumObjects")));
    char sizes[2][32];
    TRY(is_human ? cli_out("RepoSize:   %s\nStorageMax: %s\n", short_size(size, sizes[0]),
                           short_size(max, sizes[1]))
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
