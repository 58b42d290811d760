#include "base/log.h"
#include "loop/http_internal.h"
#include <stdlib.h>
#include <sys/socket.h>

enum { FIRST_HEAD_MS = 20000, CHECK_MS = 1000 };

typedef struct http_conn {
    list_t node; /* in waiting, while is_waiting */
    struct MHD_Connection *connection;
    http_exchange_t *unstarted; /* its target has come, its head has not */
    uint64_t deadline_ms;
    int fd;
    bool is_waiting, is_ended;
} http_conn_t;

static http_conn_t *conn_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* libmicrohttpd finds the end at its next run; the time-out is for those that it has stopped to look at. */
static void end(http_server_t *s, http_conn_t *c)
{
    if (c->is_ended)
        return;
    c->is_ended = true;
    shutdown(c->fd, SHUT_RDWR);
    MHD_set_connection_option(c->connection, MHD_CONNECTION_OPTION_TIMEOUT, s->idle_timeout_s == 1 ? 2u : 1u);
    sched_post(s->sched, &s->run_again);
}

static void check(void *arg)
{
    http_server_t *s = arg;
    uint64_t now_ms = sched_now_ms(s->sched);
    LIST_EACH (c, &s->conns.waiting, http_conn_t, node) {
        if (c->is_ended)
            sched_post(s->sched, &s->run_again);
        else if (c->deadline_ms <= now_ms ||
                 http_has_left(c->fd)) /* an end that came in one event with bytes */
            end(s, c);
    }
    if (!list_is_empty(&s->conns.waiting))
        alarm_set(&s->conns.check, now_ms + CHECK_MS);
}

void http_conns_init(http_server_t *s, size_t max)
{
    s->conns.max = max;
    list_init(&s->conns.waiting);
    alarm_init(&s->conns.check, s->sched, check, s);
}

void http_conns_deinit(http_server_t *s)
{
    assert(!s->conns.count);
    alarm_clear(&s->conns.check);
}

static void wait_for_head(http_server_t *s, http_conn_t *c, uint64_t timeout_ms)
{
    c->deadline_ms = sched_now_ms(s->sched) + timeout_ms;
    c->is_waiting = true;
    list_push_back(&s->conns.waiting, &c->node);
    if (s->conns.check.heap_index == SIZE_MAX)
        alarm_set(&s->conns.check, sched_now_ms(s->sched) + CHECK_MS);
}

static void stop_waiting(http_conn_t *c)
{
    if (c->is_waiting)
        list_remove(&c->node);
    c->is_waiting = false;
}

static void drop_unstarted(http_conn_t *c)
{
    if (c->unstarted)
        http_exchange_free_when_done(c->unstarted);
    c->unstarted = NULL;
}

/* Several at once, so that a flood is worked off faster than it comes. */
static void make_place(http_server_t *s, const http_conn_t *newcomer)
{
    size_t wanted = 1 + s->conns.max / 16;
    LIST_EACH (c, &s->conns.waiting, http_conn_t, node) {
        if (!wanted)
            break;
        wanted--; /* those that are ending already count, too */
        if (c != newcomer)
            end(s, c);
    }
    log_debug("all connections are taken: those that send no request go");
}

void http_on_connection(void *arg, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what)
{
    http_server_t *s = arg;
    http_conn_t *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!c)
            return;
        stop_waiting(c);
        drop_unstarted(c);
        s->conns.count--;
        /* Out of places, or of descriptors (which it tells nobody), only its next run listens again. */
        sched_post(s->sched, &s->run_again);
        free(c);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    c = xcalloc(1, sizeof *c);
    c->connection = connection;
    c->fd = info->connect_fd;
    *context = c;
    s->conns.count++;
    uint64_t idle_ms = s->idle_timeout_s * 1000ull;
    wait_for_head(s, c, idle_ms < FIRST_HEAD_MS ? idle_ms : FIRST_HEAD_MS);
    if (s->conns.count >= s->conns.max)
        make_place(s, c);
}

void http_conn_target(http_server_t *s, struct MHD_Connection *connection, http_exchange_t *x)
{
    http_conn_t *c = conn_of(connection);
    if (!c)
        return;
    drop_unstarted(c);
    c->unstarted = x;
}

void http_conn_busy(http_server_t *s, struct MHD_Connection *connection)
{
    http_conn_t *c = conn_of(connection);
    if (!c)
        return;
    c->unstarted = NULL;
    stop_waiting(c);
}

void http_conn_waits(http_server_t *s, struct MHD_Connection *connection)
{
    http_conn_t *c = conn_of(connection);
    if (!c)
        return;
    c->unstarted = NULL; /* the caller frees it */
    if (!c->is_waiting)
        wait_for_head(s, c, s->idle_timeout_s * 1000ull);
}

void http_conn_refuse(http_server_t *s, struct MHD_Connection *connection, const char *text)
{
    http_conn_t *c = conn_of(connection);
    if (!c)
        return;
    if (!s->is_tls)
        (void)!send(c->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
    end(s, c);
}

void http_conn_end(http_server_t *s, struct MHD_Connection *connection)
{
    http_conn_t *c = conn_of(connection);
    if (c)
        end(s, c);
}
