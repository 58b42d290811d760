/* reconcile: two nodes find out which tombstones one of them lacks, with few messages however large the sets
 * are. One side asks (reconcile_t, a session), the other answers and keeps nothing (reconcile_answer).
 *
 * A question names a prefix of the key space, with the asker's count and digest under it. The answer is
 *   SAME      equal
 *   KEYS      all keys that the answerer has there (RECONCILE_KEYS at most)
 *   CHILDREN  its counts and digests of the 16 prefixes that are one hex digit longer
 * From KEYS the asker knows what it lacks and what the other lacks; of CHILDREN it asks on where they differ
 * from its own. It begins with the empty prefix: one question when both have the same, about
 * differences x log16(count / RECONCILE_KEYS) ones else.
 *
 *   session: ASKING --reconcile_next_question/reconcile_answered, until nothing is open--> DONE
 *            --max_questions spent, or an answer that is none--> CUT (what was found stays good)
 *
 * A hostile answerer can waste max_questions questions, and name keys that it cannot show (the driver asks
 * for the records and verifies them). Bounds: RECONCILE_OPEN prefixes wait, 65,536 keys of each
 * kind are remembered at a time: take them out (reconcile_next_lacking, reconcile_next_extra) as they come.
 */
#ifndef LOGIC_RECONCILE_H
#define LOGIC_RECONCILE_H
#include "logic/tombstones.h"

enum {
    RECONCILE_KEYS = 64,
    RECONCILE_CHILDREN = 16,
    RECONCILE_OPEN = 1024, /* waiting prefixes; more than that cut the session */
    RECONCILE_DEPTH = 64,  /* hex digits */
};
typedef struct reconcile_summary {
    uint64_t count, digest;
} reconcile_summary_t;
typedef struct reconcile_question {
    kad_prefix_t prefix; /* len a multiple of 4, up to 252 */
    reconcile_summary_t has;
} reconcile_question_t;
typedef struct reconcile_reply {
    enum { RECONCILE_SAME = 1, RECONCILE_IS_KEYS = 2, RECONCILE_IS_CHILDREN = 3 } kind;
    size_t n_keys;
    kad_key_t keys[RECONCILE_KEYS]; /* ascending, of the prefix */
    reconcile_summary_t children[RECONCILE_CHILDREN];
} reconcile_reply_t; /* 2.3 KiB: on the heap */

/* The answering side. ERR_INVALID: a prefix that is none. */
MUST_CHECK err_t reconcile_answer(const tombstones_t *set, const reconcile_question_t *q,
                                  reconcile_reply_t *ret);

typedef struct reconcile reconcile_t;
typedef enum { RECONCILE_ASKING, RECONCILE_DONE, RECONCILE_CUT } reconcile_state_t;
/* set: borrowed for the session; may grow meanwhile. */
reconcile_t *reconcile_new(const tombstones_t *set, size_t max_questions);
void reconcile_free(reconcile_t *r); /* NULL is fine */
reconcile_state_t reconcile_state(const reconcile_t *r);
/* False: none until an answer comes, or none any more (see reconcile_state). Several may be under way. */
bool reconcile_next_question(reconcile_t *r, reconcile_question_t *ret);
/* The answer to a question; questions may be answered in any order, each once. ERR_PROTOCOL: it is no answer
 * to it; the session is CUT. */
MUST_CHECK err_t reconcile_answered(reconcile_t *r, const reconcile_question_t *q,
                                    const reconcile_reply_t *reply);
/* Keys that the other has and we do not (ask for the records, verify, keep, then tombstones_add), and that we
 * have and the other does not (send the records). Each key once. */
bool reconcile_next_lacking(reconcile_t *r, kad_key_t *ret);
bool reconcile_next_extra(reconcile_t *r, kad_key_t *ret);
size_t reconcile_questions(const reconcile_t *r); /* asked so far */
#endif
