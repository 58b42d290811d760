#include "base/log.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 65536, VALUE_MAX_BYTES = 4096 };
static const char *const level_names[] = {"error", "warn", "info", "debug"};

/* The folders of src: __FILE__ says which one a line comes from. */
static const char *const subsystems[] = {"base",     "crypto", "multi",  "codec",   "wire",  "logic",
                                         "task",     "store",  "dag",    "repo",    "net",   "routing",
                                         "exchange", "pubsub", "naming", "replica", "vault", "meta",
                                         "node",     "api",    "cli",    "loop",    "lib",   "main"};
enum { N_SUBSYSTEMS = ARRAY_LEN(subsystems), TAPS_MAX = 16 };
static int8_t own_level[N_SUBSYSTEMS]; /* level + 1; 0: the default's */
static bool has_own_levels;
static log_level_t default_level = LOG_INFO;
static struct {
    void (*fn)(void *, log_level_t, bytes_t);
    void *arg;
} taps[TAPS_MAX];

log_level_t log_threshold = LOG_INFO;
static bool is_text;
static uint64_t (*clock_fn)(void *);
static void *clock_arg;
static void (*sink_fn)(void *, log_level_t, bytes_t);
static void *sink_arg;
static _Thread_local const char *trace;

void log_set_text_format(bool text)
{
    is_text = text;
}

void log_set_clock(uint64_t (*wall_ms)(void *), void *arg)
{
    clock_fn = wall_ms;
    clock_arg = arg;
}

void log_set_sink(void (*sink)(void *, log_level_t, bytes_t), void *arg)
{
    sink_fn = sink;
    sink_arg = arg;
}

void log_set_trace(const char *trace_id)
{
    trace = trace_id;
}

const char *log_trace(void)
{
    return trace;
}

err_t log_level_parse(const char *text, log_level_t *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (!strcasecmp(text, level_names[i])) {
            *ret_level = (log_level_t)i;
            return OK;
        }
    return fail(ERR_USAGE, "log level \"%s\" is none of error, warn, info, debug", text);
}

const char *log_level_name(log_level_t level)
{
    return level_names[level];
}

/* ── subsystems ──────────────────────────────────────────────────────────────────────────────── */

const char *log_subsystem(size_t n)
{
    return n < N_SUBSYSTEMS ? subsystems[n] : NULL;
}

static size_t find_subsystem(const char *name, size_t len)
{
    for (size_t i = 0; i < N_SUBSYSTEMS; i++)
        if (strlen(subsystems[i]) == len && !memcmp(subsystems[i], name, len))
            return i;
    return N_SUBSYSTEMS;
}

void log_set_level(log_level_t level)
{
    memset(own_level, 0, sizeof own_level);
    has_own_levels = false;
    default_level = log_threshold = level;
}

log_level_t log_default_level(void)
{
    return has_own_levels ? default_level : log_threshold;
}

err_t log_set_subsystem_level(const char *subsystem, log_level_t level)
{
    size_t at = find_subsystem(subsystem, strlen(subsystem));
    if (at == N_SUBSYSTEMS)
        return fail(ERR_NOT_FOUND, "error getting logger: No such logger: %s", subsystem);
    default_level = log_default_level();
    has_own_levels = true;
    own_level[at] = (int8_t)(level + 1);
    log_threshold = default_level;
    for (size_t i = 0; i < N_SUBSYSTEMS; i++)
        if (own_level[i] > (int)log_threshold + 1)
            log_threshold = (log_level_t)(own_level[i] - 1);
    return OK;
}

err_t log_subsystem_level(const char *subsystem, log_level_t *ret_level)
{
    size_t at = find_subsystem(subsystem, strlen(subsystem));
    if (at == N_SUBSYSTEMS)
        return fail(ERR_NOT_FOUND, "error getting logger: No such logger: %s", subsystem);
    *ret_level = has_own_levels && own_level[at] ? (log_level_t)(own_level[at] - 1) : log_default_level();
    return OK;
}

/* The folder that the file lies in: "../src/net/dial.c" is "net". */
bool log_wants(const char *file, log_level_t level)
{
    if (!has_own_levels)
        return true;
    const char *end = strrchr(file, '/'), *start = end;
    while (start && start > file && start[-1] != '/')
        start--;
    size_t at = end ? find_subsystem(start, (size_t)(end - start)) : N_SUBSYSTEMS;
    return level <= (at < N_SUBSYSTEMS && own_level[at] ? (log_level_t)(own_level[at] - 1) : default_level);
}

err_t log_add_tap(void (*tap)(void *arg, log_level_t, bytes_t line), void *arg)
{
    for (size_t i = 0; i < TAPS_MAX; i++)
        if (!taps[i].fn) {
            taps[i].fn = tap;
            taps[i].arg = arg;
            return OK;
        }
    return fail(ERR_LIMIT, "%d readers follow the log, the limit", TAPS_MAX);
}

void log_remove_tap(void *arg)
{
    for (size_t i = 0; i < TAPS_MAX; i++)
        if (taps[i].fn && taps[i].arg == arg)
            taps[i].fn = NULL;
}

