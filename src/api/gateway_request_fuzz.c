/* What a client writes into its headers: Accept (with its parameters), Host, and texts that may name content.
 * Lines of the input in this order. */
#include "api/gateway_document.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *next_line(bytes_t *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    bytes_t line = bytes_slice(*rest, 0, end ? (size_t)(end - rest->data) : rest->len);
    *rest = bytes_slice(*rest, line.len + 1, rest->len);
    return strndup(line.len ? (const char *)line.data : "", line.len);
}

static void use_accept(const char *accept)
{
    bytes_t params, name, value;
    gateway_format_t f = gateway_format_of(BYTES_NONE, accept, &params);
    assert(f <= GATEWAY_FORMAT_UNKNOWN && params.len <= strlen(accept));
    for (size_t n = 0; gateway_format_next_param(&params, &name, &value); n++)
        assert(name.len && n <= strlen(accept));
}

static void use_host(const gateway_settings_t *s, const char *host)
{
    gateway_subdomain_t sub;
    bytes_t h = bytes_str(host);
    assert(host_without_port(h).len <= h.len);
    (void)!host_is_address(h);
    (void)!gateway_settings_host(s, h);
    if (gateway_settings_subdomain(s, h, &sub)) {
        assert(sub.root.len && sub.ns.len == 4 - (sub.ns.data[0] == 'p'));
        assert(sub.root.len + sub.ns.len + sub.host.len + 2 == h.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static gateway_settings_t settings;
    AUTO(buf_t) path = {0};
    if (!settings.n_hosts) {
        AUTO_PTR(config_t) c = NULL;
        assert(!config_parse(BYTES_LIT("{\"Gateway\":{\"PublicGateways\":{\"*.example.com\":{\"Paths\":[]},"
                                       "\"a:80\":{\"Paths\":[]}}}}"),
                             &c));
        gateway_settings_read(c, &settings);
    }
    bytes_t rest = bytes_of(data, size);
    char *accept = next_line(&rest), *host = next_line(&rest);
    use_accept(accept);
    use_host(&settings, host);
    free(accept);
    free(host);
    buf_init(&path, 8192);
    assert(gateway_content_uri(rest, &path) == (path.len > 0));
    return 0;
}
