#include "api/mounts.h"
#include "api/own_folder.h"
#include "base/log.h"
#include "dag/dir_reader.h"
#include "dag/file_reader.h"
#include "dag/path.h"
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES_MAX = 32 << 10, FIND_MS = 60000, NAMES_MAX = 4096, ROOT_MODE = 0111, NAMES_MODE = 0555 };
enum { DIR_CACHE_BYTES = 4 << 20 };

typedef struct face {
    struct mounts *owner;
    int which;
    mount_t *mount;      /* NULL: not mounted */
    mount_files_t files; /* of /mfs, and of the node's own folder below /ipns */
    own_folder_t own;
} face_t;
struct mounts {
    node_t *node;
    mount_open_fn open;
    face_t faces[MOUNTS];
    char *ipfs_folder; /* that links of /ipns lead to */
    dir_cache_t *dirs; /* of /ipfs, while it is mounted */
    char own_id[PEER_ID_TEXT_MAX];
};
/* What a program has open. */
typedef struct handle {
    face_t *face;
    node_session_t session;
    dag_node_t node;
    file_reader_t file;
    mfs_file_t *mutable; /* a file of a tree that is written to */
    uint64_t at;
    dir_reader_t dir;
    bool has_file, has_dir, is_names;
    char **names; /* of /ipns itself; owned */
    size_t n_names, next_name;
    buf_t name;
} handle_t;

/* ── from paths to nodes ─────────────────────────────────────────────────────────────────────── */
static err_t find_in_ipfs(task_t *t, face_t *f, blocks_t *blocks, const char *path, dag_node_t *ret)
{
    AUTO(buf_t) text;
    buf_init(&text, PATH_BYTES_MAX);
    TRY(buf_printf(&text, "/ipfs/%s", path));
    TRY(node_check_path(f->owner->node, buf_bytes(&text)));
    dag_path_t *p = xcalloc(1, sizeof *p);
    err_t e = dag_path_parse(buf_bytes(&text), p);
    if (e)
        e = fail(ERR_NOT_FOUND, "%.100s is no path", path);
    if (!e)
        e = dag_path_resolve_by(t, blocks, f->owner->dirs, p, ret);
    free(p);
    return e;
}

/* The part of a path that is below a mutable tree; NULL: it leads to none. */
static const char *part_in_files(const face_t *f, const char *path)
{
    size_t len = strlen(f->owner->own_id);
    if (!f->files.mfs || f->which == MOUNT_MFS)
        return f->files.mfs ? path : NULL;
    bool is_own = !strncmp(path, f->owner->own_id, len) && (!path[len] || path[len] == '/');
    return is_own ? path + len + (path[len] == '/') : NULL;
}

/* As the mutable tree has it: from "/" on. ERR_DENIED: it is not below one. */
static err_t path_in_files(const face_t *f, const char *path, buf_t *room, const char **ret)
{
    const char *part = part_in_files(f, path);
    buf_init(room, PATH_BYTES_MAX);
    if (!part)
        return fail(ERR_DENIED, "names are made by keys and publishing");
    TRY(buf_printf(room, "/%s", part));
    return buf_cstr(room, ret);
}

static err_t find_in_files(task_t *t, face_t *f, blocks_t *blocks, const char *path, dag_node_t *ret)
{
    AUTO(buf_t) room = {0};
    const char *whole;
    mfs_entry_t entry;
    TRY(path_in_files(f, path, &room, &whole));
    TRY(mfs_lookup(t, f->files.mfs, blocks, whole, &entry));
    return dag_node_get(t, blocks, &entry.ref.cid, ret);
}

static err_t find(task_t *t, face_t *f, node_session_t *session, const char *path, dag_node_t *ret)
{
    if (!session->blocks)
        TRY(node_session_open(f->owner->node, false, session));
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = f->which != MOUNT_IPFS ? find_in_files(t, f, session->blocks, path, ret)
                                     : find_in_ipfs(t, f, session->blocks, path, ret);
    deadline_pop(t, &d);
    return e;
}

/* ── /ipns ───────────────────────────────────────────────────────────────────────────────────── */
static err_t id_of_key(task_t *t, const node_t *node, keystore_t *keys, const char *name, peer_id_t *ret)
{
    AUTO_PTR(private_key_t) key = NULL;
    if (!strcmp(name, "self") || !strcmp(name, "local")) {
        *ret = *node_id(node);
        return OK;
    }
    TRY(keystore_check_name(name));
    TRY(keystore_get(t, keys, name, &key));
    return peer_id_of(private_key_public(key), ret);
}

