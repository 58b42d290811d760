/* fs_session: where the metadata service is, and who one is there. */
#ifndef API_FS_SESSION_H
#define API_FS_SESSION_H
#include "task/driver.h"

#define FS_TOKEN_MAX 8000
typedef struct fs_session {
    char url[1024], token[FS_TOKEN_MAX];                   /* "": none; wiped by fs_session_deinit */
    char state_folder[4096];                               /* for uploads under way */
    char metadata_ca[1024], tls_cert[1024], tls_key[1024]; /* paths of PEM files; "": none */
} fs_session_t;
MUST_CHECK err_t fs_session_read(task_t *t, fs_session_t *ret);
MUST_CHECK err_t fs_session_write(task_t *t, const fs_session_t *s);
void fs_session_deinit(fs_session_t *s);
#endif
