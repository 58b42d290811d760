/* fileserver: a node that is a storage node of the file service: the gRPC face of meta/node_service.h
 * (proto/storage.proto, and the health check of proto/health.proto), and what it is configured by. */
#ifndef API_FILESERVER_H
#define API_FILESERVER_H
#include "node/node.h"

typedef struct fileserver_options {
    net_addr_t listen;
    const char
        *advertise; /* "HOST:PORT" for others; NULL: the address listened on, loopback where that is any */
    const char *metadata; /* URL or HOST:PORT; NULL: bootstrap nodes know it */
    const char *api_key;  /* NULL: none */
    const char *zone;     /* NULL: none */
    const char *const *bootstrap;
    size_t n_bootstrap;
    uint64_t orphan_grace_s; /* node_service.h */
    const char *adopt;       /* node_service.h; NULL: none */
    const char *capacity;    /* "10GB"; NULL: what the disk has */
    /* Paths of PEM files. certificate and key NULL: a certificate of its own, made once, kept in the
     * repository. authorities NULL: any certificate is taken, and nodes are known by their fingerprints. */
    const char *tls_certificate, *tls_key, *tls_authorities;
    const char *metadata_authorities; /* of the metadata service's certificate; NULL: those of the system */
} fileserver_options_t;
typedef struct fileserver fileserver_t;
/* The node is borrowed until the stop. ERR_IN_USE, ERR_USAGE, ERR_INVALID: certificates. */
MUST_CHECK err_t fileserver_start(task_t *t, node_t *n, const fileserver_options_t *o, fileserver_t **ret);
net_addr_t fileserver_address(const fileserver_t *f);
const char *fileserver_id(const fileserver_t *f); /* of the storage node */
const uint8_t *fileserver_fingerprint(const fileserver_t *f);
void fileserver_stop(task_t *t, fileserver_t *f); /* NULL is fine */
#endif