static err_t link_of(task_t *t, face_t *f, const char *name, buf_t *out)
{
    AUTO(naming_answer_t) answer = {0};
    AUTO(buf_t) path = {0};
    const char *text;
    char id_text[PEER_ID_TEXT_MAX];
    peer_id_t id;
    node_t *node = f->owner->node;
    if (strchr(name, '/'))
        return fail(ERR_NOT_FOUND, "a link is no folder");
    if (!id_of_key(t, node, repo_keystore(node_repo(node)), name, &id))
        return buf_append(out, bytes_str(peer_id_print(&id, id_text)));
    buf_init(&path, PATH_BYTES_MAX);
    TRY(buf_printf(&path, "/ipns/%s", name));
    TRY(buf_cstr(&path, &text));
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = naming_resolve(t, node_naming(node), text, NULL, &answer);
    deadline_pop(t, &d);
    bytes_t whole = buf_bytes(&answer.path);
    if (e || whole.len < 6 || memcmp(whole.data, "/ipfs/", 6))
        return e == ERR_CANCELED || e == ERR_TIMEOUT ? e : fail(ERR_NOT_FOUND, "%.100s leads nowhere", name);
    TRY(buf_printf(out, "%s", f->owner->ipfs_folder));
    return buf_append(out, bytes_slice(whole, 5, whole.len));
}

static err_t add_name(task_t *t, void *arg, const char *name)
{
    handle_t *h = arg;
    char text[PEER_ID_TEXT_MAX];
    peer_id_t id;
    node_t *node = h->face->owner->node;
    if (strchr(name, '/')) /* a key may be called so, a link not: its ID leads there */
        return OK;
    if (h->n_names + 2 > NAMES_MAX || id_of_key(t, node, repo_keystore(node_repo(node)), name, &id))
        return OK;
    h->names[h->n_names++] = xstrdup(name);
    h->names[h->n_names++] = xstrdup(peer_id_print(&id, text));
    return OK;
}

static err_t list_names(task_t *t, handle_t *h)
{
    h->is_names = true;
    h->names = xcalloc(NAMES_MAX, sizeof *h->names);
    TRY(add_name(t, h, "self"));
    return keystore_each(t, repo_keystore(node_repo(h->face->owner->node)), add_name, h);
}

/* ── the tree ────────────────────────────────────────────────────────────────────────────────── */
static bool is_root(const char *path)
{
    return !*path;
}

static mount_kind_t kind_of(const dag_node_t *n)
{
    return dag_node_is_dir(n) ? MOUNT_DIR : n->fs.type == UNIXFS_SYMLINK ? MOUNT_SYMLINK : MOUNT_FILE;
}

static err_t tree_stat(task_t *t, void *arg, const char *path, mount_attr_t *ret)
{
    face_t *f = arg;
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) n = {0};
    if (is_root(path) && f->which != MOUNT_MFS) {
        *ret = (mount_attr_t){.kind = MOUNT_DIR, .mode = f->which == MOUNT_IPFS ? ROOT_MODE : NAMES_MODE};
        return OK;
    }
    if (f->which == MOUNT_IPNS && !part_in_files(f, path)) {
        AUTO(buf_t) target;
        buf_init(&target, PATH_BYTES_MAX);
        TRY(link_of(t, f, path, &target));
        *ret = (mount_attr_t){.kind = MOUNT_SYMLINK, .size = target.len};
        return OK;
    }
    if (f->which != MOUNT_IPFS) {
        AUTO(buf_t) room = {0};
        const char *whole;
        TRY(path_in_files(f, path, &room, &whole));
        return mount_files_stat(t, &f->files, whole, ret);
    }
    TRY(find(t, f, &session, path, &n));
    *ret = (mount_attr_t){.kind = kind_of(&n),
                          .size = n.fs.type == UNIXFS_SYMLINK ? n.fs.data.len : n.size,
                          .mode = n.fs.has_mode ? n.fs.mode & 0777 : 0,
                          .is_fixed = true};
    if (n.fs.has_mtime) {
        ret->mtime_s = n.fs.mtime.seconds;
        ret->mtime_ns = n.fs.mtime.nanoseconds;
    }
    return OK;
}

