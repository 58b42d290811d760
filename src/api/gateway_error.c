/* gateway_error: answers that are not content: errors and redirects. */
#include "api/gateway.h"
#include "api/html.h"
#include "task/exchange.h"
#include <stdio.h>

typedef struct status_text {
    int status;
    const char *text;
} status_text_t;
static const status_text_t status_texts[] = {
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {410, "Gone"},
    {412, "Precondition Failed"},
    {416, "Range Not Satisfiable"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *text_of(int status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_texts); i++)
        if (status_texts[i].status == status)
            return status_texts[i].text;
    return "Error";
}

int gateway_status_of(err_t e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return 404;
    case ERR_INVALID:
    case ERR_USAGE:
    case ERR_LIMIT:
        return 400;
    case ERR_TIMEOUT:
        return 504;
    case ERR_UNSUPPORTED:
        return 501;
    case ERR_DENIED:
        return 403;
    case ERR_BLOCKED:
        return 410;
    case ERR_OFFLINE:
    case ERR_CLOSED:
        return 503;
    default:
        return 500;
    }
}

/* A browser gets a page; what is to be tried next is in the text. */
static err_t put_page(gateway_request_t *r, int status, const char *text, buf_t *body)
{
    char title[64];
    snprintf(title, sizeof title, "%d %s", status, text_of(status));
    TRY(html_begin(bytes_str(title), body));
    TRY(buf_printf(body, "<h1>%s</h1>\n<pre>", title));
    TRY(html_escape(bytes_str(text), body));
    TRY(buf_printf(body, "</pre>\n"));
    if (status == 504 && r->settings->diagnostic_url[0] && r->path.root.version) {
        char cid[CID_TEXT_MAX];
        TRY(buf_printf(body, "<p><a rel=\"noreferrer noopener\" href=\""));
        TRY(html_escape(bytes_str(r->settings->diagnostic_url), body));
        TRY(buf_printf(body, "?cid=%s\">Inspect retrievability of CID</a></p>\n",
                       cid_print(&r->path.root, cid)));
    }
    return html_end(body);
}

err_t gateway_fail(task_t *t, gateway_request_t *r, int status, const char *text)
{
    AUTO(buf_t) body = {0};
    exchange_t *x = r->x;
    bool is_page = !r->settings->no_html_errors && gateway_wants_html(r);
    buf_init(&body, 64 << 10);
    if (is_page) {
        TRY(put_page(r, status, text, &body));
        TRY(exchange_set_header(x, "Content-Security-Policy", html_policy));
    } else
        TRY(buf_printf(&body, "%s\n", text));
    TRY(exchange_set_header(x, "Cache-Control", status == 429 ? "no-store" : "no-cache"));
    TRY(exchange_set_header(x, "X-Content-Type-Options", "nosniff"));
    if (status == 429 || (status >= 502 && status <= 504))
        TRY(exchange_set_header(x, "Retry-After", "60"));
    return exchange_reply(t, x, status, is_page ? "text/html" : "text/plain; charset=utf-8",
                          buf_bytes(&body));
}

err_t gateway_fail_with(task_t *t, gateway_request_t *r, err_t e)
{
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", error_text(e));
    return gateway_fail(t, r, gateway_status_of(e), text);
}

err_t gateway_redirect(task_t *t, gateway_request_t *r, int status, const char *to)
{
    AUTO(buf_t) body = {0}, url = {0};
    const char *text;
    buf_init(&body, 32 * GATEWAY_PATH_MAX_BYTES);
    buf_init(&url, 8 * GATEWAY_PATH_MAX_BYTES);
    TRY(percent_encode(bytes_str(to), "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}", &url));
    TRY(buf_cstr(&url, &text));
    TRY(exchange_set_header(r->x, "Location", text));
    TRY(buf_printf(&body, "<a href=\""));
    TRY(html_escape(buf_bytes(&url), &body));
    TRY(buf_printf(&body, "\">%s</a>.\n\n", text_of(status)));
    return exchange_reply(t, r->x, status, "text/html; charset=utf-8", buf_bytes(&body));
}
