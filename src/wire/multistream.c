#include "wire/multistream.h"
#include "base/writer.h"

#define HEADER "/multistream/1.0.0"

/* Queues one line. Room is certain: feed takes no input while a line may not fit. */
static void say(multistream_t *m, bytes_t text)
{
    assert(text.len <= MULTISTREAM_NAME_MAX);
    assert(m->out_len + text.len + 3 <= sizeof m->out);
    m->out_len += (uint16_t)uvarint_put(m->out + m->out_len, text.len + 1);
    memcpy(m->out + m->out_len, text.data, text.len);
    m->out_len += (uint16_t)text.len;
    m->out[m->out_len++] = '\n';
}

static void init(multistream_t *m, bool is_listener)
{
    m->state = MULTISTREAM_BUSY;
    m->is_listener = is_listener;
    m->saw_header = false;
    m->prefix_len = 0;
    m->line_len = m->line_need = m->out_len = m->proposals = 0;
    m->protocols = NULL;
    m->n_protocols = m->at = 0;
    say(m, BYTES_LIT(HEADER));
}

void multistream_init_dialer(multistream_t *m, const char *const *protocols, size_t n)
{
    assert(n);
    init(m, false);
    m->protocols = protocols;
    m->n_protocols = n;
    say(m, bytes_str(protocols[0]));
}

void multistream_init_listener(multistream_t *m)
{
    init(m, true);
}

static bytes_t line_text(const multistream_t *m)
{
    return bytes_of(m->line, m->line_len - 1u);
}

static bool line_is(const multistream_t *m, bytes_t text)
{
    return bytes_equal(line_text(m), text);
}

static err_t on_dialer_line(multistream_t *m)
{
    if (line_is(m, bytes_str(m->protocols[m->at]))) {
        m->state = MULTISTREAM_AGREED;
        return OK;
    }
    if (!line_is(m, BYTES_LIT("na")))
        return fail(ERR_PROTOCOL, "multistream: the peer answered a proposal with something else");
    if (m->at + 1 == m->n_protocols) {
        m->state = MULTISTREAM_REFUSED;
        return OK;
    }
    m->at++;
    say(m, bytes_str(m->protocols[m->at]));
    return OK;
}

static err_t fail_no_multistream(void)
{
    return fail(ERR_PROTOCOL, "multistream: the peer does not speak " HEADER);
}

static err_t on_line(multistream_t *m)
{
    if (m->line[m->line_len - 1] != '\n')
        return fail(ERR_PROTOCOL, "multistream: a line does not end with a newline");
    if (!m->saw_header) {
        if (!line_is(m, BYTES_LIT(HEADER)))
            return fail_no_multistream();
        m->saw_header = true;
        return OK;
    }
    if (!m->is_listener)
        return on_dialer_line(m);
    if (m->proposals++ == MULTISTREAM_PROPOSALS_MAX)
        return fail(ERR_LIMIT, "multistream: over %d proposals", MULTISTREAM_PROPOSALS_MAX);
    m->state = MULTISTREAM_PROPOSED;
    return OK;
}

/* One byte of the length prefix: 1 to 1024 takes at most two, minimal. */
static err_t on_prefix(multistream_t *m, uint8_t byte)
{
    m->line_need |= (uint16_t)((byte & 0x7f) << (7 * m->prefix_len));
    m->prefix_len++;
    if (byte & 0x80) {
        if (m->prefix_len == 2)
            return fail(ERR_LIMIT, "multistream: a line is longer than %d bytes", MULTISTREAM_LINE_MAX);
        return OK;
    }
    if (!m->line_need || (m->prefix_len == 2 && !byte))
        return fail(ERR_PROTOCOL, "multistream: a malformed length");
    if (m->line_need > MULTISTREAM_LINE_MAX)
        return fail(ERR_LIMIT, "multistream: a line of %u bytes is over the limit of %d", m->line_need,
                    MULTISTREAM_LINE_MAX);
    if (!m->saw_header && m->line_need != sizeof HEADER)
        return fail_no_multistream();
    m->line_len = 0;
    m->prefix_len = 0xff; /* complete */
    return OK;
}

static err_t feed_some(multistream_t *m, bytes_t in, size_t *used)
{
    if (m->prefix_len != 0xff)
        return on_prefix(m, in.data[(*used)++]);
    size_t n = m->line_need - m->line_len;
    if (n > in.len - *used)
        n = in.len - *used;
    /* What differs from the header is seen at once: behind another network's key more may never come. */
    for (size_t i = 0; !m->saw_header && i < n; i++)
        if (in.data[*used + i] != (uint8_t)(HEADER "\n")[m->line_len + i]) {
            *used += i + 1;
            return fail_no_multistream();
        }
    memcpy(m->line + m->line_len, in.data + *used, n);
    m->line_len += (uint16_t)n;
    *used += n;
    if (m->line_len < m->line_need)
        return OK;
    m->prefix_len = 0;
    m->line_need = 0;
    return on_line(m);
}

err_t multistream_feed(multistream_t *m, bytes_t in, size_t *ret_used)
{
    size_t used = 0;
    err_t e = OK;
    /* An answer takes at most NAME_MAX + 3 bytes: input waits until the output has room for it. */
    while (!e && used < in.len && m->state == MULTISTREAM_BUSY &&
           (size_t)m->out_len + MULTISTREAM_NAME_MAX + 3 <= sizeof m->out)
        e = feed_some(m, in, &used);
    if (e)
        m->state = MULTISTREAM_FAILED;
    *ret_used = used;
    return e;
}

size_t multistream_wants(const multistream_t *m)
{
    return m->prefix_len == 0xff ? (size_t)(m->line_need - m->line_len) : 1;
}

bytes_t multistream_proposal(const multistream_t *m)
{
    assert(m->state == MULTISTREAM_PROPOSED);
    return line_text(m);
}

void multistream_accept(multistream_t *m)
{
    assert(m->state == MULTISTREAM_PROPOSED);
    say(m, line_text(m));
    m->state = MULTISTREAM_AGREED;
}

void multistream_refuse(multistream_t *m)
{
    assert(m->state == MULTISTREAM_PROPOSED);
    say(m, BYTES_LIT("na"));
    m->state = MULTISTREAM_BUSY;
}

void multistream_output_sent(multistream_t *m, size_t n)
{
    assert(n <= m->out_len);
    m->out_len -= (uint16_t)n;
    memmove(m->out, m->out + n, m->out_len);
}