static err_t tree_readlink(task_t *t, void *arg, const char *path, buf_t *out)
{
    face_t *f = arg;
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) n = {0};
    if (f->which == MOUNT_IPNS && !part_in_files(f, path))
        return link_of(t, f, path, out);
    TRY(find(t, f, &session, path, &n));
    return n.fs.type == UNIXFS_SYMLINK ? buf_append(out, n.fs.data)
                                       : fail(ERR_INVALID, "%.100s is no link", path);
}

static void tree_close(task_t *t, void *handle)
{
    handle_t *h = handle;
    mount_files_close(t, &h->face->files, h->mutable);
    if (h->has_file)
        file_reader_deinit(&h->file);
    if (h->has_dir)
        dir_reader_deinit(&h->dir);
    while (h->n_names)
        free(h->names[--h->n_names]);
    free(h->names);
    buf_deinit(&h->name);
    dag_node_deinit(&h->node);
    node_session_close(&h->session);
    free(h);
}

static err_t begin_dir(task_t *t, handle_t *h)
{
    if (h->has_dir)
        return OK;
    TRY(dir_reader_init(t, &h->dir, h->session.blocks, &h->node));
    h->has_dir = true;
    return OK;
}

/* A file to read and write; folders are read as they were when they were opened. */
static err_t open_mutable(task_t *t, handle_t *h, const char *path, mount_open_t how)
{
    AUTO(buf_t) room = {0};
    const char *whole;
    mount_attr_t attr;
    face_t *f = h->face;
    mount_files_t *files = &f->files;
    TRY(path_in_files(f, path, &room, &whole));
    if (!how.creates) {
        TRY(mount_files_stat(t, files, whole, &attr));
        if (attr.kind == MOUNT_DIR)
            return find(t, f, &h->session, path, &h->node);
    }
    return mount_files_open(t, files, whole, how, &h->mutable);
}

static err_t open_handle(task_t *t, handle_t *h, const char *path, mount_open_t how)
{
    face_t *f = h->face;
    if (is_root(path) && f->which == MOUNT_IPFS)
        return fail(ERR_DENIED, "all content is here: it is not listed");
    if (is_root(path) && f->which == MOUNT_IPNS)
        return list_names(t, h);
    if (f->which != MOUNT_IPFS)
        return open_mutable(t, h, path, how);
    TRY(find(t, f, &h->session, path, &h->node));
    if (!dag_node_is_file(&h->node))
        return OK;
    TRY(file_reader_init(&h->file, h->session.blocks, &h->node));
    h->has_file = true;
    return OK;
}

static err_t tree_open(task_t *t, void *arg, const char *path, mount_open_t how, void **ret_handle)
{
    handle_t *h = xcalloc(1, sizeof *h);
    h->face = arg;
    buf_init(&h->name, 4096);
    err_t e = open_handle(t, h, path, how);
    if (e)
        tree_close(t, h);
    else
        *ret_handle = h;
    return e;
}

static err_t tree_read(task_t *t, void *handle, uint64_t offset, uint8_t *out, size_t cap, size_t *ret_n)
{
    handle_t *h = handle;
    size_t n = 1;
    if (h->mutable)
        return mfs_file_read(t, h->mutable, offset, out, cap, ret_n);
    if (!h->has_file)
        return fail(ERR_INVALID, "not a file");
    if (offset != h->at)
        file_reader_seek(&h->file, offset, UINT64_MAX - offset);
    for (*ret_n = 0; n && *ret_n < cap; *ret_n += n) {
        err_t e = file_reader_read(t, &h->file, out + *ret_n, cap - *ret_n, &n);
        h->at = e ? UINT64_MAX : offset + *ret_n + n; /* after a failure the reader begins anew */
        TRY(e);
    }
    return OK;
}

static err_t kind_of_entry(task_t *t, handle_t *h, const cid_t *cid, mount_kind_t *ret)
{
    AUTO(dag_node_t) n = {0};
    *ret = MOUNT_FILE;
    if (cid->codec == CODEC_RAW)
        return OK;
    err_t e = dag_node_get(t, h->session.blocks, cid, &n);
    if (!e)
        *ret = kind_of(&n);
    return e == ERR_CANCELED || e == ERR_TIMEOUT ? e : OK; /* what it is shows when it is asked for */
}

