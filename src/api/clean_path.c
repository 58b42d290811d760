#include "api/clean_path.h"

enum { TARGET_MAX = 16 << 10 };

/* Takes the last segment off again; the root has none. */
static void go_up(buf_t *out, size_t root)
{
    while (out->len > root && out->data[--out->len] != '/')
        ;
}

err_t clean_path(bytes_t path, buf_t *out)
{
    size_t root = out->len;
    bool ends_in_slash = path.len && path.data[path.len - 1] == '/';
    while (path.len) {
        const uint8_t *slash = memchr(path.data, '/', path.len);
        bytes_t segment = bytes_slice(path, 0, slash ? (size_t)(slash - path.data) : path.len);
        path = bytes_slice(path, segment.len + 1, path.len);
        if (!segment.len || bytes_equal(segment, BYTES_LIT(".")))
            continue;
        if (bytes_equal(segment, BYTES_LIT(".."))) {
            go_up(out, root);
            continue;
        }
        TRY(buf_append_u8(out, '/'));
        TRY(buf_append(out, segment));
    }
    return out->len == root || ends_in_slash ? buf_append_u8(out, '/') : OK;
}

/* What is no URL stays none: browsers take a backslash for a slash, and leave tabs out. */
static err_t append_escaped(buf_t *out, bytes_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool is_plain = c > ' ' && c < 0x7f && !strchr("\\\"<>^`{|}", c);
        TRY(is_plain ? buf_append_u8(out, c) : buf_printf(out, "%%%02X", c));
    }
    return OK;
}

err_t reply_clean_path(task_t *t, exchange_t *x, bool *ret_replied)
{
    AUTO(buf_t) clean = {0}, to = {0};
    const char *text;
    *ret_replied = false;
    if (x->target[0] != '/')
        return OK;
    buf_init(&clean, TARGET_MAX + 2);
    buf_init(&to, 4 * TARGET_MAX);
    TRY(clean_path(bytes_str(x->path), &clean));
    if (bytes_equal(buf_bytes(&clean), bytes_str(x->path)))
        return OK;
    TRY(append_escaped(&to, buf_bytes(&clean)));
    if (*x->query)
        TRY(buf_append_u8(&to, '?'));
    TRY(append_escaped(&to, bytes_str(x->query)));
    TRY(buf_cstr(&to, &text));
    TRY(exchange_set_header(x, "Location", text));
    *ret_replied = true;
    return exchange_reply(t, x, 307, "text/html; charset=utf-8", BYTES_NONE);
}
