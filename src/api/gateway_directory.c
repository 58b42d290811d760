/* gateway_directory: index.html when there is one, else a list of the entries: a plain page without scripts
 * that follows the reader's colors. */
#include "api/gateway.h"
#include "base/version.h"
#include "dag/dir_reader.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE_PIECE_BYTES = 64 << 10, LISTING_TIMEOUT_MS = 60000 };

static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>"
    ":root{color-scheme:light dark;--line:#8884;--soft:#666}"
    "@media(prefers-color-scheme:dark){:root{--soft:#aaa}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.1rem;word-break:break-all}table{width:100%;border-collapse:collapse}"
    "td{padding:.35rem .5rem;border-bottom:1px solid var(--line);word-break:break-word}"
    "td.size,td.cid{color:var(--soft);white-space:nowrap;text-align:right}"
    "td.cid a{color:inherit;font-family:ui-monospace,monospace;font-size:.85em}"
    "a{text-decoration:none}a:hover{text-decoration:underline}footer{margin-top:1.5rem;color:var(--soft);"
    "font-size:.85em}"
    "</style>\n";

static err_t html_escape(bytes_t text, buf_t *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        const char *entity = c == '<'    ? "&lt;"
                             : c == '>'  ? "&gt;"
                             : c == '&'  ? "&amp;"
                             : c == '"'  ? "&#34;"
                             : c == '\'' ? "&#39;"
                                         : NULL;
        if (entity)
            TRY(buf_append(out, bytes_str(entity)));
        else if (c < 0x20 || c == 0x7f)
            TRY(buf_append(out, BYTES_LIT("\xef\xbf\xbd"))); /* U+FFFD */
        else
            TRY(buf_append_u8(out, c));
    }
    return OK;
}

static err_t print_size(buf_t *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    return buf_printf(out, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

static err_t put_row(buf_t *page, const char *base, const dir_entry_t *entry)
{
    char cid[CID_TEXT_MAX];
    cid_print(&entry->cid, cid);
    TRY(buf_printf(page, "<tr><td><a href=\"%s", base));
    TRY(percent_encode(entry->name, NULL, page));
    TRY(buf_printf(page, "\">"));
    TRY(html_escape(entry->name, page));
    TRY(buf_printf(page, "</a></td><td class=\"cid\"><a href=\"/ipfs/%s?filename=", cid));
    TRY(percent_encode(entry->name, NULL, page));
    TRY(buf_printf(page, "\">%.4s…%s</a></td><td class=\"size\">", cid, cid + strlen(cid) - 4));
    TRY(print_size(page, entry->tsize));
    return buf_printf(page, "</td></tr>\n");
}

static err_t put_head(buf_t *page, gateway_request_t *r)
{
    TRY(buf_append(page, bytes_of(page_head, sizeof page_head - 1)));
    TRY(buf_printf(page, "<title>/ipfs/"));
    TRY(html_escape(buf_bytes(&r->decoded), page));
    TRY(buf_printf(page, "</title></head><body><h1>Index of /ipfs/"));
    TRY(html_escape(buf_bytes(&r->decoded), page));
    TRY(buf_printf(page, "</h1>\n<table>\n"));
    if (r->path.count)
        TRY(buf_printf(page, "<tr><td><a href=\"..\">..</a></td><td></td><td></td></tr>\n"));
    return OK;
}

static err_t flush_page(task_t *t, gateway_request_t *r, buf_t *page)
{
    TRY(exchange_write(t, r->x, buf_bytes(page)));
    buf_clear(page);
    return OK;
}

/* The page goes out while the directory is read: a million entries cost a page of memory. */
static err_t write_listing(task_t *t, gateway_request_t *r)
{
    AUTO(buf_t) page = {0};
    AUTO(dir_reader_t) dir = {0};
    buf_init(&page, 1 << 20);
    TRY(dir_reader_init(t, &dir, r->blocks, &r->node));
    TRY(put_head(&page, r));
    for (;;) {
        dir_entry_t entry;
        bool has;
        deadline_t d = deadline_push(t, LISTING_TIMEOUT_MS);
        err_t e = dir_reader_next(t, &dir, &entry, &has);
        deadline_pop(t, &d);
        TRY(e);
        if (!has)
            break;
        TRY(put_row(&page, "", &entry));
        if (page.len > PAGE_PIECE_BYTES)
            TRY(flush_page(t, r, &page));
    }
    TRY(buf_printf(&page, "</table>\n<footer>%s</footer></body></html>\n", DISTRIBUTE_AGENT));
    return flush_page(t, r, &page);
}

static err_t serve_listing(task_t *t, gateway_request_t *r)
{
    char etag[CID_TEXT_MAX + 32], cid[CID_TEXT_MAX];
    exchange_t *x = r->x;
    snprintf(etag, sizeof etag, "\"DirIndex-1_CID-%s\"", cid_print(&r->cid, cid));
    TRY(gateway_set_headers(r, etag, "public, max-age=604800, stale-while-revalidate=2678400"));
    if (gateway_is_unchanged(x, etag))
        return exchange_begin(x, 304, 0);
    TRY(exchange_set_header(x, "Content-Type", "text/html"));
    TRY(exchange_set_header(x, "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"));
    TRY(exchange_begin(x, 200, -1));
    return !strcmp(x->method, "HEAD") ? OK : write_listing(t, r);
}

/* Links on the page are relative, so the path must end in a slash. */
static err_t redirect_to_slash(task_t *t, gateway_request_t *r)
{
    AUTO(buf_t) to = {0};
    const char *text;
    exchange_t *x = r->x;
    buf_init(&to, 32 << 10);
    for (const char *p = x->path; *p; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            return fail(ERR_INVALID, "the path holds bytes that a redirect cannot");
    /* One slash at the start: "//host" would lead elsewhere. */
    TRY(buf_printf(&to, "/%s/%s%s", x->path + strspn(x->path, "/"), x->query[0] ? "?" : "", x->query));
    TRY(buf_cstr(&to, &text));
    TRY(gateway_set_path_headers(r));
    TRY(exchange_set_header(x, "Location", text));
    AUTO(buf_t) body = {0};
    buf_init(&body, 200 << 10);
    TRY(buf_printf(&body, "<a href=\""));
    TRY(html_escape(buf_bytes(&to), &body));
    TRY(buf_printf(&body, "\">Moved Permanently</a>.\n\n"));
    return exchange_reply(t, x, 301, "text/html; charset=utf-8", buf_bytes(&body));
}

err_t gateway_serve_directory(task_t *t, gateway_request_t *r)
{
    dir_entry_t index;
    err_t e = dir_lookup(t, r->blocks, &r->node, BYTES_LIT("index.html"), &index);
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (!r->ends_in_slash)
        return redirect_to_slash(t, r);
    if (e)
        return serve_listing(t, r);
    char etag[CID_TEXT_MAX + 8];
    snprintf(etag, sizeof etag, "\"%s\"", gateway_cid_text(r)); /* of the folder, whose page it is */
    dag_node_deinit(&r->node);
    TRY(dag_node_get(t, r->blocks, &index.cid, &r->node));
    return gateway_serve_file(t, r, "index.html", etag);
}
