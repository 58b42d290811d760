#include "main/daemon.h"
#include "api/api.h"
#include "base/log.h"
#include "base/version.h"
#include "loop/fuse_mount.h"
#include "loop/memory.h"
#include "loop/uv_driver.h"
#include "main/mesh_node.h"
#include "node/setup.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_LISTEN = 16, MAX_BOOTSTRAP = 64, MAX_SHOWN_ADDRS = 64 };

err_t run_init(task_t *t, const cli_t *c)
{
    char path[NODE_PATH_MAX], id[128];
    TRY(node_find_repo(c->repo_option, path));
    const char *algorithm = cli_option(c, "algorithm", 0);
    if (algorithm && strcmp(algorithm, "ed25519"))
        return fail(ERR_UNSUPPORTED, "identities are Ed25519 keys: \"%s\" is not made here", algorithm);
    const char *profiles = cli_option(c, "profile", 0);
    TRY(c->n_args ? node_init_repo_from(t, path, profiles, c->args[0], id)
                  : node_init_repo(t, path, profiles, id));
    printf("generating ED25519 keypair...done\npeer identity: %s\ninitializing %s node at %s\n", id,
           c->is_kubo ? "IPFS" : "Distribute", path);
    return OK;
}

/* ── waiting for the end ─────────────────────────────────────────────────────────────────────── */

typedef struct stop_signal {
    event_t event;
    bool is_raised;
    mesh_prompt_t *prompt; /* NULL: none */
} stop_signal_t;
static stop_signal_t stop_signal;

static void on_stop_signal(void *arg)
{
    stop_signal.is_raised = true;
    event_fire(arg);
}

/* Ctrl-C at the prompt is for what runs there. */
static void on_interrupt(void *arg)
{
    if (!mesh_prompt_interrupt(stop_signal.prompt))
        on_stop_signal(arg);
}

static void on_dump_signal(void *arg)
{
    sched_dump(arg);
}

/* The shutdown command and the signals end in one event. */
static void watch_for_end(task_t *t, api_t *api)
{
    driver_t *d = task_driver(t);
    uv_driver_on_signal(d, SIGINT, on_interrupt, api_shutdown_event(api));
    uv_driver_on_signal(d, SIGTERM, on_stop_signal, api_shutdown_event(api));
    uv_driver_on_signal(d, SIGUSR1, on_dump_signal, task_sched(t));
}

static err_t wait_for_end(task_t *t, api_t *api)
{
    while (!stop_signal.is_raised && !api_is_shutting_down(api) && !mesh_prompt_wants_end(stop_signal.prompt))
        TRY(event_wait(t, api_shutdown_event(api)));
    return OK;
}

/* ── a running node ──────────────────────────────────────────────────────────────────────────── */

static err_t open_gateway_later(task_t *t, void *arg, uint16_t port, buf_t *ret_addr)
{
    faces_t *f = arg;
    char text[16], addr[NODE_FACE_TEXT_MAX];
    snprintf(text, sizeof text, "%u", port);
    TRY(faces_open_gateway(f, text, NULL));
    return buf_printf(ret_addr, "%s",
                      node_face_addr_print(http_server_face(f->gateways[f->n_gateways - 1]), addr));
}

static void print_head(node_t *n)
{
    char id[PEER_ID_TEXT_MAX];
    printf("Initializing daemon...\nDistribute version: %s\nKubo version: %s\nRepo version: %s\n"
           "System version: %s\nPeerID: %s\n",
           DISTRIBUTE_VERSION, KUBO_RPC_VERSION, KUBO_REPO_VERSION, SYSTEM_NAME,
           peer_id_print(node_id(n), id));
}

typedef struct place {
    net_addr_t at;
    bool is_udp;
} place_t;

static bool read_place(const multiaddr_t *m, place_t *ret)
{
    *ret = (place_t){0};
    ret->is_udp = !multiaddr_quic_endpoint(m, &ret->at.family, ret->at.ip, &ret->at.port);
    return ret->is_udp || !multiaddr_tcp_endpoint(m, &ret->at.family, ret->at.ip, &ret->at.port);
}

/* One line for TCP and UDP of one port, where the first of them stands. */
static void print_place(const multiaddr_t *addrs, size_t count, size_t i)
{
    place_t own, other;
    bool has[2] = {false, false};
    char text[NET_ADDR_TEXT_MAX];
    if (!read_place(&addrs[i], &own))
        return;
    for (size_t k = 0; k < count; k++)
        if (read_place(&addrs[k], &other) && net_addr_equal(&other.at, &own.at)) {
            if (k < i)
                return;
            has[other.is_udp] = true;
        }
    printf("Swarm listening on %s (%s)\n", net_addr_print(&own.at, text),
           !has[1]   ? "TCP"
           : !has[0] ? "UDP"
                     : "TCP+UDP");
}

