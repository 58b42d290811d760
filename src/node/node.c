#include "node/node.h"
#include "base/log.h"
#include "base/version.h"
#include "meta/chunk_store.h"
#include "net/mdns.h"
#include "net/portmap.h"
#include "node/denied.h"
#include "node/discover.h"
#include "node/garbage.h"
#include "node/held.h"
#include "node/listen.h"
#include "node/membership.h"
#include "node/messages.h"
#include "node/provided.h"
#include "node/settings.h"
#include "node/settings_nat.h"
#include "node/settings_resources.h"
#include "node/swarm_key.h"
#include "node/web_certificate.h"
#include <stdio.h>
#include <stdlib.h>

enum { AGENT_MAX_CHARS = 128 };

struct node {
    sched_t *sched;
    repo_t *repo;
    uint64_t started_ms;
    public_key_t public_key;
    char agent[AGENT_MAX_CHARS + 1];
    host_t *host;
    routing_t *routing;
    naming_t *naming;
    vault_t *vault;
    bitswap_t *bitswap;
    replica_t *replica;
    mesh_t *mesh; /* NULL: in none */
    mesh_join_t *mesh_join;
    bool is_in_mesh; /* known before the above are there */
    pubsub_t *pubsub;
    tunnels_t *tunnels;
    mdns_service_t *mdns;
    portmap_t *portmap;
    bool is_private; /* in the network of a swarm key */
    uint8_t fingerprint[PNET_FINGERPRINT_BYTES];
    group_t tasks;
    bool announces; /* Provide.Enabled, and there is a DHT */
    bool fetches;   /* Bitswap.Libp2pEnabled */
    denied_t *denied;
    doh_t *doh;
    blocks_t *local;   /* the repository's blocks without what is denied */
    bool keeps_chunks; /* of the file service: not for IPFS */
};

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */

/* What replication holds for others is a root for the collector beside the user's pins. */
typedef struct held_roots {
    node_t *node;
    gc_keep_fn keep;
    void *keep_arg;
    bool wants_partial;
} held_roots_t;

static err_t keep_held(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    held_roots_t *h = arg;
    cid_t root;
    TRY(cid_decode(key, &root));
    /* What is still fetched is not whole, and must not keep the collector from its work. */
    bool is_partial = h->node->replica && !replica_holds(h->node->replica, &root);
    return is_partial == h->wants_partial ? h->keep(t, h->keep_arg, &root, true) : OK;
}

static err_t each_held_root(task_t *t, void *arg, gc_keep_fn keep, void *keep_arg)
{
    node_t *n = arg;
    held_roots_t h = {n, keep, keep_arg, false};
    return kv_scan(t, repo_state(n->repo), HELD_SPACE, NULL, keep_held, &h);
}

static err_t each_fetched_root(task_t *t, void *arg, gc_keep_fn keep, void *keep_arg)
{
    node_t *n = arg;
    held_roots_t h = {n, keep, keep_arg, true};
    return kv_scan(t, repo_state(n->repo), HELD_SPACE, NULL, keep_held, &h);
}

static err_t open_naming(node_t *n)
{
    naming_config_t nc;
    naming_config_default(&nc);
    nc.state = repo_state(n->repo);
    nc.keys = repo_keystore(n->repo);
    nc.self = repo_identity(n->repo);
    TRY(settings_naming(repo_config(n->repo), &nc));
    return naming_open(n->sched, &nc, &n->naming);
}

/* Peers are told it, and show it: printable ASCII alone. */
static err_t name_agent(node_t *n, const node_options_t *o)
{
    const char *suffix =
        o->agent_suffix ? o->agent_suffix : config_str(repo_config(n->repo), "Version.AgentSuffix", "");
    for (const char *p = suffix; *p; p++)
        if (*p <= ' ' || *p > '~')
            return fail(
                ERR_USAGE,
                "the suffix of the agent (Version.AgentSuffix) must be printable ASCII without spaces");
    int len = snprintf(n->agent, sizeof n->agent, "%s%s%s", DISTRIBUTE_AGENT, *suffix ? "/" : "", suffix);
    return len < (int)sizeof n->agent
               ? OK
               : fail(ERR_USAGE, "the suffix of the agent (Version.AgentSuffix) is too long");
}

static vault_t *vault_of(repo_t *repo)
{
    char path[REPO_PATH_MAX + sizeof "/vault.key"];
    snprintf(path, sizeof path, "%s/vault.key", repo_path(repo));
    return vault_new(path, repo_state(repo));
}

