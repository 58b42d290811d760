/* gateway_document: JSON and CBOR as a page: nested tables, links as links. Of a preview (?preview) also
 * texts that name content, as metadata of NFTs do: they become links into this gateway, and images, sound and
 * video are shown. Blocks and files themselves are never rewritten: this is a page about them. */
#ifndef API_GATEWAY_DOCUMENT_H
#define API_GATEWAY_DOCUMENT_H
#include "api/gateway.h"

enum { GATEWAY_PREVIEW_MAX_BYTES = 1 << 20 };

/* Was a preview asked for? Not on a domain of its own, which has no gateway beside it. */
bool gateway_wants_preview(gateway_request_t *r);
/* The page of a document of `codec`, borrowed. */
MUST_CHECK err_t gateway_serve_document(task_t *t, gateway_request_t *r, uint64_t codec, bytes_t document,
                                        bool is_preview);

/* The content path of a text that names content: "ipfs://CID/a", "ipfs://ipfs/CID/a", "ipns://NAME",
 * "/ipfs/CID/a" to "/ipfs/CID/a", appended; false, nothing appended, for other texts. Percent-encoded as the
 * text is. */
bool gateway_content_uri(bytes_t text, buf_t *out);
#endif
