#include "wire/grpc.h"
#include <stdio.h>

static const uint8_t status_of[ERR_COUNT] = {
    [ERR_AGAIN] = GRPC_UNAVAILABLE,
    [ERR_CANCELED] = GRPC_CANCELLED,
    [ERR_TIMEOUT] = GRPC_DEADLINE_EXCEEDED,
    [ERR_EOF] = GRPC_INVALID_ARGUMENT,
    [ERR_IO] = GRPC_INTERNAL,
    [ERR_NO_SPACE] = GRPC_RESOURCE_EXHAUSTED,
    [ERR_NO_MEMORY] = GRPC_RESOURCE_EXHAUSTED,
    [ERR_LIMIT] = GRPC_RESOURCE_EXHAUSTED,
    [ERR_NOT_FOUND] = GRPC_NOT_FOUND,
    [ERR_EXISTS] = GRPC_ALREADY_EXISTS,
    [ERR_IN_USE] = GRPC_FAILED_PRECONDITION,
    [ERR_DENIED] = GRPC_PERMISSION_DENIED,
    [ERR_BLOCKED] = GRPC_PERMISSION_DENIED,
    [ERR_UNAUTHORIZED] = GRPC_UNAUTHENTICATED,
    [ERR_USAGE] = GRPC_INVALID_ARGUMENT,
    [ERR_INVALID] = GRPC_INVALID_ARGUMENT,
    [ERR_UNSUPPORTED] = GRPC_UNIMPLEMENTED,
    [ERR_CORRUPT] = GRPC_DATA_LOSS,
    [ERR_REFUSED] = GRPC_UNAVAILABLE,
    [ERR_RESET] = GRPC_UNAVAILABLE,
    [ERR_CLOSED] = GRPC_UNAVAILABLE,
    [ERR_UNREACHABLE] = GRPC_UNAVAILABLE,
    [ERR_PROTOCOL] = GRPC_INTERNAL,
    [ERR_CRYPTO] = GRPC_INTERNAL,
    [ERR_OFFLINE] = GRPC_UNAVAILABLE,
};

static const uint8_t error_of[GRPC_STATUS_COUNT] = {
    [GRPC_CANCELLED] = ERR_RESET, /* ours is CANCELED: then the task knows by itself */
    [GRPC_UNKNOWN] = ERR_IO,
    [GRPC_INVALID_ARGUMENT] = ERR_INVALID,
    [GRPC_DEADLINE_EXCEEDED] = ERR_TIMEOUT,
    [GRPC_NOT_FOUND] = ERR_NOT_FOUND,
    [GRPC_ALREADY_EXISTS] = ERR_EXISTS,
    [GRPC_PERMISSION_DENIED] = ERR_DENIED,
    [GRPC_RESOURCE_EXHAUSTED] = ERR_LIMIT,
    [GRPC_FAILED_PRECONDITION] = ERR_IN_USE,
    [GRPC_ABORTED] = ERR_IO,
    [GRPC_OUT_OF_RANGE] = ERR_INVALID,
    [GRPC_UNIMPLEMENTED] = ERR_UNSUPPORTED,
    [GRPC_INTERNAL] = ERR_IO,
    [GRPC_UNAVAILABLE] = ERR_UNREACHABLE,
    [GRPC_DATA_LOSS] = ERR_CORRUPT,
    [GRPC_UNAUTHENTICATED] = ERR_UNAUTHORIZED,
};

grpc_status_t grpc_status_of(err_t e)
{
    grpc_status_t s = e < ERR_COUNT ? status_of[e] : GRPC_UNKNOWN;
    return e && s == GRPC_OK ? GRPC_UNKNOWN : s;
}

err_t grpc_error_of(grpc_status_t s)
{
    return s < GRPC_STATUS_COUNT ? (err_t)error_of[s] : ERR_IO;
}

