#include "base/net_addr.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

const char *net_addr_print(const net_addr_t *a, char out[NET_ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN];
    inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, ip, sizeof ip);
    if (a->family != 6)
        snprintf(out, NET_ADDR_TEXT_MAX, "%s:%u", ip, a->port);
    else if (a->scope)
        snprintf(out, NET_ADDR_TEXT_MAX, "[%.39s%%%u]:%u", ip, a->scope, a->port);
    else
        snprintf(out, NET_ADDR_TEXT_MAX, "[%s]:%u", ip, a->port);
    return out;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && v <= max; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    if (*p || p == text || v > max)
        return false;
    *ret = v;
    return true;
}

static bool parse_ip(net_addr_t *a, char *ip, bool is_bracketed)
{
    if (!is_bracketed) {
        a->family = 4;
        return !*ip || inet_pton(AF_INET, ip, a->ip) == 1; /* ":PORT" is every address */
    }
    a->family = 6;
    char *zone = strchr(ip, '%');
    uint64_t scope = 0;
    if (zone) {
        *zone++ = 0;
        if (!parse_number(zone, UINT32_MAX, &scope))
            return false;
    }
    a->scope = (uint32_t)scope;
    return inet_pton(AF_INET6, ip, a->ip) == 1;
}

err_t net_addr_parse(const char *text, net_addr_t *ret_addr)
{
    char ip[NET_ADDR_TEXT_MAX];
    net_addr_t a = {0};
    uint64_t port;
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (colon && len < sizeof ip && parse_number(colon + 1, UINT16_MAX, &port)) {
        bool is_bracketed = len >= 2 && text[0] == '[' && colon[-1] == ']';
        memcpy(ip, text + is_bracketed, len - 2 * is_bracketed);
        ip[len - 2 * is_bracketed] = 0;
        if (parse_ip(&a, ip, is_bracketed)) {
            a.port = (uint16_t)port;
            *ret_addr = a;
            return OK;
        }
    }
    return fail(ERR_INVALID, "\"%.64s\" is no address of the form IP:PORT or [IP6]:PORT", text);
}

static size_t ip_len(const net_addr_t *a)
{
    return a->family == 4 ? 4 : 16;
}

bool net_addr_same_ip(const net_addr_t *a, const net_addr_t *b)
{
    return a->family == b->family && !memcmp(a->ip, b->ip, ip_len(a));
}

bool net_addr_is_any(const net_addr_t *a)
{
    static const uint8_t zero[16];
    return !memcmp(a->ip, zero, ip_len(a));
}

bool net_addr_equal(const net_addr_t *a, const net_addr_t *b)
{
    return a->family == b->family && a->port == b->port && a->scope == b->scope &&
           !memcmp(a->ip, b->ip, ip_len(a));
}

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

/* The IPv4 address in a or in its mapped form (RFC 4291, 2.5.5.2), NULL when it is plain IPv6. */
static const uint8_t *ip4_of(const net_addr_t *a)
{
    if (a->family == 4)
        return a->ip;
    return memcmp(a->ip, v4_mapped, sizeof v4_mapped) ? NULL : a->ip + 12;
}

bytes_t net_addr_place(const net_addr_t *a)
{
    const uint8_t *ip4 = ip4_of(a);
    return ip4 ? bytes_of(ip4, 4) : bytes_of(a->ip, 8);
}

bool net_addr_is_loopback(const net_addr_t *a)
{
    static const uint8_t ip6[16] = {[15] = 1};
    const uint8_t *ip4 = ip4_of(a);
    return ip4 ? ip4[0] == 127 : !memcmp(a->ip, ip6, sizeof ip6);
}

bool net_addr_is_private(const net_addr_t *a)
{
    if (net_addr_is_loopback(a))
        return true;
    const uint8_t *b = ip4_of(a);
    if (b)
        return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
               (b[0] == 169 && b[1] == 254);
    return (a->ip[0] & 0xfe) == 0xfc || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}
