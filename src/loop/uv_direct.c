#include "loop/uv_direct.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PAGE = 4096, /* what every file system and disk is content with */
    STAGING_BYTES = 1 << 20,
    SPARES = 2,
    FD_UNKNOWN = -1,
    FD_REFUSED = -2,
};

/* ── the descriptor ──────────────────────────────────────────────────────────────────────────── */
void direct_init(direct_t *d)
{
    atomic_init(&d->fd, FD_UNKNOWN);
}

void direct_deinit(direct_t *d)
{
    int fd = atomic_exchange(&d->fd, FD_REFUSED);
    if (fd >= 0)
        close(fd);
}

/* Through /proc, so that it is the same file whatever its name is now. */
static int reopen(int fd)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int how = fcntl(fd, F_GETFL);
    int again = how < 0 ? -1 : open(path, (how & O_ACCMODE) | O_DIRECT | O_CLOEXEC);
    return again < 0 ? FD_REFUSED : again;
}

static int direct_fd(direct_t *d, int fd)
{
    int have = atomic_load(&d->fd), unknown = FD_UNKNOWN;
    if (have != FD_UNKNOWN)
        return have;
    int opened = reopen(fd);
    if (atomic_compare_exchange_strong(&d->fd, &unknown, opened))
        return opened;
    if (opened >= 0) /* another thread was faster */
        close(opened);
    return unknown;
}

/* ── buffers ─────────────────────────────────────────────────────────────────────────────────── */
static _Atomic(uint8_t *) spares[SPARES];

static uint8_t *staging_take(void)
{
    for (size_t i = 0; i < SPARES; i++) {
        uint8_t *kept = atomic_exchange(&spares[i], NULL);
        if (kept)
            return kept;
    }
    void *fresh = mmap(NULL, STAGING_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return fresh == MAP_FAILED ? NULL : fresh;
}

static void staging_put(uint8_t *staging)
{
    for (size_t i = 0; i < SPARES; i++) {
        uint8_t *none = NULL;
        if (atomic_compare_exchange_strong(&spares[i], &none, staging))
            return;
    }
    munmap(staging, STAGING_BYTES);
}

void direct_give_back(void)
{
    for (size_t i = 0; i < SPARES; i++) {
        uint8_t *kept = atomic_exchange(&spares[i], NULL);
        if (kept)
            munmap(kept, STAGING_BYTES);
    }
}

/* ── transfers ───────────────────────────────────────────────────────────────────────────────── */
/* Whole pages; where the file system does not want them directly after all, the other way. */
static int write_pages(direct_t *d, int fd, const uint8_t *data, size_t len, uint64_t offset)
{
    int direct = direct_fd(d, fd);
    if (direct < 0)
        return fd_write_all(fd, &(bytes_t){data, len}, 1, offset);
    ssize_t n = pwrite(direct, data, len, (off_t)offset);
    if (n < 0 && errno != EINVAL && errno != EINTR)
        return errno;
    size_t done = n > 0 ? (size_t)n : 0;
    return done == len ? 0 : fd_write_all(fd, &(bytes_t){data + done, len - done}, 1, offset + done);
}

typedef struct cursor {
    const bytes_t *piece;
    size_t skip;
} cursor_t;

static void copy_out(cursor_t *c, uint8_t *out, size_t len)
{
    while (len) {
        size_t left = c->piece->len - c->skip, n = left < len ? left : len;
        if (n)
            memcpy(out, c->piece->data + c->skip, n);
        out += n;
        len -= n;
        c->skip += n;
        if (c->skip == c->piece->len) {
            c->piece++;
            c->skip = 0;
        }
    }
}

int direct_write(direct_t *d, int fd, const bytes_t *pieces, size_t n_pieces, uint64_t offset)
{
    uint8_t *staging = staging_take();
    if (!staging)
        return ENOMEM;
    cursor_t c = {.piece = pieces};
    uint64_t at = offset, end = offset;
    for (size_t i = 0; i < n_pieces; i++)
        end += pieces[i].len;
    int e = 0;
    while (at < end && !e) {
        size_t into_page = at % PAGE;
        size_t n = into_page ? PAGE - into_page : STAGING_BYTES;
        if (n > end - at)
            n = (size_t)(end - at);
        bool is_pages = !into_page && n >= PAGE;
        if (is_pages)
            n -= n % PAGE;
        copy_out(&c, staging, n);
        e = is_pages ? write_pages(d, fd, staging, n, at) : fd_write_all(fd, &(bytes_t){staging, n}, 1, at);
        at += n;
    }
    staging_put(staging);
    return e;
}

/* The count, -1 with an errno. */
static ssize_t read_pages(direct_t *d, int fd, uint8_t *out, size_t len, uint64_t offset)
{
    int direct = direct_fd(d, fd);
    ssize_t n = direct < 0 ? -1 : pread(direct, out, len, (off_t)offset);
    if (direct >= 0 && (n >= 0 || (errno != EINVAL && errno != EINTR)))
        return n;
    do
        n = pread(fd, out, len, (off_t)offset);
    while (n < 0 && errno == EINTR);
    return n;
}

static void copy_in(const span_t **piece, size_t *skip, const uint8_t *data, size_t len)
{
    while (len) {
        size_t left = (*piece)->len - *skip, n = left < len ? left : len;
        if (n)
            memcpy((*piece)->data + *skip, data, n);
        data += n;
        len -= n;
        *skip += n;
        if (*skip == (*piece)->len) {
            ++*piece;
            *skip = 0;
        }
    }
}

int direct_read(direct_t *d, int fd, const span_t *pieces, size_t n_pieces, uint64_t offset, size_t *ret_n)
{
    uint8_t *staging = staging_take();
    if (!staging)
        return ENOMEM;
    size_t len = 0, done = 0, filled = 0;
    for (size_t i = 0; i < n_pieces; i++)
        len += pieces[i].len;
    int e = 0;
    while (done < len) {
        uint64_t from = (offset + done) / PAGE * PAGE, to = (offset + len + PAGE - 1) / PAGE * PAGE;
        size_t skip = (size_t)(offset + done - from);
        size_t want = to - from < STAGING_BYTES ? (size_t)(to - from) : STAGING_BYTES;
        ssize_t n = read_pages(d, fd, staging, want, from);
        if (n < 0)
            e = errno;
        if (n <= (ssize_t)skip)
            break;
        size_t got = (size_t)n - skip < len - done ? (size_t)n - skip : len - done;
        copy_in(&pieces, &filled, staging + skip, got);
        done += got;
    }
    staging_put(staging);
    *ret_n = done;
    return e;
}

/* ── what was asked for ──────────────────────────────────────────────────────────────────────── */
static size_t place_of(uint64_t file_id, uint64_t offset, uint16_t *ret_tag)
{
    uint64_t hash = (file_id + offset) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 32;
    *ret_tag = (uint16_t)(hash >> 16) | 1; /* 0: nothing is noted there */
    return hash % MISSES_KEPT;
}

bool misses_has(const misses_t *m, uint64_t file_id, uint64_t offset)
{
    uint16_t tag;
    size_t place = place_of(file_id, offset, &tag);
    return m->tags[place] == tag;
}

bool misses_note(misses_t *m, uint64_t file_id, uint64_t offset)
{
    uint16_t tag;
    size_t place = place_of(file_id, offset, &tag);
    bool was_noted = m->tags[place] == tag;
    m->tags[place] = tag;
    return was_noted;
}
