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

static gateway_format_t format_of_accept(bytes_t accept, bytes_t *ret_params)
{
    while (accept.len) {
        bytes_t params, type = cut(cut(accept, ',', &accept), ';', &params);
        gateway_format_t f = format_of_type(trim(type));
        if (f != GATEWAY_FORMAT_WEB) {
            *ret_params = params;
            return f;
        }
    }
    return GATEWAY_FORMAT_WEB;
}

gateway_format_t gateway_format_of(bytes_t format, const char *accept, bytes_t *ret_params)
{
    bytes_t params = BYTES_NONE;
    gateway_format_t accepted = accept ? format_of_accept(bytes_str(accept), &params) : GATEWAY_FORMAT_WEB;
    *ret_params = params;
    for (gateway_format_t f = GATEWAY_FORMAT_RAW; format.len && f < GATEWAY_FORMAT_UNKNOWN; f++)
        if (bytes_equal(format, bytes_str(formats[f].word))) {
            if (f != accepted)
                *ret_params = BYTES_NONE;
            return f;
        }
    return accepted;
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
