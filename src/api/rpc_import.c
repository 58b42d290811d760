/* rpc_import: repo/import-kubo, a command of our own. It answers with objects as it goes: {"Progress": {…}}
 * now and then, {"Warning": "…"} for what was not taken, at the end {"Imported": {…}}. */
#include "api/rpc_util.h"
#include "repo/import_kubo.h"

static json_t *figures(const import_kubo_result_t *v)
{
    return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I}", "Blocks",
                     (json_int_t)v->blocks, "BlocksHere", (json_int_t)v->blocks_here, "BlocksBad",
                     (json_int_t)v->blocks_bad, "Bytes", (json_int_t)v->bytes, "TotalBytes",
                     (json_int_t)v->total_bytes, "Refs", (json_int_t)v->refs, "Pins", (json_int_t)v->pins,
                     "PinsHere", (json_int_t)v->pins_here, "Keys", (json_int_t)v->keys, "KeysHere",
                     (json_int_t)v->keys_here, "Names", (json_int_t)v->names, "Settings",
                     (json_int_t)v->settings, "Identity", (int)v->has_identity, "Files", (int)v->has_files,
                     "Warnings", (json_int_t)v->warnings);
}

static err_t tell(task_t *t, void *arg, const import_kubo_result_t *so_far, const char *warning)
{
    return warning ? rpc_emit(t, arg, json_pack("{s:o}", "Warning", rpc_bytes_json(bytes_str(warning))))
                   : rpc_emit(t, arg, json_pack("{s:o}", "Progress", figures(so_far)));
}

static err_t rpc_import_kubo(task_t *t, rpc_t *r)
{
    AUTO_PTR(kubo_source_t) source = NULL;
    import_kubo_result_t result;
    import_kubo_options_t o = {.takes_identity = rpc_bool(r, "identity", false),
                               .takes_settings = rpc_bool(r, "config", false),
                               .tell = tell,
                               .arg = r};
    if (r->args[0][0] != '/')
        return fail(ERR_USAGE, "the path of Kubo's repository must be absolute: \"%s\"", r->args[0]);
    TRY(kubo_source_open(t, r->args[0], &source));
    TRY(import_kubo(t, node_repo(r->node), source, &o, &result));
    return rpc_emit(t, r, json_pack("{s:o}", "Imported", figures(&result)));
}

const rpc_command_t rpc_import_commands[] = {
    {"repo/import-kubo", rpc_import_kubo, 1, 1, "path"},
    {NULL, NULL, 0, 0, NULL},
};
