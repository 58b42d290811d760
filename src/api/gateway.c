#include "api/gateway.h"
#include "api/clean_path.h"
#include "api/routing_v1.h"
#include "api/trace.h"
#include "base/version.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char no_page[] = "404 page not found: content is below /ipfs/CID\n";

static err_t reply_text(task_t *t, exchange_t *x, int status, const char *text)
{
    TRY(exchange_set_header(x, "X-Content-Type-Options", "nosniff"));
    return exchange_reply(t, x, status, "text/plain; charset=utf-8", bytes_str(text));
}

static const char allowed_methods[] = "GET, HEAD, OPTIONS";

static err_t refuse_method(task_t *t, exchange_t *x)
{
    TRY(exchange_set_header(x, "Allow", allowed_methods));
    return reply_text(t, x, 405, "405 - Method Not Allowed\n");
}

/* ── the content path as it was asked for ────────────────────────────────────────────────────── */

/* The n-th name of the content path ("ipfs" is the 0th); empty behind the last. */
static bytes_t component(const gateway_request_t *r, size_t n)
{
    bytes_t rest = buf_bytes(&r->content_path);
    for (;;) {
        while (rest.len && rest.data[0] == '/')
            rest = bytes_slice(rest, 1, rest.len);
        const uint8_t *slash = rest.len ? memchr(rest.data, '/', rest.len) : NULL;
        bytes_t name = bytes_slice(rest, 0, slash ? (size_t)(slash - rest.data) : rest.len);
        if (!n-- || !name.len)
            return name;
        rest = bytes_slice(rest, name.len, rest.len);
    }
}

/* The last name of the path behind the root; empty when the root itself is asked for. */
static void name_of(gateway_request_t *r, char *out, size_t cap)
{
    *out = 0;
    if (component(r, 2).len) {
        bytes_t path = buf_bytes(&r->content_path);
        while (path.data[path.len - 1] == '/')
            path.len--;
        size_t at = path.len;
        while (path.data[at - 1] != '/')
            at--;
        snprintf(out, cap, "%.*s", (int)(path.len - at), (const char *)path.data + at);
    }
}

/* A worker that a page registers at the root of a name space would answer for all content under it. */
static err_t refuse_service_worker(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    const char *header = exchange_header(r->x, "Service-Worker");
    bytes_t path = buf_bytes(&r->content_path);
    if (!header || strcmp(header, "script") || component(r, 2).len || path.data[path.len - 1] == '/')
        return OK;
    *ret_answered = true;
    return gateway_fail(t, r, 400, "navigator.serviceWorker: registration is not allowed for this scope");
}

/* /ipns/12D3… and /ipns/Qm… to the CID in base36, which fits in a host name. */
static err_t redirect_peer_id(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    AUTO(buf_t) to = {0};
    peer_id_t peer;
    char word[PEER_ID_TEXT_MAX], canonical[PEER_ID_TEXT_MAX];
    const char *text;
    bytes_t name = component(r, 1);
    if (r->origin == GATEWAY_ON_DNSLINK || name.len >= sizeof word)
        return OK;
    memcpy(word, name.data, name.len);
    word[name.len] = 0;
    if (strlen(word) != name.len || peer_id_parse(word, &peer) ||
        peer_id_print_cid(&peer, MB_BASE36, canonical) || !strcmp(word, canonical))
        return OK;
    size_t at = (size_t)(name.data - r->content_path.data) + name.len;
    buf_init(&to, 4 * GATEWAY_PATH_MAX_BYTES);
    TRY(buf_printf(&to, "/ipns/%s", canonical));
    TRY(percent_encode(bytes_slice(buf_bytes(&r->content_path), at, r->content_path.len), "/$&+,:;=@", &to));
    TRY(buf_printf(&to, "%s%s", r->x->query[0] ? "?" : "", r->x->query));
    TRY(buf_cstr(&to, &text));
    *ret_answered = true;
    return gateway_redirect(t, r, 302, text);
}

