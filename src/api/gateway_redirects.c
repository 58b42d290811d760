/* gateway_redirects: a site's `_redirects`, for paths that lead nowhere. Spec: ipfs/specs web-redirects-file.
 */
#include "api/gateway.h"
#include "api/redirects_file.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct site_rules {
    buf_t text;
    redirects_file_t file;
    buf_t path, to; /* the path behind the root that was asked for; what the rule makes of it */
} site_rules_t;

/* The path below the root as a rule sees it: "/a/b". */
static err_t path_below_root(const gateway_request_t *r, buf_t *out)
{
    for (size_t i = 0; i < r->path.count; i++) {
        TRY(buf_append_u8(out, '/'));
        TRY(buf_append(out, r->path.segments[i]));
    }
    return OK;
}

/* ERR_NOT_FOUND: the site has no rules. */
static err_t find_rules(task_t *t, gateway_request_t *r, dir_entry_t *ret)
{
    AUTO(dag_node_t) root = {0};
    TRY(gateway_widen(r));
    TRY(dag_node_get(t, r->blocks, &r->path.root, &root));
    return dag_node_is_dir(&root) ? dir_lookup(t, r->blocks, &root, BYTES_LIT("_redirects"), ret)
                                  : ERR_NOT_FOUND;
}

static err_t read_rules(task_t *t, gateway_request_t *r, const cid_t *cid, buf_t *out)
{
    AUTO(dag_node_t) node = {0};
    AUTO(file_reader_t) file = {0};
    TRY(dag_node_get(t, r->blocks, cid, &node));
    TRY(file_reader_init(&file, r->blocks, &node));
    while (out->len <= REDIRECTS_FILE_MAX_BYTES) {
        bytes_t piece;
        TRY(gateway_next_piece(t, r, &file, &piece));
        if (!piece.len)
            return OK;
        TRY(buf_append(out, bytes_slice(piece, 0, REDIRECTS_FILE_MAX_BYTES + 1 - out->len)));
    }
    return OK;
}

/* The page of a 404, 410 or 451 rule. */
static err_t serve_page(task_t *t, gateway_request_t *r, const site_rules_t *s, int status)
{
    char etag[GATEWAY_ETAG_MAX];
    AUTO(file_reader_t) file = {0};
    TRY(dag_path_parse_rest(&r->path.root, buf_bytes(&s->to), &r->path));
    TRY(gateway_resolve(t, r));
    TRY(gateway_read_node(t, r));
    TRY(file_reader_init(&file, r->blocks, &r->node));
    r->modified_s = 0;
    buf_clear(&r->roots);
    gateway_content_t c = {.file = &file,
                           .size = file.size,
                           .type = "text/html",
                           .etag = gateway_etag(r, etag),
                           .status = status};
    return gateway_serve_content(t, r, &c);
}

/* The parameters of TO that the request does not have itself: what was asked for wins. */
static err_t put_own_params(gateway_request_t *r, bytes_t params, buf_t *url)
{
    AUTO(buf_t) name = {0};
    const char *text;
    char sign = '?';
    buf_init(&name, GATEWAY_PATH_MAX_BYTES);
    while (params.len) {
        const uint8_t *end = memchr(params.data, '&', params.len);
        bytes_t pair = bytes_slice(params, 0, end ? (size_t)(end - params.data) : params.len);
        params = bytes_slice(params, pair.len + 1, params.len);
        const uint8_t *equals = pair.len ? memchr(pair.data, '=', pair.len) : NULL;
        buf_clear(&name);
        TRY(percent_decode(bytes_slice(pair, 0, equals ? (size_t)(equals - pair.data) : pair.len), true,
                           &name));
        TRY(buf_cstr(&name, &text));
        if (exchange_has_query(r->x, text))
            continue;
        TRY(buf_printf(url, "%c%.*s", sign, (int)pair.len, (const char *)pair.data));
        sign = '&';
    }
    return r->x->query[0] ? buf_printf(url, "%c%s", sign, r->x->query) : OK;
}

