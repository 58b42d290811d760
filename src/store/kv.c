#include "store/kv.h"
#include "store/kv_impl.h"
#include "task/driver.h"
#include <stdio.h>
#include <stdlib.h>

#define GROUP_MAX_BATCHES 128
#define GROUP_MAX_BYTES KV_BATCH_MAX_BYTES

/* ── batches ─────────────────────────────────────────────────────────────────────────────────── */
static err_t check_space(const char *space)
{
    size_t len = strlen(space);
    bool ok = len > 0 && len <= KV_SPACE_MAX_CHARS && space[0] >= 'a' && space[0] <= 'z';
    for (size_t i = 0; ok && i < len; i++)
        ok = (space[i] >= 'a' && space[i] <= 'z') || (space[i] >= '0' && space[i] <= '9') || space[i] == '-';
    return ok ? OK : fail(ERR_INVALID, "\"%.40s\" is not a name of a space", space);
}

void kv_batch_init(kv_batch_t *b)
{
    *b = (kv_batch_t){0};
    buf_init(&b->ops, KV_BATCH_MAX_BYTES);
}

void kv_batch_deinit(kv_batch_t *b)
{
    buf_deinit(&b->ops);
    b->count = 0;
}

void kv_batch_clear(kv_batch_t *b)
{
    buf_clear(&b->ops);
    b->count = 0;
}

static err_t batch_add(kv_batch_t *b, kv_op_kind_t kind, const char *space, bytes_t key, bytes_t value)
{
    TRY(check_space(space));
    if (key.len > KV_KEY_MAX_BYTES)
        return fail(ERR_LIMIT, "a key of %zu bytes in %s: at most %d", key.len, space, KV_KEY_MAX_BYTES);
    if (value.len > KV_VALUE_MAX_BYTES)
        return fail(ERR_LIMIT, "a value of %zu bytes in %s: at most %u", value.len, space,
                    KV_VALUE_MAX_BYTES);
    size_t before = b->ops.len;
    writer_t w = writer_to(&b->ops);
    write_u8(&w, (uint8_t)kind);
    write_length_prefixed(&w, bytes_str(space));
    write_length_prefixed(&w, key);
    if (kind == KV_OP_PUT)
        write_length_prefixed(&w, value);
    if (w.err) {
        b->ops.len = before;
        return w.err;
    }
    b->count++;
    return OK;
}

err_t kv_batch_put(kv_batch_t *b, const char *space, bytes_t key, bytes_t value)
{
    return batch_add(b, KV_OP_PUT, space, key, value);
}

err_t kv_batch_delete(kv_batch_t *b, const char *space, bytes_t key)
{
    return batch_add(b, KV_OP_DELETE, space, key, BYTES_NONE);
}

err_t kv_batch_delete_prefix(kv_batch_t *b, const char *space, bytes_t prefix)
{
    return batch_add(b, KV_OP_DELETE_PREFIX, space, prefix, BYTES_NONE);
}

bool kv_next_op(reader_t *r, kv_op_t *ret_op)
{
    if (r->err || reader_left(r) == 0)
        return false;
    kv_op_t op = {.kind = read_u8(r)};
    bytes_t space = read_length_prefixed(r, KV_SPACE_MAX_CHARS);
    op.key = read_length_prefixed(r, KV_KEY_MAX_BYTES);
    if (op.kind == KV_OP_PUT)
        op.value = read_length_prefixed(r, KV_VALUE_MAX_BYTES);
    if (r->err)
        return false;
    memcpy(op.space, space.data, space.len);
    if (op.kind < KV_OP_PUT || op.kind > KV_OP_DELETE_PREFIX || check_space(op.space)) {
        reader_fail(r, ERR_INVALID);
        return false;
    }
    *ret_op = op;
    return true;
}

/* ── commits ─────────────────────────────────────────────────────────────────────────────────── */
typedef struct commit_request {
    list_t node;
    bytes_t batch;
    bool is_done;
    err_t result;
    char text[ERROR_TEXT_MAX];
} commit_request_t;

/* Takes what is pending, up to a bound, and applies it in one step for all of its callers. */
static void apply_pending(task_t *t, kv_t *kv)
{
    commit_request_t *group[GROUP_MAX_BATCHES];
    bytes_t batches[GROUP_MAX_BATCHES] = {0};
    size_t n = 0, total = 0;
    while (n < GROUP_MAX_BATCHES && !list_is_empty(&kv->pending)) {
        commit_request_t *next = LIST_FIRST(&kv->pending, commit_request_t, node);
        if (n && total + next->batch.len > GROUP_MAX_BYTES)
            break;
        list_remove(&next->node);
        total += next->batch.len;
        batches[n] = next->batch;
        group[n++] = next;
    }
    err_t e = kv->ops->apply(t, kv, batches, n);
    char text[ERROR_TEXT_MAX] = "";
    if (e)
        snprintf(text, sizeof text, "%s", error_text(e));
    for (size_t i = 0; i < n; i++) {
        memcpy(group[i]->text, text, sizeof text);
        group[i]->result = e;
        group[i]->is_done = true;
    }
}

err_t kv_commit(task_t *t, kv_t *kv, kv_batch_t *batch)
{
    if (batch->count == 0)
        return OK;
    TRY(task_check(t));
    commit_request_t request = {.batch = buf_bytes(&batch->ops)};
    list_push_back(&kv->pending, &request.node);
    task_shield(t);
    while (!request.is_done) {
        if (kv->is_applying) {
            (void)!event_wait(t, &kv->applied);
            continue;
        }
        kv->is_applying = true;
        apply_pending(t, kv);
        kv->is_applying = false;
        event_fire(&kv->applied);
    }
    task_unshield(t);
    if (request.result)
        return fail(request.result, "%s", request.text);
    kv_batch_clear(batch);
    return OK;
}

