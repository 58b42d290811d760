"""Is a history of operations on one file linearizable? The file is absent or in a state ((id, etag), or what its content is); each
operation took effect at one moment between its call and its answer, or, when no answer came, at any moment after its call or never.
Put and remove have no condition, commit and delete have one.

Wing and Gong's search with the sets that were tried remembered (Lowe): operations that could come first are tried in turn."""
import dataclasses

TRIED_MAX = 3_000_000


@dataclasses.dataclass
class Operation:
    began: float
    ended: float  # infinite: no answer came
    kind: str  # read, commit, delete, put, remove
    outcome: str  # ok, refused (its condition did not hold), nothing (no effect and no statement), unknown
    expected: object = None  # the state that it asked for (None: absent)
    state: object = None  # read: what it saw; commit: what it made


def apply(operation, state):
    """(fits, next state)."""
    if operation.outcome == "nothing":
        return True, state
    if operation.kind == "read":
        return state == operation.state, state
    if operation.kind in ("put", "remove"):
        return True, operation.state if operation.kind == "put" else None
    if operation.outcome == "refused":
        return state != operation.expected, state
    made = operation.state if operation.kind == "commit" else None
    return state == operation.expected, made


def matters(operations):
    """Without conditions, a put without an answer that nobody has seen may as well not have been."""
    said = [o for o in operations if o.outcome != "nothing"]
    if any(o.kind not in ("read", "put", "remove") for o in said):
        return said
    seen = {o.state for o in said if o.kind == "read"}
    return [o for o in said if not (o.kind == "put" and o.outcome == "unknown" and o.state not in seen)]


def is_linearizable(operations, state=None):
    operations = sorted(matters(operations), key=lambda o: o.began)
    count = len(operations)
    must = sum(1 << i for i, o in enumerate(operations) if o.outcome != "unknown")
    tried, tries = {}, 0  # what was reached: the operations that must have been and the state, with the others that it took
    stack = [(0, state)]
    while stack:
        done, state = stack.pop()
        if done & must == must:
            return True
        # who came as far with fewer of those that may have been has more of them left
        others = tried.setdefault((done & must, state), [])
        if any(o & done == o for o in others):
            continue
        others.append(done & ~must)
        tries += 1
        if tries > TRIED_MAX:
            raise RuntimeError("a history with too many operations without answers to be decided")
        # what began after some operation that is left had ended cannot come before it
        first, alike, first_end = [], set(), float("inf")
        for i in range((~done & (done + 1)).bit_length() - 1, count):
            o = operations[i]
            if o.began > first_end:
                break
            if done >> i & 1:
                continue
            first_end = min(first_end, o.ended)
            if o.outcome == "unknown":  # of several that would do the same the first one will do
                what = (o.kind, o.expected, o.state)
                if what in alike:
                    continue
                alike.add(what)
            first.append(i)
        # tried in the order of their ends; those that may never have been come last, when nothing else fits
        for i in sorted(first, key=lambda i: operations[i].ended, reverse=True):
            fits, after = apply(operations[i], state)
            if fits:
                stack.append((done | 1 << i, after))
    return False


def explain(operations):
    begin = min(o.began for o in operations)
    return "\n".join(f"{o.began - begin:8.4f} {o.ended - begin:8.4f} {o.kind} {o.outcome} {o.expected} {o.state}" for o in sorted(operations, key=lambda o: o.began))
