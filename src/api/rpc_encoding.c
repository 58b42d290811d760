#include "api/rpc_encoding.h"
#include "print/go_format.h"
#include "print/go_type.h"
#include "print/go_xml.h"
#include "print/json_values.h"
#include "print/print_ls.h"
#include <stdlib.h>

enum { VALUE_MAX_BYTES = 64 << 20, TEXT_MAX_BYTES = 64 << 20 };

typedef enum { AS_TEXT, AS_XML, AS_LINES, AS_BYTES, AS_REMOVED } kind_t;
static const struct encoding {
    const char *name, *type;
    const char *error_type; /* "": errors have none */
    const char *command;    /* the only one that has it; NULL: all */
    kind_t kind;
} encodings[] = {
    {"text", "text/plain", "text/plain", NULL, AS_TEXT},
    {"xml", "application/xml", "application/xml", NULL, AS_XML},
    {"textnl", "text/plain", "", NULL, AS_LINES},
    {"octet-stream", "application/octet-stream", "application/octet-stream", NULL, AS_BYTES},
    {"ndpayload", "text/plain", "application/json", "pubsub/sub", AS_REMOVED},
    {"lenpayload", "text/plain", "application/json", "pubsub/sub", AS_REMOVED},
};

typedef struct known_option {
    const char *name, *value; /* NULL: absent */
} known_option_t;
typedef struct rpc_encoding {
    const struct encoding *is;
    print_t to;
    print_fn print;
    json_values_t values;
    ls_text_t *listing; /* of `ls` whose answer is one value, as text; else NULL */
    buf_t out;
    known_option_t known[32];
    size_t n_known;
} rpc_encoding_t;

/* Printers ask for each line. */
static const char *option_of(void *arg, const char *name)
{
    rpc_t *r = arg;
    rpc_encoding_t *x = r->encoding;
    for (size_t i = 0; i < x->n_known; i++)
        if (!strcmp(x->known[i].name, name))
            return x->known[i].value;
    const char *value = rpc_option(r, name);
    if (x->n_known < ARRAY_LEN(x->known))
        x->known[x->n_known++] = (known_option_t){name, value};
    return value;
}

static err_t append(void *arg, bytes_t text)
{
    rpc_t *r = arg;
    return buf_append(&r->encoding->out, text);
}

static const struct encoding *find_encoding(const char *name, const char *command)
{
    for (size_t i = 0; i < ARRAY_LEN(encodings); i++)
        if (!strcmp(encodings[i].name, name) &&
            (!encodings[i].command || !strcmp(encodings[i].command, command)))
            return &encodings[i];
    return NULL;
}

static err_t print_removed(print_t *p, json_t *value)
{
    return fail(ERR_UNSUPPORTED, "--enc=%s was removed, use --enc=json instead", print_option(p, "encoding"));
}

static print_fn find_printer(const rpc_t *r, kind_t kind)
{
    switch (kind) {
    case AS_XML:
        return go_xml_print;
    case AS_LINES:
        return go_format_print_line;
    case AS_REMOVED:
        return print_removed;
    case AS_TEXT:
        if (go_answer_has_text(r->command))
            return print_find(r->command);
        return go_format_print;
    default:
        return go_format_print;
    }
}

err_t rpc_encoding_open(rpc_t *r)
{
    const char *name = rpc_option(r, "encoding");
    if (!name || !strcmp(name, "json"))
        return OK;
    const struct encoding *is = find_encoding(name, r->command);
    if (!is)
        return fail(ERR_USAGE, "invalid encoding: %.40s", name);
    rpc_encoding_t *x = xcalloc(1, sizeof *x);
    x->is = is;
    x->to = (print_t){.option = option_of,
                      .write = append,
                      .arg = r,
                      .program = "ipfs",
                      .command = r->command,
                      .is_kubo = true};
    x->print = find_printer(r, is->kind);
    json_values_init(&x->values, VALUE_MAX_BYTES);
    buf_init(&x->out, TEXT_MAX_BYTES);
    if (is->kind == AS_TEXT && !strcmp(r->command, "ls") && !rpc_bool(r, "stream", false))
        x->listing = ls_text_new(&x->to);
    r->encoding = x;
    return OK;
}

void rpc_encoding_close(rpc_t *r)
{
    rpc_encoding_t *x = r->encoding;
    if (!x)
        return;
    ls_text_free(x->listing);
    json_values_deinit(&x->values);
    buf_deinit(&x->out);
    free(x);
    r->encoding = NULL;
}

/* What a printer wrote before it failed is part of the answer. */
static err_t print_values(task_t *t, rpc_t *r, bool at_end)
{
    rpc_encoding_t *x = r->encoding;
    bytes_t value;
    err_t e = OK;
    while (!e && json_values_next(&x->values, at_end, &value))
        e = x->print ? json_value_print(&x->to, value, x->print) : OK;
    error_slot_t why = *error_slot();
    if (x->out.len)
        TRY(exchange_write(t, r->x, buf_bytes(&x->out)));
    buf_clear(&x->out);
    if (e)
        *error_slot() = why;
    return e;
}

err_t rpc_encoding_write(task_t *t, rpc_t *r, bytes_t json)
{
    rpc_encoding_t *x = r->encoding;
    x->to.args = r->args;
    x->to.n_args = r->n_args;
    TRY(x->listing ? ls_text_feed(x->listing, json) : json_values_feed(&x->values, json));
    return print_values(t, r, false);
}

err_t rpc_encoding_end(task_t *t, rpc_t *r)
{
    return print_values(t, r, true);
}

/* ── what stands around it ───────────────────────────────────────────────────────────────────── */

const char *rpc_encoding_type(const rpc_t *r)
{
    return r->encoding ? r->encoding->is->type : "application/json";
}

const char *rpc_encoding_bytes_type(const rpc_t *r)
{
    return r->encoding ? r->encoding->is->type : "text/plain";
}

bool rpc_encoding_is_single(rpc_t *r)
{
    const go_answer_t *answer = r->command ? go_answer_of(r->command) : NULL;
    return answer && answer->is_single && !rpc_bool(r, "stream", false) && !rpc_bool(r, "progress", false);
}

static err_t print_error(rpc_t *r, int code, const char *text, buf_t *out)
{
    AUTO(buf_t) quoted = {0};
    kind_t kind = r->encoding ? r->encoding->is->kind : AS_REMOVED;
    switch (kind) {
    case AS_XML:
        TRY(buf_printf(out, "<Error><Message>"));
        TRY(go_xml_escape(bytes_str(text), out));
        return buf_printf(out, "</Message><Code>%d</Code></Error>", code);
    case AS_REMOVED:
        TRY(buf_printf(out, "{\"Message\":"));
        buf_init(&quoted, 16 << 10);
        TRY(json_quote(bytes_str(text), &quoted));
        TRY(json_escape_markup(buf_bytes(&quoted), out));
        return buf_printf(out, ",\"Code\":%d,\"Type\":\"error\"}\n", code);
    case AS_TEXT:
    case AS_LINES:
    case AS_BYTES:
        break;
    }
    return buf_printf(out, kind == AS_LINES ? "%s\n" : "%s", text);
}

err_t rpc_encoding_reply_error(task_t *t, rpc_t *r, int status, int code, const char *text)
{
    AUTO(buf_t) body = {0};
    buf_init(&body, 16 << 10);
    TRY(print_error(r, code, text, &body));
    return exchange_reply(t, r->x, status, r->encoding ? r->encoding->is->error_type : "application/json",
                          buf_bytes(&body));
}
