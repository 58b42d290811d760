/* A database of Badger whose files are any bytes: reading ends, tells or gives records. The input: lengths
 * (16 bits) of the parts, then a manifest, a table, a log and the rest as a second log. A first byte of 1
 * leaves the manifest's head and its checksum to us, of 2 the checksum of the first entry of the log, too,
 * since hardly any mutation would meet them. */
#include "base/log.h"
#include "base/reader.h"
#include "base/writer.h"
#include "sim/sim.h"
#include "store/badger_format.h"
#include "store/badger_read.h"
#include "store/crc32c.h"
#include <stdlib.h>

#define FOLDER "/tmp/database"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err_t see(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    size_t sum = 0;
    for (size_t i = 0; i < value.len; i++)
        sum += value.data[i];
    assert(key.len <= BADGER_KEY_MAX_BYTES && sum < SIZE_MAX);
    return OK;
}

static err_t lose(task_t *t, void *arg, bytes_t key, const char *why)
{
    assert(*why);
    return OK;
}

static err_t put_manifest(task_t *t, bytes_t set, bool is_sealed)
{
    AUTO(buf_t) all = {0};
    buf_init(&all, 1 << 20);
    writer_t w = writer_to(&all);
    if (is_sealed) {
        write_bytes(&w, BYTES_LIT("Bdgr\0\0\0\4"));
        write_u32be(&w, (uint32_t)set.len);
        write_u32be(&w, crc32c(0, set));
    }
    write_bytes(&w, set);
    TRY(w.err);
    return fs_write_file(t, FOLDER "/MANIFEST", 0600, buf_bytes(&all));
}

/* Its entries, each with the right checksum. */
static err_t put_log(task_t *t, const char *path, bytes_t log, bool is_sealed)
{
    AUTO(buf_t) all = {0};
    buf_init(&all, 1 << 20);
    writer_t w = writer_to(&all);
    while (is_sealed && log.len >= BADGER_LOG_HEAD_BYTES) {
        badger_log_head_t h = badger_log_head(log.data);
        uint64_t len = (uint64_t)BADGER_LOG_HEAD_BYTES + h.key_len + h.value_len;
        if (len > log.len)
            break;
        bytes_t entry = bytes_slice(log, 0, (size_t)len);
        write_bytes(&w, entry);
        write_u32be(&w, crc32c(0, entry));
        log = bytes_slice(log, (size_t)len, log.len);
    }
    write_bytes(&w, log);
    TRY(w.err);
    return fs_write_file(t, path, 0600, buf_bytes(&all));
}

static err_t run(task_t *t, void *arg)
{
    reader_t r = reader_of(*(bytes_t *)arg);
    uint8_t mode = read_u8(&r);
    size_t lens[3];
    badger_read_t *p;
    for (size_t i = 0; i < ARRAY_LEN(lens); i++)
        lens[i] = read_u16be(&r);
    bytes_t manifest = read_bytes(&r, lens[0]), table = read_bytes(&r, lens[1]),
            log = read_bytes(&r, lens[2]);
    if (r.err)
        return OK;
    TRY(fs_mkdirs(t, FOLDER, 0700));
    TRY(put_manifest(t, manifest, mode & 1));
    TRY(fs_write_file(t, FOLDER "/000001.sst", 0600, table));
    TRY(fs_write_file(t, FOLDER "/000002.sst", 0600, table));
    TRY(put_log(t, FOLDER "/000000.vlog", log, mode & 2));
    TRY(put_log(t, FOLDER "/000001.vlog", read_rest(&r), mode & 2));
    TRY(badger_read_open(t, FOLDER, &p));
    err_t e = badger_read_each(t, p, BYTES_NONE, see, mode & 4 ? lose : NULL, NULL);
    badger_read_close(p);
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
    if (e && e != ERR_CORRUPT && e != ERR_UNSUPPORTED && e != ERR_LIMIT)
        abort();
    return 0;
}
