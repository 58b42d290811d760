/* error: the one error type. 0 is success; any other value is a name from the table below.
 *
 * A function that can fail returns err_t and gives its results through `ret_…` parameters, which
 * stay untouched on failure. `fail(ERR_X, "why %s", …)` returns ERR_X and records one line of text
 * and the place; the text belongs to the running task (or thread) until its next fail().
 * A peer's misbehaviour is an error; a bug of ours is an assert, and asserts stay on. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* name, text, HTTP status, RPC code (Kubo: 0 normal, 1 client, 4 not implemented), exit code */
#define ERROR_TABLE(X)                                                                                       \
    X(OK, "ok", 200, 0, 0)                                                                                   \
    X(ERR_AGAIN, "would block", 503, 0, 1)                                                                   \
    X(ERR_CANCELED, "canceled", 503, 0, 1)                                                                   \
    X(ERR_TIMEOUT, "timed out", 504, 0, 1)                                                                   \
    X(ERR_EOF, "unexpected end of data", 502, 0, 1)                                                          \
    X(ERR_IO, "input/output error", 500, 0, 1)                                                               \
    X(ERR_NO_SPACE, "no space left", 507, 0, 1)                                                              \
    X(ERR_NO_MEMORY, "out of memory", 503, 0, 1)                                                             \
    X(ERR_LIMIT, "limit reached", 429, 0, 1)                                                                 \
    X(ERR_NOT_FOUND, "not found", 404, 0, 1)                                                                 \
    X(ERR_EXISTS, "already exists", 409, 0, 1)                                                               \
    X(ERR_NOT_EMPTY, "not empty", 409, 0, 1)                                                                 \
    X(ERR_IN_USE, "in use", 409, 0, 1)                                                                       \
    X(ERR_DENIED, "permission denied", 403, 0, 1)                                                            \
    X(ERR_BLOCKED, "blocked and cannot be provided", 410, 0, 1)                                              \
    X(ERR_UNAUTHORIZED, "not authorized", 401, 0, 1)                                                         \
    X(ERR_USAGE, "wrong usage", 400, 1, 2)                                                                   \
    X(ERR_INVALID, "invalid data", 400, 0, 1)                                                                \
    X(ERR_UNSUPPORTED, "not supported", 501, 4, 1)                                                           \
    X(ERR_CORRUPT, "corrupt data", 500, 0, 1)                                                                \
    X(ERR_REFUSED, "refused", 502, 0, 1)                                                                     \
    X(ERR_RESET, "connection reset", 502, 0, 1)                                                              \
    X(ERR_CLOSED, "closed", 503, 0, 1)                                                                       \
    X(ERR_UNREACHABLE, "unreachable", 502, 0, 1)                                                             \
    X(ERR_PROTOCOL, "protocol violation", 502, 0, 1)                                                         \
    X(ERR_CRYPTO, "cryptographic check failed", 502, 0, 1)                                                   \
    X(ERR_OFFLINE, "the node is offline", 503, 0, 1)

typedef enum err {
#define X(name, text, http, rpc, exit) name,
    ERROR_TABLE(X)
#undef X
        ERR_COUNT
} err_t;

#define MUST_CHECK __attribute__((warn_unused_result))

/* One recorded failure. `where` is "file.c:line". */
#define ERROR_TEXT_MAX 320
typedef struct error_slot {
    err_t code;
    const char *file;
    int line;
    char text[ERROR_TEXT_MAX];
} error_slot_t;

/* Records code and text and returns code. The text says what failed, with what, and, if the user
 * can do something, what; it never holds a secret. Control bytes in it are escaped. */
/* A comma expression, so that the compiler sees that the result is the code. */
#define fail(code, ...) (error_record(__FILE__, __LINE__, (code), __VA_ARGS__), (code))
err_t error_record(const char *file, int line, err_t code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* As fail(), with ": " and the text recorded so far (when its code is `code`) behind the new text. */
#define fail_also(code, ...) (error_wrap(__FILE__, __LINE__, (code), __VA_ARGS__), (code))
err_t error_wrap(const char *file, int line, err_t code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Turns an errno value (positive) into an err_t: ENOENT -> ERR_NOT_FOUND, ENOSPC -> ERR_NO_SPACE … */
err_t error_from_errno(int errno_value);

/* The text of the newest fail() when its code is `code`, else the table's text. Valid until the
 * next fail() of this task; never NULL. */
const char *error_text(err_t code);
const char *error_name(err_t code); /* "ERR_IO" */
int error_http_status(err_t code);
int error_rpc_code(err_t code);
int error_exit_code(err_t code);

/* The slot that fail() writes to: each thread has one; the task scheduler sets one per task while
 * it runs (NULL: back to the thread's own). */
error_slot_t *error_slot(void);
void error_set_slot(error_slot_t *slot);

/* Passes an error on. The only control-flow macro of the project. */
#define TRY(expr)                                                                                            \
    do {                                                                                                     \
        err_t try_e_ = (expr);                                                                               \
        if (try_e_)                                                                                          \
            return try_e_;                                                                                   \
    } while (0)

/* AUTO(buf_t) b = …; calls buf_deinit(&b) when b leaves its scope. The type's prefix names the
 * function: buf_t -> buf_t_auto, defined next to it with AUTO_DEFINE(buf_t, buf_deinit). */
#define AUTO(type) __attribute__((cleanup(type##_auto), unused)) type
#define AUTO_DEFINE(type, deinit)                                                                            \
    static inline void type##_auto(type *p)                                                                  \
    {                                                                                                        \
        deinit(p);                                                                                           \
    }
/* AUTO_PTR(block_t) b = …; calls block_t_auto_ptr, which releases a non-NULL pointer. */
#define AUTO_PTR(type) __attribute__((cleanup(type##_auto_ptr), unused)) type *
#define AUTO_PTR_DEFINE(type, release)                                                                       \
    static inline void type##_auto_ptr(type **p)                                                             \
    {                                                                                                        \
        if (*p)                                                                                              \
            release(*p);                                                                                     \
    }

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#endif
