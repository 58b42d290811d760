#include "loop/http_internal.h"

static void let_go(http_exchange_t *x)
{
    x->server->held_bytes -= x->held_bytes;
    x->held_bytes = 0;
    list_remove(&x->slow_node);
}

bool http_has_room(http_server_t *s)
{
    uint64_t now_ms = sched_now_ms(s->sched);
    LIST_EACH (x, &s->slow, http_exchange_t, slow_node) {
        if (s->held_bytes <= s->max_held_bytes || now_ms - x->slow_since_ms < s->slow_after_s * 1000u)
            break;
        let_go(x);
        x->is_cut = true;
        event_fire(&x->answer_changed);
    }
    return s->held_bytes <= s->max_held_bytes;
}

err_t http_wait_for_client(task_t *t, http_exchange_t *x)
{
    http_server_t *s = x->server;
    x->held_bytes = http_exchange_waiting(x);
    x->slow_since_ms = sched_now_ms(s->sched);
    s->held_bytes += x->held_bytes;
    list_push_back(&s->slow, &x->slow_node);
    http_has_room(s);
    err_t e = event_wait(t, &x->answer_changed);
    if (x->is_cut)
        return fail(ERR_LIMIT, "its client reads too slowly, and others need the memory");
    let_go(x);
    return e;
}
