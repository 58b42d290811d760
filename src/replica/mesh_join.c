#include "replica/mesh_join.h"
#include "base/log.h"
#include "base/net_addr.h"
#include "net/nat.h"
#include "wire/relay.h"
#include <stdio.h>
#include <stdlib.h>

enum { RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 60000 };

typedef struct contact {
    mesh_join_t *join;
    mesh_contact_t face;
    multiaddr_t at; /* without /p2p/ */
} contact_t;

struct mesh_join {
    mesh_join_config_t config;
    group_t group;
    host_listener_t listener;
    size_t n;
    contact_t contacts[MESH_CONTACTS_MAX];
};

/* ── addresses ───────────────────────────────────────────────────────────────────────────────── */
static err_t read_address(const char *text, contact_t *ret)
{
    multiaddr_t full;
    if (strlen(text) >= sizeof ret->face.address)
        return fail(ERR_USAGE, "the address of a bootstrap peer is longer than %d characters",
                    MESH_ADDRESS_MAX - 1);
    snprintf(ret->face.address, sizeof ret->face.address, "%s", text);
    if (text[0] != '/') {
        net_addr_t a;
        if (net_addr_parse(text, &a) || !a.port)
            return fail(ERR_USAGE, "\"%s\" is no bootstrap peer: give IP:PORT or a multiaddr", text);
        return multiaddr_from_tcp(a.family, a.ip, a.port, &ret->at);
    }
    if (multiaddr_parse(text, &full))
        return fail(ERR_USAGE, "\"%s\" is no bootstrap peer: give IP:PORT or a multiaddr", text);
    if (multiaddr_peer(&full, &ret->face.peer))
        ret->face.peer.len = 0;
    multiaddr_without_peer(&full, &ret->at);
    return OK;
}

/* ── what is kept ────────────────────────────────────────────────────────────────────────────── */
static err_t recall(task_t *t, contact_t *c)
{
    AUTO(buf_t) value;
    buf_init(&value, PEER_ID_MAX_BYTES);
    err_t e = kv_get(t, c->join->config.state, MESH_JOIN_SPACE, bytes_str(c->face.address), &value);
    if (!e && peer_id_decode(buf_bytes(&value), &c->face.peer))
        c->face.peer.len = 0; /* met anew */
    return e == ERR_NOT_FOUND ? OK : e;
}

err_t mesh_join_forget(task_t *t, kv_t *state, const char *address)
{
    return kv_delete(t, state, MESH_JOIN_SPACE, bytes_str(address));
}

/* ── relays ──────────────────────────────────────────────────────────────────────────────────── */
static void judge(mesh_join_t *j, const peer_id_t *peer)
{
    host_t *h = j->config.host;
    if (!j->config.takes_relays || !peerstore_speaks(host_peerstore(h), peer, RELAY_HOP_PROTOCOL))
        return;
    for (size_t i = 0; i < j->n; i++) {
        multiaddr_t full;
        if (!peer_id_equal(&j->contacts[i].face.peer, peer))
            continue;
        err_t e = multiaddr_with_peer(&j->contacts[i].at, peer, &full);
        if (!e)
            e = host_add_relay(h, &full);
        if (e)
            log_debug("mesh: a member is not taken as relay", LOG_ERR(e));
        return;
    }
}

/* ── meeting ─────────────────────────────────────────────────────────────────────────────────── */
static void tell(contact_t *c)
{
    char id[PEER_ID_TEXT_MAX];
    peer_id_print(&c->face.peer, id);
    if (c->face.is_stranger)
        log_error("mesh: another peer answers at this address than the one that was met there first; it is "
                  "not accepted",
                  LOG_STR("address", c->face.address), LOG_STR("known", id));
    else
        log_info("mesh: met a member for the first time; from now on it alone is accepted at this address",
                 LOG_STR("address", c->face.address), LOG_STR("peer", id));
    if (c->join->config.met)
        c->join->config.met(c->join->config.arg, &c->face);
}

