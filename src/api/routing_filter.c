#include "api/routing_filter.h"
#include "multi/multiaddr_protocol.h"
#include <ctype.h>

err_t routing_filter_parse(const char *text, routing_filter_t *ret)
{
    ret->n = 0;
    if (!text || !*text)
        return OK;
    if (strlen(text) >= sizeof ret->text)
        return fail(ERR_USAGE, "a filter of more than %d bytes", ROUTING_FILTER_MAX_BYTES - 1);
    char *out = ret->text;
    ret->names[ret->n++] = out;
    for (const char *p = text; *p; p++) {
        if (*p != ',') {
            *out++ = (char)tolower((unsigned char)*p);
            continue;
        }
        *out++ = 0;
        if (ret->n == ROUTING_FILTER_NAMES)
            return fail(ERR_USAGE, "a filter of more than %d names", ROUTING_FILTER_NAMES);
        ret->names[ret->n++] = out;
    }
    *out = 0;
    return OK;
}

static bool has_protocol(const multiaddr_t *addr, const char *name)
{
    const ma_protocol_t *wanted = ma_protocol_by_name(bytes_str(name));
    multiaddr_part_t part;
    for (size_t at = 0; wanted && multiaddr_next(addr, &at, &part);)
        if (part.code == wanted->code)
            return true;
    return false;
}

bool routing_filter_addr(const routing_filter_t *f, const multiaddr_t *addr)
{
    bool has_positive = false, is_wanted = false;
    for (size_t i = 0; i < f->n; i++) {
        bool is_negative = f->names[i][0] == '!';
        bool has = has_protocol(addr, f->names[i] + is_negative);
        if (is_negative && has)
            return false;
        has_positive |= !is_negative;
        is_wanted |= !is_negative && has;
    }
    return is_wanted || !has_positive;
}

bool routing_filter_unknown(const routing_filter_t *f)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->names[i], "unknown"))
            return true;
    return !f->n;
}
