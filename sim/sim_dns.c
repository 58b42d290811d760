#include "sim/sim_impl.h"
#include <stdlib.h>
#include <strings.h>

enum { QUERY_MS = 20, TTL_S = 60, TEXT_MAX_BYTES = 65535 };

typedef struct dns_record {
    list_t node;
    char *name;
    dns_type_t type;
    err_t error; /* instead of a value */
    buf_t value;
} dns_record_t;

static dns_record_t *record_new(sim_t *s, const char *name)
{
    dns_record_t *r = xcalloc(1, sizeof *r);
    r->name = xstrdup(name);
    buf_init(&r->value, TEXT_MAX_BYTES);
    list_push_back(&s->dns, &r->node);
    return r;
}

static void record_free(dns_record_t *r)
{
    list_remove(&r->node);
    buf_deinit(&r->value);
    free(r->name);
    free(r);
}

void sim_dns_add(sim_t *s, const char *name, dns_type_t type, bytes_t value)
{
    dns_record_t *r = record_new(s, name);
    r->type = type;
    if (buf_append(&r->value, value))
        abort(); /* over 65,535 bytes: no DNS record */
}

void sim_dns_clear(sim_t *s, const char *name)
{
    LIST_EACH (r, &s->dns, dns_record_t, node)
        if (!strcasecmp(r->name, name))
            record_free(r);
}

void sim_dns_fail(sim_t *s, const char *name, err_t error)
{
    LIST_EACH (r, &s->dns, dns_record_t, node)
        if (r->error && !strcasecmp(r->name, name))
            record_free(r);
    if (error)
        record_new(s, name)->error = error;
}

void sim_dns_free(sim_t *s)
{
    LIST_EACH (r, &s->dns, dns_record_t, node)
        record_free(r);
}

err_t sim_op_resolve(task_t *t, driver_t *d, const char *name, dns_type_t type, dns_answer_t *ret)
{
    sim_machine_t *m = machine_of(d);
    sim_t *s = m->host->sim;
    TRY(task_sleep(t, 1 + prng_below(&s->rng, QUERY_MS)));
    TRY(machine_check(m));
    if (m->host->is_isolated)
        return fail(ERR_UNREACHABLE, "no answer for %s", name);
    dns_answer_t answer = {.ttl_s = TTL_S};
    LIST_EACH (r, &s->dns, dns_record_t, node) {
        if (strcasecmp(r->name, name))
            continue;
        if (r->error) {
            dns_answer_deinit(&answer);
            return fail(r->error, "no answer for %s", name);
        }
        if (r->type != type || answer.count == DNS_MAX_ANSWERS)
            continue;
        buf_t *text = &answer.text[answer.count++];
        buf_init(text, TEXT_MAX_BYTES);
        if (buf_append(text, buf_bytes(&r->value)))
            abort();
    }
    if (!answer.count)
        return fail(ERR_NOT_FOUND, "%s has no such record", name);
    *ret = answer;
    return OK;
}
