/* mdns: finding peers of the local network, and being found. An engine. Spec: libp2p/specs discovery/mdns,
 * RFC 6762, RFC 6763; go-libp2p (zeroconf) and rust-libp2p as the reference peers.
 *
 * Asks for "_p2p._udp.local" when it starts, then at intervals that double up to a minute; answers the same
 * question, its own too, with one datagram: a pointer to a random name (never the peer ID, so that devices
 * cannot be followed), and beside it the service, the addresses as "dnsaddr=<multiaddr>/p2p/<id>" and the
 * IPs. Answers come a moment later and at most once a second, so that one answer serves many askers; a node
 * that says that it knows the answer gets none. New addresses are announced twice, as is the service itself.
 *
 * Nothing is kept of a datagram but, for at most MDNS_PEERS_MAX peers, that it was found a moment ago. */
#ifndef WIRE_MDNS_H
#define WIRE_MDNS_H
#include "base/prng.h"
#include "multi/multiaddr.h"
#include "wire/dns.h"

#define MDNS_PORT 5353
#define MDNS_DATAGRAM_MAX 9000 /* RFC 6762 section 17 */
enum {
    MDNS_PEERS_MAX = 256,  /* found within MDNS_AGAIN_MS; more are passed over */
    MDNS_AGAIN_MS = 60000, /* a peer that is seen again after this is found again */
    MDNS_TXT_MAX_BYTES =
        1100, /* so that the answer fits into one Ethernet frame; the addresses behind are left out */
    MDNS_QUERY_MAX_MS = 60000,
};

typedef struct mdns {
    peer_id_t self;
    char name[DNS_LABEL_MAX + 1];
    prng_t rng;
    uint8_t hash_key[16];
    uint8_t txt[MDNS_TXT_MAX_BYTES]; /* the record's data; empty: nothing to say, nothing is sent */
    size_t txt_len;
    uint8_t ips[2][16]; /* one IPv4, one IPv6 */
    bool has_ip[2];
    uint16_t port;
    uint64_t query_ms, query_interval_ms; /* when, and how long after that the next */
    uint64_t answer_ms, answered_ms;      /* due; last sent */
    uint64_t types_ms;                    /* the answer to "which services are there" is due */
    uint64_t announce_ms;
    unsigned announcements_left;
    struct {
        uint64_t hash, until_ms;
    } seen[MDNS_PEERS_MAX];
    dns_message_t in; /* of the last mdns_feed */
    bool is_reading;
    reader_t strings;
} mdns_t;

typedef struct mdns_found {
    peer_id_t peer;
    multiaddr_t addr; /* with /p2p/ID */
    bool is_new;      /* the first address of this peer in a while: worth a dial after the others are read */
} mdns_found_t;

/* seed: random. Nothing is sent before mdns_set_addrs gave something to say. */
void mdns_init(mdns_t *m, const peer_id_t *self, uint64_t seed);
/* The addresses that this node listens on. Loopback, relayed and browser ones are left out, and IPv6 ones
 * that only mean something with a zone. False: nothing is left that others could use. */
bool mdns_set_addrs(mdns_t *m, const multiaddr_t *addrs, size_t n, uint64_t now_ms);
/* Takes one datagram; ERR_INVALID when it is none of DNS. Borrowed until mdns_next_found gave false. */
MUST_CHECK err_t mdns_feed(mdns_t *m, bytes_t datagram, uint64_t now_ms);
/* The addresses of others in the datagram, one by one; those that cannot be read are passed over. */
bool mdns_next_found(mdns_t *m, uint64_t now_ms, mdns_found_t *ret);
/* Writes the next datagram that is due, for the multicast groups; false when none is. */
bool mdns_output(mdns_t *m, uint64_t now_ms, buf_t *out);
uint64_t mdns_deadline_ms(const mdns_t *m); /* when mdns_output has something; UINT64_MAX: never */
/* Takes back what was announced; false when nothing was. */
bool mdns_put_goodbye(const mdns_t *m, buf_t *out);
#endif
