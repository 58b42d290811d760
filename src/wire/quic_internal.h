/* quic_internal: what quic_endpoint.c (whose datagram), quic_token.c (who is where it says), quic.c (a
 * connection), quic_path.c (its ways), quic_stream.c (its streams) and quic_output.c (its packets) share. */
#ifndef WIRE_QUIC_INTERNAL_H
#define WIRE_QUIC_INTERNAL_H
#include "base/list.h"
#include "base/map.h"
#include "base/queue.h"
#include "wire/quic.h"
#include "wire/quic_ngtcp2.h"
#include "wire/quic_tls.h"

enum { QUIC_CID_BYTES = 8, QUIC_CONNS_MAX = 1 << 16, QUIC_VIEW_PIECES = 4, QUIC_TOKEN_MAX = 512 };

typedef struct quic_kept_token quic_kept_token_t;
typedef struct quic_given quic_given_t;

/* One for each purpose, of this process alone. */
typedef struct quic_keys {
    uint8_t resets[32], retries[32], tokens[32];
    uint8_t names[16]; /* of tokens and places in tables */
} quic_keys_t;

struct quic_endpoint {
    quic_config_t config; /* without the identity */
    quic_tls_t *tls;
    quic_keys_t keys;
    map_t cids;   /* connection id -> quic_t; some have several */
    map_t tokens; /* reset token of a peer -> quic_t */
    list_t kept;  /* tokens that servers gave us */
    size_t n_kept;
    uint64_t *used;      /* names of tokens of ours that were used; NULL: none */
    quic_given_t *given; /* how many tokens which place was given of late; NULL: none */
    uint64_t resets_since_ms;
    size_t n_resets; /* since then */
};

struct quic_stream {
    quic_t *session; /* NULL: the connection is over */
    int64_t id;
    void *user;
    list_t node, event_node, linger_node;
    list_t output_node; /* in output or blocked */
    queue_t received;
    queue_t to_send;    /* not acknowledged or not sent; ngtcp2 points into it */
    size_t sent;        /* bytes of to_send that were sent */
    limit_t *own_limit; /* a child of the connection's that is charged in its place; NULL: none */
    uint64_t charged_receive, charged_send, linger_until_ms;
    bool is_inbound, has_user;
    bool must_fin, has_sent_fin, has_received_fin;
    bool is_gone; /* ngtcp2 has forgotten it: all is acknowledged, or reset */
    bool is_read_reset, is_write_reset;
    err_t reset_reason;     /* when one of these */
    bool is_write_blocked;  /* a write found no room */
    bool is_window_blocked; /* by the peer's window of this stream */
    uint8_t news;
};

/* Something in a datagram that leads to a connection: a connection id of ours, or a reset token of the
 * peer's. */
typedef struct quic_name {
    bool is_token;
    uint8_t len, bytes[NGTCP2_MAX_CIDLEN];
} quic_name_t;

struct quic {
    quic_endpoint_t *endpoint;
    quic_name_t *names; /* n_names: all that the endpoint's maps have of it, whatever ngtcp2 still lists */
    size_t n_names;
    quic_state_t state;
    void *user;
    ngtcp2_conn *conn;
    gnutls_session_t tls; /* NULL: the handshake is over */
    ngtcp2_crypto_conn_ref ref;
    bool has_expected;
    peer_id_t expected, peer;
    uint64_t wall_s;
    net_addr_t addr;  /* the peer's */
    uint16_t n_moves; /* of our own; what the engine has as our port */
    bool must_move;   /* once more, as soon as the peer gives a connection id for it */
    limit_t *limit;
    list_t streams, events, lingering;
    list_t output, blocked; /* with something to send; and no window for it */
    size_t n_streams;
    size_t unannounced; /* bytes read of late: worth a window update when there are many */
    bool open_news, may_open_news, moved_news;
    bool must_output;
    bool has_sent;    /* since something was fed */
    ngtcp2_tstamp ts; /* of the last call of ngtcp2 */
    err_t verify_error, end_reason;
    ngtcp2_ccerr closing; /* what ENDING says */
    buf_t held;           /* a packet that did not fit its burst */
    net_addr_t held_to;
};

