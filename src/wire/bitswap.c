#include "wire/bitswap.h"
#include "base/pb.h"
#include <stdlib.h>

const char *const bitswap_protocols[BITSWAP_PROTOCOL_COUNT] = {"/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0",
                                                               "/ipfs/bitswap/1.0.0", "/ipfs/bitswap"};

enum {
    FIELD_WANTLIST = 1,
    FIELD_BLOCKS = 2,
    FIELD_PAYLOAD = 3,
    FIELD_PRESENCES = 4,
    FIELD_PENDING = 5,
    HELD_BYTES = 4096,
    PREFIX_MAX_BYTES = 4 * UVARINT_MAX_BYTES,
};
enum { STATE_LENGTH, STATE_MESSAGE, STATE_WANTLIST, STATE_PAYLOAD, STATE_DATA };

bitswap_version_t bitswap_version_of(const char *protocol)
{
    if (!strcmp(protocol, bitswap_protocols[0]))
        return BITSWAP_V1_2;
    return strcmp(protocol, bitswap_protocols[1]) ? BITSWAP_V1_0 : BITSWAP_V1_1;
}

/* ── decoding ────────────────────────────────────────────────────────────────────────────────── */
void bitswap_decoder_init(bitswap_decoder_t *d)
{
    *d = (bitswap_decoder_t){0};
}

void bitswap_decoder_deinit(bitswap_decoder_t *d)
{
    block_release(d->block);
    free(d->held);
    d->block = NULL;
    d->held = NULL;
    d->held_from = d->held_to = 0;
}

static bytes_t held(const bitswap_decoder_t *d)
{
    return bytes_of(d->held + d->held_from, d->held_to - d->held_from);
}

bool bitswap_decoder_is_idle(bitswap_decoder_t *d)
{
    if (d->err || d->state != STATE_LENGTH || held(d).len)
        return false;
    free(d->held);
    d->held = NULL;
    d->held_from = d->held_to = 0;
    return true;
}

uint8_t *bitswap_decoder_area(bitswap_decoder_t *d, size_t *ret_room)
{
    if (d->state == STATE_DATA && !held(d).len) {
        *ret_room = d->block->len - d->block_len;
        return d->block->data + d->block_len;
    }
    if (!d->held)
        d->held = xmalloc(HELD_BYTES);
    size_t len = held(d).len;
    memmove(d->held, d->held + d->held_from, len);
    d->held_from = 0;
    d->held_to = len;
    assert(len < HELD_BYTES); /* the longest element that is waited for is shorter */
    *ret_room = HELD_BYTES - len;
    return d->held + len;
}

err_t bitswap_decoder_fed(bitswap_decoder_t *d, size_t n)
{
    if (d->state == STATE_DATA && !held(d).len)
        d->block_len += n;
    else
        d->held_to += n;
    assert(d->held_to <= HELD_BYTES);
    return d->err;
}

static bool is_in_part(const bitswap_decoder_t *d)
{
    return d->state == STATE_WANTLIST || d->state == STATE_PAYLOAD || d->is_data_of_payload;
}

/* n bytes of the message have been used; false when they reach over the end of it or of its part. */
static bool use(bitswap_decoder_t *d, size_t n)
{
    if (n > d->message_left || (is_in_part(d) && n > d->part_left)) {
        d->err = fail(ERR_INVALID, "bitswap message: a field is longer than what encloses it");
        return false;
    }
    d->message_left -= n;
    if (is_in_part(d))
        d->part_left -= n;
    return true;
}

/* A protobuf varint at `at` in `in`: its size, 0 when more bytes are needed (or d->err is set). */
static size_t peek_varint(bitswap_decoder_t *d, bytes_t in, size_t at, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < UVARINT_MAX_BYTES; i++) {
        if (at + i >= in.len)
            return 0;
        uint8_t b = in.data[at + i];
        v |= (uint64_t)(b & 0x7f) << (7 * i);
        if (!(b & 0x80)) {
            *ret = v;
            return i + 1;
        }
    }
    d->err = fail(ERR_INVALID, "bitswap message: a number is longer than 10 bytes");
    return 0;
}

typedef struct head {
    uint32_t number;
    pb_wire_t wire;
    uint64_t value; /* the number, or the length of the bytes that follow */
    size_t size;    /* of tag and value or length */
} head_t;

