#include "api/rpc.h"
#include "api/api_internal.h"
#include "api/clean_path.h"
#include "api/rpc_access.h"
#include "api/rpc_beside.h"
#include "api/rpc_encoding.h"
#include "api/rpc_log.h"
#include "api/rpc_request.h"
#include "api/trace.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "base/version.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RPC_PREFIX "/api/v0/"

/* a group a line */
/* clang-format off */
static const rpc_command_t *const tables[] = {
    rpc_pubsub_commands,
    rpc_absent_commands,
    rpc_block_commands,
    rpc_car_commands,
    rpc_cid_commands,
    rpc_content_commands,
    rpc_dag_commands,
    rpc_dfs_commands,
    rpc_dfs_key_commands,
    rpc_diag_commands,
    rpc_datastore_commands,
    rpc_files_commands,
    rpc_filestore_commands,
    rpc_import_commands,
    rpc_key_commands,
    rpc_name_commands,
    rpc_network_commands,
    rpc_perf_commands,
    rpc_node_commands,
    rpc_p2p_commands,
    rpc_mount_commands,
    rpc_object_commands,
    rpc_pin_commands,
    rpc_pin_remote_commands,
    rpc_repo_commands,
    rpc_routing_commands,
    rpc_stats_commands,
    rpc_program_commands,
    rpc_provide_commands,
    rpc_swarm_commands,
    rpc_limits_commands,
    rpc_version_commands,
};
/* clang-format on */

void rpc_each_command(void (*visit)(void *arg, const char *path), void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const rpc_command_t *c = tables[i]; c->path; c++)
            visit(arg, c->path);
}

static const rpc_command_t *find_command(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const rpc_command_t *c = tables[i]; c->path; c++)
            if (!strcmp(c->path, path))
                return c;
    return NULL;
}

/* ── output ──────────────────────────────────────────────────────────────────────────────────── */

static err_t begin_stream(rpc_t *r, const char *content_type, const char *marker, int64_t length)
{
    if (r->is_streaming)
        return OK;
    TRY(exchange_set_header(r->x, "Content-Type", content_type));
    if (marker)
        TRY(exchange_set_header(r->x, marker, "1"));
    if (length < 0)
        TRY(exchange_set_header(r->x, "Trailer", "X-Stream-Error"));
    TRY(exchange_begin(r->x, 200, length));
    r->is_streaming = true;
    return OK;
}

/* What the reference writes otherwise: markup and line separators as escapes, and escapes in lower case. */
static size_t foreign_length(bytes_t json)
{
    const uint8_t *p = json.data;
    if (*p == '&' || *p == '<' || *p == '>')
        return 1;
    if (json.len >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] | 1) == 0xa9)
        return 3;
    return json.len >= 6 && !memcmp(p, "\\u00", 4) && memchr("ABCDEF", p[5], 6) ? 6 : 0;
}

static err_t put_escape(bytes_t foreign, buf_t *out)
{
    if (foreign.len == 6)
        return buf_printf(out, "\\u00%c%c", foreign.data[4], tolower(foreign.data[5]));
    return buf_printf(out, "\\u%04x",
                      foreign.len == 3 ? 0x2000U | (foreign.data[2] & 0x3fU) : foreign.data[0]);
}

static bool is_foreign(bytes_t json)
{
    return memchr(json.data, '&', json.len) || memchr(json.data, '<', json.len) ||
           memchr(json.data, '>', json.len) || memmem(json.data, json.len, "\\u00", 4) ||
           memmem(json.data, json.len, "\xe2\x80\xa8", 3) || memmem(json.data, json.len, "\xe2\x80\xa9", 3);
}

err_t json_escape_markup(bytes_t json, buf_t *out)
{
    size_t from = 0;
    for (size_t i = 0; i < json.len;) {
        size_t n = foreign_length(bytes_slice(json, i, json.len));
        if (n) {
            TRY(buf_append(out, bytes_slice(json, from, i - from)));
            TRY(put_escape(bytes_slice(json, i, n), out));
            from = i + n;
        }
        i += n ? n : json.data[i] == '\\' ? 2 : 1; /* a backslash that is escaped begins no escape */
    }
    return buf_append(out, bytes_slice(json, from, json.len));
}

err_t rpc_emit_text(task_t *t, rpc_t *r, bytes_t json)
{
    if (!r->is_streaming)
        TRY(begin_stream(r, rpc_encoding_type(r), rpc_encoding_is_single(r) ? NULL : "X-Chunked-Output", -1));
    if (r->encoding)
        return rpc_encoding_write(t, r, json);
    if (!json.len || !is_foreign(json))
        return exchange_write(t, r->x, json);
    AUTO(buf_t) escaped = {0};
    buf_init(&escaped, SIZE_MAX);
    TRY(json_escape_markup(json, &escaped));
    return exchange_write(t, r->x, buf_bytes(&escaped));
}

