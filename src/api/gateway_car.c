/* gateway_car: a part of a DAG as a CAR archive, which the client can verify by itself. Specs: ipfs/specs
 * trustless-gateway; IPIP-402 (scopes), IPIP-412 (order and duplicates), IPIP-523 (parameters in the URL). */
#include "api/car_stream.h"
#include "api/gateway.h"
#include <stdio.h>

enum { ETAG_HASH_BYTES = 8, PARAM_MAX_BYTES = 64 };

typedef struct car_request {
    car_export_options_t options;
    bool is_order_unknown; /* "unk" was asked for: then that is what is promised */
    buf_t range;           /* as it was asked for */
} car_request_t;

/* ── parameters ──────────────────────────────────────────────────────────────────────────────── */
/* Empty when absent. ERR_LIMIT: too long to be one of ours. */
static err_t read_query(gateway_request_t *r, const char *name, buf_t *out)
{
    buf_clear(out);
    err_t e = r->x->query[0] ? exchange_query(r->x, name, 0, out) : ERR_NOT_FOUND;
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Of the URL, else of the Accept header. */
static err_t read_param(gateway_request_t *r, const char *url_name, const char *type_name, buf_t *out)
{
    TRY(read_query(r, url_name, out));
    return out->len ? OK : buf_append(out, gateway_format_param(r->params, type_name));
}

static bool is_word(const buf_t *value, const char *word)
{
    return bytes_equal(buf_bytes(value), bytes_str(word));
}

static err_t read_type_params(gateway_request_t *r, car_request_t *c)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, PARAM_MAX_BYTES);
    TRY(read_param(r, "car-version", "version", &value));
    if (value.len && !is_word(&value, "1"))
        return fail(ERR_INVALID, "unsupported application/vnd.ipld.car version: only version=1 is supported");
    TRY(read_param(r, "car-order", "order", &value));
    c->is_order_unknown = is_word(&value, "unk");
    if (value.len && !c->is_order_unknown && !is_word(&value, "dfs"))
        return fail(ERR_INVALID, "unsupported application/vnd.ipld.car order parameter");
    TRY(read_param(r, "car-dups", "dups", &value));
    c->options.with_dups = is_word(&value, "y");
    if (value.len && !c->options.with_dups && !is_word(&value, "n"))
        return fail(ERR_INVALID, "unsupported application/vnd.ipld.car content type dups parameter");
    return OK;
}

static err_t read_scope(gateway_request_t *r, car_request_t *c)
{
    AUTO(buf_t) scope = {0};
    buf_init(&scope, PARAM_MAX_BYTES);
    TRY(read_query(r, "entity-bytes", &c->range));
    TRY(read_query(r, "dag-scope", &scope));
    c->options.has_range = exchange_has_query(r->x, "entity-bytes");
    if (c->options.has_range && car_range_parse(buf_bytes(&c->range), &c->options.range)) {
        char why[ERROR_TEXT_MAX];
        snprintf(why, sizeof why, "%s", error_text(ERR_INVALID));
        return fail(ERR_INVALID, "invalid application/vnd.ipld.car entity-bytes URL parameter: %s", why);
    }
    if (!exchange_has_query(r->x, "dag-scope")) {
        c->options.scope = c->options.has_range ? CAR_SCOPE_ENTITY : CAR_SCOPE_ALL;
        return OK;
    }
    if (is_word(&scope, "block"))
        c->options.scope = CAR_SCOPE_BLOCK;
    else if (is_word(&scope, "entity"))
        c->options.scope = CAR_SCOPE_ENTITY;
    else if (!is_word(&scope, "all"))
        return fail(ERR_INVALID, "unsupported application/vnd.ipld.car scope parameter");
    return OK;
}

/* ── headers ─────────────────────────────────────────────────────────────────────────────────── */
/* Weak: another build may order blocks in another way. What is asked for goes into it in full, as a hash. */
static err_t make_etag(gateway_request_t *r, const car_request_t *c, char out[GATEWAY_ETAG_MAX])
{
    static const char *const scopes[] = {
        [CAR_SCOPE_ALL] = "all", [CAR_SCOPE_ENTITY] = "entity", [CAR_SCOPE_BLOCK] = "block"};
    AUTO(buf_t) text = {0}, hex = {0};
    cid_t hash;
    char root[CID_TEXT_MAX];
    buf_init(&text, 2 * GATEWAY_PATH_MAX_BYTES);
    buf_init(&hex, 2 * ETAG_HASH_BYTES);
    TRY(buf_printf(&text, "%s %s %d %d %.*s ", cid_print(&r->path.root, root), scopes[c->options.scope],
                   c->options.with_dups, c->is_order_unknown, (int)c->range.len,
                   c->range.len ? (const char *)c->range.data : ""));
    for (size_t i = 0; i < r->path.count; i++) {
        TRY(buf_append_u8(&text, '/'));
        TRY(buf_append(&text, r->path.segments[i]));
    }
    TRY(cid_of(1, CODEC_RAW, MH_SHA2_256, buf_bytes(&text), &hash));
    TRY(hex_encode(bytes_slice(cid_digest(&hash), 0, ETAG_HASH_BYTES), &hex));
    snprintf(out, GATEWAY_ETAG_MAX, "W/\"%s.car.%.*s\"", root, (int)hex.len, (const char *)hex.data);
    return OK;
}