err_t kv_put(task_t *t, kv_t *kv, const char *space, bytes_t key, bytes_t value)
{
    AUTO(kv_batch_t) b;
    kv_batch_init(&b);
    TRY(kv_batch_put(&b, space, key, value));
    return kv_commit(t, kv, &b);
}

err_t kv_delete(task_t *t, kv_t *kv, const char *space, bytes_t key)
{
    AUTO(kv_batch_t) b;
    kv_batch_init(&b);
    TRY(kv_batch_delete(&b, space, key));
    return kv_commit(t, kv, &b);
}

/* ── reading ─────────────────────────────────────────────────────────────────────────────────── */
err_t kv_not_found(const char *space, bytes_t key)
{
    char hex[41];
    return fail(ERR_NOT_FOUND, "no key %s%s in %s", hex_text(bytes_slice(key, 0, 20), hex, sizeof hex),
                key.len > 20 ? "..." : "", space);
}

err_t kv_get(task_t *t, kv_t *kv, const char *space, bytes_t key, buf_t *out)
{
    TRY(check_space(space));
    buf_clear(out);
    return kv->ops->get(t, kv, space, key, out);
}

bool kv_has(task_t *t, kv_t *kv, const char *space, bytes_t key)
{
    AUTO(buf_t) value;
    buf_init(&value, KV_VALUE_MAX_BYTES);
    return kv_get(t, kv, space, key, &value) == OK;
}

bool kv_page_has_room(const kv_page_t *p)
{
    return p->count < p->max_rows && p->rows.len < KV_PAGE_MAX_BYTES;
}

err_t kv_page_add(kv_page_t *p, bytes_t key, bytes_t value)
{
    writer_t w = writer_to(&p->rows);
    write_length_prefixed(&w, key);
    write_length_prefixed(&w, value);
    p->count += w.err == OK;
    return w.err;
}

bool kv_prefix_end(bytes_t prefix, buf_t *out)
{
    while (prefix.len && prefix.data[prefix.len - 1] == 0xff)
        prefix.len--;
    buf_clear(out);
    if (prefix.len == 0 || buf_append(out, prefix))
        return false;
    out->data[out->len - 1]++;
    return true;
}

/* Calls the visitor for the rows of a page; *last_key becomes the last one's key. */
static err_t visit_page(task_t *t, const kv_page_t *page, kv_visit_fn visit, void *arg, buf_t *last_key)
{
    reader_t r = reader_of(buf_bytes(&page->rows));
    while (reader_left(&r) && !r.err) {
        bytes_t key = read_length_prefixed(&r, KV_KEY_MAX_BYTES);
        bytes_t value = read_length_prefixed(&r, KV_VALUE_MAX_BYTES);
        buf_clear(last_key);
        TRY(buf_append(last_key, key));
        if (!r.err)
            TRY(visit(t, arg, key, value));
    }
    return r.err;
}

err_t kv_scan(task_t *t, kv_t *kv, const char *space, const kv_range_t *range, kv_visit_fn visit, void *arg)
{
    TRY(check_space(space));
    kv_range_t rest = range ? *range : (kv_range_t){0};
    uint64_t left = rest.limit ? rest.limit : UINT64_MAX;
    AUTO(buf_t) last_key;
    buf_init(&last_key, KV_KEY_MAX_BYTES);
    kv_page_t page = {0};
    buf_init(&page.rows, KV_PAGE_MAX_BYTES + 2 * KV_VALUE_MAX_BYTES);
    err_t e = OK;
    while (!e && left && !page.is_last) {
        buf_clear(&page.rows);
        page.count = 0;
        page.is_last = true;
        page.max_rows = left < KV_PAGE_MAX_ROWS ? left : KV_PAGE_MAX_ROWS;
        e = kv->ops->page(t, kv, space, &rest, &page);
        if (!e)
            e = visit_page(t, &page, visit, arg, &last_key);
        left -= page.count < left ? page.count : left;
        rest.from = buf_bytes(&last_key);
        rest.after_from = true;
        if (!e && page.count && !page.is_last)
            e = task_check(t);
    }
    buf_deinit(&page.rows);
    return e;
}

err_t kv_count(task_t *t, kv_t *kv, const char *space, bytes_t prefix, uint64_t *ret_count)
{
    TRY(check_space(space));
    return kv->ops->count(t, kv, space, prefix, ret_count);
}

/* ── opening and closing ─────────────────────────────────────────────────────────────────────── */
void kv_init(kv_t *kv, const kv_ops_t *ops)
{
    kv->ops = ops;
    kv->is_applying = false;
    list_init(&kv->pending);
    event_init(&kv->applied);
}

err_t kv_open(task_t *t, const char *path, kv_t **ret_kv)
{
    if (task_driver(t)->is_simulated)
        return kv_journal_open(t, path, ret_kv);
    return kv_sqlite_open(t, path, ret_kv);
}

void kv_close(task_t *t, kv_t *kv)
{
    if (!kv)
        return;
    task_shield(t);
    while (kv->is_applying || !list_is_empty(&kv->pending))
        (void)!event_wait(t, &kv->applied);
    task_unshield(t);
    kv->ops->close(t, kv);
}
