#include "logic/ledger.h"
#include "base/list.h"
#include "base/map.h"
#include <stdlib.h>

typedef enum { LEDGER_QUEUED, LEDGER_SERVING, LEDGER_WAITING } state_t;

/* One want; the CID in binary form behind it, since there may be many. */
typedef struct want {
    list_t node; /* in queue or waiting */
    uint64_t serial;
    uint32_t message; /* the one that named it last */
    int32_t priority;
    uint8_t state;
    bool is_have, send_dont_have;
    bool came; /* into the store while SERVING */
    uint8_t cid_len;
    uint8_t cid[];
} want_t;

struct ledger_peer {
    list_t node, active;
    peer_id_t id;
    void *user;
    map_t wants; /* multihash -> want_t */
    list_t queue, waiting;
    size_t n_queued, n_waiting;
    int64_t deficit;
    uint32_t turns, message;
    ledger_account_t account;
};

struct ledger {
    ledger_limits_t limits;
    map_t by_id;
    list_t peers;
    list_t active; /* with queued wants and a turn to give, in the order of turns */
    size_t n_wants;
    uint64_t serial;
};

void ledger_limits_default(ledger_limits_t *ret)
{
    *ret = (ledger_limits_t){.max_peer_wants = 1024,
                             .max_wants = 65536,
                             .max_peers = 4096,
                             .quantum_bytes = 1 << 20,
                             .max_peer_turns = 2};
}

ledger_t *ledger_new(const ledger_limits_t *limits)
{
    ledger_t *l = xcalloc(1, sizeof *l);
    l->limits = *limits;
    map_init(&l->by_id, limits->max_peers);
    list_init(&l->peers);
    list_init(&l->active);
    return l;
}

/* ── wants ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct key {
    uint8_t bytes[CID_BINARY_MAX];
} want_key_t;

static bytes_t key_of(const cid_t *cid, want_key_t *k)
{
    return bytes_of(k->bytes, cid_encode_multihash(cid, k->bytes));
}

static cid_t want_cid(const want_t *w)
{
    cid_t c;
    err_t e = cid_decode(bytes_of(w->cid, w->cid_len), &c);
    assert(!e); /* encoded by us */
    return c;
}

/* In the round of turns exactly while it has queued wants and may have one more turn. */
static void update_active(ledger_t *l, ledger_peer_t *p)
{
    bool may = p->n_queued && p->turns < l->limits.max_peer_turns;
    if (may && !list_is_linked(&p->active))
        list_push_back(&l->active, &p->active);
    else if (!may)
        list_remove(&p->active);
    if (!p->n_queued && !p->turns)
        p->deficit = 0; /* nothing is saved up while idle */
}

static void unlink_want(ledger_peer_t *p, want_t *w)
{
    list_remove(&w->node);
    p->n_queued -= w->state == LEDGER_QUEUED;
    p->n_waiting -= w->state == LEDGER_WAITING;
}

static void enqueue(ledger_peer_t *p, want_t *w)
{
    list_t *at = p->queue.prev; /* behind all of its priority or a higher one */
    while (at != &p->queue && LIST_ENTRY(at, want_t, node)->priority < w->priority)
        at = at->prev;
    list_insert_before(at->next, &w->node);
    w->state = LEDGER_QUEUED;
    p->n_queued++;
}

static void free_want(ledger_t *l, ledger_peer_t *p, want_t *w)
{
    unlink_want(p, w);
    cid_t c = want_cid(w);
    want_key_t k;
    map_remove(&p->wants, key_of(&c, &k));
    l->n_wants--;
    free(w);
}

static want_t *find(const ledger_peer_t *p, const cid_t *cid)
{
    want_key_t k;
    return map_get(&p->wants, key_of(cid, &k));
}

/* Makes room by dropping what matters least to the peer; false when that is the new want itself. */
static bool make_room(ledger_t *l, ledger_peer_t *p, int32_t priority)
{
    if (map_count(&p->wants) < l->limits.max_peer_wants && l->n_wants < l->limits.max_wants)
        return true;
    want_t *least = NULL;
    if (p->n_waiting)
        least = LIST_ENTRY(p->waiting.next, want_t, node); /* the oldest that we don't have */
    else if (p->n_queued)
        least = LIST_ENTRY(p->queue.prev, want_t, node);
    if (!least || (least->state == LEDGER_QUEUED && least->priority >= priority))
        return false;
    free_want(l, p, least);
    return true;
}

