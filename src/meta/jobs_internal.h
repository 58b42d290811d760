/* jobs_internal: what the files of the background jobs share. Not for others. */
#ifndef META_JOBS_INTERNAL_H
#define META_JOBS_INTERNAL_H
#include "meta/meta_impl.h"

enum { COPIES_MAX = 64 };

/* First a look, which writes nothing: an idle service leaves the disk alone. */
typedef struct job {
    bool is_needed; /* what the look found */
    meta_t *m;
    int64_t now_ms;
    size_t done;
    bool is_more;
    audit_entry_t *entry;
} job_t;

/* A copy of a chunk, there or ordered. */
typedef struct copy {
    char node[META_ID_CHARS + 1], zone[65];
    double fill;   /* of its node: used over capacity */
    bool is_good;  /* active, and heard of within the patience */
    bool is_alive; /* heard of a moment ago */
    bool is_sure;  /* its node has said that it has what is expected of it, since the service was set back */
    bool is_planned;
} copy_t;
/* jobs.c: out: COPIES_MAX of room. */
MUST_CHECK err_t load_copies(sql_t *c, const job_t *job, const char *chunk, copy_t *out, size_t *ret_n);

/* balance.c: nodes that are much fuller than others give copies to those. The copy comes first; the job that
 * heals then drops the one on the fullest node. */
err_t look_for_imbalance(sql_t *c, void *job);
err_t balance(sql_t *c, void *job);

/* versions.c: older versions of files, as the options say. */
err_t look_for_old_versions(sql_t *c, void *job);
err_t prune_versions(sql_t *c, void *job);
#endif
