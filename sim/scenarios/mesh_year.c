/* mesh_year: a year of an encrypted mesh by its engines alone (planner, tombstones, reconcile, catch_up,
 * deletion, chunk_refs), over a modelled network: 1,000 nodes whose owners come and go, 1,000 files of
 * together 100,000 chunks, three copies of each.
 *
 *   mesh_year [--seed N] [--days N] [--nodes N] [--files N] [--figures]
 *
 * The failure rates. 10% of the nodes leave for good each month, without a word and with their disks; a new
 * one comes for each. Three of ten are servers (up for five days, away for half an hour, on average), the
 * others are people's machines (up for 16 hours, away for 8); one absence in fifty lasts one to six weeks.
 * One return in twenty is a new process that knows only its disk. Each node loses a file silently every two
 * years. Once the network is split for twelve hours, three nodes of ten on one side; once a zone of ten burns
 * down; once four nodes of ten are without power for three hours. A fifth of the files shares chunks with
 * another one; in the year six of ten files are deleted, and others stored.
 *
 * Checked: no chunk of a file that was not deleted is ever lost; no copy is pruned below the factor; nobody
 * fetches what was deleted a day ago; in the end, when all who are left have been up for two weeks, each file
 * has its copies on nodes that are up, all know all tombstones, nobody holds a deleted file, and each disk
 * has exactly the chunks that its files need. No storm: what is copied after the fire and the power cut is
 * bounded by what was lost. */
#include "mesh_world.h"
#include <time.h>

enum { CALM_DAYS = 15 }; /* surplus is pruned after eight usual absences, which are a day at most */

typedef struct options {
    uint64_t seed, days;
    size_t nodes, files;
    bool has_figures;
} options_t;

typedef struct year {
    mesh_world_t *w;
    options_t o;
    uint64_t begin_ms, end_ms;
    bool is_calm; /* nobody comes or goes any more */
    uint64_t fire_bytes, after_fire_bytes,
        after_cut_bytes; /* lost in the fire; repaired in the two days after */
    uint64_t fire_ms, cut_ms, mark_bytes;
    size_t fire_nodes;
} year_t;

static double day_of(const year_t *y)
{
    return (double)(y->w->now_ms - y->begin_ms) / (double)DAY_MS;
}

/* ── files ───────────────────────────────────────────────────────────────────────────────────── */
static uint32_t make_file(year_t *y, uint32_t n_chunks)
{
    mesh_world_t *w = y->w;
    CHECK(w->n_files < FILES_MAX && w->n_chunks + n_chunks <= CHUNKS_MAX);
    uint32_t i = (uint32_t)w->n_files++;
    file_t *f = &w->files[i];
    uint8_t digest[32];
    memcpy(digest, &i, sizeof i);
    prng_fill(&w->rng, digest + 4, 28);
    f->cid = cid_of_sha256(1, CODEC_DAG_CBOR, digest);
    f->key = tombstone_key(&f->cid);
    f->n_chunks = n_chunks;
    f->size_bytes = (uint64_t)n_chunks * CHUNK_BYTES;
    f->first_chunk = w->n_chunks;
    bool shares = i && prng_below(&w->rng, 5) == 0; /* the end of the one before */
    if (shares) {
        uint32_t most = w->files[i - 1].n_chunks < n_chunks ? w->files[i - 1].n_chunks : n_chunks;
        f->first_chunk -= (uint32_t)prng_below(&w->rng, most + 1);
    }
    w->n_chunks = f->first_chunk + n_chunks > w->n_chunks ? f->first_chunk + n_chunks : w->n_chunks;
    CHECK(!map_put(&w->by_key, bytes_of(f->key.data, sizeof f->key.data), (void *)((uintptr_t)i + 1), NULL));
    return i;
}

/* Some are large, most are small; a hundred chunks on average. */
static uint32_t draw_chunks(year_t *y)
{
    return 1 +
           (uint32_t)(prng_below(&y->w->rng, 10) ? prng_below(&y->w->rng, 80) : prng_below(&y->w->rng, 1280));
}

