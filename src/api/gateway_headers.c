/* gateway_headers: what describes an answer: paths, ETag, caching, names for saving. Specs: ipfs/specs
 * path-gateway, "Response headers"; RFC 9110, 9111, 6266. */
#include "api/gateway.h"
#include "wire/http_date.h"
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

/* Listings and pages of blocks are made here: their ETags change with their form. */
#define PAGE_FORM "1"

const char *gateway_cid_text(gateway_request_t *r)
{
    if (!r->cid_text[0])
        cid_print(&r->cid, r->cid_text);
    return r->cid_text;
}

bool gateway_is_head(const gateway_request_t *r)
{
    return !strcmp(r->x->method, "HEAD");
}

bool gateway_wants_html(const gateway_request_t *r)
{
    const char *accept = exchange_header(r->x, "Accept");
    return accept && strstr(accept, "text/html");
}

/* The path may hold bytes that a header must not. */
static bool is_header_safe(bytes_t text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    return true;
}

err_t gateway_set_path_headers(gateway_request_t *r)
{
    const char *text;
    if (is_header_safe(buf_bytes(&r->content_path))) {
        TRY(buf_cstr(&r->content_path, &text));
        TRY(exchange_set_header(r->x, "X-Ipfs-Path", text));
    }
    TRY(buf_cstr(&r->roots, &text));
    return *text ? exchange_set_header(r->x, "X-Ipfs-Roots", text) : OK;
}

static err_t set_cache_control(gateway_request_t *r, const char *cache_control)
{
    char text[64];
    if (!cache_control && !r->is_mutable)
        cache_control = GATEWAY_IMMUTABLE;
    if (!cache_control && r->ttl_ms) {
        snprintf(text, sizeof text, "public, max-age=%" PRIu64, r->ttl_ms / 1000);
        cache_control = text;
    }
    return cache_control && *cache_control ? exchange_set_header(r->x, "Cache-Control", cache_control) : OK;
}

err_t gateway_set_headers(gateway_request_t *r, const char *etag, const char *cache_control)
{
    TRY(gateway_set_path_headers(r));
    if (etag)
        TRY(exchange_set_header(r->x, "Etag", etag));
    TRY(set_cache_control(r, cache_control));
    if (!r->modified_s)
        return OK;
    char date[HTTP_DATE_MAX];
    return exchange_set_header(r->x, "Last-Modified", http_date_print(r->modified_s, date));
}

/* ── ETag ────────────────────────────────────────────────────────────────────────────────────── */

static gateway_format_t format_of_codec(uint64_t codec)
{
    switch (codec) {
    case CODEC_JSON:
        return GATEWAY_FORMAT_JSON;
    case CODEC_CBOR:
        return GATEWAY_FORMAT_CBOR;
    case CODEC_DAG_JSON:
        return GATEWAY_FORMAT_DAG_JSON;
    case CODEC_DAG_CBOR:
        return GATEWAY_FORMAT_DAG_CBOR;
    default:
        return GATEWAY_FORMAT_WEB;
    }
}

const char *gateway_etag(gateway_request_t *r, char out[GATEWAY_ETAG_MAX])
{
    gateway_format_t f = r->format;
    gateway_format_t own = format_of_codec(r->cid.codec);
    bool is_file = own == GATEWAY_FORMAT_WEB && (f == GATEWAY_FORMAT_JSON || f == GATEWAY_FORMAT_CBOR);
    if (f == GATEWAY_FORMAT_WEB || is_file) /* which are no formats of a file: it comes as it is */
        f = own;
    const char *type = gateway_format_type(f);
    const char *dot = strrchr(type, '.'), *slash = strrchr(type, '/');
    const char *word = dot && dot > slash ? dot + 1 : slash ? slash + 1 : "";
    snprintf(out, GATEWAY_ETAG_MAX, "%s\"%s%s%s\"", f == GATEWAY_FORMAT_TAR ? "W/" : "", gateway_cid_text(r),
             *word ? "." : "", word);
    return out;
}

const char *gateway_dir_etag(gateway_request_t *r, char out[GATEWAY_ETAG_MAX])
{
    snprintf(out, GATEWAY_ETAG_MAX, "\"DirIndex-" PAGE_FORM "_CID-%s\"", gateway_cid_text(r));
    return out;
}

const char *gateway_dag_page_etag(gateway_request_t *r, char out[GATEWAY_ETAG_MAX])
{
    snprintf(out, GATEWAY_ETAG_MAX, "\"DagIndex-" PAGE_FORM "_CID-%s\"", gateway_cid_text(r));
    return out;
}

err_t gateway_reply_unchanged(gateway_request_t *r, const char *etag)
{
    TRY(gateway_set_headers(r, etag, NULL));
    return exchange_begin(r->x, 304, 0);
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */

bool gateway_wants_download(gateway_request_t *r)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, GATEWAY_PATH_MAX_BYTES);
    return r->x->query[0] && !exchange_query(r->x, "download", 0, &value) &&
           bytes_equal(buf_bytes(&value), BYTES_LIT("true"));
}

bool gateway_filename(gateway_request_t *r, const char *otherwise, char *out, size_t cap)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, GATEWAY_PATH_MAX_BYTES);
    bool is_given = r->x->query[0] && !exchange_query(r->x, "filename", 0, &value) && value.len;
    bytes_t name = is_given ? buf_bytes(&value) : bytes_str(otherwise);
    snprintf(out, cap, "%.*s", (int)(name.len < cap ? name.len : cap - 1),
             name.len ? (const char *)name.data : "");
    return is_given;
}

/* Characters that the reference leaves as they are in both forms of the name. */
static const char name_safe[] = "$&+:=@";

err_t gateway_set_disposition(gateway_request_t *r, const char *kind, bytes_t name)
{
    AUTO(buf_t) value = {0}, ascii = {0};
    const char *text;
    if (!name.len)
        return exchange_set_header(r->x, "Content-Disposition", kind);
    buf_init(&value, GATEWAY_HEADER_MAX_BYTES);
    buf_init(&ascii, GATEWAY_NAME_MAX_BYTES);
    for (size_t i = 0; i < name.len; i++) /* one underscore for each character that is not ASCII */
        if ((name.data[i] & 0xc0) != 0x80)
            TRY(buf_append_u8(&ascii, name.data[i] < 0x80 ? name.data[i] : '_'));
    TRY(buf_printf(&value, "%s; filename=\"", kind));
    TRY(percent_encode(buf_bytes(&ascii), name_safe, &value));
    TRY(buf_printf(&value, "\"; filename*=UTF-8''"));
    TRY(percent_encode(name, name_safe, &value));
    TRY(buf_cstr(&value, &text));
    return exchange_set_header(r->x, "Content-Disposition", text);
}
