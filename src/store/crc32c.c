#include "store/crc32c.h"
#include <pthread.h>

enum { STEP = 8 };
/* tables[i]: of one byte that i others follow, so that STEP bytes are done at once. */
static uint32_t tables[STEP][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    static const uint32_t polynomial = 0x82f63b78; /* bits reversed */
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ polynomial : crc >> 1;
        tables[0][i] = crc;
    }
    for (size_t step = 1; step < STEP; step++)
        for (size_t i = 0; i < 256; i++)
            tables[step][i] = tables[step - 1][i] >> 8 ^ tables[0][tables[step - 1][i] & 255];
}

static uint32_t take_step(uint32_t crc, const uint8_t *p)
{
    crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    return tables[7][crc & 255] ^ tables[6][crc >> 8 & 255] ^ tables[5][crc >> 16 & 255] ^
           tables[4][crc >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
}

uint32_t crc32c(uint32_t crc, bytes_t data)
{
    size_t i = 0;
    pthread_once(&once, make_tables);
    crc = ~crc;
    for (; data.len - i >= STEP; i += STEP)
        crc = take_step(crc, data.data + i);
    for (; i < data.len; i++)
        crc = crc >> 8 ^ tables[0][(crc ^ data.data[i]) & 255];
    return ~crc;
}
