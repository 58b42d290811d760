#include "sim/sim_disk.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct sim_file {
    file_t base;
    list_t node;
    sim_machine_t *machine;
    inode_t *inode;
    int flags;
} sim_file_t;

/* Each operation lets others run first, and now and then takes a millisecond. */
static err_t begin(task_t *t, sim_machine_t *m)
{
    TRY(machine_check(m));
    sim_delay(t, prng_below(&m->host->sim->rng, 8) == 0);
    return machine_check(m);
}

/* ── open files ──────────────────────────────────────────────────────────────────────────────── */
static sim_disk_t *disk_of(const sim_file_t *f)
{
    return f->machine->host->disk;
}

static err_t read_now(sim_file_t *f, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    TRY(machine_check(f->machine));
    if (!(f->flags & FILE_READ))
        return fail(ERR_DENIED, "the file is not open for reading");
    if (f->inode->read_error)
        return fail(f->inode->read_error, "the disk of %s cannot read the file", f->machine->host->ip_text);
    *ret_n = inode_read(f->inode, out, len, offset);
    return OK;
}

static err_t op_read_at(task_t *t, file_t *base, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    return read_now(f, out, len, offset, ret_n);
}

static err_t op_read_pieces(task_t *t, file_t *base, const span_t *pieces, size_t n, uint64_t offset)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    for (size_t i = 0; i < n; offset += pieces[i++].len) {
        size_t got = 0;
        TRY(read_now(f, pieces[i].data, pieces[i].len, offset, &got));
        if (got < pieces[i].len)
            return fail(ERR_EOF, "the file ends before offset %llu",
                        (unsigned long long)offset + pieces[i].len);
    }
    return OK;
}

static err_t op_try_read_at(file_t *base, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    sim_file_t *f = (sim_file_t *)base;
    if (prng_below(&f->machine->host->sim->rng, 4) == 0)
        return ERR_AGAIN; /* not in the page cache */
    return read_now(f, out, len, offset, ret_n);
}

static err_t op_write_at(task_t *t, file_t *base, const bytes_t *pieces, size_t n, uint64_t offset)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    if (!(f->flags & FILE_WRITE))
        return fail(ERR_DENIED, "the file is not open for writing");
    err_t e = disk_change(disk_of(f), "write");
    for (size_t i = 0; i < n; offset += pieces[i++].len) {
        bytes_t part = pieces[i];
        if (e) { /* a failed write may have written a part */
            part.len = (size_t)prng_below(&f->machine->host->sim->rng, part.len + 1);
            err_t ignored = inode_write(disk_of(f), f->inode, part, offset);
            (void)ignored;
            return fail(e, "the disk of %s failed to write", f->machine->host->ip_text);
        }
        TRY(inode_write(disk_of(f), f->inode, part, offset));
    }
    return e;
}

static err_t op_sync(task_t *t, file_t *base)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    TRY(disk_change(disk_of(f), "sync"));
    inode_sync(disk_of(f), f->inode);
    return OK;
}

static err_t op_truncate(task_t *t, file_t *base, uint64_t size)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    if (!(f->flags & FILE_WRITE))
        return fail(ERR_DENIED, "the file is not open for writing");
    TRY(disk_change(disk_of(f), "truncate"));
    return inode_truncate(disk_of(f), f->inode, size);
}

static err_t op_size(task_t *t, file_t *base, uint64_t *ret_size)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    *ret_size = f->inode->size;
    return OK;
}

static err_t op_punch(task_t *t, file_t *base, uint64_t offset, uint64_t len)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(begin(t, f->machine));
    TRY(disk_change(disk_of(f), "punch a hole"));
    inode_punch(disk_of(f), f->inode, offset, len);
    return OK;
}

static err_t op_try_lock(file_t *base)
{
    sim_file_t *f = (sim_file_t *)base;
    TRY(machine_check(f->machine));
    if (f->inode->lock_holder && f->inode->lock_holder != f)
        return fail(ERR_IN_USE, "the file is locked");
    f->inode->lock_holder = f;
    return OK;
}

static void op_close(file_t *base)
{
    sim_file_t *f = (sim_file_t *)base;
    if (f->inode->lock_holder == f)
        f->inode->lock_holder = NULL;
    list_remove(&f->node);
    inode_unref(disk_of(f), f->inode);
    free(f);
}

void sim_files_die(sim_machine_t *m)
{
    LIST_EACH (f, &m->files, sim_file_t, node)
        if (f->inode->lock_holder == f)
            f->inode->lock_holder = NULL;
}

