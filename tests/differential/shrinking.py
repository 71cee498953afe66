"""The shortest answer that still shows something."""
from collections.abc import Callable
from dataclasses import replace

from differential.cases import Case

MOST_TRIES = 2000


def shortest(case: Case, shows: Callable[[Case], bool]) -> Case:
    """Takes pieces out of the answer, large ones first, as long as `shows` holds. Cuts stay where they are."""
    n, n_tries = max(1, len(case.data) // 2), 0
    while n and n_tries < MOST_TRIES:
        at, was_shorter = 0, False
        while at < len(case.data) and n_tries < MOST_TRIES:
            n_tries += 1
            smaller = without(case, at, at + n)
            if shows(smaller):
                case, was_shorter = smaller, True
            else:
                at += n
        if not was_shorter or n > 1:
            n //= 2
    return case


def without(case: Case, start: int, end: int) -> Case:
    data = case.data[:start] + case.data[end:]
    cuts = {cut if cut <= start else max(start, cut - (end - start)) for cut in case.cuts}
    return replace(case, data=data, cuts=tuple(sorted(cut for cut in cuts if 0 < cut < len(data))))
