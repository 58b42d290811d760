#include "meta/json.h"
#include "multi/multibase.h"
#include <string.h>

const char *json_time_text(int64_t at_ms, char out[RFC3339_MAX])
{
    int64_t seconds = at_ms / 1000, rest = at_ms % 1000;
    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    return rfc3339_print(seconds, (uint32_t)rest * 1000000, out);
}

json_t *json_time(int64_t at_ms)
{
    char text[RFC3339_MAX];
    return json_string(json_time_text(at_ms, text));
}

err_t base64_text(bytes_t data, char *out, size_t cap)
{
    buf_t text;
    buf_init(&text, cap - 1);
    err_t e = multibase_encode_raw(MB_BASE64PAD, data, &text);
    if (!e) {
        memcpy(out, text.data, text.len);
        out[text.len] = 0;
    }
    if (text.data)
        secret_wipe(text.data, text.len);
    buf_deinit(&text);
    return e;
}

err_t base64_bytes(const char *text, uint8_t *out, size_t len)
{
    buf_t data;
    buf_init(&data, len + 2);
    err_t e = multibase_decode_raw(MB_BASE64PAD, bytes_str(text), &data);
    if (!e && data.len != len)
        e = ERR_INVALID;
    if (!e)
        memcpy(out, data.data, len);
    if (data.data)
        secret_wipe(data.data, data.len);
    buf_deinit(&data);
    return e ? fail(ERR_INVALID, "not the base64 of %zu bytes", len) : OK;
}

err_t json_get_text(json_t *o, const char *key, const char *otherwise, const char **ret)
{
    json_t *v = json_object_get(o, key);
    if (v && !json_is_string(v))
        return fail(ERR_INVALID, "%s must be a text", key);
    if (v && strlen(json_string_value(v)) != json_string_length(v))
        return fail(ERR_INVALID, "%s holds a NUL", key);
    *ret = v ? json_string_value(v) : otherwise;
    return OK;
}

err_t json_get_number(json_t *o, const char *key, int64_t otherwise, int64_t max, int64_t *ret)
{
    json_t *v = json_object_get(o, key);
    if (v && (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max))
        return fail(ERR_INVALID, "%s must be a whole number from 0 to %lld", key, (long long)max);
    *ret = v ? json_integer_value(v) : otherwise;
    return OK;
}

err_t json_get_bool(json_t *o, const char *key, bool otherwise, bool *ret)
{
    json_t *v = json_object_get(o, key);
    if (v && !json_is_boolean(v))
        return fail(ERR_INVALID, "%s must be true or false", key);
    *ret = v ? json_is_true(v) : otherwise;
    return OK;
}

err_t json_check_members(json_t *o, const char *const *keys, const char *const *required)
{
    const char *key;
    json_t *value;
    if (!json_is_object(o))
        return fail(ERR_INVALID, "the body must be a JSON object");
    json_object_foreach(o, key, value)
    {
        size_t i = 0;
        while (keys[i] && strcmp(keys[i], key))
            i++;
        if (!keys[i])
            return fail(ERR_INVALID, "unknown member \"%.64s\"", key);
    }
    for (size_t i = 0; required && required[i]; i++)
        if (!json_object_get(o, required[i]))
            return fail(ERR_INVALID, "%s is missing", required[i]);
    return OK;
}
