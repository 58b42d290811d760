#include "api/gateway_format.h"
#include <strings.h>

typedef struct format_name {
    const char *word, *type;
} format_name_t;
static const format_name_t formats[] = {
    [GATEWAY_FORMAT_WEB] = {"", ""},
    [GATEWAY_FORMAT_RAW] = {"raw", "application/vnd.ipld.raw"},
    [GATEWAY_FORMAT_CAR] = {"car", "application/vnd.ipld.car"},
    [GATEWAY_FORMAT_TAR] = {"tar", "application/x-tar"},
    [GATEWAY_FORMAT_JSON] = {"json", "application/json"},
    [GATEWAY_FORMAT_CBOR] = {"cbor", "application/cbor"},
    [GATEWAY_FORMAT_DAG_JSON] = {"dag-json", "application/vnd.ipld.dag-json"},
    [GATEWAY_FORMAT_DAG_CBOR] = {"dag-cbor", "application/vnd.ipld.dag-cbor"},
    [GATEWAY_FORMAT_IPNS_RECORD] = {"ipns-record", "application/vnd.ipfs.ipns-record"},
    [GATEWAY_FORMAT_UNKNOWN] = {"", ""},
};

const char *gateway_format_word(gateway_format_t f)
{
    return formats[f].word;
}

const char *gateway_format_type(gateway_format_t f)
{
    return formats[f].type;
}

static bytes_t trim(bytes_t b)
{
    while (b.len && (b.data[0] == ' ' || b.data[0] == '\t'))
        b = bytes_slice(b, 1, b.len);
    while (b.len && (b.data[b.len - 1] == ' ' || b.data[b.len - 1] == '\t'))
        b.len--;
    return b;
}

/* Cuts at the first `sign` that is not inside quotes; *rest is what follows it. */
static bytes_t cut(bytes_t text, uint8_t sign, bytes_t *rest)
{
    bool is_quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        if (is_quoted && text.data[i] == '\\')
            i++;
        else if (text.data[i] == '"')
            is_quoted = !is_quoted;
        else if (text.data[i] == sign && !is_quoted) {
            *rest = bytes_slice(text, i + 1, text.len);
            return bytes_slice(text, 0, i);
        }
    }
    *rest = BYTES_NONE;
    return text;
}

static bool equals_type(bytes_t type, const char *name)
{
    return type.len == strlen(name) && !strncasecmp((const char *)type.data, name, type.len);
}

static bool starts_type(bytes_t type, const char *prefix)
{
    return type.len >= strlen(prefix) && !strncasecmp((const char *)type.data, prefix, strlen(prefix));
}

static gateway_format_t format_of_type(bytes_t type)
{
    for (gateway_format_t f = GATEWAY_FORMAT_RAW; f < GATEWAY_FORMAT_UNKNOWN; f++)
        if (equals_type(type, formats[f].type))
            return f;
    bool is_ours = starts_type(type, "application/vnd.ipld") || starts_type(type, "application/vnd.ipfs");
    return is_ours ? GATEWAY_FORMAT_UNKNOWN : GATEWAY_FORMAT_WEB;
}

bool gateway_format_next_param(bytes_t *params, bytes_t *ret_name, bytes_t *ret_value)
{
    while (params->len) {
        bytes_t value, pair = trim(cut(*params, ';', params));
        bytes_t name = trim(cut(pair, '=', &value));
        value = trim(value);
        if (value.len > 1 && value.data[0] == '"' && value.data[value.len - 1] == '"')
            value = bytes_slice(value, 1, value.len - 2);
        if (!name.len)
            continue;
        *ret_name = name;
        *ret_value = value;
        return true;
    }
    return false;
}

bytes_t gateway_format_param(bytes_t params, const char *name)
{
    bytes_t key, value;
    while (gateway_format_next_param(&params, &key, &value))
        if (equals_type(key, name))
            return value;
    return BYTES_NONE;
}

/* ── preference (RFC 9110, 12.5.1) ───────────────────────────────────────────────────────────── */

enum { QUALITY_MAX = 1000 };

/* "q" in thousandths; what cannot be read is as if it were absent. */
static unsigned quality_of(bytes_t params)
{
    bytes_t q = gateway_format_param(params, "q");
    unsigned value = 0, unit = QUALITY_MAX;
    if (!q.len || q.len > 5 || (q.len > 1 && q.data[1] != '.'))
        return QUALITY_MAX;
    for (size_t i = 0; i < q.len; i++) {
        if (i == 1)
            continue;
        if (q.data[i] < '0' || q.data[i] > '9')
            return QUALITY_MAX;
        value += (unsigned)(q.data[i] - '0') * unit;
        unit /= 10;
    }
    return value < QUALITY_MAX ? value : QUALITY_MAX;
}

static bool is_one_of(bytes_t value, const char *first, const char *second)
{
    return !value.len || bytes_equal(value, bytes_str(first)) || bytes_equal(value, bytes_str(second));
}

static bool is_served(gateway_format_t f, bytes_t params)
{
    return f != GATEWAY_FORMAT_UNKNOWN &&
           (f != GATEWAY_FORMAT_CAR || (is_one_of(gateway_format_param(params, "version"), "1", "1") &&
                                        is_one_of(gateway_format_param(params, "order"), "dfs", "unk") &&
                                        is_one_of(gateway_format_param(params, "dups"), "y", "n")));
}

/* The type that is liked best, of equals the first; what is not served only when nothing else is there. With
 * `only` the others do not count. */
static gateway_format_t format_of_accept(bytes_t accept, gateway_format_t only, bytes_t *ret_params)
{
    gateway_format_t best = GATEWAY_FORMAT_WEB;
    unsigned best_rank = 0;
    while (accept.len) {
        bytes_t params, type = cut(cut(accept, ',', &accept), ';', &params);
        gateway_format_t f = format_of_type(trim(type));
        if (f == GATEWAY_FORMAT_WEB || (only != GATEWAY_FORMAT_WEB && f != only))
            continue;
        unsigned rank = quality_of(params);
        if (rank && is_served(f, params))
            rank += QUALITY_MAX;
        if (rank <= best_rank)
            continue;
        best = f;
        best_rank = rank;
        *ret_params = params;
    }
    return best;
}

gateway_format_t gateway_format_of(bytes_t format, const char *accept, bytes_t *ret_params)
{
    gateway_format_t wanted = GATEWAY_FORMAT_WEB;
    for (gateway_format_t f = GATEWAY_FORMAT_RAW; format.len && f < GATEWAY_FORMAT_UNKNOWN; f++)
        if (bytes_equal(format, bytes_str(formats[f].word)))
            wanted = f;
    *ret_params = BYTES_NONE;
    gateway_format_t accepted =
        accept ? format_of_accept(bytes_str(accept), wanted, ret_params) : GATEWAY_FORMAT_WEB;
    return wanted == GATEWAY_FORMAT_WEB ? accepted : wanted;
}
