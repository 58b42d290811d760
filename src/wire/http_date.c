#include "wire/http_date.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

const char *http_date_print(int64_t seconds, char out[HTTP_DATE_MAX])
{
    time_t when = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&when, &tm) || tm.tm_year > 9999 - 1900) {
        when = 0;
        gmtime_r(&when, &tm);
    }
    snprintf(out, HTTP_DATE_MAX, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday, tm.tm_mday,
             months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    return out;
}

/* The form of today, that of RFC 850 and that of asctime(): whoever reads dates must take all three. */
static bool read_fields(const char *text, struct tm *tm, char month[4])
{
    int end = 0;
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &tm->tm_mday, month, &tm->tm_year,
               &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 6 &&
        end && !text[end])
        return true;
    end = 0;
    if (sscanf(text, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &tm->tm_mday, month, &tm->tm_year,
               &tm->tm_hour, &tm->tm_min, &tm->tm_sec, &end) == 6 &&
        end && !text[end]) {
        tm->tm_year += tm->tm_year < 70 ? 2000 : 1900;
        return true;
    }
    end = 0;
    return sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &tm->tm_mday, &tm->tm_hour,
                  &tm->tm_min, &tm->tm_sec, &tm->tm_year, &end) == 6 &&
           end && !text[end];
}

err_t http_date_parse(const char *text, int64_t *ret_seconds)
{
    struct tm tm = {0};
    char month[4];
    if (!read_fields(text, &tm, month))
        return fail(ERR_INVALID, "\"%.60s\" is no date of HTTP", text);
    const char *found = strstr(months, month);
    if (!found || (found - months) % 3 || strlen(month) != 3)
        return fail(ERR_INVALID, "\"%.60s\" is no date of HTTP", text);
    tm.tm_mon = (int)(found - months) / 3;
    tm.tm_year -= 1900;
    *ret_seconds = (int64_t)timegm(&tm);
    return OK;
}