static err_t next_in_dir(task_t *t, handle_t *h, const char **ret_name, mount_kind_t *ret_kind)
{
    dir_entry_t entry;
    bool has;
    TRY(begin_dir(t, h));
    for (;;) {
        TRY(dir_reader_next(t, &h->dir, &entry, &has));
        if (!has)
            return OK;
        if (!memchr(entry.name.data, 0, entry.name.len) && entry.name.len < h->name.max)
            break;
    }
    buf_clear(&h->name);
    TRY(buf_append(&h->name, entry.name));
    TRY(buf_cstr(&h->name, ret_name));
    return kind_of_entry(t, h, &entry.cid, ret_kind);
}

static err_t tree_next(task_t *t, void *handle, const char **ret_name, mount_kind_t *ret_kind)
{
    handle_t *h = handle;
    *ret_name = NULL;
    if (!h->is_names)
        return next_in_dir(t, h, ret_name, ret_kind);
    if (h->next_name == h->n_names)
        return OK;
    *ret_name = h->names[h->next_name++];
    *ret_kind = part_in_files(h->face, *ret_name) ? MOUNT_DIR : MOUNT_SYMLINK;
    return OK;
}

static void tree_rewind(void *handle)
{
    handle_t *h = handle;
    h->next_name = 0;
    if (h->has_dir)
        dir_reader_deinit(&h->dir);
    h->has_dir = false;
}

/* ── extended attributes, room ───────────────────────────────────────────────────────────────── */
static err_t tree_attribute(task_t *t, void *arg, const char *path, const char *name, buf_t *out)
{
    face_t *f = arg;
    AUTO(node_session_t) session = {0};
    AUTO(dag_node_t) n = {0};
    char text[CID_TEXT_MAX];
    if ((strcmp(name, "ipfs.cid") && strcmp(name, "ipfs_cid")) ||
        (f->which == MOUNT_IPFS ? is_root(path) : !part_in_files(f, path)))
        return fail(ERR_NOT_FOUND, "no such attribute");
    TRY(find(t, f, &session, path, &n));
    return buf_append(out, bytes_str(cid_print(&n.block->cid, text)));
}

