#include "meta/clock.h"
#include "base/log.h"

enum { TELLING_MS = 2000 };

typedef struct question {
    driver_t *driver;
    int64_t began_ms, theirs_ms, ended_ms;
    bool is_asked;
} question_t;

int64_t clock_fit(int64_t offset_ms, int64_t began_ms, int64_t theirs_ms, int64_t ended_ms)
{
    int64_t least = theirs_ms - ended_ms, most = theirs_ms - began_ms;
    return offset_ms < least ? least : offset_ms > most ? most : offset_ms;
}

static err_t ask(sql_t *c, void *arg)
{
    question_t *q = arg;
    q->is_asked = sql_is_postgres(c);
    if (!q->is_asked)
        return OK;
    q->began_ms = (int64_t)driver_wall_ms(q->driver);
    TRY(sql_number(c, "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)", SQL_NO_VALUES, 0,
                   &q->theirs_ms));
    q->ended_ms = (int64_t)driver_wall_ms(q->driver);
    return OK;
}

err_t clock_keep_up(task_t *t, meta_t *m)
{
    question_t q = {.driver = m->driver};
    TRY(db_read(t, m->db, ask, &q));
    if (!q.is_asked || q.ended_ms < q.began_ms) /* the clock was set meanwhile: it is asked again */
        return OK;
    int64_t before = __atomic_load_n(&m->clock_offset_ms, __ATOMIC_RELAXED);
    int64_t after = clock_fit(before, q.began_ms, q.theirs_ms, q.ended_ms);
    __atomic_store_n(&m->clock_offset_ms, after, __ATOMIC_RELAXED);
    if (after - before > TELLING_MS || before - after > TELLING_MS)
        log_warn("the clock of this machine is not that of the database, which counts",
                 LOG_INT("offset_ms", after));
    return OK;
}
