/* list: intrusive doubly linked list with a sentinel. */
#ifndef BASE_LIST_H
#define BASE_LIST_H
#include "base/error.h"

typedef struct list {
    struct list *prev, *next;
} list_t;

static inline void list_init(list_t *l)
{
    l->prev = l->next = l;
}
static inline bool list_is_empty(const list_t *l)
{
    return l->next == l;
}
static inline bool list_is_linked(const list_t *n)
{
    return n->next && n->next != n;
}
static inline void list_insert_before(list_t *at, list_t *n)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}
static inline void list_push_back(list_t *l, list_t *n)
{
    list_insert_before(l, n);
}
static inline void list_push_front(list_t *l, list_t *n)
{
    list_insert_before(l->next, n);
}
/* Unlinks; a node that is not linked (or zeroed) is left alone. */
static inline void list_remove(list_t *n)
{
    if (!n->next)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->prev = n->next = n;
}
#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FIRST(l, type, member) (list_is_empty(l) ? NULL : LIST_ENTRY((l)->next, type, member))
/* `it` may be unlinked and freed inside the loop. */
#define LIST_EACH(it, l, type, member)                                                                       \
    for (type *it = LIST_ENTRY((l)->next, type, member),                                                     \
              *it##_next_ = LIST_ENTRY(it->member.next, type, member);                                       \
         &it->member != (l); it = it##_next_, it##_next_ = LIST_ENTRY(it->member.next, type, member))
#endif
