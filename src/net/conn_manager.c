/* conn_manager: what is known of connected peers as such: their limits, tags and protections; and the
 * trimming of connections from the high mark down to the low one. */
#include "base/log.h"
#include "net/host_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { TRIM_DELAY_MS = 1000, IDLE_CHECK_MS = 30000, IN_USE_MS = 10000 };

peer_t *peer_find(const host_t *h, const peer_id_t *id)
{
    return map_get(&h->peers, peer_id_bytes(id));
}

err_t peer_get(host_t *h, const peer_id_t *id, peer_t **ret)
{
    peer_t *p = peer_find(h, id);
    if (!p) {
        p = xcalloc(1, sizeof *p);
        err_t e = map_put(&h->peers, peer_id_bytes(id), p, NULL);
        if (e) {
            free(p);
            return e;
        }
        p->id = *id;
        p->host = h;
        list_init(&p->conns);
        list_init(&p->dials);
        peer_scope_init(p);
        throttle_peer(p);
    }
    *ret = p;
    return OK;
}

void peer_free_if_unused(peer_t *p)
{
    if (p->refs || p->n_conns || p->n_tags || !list_is_empty(&p->dials))
        return;
    map_remove(&p->host->peers, peer_id_bytes(&p->id));
    peer_scope_deinit(p);
    free(p->tags);
    free(p);
}

/* ── tags ────────────────────────────────────────────────────────────────────────────────────── */
static tag_t *find_tag(peer_t *p, const char *name, bool is_protection)
{
    for (size_t i = 0; i < p->n_tags; i++)
        if (p->tags[i].is_protection == is_protection && !strncmp(p->tags[i].name, name, TAG_NAME_MAX - 1))
            return &p->tags[i];
    return NULL;
}

static void set_tag(host_t *h, const peer_id_t *id, const char *name, int score, bool is_protection)
{
    peer_t *p;
    if (peer_get(h, id, &p))
        return; /* the table is full: the tag would protect nobody who is connected */
    tag_t *tag = find_tag(p, name, is_protection);
    if (!tag && p->n_tags < TAGS_MAX) {
        p->tags = xrealloc(p->tags, (p->n_tags + 1) * sizeof *p->tags);
        tag = &p->tags[p->n_tags++];
        *tag = (tag_t){.is_protection = is_protection};
        snprintf(tag->name, sizeof tag->name, "%s", name);
    }
    if (tag)
        tag->score = score;
}

static void remove_tag(host_t *h, const peer_id_t *id, const char *name, bool is_protection)
{
    peer_t *p = peer_find(h, id);
    tag_t *tag = p ? find_tag(p, name, is_protection) : NULL;
    if (!tag)
        return;
    *tag = p->tags[--p->n_tags];
    peer_free_if_unused(p);
}

void host_protect(host_t *h, const peer_id_t *peer, const char *tag)
{
    set_tag(h, peer, tag, 0, true);
}

void host_unprotect(host_t *h, const peer_id_t *peer, const char *tag)
{
    remove_tag(h, peer, tag, true);
}

void host_tag(host_t *h, const peer_id_t *peer, const char *tag, int score)
{
    if (score)
        set_tag(h, peer, tag, score, false);
    else
        remove_tag(h, peer, tag, false);
}

bool peer_is_protected(const peer_t *p)
{
    for (size_t i = 0; i < p->n_tags; i++)
        if (p->tags[i].is_protection)
            return true;
    return false;
}

static int peer_score(const peer_t *p)
{
    int score = 0;
    for (size_t i = 0; i < p->n_tags; i++)
        score += p->tags[i].score;
    return score;
}

/* ── trimming ─────────────────────────────────────────────────────────────────────── */
/* Which goes first: the lower score, then the one without streams, then the one unused for longer. */
static int compare_worth(const void *left, const void *right)
{
    const conn_t *a = *(conn_t *const *)left, *b = *(conn_t *const *)right;
    int score_a = peer_score(a->peer), score_b = peer_score(b->peer);
    if (score_a != score_b)
        return score_a < score_b ? -1 : 1;
    if (!a->n_streams != !b->n_streams)
        return a->n_streams ? 1 : -1;
    return (a->used_ms > b->used_ms) - (a->used_ms < b->used_ms);
}

/* Somebody waits for something on it, or has got it just now. */
static bool is_in_use(const conn_t *c, uint64_t now_ms)
{
    return c->n_streams && c->moved_ms && now_ms - c->moved_ms < IN_USE_MS;
}

static size_t find_trimmable(host_t *h, conn_t **out)
{
    uint64_t now_ms = sched_now_ms(h->sched);
    size_t n = 0;
    LIST_EACH (c, &h->conns, conn_t, node)
        if (now_ms - c->opened_ms >= h->config.limits.grace_ms && !peer_is_protected(c->peer) &&
            !is_in_use(c, now_ms))
            out[n++] = c;
    return n;
}

static void trim(host_t *h)
{
    if (h->n_conns <= h->config.limits.high_conns)
        return;
    conn_t **victims = xcalloc(h->n_conns, sizeof *victims);
    size_t n = find_trimmable(h, victims), closed = 0;
    qsort(victims, n, sizeof *victims, compare_worth);
    for (size_t i = 0; i < n; i++)
        conn_ref(victims[i]); /* news of one closing may close others */
    for (size_t i = 0; i < n; i++) {
        if (h->n_conns > h->config.limits.low_conns && victims[i]->is_open) {
            conn_close(victims[i]);
            closed++;
        }
        conn_release(victims[i]);
    }
    free(victims);
    log_debug("connections were trimmed", LOG_UINT("closed", closed), LOG_UINT("open", h->n_conns));
}

static void close_idle(host_t *h)
{
    uint64_t now_ms = sched_now_ms(h->sched), max_ms = h->config.limits.idle_conn_timeout_ms;
    if (!max_ms)
        return;
    for (conn_t *c = LIST_FIRST(&h->conns, conn_t, node); c;) {
        bool is_idle = !c->n_streams && !c->peer->n_tags && now_ms - c->used_ms >= max_ms;
        conn_t *next = c->node.next == &h->conns ? NULL : LIST_ENTRY(c->node.next, conn_t, node);
        if (is_idle) {
            conn_close(c);
            next = LIST_FIRST(&h->conns, conn_t, node); /* the list may have changed anywhere */
        }
        c = next;
    }
}

static void on_trim(void *arg)
{
    host_t *h = arg;
    alarm_clear(&h->trim_alarm);
    trim(h);
    close_idle(h);
    if (h->n_conns)
        alarm_set(&h->trim_alarm, sched_now_ms(h->sched) + IDLE_CHECK_MS);
}

void conn_manager_start(host_t *h)
{
    alarm_init(&h->trim_alarm, h->sched, on_trim, h);
}

void conn_manager_stop(host_t *h)
{
    alarm_clear(&h->trim_alarm);
}

void conn_manager_conn_added(host_t *h)
{
    uint64_t at =
        sched_now_ms(h->sched) + (h->n_conns > h->config.limits.high_conns ? TRIM_DELAY_MS : IDLE_CHECK_MS);
    if (at < h->trim_alarm.at_ms)
        alarm_set(&h->trim_alarm, at);
}
