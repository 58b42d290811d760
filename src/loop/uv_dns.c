/* Names, through c-ares: one channel, made at the first lookup and made anew when it is idle and a minute
 * old, so that a changed resolv.conf is seen. Its sockets are under uv_poll; one timer drives its retries. */
#include "base/reader.h"
#include "loop/uv_internal.h"
#define CARES_NO_DEPRECATED /* 1.34 warns of what 1.18 knows alone */
#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <stdlib.h>

#define TRY_TIMEOUT_MS 2000
#define TRIES 3
#define CHANNEL_AGE_MS 60000
#define TICK_MS 250 /* how often c-ares looks at its own time-outs while a lookup runs */
#define SOCKETS_MAX 32
#define TXT_MAX_BYTES 65535

typedef struct dns_socket {
    uv_poll_t poll;
    uv_dns_t *dns;
    ares_socket_t fd;
} dns_socket_t;

struct uv_dns {
    uv_driver_t *d;
    ares_channel channel;
    uint64_t made_ms;
    size_t running;
    dns_socket_t *sockets[SOCKETS_MAX];
    uv_timer_t tick;
};

/* Outlives its task when that leaves early: then the callback frees it. */
typedef struct lookup {
    uv_dns_t *dns;
    park_t park;
    dns_type_t type;
    dns_answer_t answer;
    const char *why; /* it failed; static */
    bool is_abandoned;
    char name[];
} lookup_t;

/* ── the channel and its sockets ─────────────────────────────────────────────────────────────── */

static void on_socket(uv_poll_t *poll, int status, int events)
{
    dns_socket_t *s = poll->data;
    bool is_readable = status < 0 || (events & UV_READABLE),
         is_writable = status < 0 || (events & UV_WRITABLE);
    ares_process_fd(s->dns->channel, is_readable ? s->fd : ARES_SOCKET_BAD,
                    is_writable ? s->fd : ARES_SOCKET_BAD);
}

static void free_socket(uv_handle_t *handle)
{
    free(handle->data);
}

/* c-ares says what it wants of a socket; (0, 0) means that it is about to close it. */
static void on_socket_state(void *arg, ares_socket_t fd, int want_read, int want_write)
{
    uv_dns_t *dns = arg;
    dns_socket_t **slot = NULL;
    for (size_t i = 0; i < SOCKETS_MAX; i++) {
        if (dns->sockets[i] && dns->sockets[i]->fd == fd) {
            slot = &dns->sockets[i];
            break;
        }
        if (!dns->sockets[i] && !slot)
            slot = &dns->sockets[i];
    }
    if (!slot)
        return; /* the lookup runs into its time-out */
    if (!want_read && !want_write) {
        if (*slot)
            uv_close((uv_handle_t *)&(*slot)->poll, free_socket);
        *slot = NULL;
        return;
    }
    if (!*slot) {
        *slot = xcalloc(1, sizeof **slot);
        (*slot)->dns = dns;
        (*slot)->fd = fd;
        (*slot)->poll.data = *slot;
        int e = uv_poll_init(&dns->d->loop, &(*slot)->poll, fd);
        assert(!e);
    }
    uv_poll_start(&(*slot)->poll, (want_read ? UV_READABLE : 0) | (want_write ? UV_WRITABLE : 0), on_socket);
}

