/* git_raw: the objects of git as data: blob, tree, commit, tag, each behind its header "TYPE SIZE\0". Form:
 * git's Documentation/gitformat-*; the data is that of the reference (ipfs/go-ipld-git): a blob is bytes,
 * header included; a tree a map of names to {mode, hash}; a commit {tree, parents, message, author,
 * committer, encoding, signature, mergetag, other}; a tag {object, type, tag, tagger, message}; people are
 * {date, timezone, email, name}. Links are CIDs of git-raw over SHA-1.
 *
 * Strict in what names a length or an object: the size is decimal and that of the block, hashes have 40
 * digits (in trees 20 bytes). Lenient in lines: what has no field of its own is kept as it is in `other`,
 * also signatures that are not OpenPGP's; only of tags such lines are lost, which git does not write. Written
 * are trees in git's order, whatever the order of the map. */
#ifndef CODEC_GIT_RAW_H
#define CODEC_GIT_RAW_H
#include "codec/ipld_tree.h"

/* ERR_EOF: cut off; ERR_INVALID: no object of git; ERR_LIMIT: over the limits of a tree. */
MUST_CHECK err_t git_raw_read(ipld_tree_t *tree, bytes_t block);
/* Bytes, or a map that has `object` (a tag), `tree` (a commit) or neither (a tree). ERR_INVALID: it has no
 * form in git, or one that would be read as something else. */
MUST_CHECK err_t git_raw_write(const ipld_tree_t *tree, size_t at, buf_t *out);
#endif
