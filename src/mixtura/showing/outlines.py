"""What of a mixture is seen in one or two of its columns."""

from __future__ import annotations

import numpy as np

from mixtura.blas import with_one_thread
from mixtura.mixture import Mixture
from mixtura.moments import Array


@with_one_thread
def outlines(mixture: Mixture, x: int, y: int, share: float = 0.9, points: int = 72) -> Array:
    """For each component the ellipse in columns x and y that holds this share of it, as a closed line: (K, points, 2), in the columns' units.

    The ellipse is the set at Mahalanobis distance r of the mean, with r^2 = -2 log(1 - share), as distances squared follow chi-square with 2 degrees.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([1.0], [[1.0, 2.0]], [[[4.0, 0.0], [0.0, 1.0]]])
    >>> outlines(mixture, 0, 1, share=1 - 2.718281828 ** -0.5, points=5)[0].round(6) + 0.0
    array([[ 3.,  2.],
           [ 1.,  3.],
           [-1.,  2.],
           [ 1.,  1.],
           [ 3.,  2.]])
    """
    seen = mixture.marginal((x, y))
    angles = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.sqrt(-2 * np.log1p(-share))
    axes = np.linalg.cholesky(seen.matrices)
    return np.asarray(seen.means[:, None] + circle @ axes.transpose(0, 2, 1))