static void on_tick(uv_timer_t *timer)
{
    uv_dns_t *dns = timer->data;
    ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static err_t channel_open(uv_dns_t *dns)
{
    struct ares_options options = {
        .timeout = TRY_TIMEOUT_MS,
        .tries = TRIES,
        .sock_state_cb = on_socket_state,
        .sock_state_cb_data = dns,
    };
    int e = ares_init_options(&dns->channel, &options,
                              ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
    if (!e && dns->d->dns_servers)
        e = ares_set_servers_ports_csv(dns->channel, dns->d->dns_servers);
    if (e)
        return fail(ERR_IO, "start the DNS resolver: %s", ares_strerror(e));
    dns->made_ms = driver_now_ms(&dns->d->base);
    return OK;
}

static void channel_close(uv_dns_t *dns)
{
    if (dns->channel)
        ares_destroy(dns->channel);
    dns->channel = NULL;
}

static err_t dns_ready(uv_driver_t *d)
{
    uv_dns_t *dns = d->dns;
    if (!dns) {
        int e = ares_library_init(ARES_LIB_INIT_ALL);
        if (e)
            return fail(ERR_IO, "start the DNS resolver: %s", ares_strerror(e));
        dns = d->dns = xcalloc(1, sizeof *dns);
        dns->d = d;
        e = uv_timer_init(&d->loop, &dns->tick);
        assert(!e);
        dns->tick.data = dns;
    }
    if (dns->channel && !dns->running && driver_now_ms(&d->base) - dns->made_ms > CHANNEL_AGE_MS)
        channel_close(dns);
    return dns->channel ? OK : channel_open(dns);
}

static void free_dns(uv_handle_t *handle)
{
    free(handle->data);
}

void uv_dns_free(uv_driver_t *d)
{
    if (!d->dns)
        return;
    channel_close(d->dns); /* ends abandoned lookups */
    ares_library_cleanup();
    uv_close((uv_handle_t *)&d->dns->tick, free_dns);
    d->dns = NULL;
}

err_t uv_driver_set_dns_servers(driver_t *base, const char *servers)
{
    uv_driver_t *d = uv_driver_of(base);
    char *before = d->dns_servers;
    d->dns_servers = servers ? xstrdup(servers) : NULL;
    if (d->dns && !d->dns->running)
        channel_close(d->dns);
    err_t e = dns_ready(d);
    if (!e && servers && ares_set_servers_ports_csv(d->dns->channel, servers))
        e = ERR_INVALID;
    if (e) {
        free(d->dns_servers);
        d->dns_servers = before;
        return fail(ERR_INVALID, "DNS servers \"%s\": not a list of IP[:PORT]", servers ? servers : "");
    }
    free(before);
    return OK;
}

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */

/* Skips a name: labels to the root or to a compression pointer, which ends it (RFC 1035, 4.1.4). */
static void skip_name(reader_t *r)
{
    while (!r->err) {
        uint8_t len = read_u8(r);
        if (len == 0)
            return;
        if ((len & 0xc0) == 0xc0) {
            read_u8(r);
            return;
        }
        if (len & 0xc0)
            reader_fail(r, ERR_INVALID);
        read_bytes(r, len);
    }
}

static err_t add_txt(bytes_t rdata, dns_answer_t *a)
{
    buf_t *text = &a->text[a->count];
    buf_init(text, TXT_MAX_BYTES);
    a->count++;
    reader_t r = reader_of(rdata);
    while (reader_left(&r) > 0) {
        bytes_t piece = read_bytes(&r, read_u8(&r));
        TRY(r.err);
        TRY(buf_append(text, piece));
    }
    return OK;
}

static err_t parse_txt_into(bytes_t message, dns_answer_t *a)
{
    reader_t r = reader_of(message);
    read_u32be(&r); /* id, flags */
    uint16_t questions = read_u16be(&r), answers = read_u16be(&r);
    read_u32be(&r); /* authority, additional */
    for (size_t i = 0; i < questions && !r.err; i++) {
        skip_name(&r);
        read_u32be(&r); /* type, class */
    }
    a->ttl_s = UINT32_MAX;
    for (size_t i = 0; i < answers && !r.err && a->count < DNS_MAX_ANSWERS; i++) {
        skip_name(&r);
        uint16_t type = read_u16be(&r), class = read_u16be(&r);
        uint32_t ttl_s = read_u32be(&r);
        bytes_t rdata = read_bytes(&r, read_u16be(&r));
        if (r.err || class != ns_c_in || (type != ns_t_txt && type != ns_t_cname))
            continue;
        if (ttl_s < a->ttl_s)
            a->ttl_s = ttl_s;
        if (type == ns_t_txt)
            TRY(add_txt(rdata, a));
    }
    return r.err;
}

err_t dns_parse_txt(bytes_t message, dns_answer_t *ret)
{
    dns_answer_t *a = xcalloc(1, sizeof *a);
    err_t e = parse_txt_into(message, a);
    if (e)
        e = fail(ERR_INVALID, "malformed DNS answer");
    else if (!a->count)
        e = fail(ERR_NOT_FOUND, "no TXT record");
    if (e)
        dns_answer_deinit(a);
    else
        *ret = *a;
    free(a);
    return e;
}

static err_t status_error(int status)
{
    switch (status) {
    case ARES_SUCCESS:
        return OK;
    case ARES_ENODATA:
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
        return ERR_NOT_FOUND;
    case ARES_EBADNAME:
    case ARES_EBADSTR:
    case ARES_ESERVICE:
        return ERR_INVALID;
    case ARES_ENOMEM:
        return ERR_NO_MEMORY;
    default:
        return ERR_UNREACHABLE;
    }
}

static void lookup_done(lookup_t *l, err_t e)
{
    uv_dns_t *dns = l->dns;
    if (--dns->running == 0)
        uv_timer_stop(&dns->tick);
    if (l->is_abandoned) {
        dns_answer_deinit(&l->answer);
        free(l);
        return;
    }
    park_done(&l->park, e);
}

static void on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *info)
{
    lookup_t *l = arg;
    err_t e = status_error(status);
    l->why = ares_strerror(status);
    l->answer.ttl_s = UINT32_MAX;
    for (struct ares_addrinfo_node *n = info ? info->nodes : NULL; n && !e; n = n->ai_next) {
        bytes_t ip = n->ai_family == AF_INET ? bytes_of(&((struct sockaddr_in *)n->ai_addr)->sin_addr, 4)
                                             : bytes_of(&((struct sockaddr_in6 *)n->ai_addr)->sin6_addr, 16);
        if ((n->ai_family == AF_INET) != (l->type == DNS_A) || l->answer.count == DNS_MAX_ANSWERS)
            continue;
        buf_t *out = &l->answer.text[l->answer.count++];
        buf_init(out, 16);
        e = buf_append(out, ip);
        if (n->ai_ttl >= 0 && (uint32_t)n->ai_ttl < l->answer.ttl_s)
            l->answer.ttl_s = (uint32_t)n->ai_ttl;
    }
    if (info)
        ares_freeaddrinfo(info);
    if (!e && !l->answer.count) {
        l->why = "no address of this kind";
        e = ERR_NOT_FOUND;
    }
    lookup_done(l, e);
}

static void on_txt(void *arg, int status, int timeouts, unsigned char *message, int len)
{
    lookup_t *l = arg;
    err_t e = status_error(status);
    l->why = ares_strerror(status);
    if (!e) {
        e = dns_parse_txt(bytes_of(message, (size_t)len), &l->answer);
        l->why = e == ERR_NOT_FOUND ? "no TXT record" : "malformed answer";
    }
    lookup_done(l, e);
}

static void lookup_start(lookup_t *l)
{
    uv_dns_t *dns = l->dns;
    if (dns->running++ == 0)
        uv_timer_start(&dns->tick, on_tick, TICK_MS, TICK_MS);
    if (l->type == DNS_TXT) {
        ares_query(dns->channel, l->name, ns_c_in, ns_t_txt, on_txt, l);
        return;
    }
    struct ares_addrinfo_hints hints = {.ai_family = l->type == DNS_A ? AF_INET : AF_INET6,
                                        .ai_socktype = SOCK_STREAM,
                                        .ai_flags = ARES_AI_NOSORT};
    ares_getaddrinfo(dns->channel, l->name, NULL, &hints, on_addresses, l);
}

err_t uv_dns_lookup(task_t *t, driver_t *base, const char *name, dns_type_t type, dns_answer_t *ret)
{
    TRY(task_check(t));
    uv_driver_t *d = uv_driver_of(base);
    TRY(dns_ready(d));
    lookup_t *l = xcalloc(1, sizeof *l + strlen(name) + 1);
    l->dns = d->dns;
    l->type = type;
    memcpy(l->name, name, strlen(name) + 1);
    park_init(t, &l->park);
    lookup_start(l);
    err_t e = park_wait(t, &l->park);
    if (!l->park.is_done) {
        l->is_abandoned = true;
        return e;
    }
    static const char *const types[] = {[DNS_A] = "A", [DNS_AAAA] = "AAAA", [DNS_TXT] = "TXT"};
    if (!e)
        *ret = l->answer;
    else
        dns_answer_deinit(&l->answer);
    if (e && e == l->park.result)
        e = fail(e, "look up %s (%s): %s", name, types[type], l->why);
    free(l);
    return e;
}
