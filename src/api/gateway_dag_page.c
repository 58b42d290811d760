/* gateway_dag_page: a block of dag-json or dag-cbor as a page: its data as nested tables, its links as links.
 */
#include "api/gateway.h"
#include "api/html.h"
#include "codec/ipld_scan.h"
#include "multi/multicodec.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_PIECE_BYTES = 64 << 10, PAGE_MAX_BYTES = 16 << 20, SHOWN_BYTES = 4096 };

typedef struct dag_page {
    gateway_request_t *r;
    buf_t out;
    struct {
        bool is_map;
        uint64_t index; /* of the next item of a list */
    } * levels;
    size_t depth;
} dag_page_t;

static err_t put_link(dag_page_t *p, bytes_t binary)
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

static err_t put_bytes(dag_page_t *p, bytes_t bytes)
{
    bytes_t shown = bytes_slice(bytes, 0, SHOWN_BYTES);
    TRY(buf_printf(&p->out, "<code>0x"));
    TRY(hex_encode(shown, &p->out));
    return buf_printf(&p->out, "%s</code> (%zu bytes)", shown.len < bytes.len ? "…" : "", bytes.len);
}

static err_t put_scalar(dag_page_t *p, const ipld_event_t *e)
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
        TRY(buf_printf(&p->out, "<pre>"));
        TRY(html_escape(e->bytes, &p->out));
        return buf_printf(&p->out, "</pre>");
    case IPLD_BYTES:
        return put_bytes(p, e->bytes);
    default:
        return put_link(p, e->bytes);
    }
}

/* What stands before a value: its place in the list around it. A map's keys have opened the cell already. */
static err_t open_value(dag_page_t *p)
{
    if (!p->depth || p->levels[p->depth - 1].is_map)
        return OK;
    return buf_printf(&p->out, "<tr><th>%" PRIu64 "</th><td>", p->levels[p->depth - 1].index++);
}

static err_t close_value(dag_page_t *p)
{
    return p->depth ? buf_printf(&p->out, "</td></tr>\n") : OK;
}

static err_t put_event(dag_page_t *p, const ipld_event_t *e)
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
        TRY(put_scalar(p, e));
        return close_value(p);
    }
    if (p->depth == IPLD_MAX_DEPTH)
        return fail(ERR_LIMIT, "the document is nested deeper than %d", IPLD_MAX_DEPTH);
    p->levels[p->depth].is_map = e->kind == IPLD_MAP;
    p->levels[p->depth++].index = 0;
    return buf_printf(&p->out, "<table>\n");
}

static err_t put_preview(task_t *t, dag_page_t *p, bytes_t block)
{
    AUTO(ipld_scan_t) scan = {0};
    ipld_event_t e;
    ipld_scan_init(&scan, p->r->cid.codec, block, 0);
    while (ipld_scan_next(&scan, &e)) {
        TRY(put_event(p, &e));
        if (p->out.len < PAGE_PIECE_BYTES)
            continue;
        TRY(exchange_write(t, p->r->x, buf_bytes(&p->out)));
        buf_clear(&p->out);
    }
    return scan.err;
}

static err_t put_head(dag_page_t *p)
{
    const char *codec = multicodec_name(p->r->cid.codec);
    TRY(html_begin(buf_bytes(&p->r->content_path), &p->out));
    TRY(buf_printf(&p->out, "<h1>CID: <code translate=\"no\">%s</code></h1>\n", gateway_cid_text(p->r)));
    TRY(buf_printf(&p->out, "<p>Codec: <code>%s (0x%" PRIx64 ")</code></p>\n", codec, p->r->cid.codec));
    return buf_printf(&p->out,
                      "<p>Download: <a href=\"?format=raw\" rel=\"nofollow\">raw block</a>, "
                      "<a href=\"?format=%s\" rel=\"nofollow\">%s</a></p>\n",
                      codec, codec);
}

static err_t write_page(task_t *t, dag_page_t *p, bytes_t block)
{
    TRY(put_head(p));
    err_t e = put_preview(t, p, block);
    if (e) { /* what was read stays on the page, with the reason for its end */
        char text[ERROR_TEXT_MAX];
        snprintf(text, sizeof text, "%s", error_text(e));
        TRY(buf_printf(&p->out, "<p>This block cannot be shown further: "));
        TRY(html_escape(bytes_str(text), &p->out));
        TRY(buf_printf(&p->out, "</p>\n"));
    }
    TRY(html_end(&p->out));
    return exchange_write(t, p->r->x, buf_bytes(&p->out));
}

err_t gateway_serve_dag_page(task_t *t, gateway_request_t *r, bytes_t block)
{
    char etag[GATEWAY_ETAG_MAX];
    dag_page_t p = {.r = r};
    if (!r->ends_in_slash)
        return gateway_redirect_to_slash(t, r);
    r->modified_s = 0;
    TRY(gateway_set_headers(r, gateway_dag_page_etag(r, etag),
                            r->is_mutable ? NULL : "public, max-age=604800, stale-while-revalidate=2678400"));
    TRY(exchange_set_header(r->x, "Content-Type", "text/html"));
    TRY(exchange_set_header(r->x, "Content-Security-Policy", html_policy));
    TRY(exchange_begin(r->x, 200, -1));
    if (gateway_is_head(r))
        return OK;
    buf_init(&p.out, PAGE_MAX_BYTES);
    p.levels = xcalloc(IPLD_MAX_DEPTH, sizeof *p.levels);
    err_t e = write_page(t, &p, block);
    buf_deinit(&p.out);
    free(p.levels);
    return e;
}
