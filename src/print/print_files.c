/* print_files: entries of the mutable tree as text. */
#include "print/printers.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char default_format[] =
    "<hash>\nSize: <size>\nCumulativeSize: <cumulsize>\nChildBlocks: <childs>\n"
    "Type: <type>\nMode: <mode> (<mode-octal>)\nMtime: <mtime>";

/* Answers that Kubo has no other form for. */
err_t print_compact(print_t *p, json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT | JSON_ENCODE_ANY);
    err_t e = print_out(p, "%s\n", text);
    free(text);
    return e;
}

err_t print_files_message(print_t *p, json_t *o)
{
    return print_out(p, "%s", json_text(o, "Message"));
}

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

static err_t print_format(print_t *p, json_t *o, const char *format)
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
            TRY(print_out(p, "%s", tokens[i].text));
            format += strlen(tokens[i].token);
        } else {
            TRY(print_out(p, "%c", *format++));
        }
    }
    return print_out(p, "\n");
}

err_t print_files_stat(print_t *p, json_t *o)
{
    const char *format = print_option(p, "format");
    format = print_flag(p, "hash", false)   ? "<hash>"
             : print_flag(p, "size", false) ? "<cumulsize>"
             : format && *format            ? format
                                            : default_format;
    TRY(print_format(p, o, format));
    if (!json_is_true(json_object_get(o, "WithLocality")))
        return OK;
    int64_t local = json_number(o, "SizeLocal"), all = json_number(o, "CumulativeSize");
    return print_out(p, "Local: %s of %s (%.2f%%)\n", print_human_bytes((uint64_t)local),
                     print_human_bytes((uint64_t)all), 100.0 * (double)local / (double)all);
}

char *print_files_line(const print_t *p, json_t *entry)
{
    const char *shown = print_escape_json(entry, "Name");
    size_t room = strlen(shown) + strlen(json_text(entry, "Hash")) + 32;
    char *text = xmalloc(room);
    if (print_flag(p, "long", false))
        snprintf(text, room, "%s%s\t%s\t%" PRId64, shown, json_number(entry, "Type") == 1 ? "/" : "",
                 json_text(entry, "Hash"), json_number(entry, "Size"));
    else
        snprintf(text, room, "%s", shown);
    return text;
}

err_t print_files_listed(print_t *p, json_t *o)
{
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(o, "Entries"), i, entry)
    {
        char *line = print_files_line(p, entry);
        err_t e = print_out(p, "%s\n", line);
        free(line);
        TRY(e);
    }
    return OK;
}
