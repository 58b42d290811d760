#include "api/gateway_document.h"
#include "api/content_sniff.h"
#include "api/html.h"
#include "codec/ipld_scan.h"
#include "multi/multicodec.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
    PAGE_PIECE_BYTES = 64 << 10,
    PAGE_MAX_BYTES = 16 << 20,
    SHOWN_BYTES = 4096,
    URI_MAX_BYTES = 4096,
    DATA_URI_MAX_BYTES = 256 << 10,
    MEDIA_MAX = 16,          /* shown on one page */
    PROBE_TIMEOUT_MS = 3000, /* for the first bytes of one that has no extension */
};

typedef struct document {
    gateway_request_t *r;
    uint64_t codec;
    bool is_preview;
    size_t media; /* shown so far */
    buf_t out;
    struct {
        bool is_map;
        uint64_t index; /* of the next item of a list */
    } * levels;
    size_t depth;
} document_t;

static err_t put_link(document_t *p, bytes_t binary)
{
    cid_t cid;
    char text[CID_TEXT_MAX];
    TRY(cid_decode(binary, &cid));
    cid_print(&cid, text);
    TRY(buf_printf(&p->out, "<a class=\"ipfs-hash\" translate=\"no\" href=\""));
    if (p->r->origin == GATEWAY_ON_DNSLINK)
        TRY(buf_printf(&p->out, "https://cid.ipfs.tech/#%s\" target=\"_blank\" rel=\"noreferrer noopener\">",
                       text));
    else {
        if (p->r->gateway_host.len) {
            TRY(buf_printf(&p->out, "//"));
            TRY(html_escape(p->r->gateway_host, &p->out));
        }
        TRY(buf_printf(&p->out, "/ipfs/%s\">", text));
    }
    return buf_printf(&p->out, "%s</a>", text);
}

/* ── media ───────────────────────────────────────────────────────────────────────────────────── */

static bool skip(bytes_t *text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (text->len < len || strncasecmp((const char *)text->data, prefix, len))
        return false;
    *text = bytes_slice(*text, len, text->len);
    return true;
}

bool gateway_content_uri(bytes_t text, buf_t *out)
{
    cid_t cid;
    bool is_name = skip(&text, "ipns://") || skip(&text, "/ipns/");
    if (!is_name) {
        if (!skip(&text, "ipfs://") && !skip(&text, "/ipfs/"))
            return false;
        if (skip(&text, "ipfs/")) /* an old mistake that many have */
            ;
        else if (skip(&text, "ipns/"))
            is_name = true;
    }
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    bytes_t root = bytes_slice(text, 0, slash ? (size_t)(slash - text.data) : text.len);
    if (!root.len || text.len > URI_MAX_BYTES || (!is_name && cid_parse(root, &cid)))
        return false;
    size_t before = out->len;
    if (!buf_printf(out, is_name ? "/ipns/" : "/ipfs/") && !buf_append(out, text))
        return true;
    out->len = before;
    return false;
}

/* By the first bytes, when they come soon; NULL when they do not. */
static err_t probe(task_t *t, document_t *p, bytes_t path, const char **ret_type)
{
    AUTO(file_reader_t) file = {0};
    AUTO(buf_t) decoded = {0};
    bytes_t first = BYTES_NONE;
    cid_t cid;
    dag_path_t *parsed = xcalloc(1, sizeof *parsed);
    buf_init(&decoded, URI_MAX_BYTES + 16);
    TRY(gateway_widen(p->r));
    deadline_t d = deadline_push(t, PROBE_TIMEOUT_MS);
    err_t e = percent_decode(path, false, &decoded);
    if (!e)
        e = dag_path_parse(buf_bytes(&decoded), parsed);
    if (!e)
        e = dag_path_resolve_cid(t, p->r->blocks, parsed, &cid);
    if (!e)
        e = file_reader_open(t, &file, p->r->blocks, &cid);
    if (!e)
        e = file_reader_next(t, &file, &first);
    deadline_pop(t, &d);
    free(parsed);
    *ret_type = e ? NULL : content_sniff(first);
    return OK;
}

/* Of a name that has an extension by it, of others by their first bytes. */
static err_t type_of(task_t *t, document_t *p, bytes_t path, const char **ret_type)
{
    char name[GATEWAY_NAME_MAX_BYTES];
    size_t at = path.len;
    while (at && path.data[at - 1] != '/')
        at--;
    bytes_t last = bytes_slice(path, at, path.len);
    snprintf(name, sizeof name, "%.*s", (int)(last.len < sizeof name ? last.len : 0),
             (const char *)last.data);
    *ret_type = content_type_of_name(name);
    if (*ret_type || !bytes_starts_with(path, BYTES_LIT("/ipfs/")))
        return OK;
    /* What is on the page so far is read while we wait. */
    TRY(exchange_write(t, p->r->x, buf_bytes(&p->out)));
    buf_clear(&p->out);
    return probe(t, p, path, ret_type);
}

