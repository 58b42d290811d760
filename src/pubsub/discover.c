/* Peers of our topics beyond those that are connected: we let a directory (the DHT, through the node) know
 * that we follow a topic, and ask it for others while the topic has few peers. */
#include "base/log.h"
#include "pubsub/internal.h"
#include "task/driver.h"
#include <stdlib.h>

enum {
    ENOUGH_PEERS = 5, /* gossipsub's low mark of a mesh */
    ADVERTISE_AGAIN_MS = 3 * 3600 * 1000 / 8 * 7,
    ADVERTISE_RETRY_MS = 120000,
    ADVERTISE_FIRST_RETRY_MS = 10000, /* the directory may only be starting */
    SEARCH_FIRST_MS = 10000,          /* until the next search; doubled each time */
    SEARCH_MAX_MS = 3600000,
    SEARCH_TIMEOUT_MS = 10000,
    FOUND_MAX = 32,
    FOUND_ADDRS_MAX = 8,
    PARALLEL_TOPICS = 4,
    PARALLEL_DIALS = 8,
};

typedef struct found_peer {
    pubsub_t *ps;
    peer_id_t id;
    multiaddr_t addrs[FOUND_ADDRS_MAX];
    size_t n;
} found_peer_t;

typedef struct topic_job {
    pubsub_t *ps;
    group_t dials;
    bool must_advertise, must_search;
    size_t n_found;
    found_peer_t *found[FOUND_MAX];
    size_t name_len;
    uint8_t name[];
} topic_job_t;

/* ── when ────────────────────────────────────────────────────────────────────────────────────── */
static bool count_peer(void *arg, const peer_id_t *peer)
{
    return ++*(size_t *)arg < ENOUGH_PEERS;
}

static bool has_enough(pubsub_t *ps, bytes_t topic)
{
    size_t n = 0;
    pubsub_each_peer(ps, topic, count_peer, &n);
    return n >= ENOUGH_PEERS;
}

static bool is_followed(const ps_topic_t *topic)
{
    return !list_is_empty(&topic->subscriptions);
}

/* A quarter more at random: nodes that start together need not ask together. */
static uint64_t search_again_in_ms(pubsub_t *ps, uint32_t times)
{
    uint64_t ms = (uint64_t)SEARCH_FIRST_MS << (times < 12 ? times : 12);
    ms = ms < SEARCH_MAX_MS ? ms : SEARCH_MAX_MS;
    return ms + driver_random_u64(sched_driver(ps->sched)) % (ms / 4);
}

/* ── one topic ───────────────────────────────────────────────────────────────────────────────── */
static bytes_t job_topic(const topic_job_t *j)
{
    return bytes_of(j->name, j->name_len);
}

static void advertise(task_t *t, topic_job_t *j)
{
    err_t e = j->ps->config.advertise(t, j->ps->config.directory, job_topic(j));
    ps_topic_t *topic = ps_topic_find(j->ps, job_topic(j));
    if (e)
        log_debug("a topic is not announced", LOG_ERR(e));
    if (!topic)
        return;
    uint64_t retry_ms = topic->failures++ ? ADVERTISE_RETRY_MS : ADVERTISE_FIRST_RETRY_MS;
    topic->advertise_ms = sched_now_ms(j->ps->sched) + (e ? retry_ms : ADVERTISE_AGAIN_MS);
    if (!e)
        topic->failures = 0;
}

static bool on_found(void *arg, const peer_id_t *peer, const multiaddr_t *addrs, size_t n)
{
    topic_job_t *j = arg;
    host_t *h = j->ps->config.host;
    if (peer_id_equal(peer, host_id(h)) || host_is_connected(h, peer))
        return true;
    found_peer_t *f = j->found[j->n_found++] = xcalloc(1, sizeof *f);
    f->ps = j->ps;
    f->id = *peer;
    for (; f->n < n && f->n < FOUND_ADDRS_MAX; f->n++)
        f->addrs[f->n] = addrs[f->n];
    return j->n_found < FOUND_MAX;
}

static err_t meet_task(task_t *t, void *arg)
{
    found_peer_t *f = arg;
    conn_t *c;
    deadline_t d = deadline_push(t, PUBSUB_CONNECT_TIMEOUT_MS);
    err_t e = host_connect(t, f->ps->config.host, &f->id, f->addrs, f->n, &c);
    deadline_pop(t, &d);
    if (!e)
        conn_release(c);
    free(f);
    return OK;
}

