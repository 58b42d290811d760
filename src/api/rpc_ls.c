/* rpc_ls: `ls`: the links of directories and files, in flat memory for any number of them. Reference:
 * ipfs/kubo core/commands/ls.go. */
#include "api/rpc_util.h"
#include "base/reader.h"
#include "base/rfc3339.h"
#include "codec/ipld.h"
#include "dag/dir_pages.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is written first waits in memory, so that a folder that cannot be read is an error with a status. */
enum { HELD_BYTES = 256 << 10, HELD_MAX_BYTES = 4 << 20, AHEAD = 32 };

typedef struct ls {
    rpc_t *r;
    blocks_t *blocks;
    const char *arg;
    bool resolves, streams;
    size_t n_links; /* of this argument */
    buf_t out;
} ls_t;

static err_t send(task_t *t, ls_t *l)
{
    TRY(rpc_emit_text(t, l->r, buf_bytes(&l->out)));
    buf_clear(&l->out);
    return OK;
}

static err_t put_time(const unixfs_t *u, buf_t *out)
{
    char text[RFC3339_MAX];
    return buf_printf(out, "\"%s\"",
                      rfc3339_print(u->has_mtime ? u->mtime.seconds : RFC3339_NONE,
                                    u->has_mtime ? u->mtime.nanoseconds : 0, text));
}

/* Go's bits of the kind of file, beside the permissions. */
static uint32_t go_mode(const dag_node_t *n)
{
    enum { GO_SETUID = 1 << 23, GO_SETGID = 1 << 22, GO_STICKY = 1 << 20, GO_SYMLINK = 1 << 27 };
    uint32_t mode = n->fs.mode, go = mode & 0777;
    if (!n->fs.has_mode || !mode)
        return 0;
    go |= mode & 04000 ? GO_SETUID : 0;
    go |= mode & 02000 ? GO_SETGID : 0;
    go |= mode & 01000 ? GO_STICKY : 0;
    if (dag_node_is_dir(n))
        go |= 1u << 31;
    return n->fs.type == UNIXFS_SYMLINK ? go | GO_SYMLINK : go;
}

/* {"Name":…,"Hash":…,"Size":…,"Type":…,"Target":…,"Mode":…,"ModTime":…} */
static err_t put_link(task_t *t, ls_t *l, const dir_entry_t *entry)
{
    uint64_t size = 0;
    int type = 0;
    char cid[CID_TEXT_MAX];
    AUTO(dag_node_t) n = {0};
    if (entry->cid.codec == CODEC_RAW) {
        type = UNIXFS_FILE;
        size = entry->tsize;
    } else if (entry->cid.codec == CODEC_DAG_PB && l->resolves) {
        TRY(dag_node_get(t, l->blocks, &entry->cid, &n));
        type = dag_node_is_file(&n) ? UNIXFS_FILE : dag_node_is_dir(&n) ? UNIXFS_DIRECTORY : UNIXFS_SYMLINK;
        size = type == UNIXFS_SYMLINK ? n.fs.data.len : n.size;
    }
    buf_t *out = &l->out;
    TRY(buf_printf(out, "{\"Name\":"));
    TRY(json_quote(entry->name, out));
    TRY(buf_printf(out, ",\"Hash\":\"%s\",\"Size\":%" PRIu64 ",\"Type\":%d,\"Target\":",
                   rpc_cid(l->r, &entry->cid, cid), size, type));
    TRY(json_quote(type == UNIXFS_SYMLINK ? n.fs.data : BYTES_NONE, out));
    TRY(buf_printf(out, ",\"Mode\":%" PRIu32 ",\"ModTime\":", go_mode(&n)));
    TRY(put_time(&n.fs, out));
    return buf_append_u8(out, '}');
}

static err_t begin_object(ls_t *l)
{
    TRY(buf_printf(&l->out, "{\"Hash\":"));
    TRY(json_quote(bytes_str(l->arg), &l->out));
    return buf_printf(&l->out, ",\"Links\":[");
}

/* A link: an object of its own when they are streamed, else one of many in an object. */
static err_t emit_link(task_t *t, ls_t *l, const dir_entry_t *entry)
{
    if (l->streams) {
        TRY(buf_printf(&l->out, "{\"Objects\":["));
        TRY(begin_object(l));
        TRY(put_link(t, l, entry));
        TRY(buf_printf(&l->out, "]}]}\n"));
        return send(t, l);
    }
    if (l->n_links++)
        TRY(buf_append_u8(&l->out, ','));
    TRY(put_link(t, l, entry));
    return l->out.len < HELD_BYTES ? OK : send(t, l);
}

