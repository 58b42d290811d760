/* rpc_files_read: files/stat, files/ls, files/read. They look at the tree as it is when they begin; what
 * others change meanwhile does not show. Reference: ipfs/kubo core/commands/files.go. */
#include "api/rpc_files.h"
#include "dag/dag_walk.h"
#include "dag/dir_reader.h"
#include "dag/file_reader.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { GO_MODE_DIR = 1 << 31, GO_MODE_SYMLINK = 1 << 27, GO_MODE_SETUID = 1 << 23, GO_MODE_SETGID = 1 << 22 };
enum { GO_MODE_STICKY = 1 << 20, LS_FLUSH_BYTES = 32 << 10 };

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */
/* A mode as Go has it: permissions, and the rest in the upper bits. */
static uint32_t go_mode(const unixfs_t *u)
{
    uint32_t unix_mode = u->has_mode ? u->mode & 07777 : 0;
    bool is_dir = u->type == UNIXFS_DIRECTORY || u->type == UNIXFS_HAMT_SHARD;
    if (!unix_mode)
        return u->type == UNIXFS_SYMLINK ? (uint32_t)GO_MODE_SYMLINK | 0777 : 0;
    return (unix_mode & 0777) | (unix_mode & 04000 ? GO_MODE_SETUID : 0) |
           (unix_mode & 02000 ? GO_MODE_SETGID : 0) | (unix_mode & 01000 ? GO_MODE_STICKY : 0) |
           (is_dir ? (uint32_t)GO_MODE_DIR : 0) | (u->type == UNIXFS_SYMLINK ? GO_MODE_SYMLINK : 0);
}

/* As Kubo tells the size of a node by its type. */
static uint64_t content_size(const dag_node_t *n)
{
    switch (n->fs.type) {
    case UNIXFS_SYMLINK:
        return n->fs.data.len;
    case UNIXFS_RAW:
        return n->block->cid.codec == CODEC_RAW ? n->block->len : n->fs.data.len;
    case UNIXFS_FILE:
        return n->block->cid.codec == CODEC_RAW ? n->block->len : n->fs.file_size;
    default:
        return 0;
    }
}

typedef struct locality {
    uint64_t bytes;
    bool is_complete;
    buf_t todo; /* CIDs, each behind its length */
} locality_t;

static err_t push_link(void *arg, const cid_t *link)
{
    locality_t *l = arg;
    uint8_t raw[CID_BINARY_MAX];
    size_t len = cid_encode(link, raw);
    TRY(buf_append(&l->todo, bytes_of(raw, len)));
    return buf_append_u8(&l->todo, (uint8_t)len);
}

/* Every link counts, as often as it is there. */
static err_t walk_local(task_t *t, rpc_t *r, const cid_t *root, locality_t *l)
{
    TRY(push_link(l, root));
    while (l->todo.len) {
        AUTO_PTR(block_t) block = NULL;
        cid_t cid;
        size_t len = l->todo.data[l->todo.len - 1];
        TRY(task_breathe(t)); /* what is in memory is read without waiting */
        TRY(cid_decode(bytes_of(l->todo.data + l->todo.len - 1 - len, len), &cid));
        l->todo.len -= len + 1;
        err_t e = blocks_get(t, node_local_blocks(r->node), &cid, &block);
        if (e == ERR_NOT_FOUND)
            l->is_complete = false;
        else
            TRY(e);
        if (e)
            continue;
        l->bytes += block->len;
        TRY(block_each_link(&cid, block_bytes(block), push_link, l));
    }
    return OK;
}

static err_t add_locality(task_t *t, rpc_t *r, const cid_t *root, json_t *o)
{
    locality_t l = {.is_complete = true};
    buf_init(&l.todo, DAG_WALK_TODO_MAX_BYTES);
    err_t e = walk_local(t, r, root, &l);
    buf_deinit(&l.todo);
    TRY(e);
    json_object_set_new(o, "WithLocality", json_true());
    if (l.is_complete)
        json_object_set_new(o, "Local", json_true());
    if (l.bytes)
        json_object_set_new(o, "SizeLocal", json_integer((json_int_t)l.bytes));
    return OK;
}

