/* metadata_load: clients of the metadata service, cheap enough to share two cores with it.
 *
 *   metadata_load seed PORT IDS CONNECTIONS FILES          registers files of one chunk with three copies, as
 *                                                          fast as they are answered; their ids go to the
 * file metadata_load mix PORT IDS CONNECTIONS SECONDS [RATE]  70% reads (a file with its key and chunks, a
 * name, a page of names), 30% writes (a change, an upload begun, one committed)
 *
 * With a RATE requests come at random times, so many a second on average, whether or not earlier ones were
 * answered; one that finds no free connection waits, and its time counts from when it came. Without, each
 * connection asks again when it is answered. Prints "NAME COUNT MEDIAN P99 P99.9 MOST FAILED" for each
 * operation and for all, times in milliseconds, and "rate …, cpu …" of this process.
 *
 * $METADATA_TOKEN: of an account that may write. $METADATA_TICKET_KEY: ID:HEX, with which storage nodes
 * vouch. */
#include "base/prng.h"
#include "bench_clock.h"
#include "crypto/hash.h"
#include "meta/ticket.h"
#include <arpa/inet.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CONNS_MAX = 1024, NODES = 3, FILE_BYTES = 1000, CHUNK_BYTES = FILE_BYTES + 28, ANSWER_MAX = 1 << 20 };
enum { FOLDERS = 1000, WAITING_MAX = 1 << 20 };
typedef enum { GET, NAME, PAGE, CHANGE, BEGIN, COMMIT, KINDS } kind_t;
static const char *const names[KINDS + 1] = {
    "file.get", "file.list (name)", "file.list (page)", "file.change", "upload.init", "upload.commit", "all"};

typedef struct file_id {
    char text[META_ID_CHARS + 1];
} file_id_t;
typedef struct conn {
    int fd;
    bool is_busy;
    kind_t kind;
    double began;
    size_t file; /* what BEGIN makes, and COMMIT completes */
    buf_t in;
} conn_t;
typedef struct pending {
    file_id_t upload;
    size_t file;
} pending_t;
typedef struct times {
    double *list;
    size_t count, cap, failed;
} times_t;
typedef struct load {
    bool is_seed;
    double rate, until;
    conn_t conns[CONNS_MAX];
    size_t n_conns, n_busy;
    conn_t *idle[CONNS_MAX];
    size_t n_idle;
    file_id_t *ids;
    size_t n_ids, next_file, wanted;
    pending_t pending[WAITING_MAX];
    size_t n_pending;
    double waiting[WAITING_MAX]; /* arrivals that no connection has taken: a ring */
    size_t first, last;
    times_t times[KINDS + 1];
    prng_t prng;
    ticket_keys_t keys[NODES]; /* with which each node vouches for what it keeps */
    const char *token, *prefix;
    char text[8192], body[4096]; /* of the request that is made */
    int epoll;
} load_t;

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ── requests ────────────────────────────────────────────────────────────────────────────────── */
static void send_request(load_t *l, conn_t *c, const char *method, const char *path, const char *body)
{
    int n = snprintf(l->text, sizeof l->text,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     method, path, l->token, strlen(body), body);
    if (n >= (int)sizeof l->text || send(c->fd, l->text, (size_t)n, MSG_NOSIGNAL) != n)
        die("send");
}

static void send_begin(load_t *l, conn_t *c)
{
    char body[256];
    c->file = l->next_file++;
    snprintf(body, sizeof body, "{\"name\":\"%s/%03zu/%07zu\",\"size\":%d}", l->prefix, c->file % FOLDERS,
             c->file, FILE_BYTES);
    send_request(l, c, "POST", "/init_upload", body);
}

static void send_commit(load_t *l, conn_t *c)
{
    char chunk[META_CHUNK_ID_CHARS + 1], node[META_ID_CHARS + 1], receipt[TICKET_TEXT_MAX];
    uint8_t hash[32];
    pending_t p = l->pending[--l->n_pending];
    c->file = p.file;
    sha256_of(bytes_str(p.upload.text), hash);
    hex_text(bytes_of(hash, sizeof hash), chunk, sizeof chunk);
    int n =
        snprintf(l->body, sizeof l->body,
                 "{\"upload_id\":\"%s\",\"chunks\":[{\"id\":\"%s\",\"size\":%d,\"length\":%d,\"stored\":[",
                 p.upload.text, chunk, CHUNK_BYTES, FILE_BYTES);
    for (int i = 1; i <= NODES; i++) {
        snprintf(node, sizeof node, "%032x", i);
        ticket_receipt_make(&l->keys[i - 1], p.upload.text, chunk, CHUNK_BYTES, node, receipt);
        n += snprintf(l->body + n, sizeof l->body - (size_t)n, "%s{\"node\":\"%s\",\"receipt\":\"%s\"}",
                      i > 1 ? "," : "", node, receipt);
    }
    snprintf(l->body + n, sizeof l->body - (size_t)n, "]}]}");
    send_request(l, c, "POST", "/commit_upload", l->body);
}

