/* TCP: non-blocking sockets under uv_poll. Reads and writes are one system call on the caller's memory;
 * nothing is kept here, so what write() took is the kernel's, and close() flushes by itself.
 *
 * Polling for READABLE goes on while somebody reads. When an event finds that nobody has read since the
 * event before it, polling stops until the next read: a reader under back-pressure costs two events, not
 * a spinning loop, and a busy one costs no epoll_ctl. WRITABLE is polled from EAGAIN to the event. */
#include "base/log.h"
#include "loop/socket_options.h"
#include "loop/uv_internal.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_PER_WRITE 64
#define ACCEPTS_IN_A_ROW 32
#define EMFILE_PAUSE_MS 100
#define CLOSE_DRAIN_BYTES (256 * 1024)

typedef struct tcp {
    stream_t base;
    uv_poll_t poll;
    uv_driver_t *d;
    net_addr_t peer;
    int fd;     /* -1 after reset and close */
    int polled; /* UV_READABLE | UV_WRITABLE, as armed */
    bool has_unread_event;
    bool is_write_closed;
    bool is_handle_closed, is_stream_closed; /* both: free */
} tcp_t;

/* ── polling ─────────────────────────────────────────────────────────────────────────────────── */

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_for(tcp_t *s, int events)
{
    if (s->fd < 0 || s->polled == events)
        return;
    s->polled = events;
    int e = events ? uv_poll_start(&s->poll, events, on_poll) : uv_poll_stop(&s->poll);
    assert(!e);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    tcp_t *s = poll->data;
    if (status < 0) { /* POLLERR: libuv has stopped polling; the next call on the socket says what it is */
        s->polled = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (events & UV_READABLE) {
        if (s->has_unread_event)
            poll_for(s, s->polled & ~UV_READABLE);
        s->has_unread_event = true;
    }
    if (events & UV_WRITABLE)
        poll_for(s, s->polled & ~UV_WRITABLE);
    if (events & UV_READABLE)
        event_fire(&s->base.readable);
    if (events & UV_WRITABLE)
        event_fire(&s->base.writable);
}

/* ── stream operations ───────────────────────────────────────────────────────────────────────── */

static err_t fail_socket(tcp_t *s, int errnum, const char *what)
{
    if (errnum == EPIPE || errnum == ETIMEDOUT) /* the other side is gone, by word or by silence */
        errnum = ECONNRESET;
    return fail_address(errnum, what, &s->peer);
}

static err_t tcp_read(stream_t *base, uint8_t *out, size_t cap, size_t *ret_n)
{
    tcp_t *s = (tcp_t *)base;
    if (s->fd < 0)
        return ERR_RESET;
    s->has_unread_event = false;
    ssize_t n;
    do
        n = recv(s->fd, out, cap, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0 && cap > 0)
        poll_for(s, s->polled & ~UV_READABLE); /* an ended stream stays readable for ever */
    else
        poll_for(s, s->polled | UV_READABLE);
    if (n >= 0) {
        *ret_n = (size_t)n;
        return OK;
    }
    if (errno == EAGAIN)
        return ERR_AGAIN;
    return fail_socket(s, errno, "read from");
}

static err_t tcp_write(stream_t *base, const bytes_t *pieces, size_t n_pieces, size_t *ret_n)
{
    tcp_t *s = (tcp_t *)base;
    if (s->fd < 0)
        return ERR_RESET;
    if (s->is_write_closed)
        return fail(ERR_CLOSED, "write after the end of the stream");
    struct iovec iov[PIECES_PER_WRITE];
    struct msghdr msg = {.msg_iov = iov};
    size_t len = 0;
    for (size_t i = 0; i < n_pieces && msg.msg_iovlen < PIECES_PER_WRITE; i++) {
        if (!pieces[i].len)
            continue;
        iov[msg.msg_iovlen++] = (struct iovec){(void *)pieces[i].data, pieces[i].len};
        len += pieces[i].len;
    }
    if (!len) {
        *ret_n = 0;
        return OK;
    }
    ssize_t n;
    do
        n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_n = (size_t)n;
        return OK;
    }
    if (errno == EAGAIN || errno == ENOBUFS) {
        poll_for(s, s->polled | UV_WRITABLE);
        return ERR_AGAIN;
    }
    return fail_socket(s, errno, "write to");
}

