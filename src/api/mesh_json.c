/* mesh_json: files, members and deletions of the mesh as both faces show them. */
#include "api/mesh_files.h"
#include "api/rpc_util.h"
#include "codec/manifest.h"
#include <stdlib.h>
#include <time.h>

json_t *mesh_time_json(uint64_t wall_ms)
{
    char text[32];
    struct tm tm;
    time_t seconds = (time_t)(wall_ms / 1000);
    if (!wall_ms || !gmtime_r(&seconds, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return json_null();
    return json_string(text);
}

static void set(json_t *o, const char *key, json_t *value)
{
    json_object_set_new(o, key, value);
}

static json_t *number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* UINT64_MAX: never. */
static json_t *ago(uint64_t ms)
{
    return ms == UINT64_MAX ? json_null() : number(ms);
}

static json_t *named(const cid_t *manifest)
{
    char cid[CID_TEXT_MAX], hex[65];
    manifest_print_hex(manifest, hex);
    return json_pack("{s:s, s:s}", "cid", cid_print(manifest, cid), "hash", hex);
}

static json_t *peer_json(const peer_id_t *peer)
{
    char text[PEER_ID_TEXT_MAX];
    return json_string(peer_id_print(peer, text));
}

static void set_content(json_t *o, const char *name, uint64_t size, bool is_folder)
{
    set(o, "name", rpc_bytes_json(bytes_str(name)));
    set(o, "size", number(size));
    set(o, "is_folder", json_boolean(is_folder));
}

json_t *mesh_stored_json(const mesh_stored_t *s)
{
    json_t *o = named(&s->file.manifest);
    set_content(o, s->file.name, s->file.size_bytes, s->file.is_folder);
    set(o, "sealed_size", number(s->file.sealed_bytes));
    set(o, "chunks", number(s->file.chunks));
    set(o, "copies", number(s->copies));
    set(o, "target", number(s->target));
    set(o, "why", json_string(s->why));
    set(o, "is_key_new", json_boolean(s->is_key_new));
    return o;
}

json_t *mesh_listed_json(const vault_listed_t *l)
{
    json_t *o = named(&l->file.manifest);
    set_content(o, l->file.name, l->file.size_bytes, l->file.is_folder);
    set(o, "sealed_size", number(l->file.sealed_bytes));
    set(o, "chunks", number(l->file.chunks));
    set(o, "stored_at", mesh_time_json(l->stored_at_ms));
    set(o, "deleted_at", mesh_time_json(l->deleted_at_ms));
    return o;
}

json_t *mesh_info_json(const vault_info_t *i)
{
    json_t *o = named(&i->manifest);
    set_content(o, i->name, i->size_bytes, i->is_folder);
    set(o, "type", rpc_bytes_json(bytes_str(i->type)));
    set(o, "is_own", json_boolean(i->is_own));
    set(o, "modified_at", mesh_time_json(i->has_mtime && i->mtime_s > 0 ? (uint64_t)i->mtime_s * 1000 : 0));
    return o;
}

json_t *mesh_deletion_json(const cid_t *manifest, const mesh_deletion_t *d)
{
    json_t *o = named(manifest), *receipts = json_array();
    set(o, "holders", number(d->n_holders));
    set(o, "deleted", number(d->n_deleted));
    for (size_t i = 0; i < d->n_holders && i < REPLICA_HOLDERS_MAX; i++) {
        const mesh_receipt_t *r = &d->holders[i];
        json_array_append_new(receipts, json_pack("{s:o, s:b, s:o, s:s}", "peer", peer_json(&r->holder),
                                                  "is_deleted", r->is_deleted, "at", mesh_time_json(r->at_ms),
                                                  "why", r->why ? r->why : ""));
    }
    set(o, "receipts", receipts);
    return o;
}

json_t *mesh_peer_json(const mesh_peer_t *p)
{
    char addr[MULTIADDR_TEXT_MAX] = "";
    if (p->is_connected)
        multiaddr_print(&p->addr, addr);
    json_t *o = json_pack("{s:o, s:s, s:s, s:b, s:b, s:b}", "peer", peer_json(&p->peer), "address", addr,
                          "zone", p->zone, "is_connected", p->is_connected, "is_relayed", p->is_relayed,
                          "is_relay", p->is_relay);
    set(o, "free_bytes", number(p->free_bytes));
    set(o, "held_bytes", number(p->held_bytes));
    set(o, "latency_ms", number(p->latency_ms));
    set(o, "suspicion", json_real(p->phi));
    set(o, "heard_ms_ago", ago(p->heard_ms_ago));
    return o;
}

json_t *mesh_stat_json(node_t *n, const mesh_stat_t *s)
{
    json_t *o = json_pack("{s:o, s:s, s:b}", "peer", peer_json(node_id(n)), "zone", s->zone, "is_catching_up",
                          s->is_catching_up);
    const struct {
        const char *key;
        uint64_t value;
    } rows[] = {
        {"members", s->members},
        {"connected", s->connected},
        {"factor", s->factor},
        {"files", s->files},
        {"files_owned", s->files_owned},
        {"files_below", s->files_below},
        {"files_above", s->files_above},
        {"held_bytes", s->held_bytes},
        {"max_bytes", s->max_bytes},
        {"free_bytes", s->free_bytes},
        {"tombstones", s->tombstones},
        {"tombstones_forged", s->tombstones_forged},
        {"tombstones_foreign", s->tombstones_foreign},
        {"receipts_signed", s->receipts_signed},
        {"receipts_taken", s->receipts_taken},
        {"audits", s->audits},
        {"audits_failed", s->audits_failed},
        {"heals", s->heals},
        {"prunes", s->prunes},
        {"refused_quota", s->refused_quota},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        set(o, rows[i].key, number(rows[i].value));
    set(o, "uptime_s", number((sched_now_ms(node_sched(n)) - node_started_ms(n)) / 1000));
    return o;
}

static json_t *holders_json(const mesh_file_t *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->n_holders; i++) {
        const mesh_holder_t *h = &f->holders[i];
        json_array_append_new(list, json_pack("{s:o, s:s, s:I, s:o, s:b, s:b}", "peer", peer_json(&h->peer),
                                              "zone", h->zone, "latency_ms", (json_int_t)h->latency_ms,
                                              "verified_ms_ago", ago(h->verified_ms_ago), "is_connected",
                                              h->is_connected, "is_self", h->is_self));
    }
    return list;
}

json_t *mesh_file_json(task_t *t, node_t *n, const mesh_file_t *f)
{
    json_t *o = named(&f->manifest);
    vault_listed_t *l = xcalloc(1, sizeof *l);
    bool is_listed = !vault_lookup(t, node_vault(n), &f->manifest, l);
    set_content(o, is_listed ? l->file.name : "", is_listed ? l->file.size_bytes : f->size_bytes,
                is_listed && l->file.is_folder);
    free(l);
    set(o, "sealed_size", number(f->size_bytes));
    set(o, "state", json_string(mesh_file_state_name(f->state)));
    set(o, "why", json_string(f->why));
    set(o, "is_local", json_boolean(f->is_local));
    set(o, "is_owner", json_boolean(f->is_owner));
    set(o, "copies", number(f->n_holders));
    set(o, "target", number(f->factor));
    set(o, "since", mesh_time_json(f->since_ms));
    set(o, "holders", holders_json(f));
    set(o, "receipts", number(f->receipts));
    set(o, "expected_receipts", number(f->expected_receipts));
    return o;
}