/* The head of the next field; false when more bytes are needed or d->err is set. Nothing is used. */
static bool peek_head(bitswap_decoder_t *d, head_t *ret)
{
    bytes_t in = held(d);
    uint64_t tag, value = 0;
    size_t tag_size = peek_varint(d, in, 0, &tag), value_size = 0;
    if (!tag_size)
        return false;
    head_t h = {.number = (uint32_t)(tag >> 3), .wire = (pb_wire_t)(tag & 7)};
    if (!h.number || tag >> 3 > (1u << 29) - 1) {
        d->err = fail(ERR_INVALID, "bitswap message: field number %llu", (unsigned long long)(tag >> 3));
        return false;
    }
    if (h.wire == PB_VARINT || h.wire == PB_BYTES) {
        value_size = peek_varint(d, in, tag_size, &value);
        if (!value_size)
            return false;
    } else if (h.wire == PB_FIXED32 || h.wire == PB_FIXED64) {
        value = h.wire == PB_FIXED32 ? 4 : 8;
    } else {
        d->err = fail(ERR_INVALID, "bitswap message: wire type %d", (int)h.wire);
        return false;
    }
    h.value = value;
    h.size = tag_size + value_size;
    if (h.wire != PB_VARINT && (h.value > d->message_left || h.size + h.value > d->message_left)) {
        d->err = fail(ERR_INVALID, "bitswap message: a field of %llu bytes in a message with %zu left",
                      (unsigned long long)h.value, d->message_left);
        return false;
    }
    *ret = h;
    return true;
}

static void drop(bitswap_decoder_t *d, size_t n)
{
    d->held_from += n;
}

/* A whole small field must be there: its bytes, or false when more are needed or it is too long. */
static bool peek_small(bitswap_decoder_t *d, const head_t *h, size_t max, bytes_t *ret)
{
    if (h->wire != PB_BYTES || h->value > max) {
        d->err = fail(h->wire != PB_BYTES ? ERR_INVALID : ERR_LIMIT,
                      "bitswap message: field %u has %llu bytes, at most %zu are taken", h->number,
                      (unsigned long long)h->value, max);
        return false;
    }
    if (held(d).len < h->size + h->value)
        return false;
    *ret = bytes_slice(held(d), h->size, h->value);
    return true;
}

/* Skips an unknown field, whatever its length. */
static void skip(bitswap_decoder_t *d, const head_t *h)
{
    if (!use(d, h->size))
        return;
    drop(d, h->size);
    size_t n = h->wire == PB_VARINT ? 0 : (size_t)h->value;
    if (!use(d, n))
        return;
    d->skip_left = n;
}

static err_t decode_cid(bytes_t in, cid_t *ret)
{
    if (in.len > BITSWAP_CID_MAX_BYTES)
        return fail(ERR_LIMIT, "bitswap message: a CID of %zu bytes, at most %d are taken", in.len,
                    BITSWAP_CID_MAX_BYTES);
    return cid_decode(in, ret);
}

static err_t decode_entry(bytes_t in, bitswap_want_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    bitswap_want_t w = {0};
    bytes_t cid = BYTES_NONE;
    while (pb_next(&r, &f)) {
        switch (f.number) {
        case 1:
            cid = pb_bytes(&r, &f, BITSWAP_CID_MAX_BYTES);
            break;
        case 2:
            w.priority = (int32_t)(uint32_t)pb_uint(&r, &f);
            break;
        case 3:
            w.is_cancel = pb_uint(&r, &f);
            break;
        case 4:
            w.is_have = pb_uint(&r, &f) == 1;
            break;
        case 5:
            w.send_dont_have = pb_uint(&r, &f);
            break;
        }
    }
    if (r.err)
        return fail(r.err, "bitswap message: a wantlist entry that does not decode");
    TRY(decode_cid(cid, &w.cid));
    *ret = w;
    return OK;
}

