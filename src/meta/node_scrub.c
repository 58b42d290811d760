/* node_scrub: slowly, for ever: reads what is kept, and compares it with what the metadata service expects.
 */
#include "base/log.h"
#include "base/metrics.h"
#include "meta/node_internal.h"
#include <stdlib.h>

enum { PAGE = 256, PAUSE_MS = 600000, FIRST_PAUSE_MS = 15000, ORPHAN_AGE_S = 48 * 3600 };

/* ── what the service does not know ──────────────────────────────────────────────────────────── */

/* A chunk that was written for an upload which never was committed. Young ones may yet be. */
static bool is_orphan(task_t *t, node_service_t *s, const chunk_info_t *info)
{
    AUTO_PTR(json_t) answer = NULL;
    char id[META_CHUNK_ID_CHARS + 1], path[META_CHUNK_ID_CHARS + 32];
    if (!s->is_registered || info->stored_s + ORPHAN_AGE_S > driver_wall_ms(task_driver(t)) / 1000)
        return false;
    chunk_id_print(&info->id, id);
    snprintf(path, sizeof path, "/chunks/%s/locations", id);
    err_t e = rest_do(t, &s->rest, "GET", path, NULL, &answer);
    if (e)
        return e == ERR_NOT_FOUND;
    const json_t *list = json_object_get(answer, "locations");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *node = json_string_value(json_object_get(json_array_get(list, i), "node"));
        if (node && !strcmp(node, s->id))
            return false;
    }
    return json_is_array(list);
}

/* ── what is kept ────────────────────────────────────────────────────────────────────────────── */

static err_t check_one(task_t *t, node_service_t *s, const chunk_info_t *info)
{
    size_t deleted;
    err_t e = chunk_store_check(t, s->chunks, &info->id);
    if (e == ERR_CANCELED)
        return e;
    metric_add(metric_counter("fs_scrubbed_chunks_total", NULL, "Chunks that the scrub has read"), 1);
    if (e == ERR_CORRUPT) {
        metric_add(metric_counter("fs_damaged_chunks_total", NULL, "Chunks that were damaged here"), 1);
        chunk_cache_drop(&s->cache, &info->id);
        node_report(s, REPORT_LOST, &info->id);
        event_fire(&s->wake);
    } else if (!e && is_orphan(t, s, info)) {
        TRY(node_service_delete(t, s, &info->id, 1, &deleted));
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

static err_t compare_page(task_t *t, node_service_t *s, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        chunk_id_t id;
        const char *text;
        TRY(rest_text(json_array_get(list, i), "id", &text));
        TRY(chunk_id_parse(text, &id));
        if (!chunk_store_has(t, s->chunks, &id, NULL)) {
            node_report(s, REPORT_LOST, &id);
            event_fire(&s->wake);
        }
    }
    return OK;
}

static err_t check_expected(task_t *t, node_service_t *s)
{
    char path[1024], cursor[512] = "";
    do {
        AUTO_PTR(json_t) answer = NULL;
        snprintf(path, sizeof path, "/nodes/%s/chunks?limit=1000%s%s", s->id, *cursor ? "&cursor=" : "",
                 cursor);
        TRY(rest_do(t, &s->rest, "GET", path, NULL, &answer));
        TRY(compare_page(t, s, json_object_get(answer, "chunks")));
        const char *next = json_string_value(json_object_get(answer, "next_cursor"));
        snprintf(cursor, sizeof cursor, "%s", next ? next : "");
    } while (*cursor);
    return OK;
}

err_t node_scrub_task(task_t *t, void *service)
{
    node_service_t *s = service;
    chunk_info_t *page = xcalloc(PAGE, sizeof *page);
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
