#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *text;
    int http_status, rpc_code, exit_code;
} table[ERR_COUNT] = {
#define X(name, text, http, rpc, exit) [name] = {#name, text, http, rpc, exit},
    ERROR_TABLE(X)
#undef X
};

static _Thread_local error_slot_t thread_slot;
static _Thread_local error_slot_t *current_slot;

error_slot_t *error_slot(void)
{
    return current_slot ? current_slot : &thread_slot;
}

void error_set_slot(error_slot_t *slot)
{
    current_slot = slot;
}

/* Texts end up in terminals and logs, and parts of them come from peers. */
static void escape_into(char *out, size_t cap, const char *in)
{
    size_t n = 0;
    for (; *in; in++) {
        unsigned char c = (unsigned char)*in;
        if (c >= 0x20 && c != 0x7f) {
            if (n + 1 >= cap)
                break;
            out[n++] = (char)c;
        } else {
            if (n + 4 >= cap)
                break;
            n += (size_t)snprintf(out + n, cap - n, "\\x%02x", c);
        }
    }
    out[n] = 0;
}

static void record(const char *file, int line, err_t code, const char *text)
{
    error_slot_t *slot = error_slot();
    const char *slash = strrchr(file, '/');
    slot->code = code;
    slot->file = slash ? slash + 1 : file;
    slot->line = line;
    escape_into(slot->text, sizeof slot->text, text);
}

err_t error_record(const char *file, int line, err_t code, const char *fmt, ...)
{
    assert(code > OK && code < ERR_COUNT);
    char text[ERROR_TEXT_MAX]; /* the arguments may point into the slot */
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    record(file, line, code, text);
    return code;
}

err_t error_wrap(const char *file, int line, err_t code, const char *fmt, ...)
{
    assert(code > OK && code < ERR_COUNT);
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof text)
        snprintf(text + n, sizeof text - (size_t)n, ": %s", error_text(code));
    record(file, line, code, text);
    return code;
}

err_t error_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return OK;
    case EAGAIN:
        return ERR_AGAIN;
    case ECANCELED:
        return ERR_CANCELED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ENOENT:
    case ENOTDIR:
        return ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return ERR_EXISTS;
    case EADDRINUSE:
    case EBUSY:
    case ETXTBSY:
        return ERR_IN_USE;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_DENIED;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case ENOMEM:
    case ENOBUFS:
        return ERR_NO_MEMORY;
    case EMFILE:
    case ENFILE:
    case EFBIG:
        return ERR_LIMIT;
    case EINVAL:
    case ENAMETOOLONG:
    case EISDIR:
    case ELOOP:
    case EXDEV:
        return ERR_INVALID;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
        return ERR_UNSUPPORTED;
    case ECONNREFUSED:
        return ERR_REFUSED;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return ERR_RESET;
    case ENOTCONN:
    case EBADF:
    case ESHUTDOWN:
        return ERR_CLOSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
        return ERR_UNREACHABLE;
    default:
        return ERR_IO;
    }
}

const char *error_text(err_t code)
{
    assert(code >= OK && code < ERR_COUNT);
    const error_slot_t *slot = error_slot();
    return code && slot->code == code && slot->text[0] ? slot->text : table[code].text;
}

const char *error_name(err_t code)
{
    assert(code >= OK && code < ERR_COUNT);
    return table[code].name;
}

int error_http_status(err_t code)
{
    assert(code >= OK && code < ERR_COUNT);
    return table[code].http_status;
}

int error_rpc_code(err_t code)
{
    assert(code >= OK && code < ERR_COUNT);
    return table[code].rpc_code;
}

int error_exit_code(err_t code)
{
    assert(code >= OK && code < ERR_COUNT);
    return table[code].exit_code;
}
