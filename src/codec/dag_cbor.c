#include "codec/dag_cbor.h"
#include "codec/ipld_scan_impl.h"
#include <math.h>

enum { UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };
enum { FALSE = 20, TRUE = 21, NULL_VALUE = 22, UNDEFINED = 23, HALF = 25, SINGLE = 26, DOUBLE = 27 };
enum { OPEN_ENDED = 31, LINK_TAG = 42, BREAK = 0xff };

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct head {
    uint8_t major, minor;
    uint64_t value; /* of the simple types: the bits behind the first byte */
} head_t;

static head_t read_head(ipld_scan_t *s)
{
    reader_t *r = &s->reader;
    uint8_t first = read_u8(r);
    head_t h = {first >> 5, first & 31, first & 31};
    if (h.minor == 24)
        h.value = read_u8(r);
    else if (h.minor == 25)
        h.value = read_u16be(r);
    else if (h.minor == 26)
        h.value = read_u32be(r);
    else if (h.minor == 27)
        h.value = read_u64be(r);
    else if (h.minor > 27 && (h.minor != OPEN_ENDED || h.major < BYTES || h.major > MAP))
        s->err = fail(ERR_INVALID, "cbor: invalid byte 0x%02x at the beginning of a value", first);
    if (r->err)
        s->err = fail(ERR_EOF, "EOF");
    return h;
}

static bytes_t read_chunk(ipld_scan_t *s, uint64_t len)
{
    if (len > reader_left(&s->reader)) {
        s->err = fail(ERR_EOF, "unexpected EOF");
        return BYTES_NONE;
    }
    return read_bytes(&s->reader, (size_t)len);
}

/* A string in pieces: each a string of the same type with a length, up to a break. */
static bytes_t read_pieces(ipld_scan_t *s, uint8_t major)
{
    buf_clear(&s->scratch);
    for (;;) {
        if (reader_left(&s->reader) && *s->reader.pos == BREAK) {
            read_u8(&s->reader);
            return buf_bytes(&s->scratch);
        }
        head_t h = read_head(s);
        if (!s->err && (h.major != major || h.minor == OPEN_ENDED))
            s->err = fail(ERR_INVALID, "cbor: a string of indefinite length holds something else");
        bytes_t piece = s->err ? BYTES_NONE : read_chunk(s, h.value);
        if (!s->err)
            s->err = buf_append(&s->scratch, piece);
        if (s->err)
            return BYTES_NONE;
    }
}

static void read_string(ipld_scan_t *s, head_t h, ipld_event_t *e)
{
    e->kind = h.major == TEXT ? IPLD_STRING : IPLD_BYTES;
    e->is_in_block = h.minor != OPEN_ENDED;
    e->bytes = e->is_in_block ? read_chunk(s, h.value) : read_pieces(s, h.major);
}

static void read_link(ipld_scan_t *s, head_t tag, ipld_event_t *e)
{
    cid_t cid;
    if (tag.value != LINK_TAG || s->codec != CODEC_DAG_CBOR) {
        s->err = fail(ERR_INVALID, "unhandled cbor tag %llu", (unsigned long long)tag.value);
        return;
    }
    head_t h = read_head(s);
    if (!s->err && h.major != BYTES)
        s->err = fail(ERR_INVALID, "cbor: tag 42 belongs to a byte string");
    if (s->err)
        return;
    read_string(s, h, e);
    if (s->err)
        return;
    if (!e->bytes.len || e->bytes.data[0]) {
        s->err = fail(ERR_INVALID, "invalid multibase on IPLD link");
        return;
    }
    e->kind = IPLD_LINK;
    e->bytes = bytes_slice(e->bytes, 1, e->bytes.len);
    s->err = cid_decode(e->bytes, &cid);
}

static double half_to_double(uint64_t bits)
{
    int exponent = bits >> 10 & 31;
    double mantissa = bits & 1023;
    double value = exponent == 0    ? ldexp(mantissa, -24)
                   : exponent != 31 ? ldexp(mantissa + 1024, exponent - 25)
                   : mantissa != 0  ? NAN
                                    : INFINITY;
    return bits & 0x8000 ? -value : value;
}

