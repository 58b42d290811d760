/* net_peer: a libp2p node without anything above net/, over the real driver: to try other peers, and to
 * measure bulk transfer between two processes.
 *
 *   net_peer listen [IP [PORT]]        prints its address, serves until it is killed
 *   net_peer dial ADDR [SECONDS]       identifies and pings the peer once a second
 *   net_peer send ADDR MIB [STREAMS]   sends to a listening net_peer; prints MB/s
 *   net_peer fetch ADDR MIB [STREAMS]  receives from it
 *   net_peer crowd ADDR N [SECONDS [STREAMS]]   N hosts with a connection each, and idle streams in it;
 * prints what one costs on this side
 *
 * $NET_PEER_SECURITY: noise or tls alone. The listener takes any number of connections. */
#include "loop/uv_driver.h"
#include "net/host_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define SINK "/bench/sink/1.0.0"
#define SOURCE "/bench/source/1.0.0"
#define HOLD "/bench/hold/1.0.0"
enum { BLOCK = 256 * 1024 };

static int arg_count;
static char **args;

static err_t serve_sink(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint8_t *block = xmalloc(BLOCK);
    size_t n;
    err_t e;
    while (!(e = stream_read(t, s, block, BLOCK, &n)) && n)
        ;
    free(block);
    if (!e)
        e = stream_write(t, s, BYTES_LIT("k")); /* all of it has arrived */
    TRY(e);
    stream_close(s);
    return OK;
}

static err_t send_zeros(task_t *t, stream_t *s, uint64_t bytes)
{
    uint8_t *block = xcalloc(1, BLOCK);
    err_t e = OK;
    for (uint64_t left = bytes; !e && left;) {
        size_t n = left < BLOCK ? (size_t)left : BLOCK;
        e = stream_write(t, s, bytes_of(block, n));
        left -= n;
    }
    free(block);
    return e ? e : stream_close_write(s);
}

static err_t serve_source(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    uint64_t bytes;
    TRY(stream_read_full(t, s, (uint8_t *)&bytes, sizeof bytes));
    TRY(send_zeros(t, s, bytes));
    stream_close(s);
    return OK;
}

/* The stream stays, without a task. */
static err_t serve_hold(task_t *t, stream_t *s, conn_t *from, const char *protocol, void *arg)
{
    conn_stream_keep(s);
    return OK;
}

static void configure(host_config_t *c)
{
    const char *security = getenv("NET_PEER_SECURITY");
    host_limits_default(&c->limits);
    c->may_use_loopback = true;
    if (!security)
        return;
    c->n_securities = 1;
    c->securities[0] = strcmp(security, "tls") ? SECURITY_NOISE : SECURITY_TLS;
}

static void print_connected(void *arg, conn_t *c)
{
    char id[PEER_ID_TEXT_MAX], addr[MULTIADDR_TEXT_MAX];
    printf("%s %s %s\n", conn_is_inbound(c) ? "inbound" : "outbound", peer_id_print(conn_peer(c), id),
           multiaddr_print(conn_remote_addr(c), addr));
}

static void print_disconnected(void *arg, const peer_id_t *peer)
{
    char id[PEER_ID_TEXT_MAX];
    printf("gone %s\n", peer_id_print(peer, id));
}

static void print_identified(void *arg, conn_t *c)
{
    peerstore_t *ps = host_peerstore(arg);
    const char *names[64];
    multiaddr_t addrs[16];
    char text[MULTIADDR_TEXT_MAX];
    printf("agent %s\n", peerstore_agent(ps, conn_peer(c)));
    size_t n = peerstore_protocols(ps, conn_peer(c), names, 64);
    for (size_t i = 0; i < n; i++)
        printf("protocol %s\n", names[i]);
    n = peerstore_addrs(ps, conn_peer(c), addrs, 16);
    for (size_t i = 0; i < n; i++)
        printf("address %s\n", multiaddr_print(&addrs[i], text));
}

