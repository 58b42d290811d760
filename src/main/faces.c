#include "main/faces.h"
#include "base/log.h"
#include "node/setup.h"
#include <stdlib.h>

enum {
    RPC_PORT = 5001,
    GATEWAY_PORT = 8080,
    METRICS_PORT = 9090,
    TRIED_PORTS = 100,
    STOP_GRACE_MS = 3000,
    RPC_CONNECTIONS = 512,
    GATEWAY_CONNECTIONS = 4096,
    RPC_IDLE_S = 3600,
};

static err_t parse_port(const char *text, uint16_t *ret_port)
{
    char *end;
    if (*text == ':')
        text++;
    unsigned long port = strtoul(text, &end, 10);
    if (!*text || *end || port > 65535)
        return fail(ERR_USAGE, "\"%s\" is not a port", text);
    *ret_port = (uint16_t)port;
    return OK;
}

/* Serves there, or on the next free port when the user did not ask for this one. */
static err_t serve(faces_t *f, const char *what, face_addr_t at, bool was_asked_for, http_limits_t limits,
                   exchange_fn handler, http_server_t **ret_server)
{
    uint16_t wanted = at.ip.port;
    err_t e = ERR_IN_USE;
    for (int i = 0; i < TRIED_PORTS && e == ERR_IN_USE; i++, at.ip.port++) {
        e = http_server_start_at(f->driver, node_sched(api_node(f->api)), &at, &limits, handler, f->api,
                                 ret_server);
        if (was_asked_for)
            break;
    }
    if (e)
        return fail_also(e, "cannot serve the %s", what);
    net_addr_t got = http_server_address(*ret_server);
    if (wanted && got.port != wanted)
        log_warn("default port is taken, using the next free one", LOG_STR("face", what),
                 LOG_INT("port", wanted), LOG_INT("used", got.port));
    return OK;
}

static err_t choose(const char *port_option, const char *configured, uint16_t default_port,
                    face_addr_t *ret_at, bool *ret_asked)
{
    *ret_at = (face_addr_t){.ip = {.family = 4, .ip = {127, 0, 0, 1}, .port = default_port}};
    *ret_asked = port_option != NULL;
    if (port_option)
        return parse_port(port_option, &ret_at->ip.port);
    if (configured && *configured)
        TRY(node_face_addr(configured, ret_at));
    *ret_asked = ret_at->path[0] || (ret_at->ip.port != default_port && ret_at->ip.port != 0);
    return OK;
}

/* A port option that may also be an address: HOST:PORT. */
static err_t choose_place(const char *option, uint16_t default_port, face_addr_t *ret_at, bool *ret_asked)
{
    bool is_address = option && *option != ':' && strchr(option, ':');
    TRY(choose(is_address ? NULL : option, is_address ? option : NULL, default_port, ret_at, ret_asked));
    *ret_asked = *ret_asked || is_address;
    return OK;
}

err_t faces_open_rpc(faces_t *f, const char *port_option, const char *configured)
{
    face_addr_t at;
    bool asked;
    if (f->n_rpc == FACES_MAX_RPC)
        return fail(ERR_LIMIT, "the RPC is served at %d addresses at most", FACES_MAX_RPC);
    TRY(choose(port_option, configured, RPC_PORT, &at, &asked));
    if (!at.path[0] && !net_addr_is_loopback(&at.ip) && !api_has_authorizations(f->api))
        return fail(ERR_DENIED, "the RPC gives full control of the node and is served on loopback alone: set "
                                "Addresses.API to /ip4/127.0.0.1/tcp/5001, or API.Authorizations");
    /* What is uploaded may come from a slow disk or from a program that pauses. */
    http_limits_t limits = {.max_connections = RPC_CONNECTIONS, .idle_timeout_s = RPC_IDLE_S};
    TRY(serve(f, "RPC", at, asked, limits, api_rpc, &f->rpc[f->n_rpc]));
    f->n_rpc++;
    return OK;
}

err_t faces_open_gateway(faces_t *f, const char *port_option, const char *configured)
{
    face_addr_t at;
    bool asked;
    if (f->n_gateways == FACES_MAX_GATEWAYS)
        return fail(ERR_LIMIT, "%d gateways are open already", FACES_MAX_GATEWAYS);
    TRY(choose(port_option, configured, GATEWAY_PORT, &at, &asked));
    TRY(serve(f, "gateway", at, asked, (http_limits_t){.max_connections = GATEWAY_CONNECTIONS}, api_gateway,
              &f->gateways[f->n_gateways]));
    f->n_gateways++;
    return OK;
}

err_t faces_open_control(faces_t *f, const char *port_option, bool *ret_is_public)
{
    face_addr_t at;
    bool asked;
    TRY(choose_place(port_option, RPC_PORT, &at, &asked));
    *ret_is_public = !net_addr_is_loopback(&at.ip);
    http_limits_t limits = {.max_connections = RPC_CONNECTIONS, .idle_timeout_s = RPC_IDLE_S};
    return serve(f, "control API", at, asked, limits, api_control, &f->control);
}

err_t faces_open_metrics(faces_t *f, const char *port_option)
{
    face_addr_t at;
    bool asked;
    TRY(choose_place(port_option, METRICS_PORT, &at, &asked));
    return serve(f, "metrics", at, asked, (http_limits_t){.max_connections = RPC_CONNECTIONS}, api_metrics,
                 &f->metrics);
}

void faces_close(task_t *t, faces_t *f)
{
    for (size_t i = 0; i < f->n_rpc; i++)
        http_server_stop(t, f->rpc[i], STOP_GRACE_MS);
    for (size_t i = 0; i < f->n_gateways; i++)
        http_server_stop(t, f->gateways[i], STOP_GRACE_MS);
    http_server_stop(t, f->control, STOP_GRACE_MS);
    http_server_stop(t, f->metrics, STOP_GRACE_MS);
    *f = (faces_t){0};
}
