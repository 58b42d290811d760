/* node_memory: what a storage node keeps of its metadata service over restarts: its own key, whose chunks it
 * keeps, the end of the service's log as it last saw it, and since when the service has known nothing of a
 * chunk or a published file. */
#include "base/log.h"
#include "crypto/hash.h"
#include "crypto/key.h"
#include "meta/node_internal.h"
#include "multi/multibase.h"

#define SPACE                                                                                                \
    "fs-service" /* "id", "key" → text; "seen" → number, hash; "incarnation", "compared" → number      \
                  */
#define LEFT "fs-orphans" /* a chunk or a file → seconds since 1970; numbers: 8 bytes, big-endian */
enum { SEEN_BYTES = 8 + CHUNK_ID_BYTES, KEEP_EVERY_MS = 60000, KEY_BYTES = 32, VALUE_MAX = 128 };

static bytes_t name(const char *text)
{
    return bytes_str(text);
}

static void put_u64(uint8_t *out, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(v >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *in)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | in[i];
    return v;
}

/* ── its own key ─────────────────────────────────────────────────────────────────────────────── */
static err_t make_key(task_t *t, node_service_t *s, buf_t *value)
{
    uint8_t raw[KEY_BYTES];
    crypto_random(raw, sizeof raw);
    buf_clear(value);
    err_t e = buf_append(value, bytes_str("dsk_"));
    if (!e)
        e = multibase_encode_raw(MB_BASE64URL, bytes_of(raw, sizeof raw), value);
    secret_wipe(raw, sizeof raw);
    return e ? e : kv_put(t, repo_state(s->repo), SPACE, name("key"), buf_bytes(value));
}

static err_t read_key(task_t *t, node_service_t *s)
{
    buf_t value = {0};
    buf_init(&value, VALUE_MAX);
    err_t e = buf_reserve(&value, VALUE_MAX);
    if (!e)
        e = kv_get(t, repo_state(s->repo), SPACE, name("key"), &value);
    if (e == ERR_NOT_FOUND)
        e = make_key(t, s, &value);
    if (!e && value.len < sizeof s->key) {
        memcpy(s->key, value.data, value.len);
        s->key[value.len] = 0;
    }
    if (value.data)
        secret_wipe(value.data, value.cap);
    buf_deinit(&value);
    return e;
}

void node_key_hash(const node_service_t *s, char out[META_CHUNK_ID_CHARS + 1])
{
    uint8_t hash[32];
    sha256_of(bytes_str(s->key), hash);
    hex_text(bytes_of(hash, sizeof hash), out, META_CHUNK_ID_CHARS + 1);
}

/* ── whose chunks these are ──────────────────────────────────────────────────────────────────── */
static err_t read_text(task_t *t, node_service_t *s, const char *key, char *out, size_t cap)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, VALUE_MAX);
    *out = 0;
    err_t e = kv_get(t, repo_state(s->repo), SPACE, name(key), &value);
    if (!e)
        snprintf(out, cap, "%.*s", (int)value.len, (const char *)value.data);
    return e == ERR_NOT_FOUND ? OK : e;
}

static err_t read_seen(task_t *t, node_service_t *s)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, VALUE_MAX);
    err_t e = kv_get(t, repo_state(s->repo), SPACE, name("seen"), &value);
    if (!e && value.len == SEEN_BYTES) {
        s->seen.seq = get_u64(value.data);
        memcpy(s->seen.hash, value.data + 8, CHUNK_ID_BYTES);
        s->seen.is_known = true;
    }
    return e == ERR_NOT_FOUND ? OK : e;
}

/* ERR_NOT_FOUND: there is none. */
static err_t read_number(task_t *t, node_service_t *s, const char *space, bytes_t key, uint64_t *ret)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, VALUE_MAX);
    TRY(kv_get(t, repo_state(s->repo), space, key, &value));
    if (value.len != 8)
        return fail(ERR_CORRUPT, "a number that was kept in %s is damaged", space);
    *ret = get_u64(value.data);
    return OK;
}

static err_t read_count(task_t *t, node_service_t *s, const char *key, int64_t otherwise, int64_t *ret)
{
    uint64_t number;
    err_t e = read_number(t, s, SPACE, name(key), &number);
    *ret = e ? otherwise : (int64_t)number;
    return e == ERR_NOT_FOUND ? OK : e;
}

err_t node_memory_read(task_t *t, node_service_t *s)
{
    TRY(read_key(t, s));
    TRY(read_text(t, s, "id", s->service_id, sizeof s->service_id));
    TRY(read_count(t, s, "incarnation", 0, &s->incarnation));
    TRY(read_count(t, s, "compared", -1, &s->compared));
    return read_seen(t, s);
}