grpc_status_t grpc_status_parse(const char *text)
{
    unsigned value = 0;
    size_t n = 0;
    for (; text && text[n] >= '0' && text[n] <= '9' && n < 3; n++)
        value = value * 10 + (unsigned)(text[n] - '0');
    return !n || text[n] || value >= GRPC_STATUS_COUNT ? GRPC_UNKNOWN : (grpc_status_t)value;
}

grpc_status_t grpc_status_of_http(int status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

void grpc_prefix_encode(size_t len, uint8_t out[GRPC_PREFIX_BYTES])
{
    assert(len <= UINT32_MAX);
    out[0] = 0;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (uint8_t)(len >> (24 - 8 * i));
}

err_t grpc_prefix_decode(const uint8_t in[GRPC_PREFIX_BYTES], size_t max_bytes, size_t *ret_len)
{
    size_t len = (size_t)in[1] << 24 | (size_t)in[2] << 16 | (size_t)in[3] << 8 | in[4];
    if (in[0])
        return fail(ERR_UNSUPPORTED, "compressed messages are not spoken here");
    if (len > max_bytes)
        return fail(ERR_LIMIT, "a message of %zu bytes: at most %zu are taken", len, max_bytes);
    *ret_len = len;
    return OK;
}

const char *grpc_timeout_print(uint64_t ms, char out[GRPC_TIMEOUT_TEXT_MAX])
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'m', 1}, {'S', 1000}, {'M', 60000}, {'H', 3600000}};
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t value = ms / units[i].ms + (ms % units[i].ms != 0);
        if (value > 99999999 && i + 1 < ARRAY_LEN(units))
            continue;
        snprintf(out, GRPC_TIMEOUT_TEXT_MAX, "%u%c", (unsigned)(value > 99999999 ? 99999999 : value),
                 units[i].unit);
        break;
    }
    return out;
}

err_t grpc_timeout_parse(const char *text, uint64_t *ret_ms)
{
    uint64_t value = 0;
    size_t n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 9; n++)
        value = value * 10 + (uint64_t)(text[n] - '0');
    if (!n || n > 8 || !text[n] || text[n + 1])
        return fail(ERR_INVALID, "grpc-timeout is a number of at most 8 digits and a unit");
    switch (text[n]) {
    case 'H':
        *ret_ms = value * 3600000;
        return OK;
    case 'M':
        *ret_ms = value * 60000;
        return OK;
    case 'S':
        *ret_ms = value * 1000;
        return OK;
    case 'm':
        *ret_ms = value;
        return OK;
    case 'u':
        *ret_ms = value / 1000 + (value % 1000 != 0);
        return OK;
    case 'n':
        *ret_ms = value / 1000000 + (value % 1000000 != 0);
        return OK;
    default:
        return fail(ERR_INVALID, "grpc-timeout has no such unit: %c", text[n]);
    }
}

void grpc_message_encode(const char *text, char out[GRPC_MESSAGE_TEXT_MAX])
{
    size_t n = 0;
    for (const uint8_t *p = (const uint8_t *)text; *p && n + 4 <= GRPC_MESSAGE_TEXT_MAX; p++) {
        if (*p >= ' ' && *p <= '~' && *p != '%')
            out[n++] = (char)*p;
        else
            n += (size_t)snprintf(out + n, 4, "%%%02X", *p);
    }
    out[n] = 0;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

void grpc_message_decode(const char *text, char out[GRPC_MESSAGE_TEXT_MAX])
{
    size_t n = 0;
    while (*text && n + 1 < GRPC_MESSAGE_TEXT_MAX) {
        int high = *text == '%' ? hex_value(text[1]) : -1, low = high >= 0 ? hex_value(text[2]) : -1;
        bool is_escape = low >= 0 && (high || low); /* no NUL */
        out[n++] = is_escape ? (char)(high << 4 | low) : *text;
        text += is_escape ? 3 : 1;
    }
    out[n] = 0;
}
