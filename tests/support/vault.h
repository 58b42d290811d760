/* vault: a vault over blocks in memory. */
#ifndef TESTS_SUPPORT_VAULT_H
#define TESTS_SUPPORT_VAULT_H
#include "codec/tombstone.h"
#include "task/driver.h"
#include "tests/support/run.h"
#include "tests/support/test.h"
#include "vault/internal.h"
#include "vault/vault.h"

#define KEY_PATH "/tmp/vault.key"

typedef struct world {
    task_t *t;
    blocks_map_t *map;
    blocks_t *blocks;
    kv_t *state;
    vault_t *v;
} world_t;

static inline void world_init(task_t *t, world_t *w)
{
    *w = (world_t){.t = t, .map = blocks_map_new(true), .state = kv_memory_new()};
    w->blocks = blocks_map_blocks(w->map);
    w->v = vault_new(KEY_PATH, w->state);
}

static inline void world_deinit(world_t *w)
{
    vault_free(w->v);
    kv_close(w->t, w->state);
    blocks_map_free(w->map);
    err_t ignored = fs_unlink(w->t, KEY_PATH);
    (void)ignored;
}

/* size bytes that are a function of the seed; 0: zeros. */
typedef struct content {
    uint64_t size, at;
    uint8_t seed;
} content_t;
static inline uint8_t content_byte(uint8_t seed, uint64_t at)
{
    return seed ? (uint8_t)((at * 131 + seed) ^ (at >> 8) * 7 ^ at >> 18) : 0;
}

static inline err_t content_read(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    content_t *c = arg;
    size_t n = c->size - c->at < cap ? (size_t)(c->size - c->at) : cap;
    if (n > 100000)
        n = 100000; /* reads are shorter than what they are asked for */
    if (!c->seed)
        memset(out, 0, n);
    for (size_t i = 0; c->seed && i < n; i++)
        out[i] = content_byte(c->seed, c->at + i);
    c->at += n;
    *ret_n = n;
    return OK;
}

static inline vault_stored_t store_file(world_t *w, const char *name, uint64_t size, uint8_t seed)
{
    vault_store_t *s;
    vault_stored_t stored;
    content_t c = {.size = size, .seed = seed};
    assert_ok(vault_store_begin(w->t, w->v, w->blocks, NULL, NULL, &s));
    assert_ok(vault_store_file(w->t, s, name, NULL, (source_t){content_read, &c}));
    assert_ok(vault_store_finish(w->t, s, &stored));
    vault_store_free(w->t, s);
    assert_int_equal(stored.size_bytes, size);
    return stored;
}

/* Reads on to the end, which has to be at `end`, and compares. */
static inline void expect_content(world_t *w, vault_file_t *f, uint8_t seed, uint64_t from, uint64_t end)
{
    for (;;) {
        bytes_t piece;
        assert_ok(vault_read(w->t, f, &piece));
        if (!piece.len)
            break;
        assert_true(piece.len <= end - from);
        for (size_t i = 0; i < piece.len; i++)
            if (piece.data[i] != content_byte(seed, from + i))
                fail_msg("byte %llu is wrong", (unsigned long long)(from + i));
        from += piece.len;
    }
    assert_true(from == end);
}

static inline const char *name_of(const cid_t *cid)
{
    static char text[CID_TEXT_MAX];
    return cid_print(cid, text);
}
#endif
