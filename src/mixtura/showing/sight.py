"""How far down a picture of lines reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

FAR = 3.0  # times as deep below the best as the median line ends: too far to be seen
MARGIN = 0.06  # of the height, above and below


def in_sight(lines: Sequence[Sequence[float]]) -> tuple[float, float]:
    """From where to where lines are drawn of which the highest point matters, a criterion's against the number of components: (low, high).

    The top and the end of every line are seen, but for lines far below most; where a line begins may be out of sight. Very poor values would
    flatten all the others.

    >>> low, high = in_sight([[-900.0, -100.0, -110.0], [-120.0], [-5000.0]])
    >>> round(low, 1), round(high, 1)
    (-121.2, -98.8)
    """
    top = max(map(max, lines))
    depths = top - np.array([line[-1] for line in lines])
    depth = float(depths[depths <= FAR * np.median(depths)].max(initial=0.0))
    pad = MARGIN * (depth or abs(top) or 1.0)
    return top - depth - pad, top + pad