err_t node_open(task_t *t, const node_options_t *o, node_t **ret)
{
    repo_t *repo;
    TRY(repo_open(t, o->repo_path, &repo));
    node_t *n = xcalloc(1, sizeof *n);
    n->sched = task_sched(t);
    n->repo = repo;
    n->started_ms = task_now_ms(t);
    n->public_key = *private_key_public(repo_identity(repo));
    group_init(&n->tasks, n->sched);
    n->vault = vault_of(repo);
    n->doh = doh_new();
    driver_set_resolver(task_driver(t), doh_resolve, n->doh);
    gc_add_roots(repo_gc(repo), each_held_root, n);
    gc_add_partial_roots(repo_gc(repo), each_fetched_root, n);
    chunk_store_guard(repo);
    err_t e = denied_open(t, o->repo_path, &n->denied);
    if (!e) {
        n->local = denied_blocks_new(n->denied, repo_blocks(repo));
        e = name_agent(n, o);
    }
    if (!e)
        e = open_naming(n);
    if (!e)
        e = settings_resolvers(repo_config(repo), n->doh);
    if (!e && o->collects_garbage)
        e = group_spawn(&n->tasks, "garbage watch", garbage_watch, n->repo, NULL);
    if (e) {
        node_close(t, n);
        return e;
    }
    *ret = n;
    return OK;
}

void node_close(task_t *t, node_t *n)
{
    if (!n)
        return;
    task_shield(t);
    group_stop(t, &n->tasks);
    group_deinit(&n->tasks);
    tunnels_close(t, n->tunnels);
    mesh_join_close(t, n->mesh_join);
    mesh_close(t, n->mesh);
    n->mesh = NULL; /* bitswap asks what may be served until it is closed */
    replica_close(t, n->replica);
    if (n->bitswap)
        bitswap_close(t, n->bitswap);
    naming_close(t, n->naming);
    pubsub_close(t, n->pubsub);
    if (n->routing) {
        host_drop_relay_source(t, n->host);
        routing_close(t, n->routing);
    }
    mdns_stop(t, n->mdns);
    portmap_stop(t, n->portmap);
    repo_on_config_change(n->repo, NULL, NULL);
    if (n->host)
        host_close(t, n->host);
    driver_set_resolver(task_driver(t), NULL, NULL); /* dials looked up names until now */
    doh_free(n->doh);
    denied_blocks_free(n->local);
    denied_free(n->denied);
    vault_free(n->vault);
    repo_close(t, n->repo);
    task_unshield(t);
    free(n);
}

/* ── going online ────────────────────────────────────────────────────────────────────────────── */

/* What is taken up while the node runs: whom it talks to. */
static void on_config_change(task_t *t, void *arg)
{
    node_t *n = arg;
    err_t e = settings_gates(repo_config(n->repo), n->host);
    if (e)
        log_warn("changed filters are not taken up", LOG_ERR(e));
}

static err_t start_host(task_t *t, node_t *n, const node_options_t *o)
{
    const config_t *config = repo_config(n->repo);
    host_config_t hc = {
        .key = (private_key_t *)repo_identity(n->repo),
        .agent = n->agent,
        .protocol_version = "ipfs/0.1.0",
        .may_use_loopback = true,
    };
    host_limits_default(&hc.limits);
    settings_limits(config, &hc.limits);
    settings_transports(config, &hc);
    TRY(settings_security(config, &hc));
    swarm_key_t key;
    TRY(swarm_key_read(t, repo_path(n->repo), &key));
    n->is_private = key.is_there;
    if (key.is_there && config_bool(config, "Swarm.Transports.Network.QUIC", false))
        return fail(ERR_USAGE,
                    "config Swarm.Transports.Network.QUIC: QUIC has no place for the key of a private "
                    "network (swarm.key)");
    memcpy(n->fingerprint, key.fingerprint, sizeof n->fingerprint);
    hc.swarm_key = key.is_there ? key.key : NULL;
    err_t e = host_new(n->sched, &hc, &n->host);
    secret_wipe(&key, sizeof key);
    TRY(e);
    TRY(web_certificate_start(t, config, repo_path(n->repo), n->host, &n->tasks));
    TRY(settings_start_nat(config, o, n->host));
    TRY(settings_resources(t, config, repo_path(n->repo), n->host));
    TRY(settings_addresses(config, o->advertise, o->n_advertise, n->host));
    repo_on_config_change(n->repo, on_config_change, n);
    return OK;
}

