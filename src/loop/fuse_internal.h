/* fuse_internal: what the files of a mount share: fuse_mount.c (questions from the kernel, opening and
 * closing), fuse_ask.c (what reads), fuse_change.c (what writes). */
#ifndef LOOP_FUSE_INTERNAL_H
#define LOOP_FUSE_INTERNAL_H
#include "base/list.h"
#include "loop/fuse_mount.h"
#include "loop/fuse_names.h"
#include "loop/uv_internal.h"
#include <linux/fuse.h>

/* A question is at most a write: its bytes, and what is said about them. */
enum { FUSE_WRITE_MAX = 256 << 10, FUSE_REQUEST_BYTES = FUSE_WRITE_MAX + (8 << 10), FUSE_READ_MAX = 1 << 20 };
enum { FUSE_LINK_BYTES_MAX = 4095 };

typedef struct fuse_mount {
    mount_t base;
    uv_driver_t *d;
    mount_tree_t tree;
    char *folder;
    int fd;
    uv_poll_t poll;
    bool is_gone, is_closing, is_polling;
    fuse_names_t names;
    list_t questions;
    size_t n_questions, question_bytes;
    map_t opened; /* by number: opened_t */
    uint64_t next_opened;
    group_t tasks;
    event_t closed; /* libuv has let go of the descriptor */
    _Alignas(8) uint8_t room[FUSE_REQUEST_BYTES];
} fuse_mount_t;
/* What the kernel has open. */
typedef struct opened {
    uint64_t id, node; /* node: the number of its name */
    void *handle;
    size_t users; /* the kernel, and questions */
    gate_t gate;
    uint64_t at; /* of a folder: entries given */
    char *name;  /* the next one, which did not fit; owned */
    mount_kind_t kind;
} opened_t;
typedef struct question {
    list_t node;
    fuse_mount_t *m;
    task_t *task;
    struct fuse_in_header head;
    opened_t *opened; /* that it is about, or NULL */
    bool has_path;    /* else the name was removed, and `opened` is all there is */
    int errnum;       /* of the answer when it fails; 0: that of its error */
    char path[FUSE_PATH_BYTES_MAX];
    size_t len;
    uint8_t body[]; /* len bytes and a NUL */
} question_t;

/* ── fuse_mount.c ────────────────────────────────────────────────────────────────────────────── */
void fuse_answer(fuse_mount_t *m, uint64_t unique, int errnum, const void *data, size_t len);
MUST_CHECK err_t fuse_refuse(question_t *q, int errnum); /* fails with it, where no error of ours says it */
/* For the kernel, until fuse_close; questions that are about it have it, too. */
MUST_CHECK err_t fuse_open(task_t *t, question_t *q, uint64_t node, const char *path, mount_open_t how,
                           opened_t **ret);
void fuse_close(task_t *t, fuse_mount_t *m, opened_t *o);

/* ── fuse_ask.c ──────────────────────────────────────────────────────────────────────────────── */
/* What is asked, the least that it says, and where it says what it has open (0: it does not). An answer was
 * given when it returns OK. */
typedef struct fuse_kind {
    uint32_t opcode;
    size_t min_bytes;
    bool has_handle; /* `fh` is its first field */
    bool is_change;  /* refused where nothing is written; not interrupted */
    err_t (*ask)(task_t *t, question_t *q);
} fuse_kind_t;
extern const fuse_kind_t fuse_ask_kinds[], fuse_change_kinds[]; /* the last one has no function */
/* A name that the kernel asks about by its place: what it is now, as the answer to a look-up. */
MUST_CHECK err_t fuse_entry_of(task_t *t, question_t *q, const char *name, struct fuse_entry_out *ret);
MUST_CHECK err_t fuse_attr_of(task_t *t, question_t *q, struct fuse_attr_out *ret);
bool fuse_is_name(const char *name); /* that a folder can have */
#endif