static kind_t choose(load_t *l)
{
    double at = l->is_seed ? 1 : prng_unit(&l->prng);
    if (at >= 0.8)
        return l->n_pending ? COMMIT : BEGIN;
    return at < 0.35 ? GET : at < 0.6 ? NAME : at < 0.7 ? PAGE : CHANGE;
}

static void ask(load_t *l, conn_t *c, double came)
{
    char path[256], body[64];
    size_t file = l->n_ids ? prng_below(&l->prng, l->n_ids) : 0;
    c->kind = choose(l);
    c->began = came;
    c->is_busy = true;
    l->n_busy++;
    if (c->kind == BEGIN)
        return send_begin(l, c);
    if (c->kind == COMMIT)
        return send_commit(l, c);
    if (c->kind == NAME)
        snprintf(path, sizeof path, "/files?name=seed/%03zu/%07zu", file % FOLDERS, file);
    else if (c->kind == PAGE)
        snprintf(path, sizeof path, "/files?limit=10&prefix=seed/%03zu/", file % FOLDERS);
    else
        snprintf(path, sizeof path, "/files/%s", l->ids[file].text);
    snprintf(body, sizeof body, "{\"media_type\":\"a/%llu\"}",
             (unsigned long long)prng_below(&l->prng, 1000));
    send_request(l, c, c->kind == CHANGE ? "PATCH" : "GET", path, c->kind == CHANGE ? body : "");
}

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */
static void note_time(times_t *t, double took, bool failed)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 1 << 16;
        t->list = realloc(t->list, t->cap * sizeof *t->list);
        if (!t->list)
            die("memory");
    }
    t->list[t->count++] = took;
    t->failed += failed;
}

static file_id_t id_at(const char *body, const char *key)
{
    file_id_t id = {""};
    const char *at = strstr(body, key);
    if (at)
        snprintf(id.text, sizeof id.text, "%s", at + strlen(key));
    return id;
}

static void take_answer(load_t *l, conn_t *c, int status, const char *body)
{
    bool failed = status >= 300;
    double took = wall_s() - c->began;
    note_time(&l->times[c->kind], took, failed);
    note_time(&l->times[KINDS], took, failed);
    if (failed && l->times[KINDS].failed < 3)
        fprintf(stderr, "%s: %d %.300s\n", names[c->kind], status, body);
    if (!failed && c->kind == BEGIN && l->n_pending < WAITING_MAX)
        l->pending[l->n_pending++] = (pending_t){id_at(body, "\"upload_id\":\""), c->file};
    if (!failed && c->kind == COMMIT && l->is_seed && c->file < l->wanted) {
        l->ids[c->file] = id_at(body, "\"id\":\"");
        l->n_ids++;
    }
    c->is_busy = false;
    l->n_busy--;
    l->idle[l->n_idle++] = c;
    buf_clear(&c->in);
}

/* One answer at a time, with a Content-Length. */
static void receive(load_t *l, conn_t *c)
{
    char *end, *length;
    if (buf_reserve(&c->in, 16384))
        die("an answer is too long");
    ssize_t n = recv(c->fd, c->in.data + c->in.len, 16383, 0);
    if (n <= 0)
        die("the service closed a connection");
    c->in.len += (size_t)n;
    c->in.data[c->in.len] = 0;
    if (!(end = strstr((char *)c->in.data, "\r\n\r\n")))
        return;
    *end = 0;
    length = strcasestr((char *)c->in.data, "\nContent-Length:");
    size_t whole = (size_t)(end + 4 - (char *)c->in.data) + (length ? strtoul(length + 16, NULL, 10) : 0);
    *end = '\r';
    if (c->in.len >= whole)
        take_answer(l, c, atoi((char *)c->in.data + 9), end + 4);
}

/* ── the run ─────────────────────────────────────────────────────────────────────────────────── */
static void connect_all(load_t *l, int port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    l->epoll = epoll_create1(0);
    for (size_t i = 0; i < l->n_conns; i++) {
        conn_t *c = &l->conns[i];
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(c->fd, (struct sockaddr *)&at, sizeof at))
            die("connect");
        setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        buf_init(&c->in, ANSWER_MAX);
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e);
        l->idle[l->n_idle++] = c;
    }
}

static bool wants_more(const load_t *l, double now)
{
    return l->is_seed ? l->next_file < l->wanted || l->n_pending : now < l->until;
}

