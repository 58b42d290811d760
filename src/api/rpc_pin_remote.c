/* rpc_pin_remote: pin/remote/… Reference: ipfs/kubo core/commands/pin/remotepin.go. */
#include "api/pin_service.h"
#include "api/rpc_util.h"
#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 500, QUERY_MAX_BYTES = 12 << 10, MAX_SHOWN_ADDRS = 64, MAX_REMOVED = 100000 };
static const char SERVICES[] = "Pinning.RemoteServices";
static const char *const statuses[] = {"queued", "pinning", "pinned", "failed"};

/* ── services ────────────────────────────────────────────────────────────────────────────────── */
static json_t *services_of(rpc_t *r)
{
    return config_json(repo_config(node_repo(r->node)), SERVICES);
}

static err_t save_services(task_t *t, rpc_t *r, json_t *services)
{
    char *text = json_dumps(services, JSON_COMPACT);
    err_t e = text ? repo_config_set(t, node_repo(r->node), SERVICES, text)
                   : fail(ERR_NO_MEMORY, "no memory for the services");
    if (text)
        secret_wipe(text, strlen(text));
    free(text);
    json_decref(services);
    return e;
}

static json_t *copy_services(rpc_t *r)
{
    json_t *old = services_of(r);
    return json_is_object(old) ? json_deep_copy(old) : json_object();
}

static err_t rpc_service_add(task_t *t, rpc_t *r)
{
    char *endpoint;
    if (json_object_get(services_of(r), r->args[0]))
        return fail(ERR_EXISTS, "service already present");
    TRY(pin_service_normalize(r->args[1], &endpoint));
    json_t *services = copy_services(r);
    json_t *service =
        json_pack("{s:{s:s, s:s}, s:{s:{s:b, s:s, s:s}}}", "API", "Endpoint", endpoint, "Key", r->args[2],
                  "Policies", "MFS", "Enable", 0, "PinName", "", "RepinInterval", "");
    free(endpoint);
    if (!service || json_object_set_new(services, r->args[0], service)) {
        json_decref(services);
        return fail(ERR_INVALID, "the service's name and key must be UTF-8");
    }
    return save_services(t, r, services);
}

static err_t rpc_service_rm(task_t *t, rpc_t *r)
{
    json_t *services = copy_services(r);
    if (!json_object_del(services, r->args[0]))
        return save_services(t, r, services);
    json_decref(services);
    return OK;
}

static err_t find_service(rpc_t *r, const char *name, pin_service_t *ret)
{
    json_t *api = json_object_get(json_object_get(services_of(r), name), "API");
    const char *endpoint = json_string_value(json_object_get(api, "Endpoint"));
    const char *key = json_string_value(json_object_get(api, "Key"));
    if (!*name)
        return fail(ERR_INVALID, "remote pinning service name not specified");
    if (!endpoint)
        return fail(ERR_NOT_FOUND, "service not known");
    TRY(pin_service_normalize(endpoint, &ret->endpoint));
    ret->key = xstrdup(key ? key : "");
    return OK;
}

static err_t named_service(rpc_t *r, pin_service_t *ret)
{
    const char *name = rpc_option(r, "service");
    return name ? find_service(r, name, ret) : fail(ERR_INVALID, "a service name must be passed");
}

static err_t count_pins(task_t *t, const pin_service_t *s, json_t **ret)
{
    json_t *counts = json_object();
    err_t e = OK;
    static const char *const keys[] = {"Queued", "Pinning", "Pinned", "Failed"};
    for (size_t i = 0; i < ARRAY_LEN(statuses) && !e; i++) {
        char query[64];
        json_t *page = NULL;
        snprintf(query, sizeof query, "?limit=1&status=%s", statuses[i]);
        e = pin_service_list(t, s, query, &page);
        if (!e)
            json_object_set(counts, keys[i], json_object_get(page, "count"));
        json_decref(page);
    }
    if (e)
        json_decref(counts);
    else
        *ret = counts;
    return e;
}

