/* Files. What the page cache has is read at once; all else runs on a worker. */
#include "loop/uv_direct.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_PER_CALL 64
#define INLINE_READ_BYTES (256 * 1024) /* a copy of this size costs no more than the way to a worker */

typedef struct uv_file {
    file_t base;
    uv_driver_t *d;
    int fd;
    int flags;
    direct_t direct; /* with FILE_DIRECT_HINT */
    uint64_t id;
    char path[];
} uv_file_t;

/* One operation on its way through a worker. */
typedef struct file_op {
    uv_file_t *f;
    const char *path;
    int open_flags;
    uint32_t mode;
    const span_t *spans;
    const bytes_t *pieces;
    size_t len; /* pieces */
    uint64_t offset, size;
    int fd;
    bool is_direct;
    err_t e;
} file_op_t;

err_t fail_path(int errnum, const char *what, const char *path)
{
    const char *advice = "";
    if (errnum == ENOSPC || errnum == EDQUOT)
        advice = "; free some space or move the repository";
    else if (errnum == EMFILE || errnum == ENFILE)
        advice = "; raise the limit of open files (ulimit -n)";
    else if (errnum == EFBIG)
        advice = " (ulimit -f)";
    /* The limits of a file, of a quota and of a disk are one thing to who writes. */
    err_t e = errnum == EDQUOT || errnum == EFBIG ? ERR_NO_SPACE : error_from_errno(errnum);
    return fail(e, "%s %s: %s%s", what, path, strerror(errnum), advice);
}

static err_t fail_file(uv_file_t *f, int errnum, const char *what)
{
    return fail_path(errnum, what, f->path);
}

static err_t run(task_t *t, uv_file_t *f, work_fn fn, file_op_t *op)
{
    op->f = f;
    uv_work_wait(t, f->d, fn, op);
    return op->e;
}

