/* log: JSON lines (or text for people) on stderr or to a sink that tests set.
 *
 *   log_info("block added", LOG_STR("cid", text), LOG_INT("size", n));
 *
 * Strings are escaped; levels below the threshold cost one comparison. No key, token or plaintext
 * is ever passed here. The time stamp comes from log_set_clock (wall clock, ms since 1970). */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/bytes.h"

typedef enum { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level_t;
typedef struct log_field {
    const char *key;
    enum { LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_UINT, LOG_KIND_DOUBLE, LOG_KIND_BOOL } kind;
    union {
        const char *str;
        int64_t i;
        uint64_t u;
        double d;
    };
} log_field_t;
#define LOG_STR(k, v) ((log_field_t){.key = (k), .kind = LOG_KIND_STR, .str = (v)})
#define LOG_INT(k, v) ((log_field_t){.key = (k), .kind = LOG_KIND_INT, .i = (int64_t)(v)})
#define LOG_UINT(k, v) ((log_field_t){.key = (k), .kind = LOG_KIND_UINT, .u = (uint64_t)(v)})
#define LOG_DOUBLE(k, v) ((log_field_t){.key = (k), .kind = LOG_KIND_DOUBLE, .d = (v)})
#define LOG_BOOL(k, v) ((log_field_t){.key = (k), .kind = LOG_KIND_BOOL, .u = (v)})
/* {"error": text of the newest failure with this code} */
#define LOG_ERR(e) LOG_STR("error", error_text(e))

extern log_level_t log_threshold; /* of what is built at all: the most talkative level that somebody wants */
#define log_at(level, msg, ...)                                                                              \
    do {                                                                                                     \
        if ((level) <= log_threshold && log_wants(__FILE__, (level)))                                        \
            log_write((level), (msg), (log_field_t[]){{0}, ##__VA_ARGS__},                                   \
                      sizeof((log_field_t[]){{0}, ##__VA_ARGS__}) / sizeof(log_field_t));                    \
    } while (0)
#define log_error(msg, ...) log_at(LOG_ERROR, msg, ##__VA_ARGS__)
#define log_warn(msg, ...) log_at(LOG_WARN, msg, ##__VA_ARGS__)
#define log_info(msg, ...) log_at(LOG_INFO, msg, ##__VA_ARGS__)
#define log_debug(msg, ...) log_at(LOG_DEBUG, msg, ##__VA_ARGS__)
/* Levels: one for all, and one for each subsystem, a folder of src, that was given its own. */
void log_set_level(log_level_t level); /* of all of them */
log_level_t log_default_level(void);
MUST_CHECK err_t log_set_subsystem_level(const char *subsystem, log_level_t level);  /* ERR_NOT_FOUND */
MUST_CHECK err_t log_subsystem_level(const char *subsystem, log_level_t *ret_level); /* ERR_NOT_FOUND */
const char *log_subsystem(size_t n); /* the n-th name, NULL behind the last */
const char *log_level_name(log_level_t level);
bool log_wants(const char *file, log_level_t level);
/* fields[0] is a placeholder and ignored. */
void log_write(log_level_t level, const char *msg, const log_field_t *fields, size_t n_fields);
MUST_CHECK err_t log_level_parse(const char *text, log_level_t *ret_level);
void log_set_text_format(bool text);
void log_set_clock(uint64_t (*wall_ms)(void *), void *arg);
void log_set_sink(void (*sink)(void *arg, log_level_t, bytes_t line), void *arg); /* NULL: stderr */
/* Gets a copy of each line that is written; in a list of up to 16. ERR_LIMIT. Must not log. */
MUST_CHECK err_t log_add_tap(void (*tap)(void *arg, log_level_t, bytes_t line), void *arg);
void log_remove_tap(void *arg);
/* The trace id of the running task, put on each line while set; NULL: none. Borrowed. The scheduler
 * keeps one per task. */
void log_set_trace(const char *trace_id);
const char *log_trace(void);
#endif
