#include "vault/seal_tree.h"
#include <stdlib.h>

enum { LEAF_KEYS_MAX = MANIFEST_LINKS_MAX * VAULT_SECRET_BYTES, LEAF_ENTRIES_MAX = MANIFEST_LINKS_MAX * 400 };

err_t seal_tree_init(seal_tree_t *tree, const vault_keys_t *keys, put_queue_t *queue, bool is_folder)
{
    *tree = (seal_tree_t){.keys = keys, .queue = queue, .is_folder = is_folder};
    buf_init(&tree->leaf_keys, LEAF_KEYS_MAX);
    buf_init(&tree->leaf_entries, LEAF_ENTRIES_MAX);
    crypto_random(tree->salt, sizeof tree->salt);
    crypto_random(tree->key.data, sizeof tree->key.data);
    /* whole at once: a buffer that grows leaves copies of keys behind */
    TRY(buf_reserve(is_folder ? &tree->leaf_entries : &tree->leaf_keys, 4096));
    return sealer_new(&tree->key, tree->salt, &tree->sealer);
}

void seal_tree_deinit(seal_tree_t *tree)
{
    for (size_t i = 0; i <= CONTENTS_HEIGHT_MAX; i++)
        free(tree->levels[i].digests);
    buf_wipe(&tree->leaf_keys);
    buf_wipe(&tree->leaf_entries);
    buf_deinit(&tree->leaf_keys);
    buf_deinit(&tree->leaf_entries);
    sealer_free(tree->sealer);
    secret_wipe(&tree->key, sizeof tree->key);
    memset(tree->levels, 0, sizeof tree->levels);
    tree->sealer = NULL;
}

/* The links of a level, for one block. Owned by the caller. */
static cid_t *links_of(const seal_tree_t *tree, size_t level)
{
    const seal_level_t *l = &tree->levels[level];
    uint64_t codec = level || tree->is_folder ? CODEC_DAG_CBOR : CODEC_RAW;
    cid_t *links = xcalloc(l->count + 1, sizeof *links);
    for (size_t i = 0; i < l->count; i++)
        links[i] = cid_of_sha256(1, codec, l->digests[i]);
    return links;
}

/* Encodes, seals and puts the block of a level: of a node, or of the manifest. */
static err_t encode_block(seal_tree_t *tree, const manifest_t *m, const cid_t *links, const contents_t *c,
                          buf_t *out)
{
    AUTO(buf_t) clear, plain, sealed;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&plain, MANIFEST_MAX_BYTES);
    buf_init(&sealed, MANIFEST_MAX_BYTES);
    TRY(manifest_encode_clear(m, links, &clear));
    TRY(buf_reserve(&plain, 1024 + c->keys.len + c->entries.len));
    err_t e = contents_encode(c, m->is_node, &plain);
    if (!e)
        e = sealer_seal(tree->sealer, m->node, buf_bytes(&clear), buf_bytes(&plain), &sealed);
    buf_wipe(&plain);
    TRY(e);
    return manifest_encode(buf_bytes(&clear), buf_bytes(&sealed), m->is_node ? NULL : tree->keys->sign, out);
}

static err_t put_level(task_t *t, seal_tree_t *tree, size_t level, manifest_t *m, contents_t *c,
                       cid_t *ret_cid)
{
    AUTO(buf_t) encoded;
    block_t *block = NULL;
    buf_init(&encoded, MANIFEST_MAX_BYTES);
    m->n_links = tree->levels[level].count;
    if (!level) {
        c->keys = buf_bytes(&tree->leaf_keys);
        c->entries = buf_bytes(&tree->leaf_entries);
        c->n_entries = tree->is_folder ? m->n_links : 0;
    }
    cid_t *links = links_of(tree, level);
    err_t e = encode_block(tree, m, links, c, &encoded);
    free(links);
    TRY(e);
    TRY(cid_of(1, CODEC_DAG_CBOR, MH_SHA2_256, buf_bytes(&encoded), ret_cid));
    TRY(block_take(ret_cid, &encoded, &block));
    tree->levels[level].count = 0;
    if (!level) {
        buf_wipe(&tree->leaf_keys);
        buf_wipe(&tree->leaf_entries);
    }
    return put_queue_add(t, tree->queue, block);
}

