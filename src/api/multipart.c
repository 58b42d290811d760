#include "api/multipart.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

/* ── the request's header ────────────────────────────────────────────────────────────────────── */
/* Finds `name=value` or `name="va\"lue"` behind a ';' of a header's value. False when it is not there or does
 * not fit. */
static bool find_parameter(const char *header, size_t len, const char *name, char *out, size_t cap)
{
    size_t name_len = strlen(name), i = 0;
    while (i < len && header[i] != ';')
        i++;
    while (i < len) {
        i++;
        while (i < len && isspace((unsigned char)header[i]))
            i++;
        bool is_it =
            len - i > name_len && !strncasecmp(header + i, name, name_len) && header[i + name_len] == '=';
        while (i < len && header[i] != '=' && header[i] != ';')
            i++;
        if (i >= len || header[i] == ';')
            continue;
        i++;
        bool is_quoted = i < len && header[i] == '"';
        size_t n = 0;
        for (i += is_quoted; i < len && header[i] != (is_quoted ? '"' : ';'); i++) {
            bool is_escape = is_quoted && header[i] == '\\' && i + 1 < len &&
                             (header[i + 1] == '"' || header[i + 1] == '\\');
            i += is_escape;
            if (is_it && n + 1 >= cap)
                return false;
            if (is_it)
                out[n++] = header[i];
        }
        if (is_it) {
            while (!is_quoted && n && isspace((unsigned char)out[n - 1]))
                n--;
            out[n] = 0;
            return true;
        }
        while (i < len && header[i] != ';')
            i++;
    }
    return false;
}

err_t multipart_init(multipart_t *m, const char *content_type)
{
    *m = (multipart_t){0};
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    if (!content_type || strncasecmp(content_type, "multipart/", 10))
        return fail(ERR_USAGE, "the body must be multipart/form-data");
    if (!find_parameter(content_type, strlen(content_type), "boundary", boundary, sizeof boundary) ||
        !boundary[0])
        return fail(ERR_USAGE, "multipart body: the Content-Type has no usable boundary");
    m->delimiter_len = 4 + strlen(boundary);
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, strlen(boundary) + 1);
    m->buffer = xmalloc(MULTIPART_BUFFER);
    memcpy(m->buffer, "\r\n", 2); /* the first boundary stands at the very beginning */
    m->end = 2;
    return OK;
}

void multipart_deinit(multipart_t *m)
{
    free(m->buffer);
    free(m->part.abs_path);
    m->buffer = NULL;
    m->part.abs_path = NULL;
    m->start = m->end = 0;
}

void multipart_room(multipart_t *m, uint8_t **ret_area, size_t *ret_cap)
{
    if (m->start) {
        memmove(m->buffer, m->buffer + m->start, m->end - m->start);
        m->end -= m->start;
        m->start = 0;
    }
    *ret_area = m->buffer + m->end;
    *ret_cap = MULTIPART_BUFFER - m->end;
}

void multipart_filled(multipart_t *m, size_t n)
{
    assert(n <= MULTIPART_BUFFER - m->end);
    m->end += n;
}

/* ── parts ───────────────────────────────────────────────────────────────────────────────────── */
static multipart_event_t broken(multipart_t *m, err_t e)
{
    m->state = MULTIPART_FAILED;
    m->error = e;
    return MULTIPART_ERROR;
}

/* How many bytes at the front of the buffer are content for certain; *ret_found: a delimiter follows them. */
static size_t find_delimiter(const multipart_t *m, bool *ret_found)
{
    const uint8_t *from = m->buffer + m->start, *end = m->buffer + m->end, *p = from;
    *ret_found = false;
    while ((p = p < end ? memchr(p, '\r', (size_t)(end - p)) : NULL)) {
        size_t left = (size_t)(end - p), n = left < m->delimiter_len ? left : m->delimiter_len;
        if (!memcmp(p, m->delimiter, n)) {
            *ret_found = n == m->delimiter_len;
            return (size_t)(p - from);
        }
        p++;
    }
    return (size_t)(end - from);
}

/* Where the value of the header begins when the line is that header's; else 0. */
static size_t header_value(const char *line, size_t len, const char *name)
{
    size_t i = strlen(name);
    if (len < i || strncasecmp(line, name, i))
        return 0;
    while (i < len && isspace((unsigned char)line[i]))
        i++;
    return i;
}

