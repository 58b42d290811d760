#include "codec/dag_pb.h"
#include "base/pb.h"

enum { FIELD_DATA = 1, FIELD_LINK = 2, LINK_HASH = 1, LINK_NAME = 2, LINK_TSIZE = 3 };

/* Fields of a link come in the order of their numbers, each at most once, and Hash must be there. */
static err_t decode_link(bytes_t in, dag_pb_link_t *ret)
{
    reader_t r = reader_of(in);
    pb_field_t f;
    uint32_t last = 0;
    bytes_t hash = BYTES_NONE;
    ret->name = BYTES_NONE;
    ret->tsize = 0;
    ret->has_name = ret->has_tsize = false;
    while (pb_next(&r, &f)) {
        if (f.number <= last || f.number > LINK_TSIZE)
            return fail(ERR_INVALID, "dag-pb link: field %u is unknown, repeated or out of order", f.number);
        last = f.number;
        if (f.number == LINK_HASH) {
            hash = pb_bytes(&r, &f, in.len);
        } else if (f.number == LINK_NAME) {
            ret->name = pb_bytes(&r, &f, in.len);
            ret->has_name = true;
        } else {
            ret->tsize = pb_uint(&r, &f);
            ret->has_tsize = true;
        }
    }
    if (r.err)
        return fail(r.err, "dag-pb link: cut off or of a wrong wire type");
    if (!hash.len)
        return fail(ERR_INVALID, "dag-pb link without a CID");
    return cid_decode(hash, &ret->cid);
}

err_t dag_pb_decode(bytes_t block, dag_pb_t *ret_node)
{
    reader_t r = reader_of(block);
    pb_field_t f;
    dag_pb_t node = {.block = block};
    bool links_ended = false;
    while (pb_next(&r, &f)) {
        if (f.number == FIELD_DATA) {
            if (node.has_data)
                return fail(ERR_INVALID, "dag-pb: two Data fields");
            node.data = pb_bytes(&r, &f, block.len);
            node.has_data = true;
            links_ended = node.link_count > 0;
        } else if (f.number == FIELD_LINK) {
            if (links_ended)
                return fail(ERR_INVALID, "dag-pb: links on both sides of Data");
            dag_pb_link_t link;
            bytes_t in = pb_bytes(&r, &f, block.len);
            if (!r.err)
                TRY(decode_link(in, &link));
            node.link_count++;
        } else {
            return fail(ERR_INVALID, "dag-pb: unknown field %u", f.number);
        }
        if (r.err)
            break;
    }
    if (r.err)
        return fail(r.err, "dag-pb: cut off or of a wrong wire type");
    *ret_node = node;
    return OK;
}

dag_pb_links_t dag_pb_links(const dag_pb_t *node)
{
    return (dag_pb_links_t){reader_of(node->block)};
}

bool dag_pb_next_link(dag_pb_links_t *links, dag_pb_link_t *ret_link)
{
    pb_field_t f;
    while (pb_next(&links->reader, &f))
        if (f.number == FIELD_LINK)
            return decode_link(f.bytes, ret_link) == OK;
    return false;
}

void dag_pb_put_link(writer_t *w, const dag_pb_link_t *link)
{
    uint8_t cid[CID_BINARY_MAX];
    size_t cid_len = cid_encode(&link->cid, cid);
    size_t len = 1 + uvarint_size(cid_len) + cid_len;
    if (link->has_name)
        len += 1 + uvarint_size(link->name.len) + link->name.len;
    if (link->has_tsize)
        len += 1 + uvarint_size(link->tsize);
    /* Folders are written anew for each change of a name: one append for a link of usual size. */
    enum { USUAL_NAME_MAX_BYTES = 256 };
    uint8_t room[5 * UVARINT_MAX_BYTES + 4 + CID_BINARY_MAX + USUAL_NAME_MAX_BYTES];
    size_t n = 0;
    room[n++] = FIELD_LINK << 3 | PB_BYTES;
    n += uvarint_put(room + n, len);
    room[n++] = LINK_HASH << 3 | PB_BYTES;
    n += uvarint_put(room + n, cid_len);
    memcpy(room + n, cid, cid_len);
    n += cid_len;
    if (link->has_name) {
        room[n++] = LINK_NAME << 3 | PB_BYTES;
        n += uvarint_put(room + n, link->name.len);
        if (link->name.len > USUAL_NAME_MAX_BYTES) {
            write_bytes(w, bytes_of(room, n));
            write_bytes(w, link->name);
            n = 0;
        } else if (link->name.len) {
            memcpy(room + n, link->name.data, link->name.len);
            n += link->name.len;
        }
    }
    if (link->has_tsize) {
        room[n++] = LINK_TSIZE << 3 | PB_VARINT;
        n += uvarint_put(room + n, link->tsize);
    }
    write_bytes(w, bytes_of(room, n));
}

void dag_pb_put_data(writer_t *w, bytes_t data)
{
    pb_put_bytes(w, FIELD_DATA, data);
}
