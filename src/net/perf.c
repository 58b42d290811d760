#include "net/perf.h"
#include "base/reader.h"
#include "base/writer.h"
#include "net/host_internal.h"
#include <stdlib.h>

enum {
    PIECE_BYTES = 64 * 1024,
    READ_BYTES = 256 * 1024,
    STALL_MS = 30000,
    STREAMS_MAX = 8, /* of one peer, being served */
    PROGRESS_MS = 1000,
};
static const uint8_t zeros[PIECE_BYTES];

/* ── both sides ──────────────────────────────────────────────────────────────────────────────── */
static err_t write_within(task_t *t, stream_t *s, bytes_t data)
{
    deadline_t d = deadline_push(t, STALL_MS);
    err_t e = stream_write(t, s, data);
    deadline_pop(t, &d);
    return e;
}

static err_t read_within(task_t *t, stream_t *s, uint8_t *out, size_t *ret_n)
{
    deadline_t d = deadline_push(t, STALL_MS);
    err_t e = stream_read(t, s, out, READ_BYTES, ret_n);
    deadline_pop(t, &d);
    return e;
}

/* ── the server ──────────────────────────────────────────────────────────────────────────────── */
static err_t serve_with(task_t *t, stream_t *s, uint8_t *area)
{
    uint8_t head[8];
    deadline_t d = deadline_push(t, STALL_MS);
    err_t e = stream_read_full(t, s, head, sizeof head);
    deadline_pop(t, &d);
    TRY(e);
    reader_t r = reader_of(bytes_of(head, sizeof head));
    uint64_t left = read_u64be(&r);
    for (size_t n = 1; n;)
        TRY(read_within(t, s, area, &n));
    while (left) {
        size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;
        TRY(write_within(t, s, bytes_of(zeros, n)));
        left -= n;
    }
    return OK;
}

static err_t serve_perf(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    const host_t *h = arg;
    if (h->perf_for != PERF_FOR_ALL && !multiaddr_is_private(conn_remote_addr(from)))
        return fail(ERR_DENIED, "perf is for near peers alone");
    uint8_t *area = xmalloc(READ_BYTES);
    err_t e = serve_with(t, s, area);
    free(area);
    return e;
}

err_t perf_serve(host_t *h, perf_for_t whom)
{
    protocol_options_t opt = {.max_inbound_per_peer = STREAMS_MAX};
    h->perf_for = whom;
    if (whom != PERF_FOR_NOBODY)
        return host_handle(h, PERF_PROTOCOL, &opt, serve_perf, h);
    host_unhandle(h, PERF_PROTOCOL);
    return OK;
}

/* ── the client ──────────────────────────────────────────────────────────────────────────────── */
typedef struct run {
    conn_t *conn;
    const perf_plan_t *plan;
    perf_progress_fn progress;
    void *arg;
    uint8_t *area;
    double began_ms, told_ms;
    perf_result_t result;
} run_t;

static bool is_over(const run_t *r)
{
    return r->plan->time_ms && host_fine_now_ms(r->conn->host) - r->began_ms >= (double)r->plan->time_ms;
}

static err_t tell(task_t *t, run_t *r)
{
    double now_ms = host_fine_now_ms(r->conn->host);
    if (!r->progress || now_ms - r->told_ms < PROGRESS_MS)
        return OK;
    r->told_ms = now_ms;
    return r->progress(t, r->arg, &r->result);
}

static err_t begin(task_t *t, run_t *r, uint64_t download_bytes, stream_t **ret_s)
{
    static const char *const protocols[] = {PERF_PROTOCOL};
    uint8_t head[8];
    stream_t *s;
    AUTO(buf_t) out = {0};
    buf_init(&out, sizeof head);
    writer_t w = writer_to(&out);
    write_u64be(&w, download_bytes);
    TRY(conn_open_stream(t, r->conn, protocols, 1, &s, NULL));
    r->began_ms = r->told_ms = host_fine_now_ms(r->conn->host);
    err_t e = write_within(t, s, buf_bytes(&out));
    if (e)
        stream_close(s);
    else
        *ret_s = s;
    return e;
}

static err_t send_up(task_t *t, run_t *r, stream_t *s)
{
    uint64_t left = r->plan->upload_bytes;
    size_t n;
    while (left && !is_over(r)) {
        size_t piece = left < sizeof zeros ? (size_t)left : sizeof zeros;
        TRY(write_within(t, s, bytes_of(zeros, piece)));
        left -= piece;
        r->result.upload_bytes += piece;
        r->result.upload_ms = host_fine_now_ms(r->conn->host) - r->began_ms;
        TRY(tell(t, r));
    }
    TRY(stream_close_write(s));
    TRY(read_within(t, s, r->area, &n)); /* it ends when it has read ours to the end */
    r->result.upload_ms = host_fine_now_ms(r->conn->host) - r->began_ms;
    return n ? fail(ERR_PROTOCOL, "perf: the peer sent bytes that were not asked for") : OK;
}

static err_t fetch_down(task_t *t, run_t *r, stream_t *s)
{
    TRY(stream_close_write(s));
    for (;;) {
        size_t n;
        TRY(read_within(t, s, r->area, &n));
        r->result.download_bytes += n;
        r->result.download_ms = host_fine_now_ms(r->conn->host) - r->began_ms;
        if (r->result.download_bytes > r->plan->download_bytes ||
            (!n && r->result.download_bytes < r->plan->download_bytes))
            return fail(ERR_PROTOCOL, "perf: the peer sent another number of bytes than was asked for");
        if (!n)
            return OK;
        if (is_over(r)) {
            stream_reset(s);
            return OK;
        }
        TRY(tell(t, r));
    }
}

static err_t run_one(task_t *t, run_t *r, uint64_t download_bytes, err_t (*fn)(task_t *, run_t *, stream_t *))
{
    stream_t *s;
    TRY(begin(t, r, download_bytes, &s));
    err_t e = fn(t, r, s);
    if (e)
        stream_reset(s);
    stream_close(s);
    return e;
}

err_t perf_measure(task_t *t, conn_t *c, const perf_plan_t *plan, perf_progress_fn progress, void *arg,
                   perf_result_t *ret)
{
    run_t r = {.conn = c, .plan = plan, .progress = progress, .arg = arg, .area = xmalloc(READ_BYTES)};
    err_t e = OK;
    if (plan->upload_bytes)
        e = run_one(t, &r, 0, send_up);
    if (!e && plan->download_bytes)
        e = run_one(t, &r, plan->download_bytes, fetch_down);
    free(r.area);
    TRY(e);
    *ret = r.result;
    return OK;
}
