/* pin_service: a client of remote pinning services. Spec: ipfs/pinning-services-api-spec 1.0.0; reference
 * ipfs/boxo pinning/remote/client. */
#ifndef API_PIN_SERVICE_H
#define API_PIN_SERVICE_H
#include "task/task.h"
#include <jansson.h>

typedef struct pin_service {
    char *endpoint; /* "https://host/path", without a slash at the end and without /pins */
    char *key;      /* sent to it as a bearer token */
} pin_service_t;
void pin_service_deinit(pin_service_t *s); /* idempotent */
AUTO_DEFINE(pin_service_t, pin_service_deinit)

/* An endpoint as it is kept: "https://a.b//c/" to "https://a.b/c". The caller frees it. ERR_INVALID. */
MUST_CHECK err_t pin_service_normalize(const char *endpoint, char **ret);

/* Requests; the answers are owned by the caller. A service that refuses is ERR_REFUSED with what it says; one
 * that cannot be reached, or whose answer is no such answer, the errors of http_fetch and ERR_PROTOCOL. All
 * suspend. */
/* query: "?status=pinned&…", percent-encoded. Checked: an object with count and results, each of which has
 * requestid, status, created and pin.cid as strings. */
MUST_CHECK err_t pin_service_list(task_t *t, const pin_service_t *s, const char *query, json_t **ret_page);
/* pin: {"cid": …, "name": …, "origins": […]}, borrowed. ret: the status object, checked as above. */
MUST_CHECK err_t pin_service_add(task_t *t, const pin_service_t *s, json_t *pin, json_t **ret_status);
MUST_CHECK err_t pin_service_status(task_t *t, const pin_service_t *s, const char *request_id,
                                    json_t **ret_status);
MUST_CHECK err_t pin_service_remove(task_t *t, const pin_service_t *s, const char *request_id);
#endif
