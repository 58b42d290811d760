/* naming_impl: the state behind naming.h, for the files of this folder. */
#ifndef NAMING_NAMING_IMPL_H
#define NAMING_NAMING_IMPL_H
#include "codec/ipns_record.h"
#include "naming/name_cache.h"
#include "naming/naming.h"
#include "task/driver.h"

struct naming {
    sched_t *sched;
    naming_config_t config;
    map_t static_names; /* of $IPFS_NS_MAP: name -> path, owned */
    name_cache_t cache;
    routing_t *routing; /* NULL: offline */
    gate_t publishing;  /* one at a time, so that sequences go up */
    bool has_unsent;
    event_t unsent; /* something was published, and there was nobody to give it to */
    group_t tasks;
    /* followed.c */
    pubsub_t *pubsub; /* NULL: names are not followed */
    host_t *host;
    map_t followed; /* binary name -> followed_t */
    list_t follow_order, serving;
    event_t followed_changed;
    size_t n_fetches;
};

/* What this node published last, expired or not; cleared first. ERR_NOT_FOUND. Suspends. */
MUST_CHECK err_t own_record_get(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out);
MUST_CHECK err_t own_record_put(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record);
/* The best record that somebody else signed and that was put here while offline; cleared first.
 * ERR_NOT_FOUND. */
MUST_CHECK err_t kept_record_get(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out);
/* followed.c. Follows the name from now on, where names are followed. The best record that came over pubsub,
 * still good; false: none. */
bool followed_record(naming_t *n, const peer_id_t *name, buf_t *out);
bool followed_has_peers(naming_t *n, const peer_id_t *name); /* are there others who follow it? */
void followed_publish(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record);
void followed_init(naming_t *n);
void followed_close(task_t *t, naming_t *n);
/* A task for the life of naming: sends own records out again. arg: the naming_t. */
err_t republish_task(task_t *t, void *naming);
/* The value of a record whose form is good, into a new string. */
MUST_CHECK err_t record_path(const ipns_record_t *r, char **ret_path);
#endif
