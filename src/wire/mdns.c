#include "wire/mdns.h"
#include "base/map.h"
#include <string.h>

#define SERVICE "_p2p._udp.local"
#define SERVICE_TYPES "_services._dns-sd._udp.local"
#define ADDR_PREFIX "dnsaddr="
enum {
    NAME_MIN = 32,
    STRING_MAX = 255,
    TTL_S = 120,
    DELAY_MIN_MS = 20, /* RFC 6762 section 6: answers of many shall not collide */
    DELAY_SPAN_MS = 100,
    ANSWER_APART_MS = 1000,
    QUERY_FIRST_MS = 1000,
    ANNOUNCEMENTS = 2,
    SERVICE_AT = DNS_HEADER_BYTES,
    LOCAL_AT = SERVICE_AT + 10,     /* behind _p2p and _udp */
    NAME_AT = SERVICE_AT + 17 + 10, /* what the pointer of an answer points to: behind its name and head */
};
#define NEVER UINT64_MAX

void mdns_init(mdns_t *m, const peer_id_t *self, uint64_t seed)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    memset(m, 0, sizeof *m);
    m->self = *self;
    prng_seed(&m->rng, seed);
    prng_fill(&m->rng, m->hash_key, sizeof m->hash_key);
    size_t len = NAME_MIN + prng_below(&m->rng, DNS_LABEL_MAX - NAME_MIN + 1);
    for (size_t i = 0; i < len; i++)
        m->name[i] = alphabet[prng_below(&m->rng, sizeof alphabet - 1)];
    m->query_ms = m->answer_ms = m->types_ms = m->announce_ms = NEVER;
    m->query_interval_ms = QUERY_FIRST_MS;
}

/* ── what this node says of itself ───────────────────────────────────────────────────────────── */

/* It begins with an IP that means the same to everybody on the link. */
static bool is_direct(const multiaddr_t *addr)
{
    multiaddr_part_t part;
    size_t i = 0;
    if (!multiaddr_next(addr, &i, &part) || (part.code != MA_IP4 && part.code != MA_IP6))
        return false;
    if (part.code == MA_IP6 && part.value.data[0] == 0xfe && (part.value.data[1] & 0xc0) == 0x80)
        return false; /* link local: needs a zone */
    return !multiaddr_is_loopback(addr) && !multiaddr_find(addr, MA_P2P_CIRCUIT, &part);
}

/* Browsers, for whom these transports are, hear no multicast; the datagram is small. */
static bool is_fit(const multiaddr_t *addr)
{
    static const uint32_t unfit[] = {MA_WS, MA_WSS, MA_WEBTRANSPORT, MA_WEBRTC_DIRECT};
    multiaddr_part_t part;
    for (size_t k = 0; k < ARRAY_LEN(unfit); k++)
        if (multiaddr_find(addr, unfit[k], &part))
            return false;
    return is_direct(addr);
}

static void take_ip_and_port(mdns_t *m, const multiaddr_t *addr)
{
    multiaddr_part_t ip, port;
    size_t i = 0;
    multiaddr_next(addr, &i, &ip);
    size_t kind = ip.code == MA_IP6;
    if (!m->has_ip[kind])
        memcpy(m->ips[kind], ip.value.data, ip.value.len);
    m->has_ip[kind] = true;
    if (!m->port && (multiaddr_find(addr, MA_TCP, &port) || multiaddr_find(addr, MA_UDP, &port)))
        m->port = (uint16_t)(port.value.data[0] << 8 | port.value.data[1]);
}

static void add_addr(mdns_t *m, const multiaddr_t *addr)
{
    multiaddr_t bare, full;
    char text[MULTIADDR_TEXT_MAX];
    multiaddr_without_peer(addr, &bare);
    if (!is_fit(&bare) || multiaddr_with_peer(&bare, &m->self, &full))
        return;
    multiaddr_print(&full, text);
    size_t prefix_len = strlen(ADDR_PREFIX), len = prefix_len + strlen(text);
    if (len > STRING_MAX || m->txt_len + 1 + len > sizeof m->txt)
        return;
    m->txt[m->txt_len++] = (uint8_t)len;
    memcpy(m->txt + m->txt_len, ADDR_PREFIX, prefix_len);
    memcpy(m->txt + m->txt_len + prefix_len, text, len - prefix_len);
    m->txt_len += len;
    take_ip_and_port(m, &bare);
}

