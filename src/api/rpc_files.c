/* rpc_files: files/…: commands that change the tree. Reference: ipfs/kubo core/commands/files.go, whose texts
 * of errors and order of checks these are. */
#include "api/rpc_files.h"
#include "api/upload.h"
#include "multi/multihash.h"
#include "task/driver.h"
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

err_t rpc_files_path(const char *word, buf_t *room, const char **ret_path)
{
    buf_deinit(room);
    buf_init(room, 2 * MFS_PATH_MAX_BYTES);
    TRY(mfs_clean_path(word, room));
    return buf_cstr(room, ret_path);
}

static mfs_t *files(rpc_t *r)
{
    return repo_mfs(node_repo(r->node));
}

static bool wants_flush(rpc_t *r)
{
    return rpc_bool(r, "flush", true);
}

static err_t open_session(rpc_t *r, node_session_t *ret)
{
    return node_session_open(r->node, rpc_bool(r, "offline", false), ret);
}

/* ── options ─────────────────────────────────────────────────────────────────────────────────── */
static err_t int_option(rpc_t *r, const char *name, int64_t otherwise, int64_t *ret, bool *ret_has)
{
    const char *text = rpc_option(r, name);
    char *end;
    *ret_has = text && *text;
    *ret = otherwise;
    if (!*ret_has)
        return OK;
    errno = 0;
    *ret = strtoll(text, &end, 0);
    return *end || errno ? fail(ERR_USAGE, "option %s: \"%s\" is not a whole number", name, text) : OK;
}

/* What blocks cannot be addressed with is refused before anything is changed. */
static err_t check_format(const mfs_format_t *f)
{
    cid_t probe;
    if (f->hash_code == MH_IDENTITY)
        return OK;
    TRY(cid_of(1, CODEC_RAW, f->hash_code, BYTES_NONE, &probe));
    return cid_check_hash_allowed(&probe);
}

