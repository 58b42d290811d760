#include "routing/delegated.h"
#include "base/json_depth.h"
#include "base/version.h"
#include "web/http_fetch.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char RECORD_TYPE[] = "application/vnd.ipfs.ipns-record", API[] = "/routing/v1";
enum { URL_MAX = 4096 };

/* "BASE/routing/v1/WHAT/KEY?QUERY". ERR_UNSUPPORTED: the router is asked for something else alone. */
static err_t make_url(const char *router, const char *what, const char *key, const char *query,
                      char out[URL_MAX])
{
    size_t len = strlen(router);
    const char *api = strstr(router, API);
    while (len && router[len - 1] == '/')
        len--;
    size_t base = api ? (size_t)(api - router) : len;
    if (api && len > base + sizeof API - 1) { /* one endpoint */
        const char *endpoint = api + sizeof API;
        size_t n = len - (size_t)(endpoint - router);
        if (n != strlen(what) || memcmp(endpoint, what, n) != 0)
            return fail(ERR_UNSUPPORTED, "%.100s is not asked for %s", router, what);
    }
    int n = snprintf(out, URL_MAX, "%.*s%s/%s/%s%s%s", (int)base, router, API, what, key, *query ? "?" : "",
                     query);
    return n < URL_MAX ? OK : fail(ERR_USAGE, "the URL of a router is too long");
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */

static err_t take_record(json_t *o, routed_peer_t *ret)
{
    const char *id = json_string_value(json_object_get(o, "ID"));
    json_t *addr;
    size_t i;
    if (!id || peer_id_parse(id, &ret->id))
        return fail(ERR_INVALID, "a record without a peer ID");
    ret->n_addrs = 0;
    json_array_foreach(json_object_get(o, "Addrs"), i, addr)
    {
        multiaddr_t m;
        const char *text = json_string_value(addr);
        if (ret->n_addrs == ARRAY_LEN(ret->addrs))
            break;
        if (text && !multiaddr_parse(text, &m)) {
            multiaddr_without_peer(&m, &ret->addrs[ret->n_addrs]);
            ret->n_addrs++;
        }
    }
    return OK;
}

/* Who is known to speak other protocols alone has nothing for us. Routers need not know the filter that they
 * are asked with. "Protocol" is that of the older records. */
static bool may_speak_bitswap(const json_t *o)
{
    static const char bitswap[] = "transport-bitswap";
    const char *one = json_string_value(json_object_get(o, "Protocol"));
    const json_t *all = json_object_get(o, "Protocols"), *item;
    size_t i;
    if (one)
        return !strcasecmp(one, bitswap);
    json_array_foreach((json_t *)all, i, item)
    {
        const char *name = json_string_value(item);
        if (name && !strcasecmp(name, bitswap))
            return true;
    }
    return !json_array_size(all);
}

static err_t parse_record(bytes_t json, bool needs_bitswap, routed_peer_t *ret)
{
    TRY(json_check_depth(json, JSON_DEPTH_MAX));
    json_t *o = json_loadb((const char *)json.data, json.len, 0, NULL);
    err_t e = json_is_object(o) ? take_record(o, ret) : fail(ERR_INVALID, "a record that is no JSON object");
    if (!e && needs_bitswap && !may_speak_bitswap(o))
        e = fail(ERR_UNSUPPORTED, "a provider without bitswap");
    json_decref(o);
    return e;
}

err_t delegated_parse_record(bytes_t json, routed_peer_t *ret)
{
    return parse_record(json, false, ret);
}

typedef struct records {
    http_fetch_t fetch;
    bool (*give)(void *arg, const routed_peer_t *p);
    void *arg;
    routed_peer_t *record; /* scratch */
    buf_t pending;         /* the beginning of a line; all of an answer in one piece */
    bool needs_bitswap, is_over;
} records_t;

static bool is_stream(const records_t *r)
{
    return !strncmp(r->fetch.content_type, "application/x-ndjson", 20);
}

static void give_line(records_t *r, bytes_t line)
{
    if (!r->is_over && line.len && !parse_record(line, r->needs_bitswap, r->record))
        r->is_over = !r->give(r->arg, r->record);
}

static err_t on_records(task_t *t, void *arg, bytes_t piece)
{
    records_t *r = arg;
    if (r->fetch.status != 200)
        return OK;
    TRY(buf_append(&r->pending, piece));
    if (!is_stream(r))
        return OK;
    bytes_t rest = buf_bytes(&r->pending);
    for (const uint8_t *end; (end = memchr(rest.data, '\n', rest.len));) {
        size_t n = (size_t)(end - rest.data);
        give_line(r, bytes_slice(rest, 0, n));
        rest = bytes_slice(rest, n + 1, rest.len);
        if (r->is_over)
            return fail(ERR_CLOSED, "enough is known");
        if (!rest.len)
            break;
    }
    if (rest.len > DELEGATED_LINE_MAX_BYTES)
        return fail(ERR_LIMIT, "a router sent a record of more than %d bytes", DELEGATED_LINE_MAX_BYTES);
    buf_consume(&r->pending, r->pending.len - rest.len);
    return OK;
}

/* What is left: a last line without its end, or the whole of {"Providers": […]}. */
static err_t end_records(records_t *r, const char *member)
{
    if (is_stream(r)) {
        give_line(r, buf_bytes(&r->pending));
        return OK;
    }
    TRY(json_check_depth(buf_bytes(&r->pending), JSON_DEPTH_MAX));
    json_t *answer = json_loadb((const char *)r->pending.data, r->pending.len, 0, NULL), *o;
    size_t i;
    if (!json_is_object(answer)) {
        json_decref(answer);
        return fail(ERR_PROTOCOL, "the answer of a router is no JSON object");
    }
    json_array_foreach(json_object_get(answer, member), i, o)
    {
        if (!r->is_over && (!r->needs_bitswap || may_speak_bitswap(o)) && !take_record(o, r->record))
            r->is_over = !r->give(r->arg, r->record);
    }
    json_decref(answer);
    return OK;
}

static err_t check_status(const http_fetch_t *f)
{
    return f->status == 200   ? OK
           : f->status == 404 ? fail(ERR_NOT_FOUND, "%.100s knows nothing", f->url)
                              : fail(ERR_REFUSED, "%.100s answered %d", f->url, f->status);
}

static err_t fetch_records(task_t *t, const char *url, const char *member,
                           bool (*give)(void *arg, const routed_peer_t *p), void *arg)
{
    static const http_field_t fields[] = {{"Accept", "application/x-ndjson, application/json;q=0.9"},
                                          {"User-Agent", DISTRIBUTE_AGENT}};
    records_t *r = xcalloc(1, sizeof *r);
    *r = (records_t){.give = give,
                     .arg = arg,
                     .record = xcalloc(1, sizeof *r->record),
                     .needs_bitswap = !strcmp(member, "Providers")};
    buf_init(&r->pending, DELEGATED_BODY_MAX_BYTES);
    r->fetch = (http_fetch_t){.url = url,
                              .fields = fields,
                              .n_fields = ARRAY_LEN(fields),
                              .on_body = on_records,
                              .arg = r,
                              .max_in_bytes = DELEGATED_BODY_MAX_BYTES};
    deadline_t d = deadline_push(t, DELEGATED_TIMEOUT_MS);
    err_t e = http_fetch(t, &r->fetch);
    deadline_pop(t, &d);
    if (!e)
        e = check_status(&r->fetch);
    if (!e)
        e = end_records(r, member);
    if (r->is_over || e == ERR_NOT_FOUND)
        e = OK;
    buf_deinit(&r->pending);
    free(r->record);
    free(r);
    return e;
}

err_t delegated_providers(task_t *t, const char *router, bytes_t multihash,
                          bool (*give)(void *arg, const routed_peer_t *p), void *arg)
{
    char url[URL_MAX], key[CID_TEXT_MAX];
    cid_t cid;
    TRY(cid_from_multihash(multihash, CODEC_RAW, &cid));
    TRY(make_url(router, "providers", cid_print(&cid, key), "filter-protocols=unknown,transport-bitswap",
                 url));
    return fetch_records(t, url, "Providers", give, arg);
}

typedef struct one_peer {
    const peer_id_t *wanted;
    routed_peer_t *ret;
    bool is_found;
} one_peer_t;

static bool take_peer(void *arg, const routed_peer_t *p)
{
    one_peer_t *o = arg;
    if (!peer_id_equal(&p->id, o->wanted) || !p->n_addrs)
        return true;
    *o->ret = *p;
    o->is_found = true;
    return false;
}

err_t delegated_peer(task_t *t, const char *router, const peer_id_t *peer, routed_peer_t *ret)
{
    char url[URL_MAX], key[PEER_ID_TEXT_MAX];
    one_peer_t o = {peer, ret, false};
    TRY(peer_id_print_cid(peer, MB_BASE36, key));
    TRY(make_url(router, "peers", key, "", url));
    TRY(fetch_records(t, url, "Peers", take_peer, &o));
    return o.is_found ? OK : fail(ERR_NOT_FOUND, "%.100s knows no address of the peer", router);
}

/* ── IPNS ────────────────────────────────────────────────────────────────────────────────────── */

static err_t name_url(const char *router, bytes_t key, char out[URL_MAX])
{
    static const bytes_t prefix = BYTES_LIT("/ipns/");
    char text[PEER_ID_TEXT_MAX];
    peer_id_t name;
    if (!bytes_starts_with(key, prefix))
        return fail(ERR_UNSUPPORTED, "routers hold IPNS records alone");
    TRY(peer_id_decode(bytes_slice(key, prefix.len, key.len), &name));
    TRY(peer_id_print_cid(&name, MB_BASE36, text));
    return make_url(router, "ipns", text, "", out);
}

static err_t run_timed(task_t *t, http_fetch_t *f, buf_t *out)
{
    deadline_t d = deadline_push(t, DELEGATED_TIMEOUT_MS);
    err_t e = http_fetch_all(t, f, out);
    deadline_pop(t, &d);
    return e ? e : check_status(f);
}

err_t delegated_get_record(task_t *t, const char *router, bytes_t key, buf_t *out)
{
    char url[URL_MAX];
    static const http_field_t fields[] = {{"Accept", RECORD_TYPE}, {"User-Agent", DISTRIBUTE_AGENT}};
    TRY(name_url(router, key, url));
    http_fetch_t f = {.url = url,
                      .fields = fields,
                      .n_fields = ARRAY_LEN(fields),
                      .max_in_bytes = DELEGATED_RECORD_MAX_BYTES};
    TRY(run_timed(t, &f, out));
    return !strncmp(f.content_type, RECORD_TYPE, sizeof RECORD_TYPE - 1)
               ? OK
               : fail(ERR_NOT_FOUND, "%.100s has no record of this name", router);
}

err_t delegated_put_record(task_t *t, const char *router, bytes_t key, bytes_t record)
{
    char url[URL_MAX];
    static const http_field_t fields[] = {{"Content-Type", RECORD_TYPE}, {"User-Agent", DISTRIBUTE_AGENT}};
    AUTO(buf_t) answer = {0};
    buf_init(&answer, DELEGATED_RECORD_MAX_BYTES);
    TRY(name_url(router, key, url));
    http_fetch_t f = {.method = "PUT",
                      .url = url,
                      .fields = fields,
                      .n_fields = ARRAY_LEN(fields),
                      .body = record,
                      .max_in_bytes = DELEGATED_RECORD_MAX_BYTES};
    return run_timed(t, &f, &answer);
}
