#include "repo/filestore_url.h"
#include "base/version.h"
#include "web/http_fetch.h"
#include <inttypes.h>
#include <stdio.h>

enum { ROUND_BYTES = 16 << 10 };

bool filestore_ref_is_url(const filestore_ref_t *ref)
{
    char start[sizeof "https://x"] = "";
    if (ref->path.len)
        memcpy(start, ref->path.data, ref->path.len < sizeof start - 1 ? ref->path.len : sizeof start - 1);
    return url_is_named(start);
}

static err_t read_body(task_t *t, http_answer_t *a, uint8_t *out, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        TRY(http_answer_read(t, a, out + at, size - at, &n));
        if (!n)
            return fail(ERR_EOF, "the content is shorter than it was");
    }
    return OK;
}

static err_t fetch_range(task_t *t, const char *url, const filestore_ref_t *ref, uint8_t *out)
{
    char range[64];
    const http_field_t fields[] = {{"User-Agent", DISTRIBUTE_AGENT}, {"Range", range}};
    http_fetch_t f = {.url = url,
                      .fields = fields,
                      .n_fields = ARRAY_LEN(fields),
                      .is_content = true,
                      .max_in_bytes = ref->size + 2 * ROUND_BYTES}; /* what came with the last of it */
    AUTO_PTR(http_answer_t) a = NULL;
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, ref->offset, ref->offset + ref->size - 1);
    TRY(http_answer_open(t, &f, &a));
    if (f.status != 200 && f.status != 206)
        return fail(ERR_REFUSED, "expected HTTP 200 or 206 got %d", f.status);
    return read_body(t, a, out, ref->size);
}

err_t filestore_read_url(task_t *t, gate_t *turns, const filestore_ref_t *ref, uint8_t *out)
{
    AUTO(buf_t) url = {0};
    const char *text;
    uint64_t outer_ms = task_deadline_ms(t);
    buf_init(&url, FILESTORE_PATH_MAX_BYTES + 1);
    TRY(buf_append(&url, ref->path));
    TRY(buf_cstr(&url, &text));
    TRY(gate_enter(t, turns));
    deadline_t d = deadline_push(t, URL_READ_TIMEOUT_MS);
    err_t e = fetch_range(t, text, ref, out);
    deadline_pop(t, &d);
    gate_leave(turns);
    return e == ERR_TIMEOUT && task_now_ms(t) < outer_ms
               ? fail(ERR_UNREACHABLE, "the range did not come within %d seconds", URL_READ_TIMEOUT_MS / 1000)
               : e;
}
