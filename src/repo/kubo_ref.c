#include "base/pb.h"
#include "multi/multibase.h"
#include "repo/kubo_source.h"

enum { FIELD_PATH = 1, FIELD_OFFSET = 2, FIELD_SIZE = 3 };

static err_t read_cid(bytes_t key, cid_t *ret)
{
    static const bytes_t prefix = BYTES_LIT(KUBO_FILESTORE_PREFIX);
    AUTO(buf_t) multihash;
    buf_init(&multihash, CID_BINARY_MAX);
    if (!bytes_starts_with(key, prefix))
        return fail(ERR_CORRUPT, "a key of another kind");
    TRY(multibase_decode_raw(MB_BASE32UPPER, bytes_slice(key, prefix.len, key.len), &multihash));
    return cid_from_multihash(buf_bytes(&multihash), CODEC_RAW, ret) ? cid_decode(buf_bytes(&multihash), ret)
                                                                     : OK; /* in version 11 */
}

err_t kubo_ref_decode(bytes_t key, bytes_t record, filestore_ref_t *ret)
{
    filestore_ref_t ref = {0};
    reader_t r = reader_of(record);
    pb_field_t f;
    while (pb_next(&r, &f)) {
        if (f.number == FIELD_PATH)
            ref.path = pb_bytes(&r, &f, FILESTORE_PATH_MAX_BYTES);
        else if (f.number == FIELD_OFFSET)
            ref.offset = pb_uint(&r, &f);
        else if (f.number == FIELD_SIZE)
            ref.size = pb_uint(&r, &f);
    }
    if (r.err || read_cid(key, &ref.cid) || !ref.path.len || memchr(ref.path.data, 0, ref.path.len) ||
        ref.size > BLOCK_MAX_BYTES)
        return fail(ERR_CORRUPT, "a reference to a file, of %zu bytes, cannot be read", record.len);
    *ret = ref;
    return OK;
}
