/* The defaults of a fresh config, and the profiles that change groups of settings. Both are JSON texts with
 * the same keys as the config. */
#include "crypto/key.h"
#include "repo/config_impl.h"
#include <stdio.h>

static const char defaults_text[] =
    "{\"Datastore\": {\"Store\": \"pack\", \"StorageMax\": \"10GB\", \"StorageGCWatermark\": 90, "
    "\"GCPeriod\": \"1h\"},"
    "\"Addresses\": {"
    "  \"Swarm\": [\"/ip4/0.0.0.0/tcp/4001\", \"/ip6/::/tcp/4001\","
    "    \"/ip4/0.0.0.0/udp/4001/quic-v1\", \"/ip6/::/udp/4001/quic-v1\"],"
    "  \"Announce\": [], \"AppendAnnounce\": [], \"NoAnnounce\": [],"
    "  \"API\": \"/ip4/127.0.0.1/tcp/5001\", \"Gateway\": \"/ip4/127.0.0.1/tcp/8080\"},"
    "\"Discovery\": {\"MDNS\": {\"Enabled\": true}},"
    "\"Routing\": {},"
    "\"Ipns\": {\"RepublishPeriod\": \"\", \"RecordLifetime\": \"\", \"ResolveCacheSize\": 128},"
    "\"Bootstrap\": ["
    "  \"/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN\","
    "  \"/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa\","
    "  \"/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb\","
    "  \"/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt\","
    "  \"/dnsaddr/va1.bootstrap.libp2p.io/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8\","
    "  \"/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ\"],"
    "\"Gateway\": {\"HTTPHeaders\": {}, \"RootRedirect\": \"\", \"NoFetch\": false, \"NoDNSLink\": false},"
    "\"API\": {\"HTTPHeaders\": {}},"
    "\"Swarm\": {\"AddrFilters\": null, \"DisableBandwidthMetrics\": false, \"DisableNatPortMap\": false,"
    "  \"RelayClient\": {}, \"RelayService\": {}, \"ConnMgr\": {}, \"ResourceMgr\": {}},"
    "\"AutoNAT\": {},"
    "\"Pubsub\": {\"Router\": \"\", \"DisableSigning\": false},"
    "\"Peering\": {\"Peers\": null},"
    "\"DNS\": {\"Resolvers\": {}},"
    "\"Provide\": {\"DHT\": {}},"
    "\"Reprovider\": {},"
    "\"Replication\": {\"AllowFrom\": []},"
    "\"Import\": {},"
    "\"Internal\": {},"
    "\"Bitswap\": {}}";

/* Networks that are private or not routed: IANA's special-purpose registries. */
#define UNROUTED                                                                                             \
    "[\"/ip4/10.0.0.0/ipcidr/8\", \"/ip4/100.64.0.0/ipcidr/10\", \"/ip4/169.254.0.0/ipcidr/16\","            \
    " \"/ip4/172.16.0.0/ipcidr/12\", \"/ip4/192.0.0.0/ipcidr/24\", \"/ip4/192.0.2.0/ipcidr/24\","            \
    " \"/ip4/192.168.0.0/ipcidr/16\", \"/ip4/198.18.0.0/ipcidr/15\", \"/ip4/198.51.100.0/ipcidr/24\","       \
    " \"/ip4/203.0.113.0/ipcidr/24\", \"/ip4/240.0.0.0/ipcidr/4\", \"/ip6/100::/ipcidr/64\","                \
    " \"/ip6/2001:2::/ipcidr/48\", \"/ip6/2001:db8::/ipcidr/32\", \"/ip6/fc00::/ipcidr/7\","                 \
    " \"/ip6/fe80::/ipcidr/10\"]"

