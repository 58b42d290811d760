/* What is left of deleted files: which of them had something here, on disk until the collection that follows
 * has ended; then the receipt may be signed. */
#include "base/log.h"
#include "replica/mesh_internal.h"
#include <stdlib.h>

enum {
    DELAY_MS = 200,  /* a few deletions, one run */
    REST_FACTOR = 4, /* a run that took long is followed by a rest so many times as long */
    /* Nothing was collected: again, less and less often, four times a window at the least; when one has gone
     * by since the last deletion, as rarely as AGAIN_LAST_MS. */
    AGAIN_FIRST_MS = 1000,
    AGAIN_LAST_MS = 3600000,
};

typedef struct uncollected {
    list_t node;
    cid_t root;
    bool is_in_run;  /* it was let go of before the run began */
    bool still_kept; /* letting go of it failed: again with each run */
    bool is_void;    /* it was not deleted after all; freed by the next run, which alone frees any */
} uncollected_t;

static uncollected_t *find(const mesh_t *m, const cid_t *root)
{
    uint8_t key[CID_BINARY_MAX];
    return map_get(&m->by_uncollected, bytes_of(key, cid_encode_multihash(root, key)));
}

bool mesh_is_uncollected(const mesh_t *m, const cid_t *root)
{
    const uncollected_t *u = find(m, root);
    return u && !u->is_void;
}

void mesh_collect_soon(mesh_t *m)
{
    uint64_t now_ms = sched_now_ms(m->sched), at_ms = now_ms + DELAY_MS;
    m->collect_asked_ms = now_ms;
    at_ms = at_ms < m->collect_rest_ms ? m->collect_rest_ms : at_ms;
    at_ms = at_ms < now_ms + m->config.gc_window_ms / 2 ? at_ms : now_ms + m->config.gc_window_ms / 2;
    if (at_ms < m->collect_at_ms)
        m->collect_at_ms = at_ms;
    event_fire(&m->collect_wake);
}

err_t mesh_uncollected_add(mesh_t *m, const cid_t *root)
{
    uint8_t key[CID_BINARY_MAX];
    uncollected_t *u = find(m, root);
    if (u) {
        u->is_void = false;
        return OK;
    }
    u = xcalloc(1, sizeof *u);
    u->root = *root;
    if (map_put(&m->by_uncollected, bytes_of(key, cid_encode_multihash(root, key)), u, NULL)) {
        free(u);
        return fail(ERR_LIMIT, "%d deleted files wait to be collected, the limit", MESH_UNCOLLECTED_MAX);
    }
    list_push_back(&m->uncollected, &u->node);
    mesh_collect_soon(m);
    return OK;
}

/* The copy of a holder, and what this node pins of its own files. */
static err_t let_go(task_t *t, mesh_t *m, const cid_t *root)
{
    err_t e = replica_delete(t, m->config.replica, root);
    if (e && e != ERR_NOT_FOUND)
        return e;
    e = m->config.let_go ? m->config.let_go(t, m->config.arg, root) : OK;
    return e == ERR_NOT_FOUND ? OK : e;
}

void mesh_let_go(task_t *t, mesh_t *m, const cid_t *root)
{
    char text[CID_TEXT_MAX];
    err_t e = let_go(t, m, root);
    uncollected_t *u = find(m, root);
    if (u)
        u->still_kept = e != OK;
    if (e && !task_is_canceled(t))
        log_warn("mesh: a deleted file is still kept", LOG_STR("cid", cid_print(root, text)), LOG_ERR(e));
    mesh_collect_soon(m);
}

static void forget(mesh_t *m, uncollected_t *u)
{
    uint8_t key[CID_BINARY_MAX];
    map_remove(&m->by_uncollected, bytes_of(key, cid_encode_multihash(&u->root, key)));
    list_remove(&u->node);
    free(u);
}

void mesh_uncollected_drop(mesh_t *m, const cid_t *root)
{
    uncollected_t *u = find(m, root);
    if (u)
        u->is_void = true;
}

void mesh_uncollected_free(mesh_t *m)
{
    LIST_EACH (u, &m->uncollected, uncollected_t, node)
        forget(m, u);
    map_deinit(&m->by_uncollected);
}

