#include "wire/mesh.h"
#include "wire/addr_field.h"

enum {
    F_KIND = 1,
    F_STATUS = 2,
    F_MEMBER = 3,
    F_TOMBSTONE = 4,
    F_RECEIPT = 5,
    F_REASON = 6,
    F_QUESTION = 7,
    F_REPLY = 8,
    F_WANT = 9,
    F_MEMBER_ID = 1,
    F_MEMBER_ADDR = 2
};

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
static void put_status(writer_t *w, const mesh_status_info_t *s)
{
    size_t mark = pb_begin(w, F_STATUS);
    pb_put_uint_nonzero(w, 1, s->free_bytes);
    pb_put_uint_nonzero(w, 2, s->held_bytes);
    pb_put_uint_nonzero(w, 3, s->capacity_bytes);
    pb_put_uint_nonzero(w, 4, s->tombstones);
    if (s->digest)
        pb_put_fixed64(w, 5, s->digest);
    pb_put_uint_nonzero(w, 6, s->is_relay);
    pb_put_uint_nonzero(w, 7, s->is_catching_up);
    if (s->zone[0])
        pb_put_bytes(w, 8, bytes_str(s->zone));
    pb_put_uint_nonzero(w, 9, s->usual_away_ms);
    pb_end(w, mark);
}

static void put_member(writer_t *w, const peer_id_t *peer, const multiaddr_t *addrs, size_t n)
{
    size_t mark = pb_begin(w, F_MEMBER);
    pb_put_bytes(w, F_MEMBER_ID, peer_id_bytes(peer));
    for (size_t i = 0; i < n && i < MESH_MEMBER_ADDRS_MAX; i++)
        pb_put_bytes(w, F_MEMBER_ADDR, multiaddr_bytes(&addrs[i]));
    pb_end(w, mark);
}

static void put_question(writer_t *w, const mesh_question_t *q)
{
    size_t mark = pb_begin(w, F_QUESTION);
    pb_put_bytes(w, 1, bytes_of(q->prefix, (q->bits + 7u) / 8));
    pb_put_uint_nonzero(w, 2, q->bits);
    pb_put_uint_nonzero(w, 3, q->has.count);
    pb_put_fixed64(w, 4, q->has.digest);
    pb_end(w, mark);
}

static void put_reply(writer_t *w, const mesh_reply_t *r)
{
    size_t mark = pb_begin(w, F_REPLY);
    pb_put_uint(w, 1, r->kind);
    if (r->kind == MESH_REPLY_KEYS)
        pb_put_bytes(w, 2, bytes_of(r->keys[0], r->n_keys * MESH_KEY_BYTES));
    for (size_t i = 0; r->kind == MESH_REPLY_CHILDREN_OF && i < MESH_REPLY_CHILDREN; i++) {
        size_t child = pb_begin(w, 3);
        pb_put_uint_nonzero(w, 1, r->children[i].count);
        pb_put_fixed64(w, 2, r->children[i].digest);
        pb_end(w, child);
    }
    pb_end(w, mark);
}

static void put_comparison(writer_t *w, const mesh_message_t *m)
{
    for (size_t i = 0; i < m->n_questions; i++)
        put_question(w, &m->questions[i]);
    for (size_t i = 0; i < m->n_replies; i++)
        put_reply(w, &m->replies[i]);
    for (size_t i = 0; i < m->n_wants; i++)
        pb_put_bytes(w, F_WANT, bytes_of(m->wants[i], MESH_KEY_BYTES));
}

err_t mesh_message_encode(const mesh_message_t *m, buf_t *out)
{
    writer_t w = writer_to(out);
    pb_put_uint(&w, F_KIND, m->kind);
    if (m->has_status)
        put_status(&w, &m->status);
    for (size_t i = 0; i < m->n_members; i++)
        put_member(&w, &m->named[i].peer, m->named[i].addrs, m->named[i].n_addrs);
    for (size_t i = 0; i < m->n_tombstones; i++)
        pb_put_bytes(&w, F_TOMBSTONE, m->tombstones[i]);
    if (m->receipt.len)
        pb_put_bytes(&w, F_RECEIPT, m->receipt);
    if (m->reason[0])
        pb_put_bytes(&w, F_REASON, bytes_str(m->reason));
    put_comparison(&w, m);
    return w.err;
}

