/* rpc_node: the node itself: config, bootstrap, status, shutdown. */
#include "api/api_internal.h"
#include "api/rpc.h"
#include "api/rpc_util.h"
#include <stdlib.h>

enum { STATUS_TIMEOUT_MS = 5000 };

static err_t rpc_shutdown(task_t *t, rpc_t *r)
{
    r->api->is_shutting_down = true;
    event_fire(&r->api->shutdown);
    return OK;
}

/* ── config ──────────────────────────────────────────────────────────────────────────────────── */

static err_t emit_config(task_t *t, rpc_t *r, const char *key, bool is_change)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, CONFIG_MAX_BYTES);
    TRY(config_get(repo_config(node_repo(r->node)), key, &value));
    json_t *o = json_pack("{s:s, s:o}", "Key", key, "Value",
                          json_loadb((const char *)value.data, value.len, JSON_DECODE_ANY, NULL));
    if (o && is_change && !config_is_known(key))
        json_object_set_new(o, "Warning",
                            json_string("no setting has this name: it is kept and has no effect"));
    return rpc_emit(t, r, o);
}

/* Keys of pinning services, and whatever contains them, are `pin remote service`'s business, as in Kubo. */
static err_t check_credentials(const char *key)
{
    static const char *const parts[] = {"Pinning", "RemoteServices", NULL, "API", "Key"};
    for (size_t i = 0; i < ARRAY_LEN(parts) && *key; i++) {
        size_t n = strcspn(key, ".");
        if (parts[i] && (n != strlen(parts[i]) || strncasecmp(key, parts[i], n)))
            return OK;
        key += n + (key[n] == '.');
    }
    return fail(ERR_DENIED, "cannot show or change pinning services credentials");
}

static err_t rpc_config(task_t *t, rpc_t *r)
{
    const char *key = r->args[0];
    TRY(check_credentials(key));
    if (r->n_args != 2)
        return emit_config(t, r, key, false);
    AUTO(buf_t) quoted = {0};
    buf_init(&quoted, CONFIG_MAX_BYTES);
    const char *value = r->args[1];
    if (rpc_bool(r, "bool", false)) {
        value = !strcmp(value, "true") ? "true" : "false";
    } else if (!rpc_bool(r, "json", false)) {
        TRY(json_quote(bytes_str(value), &quoted));
        TRY(buf_cstr(&quoted, &value));
    }
    TRY(repo_config_set(t, node_repo(r->node), key, value));
    return emit_config(t, r, key, true);
}

static err_t rpc_config_show(task_t *t, rpc_t *r)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, CONFIG_MAX_BYTES);
    TRY(config_print_public(repo_config(node_repo(r->node)), &text));
    return rpc_emit(t, r, json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, NULL));
}

static err_t rpc_config_replace(task_t *t, rpc_t *r)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, CONFIG_MAX_BYTES);
    TRY(rpc_read_upload(t, r, &text));
    return repo_config_replace(t, node_repo(r->node), buf_bytes(&text));
}

static err_t public_config(const config_t *c, json_t **ret)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, CONFIG_MAX_BYTES);
    TRY(config_print_public(c, &text));
    *ret = json_loadb((const char *)text.data, text.len, 0, NULL);
    return OK;
}

/* The config with the profile in it, as it is or would be stored. */
static err_t profiled_config(const config_t *now, const char *profile, json_t **ret)
{
    AUTO(buf_t) text = {0};
    AUTO_PTR(config_t) copy = NULL;
    buf_init(&text, CONFIG_MAX_BYTES);
    TRY(config_print_public(now, &text));
    TRY(config_parse(buf_bytes(&text), &copy));
    TRY(config_apply_profile(copy, profile));
    return public_config(copy, ret);
}

static err_t rpc_config_profile_apply(task_t *t, rpc_t *r)
{
    repo_t *repo = node_repo(r->node);
    bool is_dry = rpc_bool(r, "dry-run", false);
    json_t *before = NULL, *after = NULL;
    err_t e = public_config(repo_config(repo), &before);
    if (!e)
        e = is_dry ? profiled_config(repo_config(repo), r->args[0], &after)
                   : repo_config_apply_profile(t, repo, r->args[0]);
    if (!e && !is_dry)
        e = public_config(repo_config(repo), &after);
    if (e) {
        json_decref(before);
        return e;
    }
    return rpc_emit(t, r, json_pack("{s:o, s:o}", "OldCfg", before, "NewCfg", after));
}

/* ── bootstrap ───────────────────────────────────────────────────────────────────────────────── */

static json_t *bootstrap_list(rpc_t *r)
{
    json_t *list = config_json(repo_config(node_repo(r->node)), "Bootstrap");
    return json_is_array(list) ? json_deep_copy(list) : json_array();
}

static err_t save_bootstrap(task_t *t, rpc_t *r, json_t *list)
{
    char *text = json_dumps(list, JSON_COMPACT);
    err_t e = repo_config_set(t, node_repo(r->node), "Bootstrap", text);
    free(text);
    return e;
}

