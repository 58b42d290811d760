/* kad: the messages of Kademlia, /ipfs/kad/1.0.0 and its LAN twin. A codec.
 * Spec: ipfs/specs src/routing/kad-dht.md, libp2p/specs kad-dht; go-libp2p-kad-dht pb/dht.proto.
 *
 * On a stream each message has a uvarint length in front. A decoded message borrows its input: the lists of
 * peers are iterated, never collected. Invalid entries of a list (no peer id, an address that is no
 * multiaddr) are passed over, as the reference does; a message that is no protobuf, or is over a bound
 * below, is refused whole. `type` 0 (PUT_VALUE) is left out on the wire. */
#ifndef WIRE_KAD_H
#define WIRE_KAD_H
#include "base/pb.h"
#include "multi/multiaddr.h"
#include "multi/peer_id.h"

#define KAD_PROTOCOL_WAN "/ipfs/kad/1.0.0"
#define KAD_PROTOCOL_LAN "/ipfs/lan/kad/1.0.0"
#define KAD_PROTOCOL_MESH "/distribute/mesh/kad/1.0.0" /* ours: the same messages */
#define KAD_MESSAGE_MAX_BYTES (4u << 20)               /* go-libp2p refuses longer ones */
#define KAD_REQUEST_MAX_BYTES (64u << 10)              /* no request of the specification comes near it */
#define KAD_KEY_MAX_BYTES 256
#define KAD_PROVIDER_KEY_MAX_BYTES 80 /* of ADD_PROVIDER and GET_PROVIDERS: a multihash */
#define KAD_RECORD_MAX_BYTES (64u << 10)
#define KAD_MAX_CLOSER 256     /* an honest peer sends 20 */
#define KAD_MAX_PROVIDERS 1024 /* those behind are passed over */
#define KAD_MAX_ADDRS 32       /* per peer; those behind are passed over */

typedef enum {
    KAD_PUT_VALUE = 0,
    KAD_GET_VALUE = 1,
    KAD_ADD_PROVIDER = 2,
    KAD_GET_PROVIDERS = 3,
    KAD_FIND_NODE = 4,
    KAD_PING = 5
} kad_type_t;
/* How the sender of a message is connected to a peer that it names. */
typedef enum {
    KAD_NOT_CONNECTED = 0,
    KAD_CONNECTED = 1,
    KAD_CAN_CONNECT = 2,
    KAD_CANNOT_CONNECT = 3
} kad_connection_t;
typedef enum { KAD_CLOSER = 8, KAD_PROVIDERS = 9 } kad_list_t; /* the field numbers */

typedef struct kad_message {
    kad_type_t type;
    bytes_t key;     /* the preimage: a multihash, a peer id, a record key; borrowed */
    bool has_record; /* then: */
    bytes_t rec_key, rec_value, rec_received; /* the last: an RFC 3339 time, or empty; borrowed */
    size_t n_closer, n_providers;             /* entries, the invalid ones included */
    bytes_t raw;                              /* the input */
} kad_message_t;
typedef struct kad_peer {
    peer_id_t id;
    kad_connection_t connection;
    bytes_t raw; /* its entry; borrowed */
} kad_peer_t;

/* One message without its length prefix. ERR_INVALID: no protobuf, unknown type; ERR_LIMIT: over a bound. */
MUST_CHECK err_t kad_decode(bytes_t in, kad_message_t *ret);
/* for (size_t i = 0; kad_next_peer(&m, KAD_CLOSER, &i, &peer);) — valid while the input is */
bool kad_next_peer(const kad_message_t *m, kad_list_t list, size_t *iter, kad_peer_t *ret);
/* for (size_t i = 0; kad_next_addr(&peer, &i, &addr);) */
bool kad_next_addr(const kad_peer_t *p, size_t *iter, multiaddr_t *ret);

/* Encoding: kad_put_head, then the parts in this order, none twice: record, closer peers, providers. */
void kad_put_head(writer_t *w, kad_type_t type, bytes_t key);
void kad_put_record(writer_t *w, bytes_t key, bytes_t value, bytes_t received);
void kad_put_peer(writer_t *w, kad_list_t list, const peer_id_t *id, const multiaddr_t *addrs, size_t n,
                  kad_connection_t connection);
const char *kad_type_name(kad_type_t type); /* "FIND_NODE" */
#endif
