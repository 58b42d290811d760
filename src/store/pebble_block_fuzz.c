/* Blocks of tables, compressed or not, in each layout and of each content: reading ends, and gives no more
 * than the block has room for. The first byte chooses. */
#include "store/pebble_block.h"
#include "store/snappy.h"
#include "store/zstd_block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_rows(bytes_t in, pebble_layout_t layout, pebble_content_t content)
{
    pebble_block_t b;
    pebble_row_t row;
    bool has = true;
    size_t sum = 0;
    if (pebble_block_open(&b, in, layout, content))
        return;
    for (size_t rows = 0; rows < 100000 && has && !pebble_block_next(&b, &row, &has); rows++)
        if (has) {
            assert(row.key.len <= PEBBLE_KEY_MAX_BYTES + 8 && row.value.len <= in.len);
            for (size_t i = 0; i < row.value.len; i++)
                sum += row.value.data[i];
        }
    assert(sum < SIZE_MAX);
    pebble_block_close(&b);
    pebble_block_close(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf_t) content = {0};
    if (!size)
        return 0;
    bytes_t in = bytes_of(data + 1, size - 1);
    buf_init(&content, 1 << 20);
    if (data[0] & 24) {
        if (data[0] & 8 ? snappy_decode(in, &content) : zstd_block_decode(in, &content))
            return 0;
        in = buf_bytes(&content);
    }
    read_rows(in, data[0] & 4 ? PEBBLE_COLUMNS : PEBBLE_ROWS, (pebble_content_t)(data[0] & 3));
    return 0;
}
