#include "crypto/der.h"

enum { LONG_FORM = 0x80, ONE_BYTE = 0x81, TWO_BYTES = 0x82 };

static size_t read_len(reader_t *r)
{
    uint8_t first = read_u8(r);
    if (first < LONG_FORM)
        return first;
    size_t len = first == ONE_BYTE ? read_u8(r) : first == TWO_BYTES ? read_u16be(r) : 0;
    if (len < (first == ONE_BYTE ? LONG_FORM : 0x100)) /* also: other forms of length */
        reader_fail(r, ERR_INVALID);
    return r->err ? 0 : len;
}

bytes_t der_read(reader_t *r, uint8_t tag)
{
    if (read_u8(r) != tag)
        reader_fail(r, ERR_INVALID);
    size_t len = read_len(r);
    return read_bytes(r, len);
}

reader_t der_read_nested(reader_t *r, uint8_t tag)
{
    reader_t inner = reader_of(der_read(r, tag));
    inner.err = r->err;
    return inner;
}

bytes_t der_read_uint(reader_t *r)
{
    bytes_t v = der_read(r, DER_INTEGER);
    bool is_padded = v.len > 1 && !v.data[0];
    if (!v.len || v.data[0] & 0x80 || (is_padded && !(v.data[1] & 0x80)))
        reader_fail(r, ERR_INVALID);
    if (r->err)
        return BYTES_NONE;
    return bytes_slice(v, is_padded, v.len);
}

bytes_t der_read_bits(reader_t *r)
{
    bytes_t v = der_read(r, DER_BIT_STRING);
    if (!v.len || v.data[0])
        reader_fail(r, ERR_INVALID);
    return r->err ? BYTES_NONE : bytes_slice(v, 1, v.len);
}

bool der_next_is(const reader_t *r, uint8_t tag)
{
    return reader_left(r) && *r->pos == tag;
}

void der_end(reader_t *r, const reader_t *inner)
{
    if (inner->err || reader_left(inner))
        reader_fail(r, inner->err ? inner->err : ERR_INVALID);
}

static size_t put_len(uint8_t out[3], size_t len)
{
    assert(len <= UINT16_MAX);
    if (len < LONG_FORM) {
        out[0] = (uint8_t)len;
        return 1;
    }
    if (len < 0x100) {
        out[0] = ONE_BYTE;
        out[1] = (uint8_t)len;
        return 2;
    }
    out[0] = TWO_BYTES;
    out[1] = (uint8_t)(len >> 8);
    out[2] = (uint8_t)len;
    return 3;
}

void der_put(writer_t *w, uint8_t tag, bytes_t content)
{
    uint8_t len[3];
    write_u8(w, tag);
    write_bytes(w, bytes_of(len, put_len(len, content.len)));
    write_bytes(w, content);
}

size_t der_begin(writer_t *w, uint8_t tag)
{
    write_u8(w, tag);
    return w->out->len;
}

void der_end_put(writer_t *w, size_t mark)
{
    if (w->err)
        return;
    uint8_t len[3];
    size_t content = w->out->len - mark, prefix = put_len(len, content);
    write_bytes(w, bytes_of(len, prefix)); /* room at the end; the content then moves behind it */
    if (w->err)
        return;
    memmove(w->out->data + mark + prefix, w->out->data + mark, content);
    memcpy(w->out->data + mark, len, prefix);
}
