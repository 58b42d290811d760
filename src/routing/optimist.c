#include "routing/optimist.h"
#include "routing/lookup_task.h"
#include "routing/routing_internal.h"
#include <stdlib.h>

enum { ENOUGH_DONE = DHT_K * 3 / 4, TOLD_MAX = LOOKUP_CLOSEST_MAX + DHT_K };

/* Shared by the call and the tasks that tell; the last one frees it. */
typedef struct optimist {
    dht_t *dht;
    size_t refs;
    double near, set; /* shares of the key space */
    double crowded;   /* the k closest are nearer than this: nothing is decided early */
    kad_key_t target;
    buf_t message;
    peer_id_t told[TOLD_MAX];
    size_t n_told, n_done, n_taken;
    event_t changed;
} optimist_t;
typedef struct telling {
    optimist_t *all;
    peer_id_t to;
} telling_t;

static void release(optimist_t *o)
{
    if (--o->refs)
        return;
    buf_deinit(&o->message);
    free(o);
}

static err_t tell_task(task_t *t, void *arg)
{
    telling_t telling = *(telling_t *)arg;
    free(arg);
    optimist_t *o = telling.all;
    o->dht->stats->messages_out++;
    err_t e = dht_client_tell(t, &o->dht->client, &telling.to, buf_bytes(&o->message));
    o->n_done++;
    o->n_taken += !e;
    event_fire(&o->changed);
    release(o);
    return OK;
}

static void tell(optimist_t *o, const peer_id_t *peer)
{
    for (size_t i = 0; i < o->n_told; i++)
        if (peer_id_equal(&o->told[i], peer))
            return;
    if (o->n_told == TOLD_MAX)
        return;
    telling_t *telling = xcalloc(1, sizeof *telling);
    *telling = (telling_t){o, *peer};
    if (group_spawn(&o->dht->routing->tasks, "dht-tell", tell_task, telling, NULL)) {
        free(telling);
        return;
    }
    o->refs++;
    o->told[o->n_told++] = *peer;
}

/* Tells those who are surely among the closest; true: there will hardly be closer ones. */
static bool on_progress(void *arg, const lookup_t *engine)
{
    optimist_t *o = arg;
    peer_id_t closest[DHT_K];
    double shares[DHT_K], sum = 0;
    size_t n = lookup_closest(engine, false, closest, DHT_K);
    for (size_t i = 0; i < n; i++) {
        kad_key_t key = kad_key_of_peer(&closest[i]);
        shares[i] = kad_share(&o->target, &key);
        sum += shares[i];
    }
    if (n < DHT_K || shares[n - 1] < o->crowded)
        return false;
    for (size_t i = 0; i < n; i++)
        if (shares[i] <= o->near)
            tell(o, &closest[i]);
    if (o->n_told < DHT_K && sum / (double)n >= o->set)
        return false;
    for (size_t i = 0; i < n; i++)
        tell(o, &closest[i]);
    return true;
}

static err_t encode(optimist_t *o, bytes_t multihash)
{
    multiaddr_t *addrs = xcalloc(DHT_ADDRS_PER_PEER, sizeof *addrs);
    size_t n = dht_addrs_of(o->dht, &o->dht->self, addrs, DHT_ADDRS_PER_PEER);
    writer_t w = writer_to(&o->message);
    kad_put_head(&w, KAD_ADD_PROVIDER, multihash);
    kad_put_peer(&w, KAD_PROVIDERS, &o->dht->self, addrs, n, KAD_CONNECTED);
    free(addrs);
    return n ? w.err : fail(ERR_UNREACHABLE, "this node has no address that the %s DHT takes", o->dht->name);
}

static err_t find_and_tell(task_t *t, optimist_t *o, bytes_t multihash)
{
    lookup_result_t *found = xcalloc(1, sizeof *found);
    lookup_job_t job = {
        .dht = o->dht, .type = KAD_FIND_NODE, .key = multihash, .on_progress = on_progress, .arg = o};
    err_t e = lookup_run(t, &job, found);
    for (size_t i = 0; !e && found->end != LOOKUP_STOPPED && i < found->n_closest; i++)
        tell(o, &found->closest[i]);
    free(found);
    TRY(e);
    while (o->n_done < o->n_told && (o->n_done < ENOUGH_DONE || !o->n_taken))
        TRY(event_wait(t, &o->changed));
    return o->n_taken ? OK : fail(ERR_UNREACHABLE, "nobody took the provider record");
}

err_t optimist_provide(task_t *t, dht_t *d, bytes_t multihash)
{
    double size = netsize_estimate(&d->size, task_now_ms(t));
    if (size <= DHT_K)
        return ERR_AGAIN;
    optimist_t *o = xcalloc(1, sizeof *o);
    *o = (optimist_t){.dht = d,
                      .refs = 1,
                      .near = NETSIZE_NEAR / size,
                      .set = NETSIZE_SET / size,
                      .crowded = LOOKUP_CROWDED_SHARE * DHT_K / size,
                      .target = kad_key_of(multihash)};
    buf_init(&o->message, KAD_REQUEST_MAX_BYTES);
    event_init(&o->changed);
    err_t e = encode(o, multihash);
    if (!e)
        e = find_and_tell(t, o, multihash);
    release(o);
    return e;
}
