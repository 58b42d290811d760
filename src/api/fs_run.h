/* fs_run: what the files of `distribute fs` share. Not for others. */
#ifndef API_FS_RUN_H
#define API_FS_RUN_H
#include "api/fs_face.h"
#include "api/fs_session.h"
#include "meta/fs_client.h"

typedef struct fs_run {
    const fs_request_t *r;
    fs_session_t session;
    fs_client_t *client;
    const rest_t *rest;
} fs_run_t;

static inline const char *fs_run_option(const fs_run_t *f, const char *name) /* NULL: not given */
{
    return f->r->option(f->r->arg, name);
}

static inline bool fs_run_flag(const fs_run_t *f, const char *name)
{
    const char *value = fs_run_option(f, name);
    return value && !strcmp(value, "true");
}

/* An answer of the service as it is. Takes body. */
MUST_CHECK err_t fs_run_ask(task_t *t, const fs_run_t *f, const char *method, const char *path, json_t *body);
/* The first line of a file; "-": of standard input. out: initialized here; the caller wipes it. */
MUST_CHECK err_t fs_run_secret(task_t *t, const fs_run_t *f, const char *path, buf_t *out);

/* fs_admin.c: accounts, API keys, the log, the master key. False: no such verb. */
bool fs_admin_run(task_t *t, fs_run_t *f, err_t *ret);
#endif
