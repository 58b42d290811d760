/* mesh_join: how a node comes into a mesh: by addresses of members. A multiaddr with /p2p/ID names whom to
 * expect. IP:PORT alone is trust on first use: who answers there, secured, is taken for the member, told
 * (`met`), and kept in the state database; from then on nobody else is accepted at that address.
 * A member that offers relaying is used as a relay, unless this node is one itself. */
#ifndef REPLICA_MESH_JOIN_H
#define REPLICA_MESH_JOIN_H
#include "net/host.h"
#include "store/kv.h"

enum { MESH_CONTACTS_MAX = 32, MESH_ADDRESS_MAX = 256 };
#define MESH_JOIN_SPACE "mesh-contacts" /* key: the address as given; value: binary peer ID */

typedef struct mesh_contact {
    char address[MESH_ADDRESS_MAX]; /* as given */
    peer_id_t peer;                 /* len 0: not met yet */
    bool is_new;                    /* met in this run for the first time */
    bool is_connected;
    bool is_stranger; /* another peer answers there now than the one that is known */
} mesh_contact_t;
typedef struct mesh_join mesh_join_t;
typedef struct mesh_join_config {
    host_t *host; /* borrowed, as state */
    kv_t *state;
    const char *const *contacts; /* IP:PORT or multiaddrs; copied */
    size_t n_contacts;
    bool takes_relays;
    /* A contact without an ID was met, or answers as somebody else. Must not wait. May be NULL. */
    void (*met)(void *arg, const mesh_contact_t *c);
    void *arg;
} mesh_join_config_t;
/* Goes on in tasks of its own, with a back-off of 1 s to 1 min. ERR_USAGE: an address that cannot be read;
 * ERR_LIMIT. */
MUST_CHECK err_t mesh_join_start(task_t *t, const mesh_join_config_t *c, mesh_join_t **ret);
void mesh_join_close(task_t *t, mesh_join_t *j); /* NULL is fine; before the host closes */
size_t mesh_join_contacts(const mesh_join_t *j, mesh_contact_t *out, size_t cap);
/* What is known of who answers at this address is forgotten, for the next start. OK when nothing was. */
MUST_CHECK err_t mesh_join_forget(task_t *t, kv_t *state, const char *address);
#endif
