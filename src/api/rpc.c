#include "api/rpc.h"
#include "api/api_internal.h"
#include "api/rpc_util.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "base/version.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const rpc_command_t *const tables[] = {
    rpc_car_commands,  rpc_content_commands, rpc_block_commands,   rpc_pin_commands,
    rpc_repo_commands, rpc_network_commands, rpc_routing_commands, rpc_node_commands,
};

void rpc_each_command(void (*visit)(void *arg, const char *path), void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const rpc_command_t *c = tables[i]; c->path; c++)
            visit(arg, c->path);
}

static const rpc_command_t *find_command(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const rpc_command_t *c = tables[i]; c->path; c++)
            if (!strcmp(c->path, path))
                return c;
    return NULL;
}

/* ── output ──────────────────────────────────────────────────────────────────────────────────── */

static err_t begin_stream(rpc_t *r, const char *content_type, const char *marker, int64_t length)
{
    if (r->is_streaming)
        return OK;
    TRY(exchange_set_header(r->x, "Content-Type", content_type));
    TRY(exchange_set_header(r->x, marker, "1"));
    if (length < 0)
        TRY(exchange_set_header(r->x, "Trailer", "X-Stream-Error"));
    TRY(exchange_begin(r->x, 200, length));
    r->is_streaming = true;
    return OK;
}

err_t rpc_emit_text(task_t *t, rpc_t *r, bytes_t json)
{
    TRY(begin_stream(r, "application/json", "X-Chunked-Output", -1));
    return exchange_write(t, r->x, json);
}

err_t rpc_emit(task_t *t, rpc_t *r, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ESCAPE_SLASH * 0) : NULL;
    json_decref(object);
    if (!text)
        return fail(ERR_NO_MEMORY, "cannot make the answer of %s", r->command);
    size_t len = strlen(text);
    text[len] = '\n'; /* in the place of the NUL: the length is known */
    err_t e = rpc_emit_text(t, r, bytes_of(text, len + 1));
    free(text);
    return e;
}

err_t rpc_begin_bytes(task_t *t, rpc_t *r, const char *content_type, int64_t length)
{
    return begin_stream(r, content_type, "X-Stream-Output", length);
}

err_t json_quote(bytes_t text, buf_t *out)
{
    TRY(buf_append_u8(out, '"'));
    while (text.len) {
        uint8_t c = text.data[0];
        size_t n = utf8_length(text);
        if (c == '"' || c == '\\')
            TRY(buf_printf(out, "\\%c", c));
        else if (c < 0x20 || c == 0x7f)
            TRY(buf_printf(out, "\\u%04x", c));
        else
            TRY(buf_append(out, n ? bytes_slice(text, 0, n) : BYTES_LIT("\xef\xbf\xbd")));
        text = bytes_slice(text, n ? n : 1, text.len);
    }
    return buf_append_u8(out, '"');
}

/* ── options ─────────────────────────────────────────────────────────────────────────────────── */

const char *rpc_option(rpc_t *r, const char *name)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, 64 << 10);
    const char *text;
    if (exchange_query(r->x, name, 0, &value) || buf_cstr(&value, &text))
        return NULL;
    if (r->n_options == ARRAY_LEN(r->options))
        return NULL;
    return r->options[r->n_options++] = xstrdup(text);
}

bool rpc_bool(rpc_t *r, const char *name, bool otherwise)
{
    return exchange_query_bool(r->x, name, otherwise);
}

err_t rpc_u64(rpc_t *r, const char *name, uint64_t otherwise, uint64_t *ret)
{
    const char *text = rpc_option(r, name);
    if (!text || !*text) {
        *ret = otherwise;
        return OK;
    }
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*end || *text == '-' || errno)
        return fail(ERR_USAGE, "option %s: \"%s\" is not a whole number", name, text);
    *ret = value;
    return OK;
}

err_t rpc_duration_ms(rpc_t *r, const char *name, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1},
                 {"s", 1e3},   {"m", 6e4},   {"h", 3.6e6}};
    const char *text = rpc_option(r, name);
    double total = 0;
    for (const char *p = text ? text : ""; *p;) {
        char *end;
        double value = strtod(p, &end);
        size_t unit_len = strspn(end, "nus\xc2\xb5mh");
        size_t i = 0;
        while (i < ARRAY_LEN(units) &&
               (strlen(units[i].unit) != unit_len || memcmp(units[i].unit, end, unit_len)))
            i++;
        if (end == p || value < 0 || i == ARRAY_LEN(units))
            return fail(ERR_USAGE, "option %s: \"%s\" is not a duration such as 30s or 1m30s", name, text);
        total += value * units[i].ms;
        p = end + unit_len;
    }
    if (!(total < 1e15))
        return fail(ERR_USAGE, "option %s: the duration is too long", name);
    *ret_ms = total > 0 && total < 1 ? 1 : (uint64_t)total;
    return OK;
}

