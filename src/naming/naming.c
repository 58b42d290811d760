/* The face: life and resolving. */
#include "naming/content_path.h"
#include "naming/dnslink.h"
#include "naming/naming_impl.h"
#include <ctype.h>
#include <stdlib.h>

enum { STATIC_NAMES_MAX = 4096, NO_DNSLINK_MS = 10000, PUBSUB_GRACE_MS = 3000 };

void naming_config_default(naming_config_t *ret)
{
    *ret = (naming_config_t){.cache_size = 128,
                             .max_cache_ttl_ms = UINT64_MAX,
                             .max_dns_ttl_ms = UINT64_MAX,
                             .lifetime_ms = NAMING_LIFETIME_MS,
                             .republish_ms = NAMING_REPUBLISH_MS};
}

void naming_options_default(naming_options_t *ret)
{
    *ret = (naming_options_t){
        .depth = NAMING_DEPTH, .record_count = NAMING_RECORD_COUNT, .dht_timeout_ms = NAMING_DHT_TIMEOUT_MS};
}

void naming_answer_deinit(naming_answer_t *a)
{
    buf_deinit(&a->path);
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
/* "example.com:/ipfs/CID,other.example:/ipns/NAME" */
static err_t read_static_map(naming_t *n, const char *text)
{
    while (text && *text) {
        size_t len = strcspn(text, ","), name_len = strcspn(text, ":,");
        bytes_t value = bytes_slice(bytes_of(text, len), name_len + 1, len);
        content_path_t path;
        void *old = NULL;
        if (name_len >= len || content_path_split(value, &path))
            return fail(ERR_USAGE, "IPFS_NS_MAP: \"%.*s\" is not of the form NAME:/ipfs/CID",
                        len < 120 ? (int)len : 120, text);
        char *copy = xcalloc(1, value.len + 1);
        memcpy(copy, value.data, value.len);
        err_t e = map_put(&n->static_names, bytes_of(text, name_len), copy, &old);
        free(e ? copy : old);
        TRY(e);
        text += len + (text[len] == ',');
    }
    return OK;
}

err_t naming_open(sched_t *s, const naming_config_t *c, naming_t **ret)
{
    naming_t *n = xcalloc(1, sizeof *n);
    n->sched = s;
    n->config = *c;
    n->config.static_map = NULL;
    map_init(&n->static_names, STATIC_NAMES_MAX);
    name_cache_init(&n->cache, c->cache_size);
    gate_init(&n->publishing, 1);
    event_init(&n->unsent);
    group_init(&n->tasks, s);
    followed_init(n);
    err_t e = read_static_map(n, c->static_map);
    if (e) {
        naming_close(NULL, n);
        return e;
    }
    *ret = n;
    return OK;
}

static err_t validate_record(void *arg, bytes_t key, bytes_t value)
{
    naming_t *n = arg;
    peer_id_t name;
    ipns_record_t record;
    TRY(name_of_key(key, &name));
    return ipns_record_validate(value, &name, driver_wall_ms(sched_driver(n->sched)), &record);
}

static int select_record(void *arg, bytes_t key, bytes_t a, bytes_t b)
{
    return ipns_record_compare(a, b);
}

err_t naming_go_online(naming_t *n, routing_t *r)
{
    record_validator_t v = {validate_record, select_record, n};
    TRY(routing_set_validator(r, "ipns", &v));
    n->routing = r;
    return n->config.republish_ms ? group_spawn(&n->tasks, "republish", republish_task, n, NULL) : OK;
}

void naming_close(task_t *t, naming_t *n)
{
    if (!n)
        return;
    if (t)
        group_stop(t, &n->tasks);
    group_deinit(&n->tasks);
    followed_close(t, n);
    void *path;
    for (size_t i = 0; map_next(&n->static_names, &i, NULL, &path);)
        free(path);
    map_deinit(&n->static_names);
    name_cache_deinit(&n->cache);
    free(n);
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
static void remember(naming_t *n, const char *key, const char *path, uint64_t ttl_ms, uint64_t wall_ms)
{
    uint64_t keep_ms = ttl_ms < n->config.max_cache_ttl_ms ? ttl_ms : n->config.max_cache_ttl_ms;
    name_cache_put(&n->cache, key, path, ttl_ms, keep_ms, sched_now_ms(n->sched), wall_ms);
}

err_t record_path(const ipns_record_t *r, char **ret_path)
{
    AUTO(buf_t) out;
    buf_init(&out, NAMING_PATH_MAX_BYTES);
    TRY(ipns_record_value(r, &out));
    content_path_t path;
    TRY(content_path_split(buf_bytes(&out), &path));
    TRY(buf_append_u8(&out, 0));
    size_t len;
    *ret_path = (char *)buf_take(&out, &len);
    return OK;
}

/* What a record leads to, and what stands behind the name that was asked for. */
typedef struct lead {
    const naming_options_t *options;
    bytes_t rest;
} lead_t;

static void tell_found(void *arg, bytes_t record)
{
    const lead_t *lead = arg;
    ipns_record_t r;
    content_path_t path;
    AUTO(buf_t) text;
    const char *found;
    buf_init(&text, NAMING_PATH_MAX_BYTES);
    if (ipns_record_decode(record, &r) || ipns_record_value(&r, &text) ||
        content_path_split(buf_bytes(&text), &path) || path.is_mutable || buf_append(&text, lead->rest) ||
        buf_cstr(&text, &found))
        return;
    lead->options->found(lead->options->found_arg, found);
}

static err_t search_dht(task_t *t, naming_t *n, const peer_id_t *name, const naming_options_t *o,
                        bytes_t rest, buf_t *out)
{
    uint8_t key[NAME_KEY_MAX_BYTES];
    bytes_t k = bytes_of(key, name_key(name, key));
    lead_t lead = {o, rest};
    value_search_t how = {.quorum = o->record_count, .on_better = o->found ? tell_found : NULL, .arg = &lead};
    if (!o->dht_timeout_ms)
        return routing_get_value(t, n->routing, k, &how, out);
    deadline_t d = deadline_push(t, o->dht_timeout_ms);
    err_t e = routing_get_value(t, n->routing, k, &how, out);
    deadline_pop(t, &d);
    return e;
}

static bool is_valid(naming_t *n, const peer_id_t *name, const buf_t *record)
{
    ipns_record_t r;
    return !ipns_record_validate(buf_bytes(record), name, driver_wall_ms(sched_driver(n->sched)), &r);
}

/* The better one of those that are kept here. *ret_is_own: it was published here. ERR_NOT_FOUND. */
static err_t local_record(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out, bool *ret_is_own)
{
    AUTO(buf_t) kept;
    buf_init(&kept, NAMING_RECORD_MAX_BYTES);
    err_t e = own_record_get(t, n, name, out);
    bool has_own = !e && is_valid(n, name, out);
    if (e && e != ERR_NOT_FOUND)
        return e;
    e = kept_record_get(t, n, name, &kept);
    bool has_kept = !e && is_valid(n, name, &kept);
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (!has_own && !has_kept)
        return fail(ERR_NOT_FOUND, "could not resolve name");
    *ret_is_own = has_own && (!has_kept || ipns_record_compare(buf_bytes(out), buf_bytes(&kept)) <= 0);
    if (*ret_is_own)
        return OK;
    buf_clear(out);
    return buf_append(out, buf_bytes(&kept));
}

/* ── from others ─────────────────────────────────────────────────────────────────────────────── */
typedef struct dht_search {
    naming_t *naming;
    const peer_id_t *name;
    const naming_options_t *options;
    bytes_t rest;
    buf_t found;
    err_t result;
    bool is_over;
} dht_search_t;

static err_t search_dht_task(task_t *t, void *arg)
{
    dht_search_t *s = arg;
    s->result = search_dht(t, s->naming, s->name, s->options, s->rest, &s->found);
    s->is_over = true;
    event_fire(&s->naming->followed_changed);
    return OK;
}

/* Until the DHT has answered or pubsub brings a record; when the DHT knows nothing, pubsub has a moment more.
 */
static err_t race(task_t *t, naming_t *n, dht_search_t *s, buf_t *out)
{
    err_t e = OK;
    while (!s->is_over && !followed_record(n, s->name, out))
        TRY(event_wait(t, &n->followed_changed));
    if (out->len)
        return OK;
    if (!s->result)
        return buf_append(out, buf_bytes(&s->found));
    deadline_t d = deadline_push(t, PUBSUB_GRACE_MS);
    while (!e && !followed_record(n, s->name, out))
        e = event_wait(t, &n->followed_changed);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? s->result : e;
}

/* Where names are followed: what came by itself is the newest there is while somebody else follows the name,
 * too. */
static err_t search_with_pubsub(task_t *t, naming_t *n, const peer_id_t *name, const naming_options_t *o,
                                bytes_t rest, buf_t *out)
{
    if (followed_record(n, name, out) && followed_has_peers(n, name))
        return OK;
    buf_clear(out);
    dht_search_t s = {.naming = n, .name = name, .options = o, .rest = rest};
    group_t group;
    buf_init(&s.found, NAMING_RECORD_MAX_BYTES);
    group_init(&group, n->sched);
    err_t e = group_spawn(&group, "name-search", search_dht_task, &s, NULL);
    e = e ? e : race(t, n, &s, out);
    group_stop(t, &group);
    group_deinit(&group);
    buf_deinit(&s.found);
    return e;
}

static err_t search(task_t *t, naming_t *n, const peer_id_t *name, const naming_options_t *o, bytes_t rest,
                    buf_t *out)
{
    return n->pubsub ? search_with_pubsub(t, n, name, o, rest, out) : search_dht(t, n, name, o, rest, out);
}

/* *ret_is_own: it was published here. */
static err_t get_record(task_t *t, naming_t *n, const peer_id_t *name, const naming_options_t *o,
                        bytes_t rest, buf_t *out, bool *ret_is_own)
{
    AUTO(buf_t) local, found;
    bool is_own = false;
    buf_init(&local, NAMING_RECORD_MAX_BYTES);
    buf_init(&found, NAMING_RECORD_MAX_BYTES);
    bool asks = n->routing && !o->is_offline;
    err_t e = local_record(t, n, name, &local, &is_own);
    bool has_local = !e;
    if (e && e != ERR_NOT_FOUND)
        return e;
    buf_clear(out);
    *ret_is_own = is_own;
    if (has_local && (!asks || (is_own && !o->skips_cache))) /* who publishes a name knows what it says */
        return buf_append(out, buf_bytes(&local));
    e = asks ? search(t, n, name, o, rest, &found) : ERR_NOT_FOUND;
    if (e == ERR_CANCELED)
        return e;
    if (has_local && (e || ipns_record_compare(buf_bytes(&local), buf_bytes(&found)) < 0))
        return buf_append(out, buf_bytes(&local));
    *ret_is_own = false;
    if (e == ERR_TIMEOUT)
        return fail(e, "could not resolve name: no record came in time");
    return e ? fail(ERR_NOT_FOUND, "could not resolve name") : buf_append(out, buf_bytes(&found));
}

err_t naming_get_record(task_t *t, naming_t *n, const peer_id_t *name, const naming_options_t *options,
                        buf_t *out)
{
    naming_options_t o;
    bool is_own;
    naming_options_default(&o);
    return get_record(t, n, name, options ? options : &o, BYTES_NONE, out, &is_own);
}

/* ── one step ────────────────────────────────────────────────────────────────────────────────── */
typedef struct step {
    char *path; /* owned */
    uint64_t ttl_ms, found_wall_ms;
    bool has_ttl;
} step_t;

static bool step_from_cache(naming_t *n, const char *key, step_t *ret)
{
    const cached_name_t *c = name_cache_get(&n->cache, key, sched_now_ms(n->sched));
    if (!c || !c->path)
        return false;
    uint64_t age_ms = sched_now_ms(n->sched) - c->asked_ms;
    *ret = (step_t){xstrdup(c->path), c->ttl_ms > age_ms ? c->ttl_ms - age_ms : 0, c->found_wall_ms, true};
    return true;
}

static err_t resolve_name(task_t *t, naming_t *n, const peer_id_t *name, const naming_options_t *o,
                          bytes_t rest, step_t *ret)
{
    char key[PEER_ID_TEXT_MAX];
    AUTO(buf_t) record;
    ipns_record_t r;
    bool is_own;
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    if (!o->skips_cache && step_from_cache(n, name_print(name, key), ret))
        return OK;
    TRY(get_record(t, n, name, o, rest, &record, &is_own));
    uint64_t wall_ms = driver_wall_ms(sched_driver(n->sched));
    TRY(ipns_record_decode(buf_bytes(&record), &r));
    *ret = (step_t){
        .ttl_ms = ipns_record_ttl_ms(&r, wall_ms, NAMING_TTL_MS), .found_wall_ms = wall_ms, .has_ttl = true};
    TRY(record_path(&r, &ret->path));
    if (!is_own) /* ours is at hand, and may change at any time */
        remember(n, name_print(name, key), ret->path, ret->ttl_ms, wall_ms);
    return OK;
}

/* As the cache knows it: lower case, no dot at the end. */
static void domain_key(const char *domain, char out[DNS_NAME_MAX_CHARS + 2])
{
    size_t len = 0;
    for (; domain[len] && len <= DNS_NAME_MAX_CHARS; len++)
        out[len] = (char)tolower((unsigned char)domain[len]);
    while (len && out[len - 1] == '.')
        len--;
    out[len] = 0;
}

static err_t resolve_domain(task_t *t, naming_t *n, const char *domain, const naming_options_t *o,
                            step_t *ret)
{
    char key[DNS_NAME_MAX_CHARS + 2];
    AUTO(buf_t) path;
    uint32_t ttl_s;
    buf_init(&path, NAMING_PATH_MAX_BYTES);
    domain_key(domain, key);
    if (!o->skips_cache && step_from_cache(n, key, ret))
        return OK;
    err_t e = dnslink_lookup(t, domain, &path, &ttl_s);
    uint64_t wall_ms = driver_wall_ms(sched_driver(n->sched));
    if (e == ERR_NOT_FOUND)
        name_cache_put(&n->cache, key, NULL, 0, NO_DNSLINK_MS, sched_now_ms(n->sched), wall_ms);
    TRY(e);
    TRY(buf_append_u8(&path, 0));
    uint64_t ttl_ms = (uint64_t)ttl_s * 1000;
    ttl_ms = ttl_ms < n->config.max_dns_ttl_ms ? ttl_ms : n->config.max_dns_ttl_ms;
    *ret = (step_t){.ttl_ms = ttl_ms, .found_wall_ms = wall_ms, .has_ttl = true};
    size_t len;
    ret->path = (char *)buf_take(&path, &len);
    remember(n, key, ret->path, ret->ttl_ms, wall_ms);
    return OK;
}

/* A CID under /ipns/ whose codec is not that of keys: say what to write. */
static err_t refuse_name(const char *name)
{
    cid_t cid;
    char text[CID_TEXT_MAX];
    if (!cid_parse_str(name, &cid) && cid.version == 1 && cid.codec != CODEC_LIBP2P_KEY) {
        cid.codec = CODEC_LIBP2P_KEY;
        return fail(ERR_INVALID,
                    "peer ID represented as CIDv1 require libp2p-key multicodec: retry with /ipns/%s",
                    cid_print(&cid, text));
    }
    return fail(ERR_INVALID, "cannot resolve: \"/ipns/%.100s\"", name);
}

static err_t resolve_step(task_t *t, naming_t *n, const char *name, const naming_options_t *o, bytes_t rest,
                          step_t *ret)
{
    peer_id_t id;
    cid_t cid;
    const char *fixed = map_get(&n->static_names, bytes_str(name));
    if (fixed) {
        *ret = (step_t){.path = xstrdup(fixed), .found_wall_ms = driver_wall_ms(sched_driver(n->sched))};
        return OK;
    }
    if (!peer_id_parse(name, &id))
        return resolve_name(t, n, &id, o, rest, ret);
    if (!dns_is_domain(name) || (!strchr(name, '.') && !cid_parse_str(name, &cid)))
        return refuse_name(name);
    return resolve_domain(t, n, name, o, ret);
}

/* ── the whole way ───────────────────────────────────────────────────────────────────────────── */
static void merge(naming_answer_t *a, const step_t *s)
{
    if (s->has_ttl && (!a->has_ttl || s->ttl_ms < a->ttl_ms))
        a->ttl_ms = s->ttl_ms;
    a->has_ttl |= s->has_ttl;
    if (!a->found_wall_ms || s->found_wall_ms < a->found_wall_ms)
        a->found_wall_ms = s->found_wall_ms;
}

/* path becomes what its name points to, and the rest. */
static err_t take_step(task_t *t, naming_t *n, const naming_options_t *o, const content_path_t *at,
                       naming_answer_t *a)
{
    AUTO(buf_t) name, next;
    const char *text;
    step_t s = {0};
    buf_init(&name, at->root.len + 1);
    buf_init(&next, NAMING_PATH_MAX_BYTES);
    TRY(buf_append(&name, at->root));
    TRY(buf_cstr(&name, &text));
    TRY(resolve_step(t, n, text, o, at->rest, &s));
    bytes_t base = bytes_str(s.path);
    if (at->rest.len && base.data[base.len - 1] == '/')
        base.len--;
    err_t e = buf_append(&next, base);
    free(s.path);
    TRY(e);
    TRY(buf_append(&next, at->rest));
    merge(a, &s);
    buf_clear(&a->path);
    return buf_append(&a->path, buf_bytes(&next));
}

err_t naming_resolve(task_t *t, naming_t *n, const char *path, const naming_options_t *options,
                     naming_answer_t *ret)
{
    AUTO(naming_answer_t) a = {0};
    naming_options_t o;
    content_path_t at;
    naming_options_default(&o);
    o = options ? *options : o;
    uint32_t limit = o.depth ? o.depth : NAMING_STEPS_MAX;
    buf_init(&a.path, NAMING_PATH_MAX_BYTES);
    if (strlen(path) >= NAMING_PATH_MAX_BYTES)
        return fail(ERR_LIMIT, "the path is longer than %d bytes", NAMING_PATH_MAX_BYTES);
    TRY(buf_append(&a.path, bytes_str(path)));
    TRY(content_path_split(buf_bytes(&a.path), &at));
    for (uint32_t steps = 0; at.is_mutable && steps < limit; steps++) {
        TRY(take_step(t, n, &o, &at, &a));
        TRY(content_path_split(buf_bytes(&a.path), &at));
    }
    a.is_incomplete = at.is_mutable;
    if (a.is_incomplete && limit > 1)
        return fail(ERR_LIMIT, "could not resolve name (recursion limit exceeded)");
    *ret = a;
    a.path = (buf_t){0};
    return OK;
}

err_t naming_has_dnslink(task_t *t, naming_t *n, const char *domain, bool *ret)
{
    char key[DNS_NAME_MAX_CHARS + 2];
    naming_options_t o;
    step_t s = {0};
    if (map_has(&n->static_names, bytes_str(domain))) {
        *ret = true;
        return OK;
    }
    *ret = false;
    if (!dns_is_domain(domain))
        return OK;
    domain_key(domain, key);
    const cached_name_t *c = name_cache_get(&n->cache, key, sched_now_ms(n->sched));
    if (c && !c->path)
        return OK;
    naming_options_default(&o);
    err_t e = resolve_domain(t, n, domain, &o, &s);
    free(s.path);
    *ret = !e;
    return e == ERR_NOT_FOUND || e == ERR_INVALID ? OK : e;
}
