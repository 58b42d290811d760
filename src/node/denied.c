#include "node/denied.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>

enum { FOLDER_PATH_MAX = 4096, PREFETCH_MAX = 256, WATCH_MS = 1000 };

struct denied {
    char *repo_path;
    denylist_t *rules;
    uint64_t state; /* of the files that they are from */
};

/* ── folders ─────────────────────────────────────────────────────────────────────────────────── */
typedef err_t (*folder_fn)(task_t *t, void *arg, const char *folder);

static err_t in_folder(task_t *t, const char *above, const char *below, folder_fn fn, void *arg)
{
    char path[FOLDER_PATH_MAX];
    if (!above || !*above)
        return OK;
    if (snprintf(path, sizeof path, "%s%s/denylists", above, below) >= (int)sizeof path)
        return fail(ERR_LIMIT, "the path of the denylists below %s is too long", above);
    return fn(t, arg, path);
}

/* $HOME may be that of somebody else, as after sudo: then the lists there are not this user's. */
static err_t in_home_folder(task_t *t, folder_fn fn, void *arg)
{
    const char *config_home = getenv("XDG_CONFIG_HOME");
    bool has_home = config_home && *config_home;
    err_t e =
        in_folder(t, has_home ? config_home : getenv("HOME"), has_home ? "/ipfs" : "/.config/ipfs", fn, arg);
    if (e != ERR_DENIED)
        return e;
    log_debug("denylists of another user's home are left out", LOG_ERR(e));
    return OK;
}

static err_t in_folders(task_t *t, const denied_t *d, folder_fn fn, void *arg)
{
    TRY(in_folder(t, "/etc/ipfs", "", fn, arg));
    TRY(in_home_folder(t, fn, arg));
    return in_folder(t, d->repo_path, "", fn, arg);
}

static err_t add_lists(task_t *t, void *arg, const char *folder)
{
    return denylist_add_folder(t, arg, folder);
}

static err_t mix_state(task_t *t, void *arg, const char *folder)
{
    return denylist_folder_state(t, folder, arg);
}

/* ── rules ───────────────────────────────────────────────────────────────────────────────────── */
/* Files that change while they are read are read again, for their state was taken before; and so are those
 * that cannot be read, which a change of permissions or a free descriptor may mend. */
static err_t load(task_t *t, denied_t *d)
{
    AUTO_PTR(denylist_t) rules = denylist_new();
    uint64_t state = 0;
    TRY(in_folders(t, d, mix_state, &state));
    TRY(in_folders(t, d, add_lists, rules));
    d->state = state;
    denylist_t *former = d->rules;
    d->rules = rules;
    rules = former;
    return OK;
}

err_t denied_open(task_t *t, const char *repo_path, denied_t **ret)
{
    denied_t *d = xcalloc(1, sizeof *d);
    d->repo_path = xstrdup(repo_path);
    err_t e = load(t, d);
    if (e) {
        denied_free(d);
        return e;
    }
    *ret = d;
    return OK;
}

void denied_free(denied_t *d)
{
    if (!d)
        return;
    denylist_free(d->rules);
    free(d->repo_path);
    free(d);
}

static err_t take_changes(task_t *t, denied_t *d)
{
    uint64_t state = 0;
    TRY(in_folders(t, d, mix_state, &state));
    return state == d->state ? OK : load(t, d);
}

err_t denied_watch(task_t *t, void *arg)
{
    denied_t *d = arg;
    err_t before = OK;
    for (;;) {
        TRY(task_sleep(t, WATCH_MS));
        err_t e = take_changes(t, d);
        if (e && e != before)
            log_warn("denylists cannot be read: the former rules stay", LOG_ERR(e));
        before = e;
    }
}

bool denied_has_cid(const denied_t *d, const cid_t *cid)
{
    return denylist_has_cid(d->rules, cid);
}

bool denied_has_path(const denied_t *d, bytes_t path)
{
    return denylist_has_path(d->rules, path);
}

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */

typedef struct denied_blocks {
    blocks_t base;
    blocks_t *inner;
    const denied_t *denied;
} denied_blocks_t;

static err_t get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    denied_blocks_t *d = (denied_blocks_t *)b;
    char text[CID_TEXT_MAX];
    if (denied_has_cid(d->denied, cid))
        return fail(ERR_BLOCKED, "/ipfs/%s is blocked and cannot be provided", cid_print(cid, text));
    return blocks_get(t, d->inner, cid, ret_block);
}

static void prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    denied_blocks_t *d = (denied_blocks_t *)b;
    for (size_t i = 0; i < n && i < PREFETCH_MAX; i++)
        if (!denied_has_cid(d->denied, &cids[i]))
            blocks_prefetch(t, d->inner, &cids[i], 1);
}

static err_t put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blocks_put_many(t, ((denied_blocks_t *)b)->inner, list, n);
}

static bool has(task_t *t, blocks_t *b, const cid_t *cid)
{
    denied_blocks_t *d = (denied_blocks_t *)b;
    return !denied_has_cid(d->denied, cid) && blocks_has(t, d->inner, cid);
}

static err_t write_many(task_t *t, blocks_t *b, block_t *const *list, size_t n, void **state)
{
    blocks_t *inner = ((denied_blocks_t *)b)->inner;
    return inner->ops->write_many ? inner->ops->write_many(t, inner, list, n, state)
                                  : blocks_put_many(t, inner, list, n);
}

static err_t settle(task_t *t, blocks_t *b, void **state)
{
    blocks_t *inner = ((denied_blocks_t *)b)->inner;
    return inner->ops->settle ? inner->ops->settle(t, inner, state) : OK;
}

static const blocks_ops_t denied_ops = {get, prefetch, put_many, has, write_many, settle};

blocks_t *denied_blocks_new(const denied_t *denied, blocks_t *inner)
{
    denied_blocks_t *d = xcalloc(1, sizeof *d);
    *d = (denied_blocks_t){.base = {&denied_ops}, .inner = inner, .denied = denied};
    return &d->base;
}

void denied_blocks_free(blocks_t *b)
{
    free(b); /* its first member */
}
