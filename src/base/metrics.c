#include "base/metrics.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

typedef enum { COUNTER, GAUGE, HISTOGRAM } metric_kind_t;
static const char *const kind_names[] = {"counter", "gauge", "histogram"};

struct metric {
    metric_t *next;
    metric_kind_t kind;
    const char *name, *help;
    char *labels; /* owned, NULL when none */
    double value; /* histogram: the sum */
    const double *bounds;
    size_t n_bounds;
    uint64_t *buckets; /* not cumulative; n_bounds + 1 with +Inf */
    uint64_t count;
};

static metric_t *first, **end = &first;
static list_t sources = {&sources, &sources};

static metric_t *find(const char *name, const char *labels)
{
    for (metric_t *m = first; m; m = m->next)
        if (!strcmp(m->name, name) &&
            (labels && m->labels ? !strcmp(m->labels, labels) : !labels && !m->labels))
            return m;
    return NULL;
}

static metric_t *get(metric_kind_t kind, const char *name, const char *labels, const char *help)
{
    if (labels && !*labels)
        labels = NULL;
    metric_t *m = find(name, labels);
    if (m) {
        assert(m->kind == kind);
        return m;
    }
    m = xcalloc(1, sizeof *m);
    m->kind = kind;
    m->name = name;
    m->help = help;
    m->labels = labels ? xstrdup(labels) : NULL;
    *end = m;
    end = &m->next;
    return m;
}

metric_t *metric_counter(const char *name, const char *labels, const char *help)
{
    return get(COUNTER, name, labels, help);
}

metric_t *metric_gauge(const char *name, const char *labels, const char *help)
{
    return get(GAUGE, name, labels, help);
}

metric_t *metric_histogram(const char *name, const char *labels, const char *help, const double *bounds,
                           size_t n_bounds)
{
    metric_t *m = get(HISTOGRAM, name, labels, help);
    if (!m->buckets) {
        for (size_t i = 1; i < n_bounds; i++)
            assert(bounds[i - 1] < bounds[i]);
        m->bounds = bounds;
        m->n_bounds = n_bounds;
        m->buckets = xcalloc(n_bounds + 1, sizeof *m->buckets);
    }
    return m;
}

void metric_add(metric_t *m, double by)
{
    assert(m->kind == GAUGE || (m->kind == COUNTER && by >= 0));
    m->value += by;
}

void metric_set(metric_t *m, double value)
{
    assert(m->kind == GAUGE);
    m->value = value;
}

void metric_observe(metric_t *m, double value)
{
    assert(m->kind == HISTOGRAM);
    size_t i = 0;
    while (i < m->n_bounds && value > m->bounds[i])
        i++;
    m->buckets[i]++;
    m->count++;
    m->value += value;
}

double metric_value(const metric_t *m)
{
    return m->value;
}

static err_t print_number(buf_t *out, double v)
{
    if (isnan(v))
        return buf_append(out, BYTES_LIT("NaN"));
    if (isinf(v))
        return buf_printf(out, v < 0 ? "-Inf" : "+Inf");
    if (v == floor(v) && fabs(v) < 1e15)
        return buf_printf(out, "%.0f", v);
    return buf_printf(out, "%.17g", v);
}

static err_t print_plain(buf_t *out, const metric_t *m, const char *suffix)
{
    TRY(buf_printf(out, "%s%s", m->name, suffix));
    if (m->labels)
        TRY(buf_printf(out, "{%s}", m->labels));
    TRY(buf_append_u8(out, ' '));
    TRY(print_number(out, m->value));
    return buf_append_u8(out, '\n');
}

static err_t print_histogram(buf_t *out, const metric_t *m)
{
    uint64_t below = 0;
    for (size_t i = 0; i <= m->n_bounds; i++) {
        below += m->buckets[i];
        TRY(buf_printf(out, "%s_bucket{%s%sle=\"", m->name, m->labels ? m->labels : "",
                       m->labels ? "," : ""));
        if (i < m->n_bounds)
            TRY(buf_printf(out, "%.9g", m->bounds[i]));
        else
            TRY(buf_append(out, BYTES_LIT("+Inf")));
        TRY(buf_printf(out, "\"} %" PRIu64 "\n", below));
    }
    TRY(print_plain(out, m, "_sum"));
    TRY(buf_printf(out, "%s_count", m->name));
    if (m->labels)
        TRY(buf_printf(out, "{%s}", m->labels));
    return buf_printf(out, " %" PRIu64 "\n", m->count);
}

static bool is_first_of_name(const metric_t *m)
{
    for (const metric_t *at = first; at != m; at = at->next)
        if (!strcmp(at->name, m->name))
            return false;
    return true;
}

void metrics_add_source(metric_source_t *s)
{
    list_push_back(&sources, &s->node);
}

void metrics_remove_source(metric_source_t *s)
{
    list_remove(&s->node);
}

err_t metrics_print(buf_t *out)
{
    LIST_EACH (s, &sources, metric_source_t, node)
        s->update(s->arg);
    for (const metric_t *family = first; family; family = family->next) {
        if (!is_first_of_name(family))
            continue;
        TRY(buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name,
                       kind_names[family->kind]));
        for (const metric_t *m = family; m; m = m->next)
            if (!strcmp(m->name, family->name))
                TRY(m->kind == HISTOGRAM ? print_histogram(out, m) : print_plain(out, m, ""));
    }
    return OK;
}
