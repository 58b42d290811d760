/* print_ls: listings in columns, spaced as Kubo's are: a column is as wide as its widest cell and a space, at
 * least one character for whole listings and ten for streamed ones, whose widths nobody knows beforehand. */
#include "cli/commands_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MIN_WIDTH = 1, MIN_WIDTH_STREAMED = 10, SIZE_TEXT = 24 };

static char last_hash[256]; /* of the folder whose entries were printed last, when they are streamed */

static bool is_dir(json_t *link)
{
    return json_number(link, "Type") == 1 || json_number(link, "Type") == 5;
}

static void size_text(json_t *link, char out[SIZE_TEXT])
{
    if (is_dir(link))
        snprintf(out, SIZE_TEXT, "-");
    else
        snprintf(out, SIZE_TEXT, "%" PRId64, json_number(link, "Size"));
}

/* Widths of the columns of hashes and sizes. */
static void measure(json_t *links, bool has_headers, int min, int *ret_hash, int *ret_size)
{
    size_t i;
    json_t *link;
    char text[SIZE_TEXT];
    int hash = has_headers ? 4 : 0, size = has_headers ? 4 : 0;
    json_array_foreach(links, i, link)
    {
        size_text(link, text);
        int n = (int)strlen(json_text(link, "Hash")), m = (int)strlen(text);
        hash = n > hash ? n : hash;
        size = m > size ? m : size;
    }
    *ret_hash = hash + 1 > min ? hash + 1 : min;
    *ret_size = size + 1 > min ? size + 1 : min;
}

static err_t print_folder(cli_t *c, json_t *object, bool shows_header, int min)
{
    json_t *links = json_object_get(object, "Links"), *link;
    bool has_size = cli_flag(c, "size", true);
    int hash, size;
    size_t i;
    char text[SIZE_TEXT];
    measure(links, shows_header, min, &hash, &size);
    if (shows_header)
        TRY(has_size ? cli_out("%-*s%-*sName\n", hash, "Hash", size, "Size")
                     : cli_out("%-*sName\n", hash, "Hash"));
    json_array_foreach(links, i, link)
    {
        size_text(link, text);
        TRY(cli_out("%-*s", hash, cli_escape(json_text(link, "Hash"))));
        if (has_size)
            TRY(cli_out("%-*s", size, text));
        TRY(cli_out("%s%s\n", cli_escape(json_text(link, "Name")), is_dir(link) ? "/" : ""));
    }
    return OK;
}

err_t print_ls(task_t *t, cli_t *c, json_t *o)
{
    size_t i;
    json_t *object;
    bool streams = cli_flag(c, "stream", false);
    json_array_foreach(json_object_get(o, "Objects"), i, object)
    {
        const char *hash = json_text(object, "Hash");
        bool is_new = strncmp(hash, last_hash, sizeof last_hash - 1) != 0;
        if (is_new && c->n_args > 1)
            TRY(cli_out("%s%s:\n", last_hash[0] ? "\n" : "", cli_escape(hash)));
        snprintf(last_hash, sizeof last_hash, "%s", hash);
        TRY(print_folder(c, object, is_new && cli_flag(c, "headers", false),
                         streams ? MIN_WIDTH_STREAMED : MIN_WIDTH));
    }
    return OK;
}
