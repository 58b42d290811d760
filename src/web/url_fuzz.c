/* A URL that can be read is written so that it reads as the same, and so does what is beside it. */
#include "base/bytes.h"
#include "web/url.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const char *text)
{
    url_t u, again;
    AUTO(buf_t) out = {0}, twice = {0}, name = {0};
    const char *printed;
    buf_init(&out, 4 * URL_MAX_BYTES);
    buf_init(&twice, 4 * URL_MAX_BYTES);
    buf_init(&name, 4 * URL_MAX_BYTES);
    if (url_parse(text, &u))
        return;
    err_t e = url_print(&u, &out);
    if (!e)
        e = buf_cstr(&out, &printed);
    assert(!e);
    if (out.len > URL_MAX_BYTES)
        return;
    e = url_parse(printed, &again);
    if (!e)
        e = url_print(&again, &twice);
    if (!e)
        e = url_name(&u, &name);
    assert(!e && bytes_equal(buf_bytes(&out), buf_bytes(&twice)));
    assert(u.port == again.port && u.is_secure == again.is_secure && !strcmp(u.host, again.host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xcalloc(1, size + 1);
    AUTO(buf_t) out = {0};
    buf_init(&out, 4 * URL_MAX_BYTES);
    if (size)
        memcpy(text, data, size);
    write_again(text);
    char *newline = strchr(text, '\n'); /* a base, and a reference below it */
    if (newline)
        *newline = 0;
    if (newline && !url_resolve(text, newline + 1, &out)) {
        url_t u;
        const char *to;
        err_t e = buf_cstr(&out, &to);
        if (!e)
            e = url_parse(to, &u);
        assert(!e);
    }
    free(text);
    return 0;
}
