/* gateway_route: which content path a request means. By its path (example.com/ipfs/CID), by a subdomain of a
 * gateway (CID.ipfs.example.com), or by a domain with a DNSLink. Specs: ipfs/specs subdomain-gateway,
 * dnslink-gateway; reference ipfs/boxo gateway/hostname.go. */
#include "api/gateway.h"
#include "naming/dns_label.h"
#include <ctype.h>
#include <strings.h>

/* ── the host and the path of the request ────────────────────────────────────────────────────── */

/* A proxy's request names its target whole: "GET http://host/path". Then this host counts. */
static void split_target(gateway_request_t *r, bytes_t *ret_host)
{
    const char *path = r->x->path;
    const char *header = exchange_header(r->x, "X-Forwarded-Host");
    size_t scheme = !strncasecmp(path, "http://", 7) ? 7 : !strncasecmp(path, "https://", 8) ? 8 : 0;
    bool is_forwarded = header && *header;
    r->url_path = path;
    if (!is_forwarded)
        header = exchange_header(r->x, "Host");
    *ret_host = header ? bytes_str(header) : BYTES_NONE;
    if (!scheme)
        return;
    size_t len = strcspn(path + scheme, "/");
    if (!is_forwarded)
        *ret_host = bytes_of(path + scheme, len);
    r->url_path = path[scheme + len] ? path + scheme + len : "/";
}

static err_t learn_host(gateway_request_t *r)
{
    bytes_t host;
    split_target(r, &host);
    if (host.len >= GATEWAY_NAME_MAX_BYTES)
        return fail(ERR_INVALID, "the host name has %zu bytes, allowed are %d", host.len,
                    GATEWAY_NAME_MAX_BYTES - 1);
    /* It stands in redirects and pages: nothing that ends a host name may be in it. */
    bool has_empty_label =
        bytes_starts_with(host, BYTES_LIT(".")) || (host.len && memmem(host.data, host.len, "..", 2));
    if (has_empty_label)
        return fail(ERR_INVALID, "the Host header is no host name");
    for (size_t i = 0; i < host.len; i++)
        if (!isalnum(host.data[i]) && (!host.data[i] || !strchr(".-_:[]%~", host.data[i])))
            return fail(ERR_INVALID, "the Host header is no host name");
    return buf_append(&r->host, host);
}

static bool is_https(gateway_request_t *r)
{
    const char *proto = exchange_header(r->x, "X-Forwarded-Proto");
    return (proto && !strcasecmp(proto, "https")) || !strncasecmp(r->x->path, "https://", 8);
}

/* ── the form of a root as a DNS label ───────────────────────────────────────────────────────── */

static bool is_name_space(bytes_t ns)
{
    return bytes_equal(ns, BYTES_LIT("ipns")) || bytes_equal(ns, BYTES_LIT("p2p"));
}

/* CIDv1 in base32, of names libp2p-key in base36; base36 where base32 is too long for a label. */
static err_t label_of_cid(const cid_t *cid, bool is_name, char out[CID_TEXT_MAX])
{
    cid_t v1;
    TRY(cid_to_v1(cid, &v1));
    if (is_name)
        v1.codec = CODEC_LIBP2P_KEY;
    TRY(cid_print_base(&v1, is_name ? MB_BASE36 : MB_BASE32, out));
    if (strlen(out) > DNS_LABEL_MAX_CHARS)
        TRY(cid_print_base(&v1, MB_BASE36, out));
    if (strlen(out) > DNS_LABEL_MAX_CHARS)
        return fail(ERR_INVALID, "CID incompatible with DNS label length limit of 63: %s", out);
    return OK;
}

/* A name that is written as a peer ID, or a CID. */
static bool parse_root(bytes_t text, bool is_name, cid_t *ret)
{
    peer_id_t peer;
    char word[PEER_ID_TEXT_MAX];
    if (is_name && text.len < sizeof word) {
        memcpy(word, text.data, text.len);
        word[text.len] = 0;
        if (strlen(word) == text.len && !peer_id_parse(word, &peer))
            return !cid_from_multihash(peer_id_bytes(&peer), CODEC_LIBP2P_KEY, ret);
    }
    return !cid_parse(text, ret);
}

