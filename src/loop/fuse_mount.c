#include "loop/fuse_mount.h"
#include "base/log.h"
#include "base/map.h"
#include "loop/fuse_device.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { REQUEST_BYTES = 64 << 10, READ_MAX = 1 << 20, LIST_MAX = 64 << 10, PATH_BYTES_MAX = 16 << 10 };
enum { FIXED_S = 86400, MINOR_MIN = 23, LINK_MAX_BYTES = 4095 };
#define ROOT FUSE_ROOT_ID

/* A name that the kernel knows by a number. */
typedef struct fuse_node {
    uint64_t id, lookups;
    char path[];
} fuse_node_t;
typedef struct fuse_mount {
    mount_t base;
    uv_driver_t *d;
    mount_tree_t tree;
    char *folder;
    int fd;
    uv_poll_t poll;
    bool is_gone, is_closing, is_polling;
    map_t by_id, by_path; /* of fuse_node_t; the folder itself is not in them */
    uint64_t next_id;
    list_t questions, open; /* of question_t; of opened_t */
    size_t n_questions;
    group_t tasks;
    event_t closed; /* libuv has let go of the descriptor */
    _Alignas(8) uint8_t room[REQUEST_BYTES];
} fuse_mount_t;
typedef struct question {
    list_t node;
    fuse_mount_t *m;
    task_t *task;
    struct fuse_in_header head;
    char path[PATH_BYTES_MAX];
    size_t len;
    uint8_t body[]; /* len bytes and a NUL */
} question_t;
/* What the kernel has open. */
typedef struct opened {
    list_t node;
    void *handle;
    gate_t gate;
    uint64_t at; /* of a folder: entries given */
    char *name;  /* the next one, which did not fit; owned */
    mount_kind_t kind;
} opened_t;

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */
static void answer(fuse_mount_t *m, uint64_t unique, int errnum, const void *data, size_t len)
{
    struct fuse_out_header head = {.len = (uint32_t)(sizeof head + len), .error = -errnum, .unique = unique};
    struct iovec pieces[] = {{&head, sizeof head}, {(void *)data, len}};
    ssize_t n = writev(m->fd, pieces, len ? 2 : 1);
    (void)n; /* ENOENT: the program that asked is gone */
}

static int errno_of(err_t e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return ENOENT;
    case ERR_DENIED:
    case ERR_BLOCKED:
        return EPERM;
    case ERR_CANCELED:
        return EINTR;
    case ERR_TIMEOUT:
        return ETIMEDOUT;
    case ERR_UNSUPPORTED:
        return ENOTSUP;
    case ERR_NO_MEMORY:
    case ERR_LIMIT:
        return ENOMEM;
    default:
        return EIO;
    }
}

static uint32_t mode_of(const mount_attr_t *a)
{
    static const uint32_t kinds[] = {S_IFREG, S_IFDIR, S_IFLNK}, modes[] = {0444, 0555, 0777};
    return kinds[a->kind] | (a->mode ? a->mode & 07777 : modes[a->kind]);
}

