/* meta_face: the metadata service over HTTP: docs/openapi/metadata.json, which it serves itself at
 * /openapi.json. */
#ifndef API_META_FACE_H
#define API_META_FACE_H
#include "meta/meta.h"
#include "task/exchange.h"

typedef struct meta_face meta_face_t;
/* Opens the service (meta_open). */
MUST_CHECK err_t meta_face_open(task_t *t, const meta_options_t *o, meta_face_t **ret);
void meta_face_close(task_t *t, meta_face_t *f); /* NULL is fine */
err_t meta_face_serve(task_t *t, exchange_t *x, void *face);
#endif
