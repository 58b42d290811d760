/* repo: a repository in the simulator and trees of blocks in it. */
#ifndef TESTS_SUPPORT_REPO_H
#define TESTS_SUPPORT_REPO_H
#include "codec/dag_pb.h"
#include "repo/repo.h"
#include "store/blockstore_suite.h"
#include "tests/support/run.h"
#include "tests/support/test.h"

#define REPO "/tmp/repo"

static inline repo_t *fresh_repo(task_t *t)
{
    uint8_t seed[32] = {9};
    AUTO_PTR(private_key_t) key = NULL;
    repo_t *r;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    assert_ok(repo_init(t, REPO, "test", key));
    assert_ok(repo_open(t, REPO, &r));
    return r;
}

/* A dag-pb node with links to these, and its block. */
static inline block_t *node_of(const cid_t *links, size_t n, const char *data)
{
    AUTO(buf_t) out;
    buf_init(&out, 1 << 20);
    writer_t w = writer_to(&out);
    for (size_t i = 0; i < n; i++)
        dag_pb_put_link(&w, &(dag_pb_link_t){.cid = links[i], .has_name = true, .has_tsize = true});
    dag_pb_put_data(&w, bytes_str(data));
    assert_ok(w.err);
    cid_t cid;
    block_t *b;
    assert_ok(cid_of(1, CODEC_DAG_PB, MH_SHA2_256, buf_bytes(&out), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&out), &b));
    return b;
}

static inline cid_t put_node(task_t *t, blocks_t *to, const cid_t *links, size_t n, const char *data)
{
    AUTO_PTR(block_t) b = node_of(links, n, data);
    assert_ok(blocks_put_many(t, to, &b, 1));
    return b->cid;
}

static inline cid_t put_leaf(task_t *t, blocks_t *to, uint64_t seed)
{
    AUTO_PTR(block_t) b = suite_block(seed, 500);
    assert_ok(blocks_put_many(t, to, &b, 1));
    return b->cid;
}

/* A root, two nodes below it, `leaves` leaves below each; the leaf seeds begin at `seed`. */
__attribute__((noinline)) static cid_t put_tree(task_t *t, blocks_t *to, uint64_t seed, size_t leaves)
{
    cid_t nodes[2], list[32];
    char name[40];
    for (uint64_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < leaves; i++)
            list[i] = put_leaf(t, to, seed + 100 * k + i);
        snprintf(name, sizeof name, "node %d %d", (int)seed, (int)k);
        nodes[k] = put_node(t, to, list, leaves, name);
    }
    snprintf(name, sizeof name, "root %d", (int)seed);
    return put_node(t, to, nodes, 2, name);
}

typedef struct verified {
    size_t good, bad, bad_blocks;
    cid_t last_bad;
} verified_t;

static inline err_t see_verified(task_t *t, void *arg, const pin_t *pin, const pin_bad_t *bad, size_t n_bad)
{
    verified_t *v = arg;
    v->good += !n_bad;
    v->bad += n_bad > 0;
    v->bad_blocks += n_bad;
    if (n_bad)
        v->last_bad = bad[n_bad - 1].cid;
    return OK;
}
#endif
