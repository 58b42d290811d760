/* rpc_perf: perf, a command of our own. It answers with objects as it goes: {"Type": "connected"}, {"Type":
 * "progress"} each second, at the end {"Type": "final"}. */
#include "api/rpc.h"
#include "api/rpc_util.h"
#include "net/perf.h"

enum { DEFAULT_MS = 5000 };

static err_t emit_figures(task_t *t, rpc_t *r, const char *type, const perf_result_t *v)
{
    return rpc_emit(t, r,
                    json_pack("{s:s, s:I, s:f, s:I, s:f}", "Type", type, "UploadBytes",
                              (json_int_t)v->upload_bytes, "UploadSeconds", v->upload_ms / 1000,
                              "DownloadBytes", (json_int_t)v->download_bytes, "DownloadSeconds",
                              v->download_ms / 1000));
}

static err_t emit_progress(task_t *t, void *arg, const perf_result_t *so_far)
{
    return emit_figures(t, arg, "progress", so_far);
}

static err_t read_size(rpc_t *r, const char *option, uint64_t *ret)
{
    const char *text = rpc_option(r, option);
    *ret = 0;
    return text ? parse_size(text, ret) : OK;
}

/* Sizes that are given are carried whole; without any, both ways for a while. */
static err_t read_plan(rpc_t *r, perf_plan_t *ret)
{
    perf_plan_t p = {0};
    TRY(read_size(r, "upload", &p.upload_bytes));
    TRY(read_size(r, "download", &p.download_bytes));
    TRY(rpc_duration_ms(r, "time", &p.time_ms));
    if (!p.upload_bytes && !p.download_bytes) {
        p.upload_bytes = p.download_bytes = UINT64_MAX;
        p.time_ms = p.time_ms ? p.time_ms : DEFAULT_MS;
    }
    *ret = p;
    return OK;
}

static err_t emit_connected(task_t *t, rpc_t *r, const conn_t *c, uint64_t took_ms)
{
    char addr[MULTIADDR_TEXT_MAX], peer[PEER_ID_TEXT_MAX];
    return rpc_emit(t, r,
                    json_pack("{s:s, s:s, s:s, s:s, s:s, s:f}", "Type", "connected", "Peer",
                              peer_id_print(conn_peer(c), peer), "Address",
                              multiaddr_print(conn_remote_addr(c), addr), "Security", conn_security(c),
                              "Muxer", conn_muxer(c), "ConnectSeconds", (double)took_ms / 1000));
}

static err_t measure(task_t *t, rpc_t *r, conn_t *c, const perf_plan_t *plan, uint64_t connect_ms)
{
    perf_result_t result;
    TRY(conn_wait_identified(t, c)); /* its bytes are none of the measurement's */
    TRY(emit_connected(t, r, c, connect_ms));
    TRY(perf_measure(t, c, plan, emit_progress, r, &result));
    return emit_figures(t, r, "final", &result);
}

static err_t rpc_perf(task_t *t, rpc_t *r)
{
    multiaddr_t addr;
    peer_id_t peer;
    perf_plan_t plan;
    conn_t *c;
    TRY(rpc_need_online(r));
    TRY(read_plan(r, &plan));
    uint64_t began_ms = task_now_ms(t);
    if (r->args[0][0] == '/') {
        TRY(multiaddr_parse(r->args[0], &addr));
        TRY(host_connect_addr(t, node_host(r->node), &addr, &c));
    } else {
        TRY(peer_id_parse(r->args[0], &peer));
        TRY(rpc_connect_peer(t, r, &peer, &c));
    }
    err_t e = measure(t, r, c, &plan, task_now_ms(t) - began_ms);
    conn_release(c);
    return e;
}

const rpc_command_t rpc_perf_commands[] = {
    {"perf", rpc_perf, 1, 1, "address"},
    {NULL, NULL, 0, 0, NULL},
};