static err_t tcp_close_write(stream_t *base)
{
    tcp_t *s = (tcp_t *)base;
    if (s->fd < 0)
        return ERR_RESET;
    s->is_write_closed = true;
    if (shutdown(s->fd, SHUT_WR))
        return fail_socket(s, errno, "end the stream to");
    return OK;
}

static void free_when_closed(tcp_t *s)
{
    if (s->is_handle_closed && s->is_stream_closed) {
        s->d->open_count--;
        free(s);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    tcp_t *s = handle->data;
    s->is_handle_closed = true;
    free_when_closed(s);
}

static void close_socket(tcp_t *s)
{
    uv_close((uv_handle_t *)&s->poll, on_handle_closed); /* takes the descriptor out of epoll at once */
    close(s->fd);
    s->fd = -1;
}

static void tcp_reset(stream_t *base)
{
    tcp_t *s = (tcp_t *)base;
    if (s->fd < 0)
        return;
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close_socket(s);
    event_fire(&s->base.readable);
    event_fire(&s->base.writable);
}

static void tcp_close(stream_t *base)
{
    tcp_t *s = (tcp_t *)base;
    if (s->fd >= 0) {
        /* close() with unread bytes sends a reset, which may overtake what we wrote last: take them in
         * first. What arrives later still resets; a protocol that minds waits for the other side's end. */
        shutdown(s->fd, SHUT_WR);
        ssize_t n = 1;
        for (size_t done = 0; n > 0 && done < CLOSE_DRAIN_BYTES; done += (size_t)n)
            n = recv(s->fd, NULL, CLOSE_DRAIN_BYTES,
                     MSG_TRUNC | MSG_DONTWAIT); /* drops without a copy: tcp(7) */
        close_socket(s);
    }
    s->is_stream_closed = true;
    free_when_closed(s);
}

static const stream_ops_t tcp_ops = {
    .read = tcp_read,
    .write = tcp_write,
    .close_write = tcp_close_write,
    .reset = tcp_reset,
    .close = tcp_close,
};

/* Takes fd. */
static tcp_t *tcp_new(uv_driver_t *d, int fd, const net_addr_t *peer)
{
    tcp_t *s = xcalloc(1, sizeof *s);
    s->base.ops = &tcp_ops;
    event_init(&s->base.readable);
    event_init(&s->base.writable);
    s->d = d;
    s->fd = fd;
    s->peer = *peer;
    s->poll.data = s;
    int e = uv_poll_init(&d->loop, &s->poll, fd);
    assert(!e);
    d->open_count++;
    tune_tcp(fd);
    return s;
}

/* ── dial ────────────────────────────────────────────────────────────────────────────────────── */

/* Waits for the outcome of connect(); *ret_errnum 0 when it is through. */
static err_t wait_connected(task_t *t, tcp_t *s, int *ret_errnum)
{
    for (;;) {
        poll_for(s, UV_WRITABLE);
        TRY(event_wait(t, &s->base.writable));
        int errnum = 0;
        socklen_t len = sizeof errnum;
        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &errnum, &len);
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof peer;
        if (!errnum && getpeername(s->fd, (struct sockaddr *)&peer, &peer_len))
            continue; /* woken too early */
        *ret_errnum = errnum;
        return OK;
    }
}

