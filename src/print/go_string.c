#include "print/go_string.h"
#include "print/go_number.h"
#include "print/print.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static err_t put_duration(const go_type_t *t, json_t *value, buf_t *out)
{
    char text[64];
    return buf_printf(out, "%s", print_duration(go_integer(t, value), text));
}

static err_t put_status(const go_type_t *t, json_t *value, buf_t *out)
{
    return buf_printf(out, "%s", print_filestore_status(go_integer(t, value)));
}

static err_t put_one_of(const char *const *names, size_t n, int64_t value, buf_t *out)
{
    return value >= 0 && (size_t)value < n ? buf_printf(out, "%s", names[value])
                                           : buf_printf(out, "%" PRId64, value);
}

static err_t put_data_type(const go_type_t *t, json_t *value, buf_t *out)
{
    static const char *const names[] = {"Raw", "Directory", "File", "Metadata", "Symlink", "HAMTShard"};
    return put_one_of(names, ARRAY_LEN(names), go_integer(t, value), out);
}

static err_t put_direction(const go_type_t *t, json_t *value, buf_t *out)
{
    static const char *const names[] = {"Unknown", "Inbound", "Outbound"};
    return put_one_of(names, ARRAY_LEN(names), go_integer(t, value), out);
}

static err_t put_flag(const go_type_t *t, json_t *value, buf_t *out)
{
    int64_t flag = go_integer(t, value);
    return buf_printf(out, "%s", flag > 0 ? "true" : flag < 0 ? "false" : "default");
}

/* "drwxr-xr-x": kinds of files in the upper bits, or a dash, and the permissions. */
static err_t put_mode(const go_type_t *t, json_t *value, buf_t *out)
{
    static const char kinds[] = "dalTLDpSugct?", permissions[] = "rwxrwxrwx";
    uint32_t mode = (uint32_t)go_integer(t, value);
    size_t before = out->len;
    for (size_t i = 0; kinds[i]; i++)
        if (mode & 1U << (31 - i))
            TRY(buf_append_u8(out, (uint8_t)kinds[i]));
    if (out->len == before)
        TRY(buf_append_u8(out, '-'));
    for (size_t i = 0; permissions[i]; i++)
        TRY(buf_append_u8(out, mode & 1U << (8 - i) ? (uint8_t)permissions[i] : '-'));
    return OK;
}

static err_t put_block_stat(const go_type_t *t, json_t *value, buf_t *out)
{
    return buf_printf(out, "Key: %s\nSize: %" PRId64 "\n", json_text(value, "Key"),
                      json_number(value, "Size"));
}

static err_t put_dag_stat(const go_type_t *t, json_t *value, buf_t *out)
{
    int64_t total = json_number(value, "TotalSize"), shared = json_number(value, "SharedSize");
    TRY(buf_printf(out, "Total Size: %" PRId64 " (%s)\nUnique Blocks: %" PRId64 "\n", total,
                   print_human_bytes((uint64_t)total), json_number(value, "UniqueBlocks")));
    return buf_printf(out, "Shared Size: %" PRId64 " (%s)\nRatio: %f", shared,
                      print_human_bytes((uint64_t)shared),
                      (double)(float)json_number_value(json_object_get(value, "Ratio")));
}

static err_t put_change(const go_type_t *t, json_t *value, buf_t *out)
{
    static const struct {
        const char *word, *between;
    } forms[] = {{"Added", " at "}, {"Removed", " from "}, {"Changed", " at "}};
    int64_t kind = json_number(value, "Type");
    bytes_t before = go_cid_text(json_object_get(value, "Before"));
    bytes_t after = go_cid_text(json_object_get(value, "After"));
    if (kind < 0 || kind > 2)
        return OK;
    TRY(buf_printf(out, "%s ", forms[kind].word));
    TRY(buf_append(out, kind == 0 ? after : before));
    if (kind == 2) {
        TRY(buf_append(out, BYTES_LIT(" to ")));
        TRY(buf_append(out, after));
    }
    TRY(buf_printf(out, "%s", forms[kind].between));
    return buf_append(out, go_text(json_object_get(value, "Path")));
}

/* "{PEER: [ADDRESS ADDRESS]}" */
static err_t put_addr_info(const go_type_t *t, json_t *value, buf_t *out)
{
    size_t i;
    json_t *addr;
    TRY(buf_printf(out, "{%s: [", json_text(value, "ID")));
    json_array_foreach(json_object_get(value, "Addrs"), i, addr)
    {
        TRY(buf_printf(out, "%s", i ? " " : ""));
        TRY(buf_append(out, go_text(addr)));
    }
    return buf_append(out, BYTES_LIT("]}"));
}

/* "2026-01-02 15:04:05.25 +0000 UTC": the same moment, in words of a log. */
static err_t put_time(const go_type_t *t, json_t *value, buf_t *out)
{
    char text[64];
    bytes_t given = go_time_text(value);
    snprintf(text, sizeof text, "%.*s", (int)given.len, (const char *)given.data);
    char *clock = strchr(text, 'T'), *zone = clock ? strpbrk(clock, "Z+-") : NULL;
    if (!zone)
        return buf_append(out, given);
    *clock = 0;
    char sign = *zone;
    *zone = 0;
    if (sign == 'Z')
        return buf_printf(out, "%s %s +0000 UTC", text, clock + 1);
    unsigned hour = 0, minute = 0;
    char *end;
    hour = (unsigned)strtoul(zone + 1, &end, 10);
    minute = *end ? (unsigned)strtoul(end + 1, NULL, 10) : 0;
    TRY(buf_printf(out, "%s %s ", text, clock + 1));
    for (int i = 0; i < 2; i++)
        TRY(buf_printf(out, "%s%c%02u%02u", i ? " " : "", sign, hour % 100, minute % 100));
    return OK;
}

static err_t put_cid(const go_type_t *t, json_t *value, buf_t *out)
{
    return buf_append(out, go_cid_text(value));
}

static err_t put_plain(const go_type_t *t, json_t *value, buf_t *out)
{
    return buf_append(out, go_text(value));
}

static const struct {
    const char *name;
    err_t (*put)(const go_type_t *t, json_t *value, buf_t *out);
} strings[] = {
    {"cid.Cid", put_cid},
    {"commands.BlockStat", put_block_stat},
    {"config.Flag", put_flag},
    {"dagcmd.DagStatSummary", put_dag_stat},
    {"dagutils.Change", put_change},
    {"filestore.Status", put_status},
    {"fs.FileMode", put_mode},
    {"multiaddr.Multiaddr", put_plain},
    {"network.Direction", put_direction},
    {"pb.Data_DataType", put_data_type},
    {"peer.AddrInfo", put_addr_info},
    {"peer.ID", put_plain},
    {"time.Duration", put_duration},
    {"time.Time", put_time},
};

static size_t find(const go_type_t *t)
{
    go_type_t inner = t->kind == GO_POINTER ? go_type_read(t->inner) : *t;
    size_t i = 0;
    while (i < ARRAY_LEN(strings) && !bytes_equal(inner.name, bytes_str(strings[i].name)))
        i++;
    return i;
}

bool go_has_string(const go_type_t *t)
{
    return find(t) < ARRAY_LEN(strings);
}

err_t go_string_print(const go_type_t *t, json_t *value, buf_t *out)
{
    if (t->kind == GO_POINTER && (!value || json_is_null(value)))
        return buf_append(out, BYTES_LIT("<nil>"));
    go_type_t inner = t->kind == GO_POINTER ? go_type_read(t->inner) : *t;
    return strings[find(t)].put(&inner, value, out);
}
