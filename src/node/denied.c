#include "node/denied.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>

enum { FOLDER_PATH_MAX = 4096, PREFETCH_MAX = 256 };

static err_t add_folder(task_t *t, denylist_t *d, const char *above, const char *below)
{
    char path[FOLDER_PATH_MAX];
    if (!above || !*above)
        return OK;
    if (snprintf(path, sizeof path, "%s%s/denylists", above, below) >= (int)sizeof path)
        return fail(ERR_LIMIT, "the path of the denylists below %s is too long", above);
    return denylist_add_folder(t, d, path);
}

/* $HOME may be that of somebody else, as after sudo: then the lists there are not this user's. */
static err_t add_home_folder(task_t *t, denylist_t *d)
{
    const char *config_home = getenv("XDG_CONFIG_HOME");
    bool has_home = config_home && *config_home;
    err_t e = add_folder(t, d, has_home ? config_home : getenv("HOME"), has_home ? "/ipfs" : "/.config/ipfs");
    if (e != ERR_DENIED)
        return e;
    log_warn("denylists of another user's home are left out", LOG_ERR(e));
    return OK;
}

err_t denied_load(task_t *t, const char *repo_path, denylist_t **ret)
{
    AUTO_PTR(denylist_t) d = denylist_new();
    TRY(add_folder(t, d, "/etc/ipfs", ""));
    TRY(add_home_folder(t, d));
    TRY(add_folder(t, d, repo_path, ""));
    *ret = denylist_count(d) ? d : NULL;
    if (*ret)
        d = NULL;
    return OK;
}

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */

typedef struct denied_blocks {
    blocks_t base;
    blocks_t *inner;
    const denylist_t *rules;
} denied_blocks_t;

static err_t get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    denied_blocks_t *d = (denied_blocks_t *)b;
    char text[CID_TEXT_MAX];
    if (denylist_has_cid(d->rules, cid))
        return fail(ERR_BLOCKED, "%s is blocked and cannot be provided", cid_print(cid, text));
    return blocks_get(t, d->inner, cid, ret_block);
}

static void prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    denied_blocks_t *d = (denied_blocks_t *)b;
    for (size_t i = 0; i < n && i < PREFETCH_MAX; i++)
        if (!denylist_has_cid(d->rules, &cids[i]))
            blocks_prefetch(t, d->inner, &cids[i], 1);
}

static err_t put_many(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blocks_put_many(t, ((denied_blocks_t *)b)->inner, list, n);
}

static bool has(task_t *t, blocks_t *b, const cid_t *cid)
{
    denied_blocks_t *d = (denied_blocks_t *)b;
    return !denylist_has_cid(d->rules, cid) && blocks_has(t, d->inner, cid);
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

blocks_t *denied_blocks_new(const denylist_t *rules, blocks_t *inner)
{
    if (!rules)
        return inner;
    denied_blocks_t *d = xcalloc(1, sizeof *d);
    *d = (denied_blocks_t){.base = {&denied_ops}, .inner = inner, .rules = rules};
    return &d->base;
}

void denied_blocks_free(blocks_t *b, const blocks_t *inner)
{
    if (b && b != inner)
        free((denied_blocks_t *)b);
}
