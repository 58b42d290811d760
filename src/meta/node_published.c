/* node_published: asks the metadata service from time to time whether the files that this node gives to IPFS
 * are still there. */
#include "base/log.h"
#include "meta/node_internal.h"
#include "meta/published.h"
#include "repo/gc.h"
#include <stdlib.h>

enum { PAGE = 100, BEATS = 20, PAUSE_MAX_MS = 600000 };

/* *ret_gone: how many went. One that is young may not be known yet. */
static err_t check_page(task_t *t, node_service_t *s, const published_t *page, size_t n, uint64_t grace_s,
                        size_t *ret_gone)
{
    AUTO_PTR(json_t) answer = NULL;
    char path[META_ID_CHARS + 32], cid[CID_TEXT_MAX];
    uint64_t now_s = driver_wall_ms(task_driver(t)) / 1000;
    json_t *files = json_array();
    for (size_t i = 0; i < n; i++)
        if (page[i].at_s + grace_s <= now_s)
            json_array_append_new(
                files, json_pack("{s:s s:s}", "file", page[i].file, "cid", cid_print(&page[i].root, cid)));
    snprintf(path, sizeof path, "/nodes/%s/published", s->id);
    TRY(rest_do(t, &s->rest, "POST", path, json_pack("{s:o}", "files", files), &answer));
    const json_t *gone = json_object_get(answer, "gone");
    for (size_t i = 0; i < json_array_size(gone); i++) {
        const char *file = json_string_value(json_array_get(gone, i));
        if (!file || !meta_is_id(file))
            return fail(ERR_PROTOCOL, "the metadata service's answer names no files");
        TRY(published_remove(t, s->repo, file));
        log_info("a file is not given to IPFS any more", LOG_STR("file", file));
        ++*ret_gone;
    }
    return OK;
}

static err_t check_all(task_t *t, node_service_t *s, published_t *page, uint64_t grace_s)
{
    char last[META_ID_CHARS + 1] = "";
    size_t n = PAGE, gone = 0;
    gc_result_t result;
    while (n == PAGE) {
        TRY(published_page(t, s->repo, *last ? last : NULL, page, PAGE, &n));
        if (!n)
            break;
        snprintf(last, sizeof last, "%s", page[n - 1].file);
        TRY(check_page(t, s, page, n, grace_s, &gone));
    }
    return gone ? gc_run(t, repo_gc(s->repo), NULL, NULL, &result) : OK;
}

err_t node_published_task(task_t *t, void *service)
{
    node_service_t *s = service;
    published_t *page = xcalloc(PAGE, sizeof *page);
    err_t e = OK;
    while (e != ERR_CANCELED) {
        uint64_t pause_ms = s->is_registered ? BEATS * s->interval_ms : s->interval_ms;
        pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
        e = task_sleep(t, pause_ms);
        if (!e && s->is_registered)
            e = check_all(t, s, page, BEATS * s->interval_ms / 1000);
        if (e && e != ERR_CANCELED)
            log_warn("published files could not be compared", LOG_ERR(e));
    }
    free(page);
    return e;
}
