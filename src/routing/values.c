/* Putting and getting records: a quorum of answers, the best one wins, peers that held a worse one or none
 * are given it. */
#include "base/log.h"
#include "routing/delegated.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

enum { CORRECTIONS_MAX = 64 };

/* ── putting ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct put {
    dht_t *dht;
    bytes_t key, message;
    size_t *n_taken;
} put_t;
typedef struct put_to {
    put_t *put;
    peer_id_t to;
} put_to_t;

static err_t put_task(task_t *t, void *arg)
{
    put_to_t p = *(put_to_t *)arg;
    free(arg);
    AUTO(buf_t) answer;
    buf_init(&answer, KAD_MESSAGE_MAX_BYTES);
    kad_message_t m;
    p.put->dht->stats->messages_out++;
    TRY(dht_client_ask(t, &p.put->dht->client, &p.to, p.put->message, KAD_PUT_VALUE, p.put->key, &answer,
                       &m));
    ++*p.put->n_taken;
    return OK;
}

/* Puts a record to each of the peers; how many took it. */
static err_t put_to_peers(task_t *t, dht_t *d, const peer_id_t *peers, size_t n, bytes_t key, bytes_t value,
                          size_t *ret_taken)
{
    AUTO(buf_t) message;
    buf_init(&message, KAD_REQUEST_MAX_BYTES);
    writer_t w = writer_to(&message);
    kad_put_head(&w, KAD_PUT_VALUE, key);
    kad_put_record(&w, key, value, BYTES_NONE);
    TRY(w.err);
    size_t taken = 0;
    put_t put = {d, key, buf_bytes(&message), &taken};
    group_t g;
    group_init(&g, d->sched);
    for (size_t i = 0; i < n; i++) {
        put_to_t *to = xcalloc(1, sizeof *to);
        *to = (put_to_t){&put, peers[i]};
        if (group_spawn(&g, "dht-put", put_task, to, NULL))
            free(to);
    }
    err_t e = group_join(t, &g);
    group_deinit(&g);
    *ret_taken = taken;
    return e == ERR_CANCELED || e == ERR_TIMEOUT ? task_check(t) : OK;
}

typedef struct put_search {
    bytes_t key, value;
    size_t taken[2], routers;
} put_search_t;

static err_t put_to_router(task_t *t, const char *router, void *arg)
{
    put_search_t *s = arg;
    TRY(delegated_put_record(t, router, s->key, s->value));
    s->routers++;
    return OK;
}

static err_t put_in(task_t *t, dht_t *d, size_t index, void *arg)
{
    put_search_t *s = arg;
    lookup_result_t *result = xcalloc(1, sizeof *result);
    lookup_job_t job = {.dht = d, .type = KAD_FIND_NODE, .key = s->key};
    err_t e = lookup_run(t, &job, result);
    if (!e)
        e = put_to_peers(t, d, result->closest, result->n_closest, s->key, s->value, &s->taken[index]);
    free(result);
    return e;
}

static err_t keep(task_t *t, routing_t *r, bytes_t key, bytes_t value)
{
    peer_id_t ourselves = {0};
    return value_store_put(t, &r->values, &ourselves, key, value);
}

err_t routing_put_value(task_t *t, routing_t *r, bytes_t key, bytes_t value)
{
    if (!r)
        return OK;
    TRY(keep(t, r, key, value));
    put_search_t s = {.key = key, .value = value};
    group_t g;
    group_init(&g, r->sched);
    routing_ask_routers(&g, r, put_to_router, &s);
    if (bytes_starts_with(key, BYTES_LIT("/ipns/")))
        routing_ask_publishers(&g, r, put_to_router, &s);
    err_t e = routing_for_each_dht(t, r, put_in, &s);
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    TRY(joined);
    if (e && !s.routers)
        return e;
    if (!s.taken[0] && !s.taken[1] && !s.routers)
        return fail(ERR_UNREACHABLE, "no peer took the record");
    return OK;
}

err_t routing_publish_value(task_t *t, routing_t *r, bytes_t key, bytes_t value)
{
    if (!r)
        return OK;
    TRY(keep(t, r, key, value));
    put_search_t s = {.key = key, .value = value};
    group_t g;
    group_init(&g, r->sched);
    routing_ask_publishers(&g, r, put_to_router, &s);
    err_t e = group_join(t, &g);
    group_deinit(&g);
    TRY(e);
    return s.routers ? OK : fail(ERR_UNREACHABLE, "no delegated publisher took the record");
}

