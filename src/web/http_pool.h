/* http_pool: connections that are open behind a whole answer, for the next request to the same place (RFC
 * 9112, 9.3): POOL_LINKS_MAX of them, the one that has been idle longest goes first, and none stays idle for
 * more than POOL_IDLE_MS. One thread. */
#ifndef WEB_HTTP_POOL_H
#define WEB_HTTP_POOL_H
#include "web/http_link.h"

enum { POOL_LINKS_MAX = 16, POOL_IDLE_MS = 10000 };
typedef struct http_pool {
    struct pooled_link {
        char *place; /* owned; NULL: free */
        http_link_t link;
        uint64_t idle_from_ms;
    } links[POOL_LINKS_MAX];
    sched_alarm_t alarm;
    bool has_alarm;
} http_pool_t;

void http_pool_init(http_pool_t *p);
void http_pool_deinit(http_pool_t *p); /* idempotent; closes what is idle */
/* The connection to this place that was used last; false: there is none. It may have ended meanwhile. */
bool http_pool_take(http_pool_t *p, const char *place, http_link_t *ret);
void http_pool_put(task_t *t, http_pool_t *p, const char *place, http_link_t *link); /* takes the link */
#endif
