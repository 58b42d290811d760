#include "print/json_values.h"
#include "base/json_depth.h"

void json_values_init(json_values_t *v, size_t max_bytes)
{
    *v = (json_values_t){.given = 0};
    buf_init(&v->pending, max_bytes);
}

void json_values_deinit(json_values_t *v)
{
    buf_deinit(&v->pending);
}

err_t json_values_feed(json_values_t *v, bytes_t data)
{
    return buf_append(&v->pending, data);
}

static bool scan(json_values_t *v)
{
    while (v->scanned < v->pending.len) {
        uint8_t byte = v->pending.data[v->scanned++];
        bool closes = json_depth_take(&v->at, byte) == JSON_DEPTH_CLOSES && v->at.depth && !--v->at.depth;
        if (closes || (byte == '\n' && !v->at.depth && !v->at.in_string))
            return true;
    }
    return false;
}

bool json_values_next(json_values_t *v, bool at_end, bytes_t *ret_value)
{
    while (scan(v) || (at_end && v->given < v->scanned)) {
        bytes_t value = bytes_slice(buf_bytes(&v->pending), v->given, v->scanned - v->given);
        v->given = v->scanned;
        v->at = (json_depth_t){0};
        if (value.data[value.len - 1] == '\n')
            value.len--;
        *ret_value = value;
        if (value.len)
            return true;
    }
    buf_consume(&v->pending, v->given);
    v->scanned -= v->given;
    v->given = 0;
    return false;
}

err_t json_value_print(print_t *p, bytes_t text, print_fn print)
{
    json_error_t why;
    TRY(json_check_depth(text, JSON_DEPTH_MAX));
    json_t *object = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!object)
        return fail(ERR_PROTOCOL, "the node's answer is not JSON: %s", why.text);
    err_t e = print(p, object);
    json_decref(object);
    return e;
}
