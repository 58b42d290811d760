/* resolve: /dns, /dns4, /dns6 and /dnsaddr addresses. Spec: multiformats/multiaddr protocols/DNSADDR. */
#include "base/log.h"
#include "net/host_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 4, LOOKUP_TIMEOUT_MS = 5000, NAME_MAX_BYTES = 253 };

typedef struct resolution {
    const peer_id_t *peer;
    multiaddr_t *out;
    size_t cap, n;
    size_t lookups_left;
} resolution_t;

static void resolve_one(task_t *t, resolution_t *r, const multiaddr_t *m, int depth);

static void put(resolution_t *r, const multiaddr_t *m)
{
    if (r->n < r->cap)
        r->out[r->n++] = *m;
}

static err_t lookup(task_t *t, resolution_t *r, const char *name, dns_type_t type, dns_answer_t *ret)
{
    if (!r->lookups_left)
        return fail(ERR_LIMIT, "too many names to look up for one peer");
    r->lookups_left--;
    deadline_t d = deadline_push(t, LOOKUP_TIMEOUT_MS);
    err_t e = dns_resolve(t, name, type, ret);
    deadline_pop(t, &d);
    return e;
}

/* The address with its name replaced. TLS of the web asks for the name, which then stays in /sni/. */
static err_t with_ip(const multiaddr_t *m, uint32_t code, bytes_t ip, multiaddr_t *ret)
{
    multiaddr_t made = {0};
    TRY(multiaddr_append(&made, code, ip));
    multiaddr_part_t name, part;
    size_t i = 0;
    multiaddr_next(m, &i, &name);
    bool has_sni = multiaddr_find(m, MA_SNI, &part);
    while (multiaddr_next(m, &i, &part)) {
        bool is_wss = part.code == MA_WSS;
        TRY(multiaddr_append(&made, is_wss ? MA_TLS : part.code, part.value));
        if ((is_wss || part.code == MA_TLS) && !has_sni)
            TRY(multiaddr_append(&made, MA_SNI, name.value));
        if (is_wss)
            TRY(multiaddr_append(&made, MA_WS, BYTES_NONE));
    }
    *ret = made;
    return OK;
}

static void resolve_ips(task_t *t, resolution_t *r, const multiaddr_t *m, const char *name, dns_type_t type)
{
    dns_answer_t *answer = xcalloc(1, sizeof *answer);
    err_t e = lookup(t, r, name, type, answer);
    for (size_t i = 0; !e && i < answer->count; i++) {
        multiaddr_t made;
        if (answer->text[i].len == (type == DNS_A ? 4 : 16) &&
            !with_ip(m, type == DNS_A ? MA_IP4 : MA_IP6, buf_bytes(&answer->text[i]), &made))
            put(r, &made);
    }
    if (e)
        log_debug("a name was not resolved", LOG_STR("name", name), LOG_ERR(e));
    dns_answer_deinit(answer);
    free(answer);
}

/* TXT records "dnsaddr=MULTIADDR" of _dnsaddr.NAME; those of other peers are not for us. */
static void resolve_dnsaddr(task_t *t, resolution_t *r, const char *name, int depth)
{
    char query[NAME_MAX_BYTES + 16];
    snprintf(query, sizeof query, "_dnsaddr.%s", name);
    dns_answer_t *answer = xcalloc(1, sizeof *answer);
    err_t e = lookup(t, r, query, DNS_TXT, answer);
    for (size_t i = 0; !e && i < answer->count; i++) {
        const char *text;
        multiaddr_t m;
        peer_id_t owner;
        if (!bytes_starts_with(buf_bytes(&answer->text[i]), BYTES_LIT("dnsaddr=")) ||
            buf_cstr(&answer->text[i], &text) || multiaddr_parse(text + 8, &m))
            continue;
        if (multiaddr_peer(&m, &owner) || peer_id_equal(&owner, r->peer))
            resolve_one(t, r, &m, depth + 1);
    }
    if (e)
        log_debug("a dnsaddr was not resolved", LOG_STR("name", name), LOG_ERR(e));
    dns_answer_deinit(answer);
    free(answer);
}

static void resolve_one(task_t *t, resolution_t *r, const multiaddr_t *m, int depth)
{
    multiaddr_part_t part;
    size_t i = 0;
    char name[NAME_MAX_BYTES + 1];
    if (!multiaddr_next(m, &i, &part))
        return;
    bool is_name =
        part.code == MA_DNS || part.code == MA_DNS4 || part.code == MA_DNS6 || part.code == MA_DNSADDR;
    if (!is_name) {
        put(r, m);
        return;
    }
    if (depth == DEPTH_MAX || part.value.len > NAME_MAX_BYTES || memchr(part.value.data, 0, part.value.len))
        return;
    memcpy(name, part.value.data, part.value.len);
    name[part.value.len] = 0;
    if (part.code == MA_DNS || part.code == MA_DNS4)
        resolve_ips(t, r, m, name, DNS_A);
    if (part.code == MA_DNS || part.code == MA_DNS6)
        resolve_ips(t, r, m, name, DNS_AAAA);
    if (part.code == MA_DNSADDR)
        resolve_dnsaddr(t, r, name, depth);
}

size_t resolve_addrs(task_t *t, const peer_id_t *peer, const multiaddr_t *in, size_t n_in, multiaddr_t *out,
                     size_t cap)
{
    resolution_t r = {.peer = peer, .out = out, .cap = cap, .lookups_left = 32};
    for (size_t i = 0; i < n_in; i++)
        resolve_one(t, &r, &in[i], 0);
    return r.n;
}
