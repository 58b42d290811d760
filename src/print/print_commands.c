/* print_commands: `commands [--flags]`: a line for each command, and for each option of it, in the order of
 * their letters. */
#include "print/printers.h"
#include <stdio.h>
#include <stdlib.h>

typedef struct lines {
    char **text;
    size_t n;
    bool with_flags;
} lines_t;

static void put_line(lines_t *l, const char *text)
{
    l->text = xrealloc(l->text, (l->n + 1) * sizeof *l->text);
    l->text[l->n++] = xstrdup(text);
}

/* "ipfs add --chunker / ipfs add -s" */
static void put_option(lines_t *l, const char *path, json_t *option)
{
    char line[512] = "";
    size_t i, len = 0;
    json_t *name;
    json_array_foreach(json_object_get(option, "Names"), i, name)
    {
        const char *text = json_string_value(name);
        int n = snprintf(line + len, sizeof line - len, "%s%s %s%s", i ? " / " : "", path,
                         text && strlen(text) > 1 ? "--" : "-", text ? text : "");
        if (n < 0 || (size_t)n >= sizeof line - len)
            break;
        len += (size_t)n;
    }
    put_line(l, line);
}

static void collect(lines_t *l, json_t *command, const char *path)
{
    enum { DEPTH_BYTES = 256 };
    size_t i;
    json_t *sub, *option;
    put_line(l, path);
    if (l->with_flags)
        json_array_foreach(json_object_get(command, "Options"), i, option) put_option(l, path, option);
    json_array_foreach(json_object_get(command, "Subcommands"), i, sub)
    {
        char below[DEPTH_BYTES];
        if (snprintf(below, sizeof below, "%s %s", path, json_text(sub, "Name")) < (int)sizeof below)
            collect(l, sub, below);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

err_t print_commands(print_t *p, json_t *o)
{
    lines_t l = {.with_flags = print_flag(p, "flags", false)};
    collect(&l, o, p->program);
    qsort(l.text, l.n, sizeof *l.text, by_text);
    err_t e = OK;
    for (size_t i = 0; i < l.n; i++) {
        if (!e)
            e = print_out(p, "%s\n", print_escape(l.text[i]));
        free(l.text[i]);
    }
    free(l.text);
    return e;
}
