/* gateway: what the files of the HTTP gateway share. Specs: ipfs/specs http-gateways (path, subdomain,
 * dnslink, trustless gateway, _redirects); reference ipfs/boxo gateway.
 *
 * One request passes: route (which content path do host and URL mean), format (which representation), resolve
 * (which block is at the end of the path; locally, else with a bitswap session), serve. What is in memory is
 * answered without a wait. */
#ifndef API_GATEWAY_H
#define API_GATEWAY_H
#include "api/api_internal.h"
#include "api/gateway_format.h"
#include "dag/file_reader.h"
#include "dag/path.h"

/* Content types: by the name's extension, NULL when it has none that is known; else by the first bytes, never
 * NULL. */
const char *content_type_of_name(const char *name);
const char *content_type_of(const char *name, bytes_t first_bytes);

/* Byte ranges of RFC 9110, 14.2, resolved against a size. */
#define RANGES_MAX 16
typedef struct range {
    uint64_t from, len;
} range_t;
typedef struct ranges {
    range_t list[RANGES_MAX];
    size_t count;          /* 0: answer all of it */
    bool is_unsatisfiable; /* 416 */
} ranges_t;
/* Malformed headers and more ranges than RANGES_MAX, or ranges that overlap to more than the whole, are as if
 * there were no header; so is any range of what is empty. header may be NULL. */
void ranges_parse(const char *header, uint64_t size, ranges_t *ret);

enum {
    GATEWAY_PATH_MAX_BYTES = 16 << 10,
    GATEWAY_HEADER_MAX_BYTES = 8 << 10,
    GATEWAY_NAME_MAX_BYTES = 1024,
    GATEWAY_ETAG_MAX = CID_TEXT_MAX + 48,
};
#define GATEWAY_IMMUTABLE "public, max-age=29030400, immutable"

/* How the content was named. Behind the last two each content root has an origin of its own in a browser. */
typedef enum gateway_origin {
    GATEWAY_ON_PATH,      /* example.com/ipfs/CID */
    GATEWAY_ON_SUBDOMAIN, /* CID.ipfs.example.com */
    GATEWAY_ON_DNSLINK,   /* a domain of its own */
} gateway_origin_t;

typedef struct gateway_request {
    api_t *api;
    const gateway_settings_t *settings;
    exchange_t *x;
    deadline_t deadline; /* of the whole request */
    /* route */
    const char *url_path; /* as sent, percent-encoded, "/…"; without the origin of a proxy's request */
    buf_t host;           /* with its port; empty when unknown */
    const gateway_host_t *gateway; /* NULL: a host that the configuration does not name */
    gateway_origin_t origin;
    bytes_t gateway_host; /* of the gateway whose subdomain this is, or the domain itself; empty on a path */
    buf_t content_path;   /* "/ipfs/CID/a b/" or "/ipns/NAME/…", percent-decoded */
    bool is_mutable;      /* under /ipns/ */
    bool ends_in_slash;   /* the URL's path */
    bool is_cached_only;  /* Cache-Control: only-if-cached */
    /* format */
    gateway_format_t format;
    bytes_t params; /* of the Accept header, see gateway_format_of */
    /* resolve */
    buf_t immutable_path;   /* what a name led to; empty when content_path is immutable itself */
    dag_path_t path;        /* borrows from one of the two */
    uint64_t ttl_ms;        /* of a mutable path; 0: unknown */
    node_session_t session; /* opened when something is not here */
    blocks_t *blocks;       /* where this request reads from now */
    buf_t roots;            /* X-Ipfs-Roots: the CIDs on the path, comma-separated; empty when too long */
    cid_t cid;              /* at the path's end */
    char cid_text[CID_TEXT_MAX]; /* of cid; empty until gateway_cid_text */
    dag_node_t node;             /* of cid, when it is dag-pb or raw and the format needs it */
    int64_t modified_s;          /* Last-Modified; 0: none */
} gateway_request_t;

/* ── the stages; `ret_answered` says that an answer went out and nothing is left to do ───────────── */
MUST_CHECK err_t gateway_route(task_t *t, gateway_request_t *r, bool *ret_answered);
/* Parses the content path; names in it are asked for first. */
MUST_CHECK err_t gateway_resolve_names(task_t *t, gateway_request_t *r);
/* Does the domain (with or without a port) have a DNSLink? Whatever goes wrong on the way means no. */
bool gateway_has_dnslink(task_t *t, gateway_request_t *r, bytes_t host);
/* Walks the path to r->cid. ERR_NOT_FOUND: a name on it does not exist, or a block is not to be had. */
MUST_CHECK err_t gateway_resolve(task_t *t, gateway_request_t *r);
/* Reads the node of r->cid, whose codec is dag-pb or raw, into r->node. */
MUST_CHECK err_t gateway_read_node(task_t *t, gateway_request_t *r);
/* Rules of the root's _redirects for a path that leads nowhere (IPIP-0290). *ret_again: a rule rewrote the
 * path; resolve it anew. With neither set no rule matched. */
MUST_CHECK err_t gateway_apply_redirects(task_t *t, gateway_request_t *r, bool *ret_answered,
                                         bool *ret_again);

/* ── answers ─────────────────────────────────────────────────────────────────────────────────── */
MUST_CHECK err_t gateway_serve_file(task_t *t, gateway_request_t *r, const char *own_name,
                                    const char *etag); /* ?filename= wins over own_name */
