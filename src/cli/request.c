/* request: one call of the RPC: its target, its answer as JSON objects or bytes, its errors. */
#include "base/json_depth.h"
#include "cli/commands_internal.h"
#include "print/json_values.h"
#include "wire/http_auth.h"
#include <stdio.h>
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
    print_fn print;               /* JSON objects */
    print_fn encode;              /* the same, whatever the command is */
    char command[64];             /* of the RPC */
    const cli_byte_sink_t *bytes; /* or bytes */
    bool is_bytes;
    json_values_t values;
    buf_t error; /* the body of one */
    print_t to;
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

/* Prints the values that are whole; at the end of the answer also a last one without a newline. */
static err_t print_values(answer_t *a, bool at_end)
{
    bytes_t value;
    while (json_values_next(&a->values, at_end, &value)) {
        if (a->encode)
            TRY(json_value_print(&a->to, value, a->encode));
        else if (a->c->wants_json)
            TRY(cli_out("%.*s\n", (int)value.len, (const char *)value.data));
        else if (a->print)
            TRY(json_value_print(&a->to, value, a->print));
    }
    return OK;
}

static err_t take_answer(task_t *t, answer_t *a, bytes_t data)
{
    if (a->status >= 400) {
        size_t room = a->error.len < ERROR_BODY_MAX ? ERROR_BODY_MAX - a->error.len : 0;
        return buf_append(&a->error, bytes_slice(data, 0, room));
    }
    if (a->bytes)
        return a->bytes->write(t, a->bytes->arg, data);
    if (a->is_bytes || (!a->print && !a->c->wants_json))
        return cli_out_bytes(data);
    TRY(json_values_feed(&a->values, data));
    if (!memchr(data.data, '\n', data.len))
        return OK;
    TRY(print_values(a, false));
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
    bool is_shallow = !json_check_depth(buf_bytes(&a->error), JSON_DEPTH_MAX);
    json_t *object = is_shallow ? json_loadb((const char *)a->error.data, a->error.len, 0, NULL) : NULL;
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
        bytes_t body = buf_bytes(&a->error);
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

/* "/api/v0/pin/add?arg=…" */
static void name_command(answer_t *a, const char *target)
{
    const char *path = target + strlen("/api/v0/");
    snprintf(a->command, sizeof a->command, "%.*s", (int)strcspn(path, "?"), path);
    a->to.command = a->command;
    a->to.is_decoded = a->c->call == cli_call_http;
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
    json_values_init(&a->values, LINE_MAX_BYTES);
    buf_init(&a->error, ERROR_BODY_MAX);
    a->to = cli_print_to_stdout(a->c);
    if ((a->encode = cli_encoder(a->c)))
        name_command(a, target);
    err_t e = a->c->call(t, a->c->call_arg, target, headers, n, sink);
    if (!e && a->status >= 400)
        e = error_of_answer(a);
    if (!e)
        e = print_values(a, true);
    if (!e && a->stream_error[0])
        e = fail(ERR_IO, "%s", a->stream_error);
    json_values_deinit(&a->values);
    buf_deinit(&a->error);
    a->c->has_failed = a->to.has_failed;
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

err_t cli_request(task_t *t, cli_t *c, const char *target, print_fn print)
{
    answer_t a = {.c = c, .print = print};
    return call(t, &a, target, NULL);
}

err_t cli_upload(task_t *t, cli_t *c, const char *target, const char *content_type, cli_body_fn read_body,
                 void *body_arg, print_fn print)
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
    return cli_request(t, c, text, cli_printer(command));
}
