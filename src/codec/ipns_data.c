#include "codec/ipns_data.h"
#include "base/reader.h"
#include "base/writer.h"

enum { UINT = 0, NEGATIVE = 1, BYTES = 2, TEXT = 3, ARRAY = 4, MAP = 5, TAG = 6, SIMPLE = 7 };
enum { N_FIELDS = 5, VALUE_BYTES_MAX = IPNS_RECORD_MAX_BYTES };
enum { HAS_VALUE = 1, HAS_VALIDITY = 2, HAS_TYPE = 4, HAS_SEQUENCE = 8, HAS_TTL = 16 };

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct item {
    uint8_t major;
    uint64_t number;
    bytes_t bytes;
} item_t;

/* A head in its shortest form; the bytes of strings. */
static item_t read_item(reader_t *r)
{
    uint8_t first = read_u8(r), minor = first & 31;
    item_t i = {first >> 5, minor, BYTES_NONE};
    uint64_t least = 0;
    if (minor == 24) {
        i.number = read_u8(r);
        least = 24;
    } else if (minor == 25) {
        i.number = read_u16be(r);
        least = 1u << 8;
    } else if (minor == 26) {
        i.number = read_u32be(r);
        least = 1u << 16;
    } else if (minor == 27) {
        i.number = read_u64be(r);
        least = UINT64_C(1) << 32;
    }
    if (minor > 27 || (i.major != SIMPLE && i.number < least))
        reader_fail(r, ERR_INVALID);
    if (i.major == BYTES || i.major == TEXT)
        i.bytes = i.number <= reader_left(r) ? read_bytes(r, (size_t)i.number)
                                             : (reader_fail(r, ERR_EOF), BYTES_NONE);
    return i;
}

/* Passes over what is inside an item that has been read. */
static void skip_inside(reader_t *r, const item_t *item)
{
    uint64_t left = 0;
    for (item_t i = *item; !r->err; i = read_item(r), left--) {
        uint64_t inside = i.major == ARRAY ? i.number : i.major == MAP ? 2 * i.number : i.major == TAG;
        if (inside > reader_left(r) || i.number > reader_left(r) + UINT32_MAX)
            inside = i.major >= ARRAY && i.major <= MAP ? (reader_fail(r, ERR_EOF), 0) : inside;
        left += inside;
        if (!left)
            return;
    }
}

static bool comes_before(bytes_t a, bytes_t b)
{
    return a.len < b.len || (a.len == b.len && bytes_compare(a, b) < 0);
}

static void read_field(reader_t *r, bytes_t key, ipns_fields_t *f, unsigned *seen)
{
    item_t i = read_item(r);
    struct {
        const char *key;
        unsigned flag;
        bytes_t *bytes;
        uint64_t *number;
    } fields[N_FIELDS] = {{"TTL", HAS_TTL, NULL, &f->ttl_ns},
                          {"Value", HAS_VALUE, &f->value, NULL},
                          {"Sequence", HAS_SEQUENCE, NULL, &f->sequence},
                          {"Validity", HAS_VALIDITY, &f->validity, NULL},
                          {"ValidityType", HAS_TYPE, NULL, &f->validity_type}};
    for (size_t n = 0; n < N_FIELDS; n++) {
        if (!bytes_equal(key, bytes_str(fields[n].key)))
            continue;
        if (i.major != (fields[n].bytes ? BYTES : UINT))
            reader_fail(r, ERR_INVALID);
        if (fields[n].bytes)
            *fields[n].bytes = i.bytes;
        else
            *fields[n].number = i.number;
        *seen |= fields[n].flag;
        return;
    }
    skip_inside(r, &i);
}

err_t ipns_data_decode(bytes_t in, ipns_fields_t *ret)
{
    reader_t r = reader_of(in);
    ipns_fields_t f = {0};
    unsigned seen = 0;
    bytes_t before = BYTES_NONE;
    item_t map = read_item(&r);
    if (map.major != MAP)
        reader_fail(&r, ERR_INVALID);
    for (uint64_t n = 0; n < map.number && !r.err; n++) {
        item_t key = read_item(&r);
        if (key.major != TEXT || (n && !comes_before(before, key.bytes)))
            reader_fail(&r, ERR_INVALID);
        before = key.bytes;
        read_field(&r, key.bytes, &f, &seen);
    }
    if (r.err || reader_left(&r))
        return fail(ERR_INVALID, "record is malformed: its data is not canonical dag-cbor");
    f.has_ttl = seen & HAS_TTL;
    if ((seen | HAS_TTL) != (HAS_VALUE | HAS_VALIDITY | HAS_TYPE | HAS_SEQUENCE | HAS_TTL))
        return fail(ERR_INVALID, "record is malformed: a field is missing in its data");
    *ret = f;
    return OK;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
static void put_head(writer_t *w, uint8_t major, uint64_t number)
{
    uint8_t type = (uint8_t)(major << 5);
    if (number < 24) {
        write_u8(w, type | (uint8_t)number);
    } else if (number <= UINT8_MAX) {
        write_u8(w, type | 24);
        write_u8(w, (uint8_t)number);
    } else if (number <= UINT16_MAX) {
        write_u8(w, type | 25);
        write_u16be(w, (uint16_t)number);
    } else if (number <= UINT32_MAX) {
        write_u8(w, type | 26);
        write_u32be(w, (uint32_t)number);
    } else {
        write_u8(w, type | 27);
        write_u64be(w, number);
    }
}

static void put_string(writer_t *w, uint8_t major, bytes_t string)
{
    put_head(w, major, string.len);
    write_bytes(w, string);
}

static void put_number(writer_t *w, const char *key, uint64_t number)
{
    put_string(w, TEXT, bytes_str(key));
    put_head(w, UINT, number);
}

static void put_bytes(writer_t *w, const char *key, bytes_t bytes)
{
    put_string(w, TEXT, bytes_str(key));
    put_string(w, BYTES, bytes);
}

err_t ipns_data_encode(const ipns_fields_t *f, buf_t *out)
{
    writer_t w = writer_to(out);
    put_head(&w, MAP, N_FIELDS);
    put_number(&w, "TTL", f->ttl_ns);
    put_bytes(&w, "Value", f->value);
    put_number(&w, "Sequence", f->sequence);
    put_bytes(&w, "Validity", f->validity);
    put_number(&w, "ValidityType", f->validity_type);
    return w.err;
}