static err_t provide_strategy(const node_t *n, unsigned *ret_flags)
{
    const config_t *config = repo_config(n->repo);
    return provided_parse(
        config_str(config, "Provide.Strategy", config_str(config, "Reprovider.Strategy", "all")), ret_flags);
}

bool node_provides_pins_alone(const node_t *n)
{
    unsigned flags;
    return provide_strategy(n, &flags) == OK && !(flags & PROVIDED_ALL);
}

typedef struct emitter {
    err_t (*emit)(task_t *t, void *arg, const cid_t *cid);
    void *arg;
    repo_t *repo;
} emitter_t;

static err_t emit_root(task_t *t, void *arg, const cid_t *root, bool is_recursive)
{
    return ((emitter_t *)arg)->emit(t, ((emitter_t *)arg)->arg, root);
}

/* Hands on what is not a chunk of the file service. */
static err_t emit_public(task_t *t, void *arg, const cid_t *cid)
{
    const emitter_t *e = arg;
    return chunk_store_is_private(t, e->repo, cid) ? OK : e->emit(t, e->arg, cid);
}

/* In a mesh what is held is announced by its manifests: who has one has its chunks. */
static err_t provide_source(task_t *t, void *arg, err_t (*emit)(task_t *, void *, const cid_t *),
                            void *emit_arg)
{
    node_t *n = arg;
    unsigned flags;
    emitter_t e = {emit, emit_arg, n->repo};
    if (n->is_in_mesh)
        return each_held_root(t, n, emit_root, &e);
    TRY(provide_strategy(n, &flags));
    return n->keeps_chunks ? provided_each(t, n->repo, flags, emit_public, &e)
                           : provided_each(t, n->repo, flags, emit, emit_arg);
}

static bool is_private(task_t *t, const node_t *n, const cid_t *cid)
{
    return n->keeps_chunks && chunk_store_is_private(t, n->repo, cid);
}

/* The DHT is about multihashes: a block of any codec will do. */
static bool provides(task_t *t, void *arg, bytes_t multihash)
{
    node_t *n = arg;
    cid_t cid;
    return n->announces && cid_from_multihash(multihash, CODEC_RAW, &cid) == OK &&
           blocks_has(t, n->local, &cid) && !is_private(t, n, &cid);
}

/* "auto" stands for none here. */
static size_t router_urls(const config_t *config, const char *key, const char *out[ROUTING_DELEGATED_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < config_count(config, key) && n < ROUTING_DELEGATED_MAX; i++) {
        const char *url = config_item(config, key, i);
        if (!strncmp(url, "http", 4))
            out[n++] = url;
    }
    return n;
}

bool node_has_publishers(const node_t *n)
{
    const char *urls[ROUTING_DELEGATED_MAX];
    return router_urls(repo_config(n->repo), "Ipns.DelegatedPublishers", urls) > 0;
}

static err_t start_routing(task_t *t, node_t *n, const char *wanted_type)
{
    const config_t *config = repo_config(n->repo);
    const char *type = wanted_type ? wanted_type : config_str(config, "Routing.Type", "auto");
    routing_config_t rc;
    routing_config_default(&rc);
    rc.state = repo_state(n->repo);
    rc.scratch_folder = repo_path(n->repo);
    if (!strcmp(type, "none"))
        return OK;
    if (!strcmp(type, "dhtclient") || !strcmp(type, "autoclient"))
        rc.mode = DHT_MODE_CLIENT;
    else if (!strcmp(type, "dhtserver"))
        rc.mode = DHT_MODE_SERVER;
    else if (strcmp(type, "auto") && strcmp(type, "dht") && strcmp(type, "delegated") && wanted_type)
        return fail(ERR_USAGE, "unrecognized routing option: %.40s", type);
    else if (strcmp(type, "auto") && strcmp(type, "dht") && strcmp(type, "delegated"))
        log_warn("Routing.Type is not known here: \"auto\" is used", LOG_STR("type", type));
    rc.n_delegated = router_urls(config, "Routing.DelegatedRouters", rc.delegated);
    rc.n_publishers = router_urls(config, "Ipns.DelegatedPublishers", rc.publishers);
    if (!strcmp(type, "delegated"))
        rc.has_wan = rc.has_lan = false;
    rc.has_mesh = n->is_in_mesh;
    if (n->is_in_mesh)
        rc.n_delegated = rc.n_publishers = 0; /* nothing of a mesh is told outside */
    rc.loopback_on_lan = config_bool(config, "Routing.LoopbackAddressesOnLanDHT", rc.loopback_on_lan);
    rc.reprovide_interval_ms = (uint32_t)config_duration_ms(
        config, "Provide.DHT.Interval",
        config_duration_ms(config, "Reprovider.Interval", rc.reprovide_interval_ms));
    rc.forgets_sweep = !config_bool(config, "Provide.DHT.ResumeEnabled", true);
    unsigned strategy;
    TRY(provide_strategy(n, &strategy)); /* a typo must not announce what was not to be announced */
    n->announces = config_bool(config, "Provide.Enabled", true) && (rc.has_wan || rc.has_lan || rc.has_mesh);
    if (!n->announces)
        rc.reprovide_interval_ms = 0;
    TRY(routing_start(t, n->host, &rc, &n->routing));
    routing_set_provide_source(n->routing, provide_source, n);
    if (strategy & PROVIDED_ALL && rc.reprovide_interval_ms) /* else only what was asked for is told */
        routing_set_provide_check(n->routing, provides, n);
    host_set_relay_source(n->host, discover_relays, n->routing);
    return naming_go_online(n->naming, n->routing);
}

