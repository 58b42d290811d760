/* Two endpoints and a hostile link. The input says what becomes of each datagram: it arrives, is lost, comes
 * twice, late, cut, or with bytes changed, or is a datagram of the input's own; and it moves the clock.
 * Nothing breaks, no data is ever wrong, all budgets come back. */
#include "tests/support/quic_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 200000, STEPS_MAX = 200 };

typedef struct input {
    const uint8_t *at;
    size_t left;
} input_t;

static uint8_t next(input_t *in)
{
    if (!in->left)
        return 0;
    in->left--;
    return *in->at++;
}

/* Streams that have us as their user. */
typedef struct held {
    quic_stream_t *streams[1024];
    size_t n;
} held_t;

static void release(held_t *h, quic_stream_t *s)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->streams[i] == s) {
            h->streams[i] = h->streams[--h->n];
            quic_stream_release(s, 1000);
            return;
        }
    abort();
}

/* What is written counts up; so does what is read. */
static void use(world_node_t *n, const quic_event_t *ev)
{
    held_t *h = n->arg;
    uint8_t block[3000];
    size_t len = 0;
    if (!ev->stream)
        return;
    if (ev->news & QUIC_NEWS_OPENED) {
        quic_stream_accept(ev->stream, n);
        if (h->n == ARRAY_LEN(h->streams))
            abort();
        h->streams[h->n++] = ev->stream;
    }
    err_t e = quic_stream_read(ev->stream, block, sizeof block, &len);
    for (size_t i = 0; !e && i < len; i++)
        assert(block[i] == (uint8_t)(block[0] + i));
    if (e != ERR_AGAIN && (e || !len))
        release(h, ev->stream);
}

static void mangle(world_t *w, input_t *in)
{
    world_datagram_t *d = LIST_FIRST(&w->wire, world_datagram_t, node);
    uint8_t what = next(in);
    if (!d)
        return;
    switch (what % 8) {
    case 1:
        list_remove(&d->node);
        free(d);
        break;
    case 2:
        world_deliver(w, d->to, &d->from, bytes_of(d->data, d->len));
        break;
    case 3:
        d->at_ms += next(in);
        break;
    case 4:
        d->len = d->len * next(in) / 256;
        break;
    case 5:
        for (int i = 0; i < 4 && d->len; i++)
            d->data[(next(in) << 8 | next(in)) % d->len] ^= next(in);
        break;
    case 6:
        d->from.port ^= next(in);
        break;
    case 7:
        w->nodes[0].addr.ip[3] ^= next(in);
        if (w->nodes[0].conn)
            quic_moved(w->nodes[0].conn, w->now_ms);
        break;
    default:
        break;
    }
}

static void inject(world_t *w, input_t *in)
{
    world_node_t *to = &w->nodes[next(in) & 1];
    size_t len = (size_t)next(in) * 6;
    len = len < in->left ? len : in->left;
    uint8_t *copy = malloc(1300);
    memset(copy, 0, 1300);
    memcpy(copy, in->at, len < 1300 ? len : 1300);
    in->at += len;
    in->left -= len;
    world_deliver(w, to, &w->nodes[0].addr, bytes_of(copy, next(in) & 1 ? 1300 : len < 1300 ? len : 1300));
    free(copy);
}

static void open_some(world_t *w, input_t *in)
{
    world_node_t *n = &w->nodes[next(in) & 1];
    held_t *h = n->arg;
    quic_stream_t *s;
    uint8_t block[2000];
    size_t written;
    if (!n->conn || h->n > ARRAY_LEN(h->streams) / 2 || quic_stream_open(n->conn, n, &s))
        return;
    h->streams[h->n++] = s;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)i;
    uint8_t how = next(in);
    if (!quic_stream_write(s, &(bytes_t){block, (size_t)next(in) * 7 + 1}, 1, &written) && how & 1 &&
        quic_stream_close_write(s))
        abort();
    if (how & 2)
        quic_stream_reset(s);
    if (how & 4)
        release(h, s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world_t *first; /* keys and certificates are costly to make: once */
    if (!first) {
        first = xmalloc(sizeof *first);
        world_init(first, 1);
    }
    world_t *w = xcalloc(1, sizeof *w);
    held_t *held = xcalloc(2, sizeof *held);
    input_t in = {data, size};
    for (int i = 0; i < 2; i++) {
        w->nodes[i].endpoint = first->nodes[i].endpoint;
        w->nodes[i].id = first->nodes[i].id;
    }
    world_start(w, 1);
    uint8_t how = next(&in);
    w->nodes[1].must_prove = how & 1;
    w->nodes[0].addr.ip[2] = how >> 1; /* a token of a run before counts where it was given alone */
    for (int i = 0; i < 2; i++) {
        w->nodes[i].limit.max = BUDGET;
        w->nodes[i].on_stream = use;
        w->nodes[i].arg = &held[i];
    }
    world_dial(w, &w->nodes[1].id);
    for (int i = 0; i < STEPS_MAX && (in.left || i < 8); i++) {
        uint8_t what = next(&in);
        if (what & 1)
            mangle(w, &in);
        if ((what & 0x0e) == 2)
            inject(w, &in);
        if ((what & 0x30) == 0x10)
            open_some(w, &in);
        world_step(w);
    }
    for (int i = 0; i < 2; i++) {
        world_forget(&w->nodes[i]);
        while (held[i].n)
            release(&held[i], held[i].streams[0]);
    }
    world_stop(w);
    free(held);
    free(w);
    return 0;
}
