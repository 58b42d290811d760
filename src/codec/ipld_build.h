/* ipld_build: makes a tree piece by piece, for codecs whose data is not in the order of their bytes. The
 * first error is kept and checked once at the end. */
#ifndef CODEC_IPLD_BUILD_H
#define CODEC_IPLD_BUILD_H
#include "codec/ipld_tree.h"

typedef struct ipld_builder {
    ipld_tree_t *tree; /* borrowed */
    size_t open, depth;
    err_t err; /* ERR_LIMIT: deeper than IPLD_MAX_DEPTH, which nobody could read again; those of ipld_tree_add
                */
} ipld_builder_t;

/* Takes room for all bytes that ipld_build_copy will copy: they never move. */
ipld_builder_t ipld_builder_to(ipld_tree_t *tree, size_t max_copied_bytes);
void ipld_build(ipld_builder_t *b, ipld_kind_t kind); /* IPLD_NULL, IPLD_LIST, IPLD_MAP, IPLD_END */
/* Strings, bytes and links. Borrowed: they live as long as the tree. Copied: of any memory. */
void ipld_build_borrow(ipld_builder_t *b, ipld_kind_t kind, bytes_t bytes);
void ipld_build_copy(ipld_builder_t *b, ipld_kind_t kind, bytes_t bytes);
void ipld_build_key(ipld_builder_t *b, const char *name); /* borrowed */
void ipld_build_key_bytes(ipld_builder_t *b, bytes_t name);
void ipld_build_event(ipld_builder_t *b, ipld_event_t e); /* any, of ipld_scan.h; copied unless is_in_block */
/* A value of another tree with all that is in it, copied. */
void ipld_build_value(ipld_builder_t *b, const ipld_tree_t *from, size_t at);
#endif
