#include "loop/fuse_mount.h"
#include "base/log.h"
#include "loop/fuse_device.h"
#include "loop/fuse_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MINOR_MIN = 23, QUESTION_BYTES_MAX = 16 << 20 };

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */
void fuse_answer(fuse_mount_t *m, uint64_t unique, int errnum, const void *data, size_t len)
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
    case ERR_EXISTS:
        return EEXIST;
    case ERR_NOT_EMPTY:
        return ENOTEMPTY;
    case ERR_NO_SPACE:
        return ENOSPC;
    case ERR_IN_USE:
        return EBUSY;
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

/* ── what is open ────────────────────────────────────────────────────────────────────────────── */
static bytes_t opened_key(const uint64_t *id)
{
    return bytes_of((const uint8_t *)id, sizeof *id);
}

/* Of a name that was removed: what the system asks about is open somewhere. */
static opened_t *opened_by_name(const fuse_mount_t *m, uint64_t node)
{
    void *o;
    for (size_t i = 0; map_next(&m->opened, &i, NULL, &o);)
        if (((opened_t *)o)->node == node)
            return o;
    return NULL;
}

/* The last one closes it. */
static void unuse(task_t *t, fuse_mount_t *m, opened_t *o)
{
    if (--o->users)
        return;
    m->tree.close(t, o->handle);
    free(o->name);
    free(o);
}

err_t fuse_open(task_t *t, question_t *q, uint64_t node, const char *path, mount_open_t how, opened_t **ret)
{
    fuse_mount_t *m = q->m;
    opened_t *o = xcalloc(1, sizeof *o);
    *o = (opened_t){.id = ++m->next_opened, .node = node, .users = 1};
    gate_init(&o->gate, 1);
    err_t e = m->tree.open(t, m->tree.arg, path, how, &o->handle);
    if (e) {
        free(o);
        return e;
    }
    e = map_put(&m->opened, opened_key(&o->id), o, NULL);
    if (e) {
        unuse(t, m, o);
        return fail(e, "too many files of %s are open", m->folder);
    }
    *ret = o;
    return OK;
}

void fuse_close(task_t *t, fuse_mount_t *m, opened_t *o)
{
    map_remove(&m->opened, opened_key(&o->id));
    unuse(t, m, o);
}

err_t fuse_refuse(question_t *q, int errnum)
{
    q->errnum = errnum;
    return fail(ERR_INVALID, "%s", strerror(errnum));
}

/* ── questions ───────────────────────────────────────────────────────────────────────────────── */
static void set_polling(fuse_mount_t *m);

static const fuse_kind_t *kind_of(const fuse_mount_t *m, uint32_t opcode)
{
    const fuse_kind_t *tables[] = {fuse_ask_kinds, m->tree.is_writable ? fuse_change_kinds : NULL};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        for (const fuse_kind_t *k = tables[i]; k && k->ask; k++)
            if (k->opcode == opcode)
                return k;
    return NULL;
}

/* Programs do not expect that a signal which they handle ends a change half way; what is open must be closed.
 */
static bool can_be_interrupted(const fuse_mount_t *m, uint32_t opcode)
{
    const fuse_kind_t *k = kind_of(m, opcode);
    return k && !k->is_change && opcode != FUSE_RELEASE && opcode != FUSE_RELEASEDIR;
}

static void end_question(task_t *t, question_t *q)
{
    fuse_mount_t *m = q->m;
    if (q->opened)
        unuse(t, m, q->opened);
    list_remove(&q->node);
    m->n_questions--;
    m->question_bytes -= q->len;
    free(q);
    set_polling(m);
}

static err_t run_question(task_t *t, void *arg)
{
    question_t *q = arg;
    const fuse_kind_t *k = kind_of(q->m, q->head.opcode);
    bool is_release = q->head.opcode == FUSE_RELEASE || q->head.opcode == FUSE_RELEASEDIR;
    if (is_release) /* whatever happens */
        task_shield(t);
    err_t e = is_release ? OK : task_check(t);
    if (!e)
        e = k->ask(t, q);
    if (e) {
        int errnum = e == ERR_INVALID && k->is_change ? EINVAL : errno_of(e);
        fuse_answer(q->m, q->head.unique, q->errnum ? q->errnum : errnum, NULL, 0);
        log_debug("a question about a mounted folder failed", LOG_STR("path", q->path), LOG_ERR(e));
    }
    end_question(t, q);
    if (is_release)
        task_unshield(t);
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
                                .max_write = m->tree.is_writable ? FUSE_WRITE_MAX : 4096,
                                .time_gran = 1};
    if (len < 16 || in->major < FUSE_KERNEL_VERSION ||
        (in->major == FUSE_KERNEL_VERSION && in->minor < MINOR_MIN)) {
        fuse_answer(m, head->unique, EPROTO, NULL, 0);
        return;
    }
    out.minor = in->minor < out.minor ? in->minor : out.minor;
    out.max_readahead = in->max_readahead;
    out.flags = in->flags & (FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_BIG_WRITES);
    out.max_pages = FUSE_READ_MAX / 4096;
    fuse_answer(m, head->unique, 0, &out, sizeof out);
}