static bool may_serve(task_t *t, void *arg, const peer_id_t *peer, const cid_t *cid)
{
    const node_t *n = arg;
    return !denied_has_cid(n->denied, cid) && (!n->mesh || mesh_may_serve(t, n->mesh, cid)) &&
           !is_private(t, n, cid);
}

static err_t start_bitswap(task_t *t, node_t *n)
{
    bitswap_config_t bc;
    TRY(settings_bitswap(repo_config(n->repo), &bc));
    n->fetches = bc.is_on;
    bc.host = n->host;
    bc.routing = n->routing;
    bc.blocks = repo_blockstore(n->repo);
    bc.may_serve = may_serve;
    bc.arg = n;
    return bitswap_start(t, &bc, &n->bitswap);
}

static err_t hold_root(task_t *t, void *arg, const cid_t *root)
{
    node_t *n = arg;
    uint8_t key[CID_BINARY_MAX];
    return kv_put(t, repo_state(n->repo), HELD_SPACE, bytes_of(key, cid_encode(root, key)), BYTES_NONE);
}

static err_t release_root(task_t *t, void *arg, const cid_t *root)
{
    node_t *n = arg;
    uint8_t key[CID_BINARY_MAX];
    return kv_delete(t, repo_state(n->repo), HELD_SPACE, bytes_of(key, cid_encode(root, key)));
}

/* Replication.AllowFrom: peer IDs, or "*" for anybody. A line that is no peer ID is an error: a typo must not
 * quietly change who may use this node's disk. */
static err_t read_allow_list(const config_t *config, replica_config_t *rc, peer_id_t **ret_peers)
{
    size_t count = config_count(config, "Replication.AllowFrom");
    peer_id_t *peers = xcalloc(count ? count : 1, sizeof *peers);
    size_t n_peers = 0;
    for (size_t i = 0; i < count; i++) {
        const char *text = config_item(config, "Replication.AllowFrom", i);
        if (!strcmp(text, "*")) {
            rc->allow_any = true;
        } else if (peer_id_parse(text, &peers[n_peers])) {
            free(peers);
            return fail(ERR_USAGE, "config Replication.AllowFrom: \"%s\" is not a peer ID", text);
        } else {
            n_peers++;
        }
    }
    rc->allow_from = peers;
    rc->n_allow_from = n_peers;
    *ret_peers = peers;
    return OK;
}

static err_t start_replica(task_t *t, node_t *n)
{
    const config_t *config = repo_config(n->repo);
    replica_config_t rc;
    replica_config_default(&rc);
    rc.host = n->host;
    rc.routing = n->routing;
    rc.bitswap = n->bitswap;
    rc.blocks = repo_blockstore(n->repo);
    rc.state = repo_state(n->repo);
    rc.key = repo_identity(n->repo);
    rc.max_bytes = config_size(config, "Replication.MaxBytes", rc.max_bytes);
    rc.heartbeat_ms = (uint32_t)config_duration_ms(config, "Replication.Heartbeat", rc.heartbeat_ms);
    rc.lost_grace_ms = (uint32_t)config_duration_ms(config, "Replication.LostGrace", rc.lost_grace_ms);
    rc.prune_grace_ms = (uint32_t)config_duration_ms(config, "Replication.PruneGrace", rc.prune_grace_ms);
    rc.phi_lost = config_double(config, "Replication.PhiLost", rc.phi_lost);
    rc.is_in_mesh = n->is_in_mesh;
    rc.pin = hold_root;
    rc.unpin = release_root;
    rc.arg = n;
    peer_id_t *peers;
    TRY(read_allow_list(config, &rc, &peers));
    err_t e = replica_start(t, &rc, &n->replica);
    free(peers);
    return e;
}

