/* print_name: answers about names and keys as text. */
#include "print/printers.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
err_t print_published(print_t *p, json_t *o)
{
    if (print_flag(p, "quieter", false))
        return print_out(p, "%s\n", field(o, "Name"));
    return print_out(p, "Published to %s: %s\n", field(o, "Name"), field(o, "Value"));
}

err_t print_put_name(print_t *p, json_t *o)
{
    return print_flag(p, "quiet", false) ? OK : print_out(p, "%s\n", field(o, "Name"));
}

err_t print_pubsub_state(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", json_is_true(json_object_get(o, "Enabled")) ? "enabled" : "disabled");
}

err_t print_pubsub_canceled(print_t *p, json_t *o)
{
    return print_out(p, "%s\n",
                     json_is_true(json_object_get(o, "Canceled")) ? "canceled" : "no subscription");
}

const char *print_duration(int64_t ns, char out[64])
{
    static const struct {
        int64_t ns;
        const char *unit;
    } small[] = {{1000000, "ms"}, {1000, "\xc2\xb5s"}, {1, "ns"}};
    int64_t whole = ns / 1000000000, unit = 1000000000, part = ns % 1000000000;
    const char *suffix = "s";
    size_t n = 0;
    for (size_t i = 0; !whole && part && i < ARRAY_LEN(small); i++)
        if (part >= small[i].ns) {
            whole = part / small[i].ns;
            part %= small[i].ns;
            unit = small[i].ns;
            suffix = small[i].unit;
        }
    if (unit == 1000000000 && whole >= 3600)
        n += (size_t)snprintf(out + n, 64 - n, "%" PRId64 "h", whole / 3600);
    if (unit == 1000000000 && whole >= 60)
        n += (size_t)snprintf(out + n, 64 - n, "%" PRId64 "m", whole / 60 % 60);
    n += (size_t)snprintf(out + n, 64 - n, "%" PRId64, unit == 1000000000 ? whole % 60 : whole);
    if (part) {
        int digits = unit == 1000000000 ? 9 : unit == 1000000 ? 6 : 3;
        n += (size_t)snprintf(out + n, 64 - n, ".%0*" PRId64, digits, part);
        while (out[n - 1] == '0')
            n--;
    }
    snprintf(out + n, 64 - n, "%s", suffix);
    return out;
}

static err_t print_validation(print_t *p, json_t *v)
{
    if (!json_is_object(v))
        return print_out(p, "\nThis record was not verified. Pass '--verify k51...' to verify.\n");
    const char *reason = field(v, "Reason");
    int width = *reason ? 8 : 7;
    TRY(print_out(p, "\nValidation results:\n %-*s%s\n", width,
                  "Valid:", json_is_true(json_object_get(v, "Valid")) ? "true" : "false"));
    if (*reason)
        TRY(print_out(p, " %-*s%s\n", width, "Reason:", reason));
    return print_out(p, " %-*s%s\n", width, "Name:", field(v, "Name"));
}

err_t print_inspected(print_t *p, json_t *o)
{
    enum { LABEL = 16 };
    char ttl[64];
    json_t *entry = json_object_get(o, "Entry");
    if (*json_text(entry, "Value"))
        TRY(print_out(p, "%-*s\"%s\"\n", LABEL, "Value:", field(entry, "Value")));
    TRY(print_out(p, "%-*s%" PRId64 "\n", LABEL, "Validity Type:", json_number(entry, "ValidityType")));
    if (*json_text(entry, "Validity"))
        TRY(print_out(p, "%-*s\"%s\"\n", LABEL, "Validity:", field(entry, "Validity")));
    TRY(print_out(p, "%-*s%" PRId64 "\n", LABEL, "Sequence:", json_number(entry, "Sequence")));
    if (json_is_integer(json_object_get(entry, "TTL")))
        TRY(print_out(p, "%-*s%s\n", LABEL, "TTL:", print_duration(json_number(entry, "TTL"), ttl)));
    TRY(print_out(p, "%-*s%" PRId64 "\n", LABEL, "Protobuf Size:", json_number(o, "PbSize")));
    TRY(print_out(p, "%-*s%s\n", LABEL, "Signature Type:", field(o, "SignatureType")));
    TRY(print_validation(p, json_object_get(o, "Validation")));
    const char *dump = json_text(o, "HexDump"); /* hex and printable characters alone */
    return *dump ? print_out(p, "\nHex Dump:\n%s", dump) : OK;
}

/* ── keys ────────────────────────────────────────────────────────────────────────────────────── */
err_t print_key_id(print_t *p, json_t *o)
{
    return print_out(p, "%s\n", field(o, "Id"));
}

err_t print_keys(print_t *p, json_t *o)
{
    size_t i, id_width = 0, name_width = 0;
    json_t *key, *keys = json_object_get(o, "Keys");
    json_array_foreach(keys, i, key)
    {
        size_t id = strlen(field(key, "Id")), name = strlen(field(key, "Name"));
        id_width = id > id_width ? id : id_width;
        name_width = name > name_width ? name : name_width;
    }
    json_array_foreach(keys, i, key)
    {
        if (print_flag(p, "l", false))
            TRY(print_out(p, "%-*s %-*s \n", (int)id_width, field(key, "Id"), (int)name_width,
                          field(key, "Name")));
        else
            TRY(print_out(p, "%s\n", field(key, "Name")));
    }
    return OK;
}

err_t print_key_renamed(print_t *p, json_t *o)
{
    return print_out(p, "Key %s renamed to %s%s\n", field(o, "Id"), field(o, "Now"),
                     json_is_true(json_object_get(o, "Overwrite")) ? " with overwriting" : "");
}

/* The reference prints these two as JSON. */
err_t print_signature(print_t *p, json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);
    err_t e = print_out(p, "%s\n", text);
    free(text);
    return e;
}