static err_t decode_presence(bytes_t in, bitswap_item_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    bytes_t cid = BYTES_NONE;
    uint64_t type = 0;
    while (pb_next(&r, &f)) {
        if (f.number == 1)
            cid = pb_bytes(&r, &f, BITSWAP_CID_MAX_BYTES);
        else if (f.number == 2)
            type = pb_uint(&r, &f);
    }
    if (r.err)
        return fail(r.err, "bitswap message: a presence that does not decode");
    bitswap_item_t item = {.kind = BITSWAP_ITEM_PRESENCE};
    TRY(decode_cid(cid, &item.presence.cid));
    item.presence.has = type == 0;
    *ret = item;
    return OK;
}

static err_t decode_prefix(bytes_t in, cid_t *ret)
{
    reader_t r = reader_of(in);
    cid_t c = {0};
    uint64_t version = read_uvarint(&r);
    c.codec = read_uvarint(&r);
    c.hash_code = read_uvarint(&r);
    uint64_t len = read_uvarint(&r);
    if (r.err || reader_left(&r) || version > 1 || len > CID_DIGEST_MAX)
        return fail(ERR_INVALID, "bitswap message: a CID prefix that does not decode");
    if (version == 0 && (c.codec != CODEC_DAG_PB || c.hash_code != MH_SHA2_256 || len != 32))
        return fail(ERR_INVALID, "bitswap message: a CIDv0 prefix that is not dag-pb and sha2-256");
    if (c.hash_code == MH_IDENTITY)
        return fail(ERR_INVALID, "bitswap message: a block under an identity CID");
    c.version = (uint8_t)version;
    c.digest_len = (uint8_t)len;
    *ret = c;
    return OK;
}

/* Enters DATA with a block of the field's length. */
static bool begin_data(bitswap_decoder_t *d, const head_t *h, bool is_of_payload)
{
    if (h->wire != PB_BYTES || d->block) {
        d->err = fail(ERR_INVALID, "bitswap message: %s",
                      d->block ? "two data fields in one payload" : "data is not bytes");
        return false;
    }
    if (!use(d, h->size))
        return false;
    drop(d, h->size);
    if (use(d, (size_t)h->value)) /* no more than a message has */
        d->err = block_new((size_t)h->value, &d->block);
    d->block_len = 0;
    d->is_data_of_payload = is_of_payload;
    d->state = STATE_DATA;
    return !d->err;
}

/* Gives the block out with its prefix. */
static bool end_block(bitswap_decoder_t *d, bitswap_item_t *ret)
{
    d->block->cid = d->prefix;
    *ret = (bitswap_item_t){.kind = BITSWAP_ITEM_BLOCK, .block = d->block};
    d->block = NULL;
    d->state = STATE_MESSAGE;
    return true;
}

static bool fill_data(bitswap_decoder_t *d, bitswap_item_t *ret)
{
    size_t n = d->block->len - d->block_len;
    if (n > held(d).len)
        n = held(d).len;
    if (n)
        memcpy(d->block->data + d->block_len, held(d).data, n);
    drop(d, n);
    d->block_len += n;
    if (d->block_len < d->block->len)
        return false;
    if (d->is_data_of_payload) {
        d->is_data_of_payload = false;
        d->state = STATE_PAYLOAD;
        return false;
    }
    d->prefix = (cid_t){.codec = CODEC_DAG_PB, .hash_code = MH_SHA2_256, .digest_len = 32};
    return end_block(d, ret);
}

static bool next_in_wantlist(bitswap_decoder_t *d, bitswap_item_t *ret)
{
    head_t h;
    bytes_t in;
    if (!peek_head(d, &h))
        return false;
    if (h.number == 2 && h.wire == PB_VARINT) {
        d->is_full = h.value;
        if (use(d, h.size))
            drop(d, h.size);
        return false;
    }
    if (h.number != 1) {
        skip(d, &h);
        return false;
    }
    if (!peek_small(d, &h, BITSWAP_ENTRY_MAX_BYTES, &in) || !use(d, h.size + in.len))
        return false;
    d->err = decode_entry(in, &ret->want);
    drop(d, h.size + in.len);
    ret->kind = BITSWAP_ITEM_WANT;
    return !d->err;
}