/* An error is one of the wait; *ret_errnum says what came of the dial. */
/* Dials may share a port that we listen on, another listener may not: see tune_listener. 0, or errno. */
static int bind_to(int fd, const net_addr_t *from)
{
    struct sockaddr_storage addr;
    socklen_t len = sockaddr_of_net(from, &addr);
    tune_shared_dial(fd);
    return bind(fd, (struct sockaddr *)&addr, len) ? errno : 0;
}

/* from: NULL when any port will do. */
static err_t dial(task_t *t, driver_t *base, const net_addr_t *from, const struct sockaddr *addr,
                  socklen_t len, const net_addr_t *peer, stream_t **ret_stream, int *ret_errnum)
{
    TRY(task_check(t));
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *ret_errnum = fd < 0 ? errno : 0;
    if (fd < 0)
        return OK;
    tcp_t *s = tcp_new(uv_driver_of(base), fd, peer);
    *ret_errnum = from ? bind_to(fd, from) : 0;
    if (!*ret_errnum)
        *ret_errnum = connect(fd, addr, len) ? errno : 0;
    err_t e = OK;
    if (*ret_errnum == EINPROGRESS || *ret_errnum == EINTR)
        e = wait_connected(t, s, ret_errnum);
    if (e || *ret_errnum) {
        tcp_close(&s->base);
        return e;
    }
    poll_for(s, UV_READABLE);
    *ret_stream = &s->base;
    return OK;
}

err_t uv_tcp_dial_addr(task_t *t, driver_t *base, const net_addr_t *from, const net_addr_t *to,
                       stream_t **ret_stream)
{
    struct sockaddr_storage addr;
    socklen_t len = sockaddr_of_net(to, &addr);
    int errnum;
    TRY(dial(t, base, from, (struct sockaddr *)&addr, len, to, ret_stream, &errnum));
    if (from && errnum == EADDRNOTAVAIL) /* this connection is there, or was until a moment ago */
        errnum = EADDRINUSE;
    return errnum ? fail_address(errnum, "dial", to) : OK;
}

err_t uv_dial_path(task_t *t, driver_t *base, const char *path, stream_t **ret_stream)
{
    struct sockaddr_un addr;
    int errnum;
    TRY(sockaddr_of_path(path, &addr));
    TRY(dial(t, base, NULL, (struct sockaddr *)&addr, sizeof addr, &(net_addr_t){0}, ret_stream, &errnum));
    return errnum ? fail_path(errnum, "dial", path) : OK;
}

/* ── listeners ───────────────────────────────────────────────────────────────────────────────── */

typedef struct tcp_listener {
    listener_t base;
    uv_poll_t poll;
    uv_driver_t *d;
    int fd;
    char *path; /* of a socket in the file system; owned */
    event_t acceptable;
    size_t accepts_in_a_row;
    uint64_t warned_ms;
    size_t waiting; /* tasks in accept */
    bool is_polled, is_closed, is_handle_closed;
} tcp_listener_t;

static void listener_free_when_done(tcp_listener_t *l)
{
    if (l->is_handle_closed && l->waiting == 0) {
        l->d->open_count--;
        free(l->path);
        free(l);
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    tcp_listener_t *l = handle->data;
    l->is_handle_closed = true;
    listener_free_when_done(l);
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    tcp_listener_t *l = poll->data;
    uv_poll_stop(poll);
    l->is_polled = false;
    event_fire(&l->acceptable);
}

/* ERR_AGAIN: nobody is there, wait for the event. ERR_LIMIT: no descriptor is left, wait a little. */
static err_t accept_one(tcp_listener_t *l, stream_t **ret_stream, net_addr_t *ret_from)
{
    struct sockaddr_storage from;
    err_t e;
    for (;;) {
        socklen_t len = sizeof from;
        int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            net_of_sockaddr(&from, ret_from);
            tcp_t *s = tcp_new(l->d, fd, ret_from);
            poll_for(s, UV_READABLE);
            *ret_stream = &s->base;
            return OK;
        }
        switch (errno) {
        case EAGAIN:
            return ERR_AGAIN;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            e = fail_address(errno, "accept on", &l->base.at);
            return e == ERR_NO_MEMORY ? ERR_LIMIT : e;
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
            return fail_address(errno, "accept on", &l->base.at);
        default: /* the client left already, or its network failed: accept(2) says to go on */
            continue;
        }
    }
}

