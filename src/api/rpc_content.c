/* rpc_content: cat, ls, refs, resolve. Reference: ipfs/kubo core/commands. */
#include "api/rpc_util.h"
#include "dag/file_reader.h"
#include "dag/path.h"
#include "dag/walk.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REFS_MAX_VISITED = 16 << 20 };

err_t rpc_resolve_node(task_t *t, rpc_t *r, blocks_t *blocks, const char *text, dag_node_t *ret_node)
{
    AUTO(buf_t) where;
    buf_init(&where, RPC_PATH_MAX_BYTES);
    TRY(rpc_content_path(t, r, text, &where));
    dag_path_t *path = xcalloc(1, sizeof *path); /* large for a task's stack */
    err_t e = dag_path_parse(buf_bytes(&where), path);
    if (!e)
        e = dag_path_resolve(t, blocks, path, ret_node);
    free(path);
    return e;
}

json_t *rpc_bytes_json(bytes_t text)
{
    json_t *whole = json_stringn((const char *)text.data, text.len);
    if (whole)
        return whole;
    AUTO(buf_t) quoted = {0};
    buf_init(&quoted, 6 * text.len + 16);
    if (!json_quote(text, &quoted))
        whole = json_loadb((const char *)quoted.data, quoted.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return whole ? whole : json_string("");
}

/* ── cat ─────────────────────────────────────────────────────────────────────────────────────── */
static err_t send_file(task_t *t, rpc_t *r, file_reader_t *reader)
{
    for (;;) {
        bytes_t piece;
        TRY(file_reader_next(t, reader, &piece));
        if (!piece.len)
            return OK;
        TRY(exchange_write(t, r->x, piece));
    }
}

/* offset and length count over all arguments together. */
static err_t cat_all(task_t *t, rpc_t *r, blocks_t *blocks, uint64_t offset, uint64_t length)
{
    for (size_t i = 0; i < r->n_args && length; i++) {
        AUTO(dag_node_t) node = {0};
        AUTO(file_reader_t) reader = {0};
        TRY(rpc_resolve_node(t, r, blocks, r->args[i], &node));
        if (dag_node_is_dir(&node))
            return fail(ERR_INVALID, "this dag node is a directory");
        if (node.fs.type == UNIXFS_SYMLINK) { /* where it leads, as the reference has it */
            if (!r->is_streaming)
                TRY(rpc_begin_bytes(t, r, "text/plain", -1));
            TRY(exchange_write(t, r->x, node.fs.data));
            continue;
        }
        TRY(file_reader_init(&reader, blocks, &node));
        uint64_t size = reader.size;
        file_reader_seek(&reader, offset, length);
        uint64_t wanted = reader.end - reader.position;
        if (!r->is_streaming) {
            char text[32];
            snprintf(text, sizeof text, "%" PRIu64, wanted);
            if (r->n_args == 1)
                TRY(exchange_set_header(r->x, "X-Content-Length", text));
            TRY(rpc_begin_bytes(t, r, "text/plain", -1));
        }
        TRY(send_file(t, r, &reader));
        offset = offset > size ? offset - size : 0;
        length -= length == UINT64_MAX ? 0 : wanted;
    }
    return OK;
}

static err_t rpc_cat(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    uint64_t offset, length;
    const char *text = rpc_option(r, "length");
    TRY(rpc_u64(r, "offset", 0, &offset));
    TRY(rpc_u64(r, "length", UINT64_MAX, &length));
    if (text && *text && !length)
        return rpc_begin_bytes(t, r, "text/plain", -1);
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(cat_all(t, r, session.blocks, offset, length));
    return rpc_begin_bytes(t, r, "text/plain", -1); /* when there was nothing to send */
}

/* ── ls ──────────────────────────────────────────────────────────────────────────────────────── */
typedef struct ls {
    rpc_t *r;
    blocks_t *blocks;
    const char *arg;
    bool resolves, sizes, streams;
    json_t *links; /* when the answer is one object */
} ls_t;

/* As Go prints a time: the year 1 when there is none. */
static json_t *time_json(const unixfs_t *u)
{
    char text[64] = "0001-01-01T00:00:00";
    time_t seconds = u->mtime.seconds;
    struct tm tm;
    if (u->has_mtime && gmtime_r(&seconds, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    size_t n = strlen(text);
    if (u->has_mtime && u->mtime.nanoseconds) {
        n += (size_t)snprintf(text + n, sizeof text - n, ".%09u", u->mtime.nanoseconds);
        while (text[n - 1] == '0')
            n--;
    }
    text[n] = 'Z';
    return json_stringn(text, n + 1);
}

static err_t describe(task_t *t, ls_t *l, const dir_entry_t *entry, json_t *link)
{
    uint64_t size = 0;
    int type = 0;
    AUTO(dag_node_t) n = {0};
    if (entry->cid.codec == CODEC_RAW) {
        type = UNIXFS_FILE;
        size = entry->tsize;
    } else if (entry->cid.codec == CODEC_DAG_PB && (l->resolves || l->sizes)) {
        TRY(dag_node_get(t, l->blocks, &entry->cid, &n));
        type = dag_node_is_file(&n) ? UNIXFS_FILE : dag_node_is_dir(&n) ? UNIXFS_DIRECTORY : UNIXFS_SYMLINK;
        size = type == UNIXFS_SYMLINK ? n.fs.data.len : n.size;
        if (type == UNIXFS_SYMLINK)
            json_object_set_new(link, "Target", rpc_bytes_json(n.fs.data));
    }
    json_object_set_new(link, "Size", json_integer((json_int_t)size));
    json_object_set_new(link, "Type", json_integer(type));
    json_object_set_new(link, "Mode", json_integer(n.fs.has_mode ? n.fs.mode & 07777 : 0));
    json_object_set_new(link, "ModTime", time_json(&n.fs));
    return OK;
}

static err_t emit_link(task_t *t, ls_t *l, const dir_entry_t *entry)
{
    char cid[CID_TEXT_MAX];
    json_t *link = json_pack("{s:o, s:s, s:i, s:i, s:s}", "Name", rpc_bytes_json(entry->name), "Hash",
                             rpc_cid(l->r, &entry->cid, cid), "Size", 0, "Type", 0, "Target", "");
    err_t e = describe(t, l, entry, link);
    if (e) {
        json_decref(link);
        return e;
    }
    if (l->streams)
        return rpc_emit(t, l->r,
                        json_pack("{s:[{s:o, s:[o]}]}", "Objects", "Hash", rpc_bytes_json(bytes_str(l->arg)),
                                  "Links", link));
    json_array_append_new(l->links, link);
    return OK;
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

static err_t list_node(task_t *t, ls_t *l, const dag_node_t *n)
{
    if (!dag_node_is_dir(n))
        return list_parts(t, l, n);
    AUTO(dir_reader_t) dir = {0};
    TRY(dir_reader_init(t, &dir, l->blocks, n));
    for (;;) {
        dir_entry_t entry;
        bool has;
        TRY(dir_reader_next(t, &dir, &entry, &has));
        if (!has)
            return OK;
        TRY(emit_link(t, l, &entry));
    }
}

static err_t rpc_ls(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    ls_t l = {.r = r,
              .blocks = session.blocks,
              .resolves = rpc_bool(r, "resolve-type", true),
              .sizes = rpc_bool(r, "size", true),
              .streams = rpc_bool(r, "stream", false)};
    json_t *objects = json_array();
    err_t e = OK;
    for (size_t i = 0; i < r->n_args && !e; i++) {
        AUTO(dag_node_t) n = {0};
        l.arg = r->args[i];
        l.links = json_array();
        e = rpc_resolve_node(t, r, session.blocks, r->args[i], &n);
        if (!e)
            e = list_node(t, &l, &n);
        json_array_append_new(
            objects, json_pack("{s:o, s:o}", "Hash", rpc_bytes_json(bytes_str(l.arg)), "Links", l.links));
    }
    if (!e && !l.streams)
        return rpc_emit(t, r, json_pack("{s:o}", "Objects", objects));
    json_decref(objects);
    return e;
}

/* ── refs ────────────────────────────────────────────────────────────────────────────────────── */
static err_t print_ref(const rpc_t *r, const char *format, const walk_step_t *step, buf_t *out)
{
    char source[CID_TEXT_MAX], target[CID_TEXT_MAX];
    rpc_cid(r, &step->parent, source);
    rpc_cid(r, &step->cid, target);
    buf_clear(out);
    for (const char *p = format; *p;) {
        if (!strncmp(p, "<src>", 5)) {
            TRY(buf_append(out, bytes_str(source)));
            p += 5;
        } else if (!strncmp(p, "<dst>", 5)) {
            TRY(buf_append(out, bytes_str(target)));
            p += 5;
        } else if (!strncmp(p, "<linkname>", 10)) {
            TRY(buf_append(out, step->name));
            p += 10;
        } else {
            TRY(buf_append_u8(out, (uint8_t)*p++));
        }
    }
    return OK;
}

static err_t emit_refs(task_t *t, rpc_t *r, blocks_t *blocks, const cid_t *root, walk_options_t options,
                       const char *format)
{
    AUTO(walk_t) w = {0};
    AUTO(buf_t) text = {0};
    buf_init(&text, 64 << 10);
    walk_init(&w, blocks, root, options);
    for (;;) {
        walk_step_t step;
        bool has;
        TRY(walk_next(t, &w, &step, &has));
        if (!has)
            return OK;
        if (!step.depth)
            continue;
        TRY(print_ref(r, format, &step, &text));
        TRY(rpc_emit(t, r, json_pack("{s:o, s:s}", "Ref", rpc_bytes_json(buf_bytes(&text)), "Err", "")));
    }
}

static err_t rpc_refs(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    const char *format = rpc_option(r, "format"), *depth = rpc_option(r, "max-depth");
    walk_options_t options = {
        .max_depth = 1, .is_unique = rpc_bool(r, "unique", false), .max_visited = REFS_MAX_VISITED};
    if (rpc_bool(r, "recursive", false)) {
        long limit = depth && *depth ? strtol(depth, NULL, 10) : -1;
        options.max_depth = limit < 0 ? SIZE_MAX : (size_t)limit;
    }
    if (rpc_bool(r, "edges", false)) {
        if (format && *format && strcmp(format, "<dst>"))
            return fail(ERR_USAGE, "using format argument with edges is not allowed");
        format = "<src> -> <dst>";
    }
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    for (size_t i = 0; i < r->n_args; i++) {
        cid_t root;
        TRY(rpc_resolve_cid(t, r, r->args[i], &root));
        TRY(emit_refs(t, r, session.blocks, &root, options, format && *format ? format : "<dst>"));
    }
    return OK;
}

/* ── resolve ─────────────────────────────────────────────────────────────────────────────────── */
static err_t rpc_resolve(task_t *t, rpc_t *r)
{
    char cid_text[CID_TEXT_MAX];
    cid_t cid;
    TRY(rpc_resolve_cid(t, r, r->args[0], &cid));
    return rpc_emit(t, r, json_pack("{s:o}", "Path", json_sprintf("/ipfs/%s", rpc_cid(r, &cid, cid_text))));
}

const rpc_command_t rpc_content_commands[] = {
    {"add", rpc_add, 0, 0, NULL},
    {"cat", rpc_cat, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"get", rpc_get, 1, 1, "ipfs-path"},
    {"ls", rpc_ls, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"refs", rpc_refs, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"resolve", rpc_resolve, 1, 1, "name"},
    {NULL, NULL, 0, 0, NULL},
};
