#include "wire/dcutr.h"
#include "wire/addr_field.h"

enum { FIELD_TYPE = 1, FIELD_ADDRS = 2 };

err_t dcutr_decode(bytes_t in, dcutr_t *ret)
{
    uint64_t type = 0;
    if (in.len > DCUTR_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "a DCUtR message of %zu bytes is longer than %d", in.len,
                    DCUTR_MESSAGE_MAX_BYTES);
    reader_t r = reader_of(in);
    for (pb_field_t f; pb_next(&r, &f);)
        if (f.number == FIELD_TYPE)
            type = pb_uint(&r, &f);
        else if (f.number == FIELD_ADDRS)
            pb_bytes(&r, &f, DCUTR_MESSAGE_MAX_BYTES);
    if (r.err)
        return fail(r.err, "malformed DCUtR message of %zu bytes", in.len);
    if (type != DCUTR_CONNECT && type != DCUTR_SYNC)
        return fail(ERR_INVALID, "unknown type %llu of a DCUtR message", (unsigned long long)type);
    *ret = (dcutr_t){(dcutr_type_t)type, in};
    return OK;
}

bool dcutr_next_addr(const dcutr_t *m, size_t *iter, multiaddr_t *ret)
{
    return addr_field_next(m->raw, FIELD_ADDRS, iter, ret);
}

void dcutr_encode(dcutr_type_t type, const multiaddr_t *addrs, size_t n, writer_t *w)
{
    pb_put_uint(w, FIELD_TYPE, type);
    for (size_t i = 0; i < n; i++)
        pb_put_bytes(w, FIELD_ADDRS, multiaddr_bytes(&addrs[i]));
}
