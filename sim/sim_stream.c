#include "base/queue.h"
#include "sim/sim_impl.h"
#include <stdlib.h>

/* Each way of a stream is a line of segments of which the first has an alarm for its arrival. A
 * segment that cannot arrive (partition, host down) is tried again, later each time, as TCP does. */
enum { WINDOW = 256 << 10, SEGMENT_MAX = 64 << 10, TRIES_MAX = 14, RETRY_MS = 200, RETRY_MAX_MS = 120000 };

typedef enum { SEGMENT_DATA, SEGMENT_FIN, SEGMENT_RST } segment_kind_t;
typedef struct segment {
    list_t node;
    segment_kind_t kind;
    uint64_t arrival_ms;
    size_t len;
    uint8_t data[];
} segment_t;

struct sim_end {
    stream_t base;
    list_t node; /* in the machine */
    sim_machine_t *machine;
    struct sim_conn *conn;
    queue_t in;
    list_t flight; /* segments on the way to the other end */
    size_t flight_bytes;
    sched_alarm_t arrival, window;
    uint64_t last_arrival_ms;
    unsigned tries;
    bool has_end;         /* the other side has sent its end */
    bool is_write_closed; /* this side has */
    bool is_broken, is_closed, is_blocked;
};
typedef struct sim_conn {
    sim_end_t ends[2];
} sim_conn_t;

static sim_end_t *other_end(sim_end_t *e)
{
    return e == &e->conn->ends[0] ? &e->conn->ends[1] : &e->conn->ends[0];
}

static sim_t *sim_of(const sim_end_t *e)
{
    return e->machine->host->sim;
}

stream_t *sim_end_stream(sim_end_t *e)
{
    return &e->base;
}

static void clear_flight(sim_end_t *e)
{
    LIST_EACH (g, &e->flight, segment_t, node) {
        list_remove(&g->node);
        free(g);
    }
    e->flight_bytes = 0;
    e->tries = 0;
    alarm_clear(&e->arrival);
}

static void break_end(sim_end_t *e)
{
    e->is_broken = true;
    queue_deinit(&e->in);
    clear_flight(e);
    event_fire(&e->base.readable);
    event_fire(&e->base.writable);
}

static void send_segment(sim_end_t *e, segment_kind_t kind, const bytes_t *pieces, size_t n_pieces,
                         size_t len)
{
    sim_t *s = sim_of(e);
    sim_host_t *from = e->machine->host, *to = other_end(e)->machine->host;
    segment_t *g = xmalloc(sizeof *g + len);
    *g = (segment_t){.kind = kind};
    for (size_t i = 0; i < n_pieces && g->len < len; i++) {
        bytes_t part = bytes_slice(pieces[i], 0, len - g->len);
        if (part.len)
            memcpy(g->data + g->len, part.data, part.len);
        g->len += part.len;
    }
    g->arrival_ms = sim_arrival_ms(from, to, len + 40);
    if (sim_chance(s, sim_link_of(from, to)->stall))
        g->arrival_ms += RETRY_MS + prng_below(&s->rng, 3 * RETRY_MS);
    if (g->arrival_ms < e->last_arrival_ms)
        g->arrival_ms = e->last_arrival_ms;
    e->last_arrival_ms = g->arrival_ms;
    e->flight_bytes += len;
    list_push_back(&e->flight, &g->node);
    if (e->flight.next == &g->node)
        alarm_set(&e->arrival, g->arrival_ms);
}

static void send_reset(sim_end_t *e)
{
    clear_flight(e);
    e->last_arrival_ms = 0;
    send_segment(e, SEGMENT_RST, NULL, 0, 0);
}

/* The segment cannot arrive now. True when it is to be tried again. */
static bool try_again(sim_end_t *e, const segment_t *g)
{
    if (g->kind == SEGMENT_RST) {
        clear_flight(e);
        return false;
    }
    if (++e->tries == TRIES_MAX) {
        break_end(e);
        return false;
    }
    uint64_t wait_ms = (uint64_t)RETRY_MS << e->tries;
    alarm_set(&e->arrival, sim_of(e)->clock_ms + (wait_ms < RETRY_MAX_MS ? wait_ms : RETRY_MAX_MS));
    return true;
}

static void take_in(sim_end_t *to, const segment_t *g)
{
    if (g->kind == SEGMENT_RST) {
        if (!to->is_closed)
            break_end(to);
    } else if (to->is_closed) {
        if (g->kind == SEGMENT_DATA)
            send_reset(to);
    } else if (!to->is_broken) {
        if (g->kind == SEGMENT_FIN)
            to->has_end = true;
        else if (queue_push(&to->in, bytes_of(g->data, g->len)))
            abort(); /* the window was respected, so this is memory */
        event_fire(&to->base.readable);
    }
}

static void on_arrival(void *arg)
{
    sim_end_t *e = arg, *to = other_end(e);
    sim_host_t *own = e->machine->host, *host = to->machine->host;
    segment_t *g = LIST_FIRST(&e->flight, segment_t, node);
    if (sim_is_blocked(own, host) || (to->machine->is_dead && !sim_host_is_up(host))) {
        try_again(e, g);
        return;
    }
    if (to->machine->is_dead || sim_chance(own->sim, sim_link_of(own, host)->reset)) {
        break_end(e); /* restarted: it knows nothing of this connection; or the link broke it */
        if (!to->machine->is_dead)
            break_end(to);
        return;
    }
    e->tries = 0;
    list_remove(&g->node);
    e->flight_bytes -= g->len;
    segment_t *next = LIST_FIRST(&e->flight, segment_t, node);
    if (next)
        alarm_set(&e->arrival, next->arrival_ms > own->sim->clock_ms ? next->arrival_ms : own->sim->clock_ms);
    sim_note(own->sim, "segment", (uint64_t)own->index << 32 | host->index, g->kind);
    sim_note_bytes(own->sim, "data", bytes_of(g->data, g->len));
    take_in(to, g);
    free(g);
}

