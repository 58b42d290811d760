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
};

/* What this node published last, expired or not; cleared first. ERR_NOT_FOUND. Suspends. */
MUST_CHECK err_t own_record_get(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out);
MUST_CHECK err_t own_record_put(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record);
/* The best record that somebody else signed and that was put here while offline; cleared first.
 * ERR_NOT_FOUND. */
MUST_CHECK err_t kept_record_get(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out);
/* A task for the life of naming: sends own records out again. arg: the naming_t. */
err_t republish_task(task_t *t, void *naming);
/* The value of a record whose form is good, into a new string. */
MUST_CHECK err_t record_path(const ipns_record_t *r, char **ret_path);
#endif
