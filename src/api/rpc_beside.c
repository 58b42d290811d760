#include "api/rpc_beside.h"
#include "api/rpc_access.h"
#include "api/rpc_util.h"
#include "base/version.h"

/* The web UI that Kubo 0.42 shows (core/corehttp/webui.go, WebUIPath). */
#define WEBUI_PATH "/ipfs/bafybeihxglpcfyarpm7apn7xpezbuoqgk3l5chyk7w4gvrjwk45rqohlmm"

static err_t redirect(task_t *t, exchange_t *x, int status, const char *to)
{
    TRY(exchange_set_header(x, "Location", to));
    return exchange_reply(t, x, status, "text/html; charset=utf-8", BYTES_NONE);
}

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    return !strncmp(path, folder, n) && (!path[n] || path[n] == '/');
}

/* What tells of the node's inside: of this site's pages only, and with authorizations only to who has one. */
static err_t reply_inside(task_t *t, api_t *api, exchange_t *x)
{
    if (!rpc_is_authorized(api, x, NULL) || !rpc_is_from_allowed_site(api, x))
        return rpc_reply_plain(t, x, 403, "403 - Forbidden\n");
    if (!strcmp(x->path, "/logs")) {
        rpc_t r = {.api = api, .node = api_node(api), .x = x, .command = "log/tail"};
        return rpc_tail_log(t, &r, NULL);
    }
    x->path = "/metrics";
    return api_metrics(t, x, api);
}

err_t rpc_reply_beside(task_t *t, api_t *api, exchange_t *x)
{
    bool is_get = !strcmp(x->method, "GET") || !strcmp(x->method, "HEAD");
    if (!strcmp(x->path, "/api/v0"))
        return redirect(t, x, 307, "/api/v0/");
    if (is_get && !strcmp(x->path, "/webui"))
        return redirect(t, x, 307, "/webui/");
    if (is_get && is_below(x->path, "/webui"))
        return redirect(t, x, 302, WEBUI_PATH);
    if (is_get && is_below(x->path, WEBUI_PATH))
        return api_gateway(t, x, api);
    if (is_get && !strcmp(x->path, "/version"))
        return exchange_reply(t, x, 200, "text/plain; charset=utf-8",
                              BYTES_LIT("Commit: \nClient Version: " DISTRIBUTE_AGENT "\n"));
    if (is_get && (!strcmp(x->path, "/logs") || !strcmp(x->path, "/debug/metrics/prometheus")))
        return reply_inside(t, api, x);
    return rpc_reply_plain(t, x, 404, "404 page not found\n");
}