/* ── decoding ────────────────────────────────────────────────────────────────────────────────── */
/* It may reach a terminal. */
static void get_text(reader_t *r, const pb_field_t *f, char *out, size_t max)
{
    bytes_t in = pb_bytes(r, f, max);
    for (size_t i = 0; i < in.len; i++)
        out[i] = in.data[i] >= 0x20 && in.data[i] < 0x7f ? (char)in.data[i] : '?';
    out[in.len] = 0;
}

static void get_status(reader_t *outer, bytes_t in, mesh_status_info_t *s)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    *s = (mesh_status_info_t){0};
    while (pb_next(&r, &f)) {
        uint64_t *const numbers[] = {NULL, &s->free_bytes, &s->held_bytes, &s->capacity_bytes,
                                     &s->tombstones};
        if (f.number >= 1 && f.number <= 4)
            *numbers[f.number] = pb_uint(&r, &f);
        else if (f.number == 5)
            s->digest = pb_fixed64(&r, &f);
        else if (f.number == 6)
            s->is_relay = pb_uint(&r, &f) != 0;
        else if (f.number == 7)
            s->is_catching_up = pb_uint(&r, &f) != 0;
        else if (f.number == 8)
            get_text(&r, &f, s->zone, MESH_ZONE_TEXT_MAX);
        else if (f.number == 9)
            s->usual_away_ms = pb_uint(&r, &f);
    }
    reader_fail(outer, r.err);
}

static void get_tombstone(reader_t *r, const pb_field_t *f, mesh_message_t *m)
{
    bytes_t in = pb_bytes(r, f, MESH_TOMBSTONE_MAX_BYTES);
    if (!r->err && m->n_tombstones == MESH_TOMBSTONES_MAX)
        reader_fail(r, ERR_LIMIT);
    if (!r->err)
        m->tombstones[m->n_tombstones++] = in;
}

static void get_question(reader_t *outer, bytes_t in, mesh_message_t *m)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    mesh_question_t q = {0};
    bytes_t prefix = BYTES_NONE;
    uint64_t bits = 0;
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            prefix = pb_bytes(&r, &f, MESH_KEY_BYTES);
        else if (f.number == 2)
            bits = pb_uint(&r, &f);
        else if (f.number == 3)
            q.has.count = pb_uint(&r, &f);
        else if (f.number == 4)
            q.has.digest = pb_fixed64(&r, &f);
    }
    bool is_sound = bits < 8 * MESH_KEY_BYTES && bits % 4 == 0 && prefix.len == (bits + 7) / 8 &&
                    (bits % 8 == 0 || (prefix.len && !(prefix.data[prefix.len - 1] & 0x0f)));
    if (!r.err && !is_sound)
        reader_fail(&r, ERR_INVALID);
    if (!r.err && m->n_questions == MESH_QUESTIONS_MAX)
        reader_fail(&r, ERR_LIMIT);
    reader_fail(outer, r.err);
    if (r.err)
        return;
    if (prefix.len)
        memcpy(q.prefix, prefix.data, prefix.len);
    q.bits = (uint16_t)bits;
    m->questions[m->n_questions++] = q;
}

static void get_child(reader_t *outer, bytes_t in, mesh_summary_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            ret->count = pb_uint(&r, &f);
        else if (f.number == 2)
            ret->digest = pb_fixed64(&r, &f);
    }
    reader_fail(outer, r.err);
}

static void get_keys(reader_t *r, const pb_field_t *f, mesh_reply_t *reply)
{
    bytes_t in = pb_bytes(r, f, sizeof reply->keys);
    if (!r->err && in.len % MESH_KEY_BYTES)
        reader_fail(r, ERR_INVALID);
    if (r->err || !in.len)
        return;
    reply->n_keys = in.len / MESH_KEY_BYTES;
    memcpy(reply->keys, in.data, in.len);
}

static void get_reply(reader_t *outer, bytes_t in, mesh_message_t *m)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    size_t n_children = 0;
    if (m->n_replies == MESH_QUESTIONS_MAX)
        reader_fail(&r, ERR_LIMIT);
    mesh_reply_t *reply = &m->replies[r.err ? 0 : m->n_replies];
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            reply->kind = pb_uint(&r, &f);
        else if (f.number == 2)
            get_keys(&r, &f, reply);
        else if (f.number == 3 && n_children == MESH_REPLY_CHILDREN)
            reader_fail(&r, ERR_LIMIT);
        else if (f.number == 3)
            get_child(&r, pb_bytes(&r, &f, 64), &reply->children[n_children++]);
    }
    bool is_sound = reply->kind == MESH_REPLY_SAME || (reply->kind == MESH_REPLY_KEYS && !n_children) ||
                    (reply->kind == MESH_REPLY_CHILDREN_OF && n_children == MESH_REPLY_CHILDREN);
    if (!r.err && !is_sound)
        reader_fail(&r, ERR_INVALID);
    reader_fail(outer, r.err);
    if (!r.err)
        m->n_replies++;
}

