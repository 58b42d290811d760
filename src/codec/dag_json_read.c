/* The reading half of dag-json. */
#include "base/utf8.h"
#include "codec/ipld_scan_impl.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ── characters ──────────────────────────────────────────────────────────────────────────────── */
static int peek(const ipld_scan_t *s)
{
    return s->reader.pos < s->reader.end ? *s->reader.pos : -1;
}

static int next(ipld_scan_t *s)
{
    return s->reader.pos < s->reader.end ? *s->reader.pos++ : -1;
}

static int skip_space(ipld_scan_t *s)
{
    int c;
    while ((c = peek(s)) == ' ' || c == '\t' || c == '\r' || c == '\n')
        s->reader.pos++;
    return c;
}

static void wrong(ipld_scan_t *s, int c, const char *wanted)
{
    if (s->err)
        return;
    if (c < 0)
        s->err = fail(ERR_EOF, s->block.len ? "EOF" : "unexpected EOF");
    else
        s->err = fail(ERR_INVALID, "invalid char while expecting %s: 0x%x", wanted, c);
}

/* ── strings ─────────────────────────────────────────────────────────────────────────────────── */
static uint32_t read_hex4(ipld_scan_t *s)
{
    uint32_t value = 0;
    for (int i = 0; i < 4 && !s->err; i++) {
        int c = next(s);
        int lower = c | 0x20;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (c >= 0 && lower >= 'a' && lower <= 'f')
            value = value << 4 | (uint32_t)(lower - 'a' + 10);
        else
            wrong(s, c, "four hexadecimal digits");
    }
    return value;
}

static uint32_t read_code_point(ipld_scan_t *s)
{
    uint32_t high = read_hex4(s);
    if (s->err || high < 0xd800 || high > 0xdfff)
        return high;
    if (high > 0xdbff || next(s) != '\\' || next(s) != 'u') {
        s->err = fail(ERR_INVALID, "json: half of a surrogate pair is no character");
        return 0;
    }
    uint32_t low = read_hex4(s);
    if (!s->err && (low < 0xdc00 || low > 0xdfff))
        s->err = fail(ERR_INVALID, "json: half of a surrogate pair is no character");
    return 0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff);
}

static void read_escape(ipld_scan_t *s)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    uint8_t utf8[4];
    int c = next(s);
    const char *at = c > 0 ? memchr(letters, c, sizeof letters - 1) : NULL;
    if (at) {
        s->err = buf_append_u8(&s->scratch, (uint8_t)values[at - letters]);
    } else if (c == 'u') {
        uint32_t code_point = read_code_point(s);
        if (!s->err)
            s->err = buf_append(&s->scratch, bytes_of(utf8, utf8_put(code_point, utf8)));
    } else {
        wrong(s, c, "an escape sequence");
    }
}

/* Characters up to a quote, an escape sequence or a mistake. */
static bytes_t read_plain(ipld_scan_t *s)
{
    const uint8_t *start = s->reader.pos;
    int c;
    while ((c = peek(s)) >= 0x20 && c != '"' && c != '\\') {
        size_t n = utf8_length(bytes_of(s->reader.pos, (size_t)(s->reader.end - s->reader.pos)));
        if (!n) {
            wrong(s, c, "UTF-8");
            break;
        }
        s->reader.pos += n;
    }
    return bytes_of(start, (size_t)(s->reader.pos - start));
}

/* The opening quote has been read. The text is in the block, or in the scratch when it has escapes. */
static void read_string(ipld_scan_t *s, ipld_event_t *e)
{
    bytes_t plain = read_plain(s);
    *e = (ipld_event_t){.kind = IPLD_STRING, .bytes = plain, .is_in_block = true};
    if (!s->err && peek(s) == '"') {
        s->reader.pos++;
        return;
    }
    e->is_in_block = false;
    buf_clear(&s->scratch);
    while (!s->err) {
        s->err = buf_append(&s->scratch, plain);
        int c = next(s);
        if (c == '"')
            break;
        if (c == '\\' && !s->err)
            read_escape(s);
        else
            wrong(s, c, "the end of a string");
        if (!s->err)
            plain = read_plain(s);
    }
    e->bytes = buf_bytes(&s->scratch);
}