/* preadv2 or pwritev2 until the pieces are done or nothing moves any more; an errno, 0 when it went well. */
typedef ssize_t (*move_fn)(int fd, const struct iovec *iov, int n, off_t offset, int how);
static int move_all(move_fn move, int how, int fd, struct iovec *iov, size_t n, uint64_t offset,
                    size_t *ret_moved)
{
    size_t at = 0;
    for (*ret_moved = 0;;) {
        for (; at < n && !iov[at].iov_len; at++)
            ;
        if (at == n)
            return 0;
        ssize_t moved = move(fd, iov + at, (int)(n - at), (off_t)(offset + *ret_moved), how);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            return moved ? errno : 0;
        *ret_moved += (size_t)moved;
        for (size_t left = (size_t)moved; left && at < n; at += !iov[at].iov_len) {
            size_t here = iov[at].iov_len < left ? iov[at].iov_len : left;
            iov[at].iov_base = (uint8_t *)iov[at].iov_base + here;
            iov[at].iov_len -= here;
            left -= here;
        }
    }
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static int read_all(int fd, const span_t *pieces, size_t n, uint64_t offset, int how, size_t *ret_n)
{
    *ret_n = 0;
    while (n) {
        struct iovec iov[PIECES_PER_CALL];
        size_t used = n < PIECES_PER_CALL ? n : PIECES_PER_CALL, wanted = 0, got;
        for (size_t i = 0; i < used; i++) {
            iov[i] = (struct iovec){pieces[i].data, pieces[i].len};
            wanted += pieces[i].len;
        }
        int errnum = move_all(preadv2, how, fd, iov, used, offset + *ret_n, &got);
        *ret_n += got;
        if (errnum || got < wanted)
            return errnum;
        pieces += used;
        n -= used;
    }
    return 0;
}

static void read_worker(void *arg)
{
    file_op_t *op = arg;
    size_t n = 0;
    int errnum = op->is_direct ? direct_read(&op->f->direct, op->f->fd, op->spans, op->len, op->offset, &n)
                               : read_all(op->f->fd, op->spans, op->len, op->offset, 0, &n);
    op->size = n;
    op->e = errnum ? fail_file(op->f, errnum, "read") : OK;
}

static bool goes_past_cache(const uv_file_t *f, uint64_t len)
{
    return (f->flags & FILE_DIRECT_HINT) && len >= DIRECT_MIN_BYTES;
}

static err_t try_read_at(file_t *base, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    uv_file_t *f = (uv_file_t *)base;
    /* Even a read that does not wait has the kernel fill its cache, with what lies ahead too. */
    if (goes_past_cache(f, len) && !misses_has(&f->d->misses, f->id, offset))
        return ERR_AGAIN;
    int errnum = read_all(f->fd, &(span_t){out, len}, 1, offset, RWF_NOWAIT, ret_n);
    /* File systems without RWF_NOWAIT: nothing can be said without waiting. */
    if (errnum == EAGAIN || errnum == EOPNOTSUPP)
        return ERR_AGAIN;
    return errnum ? fail_file(f, errnum, "read") : OK;
}

static err_t read_at(task_t *t, file_t *base, uint8_t *out, size_t len, uint64_t offset, size_t *ret_n)
{
    uv_file_t *f = (uv_file_t *)base;
    if (len <= INLINE_READ_BYTES && !goes_past_cache(f, len)) {
        err_t e = try_read_at(base, out, len, offset, ret_n);
        if (e != ERR_AGAIN)
            return e;
    }
    file_op_t op = {.spans = &(span_t){out, len}, .len = 1, .offset = offset};
    op.is_direct = goes_past_cache(f, len) && !misses_note(&f->d->misses, f->id, offset);
    TRY(run(t, f, read_worker, &op));
    *ret_n = op.size;
    return OK;
}

static err_t read_pieces(task_t *t, file_t *base, const span_t *pieces, size_t n, uint64_t offset)
{
    uv_file_t *f = (uv_file_t *)base;
    size_t len = 0, got;
    for (size_t i = 0; i < n; i++)
        len += pieces[i].len;
    bool is_large = n && goes_past_cache(f, len / n), was_missed = false;
    if (!is_large && len <= INLINE_READ_BYTES && !read_all(f->fd, pieces, n, offset, RWF_NOWAIT, &got) &&
        got == len)
        return OK;
    for (size_t i = 0, at = 0; is_large && i < n; at += pieces[i++].len)
        was_missed = misses_note(&f->d->misses, f->id, offset + at) || was_missed;
    file_op_t op = {.spans = pieces, .len = n, .offset = offset, .is_direct = is_large && !was_missed};
    TRY(run(t, f, read_worker, &op));
    if (op.size < len)
        return fail(ERR_EOF, "%s ends before offset %llu", f->path, (unsigned long long)(offset + len));
    return OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */

int fd_write_all(int fd, const bytes_t *pieces, size_t n, uint64_t offset)
{
    while (n) {
        struct iovec iov[PIECES_PER_CALL];
        size_t used = n < PIECES_PER_CALL ? n : PIECES_PER_CALL, wanted = 0, done;
        for (size_t i = 0; i < used; i++) {
            iov[i] = (struct iovec){(void *)pieces[i].data, pieces[i].len};
            wanted += pieces[i].len;
        }
        int errnum = move_all(pwritev2, 0, fd, iov, used, offset, &done);
        if (errnum || done < wanted)
            return errnum ? errnum : ENOSPC;
        offset += done;
        pieces += used;
        n -= used;
    }
    return 0;
}

static void write_worker(void *arg)
{
    file_op_t *op = arg;
    uv_file_t *f = op->f;
    int errnum = op->is_direct ? direct_write(&f->direct, f->fd, op->pieces, op->len, op->offset)
                               : fd_write_all(f->fd, op->pieces, op->len, op->offset);
    op->e = errnum ? fail_file(f, errnum, "write") : OK;
}

static err_t write_at(task_t *t, file_t *base, const bytes_t *pieces, size_t n, uint64_t offset)
{
    uv_file_t *f = (uv_file_t *)base;
    uint64_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += pieces[i].len;
    file_op_t op = {.pieces = pieces, .len = n, .offset = offset, .is_direct = goes_past_cache(f, len)};
    return run(t, f, write_worker, &op);
}

static void sync_worker(void *arg)
{
    file_op_t *op = arg;
    op->e = fdatasync(op->f->fd) ? fail_file(op->f, errno, "sync") : OK;
}

static err_t sync_file(task_t *t, file_t *base)
{
    file_op_t op = {0};
    return run(t, (uv_file_t *)base, sync_worker, &op);
}

static void write_synced_worker(void *arg)
{
    file_op_t *op = arg;
    write_worker(op);
    if (!op->e)
        sync_worker(op);
}

static err_t write_synced(task_t *t, file_t *base, const bytes_t *pieces, size_t n, uint64_t offset)
{
    file_op_t op = {.pieces = pieces, .len = n, .offset = offset};
    return run(t, (uv_file_t *)base, write_synced_worker, &op);
}

static void truncate_worker(void *arg)
{
    file_op_t *op = arg;
    op->e = ftruncate(op->f->fd, (off_t)op->size) ? fail_file(op->f, errno, "truncate") : OK;
}

static err_t truncate_to(task_t *t, file_t *base, uint64_t size)
{
    file_op_t op = {.size = size};
    return run(t, (uv_file_t *)base, truncate_worker, &op);
}

static err_t size_of(task_t *t, file_t *base, uint64_t *ret_size)
{
    uv_file_t *f = (uv_file_t *)base;
    struct stat st;
    if (fstat(f->fd, &st)) /* the inode is in memory while it is open */
        return fail_file(f, errno, "stat");
    *ret_size = (uint64_t)st.st_size;
    return OK;
}

static void punch_worker(void *arg)
{
    file_op_t *op = arg;
    int e =
        fallocate(op->f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)op->offset, (off_t)op->size);
    op->e = e ? fail_file(op->f, errno, "free a part of") : OK;
}

static err_t punch(task_t *t, file_t *base, uint64_t offset, uint64_t len)
{
    if (len == 0)
        return OK;
    file_op_t op = {.offset = offset, .size = len};
    return run(t, (uv_file_t *)base, punch_worker, &op);
}

static err_t try_lock(file_t *base)
{
    uv_file_t *f = (uv_file_t *)base;
    /* Belongs to the open file, not to the process: a second open in this process is refused too. */
    if (!flock(f->fd, LOCK_EX | LOCK_NB))
        return OK;
    if (errno == EWOULDBLOCK)
        return fail(ERR_IN_USE, "%s is locked by another process", f->path);
    return fail_file(f, errno, "lock");
}

static void close_file(file_t *base)
{
    uv_file_t *f = (uv_file_t *)base;
    f->d->open_count--;
    direct_deinit(&f->direct);
    close(f->fd);
    free(f);
}

static const file_ops_t file_ops = {
    .read_at = read_at,
    .try_read_at = try_read_at,
    .read_pieces = read_pieces,
    .write_at = write_at,
    .sync = sync_file,
    .write_synced = write_synced,
    .truncate = truncate_to,
    .size = size_of,
    .punch = punch,
    .try_lock = try_lock,
    .close = close_file,
};

/* What somebody put in a file's place must not hold a worker: a pipe would until a writer comes. */
static void open_worker(void *arg)
{
    file_op_t *op = arg;
    do
        op->fd = open(op->path, op->open_flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, op->mode);
    while (op->fd < 0 && errno == EINTR);
    op->e = op->fd < 0 ? fail_path(errno, "open", op->path) : OK;
}

static int open_flags_of(int flags)
{
    int how = (flags & FILE_WRITE) ? (flags & FILE_READ) ? O_RDWR : O_WRONLY : O_RDONLY;
    how |= (flags & FILE_CREATE) ? O_CREAT : 0;
    how |= (flags & FILE_EXCLUSIVE) ? O_EXCL : 0;
    how |= (flags & FILE_TRUNCATE) ? O_TRUNC : 0;
    how |= (flags & FILE_NO_FOLLOW) ? O_NOFOLLOW : 0;
    return how;
}

err_t uv_file_open_at(task_t *t, driver_t *base, const char *path, int flags, uint32_t mode, file_t **ret)
{
    uv_driver_t *d = uv_driver_of(base);
    file_op_t op = {.path = path, .open_flags = open_flags_of(flags), .mode = mode};
    uv_work_wait(t, d, open_worker, &op);
    TRY(op.e);
    uv_file_t *f = xmalloc(sizeof *f + strlen(path) + 1);
    f->base.ops = &file_ops;
    f->d = d;
    f->fd = op.fd;
    f->flags = flags;
    f->id = ++d->file_ids << 40; /* above any offset */
    direct_init(&f->direct);
    memcpy(f->path, path, strlen(path) + 1);
    d->open_count++;
    *ret = &f->base;
    return OK;
}