static err_t hash_of(const char *name, uint64_t *ret)
{
    char lower[64] = "";
    for (size_t i = 0; name[i] && i + 1 < sizeof lower; i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    return multihash_from_name(lower, ret);
}

/* cid-version and hash; else, with `uses_config`, the config's. */
static err_t format_options(rpc_t *r, bool uses_config, mfs_format_t *ret)
{
    const config_t *c = repo_config(node_repo(r->node));
    const char *hash = rpc_option(r, "hash");
    bool has_hash = hash && *hash, has_version;
    int64_t version;
    TRY(int_option(r, "cid-version", 0, &version, &has_version));
    *ret = (mfs_format_t){.is_set = true, .hash_code = MH_SHA2_256};
    if (!has_hash && !has_version) {
        ret->is_set = uses_config;
        version = uses_config ? config_int(c, "Import.CidVersion", 0) : 0;
        hash = uses_config ? config_str(c, "Import.HashFunction", "sha2-256") : "sha2-256";
        if (hash_of(hash, &ret->hash_code))
            return fail(ERR_INVALID, "Import.HashFunction unrecognized: \"%s\"", hash);
        if (ret->hash_code != MH_SHA2_256 && !version)
            version = 1;
    } else if (has_hash) {
        if (!version)
            version = 1;
        if (hash_of(hash, &ret->hash_code))
            return fail(ERR_INVALID, "unrecognized hash function: \"%s\"", hash);
    }
    if (version < 0 || version > 1)
        return fail(ERR_INVALID, "unknown CID version: %lld", (long long)version);
    ret->version = (uint8_t)version;
    return check_format(ret);
}

/* ── mkdir, cp, mv, rm ───────────────────────────────────────────────────────────────────────── */
static err_t rpc_files_mkdir(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(buf_t) room = {0};
    const char *path;
    mfs_mkdir_options_t o = {.parents = rpc_bool(r, "parents", false), .flush = wants_flush(r)};
    TRY(rpc_files_path(r->args[0], &room, &path));
    TRY(mfs_count_unflushed(files(r), o.flush));
    TRY(format_options(r, true, &o.format));
    TRY(open_session(r, &session));
    return mfs_mkdir(t, files(r), session.blocks, path, o);
}

err_t rpc_files_source(task_t *t, rpc_t *r, blocks_t *blocks, const char *path, cid_t *ret_cid)
{
    mfs_entry_t entry;
    if (!strncmp(path, "/ipfs/", 6))
        return rpc_resolve_cid(t, r, path, ret_cid);
    TRY(mfs_lookup(t, files(r), blocks, *path ? path : "/", &entry));
    *ret_cid = entry.ref.cid;
    return OK;
}

static err_t check_source(task_t *t, blocks_t *blocks, const cid_t *cid)
{
    AUTO(dag_node_t) n = {0};
    err_t e = dag_node_get(t, blocks, cid, &n);
    if (e == ERR_CORRUPT || e == ERR_INVALID || e == ERR_UNSUPPORTED)
        return fail(e, "cp: source must be a valid UnixFS (dag-pb or raw codec)");
    char text[CID_TEXT_MAX];
    return e ? fail_also(e, "cp: cannot get node from path /ipfs/%s", cid_print(cid, text)) : OK;
}

static err_t make_parents(task_t *t, rpc_t *r, blocks_t *blocks, const char *path, const mfs_format_t *format)
{
    const char *slash = strrchr(path, '/');
    AUTO(buf_t) dir = {0};
    const char *text;
    if (!slash || slash == path)
        return OK;
    buf_init(&dir, 2 * MFS_PATH_MAX_BYTES);
    TRY(buf_append(&dir, bytes_of(path, (size_t)(slash - path))));
    TRY(buf_cstr(&dir, &text));
    return mfs_mkdir(t, files(r), blocks, text, (mfs_mkdir_options_t){.parents = true, .format = *format});
}

/* The destination: behind a slash the name of the source. */
static err_t cp_paths(rpc_t *r, buf_t *src_room, buf_t *dst_room, const char **ret_src, const char **ret_dst)
{
    const char *dst, *base;
    TRY(rpc_files_path(r->args[0], src_room, ret_src));
    while (src_room->len && src_room->data[src_room->len - 1] == '/')
        src_room->len--;
    TRY(buf_cstr(src_room, ret_src));
    TRY(rpc_files_path(r->args[1], dst_room, &dst));
    base = strrchr(*ret_src, '/');
    if (dst_room->data[dst_room->len - 1] == '/')
        TRY(buf_append(dst_room, base ? bytes_str(base + 1) : BYTES_LIT(".")));
    return buf_cstr(dst_room, ret_dst);
}

static err_t rpc_files_cp(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(buf_t) src_room = {0};
    AUTO(buf_t) dst_room = {0};
    const char *src, *dst;
    mfs_format_t format;
    cid_t cid;
    mfs_put_options_t o = {.force = rpc_bool(r, "force", false), .flush = wants_flush(r)};
    TRY(format_options(r, true, &format));
    TRY(cp_paths(r, &src_room, &dst_room, &src, &dst));
    TRY(open_session(r, &session));
    err_t e = rpc_files_source(t, r, session.blocks, src, &cid);
    if (e)
        return fail_also(e, "cp: cannot get node from path %.100s", src);
    TRY(check_source(t, session.blocks, &cid));
    if (rpc_bool(r, "parents", false))
        TRY(make_parents(t, r, session.blocks, dst, &format));
    TRY(mfs_count_unflushed(files(r), o.flush));
    e = mfs_put(t, files(r), session.blocks, dst, &cid, o);
    return e ? fail_also(e, "cp") : OK;
}

static err_t rpc_files_mv(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(buf_t) src_room = {0};
    AUTO(buf_t) dst_room = {0};
    const char *src, *dst;
    bool flush = wants_flush(r);
    TRY(mfs_count_unflushed(files(r), flush));
    TRY(rpc_files_path(r->args[0], &src_room, &src));
    TRY(rpc_files_path(r->args[1], &dst_room, &dst));
    TRY(open_session(r, &session));
    return mfs_move(t, files(r), session.blocks, src, dst, flush);
}

static err_t remove_one(task_t *t, rpc_t *r, blocks_t *blocks, const char *word)
{
    AUTO(buf_t) room = {0};
    const char *path;
    err_t e = rpc_files_path(word, &room, &path);
    if (e)
        return fail_also(e, "%.100s is not a valid path", word);
    e = mfs_remove(t, files(r), blocks, path, rpc_bool(r, "recursive", false), rpc_bool(r, "force", false));
    return e ? fail_also(e, "%.100s", path) : OK;
}

/* Says of each what went wrong, after all were tried. */
static err_t rpc_files_rm(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    if (!wants_flush(r))
        return fail(ERR_INVALID,
                    "files rm always flushes for safety. The --flush flag cannot be set to false for "
                    "this command");
    TRY(open_session(r, &session));
    json_t *errors = json_array();
    for (size_t i = 0; i < r->n_args; i++) {
        err_t e = remove_one(t, r, session.blocks, r->args[i]);
        if (e)
            json_array_append_new(errors, rpc_bytes_json(bytes_str(error_text(e))));
    }
    err_t e = OK;
    size_t i, count = json_array_size(errors);
    json_t *text;
    json_array_foreach(errors, i, text) if (!e) e = rpc_emit(t, r, json_incref(text));
    json_decref(errors);
    TRY(e);
    return count ? fail(ERR_INVALID, "can't remove some files") : OK;
}

/* ── write ───────────────────────────────────────────────────────────────────────────────────── */
/* The upload, up to so many bytes. */
typedef struct limited {
    source_t source;
    uint64_t left;
} limited_t;

static err_t read_limited(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    limited_t *l = arg;
    size_t n = 0;
    cap = l->left < cap ? (size_t)l->left : cap;
    if (cap)
        TRY(l->source.read(t, l->source.arg, out, cap, &n));
    l->left -= n;
    *ret_n = n;
    return OK;
}

static err_t write_options(rpc_t *r, mfs_write_options_t *ret, uint64_t *ret_count)
{
    const config_t *c = repo_config(node_repo(r->node));
    const char *raw = rpc_option(r, "raw-leaves");
    int64_t offset, count;
    bool has_offset, has_count;
    mfs_write_options_t o = {.create = rpc_bool(r, "create", false),
                             .parents = rpc_bool(r, "parents", false),
                             .truncate = rpc_bool(r, "truncate", false),
                             .flush = wants_flush(r),
                             .raw_leaves = -1};
    TRY(mfs_count_unflushed(files(r), o.flush));
    if (raw)
        o.raw_leaves = rpc_bool(r, "raw-leaves", false);
    else if (config_has(c, "Import.UnixFSRawLeaves"))
        o.raw_leaves = config_bool(c, "Import.UnixFSRawLeaves", false);
    TRY(format_options(r, true, &o.format));
    TRY(int_option(r, "offset", 0, &offset, &has_offset));
    if (offset < 0)
        return fail(ERR_INVALID, "cannot have negative write offset");
    TRY(int_option(r, "count", INT64_MAX, &count, &has_count));
    if (count < 0)
        return fail(ERR_INVALID, "cannot have negative byte count");
    o.offset = (uint64_t)offset;
    *ret = o;
    *ret_count = has_count ? (uint64_t)count : UINT64_MAX;
    return OK;
}

static err_t rpc_files_write(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(upload_t) upload = {0};
    AUTO(buf_t) room = {0};
    const char *path;
    mfs_write_options_t o;
    limited_t source = {0};
    bool has = false;
    TRY(rpc_files_path(r->args[0], &room, &path));
    TRY(write_options(r, &o, &source.left));
    if (upload_init(&upload, r->x))
        return fail(ERR_USAGE, "file argument 'data' is required");
    TRY(upload_next(t, &upload, &has));
    if (!has)
        return fail(ERR_USAGE, "file argument 'data' is required");
    source.source = upload_source(&upload);
    TRY(open_session(r, &session));
    return mfs_write(t, files(r), session.blocks, path, (source_t){read_limited, &source}, o);
}

/* ── flush, chcid, chmod, touch ──────────────────────────────────────────────────────────────── */
static err_t rpc_files_flush(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    char text[CID_TEXT_MAX];
    cid_t cid;
    TRY(open_session(r, &session));
    TRY(mfs_flush(t, files(r), session.blocks, r->n_args ? r->args[0] : "/", &cid));
    TRY(mfs_count_unflushed(files(r), true));
    return rpc_emit(t, r, json_pack("{s:s}", "Cid", rpc_cid(r, &cid, text)));
}

static err_t rpc_files_chcid(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    mfs_format_t format;
    if (!strcmp(r->args[0], "/"))
        return fail(ERR_INVALID,
                    "cannot change CID format of the MFS root; use 'ipfs config Import.CidVersion' and "
                    "'ipfs config Import.HashFunction' instead");
    TRY(format_options(r, false, &format));
    TRY(open_session(r, &session));
    return mfs_set_format(t, files(r), session.blocks, r->args[0], format, wants_flush(r));
}

static err_t rpc_files_chmod(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(buf_t) room = {0};
    const char *path;
    char *end;
    TRY(rpc_files_path(r->args[1], &room, &path));
    errno = 0;
    long mode = strtol(r->args[0], &end, 8);
    if (*end || end == r->args[0])
        return fail(ERR_INVALID, "strconv.ParseInt: parsing \"%.60s\": invalid syntax", r->args[0]);
    if (errno || mode < INT32_MIN || mode > INT32_MAX)
        return fail(ERR_INVALID, "strconv.ParseInt: parsing \"%.60s\": value out of range", r->args[0]);
    TRY(open_session(r, &session));
    return mfs_set_mode(t, files(r), session.blocks, path, (uint32_t)mode);
}

static err_t rpc_files_touch(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    AUTO(buf_t) room = {0};
    const char *path;
    int64_t seconds, nanoseconds;
    bool has, has_nanoseconds;
    TRY(rpc_files_path(r->args[0], &room, &path));
    TRY(int_option(r, "mtime", 0, &seconds, &has));
    TRY(int_option(r, "mtime-nsecs", 0, &nanoseconds, &has_nanoseconds));
    if (seconds) { /* as Go's time does: what is over a second is carried */
        seconds += nanoseconds / 1000000000;
        nanoseconds %= 1000000000;
    } else {
        uint64_t now = driver_wall_ms(task_driver(t));
        seconds = (int64_t)(now / 1000);
        nanoseconds = (int64_t)(now % 1000) * 1000000;
    }
    unixfs_time_t time = {.seconds = seconds, .nanoseconds = (uint32_t)nanoseconds};
    TRY(open_session(r, &session));
    return mfs_set_mtime(t, files(r), session.blocks, path, time);
}

/* ── chroot ──────────────────────────────────────────────────────────────────────────────────── */
static err_t check_new_root(task_t *t, rpc_t *r, const cid_t *cid)
{
    AUTO(dag_node_t) n = {0};
    char text[CID_TEXT_MAX];
    blocks_t *local = node_local_blocks(r->node);
    err_t e = dag_node_get(t, local, cid, &n);
    if (e == ERR_NOT_FOUND)
        return fail(e, "new root %s does not exist locally; fetch it first with 'ipfs block get'",
                    rpc_cid(r, cid, text));
    if (e)
        return fail_also(e, "new root is not a valid UnixFS node");
    return dag_node_is_dir(&n) ? OK : fail(ERR_INVALID, "new root must be a directory, got File");
}

static err_t put_empty_dir(task_t *t, rpc_t *r, cid_t *ret)
{
    static const uint8_t empty[] = {0x0a, 0x02, 0x08, 0x01};
    AUTO_PTR(block_t) block = NULL;
    TRY(cid_of(0, CODEC_DAG_PB, MH_SHA2_256, bytes_of(empty, sizeof empty), ret));
    TRY(block_copy(ret, bytes_of(empty, sizeof empty), &block));
    return blocks_put_many(t, node_local_blocks(r->node), &block, 1);
}

static err_t rpc_files_chroot(task_t *t, rpc_t *r)
{
    char text[CID_TEXT_MAX], old_text[CID_TEXT_MAX], said[3 * CID_TEXT_MAX + 128];
    cid_t cid, old;
    if (!rpc_bool(r, "confirm", false))
        return fail(ERR_INVALID, "this is a potentially destructive operation; pass --confirm to proceed");
    if (node_is_online(r->node) || !r->x->is_local)
        return fail(ERR_IN_USE, "opening repo (is the daemon running?): the repository is in use");
    if (!r->n_args)
        TRY(put_empty_dir(t, r, &cid));
    else if (cid_parse_str(r->args[0], &cid))
        return fail_also(ERR_INVALID, "invalid CID \"%.100s\"", r->args[0]);
    TRY(check_new_root(t, r, &cid));
    bool has_old;
    TRY(mfs_durable_root(t, files(r), &old, &has_old));
    TRY(mfs_set_root(t, files(r), &cid));
    rpc_cid(r, &cid, text);
    if (has_old) {
        rpc_cid(r, &old, old_text);
        snprintf(said, sizeof said,
                 "MFS root changed from %s to %s\nThe old root %s will be garbage collected unless pinned.\n",
                 old_text, text, old_text);
    } else {
        snprintf(said, sizeof said, "MFS root set to %s\n", text);
    }
    return rpc_emit(t, r, json_pack("{s:s}", "Message", said));
}

const rpc_command_t rpc_files_commands[] = {
    {"files/chcid", rpc_files_chcid, 1, 1, "path"}, {"files/chmod", rpc_files_chmod, 2, 2, "mode"},
    {"files/chroot", rpc_files_chroot, 0, 1, NULL}, {"files/cp", rpc_files_cp, 2, 2, "source"},
    {"files/flush", rpc_files_flush, 0, 1, NULL},   {"files/ls", rpc_files_ls, 0, 1, NULL},
    {"files/mkdir", rpc_files_mkdir, 1, 1, "path"}, {"files/mv", rpc_files_mv, 2, 2, "source"},
    {"files/read", rpc_files_read, 1, 1, "path"},   {"files/rm", rpc_files_rm, 1, RPC_MAX_ARGS, "path"},
    {"files/stat", rpc_files_stat, 1, 1, "path"},   {"files/touch", rpc_files_touch, 1, 1, "path"},
    {"files/write", rpc_files_write, 1, 1, "path"}, {NULL, NULL, 0, 0, NULL},
};
