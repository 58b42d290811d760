/* pin_ls: `pin ls`. Pins are asked for one by one, so that neither side holds them all; Kubo's order is none
 * either. There may be millions of lines, each an object of a few plain strings: those are read here, and
 * the JSON library, which takes ten times as long, has what is not plain. */
#include "cli/commands_internal.h"
#include "cli/plain_object.h"
#include "print/json_values.h"

enum { LINE_MAX_BYTES = 1 << 20 };

typedef struct pin_ls {
    cli_t *c;
    print_t to;
    bool is_quiet;
    buf_t pending; /* the start of a line */
    buf_t out;
} pin_ls_t;

static err_t put_pin(pin_ls_t *l, bytes_t cid, bytes_t type, bytes_t name)
{
    TRY(buf_append(&l->out, cid));
    if (!l->is_quiet) {
        TRY(buf_append_u8(&l->out, ' '));
        TRY(buf_append(&l->out, type));
        TRY(buf_append(&l->out, name.len ? BYTES_LIT(" ") : BYTES_NONE));
        TRY(buf_append(&l->out, name));
    }
    return buf_append_u8(&l->out, '\n');
}

static err_t flush_out(pin_ls_t *l)
{
    err_t e = l->out.len ? cli_out_bytes(buf_bytes(&l->out)) : OK;
    buf_clear(&l->out);
    return e;
}

static err_t take_line(task_t *t, pin_ls_t *l, bytes_t line)
{
    static const char *const names[] = {"Cid", "Type", "Name"};
    bytes_t values[ARRAY_LEN(names)];
    if (plain_object_read(line, names, ARRAY_LEN(names), values) && values[0].len)
        return put_pin(l, values[0], values[1], values[2]);
    TRY(flush_out(l));
    return json_value_print(&l->to, line, print_find("pin/ls"));
}

static err_t take_lines(task_t *t, pin_ls_t *l)
{
    bytes_t text = buf_bytes(&l->pending);
    size_t from = 0;
    const uint8_t *end;
    while (from < text.len && (end = memchr(text.data + from, '\n', text.len - from))) {
        size_t len = (size_t)(end - text.data) - from;
        if (len)
            TRY(take_line(t, l, bytes_slice(text, from, len)));
        from += len + 1;
    }
    buf_consume(&l->pending, from);
    return flush_out(l);
}

static err_t take_bytes(task_t *t, void *arg, bytes_t data)
{
    pin_ls_t *l = arg;
    while (data.len) {
        bytes_t piece = bytes_slice(data, 0, LINE_MAX_BYTES);
        if (l->pending.len >= LINE_MAX_BYTES)
            return fail(ERR_PROTOCOL, "the node's answer has a line of more than %d bytes", LINE_MAX_BYTES);
        TRY(buf_append(&l->pending, piece));
        TRY(take_lines(t, l));
        data = bytes_slice(data, piece.len, data.len);
    }
    return OK;
}

static err_t list(task_t *t, pin_ls_t *l, const char *target)
{
    TRY(cli_download(t, l->c, target, (cli_byte_sink_t){take_bytes, NULL, l}));
    if (l->pending.len)
        TRY(take_line(t, l, buf_bytes(&l->pending)));
    return flush_out(l);
}

/* With --json the answer is shown as it comes, and has the form that was asked for. */
err_t cli_pin_ls(task_t *t, cli_t *c, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    TRY(cli_build_target(c, command, &target));
    if (!c->wants_json && !cli_option(c, "stream", 0))
        TRY(cli_target_add(&target, "stream", "true"));
    TRY(buf_cstr(&target, &text));
    if (c->wants_json)
        return cli_request(t, c, text, cli_printer(command));
    pin_ls_t l = {.c = c, .to = cli_print_to_stdout(c), .is_quiet = cli_flag(c, "quiet", false)};
    buf_init(&l.pending, 2 * LINE_MAX_BYTES);
    buf_init(&l.out, 4 * LINE_MAX_BYTES);
    err_t e = list(t, &l, text);
    buf_deinit(&l.pending);
    buf_deinit(&l.out);
    return e;
}
