/* What decodes encodes, and decodes to the same again; members are read within bounds. */
#include "wire/mesh.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Members are put again as they were read. */
static void take_members(mesh_message_t *m, multiaddr_t *room)
{
    size_t at = 0, n;
    while (m->n_members < MESH_MEMBERS_MAX &&
           mesh_next_member(m, &at, &m->named[m->n_members].peer, room, &n)) {
        if (n > MESH_MEMBER_ADDRS_MAX || at > m->members.len)
            abort();
        m->named[m->n_members].addrs = room;
        m->named[m->n_members++].n_addrs = n;
        room += MESH_MEMBER_ADDRS_MAX;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mesh_message_t *m = xcalloc(1, sizeof *m);
    multiaddr_t *room = xcalloc(2 * MESH_MEMBERS_MAX * MESH_MEMBER_ADDRS_MAX, sizeof *room);
    AUTO(buf_t) once, twice;
    buf_init(&once, 1u << 20);
    buf_init(&twice, 1u << 20);
    if (mesh_message_decode(bytes_of(data, size), m) == OK) {
        take_members(m, room);
        if (mesh_message_encode(m, &once))
            abort();
        err_t e = mesh_message_decode(buf_bytes(&once), m);
        if (e && !(e == ERR_LIMIT && once.len > MESH_MESSAGE_MAX_BYTES)) /* written longer than it came */
            abort();
        if (!e) {
            take_members(m, room);
            if (mesh_message_encode(m, &twice) || !bytes_equal(buf_bytes(&once), buf_bytes(&twice)))
                abort();
        }
    }
    free(room);
    free(m);
    return 0;
}
