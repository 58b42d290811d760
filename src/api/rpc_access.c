#include "api/rpc_access.h"
#include "api/api_internal.h"
#include "base/version.h"
#include "wire/http_auth.h"
#include <jansson.h>
#include <stdio.h>
#include <strings.h>

static const char ORIGIN[] = "Access-Control-Allow-Origin", METHODS[] = "Access-Control-Allow-Methods",
                  CREDENTIALS[] = "Access-Control-Allow-Credentials";

/* ── sites ───────────────────────────────────────────────────────────────────────────────────── */

/* The values of API.HTTPHeaders under this name, whatever its case; NULL: none. */
static json_t *configured_header(api_t *api, const char *name)
{
    json_t *headers = config_json(repo_config(node_repo(api->node)), "API.HTTPHeaders"), *values;
    const char *key;
    json_object_foreach(headers, key, values)
    {
        if (!strcasecmp(key, name) && json_is_array(values))
            return values;
    }
    return NULL;
}

static bool has_configured(api_t *api, const char *name, const char *wanted)
{
    size_t i;
    json_t *value;
    json_array_foreach(configured_header(api, name), i, value)
    {
        if (json_string_value(value) && !strcmp(json_string_value(value), wanted))
            return true;
    }
    return false;
}

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
    /* IPFS Companion and its beta */
    static const char *const extensions[] = {"chrome-extension://nibjojkomfdiaoajekhjakgkdhaomnch",
                                             "chrome-extension://hjoieblefckbooibpepigmacodalfndh"};
    for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
        if (!strcmp(origin, extensions[i]))
            return true;
    return is_own_origin(x, origin) || has_configured(api, ORIGIN, "*") ||
           has_configured(api, ORIGIN, origin);
}

bool rpc_is_from_allowed_site(api_t *api, exchange_t *x)
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

/* ── authorizations ──────────────────────────────────────────────────────────────────────────── */

bool api_has_authorizations(api_t *a)
{
    return json_object_size(config_json(repo_config(node_repo(a->node)), "API.Authorizations")) > 0;
}

static bool has_secret(json_t *scope, bytes_t sent)
{
    const char *secret = json_string_value(json_object_get(scope, "AuthSecret"));
    AUTO(buf_t) wanted = {0};
    buf_init(&wanted, HTTP_AUTH_MAX_BYTES);
    bool is_it = secret && *secret && !http_auth_header(secret, &wanted) &&
                 bytes_equal_secret(buf_bytes(&wanted), sent);
    secret_wipe(wanted.data, wanted.len);
    return is_it;
}

static bool allows(json_t *scope, const char *path)
{
    size_t i;
    json_t *prefix;
    if (!path || !strcmp(path, "/api/v0/version"))
        return true;
    json_array_foreach(json_object_get(scope, "AllowedPaths"), i, prefix)
    {
        const char *text = json_string_value(prefix);
        if (text && !strncmp(path, text, strlen(text)))
            return true;
    }
    return false;
}

bool rpc_is_authorized(api_t *api, exchange_t *x, const char *path)
{
    json_t *scopes = config_json(repo_config(node_repo(api->node)), "API.Authorizations"), *scope;
    if (x->is_local || !json_object_size(scopes))
        return true;
    const char *user, *sent = exchange_header(x, "Authorization");
    json_object_foreach(scopes, user, scope)
    {
        if (sent && has_secret(scope, bytes_str(sent)))
            return allows(scope, path);
    }
    return false;
}

/* ── headers ─────────────────────────────────────────────────────────────────────────────────── */

static const char exposed[] = "X-Stream-Output, X-Chunked-Output, X-Content-Length";

static bool is_about_origins(const char *name)
{
    return !strcasecmp(name, ORIGIN) || !strcasecmp(name, METHODS) || !strcasecmp(name, CREDENTIALS);
}

static err_t set_origin(api_t *api, exchange_t *x, const char *origin)
{
    bool is_any = has_configured(api, ORIGIN, "*");
    TRY(exchange_set_header(x, ORIGIN, is_any ? "*" : origin));
    return has_configured(api, CREDENTIALS, "true") ? exchange_set_header(x, CREDENTIALS, "true") : OK;
}

err_t rpc_set_headers(api_t *api, exchange_t *x)
{
    json_t *headers = config_json(repo_config(node_repo(api->node)), "API.HTTPHeaders"), *values, *value;
    const char *name, *origin = exchange_header(x, "Origin");
    size_t i;
    json_object_foreach(headers, name, values)
    {
        if (!is_about_origins(name) && strcasecmp(name, "Server") != 0)
            json_array_foreach(values, i, value)
                TRY(exchange_set_header(x, name, json_string_value(value) ? json_string_value(value) : ""));
    }
    TRY(exchange_set_header(x, "Access-Control-Allow-Headers", exposed));
    TRY(exchange_set_header(x, "Access-Control-Expose-Headers", exposed));
    return origin && *origin && !x->is_local ? set_origin(api, x, origin) : OK;
}

static bool is_allowed_method(api_t *api, const char *method)
{
    return configured_header(api, METHODS) ? has_configured(api, METHODS, method) : !strcmp(method, "POST");
}

err_t rpc_reply_options(task_t *t, api_t *api, exchange_t *x)
{
    const char *origin = exchange_header(x, "Origin");
    const char *method = exchange_header(x, "Access-Control-Request-Method");
    const char *headers = exchange_header(x, "Access-Control-Request-Headers");
    if (!method)
        TRY(exchange_set_header(x, "Allow", "OPTIONS, POST"));
    if (origin && is_allowed_origin(api, x, origin) && (!method || is_allowed_method(api, method))) {
        TRY(set_origin(api, x, origin));
        if (method)
            TRY(exchange_set_header(x, METHODS, method));
        if (headers)
            TRY(exchange_set_header(x, "Access-Control-Allow-Headers", headers));
    }
    return exchange_reply(t, x, 204, "text/plain", BYTES_NONE);
}

err_t rpc_reply_plain(task_t *t, exchange_t *x, int status, const char *text)
{
    TRY(exchange_set_header(x, "X-Content-Type-Options", "nosniff"));
    return exchange_reply(t, x, status, "text/plain; charset=utf-8", bytes_str(text));
}