static void print_swarm(node_t *n, const cli_t *c)
{
    const uint8_t *fingerprint = node_swarm_fingerprint(n);
    if (fingerprint) {
        char hex[2 * NODE_FINGERPRINT_BYTES + 1];
        printf("Swarm is limited to private network of peers with the swarm key\nSwarm key fingerprint: %s\n",
               hex_text(bytes_of(fingerprint, NODE_FINGERPRINT_BYTES), hex, sizeof hex));
    }
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    size_t count = host_listen_addrs(node_host(n), addrs, MAX_SHOWN_ADDRS);
    for (size_t i = 0; i < count; i++)
        print_place(addrs, count, i);
    printf("Run '%s id' to inspect announced and discovered multiaddrs of this node.\n", c->program);
    free(addrs);
}

/* The file `api` holds the first address, which is where commands look for the node. */
static err_t announce_rpc(task_t *t, node_t *n, const faces_t *f)
{
    char text[NODE_FACE_TEXT_MAX], webui[NET_ADDR_TEXT_MAX];
    for (size_t i = 0; i < f->n_rpc; i++) {
        const face_addr_t *at = http_server_face(f->rpc[i]);
        node_face_addr_print(at, text);
        if (!i)
            TRY(repo_write_address(t, node_repo(n), REPO_API, text));
        printf("RPC API server listening on %s\n", text);
        if (!at->path[0])
            printf("WebUI: http://%s/webui\n", net_addr_print(&at->ip, webui));
    }
    if (f->n_rpc && api_has_authorizations(f->api))
        printf("RPC API access is limited by the rules defined in API.Authorizations\n");
    return OK;
}

/* "http://HOST:PORT", or the multiaddr of a socket in the file system. */
static void print_url(const face_addr_t *at, char out[NODE_FACE_TEXT_MAX])
{
    char host[NET_ADDR_TEXT_MAX];
    if (at->path[0])
        node_face_addr_print(at, out);
    else
        snprintf(out, NODE_FACE_TEXT_MAX, "http://%s", net_addr_print(&at->ip, host));
}

static err_t announce_gateways(task_t *t, node_t *n, const faces_t *f)
{
    char text[NODE_FACE_TEXT_MAX], url[NODE_FACE_TEXT_MAX];
    if (!f->n_gateways)
        return OK;
    print_url(http_server_face(f->gateways[0]), url);
    TRY(repo_write_address(t, node_repo(n), REPO_GATEWAY, url));
    for (size_t i = 0; i < f->n_gateways; i++)
        printf("Gateway server listening on %s\n",
               node_face_addr_print(http_server_face(f->gateways[i]), text));
    if (config_bool(repo_config(node_repo(n)), "Gateway.ExposeRoutingAPI", true))
        printf("Routing V1 API exposed at %s/routing/v1\n", url);
    return OK;
}

static err_t announce_control(task_t *t, node_t *n, const faces_t *f)
{
    char text[NODE_FACE_TEXT_MAX];
    if (!f->control)
        return OK;
    node_face_addr_print(http_server_face(f->control), text);
    printf("RPC API server listening on %s\n", text);
    TRY(repo_write_address(t, node_repo(n), REPO_API, text));
    print_url(http_server_face(f->control), text);
    printf("Control API listening on %s\n", text);
    return OK;
}

static err_t announce_faces(task_t *t, node_t *n, const faces_t *f)
{
    TRY(announce_rpc(t, n, f));
    TRY(announce_control(t, n, f));
    TRY(announce_gateways(t, n, f));
    if (f->metrics) {
        net_addr_t at = http_server_address(f->metrics);
        char host[NET_ADDR_TEXT_MAX];
        printf("Metrics server listening on http://%s/metrics\n", net_addr_print(&at, host));
    }
    printf("Daemon is ready\n");
    fflush(stdout);
    return OK;
}

/* The n-th address of a face: the setting is one or a list of them, "" and [] are none at all. NULL: no more.
 */
static const char *face_address(const config_t *config, const char *key, const char *otherwise, size_t n)
{
    bool is_list = config_has(config, key) && !config_str(config, key, NULL);
    const char *text = is_list ? config_item(config, key, n) : n ? NULL : config_str(config, key, otherwise);
    return text && *text ? text : NULL;
}

