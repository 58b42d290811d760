#include "base/writer.h"
#include "loop/http_internal.h"
#include <sys/socket.h>

enum { EARLY_MAX_BYTES = 64 << 10 };

static void put_field(void *arg, const char *name, const char *value)
{
    writer_t *w = arg;
    const char *const parts[] = {name, ": ", value, "\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        write_bytes(w, bytes_str(parts[i]));
}

static err_t put_answer(http_exchange_t *x, buf_t *out)
{
    bytes_t body = bytes_of(x->answer.data + x->answer_taken, http_exchange_waiting(x));
    TRY(buf_printf(out, "HTTP/1.1 %d %s\r\n", x->base.status,
                   MHD_get_reason_phrase_for((unsigned)x->base.status)));
    writer_t w = writer_to(out);
    http_fields_each(&x->fields, put_field, &w);
    TRY(w.err);
    TRY(buf_printf(out, "Connection: close\r\nContent-Length: %zu\r\n\r\n", body.len));
    return buf_append(out, body);
}

bool http_answer_early(http_exchange_t *x, int fd)
{
    AUTO(buf_t) out = {0};
    bool is_whole = x->is_finished && !x->is_failed && !x->spool.written && !x->trailers.text.len &&
                    x->content_length == (int64_t)http_exchange_waiting(x);
    if (x->server->is_tls || !is_whole || x->base.status < 400 || !strcmp(x->method, "HEAD"))
        return false;
    buf_init(&out, EARLY_MAX_BYTES);
    if (put_answer(x, &out))
        return false;
    return send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}
