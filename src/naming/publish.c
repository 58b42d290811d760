/* Publishing: own records, their sequence, sending them out again. */
#include "base/log.h"
#include "naming/content_path.h"
#include "naming/naming_impl.h"
#include <stdlib.h>

/* Both: key the binary peer ID, value the record. */
static const char SPACE[] = "ipns";           /* published here */
static const char KEPT_SPACE[] = "ipns-kept"; /* signed elsewhere */
enum {
    PREVIOUS_TIMEOUT_MS = 30 * 1000, /* of asking the DHT for the last record before the first publication */
    FIRST_REPUBLISH_MS = 60 * 1000,
    RETRY_MS = 5 * 60 * 1000,
    UNSENT_MS = 60 * 1000,
    PUBLIC_KEY_RECORD_MAX = PUBLIC_KEY_MAX_BYTES + 16
};

void naming_publish_default(naming_publish_t *ret)
{
    *ret = (naming_publish_t){.lifetime_ms = NAMING_LIFETIME_MS, .ttl_ms = NAMING_TTL_MS};
}

/* ── own records ─────────────────────────────────────────────────────────────────────────────── */
err_t own_record_get(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out)
{
    return kv_get(t, n->config.state, SPACE, peer_id_bytes(name), out);
}

err_t own_record_put(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    return kv_put(t, n->config.state, SPACE, peer_id_bytes(name), record);
}

/* The record that the next one must beat; empty when none is known. */
static err_t previous_record(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out)
{
    AUTO(buf_t) kept;
    buf_init(&kept, NAMING_RECORD_MAX_BYTES);
    err_t e = own_record_get(t, n, name, out), e_kept = kept_record_get(t, n, name, &kept);
    if ((e && e != ERR_NOT_FOUND) || (e_kept && e_kept != ERR_NOT_FOUND))
        return e && e != ERR_NOT_FOUND ? e : e_kept;
    if (!e_kept && (e || ipns_record_compare(buf_bytes(&kept), buf_bytes(out)) < 0)) {
        buf_clear(out);
        return buf_append(out, buf_bytes(&kept));
    }
    if (!e || !n->routing)
        return OK;
    naming_options_t o;
    naming_options_default(&o);
    o.dht_timeout_ms = PREVIOUS_TIMEOUT_MS;
    e = naming_get_record(t, n, name, &o, out);
    return e == ERR_CANCELED ? e : OK;
}

static err_t next_sequence(bytes_t previous, const char *value, const naming_publish_t *o, uint64_t *ret)
{
    ipns_record_t r;
    char *before = NULL;
    *ret = o->has_sequence ? o->sequence : 0;
    if (!previous.len || ipns_record_decode(previous, &r))
        return OK;
    uint64_t current = r.signed_fields.sequence;
    if (o->has_sequence && o->sequence <= current)
        return fail(ERR_INVALID, "sequence number must be greater than the current record sequence");
    if (o->has_sequence)
        return OK;
    bool is_same = !record_path(&r, &before) && !strcmp(before, value);
    free(before);
    *ret = is_same ? current : current + 1;
    return OK;
}

/* What is published, and under which condition. */
typedef struct edition {
    const char *value;
    const naming_publish_t *options;
    bytes_t only_after; /* republishing: this must still be the newest record of ours; else nothing is done */
} edition_t;

