/* node_published: asks the metadata service from time to time whether the files that this node gives to IPFS
 * are still there. */
#include "base/log.h"
#include "meta/node_internal.h"
#include "meta/published.h"
#include "repo/gc.h"
#include <stdlib.h>

enum { PAGE = 100, BEATS = 20, PAUSE_MAX_MS = 600000 };

/* A file that is in the service's log is gone by somebody's will. One that an older backup, or another
 * service, has never heard of may come back: it stays for as long as a chunk would. */
static err_t drop_file(task_t *t, node_service_t *s, const char *file, uint64_t now_s, size_t *ret_gone)
{
    uint64_t since_s;
    bytes_t what = bytes_str(file);
    err_t e = s->compared == s->incarnation ? node_left_find(t, s, what, &since_s)
                                            : node_left_since(t, s, what, now_s, &since_s);
    if (e && e != ERR_NOT_FOUND)
        return e;
    if (!e && since_s + s->orphan_grace_s > now_s)
        return OK;
    TRY(published_remove(t, s->repo, file));
    TRY(node_left_clear(t, s, what));
    log_info("a file is not given to IPFS any more", LOG_STR("file", file));
    ++*ret_gone;
    return OK;
}

static err_t ask_about(task_t *t, node_service_t *s, const published_t *page, size_t n, json_t **ret)
{
    char path[META_ID_CHARS + 32], cid[CID_TEXT_MAX];
    json_t *files = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(
            files, json_pack("{s:s s:s}", "file", page[i].file, "cid", cid_print(&page[i].root, cid)));
    snprintf(path, sizeof path, "/nodes/%s/published", s->id);
    return rest_do(t, &s->rest, "POST", path,
                   json_pack("{s:o s:o}", "files", files, "log_seen", node_seen_json(s)), ret);
}

static bool has_text(const json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *one = json_string_value(json_array_get(list, i));
        if (one && !strcmp(one, text))
            return true;
    }
    return false;
}

/* *ret_gone: how many went. One that is young may not be known yet. */
static err_t check_page(task_t *t, node_service_t *s, const published_t *page, size_t n, uint64_t young_s,
                        size_t *ret_gone)
{
    AUTO_PTR(json_t) answer = NULL;
    int64_t incarnation = s->incarnation;
    bool is_compared = s->compared == incarnation;
    TRY(ask_about(t, s, page, n, &answer));
    if (!s->is_registered || s->incarnation != incarnation)
        return fail(ERR_CLOSED, "the metadata service was set back meanwhile");
    const json_t *gone = json_object_get(answer, "gone");
    uint64_t now_s = driver_wall_ms(task_driver(t)) / 1000;
    for (size_t i = 0; i < n; i++) {
        bool is_gone = has_text(gone, page[i].file);
        if (is_gone && (!is_compared || page[i].at_s + young_s <= now_s))
            TRY(drop_file(t, s, page[i].file, now_s, ret_gone));
        if (!is_gone && page[i].at_s + s->orphan_grace_s + young_s > now_s) /* it was too young to be known */
            TRY(node_left_clear(t, s, bytes_str(page[i].file)));
    }
    return OK;
}

static err_t check_all(task_t *t, node_service_t *s, published_t *page, uint64_t young_s)
{
    char last[META_ID_CHARS + 1] = "";
    size_t n = PAGE, gone = 0;
    int64_t incarnation = s->incarnation;
    gc_result_t result;
    while (n == PAGE) {
        TRY(published_page(t, s->repo, *last ? last : NULL, page, PAGE, &n));
        if (!n)
            break;
        snprintf(last, sizeof last, "%s", page[n - 1].file);
        TRY(check_page(t, s, page, n, young_s, &gone));
    }
    if (s->compared != incarnation && s->is_registered && s->incarnation == incarnation) {
        TRY(node_set_compared(t, s, incarnation));
        log_info("what is given to IPFS was compared with the metadata service");
    }
    return gone ? gc_run(t, repo_gc(s->repo), NULL, NULL, &result) : OK;
}

/* A new incarnation is compared soon: what is deleted before has to wait. */
static err_t rest(task_t *t, node_service_t *s)
{
    uint64_t slept_ms = 0;
    do {
        TRY(task_sleep(t, s->interval_ms));
        slept_ms += s->interval_ms;
    } while (s->compared == s->incarnation && slept_ms < BEATS * s->interval_ms && slept_ms < PAUSE_MAX_MS);
    return OK;
}

err_t node_published_task(task_t *t, void *service)
{
    node_service_t *s = service;
    published_t *page = xcalloc(PAGE, sizeof *page);
    err_t e = OK;
    while (e != ERR_CANCELED) {
        e = rest(t, s);
        if (!e && s->is_registered)
            e = check_all(t, s, page, BEATS * s->interval_ms / 1000);
        if (e && e != ERR_CANCELED)
            log_warn("published files could not be compared", LOG_ERR(e));
    }
    free(page);
    return e;
}