static bool next_in_payload(bitswap_decoder_t *d, bitswap_item_t *ret)
{
    head_t h;
    bytes_t in;
    if (!d->part_left) {
        if (!d->has_prefix)
            d->err = fail(ERR_INVALID, "bitswap message: a block without a CID prefix");
        else if (!d->block) /* an empty block: the data field is left out */
            d->err = block_new(0, &d->block);
        return !d->err && end_block(d, ret);
    }
    if (!peek_head(d, &h))
        return false;
    if (h.number == 2) {
        begin_data(d, &h, true);
    } else if (h.number == 1) {
        if (!peek_small(d, &h, PREFIX_MAX_BYTES, &in) || !use(d, h.size + in.len))
            return false;
        d->err = decode_prefix(in, &d->prefix);
        d->has_prefix = true;
        drop(d, h.size + in.len);
    } else {
        skip(d, &h);
    }
    return false;
}

static void begin_part(bitswap_decoder_t *d, const head_t *h)
{
    if (h->wire != PB_BYTES) {
        d->err = fail(ERR_INVALID, "bitswap message: field %u is not bytes", h->number);
        return;
    }
    if (!use(d, h->size))
        return;
    drop(d, h->size);
    d->part_left = (size_t)h->value;
    d->has_prefix = false;
    d->state = h->number == FIELD_WANTLIST ? STATE_WANTLIST : STATE_PAYLOAD;
}

static bool next_in_message(bitswap_decoder_t *d, bitswap_item_t *ret)
{
    head_t h;
    bytes_t in;
    if (!d->message_left) {
        *ret = (bitswap_item_t){.kind = BITSWAP_ITEM_END, .end = {d->is_full, d->pending_bytes}};
        d->state = STATE_LENGTH;
        return true;
    }
    if (!peek_head(d, &h))
        return false;
    if (h.number == FIELD_WANTLIST || h.number == FIELD_PAYLOAD) {
        begin_part(d, &h);
    } else if (h.number == FIELD_BLOCKS) {
        begin_data(d, &h, false);
    } else if (h.number == FIELD_PRESENCES) {
        if (!peek_small(d, &h, BITSWAP_ENTRY_MAX_BYTES, &in) || !use(d, h.size + in.len))
            return false;
        d->err = decode_presence(in, ret);
        drop(d, h.size + in.len);
        return !d->err;
    } else {
        if (h.number == FIELD_PENDING && h.wire == PB_VARINT)
            d->pending_bytes = h.value;
        skip(d, &h);
    }
    return false;
}

static void begin_message(bitswap_decoder_t *d)
{
    uint64_t len;
    size_t used;
    err_t e = uvarint_get(held(d), &len, &used);
    if (e == ERR_EOF)
        return;
    if (e || len > BITSWAP_MESSAGE_MAX_BYTES) {
        d->err = e ? e
                   : fail(ERR_LIMIT, "bitswap message of %llu bytes, at most %u are taken",
                          (unsigned long long)len, BITSWAP_MESSAGE_MAX_BYTES);
        return;
    }
    drop(d, used);
    d->message_left = (size_t)len;
    d->is_full = false;
    d->pending_bytes = 0;
    d->state = STATE_MESSAGE;
}

/* One element. True when ret_item was filled. */
static bool step(bitswap_decoder_t *d, bitswap_item_t *ret_item)
{
    if (d->skip_left) {
        size_t n = d->skip_left < held(d).len ? d->skip_left : held(d).len;
        drop(d, n);
        d->skip_left -= n;
        return false;
    }
    switch (d->state) {
    case STATE_LENGTH:
        begin_message(d);
        return false;
    case STATE_MESSAGE:
        return next_in_message(d, ret_item);
    case STATE_WANTLIST:
        if (!d->part_left) {
            d->state = STATE_MESSAGE;
            return false;
        }
        return next_in_wantlist(d, ret_item);
    case STATE_PAYLOAD:
        return next_in_payload(d, ret_item);
    default:
        return fill_data(d, ret_item);
    }
}

bool bitswap_decoder_next(bitswap_decoder_t *d, bitswap_item_t *ret_item)
{
    while (!d->err) {
        uint8_t state = d->state;
        size_t from = d->held_from, skip_left = d->skip_left;
        if (step(d, ret_item))
            return true;
        if (d->state == state && d->held_from == from && d->skip_left == skip_left)
            return false; /* nothing moved: more bytes are needed */
    }
    return false;
}