static err_t run_listen(task_t *t, host_t *h)
{
    char text[MULTIADDR_TEXT_MAX];
    multiaddr_t at, addrs[8], full;
    static const char *const forms[] = {"/ip4/%s/tcp/%s", "/ip4/%s/udp/%s/quic-v1"};
    for (size_t i = 0; i < (host_quic_missing() ? 1 : 2); i++) {
        snprintf(text, sizeof text, forms[i], arg_count > 2 ? args[2] : "127.0.0.1",
                 arg_count > 3 ? args[3] : "0");
        TRY(multiaddr_parse(text, &at));
        TRY(host_listen(t, h, &at));
    }
    size_t n = host_listen_addrs(h, addrs, 8);
    for (size_t i = 0; i < n; i++) {
        TRY(multiaddr_with_peer(&addrs[i], host_id(h), &full));
        printf("%s\n", multiaddr_print(&full, text));
    }
    return task_sleep(t, TIME_NEVER / 4);
}

static err_t run_dial(task_t *t, host_t *h, conn_t *c)
{
    int seconds = arg_count > 3 ? atoi(args[3]) : 3;
    TRY(conn_wait_identified(t, c));
    for (int i = 0; i < seconds; i++) {
        double rtt_ms;
        TRY(host_ping(t, h, conn_peer(c), &rtt_ms));
        printf("ping %.3f ms, connection %" PRIu32 " ms\n", rtt_ms, conn_rtt_ms(c));
        TRY(task_sleep(t, 1000));
        if (!conn_is_open(c))
            return fail(ERR_CLOSED, "the peer has left");
    }
    return OK;
}

typedef struct transfer {
    conn_t *conn;
    uint64_t bytes;
    bool is_fetch;
} transfer_t;

static err_t run_transfer(task_t *t, void *arg)
{
    transfer_t *x = arg;
    const char *const protocols[] = {x->is_fetch ? SOURCE : SINK};
    stream_t *s;
    TRY(conn_open_stream(t, x->conn, protocols, 1, &s, NULL));
    uint8_t *block = xmalloc(BLOCK);
    uint64_t got = 0;
    err_t e;
    if (x->is_fetch) {
        size_t n;
        e = stream_write(t, s, bytes_of(&x->bytes, sizeof x->bytes));
        while (!e && !(e = stream_read(t, s, block, BLOCK, &n)) && n)
            got += n;
        if (!e && got != x->bytes)
            e = fail(ERR_EOF, "%" PRIu64 " bytes came", got);
    } else {
        e = send_zeros(t, s, x->bytes);
        if (!e)
            e = stream_read_full(t, s, block, 1);
    }
    free(block);
    stream_close(s);
    return e;
}

static err_t run_bench(task_t *t, conn_t *c, bool is_fetch)
{
    size_t streams = arg_count > 4 ? (size_t)atoi(args[4]) : 1;
    transfer_t x = {c, (uint64_t)atoi(args[3]) << 20, is_fetch};
    x.bytes /= streams;
    uint64_t began_ms = task_now_ms(t);
    group_t g;
    group_init(&g, task_sched(t));
    for (size_t i = 0; i < streams; i++)
        TRY(group_spawn(&g, "transfer", run_transfer, &x, NULL));
    TRY(group_join(t, &g));
    double seconds = (double)(task_now_ms(t) - began_ms) / 1000;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%.1f MB/s; %.2f s user, %.2f s system, %ld KiB at most\n",
           (double)(x.bytes * streams) / 1e6 / seconds, use.ru_utime.tv_sec + use.ru_utime.tv_usec / 1e6,
           use.ru_stime.tv_sec + use.ru_stime.tv_usec / 1e6, use.ru_maxrss);
    return OK;
}

