#include "node/settings_resources.h"
#include "base/log.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { OVERRIDES_MAX_BYTES = 1 << 20, NAMED_MAX = 1024 };
/* One scale to turn: a connection for each of these bytes, an eighth of them while they are being set up. */
enum { BYTES_PER_CONN = 256 << 10, PENDING_SHARE = 8, PEER_SHARE = 4 };
#define OVERRIDES_FILE "libp2p-resource-limit-overrides.json"

/* ── from the config ─────────────────────────────────────────────────────────────────────────── */
static uint64_t default_fds(void)
{
    struct rlimit now;
    return getrlimit(RLIMIT_NOFILE, &now) || now.rlim_cur == RLIM_INFINITY ? 0 : now.rlim_cur / 2;
}

static void read_water(const config_t *config, host_limits_t *limits)
{
    int64_t high = config_int(config, "Swarm.ConnMgr.HighWater", (int64_t)limits->high_conns);
    int64_t low = config_int(config, "Swarm.ConnMgr.LowWater", (int64_t)limits->low_conns);
    if (high > 0 && low > 0 && low <= high) {
        limits->high_conns = (size_t)high;
        limits->low_conns = (size_t)low;
        if (limits->max_conns < limits->high_conns * 2)
            limits->max_conns = limits->high_conns * 2;
    } else {
        log_warn("Swarm.ConnMgr: LowWater must be over 0 and not over HighWater; the defaults are used",
                 LOG_INT("low", low), LOG_INT("high", high));
    }
    if (!strcmp(config_str(config, "Swarm.ConnMgr.Type", "basic"), "none"))
        limits->high_conns = limits->max_conns; /* never trimmed: refused instead */
    limits->grace_ms = (uint32_t)config_duration_ms(config, "Swarm.ConnMgr.GracePeriod", limits->grace_ms);
}

static size_t read_count(const config_t *config, const char *path, size_t otherwise)
{
    int64_t n = config_int(config, path, (int64_t)otherwise);
    return n >= 0 ? (size_t)n : otherwise;
}

bool settings_has_resource_manager(const config_t *config)
{
    return config_bool(config, "Swarm.ResourceMgr.Enabled", true);
}

void settings_limits(const config_t *config, host_limits_t *limits)
{
    uint64_t before = limits->max_bytes;
    limits->max_bytes = config_size(config, "Swarm.ResourceMgr.MaxMemory", limits->max_bytes);
    if (limits->max_bytes != before) {
        limits->max_conns = (size_t)(limits->max_bytes / BYTES_PER_CONN);
        limits->max_bytes_per_peer = limits->max_bytes / PEER_SHARE;
    }
    read_water(config, limits);
    limits->max_inbound_pending = limits->max_conns / PENDING_SHARE;
    limits->max_fds = read_count(config, "Swarm.ResourceMgr.MaxFileDescriptors", default_fds());
    limits->max_inbound_per_ip = read_count(config, "Swarm.Inbound.ConnsPerIP", limits->max_inbound_per_ip);
    limits->new_conns_per_s =
        config_double(config, "Swarm.Inbound.NewConnsPerSecond", limits->new_conns_per_s);
    limits->new_conns_at_once = read_count(config, "Swarm.Inbound.NewConnsAtOnce", limits->new_conns_at_once);
    if (!settings_has_resource_manager(config))
        limits->new_conns_per_s = 0;
}

/* ── the overrides file ──────────────────────────────────────────────────────────────────────── */
/* "unlimited", "blockAll", "default", a number or one as a string; ret is left alone by "default". */
static err_t read_value(json_t *value, const char *scope, const char *member, uint64_t *ret)
{
    const char *text = json_string_value(value);
    char *end = NULL;
    if (text && !strcmp(text, "default"))
        return OK;
    if (text && !strcmp(text, "unlimited")) {
        *ret = SCOPE_UNLIMITED;
        return OK;
    }
    if (text && !strcmp(text, "blockAll")) {
        *ret = 0;
        return OK;
    }
    if (json_is_integer(value) && json_integer_value(value) >= -2) { /* -1, -2: as go-libp2p counts them */
        json_int_t n = json_integer_value(value);
        *ret = n == -1 ? SCOPE_UNLIMITED : n == -2 ? 0 : (uint64_t)n;
        return OK;
    }
    unsigned long long n = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;
    if (!end || *end)
        return fail(ERR_USAGE,
                    OVERRIDES_FILE
                    ": %.80s.%.40s must be a number, \"unlimited\", \"blockAll\" or \"default\"",
                    scope, member);
    *ret = n;
    return OK;
}

