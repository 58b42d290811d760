#include "logic/deletion.h"
#include "base/list.h"
#include "base/map.h"
#include <stdlib.h>

typedef struct told {
    deletion_holder_t so_far;
    uint64_t due_ms;
    uint64_t step_ms;
    bool is_busy;
} told_t;
typedef struct deleted_root {
    list_t node; /* of open or done */
    cid_t root;
    told_t *holders; /* DELETION_HOLDERS_MAX at most */
    size_t n, n_gone, cap;
    uint64_t due_ms; /* the earliest of its holders; UINT64_MAX: none can be told */
} deleted_root_t;
struct deletion {
    deletion_config_t config;
    map_t by_root;     /* multihash -> deleted_root_t */
    map_t down;        /* peers that cannot be reached: id -> anything */
    list_t open, done; /* who was told longest ago first */
    uint32_t n_under_way;
    size_t n_open;
};

enum { MAX_DOWN = 65536 };

void deletion_config_default(deletion_config_t *ret)
{
    *ret = (deletion_config_t){
        .poll_ms = 200, .retry_ms = 2000, .retry_max_ms = 600000, .max_under_way = 32, .max_roots = 32768};
}

deletion_t *deletion_new(const deletion_config_t *c)
{
    deletion_t *d = xcalloc(1, sizeof *d);
    d->config = *c;
    map_init(&d->by_root, c->max_roots);
    map_init(&d->down, MAX_DOWN);
    list_init(&d->open);
    list_init(&d->done);
    return d;
}

/* ── roots ───────────────────────────────────────────────────────────────────────────────────── */
static bytes_t key_of(const cid_t *root, uint8_t buf[CID_BINARY_MAX])
{
    return bytes_of(buf, cid_encode_multihash(root, buf));
}

static deleted_root_t *find(const deletion_t *d, const cid_t *root)
{
    uint8_t key[CID_BINARY_MAX];
    return map_get(&d->by_root, key_of(root, key));
}

static void forget(deletion_t *d, deleted_root_t *r)
{
    uint8_t key[CID_BINARY_MAX];
    map_remove(&d->by_root, key_of(&r->root, key));
    for (size_t i = 0; i < r->n; i++)
        d->n_under_way -= r->holders[i].is_busy;
    d->n_open -= r->n_gone < r->n;
    list_remove(&r->node);
    free(r->holders);
    free(r);
}

void deletion_free(deletion_t *d)
{
    if (!d)
        return;
    LIST_EACH (r, &d->open, deleted_root_t, node)
        forget(d, r);
    LIST_EACH (r, &d->done, deleted_root_t, node)
        forget(d, r);
    map_deinit(&d->by_root);
    map_deinit(&d->down);
    free(d);
}

static deleted_root_t *add(deletion_t *d, const cid_t *root)
{
    if (map_count(&d->by_root) >= d->config.max_roots) {
        deleted_root_t *oldest = LIST_FIRST(&d->done, deleted_root_t, node);
        if (!oldest)
            oldest = LIST_FIRST(&d->open, deleted_root_t, node);
        if (!oldest)
            return NULL; /* none may be kept */
        forget(d, oldest);
    }
    uint8_t key[CID_BINARY_MAX];
    deleted_root_t *r = xcalloc(1, sizeof *r);
    r->root = *root;
    if (map_put(&d->by_root, key_of(root, key), r, NULL)) {
        free(r);
        return NULL;
    }
    list_push_back(&d->done, &r->node);
    return r;
}

static told_t *holder_of(deleted_root_t *r, const peer_id_t *peer)
{
    for (size_t i = 0; i < r->n; i++)
        if (peer_id_equal(&r->holders[i].so_far.peer, peer))
            return &r->holders[i];
    return NULL;
}

static bool is_up(const deletion_t *d, const peer_id_t *peer)
{
    return !map_has(&d->down, peer_id_bytes(peer));
}

/* After any change of its holders: when one of them is due, and in which list it stands. */
static void settle(deletion_t *d, deleted_root_t *r, bool was_open)
{
    r->due_ms = UINT64_MAX;
    for (size_t i = 0; i < r->n; i++) {
        const told_t *h = &r->holders[i];
        if (!h->so_far.is_gone && !h->is_busy && h->due_ms < r->due_ms && is_up(d, &h->so_far.peer))
            r->due_ms = h->due_ms;
    }
    bool is_open = r->n_gone < r->n;
    if (is_open == was_open)
        return;
    d->n_open += is_open;
    d->n_open -= was_open;
    list_remove(&r->node);
    list_push_back(is_open ? &d->open : &d->done, &r->node);
}

static told_t *add_holder(deleted_root_t *r, const peer_id_t *peer, uint64_t now_ms)
{
    if (r->n == DELETION_HOLDERS_MAX)
        return NULL;
    if (r->n == r->cap) {
        r->cap = r->cap ? 2 * r->cap : 4;
        r->holders = xrealloc(r->holders, r->cap * sizeof *r->holders);
    }
    told_t *h = &r->holders[r->n++];
    *h = (told_t){.so_far = {.peer = *peer}, .due_ms = now_ms};
    return h;
}

