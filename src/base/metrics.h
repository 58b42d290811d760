/* metrics: counters, gauges and histograms in Prometheus text form. Registered once, for the life of
 * the process; touched on the loop thread only. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H
#include "base/bytes.h"
#include "base/list.h"

typedef struct metric metric_t;
/* name and help are borrowed for ever; labels is the text between the braces or NULL. The same name
 * and labels give the same metric. */
metric_t *metric_counter(const char *name, const char *labels, const char *help);
metric_t *metric_gauge(const char *name, const char *labels, const char *help);
/* bounds: ascending upper bounds, borrowed for ever; +Inf is added. */
metric_t *metric_histogram(const char *name, const char *labels, const char *help, const double *bounds,
                           size_t n_bounds);
void metric_add(metric_t *m, double by);
void metric_set(metric_t *m, double value);
void metric_observe(metric_t *m, double value);
double metric_value(const metric_t *m);
/* Somebody who sets gauges when they are asked for. */
typedef struct metric_source {
    list_t node;
    void (*update)(void *arg);
    void *arg;
} metric_source_t;
void metrics_add_source(metric_source_t *s); /* s is the caller's until it is removed */
void metrics_remove_source(metric_source_t *s);
/* All metrics, grouped by name, in Prometheus text exposition format 0.0.4. */
MUST_CHECK err_t metrics_print(buf_t *out);
#endif