static long resident_kib(void)
{
    long pages = 0, all;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld %ld", &all, &pages) != 2)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Connections to the same peer, which a host refuses beyond a few: so each has a host of its own. */
static err_t run_crowd(task_t *t, const multiaddr_t *addr)
{
    size_t n = (size_t)atoi(args[3]), n_streams = arg_count > 5 ? (size_t)atoi(args[5]) : 0;
    static const char *const hold[] = {HOLD};
    stream_t **streams = xcalloc(n * n_streams + 1, sizeof(stream_t *));
    size_t n_open = 0;
    host_t **hosts = xcalloc(n, sizeof *hosts);
    private_key_t **keys = xcalloc(n, sizeof *keys);
    err_t e = OK;
    for (size_t i = 0; !e && i < n; i++) {
        host_config_t c = {0};
        configure(&c);
        TRY(private_key_generate(KEY_ED25519, NULL, 0, &keys[i]));
        c.key = keys[i];
        TRY(host_new(task_sched(t), &c, &hosts[i]));
    }
    long before = resident_kib();
    for (size_t i = 0; !e && i < n; i++) {
        conn_t *conn = NULL;
        e = host_connect_addr(t, hosts[i], addr, &conn);
        if (!e)
            e = conn_wait_identified(t, conn);
        for (size_t k = 0; !e && k < n_streams; k++) {
            e = conn_open_stream(t, conn, hold, 1, &streams[n_open], NULL);
            n_open += !e;
        }
        conn_release(conn);
    }
    if (!e) {
        printf("%zu connections, %zu streams are open\n", n, n_open);
        e = task_sleep(t, arg_count > 4 ? (uint64_t)atoi(args[4]) * 1000 : 1000);
        printf("%.1f KiB resident for each connection on this side\n",
               (double)(resident_kib() - before) / (double)n);
    }
    for (size_t i = 0; i < n_open; i++)
        stream_close(streams[i]);
    free(streams);
    for (size_t i = 0; i < n; i++) {
        host_close(t, hosts[i]);
        private_key_free(keys[i]);
    }
    free(hosts);
    free(keys);
    return e;
}

static err_t run(task_t *t, host_t *h)
{
    if (!strcmp(args[1], "listen"))
        return run_listen(t, h);
    multiaddr_t addr;
    conn_t *c;
    TRY(multiaddr_parse(args[2], &addr));
    if (!strcmp(args[1], "crowd"))
        return run_crowd(t, &addr);
    TRY(host_connect_addr(t, h, &addr, &c));
    err_t e = !strcmp(args[1], "dial") ? run_dial(t, h, c) : run_bench(t, c, !strcmp(args[1], "fetch"));
    conn_release(c);
    return e;
}

static task_t *main_task;

static void on_interrupt(void *arg)
{
    task_cancel(main_task);
}

static err_t run_host(task_t *t, void *arg)
{
    main_task = t;
    uv_driver_on_signal(task_driver(t), 15, on_interrupt, NULL);
    private_key_t *key;
    host_t *h;
    TRY(private_key_generate(KEY_ED25519, NULL, 0, &key));
    host_config_t c = {.key = key};
    configure(&c);
    if (!strcmp(args[1], "listen")) {
        c.limits.max_conns = c.limits.high_conns = c.limits.max_inbound_pending = 1u << 20;
        c.limits.max_bytes = c.limits.max_bytes_per_peer = 1ull << 34;
        c.limits.max_inbound_streams_per_protocol_per_peer = 1u << 20;
    }
    TRY(host_new(task_sched(t), &c, &h));
    TRY(host_handle(h, HOLD, NULL, serve_hold, NULL));
    TRY(host_handle(h, SINK, NULL, serve_sink, NULL));
    TRY(host_handle(h, SOURCE, NULL, serve_source, NULL));
    host_listener_t news = {.connected = print_connected,
                            .disconnected = print_disconnected,
                            .identified = print_identified,
                            .arg = h};
    if (!strcmp(args[1], "listen") || !strcmp(args[1], "dial"))
        host_add_listener(h, &news);
    err_t e = run(t, h);
    if (e && e != ERR_CANCELED)
        fprintf(stderr, "error: %s\n", error_text(e));
    host_close(t, h);
    uv_driver_on_signal(task_driver(t), 15, NULL, NULL);
    private_key_free(key);
    return e;
}

int main(int argc, char **argv)
{
    if (argc < 2 || (strcmp(argv[1], "listen") && argc < 3)) {
        fprintf(stderr,
                "usage: net_peer listen [IP [PORT]] | dial ADDR [SECONDS] | send|fetch ADDR MIB [STREAMS] | "
                "crowd ADDR N [SECONDS [STREAMS]]\n");
        return 2;
    }
    struct rlimit files;
    if (!getrlimit(RLIMIT_NOFILE, &files)) { /* a crowd needs one for each connection */
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files))
            fprintf(stderr, "the limit of descriptors stays as it is\n");
    }
    arg_count = argc;
    args = argv;
    setvbuf(stdout, NULL, _IOLBF, 0);
    driver_t *d = uv_driver_new(1);
    sched_t *s = sched_new(d);
    err_t e = sched_run(s, "net_peer", run_host, NULL);
    sched_free(s);
    uv_driver_free(d);
    return e && e != ERR_CANCELED;
}
