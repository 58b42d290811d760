#include "task/driver.h"
#include "vault/internal.h"
#include "vault/key_file.h"
#include <stdio.h>
#include <stdlib.h>

enum { OLD_FILES_MAX = 1000 };

vault_t *vault_new(const char *key_path, kv_t *state)
{
    vault_t *v = xcalloc(1, sizeof *v);
    v->key_path = xstrdup(key_path);
    v->state = state;
    gate_init(&v->gate, 1);
    return v;
}

void vault_lock(vault_t *v)
{
    vault_keys_free(v->keys);
    v->keys = NULL;
}

void vault_free(vault_t *v)
{
    if (!v)
        return;
    vault_lock(v);
    free(v->key_path);
    free(v);
}

/* ── the key file ────────────────────────────────────────────────────────────────────────────── */
/* Key files take a second of Argon2id: on a worker. */
typedef struct job {
    bool is_encoding;
    bytes_t in, passphrase;
    const vault_keys_t *from;
    buf_t *out;
    vault_keys_t *keys;
    err_t result;
} job_t;

static void run_job(void *arg)
{
    job_t *j = arg;
    j->result = j->is_encoding ? key_file_encode(j->from, j->passphrase, j->out)
                               : key_file_decode(j->in, j->passphrase, &j->keys);
}

static err_t decode_file(task_t *t, bytes_t in, bytes_t passphrase, vault_keys_t **ret)
{
    job_t j = {.in = in, .passphrase = passphrase};
    work(t, run_job, &j);
    TRY(j.result);
    *ret = j.keys;
    return OK;
}

static err_t encode_file(task_t *t, const vault_keys_t *k, bytes_t passphrase, buf_t *out)
{
    job_t j = {.is_encoding = true, .from = k, .passphrase = passphrase, .out = out};
    work(t, run_job, &j);
    return j.result;
}

/* The file as it is. Without a passphrase it holds secrets: wipe it. */
static err_t read_file(task_t *t, vault_t *v, buf_t *out)
{
    file_info_t info;
    err_t e = fs_stat(t, v->key_path, true, &info);
    if (e == ERR_NOT_FOUND)
        return fail(e, "no key file at %s: store a file, or import the key", v->key_path);
    TRY(e);
    if (info.mode & 077)
        return fail(ERR_DENIED, "others may read or change the key file %s (mode %03o): chmod 600 it",
                    v->key_path, info.mode & 0777);
    TRY(buf_reserve(out, KEY_FILE_MAX_BYTES));
    return fs_read_file(t, v->key_path, KEY_FILE_MAX_BYTES, out);
}

static err_t write_file(task_t *t, vault_t *v, const vault_keys_t *k, bytes_t passphrase)
{
    AUTO(buf_t) file;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    TRY(buf_reserve(&file, KEY_FILE_MAX_BYTES));
    err_t e = encode_file(t, k, passphrase, &file);
    if (!e)
        e = fs_write_file(t, v->key_path, 0600, buf_bytes(&file));
    buf_wipe(&file);
    return e;
}

/* With the gate held. */
static err_t load(task_t *t, vault_t *v, bytes_t passphrase)
{
    AUTO(buf_t) file;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    if (v->keys)
        return OK;
    err_t e = read_file(t, v, &file);
    vault_keys_t *keys = NULL;
    if (!e)
        e = decode_file(t, buf_bytes(&file), passphrase, &keys);
    buf_wipe(&file);
    if (!e) {
        vault_lock(v);
        v->keys = keys;
    }
    return e;
}

static err_t make(task_t *t, vault_t *v)
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    TRY(vault_keys_new(NULL, 1, &keys));
    TRY(write_file(t, v, keys, BYTES_NONE));
    v->keys = keys;
    keys = NULL;
    return OK;
}

static err_t load_or_make(task_t *t, vault_t *v, bytes_t passphrase, bool may_make, bool *ret_is_new)
{
    TRY(gate_enter(t, &v->gate));
    err_t e = load(t, v, passphrase);
    *ret_is_new = e == ERR_NOT_FOUND && may_make;
    if (*ret_is_new)
        e = make(t, v);
    gate_leave(&v->gate);
    return e;
}

err_t vault_need_keys(task_t *t, vault_t *v, bool may_make, vault_keys_t **ret)
{
    bool is_new;
    if (!v)
        return fail(ERR_UNAUTHORIZED, "without a key file only links of the form CID#key can be read");
    TRY(load_or_make(t, v, BYTES_NONE, may_make, &is_new));
    *ret = vault_keys_ref(v->keys);
    return OK;
}

err_t vault_key_ensure(task_t *t, vault_t *v, bool *ret_is_new)
{
    bool is_new;
    TRY(load_or_make(t, v, BYTES_NONE, true, &is_new));
    if (ret_is_new)
        *ret_is_new = is_new;
    return OK;
}

err_t vault_unlock(task_t *t, vault_t *v, bytes_t passphrase)
{
    bool is_new;
    return load_or_make(t, v, passphrase, false, &is_new);
}

