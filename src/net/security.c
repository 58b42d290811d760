/* security: which protocols secure the connections of this host, and how one of them is started. */
#include "net/host_internal.h"
#include "wire/certificate.h"

static const char *const names[] = {[SECURITY_NOISE] = NOISE_PROTOCOL, [SECURITY_TLS] = TLS_PROTOCOL};
static const char *const muxers[] = {YAMUX_PROTOCOL};

size_t host_securities(const host_t *h, const char *out[SECURITY_COUNT])
{
    static const security_t otherwise[] = {SECURITY_NOISE, SECURITY_TLS};
    const security_t *chosen = h->config.n_securities ? h->config.securities : otherwise;
    size_t n = h->config.n_securities ? h->config.n_securities : ARRAY_LEN(otherwise);
    for (size_t i = 0; i < n; i++)
        out[i] = names[chosen[i]];
    return n;
}

static err_t start_noise(host_t *h, const upgrade_how_t *how, noise_t *ret)
{
    noise_config_t c = {.is_initiator = !how->is_inbound,
                        .identity = h->config.key,
                        .expected = how->expected,
                        .muxers = muxers,
                        .n_muxers = ARRAY_LEN(muxers)};
    driver_random(sched_driver(h->sched), c.static_secret, sizeof c.static_secret);
    driver_random(sched_driver(h->sched), c.ephemeral_secret, sizeof c.ephemeral_secret);
    err_t e = noise_init(ret, &c);
    secret_wipe(&c, sizeof c);
    return e;
}

/* The host's certificate is made when it is first shown, and serves until the host closes. */
static err_t need_identity(host_t *h)
{
    certificate_t c;
    if (h->tls_identity)
        return OK;
    TRY(certificate_new(h->config.key, &c));
    err_t e = tls13_identity_new(buf_bytes(&c.der), buf_bytes(&c.pkcs8), &h->tls_identity);
    certificate_deinit(&c);
    return e;
}

static err_t start_tls(host_t *h, const upgrade_how_t *how, tls_t *ret)
{
    TRY(need_identity(h));
    return tls_init(ret, &(tls_config_t){.is_client = !how->is_inbound,
                                         .identity = h->tls_identity,
                                         .expected = how->expected,
                                         .now_s = driver_wall_ms(sched_driver(h->sched)) / 1000,
                                         .muxers = muxers,
                                         .n_muxers = ARRAY_LEN(muxers)});
}

err_t security_start(host_t *h, const char *protocol, const upgrade_how_t *how, channel_t *ret)
{
    channel_t c = {.kind = strcmp(protocol, TLS_PROTOCOL) ? CHANNEL_NOISE : CHANNEL_TLS};
    TRY(c.kind == CHANNEL_TLS ? start_tls(h, how, &c.tls) : start_noise(h, how, &c.noise));
    *ret = c;
    return OK;
}
