"""Which of a cross of parameters the quick run takes: of two parameters every value of each, of more than two every pair of values.

A law that goes through 14 families x 7 rules is then asked of 14 pairs. Which ones hangs on the name of the test, so that laws take different ones.
"""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Sequence
from itertools import combinations

Case = Sequence[Hashable]  # the value of each parameter


def cover(cases: Sequence[Case], name: str) -> set[int]:
    """Which cases are taken, by their place: greedily those that show most of what no other shows yet.

    Only what is among the cases is asked for: a pair that no case has, of a rule and a family that it does not know, is not missed.
    """
    strength = min(2, len(cases[0]) - 1)
    shows = [frozenset(combinations(enumerate(case), strength)) for case in cases]
    order = sorted(range(len(cases)), key=lambda i: zlib.crc32(f"{name}{cases[i]}".encode()))
    missing, taken = frozenset().union(*shows), set[int]()
    while missing:
        best = max(order, key=lambda i: len(shows[i] & missing))
        taken.add(best)
        missing -= shows[best]
    return taken
