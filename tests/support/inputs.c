#include "tests/support/inputs.h"
#include "crypto/hash.h"
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { CHUNK = 4096, SEED_MAX = 64 }; /* CHUNK: whole steps of every generator */

struct inputs {
    enum { ZERO, MOD251, HEX, CTR, CC20 } kind;
    uint64_t size, at;
    char seed[SEED_MAX];
    uint8_t key[32];
    buf_t hex;
    uint8_t chunk[CHUNK];
    uint64_t chunk_at; /* which chunk is in there */
};

static void unknown(const char *spec)
{
    fprintf(stderr, "no recipe for the input %s\n", spec);
    abort();
}

static const char *recipe_of(const char *spec)
{
    if (!strncmp(spec, "stdin=", 6))
        return spec + 6;
    if (!strncmp(spec, "named:", 6)) {
        const char *equals = strchr(spec, '=');
        return equals ? equals + 1 : spec;
    }
    return spec;
}

const char *inputs_name(const char *spec, char *out, size_t cap)
{
    const char *equals = strchr(spec, '=');
    if (strncmp(spec, "named:", 6) || !equals)
        return NULL;
    snprintf(out, cap, "%.*s", (int)(equals - spec - 6), spec + 6);
    return out;
}

inputs_t *inputs_open(const char *spec)
{
    static const struct {
        const char *prefix;
        int kind;
    } kinds[] = {{"zero:", ZERO}, {"mod251:", MOD251}, {"hex:", HEX}, {"ctr:", CTR}, {"cc20:", CC20}};
    const char *recipe = recipe_of(spec), *rest = NULL;
    inputs_t *in = xcalloc(1, sizeof *in);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strncmp(recipe, kinds[i].prefix, strlen(kinds[i].prefix))) {
            in->kind = kinds[i].kind;
            rest = recipe + strlen(kinds[i].prefix);
        }
    if (!rest)
        unknown(spec);
    in->chunk_at = UINT64_MAX;
    buf_init(&in->hex, 1 << 20);
    if (in->kind == HEX) {
        if (hex_decode(bytes_str(rest), &in->hex))
            unknown(spec);
        in->size = in->hex.len;
        return in;
    }
    const char *colon = strrchr(rest, ':'), *number = colon ? colon + 1 : rest;
    if (colon)
        snprintf(in->seed, sizeof in->seed, "%.*s", (int)(colon - rest), rest);
    char *end;
    in->size = strtoull(number, &end, 10);
    if (*end || end == number || !colon != (in->kind == ZERO || in->kind == MOD251))
        unknown(spec);
    sha256_of(bytes_str(in->seed), in->key);
    return in;
}

uint64_t inputs_size(const inputs_t *in)
{
    return in->size;
}

static void fill_counted(const inputs_t *in, uint64_t chunk, uint8_t *out)
{
    for (uint64_t i = 0; i < CHUNK / 32; i++) {
        char text[SEED_MAX + 24];
        int n =
            snprintf(text, sizeof text, "%s%llu", in->seed, (unsigned long long)(chunk * (CHUNK / 32) + i));
        sha256_of(bytes_of(text, (size_t)n), out + 32 * i);
    }
}

static void fill_chunk(inputs_t *in, uint64_t chunk)
{
    static const uint8_t zeros[CHUNK], nonce[12];
    switch (in->kind) {
    case CTR:
        fill_counted(in, chunk, in->chunk);
        break;
    case CC20:
        crypto_stream_chacha20_ietf_xor_ic(in->chunk, zeros, CHUNK, nonce, (uint32_t)(chunk * (CHUNK / 64)),
                                           in->key);
        break;
    case MOD251:
        for (uint64_t i = 0; i < CHUNK; i++)
            in->chunk[i] = (uint8_t)((chunk * CHUNK + i) % 251);
        break;
    default:
        break; /* zeros need no work, and hex is whole */
    }
    in->chunk_at = chunk;
}

size_t inputs_read(inputs_t *in, uint8_t *out, size_t cap)
{
    size_t done = 0;
    while (done < cap && in->at < in->size) {
        uint64_t left = in->size - in->at;
        size_t n = cap - done < left ? cap - done : (size_t)left, offset = (size_t)(in->at % CHUNK);
        if (in->kind == HEX) {
            memcpy(out + done, in->hex.data + in->at, n);
        } else if (in->kind == ZERO) {
            memset(out + done, 0, n);
        } else {
            if (in->chunk_at != in->at / CHUNK)
                fill_chunk(in, in->at / CHUNK);
            n = n < CHUNK - offset ? n : CHUNK - offset;
            memcpy(out + done, in->chunk + offset, n);
        }
        done += n;
        in->at += n;
    }
    return done;
}

void inputs_close(inputs_t *in)
{
    buf_deinit(&in->hex);
    free(in);
}

void inputs_append(const char *spec, buf_t *out)
{
    inputs_t *in = inputs_open(spec);
    uint8_t chunk[CHUNK];
    for (size_t n; (n = inputs_read(in, chunk, sizeof chunk));)
        if (buf_append(out, bytes_of(chunk, n))) {
            fprintf(stderr, "%s is too large for the buffer\n", spec);
            abort();
        }
    inputs_close(in);
}