/* Another base than that of CIDv0 wants CIDv1, unless the client says otherwise (ipfs/kubo
 * core/commands/cmdenv). */
static err_t read_cid_options(rpc_t *r)
{
    const char *base = rpc_option(r, "cid-base");
    if (base && *base && multibase_from_name(base, &r->cid_base))
        return fail(ERR_USAGE, "option cid-base: \"%.40s\" is not a multibase such as base32", base);
    bool is_other = r->cid_base && r->cid_base != MB_BASE58BTC;
    r->upgrades_cids = rpc_bool(r, "upgrade-cidv0-in-output", is_other);
    return OK;
}

const char *rpc_cid(const rpc_t *r, const cid_t *cid, char out[CID_TEXT_MAX])
{
    cid_t shown = *cid;
    if (r->upgrades_cids && cid_to_v1(cid, &shown))
        shown = *cid;
    if (!r->cid_base || cid_print_base(&shown, r->cid_base, out))
        cid_print(&shown, out);
    return out;
}

err_t rpc_need_online(rpc_t *r)
{
    if (node_is_online(r->node))
        return OK;
    return fail(ERR_OFFLINE, "this command must be run in online mode. Try running 'distribute node' first");
}

/* ── who may call ────────────────────────────────────────────────────────────────────────────── */

/* Does an origin ("http://localhost:5001") name this machine's loopback at our port? The port is what the
 * request was addressed to, so that a page served by another local program is not taken for ours. */
static bool is_own_origin(exchange_t *x, const char *origin)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *host_header = exchange_header(x, "Host");
    const char *port = host_header ? strrchr(host_header, ':') : NULL;
    if (!port)
        port = ":80";
    const char *rest = !strncmp(origin, "http://", 7)    ? origin + 7
                       : !strncmp(origin, "https://", 8) ? origin + 8
                                                         : NULL;
    for (size_t i = 0; rest && i < ARRAY_LEN(hosts); i++) {
        size_t n = strlen(hosts[i]);
        if (!strncmp(rest, hosts[i], n) && !strcmp(rest + n, port))
            return true;
    }
    return false;
}

static bool is_allowed_origin(api_t *api, exchange_t *x, const char *origin)
{
    if (is_own_origin(x, origin))
        return true;
    static const char key[] = "API.HTTPHeaders.Access-Control-Allow-Origin";
    const config_t *config = repo_config(node_repo(api->node));
    for (size_t i = 0, n = config_count(config, key); i < n; i++) {
        const char *allowed = config_item(config, key, i);
        if (!strcmp(allowed, "*") || !strcmp(allowed, origin))
            return true;
    }
    return false;
}

/* Cross-site requests are refused as Kubo refuses them: a foreign Origin or Referer, and browsers that send
 * neither. */
static bool is_from_allowed_site(api_t *api, exchange_t *x)
{
    if (x->is_local)
        return true;
    const char *origin = exchange_header(x, "Origin"), *referer = exchange_header(x, "Referer");
    const char *agent = exchange_header(x, "User-Agent");
    if (origin && *origin && !is_allowed_origin(api, x, origin))
        return false;
    if (referer && *referer) {
        char site[256];
        const char *host = strstr(referer, "://");
        size_t n = host ? (size_t)(host + 3 - referer) + strcspn(host + 3, "/?#") : sizeof site;
        if (n >= sizeof site)
            return false;
        memcpy(site, referer, n);
        site[n] = 0;
        if (!is_allowed_origin(api, x, site))
            return false;
    }
    bool is_browser = agent && !strncmp(agent, "Mozilla", 7) && !strstr(agent, "Electron");
    return !is_browser || (origin && *origin) || (referer && *referer);
}

/* ── dispatch ────────────────────────────────────────────────────────────────────────────────── */

static void rpc_deinit(rpc_t *r)
{
    for (size_t i = 0; i < r->n_args; i++)
        free(r->args[i]);
    free(r->args);
    for (size_t i = 0; i < r->n_options; i++)
        free(r->options[i]);
}
AUTO_DEFINE(rpc_t, rpc_deinit)

