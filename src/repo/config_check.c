/* Values that are read as sizes, durations, flags, numbers and lists: one that cannot be read must not
 * quietly become the default. */
#include "multi/peer_id.h"
#include "repo/config_impl.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef enum { SIZE, DURATION, FLAG, NUMBER, LIST, PEERS, ADDRESSES } value_kind_t;
static const struct {
    const char *path;
    value_kind_t kind;
} known[] = {
    {"Addresses.API", ADDRESSES},
    {"Addresses.Announce", LIST},
    {"Addresses.AppendAnnounce", LIST},
    {"Addresses.Gateway", ADDRESSES},
    {"Addresses.NoAnnounce", LIST},
    {"Addresses.Swarm", LIST},
    {"AutoConf.Enabled", FLAG},
    {"AutoNAT.Throttle.GlobalLimit", NUMBER},
    {"AutoNAT.Throttle.Interval", DURATION},
    {"AutoNAT.Throttle.PeerLimit", NUMBER},
    {"Bitswap.Libp2pEnabled", FLAG},
    {"Bitswap.ServerEnabled", FLAG},
    {"Bootstrap", LIST},
    {"DNS.MaxCacheTTL", DURATION},
    {"Datastore.GCPeriod", DURATION},
    {"Datastore.StorageGCWatermark", NUMBER},
    {"Datastore.StorageMax", SIZE},
    {"Discovery.MDNS.Enabled", FLAG},
    {"Experimental.FilestoreEnabled", FLAG},
    {"Experimental.Libp2pStreamMounting", FLAG},
    {"Experimental.UrlstoreEnabled", FLAG},
    {"Gateway.AllowCodecConversion", FLAG},
    {"Gateway.DeserializedResponses", FLAG},
    {"Gateway.DisableHTMLErrors", FLAG},
    {"Gateway.ExposeRoutingAPI", FLAG},
    {"Gateway.MaxConcurrentRequests", NUMBER},
    {"Gateway.MaxRangeRequestFileSize", SIZE},
    {"Gateway.MaxRequestDuration", DURATION},
    {"Gateway.NoDNSLink", FLAG},
    {"Gateway.NoFetch", FLAG},
    {"Gateway.RetrievalTimeout", DURATION},
    {"HTTPRetrieval.Enabled", FLAG},
    {"Import.CidVersion", NUMBER},
    {"Import.FastProvideDAG", FLAG},
    {"Import.FastProvideRoot", FLAG},
    {"Import.FastProvideWait", FLAG},
    {"Import.UnixFSDirectoryMaxLinks", NUMBER},
    {"Import.UnixFSFileMaxLinks", NUMBER},
    {"Import.UnixFSHAMTDirectoryMaxFanout", NUMBER},
    {"Import.UnixFSHAMTDirectorySizeThreshold", SIZE},
    {"Import.UnixFSRawLeaves", FLAG},
    {"Internal.MFSNoFlushLimit", NUMBER},
    {"Internal.UnixFSShardingSizeThreshold", SIZE},
    {"Ipns.MaxCacheTTL", DURATION},
    {"Ipns.RecordLifetime", DURATION},
    {"Ipns.RepublishPeriod", DURATION},
    {"Ipns.ResolveCacheSize", NUMBER},
    {"Ipns.UsePubsub", FLAG},
    {"Mesh.Bootstrap", LIST},
    {"Mesh.Enabled", FLAG},
    {"Mesh.Factor", NUMBER},
    {"Mesh.GCWindow", DURATION},
    {"Mesh.MaxBytesPerPeer", SIZE},
    {"Mesh.MaxFilesPerPeer", NUMBER},
    {"Mesh.Relay", FLAG},
    {"Mesh.SyncHorizon", DURATION},
    {"Mounts.FuseAllowOther", FLAG},
    {"Peering.Peers", LIST},
    {"Provide.DHT.Interval", DURATION},
    {"Provide.DHT.ResumeEnabled", FLAG},
    {"Provide.Enabled", FLAG},
    {"Pubsub.DisableSigning", FLAG},
    {"Pubsub.Enabled", FLAG},
    {"Pubsub.SeenMessagesTTL", DURATION},
    {"Replication.AllowFrom", PEERS},
    {"Replication.Heartbeat", DURATION},
    {"Replication.LostGrace", DURATION},
    {"Replication.MaxBytes", SIZE},
    {"Replication.PruneGrace", DURATION},
    {"Reprovider.Interval", DURATION},
    {"Routing.LoopbackAddressesOnLanDHT", FLAG},
    {"Swarm.AddrFilters", LIST},
    {"Swarm.Bandwidth.In", SIZE},
    {"Swarm.Bandwidth.Out", SIZE},
    {"Swarm.Bandwidth.PeerIn", SIZE},
    {"Swarm.Bandwidth.PeerOut", SIZE},
    {"Swarm.ConnMgr.GracePeriod", DURATION},
    {"Swarm.ConnMgr.HighWater", NUMBER},
    {"Swarm.ConnMgr.LowWater", NUMBER},
    {"Swarm.DisableNatPortMap", FLAG},
    {"Swarm.EnableHolePunching", FLAG},
    {"Swarm.Gating.Allow", LIST},
    {"Swarm.Gating.Deny", LIST},
    {"Swarm.RelayClient.Enabled", FLAG},
    {"Swarm.RelayClient.StaticRelays", LIST},
    {"Swarm.RelayService.ConnectionDurationLimit", DURATION},
    {"Swarm.RelayService.Enabled", FLAG},
    {"Swarm.RelayService.ReservationTTL", DURATION},
    {"Swarm.ResourceMgr.Allowlist", LIST},
    {"Swarm.ResourceMgr.Enabled", FLAG},
    {"Swarm.ResourceMgr.MaxFileDescriptors", NUMBER},
    {"Swarm.ResourceMgr.MaxMemory", SIZE},
    {"Swarm.Transports.Network.QUIC", FLAG},
    {"Swarm.Transports.Network.Relay", FLAG},
    {"Swarm.Transports.Network.TCP", FLAG},
    {"Swarm.Transports.Network.Websocket", FLAG},
};

