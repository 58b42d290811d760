/* chunker: where one chunk of a file ends and the next begins. A pure function of the bytes that follow the
 * last cut, so that any split of the reads gives the same chunks.
 *
 * size: every max_bytes. rabin: a rolling Rabin fingerprint over 16 bytes; buzhash: a rolling hash over 32
 * bytes. Reference: ipfs/boxo chunker, whyrusleeping/chunker; parameters are fixed by it, CIDs depend on
 * them. */
#ifndef DAG_CHUNKER_H
#define DAG_CHUNKER_H
#include "base/bytes.h"

#define CHUNKER_DEFAULT_BYTES (256u << 10)
#define CHUNKER_MAX_BYTES ((2u << 20) - 256) /* the rest of a block is room for the message around it */

typedef enum { CHUNKER_SIZE, CHUNKER_RABIN, CHUNKER_BUZHASH } chunker_kind_t;
typedef struct chunker {
    chunker_kind_t kind;
    size_t min_bytes, avg_bytes; /* rabin */
    size_t max_bytes;            /* no chunk is longer */
} chunker_t;

/* "", "default", "size-N", "rabin", "rabin-AVG", "rabin-MIN-AVG-MAX" (each number may have its label:
 * "min:16384"), "buzhash". ERR_USAGE, with the reference's words where it has some. */
MUST_CHECK err_t chunker_parse(const char *text, chunker_t *ret);
/* The length of the chunk that begins at `ahead`: what follows the last cut, at least max_bytes of it
 * unless the content ends before. 0 when nothing follows. May run on any thread. */
size_t chunker_cut(const chunker_t *c, bytes_t ahead);
#endif