/* The list with the default peers in the place of "auto". */
static json_t *expand_auto(const json_t *list)
{
    json_t *all = json_array(), *entry;
    size_t i;
    json_array_foreach(list, i, entry)
    {
        const char *text = json_string_value(entry);
        if (!text || strcmp(text, BOOTSTRAP_AUTO) != 0) {
            json_array_append(all, entry);
            continue;
        }
        json_t *peers = config_default("Bootstrap");
        json_array_extend(all, peers);
        json_decref(peers);
    }
    return all;
}

static err_t rpc_bootstrap_list(task_t *t, rpc_t *r)
{
    json_t *list = bootstrap_list(r);
    json_t *shown = rpc_bool(r, "expand-auto", false) ? expand_auto(list) : json_incref(list);
    json_decref(list);
    return rpc_emit(t, r, json_pack("{s:o}", "Peers", shown));
}

static size_t find_text(json_t *list, const char *text)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_string_value(entry) && !strcmp(json_string_value(entry), text))
            return i;
    }
    return SIZE_MAX;
}

static err_t change_one(rpc_t *r, bool add, const char *word, json_t *list, json_t *changed)
{
    multiaddr_t addr;
    peer_id_t peer;
    char text[MULTIADDR_TEXT_MAX];
    TRY(multiaddr_parse(word, &addr));
    TRY(multiaddr_peer(&addr, &peer));
    size_t at = find_text(list, multiaddr_print(&addr, text));
    if (add && at == SIZE_MAX) {
        json_array_append_new(list, json_string(text));
        if (node_is_online(r->node))
            TRY(host_keep_connected(node_host(r->node), &addr));
    } else if (!add && at != SIZE_MAX) {
        json_array_remove(list, at);
        if (node_is_online(r->node))
            host_stop_keeping(node_host(r->node), &peer);
    }
    json_array_append_new(changed, json_string(text));
    return OK;
}

static bool auto_is_managed(rpc_t *r)
{
    return config_bool(repo_config(node_repo(r->node)), "AutoConf.Enabled", true);
}

/* The word for the default peers, whatever they are when the node starts. */
static err_t add_auto(rpc_t *r, json_t *list, json_t *changed)
{
    if (!auto_is_managed(r))
        return fail(ERR_INVALID,
                    "cannot add default bootstrap peers: AutoConf is disabled (AutoConf.Enabled=false). Set "
                    "AutoConf.Enabled=true in your config, or add specific peer addresses instead");
    json_t *peers = config_default("Bootstrap"), *peer;
    size_t i;
    err_t e = OK;
    json_array_foreach(peers, i, peer)
    {
        multiaddr_t addr;
        if (!e && node_is_online(r->node))
            e = multiaddr_parse(json_string_value(peer), &addr);
        if (!e && node_is_online(r->node))
            e = host_keep_connected(node_host(r->node), &addr);
    }
    json_decref(peers);
    TRY(e);
    if (find_text(list, BOOTSTRAP_AUTO) == SIZE_MAX)
        json_array_append_new(list, json_string(BOOTSTRAP_AUTO));
    json_array_append_new(changed, json_string(BOOTSTRAP_AUTO));
    return OK;
}

static err_t change_bootstrap(task_t *t, rpc_t *r, bool add, json_t *list, json_t *changed)
{
    if (!add && find_text(list, BOOTSTRAP_AUTO) != SIZE_MAX && auto_is_managed(r))
        return fail(ERR_INVALID,
                    "cannot remove individual bootstrap peers when using 'auto' placeholder: either disable "
                    "AutoConf by setting AutoConf.Enabled=false and replace 'auto' with specific peer "
                    "addresses, or use 'ipfs bootstrap rm --all' to remove all peers");
    for (size_t i = 0; i < r->n_args; i++) {
        bool is_auto = add && (!strcmp(r->args[i], "default") || !strcmp(r->args[i], BOOTSTRAP_AUTO));
        TRY(is_auto ? add_auto(r, list, changed) : change_one(r, add, r->args[i], list, changed));
    }
    return save_bootstrap(t, r, list);
}

static err_t edit_bootstrap(task_t *t, rpc_t *r, bool add)
{
    json_t *list = bootstrap_list(r), *changed = json_array();
    err_t e = change_bootstrap(t, r, add, list, changed);
    json_decref(list);
    if (e) {
        json_decref(changed);
        return e;
    }
    return rpc_emit(t, r, json_pack("{s:o}", "Peers", changed));
}

static err_t rpc_bootstrap_add(task_t *t, rpc_t *r)
{
    if (!r->n_args)
        return fail(ERR_INVALID, "no bootstrap peers to add");
    return edit_bootstrap(t, r, true);
}

static err_t rpc_bootstrap_rm_all(task_t *t, rpc_t *r)
{
    json_t *was = bootstrap_list(r), *none = json_array();
    err_t e = save_bootstrap(t, r, none);
    json_decref(none);
    if (e) {
        json_decref(was);
        return e;
    }
    return rpc_emit(t, r, json_pack("{s:o}", "Peers", was));
}

