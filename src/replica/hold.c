/* Fetching what is to be held. */
#include "base/log.h"
#include "dag/walk.h"
#include "replica/internal.h"
#include <stdlib.h>

/* ── this node's blocks alone ────────────────────────────────────────────────────────────────── */
static err_t local_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    return blockstore_get(t, CONTAINER_OF(b, replica_t, local)->config.blocks, cid, ret_block);
}

static err_t local_put(task_t *t, blocks_t *b, block_t *const *list, size_t n)
{
    return blockstore_put_many(t, CONTAINER_OF(b, replica_t, local)->config.blocks, list, n);
}

static bool local_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blockstore_has(t, CONTAINER_OF(b, replica_t, local)->config.blocks, cid);
}

static const blocks_ops_t local_ops = {.get = local_get, .put_many = local_put, .has = local_has};

void rep_local_init(replica_t *r)
{
    r->local.ops = &local_ops;
}

/* ── walks ───────────────────────────────────────────────────────────────────────────────────── */
err_t rep_walk(task_t *t, blocks_t *blocks, const cid_t *root, uint32_t stall_ms, uint64_t max_bytes,
               uint64_t *ret_bytes)
{
    AUTO(walk_t) w;
    walk_init(&w, blocks, root,
              (walk_options_t){.max_depth = SIZE_MAX,
                               .is_unique = true,
                               .loads_leaves = true,
                               .max_visited = REPLICA_FETCH_MAX_BLOCKS});
    uint64_t bytes = 0;
    for (;;) {
        walk_step_t step;
        bool has;
        deadline_t d = deadline_push(t, stall_ms);
        err_t e = walk_next(t, &w, &step, &has);
        deadline_pop(t, &d);
        TRY(e);
        if (!has)
            break;
        bytes += step.block->len;
        if (bytes > max_bytes)
            return fail(ERR_LIMIT, "the DAG is larger than the %llu bytes that are left for it",
                        (unsigned long long)max_bytes);
    }
    *ret_bytes = bytes;
    return OK;
}

/* Is all of it here, and how large is it? Leaves are looked up, not read. */
err_t rep_local_size(task_t *t, replica_t *r, const cid_t *root, bool *ret_is_local, uint64_t *ret_bytes)
{
    AUTO(walk_t) w;
    walk_init(
        &w, &r->local, root,
        (walk_options_t){.max_depth = SIZE_MAX, .is_unique = true, .max_visited = REPLICA_FETCH_MAX_BLOCKS});
    uint64_t bytes = 0;
    for (;;) {
        walk_step_t step;
        bool has;
        err_t e = walk_next(t, &w, &step, &has);
        uint64_t size = 0;
        if (!e && !has)
            break;
        if (!e && step.block)
            size = step.block->len;
        else if (!e && !cid_is_identity(&step.cid))
            e = blockstore_size(t, r->config.blocks, &step.cid, &size);
        if (e == ERR_NOT_FOUND || e == ERR_CORRUPT) {
            *ret_is_local = false;
            *ret_bytes = 0;
            return OK;
        }
        TRY(e);
        bytes += size;
    }
    *ret_is_local = true;
    *ret_bytes = bytes;
    return OK;
}

/* ── fetching ────────────────────────────────────────────────────────────────────────────────── */
typedef struct fetch {
    replica_t *r;
    cid_t root;
} fetch_t;

static void add_holders(replica_t *r, bitswap_session_t *s, const cid_t *root)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    for (size_t i = 0; p && i < plan_root_entries(p); i++) {
        plan_entry_t e = plan_root_entry(p, i);
        if (e.state == PLAN_HOLDS)
            bitswap_add_peer(s, &e.peer);
    }
}

typedef struct fetched {
    blocks_t *blocks;
    const cid_t *root;
    uint32_t stall_ms;
    uint64_t max_bytes, bytes;
    err_t result;
    error_slot_t why;
} fetched_t;

static err_t walk(task_t *t, fetched_t *f)
{
    return rep_walk(t, f->blocks, f->root, f->stall_ms, f->max_bytes, &f->bytes);
}

static err_t walk_task(task_t *t, void *arg)
{
    fetched_t *f = arg;
    f->result = walk(t, f);
    f->why = *error_slot();
    return OK;
}

static err_t root_block(task_t *t, const fetched_t *f, block_t **ret)
{
    deadline_t d = deadline_push(t, f->stall_ms);
    err_t e = blocks_get(t, f->blocks, f->root, ret);
    deadline_pop(t, &d);
    return e;
}

/* The mesh looks at the root while the rest comes: it asks others, and those that are gone answer nothing for
 * seconds. Nothing is held before it has agreed. */