static err_t set_name(gateway_request_t *r)
{
    char root[CID_TEXT_MAX], otherwise[GATEWAY_NAME_MAX_BYTES], name[GATEWAY_NAME_MAX_BYTES];
    bytes_t last = r->path.count ? r->path.segments[r->path.count - 1] : BYTES_NONE;
    if (last.len > GATEWAY_NAME_MAX_BYTES - CID_TEXT_MAX)
        last = BYTES_NONE;
    snprintf(otherwise, sizeof otherwise, "%s%s%.*s.car", cid_print(&r->path.root, root), last.len ? "_" : "",
             (int)last.len, last.len ? (const char *)last.data : "");
    gateway_filename(r, otherwise, name, sizeof name);
    return gateway_set_disposition(r, "attachment", bytes_str(name));
}

static err_t set_headers(gateway_request_t *r, const car_request_t *c, const char *etag)
{
    char type[96];
    snprintf(type, sizeof type, "application/vnd.ipld.car; version=1; order=%s; dups=%s",
             c->is_order_unknown ? "unk" : "dfs", c->options.with_dups ? "y" : "n");
    TRY(gateway_set_headers(r, etag, NULL));
    TRY(set_name(r));
    TRY(exchange_set_header(r->x, "Content-Type", type));
    TRY(exchange_set_header(r->x, "X-Content-Type-Options", "nosniff"));
    return exchange_set_header(r->x, "Accept-Ranges", "none");
}

/* ── the archive ─────────────────────────────────────────────────────────────────────────────── */
/* What the request reads from, with a bound on the wait for each block. */
typedef struct patient_blocks {
    blocks_t base;
    gateway_request_t *request;
} patient_blocks_t;

static gateway_request_t *request_of(blocks_t *b)
{
    return CONTAINER_OF(b, patient_blocks_t, base)->request;
}

static err_t patient_get(task_t *t, blocks_t *b, const cid_t *cid, block_t **ret_block)
{
    gateway_request_t *r = request_of(b);
    deadline_t d = gateway_begin_retrieval(t, r);
    err_t e = gateway_get_block(t, r, cid, ret_block);
    deadline_pop(t, &d);
    return e;
}

static void patient_prefetch(task_t *t, blocks_t *b, const cid_t *cids, size_t n)
{
    blocks_prefetch(t, request_of(b)->blocks, cids, n);
}

static bool patient_has(task_t *t, blocks_t *b, const cid_t *cid)
{
    return blocks_has(t, request_of(b)->blocks, cid);
}

static const blocks_ops_t patient_ops = {
    .get = patient_get, .prefetch = patient_prefetch, .has = patient_has};

/* A failure in the middle cuts the connection after what was read: the client, and caches on the way, then
 * know that the answer is not whole. */
static err_t write_archive(task_t *t, gateway_request_t *r, const car_request_t *c)
{
    AUTO(car_stream_t) stream = {0};
    patient_blocks_t from = {{&patient_ops}, r};
    TRY(car_stream_begin(&stream, r->x, &r->cid, 1, NULL));
    err_t e = car_export(t, &from.base, &r->path, &c->options, car_stream_put, &stream);
    return car_stream_end(t, &stream, e);
}

static err_t serve(task_t *t, gateway_request_t *r, car_request_t *c)
{
    AUTO_PTR(block_t) block = NULL;
    patient_blocks_t from = {{&patient_ops}, r};
    char etag[GATEWAY_ETAG_MAX];
    TRY(read_type_params(r, c));
    TRY(read_scope(r, c));
    TRY(make_etag(r, c, etag));
    if (gateway_is_unchanged(r->x, etag))
        return gateway_reply_unchanged(r, etag);
    TRY(gateway_resolve(t, r));
    TRY(blocks_get(t, &from.base, &r->cid, &block)); /* its absence is told by a status */
    TRY(set_headers(r, c, etag));
    TRY(exchange_begin(r->x, 200, -1));
    return gateway_is_head(r) ? OK : write_archive(t, r, c);
}

err_t gateway_serve_car(task_t *t, gateway_request_t *r)
{
    car_request_t c = {0};
    buf_init(&c.range, PARAM_MAX_BYTES);
    err_t e = serve(t, r, &c);
    buf_deinit(&c.range);
    return e;
}