static err_t cstr(bytes_t text, buf_t *out, const char **ret)
{
    buf_clear(out);
    TRY(buf_append(out, text));
    return buf_cstr(out, ret);
}

/* "my-v--long-example-com" to "my.v-long.example.com" in *out. */
static err_t uninline(bytes_t label, buf_t *out)
{
    AUTO(buf_t) text = {0};
    const char *word;
    buf_init(&text, GATEWAY_NAME_MAX_BYTES);
    TRY(cstr(label, &text, &word));
    buf_clear(out);
    return dns_label_uninline(word, out);
}

static bool looks_inlined(bytes_t root)
{
    return !memchr(root.data, '.', root.len) && memchr(root.data, '-', root.len);
}

/* A name that is no key: a domain, which over TLS must be one label. */
static err_t label_of_domain(task_t *t, gateway_request_t *r, bytes_t root, bool inlines, buf_t *out)
{
    AUTO(buf_t) domain = {0};
    const char *word;
    buf_init(&domain, GATEWAY_NAME_MAX_BYTES);
    TRY(buf_append(out, root));
    if (looks_inlined(root)) {
        TRY(uninline(root, &domain));
        if (gateway_has_dnslink(t, r, buf_bytes(&domain))) {
            buf_clear(out);
            TRY(buf_append(out, buf_bytes(&domain)));
        }
    }
    bool has_dot = memchr(out->data, '.', out->len) != NULL;
    if (!has_dot || !(inlines || is_https(r)) || !gateway_has_dnslink(t, r, buf_bytes(out)))
        return OK;
    TRY(cstr(buf_bytes(out), &domain, &word));
    buf_clear(out);
    return dns_label_inline(word, out);
}

/* ── redirects to where content has an origin of its own ─────────────────────────────────────── */

/* "/ns/root/rest": rest borrows and has no slash in front. */
static bool split_path(bytes_t path, bytes_t *ns, bytes_t *root, bytes_t *rest)
{
    bytes_t *parts[] = {ns, root};
    path = bytes_slice(path, 1, path.len);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const uint8_t *slash = path.len ? memchr(path.data, '/', path.len) : NULL;
        *parts[i] = bytes_slice(path, 0, slash ? (size_t)(slash - path.data) : path.len);
        path = bytes_slice(path, parts[i]->len + 1, path.len);
    }
    *rest = path;
    return ns->len && root->len;
}

/* The URL on a subdomain of `host` for a path (percent-encoded) into *out; empty: there is none. */
static err_t subdomain_url(task_t *t, gateway_request_t *r, bytes_t host, bytes_t path, bool inlines,
                           buf_t *out)
{
    AUTO(buf_t) root = {0}, label = {0};
    bytes_t ns, encoded, rest;
    cid_t cid;
    char text[CID_TEXT_MAX];
    if (!split_path(path, &ns, &encoded, &rest))
        return OK;
    bool is_name = is_name_space(ns);
    if (!is_name && !bytes_equal(ns, BYTES_LIT("ipfs")) && !bytes_equal(ns, BYTES_LIT("ipld")))
        return OK;
    buf_init(&root, GATEWAY_PATH_MAX_BYTES);
    buf_init(&label, GATEWAY_PATH_MAX_BYTES);
    TRY(percent_decode(encoded, false, &root));
    if (parse_root(buf_bytes(&root), is_name, &cid)) {
        TRY(label_of_cid(&cid, is_name, text));
        TRY(buf_append(&label, bytes_str(text)));
    } else if (!is_name)
        return OK;
    else
        TRY(label_of_domain(t, r, buf_bytes(&root), inlines, &label));
    TRY(buf_printf(out, "%s://", is_https(r) ? "https" : "http"));
    TRY(percent_encode(buf_bytes(&label), NULL, out));
    return buf_printf(out, ".%.*s.%.*s/%.*s%s%s", (int)ns.len, (const char *)ns.data, (int)host.len,
                      (const char *)host.data, (int)rest.len, (const char *)rest.data,
                      r->x->query[0] ? "?" : "", r->x->query);
}

