/* mount: a tree of files that the system shows to its programs under a folder, for reading. What stands in it
 * is told by a mount_tree_t, whose functions run in tasks of the loop thread; `loop/` carries the system's
 * questions to them. */
#ifndef TASK_MOUNT_H
#define TASK_MOUNT_H
#include "base/bytes.h"
#include "task/task.h"

typedef enum { MOUNT_FILE, MOUNT_DIR, MOUNT_SYMLINK } mount_kind_t;
typedef struct mount_attr {
    mount_kind_t kind;
    uint64_t size;
    uint32_t mode; /* permissions alone; 0: those of its kind */
    int64_t mtime_s;
    uint32_t mtime_ns;
    bool is_fixed; /* will never be anything else: the system may keep it */
} mount_attr_t;

/* Paths: "" is the folder itself, "a/b" something in it; any bytes but NUL, no "." and no "..".
 * ERR_NOT_FOUND, ERR_DENIED and others become the errno of the program that asked. */
typedef struct mount_tree {
    err_t (*stat)(task_t *t, void *arg, const char *path, mount_attr_t *ret);
    err_t (*readlink)(task_t *t, void *arg, const char *path, buf_t *out);
    /* A file or a folder to be read; closed by `close`. One call at a time for each. */
    err_t (*open)(task_t *t, void *arg, const char *path, void **ret_handle);
    err_t (*read)(task_t *t, void *handle, uint64_t offset, uint8_t *out, size_t cap, size_t *ret_n);
    /* The next entry of a folder, whose name is borrowed until the next call; NULL at the end. */
    err_t (*next)(task_t *t, void *handle, const char **ret_name, mount_kind_t *ret_kind);
    void (*rewind)(void *handle); /* the next entry is the first one */
    void (*close)(void *handle);
    void *arg;
} mount_tree_t;

typedef struct mount mount_t;
typedef struct mount_options {
    const char *folder; /* must be there; borrowed */
    bool for_all_users; /* else for who runs this process */
} mount_options_t;
typedef struct mount_ops {
    void (*close)(task_t *t, mount_t *m); /* unmounts, ends what is under way, frees */
    bool (*is_gone)(const mount_t *m);    /* unmounted by somebody else */
} mount_ops_t;
struct mount {
    const mount_ops_t *ops;
};
/* Opens one. The tree is copied. ERR_UNSUPPORTED: this system has none; ERR_DENIED: it may not be used here;
 * ERR_NOT_FOUND: the folder. */
typedef err_t (*mount_open_fn)(task_t *t, const mount_options_t *o, const mount_tree_t *tree, mount_t **ret);
#endif
