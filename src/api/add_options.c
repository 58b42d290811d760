#include "api/add_options.h"
#include "api/upload.h"
#include "multi/multihash.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

static const config_t *config_of(const rpc_t *r)
{
    return repo_config(node_repo(r->node));
}

/* The text of an option that was given and is not empty, else NULL. */
static const char *text_option(rpc_t *r, const char *name)
{
    const char *text = rpc_option(r, name);
    return text && *text ? text : NULL;
}

/* ── how blocks are made ─────────────────────────────────────────────────────────────────────── */
static err_t size_option(rpc_t *r, const char *name, const char *config_key, size_t otherwise, size_t *ret)
{
    uint64_t value;
    int64_t configured = config_int(config_of(r), config_key, 0);
    TRY(rpc_u64(r, name, configured > 0 ? (uint64_t)configured : otherwise, &value));
    if (value > UINT32_MAX)
        return fail(ERR_USAGE, "option %s: %" PRIu64 " is too large", name, value);
    *ret = (size_t)value;
    return OK;
}

static err_t cid_options(rpc_t *r, import_options_t *o)
{
    const config_t *c = config_of(r);
    const char *hash = text_option(r, "hash"), *version = text_option(r, "cid-version");
    int64_t configured = config_int(c, "Import.CidVersion", -1);
    uint64_t asked;
    TRY(rpc_u64(r, "cid-version", configured >= 0 ? (uint64_t)configured : 0, &asked));
    if (version || configured >= 0)
        o->cid_version = asked > INT32_MAX ? INT32_MAX : (int)asked;
    if (text_option(r, "raw-leaves"))
        o->raw_leaves = rpc_bool(r, "raw-leaves", false);
    else if (config_has(c, "Import.UnixFSRawLeaves"))
        o->raw_leaves = config_bool(c, "Import.UnixFSRawLeaves", false);
    return multihash_from_name(hash ? hash : config_str(c, "Import.HashFunction", "sha2-256"), &o->hash_code);
}

/* One of the words, or the first when the key is not set. */
static err_t choose(const config_t *c, const char *key, const char *const *words, size_t n, size_t *ret)
{
    const char *text = config_str(c, key, words[0]);
    for (*ret = 0; *ret < n; (*ret)++)
        if (!strcmp(text, words[*ret]))
            return OK;
    return fail(ERR_INVALID, "%s must be one of \"%s\", \"%s\"…, got \"%s\"", key, words[0], words[1], text);
}

static err_t shard_options(rpc_t *r, import_options_t *o)
{
    const config_t *c = config_of(r);
    static const char *const rules[] = {"links", "block", "disabled"};
    size_t rule; /* in the order of shard_rule_t */
    TRY(choose(c, "Import.UnixFSHAMTDirectorySizeEstimation", rules, ARRAY_LEN(rules), &rule));
    o->shard_rule = (shard_rule_t)rule;
    o->shard_threshold = config_shard_threshold(c);
    TRY(size_option(r, "max-directory-links", "Import.UnixFSDirectoryMaxLinks", 0, &o->max_directory_links));
    return size_option(r, "max-hamt-fanout", "Import.UnixFSHAMTDirectoryMaxFanout", 256, &o->shard_fanout);
}

static err_t inline_options(rpc_t *r, import_options_t *o)
{
    uint64_t limit;
    TRY(rpc_u64(r, "inline-limit", IMPORT_INLINE_DEFAULT, &limit));
    if (!rpc_bool(r, "inline", false))
        return OK;
    if (limit > IMPORT_INLINE_MAX)
        return fail(ERR_USAGE, "inline-limit %" PRIu64 " exceeds maximum allowed size of %d bytes", limit,
                    IMPORT_INLINE_MAX);
    o->inline_below = (size_t)limit + 1;
    return OK;
}

/* What the reference refuses to start with. */
static err_t check_config(const config_t *c)
{
    int64_t version = config_int(c, "Import.CidVersion", 0),
            links = config_int(c, "Import.UnixFSFileMaxLinks", 1),
            dir_links = config_int(c, "Import.UnixFSDirectoryMaxLinks", 0);
    if (version != 0 && version != 1)
        return fail(ERR_INVALID, "Import.CidVersion must be 0 or 1, got %" PRId64, version);
    if (links <= 0)
        return fail(ERR_INVALID, "Import.UnixFSFileMaxLinks must be positive, got %" PRId64, links);
    if (dir_links < 0)
        return fail(ERR_INVALID, "Import.UnixFSDirectoryMaxLinks must be non-negative, got %" PRId64,
                    dir_links);
    return OK;
}

err_t add_options_read_import(rpc_t *r, import_options_t *ret)
{
    const config_t *c = config_of(r);
    const char *chunker = text_option(r, "chunker");
    import_options_t o;
    import_options_init(&o);
    TRY(check_config(c));
    TRY(inline_options(r, &o));
    TRY(cid_options(r, &o));
    TRY(chunker_parse(chunker ? chunker : config_str(c, "Import.UnixFSChunker", ""), &o.chunker));
    TRY(size_option(r, "max-file-links", "Import.UnixFSFileMaxLinks", IMPORT_MAX_LINKS_DEFAULT,
                    &o.max_links));
    static const char *const layouts[] = {"balanced", "trickle"};
    size_t layout;
    TRY(choose(c, "Import.UnixFSDAGLayout", layouts, ARRAY_LEN(layouts), &layout));
    o.is_trickle = rpc_bool(r, "trickle", layout == 1);
    TRY(shard_options(r, &o));
    *ret = o;
    return OK;
}

/* ── modes and times ─────────────────────────────────────────────────────────────────────────── */