/* /ipfs/ipfs/CID and /ipfs/ipns/NAME: what people paste. */
static err_t redirect_doubled(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    AUTO(buf_t) to = {0};
    const char *text;
    bytes_t inner = component(r, 1);
    bool is_doubled = bytes_equal(component(r, 0), BYTES_LIT("ipfs")) && component(r, 2).len &&
                      (bytes_equal(inner, BYTES_LIT("ipfs")) || bytes_equal(inner, BYTES_LIT("ipns")));
    if (!is_doubled || strncmp(r->url_path, "/ipfs/ip", 8) != 0)
        return OK;
    buf_init(&to, 2 * GATEWAY_PATH_MAX_BYTES);
    TRY(buf_printf(&to, "%s%s%s", r->url_path + sizeof "/ipfs" - 1, r->x->query[0] ? "?" : "", r->x->query));
    TRY(buf_cstr(&to, &text));
    *ret_answered = true;
    return gateway_redirect(t, r, 301, text);
}

static err_t correct_path(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    TRY(refuse_service_worker(t, r, ret_answered));
    if (!*ret_answered && bytes_equal(component(r, 0), BYTES_LIT("ipns")))
        TRY(redirect_peer_id(t, r, ret_answered));
    return *ret_answered ? OK : redirect_doubled(t, r, ret_answered);
}

/* ── the format ──────────────────────────────────────────────────────────────────────────────── */

/* "a=b&" of the query as it was sent: a word that names another format, or none, would count first. */
static err_t put_query_without_format(const gateway_request_t *r, buf_t *url)
{
    bytes_t rest = bytes_str(r->x->query);
    while (rest.len) {
        const uint8_t *end = memchr(rest.data, '&', rest.len);
        bytes_t pair = bytes_slice(rest, 0, end ? (size_t)(end - rest.data) : rest.len);
        rest = bytes_slice(rest, pair.len + 1, rest.len);
        if (pair.len && !bytes_starts_with(pair, BYTES_LIT("format=")) &&
            !bytes_equal(pair, BYTES_LIT("format")))
            TRY(buf_printf(url, "%.*s&", (int)pair.len, (const char *)pair.data));
    }
    return OK;
}

/* The URL that always gives this format, for caches: IPIP-0337. */
static err_t set_content_location(gateway_request_t *r)
{
    AUTO(buf_t) url = {0};
    const char *text, *word = gateway_format_word(r->format);
    bytes_t params = r->params, name, value;
    buf_init(&url, 2 * GATEWAY_PATH_MAX_BYTES);
    TRY(buf_printf(&url, "%s?", r->url_path));
    TRY(put_query_without_format(r, &url));
    TRY(buf_printf(&url, "format=%s", word));
    while (gateway_format_next_param(&params, &name, &value)) {
        char key[64];
        if (bytes_equal(name, BYTES_LIT("q")))
            continue; /* says which type, not which archive */
        snprintf(key, sizeof key, "%s-%.*s", word, (int)name.len, (const char *)name.data);
        if (exchange_has_query(r->x, key))
            continue;
        TRY(buf_printf(&url, "&"));
        TRY(percent_encode(bytes_str(key), NULL, &url));
        TRY(buf_printf(&url, "="));
        TRY(percent_encode(value, NULL, &url));
    }
    TRY(buf_cstr(&url, &text));
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return OK;
    return exchange_set_header(r->x, "Content-Location", text);
}

static err_t read_format(gateway_request_t *r)
{
    AUTO(buf_t) word = {0};
    buf_init(&word, GATEWAY_PATH_MAX_BYTES);
    if (r->x->query[0] && exchange_query(r->x, "format", 0, &word))
        buf_clear(&word);
    r->format = gateway_format_of(buf_bytes(&word), exchange_header(r->x, "Accept"), &r->params);
    if (r->format == GATEWAY_FORMAT_WEB || r->format == GATEWAY_FORMAT_UNKNOWN ||
        bytes_equal(buf_bytes(&word), bytes_str(gateway_format_word(r->format))))
        return OK;
    return set_content_location(r);
}

/* What a client can verify by itself: blocks and CARs of a CID, records of a key. */
static bool is_trustless(const gateway_request_t *r)
{
    cid_t cid;
    peer_id_t peer;
    char word[PEER_ID_TEXT_MAX];
    bytes_t root = component(r, 1);
    if (r->format != GATEWAY_FORMAT_CAR && component(r, 2).len)
        return false;
    if (bytes_equal(component(r, 0), BYTES_LIT("ipfs")))
        return (r->format == GATEWAY_FORMAT_RAW || r->format == GATEWAY_FORMAT_CAR) && !cid_parse(root, &cid);
    if (r->format != GATEWAY_FORMAT_IPNS_RECORD || root.len >= sizeof word)
        return false;
    memcpy(word, root.data, root.len);
    word[root.len] = 0;
    return !peer_id_parse(word, &peer);
}

