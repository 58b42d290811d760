/* manifest: the block that names an encrypted file or folder, and the nodes of the tree below a large one.
 * What stands in it in the clear is read and proved here without any key, so that holders can fetch, keep,
 * collect and delete what they cannot read. What is sealed is vault/'s.
 *
 * A DAG-CBOR block (SHA-256, CIDv1; at most MANIFEST_MAX_BYTES) in the one canonical form; any other form of
 * the same data is refused: manifest  {"clear": {"v": 1, "salt": 32 bytes, "check": 32 bytes, "epoch": uint,
 * "links": [CID…], "owner": 32 bytes, "wrapped": 48 bytes}, "sealed": bytes, "signature": 64 bytes} node
 * {"clear": {"v": 1, "node": uint, "links": [CID…]}, "sealed": bytes} links: raw blocks are chunks of
 * ciphertext; dag-cbor blocks are nodes of this tree, or manifests of what is in a folder: which, is sealed.
 * At most MANIFEST_LINKS_MAX each; CIDv1 of SHA-256 only, so that each takes 41 bytes. owner: an Ed25519 key;
 * it signs "distribute-manifest-v1", a zero byte, SHA-256 of the bytes of "clear" and SHA-256 of those of
 * "sealed". Nodes are not signed: the CID that names them is below a signature. They are ipld links
 * throughout, so whoever walks links (pins, replication, collection) meets all that belongs to a file.
 *
 * Decision 031 has the whole construction. */
#ifndef CODEC_MANIFEST_H
#define CODEC_MANIFEST_H
#include "base/writer.h"
#include "crypto/key.h"
#include "multi/cid.h"

#define MANIFEST_MAX_BYTES (1u << 20)
#define MANIFEST_LINKS_MAX 1024
#define MANIFEST_SALT_BYTES 32
#define MANIFEST_CHECK_BYTES 32
#define MANIFEST_WRAPPED_BYTES 48
#define OWNER_KEY_BYTES 32
#define OWNER_SIGNATURE_BYTES 64

/* The key that files belong to: Ed25519, raw. */
typedef struct owner_key {
    uint8_t data[OWNER_KEY_BYTES];
} owner_key_t;

/* A decoded block; everything borrows from it. */
typedef struct manifest {
    bool is_node;  /* a node of a tree: owner, salt, check, epoch, wrapped, signature are not there */
    uint64_t node; /* its number in its tree, from 1 on; 0 of the manifest itself */
    owner_key_t owner;
    uint64_t epoch; /* which key of the owner wraps the file's key */
    bytes_t salt, check, wrapped;
    bytes_t links; /* as encoded: manifest_link */
    size_t n_links;
    bytes_t clear, sealed; /* the encoded clear part, which is the sealed one's associated data */
    bytes_t signature;
} manifest_t;

/* Decodes a manifest or node. Checks the form alone; manifest_verify proves it. ERR_INVALID: no such block,
 * or not in its canonical form; ERR_EOF; ERR_LIMIT: too large; ERR_UNSUPPORTED: of a later version. */
MUST_CHECK err_t manifest_decode(bytes_t block, manifest_t *ret);
/* The i-th link, i < n_links. */
cid_t manifest_link(const manifest_t *m, size_t i);
/* Is it signed by the owner that it names? ERR_CRYPTO; ERR_INVALID: a node, which is proved by its CID. */
MUST_CHECK err_t manifest_verify(const manifest_t *m);
/* Could a block of this CID be a manifest (or node)? dag-cbor by SHA-256, CIDv1. Says nothing about the
 * block. */
bool manifest_is_cid(const cid_t *cid);
/* The bytes that a name stands for: a CID in any base, or the 64 hex digits of a manifest's SHA-256.
 * ERR_INVALID. */
MUST_CHECK err_t manifest_parse_name(bytes_t text, cid_t *ret_cid);
/* The 64 hex digits, NUL-terminated. */
void manifest_print_hex(const cid_t *cid, char out[65]);

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
/* Appends the encoded clear part of *m (its clear, sealed and signature are not looked at). links: n_links
 * CIDs. ERR_INVALID: a CID that cannot be linked; ERR_LIMIT: too many. */
MUST_CHECK err_t manifest_encode_clear(const manifest_t *m, const cid_t *links, buf_t *out);
/* Appends the block of a clear part and its sealed part; key: the owner's, signs; NULL: a node. */
MUST_CHECK err_t manifest_encode(bytes_t clear, bytes_t sealed, const private_key_t *key, buf_t *out);

/* Signs and verifies with the owner's key: `what` names the kind of statement, so that no signature stands
 * for another one. Signed are `what`, a zero byte, the message. For records of the mesh. ERR_CRYPTO. */
MUST_CHECK err_t owner_sign(const private_key_t *key, const char *what, bytes_t message,
                            uint8_t ret_signature[OWNER_SIGNATURE_BYTES]);
MUST_CHECK err_t owner_verify(const owner_key_t *owner, const char *what, bytes_t message, bytes_t signature);
owner_key_t owner_key_of(const private_key_t *key); /* of an Ed25519 key */
bool owner_key_equal(const owner_key_t *a, const owner_key_t *b);
#endif
