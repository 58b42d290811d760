#include "wire/replica.h"
#include "base/pb.h"
#include <stdlib.h>

enum { CID_MAX_BYTES = 168 };

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
static int compare_peers(const peer_id_t *a, const peer_id_t *b)
{
    return bytes_compare(peer_id_bytes(a), peer_id_bytes(b));
}

replica_entry_t *replica_record_entry(replica_record_t *r, const peer_id_t *peer)
{
    for (size_t i = 0; i < r->n_entries; i++)
        if (peer_id_equal(&r->entries[i].peer, peer))
            return &r->entries[i];
    return NULL;
}

static void remove_entry(replica_record_t *r, size_t at)
{
    memmove(&r->entries[at], &r->entries[at + 1], (r->n_entries - at - 1) * sizeof r->entries[0]);
    r->n_entries--;
}

/* Room for one more: an entry that has left goes. */
static bool make_room(replica_record_t *r)
{
    if (r->n_entries < REPLICA_ENTRIES_MAX)
        return true;
    for (size_t i = 0; i < r->n_entries; i++)
        if (r->entries[i].state == REPLICA_ENTRY_LEFT) {
            remove_entry(r, i);
            return true;
        }
    return false;
}

err_t replica_record_put(replica_record_t *r, const replica_entry_t *e)
{
    replica_entry_t *old = replica_record_entry(r, &e->peer);
    if (old) {
        *old = *e;
        return OK;
    }
    if (!make_room(r))
        return fail(ERR_LIMIT, "a record of replication has %d holders already", REPLICA_ENTRIES_MAX);
    size_t at = 0;
    while (at < r->n_entries && compare_peers(&r->entries[at].peer, &e->peer) < 0)
        at++;
    memmove(&r->entries[at + 1], &r->entries[at], (r->n_entries - at) * sizeof r->entries[0]);
    r->entries[at] = *e;
    r->n_entries++;
    return OK;
}

bool replica_record_is_owner(const replica_record_t *r, const peer_id_t *peer)
{
    for (size_t i = 0; i < r->n_heads; i++)
        if (peer_id_equal(&r->heads[i].owner, peer))
            return !r->heads[i].is_released;
    return false;
}

uint32_t replica_record_target(const replica_record_t *r)
{
    uint32_t target = 0;
    for (size_t i = 0; i < r->n_heads; i++)
        if (!r->heads[i].is_released && r->heads[i].target > target)
            target = r->heads[i].target;
    return target;
}

bool replica_record_is_released(const replica_record_t *r)
{
    return !replica_record_target(r);
}

static void put_cid(writer_t *w, uint32_t number, const cid_t *c)
{
    uint8_t binary[CID_BINARY_MAX];
    pb_put_bytes(w, number, bytes_of(binary, cid_encode(c, binary)));
}

static void put_record(writer_t *w, const replica_record_t *r)
{
    put_cid(w, 1, &r->root);
    pb_put_uint_nonzero(w, 6, r->size_bytes);
    for (size_t i = 0; i < r->n_entries; i++) {
        const replica_entry_t *e = &r->entries[i];
        size_t mark = pb_begin(w, 7);
        pb_put_bytes(w, 1, peer_id_bytes(&e->peer));
        pb_put_uint(w, 2, e->seq);
        pb_put_uint(w, 3, e->state);
        pb_put_uint_nonzero(w, 4, e->since_ms);
        pb_put_bytes(w, 5, bytes_of(e->seal.data, e->seal.len));
        pb_end(w, mark);
    }
    for (size_t i = 0; i < r->n_heads; i++) {
        const replica_head_t *h = &r->heads[i];
        size_t mark = pb_begin(w, 8);
        pb_put_bytes(w, 1, peer_id_bytes(&h->owner));
        pb_put_uint(w, 2, h->version);
        pb_put_uint(w, 3, h->target);
        pb_put_uint_nonzero(w, 4, h->is_released);
        pb_put_bytes(w, 5, bytes_of(h->seal.data, h->seal.len));
        pb_end(w, mark);
    }
}

err_t replica_record_encode(const replica_record_t *r, buf_t *out)
{
    writer_t w = writer_to(out);
    put_record(&w, r);
    return w.err;
}

static void get_cid(reader_t *r, const pb_field_t *f, cid_t *ret)
{
    bytes_t in = pb_bytes(r, f, CID_MAX_BYTES);
    if (!r->err)
        reader_fail(r, cid_decode(in, ret));
}

static void get_peer(reader_t *r, const pb_field_t *f, peer_id_t *ret)
{
    bytes_t in = pb_bytes(r, f, PEER_ID_MAX_BYTES);
    if (!r->err)
        reader_fail(r, peer_id_decode(in, ret));
}

static void get_seal(reader_t *r, const pb_field_t *f, replica_seal_t *ret)
{
    bytes_t in = pb_bytes(r, f, REPLICA_SEAL_MAX);
    if (r->err)
        return;
    ret->len = (uint8_t)in.len;
    memcpy(ret->data, in.data, in.len);
}

