/* mfs: the mutable tree of files in the simulator, for tests: a repository, files of content that their
 * number gives, and that all of the tree is here. */
#ifndef TESTS_SUPPORT_MFS_H
#define TESTS_SUPPORT_MFS_H
#include "dag/dag_walk.h"
#include "dag/file_reader.h"
#include "repo/mfs_impl.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include <stdio.h>

#define REPO "/tmp/repo"

static inline repo_t *open_repo(task_t *t)
{
    uint8_t seed[32] = {9};
    AUTO_PTR(private_key_t) key = NULL;
    repo_t *r;
    assert_ok(private_key_generate(KEY_ED25519, seed, 0, &key));
    if (repo_check(t, REPO) == ERR_NOT_FOUND)
        assert_ok(repo_init(t, REPO, "test", key));
    assert_ok(repo_open(t, REPO, &r));
    return r;
}

/* ── content ─────────────────────────────────────────────────────────────────────────────────── */
/* So many bytes of a number's own, with waits between its pieces. */
typedef struct input {
    uint64_t number;
    size_t at, len;
    bool waits;
} input_t;

static inline uint8_t byte_of(uint64_t number, size_t at)
{
    return (uint8_t)(((number * 1000003 + at) * 0x9e3779b97f4a7c15u) >> 56);
}

static inline err_t read_stream(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    input_t *s = arg;
    size_t n = s->len - s->at < cap ? s->len - s->at : cap;
    if (s->waits && n > 3000)
        n = 3000;
    if (s->waits)
        TRY(task_sleep(t, 1));
    for (size_t i = 0; i < n; i++)
        out[i] = byte_of(s->number, s->at + i);
    s->at += n;
    *ret_n = n;
    return OK;
}

static inline err_t write_file(task_t *t, mfs_t *m, const char *path, uint64_t number, size_t len, bool flush)
{
    input_t s = {.number = number, .len = len, .waits = len > 3000};
    return mfs_write(
        t, m, NULL, path, (source_t){read_stream, &s},
        (mfs_write_options_t){
            .create = true, .parents = true, .truncate = true, .flush = flush, .raw_leaves = -1});
}

static inline bool is_there(task_t *t, repo_t *r, const char *path)
{
    mfs_entry_t entry;
    err_t e = mfs_lookup(t, repo_mfs(r), NULL, path, &entry);
    assert_true(!e || e == ERR_NOT_FOUND);
    return !e;
}

static inline void check_file(task_t *t, repo_t *r, const char *path, uint64_t number, size_t len)
{
    AUTO(file_reader_t) reader = {0};
    mfs_entry_t entry;
    size_t at = 0;
    assert_ok(mfs_lookup(t, repo_mfs(r), NULL, path, &entry));
    assert_ok(file_reader_open(t, &reader, repo_blocks(r), &entry.ref.cid));
    assert_int_equal(reader.size, len);
    for (;;) {
        bytes_t piece;
        assert_ok(file_reader_next(t, &reader, &piece));
        if (!piece.len)
            break;
        for (size_t i = 0; i < piece.len; i++)
            assert_int_equal(piece.data[i], byte_of(number, at + i));
        at += piece.len;
    }
    assert_int_equal(at, len);
}

static inline err_t visit_any(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    return OK;
}

/* Every block below it is here. */
static inline void check_all_here(task_t *t, repo_t *r, const cid_t *root)
{
    AUTO(dag_walker_t) w;
    dag_walker_init(&w, repo_blocks(r));
    w.visit = visit_any;
    assert_ok(dag_walker_run(t, &w, root));
}

static inline void check_whole(task_t *t, repo_t *r)
{
    cid_t root;
    assert_ok(mfs_root(t, repo_mfs(r), &root));
    check_all_here(t, r, &root);
}
#endif