/* ── numbers ─────────────────────────────────────────────────────────────────────────────────── */
static size_t skip_digits(ipld_scan_t *s)
{
    const uint8_t *start = s->reader.pos;
    while (peek(s) >= '0' && peek(s) <= '9')
        s->reader.pos++;
    return (size_t)(s->reader.pos - start);
}

/* *ret_is_integer: without fraction and exponent. */
static bytes_t number_text(ipld_scan_t *s, bool *ret_is_integer)
{
    const uint8_t *start = s->reader.pos;
    *ret_is_integer = true;
    if (peek(s) == '-')
        s->reader.pos++;
    if (peek(s) == '0')
        s->reader.pos++;
    else if (!skip_digits(s))
        wrong(s, peek(s), "a digit");
    if (!s->err && peek(s) == '.') {
        *ret_is_integer = false;
        s->reader.pos++;
        if (!skip_digits(s))
            wrong(s, peek(s), "a digit");
    }
    if (!s->err && (peek(s) == 'e' || peek(s) == 'E')) {
        *ret_is_integer = false;
        s->reader.pos++;
        if (peek(s) == '+' || peek(s) == '-')
            s->reader.pos++;
        if (!skip_digits(s))
            wrong(s, peek(s), "a digit");
    }
    return bytes_of(start, (size_t)(s->reader.pos - start));
}

static void out_of_range(ipld_scan_t *s, const char *parser, bytes_t text)
{
    s->err = fail(ERR_INVALID, "strconv.%s: parsing \"%.*s\": value out of range", parser,
                  text.len < 100 ? (int)text.len : 100, (const char *)text.data);
}

static void read_integer(ipld_scan_t *s, bytes_t text, ipld_event_t *e)
{
    bool is_negative = text.data[0] == '-', overflows = false;
    uint64_t value = 0, max = UINT64_MAX;
    for (size_t i = is_negative; i < text.len; i++) {
        uint64_t digit = text.data[i] - '0';
        if (is_negative && i + 1 == text.len && value == UINT64_MAX / 10 && digit == 6) {
            *e = (ipld_event_t){.kind = IPLD_NEGATIVE, .integer = UINT64_MAX}; /* -2^64 */
            if (s->flags & IPLD_JSON_INT64)
                out_of_range(s, "ParseInt", text);
            return;
        }
        overflows = overflows || __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_add_overflow(value, digit, &value);
    }
    if (s->flags & IPLD_JSON_INT64)
        max = is_negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    if (overflows || value > max)
        out_of_range(s, "ParseInt", text);
    is_negative = is_negative && value;
    *e = (ipld_event_t){.kind = is_negative ? IPLD_NEGATIVE : IPLD_UINT, .integer = value - is_negative};
}

static void read_number(ipld_scan_t *s, ipld_event_t *e)
{
    bool is_integer;
    const char *c_text;
    bytes_t text = number_text(s, &is_integer);
    if (s->err)
        return;
    if (is_integer) {
        read_integer(s, text, e);
        return;
    }
    buf_clear(&s->scratch);
    s->err = buf_append(&s->scratch, text);
    if (!s->err)
        s->err = buf_cstr(&s->scratch, &c_text);
    if (s->err)
        return;
    *e = (ipld_event_t){.kind = IPLD_FLOAT, .number = strtod(c_text, NULL)};
    if (isinf(e->number))
        out_of_range(s, "ParseFloat", text);
}

/* ── links and bytes ─────────────────────────────────────────────────────────────────────────── */
/* Reads `c` if it is what comes next behind white space. */
static bool accept(ipld_scan_t *s, int c)
{
    if (skip_space(s) != c)
        return false;
    s->reader.pos++;
    return true;
}

static bool accept_key(ipld_scan_t *s, const char *name)
{
    ipld_event_t e;
    if (!accept(s, '"'))
        return false;
    read_string(s, &e);
    return !s->err && bytes_equal(e.bytes, bytes_str(name)) && accept(s, ':');
}

