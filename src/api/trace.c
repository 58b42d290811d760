#include "api/trace.h"
#include <ctype.h>

/* The trace id of a W3C traceparent ("00-TRACE-PARENT-FLAGS"); false when there is none. */
static bool read_traceparent(const char *header, char out[TRACE_ID_MAX])
{
    if (!header || strlen(header) < 55 || strncmp(header, "00-", 3) || header[35] != '-')
        return false;
    for (size_t i = 0; i < 32; i++) {
        if (!isxdigit((unsigned char)header[3 + i]))
            return false;
        out[i] = header[3 + i];
    }
    out[32] = 0;
    return true;
}

static void make_trace_id(prng_t *ids, char out[TRACE_ID_MAX])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t id[(TRACE_ID_MAX - 1) / 2];
    prng_fill(ids, id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) {
        *out++ = digits[id[i] >> 4];
        *out++ = digits[id[i] & 15];
    }
    *out = 0;
}

void trace_begin(task_t *t, exchange_t *x, prng_t *ids, char ret_id[TRACE_ID_MAX])
{
    if (!read_traceparent(exchange_header(x, "traceparent"), ret_id))
        make_trace_id(ids, ret_id);
    task_set_trace(t, ret_id);
}
