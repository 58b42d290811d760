#include "wire/channel.h"

void channel_deinit(channel_t *c)
{
    if (c->kind == CHANNEL_NOISE)
        noise_deinit(&c->noise);
}

bool channel_is_open(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE && c->noise.state == NOISE_OPEN;
}

const char *channel_protocol(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? NOISE_PROTOCOL : "";
}

bytes_t channel_output(const channel_t *c)
{
    return noise_output(&c->noise);
}

void channel_output_sent(channel_t *c, size_t len)
{
    noise_output_sent(&c->noise, len);
}

size_t channel_header_bytes(const channel_t *c)
{
    return NOISE_PREFIX_BYTES;
}

size_t channel_frame_size(const channel_t *c, const uint8_t *header)
{
    return noise_frame_size(bytes_of(header, NOISE_PREFIX_BYTES));
}

size_t channel_frame_max(const channel_t *c)
{
    return NOISE_PREFIX_BYTES + (c->noise.state == NOISE_OPEN ? NOISE_FRAME_MAX : NOISE_HANDSHAKE_MAX);
}

err_t channel_feed(channel_t *c, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain)
{
    return noise_feed(&c->noise, in, len, ret_used, ret_plain);
}

size_t channel_sealed_size(const channel_t *c, size_t plain_len)
{
    return noise_sealed_size(plain_len);
}

err_t channel_seal(channel_t *c, const bytes_t *pieces, size_t n_pieces, uint8_t *out, size_t *ret_len)
{
    return noise_seal(&c->noise, pieces, n_pieces, out, ret_len);
}

const peer_id_t *channel_peer(const channel_t *c)
{
    return &c->noise.peer;
}

const char *channel_muxer(const channel_t *c)
{
    return noise_muxer(&c->noise);
}
