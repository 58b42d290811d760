#include "web/url.h"
#include "task/exchange.h"
#include "wire/http_auth.h"
#include <stdlib.h>
#include <strings.h>

enum { PORT_HTTP = 80, PORT_HTTPS = 443, PORT_MAX = 65535, PORT_DIGITS = 5 };

static bool is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c && strchr(set, c) != NULL;
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t read_port(const char *shown, bytes_t digits, uint16_t *ret)
{
    uint32_t value = 0;
    if (!digits.len) /* "host:" is as good as none */
        return OK;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.len > PORT_DIGITS || digits.data[i] < '0' || digits.data[i] > '9')
            return fail(ERR_USAGE, "\"%s\": no such port", shown);
        value = 10 * value + (digits.data[i] - '0');
    }
    if (!value || value > PORT_MAX)
        return fail(ERR_USAGE, "\"%s\": no such port", shown);
    *ret = (uint16_t)value;
    return OK;
}

static bool is_host(bytes_t host, bool is_v6)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.data[i] <= ' ' || host.data[i] == 0x7f ||
            is_one_of(host.data[i], is_v6 ? "[]%/@" : "[]%/@:\"<>\\^`{|}"))
            return false;
    return host.len && host.len < URL_HOST_MAX_BYTES;
}

static err_t read_host(const char *shown, bytes_t text, url_t *u)
{
    bool is_v6 = text.len && text.data[0] == '[';
    const uint8_t *end =
        is_v6 ? memchr(text.data, ']', text.len) : memchr(text.data, ':', text.len); /* of the host */
    if (is_v6 && !end)
        return fail(ERR_USAGE, "\"%s\" names no host", shown);
    size_t len = end ? (size_t)(end - text.data) + is_v6 : text.len;
    bytes_t host = bytes_slice(text, is_v6, len - 2 * is_v6), rest = bytes_slice(text, len, text.len);
    if (!is_host(host, is_v6) || (rest.len && rest.data[0] != ':') || text.len >= sizeof u->authority)
        return fail(ERR_USAGE, "\"%s\" names no host", shown);
    TRY(read_port(shown, bytes_slice(rest, 1, rest.len), &u->port));
    memcpy(u->host, host.data, host.len);
    memcpy(u->authority, text.data, text.len);
    return OK;
}

static bool is_user(bytes_t user)
{
    for (size_t i = 0; i < user.len; i++)
        if (user.data[i] <= ' ' || user.data[i] >= 0x7f || is_one_of(user.data[i], "\"<>[]\\^`{|}@/"))
            return false;
    return true;
}

/* Every % stands before two digits. */
static bool is_encoded_well(bytes_t path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.data[i] == '%' &&
            (i + 2 >= path.len || !is_hex(path.data[i + 1]) || !is_hex(path.data[i + 2])))
            return false;
    return true;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((uint8_t)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

/* "SCHEME://", then the rest. */
static err_t read_scheme(const char *shown, const char *text, url_t *u, const char **ret_rest)
{
    u->port = PORT_HTTP;
    if (!strncasecmp(text, "https://", 8)) {
        u->is_secure = true;
        u->port = PORT_HTTPS;
    } else if (strncasecmp(text, "http://", 7) != 0) {
        return fail(ERR_USAGE, "\"%s\" is no http or https URL", shown);
    }
    *ret_rest = strstr(text, "://") + 3;
    return OK;
}

static err_t read_url(const char *shown, const char *text, url_t *u)
{
    const char *at;
    if (strlen(text) > URL_MAX_BYTES)
        return fail(ERR_USAGE, "the URL is too long");
    if (has_control(text))
        return fail(ERR_USAGE, "the URL has control characters");
    TRY(read_scheme(shown, text, u, &at));
    bytes_t authority = bytes_of(at, strcspn(at, "/?#"));
    const uint8_t *user_end = authority.len ? memrchr(authority.data, '@', authority.len) : NULL;
    at += authority.len;
    if (user_end) {
        u->user = bytes_of(authority.data, (size_t)(user_end - authority.data));
        authority = bytes_slice(authority, u->user.len + 1, authority.len);
        if (!is_user(u->user) || !is_encoded_well(u->user))
            return fail(ERR_USAGE, "\"%s\": the user cannot be read", shown);
    }
    TRY(read_host(shown, authority, u));
    u->path = bytes_of(at, strcspn(at, "?#"));
    at += u->path.len;
    if (!is_encoded_well(u->path))
        return fail(ERR_USAGE, "\"%s\": the path is not percent-encoded", shown);
    if (*at == '?') {
        u->query = bytes_of(at + 1, strcspn(at + 1, "#"));
        at += 1 + u->query.len;
    }
    if (*at == '#')
        u->fragment = bytes_str(at + 1);
    return OK;
}

/* Without what stands before an @ of the authority. */
static void show_start(const char *text, char out[URL_SHOWN_MAX])
{
    const char *host = strstr(text, "://");
    host = host ? host + 3 : text;
    const char *user_end = memrchr(host, '@', strcspn(host, "/?#"));
    snprintf(out, URL_SHOWN_MAX, "%.*s%.100s", user_end ? (int)(host - text) : 0, text,
             user_end ? user_end + 1 : text);
}

err_t url_parse(const char *text, url_t *ret)
{
    char shown[URL_SHOWN_MAX];
    *ret = (url_t){0};
    show_start(text, shown);
    return read_url(shown, text, ret);
}

bool url_is_named(const char *text)
{
    return (!strncmp(text, "http://", 7) && text[7]) || (!strncmp(text, "https://", 8) && text[8]);
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static err_t put_encoded(bytes_t text, buf_t *out)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool must_encode = c <= ' ' || c >= 0x7f || is_one_of(c, "\"<>\\^`{|}");
        TRY(must_encode ? buf_printf(out, "%%%02X", c) : buf_append_u8(out, c));
    }
    return OK;
}