/* Leaves ret_record empty when the condition does not hold. */
static err_t sign_next(task_t *t, naming_t *n, const private_key_t *key, const peer_id_t *name,
                       const edition_t *edition, buf_t *ret_record)
{
    const naming_publish_t *o = edition->options;
    AUTO(buf_t) previous;
    buf_init(&previous, NAMING_RECORD_MAX_BYTES);
    uint64_t end_ms = driver_wall_ms(sched_driver(n->sched));
    end_ms = o->lifetime_ms < UINT64_MAX / 2 ? end_ms + o->lifetime_ms : end_ms;
    ipns_new_t fields = {.value = bytes_str(edition->value),
                         .ttl_ns =
                             o->ttl_ms < IPNS_TTL_MAX_NS / 1000000 ? o->ttl_ms * 1000000 : IPNS_TTL_MAX_NS,
                         .end_s = (int64_t)(end_ms / 1000),
                         .end_ns = (uint32_t)(end_ms % 1000) * 1000000,
                         .is_v2_only = o->is_v2_only};
    TRY(previous_record(t, n, name, &previous));
    if (edition->only_after.len && !bytes_equal(buf_bytes(&previous), edition->only_after))
        return OK;
    TRY(next_sequence(buf_bytes(&previous), edition->value, o, &fields.sequence));
    TRY(ipns_record_create(key, &fields, ret_record));
    return own_record_put(t, n, name, buf_bytes(ret_record));
}

/* ── sending out ─────────────────────────────────────────────────────────────────────────────── */
/* The key of a name that is a hash can be asked for besides; its record holds it, too. */
static err_t put_public_key(task_t *t, naming_t *n, const private_key_t *key, const peer_id_t *name)
{
    AUTO(buf_t) encoded;
    uint8_t at[PEER_ID_MAX_BYTES + 4] = "/pk/";
    buf_init(&encoded, PUBLIC_KEY_RECORD_MAX);
    memcpy(at + 4, name->data, name->len);
    TRY(public_key_encode(private_key_public(key), &encoded));
    return routing_put_value(t, n->routing, bytes_of(at, 4u + name->len), buf_bytes(&encoded));
}

static err_t put_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    uint8_t key[NAME_KEY_MAX_BYTES];
    return routing_put_value(t, n->routing, bytes_of(key, name_key(name, key)), record);
}

static err_t delegate_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    uint8_t key[NAME_KEY_MAX_BYTES];
    return routing_publish_value(t, n->routing, bytes_of(key, name_key(name, key)), record);
}

static err_t send_out(task_t *t, naming_t *n, const private_key_t *key, const peer_id_t *name, bytes_t record)
{
    public_key_t *inner = xcalloc(1, sizeof *inner);
    bool is_hash = peer_id_public_key(name, inner) != OK;
    free(inner);
    TRY(put_record(t, n, name, record));
    if (is_hash && put_public_key(t, n, key, name))
        log_debug("the public key of a name was not taken");
    return task_check(t);
}

/* Was the record kept, and there was nobody to give it to? */
static bool is_alone(const naming_t *n, err_t e)
{
    return (e == ERR_NOT_FOUND || e == ERR_UNREACHABLE) && !routing_table_size(n->routing);
}

/* Two that publish a name at once get their numbers one after the other, and then send side by side. */
static err_t publish(task_t *t, naming_t *n, const private_key_t *key, const edition_t *edition)
{
    peer_id_t name;
    char text[PEER_ID_TEXT_MAX];
    AUTO(buf_t) record;
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    TRY(peer_id_of(private_key_public(key), &name));
    TRY(gate_enter(t, &n->publishing));
    err_t e = sign_next(t, n, key, &name, edition, &record);
    gate_leave(&n->publishing);
    name_cache_drop(&n->cache, name_print(&name, text));
    if (e || !record.len || !n->routing)
        return e;
    followed_publish(t, n, &name, buf_bytes(&record));
    e = edition->options->is_delegated ? delegate_record(t, n, &name, buf_bytes(&record))
                                       : send_out(t, n, key, &name, buf_bytes(&record));
    if (!e || e == ERR_CANCELED || e == ERR_TIMEOUT || edition->only_after.len)
        return e;
    if (edition->options->is_delegated || (!edition->options->is_local && !is_alone(n, e)))
        return e;
    n->has_unsent = true;
    event_fire(&n->unsent);
    return OK;
}

err_t naming_publish(task_t *t, naming_t *n, const private_key_t *key, const char *value,
                     const naming_publish_t *options)
{
    naming_publish_t o;
    content_path_t path;
    naming_publish_default(&o);
    o = options ? *options : o;
    if (!n->routing && !o.is_local)
        return fail(ERR_OFFLINE, "can't publish while offline: pass `--allow-offline` to override or "
                                 "`--allow-delegated` if Ipns.DelegatedPublishers are set up");
    TRY(content_path_split(bytes_str(value), &path));
    edition_t edition = {.value = value, .options = &o};
    return publish(t, n, key, &edition);
}

