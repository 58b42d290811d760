/* Reading a segment record by record, passing over what is damaged or punched. */
#include "store/pack_impl.h"
#include <stdlib.h>

#define WINDOW_BYTES (4u << 20) /* at a time; a larger record makes it larger */
#define WINDOW_MAX_BYTES (BLOCK_STORED_MAX_BYTES + PACK_RECORD_HEADER_BYTES + PACK_MULTIHASH_MAX)

void pack_scan_init(pack_scan_t *scan, pack_segment_t *segment, uint64_t from, uint64_t file_bytes)
{
    *scan = (pack_scan_t){.segment = segment, .file_bytes = file_bytes};
    scan->next = from > PACK_SEGMENT_HEADER_BYTES ? from : PACK_SEGMENT_HEADER_BYTES;
    scan->next = (scan->next + PACK_ALIGN - 1) & ~(uint64_t)(PACK_ALIGN - 1);
    scan->good_end = scan->next;
    buf_init(&scan->window, WINDOW_MAX_BYTES);
}

void pack_scan_deinit(pack_scan_t *scan)
{
    buf_deinit(&scan->window);
}

/* What the window holds from scan->next on. */
static bytes_t ahead(const pack_scan_t *scan)
{
    uint64_t skip = scan->next - scan->window_at;
    return skip < scan->window.len ? bytes_slice(buf_bytes(&scan->window), skip, scan->window.len - skip)
                                   : BYTES_NONE;
}

/* Makes `want` bytes stand ahead, or all that the file has. */
static err_t fill(task_t *t, pack_scan_t *scan, uint64_t want)
{
    if (want > scan->file_bytes - scan->next)
        want = scan->file_bytes - scan->next;
    if (ahead(scan).len >= want)
        return OK;
    uint64_t len = scan->file_bytes - scan->next;
    if (len > WINDOW_BYTES)
        len = want > WINDOW_BYTES ? want : WINDOW_BYTES;
    buf_clear(&scan->window);
    TRY(buf_reserve(&scan->window, len));
    scan->window_at = scan->next;
    err_t e = file_read_exact(t, scan->segment->file, scan->window.data, len, scan->next);
    if (e)
        return e == ERR_EOF ? fail(ERR_IO, "segment %u has become shorter", scan->segment->number) : e;
    scan->window.len = len;
    return OK;
}

typedef struct check_job {
    const pack_record_t *record;
    bytes_t data;
    err_t result;
} check_job_t;

static void check_run(void *arg)
{
    check_job_t *job = arg;
    job->result = pack_record_check_data(job->record, job->data);
}

/* The record at scan->next, if there is a sound one. */
static err_t read_record(task_t *t, pack_scan_t *scan, pack_record_t *record, bytes_t *ret_data)
{
    TRY(fill(t, scan, PACK_RECORD_HEADER_BYTES + PACK_MULTIHASH_MAX));
    err_t e = pack_record_decode(ahead(scan), scan->segment->key, scan->next, record);
    if (e)
        return ERR_CORRUPT;
    size_t header_len = PACK_RECORD_HEADER_BYTES + record->multihash_len;
    TRY(fill(t, scan, header_len + record->data_len));
    bytes_t data = bytes_slice(ahead(scan), header_len, record->data_len);
    check_job_t job = {.record = record, .data = data};
    if (data.len > 64u << 10)
        work(t, check_run, &job);
    else
        check_run(&job);
    *ret_data = data;
    return job.result;
}

/* Moves on to the next place that looks like a record. */
static err_t search(task_t *t, pack_scan_t *scan)
{
    scan->next += PACK_ALIGN;
    while (scan->next < scan->file_bytes) {
        TRY(fill(t, scan, WINDOW_BYTES / 2));
        bytes_t in = ahead(scan);
        size_t at = pack_record_search(in, 0, scan->segment->key, scan->next);
        if (at < in.len) {
            scan->next += at;
            return OK;
        }
        scan->next += in.len & ~(size_t)(PACK_ALIGN - 1);
        if (in.len < PACK_ALIGN)
            scan->next = scan->file_bytes;
    }
    scan->next = scan->file_bytes;
    return OK;
}

err_t pack_scan_next(task_t *t, pack_scan_t *scan, pack_record_t *ret_record, bytes_t *ret_data,
                     pack_loc_t *ret_loc)
{
    pack_record_t record;
    while (scan->next < scan->file_bytes) {
        err_t e = read_record(t, scan, &record, ret_data);
        if (e == ERR_CORRUPT) {
            TRY(search(t, scan));
            continue;
        }
        TRY(e);
        uint32_t header_len = PACK_RECORD_HEADER_BYTES + record.multihash_len;
        *ret_loc = (pack_loc_t){scan->segment->number, (uint32_t)scan->next + header_len, record.data_len};
        *ret_record = record;
        scan->next += pack_record_bytes(record.multihash_len, record.data_len);
        scan->good_end = scan->next;
        return OK;
    }
    return ERR_EOF;
}
