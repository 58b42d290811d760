/* content_path: the first part of content paths, told apart: "/ipns/NAME/rest" from "/ipfs/CID/rest". What
 * stands behind is carried along as it is. */
#ifndef NAMING_CONTENT_PATH_H
#define NAMING_CONTENT_PATH_H
#include "base/bytes.h"

typedef struct content_path {
    bool is_mutable; /* under /ipns/ */
    bytes_t root;    /* the CID or name; borrowed from the text, as is rest */
    bytes_t rest;    /* "" or "/…" */
} content_path_t;
/* "/ipfs/", "/ipld/" and "/ipns/" paths, ipfs:// and ipns:// too. ERR_INVALID, worded as the reference does.
 */
MUST_CHECK err_t content_path_split(bytes_t text, content_path_t *ret);
#endif