static void get_head(reader_t *outer, bytes_t in, replica_record_t *record)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    replica_head_t h = {0};
    uint64_t target = 0;
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            get_peer(&r, &f, &h.owner);
        else if (f.number == 2)
            h.version = pb_uint(&r, &f);
        else if (f.number == 3)
            target = pb_uint(&r, &f);
        else if (f.number == 4)
            h.is_released = pb_uint(&r, &f);
        else if (f.number == 5)
            get_seal(&r, &f, &h.seal);
    }
    h.target = (uint32_t)target;
    for (size_t i = 0; !r.err && i < record->n_heads; i++)
        if (peer_id_equal(&record->heads[i].owner, &h.owner))
            reader_fail(&r, ERR_INVALID);
    if (!r.err && (!h.owner.len || !h.version || !target || !h.seal.len))
        reader_fail(&r, ERR_INVALID);
    if (!r.err && (target > REPLICA_TARGET_LIMIT || record->n_heads == REPLICA_HEADS_MAX))
        reader_fail(&r, ERR_LIMIT);
    if (r.err)
        reader_fail(outer, r.err);
    else
        record->heads[record->n_heads++] = h;
}

static void get_entry(reader_t *outer, bytes_t in, replica_record_t *record)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    replica_entry_t e = {0};
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            get_peer(&r, &f, &e.peer);
        else if (f.number == 2)
            e.seq = pb_uint(&r, &f);
        else if (f.number == 3)
            e.state = (replica_entry_state_t)pb_uint(&r, &f);
        else if (f.number == 4)
            e.since_ms = pb_uint(&r, &f);
        else if (f.number == 5)
            get_seal(&r, &f, &e.seal);
    }
    if (!r.err && (!e.peer.len || !e.seq || !e.seal.len || e.state < REPLICA_ENTRY_FETCHING ||
                   e.state > REPLICA_ENTRY_LEFT || replica_record_entry(record, &e.peer)))
        reader_fail(&r, ERR_INVALID);
    if (!r.err && record->n_entries == REPLICA_ENTRIES_MAX)
        reader_fail(&r, ERR_LIMIT);
    if (r.err)
        reader_fail(outer, r.err);
    else
        reader_fail(outer, replica_record_put(record, &e));
}

static void get_record(reader_t *r, replica_record_t *ret)
{
    pb_field_t f;
    bool has_root = false;
    *ret = (replica_record_t){0};
    while (pb_next(r, &f)) {
        switch (f.number) {
        case 1:
            get_cid(r, &f, &ret->root);
            has_root = true;
            break;
        case 6:
            ret->size_bytes = pb_uint(r, &f);
            break;
        case 7: {
            bytes_t in = pb_bytes(r, &f, REPLICA_MESSAGE_MAX_BYTES);
            if (!r->err)
                get_entry(r, in, ret);
            break;
        }
        case 8: {
            bytes_t in = pb_bytes(r, &f, REPLICA_MESSAGE_MAX_BYTES);
            if (!r->err)
                get_head(r, in, ret);
            break;
        }
        }
    }
    if (!r->err && (!has_root || !ret->n_heads))
        reader_fail(r, ERR_INVALID);
}

err_t replica_record_decode(bytes_t in, replica_record_t *ret)
{
    reader_t r = reader_of(in);
    replica_record_t *got = xmalloc(sizeof *got);
    get_record(&r, got);
    if (!r.err)
        *ret = *got;
    free(got);
    return r.err ? fail(r.err, "a record of replication that does not decode") : OK;
}

/* ── messages ────────────────────────────────────────────────────────────────────────────────── */
err_t replica_message_encode(const replica_message_t *m, buf_t *out)
{
    writer_t w = writer_to(out);
    pb_put_uint(&w, 1, m->kind);
    if (m->has_record) {
        size_t mark = pb_begin(&w, 2);
        put_record(&w, &m->record);
        pb_end(&w, mark);
    }
    if (m->has_root)
        put_cid(&w, 3, &m->root);
    if (m->reason[0])
        pb_put_bytes(&w, 4, bytes_str(m->reason));
    for (size_t i = 0; i < m->n_digests; i++) {
        size_t mark = pb_begin(&w, 5);
        put_cid(&w, 1, &m->digests[i].root);
        if (m->digests[i].digest)
            pb_put_fixed64(&w, 2, m->digests[i].digest);
        pb_end(&w, mark);
    }
    if (m->has_nonce)
        pb_put_bytes(&w, 6, bytes_of(m->nonce, sizeof m->nonce));
    bool has_offsets = false;
    for (size_t i = 0; i < m->n_points; i++) {
        put_cid(&w, 7, &m->points[i].block);
        has_offsets |= m->points[i].offset != 0;
    }
    for (size_t i = 0; i < m->n_points && has_offsets; i++)
        pb_put_uint(&w, 10, m->points[i].offset);
    if (m->has_proof)
        pb_put_bytes(&w, 8, bytes_of(m->proof, sizeof m->proof));
    pb_put_uint_nonzero(&w, 9, m->stay);
    return w.err;
}