static bool is_on(node_switch_t wanted, const config_t *config, const char *key)
{
    return wanted == NODE_AS_CONFIGURED ? config_bool(config, key, false) : wanted == NODE_ON;
}

static err_t start_pubsub(task_t *t, node_t *n, const node_options_t *o)
{
    const config_t *config = repo_config(n->repo);
    bool names = is_on(o->names_pubsub, config, "Ipns.UsePubsub");
    if (!names && !n->is_in_mesh && !is_on(o->pubsub, config, "Pubsub.Enabled"))
        return OK;
    TRY(messages_start(t, n->repo, n->host, n->routing, &n->pubsub));
    return names ? naming_use_pubsub(n->naming, n->pubsub, n->host) : OK;
}

static err_t collect_garbage(task_t *t, void *arg)
{
    gc_result_t result;
    TRY(gc_run(t, repo_gc(((node_t *)arg)->repo), NULL, NULL, &result));
    return result.broken_pins
               ? fail(ERR_CORRUPT, "%llu pinned DAGs are not whole here: nothing was collected",
                      (unsigned long long)result.broken_pins)
               : OK;
}

static err_t unpin_deleted(task_t *t, void *arg, const cid_t *manifest)
{
    return pins_remove(t, repo_pins(((node_t *)arg)->repo), manifest, PIN_ANY);
}

static err_t room_left(task_t *t, void *arg, uint64_t *ret_bytes)
{
    repo_stat_t s;
    TRY(repo_stat(t, ((node_t *)arg)->repo, &s));
    uint64_t allowed = s.limited_bytes < s.max_bytes ? s.max_bytes - s.limited_bytes : 0, on_disk;
    TRY(fs_free_bytes(t, repo_path(((node_t *)arg)->repo), &on_disk));
    *ret_bytes = allowed < on_disk ? allowed : on_disk;
    return OK;
}

static err_t start_mesh(task_t *t, node_t *n, const node_options_t *o)
{
    const config_t *config = repo_config(n->repo);
    mesh_config_t mc;
    mesh_config_default(&mc);
    mc.host = n->host;
    mc.routing = n->routing;
    mc.pubsub = n->pubsub;
    mc.replica = n->replica;
    mc.blocks = repo_blockstore(n->repo);
    mc.state = repo_state(n->repo);
    mc.key = repo_identity(n->repo);
    mc.collect = collect_garbage;
    mc.let_go = unpin_deleted;
    mc.free_bytes = room_left;
    mc.arg = n;
    TRY(membership_settings(config, o, &mc));
    TRY(mesh_start(t, &mc, &n->mesh));
    return membership_join(t, config, o, n->host, mc.state, &n->mesh_join);
}

err_t node_go_online(task_t *t, node_t *n, const node_options_t *o)
{
    TRY(config_check(repo_config(n->repo), ""));
    n->is_in_mesh = membership_is_on(repo_config(n->repo), o);
    n->keeps_chunks = o->keeps_chunks || chunk_store_is_used(t, n->repo);
    TRY(start_host(t, n, o));
    TRY(listen_all(t, n->host, repo_config(n->repo), o->listen, o->n_listen));
    TRY(start_routing(t, n, o->routing_type));
    TRY(start_bitswap(t, n));
    TRY(start_replica(t, n));
    TRY(settings_perf(repo_config(n->repo), n->host));
    TRY(settings_bandwidth(repo_config(n->repo), n->host));
    TRY(start_pubsub(t, n, o));
    settings_peers(repo_config(n->repo), o, n->host);
    if (n->is_in_mesh) /* opens nothing but what it was told to, and asks nobody outside */
        return start_mesh(t, n, o);
    if (config_bool(repo_config(n->repo), "Discovery.MDNS.Enabled", true))
        n->mdns = mdns_start(n->host);
    if (!config_bool(repo_config(n->repo), "Swarm.DisableNatPortMap", false))
        TRY(portmap_start(n->host, &n->portmap));
    return OK;
}

