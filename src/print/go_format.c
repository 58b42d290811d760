#include "print/go_format.h"
#include "multi/cid.h"
#include "print/go_number.h"
#include "print/go_string.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FORMAT_MAX_BYTES = 64 << 20 };

/* Where a value stands: as %s it complains of what is no text; within a complaint as %v, bare. A pointer is
 * followed at the top alone. */
typedef struct place {
    bool is_bare, is_top;
} place_t;

static err_t put(buf_t *out, const go_type_t *t, json_t *value, place_t at);

static err_t put_complaint(buf_t *out, const go_type_t *t, json_t *value)
{
    TRY(buf_append(out, BYTES_LIT("%!s(")));
    TRY(go_type_print(t, out));
    TRY(buf_append_u8(out, '='));
    TRY(put(out, t, value, (place_t){.is_bare = true, .is_top = true}));
    return buf_append_u8(out, ')');
}

static err_t put_members(buf_t *out, const go_type_t *t, json_t *value, place_t at)
{
    go_member_t m;
    at.is_top = false;
    TRY(buf_append_u8(out, '{'));
    for (const char *next = t->inner, *first = next; go_type_next(&next, &m); first = NULL) {
        if (!first)
            TRY(buf_append_u8(out, ' '));
        TRY(put(out, &m.type, go_member_value(value, &m), at));
    }
    return buf_append_u8(out, '}');
}

static err_t put_list(buf_t *out, const go_type_t *t, json_t *value, place_t at)
{
    size_t i;
    json_t *one;
    go_type_t inner = go_type_read(t->inner);
    at.is_top = false;
    TRY(buf_append_u8(out, '['));
    json_array_foreach(value, i, one)
    {
        if (i)
            TRY(buf_append_u8(out, ' '));
        TRY(put(out, &inner, one, at));
    }
    return buf_append_u8(out, ']');
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static err_t put_sorted(buf_t *out, const go_type_t *t, json_t *value, const char **keys, place_t at)
{
    size_t n = 0;
    const char *key;
    json_t *one;
    json_object_foreach(value, key, one) keys[n++] = key;
    qsort(keys, n, sizeof *keys, by_name);
    for (size_t i = 0; i < n; i++) {
        go_type_t inner = go_value_type(t, keys[i], strlen(keys[i]));
        TRY(buf_printf(out, "%s%s:", i ? " " : "", keys[i]));
        TRY(put(out, &inner, json_object_get(value, keys[i]), at));
    }
    return OK;
}

static err_t put_map(buf_t *out, const go_type_t *t, json_t *value, place_t at)
{
    const char **keys = xcalloc(json_object_size(value) + 1, sizeof *keys);
    at.is_top = false;
    err_t e = buf_append(out, BYTES_LIT("map["));
    if (!e)
        e = put_sorted(out, t, value, keys, at);
    free(keys);
    return e ? e : buf_append_u8(out, ']');
}

static err_t put_pointer(buf_t *out, const go_type_t *t, json_t *value, place_t at)
{
    go_type_t inner = go_type_read(t->inner);
    bool is_nil = !value || json_is_null(value);
    bool is_followed = inner.kind == GO_STRUCT || inner.kind == GO_SLICE || inner.kind == GO_MAP;
    if (at.is_top && !is_nil && is_followed) {
        TRY(buf_append_u8(out, '&'));
        at.is_top = false;
        return put(out, &inner, value, at);
    }
    if (!at.is_bare)
        return put_complaint(out, t, value);
    return buf_printf(out, "%s", is_nil ? "<nil>" : "0xc000000000");
}

/* What a CID and a time are made of. */
static err_t put_bare_cid(buf_t *out, json_t *value)
{
    cid_t cid;
    uint8_t bytes[CID_BINARY_MAX];
    size_t n = cid_parse(go_cid_text(value), &cid) ? 0 : cid_encode(&cid, bytes);
    TRY(buf_append_u8(out, '{'));
    TRY(buf_append(out, bytes_of(bytes, n)));
    return buf_append_u8(out, '}');
}

static err_t put_bare_time(buf_t *out, json_t *value)
{
    go_time_t time = {0};
    char text[64];
    bytes_t given = go_time_text(value);
    snprintf(text, sizeof text, "%.*s", (int)given.len, (const char *)given.data);
    if (!go_time_read(text, &time))
        time = (go_time_t){0};
    return buf_printf(out, "{%" PRIu32 " %" PRId64 " <nil>}", time.nanos, time.seconds);
}

static err_t put_bytes(buf_t *out, json_t *value, place_t at)
{
    AUTO(buf_t) bytes = {0};
    buf_init(&bytes, FORMAT_MAX_BYTES);
    TRY(go_bytes_decode(value, &bytes));
    if (!at.is_bare)
        return buf_append(out, buf_bytes(&bytes));
    for (size_t i = 0; i < bytes.len; i++)
        TRY(buf_printf(out, "%c%u", i ? ' ' : '[', bytes.data[i]));
    return buf_printf(out, "%s", bytes.len ? "]" : "[]");
}

static err_t put_any(buf_t *out, json_t *value, place_t at)
{
    if (!value || json_is_null(value))
        return buf_append(out, BYTES_LIT("<nil>"));
    go_type_t known = go_type_of_json(value);
    return put(out, &known, value, at);
}

static err_t put(buf_t *out, const go_type_t *t, json_t *value, place_t at)
{
    if (!at.is_bare && go_has_string(t))
        return go_string_print(t, value, out);
    switch (t->kind) {
    case GO_ANY:
        return put_any(out, value, at);
    case GO_STRUCT:
        return put_members(out, t, value, at);
    case GO_SLICE:
        return put_list(out, t, value, at);
    case GO_MAP:
        return put_map(out, t, value, at);
    case GO_POINTER:
        return put_pointer(out, t, value, at);
    case GO_STRING:
    case GO_TEXT:
        return buf_append(out, go_text(value));
    case GO_CID:
        return put_bare_cid(out, value);
    case GO_TIME:
        return put_bare_time(out, value);
    case GO_BYTES:
        return put_bytes(out, value, at);
    default:
        return at.is_bare ? go_number_print(t, value, out) : put_complaint(out, t, value);
    }
}

/* What the command line of the reference reads an answer as stands behind a pointer, but for numbers and what
 * has no type. */
static err_t put_top(print_t *p, json_t *value, buf_t *out)
{
    const go_answer_t *answer = go_answer_of(p->command);
    go_type_t t = go_type_read(!answer                            ? "any"
                               : p->is_decoded && answer->decoded ? answer->decoded
                                                                  : answer->emitted);
    place_t at = {.is_top = true};
    bool has_pointer = answer && p->is_decoded && !answer->decoded && t.kind != GO_POINTER;
    if (has_pointer && !go_has_string(&t)) {
        TRY(buf_append_u8(out, '&'));
        at.is_top = false;
    }
    return put(out, &t, value, at);
}

static err_t print_value(print_t *p, json_t *value, const char *behind)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, FORMAT_MAX_BYTES);
    TRY(put_top(p, value, &out));
    TRY(buf_printf(&out, "%s", behind));
    return print_bytes(p, buf_bytes(&out));
}

err_t go_format_print(print_t *p, json_t *value)
{
    return print_value(p, value, "");
}

err_t go_format_print_line(print_t *p, json_t *value)
{
    return print_value(p, value, "\n");
}