static void on_window(void *arg)
{
    sim_end_t *e = arg;
    e->is_blocked = false;
    event_fire(&e->base.writable);
}

/* ── the stream ──────────────────────────────────────────────────────────────────────────────── */
/* Mostly all, sometimes less: callers must cope with any split. */
static size_t some_of(sim_t *s, size_t n)
{
    return n > 1 && prng_below(&s->rng, 8) == 0 ? 1 + prng_below(&s->rng, n) : n;
}

static err_t end_read(stream_t *base, uint8_t *out, size_t cap, size_t *ret_n)
{
    sim_end_t *e = (sim_end_t *)base, *from = other_end(e);
    if (e->is_broken)
        return fail(ERR_RESET, "the connection was reset");
    if (!e->in.len && !e->has_end)
        return ERR_AGAIN;
    size_t n = e->in.len < cap ? e->in.len : cap;
    *ret_n = queue_read(&e->in, out, some_of(sim_of(e), n));
    if (from->is_blocked && from->window.heap_index == SIZE_MAX)
        alarm_set(&from->window, sim_of(e)->clock_ms + sim_latency_ms(e->machine->host, from->machine->host));
    return OK;
}

static err_t end_write(stream_t *base, const bytes_t *pieces, size_t n_pieces, size_t *ret_n)
{
    sim_end_t *e = (sim_end_t *)base;
    if (e->is_broken)
        return fail(ERR_RESET, "the connection was reset");
    if (e->is_write_closed)
        return fail(ERR_CLOSED, "write after the end of the stream");
    size_t len = 0, busy = e->flight_bytes + other_end(e)->in.len;
    for (size_t i = 0; i < n_pieces; i++)
        len += pieces[i].len;
    if (busy >= WINDOW) {
        e->is_blocked = true;
        return ERR_AGAIN;
    }
    if (len > WINDOW - busy)
        len = WINDOW - busy;
    len = some_of(sim_of(e), len < SEGMENT_MAX ? len : SEGMENT_MAX);
    send_segment(e, SEGMENT_DATA, pieces, n_pieces, len);
    *ret_n = len;
    return OK;
}

static err_t end_close_write(stream_t *base)
{
    sim_end_t *e = (sim_end_t *)base;
    if (e->is_broken)
        return fail(ERR_RESET, "the connection was reset");
    if (!e->is_write_closed)
        send_segment(e, SEGMENT_FIN, NULL, 0, 0);
    e->is_write_closed = true;
    return OK;
}

static void end_reset(stream_t *base)
{
    sim_end_t *e = (sim_end_t *)base;
    if (e->is_broken)
        return;
    break_end(e);
    if (!e->machine->is_dead)
        send_reset(e);
}

static void end_close(stream_t *base)
{
    sim_end_t *e = (sim_end_t *)base, *other = other_end(e);
    if (!e->is_broken && !e->is_write_closed)
        send_segment(e, SEGMENT_FIN, NULL, 0, 0);
    e->is_write_closed = e->is_closed = true;
    queue_deinit(&e->in);
    list_remove(&e->node);
    if (!other->is_closed)
        return;
    for (int i = 0; i < 2; i++) {
        clear_flight(&e->conn->ends[i]);
        alarm_clear(&e->conn->ends[i].window);
    }
    free(e->conn);
}

void sim_stream_new(sim_machine_t *a, sim_machine_t *b, sim_end_t **ret_a, sim_end_t **ret_b)
{
    static const stream_ops_t ops = {
        .read = end_read,
        .write = end_write,
        .close_write = end_close_write,
        .reset = end_reset,
        .close = end_close,
    };
    sim_conn_t *c = xcalloc(1, sizeof *c);
    for (int i = 0; i < 2; i++) {
        sim_end_t *e = &c->ends[i];
        e->base.ops = &ops;
        event_init(&e->base.readable);
        event_init(&e->base.writable);
        e->machine = i ? b : a;
        e->conn = c;
        queue_init(&e->in, WINDOW);
        list_init(&e->flight);
        alarm_init(&e->arrival, a->host->sim->world, on_arrival, e);
        alarm_init(&e->window, a->host->sim->world, on_window, e);
        list_push_back(&e->machine->ends, &e->node);
    }
    *ret_a = &c->ends[0];
    *ret_b = &c->ends[1];
}

/* ── faults ──────────────────────────────────────────────────────────────────────────────────── */
void sim_streams_die(sim_machine_t *m, sim_crash_t how)
{
    LIST_EACH (e, &m->ends, sim_end_t, node) {
        bool was_broken = e->is_broken;
        break_end(e);
        if (how == SIM_KILL && !was_broken)
            send_reset(e);
    }
}

void sim_reset_streams(sim_host_t *a, sim_host_t *b)
{
    LIST_EACH (e, &a->machine->ends, sim_end_t, node)
        if (other_end(e)->machine->host == b) {
            break_end(e);
            if (!other_end(e)->is_closed)
                break_end(other_end(e));
        }
}

size_t sim_host_stream_count(const sim_host_t *h)
{
    size_t count = 0;
    LIST_EACH (e, &h->machine->ends, sim_end_t, node)
        count++;
    return count;
}
