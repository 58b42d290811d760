/* What somebody who holds the blocks, or makes them, can do: nothing but be found out. */
#include "tests/support/vault.h"
#include "vault/contents.h"
#include "vault/seal_tree.h"

/* ── a store that lies ───────────────────────────────────────────────────────────────────────── */
/* Gives another block for one CID. Blocks of the network are verified: this is a broken or hostile store,
 * below that. */
typedef struct liar {
    blocks_t blocks;
    blocks_t *truth;
    cid_t cid;
    block_t *lie;
} liar_t;

static err_t liar_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret)
{
    liar_t *l = CONTAINER_OF(b, liar_t, blocks);
    if (!cid_equal(cid, &l->cid))
        return blocks_get(t, l->truth, cid, ret);
    *ret = block_ref(l->lie);
    return OK;
}

static void liar_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n) {}

static const blocks_ops_t liar_ops = {.get = liar_get, .prefetch = liar_prefetch};

/* Opens and reads everything; folders with what is in them. */
static err_t read_all(task_t *t, vault_file_t *f);
static err_t read_entry(task_t *t, void *arg, const vault_entry_t *e)
{
    vault_file_t *child;
    TRY(vault_open_entry(t, arg, e->name, &child));
    err_t err = read_all(t, child);
    vault_close(t, child);
    return err;
}

static err_t read_all(task_t *t, vault_file_t *f)
{
    if (vault_file_info(f)->is_folder)
        return vault_each_entry(t, f, read_entry, f);
    for (;;) {
        bytes_t piece;
        TRY(vault_read(t, f, &piece));
        if (!piece.len)
            return OK;
    }
}

static err_t open_and_read(task_t *t, vault_t *v, blocks_t *blocks, const char *name)
{
    vault_file_t *f;
    TRY(vault_open(t, v, blocks, name, &f));
    err_t e = read_all(t, f);
    vault_close(t, f);
    return e;
}

/* Each bit (of large blocks: some) of a manifest or node flipped: an error, whoever reads: owner or link. */
static void flip_all(world_t *w, const cid_t *root, const cid_t *victim)
{
    liar_t l = {.blocks.ops = &liar_ops, .truth = w->blocks, .cid = *victim};
    AUTO_PTR(block_t) truth = NULL;
    char link[VAULT_LINK_MAX], name[CID_TEXT_MAX];
    cid_print(root, name);
    assert_ok(vault_share(w->t, w->v, w->blocks, root, link));
    assert_ok(blocks_get(w->t, w->blocks, victim, &truth));
    size_t step = truth->len > 2000 ? truth->len * 8 / 900 | 1 : 1;
    for (size_t bit = 0; bit < truth->len * 8; bit += step) {
        assert_ok(block_copy(victim, block_bytes(truth), &l.lie));
        l.lie->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_true(open_and_read(w->t, w->v, &l.blocks, name) != OK);
        assert_true(open_and_read(w->t, NULL, &l.blocks, link) != OK);
        block_release(l.lie);
    }
    for (size_t cut = 1; cut < truth->len; cut = cut * 2 + 1) {
        assert_ok(block_copy(victim, bytes_of(truth->data, truth->len - cut), &l.lie));
        assert_true(open_and_read(w->t, w->v, &l.blocks, name) != OK);
        block_release(l.lie);
    }
}

static err_t flips(task_t *t, void *arg)
{
    world_t w;
    AUTO_PTR(block_t) block = NULL;
    manifest_t m;
    world_init(t, &w);
    vault_stored_t small = store_file(&w, "small", 1000, 1);
    flip_all(&w, &small.manifest, &small.manifest);
    /* a node, whose only proof is its CID and its seal: zeros, so that reading all is quick enough */
    vault_stored_t large = store_file(&w, "large", 1025 * (uint64_t)VAULT_CHUNK_BYTES, 0);
    assert_ok(vault_get_manifest(t, w.blocks, &large.manifest, &block, &m));
    cid_t node = manifest_link(&m, 1);
    liar_t l = {.blocks.ops = &liar_ops, .truth = w.blocks, .cid = node};
    AUTO_PTR(block_t) truth = NULL;
    assert_ok(blocks_get(t, w.blocks, &node, &truth));
    for (size_t bit = 0; bit < truth->len * 8; bit++) {
        vault_file_t *f;
        bytes_t piece;
        assert_ok(block_copy(&node, block_bytes(truth), &l.lie));
        l.lie->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_ok(vault_open(t, w.v, &l.blocks, name_of(&large.manifest), &f));
        assert_ok(vault_seek(t, f, 1024 * (uint64_t)VAULT_CHUNK_BYTES, 10));
        assert_true(vault_read(t, f, &piece) != OK);
        vault_close(t, f);
        block_release(l.lie);
    }
    /* the other node in its place */
    cid_t first = manifest_link(&m, 0);
    assert_ok(blocks_get(t, w.blocks, &first, &l.lie));
    vault_file_t *f;
    bytes_t piece;
    assert_ok(vault_open(t, w.v, &l.blocks, name_of(&large.manifest), &f));
    assert_ok(vault_seek(t, f, 1024 * (uint64_t)VAULT_CHUNK_BYTES, 10));
    assert_err(vault_read(t, f, &piece), ERR_CORRUPT);
    vault_close(t, f);
    block_release(l.lie);
    world_deinit(&w);
    return OK;
}