err_t rpc_emit(task_t *t, rpc_t *r, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ESCAPE_SLASH * 0) : NULL;
    json_decref(object);
    if (!text)
        return fail(ERR_NO_MEMORY, "cannot make the answer of %s", r->command);
    size_t len = strlen(text);
    text[len] = '\n'; /* in the place of the NUL: the length is known */
    err_t e = rpc_emit_text(t, r, bytes_of(text, len + 1));
    free(text);
    return e;
}

err_t rpc_begin_bytes(task_t *t, rpc_t *r, const char *content_type, int64_t length)
{
    return begin_stream(r, content_type ? content_type : rpc_encoding_bytes_type(r), "X-Stream-Output",
                        length);
}

err_t json_quote(bytes_t text, buf_t *out)
{
    static const char controls[] = "\b\t\n\f\r", letters[] = "btnfr";
    TRY(buf_append_u8(out, '"'));
    while (text.len) {
        uint8_t c = text.data[0];
        size_t n = utf8_length(text);
        const char *letter = c && c < 0x20 ? strchr(controls, c) : NULL;
        if (c == '"' || c == '\\')
            TRY(buf_printf(out, "\\%c", c));
        else if (letter)
            TRY(buf_printf(out, "\\%c", letters[letter - controls]));
        else if (c < 0x20)
            TRY(buf_printf(out, "\\u%04x", c));
        else
            TRY(buf_append(out, n ? bytes_slice(text, 0, n) : BYTES_LIT("\xef\xbf\xbd")));
        text = bytes_slice(text, n ? n : 1, text.len);
    }
    return buf_append_u8(out, '"');
}

err_t rpc_need_online(rpc_t *r)
{
    if (node_is_online(r->node))
        return OK;
    return fail(ERR_OFFLINE, "this command must be run in online mode. Try running 'ipfs daemon' first");
}

err_t rpc_refuse_offline(rpc_t *r)
{
    err_t e = rpc_need_online(r);
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", error_text(e));
    return e ? fail(ERR_USAGE, "unable to run offline: %s", text) : OK;
}

/* ── dispatch ────────────────────────────────────────────────────────────────────────────────── */

/* How a request is refused before its command runs. */
static err_t reply_bad_request(task_t *t, exchange_t *x)
{
    char line[ERROR_TEXT_MAX + 1];
    snprintf(line, sizeof line, "%s\n", error_slot()->text);
    return rpc_reply_plain(t, x, 400, line);
}

static err_t reply_error(task_t *t, rpc_t *r, err_t e)
{
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", error_text(e));
    if (r->is_streaming) /* the status is gone: the trailer carries it */
        return exchange_trailer(r->x, "X-Stream-Error", text);
    return rpc_encoding_reply_error(t, r, e == ERR_USAGE ? 400 : 500, e == ERR_USAGE ? 1 : 0, text);
}

static err_t run_to_end(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    TRY(c->run(t, r));
    return r->encoding ? rpc_encoding_end(t, r) : OK;
}

/* Clients tell a request that took too long by these words of Go's. */
static err_t fail_deadline(err_t e)
{
    char why[ERROR_TEXT_MAX];
    if (strstr(error_text(e), "context deadline exceeded"))
        return e;
    snprintf(why, sizeof why, "%s", error_text(e));
    return fail(e, "%.300s: context deadline exceeded", why);
}

static err_t run_timed(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    uint64_t timeout_ms;
    TRY(rpc_duration_ms(r, "timeout", &timeout_ms));
    if (!timeout_ms)
        return run_to_end(t, r, c);
    deadline_t d = deadline_push(t, timeout_ms);
    err_t e = run_to_end(t, r, c);
    deadline_pop(t, &d);
    return e == ERR_TIMEOUT ? fail_deadline(e) : e;
}

static err_t run_command(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    err_t e = rpc_read_request(t, r, c);
    if (e == ERR_USAGE)
        return reply_bad_request(t, r->x);
    rpc_log_entry_t *entry = rpc_log_begin(t, r);
    if (!e)
        e = run_timed(t, r, c);
    rpc_log_end(t, r->api, entry);
    if (e) {
        log_debug("rpc failed", LOG_STR("command", c->path), LOG_ERR(e));
        return exchange_is_gone(r->x) ? OK : reply_error(t, r, e);
    }
    return r->x->has_begun ? OK : rpc_emit_text(t, r, BYTES_NONE); /* commands that say nothing */
}

/* "pin" stands above "pin/add". */
static bool is_group(const char *path)
{
    size_t n = strlen(path);
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const rpc_command_t *c = tables[i]; c->path; c++)
            if (!strncmp(c->path, path, n) && c->path[n] == '/')
                return n > 0;
    return false;
}

