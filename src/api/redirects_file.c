#include "api/redirects_file.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARAMS_MAX = 64 };

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next word of a line; empty at its end. */
static bytes_t next_word(bytes_t *line)
{
    while (line->len && is_space(line->data[0]))
        *line = bytes_slice(*line, 1, line->len);
    size_t n = 0;
    while (n < line->len && !is_space(line->data[n]))
        n++;
    bytes_t word = bytes_slice(*line, 0, n);
    *line = bytes_slice(*line, n, line->len);
    return word;
}

static bytes_t next_segment(bytes_t *path, bool *ret_is_last)
{
    const uint8_t *slash = path->len ? memchr(path->data, '/', path->len) : NULL;
    bytes_t segment = bytes_slice(*path, 0, slash ? (size_t)(slash - path->data) : path->len);
    *ret_is_last = !slash;
    *path = bytes_slice(*path, segment.len + 1, path->len);
    return segment;
}

/* A name that stood for two segments would have two values. */
static err_t check_placeholders(bytes_t from)
{
    bytes_t names[PARAMS_MAX];
    size_t n = 0;
    bool is_last = false;
    while (!is_last) {
        bytes_t segment = next_segment(&from, &is_last);
        if (segment.len < 2 || segment.data[0] != ':')
            continue;
        for (size_t i = 0; i < n; i++)
            if (bytes_equal(names[i], segment))
                return fail(ERR_INVALID, "parsing 'from': the placeholder %.*s stands there twice",
                            (int)(segment.len < 40 ? segment.len : 40), (const char *)segment.data);
        if (n == PARAMS_MAX)
            return fail(ERR_INVALID, "parsing 'from': more than %d placeholders", PARAMS_MAX);
        names[n++] = segment;
    }
    return OK;
}

/* What no URL may hold: control bytes, and a "%" of the path that escapes nothing. */
static err_t check_url(const char *which, bytes_t url)
{
    bool is_path = true;
    for (size_t i = 0; i < url.len; i++) {
        is_path = is_path && url.data[i] != '?';
        bool is_escape = i + 2 < url.len && isxdigit(url.data[i + 1]) && isxdigit(url.data[i + 2]);
        if (url.data[i] < 0x20 || url.data[i] == 0x7f || (url.data[i] == '%' && is_path && !is_escape))
            return fail(ERR_INVALID, "parsing '%s': invalid URL", which);
    }
    return OK;
}

static err_t check_from(bytes_t from)
{
    const uint8_t *star = memchr(from.data, '*', from.len);
    if (star && from.data[from.len - 1] != '*')
        return fail(ERR_INVALID, "parsing 'from': path must end with asterisk");
    if (star && star != from.data + from.len - 1)
        return fail(ERR_INVALID, "parsing 'from': path can have at most one asterisk");
    if (from.data[0] != '/')
        return fail(ERR_INVALID, "parsing 'from': path must begin with '/'");
    TRY(check_url("from", from));
    return check_placeholders(from);
}

/* A path, or a URL of a scheme that leads to no program of the reader's. */
static err_t check_to(bytes_t to)
{
    static const char *const schemes[] = {"http://", "https://", "ipfs://", "ipns://"};
    bool is_known = to.data[0] == '/';
    for (size_t i = 0; i < ARRAY_LEN(schemes) && !is_known; i++)
        is_known = bytes_starts_with(to, bytes_str(schemes[i]));
    return is_known ? check_url("to", to) : fail(ERR_INVALID, "parsing 'to': invalid URL scheme");
}

static err_t parse_status(bytes_t word, int *ret)
{
    static const int known[] = {200, 301, 302, 303, 307, 308, 404, 410, 451};
    int status = 0;
    if (word.data[word.len - 1] == '!')
        return fail(ERR_INVALID,
                    "parsing status \"%.*s\": forced redirects (or \"shadowing\") are not supported",
                    (int)(word.len < 20 ? word.len : 20), (const char *)word.data);
    for (size_t i = 0; i < word.len && word.len <= 3; i++)
        status = word.data[i] >= '0' && word.data[i] <= '9' ? status * 10 + word.data[i] - '0' : 10000;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (status == known[i]) {
            *ret = status;
            return OK;
        }
    return fail(ERR_INVALID, "parsing status \"%.*s\": status code is not supported",
                (int)(word.len < 20 ? word.len : 20), (const char *)word.data);
}