err_t bitswap_block_cid(const block_t *b, cid_t *ret_cid)
{
    cid_t c;
    TRY(cid_of(b->cid.version, b->cid.codec, b->cid.hash_code, block_bytes(b), &c));
    if (b->cid.digest_len > c.digest_len)
        return fail(ERR_INVALID, "a digest of %u bytes, the hash function gives %u", b->cid.digest_len,
                    c.digest_len);
    memset(c.digest + b->cid.digest_len, 0, c.digest_len - b->cid.digest_len);
    c.digest_len = b->cid.digest_len; /* truncated hashes */
    TRY(cid_check_hash_allowed(&c));
    *ret_cid = c;
    return OK;
}

/* ── encoding ────────────────────────────────────────────────────────────────────────────────── */
enum {
    FRAME_SLACK = 64,       /* pending bytes, the wantlist's head, the full flag */
    EMPTY_WANTLIST_SIZE = 2 /* what a message has beside its blocks in any case */
};

void bitswap_message_init(bitswap_message_t *m, bitswap_version_t version)
{
    *m = (bitswap_message_t){.version = version};
    buf_init(&m->wants, BITSWAP_MESSAGE_MAX_BYTES);
    buf_init(&m->fields, BITSWAP_MESSAGE_MAX_BYTES);
    buf_init(&m->presences, BITSWAP_MESSAGE_MAX_BYTES);
}

void bitswap_message_deinit(bitswap_message_t *m)
{
    for (size_t i = 0; i < m->n_blocks; i++)
        block_release(m->blocks[i].block);
    free(m->blocks);
    m->blocks = NULL;
    m->n_blocks = m->cap_blocks = 0;
    buf_deinit(&m->wants);
    buf_deinit(&m->fields);
    buf_deinit(&m->presences);
}

bool bitswap_message_is_empty(const bitswap_message_t *m)
{
    return !m->n_wants && !m->n_blocks && !m->n_presences;
}

static err_t check_room(const bitswap_message_t *m, size_t more)
{
    if (m->size_bytes + more + FRAME_SLACK > BITSWAP_MESSAGE_MAX_BYTES)
        return fail(ERR_LIMIT, "the bitswap message is full (%zu bytes)", m->size_bytes);
    return OK;
}

err_t bitswap_message_add_want(bitswap_message_t *m, const bitswap_want_t *want)
{
    TRY(check_room(m, BITSWAP_ENTRY_MAX_BYTES));
    assert(!m->prefix_len);
    uint8_t cid[CID_BINARY_MAX];
    size_t cid_len = cid_encode(&want->cid, cid), before = m->wants.len;
    writer_t w = writer_to(&m->wants);
    size_t mark = pb_begin(&w, 1);
    pb_put_bytes(&w, 1, bytes_of(cid, cid_len));
    if (want->priority) /* int32: a negative one takes 10 bytes, as protobuf has it */
        pb_put_uint(&w, 2, (uint64_t)(int64_t)want->priority);
    pb_put_uint_nonzero(&w, 3, want->is_cancel);
    if (m->version >= BITSWAP_V1_2) {
        pb_put_uint_nonzero(&w, 4, want->is_have);
        pb_put_uint_nonzero(&w, 5, want->send_dont_have);
    }
    pb_end(&w, mark);
    TRY(w.err);
    m->size_bytes += m->wants.len - before;
    m->n_wants++;
    return OK;
}

static void put_block_header(bitswap_message_t *m, writer_t *w, const block_t *b)
{
    if (m->version == BITSWAP_V1_0) {
        write_uvarint(w, FIELD_BLOCKS << 3 | PB_BYTES);
        write_uvarint(w, b->len);
        return;
    }
    uint8_t prefix[PREFIX_MAX_BYTES];
    size_t n = uvarint_put(prefix, b->cid.version);
    n += uvarint_put(prefix + n, b->cid.codec);
    n += uvarint_put(prefix + n, b->cid.hash_code);
    n += uvarint_put(prefix + n, b->cid.digest_len);
    size_t data_size = b->len ? 1 + uvarint_size(b->len) + b->len : 0;
    write_uvarint(w, FIELD_PAYLOAD << 3 | PB_BYTES);
    write_uvarint(w, 1 + uvarint_size(n) + n + data_size);
    pb_put_bytes(w, 1, bytes_of(prefix, n));
    if (b->len) {
        write_uvarint(w, 2 << 3 | PB_BYTES);
        write_uvarint(w, b->len);
    }
}

