/* repo_impl: what the files of the repository share. */
#ifndef REPO_REPO_IMPL_H
#define REPO_REPO_IMPL_H
#include "repo/gc_impl.h"
#include "repo/repo.h"
#include "repo/room.h"
#include "task/driver.h"

struct repo {
    char *path;
    file_t *lock;
    config_t *config;
    private_key_t *identity;
    peer_id_t peer_id;
    blockstore_t *main;          /* on disk */
    struct filestore *filestore; /* in front of it; NULL: not enabled */
    blockstore_t *store, *guard; /* store: all that is below the guard */
    blockstore_t *quick_guard;   /* the same, whose writes do not wait for room */
    blocks_t *blocks, *quick_blocks;
    room_t room;
    kv_t *state;
    pins_t *pins;
    gc_t *gc;
    struct mfs *mfs, *published;
    keystore_t *keystore;
    gate_t config_gate;
    void (*config_changed)(task_t *t, void *arg);
    void *config_changed_arg;
};
/* PATH/NAME; both are short enough by repo_find_path. */
const char *repo_file(const char *path, const char *name, char out[REPO_PATH_MAX + 64]);
MUST_CHECK err_t repo_lock(task_t *t, const char *path, file_t **ret_lock);
#endif
