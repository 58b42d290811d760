#include "dag/ref.h"
#include <stdlib.h>

packed_ref_t *packed_ref_new(const dag_ref_t *ref)
{
    uint8_t cid[CID_BINARY_MAX];
    size_t len = cid_encode(&ref->cid, cid);
    packed_ref_t *p = xcalloc(1, sizeof *p + len);
    p->tsize = ref->tsize;
    p->cid_len = (uint8_t)len;
    memcpy(p->cid, cid, len);
    return p;
}

void packed_ref_get(const packed_ref_t *p, dag_ref_t *ret)
{
    *ret = (dag_ref_t){.tsize = p->tsize};
    err_t bad = cid_decode(bytes_of(p->cid, p->cid_len), &ret->cid);
    assert(!bad); /* packed_ref_new encoded it */
}
