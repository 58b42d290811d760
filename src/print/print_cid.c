/* print_cid: `cid …` and `multibase …` as text. */
#include "base/utf8.h"
#include "print/printers.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* A text that is no CID is told and passed over. */
err_t print_cid_formatted(print_t *p, json_t *o)
{
    const char *why = json_text(o, "ErrorMsg");
    if (!*why)
        return print_out(p, "%s\n", field(o, "Formatted"));
    p->has_failed = true;
    print_note(p, "%s: %s\n", field(o, "CidStr"), print_escape(why));
    return OK;
}

/* ── cid inspect ─────────────────────────────────────────────────────────────────────────────── */
static err_t print_v0(print_t *p, json_t *o, json_t *codec, json_t *hash)
{
    static const char no[] = "CIDv0:      not possible, requires";
    if (*json_text(o, "cidV0"))
        return print_out(p, "CIDv0:      %s\n", field(o, "cidV0"));
    if (json_number(codec, "code") != 0x70)
        return print_out(p, "%s dag-pb (0x70), got %s (0x%" PRIx64 ")\n", no, field(codec, "name"),
                         json_number(codec, "code"));
    if (json_number(hash, "code") != 0x12)
        return print_out(p, "%s sha2-256 (0x12), got %s (0x%" PRIx64 ")\n", no, field(hash, "name"),
                         json_number(hash, "code"));
    return print_out(p, "%s 32-byte digest, got %" PRId64 "\n", no, json_number(hash, "length"));
}

err_t print_cid_inspected(print_t *p, json_t *o)
{
    json_t *base = json_object_get(o, "multibase"), *codec = json_object_get(o, "multicodec"),
           *hash = json_object_get(o, "multihash");
    bool is_v0 = !json_number(o, "version");
    const char *implicit = is_v0 ? ", implicit" : "";
    const char *why = json_text(o, "errorMsg"), *note = strchr(why, '\n');
    if (note) /* an error is one line: the CID of a peer ID stands behind the last space */
        return fail(ERR_INVALID, "%.*s. It is a peer ID; its CID is%s", (int)(note - why), why,
                    strrchr(why, ' '));
    if (*why)
        return fail(ERR_INVALID, "%s", why);
    TRY(print_out(p, "CID:        %s\nVersion:    %d\n", field(o, "cid"), !is_v0));
    TRY(print_out(p, "Multibase:  %s (%s)\n", field(base, "name"),
                  is_v0 ? "implicit" : field(base, "prefix")));
    TRY(print_out(p, "Multicodec: %s (0x%" PRIx64 "%s)\n", field(codec, "name"), json_number(codec, "code"),
                  implicit));
    TRY(print_out(p, "Multihash:  %s (0x%" PRIx64 "%s)\n", field(hash, "name"), json_number(hash, "code"),
                  implicit));
    TRY(print_out(p, "  Length:   %" PRId64 " bytes\n  Digest:   %s\n", json_number(hash, "length"),
                  field(hash, "digest")));
    TRY(print_v0(p, o, codec, hash));
    return print_out(p, "CIDv1:      %s\n", field(o, "cidV1"));
}

/* ── lists ───────────────────────────────────────────────────────────────────────────────────── */
static int64_t lower_code(json_t *o)
{
    int64_t code = json_number(o, "Code");
    return code < 128 ? tolower((int)code) : code;
}

/* By letter, small ones before large ones. */
static int compare_bases(const void *a, const void *b)
{
    json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int64_t lower = lower_code(x) - lower_code(y), code = json_number(y, "Code") - json_number(x, "Code");
    return lower ? (lower > 0) - (lower < 0) : (code > 0) - (code < 0);
}

static int compare_codes(const void *a, const void *b)
{
    int64_t d = json_number(*(json_t *const *)a, "Code") - json_number(*(json_t *const *)b, "Code");
    return (d > 0) - (d < 0);
}

static err_t print_sorted(print_t *p, json_t *list, int (*compare)(const void *, const void *),
                          err_t (*print)(print_t *p, json_t *entry))
{
    size_t i, n = json_array_size(list);
    json_t *entry, **entries = xcalloc(n + 1, sizeof *entries);
    err_t e = OK;
    json_array_foreach(list, i, entry) entries[i] = entry;
    qsort(entries, n, sizeof *entries, compare);
    for (i = 0; i < n && !e; i++)
        e = print(p, entries[i]);
    free(entries);
    return e;
}

static err_t print_base(print_t *p, json_t *entry)
{
    int64_t code = json_number(entry, "Code");
    char letter[5] = "";
    letter[utf8_put(code < ' ' ? ' ' : (uint32_t)code, (uint8_t *)letter)] = 0;
    bool prefix = print_flag(p, "prefix", false), numeric = print_flag(p, "numeric", false);
    if (prefix && numeric)
        return print_out(p, "%s %7" PRId64 "  %s\n", letter, code, field(entry, "Name"));
    if (prefix)
        return print_out(p, "%s  %s\n", letter, field(entry, "Name"));
    return numeric ? print_out(p, "%7" PRId64 "  %s\n", code, field(entry, "Name"))
                   : print_out(p, "%s\n", field(entry, "Name"));
}

static err_t print_code(print_t *p, json_t *entry)
{
    return print_flag(p, "numeric", false)
               ? print_out(p, "%5" PRId64 "  %s\n", json_number(entry, "Code"), field(entry, "Name"))
               : print_out(p, "%s\n", field(entry, "Name"));
}

err_t print_bases(print_t *p, json_t *o)
{
    return print_sorted(p, o, compare_bases, print_base);
}

err_t print_codes(print_t *p, json_t *o)
{
    return print_sorted(p, o, compare_codes, print_code);
}