static void set_abs_path(multipart_part_t *part, const char *value, size_t len, bool is_encoded)
{
    if (len > (is_encoded ? 3 : 1) * MULTIPART_NAME_MAX || (part->is_abs_path_encoded && !is_encoded))
        return;
    free(part->abs_path);
    part->abs_path = xcalloc(1, len + 1);
    memcpy(part->abs_path, value, len);
    part->is_abs_path_encoded = is_encoded;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'         ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* `charset'language'text` with escapes (RFC 8187), as clients name files whose names are not ASCII. In place.
 */
static bool decode_extended(char *text)
{
    char *from = strchr(text, '\''), *to = text;
    bool is_utf8 = from && (!strncasecmp(text, "utf-8'", 6) || !strncasecmp(text, "us-ascii'", 9));
    from = is_utf8 ? strchr(from + 1, '\'') : NULL;
    if (!from)
        return false;
    for (from++; *from; from++) {
        int high = *from == '%' ? hex_digit(from[1]) : -1, low = high < 0 ? -1 : hex_digit(from[2]);
        if (*from == '%' && (low < 0 || (!high && !low)))
            return false;
        *to++ = low < 0 ? *from : (char)(high << 4 | low);
        from += low < 0 ? 0 : 2;
    }
    *to = 0;
    return true;
}

static void find_filename(multipart_part_t *part, const char *line, size_t len)
{
    part->has_filename = find_parameter(line, len, "filename*", part->filename, sizeof part->filename) &&
                         decode_extended(part->filename);
    if (!part->has_filename)
        part->has_filename = find_parameter(line, len, "filename", part->filename, sizeof part->filename);
    if (!part->has_filename)
        part->filename[0] = 0;
}

static void parse_header(multipart_part_t *part, const char *line, size_t len)
{
    size_t i;
    if (header_value(line, len, "content-disposition:")) {
        find_parameter(line, len, "name", part->name, sizeof part->name);
        find_filename(part, line, len);
    } else if ((i = header_value(line, len, "abspath-encoded:"))) {
        set_abs_path(part, line + i, len - i, true);
    } else if ((i = header_value(line, len, "abspath:"))) {
        set_abs_path(part, line + i, len - i, false);
    } else if ((i = header_value(line, len, "content-type:"))) {
        size_t n = 0;
        for (; i < len && line[i] != ';' && !isspace((unsigned char)line[i]) &&
               n + 1 < sizeof part->content_type;
             i++)
            part->content_type[n++] = (char)tolower((unsigned char)line[i]);
        part->content_type[n] = 0;
    }
}

static multipart_event_t next_headers(multipart_t *m)
{
    const char *text = (const char *)m->buffer + m->start;
    size_t len = m->end - m->start;
    /* A part without headers begins with the empty line, whose CR LF is then at the front. */
    const char *end = len >= 2 && !memcmp(text, "\r\n", 2) ? text : memmem(text, len, "\r\n\r\n", 4);
    if ((end ? (size_t)(end - text) : len) > MULTIPART_HEADERS_MAX)
        return broken(m, fail(ERR_LIMIT, "multipart body: headers over %u bytes", MULTIPART_HEADERS_MAX));
    if (!end)
        return MULTIPART_MORE;
    m->part.name[0] = m->part.filename[0] = m->part.content_type[0] = 0;
    free(m->part.abs_path);
    m->part.abs_path = NULL;
    m->part.has_filename = m->part.is_abs_path_encoded = false;
    for (const char *line = text; line < end;) {
        const char *eol = memmem(line, (size_t)(end - line), "\r\n", 2);
        size_t n = (size_t)((eol ? eol : end) - line);
        parse_header(&m->part, line, n);
        line += n + 2;
    }
    m->start += (size_t)(end - text) + (end == text ? 2 : 4);
    m->state = MULTIPART_BODY;
    return MULTIPART_PART;
}

/* Behind a delimiter: "--" closes the body, an end of line opens a part. */
static multipart_event_t next_boundary(multipart_t *m)
{
    const uint8_t *p = m->buffer + m->start;
    size_t len = m->end - m->start, i = 0;
    if (len >= 2 && p[0] == '-' && p[1] == '-') {
        m->state = MULTIPART_DONE;
        return MULTIPART_END;
    }
    while (i < len && (p[i] == ' ' || p[i] == '\t')) /* RFC 2046: padding */
        i++;
    if (i + 2 > len)
        return i > 256 || (len >= 2 && p[0] != '-' && i + 1 < len)
                   ? broken(m, fail(ERR_INVALID, "multipart body: garbage behind a boundary"))
                   : MULTIPART_MORE;
    if (p[i] != '\r' || p[i + 1] != '\n')
        return broken(m, fail(ERR_INVALID, "multipart body: garbage behind a boundary"));
    m->start += i + 2;
    m->state = MULTIPART_HEADERS;
    return next_headers(m);
}

multipart_event_t multipart_next(multipart_t *m, bytes_t *ret_data)
{
    bool found;
    switch (m->state) {
    case MULTIPART_PREAMBLE:
    case MULTIPART_BODY: {
        size_t n = find_delimiter(m, &found);
        bytes_t data = bytes_of(m->buffer + m->start, n);
        bool is_body = m->state == MULTIPART_BODY;
        m->start += n;
        if (found && (!n || !is_body)) {
            m->start += m->delimiter_len;
            m->state = MULTIPART_BOUNDARY;
            return is_body ? MULTIPART_PART_END : next_boundary(m);
        }
        *ret_data = data;
        return n && is_body ? MULTIPART_DATA : MULTIPART_MORE;
    }
    case MULTIPART_BOUNDARY:
        return next_boundary(m);
    case MULTIPART_HEADERS:
        return next_headers(m);
    case MULTIPART_DONE:
        m->start = m->end = 0;
        return MULTIPART_MORE;
    case MULTIPART_FAILED:
        break;
    }
    return MULTIPART_ERROR;
}
