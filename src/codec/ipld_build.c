#include "codec/ipld_build.h"

void ipld_build_event(ipld_builder_t *b, ipld_event_t e)
{
    bool begins = e.kind == IPLD_LIST || e.kind == IPLD_MAP;
    if (begins && b->depth == IPLD_MAX_DEPTH && !b->err)
        b->err = fail(ERR_LIMIT, "message structure exceeded maximum nesting depth");
    if (b->err)
        return;
    b->depth += begins;
    b->depth -= e.kind == IPLD_END;
    b->err = ipld_tree_add(b->tree, &e, &b->open);
}

ipld_builder_t ipld_builder_to(ipld_tree_t *tree, size_t max_copied_bytes)
{
    return (ipld_builder_t){.tree = tree, .err = ipld_tree_reserve_text(tree, max_copied_bytes)};
}

void ipld_build(ipld_builder_t *b, ipld_kind_t kind)
{
    ipld_build_event(b, (ipld_event_t){.kind = kind});
}

void ipld_build_borrow(ipld_builder_t *b, ipld_kind_t kind, bytes_t bytes)
{
    ipld_build_event(b, (ipld_event_t){.kind = kind, .bytes = bytes, .is_in_block = true});
}

void ipld_build_copy(ipld_builder_t *b, ipld_kind_t kind, bytes_t bytes)
{
    ipld_build_event(b, (ipld_event_t){.kind = kind, .bytes = bytes});
}

void ipld_build_key(ipld_builder_t *b, const char *name)
{
    ipld_build_key_bytes(b, bytes_str(name));
}

void ipld_build_key_bytes(ipld_builder_t *b, bytes_t name)
{
    ipld_build_event(b,
                     (ipld_event_t){.kind = IPLD_STRING, .is_key = true, .bytes = name, .is_in_block = true});
}

void ipld_build_value(ipld_builder_t *b, const ipld_tree_t *from, size_t at)
{
    AUTO(ipld_order_t) o;
    ipld_event_t e;
    ipld_order_init(&o, from, at, NULL);
    while (!b->err && ipld_order_next(&o, &e)) {
        e.is_in_block = false;
        ipld_build_event(b, e);
    }
}
