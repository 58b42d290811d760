#include "repo/import_kubo.h"
#include "codec/ipld.h"
#include "multi/multibase.h"
#include "repo/config_impl.h"
#include "repo/filestore_url.h"
#include "repo/kubo_state.h"
#include "repo/mfs.h"
#include "repo/pins_impl.h"
#include "repo/repo_impl.h"
#include "store/flat_store.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { READERS = 4, TELL_MS = 200, PIN_BATCH = 256, RECORD_MAX_BYTES = 16 << 10, REFS_WHY_MAX = 256 };
#define SWARM_KEY_MAX_BYTES 4096
#define STATE_COPY "import-kubo.tmp" /* the copy of Kubo's datastore */
#define NEW_MARK                                                                                             \
    "import-kubo.new"     /* the repository was made for an import that has not taken the settings           \
                           */
#define IPNS_SPACE "ipns" /* of naming: key the binary peer ID, value the record */

typedef struct import_run {
    repo_t *repo;
    repo_import_t *import; /* keeps what is taken until it is pinned */
    const kubo_source_t *source;
    const import_kubo_options_t *options;
    import_kubo_result_t result;
    blockstore_t *from;
    blocks_t *to;
    kubo_state_t *state;
    pin_t *batch; /* PIN_BATCH of them */
    size_t n_batch;
    uint64_t refs_left; /* that could not be taken */
    bool lacks_setting; /* the first of them, which refs_why is about */
    char refs_why[REFS_WHY_MAX];
    gate_t telling;
    uint64_t told_ms;
} import_run_t;

/* ── telling ─────────────────────────────────────────────────────────────────────────────────── */
static err_t tell(task_t *t, import_run_t *run, const char *warning)
{
    TRY(gate_enter(t, &run->telling));
    run->told_ms = task_now_ms(t);
    err_t e = run->options->tell ? run->options->tell(t, run->options->arg, &run->result, warning) : OK;
    gate_leave(&run->telling);
    return e;
}

static err_t tell_now_and_then(task_t *t, import_run_t *run)
{
    return task_now_ms(t) - run->told_ms >= TELL_MS ? tell(t, run, NULL) : OK;
}

__attribute__((format(printf, 3, 4))) static err_t warn(task_t *t, import_run_t *run, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    run->result.warnings++;
    return tell(t, run, text);
}

/* ── blocks ──────────────────────────────────────────────────────────────────────────────────── */
static err_t keep_block(task_t *t, import_run_t *run, block_t *block)
{
    TRY(blocks_put_many(t, run->to, &block, 1));
    run->result.blocks++;
    run->result.bytes += block->len;
    return tell_now_and_then(t, run);
}

static err_t pass_bad_block(task_t *t, import_run_t *run, const cid_t *cid, const char *why)
{
    char text[CID_TEXT_MAX];
    run->result.blocks_bad++;
    return warn(t, run, "block %s was not taken: %s", cid_print(cid, text), why);
}

static err_t pass_known_block(task_t *t, import_run_t *run)
{
    run->result.blocks_here++;
    return tell_now_and_then(t, run);
}

static err_t take_block(task_t *t, void *arg, const cid_t *cid, uint64_t size_bytes)
{
    import_run_t *run = arg;
    AUTO_PTR(block_t) block = NULL;
    if (blocks_has(t, run->to, cid))
        return pass_known_block(t, run);
    if (size_bytes > BLOCK_STORED_MAX_BYTES)
        return pass_bad_block(t, run, cid, "it is larger than blocks are here (8 MiB)");
    err_t e = blockstore_get(t, run->from, cid, &block);
    if (e == ERR_NOT_FOUND || e == ERR_CORRUPT)
        return pass_bad_block(t, run, cid, "its file is damaged");
    if (e == ERR_UNSUPPORTED || e == ERR_DENIED || e == ERR_INVALID ||
        e == ERR_IO) /* the disk, too, may be damaged in places */
        return pass_bad_block(t, run, cid, error_text(e));
    return e ? e : keep_block(t, run, block);
}

