#include "dag/dir_editor.h"
#include "dag/dir_hamt.h"
#include "dag/hamt.h"
#include <stdlib.h>

struct dir_editor {
    blocks_t *blocks;
    const import_options_t *options;
    unixfs_t meta;
    bool is_changed;
    dag_ref_t ref;   /* when not changed */
    dir_hamt_t hamt; /* sharded when it has a root; else basic: */
    node_format_t format;
    dir_ent_t **ents; /* by name */
    size_t count, cap;
    uint64_t size; /* by the rule */
    /* sharded: what boxo notes */
    int64_t size_change;
    size_t total_links;
    int64_t at_least; /* a lower bound of the size by the rule; saves counting */
};

bool dir_editor_is_sharded(const dir_editor_t *ed)
{
    return ed->hamt.root != NULL;
}

static uint64_t link_size(const dir_editor_t *ed, bytes_t name, const dag_ref_t *ref)
{
    return directory_link_bytes(ed->options->shard_rule, name, ref);
}

/* ── the basic form ──────────────────────────────────────────────────────────────────────────── */
static size_t index_of(const dir_editor_t *ed, bytes_t name)
{
    size_t low = 0, high = ed->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (bytes_compare(dir_ent_name(ed->ents[middle]), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static dir_ent_t *basic_find(const dir_editor_t *ed, bytes_t name)
{
    size_t i = index_of(ed, name);
    return i < ed->count && bytes_equal(dir_ent_name(ed->ents[i]), name) ? ed->ents[i] : NULL;
}

static void basic_insert_at(dir_editor_t *ed, size_t i, dir_ent_t *e)
{
    if (ed->count == ed->cap) {
        ed->cap = ed->cap ? 2 * ed->cap : 8;
        ed->ents = xrealloc(ed->ents, ed->cap * sizeof *ed->ents);
    }
    memmove(ed->ents + i + 1, ed->ents + i, (ed->count - i) * sizeof *ed->ents);
    ed->ents[i] = e;
    ed->count++;
    ed->size += link_size(ed, dir_ent_name(e), &e->ref);
}

/* A name that stands there several times goes altogether. */
static void basic_remove(dir_editor_t *ed, bytes_t name)
{
    size_t i = index_of(ed, name), end = i;
    while (end < ed->count && bytes_equal(dir_ent_name(ed->ents[end]), name)) {
        ed->size -= link_size(ed, name, &ed->ents[end]->ref);
        free(ed->ents[end++]);
    }
    if (end == i)
        return;
    memmove(ed->ents + i, ed->ents + end, (ed->count - end) * sizeof *ed->ents);
    ed->count -= end - i;
}

static void basic_put(dir_editor_t *ed, bytes_t name, const dag_ref_t *ref)
{
    dir_ent_t *old = basic_find(ed, name);
    if (old && cid_equal(&old->ref.cid, &ref->cid) && old->ref.tsize == ref->tsize)
        return;
    dir_ent_t *fresh = dir_ent_new(name, ref);
    basic_remove(ed, name);
    basic_insert_at(ed, index_of(ed, name), fresh);
    ed->is_changed = true;
}

static void basic_clear(dir_editor_t *ed)
{
    for (size_t i = 0; i < ed->count; i++)
        free(ed->ents[i]);
    free(ed->ents);
    ed->ents = NULL;
    ed->count = ed->cap = 0;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────── */
dir_editor_t *dir_editor_new(blocks_t *blocks, const import_options_t *o, node_format_t format)
{
    dir_editor_t *ed = xcalloc(1, sizeof *ed);
    ed->blocks = blocks;
    ed->options = o;
    ed->format = format;
    ed->meta.type = UNIXFS_DIRECTORY;
    ed->is_changed = true;
    ed->size = directory_data_bytes(o->shard_rule, &ed->meta);
    return ed;
}

void dir_editor_free(dir_editor_t *ed)
{
    if (!ed)
        return;
    basic_clear(ed);
    dir_hamt_deinit(&ed->hamt);
    free(ed);
}

static void read_basic(dir_editor_t *ed, const dag_node_t *dir)
{
    dag_pb_links_t links = dag_pb_links(&dir->pb);
    dag_pb_link_t link;
    while (dag_pb_next_link(&links, &link)) {
        dag_ref_t ref = {.cid = link.cid, .tsize = link.tsize};
        size_t i = ed->count; /* in order already, as a rule */
        if (i && bytes_compare(dir_ent_name(ed->ents[i - 1]), link.name) > 0)
            for (i = index_of(ed, link.name);
                 i < ed->count && bytes_equal(dir_ent_name(ed->ents[i]), link.name);)
                i++;
        basic_insert_at(ed, i, dir_ent_new(link.name, &ref));
    }
}

err_t dir_editor_open(task_t *t, blocks_t *blocks, const import_options_t *o, const dag_node_t *dir,
                      dir_editor_t **ret)
{
    char text[CID_TEXT_MAX];
    if (!dag_node_is_dir(dir))
        return fail(ERR_INVALID, "%s is not a directory", cid_print(&dir->block->cid, text));
    dir_editor_t *ed = dir_editor_new(blocks, o, node_format_of(&dir->block->cid));
    err_t e = OK;
    ed->is_changed = false;
    ed->ref = (dag_ref_t){.cid = dir->block->cid, .tsize = dag_node_tsize(dir)};
    ed->meta.has_mode = dir->fs.has_mode;
    ed->meta.mode = dir->fs.mode;
    ed->meta.has_mtime = dir->fs.has_mtime;
    ed->meta.mtime = dir->fs.mtime;
    ed->size = directory_data_bytes(o->shard_rule, &ed->meta);
    if (dir->fs.type == UNIXFS_DIRECTORY)
        read_basic(ed, dir);
    else
        e = dir_hamt_open(t, &ed->hamt, blocks, dir);
    if (e) {
        dir_editor_free(ed);
        return e;
    }
    dir_editor_forget(ed);
    *ret = ed;
    return OK;
}

void dir_editor_forget(dir_editor_t *ed)
{
    ed->size_change = 0;
    if (dir_editor_is_sharded(ed))
        ed->total_links = dir_hamt_root_links(&ed->hamt);
}

/* ── turning sharded and back ────────────────────────────────────────────────────────────────── */
static bool must_shard(const dir_editor_t *ed, bytes_t name, const dag_ref_t *ref)
{
    const import_options_t *o = ed->options;
    const dir_ent_t *old = basic_find(ed, name);
    uint64_t size = ed->size + link_size(ed, name, ref) - (old ? link_size(ed, name, &old->ref) : 0);
    return directory_is_over(o, old ? 0 : ed->count + 1, size);
}

static err_t shard(task_t *t, dir_editor_t *ed)
{
    dir_hamt_t h;
    err_t e = OK;
    dir_hamt_init(&h, ed->blocks, ed->options->shard_fanout, ed->format);
    for (size_t i = 0; i < ed->count && !e; i++)
        e = dir_hamt_put(t, &h, dir_ent_name(ed->ents[i]), &ed->ents[i]->ref);
    if (e) {
        dir_hamt_deinit(&h);
        return e;
    }
    ed->total_links = ed->count;
    ed->at_least = (int64_t)ed->size;
    ed->size_change = 0;
    basic_clear(ed);
    ed->hamt = h;
    ed->is_changed = true;
    return OK;
}

typedef struct gathering {
    dir_editor_t *basic;
} gathering_t;

static bool gather(void *arg, bytes_t name, const dag_ref_t *ref)
{
    basic_put(((gathering_t *)arg)->basic, name, ref);
    return true;
}

/* Stays sharded when it has more entries than a basic directory may have, change: 1 more, 1 fewer or as many
 * as there are: the count that led here is boxo's, of the links of a loaded root. */
static err_t unshard(task_t *t, dir_editor_t *ed, int change)
{
    size_t max = ed->options->max_directory_links;
    dir_editor_t *basic = dir_editor_new(ed->blocks, ed->options, dir_hamt_format(&ed->hamt));
    gathering_t g = {basic};
    err_t e = dir_hamt_each(t, &ed->hamt, gather, &g);
    if (e || (max && basic->count + (size_t)change > max)) {
        dir_editor_free(basic);
        return e;
    }
    dir_hamt_deinit(&ed->hamt);
    ed->format = basic->format;
    ed->ents = basic->ents;
    ed->count = basic->count;
    ed->cap = basic->cap;
    ed->size = basic->size - directory_data_bytes(ed->options->shard_rule, &basic->meta) +
               directory_data_bytes(ed->options->shard_rule, &ed->meta);
    ed->is_changed = true;
    free(basic);
    return OK;
}

typedef struct counting {
    const dir_editor_t *ed;
    int64_t sum, enough;
} counting_t;

static bool count_entry(void *arg, bytes_t name, const dag_ref_t *ref)
{
    counting_t *c = arg;
    c->sum += (int64_t)link_size(c->ed, name, ref);
    return c->sum <= c->enough;
}

static bool see_entry(void *arg, bytes_t name, const dag_ref_t *ref)
{
    *(bool *)arg = false;
    return false;
}

err_t dir_editor_is_empty(task_t *t, dir_editor_t *ed, bool *ret)
{
    bool is_empty = !ed->count;
    if (dir_editor_is_sharded(ed)) {
        is_empty = true;
        TRY(dir_hamt_each(t, &ed->hamt, see_entry, &is_empty));
    }
    *ret = is_empty;
    return OK;
}

/* Counts to twice the threshold, so that the next changes need not count again, and in any case so far that
 * what goes (change is negative) does not decide by itself. */
static err_t is_below(task_t *t, dir_editor_t *ed, int64_t change, bool *ret)
{
    int64_t threshold = (int64_t)ed->options->shard_threshold;
    if (ed->at_least + change <= threshold) {
        int64_t enough = threshold + (-change > threshold ? -change : threshold);
        counting_t c = {ed, (int64_t)directory_data_bytes(ed->options->shard_rule, &ed->meta), enough};
        TRY(dir_hamt_each(t, &ed->hamt, count_entry, &c));
        ed->at_least = c.sum;
    }
    *ret = ed->at_least + change <= threshold;
    return OK;
}

/* What an old entry counts: boxo has its slot in front of the name. */
static int64_t old_link_size(const dir_editor_t *ed, const dir_ent_t *old)
{
    size_t width = hamt_prefix_len(ed->hamt.fanout);
    int64_t size = (int64_t)link_size(ed, dir_ent_name(old), &old->ref);
    if (ed->options->shard_rule != SHARD_BY_BLOCK)
        return size + (int64_t)width;
    AUTO(buf_t) name = {0};
    buf_init(&name, width + old->name_len);
    static const uint8_t prefix[8] = {0};
    if (buf_append(&name, bytes_of(prefix, width)) || buf_append(&name, dir_ent_name(old)))
        return size;
    return (int64_t)link_size(ed, buf_bytes(&name), &old->ref);
}

/* old, fresh: NULL when there is none. */
static err_t must_unshard(task_t *t, dir_editor_t *ed, const dir_ent_t *old, const dag_ref_t *fresh,
                          bool *ret)
{
    const import_options_t *o = ed->options;
    size_t links = ed->total_links + (fresh != NULL) - (old != NULL);
    bool may = !o->max_directory_links || links <= o->max_directory_links;
    int64_t change = 0;
    *ret = false;
    if (!o->shard_threshold)
        return OK;
    if (o->shard_rule == SHARD_BY_COUNT) {
        *ret = may && o->max_directory_links;
        return OK;
    }
    if (old)
        change -= old_link_size(ed, old);
    if (fresh)
        change += (int64_t)link_size(ed, BYTES_NONE, fresh);
    if (ed->size_change + change >= 0)
        return OK;
    TRY(is_below(t, ed, change, ret));
    *ret = *ret && may;
    return OK;
}

static int64_t plain_size(bytes_t name, const dag_ref_t *ref)
{
    return (int64_t)directory_link_bytes(SHARD_BY_LINKS, name, ref);
}

/* ── entries ─────────────────────────────────────────────────────────────────────────────────── */
err_t dir_editor_find(task_t *t, dir_editor_t *ed, bytes_t name, bool *ret_has, dag_ref_t *ret_ref)
{
    const dir_ent_t *found = NULL;
    if (dir_editor_is_sharded(ed))
        TRY(dir_hamt_find(t, &ed->hamt, name, &found));
    else
        found = basic_find(ed, name);
    *ret_has = found != NULL;
    if (found)
        *ret_ref = found->ref;
    return OK;
}

static err_t sharded_put(task_t *t, dir_editor_t *ed, bytes_t name, const dag_ref_t *ref)
{
    const dir_ent_t *old;
    bool turns_back;
    TRY(dir_hamt_find(t, &ed->hamt, name, &old));
    TRY(must_unshard(t, ed, old, ref, &turns_back));
    if (turns_back)
        TRY(unshard(t, ed, old ? 0 : 1));
    if (!dir_editor_is_sharded(ed)) {
        basic_put(ed, name, ref);
        return OK;
    }
    TRY(dir_hamt_find(t, &ed->hamt, name, &old)); /* counting may have moved it */
    int64_t width = (int64_t)hamt_prefix_len(ed->hamt.fanout), old_plain = 0, old_size = 0;
    bool had = old != NULL,
         is_same = old && cid_equal(&old->ref.cid, &ref->cid) && old->ref.tsize == ref->tsize;
    if (had) {
        old_plain = plain_size(name, &old->ref) + width;
        old_size = (int64_t)link_size(ed, name, &old->ref);
    }
    if (!is_same)
        TRY(dir_hamt_put(t, &ed->hamt, name, ref));
    ed->size_change += plain_size(name, ref) - old_plain;
    ed->at_least += (int64_t)link_size(ed, name, ref) - old_size;
    ed->total_links += !had;
    ed->is_changed |= !is_same;
    return OK;
}

err_t dir_editor_put(task_t *t, dir_editor_t *ed, bytes_t name, const dag_ref_t *ref)
{
    if (!dir_editor_is_sharded(ed) && !must_shard(ed, name, ref)) {
        basic_put(ed, name, ref);
        return OK;
    }
    if (dir_editor_is_sharded(ed))
        return sharded_put(t, ed, name, ref);
    TRY(shard(t, ed));
    bool had;
    dag_ref_t old;
    TRY(dir_editor_find(t, ed, name, &had, &old));
    TRY(dir_hamt_put(t, &ed->hamt, name, ref));
    int64_t width = (int64_t)hamt_prefix_len(ed->hamt.fanout);
    ed->size_change = plain_size(name, ref) - (had ? plain_size(name, &old) + width : 0);
    ed->at_least += (int64_t)link_size(ed, name, ref) - (had ? (int64_t)link_size(ed, name, &old) : 0);
    ed->total_links += !had;
    return OK;
}

err_t dir_editor_remove(task_t *t, dir_editor_t *ed, bytes_t name, bool *ret_had)
{
    const dir_ent_t *old;
    bool turns_back = false;
    if (dir_editor_is_sharded(ed)) {
        TRY(dir_hamt_find(t, &ed->hamt, name, &old));
        *ret_had = old != NULL;
        if (!old)
            return OK;
        TRY(must_unshard(t, ed, old, NULL, &turns_back));
        if (turns_back)
            TRY(unshard(t, ed, -1));
    }
    if (!dir_editor_is_sharded(ed)) {
        *ret_had = basic_find(ed, name) != NULL;
        basic_remove(ed, name);
        ed->is_changed |= *ret_had;
        return OK;
    }
    TRY(dir_hamt_find(t, &ed->hamt, name, &old));
    int64_t plain = plain_size(name, &old->ref) + (int64_t)hamt_prefix_len(ed->hamt.fanout),
            size = (int64_t)link_size(ed, name, &old->ref);
    TRY(dir_hamt_remove(t, &ed->hamt, name));
    ed->size_change -= plain;
    ed->at_least -= size;
    ed->total_links--;
    ed->is_changed = true;
    return OK;
}

err_t dir_editor_replace(task_t *t, dir_editor_t *ed, bytes_t name, const dag_ref_t *ref)
{
    if (!dir_editor_is_sharded(ed)) {
        assert(basic_find(ed, name));
        basic_put(ed, name, ref);
        return OK;
    }
    const dir_ent_t *old;
    TRY(dir_hamt_find(t, &ed->hamt, name, &old));
    assert(old);
    if (cid_equal(&old->ref.cid, &ref->cid) && old->ref.tsize == ref->tsize)
        return OK;
    ed->at_least += (int64_t)link_size(ed, name, ref) - (int64_t)link_size(ed, name, &old->ref);
    ed->is_changed = true;
    return dir_hamt_put(t, &ed->hamt, name, ref);
}

/* ── the directory itself ────────────────────────────────────────────────────────────────────── */
node_format_t dir_editor_format(const dir_editor_t *ed)
{
    return dir_editor_is_sharded(ed) ? dir_hamt_format(&ed->hamt) : ed->format;
}

void dir_editor_set_format(dir_editor_t *ed, node_format_t format)
{
    if (node_format_equal(dir_editor_format(ed), format))
        return;
    ed->format = format;
    if (dir_editor_is_sharded(ed))
        dir_hamt_set_format(&ed->hamt, format);
    ed->is_changed = true;
}

const unixfs_t *dir_editor_meta(const dir_editor_t *ed)
{
    return &ed->meta;
}

void dir_editor_set_meta(dir_editor_t *ed, const unixfs_t *meta)
{
    uint64_t before = directory_data_bytes(ed->options->shard_rule, &ed->meta);
    ed->meta = (unixfs_t){.type = UNIXFS_DIRECTORY,
                          .has_mode = meta->has_mode,
                          .mode = meta->mode,
                          .has_mtime = meta->has_mtime,
                          .mtime = meta->mtime};
    ed->size = ed->size - before + directory_data_bytes(ed->options->shard_rule, &ed->meta);
    ed->is_changed = true;
    dir_editor_forget(ed);
}

bool dir_editor_is_changed(const dir_editor_t *ed)
{
    return ed->is_changed;
}

void dir_editor_mark_changed(dir_editor_t *ed)
{
    ed->is_changed = true;
    if (dir_editor_is_sharded(ed))
        dir_hamt_mark_changed(&ed->hamt);
}

static err_t write_basic(task_t *t, dir_editor_t *ed, node_writer_t *nw, dag_ref_t *ret_ref)
{
    dir_item_t *items = xcalloc(ed->count + 1, sizeof *items);
    for (size_t i = 0; i < ed->count; i++)
        items[i] = (dir_item_t){.name = dir_ent_name(ed->ents[i]), .ref = &ed->ents[i]->ref};
    err_t e = directory_write_basic(t, nw, items, ed->count, &ed->meta, ret_ref);
    free(items);
    return e;
}

err_t dir_editor_write(task_t *t, dir_editor_t *ed, put_queue_t *queue, dag_ref_t *ret_ref)
{
    if (!ed->is_changed) {
        *ret_ref = ed->ref;
        return OK;
    }
    node_format_t otherwise = {1, MH_SHA2_256};
    import_options_t o = node_format_options(ed->format, otherwise);
    node_writer_t nw;
    node_writer_init(&nw, &o, queue);
    err_t e = dir_editor_is_sharded(ed)
                  ? dir_hamt_write(t, &ed->hamt, &nw, &o, otherwise, &ed->meta, &ed->ref)
                  : write_basic(t, ed, &nw, &ed->ref);
    node_writer_deinit(&nw);
    TRY(e);
    ed->is_changed = false;
    *ret_ref = ed->ref;
    return OK;
}

size_t dir_editor_loaded(const dir_editor_t *ed)
{
    return dir_editor_is_sharded(ed) ? ed->hamt.loaded : ed->count;
}

void dir_editor_trim(dir_editor_t *ed)
{
    if (dir_editor_is_sharded(ed))
        dir_hamt_trim(&ed->hamt);
}
