/* A router of the test's, in all languages and moods: what it maps is announced and renewed, and given back
 * at the end. */
#include "net/portmap.h"
#include "tests/support/net.h"
#include "wire/portmap.h"
#include <stdio.h>

#define ROUTER "10.0.0.254"
enum { OUTSIDE_PORT = 40001, UPNP_PORT = 5000 };
typedef enum { SPEAKS_PCP = 1, SPEAKS_NATPMP = 2, SPEAKS_UPNP = 4 } speaks_t;
typedef struct router_model {
    net_world_t *world;
    sim_host_t *machine;
    int speaks;
    bool refuses, lies, is_double_nat, has_conflict, wants_permanent;
    uint32_t lifetime_s;
    unsigned n_mapped, n_unmapped;
    udp_t *pmp, *ssdp;
    listener_t *http;
} router_model_t;

static const uint8_t *outside(const router_model_t *m)
{
    static const uint8_t real[4] = {5, 6, 7, 8}, inner[4] = {192, 168, 9, 9};
    return m->is_double_nat ? inner : real;
}

/* ── PCP and NAT-PMP ─────────────────────────────────────────────────────────────────────────── */
static void count(router_model_t *m, uint32_t lifetime_s)
{
    m->n_mapped += lifetime_s > 0;
    m->n_unmapped += !lifetime_s;
}

static void answer_pcp(router_model_t *m, bytes_t in, writer_t *w)
{
    reader_t r = reader_of(in);
    read_u32be(&r);
    uint32_t lifetime_s = read_u32be(&r);
    read_bytes(&r, 16);
    bytes_t nonce = read_bytes(&r, 12), protocol = read_bytes(&r, 4);
    uint16_t inside = read_u16be(&r);
    assert_ok(r.err);
    write_u32be(w, 0x02810000u | (m->refuses ? 2 : 0));
    write_u32be(w, lifetime_s && lifetime_s > m->lifetime_s ? m->lifetime_s : lifetime_s);
    write_u32be(w, 1);
    write_bytes(w, bytes_of((uint8_t[12]){0}, 12));
    write_bytes(w, m->lies ? BYTES_LIT("another's...") : nonce);
    write_bytes(w, protocol);
    write_u16be(w, inside);
    write_u16be(w, OUTSIDE_PORT);
    write_bytes(w, bytes_of((uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12));
    write_bytes(w, bytes_of(outside(m), 4));
    count(m, lifetime_s);
}

static void answer_natpmp(router_model_t *m, bytes_t in, writer_t *w)
{
    write_u8(w, 0);
    write_u8(w, (uint8_t)(0x80 | in.data[1]));
    write_u16be(w, in.data[0] ? 1 : m->refuses ? 2 : 0); /* another version: not supported */
    write_u32be(w, 1);
    if (in.data[0] || m->refuses)
        return;
    if (!in.data[1]) {
        write_bytes(w, bytes_of(outside(m), 4));
        return;
    }
    reader_t r = reader_of(bytes_slice(in, 4, in.len));
    write_u16be(w, read_u16be(&r));
    read_u16be(&r);
    uint32_t lifetime_s = read_u32be(&r);
    write_u16be(w, OUTSIDE_PORT);
    write_u32be(w, lifetime_s > m->lifetime_s ? m->lifetime_s : lifetime_s);
    count(m, lifetime_s);
}

static err_t serve_pmp(task_t *t, void *arg)
{
    router_model_t *m = arg;
    for (;;) {
        uint8_t in[200];
        net_addr_t from;
        size_t n;
        AUTO(buf_t) out = {0};
        buf_init(&out, 200);
        TRY(udp_recv(t, m->pmp, &from, in, sizeof in, &n));
        writer_t w = writer_to(&out);
        if (in[0] == 2 && (m->speaks & SPEAKS_PCP))
            answer_pcp(m, bytes_of(in, n), &w);
        else if (m->speaks & SPEAKS_NATPMP)
            answer_natpmp(m, bytes_of(in, n), &w);
        assert_ok(w.err);
        if (out.len)
            TRY(udp_send(m->pmp, &from, buf_bytes(&out)));
    }
}

/* ── UPnP ────────────────────────────────────────────────────────────────────────────────────── */
static err_t serve_ssdp(task_t *t, void *arg)
{
    router_model_t *m = arg;
    for (;;) {
        uint8_t in[1000];
        net_addr_t from;
        size_t n;
        char text[200];
        TRY(udp_recv(t, m->ssdp, &from, in, sizeof in, &n));
        snprintf(text, sizeof text, "HTTP/1.1 200 OK\r\nLOCATION: http://%s:%d/root.xml\r\n\r\n",
                 m->lies ? "10.0.0.2" : ROUTER, UPNP_PORT);
        TRY(udp_send(m->ssdp, &from, bytes_str(text)));
    }
}

static const char *soap(router_model_t *m, const char *request, int *status)
{
    static char answer[400];
    if (strstr(request, "GetExternalIPAddress")) {
        const uint8_t *ip = outside(m);
        snprintf(answer, sizeof answer, "<NewExternalIPAddress>%u.%u.%u.%u</NewExternalIPAddress>", ip[0],
                 ip[1], ip[2], ip[3]);
        return answer;
    }
    bool is_lease = !strstr(request, "<NewLeaseDuration>0<"),
         is_default_port = strstr(request, "<NewExternalPort>4001<") != NULL;
    bool is_removal = strstr(request, "DeletePortMapping") != NULL;
    int code = m->refuses                           ? 606
               : is_removal                         ? 0
               : m->wants_permanent && is_lease     ? 725
               : m->has_conflict && is_default_port ? 718
                                                    : 0;
    snprintf(answer, sizeof answer, "<errorCode>%d</errorCode>", code);
    *status = code ? 500 : 200;
    if (!code)
        count(m, is_removal ? 0 : 1);
    return answer;
}

static err_t serve_one(task_t *t, router_model_t *m, stream_t *s)
{
    static const char description[] =
        "<root><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
        "<controlURL>/control</controlURL></root>";
    char in[4096] = {0}, head[200];
    size_t len = 0, n = 1;
    int status = 200;
    while (n && !strstr(in, "</s:Envelope>\r\n") &&
           !(strncmp(in, "GET ", 4) == 0 && strstr(in, "\r\n\r\n")) && len < sizeof in - 1) {
        TRY(stream_read(t, s, (uint8_t *)in + len, sizeof in - 1 - len, &n));
        len += n;
    }
    const char *body = !strncmp(in, "GET ", 4) ? description : soap(m, in, &status);
    snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
             strlen(body));
    TRY(stream_write(t, s, bytes_str(head)));
    return stream_write(t, s, bytes_str(body));
}

