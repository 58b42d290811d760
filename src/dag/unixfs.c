#include "dag/unixfs.h"
#include "base/pb.h"

enum {
    FIELD_TYPE = 1,
    FIELD_DATA = 2,
    FIELD_FILE_SIZE = 3,
    FIELD_BLOCK_SIZES = 4,
    FIELD_HASH_TYPE = 5,
    FIELD_FANOUT = 6,
    FIELD_MODE = 7,
    FIELD_MTIME = 8,
    TIME_SECONDS = 1,
    TIME_NANOSECONDS = 2,
    NANOSECONDS_MAX = 999999999,
};

static err_t decode_time(bytes_t in, unixfs_time_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    unixfs_time_t time = {0};
    while (pb_next(&r, &f)) {
        if (f.number == TIME_SECONDS)
            time.seconds = (int64_t)pb_uint(&r, &f);
        else if (f.number == TIME_NANOSECONDS)
            time.nanoseconds = f.wire == PB_FIXED32 ? (uint32_t)f.value : NANOSECONDS_MAX + 1u;
    }
    if (r.err || time.nanoseconds > NANOSECONDS_MAX)
        return fail(ERR_INVALID, "unixfs: bad modification time");
    *ret = time;
    return OK;
}

static size_t count_packed(reader_t *outer, bytes_t in)
{
    reader_t packed = reader_of(in);
    uint64_t ignored;
    size_t count = 0;
    while (pb_packed_next(&packed, &ignored))
        count++;
    if (packed.err)
        reader_fail(outer, packed.err);
    return count;
}

static err_t check_shard(const unixfs_t *u)
{
    if (u->fanout < UNIXFS_MIN_FANOUT || u->fanout > UNIXFS_MAX_FANOUT || (u->fanout & (u->fanout - 1)))
        return fail(ERR_INVALID, "directory shard: fanout %llu is not a power of two from %d to %d",
                    (unsigned long long)u->fanout, UNIXFS_MIN_FANOUT, UNIXFS_MAX_FANOUT);
    if (u->data.len > u->fanout / 8)
        return fail(ERR_INVALID, "directory shard: bit field of %zu bytes for a fanout of %llu", u->data.len,
                    (unsigned long long)u->fanout);
    if (u->hash_type != UNIXFS_HASH_MURMUR3)
        return fail(ERR_INVALID, "directory shard: unknown hash function 0x%llx",
                    (unsigned long long)u->hash_type);
    return OK;
}

static err_t check(const unixfs_t *u)
{
    switch (u->type) {
    case UNIXFS_RAW:
    case UNIXFS_FILE:
        return OK;
    case UNIXFS_DIRECTORY:
    case UNIXFS_SYMLINK:
        return u->block_size_count ? fail(ERR_INVALID, "unixfs: block sizes outside of a file") : OK;
    case UNIXFS_HAMT_SHARD:
        return check_shard(u);
    case UNIXFS_METADATA:
        break;
    }
    return fail(ERR_INVALID, "unixfs: type %u is not supported", (unsigned)u->type);
}

err_t unixfs_decode(bytes_t message, unixfs_t *ret)
{
    reader_t r = reader_of(message);
    pb_field_t f;
    unixfs_t u = {.message = message};
    bool has_type = false;
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case FIELD_TYPE: {
            uint64_t type = pb_uint(&r, &f);
            if (type > UNIXFS_HAMT_SHARD)
                return fail(ERR_INVALID, "unixfs: unknown type %llu", (unsigned long long)type);
            u.type = (unixfs_type_t)type;
            has_type = true;
            break;
        }
        case FIELD_DATA:
            u.data = pb_bytes(&r, &f, message.len);
            u.has_data = true;
            break;
        case FIELD_FILE_SIZE:
            u.file_size = pb_uint(&r, &f);
            u.has_file_size = true;
            break;
        case FIELD_BLOCK_SIZES:
            u.block_size_count += f.wire == PB_BYTES ? count_packed(&r, f.bytes) : 1;
            if (f.wire != PB_BYTES)
                pb_uint(&r, &f);
            break;
        case FIELD_HASH_TYPE:
            u.hash_type = pb_uint(&r, &f);
            break;
        case FIELD_FANOUT:
            u.fanout = pb_uint(&r, &f);
            break;
        case FIELD_MODE:
            u.mode = (uint32_t)pb_uint(&r, &f);
            u.has_mode = true;
            break;
        case FIELD_MTIME: {
            bytes_t time = pb_bytes(&r, &f, message.len);
            if (!r.err)
                TRY(decode_time(time, &u.mtime));
            u.has_mtime = true;
            break;
        }
        }
    }
    if (r.err)
        return fail(ERR_INVALID, "unixfs: the message is cut off");
    if (!has_type) /* in the words by which tools know what is no UnixFS */
        return fail(ERR_INVALID, "unixfs: proto: required field \"Type\" not set");
    TRY(check(&u));
    *ret = u;
    return OK;
}

unixfs_sizes_t unixfs_sizes(const unixfs_t *u)
{
    return (unixfs_sizes_t){.reader = reader_of(u->message), .packed = reader_of(BYTES_NONE)};
}

