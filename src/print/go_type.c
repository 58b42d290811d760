#include "print/go_type.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    go_kind_t kind;
} basics[] = {
    {"bool", GO_BOOL},       {"int", GO_INT},         {"int8", GO_INT},      {"int32", GO_INT},
    {"int64", GO_INT},       {"uint", GO_UINT},       {"uint32", GO_UINT},   {"uint64", GO_UINT},
    {"float32", GO_FLOAT32}, {"float64", GO_FLOAT64}, {"string", GO_STRING}, {"any", GO_ANY},
    {"cid.Cid", GO_CID},     {"time.Time", GO_TIME},  {"peer.ID", GO_TEXT},  {"multiaddr.Multiaddr", GO_TEXT},
};

static _Noreturn void stop(const char *notation)
{
    fprintf(stderr, "a type that cannot be read: %s\n", notation);
    abort();
}

static go_kind_t basic_kind(bytes_t name, const char *notation)
{
    for (size_t i = 0; i < ARRAY_LEN(basics); i++)
        if (bytes_equal(name, bytes_str(basics[i].name)))
            return basics[i].kind;
    stop(notation);
}

static const char *behind_brace(const char *p, const char *notation)
{
    for (size_t depth = 1; depth; p++) {
        if (!*p)
            stop(notation);
        depth += (*p == '{') - (*p == '}');
    }
    return p;
}

/* A type with a name, with what it is made of: "(int)", "{…}", or one that is known. */
static go_type_t read_named(const char *text)
{
    size_t n = strcspn(text, "({;} ");
    go_type_t t = {.name = bytes_of(text, n), .text = text, .end = text + n};
    if (text[n] == '(') {
        size_t basic = strcspn(text + n + 1, ")");
        t.kind = basic_kind(bytes_of(text + n + 1, basic), text);
        t.end = text + n + 1 + basic + 1;
        return t;
    }
    bool has_members = text[n] == '{';
    t.kind = has_members && !bytes_equal(t.name, BYTES_LIT("any")) ? GO_STRUCT : basic_kind(t.name, text);
    if (has_members) {
        t.inner = text + n + 1;
        t.end = behind_brace(t.inner, text);
    }
    return t;
}

static go_type_t read_outer(const char *text, go_kind_t kind, size_t head)
{
    return (go_type_t){
        .kind = kind, .text = text, .inner = text + head, .end = go_type_read(text + head).end};
}

go_type_t go_type_read(const char *text)
{
    if (!text)
        stop("none");
    if (*text == '*')
        return read_outer(text, GO_POINTER, 1);
    if (!strncmp(text, "[]uint8", 7))
        return (go_type_t){.kind = GO_BYTES, .text = text, .end = text + 7};
    if (!strncmp(text, "[]", 2))
        return read_outer(text, GO_SLICE, 2);
    if (!strncmp(text, "map[", 4))
        return read_outer(text, GO_MAP, strcspn(text, "]") + 1);
    if (*text != '@')
        return read_named(text);
    size_t n = strcspn(text, ";} ");
    const char *definition = go_definition(bytes_of(text + 1, n - 1));
    if (!definition)
        stop(text);
    go_type_t t = read_named(definition);
    t.end = text + n;
    return t;
}

bool go_type_next(const char **at, go_member_t *ret)
{
    const char *p = *at;
    if (!*p || *p == '}')
        return false;
    *ret = (go_member_t){.is_embedded = *p == '+', .is_hidden = *p == '-'};
    p += *p == '+' || *p == '-';
    size_t n = strcspn(p, ": ");
    ret->name = ret->json = bytes_of(p, n);
    p += n;
    if (*p == ':') {
        n = strcspn(++p, " ");
        ret->json = bytes_of(p, n);
        p += n;
    }
    if (*p != ' ')
        stop(*at);
    ret->type = go_type_read(p + 1);
    p = ret->type.end;
    if (*p != ';' && *p != '}')
        stop(*at);
    *at = p + (*p == ';');
    return true;
}

json_t *go_member_value(json_t *object, const go_member_t *m)
{
    if (m->is_embedded)
        return object;
    return m->is_hidden ? NULL : json_object_getn(object, (const char *)m->json.data, m->json.len);
}

err_t go_type_print(const go_type_t *t, buf_t *out)
{
    if (t->kind == GO_ANY)
        return buf_append(out, BYTES_LIT("interface {}"));
    if (t->name.len)
        return buf_append(out, t->name);
    if (t->kind == GO_BYTES)
        return buf_append(out, BYTES_LIT("[]uint8"));
    TRY(buf_append(out, bytes_of(t->text, (size_t)(t->inner - t->text))));
    go_type_t inner = go_type_read(t->inner);
    return go_type_print(&inner, out);
}

go_type_t go_type_of_json(const json_t *value)
{
    return go_type_read(json_is_string(value)    ? "string"
                        : json_is_boolean(value) ? "bool"
                        : json_is_number(value)  ? "float64"
                        : json_is_array(value)   ? "[]any"
                                                 : "map[string]any");
}

static bool reads_the_same(const char *text, double value, bool is_single)
{
    return is_single ? !(strtof(text, NULL) < (float)value || strtof(text, NULL) > (float)value)
                     : !(strtod(text, NULL) < value || strtod(text, NULL) > value);
}

const char *go_float_text(double value, bool is_single, char out[40])
{
    enum { EXPONENT_MIN = -4, EXPONENT_MAX = 6 };
    int digits = 0;
    do
        snprintf(out, 40, "%.*e", digits, value);
    while (!reads_the_same(out, value, is_single) && ++digits < 17);
    const char *e = strchr(out, 'e');
    if (!e)
        return out;
    long exponent = strtol(e + 1, NULL, 10);
    if (exponent < EXPONENT_MIN || exponent >= EXPONENT_MAX)
        return out;
    snprintf(out, 40, "%.*f", digits > exponent ? digits - (int)exponent : 0, value);
    return out;
}

/* ── times ───────────────────────────────────────────────────────────────────────────────────── */

/* Days since the first day of the year 1, in the calendar that is used everywhere (Gregorian). */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    year -= month <= 2;
    int64_t era = year / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (int64_t)((month + 9) % 12) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 306;
}

bool go_time_read(const char *text, go_time_t *ret)
{
    unsigned year, month, day, hour, minute, second;
    int used = 0;
    if (sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day, &hour, &minute, &second, &used) != 6 ||
        month < 1 || month > 12)
        return false;
    const char *p = text + used;
    uint32_t nanos = 0, scale = 1000000000;
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++)
            nanos += scale >= 10 ? (uint32_t)(*p - '0') * (scale /= 10) : 0;
    int zone_hour = 0, zone_minute = 0;
    if (*p != 'Z' && sscanf(p + (*p != 0), "%2d:%2d", &zone_hour, &zone_minute) != 2)
        return false;
    int64_t zone = (zone_hour * 60 + zone_minute) * (*p == '-' ? -60 : 60);
    ret->seconds = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone;
    ret->nanos = nanos;
    return true;
}
