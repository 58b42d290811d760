#include "api/gateway.h"
#include <strings.h>

/* Digits at *p; false when there are none or the number is too large. */
static bool read_number(const char **p, uint64_t *ret)
{
    uint64_t value = 0;
    const char *start = *p;
    for (; **p >= '0' && **p <= '9'; ++*p) {
        if (value > (UINT64_MAX - 9) / 10)
            return false;
        value = value * 10 + (uint64_t)(**p - '0');
    }
    *ret = value;
    return *p > start;
}

/* One range-spec: "5-9", "5-", "-9". False: malformed. *ret_fits: it lies (in part) within the size. */
static bool read_range(const char **p, uint64_t size, range_t *ret, bool *ret_fits)
{
    uint64_t first, last;
    *ret_fits = false;
    if (**p == '-') {
        ++*p;
        if (!read_number(p, &last))
            return false;
        if (last && size) {
            *ret = (range_t){last < size ? size - last : 0, last < size ? last : size};
            *ret_fits = true;
        }
        return true;
    }
    if (!read_number(p, &first) || **p != '-')
        return false;
    ++*p;
    if (!read_number(p, &last))
        last = UINT64_MAX;
    else if (last < first)
        return false;
    if (first < size) {
        *ret = (range_t){first, (last < size ? last : size - 1) - first + 1};
        *ret_fits = true;
    }
    return true;
}

void ranges_parse(const char *header, uint64_t size, ranges_t *ret)
{
    *ret = (ranges_t){0};
    if (!header || !size || strncasecmp(header, "bytes=", 6))
        return;
    const char *p = header + 6;
    ranges_t found = {0};
    size_t seen = 0;
    uint64_t total = 0;
    bool is_more = false; /* than the whole: overlapping ranges ask for the same bytes again and again */
    for (;;) {
        range_t one;
        bool fits;
        p += strspn(p, " \t,"); /* empty elements of a list mean nothing (RFC 9110, 5.6.1) */
        if (!*p && seen)
            break;
        if (!read_range(&p, size, &one, &fits) || ++seen > RANGES_MAX)
            return;
        if (fits) {
            found.list[found.count++] = one;
            is_more = is_more || one.len > size - total;
            total += is_more ? 0 : one.len;
        }
        p += strspn(p, " \t");
        if (!*p)
            break;
        if (*p++ != ',')
            return;
    }
    if (found.count > 1 && is_more)
        return;
    found.is_unsatisfiable = !found.count;
    *ret = found;
}
