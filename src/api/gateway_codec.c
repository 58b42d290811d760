/* gateway_codec: documents of dag-json, dag-cbor, json and cbor: the block as it is, or a page for a browser.
 * Specs: ipfs/specs path-gateway; conversions between codecs only with Gateway.AllowCodecConversion
 * (IPIP-0524). */
#include "api/convert.h"
#include "api/gateway_document.h"
#include "codec/ipld.h"
#include "multi/multicodec.h"
#include <stdio.h>

enum { CONVERTED_MAX_BYTES = 32 << 20 };

/* The type that a block has by its own codec; WEB: it is no document. */
static gateway_format_t own_format(uint64_t codec)
{
    return codec == CODEC_JSON       ? GATEWAY_FORMAT_JSON
           : codec == CODEC_CBOR     ? GATEWAY_FORMAT_CBOR
           : codec == CODEC_DAG_JSON ? GATEWAY_FORMAT_DAG_JSON
           : codec == CODEC_DAG_CBOR ? GATEWAY_FORMAT_DAG_CBOR
                                     : GATEWAY_FORMAT_WEB;
}

/* json and cbor are what dag-json and dag-cbor are, too. */
static bool is_as_it_is(gateway_format_t wanted, gateway_format_t own)
{
    return wanted == own || (wanted == GATEWAY_FORMAT_JSON && own == GATEWAY_FORMAT_DAG_JSON) ||
           (wanted == GATEWAY_FORMAT_CBOR && own == GATEWAY_FORMAT_DAG_CBOR);
}

static bool is_dag(gateway_format_t f)
{
    return f == GATEWAY_FORMAT_DAG_JSON || f == GATEWAY_FORMAT_DAG_CBOR;
}

static bool is_json(gateway_format_t f)
{
    return f == GATEWAY_FORMAT_JSON || f == GATEWAY_FORMAT_DAG_JSON;
}

static err_t set_codec_headers(gateway_request_t *r, gateway_format_t f, bool is_download)
{
    char otherwise[CID_TEXT_MAX + 8], name[GATEWAY_NAME_MAX_BYTES];
    snprintf(otherwise, sizeof otherwise, "%s%s", gateway_cid_text(r), is_json(f) ? ".json" : ".cbor");
    gateway_filename(r, otherwise, name, sizeof name);
    TRY(gateway_set_disposition(r, is_download || !is_json(f) ? "attachment" : "inline", bytes_str(name)));
    return exchange_set_header(r->x, "X-Content-Type-Options", "nosniff");
}

static err_t refuse_conversion(task_t *t, gateway_request_t *r)
{
    char text[256];
    const char *codec = multicodec_name(r->cid.codec);
    if (r->format == GATEWAY_FORMAT_JSON || r->format == GATEWAY_FORMAT_CBOR)
        return gateway_fail(t, r, 406, "converting to requested format is not supported");
    snprintf(
        text, sizeof text,
        "format \"%s\" requested but block has codec \"%s\": codec conversion is not supported, fetch raw "
        "block with ?format=raw and convert client-side",
        gateway_format_type(r->format), codec ? codec : "unknown");
    return gateway_fail(t, r, 406, text);
}

static err_t convert_block(void *arg, bytes_t block, buf_t *out)
{
    const gateway_request_t *r = arg;
    return ipld_convert(r->cid.codec, block,
                        r->format == GATEWAY_FORMAT_DAG_JSON ? CODEC_DAG_JSON : CODEC_DAG_CBOR, out);
}

/* With Gateway.AllowCodecConversion. */
static err_t serve_converted(task_t *t, gateway_request_t *r, bytes_t block, bool is_download)
{
    char etag[GATEWAY_ETAG_MAX];
    AUTO(buf_t) out = {0};
    buf_init(&out, CONVERTED_MAX_BYTES);
    TRY(api_convert(t, convert_block, r, block, &out));
    TRY(set_codec_headers(r, r->format, is_download));
    gateway_content_t c = {.memory = buf_bytes(&out),
                           .size = out.len,
                           .type = gateway_format_type(r->format),
                           .etag = gateway_etag(r, etag)};
    return gateway_serve_content(t, r, &c);
}

err_t gateway_serve_codec(task_t *t, gateway_request_t *r)
{
    char etag[GATEWAY_ETAG_MAX];
    AUTO_PTR(block_t) block = NULL;
    gateway_format_t own = own_format(r->cid.codec);
    gateway_format_t wanted = r->format == GATEWAY_FORMAT_WEB ? own : r->format;
    bool is_download = gateway_wants_download(r);
    bool is_converted = !is_as_it_is(wanted, own);
    if (is_converted && !(r->settings->converts_codecs && is_dag(wanted)))
        return refuse_conversion(t, r);
    TRY(gateway_get_block(t, r, &r->cid, &block));
    if (is_converted)
        return serve_converted(t, r, block_bytes(block), is_download);
    bool is_preview = r->format == GATEWAY_FORMAT_WEB && gateway_wants_preview(r);
    if (is_preview ||
        (r->format == GATEWAY_FORMAT_WEB && is_dag(own) && !is_download && gateway_wants_html(r))) {
        if (!is_preview && !r->ends_in_slash)
            return gateway_redirect_to_slash(t, r);
        return gateway_serve_document(t, r, r->cid.codec, block_bytes(block), is_preview);
    }
    TRY(set_codec_headers(r, wanted, is_download));
    gateway_content_t c = {.memory = block_bytes(block),
                           .size = block->len,
                           .type = gateway_format_type(wanted),
                           .etag = gateway_etag(r, etag)};
    return gateway_serve_content(t, r, &c);
}
