/* publish: files that are on IPFS besides: tickets for storage nodes that are part of it, and what of theirs
 * is still wanted. */
#include "meta/meta_impl.h"
#include <stdio.h>
#include <string.h>

enum { FILES_MAX = 1000, CID_MAX = 128 };

/* With a file: its content may be made public. Without one: content of IPFS may be read. */
OP(op_ipfs_ticket)
{
    static const char *const keys[] = {"file", NULL};
    const char *file;
    char ticket[TICKET_TEXT_MAX];
    int64_t expires_s = call->now_ms / 1000 + TICKET_TTL_S, size = 0;
    TRY(json_check_members(call->request->body, keys, NULL));
    TRY(json_get_text(call->request->body, "file", "", &file));
    if (*file) {
        file_row_t f;
        TRY(file_find(c, call, file, FILE_TO_CHANGE, &f));
        TRY(sql_number(c, "SELECT size FROM files WHERE id = ?1", SQL(SQL_TEXT(f.id)), 0, &size));
        call_note(call, f.id, "publish name=%.200s", f.name);
        if (!f.is_file)
            return fail(ERR_INVALID, "a folder is not published");
    }
    ticket_ipfs_make(&call->m->tickets, *file ? file : META_NO_ID, (uint64_t)size, (uint64_t)expires_s,
                     ticket);
    return call_answer(call, 201,
                       json_pack("{s:s s:o}", "ticket", ticket, "expires_at", json_time(expires_s * 1000)));
}

OP(op_node_published)
{
    static const char *const keys[] = {"files", "log_seen", NULL}, *const required[] = {"files", NULL},
                             *const members[] = {"file", "cid", NULL};
    json_t *list = json_object_get(call->request->body, "files"), *one, *gone = json_array();
    int64_t seq;
    bool is_known;
    size_t i;
    TRY(call_answer(call, 200, json_pack("{s:o}", "gone", gone)));
    TRY(node_check_self(c, call, call->request->ids[0]));
    TRY(json_check_members(call->request->body, keys, required));
    TRY(node_seen_is_known(c, call, &is_known, &seq));
    if (!is_known) /* its heartbeat begins a new incarnation first */
        return fail(ERR_EXISTS, "the node has seen a later state of this service: it was set back");
    if (!json_is_array(list) || json_array_size(list) > FILES_MAX)
        return fail(ERR_INVALID, "files is a list of at most %d", FILES_MAX);
    json_array_foreach(list, i, one)
    {
        const char *file, *cid;
        int64_t is_there;
        TRY(json_check_members(one, members, members));
        TRY(json_get_text(one, "file", "", &file));
        TRY(json_get_text(one, "cid", "", &cid));
        if (!meta_is_id(file) || strlen(cid) > CID_MAX)
            return fail(ERR_INVALID, "files holds what is no file");
        TRY(sql_number(c, "SELECT 1 FROM files WHERE id = ?1 AND is_visible = 1 AND cid = ?2",
                       SQL(SQL_TEXT(file), SQL_TEXT(cid)), 0, &is_there));
        if (!is_there)
            json_array_append_new(gone, json_string(file));
    }
    return OK;
}
