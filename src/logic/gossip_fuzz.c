/* Any sequence of events: limits hold, nothing is lost or kept for ever, time never stands still. Each four
 * bytes are an event. */
#include "logic/gossip.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 6, TOPICS = 4, IDS = 8 };

static bytes_t topic_of(uint8_t n)
{
    static const char *const names[TOPICS] = {"a", "bb", "ccc", "dddd"};
    return bytes_str(names[n % TOPICS]);
}

static bytes_t id_of(uint8_t n)
{
    static const char *const ids[IDS] = {"1", "2", "3", "4", "5", "6", "7", "8"};
    return bytes_str(ids[n % IDS]);
}

static peer_id_t peer_of(uint8_t n)
{
    return (peer_id_t){.len = 34, .data = {0x12, 0x20, n % (2 * PEERS)}};
}

static uint64_t backoff_of(uint8_t n)
{
    static const uint64_t values[] = {0,         1, 60, 3600, UINT32_MAX, UINT64_MAX / 1000, UINT64_MAX - 1,
                                      UINT64_MAX};
    return values[n % ARRAY_LEN(values)];
}

static void drain(gossip_t *g)
{
    gossip_out_t out;
    bytes_t id;
    for (gossip_peer_t *p; (p = gossip_next_ready(g));)
        while (gossip_next_out(g, p, &out))
            for (size_t i = 0; gossip_next_id(out.ids, &i, &id);)
                assert(id.len && id.len <= GOSSIP_ID_MAX_BYTES);
}

static void message(gossip_t *g, gossip_peer_t *p, const uint8_t *in, uint64_t now)
{
    bytes_t id = id_of(in[2]), topic = topic_of(in[3]);
    size_t size = (size_t)in[3] << 4;
    if (!gossip_arrived(g, p, topic, id, size, now))
        return;
    if (in[3] & 64) {
        gossip_forged(g, p, topic);
        return;
    }
    if (!gossip_checking(g, p, topic, id, size, now))
        return;
    if (in[3] & 128)
        return; /* the verdict comes later, or never */
    static const uint8_t content[4096];
    gossip_message_t *m =
        gossip_message_new(g, topic, id, peer_id_bytes(gossip_peer_id(p)), bytes_of(content, size));
    gossip_checked(g, id, m ? (gossip_verdict_t)(in[3] % 3) : GOSSIP_IGNORE, m, now);
    gossip_message_release(m);
}

static void hear(gossip_t *g, gossip_peer_t *p, const uint8_t *in, uint64_t now)
{
    bytes_t topic = topic_of(in[2]);
    gossip_rpc_begin(g, p, now);
    switch (in[0] / 16 % 7) {
    case 0:
    case 1:
        gossip_hear_subscription(g, p, topic, in[3] & 1, now);
        break;
    case 2:
        if (gossip_hear_ihave(g, p, topic, now))
            for (uint8_t i = 0; i < in[3] % IDS; i++)
                gossip_hear_ihave_id(g, p, id_of((uint8_t)(in[3] / IDS + i)));
        break;
    case 3:
        gossip_hear_iwant(g, p, id_of(in[3]), now);
        break;
    case 4:
        gossip_hear_idontwant(g, p, id_of(in[3]));
        break;
    case 5:
        gossip_hear_graft(g, p, topic, now);
        break;
    default:
        (void)gossip_hear_prune(g, p, topic, backoff_of(in[3]), now);
    }
    gossip_rpc_end(g, p, now);
}

/* All limits are small; the budget is smaller than what the others allow together. */
static gossip_config_t narrow(limit_t *limit, bool floods_own)
{
    gossip_config_t c;
    gossip_config_default(&c);
    c.max_peers = PEERS;
    c.max_own_topics = TOPICS - 1;
    c.max_peer_topics = 2;
    c.max_foreign = 5;
    c.max_seen = IDS - 2;
    c.max_cache_bytes = 8192;
    c.max_queue_bytes = 8192;
    c.max_live_bytes = 32768;
    limit_init(limit, "gossip", NULL, 12000);
    c.limit = limit;
    c.max_dontwants = 4;
    c.d = 3, c.d_low = 2, c.d_high = 4, c.d_score = 2, c.d_out = 1, c.d_lazy = 2;
    c.offers_peers = true;
    c.floods_own = floods_own;
    c.score.topic.delivery_weight = -1;
    c.score.topic.failure_weight = -1;
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    limit_t limit;
    gossip_config_t c = narrow(&limit, size & 1);
    uint64_t now = 1000;
    gossip_t *g = gossip_new(&c, now);
    for (size_t i = 0; i + 4 <= size; i += 4) {
        const uint8_t *in = data + i;
        peer_id_t id = peer_of(in[1]);
        gossip_peer_t *p = gossip_peer(g, &id);
        switch (in[0] % 8) {
        case 0:
            gossip_connected(g, &id, (gossip_version_t)(in[2] % 4), in[3] & 1, bytes_of(&in[3], 1), now);
            break;
        case 1:
            if (p && in[2] & 1)
                gossip_disconnected(g, p, now);
            else if (p)
                gossip_restart(g, p);
            break;
        case 2:
            if (in[3] & 1)
                (void)!gossip_subscribe(g, topic_of(in[2]), now);
            else
                gossip_unsubscribe(g, topic_of(in[2]), now);
            break;
        case 3:
            now += (uint64_t)in[2] << (in[3] % 14);
            gossip_tick(g, now);
            assert(gossip_deadline_ms(g) > now);
            break;
        case 4:
            if (p)
                message(g, p, in, now);
            break;
        case 5: {
            bytes_t content = bytes_of(in, 4);
            gossip_message_t *m = gossip_message_new(g, topic_of(in[2]), id_of(in[3]), BYTES_NONE, content);
            if (m)
                gossip_publish(g, m, now);
            gossip_message_release(m);
            break;
        }
        default:
            if (p)
                hear(g, p, in, now);
        }
        if (in[0] & 128)
            drain(g);
        gossip_stat_t s;
        gossip_stat(g, &s);
        /* a topic that was ours may leave backoffs behind */
        assert(s.peers <= PEERS && s.gone_peers <= PEERS && s.foreign <= 5 + 2 * PEERS * TOPICS &&
               s.seen <= IDS - 2);
        assert(s.cached_bytes <= 8192 && s.topics <= TOPICS);
    }
    gossip_free(g);
    limit_deinit(&limit);
    return 0;
}