bool mdns_set_addrs(mdns_t *m, const multiaddr_t *addrs, size_t n, uint64_t now_ms)
{
    uint8_t before[MDNS_TXT_MAX_BYTES];
    size_t before_len = m->txt_len;
    memcpy(before, m->txt, before_len);
    m->txt_len = 0;
    m->port = 0;
    m->has_ip[0] = m->has_ip[1] = false;
    for (size_t i = 0; i < n; i++)
        add_addr(m, &addrs[i]);
    if (!m->txt_len) {
        m->query_ms = m->answer_ms = m->types_ms = m->announce_ms = NEVER;
        return false;
    }
    if (bytes_equal(bytes_of(before, before_len), bytes_of(m->txt, m->txt_len)))
        return true;
    m->announcements_left = ANNOUNCEMENTS;
    m->announce_ms = now_ms + prng_below(&m->rng, DELAY_SPAN_MS);
    if (m->query_ms == NEVER) {
        m->query_interval_ms = QUERY_FIRST_MS;
        m->query_ms = now_ms + prng_below(&m->rng, DELAY_SPAN_MS);
    }
    return true;
}

/* ── what others say ─────────────────────────────────────────────────────────────────────────── */

static bool is_own_instance(const mdns_t *m, const char *name)
{
    size_t len = strlen(m->name);
    return !strncmp(name, m->name, len) && !strcmp(name + len, "." SERVICE);
}

static bool is_own_host(const mdns_t *m, const char *name)
{
    size_t len = strlen(m->name);
    return !strncmp(name, m->name, len) && !strcmp(name + len, ".local");
}

static void hear_question(mdns_t *m, const dns_record_t *r, uint64_t now_ms, bool *ret_asks)
{
    bool is_pointer = r->type == DNS_TYPE_PTR || r->type == DNS_TYPE_ANY;
    bool asks = is_pointer && !strcmp(r->name, SERVICE);
    asks = asks || is_own_instance(m, r->name) || is_own_host(m, r->name);
    *ret_asks = *ret_asks || asks;
    if (is_pointer && !strcmp(r->name, SERVICE_TYPES) && m->types_ms == NEVER)
        m->types_ms = now_ms + DELAY_MIN_MS + prng_below(&m->rng, DELAY_SPAN_MS);
}

/* RFC 6762 section 7.1: a pointer to us among the answers of a question, not near its end. */
static bool is_known(const mdns_t *m, const dns_record_t *r)
{
    char target[DNS_NAME_TEXT_MAX];
    return r->is_answer && r->type == DNS_TYPE_PTR && r->ttl_s >= TTL_S / 2 && !strcmp(r->name, SERVICE) &&
           !dns_pointer(&m->in, r, target) && is_own_instance(m, target);
}

static void hear_query(mdns_t *m, uint64_t now_ms)
{
    dns_message_t in = m->in;
    dns_record_t r;
    bool asks = false, knows = false;
    while (dns_next(&in, &r)) {
        if (r.is_question)
            hear_question(m, &r, now_ms, &asks);
        else
            knows = knows || is_known(m, &r);
    }
    if (!asks || knows || m->answer_ms != NEVER)
        return;
    uint64_t at_ms = now_ms + DELAY_MIN_MS + prng_below(&m->rng, DELAY_SPAN_MS);
    uint64_t earliest_ms = m->answered_ms ? m->answered_ms + ANSWER_APART_MS : 0;
    m->answer_ms = at_ms > earliest_ms ? at_ms : earliest_ms;
}