static json_t *stat_of(task_t *t, rpc_t *r, const char *name)
{
    AUTO(pin_service_t) s = {0};
    json_t *counts = NULL;
    err_t e = find_service(r, name, &s);
    if (!e)
        e = count_pins(t, &s, &counts);
    return e ? json_pack("{s:s}", "Status", "invalid")
             : json_pack("{s:s, s:o}", "Status", "valid", "PinCount", counts);
}

static err_t rpc_service_ls(task_t *t, rpc_t *r)
{
    json_t *copy = copy_services(r), *list = json_array(), *service;
    const char *name;
    bool wants_stat = rpc_bool(r, "stat", false);
    err_t e = OK;
    json_object_foreach(copy, name, service)
    {
        json_t *o = json_pack("{s:s, s:O}", "Service", name, "ApiEndpoint",
                              json_object_get(json_object_get(service, "API"), "Endpoint"));
        if (o && wants_stat)
            json_object_set_new(o, "Stat", stat_of(t, r, name));
        size_t at = 0; /* sorted by name */
        while (o && at < json_array_size(list) &&
               strcmp(json_string_value(json_object_get(json_array_get(list, at), "Service")), name) < 0)
            at++;
        if (o)
            json_array_insert_new(list, at, o);
        e = task_check(t);
        if (e)
            break;
    }
    json_decref(copy);
    if (!e)
        return rpc_emit(t, r, json_pack("{s:o}", "RemoteServices", list));
    json_decref(list);
    return e;
}

/* ── listing ─────────────────────────────────────────────────────────────────────────────────── */
/* The values of an option that may be repeated and hold several, with commas, checked one by one. */
typedef err_t (*value_fn)(const char *value);

static err_t check_cid(const char *value)
{
    cid_t cid;
    return cid_parse_str(value, &cid) ? fail(ERR_INVALID, "CID \"%.100s\" cannot be parsed", value) : OK;
}

static err_t check_status(const char *value)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (strcmp(value, statuses[i]) == 0)
            return OK;
    return fail(ERR_INVALID, "status \"%.40s\" is not valid", value);
}

static err_t add_values(char *values, value_fn check, bool *has_any, const char *name, buf_t *query)
{
    char *rest;
    for (char *v = strtok_r(values, ",", &rest); v; v = strtok_r(NULL, ",", &rest)) {
        TRY(check(v));
        TRY(buf_printf(query, *has_any ? "," : "%c%s=", query->len ? '&' : '?', name));
        *has_any = true;
        TRY(percent_encode(bytes_str(v), "-_.~", query));
    }
    return OK;
}

static err_t add_option(rpc_t *r, const char *name, value_fn check, const char *otherwise, buf_t *query)
{
    AUTO(buf_t) value = {0};
    const char *text;
    bool has_any = false;
    buf_init(&value, QUERY_MAX_BYTES);
    for (size_t i = 0; !exchange_query(r->x, name, i, &value); i++) {
        TRY(buf_cstr(&value, &text));
        TRY(add_values((char *)value.data, check, &has_any, name, query));
    }
    if (has_any || !otherwise)
        return OK;
    return buf_printf(query, "%c%s=%s", query->len ? '&' : '?', name, otherwise);
}

static err_t build_query(rpc_t *r, buf_t *query)
{
    const char *name = rpc_option(r, "name");
    if (name && strlen(name) > PIN_NAME_MAX_BYTES)
        return fail(ERR_INVALID, "pin name is %zu bytes (max %d bytes)", strlen(name), PIN_NAME_MAX_BYTES);
    TRY(add_option(r, "cid", check_cid, NULL, query));
    TRY(add_option(r, "status", check_status, "pinned", query));
    if (!name)
        return OK;
    TRY(buf_append(query, BYTES_LIT("&name=")));
    return percent_encode(bytes_str(name), "-_.~", query);
}

typedef err_t (*status_fn)(task_t *t, void *arg, json_t *status);

