#include "wire/dns.h"
#include <stdio.h>

enum { POINTER_BITS = 0xc0, JUMPS_MAX = 32 };

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
err_t dns_decode(bytes_t in, dns_message_t *ret)
{
    dns_message_t m = {.raw = in, .at = reader_of(in)};
    m.id = read_u16be(&m.at);
    m.flags = read_u16be(&m.at);
    m.n_questions = read_u16be(&m.at);
    m.n_answers = read_u16be(&m.at);
    m.n_authorities = read_u16be(&m.at);
    m.n_additional = read_u16be(&m.at);
    if (m.at.err)
        return fail(ERR_INVALID, "a DNS message of %zu bytes has no header", in.len);
    *ret = m;
    return OK;
}

static size_t print_byte(char *out, uint8_t b)
{
    if (b >= 'A' && b <= 'Z')
        b = (uint8_t)(b - 'A' + 'a');
    if (b > ' ' && b <= '~' && b != '.' && b != '\\') {
        *out = (char)b;
        return 1;
    }
    return (size_t)snprintf(out, 5, "\\%03u", b);
}

/* Reads labels up to the end of the name or a pointer, whose target it returns (0: the name ended). */
static uint16_t read_labels(reader_t *r, char *out, size_t *text_len, size_t *wire_len)
{
    for (;;) {
        uint8_t len = read_u8(r);
        if (r->err || !len)
            return 0;
        if ((len & POINTER_BITS) == POINTER_BITS)
            return (uint16_t)((len & 0x3f) << 8 | read_u8(r));
        *wire_len += 1u + len;
        if (len > DNS_LABEL_MAX || *wire_len >= DNS_NAME_MAX_BYTES)
            reader_fail(r, ERR_INVALID);
        bytes_t label = read_bytes(r, len);
        if (r->err)
            return 0;
        if (*text_len)
            out[(*text_len)++] = '.';
        for (size_t i = 0; i < label.len; i++)
            *text_len += print_byte(out + *text_len, label.data[i]);
    }
}

static void read_name(reader_t *r, bytes_t raw, char out[DNS_NAME_TEXT_MAX])
{
    size_t text_len = 0, wire_len = 0, before = (size_t)(r->pos - raw.data);
    uint16_t target = read_labels(r, out, &text_len, &wire_len);
    for (int jumps = 0; target && !r->err; jumps++) {
        if (target >= before || target < DNS_HEADER_BYTES || jumps == JUMPS_MAX) {
            reader_fail(r, ERR_INVALID);
            break;
        }
        before = target;
        reader_t there = reader_of(bytes_slice(raw, target, raw.len));
        target = read_labels(&there, out, &text_len, &wire_len);
        if (there.err)
            reader_fail(r, there.err);
    }
    out[r->err ? 0 : text_len] = 0;
}

bool dns_next(dns_message_t *m, dns_record_t *ret)
{
    reader_t *r = &m->at;
    uint32_t n_all = (uint32_t)m->n_questions + m->n_answers + m->n_authorities + m->n_additional;
    if (r->err || m->n_read >= n_all)
        return false;
    ret->is_question = m->n_read < m->n_questions;
    ret->is_answer = !ret->is_question && m->n_read < (uint32_t)m->n_questions + m->n_answers;
    m->n_read++;
    read_name(r, m->raw, ret->name);
    ret->type = read_u16be(r);
    ret->class = read_u16be(r);
    ret->ttl_s = ret->is_question ? 0 : read_u32be(r);
    ret->data = ret->is_question ? BYTES_NONE : read_bytes(r, read_u16be(r));
    return !r->err;
}

err_t dns_pointer(const dns_message_t *m, const dns_record_t *r, char out[DNS_NAME_TEXT_MAX])
{
    reader_t in = reader_of(r->data);
    read_name(&in, m->raw, out);
    return in.err ? fail(ERR_INVALID, "a DNS record points to a malformed name") : OK;
}

bool dns_next_string(reader_t *in, bytes_t *ret)
{
    if (!reader_left(in))
        return false;
    *ret = read_bytes(in, read_u8(in));
    return !in->err;
}

/* ── writing ─────────────────────────────────────────────────────────────────────────────────── */
void dns_put_header(writer_t *w, uint16_t id, uint16_t flags, const uint16_t counts[4])
{
    write_u16be(w, id);
    write_u16be(w, flags);
    for (int i = 0; i < 4; i++)
        write_u16be(w, counts[i]);
}

void dns_put_label(writer_t *w, bytes_t label)
{
    assert(label.len > 0 && label.len <= DNS_LABEL_MAX);
    write_u8(w, (uint8_t)label.len);
    write_bytes(w, label);
}

void dns_put_name_end(writer_t *w)
{
    write_u8(w, 0);
}

void dns_put_name_at(writer_t *w, uint16_t offset)
{
    assert(offset < 0x4000);
    write_u16be(w, (uint16_t)(POINTER_BITS << 8 | offset));
}

void dns_put_record(writer_t *w, uint16_t type, uint16_t class, uint32_t ttl_s, uint16_t data_len)
{
    write_u16be(w, type);
    write_u16be(w, class);
    write_u32be(w, ttl_s);
    write_u16be(w, data_len);
}
