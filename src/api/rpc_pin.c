/* rpc_pin: pin/… Reference: ipfs/kubo core/commands/pin. */
#include "api/rpc_util.h"
#include "dag/unixfs.h"
#include <stdio.h>
#include <stdlib.h>

enum { PROGRESS_MS = 500, COMMIT_MS = 1000 };

/* ── replication ─────────────────────────────────────────────────────────────────────────────── */
/* Steps are told by whatever task makes them, which must not wait: they pass through a bounded queue to the
 * task of the request, which writes them, while a task of its own does the pinning. */
enum { MAX_QUEUED_STEPS = 64 };
typedef struct replication {
    rpc_t *r;
    const cid_t *root;
    uint32_t copies, have;
    chan_t steps; /* of json_t * */
} replication_t;

static void on_replica_step(void *arg, const replica_progress_t *p)
{
    static const char *const texts[] = {
        [REPLICA_FETCHING_LOCALLY] = "completing the content here",
        [REPLICA_ASKED] = "asked",
        [REPLICA_ACCEPTED] = "accepted, fetching:",
        [REPLICA_HOLDS] = "holds a copy:",
        [REPLICA_REFUSED] = "refused:",
        [REPLICA_FAILED] = "did not answer:",
    };
    replication_t *x = arg;
    char peer[PEER_ID_TEXT_MAX] = "", count[48] = "", step[320];
    if (p->peer.len)
        peer_id_print(&p->peer, peer);
    if (p->target)
        snprintf(count, sizeof count, " (%u of %u)", p->have, p->target);
    snprintf(step, sizeof step, "%s%s%s%s%s%s", texts[p->step], peer[0] ? " " : "", peer,
             p->reason && *p->reason ? ": " : "", p->reason ? p->reason : "", count);
    json_t *event = json_pack("{s:o}", "Step", rpc_bytes_json(bytes_str(step)));
    if (chan_try_send(&x->steps, event))
        json_decref(event); /* a reader too slow for the steps misses one of them */
}

static err_t replicate_task(task_t *t, void *arg)
{
    replication_t *x = arg;
    err_t e = replica_pin(t, node_replica(x->r->node), x->root, x->copies, on_replica_step, x, &x->have);
    chan_close(&x->steps);
    return e;
}

static err_t write_steps(task_t *t, replication_t *x, bool quiet)
{
    void *step;
    err_t e = OK;
    while (!e && !chan_recv(t, &x->steps, &step)) {
        if (quiet)
            json_decref(step);
        else
            e = rpc_emit(t, x->r, step);
    }
    return e ? e : task_check(t);
}

static err_t run_replication(task_t *t, replication_t *x, bool quiet)
{
    group_t g;
    group_init(&g, node_sched(x->r->node));
    err_t e = group_spawn(&g, "replicate", replicate_task, x, NULL);
    if (!e) {
        e = write_steps(t, x, quiet);
        if (e)
            group_cancel(&g);
        err_t joined = group_join(t, &g);
        e = e ? e : joined;
    }
    group_deinit(&g);
    return e;
}

err_t rpc_check_replicas(rpc_t *r, uint64_t copies)
{
    TRY(rpc_need_online(r));
    return copies && copies <= REPLICA_TARGET_MAX
               ? OK
               : fail(ERR_USAGE, "option replicas: 1 to %d", REPLICA_TARGET_MAX);
}

err_t rpc_replicate(task_t *t, rpc_t *r, const cid_t *root, uint64_t copies, bool quiet)
{
    char text[CID_TEXT_MAX];
    TRY(rpc_check_replicas(r, copies));
    replication_t x = {.r = r, .root = root, .copies = (uint32_t)copies};
    chan_init(&x.steps, MAX_QUEUED_STEPS);
    err_t e = run_replication(t, &x, quiet);
    void *left;
    while (!chan_try_recv(&x.steps, &left))
        json_decref(left);
    chan_deinit(&x.steps);
    TRY(e);
    return rpc_emit(t, r,
                    json_pack("{s:[s], s:I, s:I}", "Pins", rpc_cid(r, root, text), "Copies",
                              (json_int_t)x.have, "Target", (json_int_t)copies));
}