static err_t visit_results(task_t *t, json_t *page, status_fn visit, void *arg)
{
    size_t i;
    json_t *status;
    json_array_foreach(json_object_get(page, "results"), i, status) TRY(visit(t, arg, status));
    return OK;
}

/* Page by page, the newest first: what is older than the last of a page is on the next. */
static err_t each_remote(task_t *t, rpc_t *r, const pin_service_t *s, status_fn visit, void *arg)
{
    AUTO(buf_t) query = {0}, first = {0};
    const char *text;
    buf_init(&first, QUERY_MAX_BYTES);
    buf_init(&query, QUERY_MAX_BYTES);
    TRY(build_query(r, &first));
    TRY(buf_append(&query, buf_bytes(&first)));
    for (bool has_more = true; has_more;) {
        json_t *page;
        TRY(buf_cstr(&query, &text));
        TRY(pin_service_list(t, s, text, &page));
        json_t *results = json_object_get(page, "results");
        size_t n = json_array_size(results);
        err_t e = visit_results(t, page, visit, arg);
        has_more = n && (json_int_t)n < json_integer_value(json_object_get(page, "count"));
        buf_clear(&query);
        if (!e && has_more)
            e = buf_append(&query, buf_bytes(&first));
        if (!e && has_more)
            e = buf_append(&query, BYTES_LIT("&before="));
        if (!e && has_more)
            e = percent_encode(
                bytes_str(json_string_value(json_object_get(json_array_get(results, n - 1), "created"))),
                "-_.~", &query);
        json_decref(page);
        TRY(e);
    }
    return OK;
}

static err_t emit_status(task_t *t, void *arg, json_t *status)
{
    rpc_t *r = arg;
    char text[CID_TEXT_MAX];
    cid_t cid;
    json_t *pin = json_object_get(status, "pin");
    const char *name = json_string_value(json_object_get(pin, "name"));
    if (cid_parse_str(json_string_value(json_object_get(pin, "cid")), &cid))
        return fail(ERR_PROTOCOL, "the remote pinning service names a CID that is none");
    return rpc_emit(t, r,
                    json_pack("{s:O, s:s, s:s}", "Status", json_object_get(status, "status"), "Cid",
                              rpc_cid(r, &cid, text), "Name", name ? name : ""));
}

static err_t rpc_remote_ls(task_t *t, rpc_t *r)
{
    AUTO(pin_service_t) s = {0};
    TRY(named_service(r, &s));
    return each_remote(t, r, &s, emit_status, r);
}

/* ── removing ────────────────────────────────────────────────────────────────────────────────── */
static err_t collect_id(task_t *t, void *arg, json_t *status)
{
    if (json_array_size(arg) == MAX_REMOVED)
        return fail(ERR_LIMIT, "more than %d remote pins are matching: name fewer", MAX_REMOVED);
    json_array_append(arg, json_object_get(status, "requestid"));
    return OK;
}

static err_t remove_all(task_t *t, const pin_service_t *s, json_t *ids)
{
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id)
    {
        err_t e = pin_service_remove(t, s, json_string_value(id));
        if (e)
            return fail_also(e, "removing pin identified by requestid=\"%.100s\" failed",
                             json_string_value(id));
    }
    return OK;
}

static err_t rpc_remote_rm(task_t *t, rpc_t *r)
{
    AUTO(pin_service_t) s = {0};
    TRY(named_service(r, &s));
    json_t *ids = json_array();
    err_t e = each_remote(t, r, &s, collect_id, ids);
    if (e)
        e = fail_also(e, "error while listing remote pins");
    else if (json_array_size(ids) > 1 && !rpc_bool(r, "force", false))
        e = fail(ERR_INVALID,
                 "multiple remote pins are matching this query, add --force to confirm the bulk removal");
    if (!e)
        e = remove_all(t, &s, ids);
    json_decref(ids);
    return e;
}