/* ── getting ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct answered {
    peer_id_t peer;
    dht_t *dht;
    bool has_best;
} answered_t;
typedef struct get_search {
    routing_t *routing;
    value_search_t how;
    bytes_t key;
    buf_t best;
    bool is_found;
    size_t n_valid;
    answered_t answered[CORRECTIONS_MAX];
    size_t n_answered;
} get_search_t;

/* Takes a valid value; returns whether it is the best so far or equal to it. */
static bool offer_value(get_search_t *s, bytes_t value)
{
    value_store_t *store = &s->routing->values;
    if (s->is_found && bytes_equal(buf_bytes(&s->best), value))
        return true;
    if (s->is_found && !value_store_is_better(store, s->key, value, buf_bytes(&s->best)))
        return false;
    buf_clear(&s->best);
    if (buf_append(&s->best, value))
        return false;
    s->is_found = true;
    for (size_t i = 0; i < s->n_answered; i++) /* what they gave is out of date now */
        s->answered[i].has_best = false;
    if (s->how.on_better)
        s->how.on_better(s->how.arg, value);
    return true;
}

static bool on_value(void *arg, dht_t *d, const peer_id_t *from, const kad_message_t *m)
{
    get_search_t *s = arg;
    bool is_valid = m->has_record && bytes_equal(m->rec_key, s->key) &&
                    value_store_validate(&s->routing->values, s->key, m->rec_value) == OK;
    bool has_best = is_valid && offer_value(s, m->rec_value);
    s->n_valid += is_valid;
    if (s->n_answered < CORRECTIONS_MAX)
        s->answered[s->n_answered++] = (answered_t){*from, d, has_best};
    return s->n_valid < s->how.quorum;
}

static err_t search_value(task_t *t, dht_t *d, size_t index, void *arg)
{
    get_search_t *s = arg;
    lookup_result_t *result = xcalloc(1, sizeof *result);
    lookup_job_t job = {.dht = d, .type = KAD_GET_VALUE, .key = s->key, .on_answer = on_value, .arg = s};
    err_t e = lookup_run(t, &job, result);
    /* Those close to the key who gave something else, or nothing, should have the best. */
    peer_id_t stale[LOOKUP_CLOSEST_MAX];
    size_t n = 0, taken;
    for (size_t i = 0; !e && s->is_found && i < result->n_closest; i++)
        for (size_t j = 0; j < s->n_answered; j++)
            if (s->answered[j].dht == d && !s->answered[j].has_best &&
                peer_id_equal(&s->answered[j].peer, &result->closest[i]))
                stale[n++] = result->closest[i];
    free(result);
    if (n && put_to_peers(t, d, stale, n, s->key, buf_bytes(&s->best), &taken))
        log_debug("stale records not corrected", LOG_STR("dht", d->name));
    return e;
}

static err_t get_from_router(task_t *t, const char *router, void *arg)
{
    get_search_t *s = arg;
    AUTO(buf_t) record = {0};
    buf_init(&record, DELEGATED_RECORD_MAX_BYTES);
    TRY(delegated_get_record(t, router, s->key, &record));
    TRY(value_store_validate(&s->routing->values, s->key, buf_bytes(&record)));
    offer_value(s, buf_bytes(&record));
    return OK;
}

static err_t get_everywhere(task_t *t, get_search_t *s)
{
    group_t g;
    group_init(&g, s->routing->sched);
    routing_ask_routers(&g, s->routing, get_from_router, s);
    err_t e = routing_for_each_dht(t, s->routing, search_value, s);
    if (s->n_valid >= s->how.quorum) /* enough is known: a slow router holds nobody up */
        group_cancel(&g);
    err_t joined = group_join(t, &g);
    group_deinit(&g);
    return joined ? joined : e;
}

err_t routing_get_value(task_t *t, routing_t *r, bytes_t key, const value_search_t *how, buf_t *out)
{
    if (!r)
        return fail(ERR_NOT_FOUND, "routing: not found");
    get_search_t *s = xcalloc(1, sizeof *s);
    s->routing = r;
    s->how = how ? *how : (value_search_t){0};
    s->how.quorum = s->how.quorum ? s->how.quorum : ROUTING_QUORUM;
    s->key = key;
    buf_init(&s->best, VALUE_MAX_BYTES);
    AUTO(buf_t) own;
    buf_init(&own, VALUE_MAX_BYTES);
    uint64_t wall_ms;
    err_t e = value_store_get(t, &r->values, key, &own, &wall_ms);
    if (!e)
        offer_value(s, buf_bytes(&own));
    e = get_everywhere(t, s);
    if (e != ERR_CANCELED && s->is_found) {
        buf_clear(out);
        e = buf_append(out, buf_bytes(&s->best));
    } else if (e != ERR_CANCELED && e != ERR_TIMEOUT) {
        e = fail(ERR_NOT_FOUND, "no record of this key was found");
    }
    buf_deinit(&s->best);
    free(s);
    return e;
}
