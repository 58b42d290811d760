/* Questions that read. */
#include "loop/fuse_internal.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIXED_S = 86400, LIST_MAX = 64 << 10, ATTRIBUTE_MAX = 4096 };

/* ── what a name is ──────────────────────────────────────────────────────────────────────────── */
static uint32_t mode_of(const fuse_mount_t *m, const mount_attr_t *a)
{
    static const uint32_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK};
    static const uint32_t modes[2][3] = {{0444, 0555, 0777}, {0644, 0755, 0777}};
    return kinds[a->kind] | (a->mode ? a->mode & 07777 : modes[m->tree.is_writable][a->kind]);
}

static void fill_attr(const fuse_mount_t *m, const mount_attr_t *a, uint64_t id, struct fuse_attr *ret)
{
    *ret = (struct fuse_attr){.ino = id,
                              .size = a->size,
                              .blocks = (a->size + 511) / 512,
                              .mtime = (uint64_t)a->mtime_s,
                              .mtimensec = a->mtime_ns,
                              .mode = mode_of(m, a),
                              .nlink = 1,
                              .uid = getuid(),
                              .gid = getgid(),
                              .blksize = 1 << 20};
}

bool fuse_is_name(const char *name)
{
    size_t len = strnlen(name, FUSE_NAME_BYTES_MAX + 1);
    return len && len <= FUSE_NAME_BYTES_MAX && !strchr(name, '/') && strcmp(name, ".") && strcmp(name, "..");
}

err_t fuse_entry_of(task_t *t, question_t *q, const char *name, struct fuse_entry_out *ret)
{
    fuse_mount_t *m = q->m;
    mount_attr_t attr;
    char *path = xmalloc(FUSE_PATH_BYTES_MAX);
    err_t e = fuse_names_path(&m->names, q->head.nodeid, name, path);
    if (!e)
        e = m->tree.stat(t, m->tree.arg, path, &attr);
    free(path);
    TRY(e);
    *ret = (struct fuse_entry_out){0};
    TRY(fuse_names_remember(&m->names, q->head.nodeid, name, &ret->nodeid));
    ret->entry_valid = ret->attr_valid = attr.is_fixed ? FIXED_S : 0;
    fill_attr(m, &attr, ret->nodeid, &ret->attr);
    return OK;
}