err_t bitswap_message_add_block(bitswap_message_t *m, block_t *b)
{
    bool is_alone = bitswap_message_is_empty(m);
    TRY(check_room(m, is_alone ? 0 : b->len + FRAME_SLACK));
    assert(!m->prefix_len);
    if (m->n_blocks == m->cap_blocks) {
        m->cap_blocks = m->cap_blocks ? 2 * m->cap_blocks : 8;
        m->blocks = xrealloc(m->blocks, m->cap_blocks * sizeof *m->blocks);
    }
    size_t before = m->fields.len;
    writer_t w = writer_to(&m->fields);
    put_block_header(m, &w, b);
    TRY(w.err);
    if (is_alone && EMPTY_WANTLIST_SIZE + m->fields.len - before + b->len > BITSWAP_MESSAGE_MAX_BYTES) {
        m->fields.len = before;
        return fail(ERR_LIMIT, "no bitswap message holds a block of %zu bytes", b->len);
    }
    m->blocks[m->n_blocks].block = block_ref(b);
    m->blocks[m->n_blocks++].header_until = m->fields.len;
    m->size_bytes += m->fields.len - before + b->len;
    return OK;
}

err_t bitswap_message_add_presence(bitswap_message_t *m, const cid_t *cid, bool has)
{
    TRY(check_room(m, BITSWAP_ENTRY_MAX_BYTES));
    assert(!m->prefix_len && m->version >= BITSWAP_V1_2);
    uint8_t text[CID_BINARY_MAX];
    size_t len = cid_encode(cid, text), before = m->presences.len;
    writer_t w = writer_to(&m->presences);
    size_t mark = pb_begin(&w, FIELD_PRESENCES);
    pb_put_bytes(&w, 1, bytes_of(text, len));
    pb_put_uint_nonzero(&w, 2, !has);
    pb_end(&w, mark);
    TRY(w.err);
    m->size_bytes += m->presences.len - before;
    m->n_presences++;
    return OK;
}

err_t bitswap_message_finish(bitswap_message_t *m, uint64_t pending_bytes)
{
    writer_t w = writer_to(&m->wants);
    pb_put_uint_nonzero(&w, 2, m->is_full);
    writer_t f = writer_to(&m->presences);
    if (m->version >= BITSWAP_V1_2 &&
        !check_room(m, 0)) /* only a hint: a block of all the room goes without */
        pb_put_uint_nonzero(&f, FIELD_PENDING, pending_bytes < INT32_MAX ? pending_bytes : INT32_MAX);
    TRY(w.err ? w.err : f.err);
    size_t len = 1 + uvarint_size(m->wants.len) + m->wants.len + m->fields.len + m->presences.len;
    for (size_t i = 0; i < m->n_blocks; i++)
        len += m->blocks[i].block->len;
    assert(len <= BITSWAP_MESSAGE_MAX_BYTES);
    size_t n = uvarint_put(m->prefix, len);
    m->prefix[n++] = FIELD_WANTLIST << 3 | PB_BYTES;
    m->prefix_len = n + uvarint_put(m->prefix + n, m->wants.len);
    return OK;
}

static size_t add_piece(bytes_t *out, size_t n, size_t cap, const uint8_t *data, size_t len)
{
    if (!len)
        return n;
    assert(n < cap);
    out[n] = bytes_of(data, len);
    return n + 1;
}

size_t bitswap_message_pieces(const bitswap_message_t *m, bytes_t *out, size_t cap)
{
    assert(m->prefix_len);
    size_t n = add_piece(out, 0, cap, m->prefix, m->prefix_len), from = 0;
    n = add_piece(out, n, cap, m->wants.data, m->wants.len);
    for (size_t i = 0; i < m->n_blocks; i++) {
        n = add_piece(out, n, cap, m->fields.data + from, m->blocks[i].header_until - from);
        from = m->blocks[i].header_until;
        n = add_piece(out, n, cap, m->blocks[i].block->data, m->blocks[i].block->len);
    }
    return add_piece(out, n, cap, m->presences.data, m->presences.len);
}
