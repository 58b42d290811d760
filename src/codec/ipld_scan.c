#include "codec/ipld_scan_impl.h"
#include <stdlib.h>

bool ipld_has_codec(uint64_t codec)
{
    switch (codec) {
    case CODEC_DAG_PB:
    case CODEC_RAW:
    case CODEC_DAG_CBOR:
    case CODEC_DAG_JSON:
    case CODEC_CBOR:
    case CODEC_JSON:
    case CODEC_GIT_RAW:
    case CODEC_DAG_JOSE:
        return true;
    default:
        return false;
    }
}

void ipld_scan_init(ipld_scan_t *s, uint64_t codec, bytes_t block, unsigned flags)
{
    *s = (ipld_scan_t){.codec = codec, .flags = flags, .block = block, .reader = reader_of(block)};
    buf_init(&s->scratch, block.len + 16);
    if (!ipld_has_codec(codec) || codec == CODEC_GIT_RAW || codec == CODEC_DAG_JOSE)
        s->err = fail(ERR_UNSUPPORTED, "no decoder registered for multicodec code %llu (0x%llx)",
                      (unsigned long long)codec, (unsigned long long)codec);
}

void ipld_scan_deinit(ipld_scan_t *s)
{
    free(s->stack);
    s->stack = NULL;
    s->depth = s->cap = 0;
    buf_deinit(&s->scratch);
}

static ipld_frame_t *top(ipld_scan_t *s)
{
    return s->depth ? &s->stack[s->depth - 1] : NULL;
}

static void push(ipld_scan_t *s, const ipld_event_t *e)
{
    if (s->depth == IPLD_MAX_DEPTH) {
        s->err = fail(ERR_LIMIT, "message structure exceeded maximum nesting depth");
        return;
    }
    if (s->depth == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 16;
        s->stack = xrealloc(s->stack, s->cap * sizeof *s->stack);
    }
    assert(s->stack);
    s->stack[s->depth++] = (ipld_frame_t){
        .left = e->integer, .is_map = e->kind == IPLD_MAP, .is_open_ended = e->integer == UINT64_MAX};
}

/* Where in its list or map an event stands. */
static void place(ipld_scan_t *s, ipld_event_t *e)
{
    ipld_frame_t *f = top(s);
    if (e->kind == IPLD_END) {
        s->depth--;
        return;
    }
    if (f && f->is_map && !f->wants_value) {
        if (e->kind != IPLD_STRING) {
            s->err = fail(ERR_INVALID, "unexpected token while expecting map key");
            return;
        }
        e->is_key = f->wants_value = f->has_items = true;
        return;
    }
    if (f) {
        f->wants_value = false;
        f->has_items = true;
        f->left -= !f->is_open_ended;
    }
    if (e->kind == IPLD_LIST || e->kind == IPLD_MAP)
        push(s, e);
}

/* ── dag-pb ──────────────────────────────────────────────────────────────────────────────────── */
static void queue(ipld_scan_t *s, ipld_event_t e)
{
    e.is_in_block = true;
    s->queued[s->n_queued++] = e;
}

static void queue_entry(ipld_scan_t *s, const char *key, ipld_event_t value)
{
    queue(s, (ipld_event_t){.kind = IPLD_STRING, .is_key = true, .bytes = bytes_str(key)});
    queue(s, value);
}

static void begin_dag_pb(ipld_scan_t *s)
{
    s->err = dag_pb_decode(s->block, &s->pb);
    if (s->err)
        return;
    s->links = dag_pb_links(&s->pb);
    queue(s, (ipld_event_t){.kind = IPLD_MAP});
    queue_entry(s, "Links", (ipld_event_t){.kind = IPLD_LIST});
}

static void queue_link(ipld_scan_t *s, const dag_pb_link_t *link)
{
    bytes_t cid = bytes_of(s->cid, cid_encode(&link->cid, s->cid));
    queue(s, (ipld_event_t){.kind = IPLD_MAP});
    queue_entry(s, "Hash", (ipld_event_t){.kind = IPLD_LINK, .bytes = cid});
    s->queued[s->n_queued - 1].is_in_block = false;
    if (link->has_name)
        queue_entry(s, "Name", (ipld_event_t){.kind = IPLD_STRING, .bytes = link->name});
    if (link->has_tsize)
        queue_entry(s, "Tsize", (ipld_event_t){.kind = IPLD_UINT, .integer = link->tsize});
    queue(s, (ipld_event_t){.kind = IPLD_END});
}

static void next_dag_pb(ipld_scan_t *s, ipld_event_t *e)
{
    if (!s->has_begun)
        begin_dag_pb(s);
    s->has_begun = true;
    if (s->err)
        return;
    if (s->n_given == s->n_queued) {
        dag_pb_link_t link;
        s->n_given = s->n_queued = 0;
        if (dag_pb_next_link(&s->links, &link)) {
            queue_link(s, &link);
        } else {
            queue(s, (ipld_event_t){.kind = IPLD_END}); /* of Links */
            if (s->pb.has_data)
                queue_entry(s, "Data", (ipld_event_t){.kind = IPLD_BYTES, .bytes = s->pb.data});
            queue(s, (ipld_event_t){.kind = IPLD_END});
        }
    }
    *e = s->queued[s->n_given++];
}

/* ── all ─────────────────────────────────────────────────────────────────────────────────────── */
static void read_text(ipld_scan_t *s, ipld_event_t *e)
{
    if (s->codec == CODEC_DAG_CBOR || s->codec == CODEC_CBOR)
        dag_cbor_read(s, top(s), e);
    else
        dag_json_read(s, top(s), e);
    if (!s->err)
        place(s, e);
}

static void finish(ipld_scan_t *s)
{
    s->is_done = true;
    if (s->codec == CODEC_DAG_JSON || s->codec == CODEC_JSON)
        dag_json_finish(s);
    else if (s->codec != CODEC_DAG_PB && s->codec != CODEC_RAW && reader_left(&s->reader))
        s->err = fail(ERR_INVALID, "unexpected content after end of cbor object");
}

bool ipld_scan_next(ipld_scan_t *s, ipld_event_t *ret_event)
{
    ipld_event_t e = {0};
    if (s->err || s->is_done)
        return false;
    if (s->codec == CODEC_RAW)
        e = (ipld_event_t){.kind = IPLD_BYTES, .bytes = s->block, .is_in_block = true};
    else if (s->codec == CODEC_DAG_PB)
        next_dag_pb(s, &e);
    else
        read_text(s, &e);
    if (s->err)
        return false;
    *ret_event = e;
    s->n_open += e.kind == IPLD_MAP || e.kind == IPLD_LIST;
    s->n_open -= e.kind == IPLD_END;
    if (!s->n_open)
        finish(s);
    return !s->err;
}
