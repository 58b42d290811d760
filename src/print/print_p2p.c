/* print_p2p: answers of `p2p …` and `mount`. Columns are as wide as their widest cell and a space, as the
 * reference's. */
#include "print/printers.h"

enum { COLUMNS_MAX = 4 };

/* Rows of an array of objects, under their heads when `headers` asks for them: a head for each row. */
static err_t print_rows(print_t *p, json_t *list, const char *const *keys, const char *const *heads,
                        size_t columns)
{
    size_t widths[COLUMNS_MAX] = {0}, i;
    bool has_heads = print_flag(p, "headers", false);
    json_t *row;
    json_array_foreach(list, i, row)
    {
        for (size_t k = 0; k < columns; k++) {
            size_t width = strlen(field(row, keys[k])), head = has_heads ? strlen(heads[k]) : 0;
            width = width > head ? width : head;
            widths[k] = width > widths[k] ? width : widths[k];
        }
    }
    json_array_foreach(list, i, row)
    {
        for (int is_head = has_heads; is_head >= 0; is_head--)
            for (size_t k = 0; k < columns; k++) {
                const char *cell = is_head ? heads[k] : field(row, keys[k]);
                TRY(k + 1 < columns ? print_out(p, "%-*s ", (int)widths[k], cell)
                                    : print_out(p, "%s\n", cell));
            }
    }
    return OK;
}

err_t print_p2p_ls(print_t *p, json_t *o)
{
    static const char *const keys[] = {"Protocol", "ListenAddress", "TargetAddress"}, *const heads[] = {
                                                                                          "Protocol",
                                                                                          "Listen Address",
                                                                                          "Target Address"};
    return print_rows(p, json_object_get(o, "Listeners"), keys, heads, ARRAY_LEN(keys));
}

err_t print_p2p_streams(print_t *p, json_t *o)
{
    static const char *const keys[] = {"HandlerID", "Protocol", "OriginAddress", "TargetAddress"},
                             *const heads[] = {"ID", "Protocol", "Origin", "Target"};
    return print_rows(p, json_object_get(o, "Streams"), keys, heads, ARRAY_LEN(keys));
}

err_t print_p2p_closed(print_t *p, json_t *o)
{
    return print_out(p, "Closed %lld stream(s)\n", (long long)json_integer_value(o));
}

static err_t print_closing(print_t *p, const char *what, json_t *o)
{
    return print_out(p, "Received interrupt, removing %s for %s\n", what, field(o, "Protocol"));
}

err_t print_p2p_listen(print_t *p, json_t *o)
{
    if (strcmp(json_text(o, "Status"), "active"))
        return print_closing(p, "listener", o);
    return print_out(p, "Listening on %s, forwarding to %s, waiting for interrupt...\n", field(o, "Protocol"),
                     field(o, "Address"));
}

err_t print_p2p_forward(print_t *p, json_t *o)
{
    if (strcmp(json_text(o, "Status"), "active"))
        return print_closing(p, "forwarder", o);
    return print_out(p, "Forwarding %s to %s, waiting for interrupt...\n", field(o, "Protocol"),
                     field(o, "Address"));
}

err_t print_mounted(print_t *p, json_t *o)
{
    return print_out(p, "IPFS mounted at: %s\nIPNS mounted at: %s\nMFS  mounted at: %s\n", field(o, "IPFS"),
                     field(o, "IPNS"), field(o, "MFS"));
}
