/* portmap_upnp: UPnP with the router: search, description, calls. */
#include "net/portmap_internal.h"
#include "web/http_fetch.h"
#include <stdio.h>

enum { SEARCH_MS = 2500, CALL_MS = 5000, INTERFACES_MAX = 32, CONFLICTS_MAX = 4 };
enum { ERROR_CONFLICT = 718, ERROR_PERMANENT_ONLY = 725 };

/* ── the search ──────────────────────────────────────────────────────────────────────────────── */
static err_t send_searches(task_t *t, const router_t *r, udp_t *u)
{
    net_addr_t group = {.family = 4, .ip = {239, 255, 255, 250}, .port = SSDP_PORT}, gateway = r->gateway;
    uint32_t interfaces[INTERFACES_MAX];
    AUTO(buf_t) out = {0};
    buf_init(&out, SSDP_ANSWER_MAX);
    TRY(ssdp_put_search(&out));
    gateway.port = SSDP_PORT;
    err_t e = udp_send(u, &gateway, buf_bytes(&out));
    size_t n = driver_multicast_interfaces(task_driver(t), interfaces, INTERFACES_MAX);
    for (size_t i = 0; i < n; i++) {
        group.scope = interfaces[i];
        err_t sent = udp_send(u, &group, buf_bytes(&out));
        e = sent ? e : OK;
    }
    return e;
}

/* Only the router itself is listened to, and only about itself. */
static err_t receive_location(task_t *t, const router_t *r, udp_t *u, char ret_url[UPNP_URL_MAX])
{
    for (;;) {
        uint8_t in[SSDP_ANSWER_MAX];
        net_addr_t from;
        size_t n;
        TRY(udp_recv(t, u, &from, in, sizeof in, &n));
        if (!memcmp(from.ip, r->gateway.ip, 4) && !ssdp_decode(bytes_of(in, n), ret_url) &&
            upnp_is_at(ret_url, r->gateway.ip))
            return OK;
    }
}

static err_t search(task_t *t, const router_t *r, char ret_url[UPNP_URL_MAX])
{
    udp_t *u;
    TRY(udp_open(task_driver(t), &r->own, &u));
    deadline_t d = deadline_push(t, SEARCH_MS);
    err_t e = send_searches(t, r, u);
    if (!e)
        e = receive_location(t, r, u, ret_url);
    deadline_pop(t, &d);
    udp_close(u);
    return e == ERR_TIMEOUT
               ? fail(ERR_UNREACHABLE, "the router maps no ports: it answers in none of the known ways")
               : e;
}

/* ── documents and calls ─────────────────────────────────────────────────────────────────────── */
static err_t fetch(task_t *t, http_fetch_t *f, buf_t *out)
{
    buf_init(out, UPNP_DOCUMENT_MAX);
    f->max_in_bytes = UPNP_DOCUMENT_MAX;
    f->stays_here = true; /* the router speaks for itself alone, and could name services of this machine */
    deadline_t d = deadline_push(t, CALL_MS);
    err_t e = http_fetch_all(t, f, out);
    deadline_pop(t, &d);
    return e;
}

err_t upnp_find(task_t *t, router_t *r)
{
    char url[UPNP_URL_MAX];
    AUTO(buf_t) document = {0};
    TRY(search(t, r, url));
    http_fetch_t f = {.url = url};
    TRY(fetch(t, &f, &document));
    if (f.status != 200)
        return fail(ERR_PROTOCOL, "the router's description: status %d", f.status);
    return upnp_find_service(buf_bytes(&document), url, &r->upnp);
}

/* ret_code: of the refusal, 0 when it was none. The answer is in `out`. */
static err_t call(task_t *t, const router_t *r, const char *action, const buf_t *body, buf_t *out,
                  unsigned *ret_code)
{
    char header[UPNP_TYPE_MAX + 64];
    snprintf(header, sizeof header, "\"%s#%s\"", r->upnp.type, action);
    http_field_t fields[] = {{"Content-Type", "text/xml; charset=\"utf-8\""}, {"SOAPAction", header}};
    http_fetch_t f = {.method = "POST",
                      .url = r->upnp.control_url,
                      .fields = fields,
                      .n_fields = 2,
                      .body = buf_bytes(body)};
    TRY(fetch(t, &f, out));
    *ret_code = f.status == 200 ? 0 : upnp_error_code(buf_bytes(out));
    return f.status == 200 || *ret_code
               ? OK
               : fail(ERR_PROTOCOL, "the router answered %s with status %d", action, f.status);
}

static err_t ask_address(task_t *t, router_t *r)
{
    AUTO(buf_t) body = {0};
    AUTO(buf_t) answer = {0};
    unsigned code;
    buf_init(&body, SSDP_ANSWER_MAX);
    TRY(upnp_put_address(&r->upnp, &body));
    TRY(call(t, r, "GetExternalIPAddress", &body, &answer, &code));
    if (code)
        return fail(ERR_PROTOCOL, "the router refused to tell its address: code %u", code);
    return upnp_decode_address(buf_bytes(&answer), r->outside_ip);
}

static err_t add(task_t *t, const router_t *r, const mapping_t *m, uint32_t lifetime_s, unsigned *ret_code)
{
    AUTO(buf_t) body = {0};
    AUTO(buf_t) answer = {0};
    buf_init(&body, SSDP_ANSWER_MAX);
    TRY(upnp_put_map(&r->upnp, m->is_tcp, m->inside_port, m->outside_port, r->own.ip, lifetime_s, &body));
    return call(t, r, "AddPortMapping", &body, &answer, ret_code);
}

err_t upnp_map(task_t *t, router_t *r, mapping_t *m, uint32_t *lifetime_s)
{
    mapping_t wish = *m;
    uint32_t lease_s = *lifetime_s;
    unsigned code = 0;
    if (!wish.outside_port)
        wish.outside_port = wish.inside_port;
    for (int i = 0; i < CONFLICTS_MAX; i++) {
        TRY(add(t, r, &wish, lease_s, &code));
        if (code == ERROR_PERMANENT_ONLY && lease_s)
            lease_s = 0;
        else if (code == ERROR_CONFLICT) /* another machine has the port */
            wish.outside_port = (uint16_t)(1024 + driver_random_u64(task_driver(t)) % (65536 - 1024));
        else
            break;
    }
    if (code)
        return fail(code == ERROR_CONFLICT ? ERR_LIMIT : ERR_DENIED, "the router mapped no port: code %u",
                    code);
    TRY(ask_address(t, r));
    *m = wish;
    return OK;
}

err_t upnp_unmap(task_t *t, router_t *r, const mapping_t *m)
{
    AUTO(buf_t) body = {0};
    AUTO(buf_t) answer = {0};
    unsigned code;
    buf_init(&body, SSDP_ANSWER_MAX);
    TRY(upnp_put_unmap(&r->upnp, m->is_tcp, m->outside_port, &body));
    return call(t, r, "DeletePortMapping", &body, &answer, &code);
}