static void forget_many(fuse_mount_t *m, const uint8_t *body, size_t len)
{
    const struct fuse_batch_forget_in *in = (const void *)body;
    const struct fuse_forget_one *one = (const void *)(in + 1);
    for (size_t i = 0; len >= sizeof *in + (i + 1) * sizeof *one && i < in->count; i++)
        fuse_names_forget(&m->names, one[i].nodeid, one[i].nlookup);
}

static void interrupt(fuse_mount_t *m, uint64_t unique)
{
    LIST_EACH (q, &m->questions, question_t, node)
        if (q->head.unique == unique && can_be_interrupted(m, q->head.opcode))
            task_cancel(q->task);
}

/* What the question is about: a name, what is open, or both. */
static int find_subject(question_t *q, const fuse_kind_t *k)
{
    const struct fuse_setattr_in *set = (const void *)q->body;
    fuse_mount_t *m = q->m;
    q->has_path = !fuse_names_path(&m->names, q->head.nodeid, NULL, q->path);
    if (k->has_handle || (k->opcode == FUSE_SETATTR && set->valid & FATTR_FH)) {
        uint64_t id = k->has_handle ? ((const struct fuse_read_in *)(const void *)q->body)->fh : set->fh;
        q->opened = map_get(&m->opened, opened_key(&id));
        if (!q->opened)
            return EBADF;
    } else if (!q->has_path && m->tree.is_writable &&
               (k->opcode == FUSE_GETATTR || k->opcode == FUSE_SETATTR)) {
        q->opened = opened_by_name(m, q->head.nodeid);
    }
    if (q->opened)
        q->opened->users++;
    return q->has_path || q->opened ? 0 : ESTALE;
}

static void start_question(fuse_mount_t *m, const struct fuse_in_header *head, const uint8_t *body,
                           size_t len)
{
    const fuse_kind_t *k = kind_of(m, head->opcode);
    if (!k || len < k->min_bytes) {
        fuse_answer(m, head->unique, k ? EINVAL : ENOSYS, NULL, 0);
        return;
    }
    question_t *q = xcalloc(1, sizeof *q + len + 1);
    q->m = m;
    q->head = *head;
    q->len = len;
    memcpy(q->body, body, len);
    list_init(&q->node);
    int errnum = find_subject(q, k);
    if (!errnum && group_spawn(&m->tasks, "mount", run_question, q, &q->task))
        errnum = ENOMEM;
    if (!errnum) {
        list_push_back(&m->questions, &q->node);
        m->n_questions++;
        m->question_bytes += len;
        return;
    }
    fuse_answer(m, head->unique, errnum, NULL, 0);
    if (q->opened)
        q->opened->users--; /* the kernel's is left */
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
            fuse_names_forget(&m->names, head->nodeid,
                              ((const struct fuse_forget_in *)(const void *)body)->nlookup);
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

static bool has_room(const fuse_mount_t *m)
{
    return m->n_questions < FUSE_QUESTIONS_MAX && m->question_bytes < QUESTION_BYTES_MAX;
}

static void on_readable(uv_poll_t *p, int status, int events)
{
    fuse_mount_t *m = p->data;
    for (int i = 0; i < 16 && !m->is_gone && has_room(m); i++) {
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
    bool wanted = !m->is_gone && !m->is_closing && has_room(m);
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
    fuse_device_options_t options;
    int fd;
    err_t e;
} device_job_t;

static void open_device(void *arg)
{
    device_job_t *job = arg;
    job->e = fuse_device_open(job->folder, job->options, &job->fd);
}

static void close_device(void *arg)
{
    fuse_device_unmount(((device_job_t *)arg)->folder);
}

static void close_mount(task_t *t, mount_t *base)
{
    fuse_mount_t *m = CONTAINER_OF(base, fuse_mount_t, base);
    device_job_t job = {.folder = m->folder};
    void *o;
    task_shield(t);
    if (!m->is_gone)
        uv_work_wait(t, m->d, close_device, &job);
    m->is_closing = true;
    group_stop(t, &m->tasks);
    group_deinit(&m->tasks);
    uv_poll_stop(&m->poll);
    uv_close((uv_handle_t *)&m->poll, on_closed);
    (void)!event_wait(t, &m->closed);
    close(m->fd);
    for (size_t i = 0; map_next(&m->opened, &i, NULL, &o);) /* the system does not give them back any more */
        unuse(t, m, o);
    task_unshield(t);
    map_deinit(&m->opened);
    fuse_names_deinit(&m->names);
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
    device_job_t job = {.folder = o->folder, .options = {o->for_all_users, tree->is_writable}};
    uv_work_wait(t, d, open_device, &job);
    TRY(job.e);
    fuse_mount_t *m = xcalloc(1, sizeof *m);
    m->base.ops = &ops;
    m->d = d;
    m->tree = *tree;
    m->folder = xstrdup(o->folder);
    m->fd = job.fd;
    fuse_names_init(&m->names, FUSE_NODES_MAX);
    map_init(&m->opened, FUSE_OPENED_MAX);
    list_init(&m->questions);
    group_init(&m->tasks, task_sched(t));
    event_init(&m->closed);
    m->poll.data = m;
    int e = uv_poll_init(&d->loop, &m->poll, m->fd);
    assert(!e);
    set_polling(m);
    *ret = &m->base;
    return OK;
}
