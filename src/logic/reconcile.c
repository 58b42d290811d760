#include "logic/reconcile.h"
#include "base/list.h"
#include <stdlib.h>

enum { FOUND_MAX = 65536 }; /* of each kind, until they are taken out; the next session finds the rest */

typedef struct keys {
    kad_key_t *keys;
    size_t n, cap;
} keys_t;
struct reconcile {
    const tombstones_t *set;
    reconcile_state_t state;
    size_t max_questions, n_questions, n_under_way, n_open, cap_open;
    kad_prefix_t *open; /* to be asked; RECONCILE_OPEN at most */
    keys_t lacking, extra;
};

static bool is_prefix(const kad_prefix_t *p)
{
    return p->len % 4 == 0 && p->len < (size_t)RECONCILE_DEPTH * 4;
}

static kad_prefix_t child_of(const kad_prefix_t *p, size_t digit)
{
    kad_prefix_t child = {p->key, p->len + 4};
    uint8_t *at = &child.key.data[p->len / 8];
    *at = (uint8_t)(p->len % 8 ? (*at & 0xf0) | digit : digit << 4);
    return child;
}

static reconcile_summary_t summary_of(const tombstones_t *set, const kad_prefix_t *p)
{
    reconcile_summary_t s;
    tombstones_digest(set, p, &s.count, &s.digest);
    return s;
}

static bool is_same(const reconcile_summary_t *a, const reconcile_summary_t *b)
{
    return a->count == b->count && a->digest == b->digest;
}

/* ── the answering side ──────────────────────────────────────────────────────────────────────── */
err_t reconcile_answer(const tombstones_t *set, const reconcile_question_t *q, reconcile_reply_t *ret)
{
    if (!is_prefix(&q->prefix))
        return fail(ERR_INVALID, "a prefix of %zu bits is none to compare deleted files by", q->prefix.len);
    reconcile_summary_t has = summary_of(set, &q->prefix);
    if (is_same(&has, &q->has)) {
        *ret = (reconcile_reply_t){.kind = RECONCILE_SAME};
    } else if (has.count <= RECONCILE_KEYS) {
        *ret = (reconcile_reply_t){.kind = RECONCILE_IS_KEYS};
        ret->n_keys = tombstones_list(set, &q->prefix, NULL, ret->keys, RECONCILE_KEYS);
    } else {
        *ret = (reconcile_reply_t){.kind = RECONCILE_IS_CHILDREN};
        for (size_t i = 0; i < RECONCILE_CHILDREN; i++) {
            kad_prefix_t child = child_of(&q->prefix, i);
            ret->children[i] = summary_of(set, &child);
        }
    }
    return OK;
}

/* ── the asking side ─────────────────────────────────────────────────────────────────────────── */
reconcile_t *reconcile_new(const tombstones_t *set, size_t max_questions)
{
    reconcile_t *r = xcalloc(1, sizeof *r);
    r->set = set;
    r->max_questions = max_questions;
    r->cap_open = RECONCILE_CHILDREN;
    r->open = xcalloc(r->cap_open, sizeof *r->open);
    r->n_open = 1; /* the empty prefix */
    return r;
}

void reconcile_free(reconcile_t *r)
{
    if (!r)
        return;
    free(r->open);
    free(r->lacking.keys);
    free(r->extra.keys);
    free(r);
}

reconcile_state_t reconcile_state(const reconcile_t *r)
{
    return r->state;
}

size_t reconcile_questions(const reconcile_t *r)
{
    return r->n_questions;
}

bool reconcile_next_question(reconcile_t *r, reconcile_question_t *ret)
{
    if (r->state != RECONCILE_ASKING || !r->n_open)
        return false;
    if (r->n_questions == r->max_questions) {
        r->state = RECONCILE_CUT;
        return false;
    }
    ret->prefix = r->open[--r->n_open]; /* the last one: depth first, so that few wait */
    ret->has = summary_of(r->set, &ret->prefix);
    r->n_questions++;
    r->n_under_way++;
    return true;
}