static err_t serve_http(task_t *t, void *arg)
{
    router_model_t *m = arg;
    for (;;) {
        stream_t *s;
        net_addr_t from;
        TRY(listener_accept(t, m->http, &s, &from));
        err_t e = serve_one(t, m, s);
        stream_close(s);
        TRY(e == ERR_CANCELED ? e : OK);
    }
}

/* ── the scenarios ───────────────────────────────────────────────────────────────────────────── */
static void open_router(router_model_t *m, group_t *g)
{
    driver_t *d = sim_host_driver(m->machine);
    net_addr_t pmp = {.family = 4, .port = PORTMAP_PORT}, ssdp = {.family = 4, .port = 1900},
               http = {.family = 4, .port = UPNP_PORT};
    assert_ok(udp_open(d, &pmp, &m->pmp));
    assert_ok(udp_open(d, &ssdp, &m->ssdp));
    assert_ok(net_listen(d, &http, &m->http));
    group_init(g, sim_host_sched(m->machine));
    assert_ok(group_spawn(g, "pmp", serve_pmp, m, NULL));
    if (m->speaks & SPEAKS_UPNP) {
        assert_ok(group_spawn(g, "ssdp", serve_ssdp, m, NULL));
        assert_ok(group_spawn(g, "http", serve_http, m, NULL));
    }
}

static void close_router(task_t *t, router_model_t *m, group_t *g)
{
    listener_close(m->http);
    group_stop(t, g);
    group_deinit(g);
    udp_close(m->pmp);
    udp_close(m->ssdp);
}

/* The port at which the host says it is reached from outside; 0: it says nothing. */
static unsigned announced_port(const host_t *h)
{
    multiaddr_t addrs[16];
    size_t n = host_addrs(h, addrs, 16);
    unsigned port = 0;
    for (size_t i = 0; i < n; i++) {
        char text[MULTIADDR_TEXT_MAX];
        unsigned found;
        if (sscanf(multiaddr_print(&addrs[i], text), "/ip4/5.6.7.8/tcp/%u", &found) == 1)
            port = found;
    }
    return port;
}

typedef struct row {
    const char *name, *way; /* way: "" when nothing is mapped */
    router_model_t model;
    unsigned port; /* 0: none is announced; 1: any other than the one wished */
} row_t;