/* The content of a JSON string (RFC 8259). Bytes that are no UTF-8 become U+FFFD, C1 controls are
 * escaped like C0, so that a line can go to a terminal. */
static err_t put_escaped(buf_t *out, const char *text)
{
    const uint8_t *s = (const uint8_t *)text;
    for (size_t shown = 0; *s; shown++) {
        if (shown >= VALUE_MAX_BYTES)
            return buf_append(out, BYTES_LIT("…"));
        if (*s == '"' || *s == '\\')
            TRY(buf_printf(out, "\\%c", *s++));
        else if (*s == '\n' || *s == '\t')
            TRY(buf_printf(out, *s++ == '\n' ? "\\n" : "\\t"));
        else if (*s < 0x20 || *s == 0x7f)
            TRY(buf_printf(out, "\\u%04x", *s++));
        else if (*s < 0x80)
            TRY(buf_append_u8(out, *s++));
        else {
            size_t n = utf8_length(bytes_of(s, strnlen((const char *)s, 4)));
            if (!n)
                TRY(buf_append(out, BYTES_LIT("\\ufffd")));
            else if (n == 2 && s[0] == 0xc2 && s[1] < 0xa0)
                TRY(buf_printf(out, "\\u%04x", s[1]));
            else
                TRY(buf_append(out, bytes_of(s, n)));
            s += n ? n : 1;
        }
    }
    return OK;
}

static err_t put_string(buf_t *out, const char *text)
{
    TRY(buf_append_u8(out, '"'));
    TRY(put_escaped(out, text));
    return buf_append_u8(out, '"');
}

static err_t put_value(buf_t *out, const log_field_t *f)
{
    switch (f->kind) {
    case LOG_KIND_STR:
        return f->str ? put_string(out, f->str) : buf_append(out, BYTES_LIT("null"));
    case LOG_KIND_INT:
        return buf_printf(out, "%" PRId64, f->i);
    case LOG_KIND_UINT:
        return buf_printf(out, "%" PRIu64, f->u);
    case LOG_KIND_DOUBLE: /* JSON has no infinities */
        return isfinite(f->d) ? buf_printf(out, "%.9g", f->d) : buf_append(out, BYTES_LIT("null"));
    default:
        return buf_printf(out, f->u ? "true" : "false");
    }
}

static err_t put_time(buf_t *out)
{
    uint64_t ms;
    if (clock_fn)
        ms = clock_fn(clock_arg);
    else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    }
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        memset(&tm, 0, sizeof tm);
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    return buf_printf(out, "%s.%03uZ", text, (unsigned)(ms % 1000));
}

static err_t put_json(buf_t *out, log_level_t level, const char *msg, const log_field_t *fields, size_t n)
{
    TRY(buf_printf(out, "{\"level\":\"%s\",\"ts\":\"", level_names[level]));
    TRY(put_time(out));
    TRY(buf_append(out, BYTES_LIT("\",\"msg\":")));
    TRY(put_string(out, msg));
    if (trace) {
        TRY(buf_append(out, BYTES_LIT(",\"trace_id\":")));
        TRY(put_string(out, trace));
    }
    for (size_t i = 1; i < n; i++) {
        TRY(buf_append_u8(out, ','));
        TRY(put_string(out, fields[i].key));
        TRY(buf_append_u8(out, ':'));
        TRY(put_value(out, &fields[i]));
    }
    return buf_append(out, BYTES_LIT("}\n"));
}

static err_t put_text(buf_t *out, log_level_t level, const char *msg, const log_field_t *fields, size_t n)
{
    TRY(put_time(out));
    TRY(buf_printf(out, " %-5s ", level_names[level]));
    TRY(put_escaped(out, msg));
    for (size_t i = 1; i < n; i++) {
        TRY(buf_printf(out, " %s=", fields[i].key));
        TRY(put_value(out, &fields[i]));
    }
    if (trace) {
        TRY(buf_append(out, BYTES_LIT(" trace_id=")));
        TRY(put_string(out, trace));
    }
    return buf_append_u8(out, '\n');
}

static void write_stderr(bytes_t line)
{
    while (line.len) {
        ssize_t n = write(STDERR_FILENO, line.data, line.len);
        if (n <= 0)
            return;
        line = bytes_slice(line, (size_t)n, line.len);
    }
}

void log_write(log_level_t level, const char *msg, const log_field_t *fields, size_t n_fields)
{
    error_slot_t saved = *error_slot(); /* logging an error leaves its text in place */
    AUTO(buf_t) line;
    buf_init(&line, LINE_MAX_BYTES);
    err_t e = (is_text ? put_text : put_json)(&line, level, msg, fields, n_fields);
    if (e) { /* too long for a line, or no memory */
        buf_clear(&line);
        e = put_json(&line, level, msg, NULL, 0);
    }
    *error_slot() = saved;
    if (e)
        return;
    for (size_t i = 0; i < TAPS_MAX; i++)
        if (taps[i].fn)
            taps[i].fn(taps[i].arg, level, buf_bytes(&line));
    if (sink_fn)
        sink_fn(sink_arg, level, buf_bytes(&line));
    else
        write_stderr(buf_bytes(&line));
}