static err_t read_scope(json_t *from, const char *scope, scope_max_t *ret)
{
    const struct {
        const char *member;
        uint64_t *at;
    } members[] = {{"Memory", &ret->memory},
                   {"FD", &ret->fds},
                   {"Conns", &ret->conns},
                   {"ConnsInbound", &ret->conns_in},
                   {"ConnsOutbound", &ret->conns_out},
                   {"Streams", &ret->streams},
                   {"StreamsInbound", &ret->streams_in},
                   {"StreamsOutbound", &ret->streams_out}};
    const char *member;
    json_t *value;
    if (!json_is_object(from))
        return fail(ERR_USAGE, OVERRIDES_FILE ": %.80s must be an object", scope);
    json_object_foreach(from, member, value)
    {
        size_t i = 0;
        while (i < ARRAY_LEN(members) && strcmp(members[i].member, member) != 0)
            i++;
        if (i == ARRAY_LEN(members))
            return fail(ERR_USAGE, OVERRIDES_FILE ": %.80s has no limit %.40s", scope, member);
        TRY(read_value(value, scope, member, members[i].at));
    }
    return OK;
}

static const struct {
    const char *member;
    scope_class_t class;
    bool is_named; /* an object of names */
} scope_members[] = {
    {"System", SCOPE_SYSTEM, false},
    {"Transient", SCOPE_TRANSIENT, false},
    {"AllowlistedSystem", SCOPE_ALLOWED_SYSTEM, false},
    {"AllowlistedTransient", SCOPE_ALLOWED_TRANSIENT, false},
    {"ProtocolDefault", SCOPE_PROTOCOL, false},
    {"ProtocolPeerDefault", SCOPE_PROTOCOL_PEER, false},
    {"PeerDefault", SCOPE_PEER, false},
    {"ServiceDefault", SCOPE_SERVICE, false},
    {"ServicePeerDefault", SCOPE_SERVICE_PEER, false},
    {"Conn", SCOPE_CONN, false},
    {"Stream", SCOPE_STREAM, false},
    {"Protocol", SCOPE_PROTOCOL, true},
    {"ProtocolPeer", SCOPE_PROTOCOL_PEER, true},
    {"Peer", SCOPE_PEER, true},
    {"Service", SCOPE_SERVICE, true},
    {"ServicePeer", SCOPE_SERVICE_PEER, true},
};
static err_t read_named(json_t *from, scope_class_t class, host_scopes_t *s)
{
    const char *name;
    json_t *limits;
    if (!json_is_object(from))
        return fail(ERR_USAGE, OVERRIDES_FILE ": limits by name must be an object");
    json_object_foreach(from, name, limits)
    {
        peer_id_t peer;
        char text[PEER_ID_TEXT_MAX];
        scope_named_t *named = (scope_named_t *)s->named;
        if (s->n_named == NAMED_MAX)
            return fail(ERR_USAGE, OVERRIDES_FILE ": limits of %d protocols, services and peers, the most",
                        NAMED_MAX);
        if (class == SCOPE_PEER && peer_id_parse(name, &peer))
            return fail(ERR_USAGE, OVERRIDES_FILE ": %.80s is no peer ID", name);
        named = xrealloc(named, (s->n_named + 1) * sizeof *named);
        s->named = named;
        named[s->n_named] = (scope_named_t){.class = class, .max = s->max[class]};
        named[s->n_named++].name = xstrdup(class == SCOPE_PEER ? peer_id_print(&peer, text) : name);
        TRY(read_scope(limits, name, &named[s->n_named - 1].max));
    }
    return OK;
}

