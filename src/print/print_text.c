/* print_text: texts and sizes as printers put them. */
#include "print/print.h"
#include <stdio.h>
#include <stdlib.h>

enum { RING = 8, LINE_BYTES = 512 };

err_t print_bytes(print_t *p, bytes_t data)
{
    return p->write(p->arg, data);
}

err_t print_out(print_t *p, const char *fmt, ...)
{
    char line[LINE_BYTES], *text = line;
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(line, sizeof line, fmt, args);
    if (n >= LINE_BYTES)
        n = vasprintf(&text, fmt, again);
    va_end(again);
    va_end(args);
    if (n < 0)
        return fail(ERR_NO_MEMORY, "no memory for a line of the answer");
    err_t e = p->write(p->arg, bytes_of(text, (size_t)n));
    if (text != line)
        free(text);
    return e;
}

err_t print_texts(print_t *p, json_t *texts, const char *before)
{
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text)
        TRY(print_out(p, "%s%s\n", before, print_escape(json_string_value(text))));
    return OK;
}

void print_note(print_t *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (p->note)
        p->note(p->arg, fmt, args);
    va_end(args);
}

const char *print_option(const print_t *p, const char *name)
{
    return p->option(p->arg, name);
}

bool print_flag(const print_t *p, const char *name, bool otherwise)
{
    const char *value = print_option(p, name);
    return value ? strcmp(value, "false") != 0 : otherwise;
}

/* prefix: "\\x" or "\\u20". Gives the end of what was written. */
static char *put_hex(char *out, const char *prefix, unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = strlen(prefix);
    memcpy(out, prefix, n);
    out[n] = digits[byte >> 4];
    out[n + 1] = digits[byte & 15];
    return out + n + 2;
}

/* U+202A to U+202E and U+2066 to U+2069 show a text in another order than it has: "exe.jpg". */
static bool turns_direction(const unsigned char *p, size_t left)
{
    return left > 2 && p[0] == 0xe2 &&
           ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

/* What stands behind a backslash in a name; 0: none. */
static char letter_of(unsigned char byte)
{
    static const char letters[] = "abtnvfr"; /* from 7 on */
    if (byte >= 7 && byte < 14)
        return letters[byte - 7];
    return byte == '\\' ? '\\' : 0;
}

static const char *escape(bytes_t text, bool is_name)
{
    static char *ring[RING];
    static size_t next;
    const unsigned char *end = text.data + text.len;
    char **slot = &ring[next++ % RING];
    *slot = xrealloc(*slot, text.len * 4 + 1); /* "\\x1b" for a byte, "\\u0085" for two */
    char *out = *slot;
    for (const unsigned char *p = text.data; p < end; p++) {
        char letter = is_name ? letter_of(*p) : 0;
        if (letter) {
            *out++ = '\\';
            *out++ = letter;
            continue;
        }
        /* C0, DEL, and C1 as UTF-8 encodes it: what moves a cursor or changes a terminal's state */
        if (*p < 0x20 || *p == 0x7f)
            out = put_hex(out, "\\x", *p);
        else if (*p == 0xc2 && p + 1 < end && p[1] >= 0x80 && p[1] < 0xa0)
            out = put_hex(out, is_name ? "\\u00" : "\\x", *++p);
        else if (turns_direction(p, (size_t)(end - p))) {
            out = put_hex(out, "\\u20", (unsigned char)((p[1] - 0x80) << 6 | (p[2] - 0x80)));
            p += 2;
        } else
            *out++ = (char)*p;
    }
    *out = 0;
    return *slot;
}

const char *print_escape(const char *text)
{
    return escape(bytes_str(text ? text : ""), false);
}

static const char *escape_json(json_t *object, const char *key, bool is_name)
{
    json_t *text = json_object_get(object, key);
    return escape(bytes_of(json_is_string(text) ? json_string_value(text) : "", json_string_length(text)),
                  is_name);
}

const char *print_escape_json(json_t *object, const char *key)
{
    return escape_json(object, key, false);
}

const char *print_name(json_t *object, const char *key)
{
    return escape_json(object, key, true);
}

const char *json_text(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int64_t json_number(json_t *object, const char *key)
{
    const json_t *number = json_object_get(object, key);
    double real = json_is_real(number) ? json_real_value(number) : 0;
    bool fits = real > -9e18 && real < 9e18;
    return json_is_integer(number) ? (int64_t)json_integer_value(number) : fits ? (int64_t)real : 0;
}

const char *print_size(uint64_t bytes)
{
    static char ring[RING][32];
    static size_t next;
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    char *out = ring[next++ % RING];
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    snprintf(out, sizeof ring[0], unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}

const char *print_human_bytes(uint64_t bytes)
{
    static char ring[RING][32];
    static size_t next;
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    char *out = ring[next++ % RING];
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < ARRAY_LEN(units); unit++)
        value /= 1000;
    value = (double)(uint64_t)(value * 10 + 0.5) / 10;
    snprintf(out, sizeof ring[0], unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return out;
}
