/* gateway_metrics: what an operator sees of the gateway: one name of our own, and those that dashboards for
 * the reference know. */
#include "api/api_internal.h"
#include "api/gateway.h"
#include "base/metrics.h"
#include <stdio.h>

static const int codes[] = {200, 206, 301, 302, 303, 304, 307, 308, 400, 403, 404, 405,
                            406, 410, 412, 416, 422, 429, 451, 500, 501, 502, 503, 504};
enum { STATUS_CLASSES = 6, LABEL_MAX = 16 };

static metric_t *classes[STATUS_CLASSES], *answers[ARRAY_LEN(codes)], *late, *cut_whole, *cut_part, *running;
static char labels[ARRAY_LEN(codes)][LABEL_MAX]; /* metrics borrow them for ever */

static metric_t *timeout_counter(const char *label)
{
    return metric_counter(
        "ipfs_http_gw_retrieval_timeouts_total", label,
        "Requests whose content did not come in time, before or in the middle of the answer.");
}

void gateway_metrics_start(void)
{
    static const char *const class_labels[] = {"code=\"other\"", "code=\"1xx\"", "code=\"2xx\"",
                                               "code=\"3xx\"",   "code=\"4xx\"", "code=\"5xx\""};
    for (size_t i = 0; i < STATUS_CLASSES; i++)
        classes[i] =
            metric_counter("gateway_requests_total", class_labels[i], "Requests that the gateway answered.");
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        snprintf(labels[i], LABEL_MAX, "code=\"%d\"", codes[i]);
        answers[i] =
            metric_counter("ipfs_http_gw_responses_total", labels[i], "Answers of the gateway, by status.");
    }
    late = timeout_counter("code=\"504\",truncated=\"false\"");
    cut_whole = timeout_counter("code=\"200\",truncated=\"true\"");
    cut_part = timeout_counter("code=\"206\",truncated=\"true\"");
    running = metric_gauge("ipfs_http_gw_concurrent_requests", NULL, "Requests that the gateway works on.");
}

void gateway_count_answer(int status)
{
    bool is_known = status >= 100 && status < 600;
    metric_add(classes[is_known ? (size_t)status / 100 : 0], 1);
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i] == status)
            metric_add(answers[i], 1);
}

void gateway_count_timeout(int status)
{
    metric_add(status == 504 ? late : status == 206 ? cut_part : cut_whole, 1);
}

void gateway_count_running(uint64_t n)
{
    metric_set(running, (double)n);
}
