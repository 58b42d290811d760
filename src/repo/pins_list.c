/* What needs walks below the pins: indirect ones, and whether all is there. */
#include "dag/dag_walk.h"
#include "repo/pins_impl.h"
#include <stdio.h>
#include <stdlib.h>

static err_t pass_over(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    return e == ERR_NOT_FOUND || e == ERR_CORRUPT || e == ERR_UNSUPPORTED ? OK : e;
}

/* ── listing ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct list_run {
    pins_t *pins;
    unsigned modes;
    const char *name_part;
    cid_filter_t recorded; /* what has a pin of its own, and now and then another: then the record tells */
    dag_walker_t walker;
    const pin_t *root;
    pins_visit_fn visit;
    void *arg;
} list_run_t;

static err_t visit_recorded(task_t *t, void *arg, const pin_t *pin)
{
    list_run_t *run = arg;
    cid_filter_add(&run->recorded, &pin->cid);
    return pin->mode & run->modes ? run->visit(t, run->arg, pin) : OK;
}

static err_t visit_indirect(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    list_run_t *run = arg;
    pin_t pin = {.cid = *cid, .mode = PIN_INDIRECT}, recorded;
    if (cid_equal(cid, &run->root->cid) ||
        (cid_filter_may_have(&run->recorded, cid) && !pins_find(t, run->pins, cid, &recorded)))
        return OK;
    return run->visit(t, run->arg, &pin);
}

static err_t walk_pin(task_t *t, void *arg, const pin_t *pin)
{
    list_run_t *run = arg;
    run->root = pin;
    return dag_walker_run(t, &run->walker, &pin->cid);
}

static err_t each_indirect(task_t *t, list_run_t *run, blocks_t *local)
{
    dag_walker_init(&run->walker, local);
    run->walker.skips_raw = true;
    run->walker.visit = visit_indirect;
    run->walker.missing = pass_over;
    run->walker.arg = run;
    err_t e = pins_each_recorded(t, run->pins, PIN_RECURSIVE, NULL, walk_pin, run);
    dag_walker_deinit(&run->walker);
    return e;
}

err_t pins_each(task_t *t, pins_t *p, blocks_t *local, unsigned modes, const char *name_part,
                pins_visit_fn visit, void *arg)
{
    if (!(modes & PIN_INDIRECT) || name_part) /* indirect pins have no names */
        return pins_each_recorded(t, p, modes & (PIN_RECURSIVE | PIN_DIRECT), name_part, visit, arg);
    list_run_t run = {.pins = p, .modes = modes, .visit = visit, .arg = arg};
    cid_filter_init(&run.recorded);
    err_t e = pins_each_recorded(t, p, PIN_RECURSIVE | PIN_DIRECT, NULL, visit_recorded, &run);
    if (!e)
        e = each_indirect(t, &run, local);
    cid_filter_deinit(&run.recorded);
    return e;
}

/* ── searching ───────────────────────────────────────────────────────────────────────────────── */
typedef struct search {
    dag_walker_t walker;
    map_t wanted; /* codec and multihash -> the last of the checks that ask for it */
    pin_check_t *checks;
    size_t *before; /* of each check: the one before it with the same key, + 1 */
    cid_t through;
} search_t;

static bytes_t search_key(const cid_t *cid, uint8_t out[8 + CID_BINARY_MAX])
{
    memcpy(out, &cid->codec, 8);
    return bytes_of(out, 8 + cid_encode_multihash(cid, out + 8));
}

static err_t want(search_t *s, size_t i)
{
    uint8_t key[8 + CID_BINARY_MAX];
    void *old = NULL;
    TRY(map_put(&s->wanted, search_key(&s->checks[i].pin.cid, key), &s->checks[i], &old));
    s->before[i] = old ? (size_t)((pin_check_t *)old - s->checks) + 1 : 0;
    return OK;
}

static err_t visit_searched(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    search_t *s = arg;
    uint8_t key[8 + CID_BINARY_MAX];
    pin_check_t *c = map_remove(&s->wanted, search_key(cid, key));
    while (c) {
        size_t before = s->before[c - s->checks];
        c->pin.mode = PIN_INDIRECT;
        c->through = s->through;
        c = before ? &s->checks[before - 1] : NULL;
    }
    s->walker.is_stopped = !map_count(&s->wanted);
    return OK;
}

static err_t search_pin(task_t *t, void *arg, const pin_t *pin)
{
    search_t *s = arg;
    s->through = pin->cid;
    TRY(dag_walker_run(t, &s->walker, &pin->cid));
    return map_count(&s->wanted) ? OK : ERR_EXISTS; /* ends the listing */
}