static err_t tree_room(task_t *t, void *arg, mount_room_t *ret)
{
    face_t *f = arg;
    return fs_room(t, repo_path(node_repo(f->owner->node)), &ret->total_bytes, &ret->free_bytes);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static err_t tree_handle_stat(task_t *t, void *handle, mount_attr_t *ret)
{
    handle_t *h = handle;
    return h->mutable ? mount_files_handle_stat(t, h->mutable, ret) : fail(ERR_NOT_FOUND, "its name is gone");
}

static err_t tree_write(task_t *t, void *handle, uint64_t offset, bool appends, bytes_t data)
{
    handle_t *h = handle;
    return h->mutable ? mfs_file_write(t, h->mutable, offset, appends, data)
                      : fail(ERR_INVALID, "not a file");
}

static err_t tree_flush(task_t *t, void *handle, bool is_sync)
{
    handle_t *h = handle;
    if (h->mutable)
        return mount_files_flush(t, &h->face->files, h->mutable, is_sync);
    return is_sync && h->face->files.mfs ? mfs_sync(t, h->face->files.mfs) : OK;
}

static err_t tree_change(task_t *t, void *arg, const char *path, void *handle, const mount_change_t *c)
{
    face_t *f = arg;
    AUTO(buf_t) room = {0};
    const char *whole = NULL;
    mfs_file_t *file = handle ? ((handle_t *)handle)->mutable : NULL;
    if (path)
        TRY(path_in_files(f, path, &room, &whole));
    return mount_files_change(t, &f->files, whole, file, c);
}

static err_t tree_mkdir(task_t *t, void *arg, const char *path)
{
    face_t *f = arg;
    AUTO(buf_t) room = {0};
    const char *whole;
    TRY(path_in_files(f, path, &room, &whole));
    return mount_files_mkdir(t, &f->files, whole);
}

static err_t tree_symlink(task_t *t, void *arg, const char *path, bytes_t target)
{
    face_t *f = arg;
    AUTO(buf_t) room = {0};
    const char *whole;
    TRY(path_in_files(f, path, &room, &whole));
    return mount_files_symlink(t, &f->files, whole, target);
}

static err_t tree_remove(task_t *t, void *arg, const char *path, bool is_dir)
{
    face_t *f = arg;
    AUTO(buf_t) room = {0};
    const char *whole;
    TRY(path_in_files(f, path, &room, &whole));
    return mount_files_remove(t, &f->files, whole, is_dir);
}

static err_t tree_rename(task_t *t, void *arg, const char *path, const char *to, bool no_replace)
{
    face_t *f = arg;
    AUTO(buf_t) room = {0};
    AUTO(buf_t) to_room = {0};
    const char *whole, *to_whole;
    TRY(path_in_files(f, path, &room, &whole));
    TRY(path_in_files(f, to, &to_room, &to_whole));
    return mount_files_rename(t, &f->files, whole, to_whole, no_replace);
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
mounts_t *mounts_new(node_t *n, mount_open_fn open)
{
    mounts_t *m = xcalloc(1, sizeof *m);
    m->node = n;
    m->open = open;
    peer_id_print(node_id(n), m->own_id);
    for (int i = 0; i < MOUNTS; i++)
        m->faces[i] = (face_t){.owner = m, .which = i};
    return m;
}

static void close_all(task_t *t, mounts_t *m)
{
    for (int i = 0; i < MOUNTS; i++) {
        if (m->faces[i].mount)
            m->faces[i].mount->ops->close(t, m->faces[i].mount);
        m->faces[i].mount = NULL;
        own_folder_close(t, &m->faces[i].own);
        mount_files_deinit(t, &m->faces[i].files);
    }
    free(m->ipfs_folder);
    m->ipfs_folder = NULL;
    dir_cache_free(m->dirs);
    m->dirs = NULL;
}

/* A name that leads to something else than a folder is a link, as others. */
static err_t open_own(task_t *t, face_t *f)
{
    node_t *node = f->owner->node;
    TRY(mount_files_init(t, &f->files, node, repo_published(node_repo(node))));
    err_t e = own_folder_open(t, &f->own, node, &f->files);
    if (e) {
        log_warn("the node's own name is not writable in the mounted /ipns", LOG_ERR(e));
        mount_files_deinit(t, &f->files);
    }
    return e == ERR_CANCELED ? e : OK;
}

static err_t open_face(task_t *t, mounts_t *m, face_t *f, const char *folder, bool for_all_users)
{
    mount_options_t o = {.folder = folder, .for_all_users = for_all_users};
    mount_tree_t tree = {.stat = tree_stat,
                         .readlink = tree_readlink,
                         .attribute = tree_attribute,
                         .attribute_names = f->which == MOUNT_IPNS ? BYTES_NONE : BYTES_LIT("ipfs.cid\0"),
                         .room = tree_room,
                         .open = tree_open,
                         .read = tree_read,
                         .next = tree_next,
                         .rewind = tree_rewind,
                         .close = tree_close,
                         .is_fixed = f->which == MOUNT_IPFS,
                         .handle_stat = tree_handle_stat,
                         .write = tree_write,
                         .flush = tree_flush,
                         .change = tree_change,
                         .mkdir = tree_mkdir,
                         .symlink = tree_symlink,
                         .remove = tree_remove,
                         .rename = tree_rename,
                         .arg = f};
    if (f->which == MOUNT_MFS)
        TRY(mount_files_init(t, &f->files, m->node, repo_mfs(node_repo(m->node))));
    if (f->which == MOUNT_IPNS)
        TRY(open_own(t, f));
    tree.is_writable = f->files.mfs != NULL;
    return m->open(t, &o, &tree, &f->mount);
}

err_t mounts_open(task_t *t, mounts_t *m, const char *const folders[MOUNTS], bool for_all_users)
{
    close_all(t, m);
    m->ipfs_folder = xstrdup(folders[MOUNT_IPFS]);
    m->dirs = dir_cache_new(DIR_CACHE_BYTES);
    for (int i = 0; i < MOUNTS; i++) {
        err_t e = open_face(t, m, &m->faces[i], folders[i], for_all_users);
        if (e) {
            error_slot_t why = *error_slot();
            close_all(t, m);
            *error_slot() = why;
            return e;
        }
    }
    return OK;
}

bool mounts_publish(const mounts_t *m)
{
    return m && m->faces[MOUNT_IPNS].own.node;
}

void mounts_free(task_t *t, mounts_t *m)
{
    if (!m)
        return;
    close_all(t, m);
    free(m);
}
