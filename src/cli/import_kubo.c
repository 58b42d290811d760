/* import_kubo: `repo import-kubo PATH`. */
#include "cli/commands_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    task_t *task;
    progress_t progress;
    uint64_t warnings;
} shown;

static err_t print_line(json_t *o, const char *key, const char *key_here, const char *what)
{
    int64_t n = json_number(o, key), here = key_here ? json_number(o, key_here) : 0;
    TRY(cli_out("%s: %" PRId64, what, n));
    if (here)
        TRY(cli_out(" (and %" PRId64 " that were here)", here));
    return cli_out("\n");
}

static err_t print_imported(json_t *o)
{
    progress_clear(&shown.progress);
    TRY(print_line(o, "Blocks", "BlocksHere", "blocks"));
    TRY(cli_out("bytes: %s\n", print_size((uint64_t)json_number(o, "Bytes"))));
    if (json_number(o, "Refs"))
        TRY(print_line(o, "Refs", NULL, "blocks that stay in your files or at URLs"));
    TRY(print_line(o, "Pins", "PinsHere", "pins"));
    TRY(cli_out("tree of files: %s\n", json_is_true(json_object_get(o, "Files")) ? "taken" : "none"));
    TRY(print_line(o, "Keys", "KeysHere", "keys"));
    TRY(print_line(o, "Names", NULL, "IPNS records"));
    TRY(print_line(o, "Settings", NULL, "settings"));
    return cli_out("identity: %s\n", json_is_true(json_object_get(o, "Identity"))
                                         ? "Kubo's: do not run both at once"
                                         : "this repository's own");
}

static err_t print_import(print_t *p, json_t *o)
{
    const char *warning = json_text(o, "Warning");
    json_t *so_far = json_object_get(o, "Progress"), *end = json_object_get(o, "Imported");
    if (*warning) {
        shown.warnings++;
        progress_clear(&shown.progress);
        fprintf(stderr, "%s\n", print_escape(warning));
    }
    if (so_far) {
        shown.progress.total = (uint64_t)json_number(so_far, "TotalBytes");
        progress_update(&shown.progress, (uint64_t)json_number(so_far, "Bytes"), task_now_ms(shown.task));
    }
    return end ? print_imported(end) : OK;
}

err_t cli_import_kubo(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    char *path = realpath(c->args[0], NULL);
    if (!path)
        return fail(error_from_errno(errno), "%s: %s", c->args[0], strerror(errno));
    free(c->words);
    c->words = c->args[0] = path;
    shown.task = t;
    progress_init(&shown.progress, c, "importing", 0, task_now_ms(t));
    TRY(cli_build_target(c, command, &target));
    TRY(buf_cstr(&target, &text));
    err_t e = cli_request(t, c, text, print_import);
    progress_clear(&shown.progress);
    TRY(e);
    return shown.warnings
               ? fail(ERR_INVALID, "%" PRIu64 " things were not taken over: see above", shown.warnings)
               : OK;
}
