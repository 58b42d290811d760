/* request: one call of the RPC: its target, its answer as JSON objects or bytes, its errors. */
#include "base/json_depth.h"
#include "cli/commands_internal.h"
#include "cli/json_depth.h"
#include "wire/http_auth.h"
#include <stdlib.h>
#include <strings.h>

enum { TARGET_MAX = 1 << 20, LINE_MAX_BYTES = 16 << 20, ERROR_BODY_MAX = 64 << 10 };

/* ── target ──────────────────────────────────────────────────────────────────────────────────── */

err_t cli_target_add(buf_t *target, const char *name, const char *value)
{
    bool has_query = memchr(target->data, '?', target->len) != NULL;
    TRY(buf_printf(target, "%c%s=", has_query ? '&' : '?', name));
    return percent_encode(bytes_str(value), "-_.~/:", target);
}

err_t cli_build_target(const cli_t *c, const cli_command_t *command, buf_t *out)
{
    buf_init(out, TARGET_MAX);
    TRY(buf_printf(out, "/api/v0/%s", command->rpc));
    for (size_t i = 0; i < c->n_args; i++)
        TRY(cli_target_add(out, "arg", c->args[i]));
    static const char *const passed_on[] = {"timeout", "offline", "cid-base", "upgrade-cidv0-in-output"};
    for (size_t i = 0; i < c->n_options; i++) {
        const char *rpc = NULL;
        for (size_t k = 0; k < ARRAY_LEN(passed_on); k++)
            if (!strcmp(passed_on[k], c->options[i].name))
                rpc = passed_on[k];
        if (!strcmp(c->options[i].name, "local"))
            rpc = "offline";
        for (const cli_spec_t *s = command->specs; !rpc && s && s->name; s++)
            if (!strcmp(s->name, c->options[i].name))
                rpc = s->rpc ? s->rpc : s->name;
        if (rpc && *rpc)
            TRY(cli_target_add(out, rpc, c->options[i].value));
    }
    return OK;
}

/* ── answer ──────────────────────────────────────────────────────────────────────────────────── */

typedef struct answer {
    cli_t *c;
    int status;
    cli_print_fn print;           /* JSON objects */
    const cli_byte_sink_t *bytes; /* or bytes */
    bool is_bytes;
    buf_t pending;  /* the start of a JSON object whose end has not come; or an error's body */
    size_t scanned; /* of it, without the end */
    json_depth_t at;
    char stream_error[ERROR_TEXT_MAX];
    cli_body_fn read_body;
    void *body_arg;
    err_t local_error; /* the first of this side */
    error_slot_t local_why;
} answer_t;

static err_t on_begin(task_t *t, void *arg, int status)
{
    answer_t *a = arg;
    a->status = status;
    return OK;
}

static err_t on_header(void *arg, const char *name, const char *value)
{
    answer_t *a = arg;
    if (!strcasecmp(name, "X-Stream-Output"))
        a->is_bytes = true;
    if (!strcasecmp(name, "X-Stream-Error"))
        snprintf(a->stream_error, sizeof a->stream_error, "%s", value);
    if (a->bytes && a->bytes->header)
        a->bytes->header(a->bytes->arg, name, value);
    return OK;
}

err_t cli_print_value(task_t *t, cli_t *c, bytes_t text, cli_print_fn print)
{
    json_error_t why;
    TRY(json_check_depth(text, JSON_DEPTH_MAX));
    json_t *object = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!object)
        return fail(ERR_PROTOCOL, "the node's answer is not JSON: %s", why.text);
    err_t e = print(t, c, object);
    json_decref(object);
    return e;
}

static err_t print_value_of(task_t *t, answer_t *a, bytes_t line)
{
    if (a->c->wants_json) {
        TRY(cli_out_bytes(line));
        return cli_out_bytes(BYTES_LIT("\n"));
    }
    return a->print ? cli_print_value(t, a->c, line, a->print) : OK;
}

/* Scans on to the end of a JSON value: behind its last bracket, or behind a newline outside of brackets.
 * False: it has not come. */
static bool scan_value(answer_t *a)
{
    while (a->scanned < a->pending.len) {
        uint8_t byte = a->pending.data[a->scanned++];
        bool closes = json_depth_take(&a->at, byte) == JSON_DEPTH_CLOSES && a->at.depth && !--a->at.depth;
        if (closes || (byte == '\n' && !a->at.depth && !a->at.in_string))
            return true;
    }
    return false;
}

/* Prints the values that are whole; at the end of the answer also a last one without a newline. */
static err_t print_values(task_t *t, answer_t *a, bool at_end)
{
    size_t from = 0;
    while (scan_value(a) || (at_end && from < a->scanned)) {
        bytes_t value = bytes_slice(buf_bytes(&a->pending), from, a->scanned - from);
        from = a->scanned;
        a->at = (json_depth_t){0};
        if (value.data[value.len - 1] == '\n')
            value.len--;
        if (value.len)
            TRY(print_value_of(t, a, value));
    }
    buf_consume(&a->pending, from);
    a->scanned -= from;
    return OK;
}

