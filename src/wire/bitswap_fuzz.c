/* Any split of the input gives the same items; what decodes encodes and decodes to the same again. */
#include "wire/bitswap.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        h = (h ^ ((const uint8_t *)p)[i]) * 1099511628211u;
    return h;
}

static uint64_t mix_cid(uint64_t h, const cid_t *c)
{
    uint8_t out[CID_BINARY_MAX];
    return mix(h, out, cid_encode(c, out));
}

static uint64_t mix_item(uint64_t h, const bitswap_item_t *item)
{
    uint64_t more = item->kind;
    switch (item->kind) {
    case BITSWAP_ITEM_WANT:
        h = mix_cid(h, &item->want.cid);
        more |= (uint64_t)(uint32_t)item->want.priority << 8 | item->want.is_cancel << 2 |
                item->want.is_have << 3 | item->want.send_dont_have << 4;
        break;
    case BITSWAP_ITEM_PRESENCE:
        h = mix_cid(h, &item->presence.cid);
        more |= item->presence.has << 2;
        break;
    case BITSWAP_ITEM_BLOCK:
        h = mix(h, item->block->data, item->block->len);
        more |= item->block->cid.codec << 4;
        break;
    case BITSWAP_ITEM_END:
        more |= item->end.is_full << 2 | item->end.pending_bytes << 3;
    }
    return mix(h, &more, sizeof more);
}

/* The hash over all items and the error; again: encoded anew, as 1.2. */
static uint64_t run(bytes_t in, size_t step, buf_t *again)
{
    AUTO(bitswap_decoder_t) d;
    bitswap_decoder_init(&d);
    AUTO(bitswap_message_t) m;
    bitswap_message_init(&m, BITSWAP_V1_2);
    uint64_t h = 14695981039346656037u;
    for (size_t at = 0;;) {
        bitswap_item_t item;
        while (bitswap_decoder_next(&d, &item)) {
            h = mix_item(h, &item);
            if (again && item.kind == BITSWAP_ITEM_WANT && !bitswap_message_add_want(&m, &item.want))
                continue;
            if (item.kind == BITSWAP_ITEM_BLOCK) {
                if (again && bitswap_message_add_block(&m, item.block))
                    again = NULL;
                block_release(item.block);
            }
        }
        if (d.err || at == in.len)
            break;
        size_t room;
        uint8_t *area = bitswap_decoder_area(&d, &room);
        size_t n = in.len - at < step ? in.len - at : step;
        n = n < room ? n : room;
        memcpy(area, in.data + at, n);
        at += n;
        if (bitswap_decoder_fed(&d, n))
            break;
    }
    if (again && !bitswap_message_finish(&m, 0)) {
        bytes_t *pieces = xmalloc((3 + 2 * m.n_blocks) * sizeof *pieces);
        size_t n = bitswap_message_pieces(&m, pieces, 3 + 2 * m.n_blocks);
        for (size_t i = 0; i < n; i++)
            if (buf_append(again, pieces[i]))
                abort();
        free(pieces);
    }
    uint32_t err = d.err;
    return mix(h, &err, sizeof err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) once, twice;
    buf_init(&once, 8u << 20);
    buf_init(&twice, 8u << 20);
    bytes_t in = bytes_of(data, size);
    uint64_t whole = run(in, size + 1, &once);
    if (whole != run(in, 1, NULL) || whole != run(in, 1 + size / 3, NULL))
        abort();
    if (once.len && run(buf_bytes(&once), 1 << 20, &twice) &&
        !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
        abort();
    return 0;
}
