#include "repo/room.h"
#include "repo/repo_impl.h"

enum {
    FULL_MS = 10000,
    SLACK_DIVISOR = 20,
    BLOCK_OVERHEAD = 128,  /* about: header and index */
    MEASURE_DIVISOR = 256, /* the least step between two measurements, of the limit */
};

void room_init(room_t *m, struct repo *repo)
{
    *m = (room_t){.repo = repo};
    event_init(&m->wanted);
}

void repo_keep_limit(repo_t *r)
{
    r->room.is_on = true; /* with a max_bytes of 0 the first write measures */
}

static err_t measure(task_t *t, room_t *m)
{
    repo_stat_t s;
    TRY(repo_stat(t, m->repo, &s));
    m->used_bytes = s.limited_bytes;
    m->max_bytes = s.max_bytes;
    uint64_t room = s.max_bytes > s.limited_bytes ? s.max_bytes - s.limited_bytes : 0;
    uint64_t step = room / 2 > s.max_bytes / MEASURE_DIVISOR ? room / 2 : s.max_bytes / MEASURE_DIVISOR;
    m->measured_until = s.limited_bytes + (step < room ? step : room);
    return OK;
}

static bool take(room_t *m, uint64_t bytes, uint64_t max_bytes)
{
    if (m->used_bytes > max_bytes || bytes > max_bytes - m->used_bytes)
        return false;
    m->used_bytes += bytes;
    return true;
}

static err_t refuse(const room_t *m)
{
    return fail(
        ERR_NO_SPACE,
        "the repository takes %llu bytes of Datastore.StorageMax, %llu, and what it holds is pinned or in "
        "use: unpin something, or raise Datastore.StorageMax",
        (unsigned long long)m->used_bytes, (unsigned long long)m->max_bytes);
}

static bool is_known_to_be_full(task_t *t, const room_t *m)
{
    return task_now_ms(t) < m->full_until_ms && m->full_releases == m->repo->gc->releases;
}

static err_t collect(task_t *t, room_t *m, uint64_t bytes)
{
    gc_t *gc = m->repo->gc;
    gc_result_t result;
    uint64_t releases = 0;
    err_t e = ERR_IN_USE;
    while (e == ERR_IN_USE) {
        while (gc_is_running(gc))
            TRY(event_wait(t, &gc->ended));
        TRY(measure(t, m));
        if (m->used_bytes + bytes <= m->max_bytes || is_known_to_be_full(t, m)) /* by another's run */
            return OK;
        releases = gc->releases;
        e = gc_run(t, gc, NULL, NULL, &result);
    }
    TRY(e);
    TRY(measure(t, m));
    if (m->used_bytes + bytes > m->max_bytes) {
        m->full_until_ms = task_now_ms(t) + FULL_MS;
        m->full_releases = releases;
    }
    return OK;
}

/* What is here already takes no room. */
static uint64_t count_new_bytes(task_t *t, room_t *m, block_t *const *blocks, size_t n)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += blockstore_has(t, m->repo->store, &blocks[i]->cid) ? 0 : blocks[i]->len + BLOCK_OVERHEAD;
    return bytes;
}

err_t room_take(task_t *t, room_t *m, block_t *const *blocks, size_t n, bool waits)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        bytes += blocks[i]->len + BLOCK_OVERHEAD;
    if (!m->is_on || take(m, bytes, m->measured_until))
        return OK;
    bytes = count_new_bytes(t, m, blocks, n);
    if (!bytes)
        return OK;
    TRY(measure(t, m));
    if (take(m, bytes, m->max_bytes))
        return OK;
    bool is_full = is_known_to_be_full(t, m);
    if (!waits) {
        m->wanted_bytes = bytes;
        if (!is_full)
            event_fire(&m->wanted);
        return take(m, bytes, m->max_bytes + m->max_bytes / SLACK_DIVISOR) ? OK : refuse(m);
    }
    if (!is_full)
        TRY(collect(t, m, bytes));
    return take(m, bytes, m->max_bytes) ? OK : refuse(m);
}

err_t repo_wait_full(task_t *t, repo_t *r)
{
    return event_wait(t, &r->room.wanted);
}

err_t repo_make_room(task_t *t, repo_t *r)
{
    return collect(t, &r->room, r->room.wanted_bytes);
}
