#include "base/log.h"
#include "meta/fs_put_internal.h"
#include <stdlib.h>

enum { GRACE_MS = 3000, NODES_MAX = 64 };

typedef struct copies {
    fs_upload_t *upload;
    const chunk_id_t *id;
    bytes_t sealed;
    const char *order[NODES_MAX]; /* ids of nodes, best first; borrowed from the plan */
    size_t n, next;
    json_t *receipts;
    size_t running;
    err_t last;
    error_slot_t why;
    event_t changed;
} copies_t;

static void add_node(copies_t *c, size_t node)
{
    const char *id = json_string_value(json_object_get(json_array_get(c->upload->nodes, node), "id"));
    for (size_t i = 0; i < c->n; i++)
        if (id && !strcmp(c->order[i], id))
            return;
    if (id && c->n < NODES_MAX)
        c->order[c->n++] = id;
}

/* Those of the plan, then all others. */
static void order_nodes(copies_t *c, size_t index)
{
    const json_t *planned = json_array_get(c->upload->plan, index);
    for (size_t i = 0; i < json_array_size(planned); i++)
        add_node(c, (size_t)json_integer_value(json_array_get(planned, i)));
    for (size_t i = 0; i < json_array_size(c->upload->nodes); i++)
        add_node(c, i);
}

static err_t copy_task(task_t *t, void *arg)
{
    copies_t *c = arg;
    err_t e = ERR_UNREACHABLE;
    while (e && e != ERR_CANCELED && c->next < c->n) {
        char receipt[TICKET_TEXT_MAX];
        const char *node = c->order[c->next++];
        e = fs_node_put(t, c->upload->client, node, c->id, c->upload->ticket, c->sealed, receipt);
        if (!e) {
            json_array_append_new(c->receipts, json_pack("{s:s s:s}", "node", node, "receipt", receipt));
        } else if (e != ERR_CANCELED) {
            c->last = e;
            c->why = *error_slot();
            log_info("a storage node did not take a chunk", LOG_STR("node", node), LOG_ERR(e));
        }
    }
    c->running--;
    event_fire(&c->changed);
    return OK;
}

static err_t wait_for_copies(task_t *t, copies_t *c)
{
    while (c->running && json_array_size(c->receipts) < c->upload->quorum)
        TRY(event_wait(t, &c->changed));
    deadline_t d = deadline_push(t, GRACE_MS);
    err_t e = OK;
    while (c->running && !e)
        e = event_wait(t, &c->changed);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? task_check(t) : e; /* the rest is healed later */
}

err_t fs_copies_send(task_t *t, fs_upload_t *u, size_t index, const chunk_id_t *id, bytes_t sealed,
                     json_t **ret_receipts)
{
    copies_t *c = xcalloc(1, sizeof *c);
    group_t tasks;
    *c = (copies_t){
        .upload = u, .id = id, .sealed = sealed, .receipts = json_array(), .last = ERR_UNREACHABLE};
    event_init(&c->changed);
    order_nodes(c, index);
    group_init(&tasks, task_sched(t));
    err_t e = OK;
    for (uint64_t i = 0; i < u->replication && i < c->n && !e; i++) {
        c->running++;
        e = group_spawn(&tasks, "fs copy", copy_task, c, NULL);
        c->running -= e != OK;
    }
    if (!e)
        e = wait_for_copies(t, c);
    group_stop(t, &tasks);
    group_deinit(&tasks);
    size_t n = json_array_size(c->receipts);
    if (!e && n < u->quorum) {
        *error_slot() = c->why;
        e = fail_also(c->last, "%zu of %llu storage nodes took a chunk", n, (unsigned long long)u->quorum);
    }
    if (e)
        json_decref(c->receipts);
    else
        *ret_receipts = c->receipts;
    free(c);
    return e;
}