static err_t collect_args(rpc_t *r, const rpc_command_t *c)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, 64 << 10);
    const char *text;
    while (!exchange_query(r->x, "arg", r->n_args, &value)) {
        if (r->n_args == c->max_args)
            return fail(ERR_USAGE, "expected at most %zu arguments for %s", c->max_args, c->path);
        TRY(buf_cstr(&value, &text));
        r->args = xrealloc(r->args, (r->n_args + 1) * sizeof *r->args);
        r->args[r->n_args++] = xstrdup(text);
    }
    if (r->n_args < c->min_args)
        return fail(ERR_USAGE, "argument \"%s\" is required", c->arg_name ? c->arg_name : "arg");
    return OK;
}

static err_t reply_error(task_t *t, rpc_t *r, err_t e)
{
    AUTO(buf_t) body = {0};
    buf_init(&body, 8 << 10);
    const char *text = error_text(e);
    if (r->is_streaming) { /* the status is gone: the trailer carries it */
        char line[ERROR_TEXT_MAX];
        snprintf(line, sizeof line, "%s", text);
        return exchange_trailer(r->x, "X-Stream-Error", line);
    }
    int status = e == ERR_USAGE ? 400 : e == ERR_UNSUPPORTED ? 501 : e == ERR_UNAUTHORIZED ? 401 : 500;
    TRY(buf_printf(&body, "{\"Message\":"));
    TRY(json_quote(bytes_str(text), &body));
    TRY(buf_printf(&body, ",\"Code\":%d,\"Type\":\"error\"}\n", e == ERR_USAGE ? 1 : 0));
    return exchange_reply(t, r->x, status, "application/json", buf_bytes(&body));
}

static err_t run_command(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    TRY(collect_args(r, c));
    TRY(read_cid_options(r));
    uint64_t timeout_ms;
    TRY(rpc_duration_ms(r, "timeout", &timeout_ms));
    if (!timeout_ms)
        return c->run(t, r);
    deadline_t d = deadline_push(t, timeout_ms);
    err_t e = c->run(t, r);
    deadline_pop(t, &d);
    return e;
}

static err_t reply_plain(task_t *t, exchange_t *x, int status, const char *text)
{
    return exchange_reply(t, x, status, "text/plain; charset=utf-8", bytes_str(text));
}

static err_t reply_preflight(task_t *t, api_t *api, exchange_t *x)
{
    const char *origin = exchange_header(x, "Origin");
    if (origin && is_allowed_origin(api, x, origin)) {
        TRY(exchange_set_header(x, "Access-Control-Allow-Origin", origin));
        TRY(exchange_set_header(x, "Access-Control-Allow-Methods", "POST, PUT"));
        TRY(exchange_set_header(x, "Access-Control-Allow-Headers",
                                "Content-Type, User-Agent, X-Requested-With"));
    }
    return exchange_reply(t, x, 204, "text/plain", BYTES_NONE);
}

err_t api_rpc(task_t *t, exchange_t *x, void *arg)
{
    api_t *api = arg;
    static const char prefix[] = "/api/v0/";
    api_begin_trace(t, x);
    if (strncmp(x->path, prefix, sizeof prefix - 1))
        return reply_plain(t, x, 404, "404 page not found\n");
    TRY(exchange_set_header(x, "Server", DISTRIBUTE_AGENT));
    TRY(exchange_set_header(x, "Vary", "Origin"));
    if (!strcmp(x->method, "OPTIONS"))
        return reply_preflight(t, api, x);
    if (strcmp(x->method, "POST")) {
        TRY(exchange_set_header(x, "Allow", "OPTIONS, POST"));
        return reply_plain(t, x, 405, "405 - Method Not Allowed\n");
    }
    if (!is_from_allowed_site(api, x))
        return reply_plain(t, x, 403, "403 - Forbidden\n");
    const rpc_command_t *c = find_command(x->path + sizeof prefix - 1);
    if (!c)
        return reply_plain(t, x, 404, "404 page not found\n");
    const char *origin = exchange_header(x, "Origin");
    if (origin) {
        TRY(exchange_set_header(x, "Access-Control-Allow-Origin", origin));
        TRY(exchange_set_header(x, "Access-Control-Expose-Headers",
                                "X-Stream-Output, X-Chunked-Output, X-Content-Length"));
    }
    AUTO(rpc_t) r = {.api = api, .node = api->node, .x = x, .command = c->path};
    err_t e = run_command(t, &r, c);
    if (e) {
        log_debug("rpc failed", LOG_STR("command", c->path), LOG_ERR(e));
        return exchange_is_gone(x) ? OK : reply_error(t, &r, e);
    }
    if (!x->has_begun) /* commands that say nothing */
        return exchange_reply(t, x, 200, "application/json", BYTES_NONE);
    return OK;
}