/* The defaults come first: those with a name begin with them. */
static err_t read_scopes(json_t *all, host_scopes_t *s)
{
    const char *member;
    json_t *value;
    json_object_foreach(all, member, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < ARRAY_LEN(scope_members); i++)
            is_known |= !strcmp(scope_members[i].member, member);
        if (!is_known)
            return fail(ERR_USAGE, OVERRIDES_FILE ": there is no scope %.80s", member);
    }
    for (size_t i = 0; i < ARRAY_LEN(scope_members); i++) {
        value = json_object_get(all, scope_members[i].member);
        scope_class_t class = scope_members[i].class;
        if (!value)
            continue;
        TRY(scope_members[i].is_named ? read_named(value, class, s)
                                      : read_scope(value, scope_members[i].member, &s->max[class]));
    }
    return OK;
}

err_t settings_scopes(bytes_t overrides, host_scopes_t *ret)
{
    json_error_t why;
    json_t *all = json_loadb((const char *)overrides.data, overrides.len, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(all)) {
        json_decref(all);
        return fail(ERR_USAGE, OVERRIDES_FILE ", line %d: %.100s", all ? 1 : why.line,
                    all ? "an object is expected" : why.text);
    }
    err_t e = read_scopes(all, ret);
    json_decref(all);
    return e;
}

void settings_scopes_free(host_scopes_t *s)
{
    for (size_t i = 0; i < s->n_named; i++)
        free((char *)s->named[i].name);
    free((scope_named_t *)s->named);
    s->named = NULL;
    s->n_named = 0;
}

/* ── to the host ─────────────────────────────────────────────────────────────────────────────── */
static err_t read_overrides(task_t *t, const char *repo_path, host_scopes_t *s)
{
    char path[4096];
    AUTO(buf_t) text;
    buf_init(&text, OVERRIDES_MAX_BYTES);
    snprintf(path, sizeof path, "%s/" OVERRIDES_FILE, repo_path);
    err_t e = fs_read_file(t, path, OVERRIDES_MAX_BYTES, &text);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    return settings_scopes(buf_bytes(&text), s);
}

/* Trimming must come before refusing, or those who are already there keep all others out. */
static err_t check_water(const config_t *config, const host_limits_t *limits, const scope_max_t *system)
{
    if (!strcmp(config_str(config, "Swarm.ConnMgr.Type", "basic"), "none"))
        return OK;
    if (limits->high_conns > system->conns || limits->high_conns > system->conns_in)
        return fail(ERR_USAGE,
                    "config Swarm.ConnMgr.HighWater is %zu, over System.Conns or System.ConnsInbound of "
                    "libp2p-resource-limit-overrides.json",
                    limits->high_conns);
    return OK;
}

static err_t read_allowlist(const config_t *config, host_t *h)
{
    static const char key[] = "Swarm.ResourceMgr.Allowlist";
    for (size_t i = 0, n = config_count(config, key); i < n; i++) {
        multiaddr_t addr;
        const char *text = config_item(config, key, i);
        err_t e = multiaddr_parse(text, &addr);
        if (!e)
            e = host_allow_past_limits(h, &addr);
        if (e)
            log_warn("a line of Swarm.ResourceMgr.Allowlist is left out", LOG_STR("address", text),
                     LOG_ERR(e));
    }
    return OK;
}

err_t settings_resources(task_t *t, const config_t *config, const char *repo_path, host_t *h)
{
    host_scopes_t s;
    host_scopes_default(host_limits(h), &s);
    err_t e = OK;
    if (settings_has_resource_manager(config)) {
        e = read_overrides(t, repo_path, &s);
        if (!e)
            e = check_water(config, host_limits(h), &s.max[SCOPE_SYSTEM]);
    } else {
        for (size_t i = 0; i < SCOPE_CLASSES; i++)
            s.max[i] = scope_max_none();
    }
    if (!e)
        host_set_scopes(h, &s);
    settings_scopes_free(&s);
    TRY(e);
    return read_allowlist(config, h);
}
