/* The first bytes choose chunk size, links and split, the rest is the content: any split gives the same CID,
 * and what is read back is what was added. */
#include "dag/file_reader.h"
#include "dag/importer.h"
#include "tests/support/run.h"

typedef struct input {
    bytes_t content;
    size_t step;
    import_options_t options;
} input_t;

typedef struct stepwise {
    bytes_t left;
    size_t step;
} stepwise_t;
static err_t read_stepwise(task_t *t, void *arg, uint8_t *out, size_t cap, size_t *ret_n)
{
    stepwise_t *s = arg;
    size_t n = s->step < cap ? s->step : cap;
    n = n < s->left.len ? n : s->left.len;
    if (n)
        memcpy(out, s->left.data, n);
    s->left = bytes_slice(s->left, n, s->left.len);
    *ret_n = n;
    return OK;
}

static void check_content(task_t *t, blocks_t *blocks, const dag_ref_t *ref, bytes_t content)
{
    AUTO(file_reader_t) r = {0};
    err_t e = file_reader_open(t, &r, blocks, &ref->cid);
    assert(!e && r.size == content.len);
    for (;;) {
        bytes_t piece;
        e = file_reader_next(t, &r, &piece);
        assert(!e);
        if (!piece.len)
            break;
        assert(bytes_starts_with(content, piece));
        content = bytes_slice(content, piece.len, content.len);
    }
    assert(!content.len);
}

static cid_t import_one(task_t *t, input_t *in, size_t step)
{
    blocks_map_t *map = blocks_map_new(true);
    importer_t *im;
    stepwise_t s = {in->content, step};
    dag_ref_t ref;
    err_t e = importer_new(t, blocks_map_blocks(map), &in->options, &im);
    assert(!e);
    e = importer_add_file(t, im, (source_t){read_stepwise, &s}, NULL, &ref);
    assert(!e);
    e = importer_flush(t, im);
    assert(!e && ref.size == in->content.len);
    check_content(t, blocks_map_blocks(map), &ref, in->content);
    importer_free(t, im);
    blocks_map_free(map);
    return ref.cid;
}

static err_t run(task_t *t, void *arg)
{
    input_t *in = arg;
    cid_t whole = import_one(t, in, SIZE_MAX), split = import_one(t, in, in->step);
    assert(cid_equal(&whole, &split));
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    input_t in = {.content = bytes_of(data + 4, size - 4), .step = 1 + data[3] % 50};
    import_options_init(&in.options);
    in.options.chunker.max_bytes = 1 + data[0];
    if (data[2] & 0x40)
        in.options.chunker = (chunker_t){CHUNKER_RABIN, 16, 17 + data[0], 18u + data[0] + data[1]};
    in.options.max_links = 2 + data[1] % 7;
    in.options.is_trickle = data[2] >> 7;
    in.options.raw_leaves = data[2] & 1;
    in.options.cid_version = data[2] >> 1 & 1;
    in.options.inline_below = data[2] & 4 ? data[2] >> 3 & 15 : 0;
    err_t e = test_run(run, &in);
    assert(!e);
    return 0;
}
