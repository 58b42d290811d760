/* link_emulator: a link between two namespaces with delay, rate and loss, each way the same; what netem does,
 * where the kernel has none. usage: link_emulator NS-A NS-B DEVICE DELAY-MS MBIT QUEUE-MS LOSS [SEED]
 *
 * A packet waits until those before it have gone out at the rate, then for the delay. One that would wait
 * longer than QUEUE-MS for the rate is dropped, as in a router's queue. MBIT 0: no limit. LOSS: a
 * probability. Ends with its reader of stdout, or when killed. */
#include "tests/netns/tun.h"
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <time.h>

enum { READ_AT_ONCE = 64, HELD_MAX_BYTES = 256 << 20 };

typedef struct packet {
    struct packet *next;
    uint64_t at_ns;
    size_t len;
    uint8_t data[];
} packet_t;
typedef struct way {
    int from, to;
    packet_t *first, **end;
    size_t held_bytes;
    uint64_t free_ns; /* when the last packet has gone out at the rate */
} way_t;
typedef struct settings {
    uint64_t delay_ns, queue_ns;
    double ns_per_byte, loss;
} settings_t;
static uint64_t random_state = 1;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool is_lost(double loss)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (double)(random_state >> 11) / (double)(1ull << 53) < loss;
}

static void hold(way_t *w, const settings_t *s, const uint8_t *data, size_t len, uint64_t now)
{
    uint64_t begin = w->free_ns > now ? w->free_ns : now;
    if (is_lost(s->loss) || begin - now > s->queue_ns || w->held_bytes + len > HELD_MAX_BYTES)
        return;
    w->free_ns = begin + (uint64_t)((double)len * s->ns_per_byte);
    packet_t *p = malloc(sizeof *p + len);
    if (!p)
        die("memory");
    *p = (packet_t){.at_ns = w->free_ns + s->delay_ns, .len = len};
    memcpy(p->data, data, len);
    *w->end = p;
    w->end = &p->next;
    w->held_bytes += len;
}

static void take_in(way_t *w, const settings_t *s)
{
    static uint8_t data[PACKET_MAX];
    for (int i = 0; i < READ_AT_ONCE; i++) {
        ssize_t n = read(w->from, data, sizeof data);
        if (n <= 0)
            return;
        hold(w, s, data, (size_t)n, now_ns());
    }
}

/* Returns when the next one is due, 0 when there is none. */
static uint64_t let_out(way_t *w)
{
    while (w->first && w->first->at_ns <= now_ns()) {
        packet_t *p = w->first;
        if (write(w->to, p->data, p->len) < 0 && errno == EAGAIN)
            return now_ns() + 100000;
        w->first = p->next;
        if (!w->first)
            w->end = &w->first;
        w->held_bytes -= p->len;
        free(p);
    }
    return w->first ? w->first->at_ns : 0;
}

static void wait_for_work(struct pollfd fds[3], uint64_t next)
{
    uint64_t now = now_ns(), ns = next > now ? next - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
    if (ppoll(fds, 3, next ? &timeout : NULL, NULL) < 0 && errno != EINTR)
        die("ppoll");
}

int main(int argc, char **argv)
{
    if (argc < 8) {
        fprintf(stderr, "usage: link_emulator NS-A NS-B DEVICE DELAY-MS MBIT QUEUE-MS LOSS [SEED]\n");
        return 2;
    }
    double mbit = atof(argv[5]);
    settings_t s = {.delay_ns = (uint64_t)(atof(argv[4]) * 1e6),
                    .ns_per_byte = mbit > 0 ? 8000 / mbit : 0,
                    .queue_ns = (uint64_t)(atof(argv[6]) * 1e6),
                    .loss = atof(argv[7])};
    random_state = argc > 8 ? strtoull(argv[8], NULL, 10) : 1;
    int a = tun_open(argv[1], argv[3]), b = tun_open(argv[2], argv[3]);
    way_t ways[2] = {{.from = a, .to = b}, {.from = b, .to = a}};
    for (int i = 0; i < 2; i++)
        ways[i].end = &ways[i].first;
    setpriority(PRIO_PROCESS, 0, -20); /* where it is allowed: a wire waits for no processor */
    tun_ready();
    for (;;) {
        uint64_t x = let_out(&ways[0]), y = let_out(&ways[1]);
        struct pollfd fds[3] = {
            {.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}, {.fd = STDOUT_FILENO}};
        wait_for_work(fds, !x || (y && y < x) ? y : x);
        if (fds[2].revents)
            return 0;
        for (int i = 0; i < 2; i++)
            if (fds[i].revents)
                take_in(&ways[i], &s);
    }
}
