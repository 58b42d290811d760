#include "meta/published.h"
#include "repo/pins.h"
#include "task/driver.h"
#include <stdio.h>

#define SPACE "fs-published" /* file → time of it, 8 bytes big-endian, and the binary CID */
enum { TIME_BYTES = 8, RECORD_MAX = TIME_BYTES + CID_BINARY_MAX };

static err_t read_record(bytes_t key, bytes_t value, published_t *ret)
{
    *ret = (published_t){0};
    if (key.len != META_ID_CHARS || value.len <= TIME_BYTES)
        return fail(ERR_CORRUPT, "the record of a published file is damaged");
    memcpy(ret->file, key.data, META_ID_CHARS);
    for (int i = 0; i < TIME_BYTES; i++)
        ret->at_s = ret->at_s << 8 | value.data[i];
    return cid_decode(bytes_slice(value, TIME_BYTES, value.len), &ret->root);
}

static err_t find(task_t *t, repo_t *r, const char *file_id, published_t *ret)
{
    AUTO(buf_t) value = {0};
    buf_init(&value, RECORD_MAX);
    TRY(kv_get(t, repo_state(r), SPACE, bytes_str(file_id), &value));
    return read_record(bytes_str(file_id), buf_bytes(&value), ret);
}

/* ── pins ────────────────────────────────────────────────────────────────────────────────────── */

/* One that somebody has set by hand stays theirs. */
static err_t pin(task_t *t, repo_t *r, const cid_t *root)
{
    pin_t there;
    err_t e = pins_find(t, repo_pins(r), root, &there);
    if (!e && there.mode == PIN_RECURSIVE)
        return OK;
    if (e && e != ERR_NOT_FOUND)
        return e;
    return pins_add(t, repo_pins(r), repo_blocks(r), root, PIN_RECURSIVE, PUBLISHED_PIN_NAME, NULL, NULL);
}

typedef struct search {
    const cid_t *root;
    bool is_found;
} search_t;

static err_t compare_root(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    search_t *s = arg;
    published_t p;
    TRY(read_record(key, value, &p));
    s->is_found = s->is_found || cid_equal(&p.root, s->root);
    return OK;
}

/* Unless another file has the same content, or the pin is somebody's own. */
static err_t unpin(task_t *t, repo_t *r, const cid_t *root)
{
    pin_t there;
    search_t s = {.root = root};
    TRY(kv_scan(t, repo_state(r), SPACE, NULL, compare_root, &s));
    err_t e = s.is_found ? ERR_NOT_FOUND : pins_find(t, repo_pins(r), root, &there);
    if (e || strcmp(there.name, PUBLISHED_PIN_NAME))
        return e == ERR_NOT_FOUND ? OK : e;
    return pins_remove(t, repo_pins(r), root, PIN_RECURSIVE);
}

/* ── records ─────────────────────────────────────────────────────────────────────────────────── */

err_t published_put(task_t *t, repo_t *r, const char *file_id, const cid_t *root)
{
    uint8_t record[RECORD_MAX];
    published_t before;
    uint64_t now_s = driver_wall_ms(task_driver(t)) / 1000;
    err_t found = find(t, r, file_id, &before);
    if (found && found != ERR_NOT_FOUND)
        return found;
    TRY(pin(t, r, root));
    for (int i = 0; i < TIME_BYTES; i++)
        record[i] = (uint8_t)(now_s >> (56 - 8 * i));
    size_t len = TIME_BYTES + cid_encode(root, record + TIME_BYTES);
    TRY(kv_put(t, repo_state(r), SPACE, bytes_str(file_id), bytes_of(record, len)));
    return !found && !cid_equal(&before.root, root) ? unpin(t, r, &before.root) : OK;
}

typedef struct page {
    published_t *out;
    size_t n;
} page_t;

static err_t take_row(task_t *t, void *arg, bytes_t key, bytes_t value)
{
    page_t *p = arg;
    return read_record(key, value, &p->out[p->n++]);
}

err_t published_page(task_t *t, repo_t *r, const char *after, published_t *out, size_t cap, size_t *ret_n)
{
    page_t p = {.out = out};
    kv_range_t range = {.from = after ? bytes_str(after) : BYTES_NONE, .after_from = after, .limit = cap};
    TRY(kv_scan(t, repo_state(r), SPACE, &range, take_row, &p));
    *ret_n = p.n;
    return OK;
}

err_t published_remove(task_t *t, repo_t *r, const char *file_id)
{
    published_t p;
    err_t e = find(t, r, file_id, &p);
    if (e)
        return e == ERR_NOT_FOUND ? OK : e;
    TRY(kv_delete(t, repo_state(r), SPACE, bytes_str(file_id)));
    return unpin(t, r, &p.root);
}
