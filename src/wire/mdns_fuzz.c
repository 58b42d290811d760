/* Whatever a neighbour multicasts: nothing found that is ourselves or no direct address, at most one answer,
 * and what this node says stays well formed. */
#include "wire/mdns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mdns_t engine; /* larger than a frame */

static void check_output(mdns_t *m, uint64_t now_ms)
{
    AUTO(buf_t) out = {0};
    buf_init(&out, MDNS_DATAGRAM_MAX);
    size_t n = 0;
    for (; mdns_output(m, now_ms, &out); n++) {
        dns_message_t sent;
        dns_record_t r;
        err_t e = dns_decode(buf_bytes(&out), &sent);
        assert(!e);
        while (dns_next(&sent, &r))
            ;
        assert(!sent.at.err && !reader_left(&sent.at));
        buf_clear(&out);
    }
    assert(n <= 3); /* a question, an answer, the services */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    peer_id_t self = {.len = 34, .data = {0x12, 0x20, 1}};
    multiaddr_t addr;
    mdns_found_t found;
    size_t n_found = 0;
    err_t e = multiaddr_parse("/ip4/192.0.2.1/tcp/4001", &addr);
    assert(!e);
    mdns_init(&engine, &self, 1);
    bool says = mdns_set_addrs(&engine, &addr, 1, 1000);
    assert(says);
    if (!mdns_feed(&engine, bytes_of(data, size), 1000))
        for (; mdns_next_found(&engine, 1000, &found); n_found++) {
            peer_id_t named;
            e = multiaddr_peer(&found.addr, &named);
            assert(!e && peer_id_equal(&named, &found.peer) && !peer_id_equal(&named, &self));
            assert(!multiaddr_is_loopback(&found.addr));
        }
    assert(n_found <= size / sizeof "dnsaddr=");
    check_output(&engine, 3000);
    return 0;
}