static err_t open_rpc(faces_t *f, const config_t *config, const char *port)
{
    const char *at;
    if (port)
        return faces_open_rpc(f, port, NULL);
    for (size_t i = 0; (at = face_address(config, "Addresses.API", "/ip4/127.0.0.1/tcp/5001", i)); i++)
        TRY(faces_open_rpc(f, NULL, at));
    return OK;
}

static err_t open_gateways(faces_t *f, const config_t *config, const char *port)
{
    const char *at;
    if (port)
        return faces_open_gateway(f, port, NULL);
    for (size_t i = 0; (at = face_address(config, "Addresses.Gateway", "/ip4/127.0.0.1/tcp/8080", i)); i++)
        TRY(faces_open_gateway(f, NULL, at));
    return OK;
}

static err_t open_faces(task_t *t, node_t *n, faces_t *f, const cli_t *c)
{
    if (c->is_mesh) {
        TRY(mesh_node_open_face(t, n, f, c));
        return faces_open_metrics(f, cli_option(c, "metrics-port", 0));
    }
    const config_t *config = repo_config(node_repo(n));
    TRY(open_rpc(f, config, cli_option(c, "api-port", 0)));
    TRY(open_gateways(f, config, cli_option(c, "gateway-port", 0)));
    return faces_open_metrics(f, cli_option(c, "metrics-port", 0));
}

/* The words of the command line that node_options_t borrows. */
typedef struct node_words {
    const char *listen[MAX_LISTEN], *bootstrap[MAX_BOOTSTRAP], *advertise[MAX_LISTEN];
    mesh_words_t mesh;
} node_words_t;

static node_switch_t read_switch(const cli_t *c, const char *name)
{
    if (!cli_option(c, name, 0))
        return NODE_AS_CONFIGURED;
    return cli_flag(c, name, false) ? NODE_ON : NODE_OFF;
}

static void read_node_options(const cli_t *c, node_words_t *w, node_options_t *o)
{
    const char *value;
    for (size_t i = 0; i < MAX_LISTEN && (value = cli_option(c, "listen", i)); i++)
        w->listen[o->n_listen++] = value;
    for (size_t i = 0; i < MAX_LISTEN && (value = cli_option(c, "advertise", i)); i++)
        w->advertise[o->n_advertise++] = value;
    for (size_t i = 0; i < MAX_BOOTSTRAP && (value = cli_option(c, "bootstrap", i)); i++) {
        if (!strcmp(value, "none"))
            o->no_bootstrap = true;
        else
            w->bootstrap[o->n_bootstrap++] = value;
    }
    o->listen = w->listen;
    o->bootstrap = w->bootstrap;
    o->advertise = w->advertise;
    if (c->is_mesh)
        mesh_node_options(c, &w->mesh, o);
    o->collects_garbage = cli_flag(c, "enable-gc", false);
    o->routing_type = cli_option(c, "routing", 0);
    if (o->routing_type && !strcmp(o->routing_type, "default"))
        o->routing_type = NULL;
    o->agent_suffix = cli_option(c, "agent-version-suffix", 0);
    o->pubsub = read_switch(c, "enable-pubsub-experiment");
    o->names_pubsub = read_switch(c, "enable-namesys-pubsub");
}

/* What Kubo's daemon can be asked for and this one cannot do must not be passed over in silence. */
static err_t check_node_options(const cli_t *c)
{
    if (cli_flag(c, "disable-transport-encryption", false))
        return fail(ERR_UNSUPPORTED,
                    "connections are always encrypted: leave --disable-transport-encryption out");
    return OK;
}

static err_t mount_folders(task_t *t, api_t *api, const cli_t *c)
{
    const char *const folders[] = {cli_option(c, "mount-ipfs", 0), cli_option(c, "mount-ipns", 0),
                                   cli_option(c, "mount-mfs", 0)};
    return api_mount(t, api, folders);
}

