#include "api/gateway_settings.h"
#include "base/log.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

enum {
    RETRIEVAL_TIMEOUT_MS = 30 * 1000,
    MAX_DURATION_MS = 3600 * 1000,
    MAX_CONCURRENT = 4096,
    HEADER_VALUE_MAX = 8 << 10,
};

/* ── host names ──────────────────────────────────────────────────────────────────────────────── */

bytes_t host_without_port(bytes_t host)
{
    if (host.len && host.data[0] == '[') { /* [::1]:8080 */
        const uint8_t *end = memchr(host.data, ']', host.len);
        return end ? bytes_slice(host, 1, (size_t)(end - host.data) - 1) : host;
    }
    const uint8_t *colon = host.len ? memchr(host.data, ':', host.len) : NULL;
    if (!colon || memchr(colon + 1, ':', host.len - (size_t)(colon + 1 - host.data)))
        return host; /* none, or an IPv6 address without brackets */
    return bytes_slice(host, 0, (size_t)(colon - host.data));
}

bool host_is_address(bytes_t host)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    host = host_without_port(host);
    if (!host.len || host.len >= sizeof text || !(isxdigit(host.data[0]) || host.data[0] == ':'))
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = 0;
    return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

static bool equals_text(bytes_t host, const char *name)
{
    return host.len == strlen(name) && !strncasecmp((const char *)host.data, name, host.len);
}

/* "*.example.com" stands for one label before .example.com; a star is never a dot. */
static bool matches_wildcard(bytes_t host, const char *pattern)
{
    size_t at = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            size_t from = at;
            while (at < host.len && host.data[at] != '.')
                at++;
            if (at == from)
                return false;
        } else if (at == host.len || tolower(host.data[at++]) != *pattern)
            return false;
    }
    return at == host.len;
}

const gateway_host_t *gateway_settings_host(const gateway_settings_t *s, bytes_t host)
{
    bytes_t bare = host_without_port(host);
    const gateway_host_t *without_port = NULL, *wild = NULL;
    for (size_t i = 0; i < s->n_hosts; i++) {
        const gateway_host_t *h = &s->hosts[i];
        if (equals_text(host, h->name))
            return h;
        if (!without_port && equals_text(bare, h->name))
            without_port = h;
        if (!wild && strchr(h->name, '*') && matches_wildcard(bare, h->name))
            wild = h;
    }
    return without_port ? without_port : wild;
}

static bool is_namespace(bytes_t label)
{
    return bytes_equal(label, BYTES_LIT("ipfs")) || bytes_equal(label, BYTES_LIT("ipns")) ||
           bytes_equal(label, BYTES_LIT("p2p")) || bytes_equal(label, BYTES_LIT("ipld"));
}

/* The shortest ending of the host that is a gateway of ours and stands behind a name space. */
bool gateway_settings_subdomain(const gateway_settings_t *s, bytes_t host, gateway_subdomain_t *ret)
{
    bytes_t name = host_without_port(host);
    size_t dot_after = SIZE_MAX; /* the dot in front of what was tried last */
    for (size_t i = name.len; i--;) {
        if (name.data[i] != '.')
            continue;
        size_t from = 0; /* of the label in front of this dot */
        for (size_t k = i; k--;)
            if (name.data[k] == '.') {
                from = k + 1;
                break;
            }
        dot_after = i;
        bytes_t label = bytes_slice(name, from, i - from);
        if (!from || !is_namespace(label))
            continue;
        bytes_t rest = bytes_slice(host, dot_after + 1, host.len);
        const gateway_host_t *found = gateway_settings_host(s, rest);
        if (!found)
            continue;
        *ret = (gateway_subdomain_t){found, bytes_slice(name, 0, from - 1), label, rest};
        return ret->root.len > 0;
    }
    return false;
}