static void fill_attr(const mount_attr_t *a, uint64_t id, struct fuse_attr *ret)
{
    *ret = (struct fuse_attr){.ino = id,
                              .size = a->size,
                              .blocks = (a->size + 511) / 512,
                              .mtime = (uint64_t)a->mtime_s,
                              .mtimensec = a->mtime_ns,
                              .mode = mode_of(a),
                              .nlink = 1,
                              .uid = getuid(),
                              .gid = getgid(),
                              .blksize = 1 << 20};
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
static bytes_t id_key(const uint64_t *id)
{
    return bytes_of((const uint8_t *)id, sizeof *id);
}

static const char *path_of(const fuse_mount_t *m, uint64_t id)
{
    const fuse_node_t *n = id == ROOT ? NULL : map_get(&m->by_id, id_key(&id));
    return id == ROOT ? "" : n ? n->path : NULL;
}

static err_t remember(fuse_mount_t *m, const char *path, uint64_t *ret_id)
{
    size_t len = strlen(path);
    fuse_node_t *n = map_get(&m->by_path, bytes_of(path, len));
    if (!n) {
        n = xmalloc(sizeof *n + len + 1);
        *n = (fuse_node_t){.id = m->next_id};
        memcpy(n->path, path, len + 1);
        err_t e = map_put(&m->by_path, bytes_of(path, len), n, NULL);
        if (!e && map_put(&m->by_id, id_key(&n->id), n, NULL)) {
            map_remove(&m->by_path, bytes_of(path, len));
            e = ERR_LIMIT;
        }
        if (e) {
            free(n);
            return fail(e, "the system knows too many names of %s", m->folder);
        }
        m->next_id++;
    }
    n->lookups++;
    *ret_id = n->id;
    return OK;
}

static void forget(fuse_mount_t *m, uint64_t id, uint64_t lookups)
{
    fuse_node_t *n = map_get(&m->by_id, id_key(&id));
    if (!n)
        return;
    n->lookups -= lookups < n->lookups ? lookups : n->lookups;
    if (n->lookups)
        return;
    map_remove(&m->by_path, bytes_str(n->path));
    map_remove(&m->by_id, id_key(&id));
    free(n);
}

/* ── questions ───────────────────────────────────────────────────────────────────────────────── */
static err_t ask_lookup(task_t *t, question_t *q)
{
    fuse_mount_t *m = q->m;
    mount_attr_t attr;
    struct fuse_entry_out out = {0};
    size_t len = strlen(q->path), name_len = strlen((const char *)q->body);
    if (len + name_len + 2 > sizeof q->path)
        return fail(ERR_NOT_FOUND, "a path that is too long");
    if (len)
        q->path[len++] = '/';
    memcpy(q->path + len, q->body, name_len + 1);
    TRY(m->tree.stat(t, m->tree.arg, q->path, &attr));
    TRY(remember(m, q->path, &out.nodeid));
    out.entry_valid = out.attr_valid = attr.is_fixed ? FIXED_S : 0;
    fill_attr(&attr, out.nodeid, &out.attr);
    answer(m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t ask_attr(task_t *t, question_t *q)
{
    mount_attr_t attr;
    struct fuse_attr_out out = {0};
    TRY(q->m->tree.stat(t, q->m->tree.arg, q->path, &attr));
    out.attr_valid = attr.is_fixed ? FIXED_S : 0;
    fill_attr(&attr, q->head.nodeid, &out.attr);
    answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static err_t ask_link(task_t *t, question_t *q)
{
    AUTO(buf_t) target;
    buf_init(&target, LINK_MAX_BYTES);
    TRY(q->m->tree.readlink(t, q->m->tree.arg, q->path, &target));
    answer(q->m, q->head.unique, 0, target.data, target.len);
    return OK;
}

static err_t ask_open(task_t *t, question_t *q)
{
    fuse_mount_t *m = q->m;
    mount_attr_t attr;
    opened_t *o = xcalloc(1, sizeof *o);
    err_t e = m->tree.stat(t, m->tree.arg, q->path, &attr);
    if (!e)
        e = m->tree.open(t, m->tree.arg, q->path, &o->handle);
    if (e) {
        free(o);
        return e;
    }
    gate_init(&o->gate, 1);
    list_push_back(&m->open, &o->node);
    struct fuse_open_out out = {.fh = (uintptr_t)o, .open_flags = attr.is_fixed ? FOPEN_KEEP_CACHE : 0};
    answer(m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

static opened_t *opened_of(const question_t *q)
{
    return (opened_t *)(uintptr_t)((const struct fuse_read_in *)(const void *)q->body)->fh;
}

static err_t ask_read(task_t *t, question_t *q)
{
    const struct fuse_read_in *in = (const void *)q->body;
    opened_t *o = opened_of(q);
    size_t n = 0, cap = in->size < READ_MAX ? in->size : READ_MAX;
    uint8_t *out = malloc(cap + 1);
    err_t e = out ? gate_enter(t, &o->gate) : fail(ERR_NO_MEMORY, "no memory to read %zu bytes", cap);
    if (!e) {
        e = q->m->tree.read(t, o->handle, in->offset, out, cap, &n);
        gate_leave(&o->gate);
    }
    if (!e)
        answer(q->m, q->head.unique, 0, out, n);
    free(out);
    return e;
}

static err_t next_entry(task_t *t, question_t *q, opened_t *o)
{
    const char *name;
    if (o->name)
        return OK;
    TRY(q->m->tree.next(t, o->handle, &name, &o->kind));
    o->name = name ? xstrdup(name) : NULL;
    return OK;
}

static void take_entry(opened_t *o)
{
    free(o->name);
    o->name = NULL;
    o->at++;
}

/* Entries from `offset` on, as many as fit; names that no folder can show are passed over. */
static err_t list(task_t *t, question_t *q, opened_t *o, buf_t *out)
{
    static const uint32_t types[] = {S_IFREG >> 12, S_IFDIR >> 12, S_IFLNK >> 12};
    static const uint8_t zeros[8];
    uint64_t offset = ((const struct fuse_read_in *)(const void *)q->body)->offset;
    if (offset < o->at) {
        q->m->tree.rewind(o->handle);
        free(o->name);
        o->name = NULL;
        o->at = 0;
    }
    for (;;) {
        TRY(next_entry(t, q, o));
        if (!o->name)
            return OK;
        size_t len = strlen(o->name);
        bool is_shown =
            len && len <= 255 && !strchr(o->name, '/') && strcmp(o->name, ".") && strcmp(o->name, "..");
        if (o->at >= offset && is_shown) {
            struct fuse_dirent d = {
                .ino = UINT64_MAX, .off = o->at + 1, .namelen = (uint32_t)len, .type = types[o->kind]};
            size_t padding = FUSE_DIRENT_ALIGN(sizeof d + len) - sizeof d - len;
            if (out->max - out->len < sizeof d + len + padding)
                return OK;
            TRY(buf_append(out, bytes_of((const uint8_t *)&d, FUSE_NAME_OFFSET)));
            TRY(buf_append(out, bytes_of(o->name, len)));
            TRY(buf_append(
                out, bytes_of(zeros, FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len) - FUSE_NAME_OFFSET - len)));
        }
        take_entry(o);
    }
}

static err_t ask_list(task_t *t, question_t *q)
{
    opened_t *o = opened_of(q);
    uint32_t size = ((const struct fuse_read_in *)(const void *)q->body)->size;
    AUTO(buf_t) out;
    buf_init(&out, size < LIST_MAX ? size : LIST_MAX);
    TRY(gate_enter(t, &o->gate));
    err_t e = list(t, q, o, &out);
    gate_leave(&o->gate);
    TRY(e);
    answer(q->m, q->head.unique, 0, out.data, out.len);
    return OK;
}

static void free_opened(fuse_mount_t *m, opened_t *o)
{
    list_remove(&o->node);
    m->tree.close(o->handle);
    free(o->name);
    free(o);
}

static err_t ask_release(task_t *t, question_t *q)
{
    opened_t *o = (opened_t *)(uintptr_t)((const struct fuse_release_in *)(const void *)q->body)->fh;
    free_opened(q->m, o);
    answer(q->m, q->head.unique, 0, NULL, 0);
    return OK;
}

static err_t ask_room(task_t *t, question_t *q)
{
    struct fuse_statfs_out out = {.st = {.bsize = 4096, .frsize = 4096, .namelen = 255}};
    answer(q->m, q->head.unique, 0, &out, sizeof out);
    return OK;
}

/* What is asked, and the least that it says. */
static const struct {
    uint32_t opcode;
    size_t min_bytes;
    err_t (*ask)(task_t *t, question_t *q);
} kinds[] = {
    {FUSE_LOOKUP, 1, ask_lookup},
    {FUSE_GETATTR, 0, ask_attr},
    {FUSE_READLINK, 0, ask_link},
    {FUSE_OPEN, 0, ask_open},
    {FUSE_OPENDIR, 0, ask_open},
    {FUSE_READ, sizeof(struct fuse_read_in), ask_read},
    {FUSE_READDIR, sizeof(struct fuse_read_in), ask_list},
    {FUSE_RELEASE, sizeof(struct fuse_release_in), ask_release},
    {FUSE_RELEASEDIR, sizeof(struct fuse_release_in), ask_release},
    {FUSE_STATFS, 0, ask_room},
};

static void set_polling(fuse_mount_t *m);

static err_t run_question(task_t *t, void *arg)
{
    question_t *q = arg;
    fuse_mount_t *m = q->m;
    bool is_release = q->head.opcode == FUSE_RELEASE || q->head.opcode == FUSE_RELEASEDIR;
    err_t e = is_release ? OK : task_check(t);
    for (size_t i = 0; !e && i < ARRAY_LEN(kinds); i++)
        if (kinds[i].opcode == q->head.opcode)
            e = kinds[i].ask(t, q);
    if (e) {
        answer(m, q->head.unique, errno_of(e), NULL, 0);
        log_debug("a question about a mounted folder failed", LOG_STR("path", q->path), LOG_ERR(e));
    }
    list_remove(&q->node);
    m->n_questions--;
    free(q);
    set_polling(m);
    return OK;
}

/* ── what comes from the kernel ──────────────────────────────────────────────────────────────── */
static void begin(fuse_mount_t *m, const struct fuse_in_header *head, const uint8_t *body, size_t len)
{
    const struct fuse_init_in *in = (const void *)body;
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_background = FUSE_QUESTIONS_MAX / 2,
                                .congestion_threshold = FUSE_QUESTIONS_MAX / 4,
                                .max_write = 4096,
                                .time_gran = 1};
    if (len < 16 || in->major < FUSE_KERNEL_VERSION ||
        (in->major == FUSE_KERNEL_VERSION && in->minor < MINOR_MIN)) {
        answer(m, head->unique, EPROTO, NULL, 0);
        return;
    }
    out.minor = in->minor < out.minor ? in->minor : out.minor;
    out.max_readahead = in->max_readahead;
    out.flags = in->flags & (FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES);
    out.max_pages = READ_MAX / 4096;
    answer(m, head->unique, 0, &out, sizeof out);
}

static void forget_many(fuse_mount_t *m, const uint8_t *body, size_t len)
{
    const struct fuse_batch_forget_in *in = (const void *)body;
    const struct fuse_forget_one *one = (const void *)(in + 1);
    for (size_t i = 0; len >= sizeof *in + (i + 1) * sizeof *one && i < in->count; i++)
        forget(m, one[i].nodeid, one[i].nlookup);
}

static void interrupt(fuse_mount_t *m, uint64_t unique)
{
    LIST_EACH (q, &m->questions, question_t, node)
        if (q->head.unique == unique && q->head.opcode != FUSE_RELEASE && q->head.opcode != FUSE_RELEASEDIR)
            task_cancel(q->task);
}

static void start_question(fuse_mount_t *m, const struct fuse_in_header *head, const uint8_t *body,
                           size_t len)
{
    const char *path = path_of(m, head->nodeid);
    size_t i = 0;
    while (i < ARRAY_LEN(kinds) && kinds[i].opcode != head->opcode)
        i++;
    if (i == ARRAY_LEN(kinds) || len < kinds[i].min_bytes) {
        answer(m, head->unique, i == ARRAY_LEN(kinds) ? ENOSYS : EINVAL, NULL, 0);
        return;
    }
    question_t *q = xcalloc(1, sizeof *q + len + 1);
    q->m = m;
    q->head = *head;
    q->len = len;
    snprintf(q->path, sizeof q->path, "%s", path ? path : "");
    memcpy(q->body, body, len);
    list_push_back(&m->questions, &q->node);
    m->n_questions++;
    if (!path && head->opcode != FUSE_RELEASE && head->opcode != FUSE_RELEASEDIR) {
        answer(m, head->unique, ESTALE, NULL, 0);
    } else if (!group_spawn(&m->tasks, "mount", run_question, q, &q->task)) {
        return;
    } else {
        answer(m, head->unique, ENOMEM, NULL, 0);
    }
    list_remove(&q->node);
    m->n_questions--;
    free(q);
}

static void take(fuse_mount_t *m, size_t n)
{
    const struct fuse_in_header *head = (const void *)m->room;
    const uint8_t *body = m->room + sizeof *head;
    if (n < sizeof *head || head->len != n)
        return;
    size_t len = n - sizeof *head;
    switch (head->opcode) {
    case FUSE_INIT:
        begin(m, head, body, len);
        break;
    case FUSE_FORGET:
        if (len >= sizeof(struct fuse_forget_in))
            forget(m, head->nodeid, ((const struct fuse_forget_in *)(const void *)body)->nlookup);
        break;
    case FUSE_BATCH_FORGET:
        if (len >= sizeof(struct fuse_batch_forget_in))
            forget_many(m, body, len);
        break;
    case FUSE_INTERRUPT:
        if (len >= sizeof(struct fuse_interrupt_in))
            interrupt(m, ((const struct fuse_interrupt_in *)(const void *)body)->unique);
        break;
    case FUSE_DESTROY:
        break;
    default:
        start_question(m, head, body, len);
    }
}

static void on_readable(uv_poll_t *p, int status, int events)
{
    fuse_mount_t *m = p->data;
    for (int i = 0; i < 16 && !m->is_gone && m->n_questions < FUSE_QUESTIONS_MAX; i++) {
        ssize_t n = read(m->fd, m->room, sizeof m->room);
        if (n > 0)
            take(m, (size_t)n);
        else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        else if (n < 0 && (errno == EINTR || errno == ENOENT))
            continue; /* ENOENT: who asked has left */
        else
            m->is_gone = true; /* ENODEV: unmounted */
    }
    set_polling(m);
}

static void set_polling(fuse_mount_t *m)
{
    bool wanted = !m->is_gone && !m->is_closing && m->n_questions < FUSE_QUESTIONS_MAX;
    if (wanted == m->is_polling || m->is_closing)
        return;
    m->is_polling = wanted;
    if (!wanted)
        uv_poll_stop(&m->poll);
    else if (uv_poll_start(&m->poll, UV_READABLE, on_readable))
        m->is_gone = true;
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
static void on_closed(uv_handle_t *h)
{
    event_fire(&((fuse_mount_t *)h->data)->closed);
}

typedef struct device_job {
    const char *folder;
    bool for_all_users;
    int fd;
    err_t e;
} device_job_t;

static void open_device(void *arg)
{
    device_job_t *job = arg;
    job->e = fuse_device_open(job->folder, job->for_all_users, &job->fd);
}

static void close_device(void *arg)
{
    fuse_device_unmount(((device_job_t *)arg)->folder);
}

static void close_mount(task_t *t, mount_t *base)
{
    fuse_mount_t *m = CONTAINER_OF(base, fuse_mount_t, base);
    device_job_t job = {.folder = m->folder};
    void *node;
    task_shield(t);
    if (!m->is_gone)
        uv_work_wait(t, m->d, close_device, &job);
    m->is_closing = true;
    group_stop(t, &m->tasks);
    group_deinit(&m->tasks);
    uv_poll_stop(&m->poll);
    uv_close((uv_handle_t *)&m->poll, on_closed);
    (void)!event_wait(t, &m->closed);
    task_unshield(t);
    close(m->fd);
    while (!list_is_empty(&m->open)) /* the system does not give them back any more */
        free_opened(m, LIST_ENTRY(m->open.next, opened_t, node));
    for (size_t i = 0; map_next(&m->by_id, &i, NULL, &node);)
        free(node);
    map_deinit(&m->by_id);
    map_deinit(&m->by_path);
    free(m->folder);
    free(m);
}

static bool is_gone(const mount_t *base)
{
    return CONTAINER_OF(base, const fuse_mount_t, base)->is_gone;
}

err_t fuse_mount_open(task_t *t, const mount_options_t *o, const mount_tree_t *tree, mount_t **ret)
{
    static const mount_ops_t ops = {.close = close_mount, .is_gone = is_gone};
    uv_driver_t *d = uv_driver_of(task_driver(t));
    device_job_t job = {.folder = o->folder, .for_all_users = o->for_all_users};
    uv_work_wait(t, d, open_device, &job);
    TRY(job.e);
    fuse_mount_t *m = xcalloc(1, sizeof *m);
    m->base.ops = &ops;
    m->d = d;
    m->tree = *tree;
    m->folder = xstrdup(o->folder);
    m->fd = job.fd;
    m->next_id = ROOT + 1;
    map_init(&m->by_id, FUSE_NODES_MAX);
    map_init(&m->by_path, FUSE_NODES_MAX);
    list_init(&m->questions);
    list_init(&m->open);
    group_init(&m->tasks, task_sched(t));
    event_init(&m->closed);
    m->poll.data = m;
    int e = uv_poll_init(&d->loop, &m->poll, m->fd);
    assert(!e);
    set_polling(m);
    *ret = &m->base;
    return OK;
}