static const row_t rows[] = {
    {"pcp", "PCP", {.speaks = SPEAKS_PCP, .lifetime_s = 3600}, OUTSIDE_PORT},
    {"all", "PCP", {.speaks = SPEAKS_PCP | SPEAKS_NATPMP | SPEAKS_UPNP, .lifetime_s = 3600}, OUTSIDE_PORT},
    {"nat-pmp", "NAT-PMP", {.speaks = SPEAKS_NATPMP, .lifetime_s = 3600}, OUTSIDE_PORT},
    {"upnp", "UPnP", {.speaks = SPEAKS_UPNP}, 4001},
    {"upnp, taken port", "UPnP", {.speaks = SPEAKS_UPNP, .has_conflict = true}, 1},
    {"upnp, no leases", "UPnP", {.speaks = SPEAKS_UPNP, .wants_permanent = true}, 4001},
    {"upnp elsewhere", "", {.speaks = SPEAKS_UPNP, .lies = true}, 0},
    {"pcp, another's answers", "", {.speaks = SPEAKS_PCP, .lies = true, .lifetime_s = 3600}, 0},
    {"refuses all",
     "",
     {.speaks = SPEAKS_PCP | SPEAKS_NATPMP | SPEAKS_UPNP, .refuses = true, .lifetime_s = 3600},
     0},
    {"silent", "", {.speaks = 0}, 0},
    {"second NAT", "NAT-PMP", {.speaks = SPEAKS_NATPMP, .is_double_nat = true, .lifetime_s = 3600}, 0},
};

static err_t map_row(task_t *t, void *arg)
{
    net_world_t *w = arg;
    const row_t *row = w->arg;
    router_model_t m = row->model;
    portmap_t *p;
    group_t g;
    m.machine = sim_add_host(w->sim, ROUTER);
    open_router(&m, &g);
    sim_host_set_gateway(w->nodes[0].machine, ROUTER ":0");
    host_t *h = net_start(t, w, 0);
    assert_ok(portmap_start(h, &p));
    assert_ok(task_sleep(t, 20000));
    assert_string_equal(portmap_way(p), row->way);
    unsigned port = announced_port(h);
    assert_true(row->port == 1 ? port && port != 4001 : port == row->port);
    if (*row->way) {
        unsigned before = m.n_mapped;
        assert_ok(task_sleep(t, 4 * 1800 * 1000)); /* four renewals */
        assert_in_range(m.n_mapped - before, 3, 5);
        assert_int_equal(announced_port(h), port);
    }
    uint64_t began_ms = task_now_ms(t);
    portmap_stop(t, p);
    assert_in_range(task_now_ms(t) - began_ms, 0, 1100);
    assert_int_equal(m.n_unmapped, *row->way ? 1 : 0);
    net_stop_all(t, w);
    close_router(t, &m, &g);
    return OK;
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        row_t row = rows[i];
        print_message("%s\n", row.name);
        assert_ok(net_run(i + 1, 1, map_row, &row, NULL));
    }
}

/* A router that comes up later, forgets, and comes back; and a stop in the midst of a search. */
static err_t come_and_go(task_t *t, void *arg)
{
    net_world_t *w = arg;
    router_model_t m = {.speaks = SPEAKS_PCP, .lifetime_s = 600};
    portmap_t *p;
    group_t g;
    m.machine = sim_add_host(w->sim, ROUTER);
    host_t *h = net_start(t, w, 0);
    assert_ok(portmap_start(h, &p));
    assert_ok(task_sleep(t, 100000));
    sim_host_set_gateway(w->nodes[0].machine, ROUTER ":0");
    open_router(&m, &g);
    assert_ok(task_sleep(t, 130000));
    assert_int_equal(announced_port(h), OUTSIDE_PORT);
    sim_partition(w->nodes[0].machine, m.machine, true);
    assert_ok(task_sleep(t, 700000)); /* the mapping is over: no promise of it is left */
    assert_int_equal(announced_port(h), 0);
    sim_partition(w->nodes[0].machine, m.machine, false);
    assert_ok(task_sleep(t, 1900000));
    assert_int_equal(announced_port(h), OUTSIDE_PORT);
    sim_partition(w->nodes[0].machine, m.machine, true);
    uint64_t began_ms = task_now_ms(t);
    portmap_stop(t, p);
    assert_in_range(task_now_ms(t) - began_ms, 0,
                    1100); /* the router hears nothing: it is not waited for long */
    net_stop_all(t, w);
    close_router(t, &m, &g);
    return OK;
}

static void test_come_and_go(void **state)
{
    assert_ok(net_run(77, 1, come_and_go, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_come_and_go)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