static err_t add_link(task_t *t, seal_tree_t *tree, size_t level, const uint8_t digest[32]);

/* Seals a level into a node, which becomes a link of the level above. */
static err_t push_up(task_t *t, seal_tree_t *tree, size_t level)
{
    manifest_t m = {.is_node = true, .node = ++tree->n_nodes};
    contents_t c = {0};
    cid_t cid;
    if (level == CONTENTS_HEIGHT_MAX)
        return fail(ERR_LIMIT, "a file of more than 256 TiB");
    TRY(put_level(t, tree, level, &m, &c, &cid));
    return add_link(t, tree, level + 1, cid.digest);
}

/* Room for one more link. At most CONTENTS_HEIGHT_MAX levels deep. */
static err_t make_room(task_t *t, seal_tree_t *tree, size_t level)
{
    return tree->levels[level].count == MANIFEST_LINKS_MAX ? push_up(t, tree, level) : OK;
}

static err_t add_link(task_t *t, seal_tree_t *tree, size_t level, const uint8_t digest[32])
{
    seal_level_t *l = &tree->levels[level];
    TRY(make_room(t, tree, level));
    if (!l->digests)
        l->digests = xcalloc(MANIFEST_LINKS_MAX, sizeof *l->digests);
    memcpy(l->digests[l->count++], digest, 32);
    return OK;
}

/* Appends to a buffer of keys, of which no copy stays behind when it grows. */
static err_t append_secret(buf_t *b, bytes_t data)
{
    if (b->cap - b->len < data.len) {
        buf_t larger;
        buf_init(&larger, b->max);
        TRY(buf_reserve(&larger, b->max));
        err_t e = buf_append(&larger, buf_bytes(b));
        assert(!e);
        buf_wipe(b);
        buf_deinit(b);
        *b = larger;
    }
    return buf_append(b, data);
}

err_t seal_tree_add_chunk(task_t *t, seal_tree_t *tree, const uint8_t digest[32], const uint8_t key[32])
{
    TRY(make_room(t, tree, 0));
    TRY(append_secret(&tree->leaf_keys, bytes_of(key, VAULT_SECRET_BYTES)));
    return add_link(t, tree, 0, digest);
}

err_t seal_tree_add_entry(task_t *t, seal_tree_t *tree, const uint8_t digest[32],
                          const contents_entry_t *entry)
{
    AUTO(buf_t) encoded;
    buf_init(&encoded, 1024);
    TRY(make_room(t, tree, 0));
    TRY(buf_reserve(&encoded, 400));
    err_t e = contents_encode_entry(entry, &encoded);
    if (!e)
        e = append_secret(&tree->leaf_entries, buf_bytes(&encoded));
    buf_wipe(&encoded);
    TRY(e);
    return add_link(t, tree, 0, digest);
}

err_t seal_tree_finish(task_t *t, seal_tree_t *tree, const contents_t *about, cid_t *ret_cid,
                       file_key_t *ret_key)
{
    uint8_t check[MANIFEST_CHECK_BYTES], wrapped[MANIFEST_WRAPPED_BYTES];
    contents_t c = *about;
    c.is_folder = tree->is_folder;
    /* all below the highest level that has links becomes nodes */
    for (c.height = 0; c.height < CONTENTS_HEIGHT_MAX && tree->levels[c.height + 1].digests; c.height++)
        if (tree->levels[c.height].count)
            TRY(push_up(t, tree, c.height));
    file_key_check(&tree->key, tree->salt, check);
    TRY(file_key_wrap(tree->keys, tree->salt, &tree->key, wrapped));
    manifest_t m = {.epoch = tree->keys->n_epochs - 1,
                    .owner = tree->keys->owner,
                    .salt = bytes_of(tree->salt, sizeof tree->salt),
                    .check = bytes_of(check, sizeof check),
                    .wrapped = bytes_of(wrapped, sizeof wrapped)};
    TRY(put_level(t, tree, c.height, &m, &c, ret_cid));
    *ret_key = tree->key;
    return OK;
}
