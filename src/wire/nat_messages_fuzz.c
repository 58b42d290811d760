/* Whatever a peer sends about relays, hole punching or reachability: decoded within bounds, and what was
 * understood survives encoding and decoding. The first byte says which message it is. */
#include "wire/autonat.h"
#include "wire/dcutr.h"
#include "wire/relay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ADDRS_MAX = 8 };

static void check_relay(bytes_t in, bool is_hop, buf_t *out)
{
    relay_message_t m, again;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0;
    writer_t w = writer_to(out);
    if (is_hop ? relay_hop_decode(in, &m) : relay_stop_decode(in, &m))
        return;
    for (size_t i = 0; n < ADDRS_MAX && relay_next_addr(&m, &i, &addrs[n]);)
        n++;
    if (is_hop)
        relay_hop_encode(&m, addrs, n, &w);
    else
        relay_stop_encode(&m, &w);
    err_t e = is_hop ? relay_hop_decode(buf_bytes(out), &again) : relay_stop_decode(buf_bytes(out), &again);
    assert(!w.err && (!e || e == ERR_LIMIT));
    if (e)
        return;
    assert(again.type == m.type && again.has_peer == m.has_peer && again.has_limit == m.has_limit);
    assert(again.limit_s == m.limit_s && again.limit_bytes == m.limit_bytes);
    assert(m.type != RELAY_STATUS || again.status == m.status);
    assert(bytes_equal(again.voucher, m.voucher) && again.expires_s == m.expires_s);
}

static void check_dcutr(bytes_t in, buf_t *out)
{
    dcutr_t m, again;
    multiaddr_t addrs[ADDRS_MAX], addr;
    size_t n = 0, k = 0;
    writer_t w = writer_to(out);
    if (dcutr_decode(in, &m))
        return;
    for (size_t i = 0; n < ADDRS_MAX && dcutr_next_addr(&m, &i, &addrs[n]);)
        n++;
    dcutr_encode(m.type, addrs, n, &w);
    err_t e = dcutr_decode(buf_bytes(out), &again);
    assert(!w.err && !e && again.type == m.type);
    for (size_t i = 0; dcutr_next_addr(&again, &i, &addr); k++)
        assert(multiaddr_equal(&addr, &addrs[k]));
    assert(k == n);
}

static void check_autonat(bytes_t in, buf_t *out)
{
    autonat_t m, again;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0;
    writer_t w = writer_to(out);
    if (autonat_decode(in, &m))
        return;
    for (size_t i = 0; n < ADDRS_MAX && autonat_next_addr(&m, &i, &addrs[n]);)
        n++;
    if (!m.is_dial || !m.has_peer)
        return;
    autonat_encode_dial(&m.peer, addrs, n, &w);
    err_t e = autonat_decode(buf_bytes(out), &again);
    assert(!w.err && !e && again.is_dial && peer_id_equal(&again.peer, &m.peer));
}

static void check_autonat2(bytes_t in, buf_t *out)
{
    autonat2_t m, again;
    multiaddr_t addrs[ADDRS_MAX];
    size_t n = 0, index;
    writer_t w = writer_to(out);
    if (autonat2_decode(in, &m))
        return;
    if (m.kind == AUTONAT2_REQUEST) {
        for (size_t i = 0; n < ADDRS_MAX && autonat2_next_addr(&m, &i, &index, &addrs[n]); n++)
            assert(index >= n);
        autonat2_encode_request(addrs, n, m.nonce, &w);
    } else if (m.kind == AUTONAT2_RESPONSE) {
        autonat2_encode_response((autonat2_status_t)m.status, m.index, m.dial, &w);
    } else if (m.kind == AUTONAT2_DATA_REQUEST) {
        autonat2_encode_data_request(m.index, m.size_bytes, &w);
    } else {
        return;
    }
    err_t e = autonat2_decode(buf_bytes(out), &again);
    assert(!w.err && !e && again.kind == m.kind && again.nonce == m.nonce && again.index == m.index);
    assert(again.status == m.status && again.dial == m.dial && again.size_bytes == m.size_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    AUTO(buf_t) out = {0};
    buf_init(&out, 1u << 20);
    bytes_t in = bytes_of(data + 1, size - 1);
    uint64_t nonce;
    switch (data[0] % 5) {
    case 0:
    case 1:
        check_relay(in, data[0] % 5 == 0, &out);
        break;
    case 2:
        check_dcutr(in, &out);
        break;
    case 3:
        check_autonat(in, &out);
        break;
    default:
        check_autonat2(in, &out);
        if (autonat2_back_decode(in, &nonce))
            break;
    }
    return 0;
}