static err_t rpc_bootstrap_rm(task_t *t, rpc_t *r)
{
    return rpc_bool(r, "all", false) ? rpc_bootstrap_rm_all(t, r) : edit_bootstrap(t, r, false);
}

/* ── status ──────────────────────────────────────────────────────────────────────────────────── */

static err_t local_status(task_t *t, rpc_t *r, const cid_t *cid, replica_status_t *s)
{
    pin_t pin;
    s->root = *cid;
    if (node_replica(r->node))
        TRY(replica_status(t, node_replica(r->node), cid, STATUS_TIMEOUT_MS, s));
    else
        TRY(rpc_dag_presence(t, r, cid, &s->is_local, &s->size_bytes));
    if (!pins_find(t, repo_pins(node_repo(r->node)), cid, &pin))
        s->is_pinned = true;
    return OK;
}

static err_t rpc_status(task_t *t, rpc_t *r)
{
    cid_t cid;
    char text[CID_TEXT_MAX], id[PEER_ID_TEXT_MAX];
    TRY(rpc_resolve_cid(t, r, r->args[0], &cid));
    replica_status_t *s = xcalloc(1, sizeof *s);
    err_t e = local_status(t, r, &cid, s);
    if (e) {
        free(s);
        return e;
    }
    json_t *holders = json_array();
    for (size_t i = 0; i < s->n_holders; i++)
        json_array_append_new(holders,
                              json_pack("{s:s, s:I, s:b}", "Peer", peer_id_print(&s->holders[i].peer, id),
                                        "VerifiedMsAgo", (json_int_t)s->holders[i].verified_ms_ago,
                                        "Connected", s->holders[i].is_connected));
    /* Without a replication record the only copy that this node can vouch for is its own. */
    size_t copies = s->target ? s->n_holders : s->is_local;
    json_t *answer = json_pack("{s:s, s:I, s:b, s:b, s:I, s:I, s:o}", "CID", rpc_cid(r, &cid, text), "Size",
                               (json_int_t)s->size_bytes, "Local", s->is_local, "Pinned", s->is_pinned,
                               "Copies", (json_int_t)copies, "Target",
                               (json_int_t)(s->target ? s->target : copies > 0), "Holders", holders);
    free(s);
    return rpc_emit(t, r, answer);
}

static err_t emit_record(task_t *t, void *arg, const replica_status_t *s)
{
    rpc_t *r = arg;
    char text[CID_TEXT_MAX];
    return rpc_emit(t, r,
                    json_pack("{s:s, s:I, s:b, s:I, s:I}", "CID", rpc_cid(r, &s->root, text), "Size",
                              (json_int_t)s->size_bytes, "Local", s->is_local, "Copies",
                              (json_int_t)s->n_holders, "Target", (json_int_t)s->target));
}

static err_t rpc_replica_ls(task_t *t, rpc_t *r)
{
    TRY(rpc_need_online(r));
    TRY(replica_each(t, node_replica(r->node), emit_record, r));
    return r->is_streaming ? OK : rpc_emit_text(t, r, BYTES_NONE);
}

/* Ours: opens one more gateway in the running node. */
static err_t rpc_gateway_open(task_t *t, rpc_t *r)
{
    char *end;
    unsigned long port = strtoul(r->args[0], &end, 10);
    if (!*r->args[0] || *end || port > 65535)
        return fail(ERR_USAGE, "\"%s\" is not a port", r->args[0]);
    if (!r->api->open_gateway)
        return fail(ERR_UNSUPPORTED, "this process serves no gateway");
    AUTO(buf_t) addr = {0};
    buf_init(&addr, 256);
    TRY(r->api->open_gateway(t, r->api->open_gateway_arg, (uint16_t)port, &addr));
    const char *text;
    TRY(buf_cstr(&addr, &text));
    return rpc_emit(t, r, json_pack("{s:s}", "Address", text));
}

const rpc_command_t rpc_node_commands[] = {
    {"shutdown", rpc_shutdown, 0, 0, NULL},
    {"config", rpc_config, 1, 2, "key"},
    {"config/show", rpc_config_show, 0, 0, NULL},
    {"config/replace", rpc_config_replace, 0, 0, NULL},
    {"config/profile/apply", rpc_config_profile_apply, 1, 1, "profile"},
    {"bootstrap", rpc_bootstrap_list, 0, 0, NULL},
    {"bootstrap/list", rpc_bootstrap_list, 0, 0, NULL},
    {"bootstrap/add", rpc_bootstrap_add, 0, 64, "peer"},
    {"bootstrap/rm", rpc_bootstrap_rm, 0, 64, "peer"},
    {"bootstrap/rm/all", rpc_bootstrap_rm_all, 0, 0, NULL},
    {"status", rpc_status, 1, 1, "cid"},
    {"gateway/open", rpc_gateway_open, 1, 1, "port"},
    {"replica/ls", rpc_replica_ls, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
