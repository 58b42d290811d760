/* uv_direct: large reads and writes of a file past the page cache (O_DIRECT), through aligned buffers of our
 * own. A page of the cache has to be found, cleared of its former use, filled and written back; for bytes
 * that are written once and read seldom that costs several times what the disk's part costs
 * (docs/decisions/011). Only whole pages go this way: what stands before and behind them in a request goes
 * through the page cache, so that a page that is dirty there is never written twice from two sides.
 * File systems without O_DIRECT get ordinary reads and writes. */
#ifndef LOOP_UV_DIRECT_H
#define LOOP_UV_DIRECT_H
#include "base/bytes.h"
#include <stdatomic.h>

#define DIRECT_PAGE 4096                     /* what every file system and disk is content with */
#define DIRECT_MIN_BYTES ((size_t)128 << 10) /* below it the page cache is as cheap, and of use */

typedef struct direct {
    atomic_int fd; /* the same file, opened with O_DIRECT at the first use */
} direct_t;
void direct_init(direct_t *d);
void direct_deinit(direct_t *d);
/* Any thread. fd: the file as it was opened. They give an errno, 0 when all went well. */
int direct_write(direct_t *d, int fd, const bytes_t *pieces, size_t n, uint64_t offset);
/* Fills the pieces one after the other from one range of the file; ret_n: bytes, fewer at the file's end. */
int direct_read(direct_t *d, int fd, const span_t *pieces, size_t n, uint64_t offset, size_t *ret_n);
/* Frees the buffers that are kept for the next use. Any thread. */
void direct_give_back(void);

/* Remembers which places of files were read past the cache, a bounded number of them by their hashes: a place
 * that is asked for again is worth a place in the page cache. */
#define MISSES_KEPT 16384
typedef struct misses {
    uint16_t tags[MISSES_KEPT];
} misses_t;
bool misses_note(misses_t *m, uint64_t file_id, uint64_t offset); /* true: it was noted before */
bool misses_has(const misses_t *m, uint64_t file_id, uint64_t offset);
#endif
