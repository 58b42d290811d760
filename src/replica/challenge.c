/* Challenges: a holder proves that it has the bytes. What is asked for and how the proof is made:
 * logic/audit. */
#include "base/bytes.h"
#include "codec/ipld.h"
#include "logic/audit.h"
#include "replica/internal.h"
#include <stdlib.h>

_Static_assert(REPLICA_NONCE_BYTES == AUDIT_NONCE_BYTES, "the nonce is that of the message");
_Static_assert(REPLICA_POINTS_MAX == AUDIT_POINTS_MAX, "as many points as a message has");

/* ── the proof ───────────────────────────────────────────────────────────────────────────────── */
typedef struct proof_work {
    audit_proof_t *proof;
    const block_t *block;
} proof_work_t;

static void add_block(void *arg)
{
    proof_work_t *w = arg;
    audit_proof_add(w->proof, block_bytes(w->block));
}

/* The points name blocks by their CIDs; in the proof they have their places in the message. */
err_t rep_proof(task_t *t, replica_t *r, const replica_message_t *m, uint8_t ret_proof[32])
{
    audit_challenge_t c = {.n = m->n_points};
    audit_proof_t proof;
    memcpy(c.nonce, m->nonce, sizeof c.nonce);
    for (size_t i = 0; i < m->n_points; i++)
        c.points[i] = (audit_point_t){.block = i, .offset = m->points[i].offset};
    audit_proof_init(&proof, &c);
    for (size_t i = 0; i < m->n_points; i++) {
        AUTO_PTR(block_t) b = NULL;
        TRY(blocks_get(t, &r->local, &m->points[i].block, &b));
        proof_work_t w = {&proof, b};
        work(t, add_block, &w);
    }
    audit_proof_finish(&proof, ret_proof);
    return OK;
}

/* ── the challenge ───────────────────────────────────────────────────────────────────────────── */
typedef struct nth_link {
    uint64_t left; /* links before the one that is wanted */
    uint64_t count;
    cid_t cid;
} nth_link_t;

static err_t take_nth(void *arg, const cid_t *link)
{
    nth_link_t *n = arg;
    if (n->count++ == n->left)
        n->cid = *link;
    return OK;
}

/* A block of the DAG by a random way down from the root, so that nobody can keep the root alone. */
static err_t pick_block(task_t *t, replica_t *r, const cid_t *root, cid_t *ret)
{
    cid_t at = *root;
    for (int depth = 0; depth < 64 && ipld_has_links(at.codec); depth++) {
        AUTO_PTR(block_t) b = NULL;
        nth_link_t all = {.left = UINT64_MAX};
        TRY(blocks_get(t, &r->local, &at, &b));
        if (ipld_links(at.codec, block_bytes(b), take_nth, &all) || !all.count)
            break;
        nth_link_t one = {.left = driver_random_u64(task_driver(t)) % (all.count + 1)};
        if (one.left == all.count)
            break; /* this one */
        TRY(ipld_links(at.codec, block_bytes(b), take_nth, &one));
        if (cid_is_identity(&one.cid))
            break;
        at = one.cid;
    }
    *ret = at;
    return OK;
}

/* False: there is nothing here to compare an answer with. */
static bool draw(task_t *t, replica_t *r, const cid_t *root, replica_message_t *m, uint8_t ret_want[32])
{
    driver_random(task_driver(t), m->nonce, sizeof m->nonce);
    for (m->n_points = 0; m->n_points < AUDIT_POINTS; m->n_points++) {
        replica_point_t *p = &m->points[m->n_points];
        if (pick_block(t, r, root, &p->block))
            break;
        p->offset = driver_random_u64(task_driver(t)) >> 1;
    }
    if (m->n_points == AUDIT_POINTS && !rep_proof(t, r, m, ret_want))
        return true;
    m->n_points = 0;
    return false;
}

err_t rep_challenge(task_t *t, replica_t *r, const cid_t *root, const peer_id_t *peer, bool stay,
                    bool *ret_holds)
{
    replica_message_t *m = xcalloc(1, sizeof *m), *answer = xcalloc(1, sizeof *answer);
    m->kind = REPLICA_STATUS;
    m->has_root = true;
    m->root = *root;
    m->stay = stay;
    uint8_t want[32];
    m->has_nonce = draw(t, r, root, m, want); /* what is not here cannot be checked: its word counts then */
    err_t e = rep_ask(t, r, peer, m, answer);
    if (!e) {
        bool says = false;
        for (size_t i = 0; answer->has_record && i < answer->record.n_entries; i++)
            says = says || (peer_id_equal(&answer->record.entries[i].peer, peer) &&
                            answer->record.entries[i].state == REPLICA_ENTRY_HOLDS);
        bool proves = !m->has_nonce || (answer->has_proof &&
                                        bytes_equal_secret(bytes_of(answer->proof, 32), bytes_of(want, 32)));
        *ret_holds = answer->kind == REPLICA_STATE && says && proves && (!stay || answer->stay);
        r->audits++;
        r->audits_failed += !(says && proves);
    }
    free(m);
    free(answer);
    return e;
}
