#include "task/stream.h"
#include "base/writer.h"

enum { MESSAGE_STEP = 65536, WINDOW_PIECES = 16 };

err_t stream_try_read(stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    assert(cap > 0);
    return s->ops->read(s, out, cap, ret_n);
}

err_t stream_try_write(stream_t *s, const bytes_t *pieces, size_t n_pieces, size_t *ret_n)
{
    return s->ops->write(s, pieces, n_pieces, ret_n);
}

err_t stream_read(task_t *t, stream_t *s, uint8_t *out, size_t cap, size_t *ret_n)
{
    for (;;) {
        err_t e = stream_try_read(s, out, cap, ret_n);
        if (e != ERR_AGAIN)
            return e;
        TRY(event_wait(t, &s->readable));
    }
}

err_t stream_read_full(task_t *t, stream_t *s, uint8_t *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        size_t n = 0;
        TRY(stream_read(t, s, out + done, len - done, &n));
        if (!n)
            return fail(ERR_EOF, "the stream ended after %zu of %zu bytes", done, len);
        done += n;
    }
    return OK;
}

err_t stream_write(task_t *t, stream_t *s, bytes_t data)
{
    return stream_write_pieces(t, s, &data, 1);
}

/* A window on the pieces that are left, the first without what was written of it already. */
static size_t window(const bytes_t *pieces, size_t n, size_t first_done, bytes_t out[WINDOW_PIECES])
{
    size_t count = n < WINDOW_PIECES ? n : WINDOW_PIECES;
    for (size_t i = 0; i < count; i++)
        out[i] = pieces[i];
    out[0] = bytes_slice(out[0], first_done, out[0].len);
    return count;
}

err_t stream_write_pieces(task_t *t, stream_t *s, const bytes_t *pieces, size_t n)
{
    size_t first_done = 0;
    for (;;) {
        while (n && first_done == pieces->len) {
            pieces++;
            n--;
            first_done = 0;
        }
        if (!n)
            return OK;
        bytes_t left[WINDOW_PIECES];
        size_t count = window(pieces, n, first_done, left), written = 0;
        err_t e = stream_try_write(s, left, count, &written);
        if (e == ERR_AGAIN) {
            TRY(event_wait(t, &s->writable));
            continue;
        }
        TRY(e);
        while (written) {
            assert(n); /* no more than was given */
            size_t here = pieces->len - first_done;
            if (written < here) {
                first_done += written;
                break;
            }
            written -= here;
            first_done = 0;
            pieces++;
            n--;
        }
    }
}

/* Byte by byte, so that nothing behind the length is taken from the stream. */
err_t stream_read_length(task_t *t, stream_t *s, uint64_t *ret_len, bool *ret_is_cut)
{
    uint8_t text[UVARINT_MAX_BYTES];
    for (size_t n = 0; n < sizeof text; n++) {
        size_t got = 0;
        *ret_is_cut = n > 0;
        TRY(stream_read(t, s, text + n, 1, &got));
        if (!got && n)
            return fail(ERR_EOF, "the stream ended inside the length of a message");
        if (!got)
            return fail(ERR_EOF, "the stream ended");
        size_t used;
        err_t e = uvarint_get(bytes_of(text, n + 1), ret_len, &used);
        if (e == ERR_INVALID)
            break;
        if (!e)
            return OK;
    }
    return fail(ERR_INVALID, "the length of a message is no minimal varint");
}

err_t stream_read_body(task_t *t, stream_t *s, uint64_t len, buf_t *out)
{
    buf_clear(out);
    while (out->len < len) { /* memory follows the bytes that came, not the length that was claimed */
        size_t want = len - out->len < MESSAGE_STEP ? (size_t)len - out->len : MESSAGE_STEP, n = 0;
        TRY(buf_reserve(out, want));
        TRY(stream_read(t, s, out->data + out->len, want, &n));
        if (!n)
            return fail(ERR_EOF, "the stream ended after %zu bytes of a message of %llu", out->len,
                        (unsigned long long)len);
        out->len += n;
    }
    return OK;
}

static err_t read_message_length(task_t *t, stream_t *s, size_t max_bytes, buf_t *out, uint64_t *ret_len)
{
    buf_clear(out);
    bool is_cut;
    err_t e = stream_read_length(t, s, ret_len, &is_cut);
    if (e == ERR_EOF && is_cut)
        TRY(buf_append_u8(out, 0)); /* not a clean end */
    TRY(e);
    if (*ret_len > max_bytes || *ret_len > out->max)
        return fail(ERR_LIMIT, "a message of %llu bytes is over the limit of %zu",
                    (unsigned long long)*ret_len, max_bytes < out->max ? max_bytes : out->max);
    return OK;
}

err_t stream_read_message(task_t *t, stream_t *s, size_t max_bytes, buf_t *out)
{
    uint64_t len;
    TRY(read_message_length(t, s, max_bytes, out, &len));
    return stream_read_body(t, s, len, out);
}

err_t stream_read_charged(task_t *t, stream_t *s, size_t max_bytes, limit_t *limit, buf_t *out)
{
    uint64_t len;
    TRY(read_message_length(t, s, max_bytes, out, &len));
    TRY(limit_charge(limit, len));
    err_t e = stream_read_body(t, s, len, out);
    if (e)
        limit_release(limit, len);
    return e;
}

err_t stream_write_message(task_t *t, stream_t *s, bytes_t message)
{
    uint8_t prefix[UVARINT_MAX_BYTES];
    bytes_t pieces[] = {bytes_of(prefix, uvarint_put(prefix, message.len)), message};
    return stream_write_pieces(t, s, pieces, ARRAY_LEN(pieces));
}

err_t stream_close_write(stream_t *s)
{
    return s->ops->close_write(s);
}

void stream_reset(stream_t *s)
{
    s->ops->reset(s);
}

void stream_close(stream_t *s)
{
    if (s)
        s->ops->close(s);
}