static void decode_bytes(ipld_scan_t *s, ipld_event_t *e)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, e->bytes.len + 4);
    if (multibase_decode_raw(MB_BASE64, e->bytes, &out)) {
        buf_clear(&out);
        s->err = multibase_decode_raw(MB_BASE64PAD, e->bytes, &out);
    }
    buf_clear(&s->scratch);
    if (!s->err)
        s->err = buf_append(&s->scratch, buf_bytes(&out));
    *e = (ipld_event_t){.kind = IPLD_BYTES, .bytes = buf_bytes(&s->scratch)};
}

static void decode_link(ipld_scan_t *s, ipld_event_t *e)
{
    cid_t cid;
    s->err = cid_parse(e->bytes, &cid);
    if (!s->err)
        *e = (ipld_event_t){.kind = IPLD_LINK, .bytes = bytes_of(s->cid, cid_encode(&cid, s->cid))};
}

/* Behind "{": the rest of a link or of bytes. False: something else; then the reader stands as before. */
static bool read_special(ipld_scan_t *s, ipld_event_t *e)
{
    const uint8_t *start = s->reader.pos;
    if (s->codec != CODEC_DAG_JSON || !accept_key(s, "/"))
        goto other;
    if (accept(s, '"')) {
        read_string(s, e);
        if (s->err || !accept(s, '}'))
            goto other;
        decode_link(s, e);
        return true;
    }
    if (!accept(s, '{') || !accept_key(s, "bytes") || !accept(s, '"'))
        goto other;
    read_string(s, e);
    if (s->err || !accept(s, '}') || !accept(s, '}'))
        goto other;
    decode_bytes(s, e);
    return true;
other:
    if (!s->err)
        s->reader.pos = start;
    return s->err;
}

/* ── values ──────────────────────────────────────────────────────────────────────────────────── */
static void read_word(ipld_scan_t *s, const char *word, ipld_event_t e, ipld_event_t *ret)
{
    bytes_t left = bytes_of(s->reader.pos, (size_t)(s->reader.end - s->reader.pos));
    if (!bytes_starts_with(left, bytes_str(word)))
        wrong(s, left.len < strlen(word) ? -1 : peek(s), word);
    s->reader.pos += s->err ? 0 : strlen(word);
    *ret = e;
}

static void read_value(ipld_scan_t *s, ipld_event_t *e)
{
    int c = skip_space(s);
    switch (c) {
    case '{':
        s->reader.pos++;
        if (!read_special(s, e))
            *e = (ipld_event_t){.kind = IPLD_MAP, .integer = UINT64_MAX};
        return;
    case '[':
        s->reader.pos++;
        *e = (ipld_event_t){.kind = IPLD_LIST, .integer = UINT64_MAX};
        return;
    case '"':
        s->reader.pos++;
        read_string(s, e);
        return;
    case 'n':
        read_word(s, "null", (ipld_event_t){.kind = IPLD_NULL}, e);
        return;
    case 't':
        read_word(s, "true", (ipld_event_t){.kind = IPLD_BOOL, .integer = 1}, e);
        return;
    case 'f':
        read_word(s, "false", (ipld_event_t){.kind = IPLD_BOOL}, e);
        return;
    default:
        if (c == '-' || (c >= '0' && c <= '9'))
            read_number(s, e);
        else
            wrong(s, c, "start of value");
    }
}

static void read_key(ipld_scan_t *s, ipld_event_t *e)
{
    if (!accept(s, '"')) {
        wrong(s, peek(s), "start of key");
        return;
    }
    read_string(s, e);
    if (!s->err && !accept(s, ':'))
        wrong(s, peek(s), "a colon behind the key");
}

void dag_json_read(ipld_scan_t *s, const ipld_frame_t *f, ipld_event_t *ret)
{
    ipld_event_t e = {0};
    if (f && !f->wants_value) {
        if (accept(s, f->is_map ? '}' : ']')) {
            ret->kind = IPLD_END;
            return;
        }
        if (f->has_items && !accept(s, ',')) {
            wrong(s, peek(s), f->is_map ? "a comma or the end of the map" : "a comma or the end of the list");
            return;
        }
        if (f->is_map) {
            read_key(s, ret);
            return;
        }
    }
    read_value(s, &e);
    *ret = e;
}

void dag_json_finish(ipld_scan_t *s)
{
    if (skip_space(s) >= 0)
        s->err = fail(ERR_INVALID, "unexpected content after end of json object");
}
