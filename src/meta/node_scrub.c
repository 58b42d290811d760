/* node_scrub: slowly, for ever: reads what is kept, and compares it with what the metadata service expects.
 */
#include "base/log.h"
#include "base/metrics.h"
#include "meta/node_internal.h"
#include <stdlib.h>

enum {
    PAGE = 256,
    PAUSE_MS = 600000,
    FIRST_PAUSE_MS = 15000,
    YOUNG_S = 3600,
    REPORTED_MS = 200,
    EXPECTED_PAGE = 1000
};

/* ── what the service does not know ──────────────────────────────────────────────────────────── */

/* What the service says of a chunk here. ERR_NOT_FOUND: no file has it. */
static err_t ask_about(task_t *t, node_service_t *s, const chunk_id_t *id, bool *ret_knows_copy)
{
    AUTO_PTR(json_t) answer = NULL;
    char text[META_CHUNK_ID_CHARS + 1], path[META_CHUNK_ID_CHARS + 32];
    chunk_id_print(id, text);
    snprintf(path, sizeof path, "/chunks/%s/locations", text);
    TRY(rest_do(t, &s->rest, "GET", path, NULL, &answer));
    const json_t *list = json_object_get(answer, "locations");
    *ret_knows_copy = !json_is_array(list);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *node = json_string_value(json_object_get(json_array_get(list, i), "node"));
        *ret_knows_copy = *ret_knows_copy || (node && !strcmp(node, s->id));
    }
    return OK;
}

/* A chunk that was written for an upload which never was committed goes, when the service has said for long
 * enough that it does not know it: it may have been set back to a backup, and get a newer one. A copy of a
 * chunk that files need is never lost: the service is told of it. Young ones may yet be committed. */
static err_t compare_with_service(task_t *t, node_service_t *s, const chunk_info_t *info)
{
    uint64_t now_s = driver_wall_ms(task_driver(t)) / 1000, since_s;
    uint64_t young_s = s->orphan_grace_s < YOUNG_S ? s->orphan_grace_s : YOUNG_S;
    bytes_t what = bytes_of(info->id.sha256, CHUNK_ID_BYTES);
    bool knows_copy = false;
    size_t deleted;
    if (!s->is_registered || info->stored_s + young_s > now_s)
        return OK;
    int64_t incarnation = s->incarnation;
    err_t e = ask_about(t, s, &info->id, &knows_copy);
    if (e == ERR_NOT_FOUND) {
        TRY(node_left_since(t, s, what, now_s, &since_s));
        if (!s->is_registered || incarnation != s->incarnation || since_s + s->orphan_grace_s > now_s)
            return OK;
        TRY(node_service_delete(t, s, &info->id, 1, &deleted));
        return node_left_clear(t, s, what);
    }
    if (e)
        return e == ERR_CANCELED ? e : OK; /* asked again at the next round */
    if (!knows_copy && chunk_store_has(t, s->chunks, &info->id, NULL)) {
        node_report(s, REPORT_FOUND, &info->id);
        event_fire(&s->wake);
    }
    return node_left_clear(t, s, what);
}

/* It is there from the start: an increase is seen from 0 alone. */
static metric_t *damaged_chunks(void)
{
    return metric_counter("fs_damaged_chunks_total", NULL, "Chunks that were damaged here");
}

/* ── what is kept ────────────────────────────────────────────────────────────────────────────── */

static err_t check_one(task_t *t, node_service_t *s, const chunk_info_t *info)
{
    err_t e = chunk_store_check(t, s->chunks, &info->id);
    if (e == ERR_CANCELED)
        return e;
    metric_add(metric_counter("fs_scrubbed_chunks_total", NULL, "Chunks that the scrub has read"), 1);
    if (e == ERR_CORRUPT) {
        metric_add(damaged_chunks(), 1);
        chunk_cache_drop(&s->cache, &info->id);
        node_report(s, REPORT_LOST, &info->id);
        event_fire(&s->wake);
    } else if (!e) {
        TRY(compare_with_service(t, s, info));
    }
    return task_sleep(t, info->size_bytes * 1000 / s->scrub_bytes_s + 1);
}

static err_t check_kept(task_t *t, node_service_t *s, chunk_info_t *page)
{
    size_t n = PAGE;
    chunk_id_t last;
    for (bool is_first = true; n == PAGE; is_first = false) {
        TRY(chunk_store_page(t, s->chunks, is_first ? NULL : &last, page, PAGE, &n));
        for (size_t i = 0; i < n; i++)
            TRY(check_one(t, s, &page[i]));
        if (n)
            last = page[n - 1].id;
    }
    return OK;
}

/* ── what is expected ────────────────────────────────────────────────────────────────────────── */