bool gateway_host_serves(const gateway_host_t *h, bytes_t path)
{
    for (size_t i = 0; i < h->n_paths; i++) {
        bytes_t prefix = bytes_str(h->paths[i]);
        if (prefix.len && prefix.data[prefix.len - 1] == '/')
            prefix.len--;
        if (bytes_starts_with(path, prefix) && (path.len == prefix.len || path.data[prefix.len] == '/'))
            return true;
    }
    return false;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */

static bool bool_of(const json_t *object, const char *key, bool otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

static gateway_host_t *add_host(gateway_settings_t *s, const char *name)
{
    s->hosts = xrealloc(s->hosts, (s->n_hosts + 1) * sizeof *s->hosts);
    gateway_host_t *h = &s->hosts[s->n_hosts++];
    *h = (gateway_host_t){.name = xstrdup(name), .deserializes = s->deserializes};
    for (char *p = h->name; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    return h;
}

static void add_path(gateway_host_t *h, const char *path)
{
    h->paths = xrealloc(h->paths, (h->n_paths + 1) * sizeof *h->paths);
    h->paths[h->n_paths++] = xstrdup(path);
}

static void read_host(gateway_settings_t *s, const char *name, const json_t *entry)
{
    bool uses_subdomains = bool_of(entry, "UseSubdomains", false);
    if (uses_subdomains && host_is_address(bytes_str(name))) {
        log_warn("Gateway.PublicGateways: an IP address has no subdomains", LOG_STR("host", name));
        return;
    }
    gateway_host_t *h = add_host(s, name);
    h->uses_subdomains = uses_subdomains;
    h->no_dnslink = bool_of(entry, "NoDNSLink", false);
    h->inlines_dnslink = bool_of(entry, "InlineDNSLink", false);
    h->deserializes = bool_of(entry, "DeserializedResponses", s->deserializes);
    const json_t *paths = json_object_get(entry, "Paths");
    for (size_t i = 0; i < json_array_size(paths); i++) {
        const char *path = json_string_value(json_array_get(paths, i));
        if (path)
            add_path(h, path);
    }
}

static void read_hosts(gateway_settings_t *s, const json_t *entries)
{
    const char *name;
    json_t *entry;
    json_object_foreach((json_t *)entries, name, entry) if (json_is_object(entry)) read_host(s, name, entry);
    /* localhost is a gateway of subdomains unless the configuration says what it is, or null. */
    if (json_object_get(entries, "localhost"))
        return;
    gateway_host_t *h = add_host(s, "localhost");
    h->uses_subdomains = true;
    add_path(h, "/ipfs");
    add_path(h, "/ipns");
    add_path(h, "/p2p");
    add_path(h, "/routing"); /* other programs of this machine are told http://localhost:8080 */
}

static void set_header(gateway_settings_t *s, const char *name, const char *value)
{
    s->headers = xrealloc(s->headers, (s->n_headers + 1) * sizeof *s->headers);
    s->headers[s->n_headers++] = (gateway_header_t){xstrdup(name), xstrdup(value)};
}

/* "a, b" of an array of strings, or of one string; false when there is nothing. */
static bool join(const json_t *value, buf_t *out)
{
    size_t count = json_is_string(value) ? 1 : json_array_size(value);
    for (size_t i = 0; i < count; i++) {
        const char *item = json_string_value(json_is_string(value) ? value : json_array_get(value, i));
        if (item && buf_printf(out, "%s%s", out->len ? ", " : "", item))
            return false;
    }
    return out->len > 0;
}

/* A line for each value: not all fields may be joined (Set-Cookie). */
static void add_lines(gateway_settings_t *s, const char *name, const json_t *values)
{
    size_t count = json_is_string(values) ? 1 : json_array_size(values);
    for (size_t i = 0; i < count; i++) {
        const char *value = json_string_value(json_is_string(values) ? values : json_array_get(values, i));
        if (value && strlen(value) < HEADER_VALUE_MAX)
            set_header(s, name, value);
    }
}

typedef struct cors_header {
    const char *name, *value;
    bool is_extended; /* by what the configuration says, not replaced */
} cors_header_t;
static const cors_header_t cors[] = {
    {"Access-Control-Allow-Headers", "Content-Type, Range, User-Agent, X-Requested-With", true},
    {"Access-Control-Allow-Methods", "GET, HEAD, OPTIONS", false},
    {"Access-Control-Allow-Origin", "*", false},
    {"Access-Control-Expose-Headers",
     "Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output", true},
};

static const json_t *find_header(const json_t *configured, const char *name)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)configured, key, value) if (!strcasecmp(key, name)) return value;
    return NULL;
}

