/* mount: a tree of files that the system shows to its programs under a folder. What stands in it is told by a
 * mount_tree_t, whose functions run in tasks of the loop thread; `loop/` carries the system's questions to
 * them. */
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
/* What changes. */
typedef struct mount_change {
    bool has_size, has_mode, has_mtime;
    uint64_t size;
    uint32_t mode; /* permissions alone */
    int64_t mtime_s;
    uint32_t mtime_ns;
} mount_change_t;
typedef struct mount_open {
    bool writes, creates, exclusive; /* exclusive: ERR_EXISTS when it is there */
} mount_open_t;
typedef struct mount_room {
    uint64_t total_bytes, free_bytes;
} mount_room_t;

/* Paths: "" is the folder itself, "a/b" something in it; any bytes but NUL, no "." and no "..".
 * ERR_NOT_FOUND, ERR_DENIED and others become the errno of the program that asked. */
typedef struct mount_tree {
    err_t (*stat)(task_t *t, void *arg, const char *path, mount_attr_t *ret);
    err_t (*readlink)(task_t *t, void *arg, const char *path, buf_t *out);
    /* An extended attribute; ERR_NOT_FOUND. Its names are `attribute_names`, each with its NUL. */
    err_t (*attribute)(task_t *t, void *arg, const char *path, const char *name, buf_t *out);
    bytes_t attribute_names;
    err_t (*room)(task_t *t, void *arg, mount_room_t *ret);
    /* A file or a folder; closed by `close`. One call at a time for each. */
    err_t (*open)(task_t *t, void *arg, const char *path, mount_open_t how, void **ret_handle);
    err_t (*read)(task_t *t, void *handle, uint64_t offset, uint8_t *out, size_t cap, size_t *ret_n);
    /* The next entry of a folder, whose name is borrowed until the next call; NULL at the end. */
    err_t (*next)(task_t *t, void *handle, const char **ret_name, mount_kind_t *ret_kind);
    void (*rewind)(void *handle); /* the next entry is the first one */
    void (*close)(task_t *t, void *handle);

    bool is_fixed; /* what can be opened will never be anything else */

    bool is_writable; /* else what follows is not called */
    /* Of what is open, also when its name is gone. */
    err_t (*handle_stat)(task_t *t, void *handle, mount_attr_t *ret);
    /* appends: at the end, whatever the offset is. All of it, or an error. */
    err_t (*write)(task_t *t, void *handle, uint64_t offset, bool appends, bytes_t data);
    /* What was written through the handle is durable; is_sync: and whatever else changed in the tree. */
    err_t (*flush)(task_t *t, void *handle, bool is_sync);
    /* handle: when it is open, else NULL; path: NULL when its name is gone. */
    err_t (*change)(task_t *t, void *arg, const char *path, void *handle, const mount_change_t *c);
    err_t (*mkdir)(task_t *t, void *arg, const char *path);
    err_t (*symlink)(task_t *t, void *arg, const char *path, bytes_t target);
    err_t (*remove)(task_t *t, void *arg, const char *path, bool is_dir); /* ERR_NOT_EMPTY */
    /* In the place of what stands there; no_replace: ERR_EXISTS then. */
    err_t (*rename)(task_t *t, void *arg, const char *path, const char *to, bool no_replace);
    void *arg;
} mount_tree_t;

typedef struct mount mount_t;
typedef struct mount_options {
    const char *folder; /* must be there; borrowed */
    bool for_all_users; /* else for who runs this process */
} mount_options_t;
typedef struct mount_ops {
    void (*close)(task_t *t, mount_t *m); /* unmounts, ends what is under way, closes what is open, frees */
    bool (*is_gone)(const mount_t *m);    /* unmounted by somebody else */
} mount_ops_t;
struct mount {
    const mount_ops_t *ops;
};
/* Opens one. The tree is copied. ERR_UNSUPPORTED: this system has none; ERR_DENIED: it may not be used here;
 * ERR_NOT_FOUND: the folder. */
typedef err_t (*mount_open_fn)(task_t *t, const mount_options_t *o, const mount_tree_t *tree, mount_t **ret);
#endif