void ledger_message_begin(ledger_t *l, ledger_peer_t *p)
{
    (void)l;
    p->message++;
}

bool ledger_want(ledger_t *l, ledger_peer_t *p, const cid_t *cid, int32_t priority, bool is_have,
                 bool send_dont_have)
{
    want_t *w = find(p, cid);
    if (w && w->state == LEDGER_SERVING && !(w->is_have && !is_have)) {
        w->message = p->message;
        return true; /* on its way */
    }
    if (w) { /* an answer was lost or the mind changed: it is answered anew; a queued want-block stays one */
        is_have = is_have && !(w->state == LEDGER_QUEUED && !w->is_have);
        free_want(l, p, w);
    }
    if (!make_room(l, p, priority)) {
        update_active(l, p);
        return false;
    }
    uint8_t binary[CID_BINARY_MAX];
    size_t len = cid_encode(cid, binary);
    w = xcalloc(1, sizeof *w + len);
    w->cid_len = (uint8_t)len;
    memcpy(w->cid, binary, len);
    w->serial = ++l->serial;
    w->message = p->message;
    w->priority = priority;
    w->is_have = is_have;
    w->send_dont_have = send_dont_have;
    want_key_t k;
    if (map_put(&p->wants, key_of(cid, &k), w, NULL)) {
        free(w);
        return false;
    }
    l->n_wants++;
    enqueue(p, w);
    update_active(l, p);
    return true;
}

void ledger_cancel(ledger_t *l, ledger_peer_t *p, const cid_t *cid)
{
    want_t *w = find(p, cid);
    if (w)
        free_want(l, p, w);
    update_active(l, p);
}

void ledger_message_end(ledger_t *l, ledger_peer_t *p, bool is_full)
{
    void *value;
    for (size_t i = 0; is_full && map_next(&p->wants, &i, NULL, &value);)
        if (((want_t *)value)->message != p->message)
            free_want(l, p, value);
    update_active(l, p);
}

void ledger_clear(ledger_t *l, ledger_peer_t *p)
{
    void *value;
    for (size_t i = 0; map_next(&p->wants, &i, NULL, &value);)
        free_want(l, p, value);
    update_active(l, p);
}

/* ── peers ───────────────────────────────────────────────────────────────────────────────────── */
ledger_peer_t *ledger_peer(ledger_t *l, const peer_id_t *id)
{
    return map_get(&l->by_id, peer_id_bytes(id));
}

ledger_peer_t *ledger_connected(ledger_t *l, const peer_id_t *id)
{
    ledger_peer_t *p = ledger_peer(l, id);
    if (p)
        return p;
    p = xcalloc(1, sizeof *p);
    p->id = *id;
    if (map_put(&l->by_id, peer_id_bytes(id), p, NULL)) {
        free(p);
        return NULL;
    }
    map_init(&p->wants, l->limits.max_peer_wants);
    list_init(&p->queue);
    list_init(&p->waiting);
    list_push_back(&l->peers, &p->node);
    return p;
}

void ledger_disconnected(ledger_t *l, ledger_peer_t *p)
{
    assert(!p->turns);
    ledger_clear(l, p);
    map_deinit(&p->wants);
    map_remove(&l->by_id, peer_id_bytes(&p->id));
    list_remove(&p->active);
    list_remove(&p->node);
    free(p);
}

void ledger_free(ledger_t *l)
{
    if (!l)
        return;
    LIST_EACH (p, &l->peers, ledger_peer_t, node) {
        p->turns = 0;
        ledger_disconnected(l, p);
    }
    map_deinit(&l->by_id);
    free(l);
}

const peer_id_t *ledger_peer_id(const ledger_peer_t *p)
{
    return &p->id;
}

void ledger_peer_set_user(ledger_peer_t *p, void *user)
{
    p->user = user;
}

void *ledger_peer_user(const ledger_peer_t *p)
{
    return p->user;
}

bool ledger_peer_is_busy(const ledger_peer_t *p)
{
    return p->turns;
}