err_t mdns_feed(mdns_t *m, bytes_t datagram, uint64_t now_ms)
{
    m->is_reading = false;
    TRY(dns_decode(datagram, &m->in));
    bool is_response = m->in.flags & DNS_FLAG_RESPONSE;
    if (is_response) {
        m->is_reading = true;
        m->strings = reader_of(BYTES_NONE);
    } else if (m->txt_len) {
        hear_query(m, now_ms);
    }
    return OK;
}

static bool is_of_service(const char *name)
{
    size_t len = strlen(name), service_len = strlen("." SERVICE);
    return len > service_len && !strcmp(name + len - service_len, "." SERVICE);
}

static bool parse_addr(const mdns_t *m, bytes_t string, mdns_found_t *ret)
{
    char text[STRING_MAX + 1];
    size_t prefix_len = strlen(ADDR_PREFIX);
    if (!bytes_starts_with(string, BYTES_LIT(ADDR_PREFIX)) || memchr(string.data, 0, string.len))
        return false;
    memcpy(text, string.data + prefix_len, string.len - prefix_len);
    text[string.len - prefix_len] = 0;
    return !multiaddr_parse(text, &ret->addr) && is_direct(&ret->addr) &&
           !multiaddr_peer(&ret->addr, &ret->peer) && !peer_id_equal(&ret->peer, &m->self);
}

/* False: too many others were found within MDNS_AGAIN_MS. */
static bool note_seen(mdns_t *m, const peer_id_t *peer, uint64_t now_ms, bool *ret_is_new)
{
    uint64_t hash = siphash24(m->hash_key, peer_id_bytes(peer));
    size_t free_slot = MDNS_PEERS_MAX;
    for (size_t i = 0; i < MDNS_PEERS_MAX; i++) {
        if (m->seen[i].hash == hash && m->seen[i].until_ms > now_ms) {
            *ret_is_new = false;
            return true;
        }
        if (m->seen[i].until_ms <= now_ms)
            free_slot = i;
    }
    if (free_slot == MDNS_PEERS_MAX)
        return false;
    m->seen[free_slot].hash = hash;
    m->seen[free_slot].until_ms = now_ms + MDNS_AGAIN_MS;
    *ret_is_new = true;
    return true;
}

bool mdns_next_found(mdns_t *m, uint64_t now_ms, mdns_found_t *ret)
{
    bytes_t string;
    dns_record_t r;
    while (m->is_reading) {
        while (dns_next_string(&m->strings, &string))
            if (parse_addr(m, string, ret) && note_seen(m, &ret->peer, now_ms, &ret->is_new))
                return true;
        m->is_reading = dns_next(&m->in, &r);
        bool has_addrs = m->is_reading && !r.is_question && r.type == DNS_TYPE_TXT && r.ttl_s > 0;
        m->strings = reader_of(has_addrs && is_of_service(r.name) ? r.data : BYTES_NONE);
    }
    return false;
}

/* ── what is sent ────────────────────────────────────────────────────────────────────────────── */

static void put_service(writer_t *w)
{
    dns_put_label(w, BYTES_LIT("_p2p"));
    dns_put_label(w, BYTES_LIT("_udp"));
    dns_put_label(w, BYTES_LIT("local"));
    dns_put_name_end(w);
}

static err_t put_query(buf_t *out)
{
    writer_t w = writer_to(out);
    dns_put_header(&w, 0, 0, (uint16_t[4]){1, 0, 0, 0});
    put_service(&w);
    write_u16be(&w, DNS_TYPE_PTR);
    write_u16be(&w, DNS_CLASS_IN);
    return w.err;
}

