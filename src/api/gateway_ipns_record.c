/* gateway_ipns_record: the signed record of a name, for clients that verify it. Spec: IPIP-0351. */
#include "api/gateway.h"
#include "codec/ipns_record.h"
#include "naming/naming.h"
#include <inttypes.h>
#include <stdio.h>

enum { NS_PER_S = 1000000000 };

/* The name alone: "/ipns/NAME" or "/ipns/NAME/". */
static err_t parse_name(gateway_request_t *r, char word[PEER_ID_TEXT_MAX], peer_id_t *ret)
{
    bytes_t path = buf_bytes(&r->content_path);
    if (!bytes_starts_with(path, BYTES_LIT("/ipns/")))
        return fail(ERR_INVALID, "%.*s is not an IPNS link", (int)(path.len < 200 ? path.len : 200),
                    (const char *)path.data);
    path = bytes_slice(path, sizeof "/ipns/" - 1, path.len);
    if (path.len && path.data[path.len - 1] == '/')
        path.len--;
    if (memchr(path.data, '/', path.len))
        return fail(ERR_INVALID, "cannot find ipns key for subpath");
    if (!path.len || path.len >= PEER_ID_TEXT_MAX || memchr(path.data, 0, path.len))
        return fail(ERR_INVALID, "this is not the name of a key");
    memcpy(word, path.data, path.len);
    word[path.len] = 0;
    return name_parse(word, ret);
}

static err_t set_headers(task_t *t, gateway_request_t *r, const ipns_record_t *record, const char *word)
{
    char otherwise[PEER_ID_TEXT_MAX + 16], name[GATEWAY_NAME_MAX_BYTES];
    snprintf(otherwise, sizeof otherwise, "%s.ipns-record", word);
    gateway_filename(r, otherwise, name, sizeof name);
    if (record->signed_fields.has_ttl)
        r->ttl_ms = record->signed_fields.ttl_ns / (NS_PER_S / 1000);
    else
        r->modified_s = (int64_t)(driver_wall_ms(task_driver(t)) / 1000);
    TRY(gateway_set_disposition(r, "attachment", bytes_str(name)));
    return exchange_set_header(r->x, "X-Content-Type-Options", "nosniff");
}

err_t gateway_serve_ipns_record(task_t *t, gateway_request_t *r)
{
    AUTO(buf_t) bytes = {0};
    char word[PEER_ID_TEXT_MAX], etag[GATEWAY_ETAG_MAX], hash[CID_TEXT_MAX];
    ipns_record_t record;
    naming_options_t options;
    peer_id_t name;
    cid_t cid;
    naming_t *naming = node_naming(r->api->node);
    TRY(parse_name(r, word, &name));
    naming_options_default(&options);
    options.is_offline = r->is_cached_only || !gateway_may_fetch(r);
    buf_init(&bytes, IPNS_RECORD_MAX_BYTES);
    TRY(naming_get_record(t, naming, &name, &options, &bytes));
    TRY(ipns_record_decode(buf_bytes(&bytes), &record));
    TRY(cid_of(1, CODEC_RAW, MH_SHA2_256, buf_bytes(&bytes), &cid));
    snprintf(etag, sizeof etag, "\"%s\"", cid_print(&cid, hash));
    r->is_mutable = true;
    if (gateway_is_unchanged(r->x, etag))
        return gateway_reply_unchanged(r, etag);
    TRY(set_headers(t, r, &record, word));
    gateway_content_t c = {.memory = buf_bytes(&bytes),
                           .size = bytes.len,
                           .type = gateway_format_type(GATEWAY_FORMAT_IPNS_RECORD),
                           .etag = etag};
    return gateway_serve_content(t, r, &c);
}