/* Of a file the reference lists the links to its parts. */
static err_t list_parts(task_t *t, ls_t *l, const dag_node_t *n)
{
    dag_pb_links_t links = dag_pb_links(&n->pb);
    dag_pb_link_t link;
    while (dag_pb_next_link(&links, &link)) {
        dir_entry_t entry = {.name = link.name, .cid = link.cid, .tsize = link.tsize};
        TRY(emit_link(t, l, &entry));
    }
    return OK;
}

/* In the order of the blocks, each as it comes. */
static err_t list_as_found(task_t *t, ls_t *l, const dag_node_t *n)
{
    AUTO(dir_reader_t) dir = {0};
    TRY(dir_reader_init(t, &dir, l->blocks, n));
    for (size_t i = 0;; i++) {
        dir_entry_t entry;
        bool has;
        TRY(dir_reader_next(t, &dir, &entry, &has));
        if (!has)
            return OK;
        if (l->resolves && i % (AHEAD / 2) == 0)
            dir_reader_prefetch(t, &dir, AHEAD);
        TRY(emit_link(t, l, &entry));
    }
}

static err_t list_pages(task_t *t, ls_t *l, dir_pages_t *pages)
{
    for (;;) {
        size_t count;
        TRY(dir_pages_next(t, pages, &count));
        if (!count)
            return OK;
        for (size_t i = 0; i < count; i++) {
            if (l->resolves && i % (AHEAD / 2) == 0)
                dir_pages_prefetch(t, pages, i, AHEAD);
            dir_entry_t entry = dir_pages_get(pages, i);
            TRY(emit_link(t, l, &entry));
        }
    }
}

static err_t list_by_name(task_t *t, ls_t *l, const dag_node_t *n)
{
    AUTO(dir_pages_t) pages = {0};
    dir_pages_init(&pages, l->blocks, n, repo_path(node_repo(l->r->node)), DIR_PAGES_BYTES);
    return list_pages(t, l, &pages);
}

static err_t keep_link(void *out, const cid_t *link)
{
    uint8_t raw[CID_BINARY_MAX];
    writer_t w = writer_to(out);
    write_length_prefixed(&w, bytes_of(raw, cid_encode(link, raw)));
    return w.err;
}

/* Of a block that is no file or directory, whatever its codec: the links in it, which have no names. */
static err_t list_block(task_t *t, ls_t *l)
{
    AUTO_PTR(block_t) block = NULL;
    AUTO(buf_t) links = {0};
    cid_t cid;
    buf_init(&links, 2 * BLOCK_MAX_BYTES);
    TRY(rpc_resolve_cid(t, l->r, l->arg, &cid));
    TRY(blocks_get(t, l->blocks, &cid, &block));
    TRY(ipld_links(cid.codec, block_bytes(block), keep_link, &links));
    reader_t r = reader_of(buf_bytes(&links));
    while (reader_left(&r)) {
        dir_entry_t entry = {.name = BYTES_NONE};
        TRY(cid_decode(read_length_prefixed(&r, CID_BINARY_MAX), &entry.cid));
        TRY(emit_link(t, l, &entry));
    }
    return OK;
}

static err_t list_arg(task_t *t, ls_t *l)
{
    AUTO(dag_node_t) n = {0};
    err_t e = rpc_resolve_node(t, l->r, l->blocks, l->arg, &n);
    if (e && e != ERR_UNSUPPORTED)
        return e;
    l->n_links = 0;
    if (!l->streams)
        TRY(begin_object(l));
    if (e)
        TRY(list_block(t, l));
    else
        TRY((!dag_node_is_dir(&n) ? list_parts : l->streams ? list_as_found : list_by_name)(t, l, &n));
    return l->streams ? OK : buf_printf(&l->out, "]}");
}

static err_t list_all(task_t *t, ls_t *l)
{
    if (!l->streams)
        TRY(buf_printf(&l->out, "{\"Objects\":["));
    for (size_t i = 0; i < l->r->n_args; i++) {
        if (i && !l->streams)
            TRY(buf_append_u8(&l->out, ','));
        l->arg = l->r->args[i];
        TRY(list_arg(t, l));
    }
    if (!l->streams)
        TRY(buf_printf(&l->out, "]}\n"));
    return send(t, l);
}

err_t rpc_ls(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    ls_t l = {.r = r,
              .blocks = session.blocks,
              .resolves = rpc_bool(r, "resolve-type", true) || rpc_bool(r, "size", true),
              .streams = rpc_bool(r, "stream", false)};
    buf_init(&l.out, HELD_MAX_BYTES);
    err_t e = list_all(t, &l);
    buf_deinit(&l.out);
    return e;
}