static err_t put_url(document_t *p, bytes_t path)
{
    if (p->r->gateway_host.len) {
        TRY(buf_printf(&p->out, "//"));
        TRY(html_escape(p->r->gateway_host, &p->out));
    }
    return percent_encode(path, "/%:@$+=,;!*()", &p->out);
}

static const char *element_of(const char *type)
{
    return !type                              ? NULL
           : !strncmp(type, "image/", 6)      ? "img alt=\"\""
           : !strncmp(type, "video/", 6)      ? "video controls preload=\"metadata\""
           : !strncmp(type, "audio/", 6)      ? "audio controls preload=\"metadata\""
           : !strcmp(type, "application/ogg") ? "audio controls preload=\"metadata\""
                                              : NULL;
}

static err_t put_media(document_t *p, const char *element, bytes_t path)
{
    TRY(buf_printf(&p->out, "<p><%s src=\"", element));
    TRY(put_url(p, path));
    if (*element == 'i')
        return buf_printf(&p->out, "\"></p>");
    return buf_printf(&p->out, "\"></%.5s></p>", element);
}

/* A text that names content: a link, and what it leads to when it can be shown. */
static err_t put_content(task_t *t, document_t *p, bytes_t text, bytes_t path)
{
    const char *type = NULL;
    if (p->media < MEDIA_MAX) {
        p->media++;
        TRY(type_of(t, p, path, &type));
    }
    const char *element = element_of(type);
    bool is_json = type && !strcmp(type, "application/json");
    TRY(buf_printf(&p->out, "<a href=\""));
    TRY(put_url(p, path));
    TRY(buf_printf(&p->out, "%s\"><code>", is_json ? "?preview" : ""));
    TRY(html_escape(text, &p->out));
    TRY(buf_printf(&p->out, "</code></a>"));
    return element ? put_media(p, element, path) : OK;
}

/* "data:image/svg+xml;…": shown as an image, in which scripts do not run. */
static err_t put_data_image(document_t *p, bytes_t text)
{
    TRY(buf_printf(&p->out, "<img alt=\"\" src=\""));
    TRY(html_escape(text, &p->out));
    return buf_printf(&p->out, "\">");
}

static err_t put_text(task_t *t, document_t *p, bytes_t text)
{
    AUTO(buf_t) path = {0};
    buf_init(&path, URI_MAX_BYTES + 16);
    if (p->is_preview && gateway_content_uri(text, &path))
        return put_content(t, p, text, buf_bytes(&path));
    if (p->is_preview && text.len <= DATA_URI_MAX_BYTES && bytes_starts_with(text, BYTES_LIT("data:image/")))
        return put_data_image(p, text);
    TRY(buf_printf(&p->out, "<pre>"));
    TRY(html_escape(text, &p->out));
    return buf_printf(&p->out, "</pre>");
}

/* ── values ──────────────────────────────────────────────────────────────────────────────────── */

static err_t put_bytes(document_t *p, bytes_t bytes)
{
    bytes_t shown = bytes_slice(bytes, 0, SHOWN_BYTES);
    TRY(buf_printf(&p->out, "<code>0x"));
    TRY(hex_encode(shown, &p->out));
    return buf_printf(&p->out, "%s</code> (%zu bytes)", shown.len < bytes.len ? "…" : "", bytes.len);
}

static err_t put_scalar(task_t *t, document_t *p, const ipld_event_t *e)
{
    switch (e->kind) {
    case IPLD_NULL:
        return buf_printf(&p->out, "<code>null</code>");
    case IPLD_BOOL:
        return buf_printf(&p->out, "<code>%s</code>", e->integer ? "true" : "false");
    case IPLD_UINT:
        return buf_printf(&p->out, "<code>%" PRIu64 "</code>", e->integer);
    case IPLD_NEGATIVE:
        if (e->integer == UINT64_MAX)
            return buf_printf(&p->out, "<code>-18446744073709551616</code>");
        return buf_printf(&p->out, "<code>-%" PRIu64 "</code>", e->integer + 1);
    case IPLD_FLOAT:
        return buf_printf(&p->out, "<code>%.17g</code>", e->number);
    case IPLD_STRING:
        return put_text(t, p, e->bytes);
    case IPLD_BYTES:
        return put_bytes(p, e->bytes);
    default:
        return put_link(p, e->bytes);
    }
}

/* What stands before a value: its place in the list around it. A map's keys have opened the cell already. */
static err_t open_value(document_t *p)
{
    if (!p->depth || p->levels[p->depth - 1].is_map)
        return OK;
    return buf_printf(&p->out, "<tr><th>%" PRIu64 "</th><td>", p->levels[p->depth - 1].index++);
}

