/* rpc_request: what a request asks for: its words and options, checked by the signature of its command. */
#include "api/rpc_request.h"
#include "api/rpc_encoding.h"
#include "api/upload.h"
#include <stdlib.h>
#include <strings.h>

enum { VALUE_MAX_BYTES = 64 << 10, STDIN_MAX_BYTES = 4 << 20 };

void rpc_deinit(rpc_t *r)
{
    for (size_t i = 0; i < r->n_args; i++)
        free(r->args[i]);
    free(r->args);
    for (size_t i = 0; i < r->n_options; i++)
        free(r->options[i]);
    rpc_encoding_close(r);
}

/* ── options ─────────────────────────────────────────────────────────────────────────────────── */

/* All names of an option; false: the client gave none of them. */
static bool find_names(rpc_t *r, bytes_t name, bytes_t *ret_names)
{
    rpc_option_spec_t spec;
    for (size_t i = 0; i < r->n_given && r->n_given <= ARRAY_LEN(r->given); i++)
        if (rpc_signature_has_name(r->given[i], name)) {
            *ret_names = r->given[i];
            return true;
        }
    if (r->n_given <= ARRAY_LEN(r->given) || !rpc_signature_option(r->signature, name, &spec))
        return false;
    *ret_names = spec.names;
    return true;
}

/* The first value under any of the option's names. */
static err_t find_value(rpc_t *r, const char *name, buf_t *out)
{
    bytes_t names, one;
    err_t e = exchange_query(r->x, name, 0, out);
    if (e != ERR_NOT_FOUND || !find_names(r, bytes_str(name), &names))
        return e;
    while (e == ERR_NOT_FOUND && rpc_signature_next_name(&names, &one)) {
        char text[64];
        snprintf(text, sizeof text, "%.*s", (int)one.len, (const char *)one.data);
        e = exchange_query(r->x, text, 0, out);
    }
    return e;
}

const char *rpc_option(rpc_t *r, const char *name)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, VALUE_MAX_BYTES);
    const char *text;
    if (find_value(r, name, &value) || buf_cstr(&value, &text))
        return NULL;
    if (r->n_options == ARRAY_LEN(r->options))
        return NULL;
    return r->options[r->n_options++] = xstrdup(text);
}

bool rpc_bool(rpc_t *r, const char *name, bool otherwise)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, VALUE_MAX_BYTES);
    const char *text;
    err_t e = find_value(r, name, &value);
    if (e || buf_cstr(&value, &text))
        return e == ERR_NOT_FOUND ? otherwise : false;
    return !*text || !strcmp(text, "1") || !strcasecmp(text, "t") || !strcasecmp(text, "true");
}

err_t rpc_u64(rpc_t *r, const char *name, uint64_t otherwise, uint64_t *ret)
{
    const char *text = rpc_option(r, name);
    if (!text || !*text) {
        *ret = otherwise;
        return OK;
    }
    bool is_negative;
    uint64_t value;
    if (!rpc_number_read(text, &is_negative, &value) || is_negative)
        return fail(ERR_USAGE, "option %s: \"%s\" is no whole number from 0 on", name, text);
    *ret = value;
    return OK;
}

err_t rpc_parse_duration_ms(const char *what, const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1},
                 {"s", 1e3},   {"m", 6e4},   {"h", 3.6e6}};
    double total = 0;
    for (const char *p = text; *p;) {
        char *end;
        double value = strtod(p, &end);
        size_t unit_len = strspn(end, "nus\xc2\xb5mh");
        size_t i = 0;
        while (i < ARRAY_LEN(units) &&
               (strlen(units[i].unit) != unit_len || memcmp(units[i].unit, end, unit_len)))
            i++;
        if (end == p || value < 0 || i == ARRAY_LEN(units))
            return fail(ERR_USAGE, "%s: \"%s\" is not a duration such as 30s or 1m30s", what, text);
        total += value * units[i].ms;
        p = end + unit_len;
    }
    if (!(total < 1e15))
        return fail(ERR_USAGE, "%s: the duration is too long", what);
    *ret_ms = total > 0 && total < 1 ? 1 : (uint64_t)total;
    return OK;
}

err_t rpc_duration_ms(rpc_t *r, const char *name, uint64_t *ret_ms)
{
    char what[80];
    const char *text = rpc_option(r, name);
    snprintf(what, sizeof what, "option %s", name);
    return rpc_parse_duration_ms(what, text ? text : "", ret_ms);
}

/* Another base than that of CIDv0 wants CIDv1, unless the client says otherwise (ipfs/kubo
 * core/commands/cmdenv). */
static err_t read_cid_options(rpc_t *r)
{
    const char *base = rpc_option(r, "cid-base");
    if (base && *base && multibase_from_name(base, &r->cid_base))
        return fail(ERR_USAGE, "unsupported multibase encoding: %.40s", base);
    bool is_other = r->cid_base && r->cid_base != MB_BASE58BTC;
    r->upgrades_cids = rpc_bool(r, "upgrade-cidv0-in-output", is_other);
    return OK;
}

const char *rpc_cid(const rpc_t *r, const cid_t *cid, char out[CID_TEXT_MAX])
{
    cid_t shown = *cid;
    if (r->upgrades_cids && cid_to_v1(cid, &shown))
        shown = *cid;
    if (!r->cid_base || cid_print_base(&shown, r->cid_base, out))
        cid_print(&shown, out);
    return out;
}

