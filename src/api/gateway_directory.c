/* gateway_directory: index.html when there is one, else a list of the entries: a plain page without scripts
 * that follows the reader's colors. */
#include "api/gateway.h"
#include "api/html.h"
#include "dag/dir_reader.h"
#include <stdio.h>

enum { PAGE_PIECE_BYTES = 64 << 10, PAGE_MAX_BYTES = 1 << 20 };

/* ── links ───────────────────────────────────────────────────────────────────────────────────── */

typedef struct listing {
    gateway_request_t *r;
    buf_t page;
    buf_t base; /* the URL's path, decoded, with a slash at the end: what links on the page begin with */
} listing_t;

/* CIDs of a site on its own domain are shown elsewhere: there is no gateway on that domain. */
static err_t put_cid_link(listing_t *l, const dir_entry_t *entry)
{
    char cid[CID_TEXT_MAX];
    gateway_request_t *r = l->r;
    cid_print(&entry->cid, cid);
    TRY(buf_printf(&l->page, "<a class=\"ipfs-hash\" translate=\"no\" href=\""));
    if (r->origin == GATEWAY_ON_DNSLINK)
        TRY(buf_printf(&l->page, "https://cid.ipfs.tech/#%s\" target=\"_blank\" rel=\"noreferrer noopener\">",
                       cid));
    else {
        AUTO(buf_t) once = {0};
        buf_init(&once, PAGE_PIECE_BYTES);
        if (r->gateway_host.len) {
            TRY(buf_printf(&l->page, "//"));
            TRY(html_escape(r->gateway_host, &l->page));
        }
        /* Encoded twice: what the reference's pages have, which clients rely on. */
        TRY(percent_encode(entry->name, NULL, &once));
        TRY(buf_printf(&l->page, "/ipfs/%s?filename=", cid));
        TRY(percent_encode(buf_bytes(&once), NULL, &l->page));
        TRY(buf_printf(&l->page, "\">"));
    }
    return buf_printf(&l->page, "%.4s…%s</a>", cid, cid + strlen(cid) - 4);
}

/* JSON may be the metadata of an NFT: its preview shows what it names. */
static err_t put_preview_link(listing_t *l, bytes_t name)
{
    bytes_t end = bytes_slice(name, name.len > 5 ? name.len - 5 : name.len, 5);
    if (l->r->origin == GATEWAY_ON_DNSLINK || !bytes_equal(end, BYTES_LIT(".json")))
        return OK;
    TRY(buf_printf(&l->page, " <small><a href=\""));
    TRY(html_path(buf_bytes(&l->base), &l->page));
    TRY(html_path(name, &l->page));
    return buf_printf(&l->page, "?preview\">preview</a></small>");
}

static err_t put_row(listing_t *l, const dir_entry_t *entry)
{
    TRY(buf_printf(&l->page, "<tr><td><a href=\""));
    TRY(html_path(buf_bytes(&l->base), &l->page));
    TRY(html_path(entry->name, &l->page));
    TRY(buf_printf(&l->page, "\">"));
    TRY(html_escape(entry->name, &l->page));
    TRY(buf_printf(&l->page, "</a>"));
    TRY(put_preview_link(l, entry->name));
    TRY(buf_printf(&l->page, "</td><td class=\"cid\">"));
    TRY(put_cid_link(l, entry));
    TRY(buf_printf(&l->page, "</td><td class=\"size\">"));
    TRY(html_size(entry->tsize, &l->page));
    return buf_printf(&l->page, "</td></tr>\n");
}

/* /ipfs/CID/a/b, each name a link. On a subdomain they lead to the gateway's own host, which names the
 * content root; on a domain of its own the names below it are the paths. */
static err_t put_breadcrumbs(listing_t *l)
{
    gateway_request_t *r = l->r;
    bytes_t path = buf_bytes(&r->content_path);
    bool is_own_domain = r->origin == GATEWAY_ON_DNSLINK;
    size_t from = 1, n = 0;
    size_t link_from = 0; /* links are the path from here on */
    while (from < path.len) {
        const uint8_t *slash = memchr(path.data + from, '/', path.len - from);
        size_t to = slash ? (size_t)(slash - path.data) : path.len;
        bytes_t name = bytes_slice(path, from, to - from);
        TRY(buf_printf(&l->page, "/"));
        if (n == 1 && is_own_domain)
            link_from = to;
        if (n) {
            TRY(buf_printf(&l->page, "<a href=\""));
            if (r->gateway_host.len) {
                TRY(buf_printf(&l->page, "//"));
                TRY(html_escape(r->gateway_host, &l->page));
            }
            TRY(html_path(bytes_slice(path, link_from, to - link_from), &l->page));
            TRY(buf_printf(&l->page, "%s\">", link_from == to ? "/" : ""));
        }
        TRY(html_escape(name, &l->page));
        if (n++)
            TRY(buf_printf(&l->page, "</a>"));
        from = to + 1;
    }
    return OK;
}

static bool is_root(const gateway_request_t *r)
{
    bytes_t path = buf_bytes(&r->content_path);
    size_t slashes = 0;
    for (size_t i = 0; i + 1 < path.len; i++)
        slashes += path.data[i] == '/' && path.data[i + 1] != '/';
    return slashes <= 2;
}

