/* What authors said last. A message must have a higher sequence number than all that its author had said when
 * those before it began to be forgotten: within that time the memory of ids tells copies apart, whatever
 * order they come in; after it, this does. The numbers are saved now and then, so that neither a restart
 * brings old messages back. */
#include "base/log.h"
#include "pubsub/internal.h"
#include "task/driver.h"
#include <stdlib.h>

enum { SAVE_BATCH = 512 };

static void run_save(void *arg);

void ps_seqnos_init(pubsub_t *ps)
{
    map_init(&ps->authors, PUBSUB_AUTHORS_MAX);
    list_init(&ps->author_order);
    alarm_init(&ps->save_alarm, ps->sched, run_save, ps);
}

static void author_free(pubsub_t *ps, ps_author_t *a)
{
    map_remove(&ps->authors, peer_id_bytes(&a->id));
    list_remove(&a->node);
    free(a);
}

/* ── saving ──────────────────────────────────────────────────────────────────────────────────── */
static size_t collect_dirty(pubsub_t *ps, pubsub_seqno_t *out, size_t cap)
{
    size_t n = 0;
    LIST_EACH (a, &ps->author_order, ps_author_t, node) {
        if (n == cap)
            break;
        if (!a->is_dirty)
            continue;
        out[n++] = (pubsub_seqno_t){a->id, a->newest};
        a->is_dirty = false;
    }
    return n;
}

err_t pubsub_save_seqnos(task_t *t, pubsub_t *ps)
{
    pubsub_seqno_t *batch = xcalloc(SAVE_BATCH, sizeof *batch);
    err_t e = OK;
    for (size_t n; !e && (n = collect_dirty(ps, batch, SAVE_BATCH));)
        e = ps->config.save_seqnos ? ps->config.save_seqnos(t, ps->config.arg, batch, n) : OK;
    free(batch);
    if (e)
        log_warn("pubsub: sequence numbers could not be saved", LOG_ERR(e));
    return e;
}

static err_t save_task(task_t *t, void *arg)
{
    pubsub_t *ps = arg;
    (void)!pubsub_save_seqnos(t, ps);
    ps->is_saving = false;
    return OK;
}

static void run_save(void *arg)
{
    pubsub_t *ps = arg;
    ps->will_save = false;
    if (ps->is_saving || ps->is_closing)
        return;
    ps->is_saving = !group_spawn(&ps->group, "pubsub-save", save_task, ps, NULL);
}

void ps_seqnos_close(task_t *t, pubsub_t *ps)
{
    alarm_clear(&ps->save_alarm);
    task_shield(t);
    (void)!pubsub_save_seqnos(t, ps);
    task_unshield(t);
    LIST_EACH (a, &ps->author_order, ps_author_t, node) {
        author_free(ps, a);
    }
    map_deinit(&ps->authors);
}

static void mark_dirty(pubsub_t *ps, ps_author_t *a)
{
    a->is_dirty = true;
    if (!ps->config.save_seqnos || ps->will_save)
        return;
    ps->will_save = true;
    alarm_set(&ps->save_alarm, sched_now_ms(ps->sched) + PUBSUB_SAVE_MS);
}

/* ── taking ──────────────────────────────────────────────────────────────────────────────────── */
static ps_author_t *find_author(pubsub_t *ps, const peer_id_t *id)
{
    return map_get(&ps->authors, peer_id_bytes(id));
}

/* The author, from disk when it is not in memory. The one not heard of for longest makes room; when it was
 * not saved yet, that is done first. NULL: interrupted. */
static ps_author_t *load_author(task_t *t, pubsub_t *ps, const peer_id_t *id)
{
    uint64_t saved = 0;
    if (ps->config.load_seqno && ps->config.load_seqno(t, ps->config.arg, id, &saved))
        saved = 0;
    ps_author_t *a = find_author(ps, id);
    if (a || task_check(t))
        return a; /* another message was faster */
    while (map_count(&ps->authors) >= PUBSUB_AUTHORS_MAX) {
        ps_author_t *oldest = LIST_FIRST(&ps->author_order, ps_author_t, node);
        if (oldest->is_dirty && pubsub_save_seqnos(t, ps))
            return NULL;
        oldest = LIST_FIRST(&ps->author_order, ps_author_t, node);
        if (oldest)
            author_free(ps, oldest);
    }
    if ((a = find_author(ps, id)))
        return a;
    a = xcalloc(1, sizeof *a);
    a->id = *id;
    a->newest = a->rising = a->floor = saved;
    a->turned_ms = task_now_ms(t);
    err_t e = map_put(&ps->authors, peer_id_bytes(id), a, NULL);
    assert(!e);
    list_push_back(&ps->author_order, &a->node);
    return a;
}

/* Each half of the time that messages are remembered, what was the newest becomes what must be exceeded: one
 * turn later. */
static void turn(pubsub_t *ps, ps_author_t *a, uint64_t now_ms)
{
    uint64_t half_ms = ps->config.seen_ttl_ms / 2 + 1, turns = (now_ms - a->turned_ms) / half_ms;
    if (!turns)
        return;
    a->floor = turns > 1 ? a->newest : a->rising;
    a->rising = a->newest;
    a->turned_ms += turns * half_ms;
}

bool ps_seqno_take(task_t *t, pubsub_t *ps, const peer_id_t *author, uint64_t seqno)
{
    ps_author_t *a = find_author(ps, author);
    if (!a && !(a = load_author(t, ps, author)))
        return false;
    turn(ps, a, task_now_ms(t));
    list_remove(&a->node);
    list_push_back(&ps->author_order, &a->node);
    if (seqno <= a->floor)
        return false;
    if (seqno > a->newest) {
        a->newest = seqno;
        mark_dirty(ps, a);
    }
    return true;
}

/* Nanoseconds since 1970, as the reference does, and always more than the one before. */
uint64_t ps_seqno_next(pubsub_t *ps)
{
    uint64_t now = driver_wall_ms(sched_driver(ps->sched)) * 1000000;
    ps->own_seqno = ps->own_seqno < now ? now : ps->own_seqno + 1;
    return ps->own_seqno;
}

size_t pubsub_forget_seqnos(pubsub_t *ps, const peer_id_t *author)
{
    size_t n = 0;
    LIST_EACH (a, &ps->author_order, ps_author_t, node) {
        if (author && !peer_id_equal(author, &a->id))
            continue;
        author_free(ps, a);
        n++;
    }
    return n;
}