static err_t check_single(rpc_t *r, const rpc_option_spec_t *spec, const char *name)
{
    AUTO(buf_t) one = {0};
    AUTO(buf_t) two = {0};
    bytes_t names = spec->names, first = BYTES_NONE;
    buf_init(&one, VALUE_MAX_BYTES);
    buf_init(&two, VALUE_MAX_BYTES);
    if (bytes_equal(spec->type, BYTES_LIT("array")) || exchange_query(r->x, name, 0, &one) ||
        exchange_query(r->x, name, 1, &two) || !rpc_signature_next_name(&names, &first))
        return OK;
    return fail(ERR_USAGE, "expected key %.*s to have only a single value, received [%.*s %.*s]",
                (int)first.len, (const char *)first.data, (int)one.len, (const char *)one.data, (int)two.len,
                (const char *)two.data);
}

/* Each option that has a type is written as such; go-ipfs-cmds says it in these words. */
static err_t check_options(rpc_t *r)
{
    AUTO(buf_t) name = {0};
    AUTO(buf_t) value = {0};
    buf_init(&name, VALUE_MAX_BYTES);
    buf_init(&value, VALUE_MAX_BYTES);
    for (size_t at = 0; exchange_query_next(r->x, &at, &name, &value);) {
        rpc_option_spec_t spec;
        const char *text;
        if (!rpc_signature_option(r->signature, buf_bytes(&name), &spec))
            continue;
        if (r->n_given < ARRAY_LEN(r->given))
            r->given[r->n_given] = spec.names;
        r->n_given++;
        TRY(buf_cstr(&name, &text));
        TRY(check_single(r, &spec, text));
        TRY(buf_cstr(&value, &text));
        if (!rpc_option_accepts(&spec, text))
            return fail(
                ERR_USAGE, "could not convert value \"%.80s\" to type \"%.*s\" (for option \"-%.*s\")", text,
                (int)spec.type.len, (const char *)spec.type.data, (int)name.len, (const char *)name.data);
    }
    return OK;
}

/* ── arguments ───────────────────────────────────────────────────────────────────────────────── */

static err_t push_arg(rpc_t *r, const rpc_command_t *c, const char *text)
{
    if (r->n_args == c->max_args && c->max_args == RPC_MAX_ARGS)
        return fail(ERR_USAGE, "expected at most %zu arguments for %s", c->max_args, c->path);
    if (r->n_args == c->max_args)
        return OK; /* more than there is use for: ignored, as by Kubo; the command line refuses them */
    r->args = xrealloc(r->args, (r->n_args + 1) * sizeof *r->args);
    r->args[r->n_args++] = xstrdup(text);
    return OK;
}

static bool is_multipart(exchange_t *x)
{
    const char *type = exchange_header(x, "Content-Type");
    return type && !strncasecmp(type, "multipart/form-data", strlen("multipart/form-data"));
}

/* Words that a client read from its standard input come as a file of the upload, one a line. */
static err_t read_stdin_args(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    bool is_variadic;
    if (!rpc_signature_takes_stdin(r->signature, &is_variadic) || !is_multipart(r->x))
        return OK;
    AUTO(buf_t) text = {0};
    buf_init(&text, STDIN_MAX_BYTES);
    TRY(rpc_read_upload(t, r, &text));
    const char *line;
    TRY(buf_cstr(&text, &line));
    while (*line && (is_variadic || r->n_args < c->min_args)) {
        size_t n = strcspn(line, "\n"), kept = n - (n && line[n - 1] == '\r');
        char *word = strndup(line, kept);
        err_t e = word && *word ? push_arg(r, c, word) : OK;
        free(word);
        TRY(e);
        line += n + (line[n] == '\n');
    }
    return OK;
}

static err_t require_file(rpc_t *r)
{
    rpc_argument_t a;
    if (rpc_signature_argument(r->signature, 0, true, &a) && a.is_required && !is_multipart(r->x))
        return fail(ERR_USAGE, "file argument '%.*s' is required", (int)a.name.len,
                    (const char *)a.name.data);
    return OK;
}

static err_t collect_args(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, VALUE_MAX_BYTES);
    const char *text;
    if (r->path_arg)
        TRY(push_arg(r, c, r->path_arg));
    for (size_t i = 0; !exchange_query(r->x, "arg", i, &value); i++) {
        TRY(buf_cstr(&value, &text));
        TRY(push_arg(r, c, text));
    }
    if (r->n_args >= c->min_args)
        TRY(require_file(r));
    TRY(read_stdin_args(t, r, c));
    if (r->n_args >= c->min_args)
        return OK;
    rpc_argument_t a;
    if (rpc_signature_argument(r->signature, r->n_args, false, &a))
        return fail(ERR_USAGE, "argument \"%.*s\" is required", (int)a.name.len, (const char *)a.name.data);
    return fail(ERR_USAGE, "argument \"%s\" is required", c->arg_name ? c->arg_name : "arg");
}

err_t rpc_read_request(task_t *t, rpc_t *r, const rpc_command_t *c)
{
    TRY(check_options(r));
    TRY(collect_args(t, r, c));
    TRY(rpc_encoding_open(r));
    return read_cid_options(r);
}
