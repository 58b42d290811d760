/* Whatever a peer sends: decoded within bounds, and what was understood survives encoding and decoding. */
#include "wire/kad.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t encode_list(writer_t *w, const kad_message_t *m, kad_list_t list)
{
    kad_peer_t p;
    size_t n = 0;
    for (size_t i = 0; kad_next_peer(m, list, &i, &p); n++) {
        multiaddr_t addrs[2];
        size_t n_addrs = 0;
        for (size_t j = 0; n_addrs < 2 && kad_next_addr(&p, &j, &addrs[n_addrs]);)
            n_addrs++;
        kad_put_peer(w, list, &p.id, addrs, n_addrs, p.connection);
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    kad_message_t m, again;
    if (kad_decode(bytes_of(data, size), &m))
        return 0;
    AUTO(buf_t) out = {0};
    buf_init(&out, 16u << 20);
    writer_t w = writer_to(&out);
    kad_put_head(&w, m.type, m.key);
    if (m.has_record)
        kad_put_record(&w, m.rec_key, m.rec_value, m.rec_received);
    size_t n_closer = encode_list(&w, &m, KAD_CLOSER), n_providers = encode_list(&w, &m, KAD_PROVIDERS);
    assert(!w.err && n_closer <= m.n_closer && n_providers <= m.n_providers);
    err_t e = kad_decode(buf_bytes(&out), &again);
    assert(!e && again.type == m.type && bytes_equal(again.key, m.key));
    assert(again.has_record == m.has_record && bytes_equal(again.rec_value, m.rec_value));
    assert(again.n_closer == n_closer && again.n_providers == n_providers);
    return 0;
}
