#include "logic/black_hole.h"

black_hole_state_t black_hole_ask(black_hole_t *b)
{
    b->requests++;
    if (b->state == BLACK_HOLE_BLOCKED && b->requests % BLACK_HOLE_N == 0)
        return BLACK_HOLE_PROBING;
    return b->state;
}

void black_hole_record(black_hole_t *b, bool is_ok)
{
    if (b->state == BLACK_HOLE_BLOCKED && is_ok) { /* it is one or the other: no need to wait for four more */
        *b = (black_hole_t){0};
        return;
    }
    if (b->n == BLACK_HOLE_N)
        b->n_ok -= b->results[b->next];
    else
        b->n++;
    b->results[b->next] = is_ok;
    b->n_ok += is_ok;
    b->next = (b->next + 1) % BLACK_HOLE_N;
    if (b->n == BLACK_HOLE_N)
        b->state = b->n_ok >= BLACK_HOLE_MIN_OK ? BLACK_HOLE_ALLOWED : BLACK_HOLE_BLOCKED;
}

size_t black_hole_next_after(const black_hole_t *b)
{
    return b->state == BLACK_HOLE_BLOCKED ? BLACK_HOLE_N - b->requests % BLACK_HOLE_N : 0;
}

double black_hole_ok_share(const black_hole_t *b)
{
    return b->n ? (double)b->n_ok / (double)b->n : 0;
}
