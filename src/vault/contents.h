/* contents: what is sealed in manifests and nodes, as DAG-CBOR, canonical, with zeros behind it (keys.h
 * pads). manifest  {"keys": bytes, "kind": 0 file, 1 folder, "mode": [] or [uint], "name": text, "size":
 * uint, "type": text, "mtime": [] or [s since 1970], "height": uint, "entries": [entry…]} node      {"keys":
 * bytes, "entries": [entry…]} entry     {"key": 32 bytes, "kind": uint, "name": text, "size": uint} height:
 * levels of nodes below the manifest. Where the links are chunks, keys has 32 bytes for each; where they are
 * what is in a folder, entries has one for each, in bytewise order of their names; elsewhere both are empty.
 * A link's key came from whoever made it: names that could lead anywhere are refused here. */
#ifndef VAULT_CONTENTS_H
#define VAULT_CONTENTS_H
#include "base/reader.h"
#include "vault/keys.h"
#include "vault/vault.h"

#define CONTENTS_HEIGHT_MAX 3 /* 1024 links each: 256 TiB */

typedef struct contents {
    bool is_folder, has_mode, has_mtime;
    uint32_t mode, height;
    uint64_t mtime_s; /* since 1970; earlier times are not kept */
    uint64_t size;    /* of the content, of a folder: of all files below */
    bytes_t name, type;
    bytes_t keys;    /* of chunks */
    bytes_t entries; /* encoded: contents_next_entry */
    size_t n_entries;
} contents_t;
typedef struct contents_entry {
    bytes_t name;
    file_key_t key;
    bool is_folder;
    uint64_t size;
} contents_entry_t;

/* A name that can stand in a folder, and in a file system: UTF-8, no '/', NUL, "." or "..", 1 to
 * VAULT_NAME_MAX bytes. */
bool contents_name_is_valid(bytes_t name);
bool contents_type_is_valid(bytes_t type); /* UTF-8 without NUL, at most VAULT_TYPE_MAX bytes, maybe none */

/* is_node: name, size and so on are not there. Appends, unpadded. */
MUST_CHECK err_t contents_encode(const contents_t *c, bool is_node, buf_t *out);
MUST_CHECK err_t contents_encode_entry(const contents_entry_t *e, buf_t *out);
/* Borrows from `plain`. Compares with the manifest or node that it was sealed in. level: of the node above
 * the leaves, 0 when its links are chunks or entries; UINT32_MAX: a manifest, whose height says it. is_folder
 * counts for nodes. ERR_CORRUPT. */
MUST_CHECK err_t contents_decode(bytes_t plain, const manifest_t *m, uint32_t level, bool is_folder,
                                 contents_t *ret);
/* Over c->entries, all of which contents_decode has looked at. */
contents_entry_t contents_next_entry(reader_t *entries);
#endif