/* ── add ─────────────────────────────────────────────────────────────────────────────────────── */
typedef struct pin_add {
    rpc_t *r;
    pins_batch_t *pins;
    const cid_t *cid;
    uint64_t blocks, bytes;
} pin_add_t;

static err_t emit_pin_progress(task_t *t, const pin_add_t *x)
{
    return rpc_emit(
        t, x->r, json_pack("{s:I, s:I}", "Progress", (json_int_t)x->blocks, "Bytes", (json_int_t)x->bytes));
}

static void on_pin_progress(void *arg, const cid_t *cid, uint64_t size_bytes)
{
    pin_add_t *x = arg;
    x->blocks++;
    x->bytes += size_bytes;
}

/* In a task of its own: also while nothing arrives. */
static err_t tell_progress(task_t *t, void *arg)
{
    for (;;) {
        TRY(task_sleep(t, PROGRESS_MS));
        task_shield(t); /* a line is whole */
        err_t e = emit_pin_progress(t, arg);
        task_unshield(t);
        TRY(e);
    }
}

static err_t add_pin(task_t *t, pin_add_t *x, bool shows_progress)
{
    AUTO(node_session_t) session = {0};
    pin_mode_t mode = rpc_bool(x->r, "recursive", true) ? PIN_RECURSIVE : PIN_DIRECT;
    TRY(node_session_open(x->r->node, rpc_bool(x->r, "offline", false), &session));
    err_t e = pins_batch_add(t, x->pins, session.blocks, x->cid, mode, rpc_option(x->r, "name"),
                             shows_progress ? on_pin_progress : NULL, x);
    return e ? fail_also(e, "pin") : OK;
}

static err_t pin_one(task_t *t, rpc_t *r, pins_batch_t *pins, const cid_t *cid, bool shows_progress)
{
    pin_add_t x = {.r = r, .pins = pins, .cid = cid};
    group_t g;
    if (!shows_progress)
        return add_pin(t, &x, false);
    group_init(&g, node_sched(r->node));
    err_t e = group_spawn(&g, "pin progress", tell_progress, &x, NULL);
    if (!e)
        e = add_pin(t, &x, true);
    error_slot_t why = *error_slot();
    group_stop(t, &g);
    group_deinit(&g);
    *error_slot() = why;
    return e ? e : emit_pin_progress(t, &x);
}

static err_t check_name_length(const char *name)
{
    if (!name || strlen(name) <= PIN_NAME_MAX_BYTES)
        return OK;
    return fail(ERR_INVALID, "pin name is %zu bytes (max %d bytes)", strlen(name), PIN_NAME_MAX_BYTES);
}

typedef struct pin_request {
    pins_batch_t pins;
    cid_t *cids; /* those that are pinned or in it */
    size_t n, n_committed;
    uint64_t committed_ms;
    uint64_t copies; /* 0: no others are asked to hold it */
    bool shows_progress;
} pin_request_t;

static err_t pin_arg(task_t *t, rpc_t *r, pin_request_t *p, const char *text)
{
    cid_t cid;
    TRY(rpc_resolve_cid(t, r, text, &cid));
    if (p->copies)
        TRY(rpc_replicate(t, r, &cid, p->copies, rpc_bool(r, "quiet", false)));
    TRY(pin_one(t, r, &p->pins, &cid, p->shows_progress));
    p->cids[p->n++] = cid;
    return OK;
}

/* What was reached before one failed stays pinned, as in the reference. */
static err_t commit_pins(task_t *t, rpc_t *r, pin_request_t *p)
{
    task_shield(t);
    err_t e = pins_batch_commit(t, &p->pins);
    task_unshield(t);
    for (; p->n_committed < p->n && !e; p->n_committed++)
        node_announce(r->node, &p->cids[p->n_committed]);
    p->committed_ms = task_now_ms(t);
    return e;
}

static err_t pin_args(task_t *t, rpc_t *r, pin_request_t *p)
{
    err_t e = OK;
    for (size_t i = 0; i < r->n_args && !e; i++) {
        e = pin_arg(t, r, p, r->args[i]);
        if (!e && task_now_ms(t) - p->committed_ms >= COMMIT_MS)
            TRY(commit_pins(t, r, p));
    }
    error_slot_t why = *error_slot();
    TRY(commit_pins(t, r, p));
    *error_slot() = why;
    return e;
}

