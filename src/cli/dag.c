/* dag: `dag put`, `dag resolve`, `dag stat` and `object …` as text. `dag import` and `dag export`: car.c. */
#include "cli/commands_internal.h"
#include "multi/cid.h"
#include <inttypes.h>

err_t print_dag_put(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s\n", field(json_object_get(o, "Cid"), "/"));
}

/* ── object diff, object patch ───────────────────────────────────────────────────────────────── */
err_t print_hash(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s\n", field(o, "Hash"));
}

static err_t print_change(bool verbose, json_t *change)
{
    const char *before = field(json_object_get(change, "Before"), "/"),
               *after = field(json_object_get(change, "After"), "/"), *path = field(change, "Path");
    switch (json_number(change, "Type")) {
    case 0:
        return verbose ? cli_out("Added new link \"%s\" pointing to %s.\n", path, after)
                       : cli_out("+ %s \"%s\"\n", after, path);
    case 1:
        return verbose ? cli_out("Removed link \"%s\" (was %s).\n", path, before)
                       : cli_out("- %s \"%s\"\n", before, path);
    default:
        return verbose ? cli_out("Changed \"%s\" from %s to %s.\n", path, before, after)
                       : cli_out("~ %s %s \"%s\"\n", before, after, path);
    }
}

err_t print_diff(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *change;
    json_array_foreach(json_object_get(o, "Changes"), i, change)
        TRY(print_change(cli_flag(c, "verbose", false), change));
    return OK;
}

/* ── resolve ─────────────────────────────────────────────────────────────────────────────────── */
err_t print_dag_resolved(task_t *t, cli_t *c, json_t *o)
{
    char room[CID_TEXT_MAX];
    cid_t cid;
    const char *text = field(json_object_get(o, "Cid"), "/");
    if (!cli_option(c, "cid-base", 0) && !cid_parse_str(text, &cid)) /* in the base of the path's CID */
        text = cid_print_as_in_path(&cid, bytes_str(c->n_args ? c->args[0] : ""), room);
    return cli_out("%s%s", text, field(o, "RemPath"));
}

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */
static err_t print_progress(json_t *o)
{
    size_t i;
    json_t *root;
    int64_t blocks = 0, bytes = 0;
    json_array_foreach(json_object_get(o, "DagStats"), i, root)
    {
        blocks += json_number(root, "NumBlocks");
        bytes += json_number(root, "Size");
    }
    fprintf(stderr, "Fetched/Processed %" PRId64 " blocks, %" PRId64 " bytes (%s)\r", blocks, bytes,
            cli_human_bytes((uint64_t)bytes));
    return OK;
}

err_t print_dag_stat(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *root, *roots = json_object_get(o, "DagStats");
    bool shows_progress = cli_flag(c, "progress", c->is_terminal_err);
    if (!json_object_get(o, "Ratio") && json_number(o, "TotalSize"))
        return shows_progress ? print_progress(o) : OK;
    if (shows_progress)
        fprintf(stderr, "\033[2K\r");
    int width = (int)strlen(field(json_array_get(roots, 0), "Cid"));
    TRY(cli_out("\n%-*s\t%-15s\tSize\n", width, "CID", "Blocks"));
    json_array_foreach(roots, i, root)
        TRY(cli_out("%s\t%-15" PRId64 "\t%" PRId64 "\n", field(root, "Cid"), json_number(root, "NumBlocks"),
                    json_number(root, "Size")));
    uint64_t total = (uint64_t)json_number(o, "TotalSize"), shared = (uint64_t)json_number(o, "SharedSize");
    TRY(cli_out("\nSummary\nTotal Size: %" PRIu64 " (%s)\nUnique Blocks: %" PRId64 "\n", total,
                cli_human_bytes(total), json_number(o, "UniqueBlocks")));
    return cli_out("Shared Size: %" PRIu64 " (%s)\nRatio: %f\n\n\n", shared, cli_human_bytes(shared),
                   json_number_value(json_object_get(o, "Ratio")));
}

/* The answer is one object unless progress is shown. */
err_t cli_dag_stat(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    bool shows_progress = cli_flag(c, "progress", c->is_terminal_err) && !c->wants_json;
    TRY(cli_build_target(c, command, &target));
    TRY(cli_target_add(&target, "progress", shows_progress ? "true" : "false"));
    TRY(buf_cstr(&target, &text));
    return cli_request(t, c, text, command->print);
}
