/* Pins in the state database: space "pins", key the binary CID, value the mode and the name. */
#include "repo/pins.h"
#include "base/utf8.h"
#include "dag/dag_walk.h"
#include "repo/pins_impl.h"
#include <stdlib.h>

pins_t *pins_new(kv_t *state, gc_t *gc)
{
    pins_t *p = xcalloc(1, sizeof *p);
    p->state = state;
    p->gc = gc;
    return p;
}

void pins_free(pins_t *p)
{
    free(p);
}

const char *pin_mode_name(pin_mode_t mode)
{
    return mode == PIN_RECURSIVE  ? "recursive"
           : mode == PIN_DIRECT   ? "direct"
           : mode == PIN_INDIRECT ? "indirect"
                                  : "all";
}

err_t pin_mode_parse(const char *text, pin_mode_t *ret_mode)
{
    static const pin_mode_t modes[] = {PIN_RECURSIVE, PIN_DIRECT, PIN_INDIRECT, PIN_ANY};
    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (strcmp(text, pin_mode_name(modes[i])) == 0) {
            *ret_mode = modes[i];
            return OK;
        }
    return fail(ERR_USAGE, "invalid type '%.40s', must be one of {direct, indirect, recursive, all}", text);
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */
static bytes_t key_of(const cid_t *cid, uint8_t out[CID_BINARY_MAX])
{
    return bytes_of(out, cid_encode(cid, out));
}

static err_t decode(bytes_t key, bytes_t value, pin_t *ret)
{
    pin_t pin = {0};
    if (cid_decode(key, &pin.cid) || value.len < 1 || value.len > 1 + PIN_NAME_MAX_BYTES ||
        (value.data[0] != PIN_RECURSIVE && value.data[0] != PIN_DIRECT))
        return fail(ERR_CORRUPT, "the state database holds a pin that is none");
    pin.mode = value.data[0];
    memcpy(pin.name, value.data + 1, value.len - 1);
    *ret = pin;
    return OK;
}

static err_t check_name(const char *name)
{
    if (strlen(name) > PIN_NAME_MAX_BYTES)
        return fail(ERR_USAGE, "pin name is %zu bytes (max %d bytes)", strlen(name), PIN_NAME_MAX_BYTES);
    if (!utf8_is_valid(bytes_str(name)))
        return fail(ERR_USAGE, "the name of a pin must be UTF-8");
    return OK;
}

err_t pins_find(task_t *t, pins_t *p, const cid_t *cid, pin_t *ret_pin)
{
    uint8_t key[CID_BINARY_MAX];
    char text[CID_TEXT_MAX];
    AUTO(buf_t) value;
    buf_init(&value, 1 + PIN_NAME_MAX_BYTES);
    bytes_t k = key_of(cid, key);
    err_t e = kv_get(t, p->state, PINS_SPACE, k, &value);
    if (e == ERR_NOT_FOUND)
        return fail(e, "path '%s' is not pinned", cid_print(cid, text));
    TRY(e);
    return decode(k, buf_bytes(&value), ret_pin);
}

/* ── adding and removing ─────────────────────────────────────────────────────────────────────── */
/* Before the walk, so that a refusal costs nothing. */
static err_t check_add(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode, const char *name)
{
    char text[CID_TEXT_MAX];
    pin_t old;
    TRY(check_name(name ? name : ""));
    if (mode == PIN_RECURSIVE)
        return OK;
    if (mode != PIN_DIRECT)
        return fail(ERR_USAGE, "a pin is recursive or direct");
    if (!pins_find(t, p, cid, &old) && old.mode == PIN_RECURSIVE)
        return fail(ERR_EXISTS, "%s already pinned recursively", cid_print(cid, text));
    return OK;
}

void pins_batch_init(pins_batch_t *b, pins_t *p)
{
    *b = (pins_batch_t){.pins = p, .hold = gc_hold(p->gc), .losses = blockstore_losses(p->gc->store)};
    kv_batch_init(&b->records);
}

void pins_batch_deinit(pins_batch_t *b)
{
    kv_batch_deinit(&b->records);
    gc_release(&b->hold);
}

static err_t put_record(kv_batch_t *b, const cid_t *cid, pin_mode_t mode, const char *name)
{
    uint8_t key[CID_BINARY_MAX], value[1 + PIN_NAME_MAX_BYTES];
    size_t len = strlen(name);
    value[0] = (uint8_t)mode;
    memcpy(value + 1, name, len);
    return kv_batch_put(b, PINS_SPACE, key_of(cid, key), bytes_of(value, 1 + len));
}

static err_t record(task_t *t, pins_batch_t *b, const cid_t *cid, pin_mode_t mode, const char *name)
{
    name = name ? name : "";
    TRY(check_add(t, b->pins, cid, mode, name));
    gc_touch(b->pins->gc, cid);
    return put_record(&b->records, cid, mode, name);
}

err_t pins_batch_commit(task_t *t, pins_batch_t *b)
{
    /* Blocks that were fetched, or that an add which is still under way has written, may not be durable. */
    TRY(blockstore_sync_since(t, b->pins->gc->store, b->losses));
    return kv_commit(t, b->pins->state, &b->records);
}

err_t pins_add_present(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode, const char *name)
{
    AUTO(pins_batch_t) b;
    pins_batch_init(&b, p);
    TRY(record(t, &b, cid, mode, name));
    return pins_batch_commit(t, &b);
}

err_t pins_add_all_present(task_t *t, pins_t *p, const pin_t *pins, size_t n)
{
    AUTO(pins_batch_t) b;
    pins_batch_init(&b, p);
    for (size_t i = 0; i < n; i++)
        TRY(record(t, &b, &pins[i].cid, pins[i].mode, pins[i].name));
    TRY(blockstore_sync(t, p->gc->store));
    return kv_commit(t, p->state, &b.records);
}

typedef struct pin_walk {
    gc_t *gc;
    pins_progress_fn progress;
    void *arg;
} pin_walk_t;

static err_t visit_added(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    pin_walk_t *w = arg;
    gc_touch(w->gc, cid);
    if (w->progress)
        w->progress(w->arg, cid, block->len);
    return OK;
}

static err_t load_below(task_t *t, pin_walk_t *walk, blocks_t *from, const cid_t *cid, const cid_set_t *known)
{
    AUTO(dag_walker_t) w;
    dag_walker_init(&w, from);
    w.visit = visit_added;
    w.arg = walk;
    w.known = known;
    return dag_walker_run(t, &w, cid);
}

static err_t load(task_t *t, pins_t *p, blocks_t *from, const cid_t *cid, pin_mode_t mode,
                  pins_progress_fn progress, void *arg)
{
    pin_walk_t walk = {p->gc, progress, arg};
    if (mode != PIN_DIRECT)
        return load_below(t, &walk, from, cid, NULL);
    AUTO_PTR(block_t) block = NULL;
    TRY(blocks_get(t, from, cid, &block));
    return visit_added(t, &walk, cid, block);
}

err_t pins_batch_add(task_t *t, pins_batch_t *b, blocks_t *from, const cid_t *cid, pin_mode_t mode,
                     const char *name, pins_progress_fn progress, void *arg)
{
    TRY(check_add(t, b->pins, cid, mode, name));
    TRY(load(t, b->pins, from, cid, mode, progress, arg));
    return record(t, b, cid, mode, name);
}

err_t pins_add(task_t *t, pins_t *p, blocks_t *from, const cid_t *cid, pin_mode_t mode, const char *name,
               pins_progress_fn progress, void *arg)
{
    AUTO(pins_batch_t) b;
    pins_batch_init(&b, p);
    TRY(pins_batch_add(t, &b, from, cid, mode, name, progress, arg));
    return pins_batch_commit(t, &b);
}

err_t pins_add_known(task_t *t, pins_t *p, blocks_t *from, const cid_t *cid, const cid_set_t *known)
{
    pin_walk_t walk = {.gc = p->gc};
    TRY(check_add(t, p, cid, PIN_RECURSIVE, ""));
    AUTO(pins_batch_t) b;
    pins_batch_init(&b, p);
    TRY(load_below(t, &walk, from, cid, known));
    TRY(record(t, &b, cid, PIN_RECURSIVE, ""));
    return pins_batch_commit(t, &b);
}

err_t pins_remove(task_t *t, pins_t *p, const cid_t *cid, pin_mode_t mode)
{
    pin_t old;
    char text[CID_TEXT_MAX];
    uint8_t key[CID_BINARY_MAX];
    err_t e = pins_find(t, p, cid, &old);
    if (e == ERR_NOT_FOUND || (!e && !(old.mode & mode) && old.mode == PIN_DIRECT))
        return fail(ERR_NOT_FOUND, "not pinned or pinned indirectly");
    TRY(e);
    if (!(old.mode & mode))
        return fail(ERR_INVALID, "%s is pinned recursively", cid_print(cid, text));
    p->gc->releases++;
    return kv_delete(t, p->state, PINS_SPACE, key_of(cid, key));
}

/* What the old pin keeps: touched, so that the collector, which may see the pin on neither side of its move,
 * leaves it alone. */
typedef struct kept_walk {
    gc_t *gc;
    bool is_broken; /* something of it is not here: nothing may be taken as known */
} kept_walk_t;

static err_t visit_kept(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    kept_walk_t *k = arg;
    gc_touch(k->gc, cid);
    if (!block && !blocks_has(t, k->gc->blocks, cid))
        k->is_broken = true;
    return OK;
}

static err_t note_broken(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    ((kept_walk_t *)arg)->is_broken = true;
    return e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_UNSUPPORTED ? OK : e;
}

static err_t load_difference(task_t *t, pins_t *p, blocks_t *from, const cid_t *old_cid, const cid_t *new_cid)
{
    kept_walk_t kept = {.gc = p->gc};
    pin_walk_t walk = {p->gc, NULL, NULL};
    AUTO(dag_walker_t) before = {0}, w = {0};
    AUTO_PTR(block_t) root = NULL;
    char text[CID_TEXT_MAX];
    err_t e = blocks_get(t, from, new_cid, &root);
    if (e)
        return fail_also(e, "get %s", cid_print(new_cid, text));
    dag_walker_init(&before, p->gc->blocks);
    before.skips_raw = true;
    before.visit = visit_kept;
    before.missing = note_broken;
    before.arg = &kept;
    TRY(dag_walker_run(t, &before, old_cid));
    dag_walker_init(&w, from);
    w.visit = visit_added;
    w.arg = &walk;
    w.known = kept.is_broken ? NULL : &before.seen;
    return dag_walker_run(t, &w, new_cid);
}

err_t pins_update(task_t *t, pins_t *p, blocks_t *from, const cid_t *old_cid, const cid_t *new_cid,
                  bool keep_old)
{
    pin_t old, new;
    uint8_t old_key[CID_BINARY_MAX];
    err_t e = pins_find(t, p, old_cid, &old);
    if (e == ERR_NOT_FOUND || (!e && old.mode != PIN_RECURSIVE))
        return fail(ERR_NOT_FOUND, "'from' cid was not recursively pinned already");
    TRY(e);
    if (cid_equal(old_cid, new_cid))
        return OK;
    if (!pins_find(t, p, new_cid, &new) && new.mode == PIN_RECURSIVE)
        return fail(ERR_EXISTS, "'to' cid was already recursively pinned");
    AUTO(gc_hold_t) hold = gc_hold(p->gc);
    uint64_t losses = blockstore_losses(p->gc->store);
    TRY(load_difference(t, p, from, old_cid, new_cid));
    TRY(blockstore_sync_since(t, p->gc->store, losses));
    AUTO(kv_batch_t) b;
    kv_batch_init(&b);
    TRY(put_record(&b, new_cid, PIN_RECURSIVE, old.name));
    p->gc->releases += !keep_old;
    if (!keep_old)
        TRY(kv_batch_delete(&b, PINS_SPACE, key_of(old_cid, old_key)));
    return kv_commit(t, p->state, &b);
}

/* ── listing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct list_run {
    unsigned modes;
    const char *name_part;
    pins_visit_fn visit;
    void *arg;
} list_run_t;

static err_t list_record(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    list_run_t *run = arg;
    pin_t pin;
    TRY(decode(key, value, &pin));
    if (!(pin.mode & run->modes) || (run->name_part && !strstr(pin.name, run->name_part)))
        return OK;
    return run->visit(t, run->arg, &pin);
}

err_t pins_each_recorded(task_t *t, pins_t *p, unsigned modes, const char *name_part, pins_visit_fn visit,
                         void *arg)
{
    list_run_t run = {modes, name_part, visit, arg};
    return kv_scan(t, p->state, PINS_SPACE, NULL, list_record, &run);
}

err_t pins_count(task_t *t, pins_t *p, uint64_t *ret_count)
{
    return kv_count(t, p->state, PINS_SPACE, BYTES_NONE, ret_count);
}

/* ── roots ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct roots_run {
    gc_keep_fn keep;
    void *arg;
} roots_run_t;

static err_t keep_pin(task_t *t, void *arg, const pin_t *pin)
{
    roots_run_t *run = arg;
    return run->keep(t, run->arg, &pin->cid, pin->mode == PIN_RECURSIVE);
}

err_t pins_roots(task_t *t, void *pins, gc_keep_fn keep, void *keep_arg)
{
    roots_run_t run = {keep, keep_arg};
    return pins_each_recorded(t, pins, PIN_RECURSIVE | PIN_DIRECT, NULL, keep_pin, &run);
}