static err_t close_value(document_t *p)
{
    return p->depth ? buf_printf(&p->out, "</td></tr>\n") : OK;
}

static err_t put_event(task_t *t, document_t *p, const ipld_event_t *e)
{
    if (e->is_key) {
        TRY(buf_printf(&p->out, "<tr><th>"));
        TRY(html_escape(e->bytes, &p->out));
        return buf_printf(&p->out, "</th><td>");
    }
    if (e->kind == IPLD_END) {
        p->depth--;
        TRY(buf_printf(&p->out, "</table>"));
        return close_value(p);
    }
    TRY(open_value(p));
    if (e->kind != IPLD_LIST && e->kind != IPLD_MAP) {
        TRY(put_scalar(t, p, e));
        return close_value(p);
    }
    if (p->depth == IPLD_MAX_DEPTH)
        return fail(ERR_LIMIT, "the document is nested deeper than %d", IPLD_MAX_DEPTH);
    p->levels[p->depth].is_map = e->kind == IPLD_MAP;
    p->levels[p->depth++].index = 0;
    return buf_printf(&p->out, "<table>\n");
}

static err_t put_values(task_t *t, document_t *p, bytes_t document)
{
    AUTO(ipld_scan_t) scan = {0};
    ipld_event_t e;
    ipld_scan_init(&scan, p->codec, document, 0);
    while (ipld_scan_next(&scan, &e)) {
        TRY(put_event(t, p, &e));
        if (p->out.len < PAGE_PIECE_BYTES)
            continue;
        TRY(exchange_write(t, p->r->x, buf_bytes(&p->out)));
        buf_clear(&p->out);
    }
    return scan.err;
}

static err_t put_head(document_t *p)
{
    const char *codec = multicodec_name(p->codec);
    TRY(html_begin(buf_bytes(&p->r->content_path), &p->out));
    TRY(buf_printf(&p->out, "<h1>CID: <code translate=\"no\">%s</code></h1>\n", gateway_cid_text(p->r)));
    TRY(buf_printf(&p->out, "<p>Codec: <code>%s (0x%" PRIx64 ")</code></p>\n", codec, p->codec));
    if (p->is_preview)
        return buf_printf(&p->out, "<p><a href=\"?\">The document itself</a></p>\n");
    return buf_printf(&p->out,
                      "<p>Download: <a href=\"?format=raw\" rel=\"nofollow\">raw block</a>, "
                      "<a href=\"?format=%s\" rel=\"nofollow\">%s</a>; "
                      "<a href=\"?preview\" rel=\"nofollow\">with its media</a></p>\n",
                      codec, codec);
}

static err_t write_page(task_t *t, document_t *p, bytes_t document)
{
    TRY(put_head(p));
    err_t e = put_values(t, p, document);
    if (e) { /* what was read stays on the page, with the reason for its end */
        char text[ERROR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", error_text(e));
        TRY(buf_printf(&p->out, "<p>This document cannot be shown further: "));
        TRY(html_escape(bytes_str(text), &p->out));
        TRY(buf_printf(&p->out, "</p>\n"));
    }
    TRY(html_end(&p->out));
    return exchange_write(t, p->r->x, buf_bytes(&p->out));
}

bool gateway_wants_preview(gateway_request_t *r)
{
    return r->x->query[0] && r->origin != GATEWAY_ON_DNSLINK && exchange_has_query(r->x, "preview");
}

err_t gateway_serve_document(task_t *t, gateway_request_t *r, uint64_t codec, bytes_t document,
                             bool is_preview)
{
    char etag[GATEWAY_ETAG_MAX];
    document_t p = {.r = r, .codec = codec, .is_preview = is_preview};
    r->modified_s = 0;
    TRY(gateway_set_headers(r, gateway_dag_page_etag(r, etag),
                            r->is_mutable ? NULL
                            : is_preview  ? "public, max-age=604800, stale-while-revalidate=2678400"
                                          : ""));
    /* The same URL gives programs the document: a cache must not give them the page. Not all keep to Vary. */
    if (!is_preview)
        TRY(exchange_set_header(r->x, "Vary", "Accept"));
    TRY(exchange_set_header(r->x, "Content-Type", "text/html"));
    TRY(exchange_set_header(r->x, "Content-Security-Policy", is_preview ? html_media_policy : html_policy));
    TRY(exchange_begin(r->x, 200, -1));
    if (gateway_is_head(r))
        return OK;
    buf_init(&p.out, PAGE_MAX_BYTES);
    p.levels = xcalloc(IPLD_MAX_DEPTH, sizeof *p.levels);
    err_t e = write_page(t, &p, document);
    buf_deinit(&p.out);
    free(p.levels);
    return e;
}