/* The sealed part of one manifest behind the clear part of another, signed by the owner: the seal covers the
 * clear part. */
static err_t splices(task_t *t, void *arg)
{
    world_t w;
    AUTO_PTR(block_t) a = NULL;
    AUTO_PTR(block_t) b = NULL;
    AUTO(buf_t) spliced;
    manifest_t ma, mb;
    world_init(t, &w);
    buf_init(&spliced, MANIFEST_MAX_BYTES);
    vault_stored_t sa = store_file(&w, "a", 1000, 1), sb = store_file(&w, "b", 1000, 2);
    assert_ok(vault_get_manifest(t, w.blocks, &sa.manifest, &a, &ma));
    assert_ok(vault_get_manifest(t, w.blocks, &sb.manifest, &b, &mb));
    assert_ok(manifest_encode(ma.clear, mb.sealed, w.v->keys->sign, &spliced));
    block_t *lie;
    cid_t cid;
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, buf_bytes(&spliced), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&spliced), &lie));
    assert_ok(blocks_put_many(t, w.blocks, &lie, 1));
    block_release(lie);
    assert_err(open_and_read(t, w.v, w.blocks, name_of(&cid)), ERR_CRYPTO);
    /* a foreign owner takes the clear part over, with his own key and signature: the key in it does not
     * unwrap */
    AUTO_PTR(vault_keys_t) thief = NULL;
    AUTO(buf_t) clear, stolen;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&stolen, MANIFEST_MAX_BYTES);
    assert_ok(vault_keys_new(NULL, 1, &thief));
    manifest_t mine = ma;
    mine.owner = thief->owner;
    cid_t link = manifest_link(&ma, 0);
    assert_ok(manifest_encode_clear(&mine, &link, &clear));
    assert_ok(manifest_encode(buf_bytes(&clear), ma.sealed, thief->sign, &stolen));
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, buf_bytes(&stolen), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&stolen), &lie));
    assert_ok(blocks_put_many(t, w.blocks, &lie, 1));
    block_release(lie);
    vault_t *v = vault_new("/tmp/thief.key", w.state);
    v->keys = vault_keys_ref(thief);
    assert_err(open_and_read(t, v, w.blocks, name_of(&cid)), ERR_CRYPTO);
    assert_err(open_and_read(t, w.v, w.blocks, name_of(&cid)), ERR_DENIED);
    vault_free(v);
    world_deinit(&w);
    return OK;
}

/* ── what ciphertext tells ───────────────────────────────────────────────────────────────────── */
static err_t first_chunk(world_t *w, const vault_stored_t *s, block_t **ret)
{
    AUTO_PTR(block_t) block = NULL;
    manifest_t m;
    TRY(vault_get_manifest(w->t, w->blocks, &s->manifest, &block, &m));
    cid_t cid = manifest_link(&m, 0);
    return blocks_get(w->t, w->blocks, &cid, ret);
}

static size_t count_ones(const uint8_t *data, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        n += (size_t)__builtin_popcount(data[i]);
    return n;
}

