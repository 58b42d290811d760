/* fs_admin: how `distribute fs` prints accounts, keys, the log and the master key. */
#ifndef MAIN_FS_ADMIN_H
#define MAIN_FS_ADMIN_H
#include "base/error.h"
#include <jansson.h>

/* False: the verb is none of these. */
bool fs_admin_print(const char *verb, json_t *o, err_t *ret);
#endif
