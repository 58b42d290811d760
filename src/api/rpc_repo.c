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

/* Pins that are not whole fail the command, and nothing is removed, as in Kubo: what hangs on their missing
 * nodes may be the last copy. */
static err_t rpc_repo_gc(task_t *t, rpc_t *r)
{
    gc_result_t result;
    TRY(gc_run(t, repo_gc(node_repo(r->node)), rpc_bool(r, "silent", false) ? NULL : emit_collected, r,
               &result));
    if (!result.broken_pins)
        return OK;
    err_t e =
        fail(ERR_IO,
             "%" PRIu64
             " pins have missing blocks: nothing was removed; see pin verify, then repair or remove them",
             result.broken_pins);
    if (!rpc_bool(r, "stream-errors", false))
        return e;
    TRY(rpc_emit(t, r, json_pack("{s:n, s:o}", "Key", "Error", rpc_bytes_json(bytes_str(error_text(e))))));
    return fail(ERR_IO, "encountered errors during gc run");
}

enum { HEAL_TIMEOUT_MS = 30000 };
typedef struct verify {
    rpc_t *r;
    uint64_t checked;
} verify_t;

static err_t emit_message(task_t *t, rpc_t *r, const char *text)
{
    return rpc_emit(t, r, json_pack("{s:o, s:i}", "Msg", rpc_bytes_json(bytes_str(text)), "Progress", 0));
}

static err_t emit_progress(task_t *t, verify_t *v)
{
    return rpc_emit(t, v->r, json_pack("{s:s, s:I}", "Msg", "", "Progress", (json_int_t)v->checked));
}

static err_t emit_verified(task_t *t, void *arg, const cid_t *cid, verify_outcome_t outcome, const char *why,
                           const char *why_not)
{
    static const char *const endings[VERIFY_OUTCOMES] = {[VERIFY_CORRUPT] = "",
                                                         [VERIFY_REMOVED] = ", removed",
                                                         [VERIFY_HEALED] = ", removed, healed",
                                                         [VERIFY_REMOVE_FAILED] = ", failed to remove",
                                                         [VERIFY_HEAL_FAILED] = ", removed, failed to heal"};
    verify_t *v = arg;
    char text[CID_TEXT_MAX], message[CID_TEXT_MAX + 2 * ERROR_TEXT_MAX + 64];
    v->checked++;
    if (outcome != VERIFY_SOUND) {
        snprintf(message, sizeof message, "block %s was corrupt (%s)%s%s%s%s", cid_print(cid, text), why,
                 endings[outcome], *why_not ? " (" : "", why_not, *why_not ? ")" : "");
        TRY(emit_message(t, v->r, message));
    }
    return emit_progress(t, v);
}

/* As Kubo words it; *ret_failed: something is damaged and was not mended as asked. */
static err_t sum_up(const repo_verify_result_t *v, bool drops, bool *ret_failed, buf_t *out)
{
    static const struct {
        const char *text;
        verify_outcome_t of[3];
    } parts[] = {{", %" PRIu64 " removed", {VERIFY_REMOVED, VERIFY_HEALED, VERIFY_HEAL_FAILED}},
                 {", %" PRIu64 " failed to remove", {VERIFY_REMOVE_FAILED}},
                 {", %" PRIu64 " healed", {VERIFY_HEALED}},
                 {", %" PRIu64 " failed to heal", {VERIFY_HEAL_FAILED}}};
    uint64_t bad = v->checked - v->of[VERIFY_SOUND];
    *ret_failed = bad && (!drops || v->of[VERIFY_REMOVE_FAILED] || v->of[VERIFY_HEAL_FAILED]);
    if (!bad)
        return buf_printf(out, "verify complete, all blocks validated.");
    TRY(buf_printf(out, "verify complete, %" PRIu64 " blocks corrupt", bad));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        uint64_t n = 0;
        for (size_t k = 0; k < ARRAY_LEN(parts[i].of); k++)
            n += parts[i].of[k] ? v->of[parts[i].of[k]] : 0;
        if (n)
            TRY(buf_printf(out, parts[i].text, n));
    }
    return OK;
}

static err_t run_verify(task_t *t, rpc_t *r, const repo_verify_options_t *o)
{
    AUTO(buf_t) summary = {0};
    const char *text;
    repo_verify_result_t result;
    bool has_failed;
    TRY(repo_verify(t, node_repo(r->node), o, &result));
    buf_init(&summary, 256);
    TRY(sum_up(&result, o->drop, &has_failed, &summary));
    TRY(buf_cstr(&summary, &text));
    return has_failed ? fail(ERR_CORRUPT, "%s", text) : emit_message(t, r, text);
}

static err_t rpc_repo_verify(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    verify_t v = {.r = r};
    repo_verify_options_t o = {.drop = rpc_bool(r, "drop", false),
                               .heal_timeout_ms = HEAL_TIMEOUT_MS,
                               .visit = emit_verified,
                               .arg = &v};
    const char *timeout = rpc_option(r, "heal-timeout");
    if (timeout && parse_duration_ms(timeout, &o.heal_timeout_ms))
        return fail(ERR_INVALID, "invalid heal-timeout: time: invalid duration \"%.40s\"", timeout);
    if (rpc_bool(r, "heal", false)) {
        TRY(rpc_need_online(r));
        TRY(node_session_open(r->node, false, &session));
        o.drop = true;
        o.heal_from = session.blocks;
    }
    return run_verify(t, r, &o);
}

/* There has been one version of the repository so far; Kubo's versions count another one. */
static err_t rpc_repo_migrate(task_t *t, rpc_t *r)
{
    const char *to = rpc_option(r, "to");
    if (to && *to && strcmp(to, REPO_VERSION) != 0)
        return fail(ERR_INVALID,
                    "the repository is at version " REPO_VERSION ", the only one there is; \"%.40s\" is "
                    "none of it: a repository of Kubo is taken over with `repo import-kubo`",
                    to);
    return rpc_emit(t, r,
                    json_pack("{s:s}", "Message", "Repository is already at version " REPO_VERSION "."));
}

static err_t emit_local_ref(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    char text[CID_TEXT_MAX], line[CID_TEXT_MAX + 32];
    int n = snprintf(line, sizeof line, "{\"Ref\":\"%s\",\"Err\":\"\"}\n", rpc_cid(arg, cid, text));
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
    {"repo/migrate", rpc_repo_migrate, 0, 0, NULL},
    {"repo/ls", rpc_refs_local, 0, 0, NULL},
    {"refs/local", rpc_refs_local, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