static err_t put_path_and_query(const url_t *u, buf_t *out)
{
    TRY(put_encoded(u->path, out));
    if (!u->query.data)
        return OK;
    TRY(buf_append_u8(out, '?'));
    return put_encoded(u->query, out);
}

err_t url_target(const url_t *u, buf_t *out)
{
    if (!u->path.len)
        TRY(buf_append_u8(out, '/'));
    return put_path_and_query(u, out);
}

err_t url_whole(const url_t *u, buf_t *out)
{
    TRY(buf_printf(out, "http%s://%s", u->is_secure ? "s" : "", u->authority));
    return put_path_and_query(u, out);
}

err_t url_print(const url_t *u, buf_t *out)
{
    TRY(buf_printf(out, "http%s://", u->is_secure ? "s" : ""));
    if (u->user.data) {
        TRY(buf_append(out, u->user));
        TRY(buf_append_u8(out, '@'));
    }
    TRY(buf_append(out, bytes_str(u->authority)));
    TRY(put_path_and_query(u, out));
    if (!u->fragment.data)
        return OK;
    TRY(buf_append_u8(out, '#'));
    return put_encoded(u->fragment, out);
}

err_t url_user_auth(const url_t *u, buf_t *out)
{
    AUTO(buf_t) secret = {0};
    const char *text;
    buf_init(&secret, HTTP_AUTH_MAX_BYTES);
    TRY(buf_append(&secret, BYTES_LIT("basic:")));
    err_t e = percent_decode(u->user, false, &secret);
    if (!e && !memchr(u->user.data, ':', u->user.len))
        e = buf_append_u8(&secret, ':');
    if (!e)
        e = buf_cstr(&secret, &text);
    if (!e)
        e = http_auth_header(text, out);
    secret_wipe(secret.data, secret.len);
    return e;
}

err_t url_name(const url_t *u, buf_t *out)
{
    AUTO(buf_t) path = {0};
    if (!u->path.len)
        return buf_append(out, bytes_str(u->authority));
    buf_init(&path, URL_MAX_BYTES);
    TRY(percent_decode(u->path, false, &path));
    bytes_t name = buf_bytes(&path);
    while (name.len > 1 && name.data[name.len - 1] == '/')
        name.len--;
    const uint8_t *slash = name.len > 1 ? memrchr(name.data, '/', name.len) : NULL;
    return buf_append(out, slash ? bytes_slice(name, (size_t)(slash - name.data) + 1, name.len) : name);
}

const char *url_show(const char *text, char out[URL_SHOWN_MAX])
{
    AUTO(buf_t) whole = {0};
    url_t u;
    buf_init(&whole, 4 * URL_MAX_BYTES);
    if (url_parse(text, &u) || url_whole(&u, &whole))
        snprintf(out, URL_SHOWN_MAX, "%s", "a URL that cannot be read");
    else
        snprintf(out, URL_SHOWN_MAX, "%.*s%s", (int)(whole.len < 150 ? whole.len : 150),
                 (const char *)whole.data, whole.len > 150 ? "…" : "");
    return out;
}

/* ── beside another ──────────────────────────────────────────────────────────────────────────── */

/* RFC 3986, 5.2.4, in place: out from `start` on is a path. */
static void remove_dots(buf_t *out, size_t start)
{
    size_t to = start, end = out->len;
    for (size_t from = start; from < end;) {
        const uint8_t *next = memchr(out->data + from + 1, '/', end - from - 1);
        size_t len = next ? (size_t)(next - out->data) - from : end - from;
        const uint8_t *part = out->data + from;
        bool is_dot = len == 2 && part[1] == '.', is_up = len == 3 && part[1] == '.' && part[2] == '.';
        if (is_up)
            while (to > start && out->data[--to] != '/') {
            }
        if (!is_dot && !is_up) {
            memmove(out->data + to, part, len);
            to += len;
        } else if (!next) {
            out->data[to++] = '/';
        }
        from += len;
    }
    out->len = to;
}

static err_t put_resolved(const url_t *from, const char *location, buf_t *out)
{
    bytes_t user = from->user;
    if (!strncmp(location, "//", 2))
        return buf_printf(out, "http%s:%s", from->is_secure ? "s" : "", location);
    TRY(buf_printf(out, "http%s://%.*s%s%s", from->is_secure ? "s" : "", (int)user.len,
                   user.data ? (const char *)user.data : "", user.data ? "@" : "", from->authority));
    size_t start = out->len, path_len = strcspn(location, "?#"), folder = from->path.len;
    if (!path_len && *location == '?') { /* another query of the same */
        TRY(buf_append(out, from->path.len ? from->path : BYTES_LIT("/")));
        return buf_append(out, bytes_str(location));
    }
    while (folder && from->path.data[folder - 1] != '/')
        folder--;
    if (*location != '/')
        TRY(buf_append(out, folder ? bytes_slice(from->path, 0, folder) : BYTES_LIT("/")));
    TRY(buf_append(out, bytes_of(location, path_len)));
    remove_dots(out, start);
    return buf_append(out, bytes_str(location + path_len));
}

err_t url_resolve(const char *from, const char *location, buf_t *out)
{
    url_t base, to;
    const char *text;
    TRY(url_parse(from, &base));
    size_t scheme = strcspn(location, ":/?#");
    buf_clear(out);
    TRY(location[scheme] == ':' ? buf_append(out, bytes_str(location)) : put_resolved(&base, location, out));
    TRY(buf_cstr(out, &text));
    return url_parse(text, &to)
               ? fail(ERR_PROTOCOL, "a redirect to \"%.100s\", which is no http or https URL", location)
               : OK;
}