/* ── adding ──────────────────────────────────────────────────────────────────────────────────── */
/* What is here can be fetched from here. */
static json_t *origins_of(task_t *t, rpc_t *r, const cid_t *cid)
{
    if (!node_is_online(r->node) || !blocks_has(t, node_local_blocks(r->node), cid))
        return NULL;
    multiaddr_t *addrs = xcalloc(MAX_SHOWN_ADDRS, sizeof *addrs);
    json_t *list =
        rpc_addrs_json(addrs, host_addrs(node_host(r->node), addrs, MAX_SHOWN_ADDRS), node_id(r->node));
    free(addrs);
    return list;
}

static void connect_delegates(task_t *t, rpc_t *r, json_t *status)
{
    size_t i;
    json_t *text;
    json_array_foreach(json_object_get(status, "delegates"), i, text)
    {
        multiaddr_t at;
        peer_id_t peer;
        conn_t *c;
        if (!node_is_online(r->node) || !json_is_string(text) ||
            multiaddr_parse(json_string_value(text), &at) || multiaddr_peer(&at, &peer))
            continue;
        deadline_t d = deadline_push(t, 10000);
        if (!host_connect(t, node_host(r->node), &peer, &at, 1,
                          &c)) /* a hint: the service finds us otherwise, too */
            conn_release(c);
        deadline_pop(t, &d);
    }
}

/* Takes `status`, and gives the one that says pinned. */
static err_t wait_pinned(task_t *t, const pin_service_t *s, json_t *status, json_t **ret)
{
    char *id = xstrdup(json_string_value(json_object_get(status, "requestid")));
    err_t e = OK;
    for (;;) {
        json_decref(status);
        status = NULL;
        e = pin_service_status(t, s, id, &status);
        if (e) {
            e = fail_also(e, "failed to check pin status for requestid=\"%.100s\"", id);
            break;
        }
        const char *now = json_string_value(json_object_get(status, "status"));
        if (strcmp(now, "pinned") == 0)
            break;
        if (strcmp(now, "failed") == 0)
            e = fail(ERR_REFUSED, "remote service failed to pin requestid=\"%.100s\"", id);
        else
            e = task_sleep(t, POLL_MS);
        if (e)
            break;
    }
    free(id);
    if (e)
        json_decref(status);
    else
        *ret = status;
    return e;
}

static err_t rpc_remote_add(task_t *t, rpc_t *r)
{
    AUTO(pin_service_t) s = {0};
    char text[CID_TEXT_MAX];
    cid_t cid;
    json_t *status = NULL;
    const char *name = rpc_option(r, "name");
    TRY(named_service(r, &s));
    TRY(rpc_resolve_cid(t, r, r->args[0], &cid));
    if (name && strlen(name) > PIN_NAME_MAX_BYTES)
        return fail(ERR_INVALID, "pin name is %zu bytes (max %d bytes)", strlen(name), PIN_NAME_MAX_BYTES);
    json_t *pin = json_pack("{s:s}", "cid", cid_print(&cid, text)), *origins = origins_of(t, r, &cid);
    if (name)
        json_object_set_new(pin, "name", rpc_bytes_json(bytes_str(name)));
    if (origins)
        json_object_set_new(pin, "origins", origins);
    err_t e = pin_service_add(t, &s, pin, &status);
    json_decref(pin);
    TRY(e);
    connect_delegates(t, r, status);
    if (!rpc_bool(r, "background", false))
        TRY(wait_pinned(t, &s, status, &status));
    e = emit_status(t, r, status);
    json_decref(status);
    return e;
}

const rpc_command_t rpc_pin_remote_commands[] = {
    {"pin/remote/add", rpc_remote_add, 1, 1, "ipfs-path"},
    {"pin/remote/ls", rpc_remote_ls, 0, 0, NULL},
    {"pin/remote/rm", rpc_remote_rm, 0, 0, NULL},
    {"pin/remote/service/add", rpc_service_add, 3, 3, "service"},
    {"pin/remote/service/ls", rpc_service_ls, 0, 0, NULL},
    {"pin/remote/service/rm", rpc_service_rm, 1, 1, "service"},
    {NULL, NULL, 0, 0, NULL},
};