static err_t meet_found(task_t *t, topic_job_t *j)
{
    while (j->n_found) {
        found_peer_t *f = j->found[--j->n_found];
        if (has_enough(j->ps, job_topic(j)) || group_spawn(&j->dials, "pubsub-meet", meet_task, f, NULL))
            free(f);
        TRY(group_wait_below(t, &j->dials, PARALLEL_DIALS));
    }
    return group_join(t, &j->dials);
}

static err_t search(task_t *t, topic_job_t *j)
{
    deadline_t d = deadline_push(t, SEARCH_TIMEOUT_MS);
    err_t e = j->ps->config.find_peers(t, j->ps->config.directory, job_topic(j), on_found, j);
    deadline_pop(t, &d);
    if (e)
        log_debug("peers of a topic are not found", LOG_ERR(e));
    TRY(task_check(t));
    return meet_found(t, j);
}

static err_t topic_task(task_t *t, void *arg)
{
    topic_job_t *j = arg;
    group_init(&j->dials, j->ps->sched);
    if (j->must_advertise)
        advertise(t, j);
    err_t e = j->must_search && !task_check(t) ? search(t, j) : OK;
    group_stop(t, &j->dials);
    group_deinit(&j->dials);
    while (j->n_found)
        free(j->found[--j->n_found]);
    ps_topic_t *topic = ps_topic_find(j->ps, job_topic(j));
    if (topic)
        topic->is_discovering = false;
    free(j);
    return e == ERR_CANCELED ? e : OK;
}

/* ── all topics ──────────────────────────────────────────────────────────────────────────────── */
/* What is due now for this topic, and when to look at it again. */
static bool is_due(pubsub_t *ps, ps_topic_t *topic, topic_job_t *what, uint64_t *ret_next_ms)
{
    uint64_t now_ms = sched_now_ms(ps->sched);
    if (!is_followed(topic) || topic->is_discovering)
        return false;
    what->must_advertise = topic->advertise_ms <= now_ms;
    what->must_search = false;
    if (topic->search_ms <= now_ms) {
        what->must_search = !has_enough(ps, bytes_of(topic->name, topic->name_len));
        topic->searches = what->must_search ? topic->searches + 1 : 0;
        topic->search_ms = now_ms + search_again_in_ms(ps, topic->searches ? topic->searches - 1 : 0);
    }
    uint64_t next_ms = topic->search_ms < topic->advertise_ms ? topic->search_ms : topic->advertise_ms;
    if (!what->must_advertise && next_ms < *ret_next_ms)
        *ret_next_ms = next_ms;
    return what->must_advertise || what->must_search;
}

static void start_job(pubsub_t *ps, group_t *jobs, ps_topic_t *topic, const topic_job_t *what)
{
    topic_job_t *j = xcalloc(1, sizeof *j + topic->name_len);
    j->ps = ps;
    j->must_advertise = what->must_advertise;
    j->must_search = what->must_search;
    j->name_len = topic->name_len;
    memcpy(j->name, topic->name, topic->name_len);
    topic->is_discovering = true;
    if (group_spawn(jobs, "pubsub-discovery", topic_task, j, NULL)) {
        topic->is_discovering = false;
        free(j);
    }
}

/* Starts what is due while there is room. Returns when to look again. */
static uint64_t start_due(pubsub_t *ps, group_t *jobs)
{
    uint64_t next_ms = TIME_NEVER;
    topic_job_t what = {0};
    void *value;
    for (size_t i = 0; map_next(&ps->topics, &i, NULL, &value);) {
        if (jobs->count >= PARALLEL_TOPICS)
            return sched_now_ms(ps->sched) + 1000;
        if (is_due(ps, value, &what, &next_ms))
            start_job(ps, jobs, value, &what);
    }
    return jobs->count ? sched_now_ms(ps->sched) + 1000 : next_ms;
}

static err_t run(task_t *t, pubsub_t *ps, group_t *jobs)
{
    for (;;) {
        uint64_t next_ms = start_due(ps, jobs), now_ms = task_now_ms(t);
        deadline_t d = deadline_push(t, next_ms == TIME_NEVER ? TIME_NEVER
                                        : next_ms > now_ms    ? next_ms - now_ms
                                                              : 0);
        err_t e = event_wait(t, &ps->new_topic);
        deadline_pop(t, &d);
        if (e == ERR_TIMEOUT)
            e = task_check(t);
        TRY(e);
    }
}

err_t ps_discover_task(task_t *t, void *arg)
{
    group_t jobs;
    group_init(&jobs, task_sched(t));
    err_t e = run(t, arg, &jobs);
    group_stop(t, &jobs);
    group_deinit(&jobs);
    return e;
}
