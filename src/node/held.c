/* Which of the roots that replication holds needs a block. */
#include "node/held.h"
#include "dag/walk.h"
#include "node/node.h"
#include <stdlib.h>

enum { HELD_BLOCKS_MAX = 16 << 20 };

typedef struct held_list {
    cid_t *roots;
    size_t n;
} held_list_t;

static err_t list_held(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    held_list_t *l = arg;
    cid_t root;
    TRY(cid_decode(key, &root));
    l->roots = xrealloc(l->roots, (l->n + 1) * sizeof *l->roots);
    l->roots[l->n++] = root;
    return OK;
}

/* Stops where something is not here: what is below is not held either. */
static err_t check_below(task_t *t, node_t *n, const cid_t *root, const cid_t *block)
{
    char text[CID_TEXT_MAX];
    AUTO(walk_t) w;
    walk_init(&w, node_local_blocks(n), root,
              (walk_options_t){.max_depth = SIZE_MAX, .is_unique = true, .max_visited = HELD_BLOCKS_MAX});
    for (;;) {
        walk_step_t step;
        bool has;
        if (walk_next(t, &w, &step, &has))
            return task_check(t);
        if (!has)
            return OK;
        if (cid_same_multihash(&step.cid, block))
            return fail(ERR_IN_USE, "held as a copy via %s", cid_print(root, text));
    }
}

err_t node_check_held(task_t *t, node_t *n, const cid_t *block)
{
    held_list_t l = {0};
    err_t e = kv_scan(t, repo_state(node_repo(n)), HELD_SPACE, NULL, list_held, &l);
    for (size_t i = 0; i < l.n && !e; i++)
        e = check_below(t, n, &l.roots[i], block);
    free(l.roots);
    return e;
}
