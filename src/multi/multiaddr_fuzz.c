#include "multi/multiaddr.h"
#include <stdlib.h>

/* What was taken can be printed and walked; its text means the same address, or, for a binary path that
 * no text gives, is refused. */
static void check(const multiaddr_t *m)
{
    char text[MULTIADDR_TEXT_MAX], text_again[MULTIADDR_TEXT_MAX];
    multiaddr_t again, other;
    multiaddr_part_t part;
    peer_id_t id;
    uint8_t family, ip[16];
    uint16_t port;
    for (size_t i = 0; multiaddr_next(m, &i, &part);)
        assert(part.value.len <= m->len);
    multiaddr_print(m, text);
    if (!multiaddr_find(m, MA_UNIX, &part)) {
        assert(!multiaddr_parse(text, &again) && multiaddr_equal(m, &again));
    } else if (!multiaddr_parse(text, &again)) {
        assert(!strcmp(multiaddr_print(&again, text_again), text) || multiaddr_find(&again, MA_UNIX, &part));
    }
    multiaddr_without_peer(m, &other);
    assert(other.len <= m->len);
    if (!multiaddr_tcp_endpoint(m, &family, ip, &port)) {
        assert(!multiaddr_from_tcp(family, ip, port, &again));
        assert(multiaddr_equal(&again, &other));
    }
    assert(!multiaddr_is_loopback(m) || multiaddr_is_private(m));
    if (!multiaddr_peer(m, &id))
        assert(id.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    multiaddr_t m;
    if (!multiaddr_decode(bytes_of(data, size), &m))
        check(&m);
    char *text = xmalloc(size + 1);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    if (!multiaddr_parse(text, &m))
        check(&m);
    free(text);
    return 0;
}