static err_t serve_until_end(task_t *t, node_t *n, const cli_t *c, const node_options_t *o)
{
    api_t *api = api_new(n);
    faces_t faces = {.driver = task_driver(t), .api = api};
    api_set_gateway_opener(api, open_gateway_later, &faces);
    api_set_mount_opener(api, fuse_mount_open);
    watch_for_end(t, api);
    print_head(n);
    bool is_offline = cli_flag(c, "offline", false);
    err_t e = node_watch_denylists(n);
    if (!e && !is_offline)
        e = node_go_online(t, n, o);
    if (!e && is_offline)
        printf("Swarm not listening, running in offline mode.\n");
    else if (!e)
        print_swarm(n, c);
    if (!e && c->is_mesh)
        e = mesh_node_unlock(t, n, c);
    if (!e)
        e = open_faces(t, n, &faces, c);
    if (!e && cli_flag(c, "mount", false))
        e = mount_folders(t, api, c);
    if (!e)
        e = announce_faces(t, n, &faces);
    if (!e && c->is_mesh)
        e = mesh_prompt_open(t, n, api, c, &stop_signal.prompt);
    if (!e) {
        log_info("node is ready", LOG_UINT("ms", task_now_ms(t) - node_started_ms(n)));
        group_t keepers;
        group_init(&keepers, task_sched(t));
        e = group_spawn(&keepers, "memory", memory_keeper, NULL, NULL);
        if (!e && stop_signal.prompt)
            e = group_spawn(&keepers, "prompt", mesh_prompt_run, stop_signal.prompt, NULL);
        if (!e)
            e = wait_for_end(t, api);
        group_stop(t, &keepers);
        group_deinit(&keepers);
        log_info("node is stopping");
    }
    error_slot_t why = *error_slot(); /* tidying up may fail, too, and must not hide it */
    mesh_prompt_close(t, stop_signal.prompt);
    stop_signal.prompt = NULL;
    repo_remove_addresses(t, node_repo(n));
    faces_close(t, &faces);
    api_unmount(t, api);
    api_free(api);
    *error_slot() = why;
    return e;
}

err_t run_node(task_t *t, const cli_t *c)
{
    char path[NODE_PATH_MAX];
    node_words_t words;
    TRY(check_node_options(c));
    TRY(node_find_repo(c->repo_option, path));
    err_t e = node_check_repo(t, path);
    if (e == ERR_NOT_FOUND) {
        log_info("making a repository", LOG_STR("path", path));
        const char *profiles = cli_option(c, "init-profile", 0), *file = cli_option(c, "init-config", 0);
        e = file ? node_init_repo_from(t, path, profiles, file, NULL)
                 : node_init_repo(t, path, profiles, NULL);
    }
    TRY(e);
    node_options_t o = {.repo_path = path};
    read_node_options(c, &words, &o);
    node_t *n;
    TRY(node_open(t, &o, &n));
    e = serve_until_end(t, n, c, &o);
    error_slot_t why = *error_slot();
    node_close(t, n);
    *error_slot() = why;
    return e;
}

/* Without a running node: a node of its own that serves nothing but the gateway. */
static err_t gateway_alone(task_t *t, const cli_t *c, const char *path)
{
    node_options_t o = {.repo_path = path};
    node_t *n;
    TRY(node_open(t, &o, &n));
    api_t *api = api_new(n);
    faces_t faces = {.driver = task_driver(t), .api = api};
    watch_for_end(t, api);
    err_t e = node_watch_denylists(n);
    if (!e && !cli_flag(c, "offline", false))
        e = node_go_online(t, n, &o);
    if (!e)
        e = faces_open_gateway(&faces, cli_option(c, "port", 0),
                               config_str(repo_config(node_repo(n)), "Addresses.Gateway", NULL));
    if (!e) {
        char text[NODE_FACE_TEXT_MAX];
        printf("Gateway server listening on %s\n",
               node_face_addr_print(http_server_face(faces.gateways[0]), text));
        fflush(stdout);
        e = wait_for_end(t, api);
    }
    error_slot_t why = *error_slot();
    faces_close(t, &faces);
    api_free(api);
    node_close(t, n);
    *error_slot() = why;
    return e;
}

err_t run_gateway(task_t *t, cli_t *c, const cli_command_t *command)
{
    char path[NODE_PATH_MAX], target[64];
    face_addr_t at;
    TRY(node_find_repo(c->repo_option, path));
    if (!node_find_api(t, path, c->api_option, &at)) {
        const char *port = cli_option(c, "port", 0);
        snprintf(target, sizeof target, "/api/v0/gateway/open?arg=%.16s", port ? port : "8080");
        c->call = cli_call_http;
        c->call_arg = &at;
        err_t e = cli_send(t, c, command, target);
        if (e != ERR_OFFLINE)
            return e;
    }
    TRY(node_check_repo(t, path));
    return gateway_alone(t, c, path);
}
