/* rpc_pubsub: pubsub/… Reference: ipfs/kubo core/commands/pubsub.go. Topics, data and sequence numbers are
 * bytes: in requests and answers they are multibase base64url. */
#include "api/rpc_util.h"
#include "multi/multibase.h"
#include "pubsub/pubsub.h"
#include <stdlib.h>

enum { TOPIC_TEXT_MAX = 4096, TOPIC_MAX = 1024 };

static err_t need_pubsub(rpc_t *r, pubsub_t **ret)
{
    *ret = node_pubsub(r->node);
    if (!*ret)
        return fail(
            ERR_UNSUPPORTED,
            "experimental pubsub feature not enabled, run daemon with --enable-pubsub-experiment to use");
    return OK;
}

static err_t read_topic(const rpc_t *r, buf_t *out)
{
    multibase_t base;
    buf_init(out, TOPIC_TEXT_MAX);
    if (multibase_decode(bytes_str(r->args[0]), &base, out))
        return fail(ERR_INVALID, "URL arg must be multibase encoded: %s", error_text(ERR_INVALID));
    return base == MB_BASE64URL ? OK : fail(ERR_INVALID, "URL arg must be base64url encoded");
}

static json_t *base64url(bytes_t data)
{
    AUTO(buf_t) text;
    const char *s;
    buf_init(&text, 2 * data.len + 16);
    if (multibase_encode(MB_BASE64URL, data, &text) || buf_cstr(&text, &s))
        return NULL;
    return json_string(s);
}

static bool add_topic(void *list, bytes_t topic)
{
    return !json_array_append_new(list, base64url(topic));
}

static err_t rpc_pubsub_ls(task_t *t, rpc_t *r)
{
    pubsub_t *ps;
    TRY(need_pubsub(r, &ps));
    json_t *list = json_array();
    pubsub_each_topic(ps, add_topic, list);
    return rpc_emit(t, r, json_pack("{s:o}", "Strings", rpc_list_json(list)));
}

static bool add_peer(void *list, const peer_id_t *peer)
{
    char text[PEER_ID_TEXT_MAX];
    return !json_array_append_new(list, json_string(peer_id_print(peer, text)));
}

static err_t rpc_pubsub_peers(task_t *t, rpc_t *r)
{
    pubsub_t *ps;
    AUTO(buf_t) topic = {0};
    if (r->n_args)
        TRY(read_topic(r, &topic));
    TRY(need_pubsub(r, &ps));
    json_t *list = json_array();
    pubsub_each_peer(ps, topic.len ? buf_bytes(&topic) : BYTES_NONE, add_peer, list);
    return rpc_emit(t, r, json_pack("{s:o}", "Strings", rpc_sorted_json(list)));
}

static err_t rpc_pubsub_pub(task_t *t, rpc_t *r)
{
    pubsub_t *ps;
    AUTO(buf_t) topic = {0}, data = {0};
    TRY(read_topic(r, &topic));
    buf_init(&data, PUBSUB_DATA_MAX_BYTES);
    TRY(rpc_read_upload(t, r, &data));
    TRY(need_pubsub(r, &ps));
    TRY(pubsub_publish(t, ps, buf_bytes(&topic), buf_bytes(&data)));
    return OK;
}

static json_t *message_json(const pubsub_received_t *m)
{
    char author[PEER_ID_TEXT_MAX];
    return json_pack("{s:s, s:o, s:o, s:[o]}", "from", peer_id_print(&m->author, author), "data",
                     base64url(m->data), "seqno", base64url(m->seqno), "topicIDs", base64url(m->topic));
}

static err_t follow(task_t *t, rpc_t *r, pubsub_subscription_t *s)
{
    TRY(rpc_emit_text(t, r, BYTES_NONE)); /* who follows knows that it has begun */
    for (;;) {
        AUTO_PTR(pubsub_received_t) m = NULL;
        TRY(pubsub_receive(t, s, &m));
        TRY(rpc_emit(t, r, message_json(m)));
    }
}

static err_t rpc_pubsub_sub(task_t *t, rpc_t *r)
{
    pubsub_t *ps;
    pubsub_subscription_t *s;
    AUTO(buf_t) topic = {0};
    TRY(read_topic(r, &topic));
    TRY(need_pubsub(r, &ps));
    TRY(pubsub_subscribe(ps, buf_bytes(&topic), &s));
    err_t e = follow(t, r, s);
    pubsub_unsubscribe(s);
    return e == ERR_CLOSED ? OK : e;
}

static err_t rpc_pubsub_reset(task_t *t, rpc_t *r)
{
    peer_id_t peer;
    uint64_t count;
    const char *text = rpc_option(r, "peer");
    bool has_peer = text && *text;
    if (has_peer && peer_id_parse(text, &peer))
        return fail(ERR_INVALID, "invalid peer ID \"%.80s\"", text);
    TRY(node_reset_pubsub(t, r->node, has_peer ? &peer : NULL, &count));
    return rpc_emit(t, r, json_pack("{s:I}", "deleted", (json_int_t)count));
}

const rpc_command_t rpc_pubsub_commands[] = {
    {"pubsub/ls", rpc_pubsub_ls, 0, 0, NULL},       {"pubsub/peers", rpc_pubsub_peers, 0, 1, NULL},
    {"pubsub/pub", rpc_pubsub_pub, 1, 1, "topic"},  {"pubsub/sub", rpc_pubsub_sub, 1, 1, "topic"},
    {"pubsub/reset", rpc_pubsub_reset, 0, 0, NULL}, {NULL, NULL, 0, 0, NULL},
};