static err_t emit_pinned(task_t *t, rpc_t *r, const pin_request_t *p)
{
    char text[CID_TEXT_MAX];
    json_t *pins = json_array();
    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(pins, json_string(rpc_cid(r, &p->cids[i], text)));
    return rpc_emit(t, r, json_pack("{s:o}", "Pins", pins));
}

static err_t rpc_pin_add(task_t *t, rpc_t *r)
{
    pin_request_t p = {.committed_ms = task_now_ms(t)};
    TRY(check_name_length(rpc_option(r, "name")));
    TRY(rpc_u64(r, "replicas", 0, &p.copies));
    p.shows_progress = rpc_bool(r, "progress", false) && !p.copies;
    p.cids = xcalloc(r->n_args, sizeof *p.cids);
    pins_batch_init(&p.pins, repo_pins(node_repo(r->node)));
    err_t e = pin_args(t, r, &p);
    pins_batch_deinit(&p.pins);
    if (!e && !p.copies)
        e = emit_pinned(t, r, &p);
    free(p.cids);
    return e;
}

/* ── rm, update ──────────────────────────────────────────────────────────────────────────────── */
/* Copies that were asked for with --replicas are let go with the pin. Those that this node holds for another
 * are that node's to release. */
static err_t release_copies(task_t *t, rpc_t *r, const cid_t *cid)
{
    if (!node_replica(r->node))
        return OK;
    err_t e = replica_unpin(t, node_replica(r->node), cid);
    return e == ERR_NOT_FOUND || e == ERR_DENIED ? OK : e;
}

/* Without a network the holders would go on, and so would this node at its next start. */
static err_t check_removable(task_t *t, rpc_t *r, const cid_t *cid)
{
    char text[CID_TEXT_MAX];
    if (node_is_online(r->node) || !node_is_replicated(t, r->node, cid))
        return OK;
    return fail(ERR_OFFLINE, "%s is replicated: start the node, so that its holders let it go, too",
                rpc_cid(r, cid, text));
}

/* Repositories of Kubo are born with the empty directory pinned, and tools that want an empty list take the
 * pin away: here it is none, which is no error. */
static err_t remove_pin(task_t *t, rpc_t *r, const cid_t *cid, pin_mode_t mode)
{
    err_t e = pins_remove(t, repo_pins(node_repo(r->node)), cid, mode);
    return e == ERR_NOT_FOUND && unixfs_is_empty_dir(cid) ? OK : e;
}

static err_t rpc_pin_rm(task_t *t, rpc_t *r)
{
    json_t *pins = json_array();
    pin_mode_t mode = rpc_bool(r, "recursive", true) ? PIN_ANY : PIN_DIRECT;
    err_t e = OK;
    for (size_t i = 0; i < r->n_args && !e; i++) {
        char text[CID_TEXT_MAX];
        cid_t cid;
        e = rpc_resolve_cid(t, r, r->args[i], &cid);
        if (!e)
            e = check_removable(t, r, &cid);
        if (!e)
            e = remove_pin(t, r, &cid, mode);
        if (!e)
            e = release_copies(t, r, &cid);
        if (!e)
            json_array_append_new(pins, json_string(rpc_cid(r, &cid, text)));
    }
    if (!e)
        return rpc_emit(t, r, json_pack("{s:o}", "Pins", pins));
    json_decref(pins);
    return e;
}

/* How many copies this node, as their owner, has asked for; 0: none. */
typedef struct wanted_copies {
    const cid_t *root;
    peer_id_t self;
    uint32_t copies;
} wanted_copies_t;

static err_t see_copies(task_t *t, void *arg, const replica_status_t *s)
{
    wanted_copies_t *w = arg;
    if (cid_equal(&s->root, w->root) && peer_id_equal(&s->owner, &w->self))
        w->copies = s->target;
    return OK;
}

/* The copies of what a pin leaves are made of what it moves to, and then let go. */
static err_t move_copies(task_t *t, rpc_t *r, const cid_t *from, const cid_t *to)
{
    wanted_copies_t w = {.root = from, .self = *node_id(r->node)};
    if (!node_replica(r->node) || !node_is_replicated(t, r->node, from))
        return OK;
    TRY(replica_each(t, node_replica(r->node), see_copies, &w));
    if (!w.copies)
        return OK;
    err_t e = replica_pin(t, node_replica(r->node), to, w.copies, NULL, NULL, NULL);
    if (e && e != ERR_TIMEOUT) /* then the rest are made by and by */
        return e;
    return release_copies(t, r, from);
}