/* ── handles ─────────────────────────────────────────────────────────────────────────────────── */

sched_t *node_sched(node_t *n)
{
    return n->sched;
}

bool node_is_online(const node_t *n)
{
    return n->host != NULL;
}

uint64_t node_started_ms(const node_t *n)
{
    return n->started_ms;
}

repo_t *node_repo(node_t *n)
{
    return n->repo;
}

const peer_id_t *node_id(const node_t *n)
{
    return repo_peer_id(n->repo);
}

const public_key_t *node_public_key(const node_t *n)
{
    return &n->public_key;
}

const char *node_agent(const node_t *n)
{
    return n->agent;
}

host_t *node_host(node_t *n)
{
    return n->host;
}

routing_t *node_routing(node_t *n)
{
    return n->routing;
}

vault_t *node_vault(node_t *n)
{
    return n->vault;
}

naming_t *node_naming(node_t *n)
{
    return n->naming;
}

bitswap_t *node_bitswap(node_t *n)
{
    return n->bitswap;
}

const uint8_t *node_swarm_fingerprint(const node_t *n)
{
    return n->is_private ? n->fingerprint : NULL;
}

replica_t *node_replica(node_t *n)
{
    return n->replica;
}

mesh_t *node_mesh(node_t *n)
{
    return n->mesh;
}

mesh_join_t *node_mesh_join(node_t *n)
{
    return n->mesh_join;
}

tunnels_t *node_tunnels(node_t *n)
{
    bool is_wanted = config_bool(repo_config(n->repo), "Experimental.Libp2pStreamMounting", false);
    if (is_wanted && n->host && !n->tunnels) /* the setting may be made while the node runs */
        n->tunnels = tunnels_new(n->host);
    return is_wanted ? n->tunnels : NULL;
}

pubsub_t *node_pubsub(node_t *n)
{
    return n->pubsub;
}

err_t node_reset_pubsub(task_t *t, node_t *n, const peer_id_t *author, uint64_t *ret_count)
{
    return messages_reset(t, n->repo, n->pubsub, author, ret_count);
}

bool node_is_replicated(task_t *t, node_t *n, const cid_t *root)
{
    uint8_t key[CID_BINARY_MAX];
    return kv_has(t, repo_state(n->repo), HELD_SPACE, bytes_of(key, cid_encode(root, key)));
}

blocks_t *node_local_blocks(node_t *n)
{
    return n->local;
}

err_t node_watch_denylists(node_t *n)
{
    return group_spawn(&n->tasks, "denylists", denied_watch, n->denied, NULL);
}

err_t node_check_path(const node_t *n, bytes_t path)
{
    if (!denied_has_path(n->denied, path))
        return OK;
    return fail(ERR_BLOCKED, "%.*s is blocked and cannot be provided", (int)(path.len < 200 ? path.len : 200),
                (const char *)path.data);
}

err_t node_session_open(node_t *n, bool offline, node_session_t *ret)
{
    node_session_t s = {.blocks = n->local};
    if (n->bitswap && n->fetches && !offline) {
        TRY(bitswap_session_open(n->bitswap, &s.session));
        s.blocks = denied_blocks_new(n->denied, bitswap_session_blocks(s.session));
    }
    *ret = s;
    return OK;
}

void node_session_reads(node_session_t *s)
{
    if (s->session)
        bitswap_session_reads(s->session);
}

err_t node_session_settle(task_t *t, node_session_t *s)
{
    return s->session ? bitswap_session_settle(t, s->session) : OK;
}

void node_session_close(node_session_t *s)
{
    if (s->session) {
        denied_blocks_free(s->blocks);
        bitswap_session_close(s->session);
    }
    *s = (node_session_t){0};
}

void node_offer(node_t *n, const cid_t *root)
{
    if (n->bitswap)
        bitswap_have(n->bitswap, root, 1);
}

void node_announce(node_t *n, const cid_t *root)
{
    node_offer(n, root);
    if (n->announces)
        routing_provide_later(n->routing, root);
}

err_t node_announce_now(task_t *t, node_t *n, const cid_t *root)
{
    node_offer(n, root);
    return n->announces ? routing_provide(t, n->routing, root) : OK;
}
