#include "print/go_value.h"
#include <inttypes.h>
#include <stdio.h>

/* Members as PATH for text, PATH:TYPE for what has another type; all else stands as it is. */
static const struct {
    const char *command, *form;
} forms[] = {
    {"add", "&{Name Hash Bytes:int64 Size Mode Mtime:int64 MtimeNsecs:int}"},
    {"block/rm", "&{Hash Error}"},
    {"cid/base32", "&{CidStr Formatted ErrorMsg}"},
    {"cid/format", "&{CidStr Formatted ErrorMsg}"},
    {"diag/healthy", ""},
    {"files/flush", "&{Cid}"},
    {"files/rm", ""},
    {"filestore/ls", "&{Status:status ErrorMsg Key./ FilePath Offset:uint64 Size:uint64}"},
    {"filestore/verify", "&{Status:status ErrorMsg Key./ FilePath Offset:uint64 Size:uint64}"},
    {"key/sign", "&{{Key.Name Key.Id} Signature}"},
    {"key/verify", "&{{Key.Name Key.Id} SignatureValid:bool}"},
    {"stats/bw", "&{TotalIn:int64 TotalOut:int64 RateIn:float64 RateOut:float64}"},
    {"version/check",
     "{UpdateAvailable:bool RunningVersion GreatestVersion PeersSampled:int WithGreaterVersion:int}"},
};

static const char *form_of(const char *command)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (!strcmp(forms[i].command, command))
            return forms[i].form;
    return NULL;
}

bool go_value_is(const char *command)
{
    return form_of(command) != NULL;
}

/* "Key.Name" of an object. */
static json_t *member_at(json_t *o, const char *path, size_t len)
{
    while (o && len) {
        const char *dot = memchr(path, '.', len);
        size_t n = dot ? (size_t)(dot - path) : len;
        o = json_object_getn(o, path, n);
        path += n + (dot != NULL);
        len -= n + (dot != NULL);
    }
    return o;
}

/* With as few digits as tell it from its neighbours. */
static const char *float_text(double value, char out[32])
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, 32, "%.*g", digits, value);
        double read = 0;
        if (sscanf(out, "%lf", &read) == 1 && read >= value && read <= value)
            break;
    }
    return out;
}

static err_t print_member(print_t *p, json_t *value, const char *type, size_t len)
{
    char number[32];
    if (!len)
        return print_bytes(
            p, bytes_of(json_is_string(value) ? json_string_value(value) : "", json_string_length(value)));
    if (len == 6 && !memcmp(type, "status", len))
        return print_out(p, "%s", print_filestore_status(json_integer_value(value)));
    if (len == 4 && !memcmp(type, "bool", len))
        snprintf(number, sizeof number, "%s", json_is_true(value) ? "true" : "false");
    else if (len == 7 && !memcmp(type, "float64", len))
        float_text(json_number_value(value), number);
    else
        snprintf(number, sizeof number, "%" PRId64, (int64_t)json_integer_value(value));
    return print_out(p, "%%!s(%.*s=%s)", (int)len, type, number);
}

err_t go_value_print(print_t *p, json_t *value)
{
    static const char ends[] = "&{} ";
    const char *form = form_of(p->command);
    if (!form || !*form)
        return print_member(p, value, "", 0);
    while (*form) {
        size_t n = strcspn(form, ends), path = strcspn(form, ":&{} ");
        if (n)
            TRY(print_member(p, member_at(value, form, path), form + path + (path < n),
                             n - path - (path < n)));
        else
            TRY(print_out(p, "%c", form[n++]));
        form += n;
    }
    return OK;
}
