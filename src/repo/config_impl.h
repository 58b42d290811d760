/* config_impl: what the files of the config share. */
#ifndef REPO_CONFIG_IMPL_H
#define REPO_CONFIG_IMPL_H
#include "repo/config.h"
#include <jansson.h>

struct config {
    json_t *root; /* an object */
};
/* The config of a fresh repository without an identity. */
json_t *config_defaults(void);
/* Sets a value, making the objects on the way. Takes value, also on failure. */
MUST_CHECK err_t config_put(config_t *c, const char *path, json_t *value);
/* Exchanges what two configs hold; the objects stay, for those who keep a pointer. */
static inline void config_swap(config_t *a, config_t *b)
{
    json_t *root = a->root;
    a->root = b->root;
    b->root = root;
}
#endif
