/* print_repo: answers about the repository as text. */
#include "print/printers.h"
#include <inttypes.h>
#include <stdio.h>

err_t print_repo_stat(print_t *p, json_t *o)
{
    bool is_human = print_flag(p, "human", false), is_short = print_flag(p, "size-only", false);
    uint64_t size = (uint64_t)json_number(o, "RepoSize"), max = (uint64_t)json_number(o, "StorageMax");
    if (!is_short)
        TRY(print_out(p, "NumObjects: %" PRId64 "\n", json_number(o, "NumObjects")));
    TRY(is_human ? print_out(p, "RepoSize:   %s\nStorageMax: %s\n", print_human_bytes(size),
                             print_human_bytes(max))
                 : print_out(p, "RepoSize:   %" PRIu64 "\nStorageMax: %" PRIu64 "\n", size, max));
    return is_short
               ? OK
               : print_out(p, "RepoPath:   %s\nVersion:    %s\n", field(o, "RepoPath"), field(o, "Version"));
}

err_t print_repo_version(print_t *p, json_t *o)
{
    const char *version = field(o, "Version");
    return print_flag(p, "quiet", false) ? print_out(p, "%s\n", version)
                                         : print_out(p, "%s repo version %s\n", p->program, version);
}

err_t print_repo_gc(print_t *p, json_t *o)
{
    const char *why = json_text(o, "Error");
    const char *cid = json_text(json_object_get(o, "Key"), "/");
    if (print_flag(p, "silent", false))
        return OK;
    if (*why)
        return print_out(p, "Error: %s\n", print_escape(why));
    if (!*cid)
        return OK;
    return print_out(p, print_flag(p, "quiet", false) ? "%s\n" : "removed %s\n", print_escape(cid));
}

/* Progress stands on one line that is written again and again: Kubo's form, on a terminal alone. */
err_t print_repo_verify(print_t *p, json_t *o)
{
    const char *message = json_text(o, "Msg");
    if (*message)
        return print_out(p, "%s\n", print_escape(message));
    if (!p->is_terminal_out && !p->is_kubo)
        return OK;
    TRY(print_out(p, "%" PRId64 " blocks processed.\r", json_number(o, "Progress")));
    return OK;
}

err_t print_repo_migrated(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", field(o, "Message"));
}