static err_t redirect_to_subdomain(task_t *t, gateway_request_t *r, bytes_t host, bytes_t path, bool inlines,
                                   bool *ret_answered)
{
    AUTO(buf_t) url = {0};
    const char *text;
    buf_init(&url, 2 * GATEWAY_PATH_MAX_BYTES);
    TRY(subdomain_url(t, r, host, path, inlines, &url));
    if (!url.len)
        return OK;
    TRY(buf_cstr(&url, &text));
    *ret_answered = true;
    return gateway_redirect(t, r, 301, text);
}

static bool starts_scheme(bytes_t uri, const char *scheme)
{
    return uri.len >= strlen(scheme) && !strncasecmp((const char *)uri.data, scheme, strlen(scheme));
}

/* /ipfs/?uri=ipfs%3A%2F%2FCID: what browsers send for a protocol handler. */
static err_t redirect_uri(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    AUTO(buf_t) uri = {0}, to = {0};
    const char *text;
    buf_init(&uri, GATEWAY_PATH_MAX_BYTES);
    buf_init(&to, 4 * GATEWAY_PATH_MAX_BYTES);
    if (exchange_query(r->x, "uri", 0, &uri) || !uri.len)
        return OK;
    bytes_t rest = buf_bytes(&uri);
    bool is_ipfs = starts_scheme(rest, "ipfs://");
    *ret_answered = true;
    if (!is_ipfs && !starts_scheme(rest, "ipns://"))
        return gateway_fail(t, r, 400, "uri query parameter scheme must be ipfs or ipns");
    TRY(buf_printf(&to, "/%s/", is_ipfs ? "ipfs" : "ipns"));
    TRY(percent_encode(bytes_slice(rest, sizeof "ipfs://" - 1, rest.len), "/?&=%+:@!$,;*'()#", &to));
    TRY(buf_cstr(&to, &text));
    return gateway_redirect(t, r, 301, text);
}

/* ── the content path ────────────────────────────────────────────────────────────────────────── */

static err_t set_content_path(gateway_request_t *r, bytes_t prefix)
{
    TRY(buf_append(&r->content_path, prefix));
    return percent_decode(bytes_str(r->url_path), false, &r->content_path);
}

static err_t route_dnslink(gateway_request_t *r)
{
    AUTO(buf_t) prefix = {0};
    bytes_t host = host_without_port(buf_bytes(&r->host));
    r->origin = GATEWAY_ON_DNSLINK;
    r->gateway_host = buf_bytes(&r->host);
    buf_init(&prefix, 2 * GATEWAY_NAME_MAX_BYTES);
    TRY(buf_printf(&prefix, "/ipns/%.*s", (int)host.len, (const char *)host.data));
    return set_content_path(r, buf_bytes(&prefix));
}

/* A host that the configuration names. */
static err_t route_known(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    bytes_t host = buf_bytes(&r->host), path = bytes_str(r->url_path);
    if (gateway_host_serves(r->gateway, path)) {
        if (r->gateway->uses_subdomains)
            TRY(redirect_to_subdomain(t, r, host, path, r->gateway->inlines_dnslink, ret_answered));
        return *ret_answered ? OK : set_content_path(r, BYTES_NONE);
    }
    if (!r->gateway->no_dnslink && gateway_has_dnslink(t, r, host))
        return route_dnslink(r);
    *ret_answered = true;
    return gateway_fail(t, r, 404, "404 page not found");
}

