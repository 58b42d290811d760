/* private: the streams of a private network: everything on them goes through the cipher of its key. */
#include "net/host_internal.h"
#include "net/stacked.h"
#include "wire/pnet.h"
#include <stdlib.h>

typedef struct private_stream {
    stacked_t base;
    pnet_t pnet;
} private_stream_t;

static err_t read_private(stacked_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    private_stream_t *p = (private_stream_t *)s;
    size_t n;
    bytes_t plain = BYTES_NONE;
    while (!plain.len) { /* the peer's nonce has no content */
        TRY(stream_try_read(s->below, out, cap, &n));
        if (!n)
            break;
        plain = pnet_open(&p->pnet, out, n);
    }
    if (plain.len && plain.data != out)
        memmove(out, plain.data, plain.len);
    *ret_n = plain.len;
    return OK;
}

static err_t encode(stacked_t *s, bytes_t plain, buf_t *out)
{
    private_stream_t *p = (private_stream_t *)s;
    TRY(buf_reserve(out, plain.len));
    pnet_seal(&p->pnet, plain.data, out->data + out->len, plain.len);
    out->len += plain.len;
    return OK;
}

static void free_private(stacked_t *s)
{
    private_stream_t *p = (private_stream_t *)s;
    pnet_deinit(&p->pnet);
    free(p);
}

static const stacked_ops_t ops = {.read = read_private, .encode = encode, .free = free_private};

stream_t *private_stream(host_t *h, stream_t *below, bytes_t head)
{
    private_stream_t *p = xcalloc(1, sizeof *p);
    uint8_t nonce[PNET_NONCE_BYTES];
    driver_random(sched_driver(h->sched), nonce, sizeof nonce);
    stacked_init(&p->base, h->sched, &ops, below);
    stacked_charge(&p->base, host_limit(h));
    pnet_init(&p->pnet, h->swarm_key, nonce);
    err_t e = buf_append(&p->base.pending, bytes_of(nonce, sizeof nonce));
    assert(!e && head.len < sizeof nonce); /* all of the head belongs to the peer's nonce */
    memcpy(nonce, head.data ? head.data : nonce, head.len);
    pnet_open(&p->pnet, nonce, head.len);
    return &p->base.base;
}
