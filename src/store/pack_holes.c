/* The room of removed records: segments in which nothing is alive are dropped, in others holes are punched.
 *
 * A collection removes by hash, here and there in all segments, and a hole costs the file system a
 * transaction: one by one they take longer than all the rest, for segments that are dropped or compacted a
 * moment later. Holes of large removals therefore wait until no more come; neighbours are one by then. */
#include "base/log.h"
#include "store/pack_impl.h"
#include <stdlib.h>

#define PUNCH_MIN_BYTES (32u << 10) /* smaller holes are left to compaction */
#define PAGE_BYTES 4096
#define LARGE_REMOVAL 64
#define WAITING_MAX 65536 /* 3 MiB at the most */
#define QUIET_MS 500

static int compare_holes(const void *a, const void *b)
{
    const pack_hole_t *x = a, *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Records that lie behind one another make one hole. */
static size_t merge_holes(pack_hole_t *holes, size_t n)
{
    size_t kept = 0;
    qsort(holes, n, sizeof *holes, compare_holes);
    for (size_t i = 0; i < n; i++) {
        if (kept && holes[kept - 1].segment == holes[i].segment && holes[kept - 1].to == holes[i].from)
            holes[kept - 1].to = holes[i].to;
        else
            holes[kept++] = holes[i];
    }
    return kept;
}

/* Room is a bonus: a file system that cannot punch, or an error, leaves it to compaction. */
static void punch(task_t *t, pack_store_t *s, const pack_hole_t *hole)
{
    uint64_t from = (hole->from + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
    uint64_t to = hole->to & ~(uint64_t)(PAGE_BYTES - 1);
    pack_segment_t *segment;
    if (to <= from || to - from < PUNCH_MIN_BYTES || pack_segment_use(t, s, hole->segment, &segment))
        return;
    (void)!file_punch(t, segment->file, from, to - from);
    pack_segment_release(s, segment);
}

static void punch_all(task_t *t, pack_store_t *s, const pack_hole_t *holes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        punch(t, s, &holes[i]);
}

void pack_punch(task_t *t, pack_store_t *s)
{
    pack_hole_t *holes = s->holes;
    size_t n = s->n_holes;
    s->holes = NULL;
    s->n_holes = s->holes_cap = 0;
    if (n)
        punch_all(t, s, holes, merge_holes(holes, n));
    free(holes);
}

static err_t punch_task(task_t *t, void *store)
{
    pack_store_t *s = store;
    err_t e = OK;
    while (s->n_holes && !e) {
        size_t before = s->n_holes;
        e = task_sleep(t, QUIET_MS);
        if (!e && s->n_holes == before)
            pack_punch(t, s);
    }
    s->is_punching = false;
    return e;
}

/* May they wait? */
static bool keep(task_t *t, pack_store_t *s, const pack_hole_t *holes, size_t n)
{
    if (n < LARGE_REMOVAL || n > WAITING_MAX)
        return false;
    if (s->n_holes + n > WAITING_MAX)
        pack_punch(t, s);
    if (s->n_holes + n > s->holes_cap) {
        s->holes_cap = 2 * (s->n_holes + n);
        s->holes = xrealloc(s->holes, s->holes_cap * sizeof *holes);
    }
    memcpy(s->holes + s->n_holes, holes, n * sizeof *holes);
    s->n_holes += n;
    if (!s->is_punching)
        s->is_punching = group_spawn(&s->group, "pack-holes", punch_task, s, NULL) == OK;
    return true;
}

/* Drops the segments of these holes in which nothing is alive; the holes of others stay. Returns how many. */
static size_t drop_empty(task_t *t, pack_store_t *s, pack_hole_t *holes, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        pack_segment_t *segment = pack_segment_find(s, holes[i].segment);
        bool is_empty = segment && segment != s->current && !segment->users && !segment->row.live_blocks;
        if (is_empty && pack_segment_drop(t, s, holes[i].segment))
            log_warn("an empty segment could not be dropped", LOG_UINT("segment", holes[i].segment));
        if (segment && !is_empty)
            holes[kept++] = holes[i];
    }
    return kept;
}

void pack_free_room(task_t *t, pack_store_t *s, const pack_change_t *changes, size_t n)
{
    pack_hole_t *holes = xcalloc(n, sizeof *holes);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!changes[i].was_done)
            continue;
        uint64_t from = changes[i].loc.offset - PACK_RECORD_HEADER_BYTES - changes[i].key.len;
        uint64_t to = from + pack_record_bytes(changes[i].key.len, changes[i].loc.len);
        holes[count++] = (pack_hole_t){changes[i].loc.segment, from, to};
    }
    count = drop_empty(t, s, holes, merge_holes(holes, count));
    if (!keep(t, s, holes, count))
        punch_all(t, s, holes, count);
    free(holes);
}