static void add_meta(const dag_node_t *n, json_t *o)
{
    char text[32];
    uint32_t mode = n->block->cid.codec == CODEC_RAW ? 0 : go_mode(&n->fs);
    if (n->fs.has_mtime && n->fs.mtime.seconds)
        json_object_set_new(o, "Mtime", json_integer(n->fs.mtime.seconds));
    if (n->fs.has_mtime && n->fs.mtime.nanoseconds)
        json_object_set_new(o, "MtimeNsecs", json_integer(n->fs.mtime.nanoseconds));
    if (!mode)
        return;
    snprintf(text, sizeof text, "%04o", mode);
    json_object_set_new(o, "Mode", json_string(text));
}

static err_t check_stat_format(rpc_t *r)
{
    static const char otherwise[] =
        "<hash>\nSize: <size>\nCumulativeSize: <cumulsize>\nChildBlocks: <childs>\n"
        "Type: <type>\nMode: <mode> (<mode-octal>)\nMtime: <mtime>";
    const char *format = rpc_option(r, "format");
    int count = rpc_bool(r, "hash", false) + rpc_bool(r, "size", false) +
                (format && *format && strcmp(format, otherwise) != 0);
    return count > 1
               ? fail(ERR_USAGE, "invalid parameters: format was set by multiple options. Only one format "
                                 "option is allowed")
               : OK;
}

err_t rpc_files_stat(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) n = {0};
    AUTO(buf_t) room = {0};
    char text[CID_TEXT_MAX];
    const char *path;
    cid_t cid;
    TRY(check_stat_format(r));
    TRY(rpc_files_path(r->args[0], &room, &path));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(rpc_files_source(t, r, session.blocks, path, &cid));
    if (cid.codec != CODEC_RAW && cid.codec != CODEC_DAG_PB)
        return fail(ERR_INVALID, "not unixfs node (proto or raw)");
    TRY(dag_node_get(t, session.blocks, &cid, &n));
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:I, s:s}", "Hash", rpc_cid(r, &cid, text), "Size",
                  (json_int_t)content_size(&n), "CumulativeSize", (json_int_t)dag_node_tsize(&n), "Blocks",
                  (json_int_t)n.pb.link_count, "Type", dag_node_is_dir(&n) ? "directory" : "file");
    err_t e = rpc_bool(r, "with-local", false) ? add_locality(t, r, &cid, o) : OK;
    if (e) {
        json_decref(o);
        return e;
    }
    add_meta(&n, o);
    return rpc_emit(t, r, o);
}

/* ── ls ──────────────────────────────────────────────────────────────────────────────────────── */
typedef struct ls {
    rpc_t *r;
    blocks_t *blocks;
    bool is_long;
    size_t count;
    buf_t line; /* gathered until it is worth sending */
} ls_t;

static err_t put_entry(ls_t *l, bytes_t name, int type, uint64_t size, const char *hash)
{
    TRY(buf_printf(&l->line, l->count++ ? ",{\"Name\":" : "{\"Entries\":[{\"Name\":"));
    TRY(json_quote(name, &l->line));
    return buf_printf(&l->line, ",\"Type\":%d,\"Size\":%" PRIu64 ",\"Hash\":\"%s\"}", type, size, hash);
}

static err_t put_child(task_t *t, ls_t *l, const dir_entry_t *entry)
{
    AUTO(dag_node_t) n = {0};
    char text[CID_TEXT_MAX];
    if (!l->is_long)
        return put_entry(l, entry->name, 0, 0, "");
    TRY(dag_node_get(t, l->blocks, &entry->cid, &n));
    return put_entry(l, entry->name, dag_node_is_dir(&n), content_size(&n), cid_print(&entry->cid, text));
}

static err_t send_line(task_t *t, ls_t *l)
{
    TRY(rpc_emit_text(t, l->r, buf_bytes(&l->line)));
    buf_clear(&l->line);
    return OK;
}

