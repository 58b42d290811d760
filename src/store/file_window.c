#include "store/file_window.h"

err_t file_window_open(task_t *t, const char *path, file_window_t *w)
{
    *w = (file_window_t){0};
    TRY(file_open(t, path, FILE_READ, 0, &w->file));
    buf_init(&w->bytes, FILE_WINDOW_BYTES);
    err_t e = file_size(t, w->file, &w->size);
    if (e)
        file_window_close(w);
    return e;
}

void file_window_close(file_window_t *w)
{
    file_close(w->file);
    buf_deinit(&w->bytes);
    w->file = NULL;
}

static err_t fill(task_t *t, file_window_t *w, uint64_t offset, size_t len)
{
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, len));
    TRY(file_read_exact(t, w->file, w->bytes.data, len, offset));
    w->start = offset;
    w->bytes.len = len;
    return OK;
}

err_t file_window_get(task_t *t, file_window_t *w, uint64_t offset, size_t len, size_t ahead, bytes_t *ret)
{
    assert(len <= FILE_WINDOW_BYTES && ahead <= FILE_WINDOW_BYTES);
    if (offset > w->size || len > w->size - offset)
        return ERR_EOF;
    if (offset < w->start || offset - w->start > w->bytes.len || len > w->bytes.len - (offset - w->start)) {
        size_t n = ahead > len ? ahead : len;
        TRY(fill(t, w, offset, n < w->size - offset ? n : (size_t)(w->size - offset)));
    }
    *ret = bytes_of(w->bytes.data + (offset - w->start), len);
    return OK;
}