/* Is the root of a subdomain in the form that all use, so that a content root has one origin? */
static err_t check_label(task_t *t, gateway_request_t *r, const gateway_subdomain_t *s, const cid_t *cid,
                         bool *ret_answered)
{
    char label[CID_TEXT_MAX];
    bool is_name = is_name_space(s->ns);
    if (s->root.len <= DNS_LABEL_MAX_CHARS && (!is_name || cid->codec == CODEC_LIBP2P_KEY))
        return OK;
    TRY(label_of_cid(cid, is_name, label));
    if (bytes_equal(s->root, bytes_str(label)))
        return OK;
    AUTO(buf_t) path = {0};
    buf_init(&path, 2 * GATEWAY_PATH_MAX_BYTES);
    TRY(buf_printf(&path, "/%.*s/%s%s", (int)s->ns.len, (const char *)s->ns.data, label, r->url_path));
    return redirect_to_subdomain(t, r, s->host, buf_bytes(&path), s->gateway->inlines_dnslink, ret_answered);
}

/* The name behind a label that is no CID: a domain, or one that was made a single label. */
static err_t domain_of_label(task_t *t, gateway_request_t *r, bytes_t root, buf_t *out)
{
    TRY(buf_append(out, root));
    if (!looks_inlined(root))
        return OK;
    AUTO(buf_t) domain = {0};
    buf_init(&domain, GATEWAY_NAME_MAX_BYTES);
    TRY(uninline(root, &domain));
    /* When neither has a DNSLink the error shall speak of the domain that was meant. */
    if (!gateway_has_dnslink(t, r, buf_bytes(&domain)) && gateway_has_dnslink(t, r, root))
        return OK;
    buf_clear(out);
    return buf_append(out, buf_bytes(&domain));
}

static err_t route_subdomain(task_t *t, gateway_request_t *r, const gateway_subdomain_t *s,
                             bool *ret_answered)
{
    AUTO(buf_t) prefix = {0}, name = {0};
    cid_t cid;
    r->gateway = s->gateway;
    r->origin = GATEWAY_ON_SUBDOMAIN;
    r->gateway_host = s->host;
    buf_init(&prefix, 2 * GATEWAY_NAME_MAX_BYTES);
    buf_init(&name, GATEWAY_NAME_MAX_BYTES);
    TRY(buf_printf(&prefix, "/%.*s/", (int)s->ns.len, (const char *)s->ns.data));
    if (!s->gateway->uses_subdomains || !gateway_host_serves(s->gateway, buf_bytes(&prefix))) {
        *ret_answered = true;
        return gateway_fail(t, r, 404, "404 page not found");
    }
    if (!cid_parse(s->root, &cid)) {
        TRY(check_label(t, r, s, &cid, ret_answered));
        TRY(buf_append(&name, s->root));
    } else if (bytes_equal(s->ns, BYTES_LIT("ipns")))
        TRY(domain_of_label(t, r, s->root, &name));
    else
        TRY(buf_append(&name, s->root));
    if (*ret_answered)
        return OK;
    TRY(buf_append(&prefix, buf_bytes(&name)));
    return set_content_path(r, buf_bytes(&prefix));
}

err_t gateway_route(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    gateway_subdomain_t subdomain;
    *ret_answered = false;
    TRY(learn_host(r));
    if (r->x->query[0])
        TRY(redirect_uri(t, r, ret_answered));
    if (*ret_answered)
        return OK;
    bytes_t host = buf_bytes(&r->host);
    r->gateway = gateway_settings_host(r->settings, host);
    if (r->gateway)
        return route_known(t, r, ret_answered);
    if (!host.len || host_is_address(host))
        return set_content_path(r, BYTES_NONE);
    if (gateway_settings_subdomain(r->settings, host, &subdomain))
        return route_subdomain(t, r, &subdomain, ret_answered);
    if (!r->settings->no_dnslink && gateway_has_dnslink(t, r, host))
        return route_dnslink(r);
    return set_content_path(r, BYTES_NONE);
}