static void store_one(year_t *y, uint32_t n_chunks)
{
    for (int tries = 0; tries < 1000; tries++) {
        mesh_node_t *n = y->w->nodes[prng_below(&y->w->rng, y->w->n_nodes)];
        if (!n->is_up || !catch_up_is_current(n->catch_up) ||
            n->capacity_bytes < n->used_bytes + (uint64_t)n_chunks * CHUNK_BYTES)
            continue;
        world_store(y->w, n, make_file(y, n_chunks));
        return;
    }
    CHECK(!"a node that takes the file");
}

static void delete_one(year_t *y)
{
    mesh_world_t *w = y->w;
    for (int tries = 0; w->n_files && tries < 1000; tries++) {
        uint32_t i = (uint32_t)prng_below(&w->rng, w->n_files);
        file_t *f = &w->files[i];
        if (!f->is_stored || f->is_deleted)
            continue;
        for (size_t k = 0; k < f->n_trackers; k++) {
            mesh_node_t *n = w->nodes[f->trackers[k]];
            if (n->is_up && world_has(n, i) && catch_up_is_current(n->catch_up)) {
                uint32_t n_chunks = f->n_chunks;
                world_delete(w, n, i);
                if (!y->is_calm)
                    store_one(y, n_chunks);
                return;
            }
        }
    }
}

/* ── nodes that come and go ──────────────────────────────────────────────────────────────────── */
static void plan_down(year_t *y, const mesh_node_t *n)
{
    if (!y->is_calm)
        world_push(y->w, world_span(y->w, n->is_server ? 5 * DAY_MS : 16 * HOUR_MS), EVENT_DOWN, n->index,
                   n->session, 0);
}

static void plan_up(year_t *y, const mesh_node_t *n)
{
    mesh_world_t *w = y->w;
    uint64_t away_ms = world_span(w, n->is_server ? 30 * MINUTE_MS : 8 * HOUR_MS);
    if (prng_below(&w->rng, 50) == 0)
        away_ms = 7 * DAY_MS + prng_below(&w->rng, 35 * DAY_MS);
    world_push(w, away_ms, EVENT_UP, n->index, n->session, 0);
}

static void go_down(year_t *y, mesh_node_t *n)
{
    world_down(y->w, n);
    plan_up(y, n);
}

static void come_up(year_t *y, mesh_node_t *n)
{
    world_up(y->w, n, prng_below(&y->w->rng, 20) == 0);
    plan_down(y, n);
}

static void add_node(year_t *y, uint32_t zone)
{
    mesh_node_t *n = world_add_node(y->w, zone, prng_below(&y->w->rng, 10) < 3, true);
    plan_down(y, n);
    world_push(y->w, world_span(y->w, 300 * DAY_MS), EVENT_LEAVE, n->index, 0, 0); /* 10% in 30 days */
}

static void leave(year_t *y, mesh_node_t *n)
{
    uint32_t zone = n->zone;
    world_leave(y->w, n);
    add_node(y, zone);
}

static void lose_something(year_t *y, mesh_node_t *n)
{
    if (!y->w->n_files)
        return;
    for (uint32_t i = 0, at = (uint32_t)prng_below(&y->w->rng, y->w->n_files); i < y->w->n_files; i++, at++) {
        at = at < y->w->n_files ? at : 0;
        if (world_has(n, at) && y->w->files[at].copies > 1) {
            world_lose_disk(y->w, n, at);
            return;
        }
    }
}

