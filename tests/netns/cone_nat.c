/* cone_nat: a NAT with endpoint-independent mapping (RFC 4787), which Linux's own cannot be: a full cone
 * takes datagrams and connections from anybody at a mapped port, a restricted cone from addresses that were
 * sent to before. usage: cone_nat NS-INSIDE NS-OUTSIDE DEVICE PUBLIC-IP full|restricted
 *
 * IPv4, TCP and UDP, whole packets: fragments and all else are dropped. Mappings last as long as the program,
 * which ends with its reader of stdout, or when killed. */
#include "tests/netns/tun.h"
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdbool.h>

enum { MAPPINGS_MAX = 1024, CONTACTS_MAX = 64, PORT_FIRST = 20000 };

typedef struct mapping {
    uint8_t protocol;
    uint32_t inside_ip; /* all in network order, but for the port that is counted up */
    uint16_t inside_port, outside_port;
    uint32_t contacts[CONTACTS_MAX]; /* IPs that were sent to; the oldest is forgotten first */
    size_t n_contacts;
} mapping_t;
typedef struct nat {
    int inside, outside;
    uint32_t public_ip;
    bool is_restricted;
    mapping_t mappings[MAPPINGS_MAX];
    size_t n_mappings;
    uint16_t next_port;
} nat_t;
/* The parts of a packet that a NAT reads and changes. */
typedef struct view {
    struct iphdr *ip;
    uint16_t *source_port, *dest_port, *checksum;
    bool has_checksum;
} view_t;

static bool view(uint8_t *packet, size_t len, view_t *v)
{
    struct iphdr *ip = (struct iphdr *)packet;
    if (len < sizeof *ip || ip->version != 4 || ip->ihl < 5 || ntohs(ip->tot_len) > len ||
        (ntohs(ip->frag_off) & 0x3fff))
        return false;
    size_t head = ip->ihl * 4u,
           needs = ip->protocol == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
    if ((ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) || len < head + needs)
        return false;
    uint16_t *ports = (uint16_t *)(packet + head);
    *v = (view_t){.ip = ip, .source_port = ports, .dest_port = ports + 1, .has_checksum = true};
    v->checksum =
        ip->protocol == IPPROTO_TCP ? &((struct tcphdr *)ports)->check : &((struct udphdr *)ports)->check;
    if (ip->protocol == IPPROTO_UDP && !*v->checksum)
        v->has_checksum = false;
    return true;
}

/* RFC 1624: the checksum after a 16-bit word of what it covers has changed. */
static void adjust(uint16_t *sum, uint16_t before, uint16_t after)
{
    uint32_t s = (uint16_t) ~*sum + (uint32_t)(uint16_t)~before + after;
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    *sum = (uint16_t)~s;
}

static void set_address(view_t *v, uint32_t *ip, uint16_t *port, uint32_t new_ip, uint16_t new_port)
{
    for (int shift = 0; shift < 32; shift += 16) {
        uint16_t before = (uint16_t)(*ip >> shift), after = (uint16_t)(new_ip >> shift);
        adjust(&v->ip->check, before, after);
        if (v->has_checksum)
            adjust(v->checksum, before, after);
    }
    if (v->has_checksum)
        adjust(v->checksum, *port, new_port);
    *ip = new_ip;
    *port = new_port;
}

static mapping_t *find_outside(nat_t *n, uint8_t protocol, uint16_t port)
{
    for (size_t i = 0; i < n->n_mappings; i++)
        if (n->mappings[i].protocol == protocol && n->mappings[i].outside_port == port)
            return &n->mappings[i];
    return NULL;
}

/* The port of the inside is kept when it is free, as most NATs do. */
static mapping_t *map_inside(nat_t *n, uint8_t protocol, uint32_t ip, uint16_t port)
{
    for (size_t i = 0; i < n->n_mappings; i++) {
        mapping_t *m = &n->mappings[i];
        if (m->protocol == protocol && m->inside_ip == ip && m->inside_port == port)
            return m;
    }
    if (n->n_mappings == MAPPINGS_MAX)
        return NULL;
    uint16_t outside = port;
    while (find_outside(n, protocol, outside))
        outside = htons(n->next_port++);
    mapping_t *m = &n->mappings[n->n_mappings++];
    *m = (mapping_t){.protocol = protocol, .inside_ip = ip, .inside_port = port, .outside_port = outside};
    return m;
}

static bool has_contact(const mapping_t *m, uint32_t ip)
{
    size_t n = m->n_contacts < CONTACTS_MAX ? m->n_contacts : CONTACTS_MAX;
    for (size_t i = 0; i < n; i++)
        if (m->contacts[i] == ip)
            return true;
    return false;
}

static void go_out(nat_t *n, uint8_t *packet, size_t len)
{
    view_t v;
    if (!view(packet, len, &v))
        return;
    mapping_t *m = map_inside(n, v.ip->protocol, v.ip->saddr, *v.source_port);
    if (!m)
        return;
    if (!has_contact(m, v.ip->daddr))
        m->contacts[m->n_contacts++ % CONTACTS_MAX] = v.ip->daddr;
    set_address(&v, &v.ip->saddr, v.source_port, n->public_ip, m->outside_port);
    if (write(n->outside, packet, len) < 0 && errno != EAGAIN)
        perror("write outside");
}

static void come_in(nat_t *n, uint8_t *packet, size_t len)
{
    view_t v;
    if (!view(packet, len, &v) || v.ip->daddr != n->public_ip)
        return;
    mapping_t *m = find_outside(n, v.ip->protocol, *v.dest_port);
    if (!m || (n->is_restricted && !has_contact(m, v.ip->saddr)))
        return;
    set_address(&v, &v.ip->daddr, v.dest_port, m->inside_ip, m->inside_port);
    if (write(n->inside, packet, len) < 0 && errno != EAGAIN)
        perror("write inside");
}

int main(int argc, char **argv)
{
    static nat_t n;
    static uint8_t packet[PACKET_MAX];
    struct in_addr ip;
    if (argc != 6 || !inet_aton(argv[4], &ip) ||
        (strcmp(argv[5], "full") != 0 && strcmp(argv[5], "restricted") != 0)) {
        fprintf(stderr, "usage: cone_nat NS-INSIDE NS-OUTSIDE DEVICE PUBLIC-IP full|restricted\n");
        return 2;
    }
    n.public_ip = ip.s_addr;
    n.is_restricted = !strcmp(argv[5], "restricted");
    n.next_port = PORT_FIRST;
    n.inside = tun_open(argv[1], argv[3]);
    n.outside = tun_open(argv[2], argv[3]);
    tun_ready();
    struct pollfd fds[3] = {
        {.fd = n.inside, .events = POLLIN}, {.fd = n.outside, .events = POLLIN}, {.fd = STDOUT_FILENO}};
    while (!fds[2].revents) {
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            die("poll");
        ssize_t len;
        while ((len = read(n.inside, packet, sizeof packet)) > 0)
            go_out(&n, packet, (size_t)len);
        while ((len = read(n.outside, packet, sizeof packet)) > 0)
            come_in(&n, packet, (size_t)len);
    }
    return 0;
}
