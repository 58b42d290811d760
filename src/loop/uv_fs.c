/* Folders and names: each is one or two system calls on a worker, since any of them may wait for a disk. */
#include "loop/uv_internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LINK_MAX_BYTES 4096

typedef struct fs_op {
    const char *path, *other;
    bool follow;
    uint32_t mode;
    fs_page_t page;
    file_info_t info;
    dir_list_t list;
    char *link; /* LINK_MAX_BYTES */
    size_t link_len;
    uint64_t bytes, total_bytes;
    err_t e;
} fs_op_t;

static err_t run(task_t *t, driver_t *d, work_fn fn, fs_op_t *op)
{
    uv_work_wait(t, uv_driver_of(d), fn, op);
    return op->e;
}

static void stat_worker(void *arg)
{
    fs_op_t *op = arg;
    struct stat st;
    if (fstatat(AT_FDCWD, op->path, &st, op->follow ? 0 : AT_SYMLINK_NOFOLLOW)) {
        op->e = fail_path(errno, "stat", op->path);
        return;
    }
    op->info = (file_info_t){
        .kind = S_ISREG(st.st_mode)   ? FILE_KIND_REGULAR
                : S_ISDIR(st.st_mode) ? FILE_KIND_DIR
                : S_ISLNK(st.st_mode) ? FILE_KIND_SYMLINK
                                      : FILE_KIND_OTHER,
        .size_bytes = (uint64_t)st.st_size,
        .disk_bytes = (uint64_t)st.st_blocks * 512,
        .mode = st.st_mode & 07777,
        .mtime_s = st.st_mtim.tv_sec,
        .mtime_ns = (uint32_t)st.st_mtim.tv_nsec,
        .device = st.st_dev,
        .inode = st.st_ino,
    };
    op->e = OK;
}

err_t uv_fs_stat_path(task_t *t, driver_t *d, const char *path, bool follow, file_info_t *ret)
{
    fs_op_t op = {.path = path, .follow = follow};
    TRY(run(t, d, stat_worker, &op));
    *ret = op.info;
    return OK;
}

static void rename_worker(void *arg)
{
    fs_op_t *op = arg;
    op->e = rename(op->path, op->other) ? fail_path(errno, "rename", op->path) : OK;
}

err_t uv_fs_rename_path(task_t *t, driver_t *d, const char *from, const char *to)
{
    fs_op_t op = {.path = from, .other = to};
    return run(t, d, rename_worker, &op);
}

static void unlink_worker(void *arg)
{
    fs_op_t *op = arg;
    op->e = unlink(op->path) ? fail_path(errno, "remove", op->path) : OK;
}

err_t uv_fs_unlink_path(task_t *t, driver_t *d, const char *path)
{
    fs_op_t op = {.path = path};
    return run(t, d, unlink_worker, &op);
}

static void rmdir_worker(void *arg)
{
    fs_op_t *op = arg;
    op->e = rmdir(op->path) ? fail_path(errno, "remove", op->path) : OK;
}

err_t uv_fs_rmdir_path(task_t *t, driver_t *d, const char *path)
{
    fs_op_t op = {.path = path};
    return run(t, d, rmdir_worker, &op);
}

static void mkdir_worker(void *arg)
{
    fs_op_t *op = arg;
    op->e = mkdir(op->path, op->mode) ? fail_path(errno, "make folder", op->path) : OK;
}

err_t uv_fs_mkdir_path(task_t *t, driver_t *d, const char *path, uint32_t mode)
{
    fs_op_t op = {.path = path, .mode = mode};
    return run(t, d, mkdir_worker, &op);
}

static void list_worker(void *arg)
{
    fs_op_t *op = arg;
    DIR *dir = opendir(op->path);
    if (!dir) {
        op->e = fail_path(errno, "list", op->path);
        return;
    }
    dir_list_t *l = &op->list;
    size_t cap = 0;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        dir_list_take(l, &cap, op->page, entry->d_name);
    }
    op->e = errno ? fail_path(errno, "list", op->path) : OK;
    closedir(dir);
    dir_list_end(l, op->page);
}

err_t uv_fs_list_path(task_t *t, driver_t *d, const char *path, fs_page_t page, dir_list_t *ret)
{
    fs_op_t op = {.path = path, .page = page};
    err_t e = run(t, d, list_worker, &op);
    if (e) {
        dir_list_deinit(&op.list);
        return e;
    }
    *ret = op.list;
    return OK;
}

static void symlink_worker(void *arg)
{
    fs_op_t *op = arg;
    op->e = symlink(op->other, op->path) ? fail_path(errno, "make link", op->path) : OK;
}

err_t uv_fs_symlink_path(task_t *t, driver_t *d, const char *target, const char *path)
{
    fs_op_t op = {.path = path, .other = target};
    return run(t, d, symlink_worker, &op);
}

static void readlink_worker(void *arg)
{
    fs_op_t *op = arg;
    ssize_t n = readlink(op->path, op->link, LINK_MAX_BYTES);
    if (n < 0) {
        op->e = fail_path(errno, "read link", op->path);
    } else if (n == LINK_MAX_BYTES) {
        op->e =
            fail(ERR_LIMIT, "read link %s: its target is longer than %d bytes", op->path, LINK_MAX_BYTES - 1);
    } else {
        op->link_len = (size_t)n;
        op->e = OK;
    }
}

err_t uv_fs_readlink_path(task_t *t, driver_t *d, const char *path, buf_t *ret)
{
    char link[LINK_MAX_BYTES];
    fs_op_t op = {.path = path, .link = link};
    TRY(run(t, d, readlink_worker, &op));
    buf_clear(ret);
    return buf_append(ret, bytes_of(op.link, op.link_len));
}

static void sync_dir_worker(void *arg)
{
    fs_op_t *op = arg;
    int fd = open(op->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    op->e = fd < 0 || fsync(fd) ? fail_path(errno, "sync folder", op->path) : OK;
    if (fd >= 0)
        close(fd);
}

err_t uv_fs_sync_dir_path(task_t *t, driver_t *d, const char *path)
{
    fs_op_t op = {.path = path};
    return run(t, d, sync_dir_worker, &op);
}

static void room_worker(void *arg)
{
    fs_op_t *op = arg;
    struct statvfs st;
    op->e = statvfs(op->path, &st) ? fail_path(errno, "ask for the free space of", op->path) : OK;
    if (!op->e) {
        op->bytes = (uint64_t)st.f_bavail * st.f_frsize;
        op->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    }
}

err_t uv_fs_room_of(task_t *t, driver_t *d, const char *path, uint64_t *ret_total, uint64_t *ret_free)
{
    fs_op_t op = {.path = path};
    TRY(run(t, d, room_worker, &op));
    *ret_total = op.total_bytes;
    *ret_free = op.bytes;
    return OK;
}
