#include "web/dial_name.h"
#include <stdlib.h>

static err_t dial_addresses(task_t *t, const char *host, uint16_t port, dns_type_t type, stream_t **ret)
{
    dns_answer_t *answer = xcalloc(1, sizeof *answer);
    err_t e = dns_resolve_by_driver(t, host, type, answer);
    err_t last = e ? e : fail(ERR_NOT_FOUND, "%s has no address", host);
    for (size_t i = 0; !e && last && i < answer->count; i++) {
        net_addr_t at = {.family = type == DNS_A ? 4 : 6, .port = port};
        bytes_t ip = buf_bytes(&answer->text[i]);
        if (ip.len != (type == DNS_A ? 4 : 16))
            continue;
        memcpy(at.ip, ip.data, ip.len);
        last = net_dial(t, &at, ret);
    }
    dns_answer_deinit(answer);
    free(answer);
    return last;
}

err_t net_dial_name(task_t *t, const char *host, uint16_t port, stream_t **ret)
{
    char text[HOST_NAME_MAX_BYTES + 16];
    net_addr_t at;
    bool is_v6 = strchr(host, ':') != NULL;
    snprintf(text, sizeof text, is_v6 ? "[%.*s]:%u" : "%.*s:%u", HOST_NAME_MAX_BYTES,
             !strcmp(host, "localhost") ? "127.0.0.1" : host, port);
    if (!net_addr_parse(text, &at))
        return net_dial(t, &at, ret);
    err_t e = dial_addresses(t, host, port, DNS_A, ret);
    return e ? dial_addresses(t, host, port, DNS_AAAA, ret) : OK;
}

err_t host_port_parse(const char *text, char ret_host[HOST_NAME_MAX_BYTES], uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    bool is_v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';
    char *end;
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (is_v6) {
        text++;
        len -= 2;
    }
    if (!len || len >= HOST_NAME_MAX_BYTES || !port || port > 65535 || *end ||
        (!is_v6 && memchr(text, ':', len)) || memchr(text, '/', len) || memchr(text, '@', len))
        return fail(ERR_USAGE, "\"%.100s\" is not HOST:PORT", text);
    memcpy(ret_host, text, len);
    ret_host[len] = 0;
    *ret_port = (uint16_t)port;
    return OK;
}
