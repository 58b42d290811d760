/* ping: /ipfs/ping/1.0.0: 32 bytes, echoed; repeatable on one stream. Spec: libp2p/specs ping. */
#include "net/host_internal.h"

enum { PING_BYTES = 32, PING_TIMEOUT_MS = 10000, ECHO_IDLE_MS = 60000, ECHO_STREAMS_MAX = 2 };

static err_t echo_one(task_t *t, stream_t *s, bool *ret_more)
{
    uint8_t block[PING_BYTES];
    size_t n = 0;
    TRY(stream_read(t, s, block, sizeof block, &n));
    *ret_more = n > 0;
    if (!n)
        return OK;
    TRY(stream_read_full(t, s, block + n, sizeof block - n));
    return stream_write(t, s, bytes_of(block, sizeof block));
}

static err_t serve_ping(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    err_t e = OK;
    for (bool more = true; !e && more;) {
        deadline_t d = deadline_push(t, ECHO_IDLE_MS);
        e = echo_one(t, s, &more);
        deadline_pop(t, &d);
    }
    if (e)
        stream_reset(s);
    stream_close(s);
    return e;
}

err_t ping_start(host_t *h)
{
    protocol_options_t opt = {.max_inbound_per_peer = ECHO_STREAMS_MAX};
    return host_handle(h, PING_PROTOCOL, &opt, serve_ping, NULL);
}

static err_t ping_on(task_t *t, host_t *h, stream_t *s, double *ret_rtt_ms)
{
    uint8_t sent[PING_BYTES], back[PING_BYTES];
    driver_random(sched_driver(h->sched), sent, sizeof sent);
    double began_ms = host_fine_now_ms(h);
    TRY(stream_write(t, s, bytes_of(sent, sizeof sent)));
    TRY(stream_read_full(t, s, back, sizeof back));
    if (memcmp(sent, back, sizeof sent))
        return fail(ERR_PROTOCOL, "ping: the peer sent other bytes back");
    *ret_rtt_ms = host_fine_now_ms(h) - began_ms;
    return OK;
}

err_t host_ping(task_t *t, host_t *h, const peer_id_t *peer, double *ret_rtt_ms)
{
    static const char *const protocols[] = {PING_PROTOCOL};
    stream_t *s;
    double rtt_ms = 0;
    deadline_t d = deadline_push(t, PING_TIMEOUT_MS);
    err_t e = host_open_stream(t, h, peer, protocols, 1, &s, NULL);
    if (!e) {
        e = ping_on(t, h, s, &rtt_ms);
        if (e)
            stream_reset(s);
        stream_close(s);
    }
    deadline_pop(t, &d);
    TRY(e);
    peerstore_add_latency(h->peerstore, peer, (uint32_t)(rtt_ms + 0.5));
    *ret_rtt_ms = rtt_ms;
    return OK;
}
