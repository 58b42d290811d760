/* Values that are read as sizes and durations: one that cannot be read must not quietly become the default.
 */
#include "repo/config_impl.h"
#include <stdlib.h>
#include <string.h>

typedef enum { SIZE, DURATION } unit_kind_t;
static const struct {
    const char *path;
    unit_kind_t kind;
} known[] = {
    {"AutoNAT.Throttle.Interval", DURATION},
    {"DNS.MaxCacheTTL", DURATION},
    {"Datastore.GCPeriod", DURATION},
    {"Datastore.StorageMax", SIZE},
    {"Gateway.MaxRangeRequestFileSize", SIZE},
    {"Gateway.MaxRequestDuration", DURATION},
    {"Gateway.RetrievalTimeout", DURATION},
    {"Import.UnixFSHAMTDirectorySizeThreshold", SIZE},
    {"Ipns.MaxCacheTTL", DURATION},
    {"Ipns.RecordLifetime", DURATION},
    {"Ipns.RepublishPeriod", DURATION},
    {"Provide.DHT.Interval", DURATION},
    {"Pubsub.SeenMessagesTTL", DURATION},
    {"Replication.Heartbeat", DURATION},
    {"Replication.LostGrace", DURATION},
    {"Replication.MaxBytes", SIZE},
    {"Replication.PruneGrace", DURATION},
    {"Reprovider.Interval", DURATION},
    {"Swarm.Bandwidth.In", SIZE},
    {"Swarm.Bandwidth.Out", SIZE},
    {"Swarm.Bandwidth.PeerIn", SIZE},
    {"Swarm.Bandwidth.PeerOut", SIZE},
    {"Swarm.ConnMgr.GracePeriod", DURATION},
    {"Swarm.RelayService.ConnectionDurationLimit", DURATION},
    {"Swarm.RelayService.ReservationTTL", DURATION},
    {"Swarm.ResourceMgr.MaxMemory", SIZE},
};

/* Is `path` the same as `below` or above it? "" is above all. */
static bool covers(const char *path, const char *below)
{
    size_t n = strlen(path);
    return !n || (strncmp(path, below, n) == 0 && (below[n] == 0 || below[n] == '.'));
}

static bool is_readable(json_t *value, unit_kind_t kind)
{
    uint64_t ignored;
    const char *text = json_string_value(value);
    if (!value || json_is_null(value) || (text && !*text)) /* the default is meant */
        return true;
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
                       text ? text : "something", known[i].kind == SIZE ? "size" : "duration",
                       known[i].kind == SIZE ? "\"10GB\" or \"256KiB\"" : "\"90s\" or \"1h30m\"");
        free(text);
        return e;
    }
    return OK;
}
