#include "api/rpc_text.h"
#include "print/go_value.h"
#include "print/json_values.h"
#include "print/print_ls.h"
#include <stdlib.h>

enum { VALUE_MAX_BYTES = 64 << 20, TEXT_MAX_BYTES = 64 << 20 };

typedef struct known_option {
    const char *name, *value; /* NULL: absent */
} known_option_t;
typedef struct rpc_text {
    print_t to;
    print_fn print;
    json_values_t values;
    ls_text_t *listing; /* of `ls` whose answer is one value; else NULL */
    buf_t out;
    known_option_t known[32];
    size_t n_known;
} rpc_text_t;

/* Printers ask for each line. */
static const char *option_of(void *arg, const char *name)
{
    rpc_t *r = arg;
    rpc_text_t *x = r->text;
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
    return buf_append(&r->text->out, text);
}

err_t rpc_text_open(rpc_t *r)
{
    const char *encoding = rpc_option(r, "encoding");
    if (!encoding || !*encoding || !strcmp(encoding, "json"))
        return OK;
    if (strcmp(encoding, "text") != 0)
        return fail(ERR_USAGE, "invalid encoding: %.40s", encoding);
    rpc_text_t *x = xcalloc(1, sizeof *x);
    x->to = (print_t){.option = option_of,
                      .write = append,
                      .arg = r,
                      .program = "ipfs",
                      .command = r->command,
                      .is_kubo = true};
    x->print = go_value_is(r->command) ? go_value_print : print_find(r->command);
    json_values_init(&x->values, VALUE_MAX_BYTES);
    buf_init(&x->out, TEXT_MAX_BYTES);
    if (!strcmp(r->command, "ls") && !rpc_bool(r, "stream", false))
        x->listing = ls_text_new(&x->to);
    r->text = x;
    return OK;
}

void rpc_text_close(rpc_t *r)
{
    rpc_text_t *x = r->text;
    if (!x)
        return;
    ls_text_free(x->listing);
    json_values_deinit(&x->values);
    buf_deinit(&x->out);
    free(x);
    r->text = NULL;
}

static err_t print_values(task_t *t, rpc_t *r, bool at_end)
{
    rpc_text_t *x = r->text;
    bytes_t value;
    err_t e = OK;
    while (!e && json_values_next(&x->values, at_end, &value))
        e = x->print ? json_value_print(&x->to, value, x->print) : OK;
    if (!e && x->out.len)
        e = exchange_write(t, r->x, buf_bytes(&x->out));
    buf_clear(&x->out);
    return e;
}

err_t rpc_text_write(task_t *t, rpc_t *r, bytes_t json)
{
    rpc_text_t *x = r->text;
    x->to.args = r->args;
    x->to.n_args = r->n_args;
    TRY(x->listing ? ls_text_feed(x->listing, json) : json_values_feed(&x->values, json));
    return print_values(t, r, false);
}

err_t rpc_text_end(task_t *t, rpc_t *r)
{
    return print_values(t, r, true);
}