static err_t fetch_admitted(task_t *t, replica_t *r, fetched_t *f)
{
    AUTO_PTR(block_t) root = NULL;
    group_t g;
    if (!r->mesh.admit)
        return walk(t, f);
    TRY(root_block(t, f, &root));
    group_init(&g, r->sched);
    err_t e = group_spawn(&g, "replica-walk", walk_task, f, NULL);
    if (!e)
        e = r->mesh.admit(t, r->mesh.arg, f->root, root);
    error_slot_t why = *error_slot();
    if (e)
        group_cancel(&g);
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    *error_slot() = e ? why : f->why;
    return e ? e : joined ? joined : f->result;
}

static err_t fetch_dag(task_t *t, replica_t *r, const cid_t *root, uint64_t max_bytes, uint64_t *ret_bytes)
{
    bitswap_session_t *s;
    uint64_t losses = blockstore_losses(r->config.blocks);
    TRY(bitswap_session_open(r->config.bitswap, &s));
    add_holders(r, s, root);
    fetched_t f = {.blocks = bitswap_session_blocks(s),
                   .root = root,
                   .stall_ms = r->config.fetch_timeout_ms,
                   .max_bytes = max_bytes};
    err_t e = fetch_admitted(t, r, &f);
    *ret_bytes = f.bytes;
    bitswap_session_close(s);
    return e ? e : blockstore_sync_since(t, r->config.blocks, losses); /* durable before it is said */
}

static bool is_still_wanted(replica_t *r, const cid_t *root)
{
    plan_root_t *p = replica_planner_root(r->planner, root);
    return p && plan_root_self(r->planner, p) == PLAN_FETCHING;
}

/* What is left of the quota; and no more than the owner said, since that is what was counted. The slack is
 * for DAGs with blocks that are counted in another way. */
static uint64_t may_take(const replica_t *r, uint64_t said, uint64_t others)
{
    uint64_t left = r->config.max_bytes > others ? r->config.max_bytes - others : 0;
    uint64_t slack = said / 16 + (64 << 10);
    return said && said < left && slack < left - said ? said + slack : left;
}

/* Pinned before its first block comes: the collector leaves alone what is here of it. */
static err_t fetch_and_hold(task_t *t, replica_t *r, const cid_t *root)
{
    TRY(gate_enter(t, &r->fetch_gate));
    uint64_t bytes = 0, others = rep_held_bytes(r);
    plan_root_t *p = replica_planner_root(r->planner, root);
    uint64_t own = p ? plan_root_head(p)->size_bytes : 0;
    others = others > own ? others - own : 0;
    err_t e = is_still_wanted(r, root) ? OK : ERR_CANCELED;
    if (!e)
        e = r->config.pin(t, r->config.arg, root);
    if (!e)
        e = fetch_dag(t, r, root, may_take(r, own, others), &bytes);
    gate_leave(&r->fetch_gate);
    TRY(e);
    if (!is_still_wanted(r, root))
        return ERR_CANCELED;
    replica_planner_size(r->planner, root, bytes, task_now_ms(t)); /* when less was said, or nothing */
    return OK;
}

static err_t fetch_task(task_t *t, void *arg)
{
    fetch_t f = *(fetch_t *)arg;
    free(arg);
    replica_t *r = f.r;
    char text[CID_TEXT_MAX];
    err_t e = fetch_and_hold(t, r, &f.root);
    uint8_t key[CID_BINARY_MAX];
    map_remove(&r->fetching, bytes_of(key, cid_encode_multihash(&f.root, key)));
    if (r->is_closing)
        return OK; /* goes on at the next start */
    if (e && is_still_wanted(r, &f.root)) {
        r->fetches_failed++;
        log_warn("replica: a DAG that was to be held did not come", LOG_STR("cid", cid_print(&f.root, text)),
                 LOG_ERR(e));
        replica_planner_self(r->planner, &f.root, PLAN_LEFT, rep_wall_ms(r), task_now_ms(t));
    } else if (!e) {
        log_info("replica: holding a DAG", LOG_STR("cid", cid_print(&f.root, text)));
        replica_planner_self(r->planner, &f.root, PLAN_HOLDS, rep_wall_ms(r), task_now_ms(t));
        if (r->mesh.held)
            r->mesh.held(r->mesh.arg, &f.root);
    }
    if (e && !replica_planner_root(r->planner, &f.root) && /* deleted while it was pinned */
        r->config.unpin(t, r->config.arg, &f.root))
        log_debug("replica: what was deleted had not been pinned");
    event_fire(&r->changed);
    rep_pump(r);
    return OK;
}

void rep_start_fetch(replica_t *r, const cid_t *root)
{
    uint8_t key[CID_BINARY_MAX];
    bytes_t k = bytes_of(key, cid_encode_multihash(root, key));
    if (map_has(&r->fetching, k) || map_put(&r->fetching, k, r, NULL))
        return;
    fetch_t *f = xcalloc(1, sizeof *f);
    *f = (fetch_t){r, *root};
    if (group_spawn(&r->group, "replica-fetch", fetch_task, f, NULL)) {
        map_remove(&r->fetching, k);
        free(f);
    }
}