/* ── serving ─────────────────────────────────────────────────────────────────────────────────── */
bool ledger_has_work(const ledger_t *l)
{
    return !list_is_empty(&l->active);
}

ledger_peer_t *ledger_turn_begin(ledger_t *l, size_t *ret_bytes)
{
    for (ledger_peer_t *p; (p = LIST_FIRST(&l->active, ledger_peer_t, active));) {
        list_remove(&p->active);
        list_push_back(&l->active, &p->active);
        p->deficit += l->limits.quantum_bytes;
        if (p->deficit <= 0)
            continue; /* it took more than its share before; ends, since each round adds a quantum */
        *ret_bytes = (size_t)p->deficit;
        p->deficit = 0; /* set against what the turn takes, at its end */
        p->turns++;
        update_active(l, p);
        return p;
    }
    return NULL;
}

bool ledger_next_want(ledger_t *l, ledger_peer_t *p, ledger_want_t *ret)
{
    want_t *w = LIST_FIRST(&p->queue, want_t, node);
    if (!w)
        return false;
    unlink_want(p, w);
    w->state = LEDGER_SERVING;
    *ret = (ledger_want_t){want_cid(w), w->serial, w->is_have, w->send_dont_have};
    update_active(l, p);
    return true;
}

/* The want that is being served, unless it was cancelled or replaced meanwhile. */
static want_t *find_serving(const ledger_peer_t *p, const ledger_want_t *served)
{
    want_t *w = find(p, &served->cid);
    return w && w->serial == served->serial && w->state == LEDGER_SERVING ? w : NULL;
}

void ledger_served(ledger_t *l, ledger_peer_t *p, const ledger_want_t *served)
{
    want_t *w = find_serving(p, served);
    if (w)
        free_want(l, p, w);
}

void ledger_missing(ledger_t *l, ledger_peer_t *p, const ledger_want_t *served)
{
    (void)l;
    want_t *w = find_serving(p, served);
    if (!w)
        return;
    if (w->came) {
        w->came = false;
        enqueue(p, w);
        update_active(l, p);
        return;
    }
    w->state = LEDGER_WAITING;
    list_push_back(&p->waiting, &w->node);
    p->n_waiting++;
}

void ledger_turn_end(ledger_t *l, ledger_peer_t *p, size_t granted_bytes, size_t sent_bytes)
{
    assert(p->turns > 0);
    p->turns--;
    p->deficit += (int64_t)granted_bytes - (int64_t)sent_bytes;
    if (p->deficit > l->limits.quantum_bytes)
        p->deficit = l->limits.quantum_bytes;
    p->account.sent_bytes += sent_bytes;
    p->account.exchanged += sent_bytes > 0;
    update_active(l, p);
}

size_t ledger_have(ledger_t *l, const cid_t *cid)
{
    size_t n = 0;
    want_key_t k;
    bytes_t key = key_of(cid, &k);
    LIST_EACH (p, &l->peers, ledger_peer_t, node) {
        want_t *w = p->n_waiting || p->turns ? map_get(&p->wants, key) : NULL;
        if (w && w->state == LEDGER_SERVING)
            w->came = true;
        if (!w || w->state != LEDGER_WAITING)
            continue;
        unlink_want(p, w);
        enqueue(p, w);
        update_active(l, p);
        n++;
    }
    return n;
}

/* ── accounts ────────────────────────────────────────────────────────────────────────────────── */
void ledger_received(ledger_peer_t *p, size_t bytes)
{
    p->account.received_bytes += bytes;
    p->account.exchanged++;
}

ledger_account_t ledger_peer_account(const ledger_peer_t *p)
{
    ledger_account_t a = p->account;
    a.wants = map_count(&p->wants);
    return a;
}

void ledger_each_want(const ledger_peer_t *p, bool (*fn)(void *arg, const cid_t *cid), void *arg)
{
    size_t at = 0;
    bytes_t key;
    void *value;
    while (map_next(&p->wants, &at, &key, &value)) {
        const want_t *w = value;
        cid_t cid;
        if (!cid_decode(bytes_of(w->cid, w->cid_len), &cid) && !fn(arg, &cid))
            return;
    }
}

size_t ledger_count(const ledger_t *l)
{
    return l->n_wants;
}