/* ── disasters ───────────────────────────────────────────────────────────────────────────────── */
static void burn_zone(year_t *y)
{
    mesh_world_t *w = y->w;
    uint64_t before = w->f.departed_bytes;
    uint32_t zone = (uint32_t)prng_below(&w->rng, ZONES);
    for (size_t i = 0, n = w->n_nodes; i < n; i++)
        if (!w->nodes[i]->is_gone && w->nodes[i]->zone == zone) {
            leave(y, w->nodes[i]);
            y->fire_nodes++;
        }
    y->fire_bytes = w->f.departed_bytes - before;
    y->fire_ms = w->now_ms;
    y->mark_bytes = w->f.repair_bytes;
}

static void cut_power(year_t *y)
{
    mesh_world_t *w = y->w;
    for (size_t i = 0; i < w->n_nodes; i++) {
        mesh_node_t *n = w->nodes[i];
        if (!n->is_up || prng_below(&w->rng, 10) >= 4)
            continue;
        world_down(w, n);
        world_push(w, 3 * HOUR_MS + prng_below(&w->rng, 10 * MINUTE_MS), EVENT_UP, n->index, n->session, 0);
    }
    y->cut_ms = w->now_ms;
    y->mark_bytes = w->f.repair_bytes;
}

static void end_of_day(year_t *y)
{
    mesh_world_t *w = y->w;
    if (y->fire_ms && !y->after_fire_bytes && w->now_ms >= y->fire_ms + 2 * DAY_MS)
        y->after_fire_bytes = w->f.repair_bytes - y->mark_bytes;
    if (y->cut_ms && !y->after_cut_bytes && w->now_ms >= y->cut_ms + DAY_MS)
        y->after_cut_bytes = w->f.repair_bytes - y->mark_bytes;
    world_push(w, DAY_MS, EVENT_DAY, 0, 0, 0);
}

/* ── the year ────────────────────────────────────────────────────────────────────────────────── */
static void happen(year_t *y, const sim_event_t *e)
{
    mesh_world_t *w = y->w;
    mesh_node_t *n = w->nodes[e->a];
    switch (e->kind) {
    case EVENT_DOWN:
        if (n->is_up && n->session == e->b && !y->is_calm)
            go_down(y, n);
        break;
    case EVENT_UP:
        if (!n->is_up && !n->is_gone && n->session == e->b)
            come_up(y, n);
        break;
    case EVENT_LEAVE:
        if (!n->is_gone && !y->is_calm)
            leave(y, n);
        break;
    case EVENT_STORE:
        store_one(y, draw_chunks(y));
        break;
    case EVENT_DELETE:
        delete_one(y);
        break;
    case EVENT_BAD_DISK:
        if (!n->is_gone)
            lose_something(y, n);
        break;
    case EVENT_SPLIT:
    case EVENT_HEAL_SPLIT:
        world_split(w, e->kind == EVENT_SPLIT);
        break;
    case EVENT_MASS_LEAVE:
        burn_zone(y);
        break;
    case EVENT_MASS_DOWN:
        cut_power(y);
        break;
    case EVENT_DAY:
        end_of_day(y);
        break;
    default:
        CHECK(!"an event of the scenario");
    }
}

static void plan_year(year_t *y)
{
    mesh_world_t *w = y->w;
    uint64_t span_ms = y->o.days * DAY_MS;
    for (size_t i = 0; i < y->o.nodes; i++)
        add_node(y, (uint32_t)(i % ZONES));
    for (size_t i = 0; i < y->o.files; i++)
        world_push(w, prng_below(&w->rng, span_ms / 36 + 1), EVENT_STORE, 0, 0, 0);
    for (size_t i = 0; i < y->o.files * 6 * y->o.days / 3650; i++)
        world_push(w, span_ms / 36 + prng_below(&w->rng, span_ms - span_ms / 36), EVENT_DELETE, 0, 0, 0);
    for (size_t i = 0; i < y->o.nodes * y->o.days / 730; i++)
        world_push(w, prng_below(&w->rng, span_ms - span_ms / 4), EVENT_BAD_DISK,
                   /* audits take weeks */ (uint32_t)prng_below(&w->rng, y->o.nodes), 0, 0);
    world_push(w, span_ms / 4, EVENT_SPLIT, 0, 0, 0);
    for (size_t i = 0; i < 5; i++) /* deleted on one side of the split */
        world_push(w, span_ms / 4 + i * HOUR_MS, EVENT_DELETE, 0, 0, 0);
    world_push(w, span_ms / 4 + 12 * HOUR_MS, EVENT_HEAL_SPLIT, 0, 0, 0);
    world_push(w, span_ms / 2, EVENT_MASS_LEAVE, 0, 0, 0);
    world_push(w, span_ms / 4 * 3, EVENT_MASS_DOWN, 0, 0, 0);
    world_push(w, DAY_MS, EVENT_DAY, 0, 0, 0);
}