static err_t put_answer(const mdns_t *m, uint32_t ttl_s, buf_t *out)
{
    bytes_t name = bytes_str(m->name);
    uint16_t own = DNS_CLASS_IN | DNS_CLASS_TOP_BIT, name_len = (uint16_t)(1 + name.len + 2);
    uint16_t n_ips = (uint16_t)(m->has_ip[0] + m->has_ip[1]);
    writer_t w = writer_to(out);
    dns_put_header(&w, 0, DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITATIVE,
                   (uint16_t[4]){0, 1, 0, (uint16_t)(2 + n_ips)});
    put_service(&w);
    dns_put_record(&w, DNS_TYPE_PTR, DNS_CLASS_IN, ttl_s, name_len);
    dns_put_label(&w, name);
    dns_put_name_at(&w, SERVICE_AT);
    dns_put_name_at(&w, NAME_AT);
    dns_put_record(&w, DNS_TYPE_SRV, own, ttl_s, (uint16_t)(6 + name_len));
    write_u32be(&w, 0); /* priority, weight */
    write_u16be(&w, m->port);
    uint16_t host_at = (uint16_t)out->len;
    dns_put_label(&w, name);
    dns_put_name_at(&w, LOCAL_AT);
    dns_put_name_at(&w, NAME_AT);
    dns_put_record(&w, DNS_TYPE_TXT, own, ttl_s, (uint16_t)m->txt_len);
    write_bytes(&w, bytes_of(m->txt, m->txt_len));
    for (size_t i = 0; i < 2; i++)
        if (m->has_ip[i]) {
            uint16_t len = i ? 16 : 4;
            dns_put_name_at(&w, host_at);
            dns_put_record(&w, i ? DNS_TYPE_AAAA : DNS_TYPE_A, own, ttl_s, len);
            write_bytes(&w, bytes_of(m->ips[i], len));
        }
    return w.err;
}

static err_t put_types(buf_t *out)
{
    enum { UDP_AT = DNS_HEADER_BYTES + 18 }; /* behind _services and _dns-sd */
    writer_t w = writer_to(out);
    dns_put_header(&w, 0, DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITATIVE, (uint16_t[4]){0, 1, 0, 0});
    dns_put_label(&w, BYTES_LIT("_services"));
    dns_put_label(&w, BYTES_LIT("_dns-sd"));
    dns_put_label(&w, BYTES_LIT("_udp"));
    dns_put_label(&w, BYTES_LIT("local"));
    dns_put_name_end(&w);
    dns_put_record(&w, DNS_TYPE_PTR, DNS_CLASS_IN, TTL_S, 5 + 2);
    dns_put_label(&w, BYTES_LIT("_p2p"));
    dns_put_name_at(&w, UDP_AT);
    return w.err;
}

static err_t put_due_query(mdns_t *m, uint64_t now_ms, buf_t *out)
{
    uint64_t jitter_ms = prng_below(&m->rng, DELAY_SPAN_MS);
    m->query_ms = now_ms + m->query_interval_ms + jitter_ms;
    m->query_interval_ms *= 2;
    if (m->query_interval_ms > MDNS_QUERY_MAX_MS)
        m->query_interval_ms = MDNS_QUERY_MAX_MS;
    return put_query(out);
}

static err_t put_due_answer(mdns_t *m, uint64_t now_ms, buf_t *out)
{
    if (m->announce_ms <= now_ms) {
        m->announcements_left--;
        m->announce_ms = m->announcements_left ? now_ms + ANSWER_APART_MS : NEVER;
    }
    m->answer_ms = NEVER; /* an announcement answers, too */
    m->answered_ms = now_ms;
    return put_answer(m, TTL_S, out);
}

bool mdns_output(mdns_t *m, uint64_t now_ms, buf_t *out)
{
    err_t e;
    if (m->query_ms <= now_ms) {
        e = put_due_query(m, now_ms, out);
    } else if (m->answer_ms <= now_ms || m->announce_ms <= now_ms) {
        e = put_due_answer(m, now_ms, out);
    } else if (m->types_ms <= now_ms) {
        m->types_ms = NEVER;
        e = put_types(out);
    } else {
        return false;
    }
    return !e;
}

uint64_t mdns_deadline_ms(const mdns_t *m)
{
    uint64_t at_ms = m->query_ms < m->answer_ms ? m->query_ms : m->answer_ms;
    at_ms = m->announce_ms < at_ms ? m->announce_ms : at_ms;
    return m->types_ms < at_ms ? m->types_ms : at_ms;
}

bool mdns_put_goodbye(const mdns_t *m, buf_t *out)
{
    return m->txt_len && m->answered_ms && !put_answer(m, 0, out);
}
