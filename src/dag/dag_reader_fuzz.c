/* Bytes become blocks that link to each other and lie: [kind, links, …] for each. Reading, listing, walking
 * and resolving end, with a result or an error, and stay within what they were given. */
#include "dag/dir_reader.h"
#include "dag/file_reader.h"
#include "dag/hamt.h"
#include "dag/path.h"
#include "dag/walk.h"
#include "tests/support/run.h"
#include <stdlib.h>

enum { MAX_BLOCKS = 64, MAX_LINKS = 8, MAX_STEPS = 20000 };

typedef struct maker {
    reader_t in;
    cid_t made[MAX_BLOCKS];
    size_t count;
    blocks_t *blocks;
    task_t *t;
} maker_t;

static void put(maker_t *m, uint64_t codec, bytes_t data)
{
    AUTO_PTR(block_t) block = NULL;
    cid_t *cid = &m->made[m->count++];
    err_t e = cid_of(1, codec, MH_SHA2_256, data, cid);
    assert(!e);
    e = block_copy(cid, data, &block);
    assert(!e);
    e = blocks_put_many(m->t, m->blocks, &block, 1);
    assert(!e);
}

/* Sizes are often right, so that the lies behind them are reached. */
static void make_node(maker_t *m, uint8_t kind)
{
    AUTO(buf_t) message = {0}, out = {0};
    buf_init(&message, 64 << 10);
    buf_init(&out, 64 << 10);
    uint8_t bits[32], n = read_u8(&m->in) % (MAX_LINKS + 1);
    memset(bits, 0xff, sizeof bits);
    unixfs_t u = {.type = (unixfs_type_t)(kind % 6), .fanout = 256, .hash_type = UNIXFS_HASH_MURMUR3};
    uint64_t sizes[MAX_LINKS];
    writer_t inner = writer_to(&message), outer = writer_to(&out);
    for (uint8_t i = 0; i < n; i++) {
        uint8_t which = read_u8(&m->in), how = read_u8(&m->in);
        char name[8];
        hamt_print_prefix(how, 256, name);
        if (how & 1)
            name[hamt_prefix_len(256)] = 'x', name[hamt_prefix_len(256) + 1] = 0;
        dag_pb_link_t link = {.cid = m->made[m->count ? which % m->count : 0],
                              .name = bytes_str(name),
                              .has_name = true,
                              .tsize = how & 2 ? 1 << 24 : 5,
                              .has_tsize = true};
        if (!m->count)
            link.cid = cid_of_sha256(1, CODEC_DAG_PB, (const uint8_t[32]){0});
        sizes[i] = how & 4 ? how : how & 8 ? 0 : 5;
        u.file_size += sizes[i];
        dag_pb_put_link(&outer, &link);
    }
    u.has_file_size = !(kind & 0x40);
    u.has_data = kind & 0x20;
    u.data = u.type == UNIXFS_HAMT_SHARD ? bytes_of(bits, sizeof bits) : BYTES_LIT("data");
    if (u.has_data && u.type != UNIXFS_HAMT_SHARD)
        u.file_size += 4;
    bool is_file = u.type == UNIXFS_FILE || u.type == UNIXFS_RAW;
    unixfs_put(&inner, &u, sizes, is_file ? n : 0);
    dag_pb_put_data(&outer, buf_bytes(&message));
    put(m, CODEC_DAG_PB, buf_bytes(&out));
}

static void read_file(maker_t *m, const cid_t *cid, uint64_t from)
{
    AUTO(file_reader_t) r = {0};
    if (file_reader_open(m->t, &r, m->blocks, cid))
        return;
    file_reader_seek(&r, from, r.size);
    for (size_t i = 0; i < MAX_STEPS; i++) {
        bytes_t piece;
        if (file_reader_next(m->t, &r, &piece) || !piece.len)
            break;
        assert(r.position <= r.end && r.end <= r.size);
    }
}

static void list(maker_t *m, const cid_t *cid)
{
    AUTO(dag_node_t) n = {0};
    AUTO(dir_reader_t) dir = {0};
    dir_entry_t entry;
    bool has = true;
    if (dag_node_get(m->t, m->blocks, cid, &n))
        return;
    err_t e = dir_lookup(m->t, m->blocks, &n, BYTES_LIT("x"), &entry);
    (void)e;
    if (dir_reader_init(m->t, &dir, m->blocks, &n))
        return;
    for (size_t i = 0; i < MAX_STEPS && has; i++)
        if (dir_reader_next(m->t, &dir, &entry, &has))
            break;
}

static void walk(maker_t *m, const cid_t *cid, bool is_unique)
{
    AUTO(walk_t) w = {0};
    walk_init(&w, m->blocks, cid,
              (walk_options_t){.max_depth = SIZE_MAX,
                               .is_unique = is_unique,
                               .loads_leaves = true,
                               .max_visited = MAX_BLOCKS + 1});
    bool has = true;
    size_t steps = 0;
    for (; steps < MAX_STEPS && has; steps++) {
        walk_step_t step;
        if (walk_next(m->t, &w, &step, &has))
            return;
    }
    assert(!is_unique || steps <= MAX_BLOCKS + 1);
}

static err_t run(task_t *t, void *arg)
{
    blocks_map_t *map = blocks_map_new(true);
    maker_t *m = xcalloc(1, sizeof *m);
    m->in = reader_of(*(bytes_t *)arg);
    m->t = t;
    m->blocks = blocks_map_blocks(map);
    while (reader_left(&m->in) && m->count < MAX_BLOCKS) {
        uint8_t kind = read_u8(&m->in);
        if (kind & 0x80)
            put(m, kind & 1 ? CODEC_DAG_PB : CODEC_RAW, read_bytes(&m->in, reader_left(&m->in) < 5 ? 0 : 5));
        else
            make_node(m, kind);
    }
    for (size_t i = 0; i < m->count; i++) {
        read_file(m, &m->made[i], i % 3 ? i : 0);
        list(m, &m->made[i]);
        walk(m, &m->made[i], true);
    }
    if (m->count)
        walk(m, &m->made[m->count - 1], false);
    free(m);
    blocks_map_free(map);
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size < 2048 ? size : 2048);
    err_t e = test_run(run, &in);
    assert(!e);
    return 0;
}
