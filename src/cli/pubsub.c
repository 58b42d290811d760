/* pubsub: topics and messages are bytes, which requests and answers carry as multibase base64url. */
#include "cli/commands_internal.h"
#include "multi/multibase.h"
#include <stdlib.h>

/* The first word, a topic, in the form of a request; owned by the command line from now on. */
static err_t encode_topic(cli_t *c, char **ret_text)
{
    AUTO(buf_t) text;
    const char *s;
    buf_init(&text, 16 << 10);
    *ret_text = NULL;
    if (!c->n_args)
        return OK;
    TRY(multibase_encode(MB_BASE64URL, bytes_str(c->args[0]), &text));
    TRY(buf_cstr(&text, &s));
    *ret_text = c->args[0] = xstrdup(s);
    return OK;
}

err_t cli_pubsub(task_t *t, cli_t *c, const cli_command_t *command)
{
    char *topic;
    TRY(encode_topic(c, &topic));
    err_t e = cli_run_generic(t, c, command);
    free(topic);
    return e;
}

err_t cli_pubsub_pub(task_t *t, cli_t *c, const cli_command_t *command)
{
    char *topic;
    TRY(encode_topic(c, &topic));
    err_t e = cli_upload_after_word(t, c, command);
    free(topic);
    return e;
}

/* Decodes a member, or a plain string. */
static err_t decode(const char *text, buf_t *out)
{
    multibase_t base;
    buf_clear(out);
    return multibase_decode(bytes_str(text ? text : ""), &base, out);
}

err_t print_pubsub_message(task_t *t, cli_t *c, json_t *o)
{
    AUTO(buf_t) data;
    buf_init(&data, 4u << 20);
    TRY(decode(json_text(o, "data"), &data));
    return cli_out_bytes(buf_bytes(&data));
}

err_t print_pubsub_topics(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *line;
    AUTO(buf_t) topic;
    const char *text;
    buf_init(&topic, 16 << 10);
    json_array_foreach(json_object_get(o, "Strings"), i, line)
    {
        TRY(decode(json_string_value(line), &topic));
        TRY(buf_cstr(&topic, &text));
        TRY(cli_out("%s\n", cli_escape(text)));
    }
    return OK;
}

err_t print_pubsub_reset(task_t *t, cli_t *c, json_t *o)
{
    long long n = (long long)json_number(o, "deleted");
    const char *peer = cli_option(c, "peer", 0);
    if (!peer)
        return cli_out("Reset validator state for %lld peer(s)\n", n);
    return cli_out(n ? "Reset validator state for peer %s\n" : "No validator state found for peer %s\n",
                   cli_escape(peer));
}
