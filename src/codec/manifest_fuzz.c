#include "codec/ipld.h"
#include "codec/manifest.h"
#include <stdlib.h>

typedef struct walk {
    const manifest_t *m;
    size_t n;
} walk_t;

static err_t compare_link(void *arg, const cid_t *link)
{
    walk_t *w = arg;
    assert(w->n < w->m->n_links);
    cid_t mine = manifest_link(w->m, w->n++);
    assert(cid_equal(&mine, link));
    return OK;
}

/* What decodes encodes to the same bytes, and has the links that every reader of dag-cbor sees in it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size);
    manifest_t m;
    cid_t named;
    err_t e = manifest_parse_name(in, &named);
    assert(e == OK || e == ERR_INVALID);
    e = manifest_decode(in, &m);
    assert(e == OK || e == ERR_INVALID || e == ERR_EOF || e == ERR_LIMIT || e == ERR_UNSUPPORTED);
    if (e)
        return 0;
    walk_t w = {.m = &m};
    e = ipld_links(CODEC_DAG_CBOR, in, compare_link, &w);
    assert(!e && w.n == m.n_links);
    AUTO(buf_t) clear, again;
    buf_init(&clear, MANIFEST_MAX_BYTES);
    buf_init(&again, MANIFEST_MAX_BYTES);
    cid_t *links = xcalloc(m.n_links + 1, sizeof *links);
    for (size_t i = 0; i < m.n_links; i++)
        links[i] = manifest_link(&m, i);
    e = manifest_encode_clear(&m, links, &clear);
    assert(!e && bytes_equal(buf_bytes(&clear), m.clear));
    free(links);
    if (m.is_node) {
        e = manifest_encode(m.clear, m.sealed, NULL, &again);
        assert(!e && bytes_equal(buf_bytes(&again), in));
    }
    e = manifest_verify(&m);
    assert(e == OK || e == ERR_CRYPTO || e == ERR_INVALID);
    return 0;
}
