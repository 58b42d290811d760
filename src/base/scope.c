#include "base/scope.h"
#include <inttypes.h>

typedef struct use_form {
    const char *what, *member, *all_what, *all_member; /* all_…: of both directions; NULL: there is one */
} use_form_t;
static const use_form_t forms[SCOPE_USES] = {
    [SCOPE_CONNS_IN] = {"inbound connection", "ConnsInbound", "connection", "Conns"},
    [SCOPE_CONNS_OUT] = {"outbound connection", "ConnsOutbound", "connection", "Conns"},
    [SCOPE_STREAMS_IN] = {"inbound stream", "StreamsInbound", "stream", "Streams"},
    [SCOPE_STREAMS_OUT] = {"outbound stream", "StreamsOutbound", "stream", "Streams"},
    [SCOPE_FDS] = {"file descriptor", "FD", NULL, NULL},
};

scope_max_t scope_max_none(void)
{
    const uint64_t no = SCOPE_UNLIMITED;
    return (scope_max_t){no, no, no, no, no, no, no, no};
}

void scope_init(scope_t *s, const char *name, const char *kind, const scope_max_t *max,
                limit_t *memory_parent, const char *memory_hint)
{
    *s = (scope_t){.name = name, .kind = kind, .max = max};
    limit_init(&s->memory, name, memory_parent, max->memory);
    s->memory.hint = memory_hint;
}

void scope_deinit(scope_t *s)
{
    assert(scope_is_unused(s));
    limit_deinit(&s->memory);
}

bool scope_is_unused(const scope_t *s)
{
    for (size_t i = 0; i < SCOPE_USES; i++)
        if (s->used[i])
            return false;
    return !s->memory.used;
}

uint32_t scope_conns(const scope_t *s)
{
    return s->used[SCOPE_CONNS_IN] + s->used[SCOPE_CONNS_OUT];
}

uint32_t scope_streams(const scope_t *s)
{
    return s->used[SCOPE_STREAMS_IN] + s->used[SCOPE_STREAMS_OUT];
}

static uint64_t max_of(const scope_max_t *max, scope_use_t use)
{
    switch (use) {
    case SCOPE_CONNS_IN:
        return max->conns_in;
    case SCOPE_CONNS_OUT:
        return max->conns_out;
    case SCOPE_STREAMS_IN:
        return max->streams_in;
    case SCOPE_STREAMS_OUT:
        return max->streams_out;
    default:
        return max->fds;
    }
}

static err_t refuse(const scope_t *s, const char *what, const char *member, uint64_t used, uint64_t max)
{
    return fail(ERR_LIMIT,
                "%s: cannot reserve %s: %" PRIu64 " of %" PRIu64
                " in use (raise %s.%s in libp2p-resource-limit-overrides.json)",
                s->name, what, used, max, s->kind, member);
}

static err_t check(const scope_t *s, scope_use_t use)
{
    const use_form_t *f = &forms[use];
    uint64_t max = max_of(s->max, use);
    if (s->used[use] >= max)
        return refuse(s, f->what, f->member, s->used[use], max);
    if (!f->all_what)
        return OK;
    bool is_conn = use == SCOPE_CONNS_IN || use == SCOPE_CONNS_OUT;
    uint64_t all = is_conn ? scope_conns(s) : scope_streams(s);
    max = is_conn ? s->max->conns : s->max->streams;
    return all < max ? OK : refuse(s, f->all_what, f->all_member, all, max);
}

err_t scopes_charge(scope_t *const *scopes, size_t n, scope_use_t use, scope_t **ret_full)
{
    for (size_t i = 0; i < n; i++) {
        err_t e = scopes[i] ? check(scopes[i], use) : OK;
        if (e && ret_full)
            *ret_full = scopes[i];
        TRY(e);
    }
    for (size_t i = 0; i < n; i++)
        if (scopes[i])
            scopes[i]->used[use]++;
    return OK;
}

void scopes_release(scope_t *const *scopes, size_t n, scope_use_t use)
{
    for (size_t i = 0; i < n; i++) {
        if (!scopes[i])
            continue;
        assert(scopes[i]->used[use]);
        scopes[i]->used[use]--;
    }
}