err_t kept_record_get(task_t *t, naming_t *n, const peer_id_t *name, buf_t *out)
{
    return kv_get(t, n->config.state, KEPT_SPACE, peer_id_bytes(name), out);
}

static err_t keep_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    ipns_record_t r;
    AUTO(buf_t) known;
    buf_init(&known, NAMING_RECORD_MAX_BYTES);
    uint64_t wall_ms = driver_wall_ms(sched_driver(n->sched));
    TRY(ipns_record_validate(record, name, wall_ms, &r));
    if (!kept_record_get(t, n, name, &known) && ipns_record_compare(buf_bytes(&known), record) < 0 &&
        !ipns_record_validate(buf_bytes(&known), name, wall_ms, &r))
        return fail(ERR_EXISTS, "a better record of this name is known");
    return kv_put(t, n->config.state, KEPT_SPACE, peer_id_bytes(name), record);
}

err_t naming_put_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    char text[PEER_ID_TEXT_MAX];
    name_cache_drop(&n->cache, name_print(name, text));
    if (!n->routing)
        return keep_record(t, n, name, record);
    followed_publish(t, n, name, record);
    err_t e = put_record(t, n, name, record);
    return e && is_alone(n, e) ? keep_record(t, n, name, record) : e;
}

err_t naming_delegate_record(task_t *t, naming_t *n, const peer_id_t *name, bytes_t record)
{
    char text[PEER_ID_TEXT_MAX];
    name_cache_drop(&n->cache, name_print(name, text));
    return n->routing ? delegate_record(t, n, name, record)
                      : fail(ERR_OFFLINE, "the record goes out through a running node: start one first");
}

err_t naming_disown(task_t *t, naming_t *n, const peer_id_t *name)
{
    char text[PEER_ID_TEXT_MAX];
    name_cache_drop(&n->cache, name_print(name, text));
    return kv_delete(t, n->config.state, SPACE, peer_id_bytes(name));
}

/* ── sending out again ───────────────────────────────────────────────────────────────────────── */
typedef struct republish {
    naming_t *naming;
    err_t result; /* of the last that failed */
    size_t sent;
} republish_t;

static err_t republish_record(task_t *t, naming_t *n, const private_key_t *key, bytes_t record)
{
    ipns_record_t r;
    char *value = NULL;
    TRY(ipns_record_decode(record, &r));
    TRY(record_path(&r, &value));
    naming_publish_t o;
    naming_publish_default(&o);
    uint64_t now_ms = driver_wall_ms(sched_driver(n->sched));
    int64_t left_ms = r.end_s < INT64_MAX / 2000 ? r.end_s * 1000 - (int64_t)now_ms : 0;
    o.lifetime_ms = n->config.lifetime_ms;
    if (left_ms > 0 && (uint64_t)left_ms + 1000 > o.lifetime_ms)
        o.lifetime_ms = (uint64_t)left_ms + 1000; /* what was asked for when it was published stays */
    o.ttl_ms = r.signed_fields.has_ttl ? r.signed_fields.ttl_ns / 1000000 : NAMING_TTL_MS;
    o.is_v2_only = !r.has_v1;
    edition_t edition = {value, &o, record};
    err_t e = publish(t, n, key, &edition);
    free(value);
    return e;
}

static err_t republish_key(task_t *t, republish_t *p, const private_key_t *key)
{
    peer_id_t name;
    char text[PEER_ID_TEXT_MAX];
    AUTO(buf_t) record;
    buf_init(&record, NAMING_RECORD_MAX_BYTES);
    TRY(peer_id_of(private_key_public(key), &name));
    err_t e = own_record_get(t, p->naming, &name, &record);
    if (e == ERR_NOT_FOUND)
        return OK;
    e = e ? e : republish_record(t, p->naming, key, buf_bytes(&record));
    if (e == ERR_CANCELED)
        return e;
    if (e)
        log_debug("an IPNS record was not sent out again", LOG_STR("name", name_print(&name, text)),
                  LOG_ERR(e));
    p->result = e ? e : p->result;
    p->sent += !e;
    return OK;
}

