/* ref: what an import gives back for a file or directory, and what its parent needs to link it. */
#ifndef DAG_REF_H
#define DAG_REF_H
#include "multi/cid.h"

typedef struct dag_ref {
    cid_t cid;
    uint64_t tsize; /* bytes of its block and of all below, counted as often as they are linked */
    uint64_t size;  /* bytes of content; 0 for directories and symlinks */
} dag_ref_t;
#endif
