/* add_options: what a request of `add` asks for: its options over the config's Import section. Reference:
 * ipfs/kubo core/commands/add.go, config/import.go. */
#ifndef API_ADD_OPTIONS_H
#define API_ADD_OPTIONS_H
#include "api/announce.h"
#include "dag/importer.h"

typedef struct add_options {
    import_options_t import;
    unixfs_t meta;                /* of --mode and --mtime, for every entry */
    bool keeps_mode, keeps_mtime; /* of each entry, as the client sends them */
    bool wraps, pins, only_hash, is_silent, shows_progress, omits_empty_dirs;
    bool no_copy, use_file_cache;
    announce_t announce;
    const char *pin_name; /* borrowed from the request; NULL: none */
    const char *to_files; /* NULL: not asked for */
    uint64_t replicas;
} add_options_t;

/* ERR_USAGE with the reference's words; ERR_INVALID: references to files are not enabled. */
MUST_CHECK err_t add_options_read(rpc_t *r, add_options_t *ret);
/* Only chunker, hash, CID version, raw leaves, links and directories, from options and config: what other
 * commands that import share. */
MUST_CHECK err_t add_options_read_import(rpc_t *r, import_options_t *ret);
#endif