/* The same of one that is a record of a database. */
static err_t take_record(task_t *t, void *arg, const cid_t *cid, bytes_t data, const char *why)
{
    import_run_t *run = arg;
    AUTO_PTR(block_t) block = NULL;
    if (!cid)
        return warn(t, run, "%s: the blocks that stand there were not taken", why);
    if (blocks_has(t, run->to, cid))
        return pass_known_block(t, run);
    if (why)
        return pass_bad_block(t, run, cid, why);
    err_t e = cid_verify(cid, data);
    if (!e)
        e = block_copy(cid, data, &block);
    return e ? pass_bad_block(t, run, cid, error_text(e)) : keep_block(t, run, block);
}

static err_t take_files_of_blocks(task_t *t, import_run_t *run)
{
    TRY(flat_store_open_read_only(t, kubo_source_flatfs(run->source)->path, &run->from));
    err_t e = blockstore_each_parallel(t, run->from, READERS, take_block, run);
    blockstore_close(t, run->from);
    return e;
}

static err_t take_blocks(task_t *t, import_run_t *run)
{
    run->to = repo_import_blocks(run->import);
    run->result.total_bytes = run->source->block_bytes;
    if (kubo_source_flatfs(run->source))
        TRY(take_files_of_blocks(t, run));
    TRY(kubo_state_each_block(t, run->state, take_record, run));
    return repo_import_sync(t, run->import);
}

/* ── references to files and URLs ────────────────────────────────────────────────────────────── */
/* Kubo's paths begin at the folder that holds its repository. */
static err_t put_ref(task_t *t, import_run_t *run, bytes_t key, bytes_t record)
{
    filestore_ref_t ref;
    AUTO(buf_t) path = {0};
    const char *text, *base = run->source->path;
    size_t len = strlen(base);
    while (len && base[len - 1] == '/')
        len--;
    while (len && base[len - 1] != '/')
        len--;
    buf_init(&path, REPO_PATH_MAX + FILESTORE_PATH_MAX_BYTES);
    TRY(kubo_ref_decode(key, record, &ref));
    bool is_url = filestore_ref_is_url(&ref),
         is_allowed = !filestore_allows(repo_filestore(run->repo), is_url);
    if (!run->refs_left)
        run->lacks_setting = !is_allowed;
    if (is_url)
        len = 0;
    TRY(buf_printf(&path, "%.*s%.*s", (int)len, base, (int)ref.path.len, (const char *)ref.path.data));
    TRY(buf_cstr(&path, &text));
    return repo_import_put_ref(t, run->import, &ref.cid, text, ref.offset, ref.size);
}

static err_t take_ref(task_t *t, void *arg, bytes_t key, bytes_t record)
{
    import_run_t *run = arg;
    err_t e = put_ref(t, run, key, record);
    if (e && e != ERR_CORRUPT && e != ERR_DENIED && e != ERR_INVALID && e != ERR_LIMIT)
        return e;
    if (e && !run->refs_left++)
        snprintf(run->refs_why, sizeof run->refs_why, "%s", error_text(e));
    run->result.refs += !e;
    return tell_now_and_then(t, run);
}

static err_t take_refs(task_t *t, import_run_t *run)
{
    TRY(kubo_state_each(t, run->state, BYTES_LIT(KUBO_FILESTORE_PREFIX), take_ref, run));
    TRY(repo_import_sync(t, run->import));
    if (!run->refs_left)
        return OK;
    return warn(t, run, "%llu blocks that Kubo keeps in your files or at URLs (--nocopy) were not taken: %s",
                (unsigned long long)run->refs_left,
                run->lacks_setting
                    ? "set Experimental.FilestoreEnabled or Experimental.UrlstoreEnabled to true as it is "
                      "in Kubo's config, restart the node, and import again"
                    : run->refs_why);
}