void deletion_start(deletion_t *d, const cid_t *root, const peer_id_t *holders, size_t n, uint64_t now_ms)
{
    deleted_root_t *r = find(d, root);
    if (!r)
        r = add(d, root);
    if (!r)
        return;
    bool was_open = r->n_gone < r->n;
    for (size_t i = 0; i < r->n; i++) {
        r->holders[i].due_ms = now_ms;
        r->holders[i].step_ms = 0;
    }
    for (size_t i = 0; i < n; i++)
        if (!holder_of(r, &holders[i]))
            add_holder(r, &holders[i], now_ms);
    settle(d, r, was_open);
}

bool deletion_receipt(deletion_t *d, const cid_t *root, const peer_id_t *holder, uint64_t wall_ms,
                      uint64_t now_ms)
{
    deleted_root_t *r = find(d, root);
    if (!r)
        return false;
    bool was_open = r->n_gone < r->n;
    told_t *h = holder_of(r, holder);
    if (!h)
        h = add_holder(r, holder, now_ms);
    if (!h || h->so_far.is_gone)
        return false;
    h->so_far.is_gone = true;
    h->so_far.wall_ms = wall_ms;
    r->n_gone++;
    settle(d, r, was_open);
    return true;
}

/* ── who is told ─────────────────────────────────────────────────────────────────────────────── */
void deletion_peer(deletion_t *d, const peer_id_t *peer, bool up, uint64_t now_ms)
{
    if (up == is_up(d, peer))
        return;
    if (up)
        map_remove(&d->down, peer_id_bytes(peer));
    else if (map_put(&d->down, peer_id_bytes(peer), d, NULL))
        return; /* too many to remember: it counts as reachable, and is tried with back-off */
    LIST_EACH (r, &d->open, deleted_root_t, node) {
        told_t *h = holder_of(r, peer);
        if (!h)
            continue;
        if (up) {
            h->due_ms = now_ms;
            h->step_ms = 0;
        }
        settle(d, r, true);
    }
}

bool deletion_next(deletion_t *d, uint64_t now_ms, cid_t *ret_root, peer_id_t *ret_holder)
{
    if (d->n_under_way >= d->config.max_under_way)
        return false;
    LIST_EACH (r, &d->open, deleted_root_t, node) {
        if (r->due_ms > now_ms)
            continue;
        for (size_t i = 0; i < r->n; i++) {
            told_t *h = &r->holders[i];
            if (h->so_far.is_gone || h->is_busy || h->due_ms > now_ms || !is_up(d, &h->so_far.peer))
                continue;
            h->is_busy = true;
            h->so_far.tries++;
            d->n_under_way++;
            *ret_root = r->root;
            *ret_holder = h->so_far.peer;
            settle(d, r, true);
            return true;
        }
    }
    return false;
}

void deletion_told(deletion_t *d, const cid_t *root, const peer_id_t *holder, deletion_answer_t how,
                   uint64_t now_ms)
{
    deleted_root_t *r = find(d, root);
    told_t *h = r ? holder_of(r, holder) : NULL;
    if (!h || !h->is_busy)
        return;
    h->is_busy = false;
    d->n_under_way--;
    bool is_pending = how == DELETION_PENDING;
    uint64_t most_ms = is_pending ? d->config.retry_ms : d->config.retry_max_ms;
    if (!h->step_ms || is_pending != h->so_far.is_pending)
        h->step_ms = is_pending ? d->config.poll_ms : d->config.retry_ms;
    else
        h->step_ms += is_pending ? h->step_ms / 4 : h->step_ms; /* who collects is soon done, as a rule */
    if (h->step_ms > most_ms)
        h->step_ms = most_ms;
    h->so_far.is_pending = is_pending;
    h->due_ms = now_ms + h->step_ms;
    settle(d, r, r->n_gone < r->n);
    list_remove(&r->node); /* others first: with thousands open, those that are due stand in front */
    list_push_back(r->n_gone < r->n ? &d->open : &d->done, &r->node);
}

uint64_t deletion_deadline_ms(const deletion_t *d)
{
    uint64_t at_ms = UINT64_MAX;
    if (d->n_under_way < d->config.max_under_way)
        LIST_EACH (r, &d->open, deleted_root_t, node)
            at_ms = r->due_ms < at_ms ? r->due_ms : at_ms;
    return at_ms;
}

/* ── figures ─────────────────────────────────────────────────────────────────────────────────── */
bool deletion_figures(const deletion_t *d, const cid_t *root, size_t *ret_gone, size_t *ret_holders)
{
    const deleted_root_t *r = find(d, root);
    if (!r)
        return false;
    *ret_gone = r->n_gone;
    *ret_holders = r->n;
    return true;
}

bool deletion_holder_at(const deletion_t *d, const cid_t *root, size_t i, deletion_holder_t *ret)
{
    const deleted_root_t *r = find(d, root);
    if (!r || i >= r->n)
        return false;
    *ret = r->holders[i].so_far;
    return true;
}

size_t deletion_open(const deletion_t *d)
{
    return d->n_open;
}