/* The query of the request goes along. */
static err_t redirect(task_t *t, gateway_request_t *r, site_rules_t *s, int status)
{
    AUTO(buf_t) url = {0};
    const char *text;
    buf_init(&url, 3 * GATEWAY_PATH_MAX_BYTES);
    bytes_t to = buf_bytes(&s->to);
    const uint8_t *hash = memchr(to.data, '#', to.len);
    bytes_t front = bytes_slice(to, 0, hash ? (size_t)(hash - to.data) : to.len);
    bytes_t back = bytes_slice(to, front.len, to.len);
    const uint8_t *mark = r->x->query[0] ? memchr(front.data, '?', front.len) : NULL;
    bytes_t path = bytes_slice(front, 0, mark ? (size_t)(mark - front.data) : front.len);
    TRY(buf_append(&url, path));
    TRY(put_own_params(r, bytes_slice(front, path.len + 1, front.len), &url));
    TRY(buf_append(&url, back));
    TRY(buf_cstr(&url, &text));
    TRY(gateway_set_path_headers(r));
    return gateway_redirect(t, r, status, text);
}

/* A rule must not lead where the operator's rules say no. */
static err_t check_target(const gateway_request_t *r, const site_rules_t *s)
{
    AUTO(buf_t) path = {0};
    char root[CID_TEXT_MAX];
    buf_init(&path, 2 * GATEWAY_PATH_MAX_BYTES);
    TRY(buf_printf(&path, "/ipfs/%s", cid_print(&r->path.root, root)));
    TRY(buf_append(&path, buf_bytes(&s->to)));
    return node_check_path(r->api->node, buf_bytes(&path));
}

/* Rules that are there and cannot be had or read: the site is broken, and its owner shall see why. */
static err_t fail_rules(task_t *t, gateway_request_t *r, const char *what, err_t e)
{
    char text[ERROR_TEXT_MAX + 96];
    snprintf(text, sizeof text, "trouble processing _redirects file: could not %s _redirects: %s", what,
             error_text(e));
    return gateway_fail(t, r, 500, text);
}

static bool is_of_content(err_t e)
{
    return e == ERR_INVALID || e == ERR_CORRUPT || e == ERR_UNSUPPORTED || e == ERR_NOT_FOUND ||
           e == ERR_LIMIT;
}

static err_t apply(task_t *t, gateway_request_t *r, site_rules_t *s, const cid_t *rules, bool *ret_answered,
                   bool *ret_again)
{
    int status;
    err_t e = read_rules(t, r, rules, &s->text);
    if (e) {
        *ret_answered = is_of_content(e);
        return *ret_answered ? fail_rules(t, r, "read", e) : e;
    }
    e = redirects_file_parse(buf_bytes(&s->text), &s->file);
    if (e) {
        *ret_answered = true;
        return fail_rules(t, r, "parse", e);
    }
    TRY(path_below_root(r, &s->path));
    TRY(redirects_file_match(&s->file, buf_bytes(&s->path), &s->to, &status));
    if (!status)
        return OK;
    if (status == 200 || status >= 400)
        TRY(check_target(r, s));
    *ret_answered = status != 200;
    *ret_again = status == 200;
    if (status >= 400)
        return serve_page(t, r, s, status);
    if (status != 200)
        return redirect(t, r, s, status);
    /* The path borrows its names: they move to where they stay as long as the request. */
    buf_clear(&r->immutable_path);
    TRY(buf_append(&r->immutable_path, buf_bytes(&s->to)));
    return dag_path_parse_rest(&r->path.root, buf_bytes(&r->immutable_path), &r->path);
}

err_t gateway_apply_redirects(task_t *t, gateway_request_t *r, bool *ret_answered, bool *ret_again)
{
    site_rules_t *s = xcalloc(1, sizeof *s);
    buf_init(&s->text, REDIRECTS_FILE_MAX_BYTES + 1);
    buf_init(&s->path, 2 * GATEWAY_PATH_MAX_BYTES);
    buf_init(&s->to, GATEWAY_PATH_MAX_BYTES);
    *ret_answered = *ret_again = false;
    dir_entry_t rules;
    err_t e = find_rules(t, r, &rules);
    if (!e)
        e = apply(t, r, s, &rules.cid, ret_answered, ret_again);
    else if (e == ERR_NOT_FOUND)
        e = OK;
    redirects_file_deinit(&s->file);
    buf_deinit(&s->text);
    buf_deinit(&s->path);
    buf_deinit(&s->to);
    free(s);
    return e;
}