static err_t list_dir(task_t *t, ls_t *l, const dag_node_t *dir)
{
    AUTO(dir_reader_t) reader = {0};
    dir_entry_t entry;
    bool has;
    TRY(dir_reader_init(t, &reader, l->blocks, dir));
    for (;;) {
        TRY(dir_reader_next(t, &reader, &entry, &has));
        if (!has)
            break;
        TRY(put_child(t, l, &entry));
        if (l->line.len >= LS_FLUSH_BYTES)
            TRY(send_line(t, l));
    }
    TRY(buf_printf(&l->line, l->count ? "]}\n" : "{\"Entries\":null}\n"));
    return send_line(t, l);
}

static err_t list_file(task_t *t, ls_t *l, const dag_node_t *n, const char *path)
{
    char text[CID_TEXT_MAX];
    const char *name = strrchr(path, '/') + 1;
    TRY(put_entry(l, bytes_str(name), 0, l->is_long ? content_size(n) : 0,
                  l->is_long ? rpc_cid(l->r, &n->block->cid, text) : ""));
    TRY(buf_printf(&l->line, "]}\n"));
    return send_line(t, l);
}

err_t rpc_files_ls(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) n = {0};
    AUTO(buf_t) room = {0};
    const char *path;
    mfs_entry_t entry;
    TRY(rpc_files_path(r->n_args ? r->args[0] : "/", &room, &path));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(mfs_lookup(t, repo_mfs(node_repo(r->node)), session.blocks, path, &entry));
    TRY(dag_node_get(t, session.blocks, &entry.ref.cid, &n));
    ls_t l = {.r = r, .blocks = session.blocks, .is_long = rpc_bool(r, "long", false)};
    buf_init(&l.line, 4 << 20);
    err_t e = entry.is_dir ? list_dir(t, &l, &n) : list_file(t, &l, &n, path);
    buf_deinit(&l.line);
    return e;
}

/* ── read ────────────────────────────────────────────────────────────────────────────────────── */
static err_t read_range(rpc_t *r, uint64_t size, uint64_t *ret_from, uint64_t *ret_len)
{
    const char *offset = rpc_option(r, "offset"), *count = rpc_option(r, "count");
    bool is_before = false, is_less = false;
    uint64_t from = 0, len = INT64_MAX;
    if (offset && *offset)
        rpc_number_read(offset, &is_before, &from);
    if (count && *count)
        rpc_number_read(count, &is_less, &len);
    if (is_before && from)
        return fail(ERR_INVALID, "cannot specify negative offset");
    if (from > size)
        return fail(ERR_INVALID, "offset was past end of file (%" PRIu64 " > %" PRIu64 ")", from, size);
    if (is_less && len)
        return fail(ERR_INVALID, "cannot specify negative 'count'");
    *ret_from = from;
    *ret_len = len;
    return OK;
}

err_t rpc_files_read(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) n = {0};
    AUTO(file_reader_t) reader = {0};
    AUTO(buf_t) room = {0};
    const char *path;
    mfs_entry_t entry;
    uint64_t from, len;
    TRY(rpc_files_path(r->args[0], &room, &path));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    err_t e = mfs_lookup(t, repo_mfs(node_repo(r->node)), session.blocks, path, &entry);
    if (e)
        return fail_also(e, "%.150s", path);
    if (entry.is_dir)
        return fail(ERR_INVALID, "%.150s was not a file", path);
    TRY(dag_node_get(t, session.blocks, &entry.ref.cid, &n));
    if (n.fs.type == UNIXFS_SYMLINK)
        return fail(ERR_UNSUPPORTED, "symlinks not yet supported");
    TRY(file_reader_init(&reader, session.blocks, &n));
    TRY(read_range(r, reader.size, &from, &len));
    file_reader_seek(&reader, from, len);
    TRY(rpc_begin_bytes(t, r, NULL, -1));
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, &reader, &piece));
        if (!piece.len)
            return OK;
        TRY(exchange_write(t, r->x, piece));
    }
}