static err_t ciphertext(task_t *t, void *arg)
{
    enum {
        LEN = VAULT_CHUNK_BYTES,
        BITS = LEN * 8,
        SIGMAS = 6 * 724
    }; /* a standard deviation of BITS coins: 724 */
    world_t w, other;
    AUTO_PTR(block_t) a = NULL;
    AUTO_PTR(block_t) again = NULL;
    AUTO_PTR(block_t) foreign = NULL;
    AUTO_PTR(block_t) nearby = NULL;
    world_init(t, &w);
    other = w;
    other.v = vault_new("/tmp/other.key", w.state);
    vault_stored_t s = store_file(&w, "a", LEN, 0), same = store_file(&w, "another name", LEN, 0);
    vault_stored_t theirs = store_file(&other, "a", LEN, 0), close = store_file(&w, "a", LEN - 1, 0);
    assert_ok(first_chunk(&w, &s, &a));
    assert_ok(first_chunk(&w, &same, &again));
    assert_ok(first_chunk(&w, &theirs, &foreign));
    assert_ok(first_chunk(&w, &close, &nearby));
    /* equal chunks under one key are one block, whatever file they are in; the manifests have nothing in
     * common */
    assert_true(cid_equal(&a->cid, &again->cid) && !cid_equal(&s.manifest, &same.manifest));
    /* under another key they are unlike: zeros look like coins, and so does what the two differ in */
    assert_false(cid_equal(&a->cid, &foreign->cid));
    uint8_t *x = xmalloc(LEN);
    for (size_t i = 0; i < LEN; i++)
        x[i] = a->data[i] ^ foreign->data[i];
    size_t ones[3] = {count_ones(a->data, LEN), count_ones(foreign->data, LEN), count_ones(x, LEN)};
    for (size_t i = 0; i < 3; i++)
        assert_true(ones[i] > BITS / 2 - SIGMAS && ones[i] < BITS / 2 + SIGMAS);
    free(x);
    /* a file that is shorter by less than the padding is the same chunk */
    assert_true(cid_equal(&a->cid, &nearby->cid));
    vault_free(other.v);
    world_deinit(&w);
    return OK;
}

/* No key stream meets two texts: chunks that differ in one bit have nothing in common. */
static err_t key_streams(task_t *t, void *arg)
{
    world_t w;
    AUTO_PTR(block_t) a = NULL;
    AUTO_PTR(block_t) b = NULL;
    world_init(t, &w);
    uint8_t one[600] = {0}, two[600] = {0};
    two[599] = 1;
    bytes_t in_one = bytes_of(one, 600), in_two = bytes_of(two, 600);
    vault_stored_t s[2];
    for (int i = 0; i < 2; i++) {
        vault_store_t *st;
        assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &st));
        assert_ok(vault_store_file(t, st, "f", NULL, source_of_bytes(i ? &in_two : &in_one)));
        assert_ok(vault_store_finish(t, st, &s[i]));
        vault_store_free(t, st);
    }
    assert_ok(first_chunk(&w, &s[0], &a));
    assert_ok(first_chunk(&w, &s[1], &b));
    assert_int_equal(a->len, b->len);
    for (size_t at = 0; at + 16 <= a->len; at += 16)
        assert_memory_not_equal(a->data + at, b->data + at, 16);
    world_deinit(&w);
    return OK;
}

static err_t dump_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    TRY(buf_append(arg, key));
    return buf_append(arg, value);
}

/* What a holder sees of a manifest: not the name, not the type, not the key. */
static err_t hidden(task_t *t, void *arg)
{
    static const char name[] = "a rather remarkable name.pdf", type[] = "application/remarkable";
    world_t w;
    AUTO_PTR(block_t) block = NULL;
    manifest_t m;
    world_init(t, &w);
    vault_store_t *st;
    vault_stored_t s;
    content_t c = {.size = 5000, .seed = 1};
    vault_meta_t meta = {.type = bytes_str(type)};
    assert_ok(vault_store_begin(t, w.v, w.blocks, NULL, NULL, &st));
    assert_ok(vault_store_file(t, st, name, &meta, (source_t){content_read, &c}));
    assert_ok(vault_store_finish(t, st, &s));
    vault_store_free(t, st);
    assert_ok(vault_get_manifest(t, w.blocks, &s.manifest, &block, &m));
    assert_null(memmem(block->data, block->len, name, strlen(name)));
    assert_null(memmem(block->data, block->len, type, strlen(type)));
    assert_int_equal((m.sealed.len - 16) % SEALED_STEP_BYTES, 0);
    /* the list in the state database tells no names either */
    AUTO(buf_t) dump;
    buf_init(&dump, 1 << 16);
    assert_ok(vault_record(t, w.v, &s));
    assert_ok(kv_scan(t, w.state, VAULT_SPACE, NULL, dump_row, &dump));
    assert_true(dump.len > 150);
    assert_null(memmem(dump.data, dump.len, name, 8));
    world_deinit(&w);
    return OK;
}

