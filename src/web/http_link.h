/* http_link: the connection below a request of HTTP: TCP, TLS to an https host, and either through a proxy,
 * which may have TLS of its own. One task at a time. */
#ifndef WEB_HTTP_LINK_H
#define WEB_HTTP_LINK_H
#include "crypto/tls_client.h"
#include "task/driver.h"
#include "web/url.h"

#define HTTP_LINK_PIECE (16u << 10)
typedef struct http_link {
    stream_t *stream;
    struct http_link_tls {
        tls_client_t *engine;
        uint8_t *scratch; /* HTTP_LINK_PIECE */
    } tls[2];             /* the lower one first */
    size_t n_tls;
    bool asks_proxy; /* it ends at a proxy, which takes whole URLs */
} http_link_t;
/* proxy: NULL: none. authorities: as of http_fetch. Until the task's deadline. Errors of net_dial_name;
 * ERR_CRYPTO: a certificate; ERR_REFUSED: the proxy does not let it through. To be closed in any case. */
MUST_CHECK err_t http_link_open(task_t *t, const url_t *to, const url_t *proxy, bytes_t authorities,
                                http_link_t *ret);
MUST_CHECK err_t http_link_write(task_t *t, http_link_t *l, bytes_t data);
/* OK with 0 at the end. */
MUST_CHECK err_t http_link_read(task_t *t, http_link_t *l, uint8_t *out, size_t cap, size_t *ret_n);
void http_link_close(http_link_t *l); /* idempotent */
#endif
