/* ref: what an import gives back for a file or directory, and what its parent needs to link it. */
#ifndef DAG_REF_H
#define DAG_REF_H
#include "multi/cid.h"

typedef struct dag_ref {
    cid_t cid;
    uint64_t tsize; /* bytes of its block and of all below, counted as often as they are linked */
    uint64_t size;  /* bytes of content; 0 for directories and symlinks */
} dag_ref_t;

/* A reference in the room that it needs, for those who hold very many. The size of the content is not kept.
 */
typedef struct packed_ref {
    uint64_t tsize;
    uint8_t cid_len;
    uint8_t cid[];
} packed_ref_t;
packed_ref_t *packed_ref_new(const dag_ref_t *ref); /* owned: free() */
void packed_ref_get(const packed_ref_t *p, dag_ref_t *ret);
#endif
