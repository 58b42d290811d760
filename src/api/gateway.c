#include "api/gateway.h"
#include "api/api_internal.h"
#include "base/log.h"
#include "base/metrics.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { RETRIEVAL_TIMEOUT_MS = 30000, PATH_MAX_BYTES = 16 << 10, HEADER_MAX_BYTES = 8 << 10 };

static const char immutable[] = "public, max-age=29030400, immutable";

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */

static err_t set_cors(exchange_t *x)
{
    TRY(exchange_set_header(x, "Access-Control-Allow-Origin", "*"));
    TRY(exchange_set_header(x, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"));
    TRY(exchange_set_header(x, "Access-Control-Allow-Headers",
                            "Content-Type, Range, User-Agent, X-Requested-With"));
    return exchange_set_header(
        x, "Access-Control-Expose-Headers",
        "Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output");
}

err_t gateway_fail(task_t *t, gateway_request_t *r, int status, const char *text)
{
    AUTO(buf_t) body = {0};
    buf_init(&body, 4096);
    TRY(buf_printf(&body, "%s\n", text));
    TRY(set_cors(r->x));
    TRY(exchange_set_header(r->x, "Cache-Control", "no-cache"));
    TRY(exchange_set_header(r->x, "X-Content-Type-Options", "nosniff"));
    return exchange_reply(t, r->x, status, "text/plain; charset=utf-8", buf_bytes(&body));
}

/* What an error of the parts means over HTTP. */
static int status_of(err_t e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return 404;
    case ERR_INVALID:
    case ERR_USAGE:
    case ERR_LIMIT:
        return 400;
    case ERR_TIMEOUT:
        return 504;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_DENIED:
        return 403;
    default:
        return 500;
    }
}

/* The path as it was asked for may hold bytes that a header must not. */
static bool is_header_safe(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

const char *gateway_cid_text(gateway_request_t *r)
{
    if (!r->cid_text[0])
        cid_print(&r->cid, r->cid_text);
    return r->cid_text;
}

err_t gateway_set_path_headers(gateway_request_t *r)
{
    const char *roots;
    TRY(set_cors(r->x));
    if (is_header_safe(r->x->path))
        TRY(exchange_set_header(r->x, "X-Ipfs-Path", r->x->path));
    TRY(buf_cstr(&r->roots, &roots));
    return *roots ? exchange_set_header(r->x, "X-Ipfs-Roots", roots) : OK;
}

err_t gateway_set_headers(gateway_request_t *r, const char *etag, const char *cache_control)
{
    exchange_t *x = r->x;
    TRY(gateway_set_path_headers(r));
    TRY(exchange_set_header(x, "Etag", etag));
    return exchange_set_header(x, "Cache-Control", cache_control ? cache_control : immutable);
}

bool gateway_is_unchanged(exchange_t *x, const char *etag)
{
    const char *p = exchange_header(x, "If-None-Match");
    size_t len = strlen(etag);
    while (p && *p) {
        p += strspn(p, " \t,");
        if (*p == '*')
            return true;
        if (!strncmp(p, "W/", 2))
            p += 2;
        if (!strncmp(p, etag, len) && (!p[len] || strchr(" \t,", p[len])))
            return true;
        p = strchr(p, ',');
    }
    return false;
}

/* ── reading the request ─────────────────────────────────────────────────────────────────────── */

static err_t parse_path(gateway_request_t *r)
{
    const char *rest = r->x->path + sizeof "/ipfs/" - 1;
    TRY(percent_decode(bytes_str(rest), false, &r->decoded));
    bytes_t text = buf_bytes(&r->decoded);
    if (!text.len)
        return fail(ERR_INVALID, "invalid path \"/ipfs/\": path does not have enough components");
    r->ends_in_slash = text.data[text.len - 1] == '/';
    return dag_path_parse(text, &r->path);
}

/* raw by ?format=raw or the Accept header; other formats are not made here. ?format= beats Accept
 * (IPIP-0523). */
static err_t wanted_format(exchange_t *x, bool *ret_raw)
{
    AUTO(buf_t) format = {0};
    buf_init(&format, 64);
    *ret_raw = false;
    if (x->query[0] && !exchange_query(x, "format", 0, &format)) {
        *ret_raw = bytes_equal(buf_bytes(&format), BYTES_LIT("raw"));
        return *ret_raw ? OK
                        : fail(ERR_UNSUPPORTED, "this format is not served here: raw blocks and files are");
    }
    const char *accept = exchange_header(x, "Accept");
    *ret_raw = accept && strstr(accept, "application/vnd.ipld.raw");
    return OK;
}

/* Everything that may be waited for gets the time for retrieval anew: a large file may take as long as it
 * comes. */
static void add_root(void *arg, const cid_t *cid)
{
    gateway_request_t *r = arg;
    char text[CID_TEXT_MAX];
    if (buf_printf(&r->roots, "%s%s", r->roots.len ? "," : "", cid_print(cid, text)))
        buf_clear(&r->roots);
}

static err_t resolve(task_t *t, gateway_request_t *r, bool raw)
{
    buf_clear(&r->roots);
    TRY(dag_path_follow(t, r->blocks, &r->path, add_root, r, &r->cid));
    return raw ? OK : dag_node_get(t, r->blocks, &r->cid, &r->node);
}

/* Gateway.NoFetch: what is not here is not looked for elsewhere. */
bool gateway_may_fetch(gateway_request_t *r)
{
    return node_is_online(r->api->node) &&
           !config_bool(repo_config(node_repo(r->api->node)), "Gateway.NoFetch", false);
}

static err_t resolve_anywhere(task_t *t, gateway_request_t *r, bool raw)
{
    r->blocks = node_local_blocks(r->api->node);
    err_t e = resolve(t, r, raw);
    bool is_missing_block = e == ERR_NOT_FOUND && !dag_path_is_no_link(e);
    if (!is_missing_block || !gateway_may_fetch(r))
        return e;
    const char *cache = exchange_header(r->x, "Cache-Control");
    if (cache && strstr(cache, "only-if-cached"))
        return fail(ERR_OFFLINE, "not in the local store");
    TRY(node_session_open(r->api->node, false, &r->session));
    r->blocks = r->session.blocks;
    deadline_t d = deadline_push(t, RETRIEVAL_TIMEOUT_MS);
    e = resolve(t, r, raw);
    deadline_pop(t, &d);
    return e;
}

/* The name that the content type goes by: ?filename=, else the last name of the path. */
static void name_of(gateway_request_t *r, char *out, size_t cap)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, 1024);
    bytes_t name = r->path.count ? r->path.segments[r->path.count - 1] : BYTES_NONE;
    if (r->x->query[0] && !exchange_query(r->x, "filename", 0, &value))
        name = buf_bytes(&value);
    snprintf(out, cap, "%.*s", (int)(name.len < cap ? name.len : cap - 1),
             name.len ? (const char *)name.data : "");
}