err_t node_forget_service(task_t *t, node_service_t *s, const char *next)
{
    AUTO(kv_batch_t) batch;
    kv_batch_init(&batch);
    TRY(next ? kv_batch_put(&batch, SPACE, name("id"), bytes_str(next))
             : kv_batch_delete(&batch, SPACE, name("id")));
    TRY(kv_batch_delete(&batch, SPACE, name("seen")));
    TRY(kv_batch_delete(&batch, SPACE, name("incarnation")));
    TRY(kv_batch_delete(&batch, SPACE, name("compared")));
    TRY(kv_batch_delete_prefix(&batch, LEFT, BYTES_NONE));
    TRY(kv_commit(t, repo_state(s->repo), &batch));
    snprintf(s->service_id, sizeof s->service_id, "%s", next ? next : "");
    s->seen = (seen_log_t){0};
    s->incarnation = 0;
    s->compared = -1;
    return OK;
}

err_t node_set_incarnation(task_t *t, node_service_t *s, int64_t incarnation)
{
    AUTO(kv_batch_t) batch;
    uint8_t number[8];
    kv_batch_init(&batch);
    if (incarnation == s->incarnation)
        return OK;
    put_u64(number, (uint64_t)incarnation);
    TRY(kv_batch_put(&batch, SPACE, name("incarnation"), bytes_of(number, sizeof number)));
    TRY(kv_batch_delete_prefix(&batch, LEFT, BYTES_NONE));
    TRY(kv_commit(t, repo_state(s->repo), &batch));
    s->incarnation = incarnation;
    return OK;
}

err_t node_set_compared(task_t *t, node_service_t *s, int64_t incarnation)
{
    uint8_t number[8];
    put_u64(number, (uint64_t)incarnation);
    TRY(kv_put(t, repo_state(s->repo), SPACE, name("compared"), bytes_of(number, sizeof number)));
    s->compared = incarnation;
    return OK;
}

err_t node_check_service(task_t *t, node_service_t *s, const json_t *answer)
{
    const char *id;
    TRY(rest_text(answer, "service_id", &id));
    if (!meta_is_id(id))
        return fail(ERR_PROTOCOL, "the metadata service has no proper id");
    if (!s->service_id[0]) {
        TRY(kv_put(t, repo_state(s->repo), SPACE, name("id"), bytes_str(id)));
        snprintf(s->service_id, sizeof s->service_id, "%s", id);
    }
    return strcmp(s->service_id, id)
               ? fail(ERR_EXISTS,
                      "this is the metadata service %.40s, and the chunks here are of %s: its database is "
                      "another one. Restore the right one, or start this node with --adopt=%.40s",
                      id, s->service_id, id)
               : OK;
}

/* ── the end of its log ──────────────────────────────────────────────────────────────────────── */
err_t node_note_head(task_t *t, node_service_t *s, const json_t *answer)
{
    const json_t *head = json_object_get(answer, "log_head");
    const char *text;
    uint64_t seq;
    chunk_id_t hash;
    uint8_t value[SEEN_BYTES];
    TRY(rest_number(head, "seq", &seq));
    TRY(rest_text(head, "hash", &text));
    TRY(chunk_id_parse(text, &hash));
    bool is_new =
        !s->seen.is_known || seq != s->seen.seq || memcmp(hash.sha256, s->seen.hash, sizeof hash.sha256);
    s->seen.seq = seq;
    memcpy(s->seen.hash, hash.sha256, sizeof hash.sha256);
    s->seen.is_known = true;
    s->seen.is_kept = s->seen.is_kept && !is_new;
    uint64_t now = task_now_ms(t);
    if (s->seen.is_kept || (s->seen.kept_at_ms && now - s->seen.kept_at_ms < KEEP_EVERY_MS))
        return OK;
    put_u64(value, seq);
    memcpy(value + 8, hash.sha256, sizeof hash.sha256);
    TRY(kv_put(t, repo_state(s->repo), SPACE, name("seen"), bytes_of(value, sizeof value)));
    s->seen.kept_at_ms = now;
    s->seen.is_kept = true;
    return OK;
}

json_t *node_seen_json(const node_service_t *s)
{
    char hash[META_CHUNK_ID_CHARS + 1];
    return json_pack("{s:I s:s}", "seq", (json_int_t)s->seen.seq, "hash",
                     hex_text(bytes_of(s->seen.hash, sizeof s->seen.hash), hash, sizeof hash));
}

/* ── what it does not know ───────────────────────────────────────────────────────────────────── */
err_t node_left_find(task_t *t, node_service_t *s, bytes_t what, uint64_t *ret_since_s)
{
    return read_number(t, s, LEFT, what, ret_since_s);
}

err_t node_left_since(task_t *t, node_service_t *s, bytes_t what, uint64_t now_s, uint64_t *ret_since_s)
{
    uint8_t now[8];
    err_t e = node_left_find(t, s, what, ret_since_s);
    if (e != ERR_NOT_FOUND)
        return e;
    put_u64(now, now_s);
    TRY(kv_put(t, repo_state(s->repo), LEFT, what, bytes_of(now, sizeof now)));
    *ret_since_s = now_s;
    return OK;
}

err_t node_left_clear(task_t *t, node_service_t *s, bytes_t what)
{
    return kv_has(t, repo_state(s->repo), LEFT, what) ? kv_delete(t, repo_state(s->repo), LEFT, what) : OK;
}