static bool is_allowed(const gateway_request_t *r)
{
    return (r->gateway ? r->gateway->deserializes : r->settings->deserializes) || is_trustless(r);
}

/* ── serving ─────────────────────────────────────────────────────────────────────────────────── */

static bool is_codec_document(uint64_t codec)
{
    return codec == CODEC_JSON || codec == CODEC_CBOR || codec == CODEC_DAG_JSON || codec == CODEC_DAG_CBOR;
}

/* The client has what it would get: told before anything is read. */
static err_t answer_unchanged(gateway_request_t *r, bool *ret_answered)
{
    char own[GATEWAY_ETAG_MAX], dir[GATEWAY_ETAG_MAX], page[GATEWAY_ETAG_MAX];
    if (!exchange_header(r->x, "If-None-Match"))
        return OK;
    const char *etags[] = {gateway_etag(r, own), gateway_dir_etag(r, dir), gateway_dag_page_etag(r, page)};
    for (size_t i = 0; i < ARRAY_LEN(etags) && !*ret_answered; i++)
        if (gateway_is_unchanged(r->x, etags[i])) {
            *ret_answered = true;
            return gateway_reply_unchanged(r, etags[i]);
        }
    return OK;
}

/* The time that a file or folder carries (UnixFS 1.5) says more than when its name was looked up. */
static err_t learn_modified(gateway_request_t *r, bool *ret_answered)
{
    char etag[GATEWAY_ETAG_MAX];
    if (!r->node.fs.has_mtime)
        return OK;
    r->modified_s = r->node.fs.mtime.seconds;
    if (!gateway_is_unchanged_since(r))
        return OK;
    *ret_answered = true;
    return gateway_reply_unchanged(r, gateway_etag(r, etag));
}

static err_t serve_unixfs(task_t *t, gateway_request_t *r)
{
    bool is_answered = false;
    char name[GATEWAY_NAME_MAX_BYTES], etag[GATEWAY_ETAG_MAX];
    TRY(gateway_read_node(t, r));
    TRY(learn_modified(r, &is_answered));
    if (is_answered)
        return OK;
    if (dag_node_is_dir(&r->node))
        return gateway_serve_directory(t, r);
    name_of(r, name, sizeof name);
    return gateway_serve_file(t, r, name, gateway_etag(r, etag));
}

static err_t serve_object(task_t *t, gateway_request_t *r)
{
    char name[GATEWAY_NAME_MAX_BYTES];
    name_of(r, name, sizeof name);
    return gateway_serve_object(t, r, name);
}

static err_t serve_resolved(task_t *t, gateway_request_t *r)
{
    bool is_answered = false;
    TRY(answer_unchanged(r, &is_answered));
    if (is_answered)
        return OK;
    switch (r->format) {
    case GATEWAY_FORMAT_WEB:
    case GATEWAY_FORMAT_JSON:
    case GATEWAY_FORMAT_CBOR:
        return is_codec_document(r->cid.codec)                                   ? gateway_serve_codec(t, r)
               : r->cid.codec == CODEC_GIT_RAW || r->cid.codec == CODEC_DAG_JOSE ? serve_object(t, r)
                                                                                 : serve_unixfs(t, r);
    case GATEWAY_FORMAT_RAW:
        return gateway_serve_raw(t, r);
    case GATEWAY_FORMAT_TAR:
        return gateway_serve_tar(t, r);
    case GATEWAY_FORMAT_DAG_JSON:
    case GATEWAY_FORMAT_DAG_CBOR:
        return gateway_serve_codec(t, r);
    default:
        return gateway_fail(t, r, 400, "unsupported response format requested");
    }
}