static void read_simple(ipld_scan_t *s, head_t h, ipld_event_t *e)
{
    float single;
    uint32_t single_bits = (uint32_t)h.value;
    e->kind = IPLD_FLOAT;
    switch (h.minor) {
    case FALSE:
    case TRUE:
        e->kind = IPLD_BOOL;
        e->integer = h.minor == TRUE;
        return;
    case NULL_VALUE:
    case UNDEFINED:
        e->kind = IPLD_NULL;
        return;
    case HALF:
        e->number = half_to_double(h.value);
        return;
    case SINGLE:
        memcpy(&single, &single_bits, sizeof single);
        e->number = single;
        return;
    case DOUBLE:
        memcpy(&e->number, &h.value, sizeof e->number);
        return;
    default:
        s->err = fail(ERR_INVALID, "cbor: simple value %llu: only booleans, null and floats have a meaning",
                      (unsigned long long)h.value);
    }
}

/* The event at the end of a list or map; false: it goes on. */
static bool read_end(ipld_scan_t *s, const ipld_frame_t *f, ipld_event_t *e)
{
    if (!f || f->wants_value)
        return false;
    if (f->is_open_ended) {
        if (!reader_left(&s->reader) || *s->reader.pos != BREAK)
            return false;
        read_u8(&s->reader);
    } else if (f->left) {
        return false;
    }
    e->kind = IPLD_END;
    return true;
}

void dag_cbor_read(ipld_scan_t *s, const ipld_frame_t *f, ipld_event_t *ret)
{
    ipld_event_t e = {0};
    if (read_end(s, f, ret))
        return;
    head_t h = read_head(s);
    if (s->err)
        return;
    switch (h.major) {
    case UINT:
    case NEGATIVE:
        e.kind = h.major == UINT ? IPLD_UINT : IPLD_NEGATIVE;
        e.integer = h.value;
        break;
    case BYTES:
    case TEXT:
        read_string(s, h, &e);
        break;
    case ARRAY:
    case MAP:
        e.kind = h.major == MAP ? IPLD_MAP : IPLD_LIST;
        e.integer = h.minor == OPEN_ENDED ? UINT64_MAX : h.value;
        if (e.integer != UINT64_MAX && e.integer > reader_left(&s->reader))
            s->err = fail(ERR_EOF, "EOF");
        break;
    case TAG:
        read_link(s, h, &e);
        break;
    default:
        read_simple(s, h, &e);
    }
    *ret = e;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_head(writer_t *w, uint8_t major, uint64_t value)
{
    uint8_t top = (uint8_t)(major << 5);
    if (value < 24) {
        write_u8(w, top | (uint8_t)value);
    } else if (value <= UINT8_MAX) {
        write_u8(w, top | 24);
        write_u8(w, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        write_u8(w, top | 25);
        write_u16be(w, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        write_u8(w, top | 26);
        write_u32be(w, (uint32_t)value);
    } else {
        write_u8(w, top | 27);
        write_u64be(w, value);
    }
}

static void put_float(writer_t *w, double number)
{
    uint64_t bits;
    if (!isfinite(number)) {
        if (!w->err)
            w->err = fail(ERR_INVALID, "unsupported value: %s",
                          isnan(number) ? "NaN"
                          : number > 0  ? "+Inf"
                                        : "-Inf");
        return;
    }
    memcpy(&bits, &number, sizeof bits);
    write_u8(w, SIMPLE << 5 | DOUBLE); /* put_head would take the shortest form */
    write_u64be(w, bits);
}

static void put_link(writer_t *w, bytes_t cid)
{
    put_head(w, TAG, LINK_TAG);
    put_head(w, BYTES, cid.len + 1);
    write_u8(w, 0);
    write_bytes(w, cid);
}

int dag_cbor_compare_keys(bytes_t a, bytes_t b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return bytes_compare(a, b);
}

void dag_cbor_put(writer_t *w, const ipld_event_t *e)
{
    switch (e->kind) {
    case IPLD_NULL:
        put_head(w, SIMPLE, NULL_VALUE);
        return;
    case IPLD_BOOL:
        put_head(w, SIMPLE, e->integer ? TRUE : FALSE);
        return;
    case IPLD_UINT:
        put_head(w, UINT, e->integer);
        return;
    case IPLD_NEGATIVE:
        put_head(w, NEGATIVE, e->integer);
        return;
    case IPLD_FLOAT:
        put_float(w, e->number);
        return;
    case IPLD_STRING:
    case IPLD_BYTES:
        put_head(w, e->kind == IPLD_STRING ? TEXT : BYTES, e->bytes.len);
        write_bytes(w, e->bytes);
        return;
    case IPLD_LINK:
        put_link(w, e->bytes);
        return;
    case IPLD_LIST:
    case IPLD_MAP:
        put_head(w, e->kind == IPLD_MAP ? MAP : ARRAY, e->integer);
        return;
    case IPLD_END:
        return;
    }
}