/* ── in the end ──────────────────────────────────────────────────────────────────────────────── */
static void check_disk(const mesh_world_t *w, const mesh_node_t *n)
{
    uint8_t *needed = xcalloc(1, CHUNKS_MAX / 8 + 1);
    for (size_t i = 0; i < w->n_files; i++) {
        const file_t *f = &w->files[i];
        CHECK(!f->is_deleted || !world_has(n, i));
        for (uint32_t c = f->first_chunk; world_has(n, i) && c < f->first_chunk + f->n_chunks; c++)
            needed[c / 8] |= (uint8_t)(1u << c % 8);
    }
    CHECK(!memcmp(needed, n->chunks, CHUNKS_MAX / 8 + 1));
    free(needed);
}

static void check_end(year_t *y)
{
    mesh_world_t *w = y->w;
    size_t deleted = 0, over = 0;
    for (size_t i = 0; i < w->n_files; i++) {
        const file_t *f = &w->files[i];
        deleted += f->is_deleted;
        CHECK(f->is_deleted ? f->copies == 0 : f->copies >= FACTOR);
        over += f->is_deleted ? 0 : f->copies - FACTOR;
    }
    for (size_t i = 0; i < w->n_nodes; i++) {
        const mesh_node_t *n = w->nodes[i];
        if (n->is_gone)
            continue;
        CHECK(n->is_up && catch_up_is_current(n->catch_up));
        CHECK(tombstones_count(n->dead) == deleted);
        check_disk(w, n);
    }
    CHECK(over <=
          w->n_files + w->n_files / 20); /* one more than wanted is left alone; some are being pruned */
}

/* Everybody who is left comes up and stays; what is still to be done is done. */
static void calm_down(year_t *y)
{
    mesh_world_t *w = y->w;
    y->is_calm = true;
    for (size_t i = 0; i < w->n_nodes; i++)
        if (!w->nodes[i]->is_gone && !w->nodes[i]->is_up)
            world_up(w, w->nodes[i], false);
}

