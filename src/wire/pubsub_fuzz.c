/* Whatever a peer sends: read within bounds, and what was understood survives encoding and decoding. */
#include "wire/fetch.h"
#include "wire/pubsub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIST_MAX = 8 };

static void encode(writer_t *rpc, writer_t *control, const pubsub_item_t *item)
{
    bytes_t ids[LIST_MAX], record;
    peer_id_t peers[LIST_MAX];
    size_t n = 0;
    switch (item->kind) {
    case PUBSUB_SUBSCRIBE:
    case PUBSUB_UNSUBSCRIBE:
        pubsub_put_subscription(rpc, item->topic, item->kind == PUBSUB_SUBSCRIBE);
        return;
    case PUBSUB_MESSAGE:
        pubsub_put_message(rpc, &item->message);
        return;
    case PUBSUB_GRAFT:
        pubsub_put_graft(control, item->topic);
        return;
    case PUBSUB_PRUNE:
        for (size_t i = 0; n < LIST_MAX && pubsub_next_peer(item, &i, &peers[n], &record);)
            n++;
        pubsub_put_prune(control, item->topic, peers, n, item->backoff_s);
        return;
    default:
        for (size_t i = 0; n < LIST_MAX && pubsub_next_id(item, &i, &ids[n]);)
            n++;
        if (item->kind == PUBSUB_IHAVE)
            pubsub_put_ihave(control, item->topic, ids, n);
        else if (item->kind == PUBSUB_IWANT)
            pubsub_put_iwant(control, ids, n);
        else
            pubsub_put_idontwant(control, ids, n);
    }
}

/* Everything, in the order parts of the RPC, then control; returns how many parts. */
static size_t encode_all(bytes_t in, buf_t *out)
{
    AUTO(buf_t) control = {0};
    buf_init(&control, 8u << 20);
    writer_t w = writer_to(out), c = writer_to(&control);
    pubsub_reader_t r = pubsub_reader_of(in);
    pubsub_item_t item;
    size_t n = 0;
    for (; pubsub_next(&r, &item); n++)
        encode(&w, &c, &item);
    assert(!r.err);
    pubsub_put_control(&w, buf_bytes(&control));
    assert(!w.err && !c.err);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size), part;
    (void)!fetch_decode_request(in, &part);
    (void)!fetch_decode_answer(in, &part);
    if (pubsub_check(in))
        return 0;
    AUTO(buf_t) once = {0}, twice = {0};
    buf_init(&once, 16u << 20);
    buf_init(&twice, 16u << 20);
    size_t n = encode_all(in, &once);
    if (once.len > PUBSUB_RPC_MAX_BYTES)
        return 0;
    size_t again = encode_all(buf_bytes(&once), &twice);
    assert(again == n && bytes_equal(buf_bytes(&once), buf_bytes(&twice)));
    return 0;
}