static err_t parse_rule(bytes_t line, redirect_rule_t *ret)
{
    redirect_rule_t rule = {.status = 301};
    rule.from = next_word(&line);
    rule.to = next_word(&line);
    bytes_t status = next_word(&line);
    if (!rule.to.len)
        return fail(ERR_INVALID, "missing 'to' path");
    if (next_word(&line).len)
        return fail(ERR_INVALID, "must match format 'from to [status]'");
    TRY(check_from(rule.from));
    TRY(check_to(rule.to));
    if (status.len)
        TRY(parse_status(status, &rule.status));
    *ret = rule;
    return OK;
}

err_t redirects_file_parse(bytes_t text, redirects_file_t *ret)
{
    *ret = (redirects_file_t){0};
    if (text.len > REDIRECTS_FILE_MAX_BYTES)
        return fail(ERR_LIMIT, "redirects file size cannot exceed %d bytes", REDIRECTS_FILE_MAX_BYTES);
    while (text.len) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        bytes_t line = bytes_slice(text, 0, end ? (size_t)(end - text.data) : text.len);
        text = bytes_slice(text, line.len + 1, text.len);
        bytes_t rest = line, word = next_word(&rest);
        if (!word.len || word.data[0] == '#')
            continue;
        redirect_rule_t rule;
        TRY(parse_rule(line, &rule));
        if (ret->count == ret->cap) {
            ret->cap = ret->cap ? 2 * ret->cap : 16;
            ret->rules = xrealloc(ret->rules, ret->cap * sizeof *ret->rules);
        }
        ret->rules[ret->count++] = rule;
    }
    return OK;
}

void redirects_file_deinit(redirects_file_t *f)
{
    free(f->rules);
    *f = (redirects_file_t){0};
}

/* ── matching ────────────────────────────────────────────────────────────────────────────────── */

typedef struct match {
    struct {
        bytes_t name, value;
    } params[PARAMS_MAX];
    size_t count;
    bytes_t splat;
} match_t;

static bool matches(bytes_t from, bytes_t path, match_t *m)
{
    bool from_ends = false, path_ends = false;
    m->count = 0;
    m->splat = BYTES_NONE;
    if (from.len && from.data[from.len - 1] == '/')
        from.len--;
    while (!from_ends) {
        bytes_t want = next_segment(&from, &from_ends);
        if (from_ends && bytes_equal(want, BYTES_LIT("*"))) {
            m->splat = path;
            return !path_ends; /* "/a" is not "/a/…" */
        }
        if (path_ends)
            return false;
        bytes_t have = next_segment(&path, &path_ends);
        if (want.len && want.data[0] == ':') {
            if (m->count == PARAMS_MAX)
                return false;
            m->params[m->count].name = bytes_slice(want, 1, want.len);
            m->params[m->count++].value = have;
        } else if (!bytes_equal(want, have))
            return false;
    }
    return path_ends;
}

/* What ":…" at this place stands for: the longest name that fits. False: nothing that is known. */
static bool value_at(bytes_t text, const match_t *m, bytes_t *ret_value, size_t *ret_used)
{
    bytes_t splat = BYTES_LIT("splat");
    bool found = bytes_starts_with(text, splat);
    *ret_used = found ? splat.len : 0;
    *ret_value = m->splat;
    for (size_t i = 0; i < m->count; i++)
        if (bytes_starts_with(text, m->params[i].name) && m->params[i].name.len > *ret_used) {
            *ret_used = m->params[i].name.len;
            *ret_value = m->params[i].value;
            found = true;
        }
    return found;
}

static err_t expand(bytes_t to, const match_t *m, buf_t *out)
{
    buf_clear(out);
    for (size_t i = 0; i < to.len; i++) {
        bytes_t value;
        size_t used;
        if (to.data[i] == ':' && value_at(bytes_slice(to, i + 1, to.len), m, &value, &used)) {
            TRY(buf_append(out, value));
            i += used;
        } else
            TRY(buf_append_u8(out, to.data[i]));
    }
    return OK;
}

/* "//host" leads elsewhere: what a reader wrote into the path must not make one of "/:splat". */
static void stay_on_site(buf_t *to)
{
    while (to->len > 1 && to->data[0] == '/' && to->data[1] == '/')
        buf_consume(to, 1);
}

err_t redirects_file_match(const redirects_file_t *f, bytes_t path, buf_t *out, int *ret_status)
{
    match_t m;
    *ret_status = 0;
    for (size_t i = 0; i < f->count; i++)
        if (matches(f->rules[i].from, path, &m)) {
            TRY(expand(f->rules[i].to, &m, out));
            if (!bytes_starts_with(f->rules[i].to, BYTES_LIT("//")))
                stay_on_site(out);
            *ret_status = f->rules[i].status;
            return OK;
        }
    return OK;
}
