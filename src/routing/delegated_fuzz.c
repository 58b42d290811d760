#include "routing/delegated.h"
#include <stdlib.h>

/* Whatever a router calls a record: what is taken of it is sound. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    routed_peer_t *p = calloc(1, sizeof *p);
    if (!p)
        return 0;
    if (!delegated_parse_record(bytes_of(data, size), p)) {
        char id[PEER_ID_TEXT_MAX], text[MULTIADDR_TEXT_MAX];
        peer_id_t again;
        assert(!peer_id_parse(peer_id_print(&p->id, id), &again) && peer_id_equal(&p->id, &again));
        assert(p->n_addrs <= ARRAY_LEN(p->addrs));
        for (size_t i = 0; i < p->n_addrs; i++) {
            multiaddr_t read;
            assert(!multiaddr_parse(multiaddr_print(&p->addrs[i], text), &read));
        }
    }
    free(p);
    return 0;
}
