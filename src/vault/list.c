/* The list of own files, in the state database. Keys begin with 8 bytes of the owner, so that lists of
 * several key files live side by side; then 'f' and the manifest's digest: the entry, sealed; or 't', the
 * time backwards and the digest: nothing, for the order. Entries are sealed under a key of the root (keys.h)
 * with a random nonce, and bound to their place. */
#include "codec/cbor_record.h"
#include "codec/tombstone.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "task/driver.h"
#include "vault/internal.h"

enum {
    OWNER_BYTES = 8,
    FILE_KEY_BYTES = OWNER_BYTES + 1 + 32,
    TIME_KEY_BYTES = OWNER_BYTES + 1 + 8 + 32,
    FIELDS = 7
};
enum { NONCE_BYTES = 12, ENTRY_MAX_BYTES = 512 };

static void put_owner(const vault_keys_t *k, char kind, uint8_t *out)
{
    uint8_t digest[32];
    sha256_of(bytes_of(k->owner.data, OWNER_KEY_BYTES), digest);
    memcpy(out, digest, OWNER_BYTES);
    out[OWNER_BYTES] = (uint8_t)kind;
}

static bytes_t file_key(const vault_keys_t *k, const uint8_t *digest, uint8_t out[FILE_KEY_BYTES])
{
    put_owner(k, 'f', out);
    memcpy(out + OWNER_BYTES + 1, digest, 32);
    return bytes_of(out, FILE_KEY_BYTES);
}

static bytes_t time_key(const vault_keys_t *k, uint64_t at_ms, const uint8_t *digest,
                        uint8_t out[TIME_KEY_BYTES])
{
    put_owner(k, 't', out);
    for (size_t i = 0; i < 8; i++)
        out[OWNER_BYTES + 1 + i] = (uint8_t)(~at_ms >> (56 - 8 * i)); /* the newest first */
    memcpy(out + OWNER_BYTES + 9, digest, 32);
    return bytes_of(out, TIME_KEY_BYTES);
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
static void put_uint(writer_t *w, const char *key, uint64_t value)
{
    cbor_put_key(w, key);
    cbor_put_uint(w, value);
}

static err_t encode(const vault_listed_t *l, buf_t *out)
{
    writer_t w = writer_to(out);
    cbor_put_map(&w, FIELDS);
    put_uint(&w, "kind", l->file.is_folder);
    cbor_put_key(&w, "name");
    cbor_put_text(&w, bytes_str(l->file.name));
    put_uint(&w, "size", l->file.size_bytes);
    put_uint(&w, "chunks", l->file.chunks);
    put_uint(&w, "sealed", l->file.sealed_bytes);
    put_uint(&w, "stored", l->stored_at_ms);
    put_uint(&w, "deleted", l->deleted_at_ms);
    return w.err;
}

static uint64_t read_uint(reader_t *r, const char *key)
{
    cbor_read_key(r, key);
    return cbor_read_uint(r);
}

static err_t decode(bytes_t in, const uint8_t *digest, vault_listed_t *ret)
{
    vault_listed_t l = {.file.manifest = cid_of_sha256(1, CODEC_DAG_CBOR, digest)};
    reader_t r = reader_of(in);
    if (cbor_read_map(&r) != FIELDS)
        reader_fail(&r, ERR_INVALID);
    l.file.is_folder = read_uint(&r, "kind") == 1;
    cbor_read_key(&r, "name");
    bytes_t name = cbor_read_text(&r, VAULT_NAME_MAX);
    l.file.size_bytes = read_uint(&r, "size");
    l.file.chunks = read_uint(&r, "chunks");
    l.file.sealed_bytes = read_uint(&r, "sealed");
    l.stored_at_ms = read_uint(&r, "stored");
    l.deleted_at_ms = read_uint(&r, "deleted");
    TRY(cbor_read_done(&r, "entry of the list of own files"));
    memcpy(l.file.name, name.data, name.len);
    *ret = l;
    return OK;
}

static err_t seal(const vault_keys_t *k, bytes_t place, const vault_listed_t *l, buf_t *out)
{
    AUTO(buf_t) plain;
    aead_t *a = NULL;
    uint8_t nonce[NONCE_BYTES];
    buf_init(&plain, ENTRY_MAX_BYTES);
    TRY(buf_reserve(&plain, ENTRY_MAX_BYTES)); /* whole at once: no copy of the name stays behind */
    TRY(encode(l, &plain));
    crypto_random(nonce, sizeof nonce);
    TRY(buf_append(out, bytes_of(nonce, sizeof nonce)));
    TRY(buf_reserve(out, plain.len + AEAD_TAG_BYTES));
    TRY(aead_new(AEAD_AES_256_GCM, k->list, &a));
    err_t e = aead_seal(a, nonce, place, buf_bytes(&plain), out->data + out->len);
    aead_free(a);
    if (!e)
        out->len += plain.len + AEAD_TAG_BYTES;
    buf_wipe(&plain);
    return e;
}

static err_t open_entry(const vault_keys_t *k, bytes_t place, bytes_t sealed, vault_listed_t *ret)
{
    uint8_t plain[ENTRY_MAX_BYTES];
    aead_t *a = NULL;
    if (sealed.len < NONCE_BYTES + AEAD_TAG_BYTES || sealed.len > sizeof plain)
        return fail(ERR_CORRUPT, "an entry of the list of own files is damaged");
    TRY(aead_new(AEAD_AES_256_GCM, k->list, &a));
    err_t e = aead_open(a, sealed.data, place, bytes_slice(sealed, NONCE_BYTES, sealed.len), plain);
    aead_free(a);
    if (!e)
        e = decode(bytes_of(plain, sealed.len - NONCE_BYTES - AEAD_TAG_BYTES), place.data + OWNER_BYTES + 1,
                   ret);
    secret_wipe(plain, sizeof plain);
    return e ? fail(ERR_CORRUPT, "an entry of the list of own files is damaged") : OK;
}

/* ── the list ────────────────────────────────────────────────────────────────────────────────── */
static err_t look_up(task_t *t, vault_t *v, const vault_keys_t *k, const uint8_t *digest, vault_listed_t *ret)
{
    AUTO(buf_t) value;
    uint8_t place[FILE_KEY_BYTES];
    buf_init(&value, ENTRY_MAX_BYTES);
    err_t e = kv_get(t, v->state, VAULT_SPACE, file_key(k, digest, place), &value);
    if (e)
        return e == ERR_NOT_FOUND ? fail(e, "the file was not stored here with this key") : e;
    return open_entry(k, bytes_of(place, sizeof place), buf_bytes(&value), ret);
}

static err_t put(task_t *t, vault_t *v, const vault_keys_t *k, const vault_listed_t *l)
{
    AUTO(kv_batch_t) batch;
    AUTO(buf_t) value;
    uint8_t place[FILE_KEY_BYTES], order[TIME_KEY_BYTES];
    kv_batch_init(&batch);
    buf_init(&value, ENTRY_MAX_BYTES);
    const uint8_t *digest = l->file.manifest.digest;
    TRY(seal(k, file_key(k, digest, place), l, &value));
    TRY(kv_batch_put(&batch, VAULT_SPACE, bytes_of(place, sizeof place), buf_bytes(&value)));
    TRY(kv_batch_put(&batch, VAULT_SPACE, time_key(k, l->stored_at_ms, digest, order), BYTES_NONE));
    return kv_commit(t, v->state, &batch);
}

err_t vault_record(task_t *t, vault_t *v, const vault_stored_t *stored)
{
    AUTO_PTR(vault_keys_t) k = NULL;
    vault_listed_t l = {.file = *stored, .stored_at_ms = driver_wall_ms(task_driver(t))};
    TRY(vault_need_keys(t, v, false, &k));
    return put(t, v, k, &l);
}

err_t vault_lookup(task_t *t, vault_t *v, const cid_t *manifest, vault_listed_t *ret)
{
    AUTO_PTR(vault_keys_t) k = NULL;
    if (!manifest_is_cid(manifest))
        return fail(ERR_NOT_FOUND, "only encrypted files are listed");
    TRY(vault_need_keys(t, v, false, &k));
    return look_up(t, v, k, manifest->digest, ret);
}

typedef struct visit {
    vault_t *v;
    const vault_keys_t *keys;
    bool with_deleted;
    vault_listed_fn fn;
    void *arg;
} visit_t;

static err_t visit_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    visit_t *w = arg;
    vault_listed_t l;
    if (key.len != TIME_KEY_BYTES)
        return OK;
    TRY(look_up(t, w->v, w->keys, key.data + OWNER_BYTES + 9, &l));
    return l.deleted_at_ms && !w->with_deleted ? OK : w->fn(t, w->arg, &l);
}

