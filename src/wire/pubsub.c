#include "wire/pubsub.h"

enum { RPC_SUBSCRIPTION = 1, RPC_MESSAGE = 2, RPC_CONTROL = 3 };
enum { SUBSCRIPTION_IS = 1, SUBSCRIPTION_TOPIC = 2 };
enum { MESSAGE_FROM = 1, MESSAGE_DATA, MESSAGE_SEQNO, MESSAGE_TOPIC, MESSAGE_SIGNATURE, MESSAGE_KEY };
enum { CONTROL_IHAVE = 1, CONTROL_IWANT, CONTROL_GRAFT, CONTROL_PRUNE, CONTROL_IDONTWANT };
enum { IHAVE_TOPIC = 1, IHAVE_IDS = 2, IWANT_IDS = 1, PRUNE_TOPIC = 1, PRUNE_PEERS = 2, PRUNE_BACKOFF = 3 };
enum { PEER_ID = 1, PEER_RECORD = 2 };

const char *const pubsub_protocols[PUBSUB_PROTOCOL_COUNT] = {"/meshsub/1.2.0", "/meshsub/1.1.0",
                                                             "/meshsub/1.0.0", "/floodsub/1.0.0"};

pubsub_version_t pubsub_version_of(const char *protocol)
{
    for (size_t i = 0; i < PUBSUB_PROTOCOL_COUNT; i++)
        if (!strcmp(protocol, pubsub_protocols[i]))
            return (pubsub_version_t)(PUBSUB_GOSSIPSUB_1_2 - i);
    return PUBSUB_FLOODSUB;
}

/* ── decoding ────────────────────────────────────────────────────────────────────────────────── */
pubsub_reader_t pubsub_reader_of(bytes_t rpc)
{
    pubsub_reader_t r = {.rpc = reader_of(rpc), .control = reader_of(BYTES_NONE)};
    if (rpc.len > PUBSUB_RPC_MAX_BYTES)
        r.err = ERR_LIMIT;
    return r;
}

/* A field that is there is never NULL, so that "empty" and "absent" stay apart. */
static bytes_t get_field(reader_t *r, const pb_field_t *f, size_t max)
{
    bytes_t b = pb_bytes(r, f, max);
    return b.data ? b : BYTES_LIT("");
}

static void read_subscription(reader_t *outer, bytes_t in, pubsub_item_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    ret->kind = PUBSUB_UNSUBSCRIBE;
    while (pb_next(&r, &f)) {
        if (f.number == SUBSCRIPTION_IS)
            ret->kind = pb_uint(&r, &f) ? PUBSUB_SUBSCRIBE : PUBSUB_UNSUBSCRIBE;
        else if (f.number == SUBSCRIPTION_TOPIC)
            ret->topic = pb_bytes(&r, &f, PUBSUB_TOPIC_MAX_BYTES);
    }
    reader_fail(outer, r.err);
}

static void read_message(reader_t *outer, bytes_t in, pubsub_message_t *m)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case MESSAGE_FROM:
            m->from = get_field(&r, &f, PEER_ID_MAX_BYTES);
            break;
        case MESSAGE_DATA:
            m->data = get_field(&r, &f, PUBSUB_RPC_MAX_BYTES);
            break;
        case MESSAGE_SEQNO:
            m->seqno = get_field(&r, &f, 64);
            break;
        case MESSAGE_TOPIC:
            m->topic = get_field(&r, &f, PUBSUB_TOPIC_MAX_BYTES);
            break;
        case MESSAGE_SIGNATURE:
            m->signature = get_field(&r, &f, 1024);
            break;
        case MESSAGE_KEY:
            m->key = get_field(&r, &f, PUBLIC_KEY_MAX_BYTES + 16);
            break;
        default:
            break;
        }
    }
    reader_fail(outer, r.err);
}

/* The submessages with lists are read once here, so that the iterators only meet what can be read. */
static void read_control(reader_t *outer, bytes_t in, pubsub_item_t *item)
{
    bool has_topic = item->kind != PUBSUB_IWANT && item->kind != PUBSUB_IDONTWANT;
    reader_t r = reader_of(in);
    pb_field_t f;
    item->raw = in;
    while (pb_next(&r, &f)) {
        if (has_topic && f.number == PRUNE_TOPIC) /* the same number in all of them */
            item->topic = pb_bytes(&r, &f, PUBSUB_TOPIC_MAX_BYTES);
        else if (item->kind == PUBSUB_PRUNE && f.number == PRUNE_BACKOFF)
            item->backoff_s = pb_uint(&r, &f);
    }
    reader_fail(outer, r.err);
}

