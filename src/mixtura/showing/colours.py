"""A colour for each component."""

from __future__ import annotations

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f")  # Okabe & Ito, grey for black: also for the colour-blind


def colours(K: int) -> list[str]:
    """A colour for each of K components, in order; from the eighth on they come again, so let a number or a shape tell components apart too.

    >>> colours(2)
    ['#0072b2', '#d55e00']
    """
    return [COLOURS[k % len(COLOURS)] for k in range(K)]
