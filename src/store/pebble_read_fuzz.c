/* A database of Pebble whose manifest and log are any bytes: reading ends, tells or gives records. The input:
 * the length of the manifest (16 bits), it, then the log. A first byte of 1 makes a chunk of each, with its
 * checksum, which hardly any mutation would meet; of 2 goes on behind damage. Tables: pebble_block_fuzz. */
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"
#include "sim/sim.h"
#include "store/crc32c.h"
#include "store/pebble_read.h"
#include <stdlib.h>

#define FOLDER "/tmp/database"
enum { FULL = 1, FULL_NUMBERED = 5, LOG_NUMBER = 3, CHUNK_MAX_BYTES = 32000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err_t see(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    size_t sum = 0;
    for (size_t i = 0; i < key.len; i++)
        sum += key.data[i];
    for (size_t i = 0; i < value.len; i++)
        sum += value.data[i];
    assert(sum < SIZE_MAX);
    return OK;
}

static err_t lose(task_t *t, void *arg, bytes_t key, const char *why)
{
    assert(*why);
    return OK;
}

static void write_u16(writer_t *w, size_t n)
{
    write_u8(w, (uint8_t)n);
    write_u8(w, (uint8_t)(n >> 8));
}

static err_t put_file(task_t *t, const char *path, bytes_t content, uint8_t type)
{
    AUTO(buf_t) all = {0}, sealed = {0};
    buf_init(&all, 1 << 20);
    buf_init(&sealed, 1 << 20);
    writer_t w = writer_to(&sealed), out = writer_to(&all);
    write_u8(&w, type);
    if (type == FULL_NUMBERED) {
        write_u16(&w, LOG_NUMBER);
        write_u16(&w, 0);
    }
    write_bytes(&w, content);
    TRY(w.err);
    if (type && content.len < CHUNK_MAX_BYTES) {
        uint32_t sum = crc32c_masked(crc32c(0, buf_bytes(&sealed)));
        write_u16(&out, sum & 0xffff);
        write_u16(&out, sum >> 16);
        write_u16(&out, content.len);
        content = buf_bytes(&sealed);
    }
    write_bytes(&out, content);
    TRY(out.err);
    return fs_write_file(t, path, 0600, buf_bytes(&all));
}

static err_t run(task_t *t, void *arg)
{
    reader_t r = reader_of(*(bytes_t *)arg);
    uint8_t mode = read_u8(&r);
    bool is_sealed = mode & 1;
    bytes_t manifest = read_bytes(&r, read_u16be(&r)), log = read_rest(&r);
    pebble_read_t *p;
    if (r.err)
        return OK;
    TRY(fs_mkdirs(t, FOLDER, 0700));
    TRY(fs_write_file(t, FOLDER "/CURRENT", 0600, BYTES_LIT("MANIFEST-000001\n")));
    TRY(put_file(t, FOLDER "/MANIFEST-000001", manifest, is_sealed ? FULL : 0));
    TRY(put_file(t, FOLDER "/000003.log", log, is_sealed ? FULL_NUMBERED : 0));
    TRY(fs_write_file(t, FOLDER "/000002.sst", 0600, log));
    TRY(pebble_read_open(t, FOLDER, &p));
    err_t e = pebble_read_each(t, p, BYTES_NONE, see, mode & 2 ? lose : NULL, NULL);
    pebble_read_close(p);
    return e;
}

static void ignore_line(void *arg, log_level_t level, bytes_t line) {}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes_t in = bytes_of(data, size);
    log_set_sink(ignore_line, NULL);
    sim_t *s = sim_new(1);
    err_t e = sim_run(s, run, &in);
    sim_free(s);
    if (e && e != ERR_CORRUPT && e != ERR_UNSUPPORTED && e != ERR_LIMIT && e != ERR_NOT_FOUND)
        abort();
    return 0;
}