/* Kept before it is told and used: a crash must not forget whom this node has trusted. */
static err_t meet(task_t *t, contact_t *c)
{
    conn_t *conn;
    const mesh_join_config_t *config = &c->join->config;
    TRY(host_meet(t, config->host, &c->at, &conn));
    peer_id_t peer = *conn_peer(conn);
    conn_release(conn);
    TRY(kv_put(t, config->state, MESH_JOIN_SPACE, bytes_str(c->face.address), peer_id_bytes(&peer)));
    c->face.peer = peer;
    c->face.is_new = true;
    tell(c);
    return OK;
}

static err_t reach(task_t *t, contact_t *c)
{
    multiaddr_t full;
    conn_t *conn;
    if (!c->face.peer.len)
        TRY(meet(t, c));
    TRY(multiaddr_with_peer(&c->at, &c->face.peer, &full));
    err_t e = host_connect_addr(t, c->join->config.host, &full, &conn);
    if (e == ERR_CRYPTO && !c->face.is_stranger) {
        c->face.is_stranger = true;
        tell(c);
    }
    TRY(e);
    e = conn_wait_identified(t, conn); /* it may have been before it was known whose address this is */
    conn_release(conn);
    TRY(e);
    judge(c->join, &c->face.peer);
    c->face.is_stranger = false;
    return host_keep_connected(c->join->config.host, &full);
}

static err_t contact_task(task_t *t, void *arg)
{
    contact_t *c = arg;
    for (uint64_t wait_ms = RETRY_FIRST_MS;; wait_ms *= 2) {
        err_t e = reach(t, c);
        if (!e || e == ERR_INVALID) { /* INVALID: the address is this node's own */
            if (e)
                log_info("mesh: a bootstrap address is left out", LOG_STR("address", c->face.address),
                         LOG_ERR(e));
            return OK;
        }
        if (task_check(t))
            return ERR_CANCELED;
        log_debug("mesh: a bootstrap peer is not reached", LOG_STR("address", c->face.address), LOG_ERR(e));
        wait_ms = wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS;
        TRY(task_sleep(t, wait_ms));
    }
}

/* ── news ────────────────────────────────────────────────────────────────────────────────────── */
static void on_identified(void *arg, conn_t *c)
{
    judge(arg, conn_peer(c));
}

static void on_protocols_changed(void *arg, const peer_id_t *peer)
{
    judge(arg, peer);
}

/* ── life ────────────────────────────────────────────────────────────────────────────────────── */
err_t mesh_join_start(task_t *t, const mesh_join_config_t *config, mesh_join_t **ret)
{
    if (config->n_contacts > MESH_CONTACTS_MAX)
        return fail(ERR_LIMIT, "%zu bootstrap peers, more than %d", config->n_contacts, MESH_CONTACTS_MAX);
    mesh_join_t *j = xcalloc(1, sizeof *j);
    j->config = *config;
    group_init(&j->group, host_sched(config->host));
    j->listener =
        (host_listener_t){.identified = on_identified, .protocols_changed = on_protocols_changed, .arg = j};
    host_add_listener(config->host, &j->listener);
    err_t e = OK;
    for (size_t i = 0; i < config->n_contacts && !e; i++) {
        contact_t *c = &j->contacts[i];
        c->join = j;
        e = read_address(config->contacts[i], c);
        if (!e && !c->face.peer.len)
            e = recall(t, c);
        if (!e)
            j->n++;
    }
    for (size_t i = 0; i < j->n && !e; i++)
        e = group_spawn(&j->group, "mesh-contact", contact_task, &j->contacts[i], NULL);
    if (e) {
        mesh_join_close(t, j);
        return e;
    }
    *ret = j;
    return OK;
}

void mesh_join_close(task_t *t, mesh_join_t *j)
{
    if (!j)
        return;
    host_remove_listener(j->config.host, &j->listener);
    group_stop(t, &j->group);
    group_deinit(&j->group);
    free(j);
}

size_t mesh_join_contacts(const mesh_join_t *j, mesh_contact_t *out, size_t cap)
{
    size_t n = 0;
    for (; n < j->n && n < cap; n++) {
        out[n] = j->contacts[n].face;
        out[n].is_connected = out[n].peer.len && host_is_connected(j->config.host, &out[n].peer);
    }
    return n;
}