static err_t rpc_pin_update(task_t *t, rpc_t *r)
{
    AUTO(node_session_t) session = {0};
    char from_text[CID_TEXT_MAX], to_text[CID_TEXT_MAX];
    bool moves = rpc_bool(r, "unpin", true);
    cid_t from, to;
    TRY(rpc_resolve_cid(t, r, r->args[0], &from));
    TRY(rpc_resolve_cid(t, r, r->args[1], &to));
    if (moves)
        TRY(check_removable(t, r, &from));
    TRY(node_session_open(r->node, rpc_bool(r, "offline", false), &session));
    TRY(pins_update(t, repo_pins(node_repo(r->node)), session.blocks, &from, &to, !moves));
    if (moves && !cid_equal(&from, &to))
        TRY(move_copies(t, r, &from, &to));
    node_announce(r->node, &to);
    return rpc_emit(t, r,
                    json_pack("{s:[s,s]}", "Pins", rpc_cid(r, &from, from_text), rpc_cid(r, &to, to_text)));
}

/* ── ls ──────────────────────────────────────────────────────────────────────────────────────── */
enum { PAGE_BYTES = 32 << 10, PAGE_MS = 20 };
typedef struct pin_list {
    rpc_t *r;
    bool streams, has_any, wants_names;
    buf_t page; /* what is not yet sent */
    uint64_t sent_ms;
} pin_list_t;

static err_t send_page(task_t *t, pin_list_t *l)
{
    l->sent_ms = task_now_ms(t);
    if (!l->page.len)
        return OK;
    err_t e = rpc_emit_text(t, l->r, buf_bytes(&l->page));
    buf_clear(&l->page);
    return e;
}

static err_t append_pin(pin_list_t *l, const char *cid, const char *type, const char *name)
{
    if (!l->streams) {
        TRY(buf_printf(&l->page, "%s\"%s\":{\"Type\":\"%s\",\"Name\":", l->has_any ? "," : "{\"Keys\":{", cid,
                       type));
        TRY(json_quote(bytes_str(name), &l->page));
        return buf_append(&l->page, BYTES_LIT("}"));
    }
    TRY(buf_printf(&l->page, "{\"Cid\":\"%s\"", cid));
    if (*name) {
        TRY(buf_append(&l->page, BYTES_LIT(",\"Name\":")));
        TRY(json_quote(bytes_str(name), &l->page));
    }
    return buf_printf(&l->page, ",\"Type\":\"%s\"}\n", type);
}

/* Kubo's whole answer is one object; it is written in pages, so that a million pins cost no memory, and what
 * walks are slow to find is sent before they end. */
static err_t emit_pin_of_type(task_t *t, pin_list_t *l, const pin_t *pin, const char *type)
{
    char cid[CID_TEXT_MAX];
    TRY(append_pin(l, rpc_cid(l->r, &pin->cid, cid), type, l->wants_names ? pin->name : ""));
    l->has_any = true;
    bool is_due = l->page.len >= PAGE_BYTES || task_now_ms(t) - l->sent_ms >= PAGE_MS;
    return is_due ? send_page(t, l) : OK;
}

static err_t emit_pin(task_t *t, void *arg, const pin_t *pin)
{
    return emit_pin_of_type(t, arg, pin, pin_mode_name(pin->mode));
}

/* A pin that was asked for by name: an indirect one says what reaches it. */
static err_t emit_checked(task_t *t, pin_list_t *l, const pin_check_t *c)
{
    char type[CID_TEXT_MAX + 32], cid[CID_TEXT_MAX];
    if (c->pin.mode != PIN_INDIRECT)
        return emit_pin(t, l, &c->pin);
    snprintf(type, sizeof type, "indirect through %s", rpc_cid(l->r, &c->through, cid));
    return emit_pin_of_type(t, l, &c->pin, type);
}