static bool next_control(pubsub_reader_t *r, pubsub_item_t *ret)
{
    static const pubsub_kind_t kinds[] = {[CONTROL_IHAVE] = PUBSUB_IHAVE,
                                          [CONTROL_IWANT] = PUBSUB_IWANT,
                                          [CONTROL_GRAFT] = PUBSUB_GRAFT,
                                          [CONTROL_PRUNE] = PUBSUB_PRUNE,
                                          [CONTROL_IDONTWANT] = PUBSUB_IDONTWANT};
    pb_field_t f;
    while (pb_next(&r->control, &f)) {
        if (f.number > CONTROL_IDONTWANT)
            continue;
        ret->kind = kinds[f.number];
        read_control(&r->control, pb_bytes(&r->control, &f, PUBSUB_RPC_MAX_BYTES), ret);
        return !r->control.err;
    }
    return false;
}

static bool next_part(pubsub_reader_t *r, pubsub_item_t *ret)
{
    pb_field_t f;
    for (;;) {
        if (next_control(r, ret))
            return true;
        if (r->control.err || !pb_next(&r->rpc, &f))
            return false;
        bytes_t body = f.number <= RPC_CONTROL ? pb_bytes(&r->rpc, &f, PUBSUB_RPC_MAX_BYTES) : BYTES_NONE;
        if (f.number == RPC_SUBSCRIPTION)
            read_subscription(&r->rpc, body, ret);
        else if (f.number == RPC_MESSAGE)
            read_message(&r->rpc, body, &ret->message);
        else if (f.number == RPC_CONTROL)
            r->control = reader_of(body);
        if (r->rpc.err)
            return false;
        if (f.number == RPC_MESSAGE)
            ret->kind = PUBSUB_MESSAGE;
        if (f.number == RPC_SUBSCRIPTION || f.number == RPC_MESSAGE)
            return true;
    }
}

bool pubsub_next(pubsub_reader_t *r, pubsub_item_t *ret_item)
{
    if (r->err)
        return false;
    pubsub_item_t item = {0};
    if (!next_part(r, &item)) {
        r->err = r->control.err ? r->control.err : r->rpc.err;
        return false;
    }
    if (++r->n_items > PUBSUB_RPC_MAX_ITEMS) {
        r->err = ERR_LIMIT;
        return false;
    }
    *ret_item = item;
    return true;
}

err_t pubsub_check(bytes_t rpc)
{
    pubsub_reader_t r = pubsub_reader_of(rpc);
    pubsub_item_t item;
    while (pubsub_next(&r, &item))
        ;
    return r.err ? fail(r.err, "malformed pubsub message of %zu bytes", rpc.len) : OK;
}

/* The next bytes field of this number behind *iter, the offset in the input. */
static bool next_field(bytes_t raw, uint32_t number, size_t *iter, bytes_t *ret)
{
    reader_t r = reader_of(bytes_slice(raw, *iter, raw.len));
    pb_field_t f;
    bool is_found = false;
    while (!is_found && pb_next(&r, &f))
        is_found = f.number == number && f.wire == PB_BYTES;
    if (is_found)
        *ret = f.bytes;
    *iter = raw.len - reader_left(&r);
    return is_found;
}

bool pubsub_next_id(const pubsub_item_t *item, size_t *iter, bytes_t *ret_id)
{
    bytes_t id;
    while (next_field(item->raw, item->kind == PUBSUB_IHAVE ? IHAVE_IDS : IWANT_IDS, iter, &id)) {
        if (!id.len || id.len > PUBSUB_ID_MAX_BYTES)
            continue;
        *ret_id = id;
        return true;
    }
    return false;
}

bool pubsub_next_peer(const pubsub_item_t *item, size_t *iter, peer_id_t *ret_id, bytes_t *ret_record)
{
    bytes_t entry;
    while (next_field(item->raw, PRUNE_PEERS, iter, &entry)) {
        reader_t r = reader_of(entry);
        pb_field_t f;
        peer_id_t id = {0};
        bytes_t record = BYTES_NONE;
        while (pb_next(&r, &f)) {
            if (f.number == PEER_ID && peer_id_decode(pb_bytes(&r, &f, PEER_ID_MAX_BYTES), &id))
                reader_fail(&r, ERR_INVALID);
            else if (f.number == PEER_RECORD)
                record = pb_bytes(&r, &f, PUBSUB_RPC_MAX_BYTES);
        }
        if (r.err || !id.len)
            continue;
        *ret_id = id;
        *ret_record = record;
        return true;
    }
    return false;
}

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
void pubsub_put_subscription(writer_t *w, bytes_t topic, bool is_subscribed)
{
    size_t mark = pb_begin(w, RPC_SUBSCRIPTION);
    pb_put_uint(w, SUBSCRIPTION_IS, is_subscribed);
    pb_put_bytes(w, SUBSCRIPTION_TOPIC, topic);
    pb_end(w, mark);
}

static void put_present(writer_t *w, uint32_t number, bytes_t value)
{
    if (value.data)
        pb_put_bytes(w, number, value);
}