static err_t republish_named(task_t *t, void *arg, const char *name)
{
    republish_t *p = arg;
    AUTO_PTR(private_key_t) key = NULL;
    err_t e = keystore_get(t, p->naming->config.keys, name, &key);
    if (e == ERR_CANCELED)
        return e;
    return e ? OK : republish_key(t, p, key); /* a key that was removed meanwhile, or cannot be read */
}

/* Until it is time, or a little after something was published that nobody could be given. */
static err_t pause(task_t *t, naming_t *n, uint64_t ms)
{
    deadline_t d = deadline_push(t, ms);
    err_t e = n->has_unsent ? OK : event_wait(t, &n->unsent);
    deadline_pop(t, &d);
    if (e)
        return e == ERR_TIMEOUT ? OK : e;
    e = task_sleep(t, ms < UNSENT_MS ? ms : UNSENT_MS);
    n->has_unsent = false;
    return e;
}

err_t republish_task(task_t *t, void *arg)
{
    naming_t *n = arg;
    uint64_t pause_ms =
        n->config.republish_ms < FIRST_REPUBLISH_MS ? n->config.republish_ms : FIRST_REPUBLISH_MS;
    for (;;) {
        TRY(pause(t, n, pause_ms));
        republish_t p = {.naming = n};
        TRY(republish_key(t, &p, n->config.self));
        err_t e = keystore_each(t, n->config.keys, republish_named, &p);
        if (e == ERR_CANCELED)
            return e;
        e = e ? e : p.result;
        if (p.sent)
            log_info("IPNS records sent out again", LOG_INT("records", p.sent));
        pause_ms = e && RETRY_MS < n->config.republish_ms ? RETRY_MS : n->config.republish_ms;
    }
}

/* ── keys ────────────────────────────────────────────────────────────────────────────────────── */
static err_t copy_key(const private_key_t *key, private_key_t **ret)
{
    AUTO(buf_t) encoded;
    buf_init(&encoded, KEYSTORE_KEY_MAX_BYTES);
    err_t e = private_key_encode(key, &encoded);
    if (!e)
        e = private_key_decode(buf_bytes(&encoded), ret);
    secret_wipe(encoded.data, encoded.len);
    return e;
}

typedef struct key_search {
    naming_t *naming;
    peer_id_t wanted;
    private_key_t *found;
} key_search_t;

static err_t match_key(task_t *t, void *arg, const char *name)
{
    key_search_t *s = arg;
    AUTO_PTR(private_key_t) key = NULL;
    if (s->found)
        return OK;
    TRY(keystore_get(t, s->naming->config.keys, name, &key));
    if (!peer_id_matches(&s->wanted, private_key_public(key)))
        return OK;
    s->found = key;
    key = NULL;
    return OK;
}

err_t naming_find_key(task_t *t, naming_t *n, const char *name, private_key_t **ret)
{
    key_search_t s = {.naming = n};
    if (!strcmp(name, "self"))
        return copy_key(n->config.self, ret);
    if (!keystore_check_name(name) && keystore_has(t, n->config.keys, name))
        return keystore_get(t, n->config.keys, name, ret);
    if (peer_id_parse(name, &s.wanted))
        return fail(ERR_NOT_FOUND, "no key by the given name was found");
    if (peer_id_matches(&s.wanted, private_key_public(n->config.self)))
        return copy_key(n->config.self, ret);
    err_t e = keystore_each(t, n->config.keys, match_key, &s);
    if (e)
        private_key_free(s.found);
    TRY(e);
    if (!s.found)
        return fail(ERR_NOT_FOUND, "no key by the given name or PeerID was found");
    *ret = s.found;
    return OK;
}
