#include "api/html.h"
#include "base/version.h"
#include "task/exchange.h"

const char html_policy[] =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const char html_media_policy[] = "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; "
                                 "media-src http: https: data:; base-uri 'none'; form-action 'none'";

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>"
    ":root{color-scheme:light dark;--line:#8884;--soft:#666}"
    "@media(prefers-color-scheme:dark){:root{--soft:#aaa}}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.1rem;word-break:break-all}table{width:100%;border-collapse:collapse}"
    "td,th{padding:.35rem .5rem;border-bottom:1px solid var(--line);word-break:break-word;"
    "text-align:left;vertical-align:top;font-weight:normal}"
    "td.size,td.cid{color:var(--soft);white-space:nowrap;text-align:right}"
    "td.cid a{color:inherit}.ipfs-hash,code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{white-space:pre-wrap;margin:0}"
    "img,video{max-width:100%;border-radius:.5rem}a{text-decoration:none}a:hover{text-decoration:underline}"
    "footer{margin-top:1.5rem;color:var(--soft);font-size:.85em}"
    "</style>\n<title>";

err_t html_escape(bytes_t text, buf_t *out)
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
        else if ((c < 0x20 && c != '\n') || c == 0x7f)
            TRY(buf_append(out, BYTES_LIT("\xef\xbf\xbd"))); /* U+FFFD */
        else
            TRY(buf_append_u8(out, c));
    }
    return OK;
}

err_t html_begin(bytes_t title, buf_t *out)
{
    TRY(buf_append(out, bytes_of(head, sizeof head - 1)));
    TRY(html_escape(title, out));
    return buf_printf(out, "</title></head><body><main>\n");
}

err_t html_end(buf_t *out)
{
    return buf_printf(out, "</main>\n<footer>%s</footer></body></html>\n", DISTRIBUTE_AGENT);
}

err_t html_path(bytes_t path, buf_t *out)
{
    return percent_encode(path, "/:@$+=,;!*()", out);
}

err_t html_size(uint64_t bytes, buf_t *out)
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
