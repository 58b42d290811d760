/* print_pubsub: topics and messages, which answers carry as multibase base64url. */
#include "multi/multibase.h"
#include "print/printers.h"

/* Decodes a member, or a plain string. */
static err_t decode(const char *text, buf_t *out)
{
    multibase_t base;
    buf_clear(out);
    return multibase_decode(bytes_str(text ? text : ""), &base, out);
}

err_t print_pubsub_message(print_t *p, json_t *o)
{
    AUTO(buf_t) data;
    buf_init(&data, 4u << 20);
    TRY(decode(json_text(o, "data"), &data));
    return print_bytes(p, buf_bytes(&data));
}

err_t print_pubsub_topics(print_t *p, json_t *o)
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
        TRY(print_out(p, "%s\n", print_escape(text)));
    }
    return OK;
}

err_t print_pubsub_reset(print_t *p, json_t *o)
{
    long long n = (long long)json_number(o, "deleted");
    const char *peer = print_option(p, "peer");
    if (!peer)
        return print_out(p, "Reset validator state for %lld peer(s)\n", n);
    return print_out(p, n ? "Reset validator state for peer %s\n" : "No validator state found for peer %s\n",
                     print_escape(peer));
}
