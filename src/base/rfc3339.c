#include "base/rfc3339.h"
#include <stdio.h>
#include <time.h>

enum { DAY_S = 86400 };

const char *rfc3339_print(int64_t seconds, uint32_t nanoseconds, char out[RFC3339_MAX])
{
    static const char year_one[] = "0001-01-01T00:00:00";
    time_t when = seconds;
    struct tm tm;
    size_t n = gmtime_r(&when, &tm) && tm.tm_year >= 1 - 1900 && tm.tm_year <= 9999 - 1900
                   ? (size_t)snprintf(out, RFC3339_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                                      tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec)
                   : (size_t)snprintf(out, RFC3339_MAX, "%s", year_one);
    if (nanoseconds) {
        n += (size_t)snprintf(out + n, RFC3339_MAX - n, ".%09u", nanoseconds % 1000000000);
        while (out[n - 1] == '0')
            n--;
    }
    memcpy(out + n, "Z", 2);
    return out;
}

/* ── parsing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct scan {
    bytes_t left;
    bool is_bad;
} scan_t;

static int scan_number(scan_t *s, size_t digits, int min, int max)
{
    int value = 0;
    for (size_t i = 0; i < digits; i++) {
        uint8_t c = i < s->left.len ? s->left.data[i] : 0;
        s->is_bad |= c < '0' || c > '9';
        value = value * 10 + (s->is_bad ? 0 : c - '0');
    }
    s->is_bad |= value < min || value > max;
    s->left = bytes_slice(s->left, digits, s->left.len);
    return value;
}

static void scan_char(scan_t *s, char c)
{
    s->is_bad |= !s->left.len || s->left.data[0] != c;
    s->left = bytes_slice(s->left, 1, s->left.len);
}

static uint32_t scan_fraction(scan_t *s)
{
    uint32_t value = 0, unit = 100000000;
    if (!s->left.len || s->left.data[0] != '.')
        return 0;
    scan_char(s, '.');
    s->is_bad |= !s->left.len || s->left.data[0] < '0' || s->left.data[0] > '9';
    for (; s->left.len && s->left.data[0] >= '0' && s->left.data[0] <= '9'; unit /= 10) {
        value += unit * (uint32_t)(s->left.data[0] - '0');
        s->left = bytes_slice(s->left, 1, s->left.len);
    }
    return value;
}

/* Seconds to take away for UTC. */
static int scan_offset(scan_t *s)
{
    uint8_t c = s->left.len ? s->left.data[0] : 0;
    if (c != '+' && c != '-') {
        scan_char(s, 'Z');
        return 0;
    }
    scan_char(s, (char)c);
    int hours = scan_number(s, 2, 0, 23);
    scan_char(s, ':');
    int seconds = (hours * 60 + scan_number(s, 2, 0, 59)) * 60;
    return c == '-' ? -seconds : seconds;
}

/* Days since 1970 of a date of the Gregorian calendar: counted in years that begin in March. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = year - (month <= 2), era = y / 400, year_of_era = y % 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int days_in(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && is_leap ? 29 : days[month - 1];
}

err_t rfc3339_parse(bytes_t text, int64_t *ret_seconds, uint32_t *ret_nanoseconds)
{
    scan_t s = {text, false};
    int year = scan_number(&s, 4, 1, 9999);
    scan_char(&s, '-');
    int month = scan_number(&s, 2, 1, 12);
    scan_char(&s, '-');
    int day = scan_number(&s, 2, 1, 31);
    scan_char(&s, 'T');
    int hour = scan_number(&s, 2, 0, 23);
    scan_char(&s, ':');
    int minute = scan_number(&s, 2, 0, 59);
    scan_char(&s, ':');
    int second = scan_number(&s, 2, 0, 59);
    uint32_t nanoseconds = scan_fraction(&s);
    int offset = scan_offset(&s);
    if (s.is_bad || s.left.len || day > days_in(year, month))
        return fail(ERR_INVALID, "\"%.*s\" is not a time such as 2026-01-02T03:04:05Z",
                    text.len < 60 ? (int)text.len : 60, (const char *)text.data);
    *ret_seconds = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset;
    *ret_nanoseconds = nanoseconds;
    return OK;
}