static err_t put_head(listing_t *l)
{
    TRY(html_begin(buf_bytes(&l->r->content_path), &l->page));
    TRY(buf_printf(&l->page, "<h1>Index of "));
    TRY(put_breadcrumbs(l));
    TRY(buf_printf(&l->page, "</h1>\n<table>\n"));
    if (is_root(l->r))
        return OK;
    TRY(buf_printf(&l->page, "<tr><td><a href=\""));
    TRY(html_path(buf_bytes(&l->base), &l->page));
    return buf_printf(&l->page, "..\">..</a></td><td></td><td></td></tr>\n");
}

/* ── the page ────────────────────────────────────────────────────────────────────────────────── */

static err_t flush_page(task_t *t, listing_t *l)
{
    TRY(exchange_write(t, l->r->x, buf_bytes(&l->page)));
    buf_clear(&l->page);
    return OK;
}

static err_t next_entry(task_t *t, gateway_request_t *r, dir_reader_t *dir, dir_entry_t *entry, bool *ret_has)
{
    deadline_t d = gateway_begin_retrieval(t, r);
    err_t e = dir_reader_next(t, dir, entry, ret_has);
    deadline_pop(t, &d);
    return e;
}

/* The page goes out while the directory is read: a million entries cost a page of memory. */
static err_t write_listing(task_t *t, listing_t *l, dir_reader_t *dir, dir_entry_t *entry, bool has)
{
    TRY(put_head(l));
    while (has) {
        TRY(put_row(l, entry));
        if (l->page.len > PAGE_PIECE_BYTES)
            TRY(flush_page(t, l));
        TRY(next_entry(t, l->r, dir, entry, &has));
    }
    TRY(buf_printf(&l->page, "</table>\n"));
    TRY(html_end(&l->page));
    return flush_page(t, l);
}

static const char *listing_cache_control(const gateway_request_t *r, char out[96])
{
    if (!r->is_mutable)
        return "public, max-age=604800, stale-while-revalidate=2678400";
    if (!r->ttl_ms)
        return NULL;
    snprintf(out, 96, "public, max-age=%llu, stale-while-revalidate=2678400",
             (unsigned long long)(r->ttl_ms / 1000));
    return out;
}

static err_t serve_listing(task_t *t, gateway_request_t *r)
{
    char etag[GATEWAY_ETAG_MAX], cache[96];
    listing_t l = {.r = r};
    AUTO(dir_reader_t) dir = {0};
    dir_entry_t entry;
    bool has = false;
    TRY(dir_reader_init(t, &dir, r->blocks, &r->node));
    if (!gateway_is_head(r))
        TRY(next_entry(t, r, &dir, &entry, &has)); /* what cannot be had is told by a status */
    r->modified_s = 0;
    TRY(gateway_set_headers(r, gateway_dir_etag(r, etag), listing_cache_control(r, cache)));
    TRY(exchange_set_header(r->x, "Content-Type", "text/html"));
    TRY(exchange_set_header(r->x, "Content-Security-Policy", html_policy));
    TRY(exchange_begin(r->x, 200, -1));
    if (gateway_is_head(r))
        return OK;
    buf_init(&l.page, PAGE_MAX_BYTES);
    buf_init(&l.base, GATEWAY_PATH_MAX_BYTES);
    err_t e = percent_decode(bytes_str(r->url_path), false, &l.base);
    if (!e && !r->ends_in_slash)
        e = buf_append_u8(&l.base, '/');
    if (!e)
        e = write_listing(t, &l, &dir, &entry, has);
    buf_deinit(&l.page);
    buf_deinit(&l.base);
    return e;
}

/* Links of pages are relative to their path, so the path must end in a slash. */
err_t gateway_redirect_to_slash(task_t *t, gateway_request_t *r)
{
    AUTO(buf_t) to = {0};
    const char *text;
    buf_init(&to, 2 * GATEWAY_PATH_MAX_BYTES);
    /* One slash at the start: "//host" would lead elsewhere. */
    TRY(buf_printf(&to, "/%s/%s%s", r->url_path + strspn(r->url_path, "/"), r->x->query[0] ? "?" : "",
                   r->x->query));
    TRY(buf_cstr(&to, &text));
    TRY(gateway_set_path_headers(r));
    return gateway_redirect(t, r, 301, text);
}

/* Tools of Go ask for "go-get" pages with no slash at the end. */
static bool is_go_get(gateway_request_t *r)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, GATEWAY_PATH_MAX_BYTES);
    return r->x->query[0] && !exchange_query(r->x, "go-get", 0, &value) &&
           bytes_equal(buf_bytes(&value), BYTES_LIT("1"));
}

err_t gateway_serve_directory(task_t *t, gateway_request_t *r)
{
    dir_entry_t index;
    char etag[GATEWAY_ETAG_MAX];
    TRY(gateway_widen(r));
    err_t e = dir_lookup(t, r->blocks, &r->node, BYTES_LIT("index.html"), &index);
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (!r->ends_in_slash && !is_go_get(r))
        return gateway_redirect_to_slash(t, r);
    if (e)
        return serve_listing(t, r);
    gateway_etag(r, etag); /* of the folder, whose page it is */
    dag_node_deinit(&r->node);
    TRY(dag_node_get(t, r->blocks, &index.cid, &r->node));
    if (!dag_node_is_file(&r->node))
        return gateway_fail(t, r, 422, "index.html could not be read: not a file");
    return gateway_serve_file(t, r, "index.html", etag);
}
