#include "print/go_number.h"
#include "multi/multibase.h"
#include <inttypes.h>
#include <stdlib.h>

/* Settings that JSON has as null, true and false, and limits that it has as words. */
static const struct {
    const char *word;
    int64_t value;
} words[] = {{"unlimited", -1}, {"blockAll", -2}};

int64_t go_integer(const go_type_t *t, const json_t *value)
{
    if (json_is_boolean(value))
        return json_is_true(value) ? 1 : bytes_equal(t->name, BYTES_LIT("config.Flag")) ? -1 : 0;
    double real = json_is_real(value) ? json_real_value(value) : 0;
    if (!json_is_string(value))
        return json_is_integer(value)        ? (int64_t)json_integer_value(value)
               : real > -9e18 && real < 9e18 ? (int64_t)real
                                             : 0;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(json_string_value(value), words[i].word))
            return words[i].value;
    return strtoll(json_string_value(value), NULL, 10);
}

err_t go_number_print(const go_type_t *t, const json_t *value, buf_t *out)
{
    char text[40];
    switch (t->kind) {
    case GO_BOOL:
        return buf_printf(out, "%s", json_is_true(value) ? "true" : "false");
    case GO_FLOAT32:
    case GO_FLOAT64:
        return buf_printf(out, "%s", go_float_text(json_number_value(value), t->kind == GO_FLOAT32, text));
    case GO_UINT:
        return buf_printf(out, "%" PRIu64, (uint64_t)go_integer(t, value));
    default:
        return buf_printf(out, "%" PRId64, go_integer(t, value));
    }
}

bytes_t go_text(const json_t *value)
{
    return bytes_of(json_is_string(value) ? json_string_value(value) : "", json_string_length(value));
}

bytes_t go_cid_text(const json_t *value)
{
    const json_t *link = json_is_object(value) ? json_object_get(value, "/") : NULL;
    return json_is_string(link) ? go_text(link) : BYTES_LIT("b");
}

bytes_t go_time_text(const json_t *value)
{
    return json_is_string(value) ? go_text(value) : BYTES_LIT("0001-01-01T00:00:00Z");
}

err_t go_bytes_decode(const json_t *value, buf_t *out)
{
    return multibase_decode_raw(MB_BASE64PAD, go_text(value), out);
}

go_type_t go_value_type(const go_type_t *map, const char *key, size_t len)
{
    go_type_t value = map->kind == GO_MAP ? go_type_read(map->inner) : *map;
    go_member_t m;
    if (value.kind != GO_ANY || !value.inner)
        return value.kind == GO_ANY ? go_type_read("any") : value;
    for (const char *at = value.inner; go_type_next(&at, &m);)
        if (bytes_equal(m.name, bytes_of(key, len)))
            return m.type;
    return go_type_read("any");
}