/* Each one is said: what does not fit into a heartbeat waits for the next. */
static err_t report_all(task_t *t, node_service_t *s, report_kind_t kind, const chunk_id_t *id)
{
    while (s->reports[kind].n == REPORT_MAX)
        TRY(task_sleep(t, REPORTED_MS));
    node_report(s, kind, id);
    event_fire(&s->wake);
    return OK;
}

/* A part of what the service expects here, in the order of the ids, beside what is kept. */
typedef struct expected {
    chunk_id_t ids[EXPECTED_PAGE];
    size_t n;
    bool is_last;  /* nothing is behind it */
    chunk_id_t at; /* kept ones are compared up to here */
    bool has_begun;
    chunk_info_t kept[PAGE];
} expected_t;

static int compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(chunk_id_t));
}

static err_t read_expected(const json_t *list, expected_t *x)
{
    x->n = json_array_size(list);
    if (x->n > EXPECTED_PAGE)
        return fail(ERR_PROTOCOL, "the metadata service gives more than was asked for");
    for (size_t i = 0; i < x->n; i++) {
        const char *text;
        TRY(rest_text(json_array_get(list, i), "id", &text));
        TRY(chunk_id_parse(text, &x->ids[i]));
    }
    return OK;
}

static err_t report_lost(task_t *t, node_service_t *s, const expected_t *x)
{
    for (size_t i = 0; i < x->n; i++)
        if (!chunk_store_has(t, s->chunks, &x->ids[i], NULL))
            TRY(report_all(t, s, REPORT_LOST, &x->ids[i]));
    return OK;
}

/* Copies that are not expected here: the service takes those that files need. */
static err_t report_found(task_t *t, node_service_t *s, expected_t *x)
{
    size_t n = PAGE;
    while (n == PAGE) {
        TRY(chunk_store_page(t, s->chunks, x->has_begun ? &x->at : NULL, x->kept, PAGE, &n));
        for (size_t i = 0; i < n; i++) {
            const chunk_id_t *id = &x->kept[i].id;
            if (!x->is_last && (!x->n || compare_ids(id, &x->ids[x->n - 1]) > 0))
                return OK;
            x->at = *id;
            x->has_begun = true;
            if (!bsearch(id, x->ids, x->n, sizeof *id, compare_ids))
                TRY(report_all(t, s, REPORT_FOUND, id));
        }
    }
    return OK;
}

static err_t check_page(task_t *t, node_service_t *s, expected_t *x, char cursor[META_CHUNK_ID_CHARS + 1])
{
    AUTO_PTR(json_t) answer = NULL;
    char path[256];
    snprintf(path, sizeof path, "/nodes/%s/chunks?limit=%d%s%s", s->id, EXPECTED_PAGE,
             *cursor ? "&cursor=" : "", cursor);
    TRY(rest_do(t, &s->rest, "GET", path, NULL, &answer));
    const char *next = json_string_value(json_object_get(answer, "next_cursor"));
    if (next && !meta_is_chunk_id(next))
        return fail(ERR_PROTOCOL, "the metadata service's cursor is no chunk");
    snprintf(cursor, META_CHUNK_ID_CHARS + 1, "%s", next ? next : "");
    x->is_last = !next;
    TRY(read_expected(json_object_get(answer, "chunks"), x));
    TRY(report_lost(t, s, x));
    return report_found(t, s, x);
}

static err_t check_expected(task_t *t, node_service_t *s)
{
    char cursor[META_CHUNK_ID_CHARS + 1] = "";
    expected_t *x = xcalloc(1, sizeof *x);
    err_t e;
    do {
        e = check_page(t, s, x, cursor);
    } while (!e && *cursor);
    free(x);
    return e;
}

/* At the start, and when the service was set back: it drops no copy before all of them were looked for. */
err_t node_recheck_task(task_t *t, void *service)
{
    enum { AGAIN_MS = 2000 };
    node_service_t *s = service;
    for (;;) {
        while (!s->is_registered || s->checked == s->incarnation)
            TRY(event_wait(t, &s->recheck));
        int64_t incarnation = s->incarnation;
        err_t e = check_expected(t, s);
        if (e == ERR_CANCELED)
            return e;
        if (e) {
            TRY(task_sleep(t, AGAIN_MS));
        } else {
            s->checked = incarnation;
            event_fire(&s->wake);
        }
    }
}

err_t node_scrub_task(task_t *t, void *service)
{
    node_service_t *s = service;
    chunk_info_t *page = xcalloc(PAGE, sizeof *page);
    metric_add(damaged_chunks(), 0);
    err_t e = task_sleep(t, FIRST_PAUSE_MS);
    while (e != ERR_CANCELED) {
        if (s->is_registered)
            e = check_expected(t, s);
        if (e != ERR_CANCELED)
            e = check_kept(t, s, page);
        if (e && e != ERR_CANCELED)
            log_warn("the scrub was interrupted", LOG_ERR(e));
        if (e != ERR_CANCELED)
            e = task_sleep(t, PAUSE_MS);
    }
    free(page);
    return e;
}
