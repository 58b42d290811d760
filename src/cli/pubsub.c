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