/* ── pins ────────────────────────────────────────────────────────────────────────────────────── */
static err_t save_pins(task_t *t, import_run_t *run)
{
    TRY(pins_add_all_present(t, run->repo->pins, run->batch, run->n_batch));
    run->n_batch = 0;
    return OK;
}

static err_t take_pin(task_t *t, void *arg, bytes_t key, bytes_t record)
{
    import_run_t *run = arg;
    pin_t *pin = &run->batch[run->n_batch], old;
    char text[CID_TEXT_MAX];
    bool has_bad_name;
    err_t e = kubo_pin_decode(record, pin, &has_bad_name);
    if (e)
        return warn(t, run, "a pin was not taken: %s", error_text(e));
    if (has_bad_name)
        TRY(warn(t, run, "the name of the pin of %s was not taken: it is too long or not UTF-8",
                 cid_print(&pin->cid, text)));
    e = pins_find(t, run->repo->pins, &pin->cid, &old);
    if (!e && (old.mode == PIN_RECURSIVE || old.mode == pin->mode)) {
        run->result.pins_here++;
        return OK;
    }
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (!blocks_has(t, run->repo->blocks, &pin->cid))
        TRY(warn(t, run, "%s is pinned, but its block is missing: fetch it with `pin add`",
                 cid_print(&pin->cid, text)));
    run->result.pins++;
    if (++run->n_batch == PIN_BATCH)
        TRY(save_pins(t, run));
    return tell_now_and_then(t, run);
}

static err_t take_pins(task_t *t, import_run_t *run)
{
    run->batch = xcalloc(PIN_BATCH, sizeof *run->batch);
    err_t e = kubo_state_each(t, run->state, BYTES_LIT(KUBO_PINS_PREFIX), take_pin, run);
    if (!e)
        e = save_pins(t, run);
    free(run->batch);
    return e;
}

/* ── keys ────────────────────────────────────────────────────────────────────────────────────── */
typedef struct key_run {
    import_run_t *run;
    keystore_t *from;
} key_run_t;

static bool is_same_key(const private_key_t *a, const private_key_t *b)
{
    peer_id_t ids[2];
    return !peer_id_of(private_key_public(a), &ids[0]) && !peer_id_of(private_key_public(b), &ids[1]) &&
           peer_id_equal(&ids[0], &ids[1]);
}

static err_t take_key(task_t *t, void *arg, const char *name)
{
    key_run_t *k = arg;
    import_run_t *run = k->run;
    AUTO_PTR(private_key_t) key = NULL;
    AUTO_PTR(private_key_t) old = NULL;
    err_t e = keystore_get(t, k->from, name, &key);
    if (e)
        return warn(t, run, "the key \"%s\" was not taken: %s", name, error_text(e));
    e = keystore_put(t, run->repo->keystore, name, key);
    if (e == ERR_EXISTS) {
        TRY(keystore_get(t, run->repo->keystore, name, &old));
        run->result.keys_here += is_same_key(key, old);
        return is_same_key(key, old) ? OK
                                     : warn(t, run,
                                            "the key \"%s\" was not taken: there is another one of that name "
                                            "here, see `key rename`",
                                            name);
    }
    TRY(e);
    run->result.keys++;
    return OK;
}

static err_t take_keys(task_t *t, import_run_t *run)
{
    file_info_t info;
    key_run_t k = {.run = run};
    if (fs_stat(t, run->source->keystore, true, &info)) /* opening would make it */
        return OK;
    TRY(keystore_open(t, run->source->keystore, &k.from));
    err_t e = keystore_each(t, k.from, take_key, &k);
    keystore_close(k.from);
    return e;
}

/* ── names ───────────────────────────────────────────────────────────────────────────────────── */
typedef struct owner_search {
    repo_t *repo;
    const peer_id_t *name;
    bool is_found;
} owner_search_t;

