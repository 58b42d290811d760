/* output: text to stdout, escaped; sizes; progress on a terminal. */
#include "cli/command.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RING = 8, PROGRESS_EVERY_MS = 100, BAR_WIDTH = 30 };

err_t cli_out_bytes(bytes_t data)
{
    fflush(stdout);
    while (data.len) {
        ssize_t n = write(STDOUT_FILENO, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EPIPE)
            return fail(ERR_CLOSED, "the reader of the output left");
        if (n < 0)
            return fail(error_from_errno(errno), "cannot write the output: %s", strerror(errno));
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return OK;
}

err_t cli_out(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vprintf(fmt, args);
    va_end(args);
    if (n < 0 || ferror(stdout))
        return fail(errno == EPIPE ? ERR_CLOSED : error_from_errno(errno), "cannot write the output: %s",
                    strerror(errno));
    return OK;
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

static const char *escape(bytes_t text)
{
    static char *ring[RING];
    static size_t next;
    const unsigned char *end = text.data + text.len;
    char **slot = &ring[next++ % RING];
    *slot = xrealloc(*slot, text.len * 4 + 1);
    char *out = *slot;
    for (const unsigned char *p = text.data; p < end; p++) {
        /* C0, DEL, and C1 as UTF-8 encodes it: what moves a cursor or changes a terminal's state */
        if (*p < 0x20 || *p == 0x7f)
            out = put_hex(out, "\\x", *p);
        else if (*p == 0xc2 && p + 1 < end && p[1] >= 0x80 && p[1] < 0xa0)
            out = put_hex(out, "\\x", *++p);
        else if (turns_direction(p, (size_t)(end - p))) {
            out = put_hex(out, "\\u20", (unsigned char)((p[1] - 0x80) << 6 | (p[2] - 0x80)));
            p += 2;
        } else
            *out++ = (char)*p;
    }
    *out = 0;
    return *slot;
}

const char *cli_escape(const char *text)
{
    return escape(bytes_str(text));
}

const char *cli_escape_json(json_t *object, const char *key)
{
    json_t *text = json_object_get(object, key);
    return escape(bytes_of(json_is_string(text) ? json_string_value(text) : "", json_string_length(text)));
}

const char *json_text(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

int64_t json_number(json_t *object, const char *key)
{
    return (int64_t)json_number_value(json_object_get(object, key));
}

const char *cli_size(uint64_t bytes)
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

const char *cli_human_bytes(uint64_t bytes)
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

void progress_init(progress_t *p, const cli_t *c, const char *label, uint64_t total, uint64_t now_ms)
{
    *p = (progress_t){.label = label, .total = total, .started_ms = now_ms};
    p->is_shown = c->is_terminal_err && !c->wants_json && cli_flag(c, "progress", true);
}

void progress_update(progress_t *p, uint64_t done, uint64_t now_ms)
{
    p->done = done;
    if (!p->is_shown || now_ms < p->drawn_ms + PROGRESS_EVERY_MS)
        return;
    p->drawn_ms = now_ms;
    double seconds = (double)(now_ms - p->started_ms) / 1000.0;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    char bar[BAR_WIDTH + 1];
    int filled = p->total ? (int)((double)done / (double)p->total * BAR_WIDTH) : 0;
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR_WIDTH] = 0;
    fprintf(stderr, "\r\033[K%s %s", p->label, cli_size(done));
    if (p->total)
        fprintf(stderr, " of %s [%s]", cli_size(p->total), bar);
    fprintf(stderr, " %s/s", cli_size((uint64_t)rate));
    if (p->total > done && rate > 1)
        fprintf(stderr, " ETA %.0f s", (double)(p->total - done) / rate);
    fflush(stderr);
}

void progress_clear(progress_t *p)
{
    if (p->is_shown && p->drawn_ms)
        fprintf(stderr, "\r\033[K");
    p->drawn_ms = 0;
}
