#include "print/go_xml.h"
#include "base/utf8.h"
#include "print/go_number.h"

enum { XML_MAX_BYTES = 64 << 20, BLOCK_BYTES = 4096 };

static const struct {
    char byte;
    const char *escaped;
} escapes[] = {{'"', "&#34;"}, {'\'', "&#39;"}, {'&', "&amp;"},  {'<', "&lt;"},
               {'>', "&gt;"},  {'\t', "&#x9;"}, {'\n', "&#xA;"}, {'\r', "&#xD;"}};

/* Bytes that are no UTF-8, and characters that XML does not have, become U+FFFD. */
static bool is_character(bytes_t text, size_t n)
{
    bool is_noncharacter =
        n == 3 && text.data[0] == 0xef && text.data[1] == 0xbf && (text.data[2] | 1) == 0xbf;
    return n && text.data[0] >= 0x20 && !is_noncharacter;
}

err_t go_xml_escape(bytes_t text, buf_t *out)
{
    while (text.len) {
        size_t n = utf8_length(text), i = 0;
        while (i < ARRAY_LEN(escapes) && escapes[i].byte != (char)text.data[0])
            i++;
        TRY(buf_append(out, i < ARRAY_LEN(escapes)  ? bytes_str(escapes[i].escaped)
                            : is_character(text, n) ? bytes_slice(text, 0, n)
                                                    : BYTES_LIT("\xef\xbf\xbd")));
        text = bytes_slice(text, n ? n : 1, text.len);
    }
    return OK;
}

static err_t put(buf_t *out, go_type_t t, json_t *value, bytes_t name);

static err_t put_list(buf_t *out, const go_type_t *t, json_t *value, bytes_t name)
{
    size_t i;
    json_t *one;
    json_array_foreach(value, i, one) TRY(put(out, go_type_read(t->inner), one, name));
    return OK;
}

static err_t put_members(buf_t *out, const go_type_t *t, json_t *value)
{
    go_member_t m;
    for (const char *at = t->inner; go_type_next(&at, &m);) {
        if (m.is_hidden)
            continue;
        TRY(m.is_embedded ? put_members(out, &m.type, value)
                          : put(out, m.type, go_member_value(value, &m), m.name));
    }
    return OK;
}

static err_t refuse(const go_type_t *t)
{
    AUTO(buf_t) name = {0};
    const char *text;
    buf_init(&name, 512);
    TRY(go_type_print(t, &name));
    TRY(buf_cstr(&name, &text));
    return fail(ERR_UNSUPPORTED, "xml: unsupported type: %s", text);
}

static err_t put_content(buf_t *out, const go_type_t *t, json_t *value)
{
    AUTO(buf_t) bytes = {0};
    switch (t->kind) {
    case GO_STRUCT:
        return put_members(out, t, value);
    case GO_MAP:
        return refuse(t);
    case GO_STRING:
    case GO_TEXT:
        return go_xml_escape(go_text(value), out);
    case GO_CID:
        return go_xml_escape(go_cid_text(value), out);
    case GO_TIME:
        return go_xml_escape(go_time_text(value), out);
    case GO_BYTES:
        buf_init(&bytes, XML_MAX_BYTES);
        TRY(go_bytes_decode(value, &bytes));
        return go_xml_escape(buf_bytes(&bytes), out);
    default:
        return go_number_print(t, value, out);
    }
}

/* name: of the member; empty at the top, where the type's own, without its package, stands in for it. */
static err_t put(buf_t *out, go_type_t t, json_t *value, bytes_t name)
{
    bool is_nothing = !value || json_is_null(value);
    if (t.kind == GO_POINTER)
        return is_nothing ? OK : put(out, go_type_read(t.inner), value, name);
    if (t.kind == GO_ANY)
        return is_nothing ? OK : put(out, go_type_of_json(value), value, name);
    if (t.kind == GO_SLICE)
        return put_list(out, &t, value, name);
    if (!name.len && !t.name.len)
        return refuse(&t);
    const uint8_t *dot = t.name.len ? memchr(t.name.data, '.', t.name.len) : NULL;
    if (!name.len)
        name = dot ? bytes_slice(t.name, (size_t)(dot + 1 - t.name.data), t.name.len) : t.name;
    TRY(buf_append_u8(out, '<'));
    TRY(buf_append(out, name));
    TRY(buf_append_u8(out, '>'));
    TRY(put_content(out, &t, value));
    TRY(buf_append(out, BYTES_LIT("</")));
    TRY(buf_append(out, name));
    return buf_append_u8(out, '>');
}

err_t go_xml_print(print_t *p, json_t *value)
{
    AUTO(buf_t) out = {0};
    const go_answer_t *answer = go_answer_of(p->command);
    const char *type = !answer ? "any" : p->is_decoded && answer->decoded ? answer->decoded : answer->emitted;
    buf_init(&out, XML_MAX_BYTES);
    err_t e = put(&out, go_type_read(type), value, BYTES_NONE);
    if (e && out.len)
        out.len = (out.len - 1) / BLOCK_BYTES * BLOCK_BYTES;
    error_slot_t why = *error_slot();
    TRY(print_bytes(p, buf_bytes(&out)));
    if (e)
        *error_slot() = why;
    return e;
}