static err_t take_answer(task_t *t, answer_t *a, bytes_t data)
{
    if (a->status >= 400) {
        size_t room = a->pending.len < ERROR_BODY_MAX ? ERROR_BODY_MAX - a->pending.len : 0;
        return buf_append(&a->pending, bytes_slice(data, 0, room));
    }
    if (a->bytes)
        return a->bytes->write(t, a->bytes->arg, data);
    if (a->is_bytes || (!a->print && !a->c->wants_json))
        return cli_out_bytes(data);
    TRY(buf_append(&a->pending, data));
    if (!memchr(data.data, '\n', data.len))
        return OK;
    TRY(print_values(t, a, false));
    fflush(stdout); /* what has come is seen at once, in a pipe too: more may be long in coming */
    return OK;
}

/* What fails on this side (a full disk, a reader that left) is the error of the call, not what the other side
 * makes of it. */
static err_t on_write(task_t *t, void *arg, bytes_t data)
{
    answer_t *a = arg;
    err_t e = take_answer(t, a, data);
    if (e && !a->local_error) {
        a->local_error = e;
        a->local_why = *error_slot();
    }
    return e;
}

static err_t on_trailer(void *arg, const char *name, const char *value)
{
    return on_header(arg, name, value);
}

static err_t on_read_body(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    answer_t *a = arg;
    if (a->read_body)
        return a->read_body(t, a->body_arg, out, cap, ret_n);
    *ret_n = 0;
    return OK;
}

/* The error that an answer tells: Kubo's JSON, or plain text. */
static err_t error_of_answer(answer_t *a)
{
    bool is_shallow = !json_check_depth(buf_bytes(&a->pending), JSON_DEPTH_MAX);
    json_t *object = is_shallow ? json_loadb((const char *)a->pending.data, a->pending.len, 0, NULL) : NULL;
    const char *message = object ? json_text(object, "Message") : "";
    err_t code = a->status == 400   ? ERR_USAGE
                 : a->status == 404 ? ERR_NOT_FOUND
                 : a->status == 401 ? ERR_UNAUTHORIZED
                 : a->status == 403 ? ERR_DENIED
                                    : ERR_IO;
    err_t e;
    if (*message) {
        e = fail(code == ERR_USAGE && json_number(object, "Code") != 1 ? ERR_INVALID : code, "%s", message);
    } else {
        bytes_t body = buf_bytes(&a->pending);
        while (body.len && body.data[body.len - 1] == '\n')
            body.len--;
        int shown = (int)(body.len < 200 ? body.len : 200);
        e = a->status == 400 || a->status == 403 /* plain text says what is wrong with the request */
                ? fail(code, "%.*s", shown, (const char *)body.data)
                : fail(code, "the node answered %d: %.*s", a->status, shown, (const char *)body.data);
    }
    json_decref(object);
    return e;
}

static err_t call(task_t *t, answer_t *a, const char *target, const char *content_type)
{
    memory_exchange_sink_t sink = {
        on_begin, on_header, on_write, on_trailer, a->read_body ? on_read_body : NULL, a};
    header_pair_t headers[2];
    size_t n = 0;
    AUTO(buf_t) secret = {0};
    buf_init(&secret, HTTP_AUTH_MAX_BYTES);
    if (content_type)
        headers[n++] = (header_pair_t){"Content-Type", content_type};
    if (a->c->api_auth) {
        headers[n] = (header_pair_t){"Authorization", NULL};
        TRY(http_auth_header(a->c->api_auth, &secret));
        TRY(buf_cstr(&secret, &headers[n++].value));
    }
    buf_init(&a->pending, LINE_MAX_BYTES);
    err_t e = a->c->call(t, a->c->call_arg, target, headers, n, sink);
    if (!e && a->status >= 400)
        e = error_of_answer(a);
    if (!e)
        e = print_values(t, a, true);
    if (!e && a->stream_error[0])
        e = fail(ERR_IO, "%s", a->stream_error);
    buf_deinit(&a->pending);
    if (!e && fflush(stdout))
        e = fail(ERR_IO, "cannot write the output");
    if (a->local_error) {
        *error_slot() = a->local_why;
        return a->local_error;
    }
    return e;
}

err_t cli_exchange(task_t *t, cli_t *c, const char *target, cli_exchange_t x)
{
    answer_t a = {
        .c = c, .print = x.print, .bytes = x.bytes, .read_body = x.read_body, .body_arg = x.body_arg};
    return call(t, &a, target, x.content_type);
}

err_t cli_request(task_t *t, cli_t *c, const char *target, cli_print_fn print)
{
    answer_t a = {.c = c, .print = print};
    return call(t, &a, target, NULL);
}

err_t cli_upload(task_t *t, cli_t *c, const char *target, const char *content_type, cli_body_fn read_body,
                 void *body_arg, cli_print_fn print)
{
    answer_t a = {.c = c, .print = print, .read_body = read_body, .body_arg = body_arg};
    return call(t, &a, target, content_type);
}

err_t cli_download(task_t *t, cli_t *c, const char *target, cli_byte_sink_t sink)
{
    answer_t a = {.c = c, .bytes = &sink};
    return call(t, &a, target, NULL);
}

err_t cli_run_generic(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    if (cli_has_many_words(c))
        return cli_send_words(t, c, command);
    TRY(cli_build_target(c, command, &target));
    TRY(buf_cstr(&target, &text));
    return cli_request(t, c, text, command->print);
}
