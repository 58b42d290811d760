/* rpc_limits: whom this node keeps away from, and what its connections may use: swarm/filters,
 * swarm/resources. Reference: ipfs/kubo core/commands/swarm.go, core/node/libp2p/rcmgr.go. */
#include "api/rpc_util.h"
#include "net/resources.h"
#include <stdio.h>
#include <stdlib.h>

/* ── filters ─────────────────────────────────────────────────────────────────────────────────── */
/* Networks to keep away from are Kubo's; peers, and those who alone are let in, have keys of their own. */
static const char FILTERS_KEY[] = "Swarm.AddrFilters", DENY_KEY[] = "Swarm.Gating.Deny",
                  ALLOW_KEY[] = "Swarm.Gating.Allow";

static void append_list(json_t *list, const config_t *config, const char *key)
{
    for (size_t i = 0, n = config_count(config, key); i < n; i++)
        json_array_append_new(list, json_string(config_item(config, key, i)));
}

static err_t emit_lines(task_t *t, rpc_t *r, json_t *list)
{
    return rpc_emit(t, r, json_pack("{s:o}", "Strings", rpc_list_json(list)));
}

static err_t rpc_swarm_filters(task_t *t, rpc_t *r)
{
    const config_t *config = repo_config(node_repo(r->node));
    json_t *list = json_array();
    if (rpc_bool(r, "allow", false)) {
        append_list(list, config, ALLOW_KEY);
    } else {
        append_list(list, config, FILTERS_KEY);
        append_list(list, config, DENY_KEY);
    }
    return emit_lines(t, r, list);
}

static const char *key_of(rpc_t *r, const char *text)
{
    if (rpc_bool(r, "allow", false))
        return ALLOW_KEY;
    return strncmp(text, "/p2p/", 5) ? FILTERS_KEY : DENY_KEY;
}

static bool is_listed(json_t *list, const char *text)
{
    size_t i;
    json_t *line;
    json_array_foreach(list, i, line) if (!strcmp(json_string_value(line), text)) return true;
    return false;
}

/* Those of `key` without those of `changed`, and with them when they are added. The node takes it up. */
static err_t save_list(task_t *t, rpc_t *r, const char *key, json_t *changed, bool add)
{
    json_t *before = json_array(), *list = json_array(), *line;
    size_t i, n_changed = 0;
    append_list(before, repo_config(node_repo(r->node)), key);
    json_array_foreach(before, i, line) if (!is_listed(changed, json_string_value(line)))
        json_array_append(list, line);
    json_array_foreach(changed, i, line) if (!strcmp(key_of(r, json_string_value(line)), key))
    {
        n_changed++;
        if (add)
            json_array_append(list, line);
    }
    char *text = json_dumps(list, JSON_COMPACT);
    err_t e = n_changed ? repo_config_set(t, node_repo(r->node), key, text) : OK;
    free(text);
    json_decref(list);
    json_decref(before);
    return e;
}

/* The host sees each entry first, and refuses one that is none. */
static err_t try_entry(rpc_t *r, const char *text, char printed[MULTIADDR_TEXT_MAX])
{
    multiaddr_t entry;
    TRY(multiaddr_parse(text, &entry));
    multiaddr_print(&entry, printed);
    return host_gate_check(&entry);
}

static err_t change_filters(task_t *t, rpc_t *r, bool add)
{
    TRY(rpc_need_online(r));
    json_t *changed = json_array(), *now = json_array();
    bool is_allow = rpc_bool(r, "allow", false);
    err_t e = OK;
    append_list(now, repo_config(node_repo(r->node)), is_allow ? ALLOW_KEY : FILTERS_KEY);
    if (!is_allow)
        append_list(now, repo_config(node_repo(r->node)), DENY_KEY);
    for (size_t i = 0; !e && i < r->n_args; i++) {
        char printed[MULTIADDR_TEXT_MAX];
        if (!add && !strcmp(r->args[i], "all")) {
            json_array_extend(changed, now);
            continue;
        }
        e = try_entry(r, r->args[i], printed);
        if (!e && (add || is_listed(now, printed)) && !is_listed(changed, printed))
            json_array_append_new(changed, json_string(printed));
    }
    const char *const keys[] = {FILTERS_KEY, DENY_KEY, ALLOW_KEY};
    for (size_t i = is_allow ? 2 : 0; !e && i < (is_allow ? 3 : 2); i++)
        e = save_list(t, r, keys[i], changed, add);
    json_decref(now);
    if (e) {
        json_decref(changed);
        return e;
    }
    return emit_lines(t, r, changed);
}