static err_t compare_owner(task_t *t, void *arg, const char *name)
{
    owner_search_t *s = arg;
    AUTO_PTR(private_key_t) key = NULL;
    peer_id_t id;
    TRY(keystore_get(t, s->repo->keystore, name, &key));
    TRY(peer_id_of(private_key_public(key), &id));
    s->is_found |= peer_id_equal(&id, s->name);
    return OK;
}

/* Records of names that this repository has the key of, where it has none yet. */
static err_t take_name(task_t *t, void *arg, bytes_t key, bytes_t record)
{
    import_run_t *run = arg;
    peer_id_t name;
    AUTO(buf_t) raw;
    buf_init(&raw, 128);
    bytes_t text = bytes_slice(key, strlen(KUBO_IPNS_PREFIX), key.len);
    if (multibase_decode_raw(MB_BASE32UPPER, text, &raw) || peer_id_decode(buf_bytes(&raw), &name) ||
        record.len > RECORD_MAX_BYTES)
        return OK;
    owner_search_t s = {.repo = run->repo, .name = &name};
    s.is_found = peer_id_equal(&name, &run->repo->peer_id) ||
                 (run->options->takes_identity && peer_id_equal(&name, &run->source->peer_id));
    if (!s.is_found)
        TRY(keystore_each(t, run->repo->keystore, compare_owner, &s));
    if (!s.is_found || kv_has(t, run->repo->state, IPNS_SPACE, peer_id_bytes(&name)))
        return OK;
    run->result.names++;
    return kv_put(t, run->repo->state, IPNS_SPACE, peer_id_bytes(&name), record);
}

/* ── the tree of files ───────────────────────────────────────────────────────────────────────── */
static err_t count_link(void *arg, const cid_t *link)
{
    ++*(size_t *)arg;
    return OK;
}

static err_t is_empty_tree(task_t *t, import_run_t *run, const cid_t *root, bool *ret)
{
    AUTO_PTR(block_t) block = NULL;
    size_t links = 0;
    TRY(blocks_get(t, run->repo->blocks, root, &block));
    TRY(ipld_links(root->codec, block_bytes(block), count_link, &links));
    *ret = !links;
    return OK;
}

/* Beside what is in ours: /kubo, /kubo-2 …, whichever is free or holds it already. */
static err_t put_tree(task_t *t, import_run_t *run, const cid_t *root)
{
    char path[32] = "/kubo";
    mfs_t *mfs = repo_mfs(run->repo);
    for (unsigned i = 2;; i++) {
        mfs_entry_t entry;
        err_t e = mfs_lookup(t, mfs, NULL, path, &entry);
        if (e == ERR_NOT_FOUND)
            return mfs_put(t, mfs, NULL, path, root, (mfs_put_options_t){.flush = true});
        if (e || cid_equal(&entry.ref.cid, root))
            return e;
        snprintf(path, sizeof path, "/kubo-%u", i);
    }
}

static err_t place_tree(task_t *t, import_run_t *run, const cid_t *root, bool has_entries)
{
    cid_t ours;
    bool is_empty;
    TRY(mfs_root(t, repo_mfs(run->repo), &ours));
    if (cid_equal(&ours, root))
        return OK;
    TRY(is_empty_tree(t, run, &ours, &is_empty));
    if (is_empty) /* tells, too, what is no directory */
        return mfs_set_root(t, repo_mfs(run->repo), root);
    return has_entries ? put_tree(t, run, root) : OK;
}

static err_t take_files(task_t *t, import_run_t *run)
{
    cid_t root;
    bool is_empty = false;
    AUTO(buf_t) value = {0};
    buf_init(&value, CID_BINARY_MAX);
    err_t e = kubo_state_get(t, run->state, BYTES_LIT(KUBO_MFS_ROOT_KEY), &value);
    if (e == ERR_NOT_FOUND)
        return OK;
    if (!e)
        e = cid_decode(buf_bytes(&value), &root);
    if (!e)
        e = is_empty_tree(t, run, &root, &is_empty);
    if (!e)
        e = place_tree(t, run, &root, !is_empty);
    if (e == ERR_NOT_FOUND || e == ERR_INVALID || e == ERR_CORRUPT || e == ERR_UNSUPPORTED || e == ERR_LIMIT)
        return warn(t, run, "the tree of files was not taken: %s", error_text(e));
    run->result.has_files = !e && !is_empty;
    return e;
}

