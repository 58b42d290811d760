#include "node/provided.h"
#include "dag/dag_node.h"
#include "dag/dag_walk.h"
#include "repo/mfs.h"
#include "repo/pins.h"

typedef struct each {
    err_t (*emit)(task_t *t, void *arg, const cid_t *cid);
    void *arg;
    unsigned flags;
    dag_walker_t walker;
} each_t;

/* ── the words ───────────────────────────────────────────────────────────────────────────────── */
static err_t read_word(bytes_t word, const char *strategy, unsigned *flags)
{
    static const struct {
        const char *word;
        unsigned flags;
    } known[] = {{"all", PROVIDED_ALL},
                 {"flat", PROVIDED_ALL},
                 {"pinned", PROVIDED_PINNED},
                 {"roots", PROVIDED_ROOTS},
                 {"mfs", PROVIDED_MFS},
                 {"unique", PROVIDED_UNIQUE},
                 {"entities", PROVIDED_ENTITIES | PROVIDED_UNIQUE}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (bytes_equal(word, bytes_str(known[i].word))) {
            *flags |= known[i].flags;
            return OK;
        }
    if (!word.len)
        return fail(ERR_INVALID, "Provide.Strategy: invalid provide strategy: empty token in \"%.60s\"",
                    strategy);
    return fail(ERR_INVALID, "Provide.Strategy: unknown provide strategy token: \"%.*s\" in \"%.60s\"",
                (int)(word.len < 60 ? word.len : 60), (const char *)word.data, strategy);
}

err_t provided_parse(const char *strategy, unsigned *ret_flags)
{
    unsigned flags = 0;
    for (const char *at = *strategy ? strategy : "all";; at++) {
        size_t len = strcspn(at, "+");
        TRY(read_word(bytes_of(at, len), strategy, &flags));
        at += len;
        if (!*at)
            break;
    }
    if (flags & PROVIDED_ALL && flags != PROVIDED_ALL)
        return fail(
            ERR_INVALID,
            "Provide.Strategy: \"all\" strategy cannot be combined with other strategies in \"%.60s\"",
            strategy);
    if (flags & PROVIDED_UNIQUE && !(flags & (PROVIDED_PINNED | PROVIDED_MFS)))
        return fail(ERR_INVALID,
                    "Provide.Strategy: +unique/+entities must combine with pinned and/or mfs in \"%.60s\"",
                    strategy);
    if (flags & PROVIDED_UNIQUE && flags & PROVIDED_ROOTS)
        return fail(ERR_INVALID,
                    "Provide.Strategy: +unique/+entities is incompatible with roots in \"%.60s\"", strategy);
    *ret_flags = flags;
    return OK;
}

/* ── the CIDs ────────────────────────────────────────────────────────────────────────────────── */
static err_t give_block(task_t *t, void *arg, const cid_t *cid, uint64_t size)
{
    each_t *e = arg;
    return e->emit(t, e->arg, cid);
}

static bool is_file(block_t *block)
{
    AUTO(dag_node_t) node = {0};
    return dag_node_decode(block, &node) == OK && dag_node_is_file(&node);
}

static err_t visit(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    each_t *e = arg;
    e->walker.skips_links =
        e->flags & PROVIDED_ENTITIES && block && cid->codec == CODEC_DAG_PB && is_file(block);
    return e->emit(t, e->arg, cid);
}

static err_t pass_over(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    return OK;
}

static err_t give_pin(task_t *t, void *arg, const pin_t *pin)
{
    each_t *e = arg;
    if (pin->mode == PIN_RECURSIVE && e->flags & PROVIDED_PINNED)
        return dag_walker_run(t, &e->walker, &pin->cid);
    return e->emit(t, e->arg, &pin->cid);
}

static err_t give_mfs(task_t *t, repo_t *repo, each_t *e)
{
    cid_t root;
    bool has;
    TRY(mfs_durable_root(t, repo_mfs(repo), &root, &has));
    return has ? dag_walker_run(t, &e->walker, &root) : OK;
}

err_t provided_each(task_t *t, repo_t *repo, unsigned flags,
                    err_t (*emit)(task_t *t, void *arg, const cid_t *cid), void *arg)
{
    each_t e = {.emit = emit, .arg = arg, .flags = flags};
    if (flags & PROVIDED_ALL)
        return blockstore_each(t, repo_blockstore(repo), give_block, &e);
    dag_walker_init(&e.walker, repo_blocks(repo));
    e.walker.skips_raw = true;
    e.walker.visit = visit;
    e.walker.missing = pass_over;
    e.walker.arg = &e;
    err_t result = OK;
    if (flags & (PROVIDED_PINNED | PROVIDED_ROOTS))
        result =
            pins_each(t, repo_pins(repo), repo_blocks(repo), PIN_RECURSIVE | PIN_DIRECT, NULL, give_pin, &e);
    if (!result && flags & PROVIDED_MFS)
        result = give_mfs(t, repo, &e);
    dag_walker_deinit(&e.walker);
    return result;
}