static err_t create(sim_disk_t *d, inode_t *folder, const char *name, int kind, uint32_t mode,
                    inode_t **ret_inode)
{
    TRY(disk_change(d, "create a name"));
    inode_t *i = inode_new(d, kind, mode);
    disk_set_name(d, disk_journal(d), folder, name, i);
    i->refs--; /* the name and the journal hold it */
    *ret_inode = i;
    return OK;
}

static err_t open_inode(sim_disk_t *d, const char *path, int flags, uint32_t mode, inode_t **ret_inode)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    TRY(disk_resolve(d, path, !(flags & FILE_NO_FOLLOW), &folder, name, &i));
    if (!i && !(flags & FILE_CREATE))
        return fail(ERR_NOT_FOUND, "%s: not found", path);
    if (!i)
        return create(d, folder, name, FILE_KIND_REGULAR, mode, ret_inode);
    if ((flags & FILE_CREATE) && (flags & FILE_EXCLUSIVE))
        return fail(ERR_EXISTS, "%s: already there", path);
    if (i->kind != FILE_KIND_REGULAR)
        return fail(ERR_INVALID, "%s: not a regular file", path);
    if (flags & FILE_TRUNCATE) {
        TRY(disk_change(d, "truncate"));
        TRY(inode_truncate(d, i, 0));
    }
    *ret_inode = i;
    return OK;
}

err_t sim_op_file_open(task_t *t, driver_t *drv, const char *path, int flags, uint32_t mode, file_t **ret)
{
    static const file_ops_t ops = {
        .read_at = op_read_at,
        .try_read_at = op_try_read_at,
        .read_pieces = op_read_pieces,
        .write_at = op_write_at,
        .sync = op_sync,
        .truncate = op_truncate,
        .size = op_size,
        .punch = op_punch,
        .try_lock = op_try_lock,
        .close = op_close,
    };
    sim_machine_t *m = machine_of(drv);
    inode_t *i;
    TRY(begin(t, m));
    TRY(open_inode(m->host->disk, path, flags, mode, &i));
    sim_file_t *f = xcalloc(1, sizeof *f);
    f->base.ops = &ops;
    f->machine = m;
    f->inode = i;
    f->flags = flags;
    i->refs++;
    list_push_back(&m->files, &f->node);
    *ret = &f->base;
    return OK;
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
static err_t find(task_t *t, driver_t *drv, const char *path, bool follow, inode_t **ret_folder,
                  char ret_name[NAME_MAX_LEN + 1], inode_t **ret_inode)
{
    TRY(begin(t, machine_of(drv)));
    TRY(disk_resolve(machine_of(drv)->host->disk, path, follow, ret_folder, ret_name, ret_inode));
    return *ret_inode ? OK : fail(ERR_NOT_FOUND, "%s: not found", path);
}

err_t sim_op_stat(task_t *t, driver_t *drv, const char *path, bool follow, file_info_t *ret)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    TRY(find(t, drv, path, follow, &folder, name, &i));
    *ret = (file_info_t){
        .size_bytes = i->kind == FILE_KIND_SYMLINK ? strlen(i->target) : i->size,
        .disk_bytes = inode_disk_bytes(i),
        .mode = i->mode,
        .mtime_s = (int64_t)(i->mtime_ms / 1000),
        .mtime_ns = (uint32_t)(i->mtime_ms % 1000 * 1000000),
        .device = machine_of(drv)->host->index + 1,
        .inode = i->number,
    };
    ret->kind = i->kind;
    return OK;
}

static bool is_below(const inode_t *i, const inode_t *top)
{
    for (; i != i->parent; i = i->parent)
        if (i == top)
            return true;
    return i == top;
}

err_t sim_op_rename(task_t *t, driver_t *drv, const char *from, const char *to)
{
    inode_t *from_folder, *to_folder, *i, *old;
    char from_name[NAME_MAX_LEN + 1], to_name[NAME_MAX_LEN + 1];
    sim_disk_t *d = machine_of(drv)->host->disk;
    TRY(find(t, drv, from, false, &from_folder, from_name, &i));
    TRY(disk_resolve(d, to, false, &to_folder, to_name, &old));
    if (!*from_name || !*to_name || (i->kind == FILE_KIND_DIR && is_below(to_folder, i)))
        return fail(ERR_INVALID, "%s cannot become %s", from, to);
    if (old && (old->kind == FILE_KIND_DIR) != (i->kind == FILE_KIND_DIR))
        return fail(ERR_INVALID, "%s is of another kind than %s", to, from);
    if (old && map_count(&old->names))
        return fail(ERR_EXISTS, "%s: not empty", to);
    TRY(disk_change(d, "rename"));
    if (old == i)
        return OK;
    name_change_t *c = disk_journal(d);
    i->refs++;
    disk_set_name(d, c, from_folder, from_name, NULL);
    disk_set_name(d, c, to_folder, to_name, i);
    inode_unref(d, i);
    return OK;
}

