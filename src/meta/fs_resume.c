#include "base/log.h"
#include "crypto/hash.h"
#include "meta/fs_internal.h"
#include <stdlib.h>

enum { NOTES_MAX_BYTES = 64 << 20 };

static err_t read_lines(task_t *t, fs_resume_t *r, json_t *lines)
{
    AUTO(buf_t) text = {0};
    uint64_t size;
    TRY(file_size(t, r->file, &size));
    buf_init(&text, NOTES_MAX_BYTES);
    TRY(buf_reserve(&text, size));
    TRY(file_read_exact(t, r->file, text.data, size, 0));
    text.len = size;
    size_t at = 0;
    for (const uint8_t *end; at < text.len && (end = memchr(text.data + at, '\n', text.len - at));) {
        json_t *line = json_loadb((const char *)text.data + at, (size_t)(end - text.data) - at, 0, NULL);
        at = line ? (size_t)(end - text.data) + 1 : 0;
        if (line) {
            json_array_append_new(lines, line);
        } else { /* which chunks had been begun is not known any more: that upload is not gone on with */
            json_array_clear(lines);
            break;
        }
    }
    r->end = at; /* a line that was cut off is written over */
    return file_truncate(t, r->file, at);
}

err_t fs_resume_open(task_t *t, const char *folder, const char *key, fs_resume_t *ret, json_t **ret_lines)
{
    uint8_t digest[32];
    char name[33];
    *ret = (fs_resume_t){0};
    AUTO_PTR(json_t) lines = json_array();
    if (*folder) {
        sha256_of(bytes_str(key), digest);
        hex_text(bytes_of(digest, 16), name, sizeof name);
        snprintf(ret->path, sizeof ret->path, "%.4000s/%s.upload", folder, name);
        TRY(fs_mkdirs(t, folder, 0700));
        TRY(file_open(t, ret->path, FILE_READ | FILE_WRITE | FILE_CREATE | FILE_NO_FOLLOW, 0600, &ret->file));
        err_t e = file_try_lock(ret->file);
        if (!e)
            e = read_lines(t, ret, lines);
        if (e) {
            file_close(ret->file);
            ret->file = NULL;
            return e == ERR_IN_USE ? fail(ERR_IN_USE, "another process is uploading this file") : e;
        }
    }
    *ret_lines = json_incref(lines);
    return OK;
}

err_t fs_resume_note(task_t *t, fs_resume_t *r, json_t *line)
{
    char *text = json_dumps(line, JSON_COMPACT);
    json_decref(line);
    err_t e = OK;
    if (r->file) {
        bytes_t pieces[] = {bytes_str(text), BYTES_LIT("\n")};
        uint64_t at = r->end; /* several tasks note at once: each has its place before it waits */
        r->end += pieces[0].len + 1;
        e = file_write_at(t, r->file, pieces, 2, at);
    }
    free(text);
    return e;
}

err_t fs_resume_sync(task_t *t, fs_resume_t *r)
{
    return r->file ? file_sync(t, r->file) : OK;
}

err_t fs_resume_clear(task_t *t, fs_resume_t *r)
{
    r->end = 0;
    return r->file ? file_truncate(t, r->file, 0) : OK;
}

void fs_resume_close(task_t *t, fs_resume_t *r, bool is_done)
{
    if (!r->file)
        return;
    if (is_done && fs_unlink(t, r->path))
        log_debug("notes of an upload stay", LOG_STR("path", r->path)); /* the next put begins anew */
    file_close(r->file);
    r->file = NULL;
}