/* Rules of a site apply only where it has an origin of its own: they would steer other content, too. */
static err_t resolve(task_t *t, gateway_request_t *r, bool *ret_answered)
{
    err_t e = gateway_resolve(t, r);
    if (e != ERR_NOT_FOUND || r->format != GATEWAY_FORMAT_WEB || r->origin == GATEWAY_ON_PATH)
        return e;
    error_slot_t why = *error_slot();
    bool is_again = false;
    TRY(gateway_apply_redirects(t, r, ret_answered, &is_again));
    if (*ret_answered)
        return OK;
    *error_slot() = why;
    return is_again ? gateway_resolve(t, r) : e;
}

static err_t serve_content_path(task_t *t, gateway_request_t *r)
{
    bool is_answered = false;
    TRY(correct_path(t, r, &is_answered));
    if (is_answered)
        return OK;
    const char *cache = exchange_header(r->x, "Cache-Control");
    r->is_cached_only = cache && strcasestr(cache, "only-if-cached");
    TRY(read_format(r));
    if (!is_allowed(r))
        return gateway_fail(t, r, 406,
                            "only trustless requests are accepted on this gateway: "
                            "https://specs.ipfs.tech/http-gateways/trustless-gateway/");
    TRY(node_check_path(r->api->node, buf_bytes(&r->content_path)));
    if (r->format == GATEWAY_FORMAT_IPNS_RECORD)
        return gateway_serve_ipns_record(t, r);
    TRY(gateway_resolve_names(t, r));
    if (r->is_mutable)
        TRY(node_check_path(r->api->node, buf_bytes(&r->immutable_path)));
    if (r->format == GATEWAY_FORMAT_CAR)
        return gateway_serve_car(t, r);
    TRY(resolve(t, r, &is_answered));
    return is_answered ? OK : serve_resolved(t, r);
}

/* ── what is not content ─────────────────────────────────────────────────────────────────────── */

/* Gateway.RootRedirect: where the bare host leads. */
static err_t serve_other(task_t *t, gateway_request_t *r)
{
    char text[160];
    bytes_t path = buf_bytes(&r->content_path);
    if (bytes_equal(path, BYTES_LIT("/")) && r->settings->root_redirect[0])
        return gateway_redirect(t, r, 302, r->settings->root_redirect);
    if (bytes_equal(path, BYTES_LIT("/ipfs")))
        return gateway_redirect(t, r, 307, "/ipfs/");
    if (bytes_equal(path, BYTES_LIT("/ipns")))
        return gateway_redirect(t, r, 307, "/ipns/");
    if (bytes_equal(path, BYTES_LIT("/version"))) {
        snprintf(text, sizeof text, "Commit: \nClient Version: %s\n", DISTRIBUTE_AGENT);
        return reply_text(t, r->x, 200, text);
    }
    return reply_text(t, r->x, 404, no_page);
}

static err_t serve(task_t *t, gateway_request_t *r)
{
    bool is_answered;
    TRY(gateway_route(t, r, &is_answered));
    if (is_answered)
        return OK;
    size_t len = strlen(r->url_path);
    r->ends_in_slash = len && r->url_path[len - 1] == '/';
    /* A site may have a path of that name; the gateway has it where `Paths` says so, and on other hosts. */
    if (r->settings->exposes_routing && r->origin == GATEWAY_ON_PATH && routing_v1_is_path(r->x->path))
        return routing_v1_serve(t, r->api, r->x);
    if (strcmp(r->x->method, "GET") && strcmp(r->x->method, "HEAD"))
        return refuse_method(t, r->x);
    bool is_content = bytes_starts_with(buf_bytes(&r->content_path), BYTES_LIT("/ipfs/")) ||
                      bytes_starts_with(buf_bytes(&r->content_path), BYTES_LIT("/ipns/"));
    return is_content ? serve_content_path(t, r) : serve_other(t, r);
}

static void request_deinit(gateway_request_t *r)
{
    dag_node_deinit(&r->node);
    node_session_close(&r->session);
    buf_deinit(&r->host);
    buf_deinit(&r->content_path);
    buf_deinit(&r->immutable_path);
    buf_deinit(&r->roots);
}