static err_t rpc_swarm_filters_add(task_t *t, rpc_t *r)
{
    return change_filters(t, r, true);
}

static err_t rpc_swarm_filters_rm(task_t *t, rpc_t *r)
{
    return change_filters(t, r, false);
}

/* ── resources ───────────────────────────────────────────────────────────────────────────────── */
/* Memory is a string, since JSON's numbers do not reach that far, as go-libp2p writes it. */
static json_t *limit_json(uint64_t max, bool is_memory)
{
    if (max > INT64_MAX)
        return json_string("unlimited");
    if (!max)
        return json_string("blockAll");
    return is_memory ? json_sprintf("%llu", (unsigned long long)max) : json_integer((json_int_t)max);
}

static json_t *scope_json(const scope_t *s)
{
    const scope_max_t *m = s->max;
    const struct {
        const char *name, *usage;
        uint64_t max, used;
    } rows[] = {
        {"Memory", "MemoryUsage", m->memory, s->memory.used},
        {"FD", "FDUsage", m->fds, s->used[SCOPE_FDS]},
        {"Conns", "ConnsUsage", m->conns, scope_conns(s)},
        {"ConnsInbound", "ConnsInboundUsage", m->conns_in, s->used[SCOPE_CONNS_IN]},
        {"ConnsOutbound", "ConnsOutboundUsage", m->conns_out, s->used[SCOPE_CONNS_OUT]},
        {"Streams", "StreamsUsage", m->streams, scope_streams(s)},
        {"StreamsInbound", "StreamsInboundUsage", m->streams_in, s->used[SCOPE_STREAMS_IN]},
        {"StreamsOutbound", "StreamsOutboundUsage", m->streams_out, s->used[SCOPE_STREAMS_OUT]},
    };
    json_t *o = json_object();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_object_set_new(o, rows[i].name, limit_json(rows[i].max, i == 0));
        json_object_set_new(o, rows[i].usage, json_integer((json_int_t)rows[i].used));
    }
    return o;
}

static void put_scope(void *arg, scope_class_t class, const char *name, const scope_t *s)
{
    json_t *answer = arg;
    const char *member = class == SCOPE_SYSTEM      ? "System"
                         : class == SCOPE_TRANSIENT ? "Transient"
                         : class == SCOPE_SERVICE   ? "Services"
                         : class == SCOPE_PROTOCOL  ? "Protocols"
                                                    : "Peers";
    if (!*name) {
        json_object_set_new(answer, member, scope_json(s));
        return;
    }
    json_t *group = json_object_get(answer, member);
    if (!group)
        json_object_set_new(answer, member, group = json_object());
    json_object_set_new(group, name, scope_json(s));
}

static err_t rpc_swarm_resources(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    if (!config_bool(repo_config(node_repo(r->node)), "Swarm.ResourceMgr.Enabled", true))
        return fail(ERR_UNSUPPORTED, "missing ResourceMgr: make sure the daemon is running with "
                                     "Swarm.ResourceMgr.Enabled");
    json_t *answer = json_object();
    host_each_scope(node_host(r->node), put_scope, answer);
    return rpc_emit(t, r, answer);
}

const rpc_command_t rpc_limits_commands[] = {
    {"swarm/filters", rpc_swarm_filters, 0, 0, NULL},
    {"swarm/filters/add", rpc_swarm_filters_add, 1, 64, "address"},
    {"swarm/filters/rm", rpc_swarm_filters_rm, 1, 64, "address"},
    {"swarm/resources", rpc_swarm_resources, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
