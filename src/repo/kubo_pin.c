#include "base/utf8.h"
#include "codec/ipld_scan.h"
#include "repo/kubo_source.h"

enum { MODE_RECURSIVE = 0, MODE_DIRECT = 1 }; /* of boxo's pinner */

typedef struct fields {
    bool has_cid, has_mode, has_bad_name;
    pin_t pin;
} fields_t;

static err_t take_value(fields_t *f, bytes_t key, const ipld_event_t *e)
{
    if (bytes_equal(key, BYTES_LIT("cid")) && e->kind == IPLD_BYTES) {
        f->has_cid = true;
        return cid_decode(e->bytes, &f->pin.cid);
    }
    if (bytes_equal(key, BYTES_LIT("mode")) && e->kind == IPLD_UINT) {
        f->has_mode = e->integer == MODE_RECURSIVE || e->integer == MODE_DIRECT;
        f->pin.mode = e->integer == MODE_RECURSIVE ? PIN_RECURSIVE : PIN_DIRECT;
    }
    if (bytes_equal(key, BYTES_LIT("name")) && e->kind == IPLD_STRING) {
        size_t len = e->bytes.len;
        f->has_bad_name =
            len > PIN_NAME_MAX_BYTES || !utf8_is_valid(e->bytes) || (len && memchr(e->bytes.data, 0, len));
        if (f->has_bad_name)
            len = 0;
        if (len)
            memcpy(f->pin.name, e->bytes.data, len);
        f->pin.name[len] = 0;
    }
    return OK;
}

err_t kubo_pin_decode(bytes_t record, pin_t *ret, bool *ret_has_bad_name)
{
    AUTO(ipld_scan_t) s;
    ipld_event_t e;
    char key_data[16];
    bytes_t key = BYTES_NONE;
    fields_t f = {0};
    size_t depth = 0;
    ipld_scan_init(&s, CODEC_CBOR, record, 0);
    while (ipld_scan_next(&s, &e)) {
        depth -= e.kind == IPLD_END;
        if (depth == 1 && e.is_key) {
            size_t n = e.bytes.len < sizeof key_data ? e.bytes.len : 0;
            if (n)
                memcpy(key_data, e.bytes.data, n);
            key = bytes_of(key_data, n);
        } else if (depth == 1 && e.kind != IPLD_END) {
            TRY(take_value(&f, key, &e));
        }
        depth += e.kind == IPLD_MAP || e.kind == IPLD_LIST;
    }
    if (s.err || !f.has_cid || !f.has_mode)
        return fail(ERR_CORRUPT, "a pin's record of %zu bytes cannot be read", record.len);
    *ret = f.pin;
    *ret_has_bad_name = f.has_bad_name;
    return OK;
}