/* Settings whose values are checked where they are used, if at all. */
static const char *const others[] = {
    "API.Authorizations",
    "API.HTTPHeaders",
    "AutoNAT.ServiceMode",
    "DNS.Resolvers",
    "Datastore.Store",
    "Gateway.DiagnosticServiceURL",
    "Gateway.HTTPHeaders",
    "Gateway.PublicGateways",
    "Gateway.RootRedirect",
    "Identity.PeerID",
    "Identity.PrivKey",
    "Import.HashFunction",
    "Import.UnixFSChunker",
    "Import.UnixFSDAGLayout",
    "Import.UnixFSHAMTDirectorySizeEstimation",
    "Internal.Libp2pForceReachability",
    "Ipns.DelegatedPublishers",
    "Mesh.Zone",
    "Mounts.IPFS",
    "Mounts.IPNS",
    "Mounts.MFS",
    "Mounts.StoreMode",
    "Mounts.StoreMtime",
    "Pinning.RemoteServices",
    "Provide.Strategy",
    "Pubsub.Router",
    "Pubsub.SeenMessagesStrategy",
    "Replication.PhiLost",
    "Reprovider.Strategy",
    "Routing.DelegatedRouters",
    "Routing.Type",
    "Swarm.Bandwidth.Protocols",
    "Swarm.ConnMgr.Type",
    "Swarm.Inbound.ConnsPerIP",
    "Swarm.Inbound.NewConnsAtOnce",
    "Swarm.Inbound.NewConnsPerSecond",
    "Swarm.Perf",
    "Swarm.RelayService.BufferSize",
    "Swarm.RelayService.ConnectionDataLimit",
    "Swarm.RelayService.MaxCircuits",
    "Swarm.RelayService.MaxReservations",
    "Swarm.RelayService.MaxReservationsPerIP",
    "Swarm.Transports.Security.Noise",
    "Swarm.Transports.Security.TLS",
    "Swarm.WebsocketTLS.CertFile",
    "Swarm.WebsocketTLS.KeyFile",
    "Version.AgentSuffix",
};

static const struct {
    const char *name, *example;
} kinds[] = {
    [SIZE] = {"size", "\"10GB\" or \"256KiB\""},
    [DURATION] = {"duration", "\"90s\" or \"1h30m\""},
    [FLAG] = {"flag", "true or false"},
    [NUMBER] = {"whole number", "100 (--json KEY 100 sets one)"},
    [PEERS] = {"list of peer IDs", "[\"12D3KooW…\"], or [\"*\"] for anybody"},
    [ADDRESSES] = {"multiaddr or list of them", "\"/ip4/127.0.0.1/tcp/5001\""},
    [LIST] = {"list", "[\"a\", \"b\"] (--json KEY '[…]' sets one)"},
};

/* Is `path` the same as `below` or above it? "" is above all. */
static bool covers(const char *path, const char *below)
{
    size_t n = strlen(path);
    return !n || (strncmp(path, below, n) == 0 && (below[n] == 0 || below[n] == '.'));
}

static bool is_flag_word(const char *text) /* as config_bool reads them */
{
    static const char *const words[] = {"true", "false", "enabled", "disabled", "default"};
    for (size_t i = 0; text && i < ARRAY_LEN(words); i++)
        if (strcasecmp(text, words[i]) == 0)
            return true;
    return false;
}

static bool are_peers(const json_t *list)
{
    size_t i;
    json_t *item;
    peer_id_t ignored;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (!text || (strcmp(text, "*") && peer_id_parse(text, &ignored)))
            return false;
    }
    return json_is_array(list);
}

static bool is_address(const json_t *value)
{
    const char *text = json_string_value(value);
    return text && (!*text || *text == '/');
}

static bool are_addresses(const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        if (!is_address(item))
            return false;
    }
    return json_is_array(value) || is_address(value);
}

static bool is_readable(json_t *value, value_kind_t kind)
{
    uint64_t ignored;
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) || (text && !*text)) /* the default is meant */
        return true;
    if (kind == FLAG)
        return json_is_boolean(value) || is_flag_word(text);
    if (kind == PEERS)
        return are_peers(value);
    if (kind == ADDRESSES)
        return are_addresses(value);
    if (kind == LIST)
        return json_is_array(value);
    if (kind == NUMBER)
        return json_is_integer(value);
    if (json_is_integer(value))
        return json_integer_value(value) >= 0;
    return text && !(kind == SIZE ? parse_size(text, &ignored) : parse_duration_ms(text, &ignored));
}

err_t config_check(const config_t *c, const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        json_t *value = config_json(c, known[i].path);
        if (!covers(path, known[i].path) || is_readable(value, known[i].kind))
            continue;
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        err_t e = fail(ERR_INVALID, "%s in the config is %.60s, which is no %s, such as %s", known[i].path,
                       text ? text : "something", kinds[known[i].kind].name, kinds[known[i].kind].example);
        free(text);
        return e;
    }
    return OK;
}

bool config_is_known(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (covers(path, known[i].path))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (covers(path, others[i]) || covers(others[i], path))
            return true;
    return false;
}