static err_t ask_lookup(task_t *t, question_t *q)
{
    struct fuse_entry_out out;
    const char *name = (const char *)q->body;
    if (strlen(name) > FUSE_NAME_BYTES_MAX)
        return fuse_refuse(q, ENAMETOOLONG);
    TRY(fuse_is_name(name) ? fuse_entry_of(t, q, name, &out) : fail(ERR_NOT_FOUND, "no name"));
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

err_t fuse_attr_of(task_t *t, question_t *q, struct fuse_attr_out *ret)
{
    const mount_tree_t *tree = &q->m->tree;
    mount_attr_t attr;
    if (q->has_path)
        TRY(tree->stat(t, tree->arg, q->path, &attr));
    else
        TRY(tree->handle_stat(t, q->opened->handle, &attr));
    *ret = (struct fuse_attr_out){.attr_valid = attr.is_fixed ? FIXED_S : 0};
    fill_attr(q->m, &attr, q->head.nodeid, &ret->attr);
    return OK;
}

static err_t ask_attr(task_t *t, question_t *q)
{
    struct fuse_attr_out out;
    TRY(fuse_attr_of(t, q, &out));
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t ask_link(task_t *t, question_t *q)
{
    AUTO(buf_t) target;
    buf_init(&target, FUSE_LINK_BYTES_MAX);
    TRY(q->m->tree.readlink(t, q->m->tree.arg, q->path, &target));
    fuse_answer(q->m, q->head.unique, 0, target.data, target.len);
    return OK;
}

/* ── opening and reading ─────────────────────────────────────────────────────────────────────── */
static err_t ask_open(task_t *t, question_t *q)
{
    const struct fuse_open_in *in = (const void *)q->body;
    mount_open_t how = {.writes = (in->flags & O_ACCMODE) != O_RDONLY};
    opened_t *o;
    TRY(fuse_open(t, q, q->head.nodeid, q->path, how, &o));
    struct fuse_open_out out = {.fh = o->id, .open_flags = q->m->tree.is_fixed ? FOPEN_KEEP_CACHE : 0};
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t ask_read(task_t *t, question_t *q)
{
    const struct fuse_read_in *in = (const void *)q->body;
    size_t n = 0, cap = in->size < FUSE_READ_MAX ? in->size : FUSE_READ_MAX;
    uint8_t *out = malloc(cap + 1);
    err_t e = out ? gate_enter(t, &q->opened->gate) : fail(ERR_NO_MEMORY, "no memory to read %zu bytes", cap);
    if (!e) {
        e = q->m->tree.read(t, q->opened->handle, in->offset, out, cap, &n);
        gate_leave(&q->opened->gate);
    }
    if (!e)
        fuse_answer(q->m, q->head.unique, 0, out, n);
    free(out);
    return e;
}

static err_t next_entry(task_t *t, question_t *q, opened_t *o)
{
    const char *name;
    if (o->name)
        return OK;
    TRY(q->m->tree.next(t, o->handle, &name, &o->kind));
    o->name = name ? xstrdup(name) : NULL;
    return OK;
}

static void take_entry(opened_t *o)
{
    free(o->name);
    o->name = NULL;
    o->at++;
}

/* Entries from `offset` on, as many as fit; names that no folder can show are passed over. */
static err_t list(task_t *t, question_t *q, opened_t *o, buf_t *out)
{
    static const uint32_t types[] = {S_IFREG >> 12, S_IFDIR >> 12, S_IFLNK >> 12};
    static const uint8_t zeros[8];
    uint64_t offset = ((const struct fuse_read_in *)(const void *)q->body)->offset;
    if (offset < o->at) {
        q->m->tree.rewind(o->handle);
        free(o->name);
        o->name = NULL;
        o->at = 0;
    }
    for (;;) {
        TRY(next_entry(t, q, o));
        if (!o->name)
            return OK;
        size_t len = strlen(o->name);
        if (o->at >= offset && fuse_is_name(o->name)) {
            struct fuse_dirent d = {
                .ino = UINT64_MAX, .off = o->at + 1, .namelen = (uint32_t)len, .type = types[o->kind]};
            size_t padding = FUSE_DIRENT_ALIGN(sizeof d + len) - sizeof d - len;
            if (out->max - out->len < sizeof d + len + padding)
                return OK;
            TRY(buf_append(out, bytes_of((const uint8_t *)&d, FUSE_NAME_OFFSET)));
            TRY(buf_append(out, bytes_of(o->name, len)));
            TRY(buf_append(
                out, bytes_of(zeros, FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len) - FUSE_NAME_OFFSET - len)));
        }
        take_entry(o);
    }
}

static err_t ask_list(task_t *t, question_t *q)
{
    opened_t *o = q->opened;
    uint32_t size = ((const struct fuse_read_in *)(const void *)q->body)->size;
    AUTO(buf_t) out;
    buf_init(&out, size < LIST_MAX ? size : LIST_MAX);
    TRY(gate_enter(t, &o->gate));
    err_t e = list(t, q, o, &out);
    gate_leave(&o->gate);
    TRY(e);
    fuse_answer(q->m, q->head.unique, 0, out.data, out.len);
    return OK;
}

static err_t ask_release(task_t *t, question_t *q)
{
    fuse_close(t, q->m, q->opened);
    fuse_answer(q->m, q->head.unique, 0, NULL, 0);
    return OK;
}

/* ── beside the content ──────────────────────────────────────────────────────────────────────── */
static err_t ask_room(task_t *t, question_t *q)
{
    enum { UNIT = 4096 };
    mount_room_t room = {0};
    TRY(q->m->tree.room(t, q->m->tree.arg, &room));
    struct fuse_statfs_out out = {.st = {.blocks = room.total_bytes / UNIT,
                                         .bfree = room.free_bytes / UNIT,
                                         .bavail = room.free_bytes / UNIT,
                                         .bsize = UNIT,
                                         .frsize = UNIT,
                                         .namelen = FUSE_NAME_BYTES_MAX}};
    fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

/* How long it is when no room was offered. */
static err_t answer_attribute(question_t *q, bytes_t value)
{
    const struct fuse_getxattr_in *in = (const void *)q->body;
    struct fuse_getxattr_out out = {.size = (uint32_t)value.len};
    if (in->size && in->size < value.len)
        return fuse_refuse(q, ERANGE);
    if (in->size)
        fuse_answer(q->m, q->head.unique, 0, value.data, value.len);
    else
        fuse_answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t ask_attribute(task_t *t, question_t *q)
{
    const char *name = (const char *)q->body + sizeof(struct fuse_getxattr_in);
    AUTO(buf_t) value;
    buf_init(&value, ATTRIBUTE_MAX);
    err_t e = q->m->tree.attribute(t, q->m->tree.arg, q->path, name, &value);
    if (e == ERR_NOT_FOUND)
        return fuse_refuse(q, ENODATA);
    return e ? e : answer_attribute(q, buf_bytes(&value));
}

static err_t ask_attributes(task_t *t, question_t *q)
{
    return answer_attribute(q, q->m->tree.attribute_names);
}

const fuse_kind_t fuse_ask_kinds[] = {
    {FUSE_LOOKUP, 1, false, false, ask_lookup},
    {FUSE_GETATTR, 0, false, false, ask_attr},
    {FUSE_READLINK, 0, false, false, ask_link},
    {FUSE_OPEN, sizeof(struct fuse_open_in), false, false, ask_open},
    {FUSE_OPENDIR, sizeof(struct fuse_open_in), false, false, ask_open},
    {FUSE_READ, sizeof(struct fuse_read_in), true, false, ask_read},
    {FUSE_READDIR, sizeof(struct fuse_read_in), true, false, ask_list},
    {FUSE_RELEASE, sizeof(struct fuse_release_in), true, false, ask_release},
    {FUSE_RELEASEDIR, sizeof(struct fuse_release_in), true, false, ask_release},
    {FUSE_STATFS, 0, false, false, ask_room},
    {FUSE_GETXATTR, sizeof(struct fuse_getxattr_in) + 1, false, false, ask_attribute},
    {FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in), false, false, ask_attributes},
    {0, 0, false, false, NULL},
};