err_t vault_key_info(task_t *t, vault_t *v, vault_key_info_t *ret)
{
    vault_key_info_t info = {.is_unlocked = v->keys != NULL};
    AUTO(buf_t) file;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    err_t e = read_file(t, v, &file);
    info.exists = e != ERR_NOT_FOUND;
    if (!e)
        e = key_file_look(buf_bytes(&file), &info.has_passphrase);
    buf_wipe(&file);
    if (info.exists)
        TRY(e);
    if (info.exists && !info.has_passphrase) {
        AUTO_PTR(vault_keys_t) keys = NULL;
        TRY(vault_need_keys(t, v, false, &keys));
        info.is_unlocked = true;
    }
    if (v->keys) {
        info.owner = v->keys->owner;
        info.epochs = v->keys->n_epochs;
    }
    *ret = info;
    return OK;
}

/* ── changes ─────────────────────────────────────────────────────────────────────────────────── */
/* The keys are looked at with the gate held: those from before a rotation would take its epoch off the disk,
 * and with it what is stored from then on. */
err_t vault_key_set_passphrase(task_t *t, vault_t *v, bytes_t passphrase)
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    TRY(gate_enter(t, &v->gate));
    err_t e = load(t, v, BYTES_NONE);
    if (!e) {
        keys = vault_keys_ref(v->keys);
        e = write_file(t, v, keys, passphrase);
    }
    gate_leave(&v->gate);
    return e;
}

/* With the gate held. The file is written under the passphrase that opens it now. */
static err_t rotate(task_t *t, vault_t *v, bytes_t passphrase)
{
    AUTO(buf_t) file;
    AUTO_PTR(vault_keys_t) now = NULL;
    AUTO_PTR(vault_keys_t) next = NULL;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    err_t e = read_file(t, v, &file);
    if (!e)
        e = decode_file(t, buf_bytes(&file), passphrase, &now);
    buf_wipe(&file);
    TRY(e);
    TRY(vault_keys_rotated(now, &next));
    TRY(write_file(t, v, next, passphrase));
    vault_lock(v);
    v->keys = next;
    next = NULL;
    return OK;
}

err_t vault_key_rotate(task_t *t, vault_t *v, bytes_t passphrase, uint32_t *ret_epochs)
{
    TRY(gate_enter(t, &v->gate));
    err_t e = rotate(t, v, passphrase);
    if (!e)
        *ret_epochs = v->keys->n_epochs;
    gate_leave(&v->gate);
    return e;
}

err_t vault_key_export_words(task_t *t, vault_t *v, buf_t *out)
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    TRY(vault_need_keys(t, v, false, &keys));
    buf_clear(out);
    return key_words_encode(keys, out);
}

err_t vault_key_export_file(task_t *t, vault_t *v, bytes_t passphrase, buf_t *out)
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    TRY(vault_need_keys(t, v, false, &keys));
    buf_clear(out);
    TRY(buf_reserve(out, KEY_FILE_MAX_BYTES));
    return encode_file(t, keys, passphrase, out);
}

static err_t copy_file(task_t *t, const char *from, const char *to)
{
    AUTO(buf_t) file;
    buf_init(&file, KEY_FILE_MAX_BYTES);
    err_t e = buf_reserve(&file, KEY_FILE_MAX_BYTES);
    if (!e)
        e = fs_read_file(t, from, KEY_FILE_MAX_BYTES, &file);
    if (!e)
        e = fs_write_file(t, to, 0600, buf_bytes(&file));
    buf_wipe(&file);
    return e;
}

/* May the key file be replaced, when there is one? A copy is kept: at no time is there none, for a store
 * would make a new key then. */
static err_t set_aside(task_t *t, vault_t *v, bool replace)
{
    file_info_t info;
    char old[4096];
    err_t e = fs_stat(t, v->key_path, false, &info);
    if (e == ERR_NOT_FOUND)
        return OK;
    TRY(e);
    if (!replace)
        return fail(ERR_EXISTS,
                    "there is a key file at %s already: without it its files cannot be read any more",
                    v->key_path);
    for (int i = 1; i <= OLD_FILES_MAX; i++) {
        int n = snprintf(old, sizeof old, "%s.old-%d", v->key_path, i);
        if (n < 0 || (size_t)n >= sizeof old)
            return fail(ERR_INVALID, "the path of the key file is too long");
        e = fs_stat(t, old, false, &info);
        if (e == ERR_NOT_FOUND)
            return copy_file(t, v->key_path, old);
        TRY(e);
    }
    return fail(ERR_EXISTS, "too many old key files beside %s", v->key_path);
}

static err_t import(task_t *t, vault_t *v, vault_keys_t *keys, bytes_t passphrase, bool replace)
{
    TRY(set_aside(t, v, replace));
    TRY(write_file(t, v, keys, passphrase));
    vault_lock(v);
    v->keys = vault_keys_ref(keys);
    return OK;
}

err_t vault_key_import(task_t *t, vault_t *v, bytes_t exported, bytes_t passphrase, bytes_t new_passphrase,
                       bool replace)
{
    AUTO_PTR(vault_keys_t) keys = NULL;
    bool has_passphrase;
    if (!key_file_look(exported, &has_passphrase))
        TRY(decode_file(t, exported, passphrase, &keys));
    else
        TRY(key_words_decode(exported, &keys));
    TRY(gate_enter(t, &v->gate));
    err_t e = import(t, v, keys, new_passphrase, replace);
    gate_leave(&v->gate);
    return e;
}
