#include "loop/http_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void http_spool_init(http_spool_t *s)
{
    *s = (http_spool_t){.fd = -1};
}

void http_spool_deinit(http_spool_t *s)
{
    if (s->fd >= 0)
        close(s->fd);
    http_spool_init(s);
}

typedef struct spool_write {
    http_spool_t *spool;
    bytes_t data;
    err_t e;
} spool_write_t;

static err_t open_unlinked(int *ret_fd)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !folder[0])
        folder = "/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) { /* file systems without O_TMPFILE */
        char path[4096];
        if (snprintf(path, sizeof path, "%s/distribute-XXXXXX", folder) >= (int)sizeof path)
            return fail(ERR_INVALID, "TMPDIR is too long");
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
            return fail_path(errno, "make a temporary file in", folder);
        unlink(path);
    }
    *ret_fd = fd;
    return OK;
}

static err_t write_all(http_spool_t *s, bytes_t data)
{
    if (s->fd < 0)
        TRY(open_unlinked(&s->fd));
    int errnum = fd_write_all(s->fd, &data, 1, s->written);
    return errnum ? fail_path(errnum, "write", "the temporary file of an answer") : OK;
}

static void write_worker(void *arg)
{
    spool_write_t *w = arg;
    w->e = write_all(w->spool, w->data);
}

err_t http_spool_write(task_t *t, uv_driver_t *d, http_spool_t *s, bytes_t data)
{
    if (data.len > HTTP_SPOOL_FILE_BYTES - s->written)
        return fail(ERR_LIMIT, "the answer to an upload is over %lu bytes before the upload has ended",
                    HTTP_SPOOL_FILE_BYTES);
    spool_write_t w = {s, data, OK};
    uv_work_wait(t, d, write_worker, &w);
    TRY(w.e);
    s->written += data.len;
    return OK;
}

size_t http_spool_take(http_spool_t *s, uint8_t *out, size_t cap)
{
    uint64_t waiting = s->written - s->taken;
    if (!waiting)
        return 0;
    ssize_t n = pread(s->fd, out, waiting < cap ? (size_t)waiting : cap, (off_t)s->taken);
    if (n <= 0)
        return 0;
    s->taken += (uint64_t)n;
    return (size_t)n;
}