err_t vault_each(task_t *t, vault_t *v, bool with_deleted, vault_listed_fn fn, void *arg)
{
    AUTO_PTR(vault_keys_t) k = NULL;
    uint8_t prefix[OWNER_BYTES + 1];
    err_t e = vault_need_keys(t, v, false, &k);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e; /* no key yet, so no files */
    put_owner(k, 't', prefix);
    kv_range_t range = {.prefix = bytes_of(prefix, sizeof prefix)};
    visit_t w = {.v = v, .keys = k, .with_deleted = with_deleted, .fn = fn, .arg = arg};
    return kv_scan(t, v->state, VAULT_SPACE, &range, visit_row, &w);
}

/* ── deletion ────────────────────────────────────────────────────────────────────────────────── */
/* Is it ours to delete? Files that were stored elsewhere with this key are known by their manifest. */
static err_t check_own(task_t *t, blocks_t *blocks, const vault_keys_t *k, const cid_t *manifest)
{
    AUTO_PTR(block_t) block = NULL;
    manifest_t m;
    TRY(vault_get_manifest(t, blocks, manifest, &block, &m));
    if (!owner_key_equal(&m.owner, &k->owner))
        return fail(ERR_DENIED, "the file is of another owner: only the owner can delete it");
    return OK;
}

err_t vault_delete(task_t *t, vault_t *v, blocks_t *blocks, const cid_t *manifest, buf_t *tombstone)
{
    AUTO_PTR(vault_keys_t) k = NULL;
    vault_listed_t l;
    if (!manifest_is_cid(manifest))
        return fail(ERR_INVALID, "only encrypted files are deleted this way");
    TRY(vault_need_keys(t, v, false, &k));
    err_t e = look_up(t, v, k, manifest->digest, &l);
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (e)
        TRY(check_own(t, blocks, k, manifest));
    return tombstone_seal(k->sign, manifest, tombstone);
}

err_t vault_deleted(task_t *t, vault_t *v, const cid_t *manifest)
{
    AUTO_PTR(vault_keys_t) k = NULL;
    vault_listed_t l;
    TRY(vault_need_keys(t, v, false, &k));
    err_t e = look_up(t, v, k, manifest->digest, &l);
    if (e || l.deleted_at_ms)
        return e == ERR_NOT_FOUND ? OK : e;
    l.deleted_at_ms = driver_wall_ms(task_driver(t));
    return put(t, v, k, &l);
}
