#include "wire/channel.h"

void channel_deinit(channel_t *c)
{
    if (c->kind == CHANNEL_NOISE)
        noise_deinit(&c->noise);
    else if (c->kind == CHANNEL_TLS)
        tls_deinit(&c->tls);
}

bool channel_is_open(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? c->noise.state == NOISE_OPEN
                                    : c->kind == CHANNEL_TLS && c->tls.state == TLS_OPEN;
}

const char *channel_protocol(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? NOISE_PROTOCOL : c->kind == CHANNEL_TLS ? TLS_PROTOCOL : "";
}

bytes_t channel_output(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? noise_output(&c->noise) : tls_output(&c->tls);
}

void channel_output_sent(channel_t *c, size_t len)
{
    if (c->kind == CHANNEL_NOISE)
        noise_output_sent(&c->noise, len);
    else
        tls_output_sent(&c->tls, len);
}

size_t channel_header_bytes(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? NOISE_PREFIX_BYTES : TLS_HEADER_BYTES;
}

size_t channel_frame_size(const channel_t *c, const uint8_t *header)
{
    return c->kind == CHANNEL_NOISE ? noise_frame_size(bytes_of(header, NOISE_PREFIX_BYTES))
                                    : tls_frame_size(header);
}

size_t channel_frame_max(const channel_t *c)
{
    if (c->kind == CHANNEL_TLS)
        return TLS_FRAME_MAX;
    return NOISE_PREFIX_BYTES + (c->noise.state == NOISE_OPEN ? NOISE_FRAME_MAX : NOISE_HANDSHAKE_MAX);
}

err_t channel_feed(channel_t *c, uint8_t *in, size_t len, size_t *ret_used, bytes_t *ret_plain)
{
    return c->kind == CHANNEL_NOISE ? noise_feed(&c->noise, in, len, ret_used, ret_plain)
                                    : tls_feed(&c->tls, in, len, ret_used, ret_plain);
}

size_t channel_sealed_size(const channel_t *c, size_t plain_len)
{
    return c->kind == CHANNEL_NOISE ? noise_sealed_size(plain_len) : tls_sealed_size(plain_len);
}

err_t channel_seal(channel_t *c, const bytes_t *pieces, size_t n_pieces, uint8_t *out, size_t *ret_len)
{
    return c->kind == CHANNEL_NOISE ? noise_seal(&c->noise, pieces, n_pieces, out, ret_len)
                                    : tls_seal(&c->tls, pieces, n_pieces, out, ret_len);
}

size_t channel_seal_end(channel_t *c, err_t why, uint8_t out[CHANNEL_END_MAX])
{
    size_t len = 0;
    return c->kind == CHANNEL_TLS && !tls_seal_end(&c->tls, why, out, &len) ? len : 0;
}

const peer_id_t *channel_peer(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? noise_peer(&c->noise) : &c->tls.peer;
}

const char *channel_muxer(const channel_t *c)
{
    return c->kind == CHANNEL_NOISE ? noise_muxer(&c->noise) : c->tls.muxer;
}