/* Commands of the command line alone: those that must not run while a node does. */
static bool is_for_command_line(const char *path)
{
    static const char *const names[] = {"commands/completion", "config/edit", "diag/datastore/",
                                        "files/chroot", "repo/migrate"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!strncmp(path, names[i], strlen(names[i])))
            return true;
    return false;
}

/* POST /api/v0/ls/CID is /api/v0/ls?arg=CID. */
static const rpc_command_t *find_with_argument(const char *path, char parent[64], const char **ret_arg)
{
    const char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) >= 64)
        return NULL;
    snprintf(parent, 64, "%.*s", (int)(slash - path), path);
    *ret_arg = slash + 1;
    return find_command(parent);
}

static err_t dispatch(task_t *t, api_t *api, exchange_t *x, const char *path)
{
    char parent[64];
    const char *path_arg = NULL;
    bool is_hidden = !x->is_local && is_for_command_line(path);
    const rpc_command_t *c = is_hidden ? NULL : find_command(path);
    bool is_empty = !c && !is_hidden && is_group(path);
    if (!c && !is_empty && !is_hidden)
        c = find_with_argument(path, parent, &path_arg);
    if (!c && !is_empty)
        return rpc_reply_plain(t, x, 404, "404 page not found\n");
    TRY(rpc_set_headers(api, x));
    AUTO(buf_t) decoded = {0};
    buf_init(&decoded, 4 << 10);
    if (path_arg && (percent_decode(bytes_str(path_arg), false, &decoded) || buf_cstr(&decoded, &path_arg)))
        return rpc_reply_plain(t, x, 404, "404 page not found\n");
    AUTO(rpc_t) r = {.api = api, .node = api->node, .x = x, .path_arg = path_arg};
    if (is_empty) {
        r.command = path;
        return rpc_encoding_open(&r) ? reply_bad_request(t, x) : rpc_emit_text(t, &r, BYTES_NONE);
    }
    r.command = c->path;
    r.signature = rpc_signature(c->path);
    return run_command(t, &r, c);
}

static const rpc_command_t *find_nodeless(const char *path)
{
    static const rpc_command_t *const without_node[] = {rpc_cid_commands, rpc_program_commands};
    for (size_t i = 0; i < ARRAY_LEN(without_node); i++)
        for (const rpc_command_t *c = without_node[i]; c->path; c++)
            if (!strcmp(c->path, path))
                return c;
    return NULL;
}

err_t api_rpc_without_node(task_t *t, exchange_t *x, void *arg)
{
    bool is_rpc = !strncmp(x->path, RPC_PREFIX, sizeof RPC_PREFIX - 1);
    const rpc_command_t *c = is_rpc ? find_nodeless(x->path + sizeof RPC_PREFIX - 1) : NULL;
    if (!c)
        return rpc_reply_plain(t, x, 404, "404 page not found\n");
    AUTO(rpc_t) r = {.x = x, .command = c->path, .signature = rpc_signature(c->path)};
    err_t e = rpc_read_request(t, &r, c);
    if (!e)
        e = run_to_end(t, &r, c);
    return e ? reply_error(t, &r, e) : OK;
}

static err_t serve_rpc(task_t *t, exchange_t *x, api_t *api)
{
    bool was_redirected;
    TRY(reply_clean_path(t, x, &was_redirected));
    if (was_redirected)
        return OK;
    if (strncmp(x->path, RPC_PREFIX, sizeof RPC_PREFIX - 1))
        return rpc_reply_beside(t, api, x);
    TRY(exchange_set_header(x, "Server", DISTRIBUTE_AGENT));
    TRY(exchange_set_header(x, "Vary", "Origin"));
    if (!rpc_is_authorized(api, x, x->path))
        return rpc_reply_plain(
            t, x, 403,
            "RPC Access Denied: Please provide a valid authorization token as defined in the "
            "API.Authorizations configuration.\n");
    if (!strcmp(x->method, "OPTIONS"))
        return rpc_reply_options(t, api, x);
    if (strcmp(x->method, "POST")) {
        TRY(exchange_set_header(x, "Allow", "OPTIONS, POST"));
        return rpc_reply_plain(t, x, 405, "405 - Method Not Allowed\n");
    }
    if (!rpc_is_from_allowed_site(api, x))
        return rpc_reply_plain(t, x, 403, "403 - Forbidden\n");
    if (api->is_shutting_down)
        return rpc_reply_plain(t, x, 503, "the node is shutting down\n");
    return dispatch(t, api, x, x->path + sizeof RPC_PREFIX - 1);
}

err_t api_rpc(task_t *t, exchange_t *x, void *arg)
{
    api_begin_trace(t, arg, x);
    api_span_t span = api_span_begin(t, x, x->path);
    err_t e = serve_rpc(t, x, arg);
    api_span_end(t, x, &span, e);
    return e;
}
