#include "dag/import_options.h"
#include "dag/unixfs.h"
#include "multi/cid.h"

void import_options_init(import_options_t *o)
{
    *o = (import_options_t){
        .cid_version = -1,
        .raw_leaves = -1,
        .hash_code = MH_SHA2_256,
        .chunker = {.kind = CHUNKER_SIZE, .max_bytes = CHUNKER_DEFAULT_BYTES},
        .max_links = IMPORT_MAX_LINKS_DEFAULT,
        .shard_rule = SHARD_BY_LINKS,
        .shard_threshold = IMPORT_SHARD_THRESHOLD,
        .shard_fanout = 256,
    };
}

/* Hashing nothing tells whether the function exists and may address blocks. */
static err_t check_hash(const import_options_t *o)
{
    cid_t probe;
    size_t len;
    if (multihash_natural_len(o->hash_code, &len))
        return fail_also(ERR_UNSUPPORTED, "invalid cid");
    TRY(cid_of(1, CODEC_RAW, o->hash_code, BYTES_NONE, &probe));
    return cid_is_identity(&probe) ? OK : cid_check_hash_allowed(&probe);
}

err_t import_options_resolve(import_options_t *o)
{
    if (o->cid_version > 1)
        return fail(ERR_USAGE, "unknown CID version: %d", o->cid_version);
    if (o->hash_code != MH_SHA2_256) {
        if (o->cid_version == 0)
            return fail(ERR_USAGE, "CIDv0 only supports sha2-256");
        o->cid_version = 1;
    }
    if (o->cid_version < 0)
        o->cid_version = 0;
    if (o->has_metadata && o->raw_leaves == 1)
        return fail(ERR_USAGE,
                    "raw-leaves can't be used with UnixFS metadata like mode or modification time");
    if (o->raw_leaves < 0)
        o->raw_leaves = o->cid_version == 1 && !o->has_metadata;
    if (!o->chunker.max_bytes || o->chunker.max_bytes > CHUNKER_MAX_BYTES)
        return fail(ERR_USAGE, "chunks must have 1 to %u bytes, not %zu", CHUNKER_MAX_BYTES,
                    o->chunker.max_bytes);
    if (o->max_links < 2 || o->max_links > IMPORT_MAX_LINKS_LIMIT)
        return fail(ERR_USAGE, "max-file-links must be 2 to %d, not %zu", IMPORT_MAX_LINKS_LIMIT,
                    o->max_links);
    if (o->inline_below > IMPORT_INLINE_MAX + 1)
        return fail(ERR_USAGE, "inline-limit %zu exceeds maximum allowed size of %d bytes",
                    o->inline_below - 1, IMPORT_INLINE_MAX);
    size_t fanout = o->shard_fanout;
    if (fanout < UNIXFS_MIN_FANOUT || fanout > UNIXFS_MAX_FANOUT || (fanout & (fanout - 1)))
        return fail(ERR_USAGE, "HAMT fanout must be a power of 2, between %d and %d (got %zu)",
                    UNIXFS_MIN_FANOUT, UNIXFS_MAX_FANOUT, fanout);
    return check_hash(o);
}