static err_t wait_acceptable(task_t *t, tcp_listener_t *l)
{
    if (!l->is_polled) {
        uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
        l->is_polled = true;
    }
    return event_wait(t, &l->acceptable);
}

/* Out of descriptors: those who knock wait in the kernel's queue until some are closed. */
static err_t wait_descriptors(task_t *t, tcp_listener_t *l)
{
    uint64_t now = driver_now_ms(&l->d->base);
    if (!l->warned_ms || now - l->warned_ms > 10000) {
        l->warned_ms = now;
        log_warn("cannot accept connections", LOG_STR("error", error_slot()->text));
    }
    return task_sleep(t, EMFILE_PAUSE_MS);
}

static err_t accept_loop(task_t *t, tcp_listener_t *l, stream_t **ret_stream, net_addr_t *ret_from)
{
    TRY(task_check(t));
    /* Under a flood of connections accept() never waits; the others get their turn here. */
    if (++l->accepts_in_a_row >= ACCEPTS_IN_A_ROW) {
        l->accepts_in_a_row = 0;
        TRY(task_yield(t));
    }
    for (;;) {
        if (l->is_closed)
            return fail(ERR_CLOSED, "the listener was closed");
        net_addr_t from;
        err_t e = accept_one(l, ret_stream, &from);
        if (!e) {
            if (ret_from)
                *ret_from = from;
            return OK;
        }
        if (e == ERR_AGAIN) {
            l->accepts_in_a_row = 0;
            TRY(wait_acceptable(t, l));
        } else if (e == ERR_LIMIT) {
            TRY(wait_descriptors(t, l));
        } else {
            return e;
        }
    }
}

static err_t listener_accept_one(task_t *t, listener_t *base, stream_t **ret_stream, net_addr_t *ret_from)
{
    tcp_listener_t *l = (tcp_listener_t *)base;
    l->waiting++;
    err_t e = accept_loop(t, l, ret_stream, ret_from);
    l->waiting--;
    listener_free_when_done(l);
    return e;
}

static void listener_close_it(listener_t *base)
{
    tcp_listener_t *l = (tcp_listener_t *)base;
    assert(!l->is_closed);
    l->is_closed = true;
    uv_close((uv_handle_t *)&l->poll, on_listener_closed);
    close(l->fd);
    if (l->path)
        unlink(l->path);
    event_fire(&l->acceptable);
}

static const listener_ops_t listener_ops = {.accept = listener_accept_one, .close = listener_close_it};

static tcp_listener_t *listener_new(driver_t *base, int fd)
{
    tcp_listener_t *l = xcalloc(1, sizeof *l);
    l->base.ops = &listener_ops;
    l->d = uv_driver_of(base);
    l->fd = fd;
    l->poll.data = l;
    event_init(&l->acceptable);
    int e = uv_poll_init(&l->d->loop, &l->poll, fd);
    assert(!e);
    l->d->open_count++;
    return l;
}

err_t uv_tcp_listen_at(driver_t *base, const net_addr_t *at, listener_t **ret_listener)
{
    int fd;
    net_addr_t bound;
    TRY(socket_listening(at, &fd, &bound));
    tune_listener(fd);
    tcp_listener_t *l = listener_new(base, fd);
    l->base.at = bound;
    *ret_listener = &l->base;
    return OK;
}

err_t uv_listen_path(driver_t *base, const char *path, listener_t **ret_listener)
{
    int fd;
    TRY(socket_listening_at_path(path, &fd));
    tcp_listener_t *l = listener_new(base, fd);
    l->path = xstrdup(path);
    *ret_listener = &l->base;
    return OK;
}