err_t mesh_take_up(task_t *t, mesh_t *m, const cid_t *root)
{
    char text[CID_TEXT_MAX];
    err_t e = mesh_uncollected_add(m, root);
    if (e)
        log_warn("mesh: a deleted file may not be collected before the next start",
                 LOG_STR("cid", cid_print(root, text)), LOG_ERR(e));
    mesh_let_go(t, m, root); /* a crash may have come in between */
    return task_check(t);
}

static err_t load_one(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    cid_t root;
    return cid_decode(key, &root) ? OK : mesh_take_up(t, arg, &root);
}

err_t mesh_uncollected_load(task_t *t, mesh_t *m)
{
    return kv_scan(t, m->config.state, MESH_UNCOLLECTED_SPACE, NULL, load_one, m);
}

static err_t let_go_again(task_t *t, mesh_t *m)
{
    LIST_EACH (each, &m->uncollected, uncollected_t, node) {
        cid_t root = each->root;
        if (!each->still_kept)
            continue;
        bool is_free = !let_go(t, m, &root);
        TRY(task_check(t));
        each->still_kept = !is_free;
    }
    return OK;
}

/* Those whose manifest is gone. One that somebody pins here, or that an import has just touched, stays. */
static err_t settle(task_t *t, mesh_t *m)
{
    err_t failed = OK;
    LIST_EACH (each, &m->uncollected, uncollected_t, node) {
        uint8_t room[CID_BINARY_MAX];
        cid_t root = each->root;
        if (each->is_void) {
            forget(m, each);
            continue;
        }
        if (!each->is_in_run || !mesh_is_deleted(m, &root)) /* it is being written down */
            continue;
        each->is_in_run = false;
        if (blockstore_has(t, m->config.blocks, &root))
            continue;
        TRY(task_check(t));
        err_t e = mesh_sign_own(t, m, &root);
        bool is_unknown = e == ERR_NOT_FOUND || e == ERR_CORRUPT; /* who deleted it: nobody can sign then */
        if (is_unknown)
            log_warn("mesh: a deleted file was collected without a receipt", LOG_ERR(e));
        if (!e || is_unknown)
            e = kv_delete(t, m->config.state, MESH_UNCOLLECTED_SPACE,
                          bytes_of(room, cid_encode(&root, room)));
        TRY(task_check(t));
        if (!e)
            forget(m, find(m, &root));
        else
            failed = e;
    }
    return failed;
}

static err_t collect(task_t *t, mesh_t *m)
{
    m->collect_at_ms = TIME_NEVER;
    uint64_t begin_ms = task_now_ms(t);
    LIST_EACH (u, &m->uncollected, uncollected_t, node)
        u->is_in_run = true;
    TRY(let_go_again(t, m));
    err_t e = m->config.collect ? m->config.collect(t, m->config.arg) : OK;
    TRY(task_check(t));
    uint64_t now_ms = task_now_ms(t);
    m->collect_rest_ms = now_ms + REST_FACTOR * (now_ms - begin_ms);
    if (!e) {
        m->counts.collections++;
        e = settle(t, m);
        TRY(task_check(t));
    }
    if (e || !list_is_empty(&m->uncollected)) {
        bool is_new = now_ms < m->collect_asked_ms + m->config.gc_window_ms;
        uint64_t most_ms = is_new ? m->config.gc_window_ms / 4 + AGAIN_FIRST_MS : AGAIN_LAST_MS;
        m->collect_step_ms = m->collect_step_ms ? 2 * m->collect_step_ms : AGAIN_FIRST_MS;
        m->collect_step_ms = m->collect_step_ms < most_ms ? m->collect_step_ms : most_ms;
        if (now_ms + m->collect_step_ms < m->collect_at_ms)
            m->collect_at_ms = now_ms + m->collect_step_ms;
        log_debug("mesh: deleted chunks were not all collected yet", LOG_ERR(e));
    } else {
        m->collect_step_ms = 0;
    }
    return OK;
}

err_t mesh_collect_task(task_t *t, void *mesh)
{
    mesh_t *m = mesh;
    for (;;) {
        uint64_t now_ms = task_now_ms(t);
        if (now_ms >= m->collect_at_ms) {
            TRY(collect(t, m));
            continue;
        }
        deadline_t d =
            deadline_push(t, m->collect_at_ms == TIME_NEVER ? TIME_NEVER : m->collect_at_ms - now_ms);
        err_t e = event_wait(t, &m->collect_wake);
        deadline_pop(t, &d);
        if (e && e != ERR_TIMEOUT)
            return e;
        TRY(task_check(t));
    }
}