/* quic.c */
/* The engine failed with this code of ngtcp2's: the connection ends. */
MUST_CHECK err_t quic_failed(quic_t *q, int code);
static inline ngtcp2_tstamp quic_ts(uint64_t now_ms)
{
    return now_ms * NGTCP2_MILLISECONDS;
}
/* The time for ngtcp2. Our clock has milliseconds, and nearby an answer comes within one: a round trip of
 * zero would keep the window of congestion as small as at the start. So what is fed after something was sent
 * is a little later than that. This time runs ahead of the clock by at most 4 ms, slower the more it does:
 * the steps become the real ones, on average. */
ngtcp2_tstamp quic_stamp(quic_t *q, uint64_t now_ms, bool is_fed);
/* quic_endpoint.c */
MUST_CHECK err_t quic_new_cid(quic_t *q, ngtcp2_cid *ret); /* ours; leads to q from now on */
MUST_CHECK err_t quic_add_cid(quic_t *q, const ngtcp2_cid *cid);
void quic_remove_cid(quic_t *q, const ngtcp2_cid *cid);
/* The peer's reset token: a datagram that ends with it says that the peer has forgotten the connection. */
void quic_add_token(quic_t *q, const uint8_t *token);
void quic_remove_token(quic_t *q, const uint8_t *token);
void quic_remove_names(quic_t *q); /* nothing leads to q any more */
void quic_reset_token(const quic_endpoint_t *e, const ngtcp2_cid *cid,
                      uint8_t ret[NGTCP2_STATELESS_RESET_TOKENLEN]);
/* The first packet of a client: its header, and what its token of ours shows. */
typedef struct quic_initial {
    ngtcp2_pkt_hd hd;
    bool has_retried; /* then odcid is the id that it first used */
    bool has_token;   /* of an earlier connection */
    ngtcp2_cid odcid;
} quic_initial_t;
bool quic_read_initial(const quic_endpoint_t *e, const net_addr_t *from, bytes_t datagram, uint64_t now_ms,
                       quic_initial_t *ret);
/* quic_token.c */
/* Fills in what the token of in->hd shows. False: nothing may begin with it. */
bool quic_token_check(const quic_endpoint_t *e, const net_addr_t *from, uint64_t now_ms, quic_initial_t *in);
void quic_token_used(quic_endpoint_t *e, bytes_t token); /* it counts no more */
/* For the next time, to the client at this address, unless those there have had many of late. */
void quic_token_give(quic_t *q, const net_addr_t *to);
void quic_token_keep(quic_endpoint_t *e, const peer_id_t *server, bytes_t token);
/* The length of the token that this server gave us; 0: none. It is out of the store. */
size_t quic_token_take(quic_endpoint_t *e, const peer_id_t *server, uint8_t out[QUIC_TOKEN_MAX]);
void quic_token_deinit(quic_endpoint_t *e);
/* quic_path.c */
void quic_put_addr(const net_addr_t *a, ngtcp2_sockaddr_union *ret, ngtcp2_addr *ret_addr);
void quic_get_addr(const ngtcp2_addr *a, net_addr_t *ret);
void quic_put_path(const quic_t *q, const net_addr_t *peer, ngtcp2_path_storage *ret);
int quic_path_validated(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
                        QUIC_PATH_BEFORE ngtcp2_path_validation_result result, void *user);
void quic_path_go_on(quic_t *q); /* with a move that had to wait */
/* quic_stream.c */
MUST_CHECK err_t quic_stream_new(quic_t *q, int64_t id, bool is_inbound, quic_stream_t **ret);
void quic_stream_tell(quic_stream_t *s, uint8_t news);
void quic_stream_schedule(quic_stream_t *s);
void quic_stream_take(quic_stream_t *s, bytes_t data, bool is_end);
void quic_stream_acked(quic_stream_t *s, size_t n);
void quic_stream_was_reset(quic_stream_t *s);   /* by the peer: what it sends */
void quic_stream_was_stopped(quic_stream_t *s); /* by the peer: what we send */
void quic_stream_find_stopped(quic_t *q);
void quic_stream_was_closed(quic_stream_t *s);
/* Out of the connection, which is over or has forgotten it; freed unless a user holds it. */
void quic_stream_detach(quic_stream_t *s, err_t reason);
void quic_stream_linger(quic_t *q, uint64_t now_ms); /* ends those that took too long */
uint64_t quic_stream_linger_ms(const quic_t *q);
MUST_CHECK err_t quic_stream_charge_all(quic_t *q);
#endif
