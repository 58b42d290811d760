/* files: the commands over the mutable tree: what they send, and what their answers look like. */
#include "cli/commands_internal.h"
#include "cli/json_depth.h"
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

static const char default_format[] =
    "<hash>\nSize: <size>\nCumulativeSize: <cumulsize>\nChildBlocks: <childs>\n"
    "Type: <type>\nMode: <mode> (<mode-octal>)\nMtime: <mtime>";

/* Answers that Kubo has no other form for. */
err_t print_compact(task_t *t, cli_t *c, json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
    err_t e = cli_out("%s\n", text);
    free(text);
    return e;
}

err_t print_files_message(task_t *t, cli_t *c, json_t *o)
{
    return cli_out("%s", json_text(o, "Message"));
}

/* ── stat ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct stat_texts {
    char size[24], cumulative[24], blocks[24], mode[48], octal[16], mtime[64], seconds[24], nanoseconds[24];
} stat_texts_t;

/* "drwxr-xr-x", as Go prints a mode, in lower case. */
static void print_mode(uint32_t mode, char out[48])
{
    static const char kinds[] = "daltldpsugct?", rwx[] = "rwxrwxrwx";
    size_t n = 0;
    for (size_t i = 0; kinds[i]; i++)
        if (mode & 1u << (31 - i))
            out[n++] = kinds[i];
    if (!n)
        out[n++] = '-';
    for (size_t i = 0; i < 9; i++)
        out[n++] = mode & 1u << (8 - i) ? rwx[i] : '-';
    out[n] = 0;
}

static void print_number(json_t *o, const char *key, char out[24])
{
    snprintf(out, 24, "%" PRId64, json_number(o, key));
}

static stat_texts_t stat_texts(json_t *o)
{
    static const char unset[] = "not set";
    stat_texts_t s;
    uint32_t mode = (uint32_t)strtoul(json_text(o, "Mode"), NULL, 8);
    time_t mtime = (time_t)json_number(o, "Mtime");
    struct tm utc;
    print_number(o, "Size", s.size);
    print_number(o, "CumulativeSize", s.cumulative);
    print_number(o, "Blocks", s.blocks);
    snprintf(s.mode, sizeof s.mode, unset);
    snprintf(s.octal, sizeof s.octal, unset);
    if (mode) {
        print_mode(mode, s.mode);
        snprintf(s.octal, sizeof s.octal, "0%o", mode & 0777);
    }
    snprintf(s.mtime, sizeof s.mtime, unset);
    snprintf(s.seconds, sizeof s.seconds, unset);
    snprintf(s.nanoseconds, sizeof s.nanoseconds, unset);
    if (mtime > 0 && gmtime_r(&mtime, &utc)) {
        strftime(s.mtime, sizeof s.mtime, "%e %b %Y, %H:%M:%S UTC", &utc);
        if (s.mtime[0] == ' ')
            memmove(s.mtime, s.mtime + 1, strlen(s.mtime));
        print_number(o, "Mtime", s.seconds);
        print_number(o, "MtimeNsecs", s.nanoseconds);
    }
    return s;
}

static err_t print_format(json_t *o, const char *format)
{
    stat_texts_t s = stat_texts(o);
    const struct {
        const char *token, *text;
    } tokens[] = {{"<hash>", json_text(o, "Hash")}, {"<size>", s.size},
                  {"<cumulsize>", s.cumulative},    {"<childs>", s.blocks},
                  {"<type>", json_text(o, "Type")}, {"<mode>", s.mode},
                  {"<mode-octal>", s.octal},        {"<mtime>", s.mtime},
                  {"<mtime-secs>", s.seconds},      {"<mtime-nsecs>", s.nanoseconds}};
    while (*format) {
        size_t i = 0;
        while (i < ARRAY_LEN(tokens) && strncmp(format, tokens[i].token, strlen(tokens[i].token)))
            i++;
        if (i < ARRAY_LEN(tokens)) {
            TRY(cli_out("%s", tokens[i].text));
            format += strlen(tokens[i].token);
        } else {
            TRY(cli_out("%c", *format++));
        }
    }
    return cli_out("\n");
}

err_t print_files_stat(task_t *t, cli_t *c, json_t *o)
{
    const char *format = cli_option(c, "format", 0);
    format = cli_flag(c, "hash", false)   ? "<hash>"
             : cli_flag(c, "size", false) ? "<cumulsize>"
             : format && *format          ? format
                                          : default_format;
    TRY(print_format(o, format));
    if (!json_is_true(json_object_get(o, "WithLocality")))
        return OK;
    int64_t local = json_number(o, "SizeLocal"), all = json_number(o, "CumulativeSize");
    return cli_out("Local: %s of %s (%.2f%%)\n", cli_human_bytes((uint64_t)local),
                   cli_human_bytes((uint64_t)all), 100.0 * (double)local / (double)all);
}

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
    const char *name = json_text(entry, "Name"), *shown = cli_escape_json(entry, "Name");
    size_t room = strlen(shown) + strlen(json_text(entry, "Hash")) + 32;
    char *text = xmalloc(room);
    if (cli_flag(l->c, "long", false))
        snprintf(text, room, "%s%s\t%s\t%" PRId64, shown, json_number(entry, "Type") == 1 ? "/" : "",
                 json_text(entry, "Hash"), json_number(entry, "Size"));
    else
        snprintf(text, room, "%s", shown);
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 256;
        l->lines = xrealloc(l->lines, l->cap * sizeof *l->lines);
    }
    l->lines[l->count++] = (listing_line_t){xstrdup(name), text};
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
