#include "api/upload.h"
#include "api/clean_path.h"
#include "api/rpc_util.h"
#include <stdlib.h>

err_t upload_init(upload_t *u, exchange_t *x)
{
    *u = (upload_t){.x = x};
    buf_init(&u->path, MULTIPART_NAME_MAX + 1);
    buf_init(&u->abs_path_room, MULTIPART_NAME_MAX + 1);
    return multipart_init(&u->parser, exchange_header(x, "Content-Type"));
}

void upload_deinit(upload_t *u)
{
    multipart_deinit(&u->parser);
    buf_deinit(&u->path);
    buf_deinit(&u->abs_path_room);
}

static err_t fill(task_t *t, upload_t *u)
{
    uint8_t *area;
    size_t cap, n = 0;
    multipart_room(&u->parser, &area, &cap);
    TRY(exchange_read(t, u->x, area, cap, &n));
    if (!n)
        return fail(ERR_INVALID, "multipart body: it ends before its closing boundary");
    multipart_filled(&u->parser, n);
    return OK;
}

uint32_t upload_posix_mode(uint32_t go)
{
    enum { GO_SETUID = 1 << 23, GO_SETGID = 1 << 22, GO_STICKY = 1 << 20 };
    return (go & 0777) | (go & GO_SETUID ? 04000 : 0) | (go & GO_SETGID ? 02000 : 0) |
           (go & GO_STICKY ? 01000 : 0);
}

/* "file?mode=0644&mtime=1700000000&mtime-nsecs=5" */
static void parse_meta(const char *name, upload_t *u)
{
    const char *query = strchr(name, '?');
    unixfs_t *meta = &u->meta;
    *meta = (unixfs_t){0};
    u->sent_mode = 0;
    while (query) {
        const char *pair = query + 1;
        if (!strncmp(pair, "mode=", 5)) {
            u->sent_mode = (uint32_t)strtoul(pair + 5, NULL, 8);
            meta->has_mode = true;
            meta->mode = upload_posix_mode(u->sent_mode);
        } else if (!strncmp(pair, "mtime=", 6)) {
            meta->has_mtime = true;
            meta->mtime.seconds = strtoll(pair + 6, NULL, 10);
        } else if (!strncmp(pair, "mtime-nsecs=", 12)) {
            unsigned long long ns = strtoull(pair + 12, NULL, 10);
            meta->mtime.nanoseconds = ns < 1000000000 ? (uint32_t)ns : 0;
        }
        query = strchr(pair, '&');
    }
}

/* Newer clients encode it as a query does, older ones send it as it is. */
static err_t set_abs_path(upload_t *u)
{
    const multipart_part_t *p = &u->parser.part;
    buf_clear(&u->abs_path_room);
    u->abs_path = NULL;
    if (!p->abs_path || !*p->abs_path)
        return OK;
    if (!p->is_abs_path_encoded)
        TRY(buf_append(&u->abs_path_room, bytes_str(p->abs_path)));
    else if (percent_decode(bytes_str(p->abs_path), true, &u->abs_path_room))
        return fail(ERR_INVALID, "multipart body: the header abspath-encoded is not percent-encoded");
    return buf_cstr(&u->abs_path_room, &u->abs_path);
}

/* As the reference takes names: without empty parts, "." and "..", and so none that leads out of the upload.
 */
static err_t set_path(upload_t *u, bytes_t name)
{
    AUTO(buf_t) sent = {0}, clean = {0};
    buf_init(&sent, MULTIPART_NAME_MAX + 1);
    buf_init(&clean, MULTIPART_NAME_MAX + 2);
    buf_clear(&u->path);
    if (percent_decode(name, true, &sent)) { /* as curl sends it: not encoded at all */
        buf_clear(&sent);
        TRY(buf_append(&sent, name));
    }
    TRY(clean_path(buf_bytes(&sent), &clean));
    bytes_t path = bytes_slice(buf_bytes(&clean), 1, clean.len);
    path.len -= path.len && path.data[path.len - 1] == '/';
    return buf_append(&u->path, path);
}

static err_t begin_part(upload_t *u)
{
    const multipart_part_t *p = &u->parser.part;
    TRY(set_path(u, bytes_str(p->filename)));
    parse_meta(p->name, u);
    TRY(set_abs_path(u));
    u->kind = !strcmp(p->content_type, "application/x-directory") ? UPLOAD_DIR
              : !strcmp(p->content_type, "application/symlink")   ? UPLOAD_SYMLINK
                                                                  : UPLOAD_FILE;
    u->data = BYTES_NONE;
    u->in_part = true;
    return OK;
}

err_t upload_next(task_t *t, upload_t *u, bool *ret_has)
{
    while (!u->has_ended) {
        bytes_t skipped;
        switch (multipart_next(&u->parser, &skipped)) {
        case MULTIPART_MORE:
            TRY(fill(t, u));
            break;
        case MULTIPART_DATA:
        case MULTIPART_PART_END:
            u->in_part = false;
            break;
        case MULTIPART_PART:
            TRY(begin_part(u));
            *ret_has = true;
            return OK;
        case MULTIPART_END:
            u->has_ended = true;
            break;
        case MULTIPART_ERROR:
            return u->parser.error;
        }
    }
    *ret_has = false;
    return OK;
}

static err_t read_part(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    upload_t *u = arg;
    while (!u->data.len && u->in_part) {
        multipart_event_t event = multipart_next(&u->parser, &u->data);
        if (event == MULTIPART_MORE) {
            u->data = BYTES_NONE;
            TRY(fill(t, u));
        } else if (event == MULTIPART_ERROR) {
            return u->parser.error;
        } else if (event == MULTIPART_PART_END) {
            u->data = BYTES_NONE;
            u->in_part = false;
        }
    }
    size_t n = u->data.len < cap ? u->data.len : cap;
    if (n)
        memcpy(out, u->data.data, n);
    u->data = bytes_slice(u->data, n, u->data.len);
    *ret_n = n;
    return OK;
}

source_t upload_source(upload_t *u)
{
    return (source_t){read_part, u};
}

err_t upload_read_all(task_t *t, upload_t *u, buf_t *out)
{
    for (;;) {
        size_t n = 0;
        uint8_t part[4096];
        TRY(read_part(t, u, part, sizeof part, &n));
        if (!n)
            return OK;
        TRY(buf_append(out, bytes_of(part, n)));
    }
}

err_t rpc_read_upload(task_t *t, rpc_t *r, buf_t *out)
{
    AUTO(upload_t) u = {0};
    bool has = false;
    TRY(upload_init(&u, r->x));
    TRY(upload_next(t, &u, &has));
    if (!has)
        return fail(ERR_USAGE, "file argument 'data' is required");
    return upload_read_all(t, &u, out);
}