bool unixfs_next_size(unixfs_sizes_t *s, uint64_t *ret_size)
{
    pb_field_t f;
    for (;;) {
        if (pb_packed_next(&s->packed, ret_size))
            return true;
        if (!pb_next(&s->reader, &f))
            return false;
        if (f.number != FIELD_BLOCK_SIZES)
            continue;
        if (f.wire == PB_BYTES) {
            s->packed = reader_of(f.bytes);
        } else {
            *ret_size = f.value;
            return true;
        }
    }
}

static void put_meta(writer_t *w, const unixfs_t *u)
{
    if (u->has_mode)
        pb_put_uint(w, FIELD_MODE, u->mode);
    if (!u->has_mtime)
        return;
    size_t mark = pb_begin(w, FIELD_MTIME);
    pb_put_uint(w, TIME_SECONDS, (uint64_t)u->mtime.seconds);
    if (u->mtime.nanoseconds) {
        write_u8(w, TIME_NANOSECONDS << 3 | PB_FIXED32);
        write_u32le(w, u->mtime.nanoseconds);
    }
    pb_end(w, mark);
}

void unixfs_put(writer_t *w, const unixfs_t *u, const uint64_t *sizes, size_t n)
{
    pb_put_uint(w, FIELD_TYPE, u->type);
    if (u->has_data)
        pb_put_bytes(w, FIELD_DATA, u->data);
    if (u->has_file_size)
        pb_put_uint(w, FIELD_FILE_SIZE, u->file_size);
    for (size_t i = 0; i < n; i++)
        pb_put_uint(w, FIELD_BLOCK_SIZES, sizes[i]);
    if (u->type == UNIXFS_HAMT_SHARD) {
        pb_put_uint(w, FIELD_HASH_TYPE, u->hash_type);
        pb_put_uint(w, FIELD_FANOUT, u->fanout);
    }
    put_meta(w, u);
}

/* mode: 6 bytes at most; time: 2 + 11 + 5; file size: 11. */
static size_t put_leaf_suffix(const unixfs_t *meta, size_t len, uint8_t out[UNIXFS_LEAF_SUFFIX_MAX])
{
    size_t n = 0;
    out[n++] = FIELD_FILE_SIZE << 3;
    n += uvarint_put(out + n, len);
    if (meta->has_mode) {
        out[n++] = FIELD_MODE << 3;
        n += uvarint_put(out + n, meta->mode);
    }
    if (meta->has_mtime) {
        uint64_t seconds = (uint64_t)meta->mtime.seconds;
        out[n++] = FIELD_MTIME << 3 | PB_BYTES;
        out[n++] = (uint8_t)(1 + uvarint_size(seconds) + (meta->mtime.nanoseconds ? 5 : 0));
        out[n++] = TIME_SECONDS << 3;
        n += uvarint_put(out + n, seconds);
        if (meta->mtime.nanoseconds) {
            out[n++] = TIME_NANOSECONDS << 3 | PB_FIXED32;
            for (unsigned shift = 0; shift < 32; shift += 8)
                out[n++] = (uint8_t)(meta->mtime.nanoseconds >> shift);
        }
    }
    return n;
}

void unixfs_leaf_around(const unixfs_t *meta, size_t len, unixfs_leaf_t *ret)
{
    ret->suffix_len = put_leaf_suffix(meta, len, ret->suffix);
    size_t message_len = 2 + (len ? 1 + uvarint_size(len) + len : 0) + ret->suffix_len;
    uint8_t *out = ret->prefix;
    size_t n = 0;
    out[n++] = 1 << 3 | PB_BYTES; /* Data of the dag-pb node */
    n += uvarint_put(out + n, message_len);
    out[n++] = FIELD_TYPE << 3;
    out[n++] = (uint8_t)meta->type;
    if (len) { /* an empty file has no Data field */
        out[n++] = FIELD_DATA << 3 | PB_BYTES;
        n += uvarint_put(out + n, len);
    }
    ret->prefix_len = n;
}

/* ── the empty directory ─────────────────────────────────────────────────────────────────────── */
static const uint8_t empty_dir[] = {0x0a, 0x02, 0x08, 0x01};
static const uint8_t empty_dir_sha256[] = {0x59, 0x94, 0x84, 0x39, 0x06, 0x5f, 0x29, 0x61, 0x9e, 0xf4, 0x12,
                                           0x80, 0xcb, 0xb9, 0x32, 0xbe, 0x52, 0xc5, 0x6d, 0x99, 0xc5, 0x96,
                                           0x6b, 0x65, 0xe0, 0x11, 0x12, 0x39, 0xf0, 0x98, 0xbb, 0xef};

bytes_t unixfs_empty_dir(void)
{
    return bytes_of(empty_dir, sizeof empty_dir);
}

bool unixfs_is_empty_dir(const cid_t *cid)
{
    return cid->codec == CODEC_DAG_PB && cid->hash_code == MH_SHA2_256 &&
           bytes_equal(cid_digest(cid), bytes_of(empty_dir_sha256, sizeof empty_dir_sha256));
}
