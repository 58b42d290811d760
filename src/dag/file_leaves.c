/* Leaves that are appended one behind the other: workers hash some while the next are read. A link gets its
 * CID when its leaf is collected, in order; until then the node must not be written. */
#include "dag/file_node.h"
#include "task/driver.h"
#include <stdlib.h>

enum {
    LATE_BYTES = 4 << 20,
    LATE_MAX = 16
}; /* leaves that wait for their hashes: room for both cores to work */

struct late_leaf {
    file_leaves_t *leaves;
    block_t *block;
    size_t link; /* of the node */
    bool is_hashing;
    err_t result;
    error_slot_t error;
};

void file_leaves_init(file_leaves_t *l, task_t *t, file_editor_t *ed, bool is_raw, size_t max_leaf_bytes)
{
    size_t cap = LATE_BYTES / (max_leaf_bytes + 1);
    *l = (file_leaves_t){.ed = ed, .is_raw = is_raw, .cap = cap < 2 ? 2 : cap < LATE_MAX ? cap : LATE_MAX};
    l->options = node_format_options(ed->format, ed->format);
    group_init(&l->hashers, task_sched(t));
    event_init(&l->hashed);
}

void file_leaves_deinit(task_t *t, file_leaves_t *l)
{
    error_slot_t saved = *error_slot();
    group_stop(t, &l->hashers);
    group_deinit(&l->hashers);
    for (size_t i = 0; l->late && i < l->cap; i++)
        block_release(l->late[i].block);
    free(l->late);
    *error_slot() = saved;
}

static void hash_leaf(void *arg)
{
    late_leaf_t *late = arg;
    const file_leaves_t *l = late->leaves;
    block_t *b = late->block;
    late->result = import_cid(&l->options, l->is_raw ? CODEC_RAW : CODEC_DAG_PB, block_bytes(b), &b->cid);
    if (!late->result)
        block_make_sum(b); /* for the store, while the bytes are in the processor's cache */
}

static err_t hash_task(task_t *t, void *arg)
{
    late_leaf_t *late = arg;
    work(t, hash_leaf, late);
    if (late->result)
        late->error = *error_slot();
    late->is_hashing = false;
    event_fire(&late->leaves->hashed);
    return OK;
}

static err_t collect(task_t *t, late_leaf_t *late)
{
    file_leaves_t *l = late->leaves;
    while (late->is_hashing)
        TRY(event_wait(t, &l->hashed));
    if (late->result)
        return late->error.code == late->result ? fail(late->result, "%s", late->error.text) : late->result;
    block_t *b = late->block;
    late->block = NULL;
    l->node->links[late->link].ref.cid = b->cid;
    l->n_late--;
    if (!cid_is_identity(&b->cid))
        return put_queue_add(t, &l->ed->queue, b);
    block_release(b);
    return OK;
}

err_t file_leaves_add(task_t *t, file_leaves_t *l, file_node_t *n, block_t *block, size_t size)
{
    if (!l->late)
        l->late = xcalloc(l->cap, sizeof *l->late);
    late_leaf_t *late = &l->late[l->next];
    err_t e = late->block ? collect(t, late) : OK;
    if (e) {
        block_release(block);
        return e;
    }
    assert(!l->n_late || l->node == n);
    l->node = n;
    *late = (late_leaf_t){.leaves = l, .block = block, .link = n->count, .is_hashing = true};
    file_node_add(n, &(dag_ref_t){.tsize = block->len, .size = size});
    l->n_late++;
    l->next = (l->next + 1) % l->cap;
    e = group_spawn(&l->hashers, "hash a leaf", hash_task, late, NULL);
    if (e)
        late->is_hashing = false;
    return e;
}

err_t file_leaves_collect(task_t *t, file_leaves_t *l)
{
    for (size_t i = 0; l->n_late && i < l->cap; i++) {
        late_leaf_t *late = &l->late[(l->next + i) % l->cap];
        if (late->block)
            TRY(collect(t, late));
    }
    return OK;
}