MUST_CHECK err_t gateway_serve_directory(task_t *t, gateway_request_t *r);
MUST_CHECK err_t gateway_serve_raw(task_t *t, gateway_request_t *r);
/* A block of a codec that is neither a file nor a document, git-raw say, as a file of its bytes. */
MUST_CHECK err_t gateway_serve_object(task_t *t, gateway_request_t *r, const char *own_name);
MUST_CHECK err_t gateway_serve_car(task_t *t, gateway_request_t *r); /* finds the end of the path itself */
MUST_CHECK err_t gateway_serve_codec(task_t *t, gateway_request_t *r);
MUST_CHECK err_t gateway_serve_tar(task_t *t, gateway_request_t *r);
MUST_CHECK err_t gateway_serve_ipns_record(task_t *t, gateway_request_t *r);
/* Sends status and one line of text, or a page for a browser. Headers that describe content must not have
 * been set. */
MUST_CHECK err_t gateway_fail(task_t *t, gateway_request_t *r, int status, const char *text);
int gateway_status_of(err_t e); /* what an error of the parts means over HTTP */
/* The error of the task's slot as an answer. */
MUST_CHECK err_t gateway_fail_with(task_t *t, gateway_request_t *r, err_t e);
/* Location and a short page. Bytes of `to` that a URL must not hold are percent-encoded. */
MUST_CHECK err_t gateway_redirect(task_t *t, gateway_request_t *r, int status, const char *to);
MUST_CHECK err_t gateway_redirect_to_slash(task_t *t,
                                           gateway_request_t *r); /* the same path with a slash behind it */

/* Content that is a file, or in memory (blocks, symlinks, records). */
typedef struct gateway_content {
    file_reader_t *file; /* NULL: memory */
    bytes_t memory;
    uint64_t size;
    const char *type, *etag;
    const char *disposition, *name; /* Content-Disposition; NULL: none, or the caller has set it */
    int status;                     /* 0: 200, or 206 for ranges; else this, and no ranges */
} gateway_content_t;
/* All of it, or the ranges that were asked for, after the headers that go with it. */
MUST_CHECK err_t gateway_serve_content(task_t *t, gateway_request_t *r, gateway_content_t *c);
/* A bounded wait for each piece: a file may take long, a missing block may not. */
MUST_CHECK err_t gateway_next_piece(task_t *t, gateway_request_t *r, file_reader_t *f, bytes_t *ret_piece);
MUST_CHECK err_t gateway_get_block(task_t *t, gateway_request_t *r, const cid_t *cid, block_t **ret);

/* ── headers ─────────────────────────────────────────────────────────────────────────────────── */
MUST_CHECK err_t gateway_set_path_headers(gateway_request_t *r); /* X-Ipfs-Path, X-Ipfs-Roots */
/* The above, ETag, Cache-Control and Last-Modified. etag comes with its quotes, NULL: none. cache_control
 * NULL: what the path allows, "": none. */
MUST_CHECK err_t gateway_set_headers(gateway_request_t *r, const char *etag, const char *cache_control);
/* "inline" or "attachment" with `name` as RFC 6266 has it; an empty name is left out. */
MUST_CHECK err_t gateway_set_disposition(gateway_request_t *r, const char *kind, bytes_t name);
bool gateway_wants_download(gateway_request_t *r); /* ?download=true */
/* ?filename=, else `otherwise`; cut to cap. True when it was given. */
bool gateway_filename(gateway_request_t *r, const char *otherwise, char *out, size_t cap);
/* The ETag of r->cid in r->format, with its quotes. */
const char *gateway_etag(gateway_request_t *r, char out[GATEWAY_ETAG_MAX]);
const char *gateway_dir_etag(gateway_request_t *r, char out[GATEWAY_ETAG_MAX]);      /* of a listing */
const char *gateway_dag_page_etag(gateway_request_t *r, char out[GATEWAY_ETAG_MAX]); /* of a block's page */
MUST_CHECK err_t gateway_reply_unchanged(gateway_request_t *r, const char *etag);
const char *gateway_cid_text(gateway_request_t *r); /* after r->cid is known; printed once */

/* ── figures ─────────────────────────────────────────────────────────────────────────────────── */
void gateway_count_answer(int status);
void gateway_count_timeout(int status); /* 504, or that of an answer which ends before its end */
void gateway_count_running(uint64_t n);

/* ── conditions; etag comes with its quotes ──────────────────────────────────────────────────── */
/* Is the tag one of a list, or the list "*"? A strong comparison takes no weak tags. */
bool gateway_tags_match(bytes_t list, const char *etag, bool is_strong);
bool gateway_is_unchanged(exchange_t *x, const char *etag);  /* does If-None-Match name this one? */
bool gateway_is_unchanged_since(const gateway_request_t *r); /* by If-Modified-Since */
bool gateway_is_another(const gateway_request_t *r,
                        const char *etag); /* by If-Match, If-Unmodified-Since: 412 */
/* The Range header, NULL when there is none or If-Range says that the client has another content. */
const char *gateway_range_header(const gateway_request_t *r, const char *etag);

bool gateway_may_fetch(
    const gateway_request_t *r); /* from the network: online, and Gateway.NoFetch is not set */
/* The time that a block may take to come; end it with deadline_pop. */
deadline_t gateway_begin_retrieval(task_t *t, const gateway_request_t *r);
/* Reads through a session from now on, when something may be missing here. */
MUST_CHECK err_t gateway_widen(gateway_request_t *r);
bool gateway_is_head(const gateway_request_t *r);
bool gateway_wants_html(const gateway_request_t *r); /* a browser asks */
#endif
