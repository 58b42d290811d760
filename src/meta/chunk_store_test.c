#include "meta/chunk_cache.h"
#include "tests/support/repo.h"

static chunk_id_t put(task_t *t, chunk_store_t *s, uint8_t fill, size_t len, err_t expected)
{
    AUTO(buf_t) data = {0};
    bool was_present = true;
    buf_init(&data, CHUNK_MAX_BYTES + 1);
    assert_ok(buf_reserve(&data, len));
    memset(data.data, fill, len);
    data.len = len;
    chunk_id_t id = chunk_id_of(buf_bytes(&data));
    assert_err(chunk_store_put(t, s, &id, &data, &was_present), expected);
    return id;
}

static void expect_stat(task_t *t, chunk_store_t *s, uint64_t chunks, uint64_t bytes)
{
    chunk_stat_t stat;
    assert_ok(chunk_store_stat(t, s, &stat));
    assert_int_equal(stat.chunks, chunks);
    assert_int_equal(stat.used_bytes, bytes);
}

static err_t keeps(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    chunk_store_t *s;
    AUTO_PTR(block_t) block = NULL;
    gc_result_t result;
    size_t n;
    uint64_t size;
    chunk_store_guard(r);
    assert_ok(chunk_store_open(t, r, &s));
    chunk_id_t a = put(t, s, 1, 1000, OK), b = put(t, s, 2, 5000, OK);
    put(t, s, 1, 1000, OK); /* again */
    expect_stat(t, s, 2, 6000);
    put_leaf(t, repo_blocks(r), 1);
    assert_ok(gc_run(t, repo_gc(r), NULL, NULL, &result));
    assert_int_equal(result.removed_blocks, 1); /* the leaf alone */
    assert_ok(chunk_store_get(t, s, &a, &block));
    assert_true(block->len == 1000 && block->data[999] == 1);
    chunk_store_close(s);
    assert_ok(chunk_store_open(t, r, &s));
    expect_stat(t, s, 2, 6000);
    assert_true(chunk_store_has(t, s, &b, &size));
    assert_int_equal(size, 5000);
    chunk_id_t both[] = {b, a, b, {{0}}};
    assert_ok(chunk_store_delete(t, s, both, ARRAY_LEN(both), &n));
    assert_int_equal(n, 2);
    expect_stat(t, s, 0, 0);
    cid_t cid = cid_of_sha256(1, CODEC_RAW, b.sha256);
    assert_false(blockstore_has(t, repo_blockstore(r), &cid));
    block_t *none;
    assert_err(chunk_store_get(t, s, &b, &none), ERR_NOT_FOUND);
    assert_err(chunk_store_delete(t, s, both, CHUNKS_PER_CALL + 1, &n), ERR_LIMIT);
    chunk_store_close(s);
    repo_close(t, r);
    return OK;
}

static err_t refuses(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    chunk_store_t *s;
    bool was_present;
    assert_ok(chunk_store_open(t, r, &s));
    AUTO(buf_t) data = {0};
    buf_init(&data, 100);
    assert_ok(buf_append(&data, BYTES_LIT("other bytes")));
    chunk_id_t id = chunk_id_of(BYTES_LIT("these"));
    assert_err(chunk_store_put(t, s, &id, &data, &was_present), ERR_CORRUPT);
    put(t, s, 1, CHUNK_MAX_BYTES + 1, ERR_LIMIT);
    chunk_store_set_capacity(s, 1500);
    put(t, s, 1, 1000, OK);
    put(t, s, 2, 1000, ERR_NO_SPACE);
    put(t, s, 1, 1000, OK); /* is there */
    expect_stat(t, s, 1, 1000);
    char text[META_CHUNK_ID_CHARS + 1];
    chunk_id_print(&id, text);
    chunk_id_t again;
    assert_ok(chunk_id_parse(text, &again));
    assert_memory_equal(&again, &id, sizeof id);
    text[0] = 'G';
    assert_err(chunk_id_parse(text, &again), ERR_INVALID);
    chunk_store_close(s);
    repo_close(t, r);
    return OK;
}

/* A block that a pin has, too, stays when its chunk goes; one that is damaged is dropped and can be put anew.
 */
