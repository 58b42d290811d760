/* rpc_repo: repo/… and refs/local. Reference: ipfs/kubo core/commands/repo.go. */
#include "api/rpc_util.h"
#include <inttypes.h>
#include <stdio.h>

static err_t rpc_repo_stat(task_t *t, rpc_t *r)
{
    repo_stat_t s;
    repo_t *repo = node_repo(r->node);
    TRY(repo_stat(t, repo, &s));
    bool is_short = rpc_bool(r, "size-only", false);
    return rpc_emit(t, r,
                    json_pack("{s:I, s:I, s:I, s:o, s:s}", "RepoSize", (json_int_t)s.disk_bytes, "StorageMax",
                              (json_int_t)s.max_bytes, "NumObjects", (json_int_t)(is_short ? 0 : s.blocks),
                              "RepoPath", rpc_bytes_json(bytes_str(is_short ? "" : repo_path(repo))),
                              "Version", is_short ? "" : REPO_VERSION));
}

static err_t rpc_repo_version(task_t *t, rpc_t *r)
{
    return rpc_emit(t, r, json_pack("{s:s}", "Version", REPO_VERSION));
}

static err_t emit_collected(task_t *t, void *arg, const cid_t *cid)
{
    char text[CID_TEXT_MAX], line[CID_TEXT_MAX + 32];
    int n = snprintf(line, sizeof line, "{\"Key\":{\"/\":\"%s\"}}\n", cid_print(cid, text));
    return rpc_emit_text(t, arg, bytes_of(line, (size_t)n));
}

static err_t rpc_repo_gc(task_t *t, rpc_t *r)
{
    gc_result_t result;
    TRY(gc_run(t, repo_gc(node_repo(r->node)), rpc_bool(r, "silent", false) ? NULL : emit_collected, r,
               &result));
    if (result.broken_pins)
        return rpc_emit(t, r,
                        json_pack("{s:o}", "Error",
                                  json_sprintf("%" PRIu64 " pins have missing blocks; see pin verify",
                                               result.broken_pins)));
    return OK;
}

static err_t emit_damaged(task_t *t, void *arg, const cid_t *cid, err_t why)
{
    char text[CID_TEXT_MAX], message[CID_TEXT_MAX + ERROR_TEXT_MAX + 64];
    snprintf(message, sizeof message, "block %s was corrupt (%s)", cid_print(cid, text), error_text(why));
    return rpc_emit(t, arg,
                    json_pack("{s:o, s:i}", "Msg", rpc_bytes_json(bytes_str(message)), "Progress", 0));
}

static err_t rpc_repo_verify(task_t *t, rpc_t *r)
{
    repo_verify_result_t v;
    TRY(repo_verify(t, node_repo(r->node), rpc_bool(r, "drop", false), emit_damaged, r, &v));
    if (v.bad)
        return fail(ERR_CORRUPT, "verify complete, %" PRIu64 " of %" PRIu64 " blocks were corrupt%s", v.bad,
                    v.checked, v.dropped ? "; they were dropped" : "; --drop removes them");
    return rpc_emit(t, r,
                    json_pack("{s:s, s:I}", "Msg", "verify complete, all blocks validated.", "Progress",
                              (json_int_t)v.checked));
}

static err_t emit_local_ref(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    char text[CID_TEXT_MAX], line[CID_TEXT_MAX + 32];
    int n = snprintf(line, sizeof line, "{\"Ref\":\"%s\",\"Err\":\"\"}\n", cid_print(cid, text));
    return rpc_emit_text(t, arg, bytes_of(line, (size_t)n));
}

static err_t rpc_refs_local(task_t *t, rpc_t *r)
{
    return blockstore_each(t, repo_blockstore(node_repo(r->node)), emit_local_ref, r);
}

const rpc_command_t rpc_repo_commands[] = {
    {"repo/stat", rpc_repo_stat, 0, 0, NULL},
    {"stats/repo", rpc_repo_stat, 0, 0, NULL},
    {"repo/version", rpc_repo_version, 0, 0, NULL},
    {"repo/gc", rpc_repo_gc, 0, 0, NULL},
    {"repo/verify", rpc_repo_verify, 0, 0, NULL},
    {"refs/local", rpc_refs_local, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
