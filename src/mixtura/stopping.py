"""When a climb has arrived: how much an objective will still rise, told by its last values."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Sequence

NOISE = 8 * sys.float_info.epsilon  # relative changes of the likelihood below this are rounding
TREMBLE = {8: 1e-10, 4: 1e-6}  # so are those, by bytes of a number, that go up and down: covariances at the floor are ill-conditioned


def settled(trace: Sequence[float], tremble: float = TREMBLE[8]) -> bool:
    """Whether the last changes are rounding: two too small to be anything else, or three, all below `tremble` (relative), that go up and down.

    >>> settled([-8.0, -4.0, -4.0, -4.0])
    True
    """
    changes = [after - before for before, after in itertools.pairwise(trace[-4:])]
    if len(changes) >= 2 and max(map(abs, changes[-2:])) <= noise(trace[-1]):
        return True
    return len(changes) == 3 and min(changes) <= 0 and max(map(abs, changes)) <= tremble * max(1.0, abs(trace[-1]))


def remaining_gain(trace: Sequence[float], tremble: float = TREMBLE[8]) -> float:
    """How much the objective will still rise, estimated from its last changes (Aitken); infinite while they do not tell, 0 once it is settled.

    >>> remaining_gain([-8.0, -4.0, -2.0, -1.0])
    1.0
    """
    if settled(trace, tremble):
        return 0.0
    changes = [after - before for before, after in itertools.pairwise(trace[-4:])]
    if len(changes) < 3 or min(changes) <= 0:
        return math.inf
    ratio = max(changes[2] / changes[1], changes[1] / changes[0])
    return changes[2] * ratio / (1 - ratio) if ratio < 1 else math.inf


def noise(objective: float) -> float:
    """What rounding may change of it."""
    return NOISE * max(1.0, abs(objective))
