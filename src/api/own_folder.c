#include "api/own_folder.h"
#include "base/log.h"
#include "dag/path.h"
#include "naming/naming.h"
#include <stdlib.h>

enum { FIND_MS = 60000, PUBLISH_AFTER_MS = 1000, RETRY_MS = 60000, LAST_MS = 2000 };
enum { PATH_BYTES_MAX = 16 << 10 };

/* ── what is published ───────────────────────────────────────────────────────────────────────── */
static err_t find_dir(task_t *t, own_folder_t *o, bytes_t path, cid_t *ret)
{
    AUTO(dag_node_t) n = {0};
    dag_path_t *p = xcalloc(1, sizeof *p);
    err_t e = dag_path_parse(path, p);
    if (!e)
        e = dag_path_resolve(t, o->files->session.blocks, p, &n);
    free(p);
    TRY(e);
    if (!dag_node_is_dir(&n))
        return fail(ERR_INVALID, "the node's name leads to a file, not to a folder");
    *ret = n.block->cid;
    return blocks_put_many(t, repo_blocks(node_repo(o->node)), &n.block, 1);
}

/* By the node's own record, without asking peers. */
static err_t published_dir(task_t *t, own_folder_t *o, cid_t *ret, bool *ret_has)
{
    AUTO(naming_answer_t) answer = {0};
    AUTO(buf_t) record, name;
    naming_options_t options;
    naming_t *naming = node_naming(o->node);
    char id[PEER_ID_TEXT_MAX];
    const char *text;
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    buf_init(&name, sizeof id + 8);
    naming_options_default(&options);
    options.is_offline = true;
    err_t e = naming_get_record(t, naming, node_id(o->node), &options, &record);
    *ret_has = !e;
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    TRY(buf_printf(&name, "/ipns/%s", peer_id_print(node_id(o->node), id)));
    TRY(buf_cstr(&name, &text));
    TRY(naming_resolve(t, naming, text, &options, &answer));
    return find_dir(t, o, buf_bytes(&answer.path), ret);
}

static err_t load(task_t *t, own_folder_t *o)
{
    mfs_t *mfs = o->files->mfs;
    cid_t root, sent, now;
    bool has_sent, has, has_now;
    TRY(mfs_durable_root(t, mfs, &now, &has_now));
    TRY(mfs_published(t, mfs, &sent, &has_sent));
    if (has_now && (!has_sent || !cid_equal(&now, &sent)))
        return OK; /* newer than the record */
    TRY(published_dir(t, o, &root, &has));
    if (!has || (has_now && cid_equal(&now, &root)))
        return OK;
    TRY(mfs_set_root(t, mfs, &root));
    TRY(mfs_durable_root(t, mfs, &now, &has_now));
    return has_now ? mfs_note_published(t, mfs, &now) : OK;
}

/* ── publishing ──────────────────────────────────────────────────────────────────────────────── */
static err_t publish(task_t *t, own_folder_t *o)
{
    AUTO(buf_t) path;
    mfs_t *mfs = o->files->mfs;
    naming_publish_t how;
    cid_t root, sent;
    bool has_sent, has;
    char cid[CID_TEXT_MAX];
    const char *text;
    buf_init(&path, PATH_BYTES_MAX);
    TRY(mfs_sync(t, mfs));
    TRY(mfs_published(t, mfs, &sent, &has_sent));
    TRY(mfs_durable_root(t, mfs, &root, &has));
    if (!has || (has_sent && cid_equal(&root, &sent)))
        return OK;
    TRY(buf_printf(&path, "/ipfs/%s", cid_print(&root, cid)));
    TRY(buf_cstr(&path, &text));
    naming_publish_default(&how);
    how.is_local = true;
    TRY(naming_publish(t, node_naming(o->node), repo_identity(node_repo(o->node)), text, &how));
    return mfs_note_published(t, mfs, &root);
}

static err_t publish_changes(task_t *t, void *arg)
{
    own_folder_t *o = arg;
    for (;;) {
        o->seen = o->files->changes;
        err_t e = publish(t, o);
        if (e == ERR_CANCELED)
            return e;
        if (e) {
            log_error("the folder of the node's own name is not published", LOG_ERR(e));
            TRY(task_sleep(t, RETRY_MS));
            continue;
        }
        while (o->seen == o->files->changes)
            TRY(event_wait(t, &o->files->changed));
        TRY(task_sleep(t, PUBLISH_AFTER_MS));
    }
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
err_t own_folder_open(task_t *t, own_folder_t *o, node_t *n, mount_files_t *files)
{
    *o = (own_folder_t){.node = n, .files = files};
    deadline_t d = deadline_push(t, FIND_MS);
    err_t e = load(t, o);
    deadline_pop(t, &d);
    if (!e) {
        group_init(&o->tasks, task_sched(t));
        e = group_spawn(&o->tasks, "mount publishes", publish_changes, o, NULL);
        if (e)
            group_deinit(&o->tasks);
    }
    if (e)
        o->node = NULL;
    return e;
}

void own_folder_close(task_t *t, own_folder_t *o)
{
    if (!o->node)
        return;
    group_stop(t, &o->tasks);
    group_deinit(&o->tasks);
    task_shield(t);
    deadline_t d = deadline_push(t, LAST_MS);
    err_t e = publish(t, o);
    deadline_pop(t, &d);
    if (e) /* what is signed goes out later, what is not the next time */
        log_warn("the last changes of the node's own folder are not published yet", LOG_ERR(e));
    task_unshield(t);
    o->node = NULL;
}
