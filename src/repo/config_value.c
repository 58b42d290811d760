/* Typed values of the config: numbers with units, lists, defaults. */
#include "dag/import_options.h"
#include "repo/config_impl.h"
#include <stdlib.h>
#include <strings.h>

const char *config_str(const config_t *c, const char *path, const char *otherwise)
{
    const char *text = json_string_value(config_json(c, path));
    return text ? text : otherwise;
}

bool config_bool(const config_t *c, const char *path, bool otherwise)
{
    json_t *value = config_json(c, path);
    if (json_is_boolean(value))
        return json_is_true(value);
    const char *text = json_string_value(value); /* Kubo's flags may be words */
    if (text && (strcasecmp(text, "true") == 0 || strcasecmp(text, "enabled") == 0))
        return true;
    if (text && (strcasecmp(text, "false") == 0 || strcasecmp(text, "disabled") == 0))
        return false;
    return otherwise;
}

int64_t config_int(const config_t *c, const char *path, int64_t otherwise)
{
    json_t *value = config_json(c, path);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double config_double(const config_t *c, const char *path, double otherwise)
{
    json_t *value = config_json(c, path);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

uint64_t config_size(const config_t *c, const char *path, uint64_t otherwise)
{
    json_t *value = config_json(c, path);
    uint64_t size;
    if (json_is_integer(value))
        return json_integer_value(value) < 0 ? otherwise : (uint64_t)json_integer_value(value);
    if (json_is_string(value) && !parse_size(json_string_value(value), &size))
        return size;
    return otherwise;
}

uint64_t config_shard_threshold(const config_t *c)
{
    uint64_t older = config_size(c, "Internal.UnixFSShardingSizeThreshold", IMPORT_SHARD_THRESHOLD);
    return config_size(c, "Import.UnixFSHAMTDirectorySizeThreshold", older);
}

uint64_t config_duration_ms(const config_t *c, const char *path, uint64_t otherwise_ms)
{
    json_t *value = config_json(c, path);
    uint64_t ms;
    if (json_is_integer(value))
        return json_integer_value(value) < 0 ? otherwise_ms : (uint64_t)json_integer_value(value) / 1000000;
    if (json_is_string(value) && !parse_duration_ms(json_string_value(value), &ms))
        return ms;
    return otherwise_ms;
}

size_t config_count(const config_t *c, const char *path)
{
    return json_array_size(config_json(c, path));
}

const char *config_item(const config_t *c, const char *path, size_t n)
{
    json_t *item = json_array_get(config_json(c, path), n);
    return !item ? NULL : json_is_string(item) ? json_string_value(item) : "";
}

bool config_has(const config_t *c, const char *path)
{
    json_t *value = config_json(c, path);
    return value && !json_is_null(value);
}

/* ── numbers with units ──────────────────────────────────────────────────────────────────────── */
typedef struct unit {
    const char *name;
    double factor;
} unit_t;

/* digits[.digits] and then one of the units; moves *text behind them. */
static bool read_unit(const char **text, const unit_t *units, size_t n, double *ret)
{
    const char *p = *text;
    double value = 0, place = 0.1;
    size_t digits = 0;
    for (; *p >= '0' && *p <= '9'; p++, digits++)
        value = 10 * value + (*p - '0');
    if (*p == '.')
        for (p++; *p >= '0' && *p <= '9'; p++, digits++, place /= 10)
            value += place * (*p - '0');
    while (*p == ' ')
        p++;
    size_t best = n;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(units[i].name);
        if (strncasecmp(p, units[i].name, len) == 0 && (best == n || len > strlen(units[best].name)))
            best = i;
    }
    if (!digits || digits > 25 || best == n)
        return false;
    *ret = value * units[best].factor;
    *text = p + strlen(units[best].name);
    return true;
}

err_t parse_size(const char *text, uint64_t *ret_bytes)
{
    static const unit_t units[] = {
        {"", 1},        {"b", 1},        {"k", 1e3},        {"kb", 1e3},
        {"m", 1e6},     {"mb", 1e6},     {"g", 1e9},        {"gb", 1e9},
        {"t", 1e12},    {"tb", 1e12},    {"p", 1e15},       {"pb", 1e15},
        {"ki", 1024.0}, {"kib", 1024.0}, {"mi", 1048576.0}, {"mib", 1048576.0},
        {"gi", 0x1p30}, {"gib", 0x1p30}, {"ti", 0x1p40},    {"tib", 0x1p40},
        {"pi", 0x1p50}, {"pib", 0x1p50},
    };
    const char *p = text;
    double value;
    if (!read_unit(&p, units, ARRAY_LEN(units), &value) || *p || !(value < 0x1p63))
        return fail(ERR_INVALID, "\"%.40s\" is not a size, like 10GB or 256KiB", text);
    *ret_bytes = (uint64_t)value;
    return OK;
}

err_t parse_duration_ms(const char *text, uint64_t *ret_ms)
{
    static const unit_t units[] = {{"h", 3600e3}, {"m", 60e3},         {"s", 1e3},   {"ms", 1},
                                   {"us", 1e-3},  {"\xc2\xb5s", 1e-3}, {"ns", 1e-6}, {"d", 86400e3}};
    const char *p = text;
    double sum = 0, value;
    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return OK;
    }
    while (*p && read_unit(&p, units, ARRAY_LEN(units), &value))
        sum += value;
    if (*p || p == text || !(sum < 0x1p63))
        return fail(ERR_INVALID, "\"%.40s\" is not a duration, like 90s or 1h30m", text);
    *ret_ms = (uint64_t)(sum + 0.5);
    return OK;
}
