#include "multi/multibase.h"
#include "vault/file.h"
#include <stdio.h>
#include <stdlib.h>

/* ── blocks and what is sealed in them ───────────────────────────────────────────────────────── */
void opened_release(opened_t *o)
{
    if (!o || --o->refs)
        return;
    buf_wipe(&o->plain);
    buf_deinit(&o->plain);
    block_release(o->block);
    free(o);
}

static opened_t *opened_new(block_t *block)
{
    opened_t *o = xcalloc(1, sizeof *o);
    o->refs = 1;
    o->block = block;
    buf_init(&o->plain, MANIFEST_MAX_BYTES);
    return o;
}

err_t vault_get_manifest(task_t *t, blocks_t *blocks, const cid_t *cid, block_t **ret_block, manifest_t *ret)
{
    AUTO_PTR(block_t) block = NULL;
    manifest_t m;
    TRY(blocks_get(t, blocks, cid, &block));
    TRY(manifest_decode(block_bytes(block), &m));
    if (m.is_node)
        return fail(ERR_INVALID, "a node of a large file has no name of its own: open the file's manifest");
    TRY(manifest_verify(&m));
    *ret_block = block;
    *ret = m;
    block = NULL;
    return OK;
}

/* ── the tree ────────────────────────────────────────────────────────────────────────────────── */
/* How many chunks a link at this height stands for: 1, 1024, … */
static uint64_t leaves_of(uint32_t height)
{
    uint64_t n = 1;
    while (height--)
        n *= MANIFEST_LINKS_MAX;
    return n;
}

/* The links that the node of a level with an index must have for the file's size. */
static bool links_are_right(const vault_file_t *f, uint32_t level, uint64_t index, size_t n_links)
{
    uint64_t each = leaves_of(level), all = (f->n_leaves + each - 1) / each,
             before = index * MANIFEST_LINKS_MAX;
    uint64_t want = all > before ? all - before : 0;
    return f->info.is_folder || n_links == (want < MANIFEST_LINKS_MAX ? want : MANIFEST_LINKS_MAX);
}

static err_t open_node(task_t *t, vault_file_t *f, uint32_t level, uint64_t index, const cid_t *cid,
                       opened_t **ret)
{
    block_t *block;
    TRY(blocks_get(t, f->blocks, cid, &block));
    AUTO_PTR(opened_t) o = opened_new(block);
    TRY(manifest_decode(block_bytes(block), &o->m));
    if (!o->m.is_node)
        return fail(ERR_CORRUPT, "a manifest stands where a node of a file should be");
    TRY(sealer_open(f->sealer, o->m.node, o->m.clear, o->m.sealed, &o->plain));
    TRY(contents_decode(buf_bytes(&o->plain), &o->m, level, f->info.is_folder, &o->c));
    if (!links_are_right(f, level, index, o->m.n_links))
        return fail(ERR_CORRUPT, "a node of the file has %zu links, which is not what the file's size says",
                    o->m.n_links);
    *ret = o;
    o = NULL;
    return OK;
}

err_t vault_file_node(task_t *t, vault_file_t *f, uint32_t level, uint64_t index, opened_t **ret)
{
    uint32_t height = f->root->c.height;
    AUTO_PTR(opened_t) above = f->root;
    f->root->refs++;
    /* from the root down; what was read last is mostly still right */
    for (uint32_t l = height; l-- > level;) {
        uint64_t at = index / leaves_of(l - level), place = at % MANIFEST_LINKS_MAX;
        opened_t *o = f->nodes[l];
        if (!o || f->nodes_at[l] != at) {
            if (place >= above->m.n_links || (l + 1 == height && at != place))
                return fail(ERR_CORRUPT, "the file's tree ends before its size");
            cid_t cid = manifest_link(&above->m, (size_t)place);
            TRY(open_node(t, f, l, at, &cid, &o));
            opened_release(f->nodes[l]);
            f->nodes[l] = o;
            f->nodes_at[l] = at;
        }
        o->refs++;
        opened_release(above);
        above = o;
    }
    *ret = above;
    above = NULL;
    return OK;
}

