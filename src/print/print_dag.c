/* print_dag: `dag …` and `object …` as text. */
#include "multi/cid.h"
#include "print/printers.h"
#include <inttypes.h>

err_t print_dag_put(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", field(json_object_get(o, "Cid"), "/"));
}

/* ── object diff, object patch ───────────────────────────────────────────────────────────────── */
err_t print_hash(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", field(o, "Hash"));
}

static err_t print_change(print_t *p, bool verbose, json_t *change)
{
    const char *before = field(json_object_get(change, "Before"), "/"),
               *after = field(json_object_get(change, "After"), "/"), *path = field(change, "Path");
    switch (json_number(change, "Type")) {
    case 0:
        return verbose ? print_out(p, "Added new link \"%s\" pointing to %s.\n", path, after)
                       : print_out(p, "+ %s \"%s\"\n", after, path);
    case 1:
        return verbose ? print_out(p, "Removed link \"%s\" (was %s).\n", path, before)
                       : print_out(p, "- %s \"%s\"\n", before, path);
    default:
        return verbose ? print_out(p, "Changed \"%s\" from %s to %s.\n", path, before, after)
                       : print_out(p, "~ %s %s \"%s\"\n", before, after, path);
    }
}

err_t print_diff(print_t *p, json_t *o)
{
    size_t i;
    json_t *change;
    json_array_foreach(json_object_get(o, "Changes"), i, change)
        TRY(print_change(p, print_flag(p, "verbose", false), change));
    return OK;
}

/* ── resolve ─────────────────────────────────────────────────────────────────────────────────── */
err_t print_dag_resolved(print_t *p, json_t *o)
{
    char room[CID_TEXT_MAX];
    cid_t cid;
    const char *text = field(json_object_get(o, "Cid"), "/");
    if (!print_option(p, "cid-base") && !cid_parse_str(text, &cid)) /* in the base of the path's CID */
        text = cid_print_as_in_path(&cid, bytes_str(p->n_args ? p->args[0] : ""), room);
    return print_out(p, "%s%s", text, field(o, "RemPath"));
}

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */
static err_t print_progress(print_t *p, json_t *o)
{
    size_t i;
    json_t *root;
    int64_t blocks = 0, bytes = 0;
    json_array_foreach(json_object_get(o, "DagStats"), i, root)
    {
        blocks += json_number(root, "NumBlocks");
        bytes += json_number(root, "Size");
    }
    print_note(p, "Fetched/Processed %" PRId64 " blocks, %" PRId64 " bytes (%s)\r", blocks, bytes,
               print_human_bytes((uint64_t)bytes));
    return OK;
}

err_t print_dag_stat(print_t *p, json_t *o)
{
    size_t i;
    json_t *root, *roots = json_object_get(o, "DagStats");
    bool shows_progress = print_flag(p, "progress", p->is_terminal_err);
    if (!p->command && !json_object_get(o, "Ratio") && json_number(o, "TotalSize")) /* not over the RPC */
        return shows_progress ? print_progress(p, o) : OK;
    if (shows_progress && !p->command)
        print_note(p, "\033[2K\r");
    int width = (int)strlen(field(json_array_get(roots, 0), "Cid"));
    TRY(print_out(p, "\n%-*s\t%-15s\tSize\n", width, "CID", "Blocks"));
    json_array_foreach(roots, i, root)
        TRY(print_out(p, "%s\t%-15" PRId64 "\t%" PRId64 "\n", field(root, "Cid"),
                      json_number(root, "NumBlocks"), json_number(root, "Size")));
    uint64_t total = (uint64_t)json_number(o, "TotalSize"), shared = (uint64_t)json_number(o, "SharedSize");
    TRY(print_out(p, "\nSummary\nTotal Size: %" PRIu64 " (%s)\nUnique Blocks: %" PRId64 "\n", total,
                  print_human_bytes(total), json_number(o, "UniqueBlocks")));
    return print_out(p, "Shared Size: %" PRIu64 " (%s)\nRatio: %f\n\n\n", shared, print_human_bytes(shared),
                     (float)json_number_value(json_object_get(o, "Ratio"))); /* as it was counted */
}

err_t print_dag_imported(print_t *p, json_t *o)
{
    json_t *root = json_object_get(o, "Root"), *stats = json_object_get(o, "Stats");
    if (print_flag(p, "silent", false))
        return OK;
    if (!root)
        return print_out(p, "Imported %" PRId64 " blocks (%" PRId64 " bytes)\n",
                         json_number(stats, "BlockCount"), json_number(stats, "BlockBytesCount"));
    const char *cid = print_escape(json_text(json_object_get(root, "Cid"), "/"));
    const char *why = json_text(root, "PinErrorMsg");
    if (*why)
        return fail(ERR_IO, "pinning root \"%s\" FAILED: %s", cid, why);
    return print_out(p, "Pinned root\t%s\tsuccess\n", cid);
}