static gateway_request_t *request_new(api_t *api, exchange_t *x)
{
    gateway_request_t *r = xcalloc(1, sizeof *r);
    r->api = api;
    r->settings = &api->gateway;
    r->x = x;
    r->url_path = x->path;
    r->blocks = node_local_blocks(api->node);
    buf_init(&r->host, GATEWAY_NAME_MAX_BYTES);
    buf_init(&r->content_path, GATEWAY_PATH_MAX_BYTES + GATEWAY_NAME_MAX_BYTES);
    buf_init(&r->immutable_path, 2 * GATEWAY_PATH_MAX_BYTES);
    buf_init(&r->roots, GATEWAY_HEADER_MAX_BYTES);
    return r;
}

enum { PATH_SHOWN_BYTES = 512 };

static err_t fail_request(task_t *t, gateway_request_t *r, err_t e)
{
    if (r->x->has_begun && e == ERR_TIMEOUT)
        gateway_count_timeout(r->x->status);
    if (r->x->has_begun || exchange_is_gone(r->x))
        return e;
    if (e == ERR_TIMEOUT)
        gateway_count_timeout(504);
    char text[ERROR_TEXT_MAX + PATH_SHOWN_BYTES];
    bytes_t path =
        bytes_slice(buf_bytes(&r->content_path), 0, PATH_SHOWN_BYTES - sizeof "failed to resolve : ");
    bool is_of_path = (r->path.root.version || r->is_mutable) && e != ERR_INVALID && e != ERR_USAGE;
    if (is_of_path)
        snprintf(text, sizeof text, "failed to resolve %.*s: %s", (int)path.len, (const char *)path.data,
                 error_text(e));
    else
        snprintf(text, sizeof text, "%s", error_text(e));
    bool is_uncached = r->is_cached_only && (e == ERR_NOT_FOUND || e == ERR_OFFLINE);
    return gateway_fail(t, r, is_uncached ? 412 : gateway_status_of(e), text);
}

static err_t serve_request(task_t *t, api_t *api, exchange_t *x)
{
    gateway_request_t *r = request_new(api, x);
    deadline_t d = deadline_push(t, api->gateway.max_duration_ms);
    err_t e = serve(t, r);
    deadline_pop(t, &d);
    if (e)
        e = fail_request(t, r, e);
    request_deinit(r);
    free(r);
    return e;
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */

static err_t set_common_headers(const gateway_settings_t *s, exchange_t *x)
{
    for (size_t i = 0; i < s->n_headers; i++)
        TRY(exchange_set_header(x, s->headers[i].name, s->headers[i].value));
    return OK;
}

static err_t refuse_now(task_t *t, api_t *api, exchange_t *x)
{
    gateway_request_t *r = request_new(api, x);
    err_t e = gateway_fail(t, r, 429, "too many requests at once: try again later");
    request_deinit(r);
    free(r);
    return e;
}

static err_t answer_within_limit(task_t *t, api_t *api, exchange_t *x)
{
    uint64_t max = api->gateway.max_concurrent;
    if (max && api->gateway_running >= max)
        return refuse_now(t, api, x);
    gateway_count_running(++api->gateway_running);
    err_t e = serve_request(t, api, x);
    gateway_count_running(--api->gateway_running);
    return e;
}

static err_t answer(task_t *t, api_t *api, exchange_t *x)
{
    if (!strcmp(x->method, "CONNECT")) /* a proxy's tunnel ends here: what follows are requests to us */
        return x->has_tunnels ? exchange_begin(x, 200, 0)
                              : reply_text(t, x, 501, "no tunnels here: ask for http://host/path\n");
    bool was_redirected;
    TRY(reply_clean_path(t, x, &was_redirected));
    if (was_redirected)
        return OK;
    TRY(set_common_headers(&api->gateway, x));
    bool is_options = !strcmp(x->method, "OPTIONS");
    bool is_routing = api->gateway.exposes_routing && routing_v1_is_path(x->path);
    if (!is_options && (is_routing || !strcmp(x->method, "GET") || !strcmp(x->method, "HEAD")))
        return answer_within_limit(t, api, x);
    if (!is_options)
        return refuse_method(t, x);
    TRY(exchange_set_header(x, "Allow", allowed_methods));
    return exchange_begin(x, 200, 0);
}

err_t api_gateway(task_t *t, exchange_t *x, void *arg)
{
    api_begin_trace(t, arg, x);
    api_span_t span = api_span_begin(t, x, "gateway");
    err_t e = answer(t, arg, x);
    api_span_end(t, x, &span, e);
    gateway_count_answer(x->status);
    return e;
}