/* All are looked up together, before any is told. */
static err_t list_checked(task_t *t, pin_list_t *l, unsigned modes, pin_check_t *checks)
{
    rpc_t *r = l->r;
    for (size_t i = 0; i < r->n_args; i++)
        TRY(rpc_resolve_cid(t, r, r->args[i], &checks[i].pin.cid));
    TRY(pins_check(t, repo_pins(node_repo(r->node)), node_local_blocks(r->node), modes, checks, r->n_args));
    for (size_t i = 0; i < r->n_args; i++)
        if (!checks[i].pin.mode)
            return fail(ERR_NOT_FOUND, "path '%s' is not pinned", r->args[i]);
    for (size_t i = 0; i < r->n_args; i++)
        TRY(emit_checked(t, l, &checks[i]));
    return OK;
}

static err_t list_named(task_t *t, pin_list_t *l, unsigned modes)
{
    pin_check_t *checks = xcalloc(l->r->n_args, sizeof *checks);
    err_t e = list_checked(t, l, modes, checks);
    free(checks);
    return e;
}

static err_t list_pins(task_t *t, pin_list_t *l, unsigned modes, const char *name_part)
{
    rpc_t *r = l->r;
    l->sent_ms = task_now_ms(t);
    if (r->n_args)
        TRY(list_named(t, l, modes));
    else
        TRY(pins_each(t, repo_pins(node_repo(r->node)), node_local_blocks(r->node), modes, name_part,
                      emit_pin, l));
    if (!l->streams)
        TRY(buf_append(&l->page, l->has_any ? BYTES_LIT("}}\n") : BYTES_LIT("{}\n")));
    return send_page(t, l);
}

static err_t rpc_pin_ls(task_t *t, rpc_t *r)
{
    const char *type = rpc_option(r, "type"), *part = rpc_option(r, "name");
    pin_mode_t modes = PIN_ANY;
    part = part && *part ? part : NULL;
    TRY(check_name_length(part));
    if (type)
        TRY(pin_mode_parse(type, &modes));
    pin_list_t l = {
        .r = r, .streams = rpc_bool(r, "stream", false), .wants_names = rpc_bool(r, "names", false) || part};
    buf_init(&l.page, PAGE_BYTES + (8 << 10));
    err_t e = list_pins(t, &l, modes, part);
    buf_deinit(&l.page);
    return e;
}

/* ── verify ──────────────────────────────────────────────────────────────────────────────────── */
static err_t emit_verified(task_t *t, void *arg, const pin_t *pin, const pin_bad_t *bad, size_t n_bad)
{
    rpc_t *r = arg;
    char text[CID_TEXT_MAX];
    if (!n_bad && !rpc_bool(r, "verbose", false))
        return OK;
    json_t *o = json_pack("{s:s}", "Cid", rpc_cid(r, &pin->cid, text));
    if (!n_bad)
        json_object_set_new(o, "Ok", json_true());
    if (!n_bad || rpc_bool(r, "quiet", false))
        return rpc_emit(t, r, o);
    json_t *list = json_array();
    for (size_t i = 0; i < n_bad; i++)
        json_array_append_new(list, json_pack("{s:s, s:o}", "Cid", rpc_cid(r, &bad[i].cid, text), "Err",
                                              rpc_bytes_json(bytes_str(bad[i].why))));
    json_object_set_new(o, "BadNodes", list);
    return rpc_emit(t, r, o);
}

static err_t rpc_pin_verify(task_t *t, rpc_t *r)
{
    if (rpc_bool(r, "verbose", false) && rpc_bool(r, "quiet", false))
        return fail(ERR_INVALID, "the --verbose and --quiet options can not be used at the same time");
    return pins_verify(t, repo_pins(node_repo(r->node)), node_local_blocks(r->node), emit_verified, r);
}

const rpc_command_t rpc_pin_commands[] = {
    {"pin/add", rpc_pin_add, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"pin/rm", rpc_pin_rm, 1, RPC_MAX_ARGS, "ipfs-path"},
    {"pin/update", rpc_pin_update, 2, 2, "to-path"},
    {"pin/ls", rpc_pin_ls, 0, RPC_MAX_ARGS, NULL},
    {"pin/verify", rpc_pin_verify, 0, 0, NULL},
    {NULL, NULL, 0, 0, NULL},
};