static err_t shares_and_mends(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    chunk_store_t *s;
    chunk_info_t page[4];
    size_t n;
    assert_ok(chunk_store_open(t, r, &s));
    chunk_id_t a = put(t, s, 1, 100, OK), b = put(t, s, 2, 200, OK);
    cid_t cid_a = cid_of_sha256(1, CODEC_RAW, a.sha256), cid_b = cid_of_sha256(1, CODEC_RAW, b.sha256);
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &cid_a, PIN_RECURSIVE, "", NULL, NULL));
    assert_ok(chunk_store_delete(t, s, &a, 1, &n));
    assert_true(blockstore_has(t, repo_blockstore(r), &cid_a));
    assert_false(chunk_store_has(t, s, &a, NULL));
    assert_err(chunk_store_check(t, s, &a), ERR_NOT_FOUND);
    assert_ok(chunk_store_check(t, s, &b));
    assert_ok(blockstore_remove(t, repo_blockstore(r), &cid_b, 1)); /* behind its back */
    assert_err(chunk_store_check(t, s, &b), ERR_CORRUPT);
    expect_stat(t, s, 0, 0);
    put(t, s, 2, 200, OK);
    put(t, s, 3, 300, OK);
    put(t, s, 4, 400, OK);
    assert_ok(chunk_store_page(t, s, NULL, page, 2, &n));
    assert_int_equal(n, 2);
    chunk_id_t second = page[1].id;
    assert_true(memcmp(&page[0].id, &second, sizeof second) < 0);
    assert_ok(chunk_store_page(t, s, &second, page, 4, &n));
    assert_int_equal(n, 1);
    assert_true(memcmp(&second, &page[0].id, sizeof second) < 0 && page[0].stored_s > 0);
    chunk_store_close(s);
    repo_close(t, r);
    return OK;
}

static bool is_private(task_t *t, repo_t *r, const chunk_id_t *id)
{
    cid_t cid = cid_of_sha256(1, CODEC_RAW, id->sha256);
    return chunk_store_is_private(t, r, &cid);
}

/* Chunks are not for IPFS; but what a pin reaches is, and stays so when a chunk of the same bytes is put, or
 * when a chunk's bytes are published. */
static err_t tells_private(task_t *t, void *arg)
{
    repo_t *r = fresh_repo(t);
    chunk_store_t *s;
    chunk_info_t page[4];
    size_t n;
    assert_false(chunk_store_is_used(t, r));
    cid_t leaf = put_leaf(t, repo_blocks(r), 1);
    assert_ok(pins_add(t, repo_pins(r), repo_blocks(r), &leaf, PIN_RECURSIVE, "", NULL, NULL));
    assert_false(chunk_store_is_private(t, r, &leaf));
    assert_ok(chunk_store_open(t, r, &s));
    chunk_id_t a = put(t, s, 7, 1000, OK);
    assert_true(is_private(t, r, &a) && chunk_store_is_used(t, r));
    AUTO_PTR(block_t) block = NULL;
    AUTO(buf_t) same = {0};
    bool was_present;
    buf_init(&same, 1 << 20);
    assert_ok(blocks_get(t, repo_blocks(r), &leaf, &block));
    assert_ok(buf_append(&same, block_bytes(block)));
    chunk_id_t b = chunk_id_of(block_bytes(block));
    assert_memory_equal(b.sha256, leaf.digest, sizeof b.sha256);
    assert_ok(chunk_store_put(t, s, &b, &same, &was_present));
    assert_false(is_private(t, r, &b));
    cid_t cid_a = cid_of_sha256(1, CODEC_RAW, a.sha256);
    assert_ok(chunk_store_publish(t, r, &cid_a));
    assert_false(is_private(t, r, &a));
    assert_ok(chunk_store_page(t, s, NULL, page, 4, &n));
    assert_true(n == 2 && page[0].stored_s == page[1].stored_s && page[0].is_public && page[1].is_public);
    chunk_store_close(s);
    repo_close(t, r);
    return OK;
}

static void telling_private(void **state)
{
    assert_ok(test_run(tells_private, NULL));
}

static void keeping(void **state)
{
    assert_ok(test_run(keeps, NULL));
}

static void refusing(void **state)
{
    assert_ok(test_run(refuses, NULL));
}

static void sharing(void **state)
{
    assert_ok(test_run(shares_and_mends, NULL));
}

static void caches(void **state)
{
    chunk_cache_t c;
    block_t *b[4];
    chunk_id_t id[4];
    chunk_cache_init(&c, 4000);
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t data[1000] = {i};
        cid_t cid;
        id[i] = chunk_id_of(bytes_of(data, sizeof data));
        cid = cid_of_sha256(1, CODEC_RAW, id[i].sha256);
        assert_ok(block_copy(&cid, bytes_of(data, i == 3 ? 1000 : 1000), &b[i]));
        chunk_cache_put(&c, &id[i], b[i]);
    }
    assert_int_equal(c.bytes, 4000);
    block_t *got = chunk_cache_get(&c, &id[0]);
    assert_ptr_equal(got, b[0]);
    block_release(got);
    uint8_t more[1000] = {9};
    chunk_id_t other = chunk_id_of(bytes_of(more, sizeof more));
    chunk_cache_put(&c, &other, b[3]);
    assert_null(chunk_cache_get(&c, &id[1])); /* used longest ago */
    chunk_cache_drop(&c, &id[0]);
    assert_null(chunk_cache_get(&c, &id[0]));
    assert_int_equal(c.bytes, 3000);
    chunk_cache_deinit(&c);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(b[i]->refs, 1);
        block_release(b[i]);
    }
}

__attribute__((unused)) static void *const silence = (void *)put_tree; /* of the header */

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeping), cmocka_unit_test(refusing),
                                       cmocka_unit_test(sharing), cmocka_unit_test(caches),
                                       cmocka_unit_test(telling_private)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
