#include "loop/http_internal.h"
#include <strings.h>

typedef struct head_check {
    unsigned hosts, lengths, codings;
    bool has_odd_name, has_odd_value, has_other_length, has_other_coding;
    char length[24]; /* of the body, as the first header has it */
} head_check_t;

/* RFC 9110, 5.6.2 */
static bool is_token(const char *name, size_t len)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_word && (!c || !strchr(marks, c)))
            return false;
    }
    return len;
}

static bool is_line(const char *value, size_t len)
{
    return !value || !len ||
           (!memchr(value, 0, len) && !memchr(value, '\r', len) && !memchr(value, '\n', len));
}

static void see_length(head_check_t *h, const char *value)
{
    if (!h->lengths++)
        snprintf(h->length, sizeof h->length, "%s", value);
    else
        h->has_other_length |= strcmp(h->length, value) != 0;
}

static enum MHD_Result see(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
                           const char *value, size_t value_len)
{
    head_check_t *h = arg;
    const char *text = value ? value : "";
    h->has_odd_name |= !is_token(name, name_len);
    h->has_odd_value |= !is_line(value, value_len);
    if (!strcasecmp(name, MHD_HTTP_HEADER_HOST)) {
        h->hosts++;
    } else if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH)) {
        see_length(h, text);
    } else if (!strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING)) {
        h->codings++;
        h->has_other_coding |= strcasecmp(text, "chunked") != 0;
    }
    return MHD_YES;
}

const char *http_head_fault(struct MHD_Connection *connection, bool is_http10, unsigned *ret_status)
{
    head_check_t h = {0};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, see, &h);
    *ret_status = MHD_HTTP_BAD_REQUEST;
    if (h.has_odd_name)
        return "a request with a header whose name is none\n";
    if (h.has_odd_value)
        return "a request with a header whose value is more than one line\n";
    if (h.hosts > 1)
        return "a request with two Host headers\n";
    if (h.has_other_length)
        return "a request with two lengths\n";
    if (h.codings && (h.lengths || h.codings > 1 || is_http10))
        return "a request whose body ends at more than one place\n";
    *ret_status = MHD_HTTP_NOT_IMPLEMENTED;
    return h.has_other_coding ? "a body in another coding than chunked\n" : NULL;
}