/* ── settings ────────────────────────────────────────────────────────────────────────────────── */
/* Groups that mean the same to both. */
static const char *const settings[] = {
    "API.HTTPHeaders",
    "API.Authorizations",
    "Addresses.API",
    "Addresses.Announce",
    "Addresses.AppendAnnounce",
    "Addresses.Gateway",
    "Addresses.NoAnnounce",
    "Addresses.Swarm",
    "AutoNAT",
    "Bitswap",
    "Bootstrap",
    "DNS.Resolvers",
    "Datastore.GCPeriod",
    "Datastore.StorageGCWatermark",
    "Datastore.StorageMax",
    "Discovery.MDNS",
    "Gateway",
    "Import",
    "Ipns",
    "Peering.Peers",
    "Pinning.RemoteServices",
    "Provide",
    "Pubsub",
    "Reprovider",
    "Routing",
    "Swarm.AddrFilters",
    "Swarm.ConnMgr",
    "Swarm.DisableNatPortMap",
    "Swarm.EnableHolePunching",
    "Swarm.RelayClient",
    "Swarm.RelayService",
    "Swarm.ResourceMgr",
};

static bool is_empty(const json_t *value)
{
    return !value || json_is_null(value) || (json_is_object(value) && !json_object_size(value));
}

/* "auto" stands for what a service of Kubo's makers says at that time. */
static bool has_auto(json_t *value)
{
    size_t i;
    const char *key;
    json_t *item;
    const char *text = json_string_value(value);
    if (text)
        return strcmp(text, "auto") == 0;
    json_array_foreach(value, i, item) if (has_auto(item)) return true;
    json_object_foreach(value, key, item) if (has_auto(item)) return true;
    return false;
}

static err_t take_setting(task_t *t, import_run_t *run, const char *path)
{
    json_t *value = config_json(run->source->config, path);
    if (is_empty(value) || has_auto(value))
        return OK;
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    err_t e =
        text ? repo_config_set(t, run->repo, path, text) : fail(ERR_NO_MEMORY, "no memory for a setting");
    free(text);
    if (e == ERR_INVALID || e == ERR_LIMIT)
        return warn(t, run, "the setting %s was not taken: %s", path, error_text(e));
    TRY(e);
    run->result.settings++;
    return OK;
}

static err_t take_settings(task_t *t, import_run_t *run)
{
    char mark[REPO_PATH_MAX + 64];
    file_info_t info;
    repo_file(run->repo->path, NEW_MARK, mark);
    bool is_new = !fs_stat(t, mark, false, &info);
    for (size_t i = 0; i < ARRAY_LEN(settings) && (is_new || run->options->takes_settings); i++)
        TRY(take_setting(t, run, settings[i]));
    return is_new ? fs_unlink(t, mark) : OK;
}

/* ── identity ────────────────────────────────────────────────────────────────────────────────── */
static err_t take_identity(task_t *t, import_run_t *run)
{
    bool is_ours = peer_id_equal(&run->repo->peer_id, &run->source->peer_id);
    run->result.has_identity = is_ours || run->options->takes_identity;
    return is_ours || !run->options->takes_identity
               ? OK
               : repo_config_set_identity(t, run->repo, run->source->identity);
}

