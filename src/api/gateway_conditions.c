/* gateway_conditions: requests that only count when the client has, or has not, the content already. Spec:
 * RFC 9110, 13. */
#include "api/gateway.h"
#include "wire/http_date.h"
#include <strings.h>

/* The entity tag at the front, with its quotes and "W/"; empty when there is none: a tag may hold commas. */
static bytes_t next_tag(bytes_t *list)
{
    while (list->len && strchr(" \t,", list->data[0]) && list->data[0])
        *list = bytes_slice(*list, 1, list->len);
    size_t start = bytes_starts_with(*list, BYTES_LIT("W/")) ? 2 : 0;
    if (list->len <= start || list->data[start] != '"')
        return BYTES_NONE;
    for (size_t i = start + 1; i < list->len && list->data[i] > ' ' && list->data[i] != 0x7f; i++)
        if (list->data[i] == '"') {
            bytes_t tag = bytes_slice(*list, 0, i + 1);
            *list = bytes_slice(*list, i + 1, list->len);
            return tag;
        }
    return BYTES_NONE;
}

static bytes_t without_weakness(bytes_t tag)
{
    return bytes_starts_with(tag, BYTES_LIT("W/")) ? bytes_slice(tag, 2, tag.len) : tag;
}

bool gateway_tags_match(bytes_t list, const char *etag, bool is_strong)
{
    bytes_t own = bytes_str(etag), tag;
    while ((tag = next_tag(&list)).len) {
        bool is_weak = tag.data[0] == 'W' || own.data[0] == 'W';
        if (bytes_equal(without_weakness(tag), without_weakness(own)) && !(is_strong && is_weak))
            return true;
    }
    return list.len && list.data[0] == '*';
}

bool gateway_is_unchanged(exchange_t *x, const char *etag)
{
    const char *header = exchange_header(x, "If-None-Match");
    return header && gateway_tags_match(bytes_str(header), etag, false);
}

/* False also when the date cannot be read, or nothing says when the content was changed. */
static bool has_date(const gateway_request_t *r, const char *name, int64_t *ret)
{
    const char *header = r->modified_s ? exchange_header(r->x, name) : NULL;
    return header && !http_date_parse(header, ret);
}

bool gateway_is_unchanged_since(const gateway_request_t *r)
{
    int64_t since;
    const char *tags = exchange_header(r->x, "If-None-Match"); /* says it better */
    return !(tags && *tags) && has_date(r, "If-Modified-Since", &since) && r->modified_s <= since;
}

bool gateway_is_another(const gateway_request_t *r, const char *etag)
{
    int64_t since;
    const char *tags = exchange_header(r->x, "If-Match");
    if (tags && *tags)
        return !gateway_tags_match(bytes_str(tags), etag, true);
    return has_date(r, "If-Unmodified-Since", &since) && r->modified_s > since;
}

const char *gateway_range_header(const gateway_request_t *r, const char *etag)
{
    int64_t since;
    const char *range = exchange_header(r->x, "Range");
    const char *condition = range ? exchange_header(r->x, "If-Range") : NULL;
    if (!condition || !*condition)
        return range;
    if (strchr(condition, '"'))
        return gateway_tags_match(bytes_str(condition), etag, true) ? range : NULL;
    return has_date(r, "If-Range", &since) && since == r->modified_s ? range : NULL;
}
