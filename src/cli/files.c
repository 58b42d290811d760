/* files: the commands over the mutable tree: what they send, and what their answers look like. */
#include "cli/commands_internal.h"
#include "print/json_depth.h"
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */
/* ── ls ──────────────────────────────────────────────────────────────────────────────────────── */
/* The answer is one object of any size: its entries are taken out of it as they come. */
enum { ENTRY_MAX_BYTES = 1 << 20, ENTRY_DEPTH = 3 };

typedef struct listing_line {
    char *name, *text; /* text: what is printed */
} listing_line_t;
typedef struct listing {
    cli_t *c;
    buf_t entry; /* the one that is being read */
    json_depth_t at;
    listing_line_t *lines;
    size_t count, cap;
} listing_t;

static void add_line(listing_t *l, json_t *entry)
{
    print_t to = cli_print_to_stdout(l->c);
    char *text = print_files_line(&to, entry);
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        l->lines = xrealloc(l->lines, l->cap * sizeof *l->lines);
    }
    l->lines[l->count++] = (listing_line_t){xstrdup(json_text(entry, "Name")), text};
}

static err_t end_entry(listing_t *l)
{
    json_t *entry = json_loadb((const char *)l->entry.data, l->entry.len, JSON_ALLOW_NUL, NULL);
    if (!entry)
        return fail(ERR_PROTOCOL, "the node's answer is not JSON");
    add_line(l, entry);
    json_decref(entry);
    buf_clear(&l->entry);
    return OK;
}

static err_t read_byte(listing_t *l, uint8_t byte)
{
    json_depth_step_t step = json_depth_take(&l->at, byte);
    if (l->at.depth >= ENTRY_DEPTH)
        TRY(buf_append_u8(&l->entry, byte));
    if (step != JSON_DEPTH_CLOSES || !l->at.depth)
        return OK;
    return l->at.depth-- == ENTRY_DEPTH ? end_entry(l) : OK;
}

static err_t read_listing(task_t *t, void *arg, bytes_t data)
{
    for (size_t i = 0; i < data.len; i++)
        TRY(read_byte(arg, data.data[i]));
    return OK;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(((const listing_line_t *)a)->name, ((const listing_line_t *)b)->name);
}

static err_t list(task_t *t, listing_t *l, const cli_command_t *command)
{
    AUTO(buf_t) target = {0};
    const char *text;
    TRY(cli_build_target(l->c, command, &target));
    TRY(buf_cstr(&target, &text));
    TRY(cli_download(t, l->c, text, (cli_byte_sink_t){.write = read_listing, .arg = l}));
    if (l->count && !cli_flag(l->c, "U", false))
        qsort(l->lines, l->count, sizeof *l->lines, compare_lines);
    for (size_t i = 0; i < l->count; i++)
        TRY(cli_out("%s\n", l->lines[i].text));
    return OK;
}

err_t cli_files_ls(task_t *t, cli_t *c, const cli_command_t *command)
{
    if (c->wants_json)
        return cli_run_generic(t, c, command);
    listing_t l = {.c = c};
    buf_init(&l.entry, ENTRY_MAX_BYTES);
    err_t e = list(t, &l, command);
    for (size_t i = 0; i < l.count; i++) {
        free(l.lines[i].name);
        free(l.lines[i].text);
    }
    free(l.lines);
    buf_deinit(&l.entry);
    return e;
}