err_t vault_file_leaf(task_t *t, vault_file_t *f, uint64_t leaf, opened_t **ret, size_t *ret_at)
{
    AUTO_PTR(opened_t) o = NULL;
    if (f->root->c.height) {
        TRY(vault_file_node(t, f, 0, leaf / MANIFEST_LINKS_MAX, &o));
        leaf %= MANIFEST_LINKS_MAX;
    } else {
        o = f->root;
        o->refs++;
    }
    if (leaf >= o->m.n_links)
        return fail(ERR_CORRUPT, "the file has fewer parts than its size says");
    *ret = o;
    *ret_at = (size_t)leaf;
    o = NULL;
    return OK;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
static void fill_info(vault_file_t *f, const cid_t *cid)
{
    const contents_t *c = &f->root->c;
    f->info = (vault_info_t){.manifest = *cid,
                             .is_folder = c->is_folder,
                             .is_own = f->keys && owner_key_equal(&f->keys->owner, &f->root->m.owner),
                             .has_mode = c->has_mode,
                             .has_mtime = c->has_mtime,
                             .mode = c->mode,
                             .mtime_s = (int64_t)c->mtime_s,
                             .size_bytes = c->size,
                             .epoch = f->root->m.epoch,
                             .owner = f->root->m.owner};
    memcpy(f->info.name, c->name.data, c->name.len);
    if (c->type.len)
        memcpy(f->info.type, c->type.data, c->type.len);
}

static err_t open_root(vault_file_t *f, const cid_t *cid)
{
    opened_t *o = f->root;
    TRY(file_key_fits(&f->key, &o->m));
    TRY(sealer_new(&f->key, o->m.salt.data, &f->sealer));
    TRY(sealer_open(f->sealer, 0, o->m.clear, o->m.sealed, &o->plain));
    TRY(contents_decode(buf_bytes(&o->plain), &o->m, UINT32_MAX, false, &o->c));
    fill_info(f, cid);
    f->n_leaves = f->info.is_folder ? 0 : o->c.size / VAULT_CHUNK_BYTES + (o->c.size % VAULT_CHUNK_BYTES > 0);
    bool is_right = f->info.is_folder ? o->c.height <= 1
                                      : f->n_leaves <= leaves_of(CONTENTS_HEIGHT_MAX + 1) &&
                                            links_are_right(f, o->c.height, 0, o->m.n_links) &&
                                            f->n_leaves <= leaves_of(o->c.height + 1);
    if (!is_right)
        return fail(ERR_CORRUPT, "the links of the manifest are not what its size says");
    f->end = f->info.is_folder ? 0 : f->info.size_bytes;
    return OK;
}

/* The key: given, or the owner's to unwrap. */
static err_t open_with(vault_file_t *f, const cid_t *cid, const file_key_t *key)
{
    if (key)
        f->key = *key;
    else if (f->keys)
        TRY(file_key_unwrap(f->keys, &f->root->m, &f->key));
    else
        return fail(ERR_DENIED,
                    "there is no key file here: import it, or ask the owner for a link of the form CID#key");
    return open_root(f, cid);
}

err_t vault_file_open(task_t *t, vault_keys_t *keys, blocks_t *blocks, const cid_t *cid,
                      const file_key_t *key, vault_file_t **ret)
{
    block_t *block;
    manifest_t m;
    TRY(vault_get_manifest(t, blocks, cid, &block, &m));
    vault_file_t *f = xcalloc(1, sizeof *f);
    f->blocks = blocks;
    f->keys = keys ? vault_keys_ref(keys) : NULL;
    f->root = opened_new(block);
    f->root->m = m;
    err_t e = open_with(f, cid, key);
    if (e) {
        vault_close(t, f);
        return e;
    }
    *ret = f;
    return OK;
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct name {
    cid_t cid;
    file_key_t key;
    bool has_key;
    bytes_t path; /* behind the first slash */
} name_t;

static err_t parse_key(bytes_t text, file_key_t *ret)
{
    AUTO(buf_t) key;
    multibase_t base;
    buf_init(&key, 64);
    TRY(buf_reserve(&key, 64));
    err_t e = multibase_decode(text, &base, &key);
    if (e || key.len != sizeof ret->data)
        e = fail(ERR_INVALID, "what is behind # in the link is no key");
    else
        memcpy(ret->data, key.data, sizeof ret->data);
    buf_wipe(&key);
    return e;
}

static err_t parse_name(const char *text, name_t *ret)
{
    bytes_t in = bytes_str(text);
    const uint8_t *slash = memchr(in.data, '/', in.len ? in.len : 0);
    bytes_t link = slash ? bytes_of(in.data, (size_t)(slash - in.data)) : in;
    const uint8_t *hash = link.len ? memchr(link.data, '#', link.len) : NULL;
    *ret = (name_t){.has_key = hash != NULL};
    if (slash)
        ret->path = bytes_of(slash + 1, in.len - link.len - 1);
    TRY(manifest_parse_name(hash ? bytes_of(link.data, (size_t)(hash - link.data)) : link, &ret->cid));
    return hash ? parse_key(bytes_slice(link, (size_t)(hash - link.data) + 1, link.len), &ret->key) : OK;
}

/* Goes down the path; takes f, and closes it on failure. */
static err_t follow(task_t *t, vault_file_t *f, bytes_t path, vault_file_t **ret)
{
    while (path.len) {
        char part[VAULT_NAME_MAX + 1];
        const uint8_t *slash = memchr(path.data, '/', path.len);
        size_t n = slash ? (size_t)(slash - path.data) : path.len;
        vault_file_t *child = NULL;
        err_t e = n > VAULT_NAME_MAX ? fail(ERR_NOT_FOUND, "no name is as long as %zu bytes", n) : OK;
        if (!e && n) {
            memcpy(part, path.data, n);
            part[n] = 0;
            e = vault_open_entry(t, f, part, &child);
        }
        if (child || e)
            vault_close(t, f);
        TRY(e);
        f = child ? child : f; /* an empty part is none */
        path = bytes_slice(path, n + 1, path.len);
    }
    *ret = f;
    return OK;
}

/* The keys, when the file may need them: a link opens without. */
static err_t keys_for(task_t *t, vault_t *v, const name_t *n, vault_keys_t **ret)
{
    err_t e = v ? vault_need_keys(t, v, false, ret) : OK;
    return n->has_key || e == ERR_NOT_FOUND ? OK : e;
}

err_t vault_open(task_t *t, vault_t *v, blocks_t *blocks, const char *name, vault_file_t **ret)
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    name_t n;
    vault_file_t *f = NULL;
    TRY(parse_name(name, &n));
    err_t e = keys_for(t, v, &n, &keys);
    if (!e)
        e = vault_file_open(t, keys, blocks, &n.cid, n.has_key ? &n.key : NULL, &f);
    secret_wipe(&n.key, sizeof n.key);
    TRY(e);
    return follow(t, f, n.path, ret);
}

void vault_close(task_t *t, vault_file_t *f)
{
    if (!f)
        return;
    read_ring_free(t, f->ring);
    for (size_t i = 0; i < CONTENTS_HEIGHT_MAX; i++)
        opened_release(f->nodes[i]);
    opened_release(f->root);
    sealer_free(f->sealer);
    vault_keys_free(f->keys);
    secret_wipe(&f->key, sizeof f->key);
    free(f);
}

const vault_info_t *vault_file_info(const vault_file_t *f)
{
    return &f->info;
}

err_t vault_share(task_t *t, vault_t *v, blocks_t *blocks, const cid_t *manifest,
                  char ret_link[VAULT_LINK_MAX])
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    AUTO(buf_t) key;
    vault_file_t *f;
    char text[CID_TEXT_MAX];
    buf_init(&key, 64);
    TRY(vault_need_keys(t, v, false, &keys));
    TRY(vault_file_open(t, keys, blocks, manifest, NULL, &f));
    err_t e = buf_reserve(&key, 64);
    if (!e)
        e = multibase_encode(MB_BASE64URL, bytes_of(f->key.data, sizeof f->key.data), &key);
    vault_close(t, f);
    if (!e)
        snprintf(ret_link, VAULT_LINK_MAX, "%.*s#%.*s", VAULT_LINK_MAX - 66, cid_print(manifest, text),
                 (int)key.len, (const char *)key.data);
    if (key.data)
        buf_wipe(&key);
    return e;
}
