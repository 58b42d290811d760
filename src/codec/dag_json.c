#include "codec/dag_json.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void put_text(writer_t *w, const char *text)
{
    write_bytes(w, bytes_str(text));
}

/* ── strings ─────────────────────────────────────────────────────────────────────────────────── */
/* Bytes at the front that need no escape. */
static size_t plain_length(bytes_t text)
{
    size_t at = 0;
    while (at < text.len) {
        uint8_t c = text.data[at];
        size_t n = utf8_length(bytes_slice(text, at, text.len));
        if (c < 0x20 || c == '"' || c == '\\' || !n)
            break;
        if (n == 3 && c == 0xe2 && text.data[at + 1] == 0x80 && text.data[at + 2] >> 1 == 0xa8 >> 1)
            break; /* U+2028, U+2029: no line ends for JavaScript */
        at += n;
    }
    return at;
}

/* Bytes of the text that the escape stands for. */
static size_t put_escape(writer_t *w, bytes_t text)
{
    uint8_t c = text.data[0];
    char escape[8];
    if (c == '"' || c == '\\')
        snprintf(escape, sizeof escape, "\\%c", c);
    else if (c == '\n' || c == '\r' || c == '\t')
        snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
    else if (c < 0x20)
        snprintf(escape, sizeof escape, "\\u%04x", c);
    else
        snprintf(escape, sizeof escape, "\\u%s",
                 !utf8_length(text) ? "fffd"
                 : text.data[2] & 1 ? "2029"
                                    : "2028");
    put_text(w, escape);
    return c >= 0x20 && c != '"' && c != '\\' && utf8_length(text) ? 3 : 1;
}

void dag_json_put_string(writer_t *w, bytes_t text)
{
    write_u8(w, '"');
    while (text.len) {
        size_t n = plain_length(text);
        write_bytes(w, bytes_slice(text, 0, n));
        text = bytes_slice(text, n, text.len);
        if (text.len)
            text = bytes_slice(text, put_escape(w, text), text.len);
    }
    write_u8(w, '"');
}

/* ── numbers ─────────────────────────────────────────────────────────────────────────────────── */
/* Does "d.ddde-XX" read as the number? Above a power of two numbers are twice as dense as below, so that the
 * nearest text of so many digits may miss where the one above it does not: then it is put in its place. */
static bool reads_as(char *text, double number)
{
    if (strtod(text, NULL) == number)
        return true;
    char *last = strchr(text, 'e') - 1;
    if (*last == '9')
        return false;
    ++*last;
    if (strtod(text, NULL) == number)
        return true;
    --*last;
    return false;
}

/* The fewest digits that read the same, and the exponent of the first one. */
static int shortest_digits(double number, char digits[20])
{
    char text[40];
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, number);
        if (reads_as(text, number))
            break;
    }
    int n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    digits[n] = 0;
    return (int)strtol(p + 1, NULL, 10);
}

const char *dag_json_print_float(double number, char out[DAG_JSON_FLOAT_MAX])
{
    char digits[20];
    const char *sign = signbit(number) ? "-" : "";
    double size = fabs(number);
    int exponent = shortest_digits(size, digits), n = (int)strlen(digits);
    if (size != 0 &&
        (size < 1e-6 || size >= 0x1p63)) /* whole numbers of more digits could not be read again */
        snprintf(out, DAG_JSON_FLOAT_MAX, exponent < 0 ? "%s%c%s%se%d" : "%s%c%s%se+%02d", sign, digits[0],
                 n > 1 ? "." : "", digits + 1, exponent);
    else if (exponent < 0)
        snprintf(out, DAG_JSON_FLOAT_MAX, "%s0.%.*s%s", sign, -exponent - 1, "000000", digits);
    else if (n <= exponent + 1)
        snprintf(out, DAG_JSON_FLOAT_MAX, "%s%s%.*s", sign, digits, exponent + 1 - n, "0000000000000000000");
    else
        snprintf(out, DAG_JSON_FLOAT_MAX, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
    return out;
}

static void put_number(writer_t *w, const ipld_event_t *e)
{
    char text[DAG_JSON_FLOAT_MAX];
    if (e->kind == IPLD_UINT) {
        snprintf(text, sizeof text, "%" PRIu64, e->integer);
    } else if (e->kind == IPLD_FLOAT) {
        dag_json_print_float(e->number, text);
    } else if (e->integer == UINT64_MAX) {
        snprintf(text, sizeof text, "-18446744073709551616");
    } else {
        snprintf(text, sizeof text, "-%" PRIu64, e->integer + 1);
    }
    put_text(w, text);
}

/* ── links and bytes ─────────────────────────────────────────────────────────────────────────── */
static void refuse(writer_t *w, const char *text)
{
    if (!w->err)
        w->err = fail(ERR_INVALID, "%s", text);
}

static void put_link(writer_t *w, bytes_t binary)
{
    cid_t cid;
    char text[CID_TEXT_MAX];
    err_t e = cid_decode(binary, &cid);
    if (e) {
        w->err = w->err ? w->err : e;
        return;
    }
    put_text(w, "{\"/\":\"");
    put_text(w, cid_print(&cid, text));
    put_text(w, "\"}");
}

static void put_bytes(writer_t *w, bytes_t data)
{
    put_text(w, "{\"/\":{\"bytes\":\"");
    if (!w->err)
        w->err = multibase_encode_raw(MB_BASE64, data, w->out);
    put_text(w, "\"}}");
}

void dag_json_put(writer_t *w, const ipld_event_t *e, bool has_links)
{
    switch (e->kind) {
    case IPLD_NULL:
        put_text(w, "null");
        return;
    case IPLD_BOOL:
        put_text(w, e->integer ? "true" : "false");
        return;
    case IPLD_FLOAT:
        if (!isfinite(e->number)) {
            refuse(w, isnan(e->number) ? "unsupported value: NaN"
                      : e->number > 0  ? "unsupported value: +Inf"
                                       : "unsupported value: -Inf");
            return;
        }
        /* fall through */
    case IPLD_UINT:
    case IPLD_NEGATIVE:
        put_number(w, e);
        return;
    case IPLD_STRING:
        dag_json_put_string(w, e->bytes);
        if (e->is_key)
            write_u8(w, ':');
        return;
    case IPLD_BYTES:
        if (has_links)
            put_bytes(w, e->bytes);
        else
            refuse(w, "cannot marshal IPLD bytes to this codec");
        return;
    case IPLD_LINK:
        if (has_links)
            put_link(w, e->bytes);
        else
            refuse(w, "cannot marshal IPLD links to this codec");
        return;
    case IPLD_LIST:
    case IPLD_MAP:
        write_u8(w, e->kind == IPLD_MAP ? '{' : '[');
        return;
    case IPLD_END:
        return;
    }
}