static void get_want(reader_t *r, const pb_field_t *f, mesh_message_t *m)
{
    bytes_t in = pb_bytes(r, f, MESH_KEY_BYTES);
    if (!r->err && in.len != MESH_KEY_BYTES)
        reader_fail(r, ERR_INVALID);
    if (!r->err && m->n_wants == MESH_WANTS_MAX)
        reader_fail(r, ERR_LIMIT);
    if (!r->err)
        memcpy(m->wants[m->n_wants++], in.data, MESH_KEY_BYTES);
}

static void get_field(reader_t *r, const pb_field_t *f, mesh_message_t *m)
{
    switch (f->number) {
    case F_KIND:
        m->kind = (mesh_message_kind_t)pb_uint(r, f);
        break;
    case F_STATUS:
        get_status(r, pb_bytes(r, f, MESH_MESSAGE_MAX_BYTES), &m->status);
        m->has_status = true;
        break;
    case F_TOMBSTONE:
        get_tombstone(r, f, m);
        break;
    case F_RECEIPT:
        m->receipt = pb_bytes(r, f, MESH_RECEIPT_MAX_BYTES);
        break;
    case F_REASON:
        get_text(r, f, m->reason, MESH_REASON_MAX);
        break;
    case F_QUESTION:
        get_question(r, pb_bytes(r, f, MESH_MESSAGE_MAX_BYTES), m);
        break;
    case F_REPLY:
        get_reply(r, pb_bytes(r, f, MESH_MESSAGE_MAX_BYTES), m);
        break;
    case F_WANT:
        get_want(r, f, m);
        break;
    }
}

/* Each kind has what its handler counts on. */
static bool is_complete(const mesh_message_t *m)
{
    switch (m->kind) {
    case MESH_STATUS:
        return m->has_status;
    case MESH_DELETE:
        return m->n_tombstones == 1;
    case MESH_RECEIPT:
        return m->receipt.len > 0;
    case MESH_COMPARE:
    case MESH_REFUSE:
    case MESH_PENDING:
        return true;
    }
    return false;
}

err_t mesh_message_decode(bytes_t in, mesh_message_t *ret)
{
    memset(ret, 0, sizeof *ret);
    if (in.len > MESH_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "a message of the mesh of %zu bytes, at most %u are taken", in.len,
                    MESH_MESSAGE_MAX_BYTES);
    reader_t r = reader_of(in);
    pb_field_t f;
    while (pb_next(&r, &f))
        get_field(&r, &f, ret);
    if (!r.err && !is_complete(ret))
        reader_fail(&r, ERR_INVALID);
    ret->members = in;
    return r.err ? fail(r.err, "a message of the mesh that does not decode") : OK;
}

static bool read_member(bytes_t in, peer_id_t *ret_peer, multiaddr_t *addrs, size_t *ret_n)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    bool has_peer = false;
    size_t n = 0, at = 0;
    while (pb_next(&r, &f))
        if (f.number == F_MEMBER_ID && f.wire == PB_BYTES && !has_peer)
            has_peer = peer_id_decode(f.bytes, ret_peer) == OK;
    if (r.err || !has_peer)
        return false;
    while (n < MESH_MEMBER_ADDRS_MAX && addr_field_next(in, F_MEMBER_ADDR, &at, &addrs[n]))
        n++;
    *ret_n = n;
    return true;
}

bool mesh_next_member(const mesh_message_t *m, size_t *iter, peer_id_t *ret_peer, multiaddr_t *addrs,
                      size_t *ret_n_addrs)
{
    reader_t r = reader_of(bytes_slice(m->members, *iter, m->members.len));
    pb_field_t f;
    bool is_found = false;
    while (!is_found && pb_next(&r, &f))
        is_found =
            f.number == F_MEMBER && f.wire == PB_BYTES && read_member(f.bytes, ret_peer, addrs, ret_n_addrs);
    *iter = m->members.len - reader_left(&r);
    return is_found;
}
