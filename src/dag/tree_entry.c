#include "dag/tree_entry.h"
#include "base/reader.h"
#include "base/writer.h"
#include "dag/hamt.h"

/* ── values ──────────────────────────────────────────────────────────────────────────────────── */
enum { HAS_MODE = 1, HAS_MTIME = 2 };

tree_kind_t tree_entry_kind(const run_entry_t *e)
{
    return e->value.len ? (tree_kind_t)e->value.data[0] : TREE_IMPLICIT;
}

err_t tree_value_put_dir(const unixfs_t *meta, buf_t *out)
{
    static const unixfs_t none;
    const unixfs_t *m = meta ? meta : &none;
    writer_t w = writer_to(out);
    write_u8(&w, TREE_DIR);
    write_u8(&w, (uint8_t)((m->has_mode ? HAS_MODE : 0) | (m->has_mtime ? HAS_MTIME : 0)));
    write_uvarint(&w, m->mode);
    write_u64le(&w, (uint64_t)m->mtime.seconds);
    write_uvarint(&w, m->mtime.nanoseconds);
    return w.err;
}

err_t tree_value_put_file(const dag_ref_t *ref, buf_t *out)
{
    TRY(buf_append_u8(out, TREE_FILE));
    return run_value_put_ref(ref, out);
}

err_t tree_value_get_dir(bytes_t value, unixfs_t *ret_meta)
{
    reader_t r = reader_of(bytes_slice(value, 1, value.len));
    uint8_t has = read_u8(&r);
    unixfs_t meta = {.has_mode = has & HAS_MODE, .has_mtime = has & HAS_MTIME};
    meta.mode = (uint32_t)read_uvarint(&r);
    meta.mtime.seconds = (int64_t)read_u64le(&r);
    meta.mtime.nanoseconds = (uint32_t)read_uvarint(&r);
    TRY(r.err);
    *ret_meta = meta;
    return OK;
}

err_t tree_value_get_file(bytes_t value, dag_ref_t *ret_ref)
{
    return run_value_get_ref(bytes_slice(value, 1, value.len), ret_ref);
}

/* ── paths ───────────────────────────────────────────────────────────────────────────────────── */
static size_t last_slash(bytes_t path)
{
    const uint8_t *slash = path.len ? memrchr(path.data, '/', path.len) : NULL;
    return slash ? (size_t)(slash - path.data) : SIZE_MAX;
}

bytes_t tree_path_parent(bytes_t path)
{
    size_t at = last_slash(path);
    return at == SIZE_MAX ? BYTES_NONE : bytes_slice(path, 0, at);
}

bytes_t tree_path_name(bytes_t path)
{
    size_t at = last_slash(path);
    return at == SIZE_MAX ? path : bytes_slice(path, at + 1, path.len);
}

bool tree_path_is_below(bytes_t path, bytes_t dir)
{
    return !dir.len || (bytes_starts_with(path, dir) && (path.len == dir.len || path.data[dir.len] == '/'));
}

/* The name that stands at `from`. */
static bytes_t name_at(bytes_t path, size_t from)
{
    const uint8_t *slash = memchr(path.data + from, '/', path.len - from);
    return bytes_slice(path, from, slash ? (size_t)(slash - path.data) - from : path.len);
}

static int compare_names(bytes_t a, uint64_t a_hash, bytes_t b, uint64_t b_hash)
{
    return a_hash != b_hash ? (a_hash < b_hash ? -1 : 1) : bytes_compare(a, b);
}

int tree_entry_order(const run_entry_t *a, const run_entry_t *b)
{
    bytes_t x = a->key, y = b->key;
    size_t same = 0, shorter = x.len < y.len ? x.len : y.len;
    while (same < shorter && x.data[same] == y.data[same])
        same++;
    if (same == x.len && same == y.len)
        return (int)tree_entry_kind(a) - (int)tree_entry_kind(b);
    if (tree_path_is_below(y, x))
        return -1;
    if (tree_path_is_below(x, y))
        return 1;
    while (same && x.data[same - 1] != '/') /* back to where the names begin that differ */
        same--;
    bytes_t u = name_at(x, same), v = name_at(y, same);
    bool is_last = same + u.len == x.len, is_last_too = same + v.len == y.len;
    return compare_names(u, is_last ? a->hash : hamt_hash(u), v, is_last_too ? b->hash : hamt_hash(v));
}