/* ── who makes manifests ─────────────────────────────────────────────────────────────────────── */
/* A manifest that is sealed and signed rightly and says what cannot be. */
static err_t open_made(world_t *w, const vault_keys_t *k, const contents_t *c, const cid_t *links, size_t n)
{
    AUTO(buf_t) clear, plain, sealed, encoded;
    uint8_t check[32], wrapped[48], salt[32] = {7};
    file_key_t key = {{8}};
    sealer_t *sealer;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&plain, MANIFEST_MAX_BYTES);
    buf_init(&sealed, MANIFEST_MAX_BYTES);
    buf_init(&encoded, MANIFEST_MAX_BYTES);
    file_key_check(&key, salt, check);
    assert_ok(file_key_wrap(k, salt, &key, wrapped));
    manifest_t m = {.owner = k->owner,
                    .salt = bytes_of(salt, 32),
                    .check = bytes_of(check, 32),
                    .wrapped = bytes_of(wrapped, 48),
                    .n_links = n};
    assert_ok(manifest_encode_clear(&m, links, &clear));
    assert_ok(contents_encode(c, false, &plain));
    assert_ok(sealer_new(&key, salt, &sealer));
    assert_ok(sealer_seal(sealer, 0, buf_bytes(&clear), buf_bytes(&plain), &sealed));
    sealer_free(sealer);
    assert_ok(manifest_encode(buf_bytes(&clear), buf_bytes(&sealed), k->sign, &encoded));
    cid_t cid;
    block_t *block;
    assert_ok(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, buf_bytes(&encoded), &cid));
    assert_ok(block_copy(&cid, buf_bytes(&encoded), &block));
    assert_ok(blocks_put_many(w->t, w->blocks, &block, 1));
    block_release(block);
    return open_and_read(w->t, w->v, w->blocks, name_of(&cid));
}

static err_t made(task_t *t, void *arg)
{
    static const char *const names[] = {"..", ".", "a/b", "/etc/passwd", "", "a\xff"};
    static const uint8_t keys[2 * 32] = {0};
    world_t w;
    world_init(t, &w);
    vault_stored_t s = store_file(&w, "f", 10, 1);
    AUTO_PTR(block_t) chunk = NULL;
    assert_ok(first_chunk(&w, &s, &chunk));
    const vault_keys_t *k = w.v->keys;
    cid_t links[2] = {chunk->cid, chunk->cid};
    bytes_t two_keys = bytes_of(keys, 64), one_key = bytes_of(keys, 32), name = BYTES_LIT("f");
    contents_t good = {.name = name, .size = 10, .keys = one_key}, c;
    assert_ok(open_made(&w, k, &good, links, 1));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) { /* names that lead elsewhere */
        c = good;
        c.name = bytes_str(names[i]);
        assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    }
    c = good; /* sizes and links that do not agree */
    c.size = VAULT_CHUNK_BYTES + 1;
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    c.size = UINT64_MAX;
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    c.size = 0;
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    c.size = 300; /* the chunk is too short for it */
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    c = good;
    c.keys = two_keys;
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    assert_err(open_made(&w, k, &good, links, 2), ERR_CORRUPT);
    c = good;
    c.height = 1;
    c.keys = BYTES_NONE;
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    c.height = 4;
    assert_err(open_made(&w, k, &c, links, 1), ERR_CORRUPT);
    cid_t itself = s.manifest; /* a manifest where a node should be */
    c.height = 1;
    assert_err(open_made(&w, k, &c, &itself, 1), ERR_CORRUPT);
    c = (contents_t){.name = name, .is_folder = true, .height = 2};
    assert_err(open_made(&w, k, &c, &itself, 1), ERR_CORRUPT);
    c.height = 0; /* a folder with a link that no entry speaks of */
    assert_err(open_made(&w, k, &c, &itself, 1), ERR_CORRUPT);
    AUTO(buf_t) entries;
    buf_init(&entries, 2000);
    contents_entry_t e = {.name = name, .size = 11}; /* an entry that is not what its manifest says */
    assert_ok(contents_encode_entry(&e, &entries));
    c.entries = buf_bytes(&entries);
    c.n_entries = 1;
    assert_err(open_made(&w, k, &c, &itself, 1), ERR_UNAUTHORIZED);
    assert_ok(contents_encode_entry(&e, &entries)); /* one name twice */
    c.entries = buf_bytes(&entries);
    c.n_entries = 2;
    links[0] = links[1] = itself;
    assert_err(open_made(&w, k, &c, links, 2), ERR_CORRUPT);
    world_deinit(&w);
    return OK;
}

#define CASE(fn)                                                                                             \
    static void test_##fn(void **state)                                                                      \
    {                                                                                                        \
        assert_ok(test_run(fn, NULL));                                                                       \
    }
CASE(flips)
CASE(splices)
CASE(ciphertext)
CASE(key_streams)
CASE(hidden)
CASE(made)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips),       cmocka_unit_test(test_splices), cmocka_unit_test(test_ciphertext),
        cmocka_unit_test(test_key_streams), cmocka_unit_test(test_hidden),  cmocka_unit_test(test_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
