#include "base/bytes.h"
#include "task/task_impl.h"
#include <stdlib.h>

void chan_init(chan_t *c, size_t capacity)
{
    assert(capacity > 0);
    *c = (chan_t){.items = xcalloc(capacity, sizeof(void *)), .cap = capacity};
    event_init(&c->changed);
}

void chan_deinit(chan_t *c)
{
    assert(!c->changed.waiters.next || !event_has_waiters(&c->changed));
    free(c->items);
    *c = (chan_t){.is_closed = true};
    event_init(&c->changed);
}

err_t chan_try_send(chan_t *c, void *item)
{
    if (c->is_closed)
        return ERR_CLOSED;
    if (c->count == c->cap)
        return ERR_AGAIN;
    c->items[(c->head + c->count++) % c->cap] = item;
    event_fire(&c->changed);
    return OK;
}

err_t chan_try_recv(chan_t *c, void **ret_item)
{
    if (!c->count)
        return c->is_closed ? ERR_CLOSED : ERR_AGAIN;
    *ret_item = c->items[c->head];
    c->head = (c->head + 1) % c->cap;
    c->count--;
    event_fire(&c->changed);
    return OK;
}

err_t chan_send(task_t *t, chan_t *c, void *item)
{
    for (;;) {
        err_t e = chan_try_send(c, item);
        if (e == ERR_CLOSED)
            return fail(e, "%s: the receiver has closed", t->name);
        if (e != ERR_AGAIN)
            return e;
        TRY(event_wait(t, &c->changed));
    }
}

err_t chan_recv(task_t *t, chan_t *c, void **ret_item)
{
    for (;;) {
        err_t e = chan_try_recv(c, ret_item);
        if (e == ERR_CLOSED)
            return fail(e, "%s: the sender has closed", t->name);
        if (e != ERR_AGAIN)
            return e;
        TRY(event_wait(t, &c->changed));
    }
}

void chan_close(chan_t *c)
{
    c->is_closed = true;
    event_fire(&c->changed);
}
