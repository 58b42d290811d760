#include "web/proxy.h"
#include "base/net_addr.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char *variable(const char *upper, const char *lower)
{
    const char *value = getenv(upper);
    return value && *value ? value : getenv(lower);
}

proxy_env_t proxy_env(void)
{
    return (proxy_env_t){.http = variable("HTTP_PROXY", "http_proxy"),
                         .https = variable("HTTPS_PROXY", "https_proxy"),
                         .none = variable("NO_PROXY", "no_proxy"),
                         .is_cgi = getenv("REQUEST_METHOD") != NULL};
}

static bool parse_ip(const char *host, net_addr_t *ret)
{
    char text[URL_HOST_MAX_BYTES + 8];
    snprintf(text, sizeof text, strchr(host, ':') ? "[%s]:1" : "%s:1", host);
    return !net_addr_parse(text, ret);
}

static bool is_loopback(const char *host, const net_addr_t *ip)
{
    static const uint8_t v6[16] = {[15] = 1};
    if (ip)
        return ip->family == 4 ? ip->ip[0] == 127 : !memcmp(ip->ip, v6, sizeof v6);
    return !strcasecmp(host, "localhost");
}

/* ── NO_PROXY ────────────────────────────────────────────────────────────────────────────────── */

/* "10.0.0.0/8" or an address alone. */
static bool is_in_network(const char *entry, const net_addr_t *ip, bool *ret_is_network)
{
    char text[URL_HOST_MAX_BYTES];
    net_addr_t network;
    const char *slash = strchr(entry, '/');
    size_t len = slash ? (size_t)(slash - entry) : strlen(entry);
    const char *start = entry;
    if (len > 2 && entry[0] == '[' && entry[len - 1] == ']') {
        start++;
        len -= 2;
    }
    *ret_is_network = len < sizeof text;
    if (!*ret_is_network)
        return false;
    memcpy(text, start, len);
    text[len] = 0;
    *ret_is_network = parse_ip(text, &network);
    if (!*ret_is_network || !ip || network.family != ip->family)
        return false;
    unsigned long max = ip->family == 4 ? 32 : 128, bits = slash ? strtoul(slash + 1, NULL, 10) : max;
    if (bits > max)
        return false;
    size_t whole = bits / 8, left = bits % 8;
    uint8_t mask = (uint8_t)(0xff00 >> left);
    return !memcmp(network.ip, ip->ip, whole) &&
           (!left || (network.ip[whole] & mask) == (ip->ip[whole] & mask));
}

/* "example.com" is the name and all below it, ".example.com" and "*.example.com" what is below it alone. */
static bool is_in_domain(const char *entry, const char *host)
{
    bool is_below_only = entry[0] == '.' || !strncmp(entry, "*.", 2);
    const char *domain = entry + (entry[0] == '.' ? 1 : is_below_only ? 2 : 0);
    size_t n = strlen(domain), len = strlen(host);
    if (len && host[len - 1] == '.')
        len--;
    if (!n || len < n || strncasecmp(host + len - n, domain, n) != 0)
        return false;
    return len == n ? !is_below_only : host[len - n - 1] == '.';
}

/* Cuts ":PORT" off. False: it is for another port. */
static bool take_port(char *entry, uint16_t port)
{
    char *colon = strrchr(entry, ':');
    bool is_v6 = colon && strchr(entry, ':') != colon && entry[0] != '[';
    if (!colon || is_v6 || strchr(colon, ']'))
        return true;
    *colon = 0;
    return strtoul(colon + 1, NULL, 10) == port;
}

static bool entry_matches(char *entry, const url_t *u, const net_addr_t *ip)
{
    bool is_network;
    if (!strcmp(entry, "*"))
        return true;
    if (is_in_network(entry, ip, &is_network))
        return true;
    if (is_network)
        return false;
    return take_port(entry, u->port) &&
           (ip ? is_in_network(entry, ip, &is_network) : is_in_domain(entry, u->host));
}

static bool goes_without(const char *none, const url_t *u, const net_addr_t *ip)
{
    while (none && *none) {
        char entry[URL_HOST_MAX_BYTES];
        size_t n = strcspn(none, ","), start = 0;
        size_t len = n;
        while (start < len && strchr(" \t", none[start]))
            start++;
        while (len > start && strchr(" \t", none[len - 1]))
            len--;
        if (len > start && len - start < sizeof entry) {
            memcpy(entry, none + start, len - start);
            entry[len - start] = 0;
            if (entry_matches(entry, u, ip))
                return true;
        }
        none += n + (none[n] == ',');
    }
    return false;
}

/* ── the choice ──────────────────────────────────────────────────────────────────────────────── */
err_t proxy_choose(const proxy_env_t *env, const url_t *u, buf_t *out)
{
    net_addr_t address;
    const net_addr_t *ip = parse_ip(u->host, &address) ? &address : NULL;
    const char *proxy = u->is_secure ? env->https : env->http, *text;
    url_t parsed;
    if (!proxy || !*proxy || is_loopback(u->host, ip) || goes_without(env->none, u, ip))
        return OK;
    if (!u->is_secure && env->is_cgi)
        return fail(ERR_DENIED,
                    "HTTP_PROXY is not used where REQUEST_METHOD is set: a client of a web server may "
                    "have chosen it");
    bool has_scheme = strstr(proxy, "://") != NULL;
    TRY(buf_printf(out, "%s%s", has_scheme ? "" : "http://", proxy));
    TRY(buf_cstr(out, &text));
    err_t e = url_parse(text, &parsed);
    return e ? fail_also(e, "the proxy of %s", u->is_secure ? "HTTPS_PROXY" : "HTTP_PROXY") : OK;
}