/* What lies below a node that is here may not be: it is read through a session, which asks the network for
 * what is missing. A file of one block, the common case, needs none. */
static err_t widen(gateway_request_t *r)
{
    if (r->session.session || !r->node.pb.link_count || !gateway_may_fetch(r))
        return OK;
    TRY(node_session_open(r->api->node, false, &r->session));
    r->blocks = r->session.blocks;
    return OK;
}

static err_t serve(task_t *t, gateway_request_t *r)
{
    bool raw;
    char name[1024], etag[CID_TEXT_MAX + 8];
    TRY(wanted_format(r->x, &raw));
    TRY(parse_path(r));
    TRY(resolve_anywhere(t, r, raw));
    if (raw)
        return gateway_serve_raw(t, r);
    TRY(widen(r));
    if (dag_node_is_dir(&r->node))
        return gateway_serve_directory(t, r);
    snprintf(etag, sizeof etag, "\"%s\"", gateway_cid_text(r));
    name_of(r, name, sizeof name);
    return gateway_serve_file(t, r, name, etag);
}

static void request_deinit(gateway_request_t *r)
{
    dag_node_deinit(&r->node);
    node_session_close(&r->session);
    buf_deinit(&r->decoded);
    buf_deinit(&r->roots);
}

static err_t serve_ipfs(task_t *t, api_t *api, exchange_t *x)
{
    gateway_request_t *r = xcalloc(1, sizeof *r);
    r->api = api;
    r->x = x;
    buf_init(&r->decoded, PATH_MAX_BYTES);
    buf_init(&r->roots, HEADER_MAX_BYTES);
    err_t e = serve(t, r);
    if (e && !x->has_begun && !exchange_is_gone(x)) {
        char text[ERROR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", error_text(e));
        e = gateway_fail(t, r, e == ERR_OFFLINE ? 412 : status_of(e), text);
    }
    request_deinit(r);
    free(r);
    return e;
}

/* ── the face ────────────────────────────────────────────────────────────────────────────────── */

static metric_t *request_counter(size_t class)
{
    static const char *const labels[] = {"code=\"other\"", "code=\"1xx\"", "code=\"2xx\"",
                                         "code=\"3xx\"",   "code=\"4xx\"", "code=\"5xx\""};
    return metric_counter("gateway_requests_total", labels[class], "Requests that the gateway answered.");
}

enum { STATUS_CLASSES = 6 };
static metric_t *request_counters[STATUS_CLASSES];

void gateway_metrics_start(void)
{
    for (size_t i = 0; i < STATUS_CLASSES; i++)
        request_counters[i] = request_counter(i);
}

static void count_request(const exchange_t *x)
{
    bool is_known = x->status >= 100 && x->status < 600;
    metric_add(request_counters[is_known ? (size_t)x->status / 100 : 0], 1);
}

/* Gateway.RootRedirect: where the bare host leads. */
static err_t serve_root(task_t *t, api_t *api, exchange_t *x)
{
    const char *to = config_str(repo_config(node_repo(api->node)), "Gateway.RootRedirect", "");
    if (!*to || !is_header_safe(to))
        return exchange_reply(t, x, 404, "text/plain; charset=utf-8",
                              BYTES_LIT("404 page not found: content is below /ipfs/CID\n"));
    TRY(exchange_set_header(x, "Location", to));
    return exchange_reply(t, x, 302, "text/plain; charset=utf-8", BYTES_NONE);
}

static err_t answer(task_t *t, api_t *api, exchange_t *x)
{
    if (!strcmp(x->method, "OPTIONS")) {
        TRY(set_cors(x));
        TRY(exchange_set_header(x, "Allow", "GET, HEAD, OPTIONS"));
        return exchange_begin(x, 200, 0);
    }
    if (strcmp(x->method, "GET") && strcmp(x->method, "HEAD")) {
        TRY(exchange_set_header(x, "Allow", "GET, HEAD, OPTIONS"));
        return exchange_reply(t, x, 405, "text/plain; charset=utf-8",
                              BYTES_LIT("405 - Method Not Allowed\n"));
    }
    if (!strncmp(x->path, "/ipfs/", 6))
        return serve_ipfs(t, api, x);
    if (!strcmp(x->path, "/"))
        return serve_root(t, api, x);
    if (!strcmp(x->path, "/ipfs")) {
        TRY(set_cors(x));
        TRY(exchange_set_header(x, "Location", "/ipfs/"));
        return exchange_reply(t, x, 307, "text/html; charset=utf-8",
                              BYTES_LIT("<a href=\"/ipfs/\">Temporary Redirect</a>.\n\n"));
    }
    if (!strncmp(x->path, "/ipns/", 6))
        return exchange_reply(t, x, 501, "text/plain; charset=utf-8",
                              BYTES_LIT("names under /ipns/ are not served here yet\n"));
    return exchange_reply(t, x, 404, "text/plain; charset=utf-8",
                          BYTES_LIT("404 page not found: content is below /ipfs/CID\n"));
}

err_t api_gateway(task_t *t, exchange_t *x, void *arg)
{
    api_begin_trace(t, x);
    err_t e = answer(t, arg, x);
    count_request(x);
    return e;
}