/* Gives idle connections what has come; returns when the next request comes. */
static double hand_out(load_t *l, double now, double next)
{
    for (; l->rate > 0 && next <= now && next < l->until; next -= log(1 - prng_unit(&l->prng)) / l->rate)
        l->waiting[l->last++ % WAITING_MAX] = next;
    while (l->n_idle) {
        if (l->rate > 0 ? l->first == l->last : !wants_more(l, now))
            break;
        double came = l->rate > 0 ? l->waiting[l->first++ % WAITING_MAX] : wall_s();
        ask(l, l->idle[--l->n_idle], came);
    }
    return next;
}

static void run(load_t *l)
{
    struct epoll_event events[128];
    double now = wall_s(), next = now;
    while (wants_more(l, now) || l->n_busy) {
        next = hand_out(l, now, next);
        double wait = l->rate > 0 && next < l->until ? next - wall_s() : 1;
        struct timespec ts = {(time_t)(wait > 0 ? wait : 0),
                              (long)(wait > 0 ? (wait - floor(wait)) * 1e9 : 0)};
        int n = epoll_pwait2(l->epoll, events, 128, &ts, NULL);
        for (int i = 0; i < n; i++)
            receive(l, events[i].data.ptr);
        now = wall_s();
    }
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(load_t *l, double took, double cpu)
{
    for (int k = 0; k <= KINDS; k++) {
        times_t *t = &l->times[k];
        if (!t->count)
            continue;
        qsort(t->list, t->count, sizeof *t->list, by_time);
        printf("%s\t%zu\t%.3f\t%.3f\t%.3f\t%.3f\t%zu\n", names[k], t->count, 1e3 * t->list[t->count / 2],
               1e3 * t->list[t->count * 99 / 100], 1e3 * t->list[t->count * 999 / 1000],
               1e3 * t->list[t->count - 1], t->failed);
    }
    printf("rate %.0f, cpu %.2f\n", (double)l->times[KINDS].count / took, cpu);
}

static void read_ids(load_t *l, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f)
        die(path);
    l->ids = xcalloc(1 << 21, sizeof *l->ids);
    while (l->n_ids < 1 << 21 && fscanf(f, "%32s", l->ids[l->n_ids].text) == 1)
        l->n_ids++;
    fclose(f);
}

static void write_ids(const load_t *l, const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        die(path);
    for (size_t i = 0; i < l->wanted; i++)
        fprintf(f, "%s\n", l->ids[i].text);
    if (fclose(f))
        die(path);
}

static void read_keys(load_t *l, const char *text)
{
    for (int i = 0; i < NODES; i++) {
        char *at;
        l->keys[i].count = 1;
        l->keys[i].list[0].id = (uint32_t)strtoul(text, &at, 10);
        for (int k = 0; k < TICKET_KEY_BYTES; k++)
            if (sscanf(at + 1 + 2 * k, "%2hhx", &l->keys[i].list[0].key[k]) != 1)
                die("METADATA_RECEIPT_KEYS");
        text = at + 1 + 2 * TICKET_KEY_BYTES + 1;
    }
}

int main(int argc, char **argv)
{
    const char *token = getenv("METADATA_TOKEN"), *keys = getenv("METADATA_RECEIPT_KEYS");
    if (argc < 6 || !token || !keys) {
        fprintf(stderr, "metadata_load seed|mix PORT IDS CONNECTIONS FILES|SECONDS [RATE]\n");
        return 2;
    }
    load_t *l = xcalloc(1, sizeof *l);
    char prefix[32];
    l->is_seed = !strcmp(argv[1], "seed");
    l->token = token;
    read_keys(l, keys);
    prng_seed(&l->prng, (uint64_t)getpid());
    snprintf(prefix, sizeof prefix, "mix%d", getpid());
    l->prefix = l->is_seed ? "seed" : prefix;
    l->n_conns = strtoul(argv[4], NULL, 10);
    if (!l->n_conns || l->n_conns > CONNS_MAX)
        die("CONNECTIONS");
    if (l->is_seed) {
        l->wanted = strtoul(argv[5], NULL, 10);
        l->ids = xcalloc(l->wanted, sizeof *l->ids);
    } else {
        read_ids(l, argv[3]);
    }
    connect_all(l, atoi(argv[2]));
    double began = wall_s(), cpu = cpu_s();
    l->until = began + strtod(argv[5], NULL);
    l->rate = argc > 6 ? strtod(argv[6], NULL) : 0;
    run(l);
    report(l, wall_s() - began, cpu_s() - cpu);
    if (l->is_seed)
        write_ids(l, argv[3]);
    return 0;
}