/* The settings count from the first opening on. Nothing: a config as usual. */
static err_t first_config(const kubo_source_t *s, buf_t *ret_text)
{
    static const char *const kinds[] = {"Experimental.FilestoreEnabled", "Experimental.UrlstoreEnabled"};
    AUTO_PTR(config_t) c = NULL;
    bool any = false;
    TRY(config_new(s->identity, NULL, &c));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (config_bool(s->config, kinds[i], false)) {
            TRY(config_set(c, kinds[i], "true"));
            any = true;
        }
    return any ? config_print(c, ret_text) : OK;
}

/* Who was in a private network must not come out of the import in the public one. */
static err_t take_swarm_key(task_t *t, const char *path, const kubo_source_t *s)
{
    char from[REPO_PATH_MAX + 64], to[REPO_PATH_MAX + 64];
    AUTO(buf_t) key;
    buf_init(&key, SWARM_KEY_MAX_BYTES);
    err_t e = fs_read_file(t, repo_file(s->path, "swarm.key", from), SWARM_KEY_MAX_BYTES, &key);
    if (!e)
        e = fs_write_file(t, repo_file(path, "swarm.key", to), 0600, buf_bytes(&key));
    if (key.data)
        secret_wipe(key.data, key.cap);
    return e == ERR_NOT_FOUND ? OK : e;
}

/* The file `version`, which makes it a repository, comes last: whoever is interrupted before begins anew. */
err_t import_kubo_init(task_t *t, const char *path, const kubo_source_t *s)
{
    char mark[REPO_PATH_MAX + 64];
    AUTO(buf_t) config = {0};
    buf_init(&config, CONFIG_MAX_BYTES);
    err_t e = repo_check(t, path);
    if (e != ERR_NOT_FOUND)
        return e ? e : fail(ERR_EXISTS, "there is a repository in %s already", path);
    TRY(fs_mkdirs(t, path, 0700));
    TRY(take_swarm_key(t, path, s));
    TRY(fs_write_file(t, repo_file(path, NEW_MARK, mark), 0600, bytes_str(s->path)));
    TRY(first_config(s, &config));
    return repo_init_from(t, path, NULL, s->identity, buf_bytes(&config));
}

/* ── all of it ───────────────────────────────────────────────────────────────────────────────── */
static err_t take_state(task_t *t, import_run_t *run)
{
    TRY(take_pins(t, run));
    TRY(take_files(t, run));
    TRY(take_keys(t, run));
    TRY(take_identity(t, run));
    return kubo_state_each(t, run->state, BYTES_LIT(KUBO_IPNS_PREFIX), take_name, run);
}

static err_t open_state(task_t *t, import_run_t *run, const char *copy)
{
    const char *damage;
    size_t at = 0;
    TRY(kubo_state_open(t, run->source, copy, &run->state));
    while ((damage = kubo_state_damage(run->state, &at)))
        TRY(warn(t, run, "%s", damage));
    return OK;
}

static err_t take_all(task_t *t, import_run_t *run)
{
    char copy[REPO_PATH_MAX + 64];
    repo_file(run->repo->path, STATE_COPY, copy);
    run->import = repo_import_begin(run->repo);
    err_t e = take_settings(t, run);
    if (!e) /* before the blocks: what cannot be read here is better known soon */
        e = open_state(t, run, copy);
    if (!e)
        e = take_blocks(t, run);
    if (!e)
        e = take_refs(t, run);
    if (!e)
        e = take_state(t, run);
    error_slot_t saved = *error_slot();
    kubo_state_close(t, run->state);
    repo_import_end(run->import);
    task_shield(t);
    (void)!fs_remove_tree(t, copy);
    task_unshield(t);
    *error_slot() = saved;
    return e;
}

err_t import_kubo(task_t *t, repo_t *r, const kubo_source_t *s, const import_kubo_options_t *o,
                  import_kubo_result_t *ret)
{
    import_run_t run = {.repo = r, .source = s, .options = o};
    gate_init(&run.telling, 1);
    TRY(take_all(t, &run));
    TRY(kubo_source_check_idle(t, s));
    TRY(tell(t, &run, NULL));
    *ret = run.result;
    return OK;
}
