/* Exports of DAGs that somebody else made, with blocks that are not what their CIDs say, so that there may
 * even be circles. */
#include "codec/car.h"
#include "dag/car_export.h"
#include "dag/cid_set.h"
#include "tests/support/run.h"

enum { MAX_BLOCKS = 64, MAX_VISITS = 500 };

typedef struct input {
    bytes_t car;
    uint8_t choice;
} input_t;

typedef struct visits {
    blocks_t *blocks;
    cid_set_t seen;
    size_t count;
    bool with_dups;
} visits_t;

static err_t visit(task_t *t, void *arg, block_t *block)
{
    visits_t *v = arg;
    bool is_new;
    assert(blocks_has(t, v->blocks, &block->cid) && !cid_is_identity(&block->cid));
    TRY(cid_set_add(&v->seen, &block->cid, &is_new));
    assert(is_new || v->with_dups);
    return ++v->count < MAX_VISITS ? OK : ERR_CLOSED;
}

static void read_blocks(task_t *t, bytes_t car, blocks_t *to, cid_t *ret_first, size_t *ret_count)
{
    AUTO(car_reader_t) r;
    car_reader_init(&r, (car_options_t){.max_header_bytes = 1024, .max_block_bytes = 4096});
    for (car_event_t event = CAR_MORE; event != CAR_END && event != CAR_ERROR;) {
        AUTO_PTR(block_t) block = NULL;
        uint8_t *area;
        size_t cap;
        event = car_reader_next(&r, &block);
        if (event == CAR_BLOCK && *ret_count < MAX_BLOCKS) {
            err_t e = blocks_put_many(t, to, &block, 1);
            assert(!e);
            if (!(*ret_count)++)
                *ret_first = block->cid;
        } else if (event == CAR_MORE) {
            car_reader_room(&r, &area, &cap);
            size_t n = car.len < cap ? car.len : cap;
            if (n)
                memcpy(area, car.data, n);
            car = bytes_slice(car, n, car.len);
            car_reader_filled(&r, n);
        }
    }
}

/* choice: two bits each for scope and range, one for duplicates, one for a path. */
static err_t run(task_t *t, void *arg)
{
    static const car_range_t ranges[] = {{0, 0, true}, {-5, 0, true}, {3, 20, false}, {2, -2, false}};
    const input_t *in = arg;
    blocks_map_t *m = blocks_map_new(true);
    visits_t v = {.blocks = blocks_map_blocks(m), .with_dups = in->choice & 16};
    car_export_options_t o = {.scope = (car_scope_t)(in->choice & 3) % 3,
                              .has_range = in->choice & 64,
                              .range = ranges[in->choice >> 2 & 3],
                              .with_dups = v.with_dups,
                              .skips_missing = in->choice & 128};
    dag_path_t *path = xcalloc(1, sizeof *path);
    size_t n = 0;
    cid_set_init(&v.seen);
    read_blocks(t, in->car, v.blocks, &path->root, &n);
    if (in->choice & 32)
        path->segments[path->count++] = BYTES_LIT("a");
    err_t e = n ? car_export(t, v.blocks, path, &o, visit, &v) : OK;
    assert(e != ERR_CLOSED || v.count == MAX_VISITS);
    cid_set_deinit(&v.seen);
    free(path);
    blocks_map_free(m);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    input_t in = {bytes_of(data + 1, size - 1), data[0]};
    err_t e = test_run(run, &in);
    assert(!e);
    return 0;
}
