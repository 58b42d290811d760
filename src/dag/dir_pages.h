/* dir_pages: the entries of a directory in the order of their names, in bounded memory: page by page. The
 * directory is read once. Of a sharded one with more entries than a page holds they go to a temporary file,
 * in sorted runs that are merged (entry_runs.h); names there are at most RUNS_KEY_MAX. */
#ifndef DAG_DIR_PAGES_H
#define DAG_DIR_PAGES_H
#include "dag/dir_reader.h"
#include "dag/entry_runs.h"

#define DIR_PAGES_BYTES (4u << 20) /* of a page: some 50,000 entries */

typedef struct dir_page_entry {
    uint64_t tsize;
    uint32_t at; /* in room: the name, then the CID's binary */
    uint32_t name_len;
    uint32_t cid_len;
} dir_page_entry_t;
typedef struct dir_pages {
    blocks_t *blocks;      /* borrowed */
    const dag_node_t *dir; /* borrowed */
    const char *folder;    /* borrowed */
    size_t max_bytes;
    dir_page_entry_t *entries;
    size_t count, cap;
    buf_t room;
    bool has_read;
    entry_runs_t *runs;        /* NULL: all is on the one page */
    const run_entry_t *merged; /* the next of all in the runs; NULL: the end */
} dir_pages_t;

/* folder: for the temporary file. max_bytes: of one page, in memory; at least one entry is given anyway. */
void dir_pages_init(dir_pages_t *p, blocks_t *blocks, const dag_node_t *dir, const char *folder,
                    size_t max_bytes);
void dir_pages_deinit(dir_pages_t *p); /* idempotent */
AUTO_DEFINE(dir_pages_t, dir_pages_deinit)
/* The next page: *ret_count entries, none at the end, for dir_pages_get until the next call. Errors of
 * dir_reader and of the temporary file; ERR_LIMIT: a name too long for it. */
MUST_CHECK err_t dir_pages_next(task_t *t, dir_pages_t *p, size_t *ret_count);
dir_entry_t dir_pages_get(const dir_pages_t *p, size_t i);
/* A hint that the nodes of the entries from `i` on will be read: asks for up to n of their blocks. */
void dir_pages_prefetch(task_t *t, const dir_pages_t *p, size_t i, size_t n);
#endif