static err_t remove_name(task_t *t, driver_t *drv, const char *path, bool is_folder)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    sim_disk_t *d = machine_of(drv)->host->disk;
    TRY(find(t, drv, path, false, &folder, name, &i));
    if ((i->kind == FILE_KIND_DIR) != is_folder || !*name)
        return fail(ERR_INVALID, "%s: %s", path, is_folder ? "not a folder" : "a folder");
    if (map_count(&i->names))
        return fail(ERR_EXISTS, "%s: not empty", path);
    TRY(disk_change(d, "remove a name"));
    disk_set_name(d, disk_journal(d), folder, name, NULL);
    return OK;
}

err_t sim_op_unlink(task_t *t, driver_t *drv, const char *path)
{
    return remove_name(t, drv, path, false);
}

err_t sim_op_rmdir(task_t *t, driver_t *drv, const char *path)
{
    return remove_name(t, drv, path, true);
}

static err_t create_at(task_t *t, driver_t *drv, const char *path, int kind, uint32_t mode,
                       inode_t **ret_inode)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    sim_disk_t *d = machine_of(drv)->host->disk;
    TRY(begin(t, machine_of(drv)));
    TRY(disk_resolve(d, path, false, &folder, name, &i));
    if (i)
        return fail(ERR_EXISTS, "%s: already there", path);
    return create(d, folder, name, kind, mode, ret_inode);
}

err_t sim_op_mkdir(task_t *t, driver_t *drv, const char *path, uint32_t mode)
{
    inode_t *i;
    return create_at(t, drv, path, FILE_KIND_DIR, mode, &i);
}

err_t sim_op_symlink(task_t *t, driver_t *drv, const char *target, const char *path)
{
    inode_t *i;
    TRY(create_at(t, drv, path, FILE_KIND_SYMLINK, 0777, &i));
    i->target = xstrdup(target);
    return OK;
}

err_t sim_op_readlink(task_t *t, driver_t *drv, const char *path, buf_t *ret)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    TRY(find(t, drv, path, false, &folder, name, &i));
    if (i->kind != FILE_KIND_SYMLINK)
        return fail(ERR_INVALID, "%s: not a symlink", path);
    buf_clear(ret);
    return buf_append(ret, bytes_str(i->target));
}

err_t sim_op_list(task_t *t, driver_t *drv, const char *path, fs_page_t page, dir_list_t *ret)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    TRY(find(t, drv, path, true, &folder, name, &i));
    if (i->kind != FILE_KIND_DIR)
        return fail(ERR_NOT_FOUND, "%s: not a folder", path);
    dir_list_t list = {0};
    size_t cap = 0;
    bytes_t key;
    for (size_t at = 0; map_next(&i->names, &at, &key, NULL);) {
        snprintf(name, sizeof name, "%.*s", (int)key.len, (const char *)key.data);
        dir_list_take(&list, &cap, page, name);
    }
    dir_list_end(&list, page);
    *ret = list;
    return OK;
}

err_t sim_op_sync_dir(task_t *t, driver_t *drv, const char *path)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    sim_disk_t *d = machine_of(drv)->host->disk;
    TRY(find(t, drv, path, true, &folder, name, &i));
    if (i->kind != FILE_KIND_DIR)
        return fail(ERR_NOT_FOUND, "%s: not a folder", path);
    TRY(disk_change(d, "sync a folder"));
    disk_sync_folder(d, i);
    return OK;
}

err_t sim_op_room(task_t *t, driver_t *drv, const char *path, uint64_t *ret_total, uint64_t *ret_free)
{
    inode_t *folder, *i;
    char name[NAME_MAX_LEN + 1];
    const uint64_t plenty = 1ull << 40;
    sim_disk_t *d = machine_of(drv)->host->disk;
    TRY(find(t, drv, path, true, &folder, name, &i));
    uint64_t capacity = d->capacity ? d->capacity : plenty;
    *ret_total = capacity;
    *ret_free = capacity > d->used ? capacity - d->used : 0;
    return OK;
}