static void put_signed_fields(writer_t *w, const pubsub_message_t *m)
{
    put_present(w, MESSAGE_FROM, m->from);
    put_present(w, MESSAGE_DATA, m->data);
    put_present(w, MESSAGE_SEQNO, m->seqno);
    put_present(w, MESSAGE_TOPIC, m->topic);
}

void pubsub_put_message(writer_t *w, const pubsub_message_t *m)
{
    size_t mark = pb_begin(w, RPC_MESSAGE);
    put_signed_fields(w, m);
    put_present(w, MESSAGE_SIGNATURE, m->signature);
    put_present(w, MESSAGE_KEY, m->key);
    pb_end(w, mark);
}

void pubsub_put_control(writer_t *w, bytes_t parts)
{
    if (parts.len)
        pb_put_bytes(w, RPC_CONTROL, parts);
}

static void put_ids(writer_t *w, uint32_t part, bytes_t topic, uint32_t number, const bytes_t *ids, size_t n)
{
    size_t mark = pb_begin(w, part);
    put_present(w, IHAVE_TOPIC, topic);
    for (size_t i = 0; i < n; i++)
        pb_put_bytes(w, number, ids[i]);
    pb_end(w, mark);
}

void pubsub_put_ihave(writer_t *control, bytes_t topic, const bytes_t *ids, size_t n)
{
    put_ids(control, CONTROL_IHAVE, topic, IHAVE_IDS, ids, n);
}

void pubsub_put_iwant(writer_t *control, const bytes_t *ids, size_t n)
{
    put_ids(control, CONTROL_IWANT, BYTES_NONE, IWANT_IDS, ids, n);
}

void pubsub_put_idontwant(writer_t *control, const bytes_t *ids, size_t n)
{
    put_ids(control, CONTROL_IDONTWANT, BYTES_NONE, IWANT_IDS, ids, n);
}

void pubsub_put_graft(writer_t *control, bytes_t topic)
{
    size_t mark = pb_begin(control, CONTROL_GRAFT);
    pb_put_bytes(control, PRUNE_TOPIC, topic);
    pb_end(control, mark);
}

void pubsub_put_prune(writer_t *control, bytes_t topic, const peer_id_t *peers, size_t n, uint64_t backoff_s)
{
    size_t mark = pb_begin(control, CONTROL_PRUNE);
    pb_put_bytes(control, PRUNE_TOPIC, topic);
    for (size_t i = 0; i < n; i++) {
        size_t peer = pb_begin(control, PRUNE_PEERS);
        pb_put_bytes(control, PEER_ID, peer_id_bytes(&peers[i]));
        pb_end(control, peer);
    }
    pb_put_uint_nonzero(control, PRUNE_BACKOFF, backoff_s);
    pb_end(control, mark);
}

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
err_t pubsub_message_id(const pubsub_message_t *m, uint8_t out[PUBSUB_ID_MAX_BYTES], size_t *ret_len)
{
    peer_id_t from;
    TRY(peer_id_decode(m->from, &from));
    if (m->seqno.len != PUBSUB_SEQNO_BYTES)
        return fail(ERR_INVALID, "a pubsub message with a sequence number of %zu bytes", m->seqno.len);
    memcpy(out, m->from.data, m->from.len);
    memcpy(out + m->from.len, m->seqno.data, m->seqno.len);
    *ret_len = m->from.len + m->seqno.len;
    return OK;
}

static err_t signed_text(const pubsub_message_t *m, buf_t *out)
{
    writer_t w = writer_to(out);
    write_bytes(&w, BYTES_LIT("libp2p-pubsub:"));
    put_signed_fields(&w, m);
    return w.err;
}

err_t pubsub_sign(const pubsub_message_t *m, const private_key_t *key, buf_t *out)
{
    AUTO(buf_t) text = {0};
    buf_init(&text, m->data.len + PUBSUB_MESSAGE_OVERHEAD);
    TRY(signed_text(m, &text));
    return private_key_sign(key, buf_bytes(&text), out);
}

static err_t author_key(const pubsub_message_t *m, public_key_t *ret)
{
    peer_id_t from;
    TRY(peer_id_decode(m->from, &from));
    if (!m->key.data)
        return peer_id_public_key(&from, ret);
    public_key_t key;
    TRY(public_key_decode(m->key, &key));
    if (!peer_id_matches(&from, &key))
        return fail(ERR_CRYPTO, "the key in a pubsub message is not its author's");
    *ret = key;
    return OK;
}

err_t pubsub_verify(const pubsub_message_t *m)
{
    if (!m->signature.len)
        return fail(ERR_CRYPTO, "a pubsub message without a signature");
    public_key_t key;
    TRY(author_key(m, &key));
    AUTO(buf_t) text = {0};
    buf_init(&text, m->data.len + PUBSUB_MESSAGE_OVERHEAD);
    TRY(signed_text(m, &text));
    return public_key_verify(&key, buf_bytes(&text), m->signature);
}