static void read_headers(gateway_settings_t *s, const json_t *configured)
{
    AUTO(buf_t) value = {0};
    const char *key, *text;
    json_t *entry;
    buf_init(&value, HEADER_VALUE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(cors); i++) {
        buf_clear(&value);
        const json_t *own = find_header(configured, cors[i].name);
        err_t e = cors[i].is_extended || !own ? buf_append(&value, bytes_str(cors[i].value)) : OK;
        if (!e && (!own || join(own, &value) || cors[i].is_extended) && !buf_cstr(&value, &text))
            set_header(s, cors[i].name, text);
    }
    json_object_foreach((json_t *)configured, key, entry)
    {
        bool is_cors = false;
        for (size_t i = 0; i < ARRAY_LEN(cors); i++)
            is_cors = is_cors || !strcasecmp(key, cors[i].name);
        if (!is_cors)
            add_lines(s, key, entry);
    }
}

void gateway_settings_read(const config_t *c, gateway_settings_t *ret)
{
    gateway_settings_t *s = ret;
    *s = (gateway_settings_t){0};
    s->root_redirect = xstrdup(config_str(c, "Gateway.RootRedirect", ""));
    s->diagnostic_url = xstrdup(config_str(c, "Gateway.DiagnosticServiceURL", "https://check.ipfs.network"));
    s->no_fetch = config_bool(c, "Gateway.NoFetch", false);
    s->exposes_routing = config_bool(c, "Gateway.ExposeRoutingAPI", true);
    s->no_dnslink = config_bool(c, "Gateway.NoDNSLink", false);
    s->deserializes = config_bool(c, "Gateway.DeserializedResponses", true);
    s->converts_codecs = config_bool(c, "Gateway.AllowCodecConversion", false);
    s->no_html_errors = config_bool(c, "Gateway.DisableHTMLErrors", false);
    s->retrieval_timeout_ms = config_duration_ms(c, "Gateway.RetrievalTimeout", RETRIEVAL_TIMEOUT_MS);
    s->max_duration_ms = config_duration_ms(c, "Gateway.MaxRequestDuration", MAX_DURATION_MS);
    if (!s->max_duration_ms)
        s->max_duration_ms = MAX_DURATION_MS;
    int64_t concurrent = config_int(c, "Gateway.MaxConcurrentRequests", MAX_CONCURRENT);
    s->max_concurrent = concurrent > 0 ? (uint64_t)concurrent : 0;
    s->max_range_file_bytes = config_size(c, "Gateway.MaxRangeRequestFileSize", 0);
    read_hosts(s, config_json(c, "Gateway.PublicGateways"));
    read_headers(s, config_json(c, "Gateway.HTTPHeaders"));
}

void gateway_settings_deinit(gateway_settings_t *s)
{
    for (size_t i = 0; i < s->n_hosts; i++) {
        for (size_t k = 0; k < s->hosts[i].n_paths; k++)
            free(s->hosts[i].paths[k]);
        free(s->hosts[i].paths);
        free(s->hosts[i].name);
    }
    for (size_t i = 0; i < s->n_headers; i++) {
        free(s->headers[i].name);
        free(s->headers[i].value);
    }
    free(s->hosts);
    free(s->headers);
    free(s->root_redirect);
    free(s->diagnostic_url);
    *s = (gateway_settings_t){0};
}