static err_t cut(reconcile_t *r, const char *why)
{
    r->state = RECONCILE_CUT;
    return fail(ERR_PROTOCOL, "a peer that compares deleted files %s", why);
}

static void found(reconcile_t *r, keys_t *k, const kad_key_t *key)
{
    if (k->n == FOUND_MAX) {
        r->state = RECONCILE_CUT;
        return;
    }
    if (k->n == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 64;
        k->keys = xrealloc(k->keys, k->cap * sizeof *k->keys);
    }
    k->keys[k->n++] = *key;
}

static bool take(keys_t *k, kad_key_t *ret)
{
    if (!k->n)
        return false;
    *ret = k->keys[--k->n];
    return true;
}

bool reconcile_next_lacking(reconcile_t *r, kad_key_t *ret)
{
    return take(&r->lacking, ret);
}

bool reconcile_next_extra(reconcile_t *r, kad_key_t *ret)
{
    return take(&r->extra, ret);
}

static bool are_keys_in_order(const kad_prefix_t *p, const reconcile_reply_t *reply)
{
    for (size_t i = 0; i < reply->n_keys; i++)
        if (!kad_prefix_has(p, &reply->keys[i]) ||
            (i && memcmp(reply->keys[i - 1].data, reply->keys[i].data, KAD_KEY_BYTES) >= 0))
            return false;
    return true;
}

/* Both lists ascend: what is in one of them only. */
static void compare_keys(reconcile_t *r, const kad_prefix_t *p, const reconcile_reply_t *reply)
{
    kad_key_t ours[RECONCILE_KEYS];
    size_t theirs = 0, n;
    const kad_key_t *after = NULL;
    kad_key_t last;
    do {
        n = tombstones_list(r->set, p, after, ours, RECONCILE_KEYS);
        for (size_t i = 0; i < n; i++) {
            while (theirs < reply->n_keys &&
                   memcmp(reply->keys[theirs].data, ours[i].data, KAD_KEY_BYTES) < 0)
                found(r, &r->lacking, &reply->keys[theirs++]);
            if (theirs < reply->n_keys && kad_key_equal(&reply->keys[theirs], &ours[i]))
                theirs++;
            else
                found(r, &r->extra, &ours[i]);
        }
        if (n) {
            last = ours[n - 1];
            after = &last;
        }
    } while (n == RECONCILE_KEYS);
    for (; theirs < reply->n_keys; theirs++)
        found(r, &r->lacking, &reply->keys[theirs]);
}

static err_t open_children(reconcile_t *r, const kad_prefix_t *p, const reconcile_reply_t *reply)
{
    for (size_t i = 0; i < RECONCILE_CHILDREN; i++) {
        kad_prefix_t child = child_of(p, i);
        reconcile_summary_t ours = summary_of(r->set, &child);
        if (is_same(&ours, &reply->children[i]))
            continue;
        if (!is_prefix(&child))
            return cut(r, "names more than one key of all bits");
        if (r->n_open == RECONCILE_OPEN)
            return cut(r, "differs in more places than are remembered");
        if (r->n_open == r->cap_open) {
            r->cap_open *= 2;
            r->open = xrealloc(r->open, r->cap_open * sizeof *r->open);
        }
        r->open[r->n_open++] = child;
    }
    return OK;
}

err_t reconcile_answered(reconcile_t *r, const reconcile_question_t *q, const reconcile_reply_t *reply)
{
    assert(r->n_under_way > 0);
    r->n_under_way--;
    if (r->state != RECONCILE_ASKING)
        return OK;
    switch (reply->kind) {
    case RECONCILE_SAME:
        break;
    case RECONCILE_IS_KEYS:
        if (reply->n_keys > RECONCILE_KEYS || !are_keys_in_order(&q->prefix, reply))
            return cut(r, "names keys that were not asked for");
        compare_keys(r, &q->prefix, reply);
        break;
    case RECONCILE_IS_CHILDREN:
        TRY(open_children(r, &q->prefix, reply));
        break;
    default:
        return cut(r, "gives no answer");
    }
    if (r->state == RECONCILE_ASKING && !r->n_open && !r->n_under_way)
        r->state = RECONCILE_DONE;
    return OK;
}