/* As Go reads numbers without a base: 0644 and 0o644 are octal, 0x1a4 is hexadecimal. */
static err_t parse_unsigned(const char *text, uint64_t *ret)
{
    char *end;
    bool has_octal_mark = text[0] == '0' && (text[1] == 'o' || text[1] == 'O');
    errno = 0;
    unsigned long long n = strtoull(has_octal_mark ? text + 2 : text, &end, has_octal_mark ? 8 : 0);
    if (*end || end == text + 2 * has_octal_mark || *text == '-' || *text == '+' || *text == ' ')
        return fail(ERR_USAGE, "strconv.ParseUint: parsing \"%s\": invalid syntax", text);
    if (errno)
        return fail(ERR_USAGE, "strconv.ParseUint: parsing \"%s\": value out of range", text);
    *ret = n;
    return OK;
}

static err_t parse_signed(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 0);
    if (*end || end == text || *text == ' ')
        return fail(ERR_USAGE, "strconv.ParseInt: parsing \"%s\": invalid syntax", text);
    if (errno)
        return fail(ERR_USAGE, "strconv.ParseInt: parsing \"%s\": value out of range", text);
    *ret = n;
    return OK;
}

static err_t meta_options(rpc_t *r, add_options_t *o)
{
    const char *mode = text_option(r, "mode"), *mtime = text_option(r, "mtime"),
               *ns = text_option(r, "mtime-nsecs");
    uint64_t mode_value = 0, ns_value = 0;
    TRY(mode ? parse_unsigned(mode, &mode_value) : OK);
    TRY(mtime ? parse_signed(mtime, &o->meta.mtime.seconds) : OK);
    TRY(ns ? parse_unsigned(ns, &ns_value) : OK);
    if (ns_value > 999999999)
        return fail(ERR_USAGE, "mtime nanoseconds must be in range [1, 999999999]");
    o->meta.mode = upload_posix_mode((uint32_t)mode_value);
    o->meta.has_mode = o->meta.mode; /* other bits alone are no mode, as in the reference */
    o->meta.has_mtime = o->meta.mtime.seconds;
    o->meta.mtime.nanoseconds = (uint32_t)ns_value;
    /* what is said goes before what the files have */
    o->keeps_mode = !mode_value && rpc_bool(r, "preserve-mode", false);
    o->keeps_mtime = !o->meta.has_mtime && rpc_bool(r, "preserve-mtime", false);
    o->import.has_metadata = mode_value || o->meta.has_mtime || o->keeps_mode || o->keeps_mtime;
    return OK;
}

/* ── what goes together ──────────────────────────────────────────────────────────────────────── */
static err_t check_pin_name(const rpc_t *r, const add_options_t *o)
{
    size_t len = o->pin_name ? strlen(o->pin_name) : 0;
    if (len > PIN_NAME_MAX_BYTES)
        return fail(ERR_USAGE, "pin name is %zu bytes (max %d bytes)", len, PIN_NAME_MAX_BYTES);
    return OK;
}

/* Leaves of files that are not copied are their bytes and nothing else. */
static err_t check_no_copy(rpc_t *r, add_options_t *o)
{
    const config_t *c = config_of(r);
    if (!o->no_copy)
        return OK;
    if (!o->import.raw_leaves || (o->import.has_metadata && o->import.raw_leaves != 1))
        return fail(ERR_USAGE, "nocopy option requires '--raw-leaves' to be enabled as well");
    if (!config_bool(c, "Experimental.FilestoreEnabled", false) &&
        !config_bool(c, "Experimental.UrlstoreEnabled", false))
        return fail(ERR_INVALID,
                    "either the filestore or the urlstore must be enabled to use nocopy, see: "
                    "https://github.com/ipfs/kubo/blob/master/docs/experimental-features.md#ipfs-filestore");
    o->import.raw_leaves = 1;
    return OK;
}

static err_t check_together(rpc_t *r, const add_options_t *o)
{
    if (o->import.has_metadata && o->import.raw_leaves == 1)
        return fail(ERR_USAGE,
                    "raw-leaves can't be used with UnixFS metadata like mode or modification time");
    if (o->only_hash && o->to_files)
        return fail(ERR_USAGE, "only-hash and to-files options are not compatible");
    if (!o->pins && o->pin_name)
        return fail(ERR_USAGE, "pin-name option requires pin to be set");
    if (o->wraps && o->to_files)
        return fail(ERR_USAGE, "wrap-with-directory and to-files options are not compatible");
    if (text_option(r, "mtime-nsecs") && !o->meta.has_mtime && o->meta.mtime.nanoseconds)
        return fail(ERR_USAGE, "option \"mtime-nsecs\" requires \"mtime\" to be provided as well");
    return OK;
}

err_t add_options_read(rpc_t *r, add_options_t *ret)
{
    add_options_t o = {.pin_name = rpc_option(r, "pin-name"),
                       .to_files = rpc_option(r, "to-files"),
                       .only_hash = rpc_bool(r, "only-hash", false),
                       .wraps = rpc_bool(r, "wrap-with-directory", false),
                       .is_silent = rpc_bool(r, "silent", false),
                       .shows_progress = rpc_bool(r, "progress", false),
                       .omits_empty_dirs = !rpc_bool(r, "empty-dirs", true),
                       .no_copy = rpc_bool(r, "nocopy", false),
                       .use_file_cache = rpc_bool(r, "fscache", false)};
    o.pins = rpc_bool(r, "pin", true) && !o.only_hash;
    TRY(add_options_read_import(r, &o.import));
    TRY(check_pin_name(r, &o));
    TRY(meta_options(r, &o));
    TRY(check_together(r, &o));
    TRY(check_no_copy(r, &o));
    TRY(rpc_u64(r, "replicas", 0, &o.replicas));
    o.announce = announce_options(r);
    *ret = o;
    return OK;
}
