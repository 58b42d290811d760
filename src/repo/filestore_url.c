#include "repo/filestore_url.h"
#include "base/version.h"
#include "web/http_fetch.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ROUND_BYTES = 16 << 10 };

bool filestore_ref_is_url(const filestore_ref_t *ref)
{
    char start[sizeof "https://x"] = "";
    if (ref->path.len)
        memcpy(start, ref->path.data, ref->path.len < sizeof start - 1 ? ref->path.len : sizeof start - 1);
    return url_is_named(start);
}

static err_t read_body(task_t *t, http_answer_t *a, uint8_t *out, size_t size)
{
    for (size_t at = 0, n; at < size; at += n) {
        TRY(http_answer_read(t, a, out + at, size - at, &n));
        if (!n)
            return fail(ERR_EOF, "the content is shorter than it was");
    }
    return OK;
}

/* ── hosts that are silent ───────────────────────────────────────────────────────────────────── */
void url_reader_init(url_reader_t *r)
{
    *r = (url_reader_t){0};
    gate_init(&r->turns, URL_READS_MAX);
    http_pool_init(&r->pool);
}

void url_reader_deinit(url_reader_t *r)
{
    http_pool_deinit(&r->pool);
    for (size_t i = 0; i < URL_RESTING_MAX; i++)
        free(r->resting[i].authority);
    memset(r->resting, 0, sizeof r->resting);
}

static struct resting_host *find_resting(url_reader_t *r, const char *authority)
{
    for (size_t i = 0; i < URL_RESTING_MAX; i++)
        if (r->resting[i].authority && !strcasecmp(r->resting[i].authority, authority))
            return &r->resting[i];
    return NULL;
}

static err_t check_host(task_t *t, url_reader_t *r, const url_t *u)
{
    const struct resting_host *h = find_resting(r, u->authority);
    return h && task_now_ms(t) < h->until_ms
               ? fail(ERR_UNREACHABLE, "%s was silent a moment ago, and is asked again in %llu seconds",
                      u->authority, (unsigned long long)(h->until_ms - task_now_ms(t)) / 1000 + 1)
               : OK;
}

/* In the place of whose rest ends first, when there is no other. */
static void let_host_rest(task_t *t, url_reader_t *r, const url_t *u)
{
    struct resting_host *h = find_resting(r, u->authority);
    for (size_t i = 0; i < URL_RESTING_MAX && !h; i++)
        h = r->resting[i].authority ? NULL : &r->resting[i];
    if (!h) {
        h = &r->resting[0];
        for (size_t i = 1; i < URL_RESTING_MAX; i++)
            h = r->resting[i].until_ms < h->until_ms ? &r->resting[i] : h;
    }
    free(h->authority);
    *h = (struct resting_host){xstrdup(u->authority), task_now_ms(t) + URL_REST_MS};
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
static err_t fetch_range(task_t *t, url_reader_t *r, const char *url, const filestore_ref_t *ref,
                         uint8_t *out)
{
    char range[64];
    const http_field_t fields[] = {{"User-Agent", DISTRIBUTE_AGENT}, {"Range", range}};
    http_fetch_t f = {.url = url,
                      .fields = fields,
                      .n_fields = ARRAY_LEN(fields),
                      .is_content = true,
                      .max_silence_ms = URL_SILENCE_MS,
                      .max_in_bytes = ref->size + 2 * ROUND_BYTES, /* what came with the last of it */
                      .pool = &r->pool};
    http_answer_t *a;
    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, ref->offset, ref->offset + ref->size - 1);
    TRY(http_answer_open(t, &f, &a));
    err_t e = f.status != 200 && f.status != 206
                  ? fail(ERR_REFUSED, "expected HTTP 200 or 206 got %d", f.status)
                  : read_body(t, a, out, ref->size);
    error_slot_t why = *error_slot();
    http_answer_close(t, a);
    *error_slot() = why;
    return e;
}

static err_t read_in_turn(task_t *t, url_reader_t *r, const char *url, const filestore_ref_t *ref,
                          uint8_t *out)
{
    url_t u;
    uint64_t outer_ms = task_deadline_ms(t);
    TRY(url_parse(url, &u));
    TRY(check_host(t, r, &u)); /* others that had a turn meanwhile may have found out */
    deadline_t d = deadline_push(t, URL_READ_TIMEOUT_MS);
    err_t e = fetch_range(t, r, url, ref, out);
    deadline_pop(t, &d);
    if (e != ERR_TIMEOUT || task_now_ms(t) >= outer_ms)
        return e;
    let_host_rest(t, r, &u);
    return fail(ERR_UNREACHABLE, "%s", error_text(e));
}

err_t filestore_read_url(task_t *t, url_reader_t *r, const filestore_ref_t *ref, uint8_t *out)
{
    AUTO(buf_t) url = {0};
    const char *text;
    buf_init(&url, FILESTORE_PATH_MAX_BYTES + 1);
    TRY(buf_append(&url, ref->path));
    TRY(buf_cstr(&url, &text));
    TRY(gate_enter(t, &r->turns));
    err_t e = read_in_turn(t, r, text, ref, out);
    gate_leave(&r->turns);
    return e;
}