static const char *const profiles[][2] = {
    {"flatfs", "{\"Datastore\": {\"Store\": \"flatfs\"}}"},
    {"pack", "{\"Datastore\": {\"Store\": \"pack\"}}"},
    {"test",
     "{\"Addresses\": {\"API\": \"/ip4/127.0.0.1/tcp/0\", \"Gateway\": \"/ip4/127.0.0.1/tcp/0\","
     "  \"Swarm\": [\"/ip4/127.0.0.1/tcp/0\"]},"
     " \"Swarm\": {\"DisableNatPortMap\": true}, \"Bootstrap\": [], \"AutoConf\": {\"Enabled\": false},"
     " \"Routing\": {\"LoopbackAddressesOnLanDHT\": true},"
     " \"Discovery\": {\"MDNS\": {\"Enabled\": false}}}"},
    {"server", "{\"Addresses\": {\"NoAnnounce\": " UNROUTED "},"
               " \"Swarm\": {\"AddrFilters\": " UNROUTED ", \"DisableNatPortMap\": true},"
               " \"Discovery\": {\"MDNS\": {\"Enabled\": false}}}"},
    {"local-discovery", "{\"Addresses\": {\"NoAnnounce\": []},"
                        " \"Swarm\": {\"AddrFilters\": null, \"DisableNatPortMap\": false},"
                        " \"Discovery\": {\"MDNS\": {\"Enabled\": true}}}"},
    {"lowpower", "{\"Routing\": {\"Type\": \"autoclient\"}, \"AutoNAT\": {\"ServiceMode\": \"disabled\"},"
                 " \"Reprovider\": {\"Interval\": \"0\"},"
                 " \"Swarm\": {\"ConnMgr\": {\"Type\": \"basic\", \"LowWater\": 20, \"HighWater\": 40,"
                 "   \"GracePeriod\": \"1m\"}}}"},
    {"unixfs-v0-2015",
     "{\"Import\": {\"CidVersion\": 0, \"UnixFSRawLeaves\": false, \"UnixFSChunker\": \"size-262144\","
     " \"HashFunction\": \"sha2-256\", \"UnixFSFileMaxLinks\": 174, \"UnixFSDirectoryMaxLinks\": 0,"
     " \"UnixFSHAMTDirectoryMaxFanout\": 256, \"UnixFSHAMTDirectorySizeThreshold\": \"256KiB\","
     " \"UnixFSHAMTDirectorySizeEstimation\": \"links\", \"UnixFSDAGLayout\": \"balanced\"}}"},
    {"unixfs-v1-2025",
     "{\"Import\": {\"CidVersion\": 1, \"UnixFSRawLeaves\": true, \"UnixFSChunker\": \"size-1048576\","
     " \"HashFunction\": \"sha2-256\", \"UnixFSFileMaxLinks\": 1024, \"UnixFSDirectoryMaxLinks\": 0,"
     " \"UnixFSHAMTDirectoryMaxFanout\": 256, \"UnixFSHAMTDirectorySizeThreshold\": \"256KiB\","
     " \"UnixFSHAMTDirectorySizeEstimation\": \"block\", \"UnixFSDAGLayout\": \"balanced\"}}"},
};
static const char *const aliases[][2] = {
    {"default-datastore", "pack"},
    {"legacy-cid-v0", "unixfs-v0-2015"},
    {"test-cid-v1", "unixfs-v1-2025"},
};

static json_t *load(const char *text)
{
    json_t *value = json_loads(text, 0, NULL);
    assert(value); /* a text of this file */
    return value;
}

json_t *config_defaults(void)
{
    return load(defaults_text);
}

json_t *config_default(const char *key)
{
    json_t *defaults = config_defaults(), *value = json_incref(json_object_get(defaults, key));
    json_decref(defaults);
    return value;
}

/* Objects are merged, all else is replaced. */
static void merge(json_t *into, json_t *from)
{
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value)
    {
        json_t *old = json_object_get(into, key);
        if (json_is_object(old) && json_is_object(value))
            merge(old, value);
        else
            json_object_set(into, key, value);
    }
}

/* The network settings of a fresh config: undoes `test` and `server`. */
static void restore_network(config_t *c)
{
    json_t *defaults = config_defaults();
    static const char *const keys[] = {"Addresses", "Bootstrap", "Discovery", "Swarm"};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *old = json_object_get(c->root, keys[i]);
        json_t *value = json_object_get(defaults, keys[i]);
        if (json_is_object(old))
            merge(old, value);
        else
            json_object_set(c->root, keys[i], value);
    }
    json_object_del(json_object_get(c->root, "AutoConf"), "Enabled");
    json_object_del(json_object_get(c->root, "Routing"), "LoopbackAddressesOnLanDHT");
    json_decref(defaults);
}

static err_t random_ports(config_t *c)
{
    uint16_t raw;
    char text[240];
    crypto_random((uint8_t *)&raw, sizeof raw);
    unsigned port = 20000 + raw % 40000u;
    snprintf(text, sizeof text,
             "[\"/ip4/0.0.0.0/tcp/%u\", \"/ip6/::/tcp/%u\", \"/ip4/0.0.0.0/udp/%u/quic-v1\","
             " \"/ip6/::/udp/%u/quic-v1\"]",
             port, port, port, port);
    return config_put(c, "Addresses.Swarm", load(text));
}

err_t config_apply_profile(config_t *c, const char *profile)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        if (strcmp(profile, aliases[i][0]) == 0)
            profile = aliases[i][1];
    if (strcmp(profile, "default") == 0)
        return OK;
    if (strcmp(profile, "default-networking") == 0) {
        restore_network(c);
        return OK;
    }
    if (strcmp(profile, "randomports") == 0)
        return random_ports(c);
    for (size_t i = 0; i < ARRAY_LEN(profiles); i++) {
        if (strcmp(profile, profiles[i][0]) != 0)
            continue;
        json_t *changes = load(profiles[i][1]);
        merge(c->root, changes);
        json_decref(changes);
        return OK;
    }
    return fail(
        ERR_USAGE,
        "invalid configuration profile: %.60s (known: default, default-networking, flatfs, pack, test, "
        "server, local-discovery, lowpower, randomports, unixfs-v0-2015, unixfs-v1-2025)",
        profile);
}