static err_t run_search(task_t *t, pins_t *p, blocks_t *local, search_t *s)
{
    if (!map_count(&s->wanted))
        return OK;
    dag_walker_init(&s->walker, local);
    s->walker.skips_raw = true;
    s->walker.visit = visit_searched;
    s->walker.missing = pass_over;
    s->walker.arg = s;
    err_t e = pins_each_recorded(t, p, PIN_RECURSIVE, NULL, search_pin, s);
    dag_walker_deinit(&s->walker);
    return map_count(&s->wanted) ? e : OK;
}

/* A pin of its own; *ret_is_open: it may still be an indirect one. */
static err_t check_recorded(task_t *t, pins_t *p, unsigned modes, pin_check_t *c, bool *ret_is_open)
{
    pin_t found;
    err_t e = pins_find(t, p, &c->pin.cid, &found);
    *ret_is_open = e == ERR_NOT_FOUND || (!e && !(found.mode & modes) && found.mode == PIN_DIRECT);
    if (e && e != ERR_NOT_FOUND)
        return e;
    c->pin.mode = 0;
    c->pin.name[0] = 0;
    if (!e && found.mode & modes)
        c->pin = found;
    return OK;
}

err_t pins_check(task_t *t, pins_t *p, blocks_t *local, unsigned modes, pin_check_t *checks, size_t n)
{
    search_t s = {.checks = checks, .before = xcalloc(n ? n : 1, sizeof *s.before)};
    map_init(&s.wanted, n ? n : 1);
    err_t e = OK;
    for (size_t i = 0; i < n && !e; i++) {
        bool is_open;
        e = check_recorded(t, p, modes, &checks[i], &is_open);
        if (!e && is_open && modes & PIN_INDIRECT)
            e = want(&s, i);
    }
    if (!e)
        e = run_search(t, p, local, &s);
    map_deinit(&s.wanted);
    free(s.before);
    return e;
}

/* ── verifying ───────────────────────────────────────────────────────────────────────────────── */
typedef struct verify_run {
    pins_t *pins;
    blocks_t *local;
    pins_verify_fn visit;
    void *arg;
    cid_set_t sound; /* all below it is here: what whole pins reach */
    pin_bad_t *bad;
    size_t n_bad;
} verify_run_t;

static err_t visit_sound(task_t *t, void *arg, const cid_t *cid, block_t *block)
{
    return OK;
}

static err_t note_bad(task_t *t, void *arg, const cid_t *cid, err_t e)
{
    verify_run_t *run = arg;
    if (e != ERR_NOT_FOUND && e != ERR_CORRUPT && e != ERR_UNSUPPORTED && e != ERR_IO)
        return e;
    if (run->n_bad == PIN_BAD_MAX)
        return OK;
    pin_bad_t *bad = &run->bad[run->n_bad++];
    bad->cid = *cid;
    snprintf(bad->why, sizeof bad->why, "%s", error_text(e));
    return OK;
}

static err_t verify_pin(task_t *t, void *arg, const pin_t *pin)
{
    verify_run_t *run = arg;
    AUTO(dag_walker_t) w; /* one for each: what lies above a bad block is bad for every pin */
    dag_walker_init(&w, run->local);
    cid_set_init_like(&w.seen, &run->sound);
    w.known = &run->sound;
    w.visit = visit_sound;
    w.missing = note_bad;
    w.arg = run;
    run->n_bad = 0;
    TRY(dag_walker_run(t, &w, &pin->cid));
    pin_t now;
    if (run->n_bad && pins_find(t, run->pins, &pin->cid, &now) == ERR_NOT_FOUND)
        return OK; /* unpinned and collected meanwhile */
    if (!run->n_bad)
        TRY(cid_set_merge(&run->sound, &w.seen));
    return run->visit(t, run->arg, pin, run->bad, run->n_bad);
}

err_t pins_verify(task_t *t, pins_t *p, blocks_t *local, pins_verify_fn visit, void *arg)
{
    verify_run_t run = {.pins = p, .local = local, .visit = visit, .arg = arg};
    run.bad = xcalloc(PIN_BAD_MAX, sizeof *run.bad);
    cid_set_init(&run.sound);
    err_t e = pins_each_recorded(t, p, PIN_RECURSIVE, NULL, verify_pin, &run);
    cid_set_deinit(&run.sound);
    free(run.bad);
    return e;
}