static void get_digest(reader_t *outer, bytes_t in, replica_message_t *m)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    replica_digest_t d = {0};
    bool has_root = false;
    while (pb_next(&r, &f)) {
        if (f.number == 1) {
            get_cid(&r, &f, &d.root);
            has_root = true;
        } else if (f.number == 2) {
            d.digest = pb_fixed64(&r, &f);
        }
    }
    if (!r.err && !has_root)
        reader_fail(&r, ERR_INVALID);
    if (!r.err && m->n_digests == REPLICA_DIGESTS_MAX)
        reader_fail(&r, ERR_LIMIT);
    if (r.err)
        reader_fail(outer, r.err);
    else
        m->digests[m->n_digests++] = d;
}

static void get_fixed(reader_t *r, const pb_field_t *f, uint8_t *out, size_t len)
{
    bytes_t in = pb_bytes(r, f, len);
    if (!r->err && in.len != len)
        reader_fail(r, ERR_INVALID);
    if (!r->err)
        memcpy(out, in.data, len);
}

static void get_reason(reader_t *r, const pb_field_t *f, replica_message_t *m)
{
    bytes_t in = pb_bytes(r, f, REPLICA_REASON_MAX);
    for (size_t i = 0; i < in.len; i++) /* it may reach a terminal */
        m->reason[i] = in.data[i] >= 0x20 && in.data[i] < 0x7f ? (char)in.data[i] : '?';
    m->reason[in.len] = 0;
}

/* The n-th block and the n-th offset belong together; an offset that is not there is 0. */
static void get_block(reader_t *r, const pb_field_t *f, replica_message_t *m)
{
    if (m->n_points == REPLICA_POINTS_MAX)
        reader_fail(r, ERR_LIMIT);
    else
        get_cid(r, f, &m->points[m->n_points++].block);
}

static void get_offset(reader_t *r, const pb_field_t *f, replica_message_t *m, size_t *n_offsets)
{
    uint64_t offset = pb_uint(r, f);
    if (*n_offsets == REPLICA_POINTS_MAX)
        reader_fail(r, ERR_LIMIT);
    else
        m->points[(*n_offsets)++].offset = offset;
}

static void get_field(reader_t *r, const pb_field_t *f, replica_message_t *m, size_t *n_offsets)
{
    reader_t inner;
    switch (f->number) {
    case 1:
        m->kind = (replica_message_kind_t)pb_uint(r, f);
        break;
    case 2:
        inner = reader_of(pb_bytes(r, f, REPLICA_MESSAGE_MAX_BYTES));
        get_record(&inner, &m->record);
        reader_fail(r, inner.err);
        m->has_record = true;
        break;
    case 3:
        get_cid(r, f, &m->root);
        m->has_root = true;
        break;
    case 4:
        get_reason(r, f, m);
        break;
    case 5:
        get_digest(r, pb_bytes(r, f, REPLICA_MESSAGE_MAX_BYTES), m);
        break;
    case 6:
        get_fixed(r, f, m->nonce, sizeof m->nonce);
        m->has_nonce = true;
        break;
    case 7:
        get_block(r, f, m);
        break;
    case 8:
        get_fixed(r, f, m->proof, sizeof m->proof);
        m->has_proof = true;
        break;
    case 9:
        m->stay = pb_uint(r, f);
        break;
    case 10:
        get_offset(r, f, m, n_offsets);
        break;
    }
}

/* Each kind has what its handler counts on. */
static bool is_complete(const replica_message_t *m)
{
    switch (m->kind) {
    case REPLICA_OFFER:
    case REPLICA_UPDATE:
    case REPLICA_RELEASE:
        return m->has_record;
    case REPLICA_STATUS:
        return m->has_root && m->has_nonce == (m->n_points > 0);
    case REPLICA_HEARTBEAT:
    case REPLICA_ACCEPT:
    case REPLICA_REFUSE:
    case REPLICA_STATE:
        return true;
    }
    return false;
}

err_t replica_message_decode(bytes_t in, replica_message_t *ret)
{
    *ret = (replica_message_t){0};
    if (in.len > REPLICA_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "a replication message of %zu bytes, at most %u are taken", in.len,
                    REPLICA_MESSAGE_MAX_BYTES);
    reader_t r = reader_of(in);
    pb_field_t f;
    size_t n_offsets = 0;
    while (pb_next(&r, &f))
        get_field(&r, &f, ret, &n_offsets);
    if (!r.err && (n_offsets > ret->n_points || !is_complete(ret)))
        reader_fail(&r, ERR_INVALID);
    return r.err ? fail(r.err, "a replication message that does not decode") : OK;
}
