/* cid: `cid …` and `multibase …` as text. */
#include "base/utf8.h"
#include "cli/commands_internal.h"
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

/* ── cid format, cid base32 ──────────────────────────────────────────────────────────────────── */
static bool some_failed;

/* A text that is no CID is told and passed over. */
err_t print_cid_formatted(task_t *t, cli_t *c, json_t *o)
{
    const char *why = json_text(o, "ErrorMsg");
    if (!*why)
        return cli_out("%s\n", field(o, "Formatted"));
    some_failed = true;
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", field(o, "CidStr"), cli_escape(why));
    return OK;
}

err_t cli_cid_format(task_t *t, cli_t *c, const cli_command_t *command)
{
    some_failed = false;
    TRY(cli_run_generic(t, c, command));
    return some_failed ? fail(ERR_INVALID, "errors while displaying some entries") : OK;
}

/* ── cid inspect ─────────────────────────────────────────────────────────────────────────────── */
static err_t print_v0(json_t *o, json_t *codec, json_t *hash)
{
    static const char no[] = "CIDv0:      not possible, requires";
    if (*json_text(o, "cidV0"))
        return cli_out("CIDv0:      %s\n", field(o, "cidV0"));
    if (json_number(codec, "code") != 0x70)
        return cli_out("%s dag-pb (0x70), got %s (0x%" PRIx64 ")\n", no, field(codec, "name"),
                       json_number(codec, "code"));
    if (json_number(hash, "code") != 0x12)
        return cli_out("%s sha2-256 (0x12), got %s (0x%" PRIx64 ")\n", no, field(hash, "name"),
                       json_number(hash, "code"));
    return cli_out("%s 32-byte digest, got %" PRId64 "\n", no, json_number(hash, "length"));
}

err_t print_cid_inspected(task_t *t, cli_t *c, json_t *o)
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
    TRY(cli_out("CID:        %s\nVersion:    %d\n", field(o, "cid"), !is_v0));
    TRY(cli_out("Multibase:  %s (%s)\n", field(base, "name"), is_v0 ? "implicit" : field(base, "prefix")));
    TRY(cli_out("Multicodec: %s (0x%" PRIx64 "%s)\n", field(codec, "name"), json_number(codec, "code"),
                implicit));
    TRY(cli_out("Multihash:  %s (0x%" PRIx64 "%s)\n", field(hash, "name"), json_number(hash, "code"),
                implicit));
    TRY(cli_out("  Length:   %" PRId64 " bytes\n  Digest:   %s\n", json_number(hash, "length"),
                field(hash, "digest")));
    TRY(print_v0(o, codec, hash));
    return cli_out("CIDv1:      %s\n", field(o, "cidV1"));
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

static err_t print_sorted(cli_t *c, json_t *list, int (*compare)(const void *, const void *),
                          err_t (*print)(const cli_t *c, json_t *entry))
{
    size_t i, n = json_array_size(list);
    json_t *entry, **entries = xcalloc(n + 1, sizeof *entries);
    err_t e = OK;
    json_array_foreach(list, i, entry) entries[i] = entry;
    qsort(entries, n, sizeof *entries, compare);
    for (i = 0; i < n && !e; i++)
        e = print(c, entries[i]);
    free(entries);
    return e;
}

static err_t print_base(const cli_t *c, json_t *entry)
{
    int64_t code = json_number(entry, "Code");
    char letter[5] = "";
    letter[utf8_put(code < ' ' ? ' ' : (uint32_t)code, (uint8_t *)letter)] = 0;
    bool prefix = cli_flag(c, "prefix", false), numeric = cli_flag(c, "numeric", false);
    if (prefix && numeric)
        return cli_out("%s %7" PRId64 "  %s\n", letter, code, field(entry, "Name"));
    if (prefix)
        return cli_out("%s  %s\n", letter, field(entry, "Name"));
    return numeric ? cli_out("%7" PRId64 "  %s\n", code, field(entry, "Name"))
                   : cli_out("%s\n", field(entry, "Name"));
}

static err_t print_code(const cli_t *c, json_t *entry)
{
    return cli_flag(c, "numeric", false)
               ? cli_out("%5" PRId64 "  %s\n", json_number(entry, "Code"), field(entry, "Name"))
               : cli_out("%s\n", field(entry, "Name"));
}

err_t print_bases(task_t *t, cli_t *c, json_t *o)
{
    return print_sorted(c, o, compare_bases, print_base);
}

err_t print_codes(task_t *t, cli_t *c, json_t *o)
{
    return print_sorted(c, o, compare_codes, print_code);
}
