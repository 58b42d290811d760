#include "crypto/key.h"
#include "crypto/libraries.h"
#include <pthread.h>
#include <sodium.h>

static pthread_once_t sodium_once = PTHREAD_ONCE_INIT;
static void (*fill_hook)(void *arg, uint8_t *out, size_t len);
static void *fill_arg;

static void init_sodium(void)
{
    int e = sodium_init(); /* picks the CPU's instructions; fails only without a source of randomness */
    assert(e >= 0);
}

void sodium_ready(void)
{
    pthread_once(&sodium_once, init_sodium);
}

void crypto_random(uint8_t *out, size_t len)
{
    if (fill_hook) {
        fill_hook(fill_arg, out, len);
        return;
    }
    sodium_ready();
    randombytes_buf(out, len);
}

void crypto_set_random(void (*fill)(void *arg, uint8_t *out, size_t len), void *arg)
{
    fill_hook = fill;
    fill_arg = arg;
}