static int compare_spans(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double hours(const uint64_t *spans, size_t n, size_t at)
{
    return at < n ? (double)spans[at] / (double)HOUR_MS : 0;
}

/* Of ten deletions, how long the fifth and the ninth took until all holders had signed. */
static void report_deletions(const mesh_world_t *w)
{
    uint64_t *spans = xcalloc(w->n_files, sizeof *spans);
    size_t n = 0;
    for (size_t i = 0; i < w->n_files; i++)
        if (w->files[i].receipts_ms)
            spans[n++] = w->files[i].receipts_ms - w->files[i].deleted_ms;
    qsort(spans, n, sizeof *spans, compare_spans);
    printf("deletions %llu, all receipts for %zu, half of them within %.1f h, nine of ten within %.1f h; "
           "comparisons %llu, questions %llu\n",
           (unsigned long long)w->f.deletions, n, hours(spans, n, n / 2), hours(spans, n, n * 9 / 10),
           (unsigned long long)w->f.syncs, (unsigned long long)w->f.sync_questions);
    free(spans);
}

static void report(const year_t *y, double seconds)
{
    const figures_t *f = &y->w->f;
    double gib = 1 << 30, days = (double)y->o.days, nodes = (double)y->o.nodes;
    printf("sessions %llu, departures %llu, restarts %llu, behind the horizon %llu, silent losses %llu\n",
           (unsigned long long)f->sessions, (unsigned long long)f->departures,
           (unsigned long long)f->restarts, (unsigned long long)f->behind, (unsigned long long)f->lost_disks);
    printf("suspected after %.1f s of silence; offers %llu, refused %llu, prunes %llu; audits %llu, failed "
           "%llu\n",
           (double)y->w->detect_ms / 1000, (unsigned long long)f->offers, (unsigned long long)f->refused,
           (unsigned long long)f->prunes, (unsigned long long)f->audits,
           (unsigned long long)f->audits_failed);
    printf("after the fire (%zu nodes, %.1f GiB of copies) %.1f GiB in two days; after the power cut %.1f "
           "GiB in a day\n",
           y->fire_nodes, (double)y->fire_bytes / gib, (double)y->after_fire_bytes / gib,
           (double)y->after_cut_bytes / gib);
    report_deletions(y->w);
    printf("stored %.1f GiB; left for good with %.1f GiB; repaired %.1f GiB in %llu copies (%.2f times what "
           "left, "
           "%.1f MiB a node and day), at most %.1f GiB in an hour; %.1f s\n",
           (double)f->stored_bytes / gib, (double)f->departed_bytes / gib, (double)f->repair_bytes / gib,
           (unsigned long long)f->repairs, (double)f->repair_bytes / (double)f->departed_bytes,
           (double)f->repair_bytes / 0x1p20 / nodes / days, (double)f->peak_hour_bytes / gib, seconds);
}

int main(int argc, char **argv)
{
    options_t o = {.seed = 1, .days = 365, .nodes = 1000, .files = 1000};
    for (int i = 1; i < argc; i++) {
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (!strcmp(argv[i], "--figures"))
            o.has_figures = true;
        else if (!strcmp(argv[i], "--seed") && i++)
            o.seed = value;
        else if (!strcmp(argv[i], "--days") && i++)
            o.days = value;
        else if (!strcmp(argv[i], "--nodes") && i++)
            o.nodes = value;
        else if (!strcmp(argv[i], "--files") && i++)
            o.files = value;
        else
            return fprintf(stderr,
                           "usage: mesh_year [--seed N] [--days N] [--nodes N] [--files N] [--figures]\n"),
                   2;
    }
    if (o.days < 40 || o.nodes < 100 || o.nodes > 10000 || o.files < 20 || o.files > 2000)
        return fprintf(stderr, "at least 40 days, 100 to 10,000 nodes, 20 to 2,000 files\n"), 2;
    year_t y = {.w = world_new(o.seed), .o = o};
    y.begin_ms = y.w->now_ms;
    y.end_ms = y.begin_ms + o.days * DAY_MS;
    clock_t began = clock();
    plan_year(&y);
    sim_event_t e;
    while (world_next(y.w, y.end_ms, &e))
        happen(&y, &e);
    calm_down(&y);
    while (world_next(y.w, y.end_ms + CALM_DAYS * DAY_MS, &e))
        happen(&y, &e);
    double seconds = (double)(clock() - began) / CLOCKS_PER_SEC;
    if (o.has_figures)
        report(&y, seconds);
    check_end(&y);
    figures_t *f = &y.w->f;
    CHECK(o.days < 300 || y.after_fire_bytes < 3 * y.fire_bytes);
    printf("seed %llu: ok, %.0f days, %zu nodes, %zu files, %u chunks, repaired %.1f GiB for %.1f GiB that "
           "left, hash %016llx\n",
           (unsigned long long)o.seed, day_of(&y), y.w->n_nodes, y.w->n_files, y.w->n_chunks,
           (double)f->repair_bytes / 0x1p30, (double)f->departed_bytes / 0x1p30,
           (unsigned long long)y.w->hash);
    world_free(y.w);
    return 0;
}
