#include "multi/cid.h"

/* Binary, then text: what was read is written and read again as the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size);
    uint8_t out[CID_BINARY_MAX];
    char text[CID_TEXT_MAX];
    cid_t c, again;
    size_t used;
    multibase_t base;
    if (!cid_decode_prefix(in, &c, &used)) {
        assert(used <= size && cid_encode(&c, out) == used && !memcmp(out, data, used));
        assert(!cid_parse_str(cid_print(&c, text), &again) && cid_equal(&c, &again));
        err_t e = cid_verify(&c, in);
        assert(e != ERR_NO_MEMORY);
    }
    if (!cid_parse_base(in, &c, &base)) {
        err_t e = cid_print_base(&c, c.version ? base : MB_BASE58BTC, text);
        assert(e == OK || e == ERR_LIMIT);
        assert(e || (!cid_parse_str(text, &again) && cid_equal(&c, &again)) || base == MB_IDENTITY);
    }
    return 0;
}
