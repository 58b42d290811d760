/* print_filestore: `filestore …` as text. */
#include "multi/cid.h"
#include "print/printers.h"
#include <inttypes.h>

/* The answer has keys in their own base, whatever was asked for: the reader's side turns them. */
static const char *key_of(const print_t *p, const json_t *o, char room[CID_TEXT_MAX])
{
    const char *text = json_text(json_object_get(o, "Key"), "/"), *name = print_option(p, "cid-base");
    multibase_t base;
    cid_t cid;
    bool is_other = name && *text && !multibase_from_name(name, &base) && !cid_parse_str(text, &cid);
    return is_other && !cid_print_base(&cid, base, room) ? room : print_escape(text);
}

/* "HASH SIZE PATH OFFSET" as Kubo spaces it; the hash alone when it is nowhere. */
static err_t print_place(print_t *p, json_t *o)
{
    char room[CID_TEXT_MAX];
    const char *key = key_of(p, o, room), *path = json_text(o, "FilePath");
    if (!*key)
        return print_out(p, "<corrupt key>");
    if (!*path)
        return print_out(p, "%s", key);
    return print_out(p, "%-50s %6" PRId64 " %s %" PRId64, key, json_number(o, "Size"), print_escape(path),
                     json_number(o, "Offset"));
}

const char *print_filestore_status(int64_t status)
{
    switch (status) {
    case 0:
        return "ok";
    case 10:
        return "error";
    case 11:
        return "no-file";
    case 12:
        return "changed";
    case 20:
        return "ERROR";
    case 30:
        return "missing";
    default:
        return "???";
    }
}

err_t print_filestore_entry(print_t *p, json_t *o)
{
    const char *why = json_text(o, "ErrorMsg");
    if (*why) {
        print_note(p, "%s\n", print_escape(why));
        p->has_failed = true;
        return OK;
    }
    TRY(print_place(p, o));
    return print_out(p, "\n");
}

err_t print_filestore_verified(print_t *p, json_t *o)
{
    int64_t status = json_number(o, "Status");
    if (status == 20)
        print_note(p, "%s\n", print_escape(json_text(o, "ErrorMsg")));
    TRY(print_out(p, "%-7s ", print_filestore_status(status)));
    TRY(print_place(p, o));
    if (print_flag(p, "remove-bad-blocks", false))
        TRY(print_out(p, status && status != 20 ? " remove" : " keep"));
    return print_out(p, "\n");
}
