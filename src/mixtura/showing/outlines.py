"""What of a mixture is seen in one or two of its columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mixtura.mixture import Mixture
from mixtura.moments import Array


def marginal(mixture: Mixture, columns: Sequence[int]) -> Mixture:
    """The mixture of these columns alone, with full covariances: the rows and columns of each mean and covariance that belong to them.

    No D x D matrix of factors is made.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
    >>> marginal(mixture, [1]).covariances
    array([[[9.]]])
    """
    chosen = np.asarray(columns, dtype=np.intp)
    return Mixture(mixture.weights, mixture.means[:, chosen], _covariances(mixture, chosen), "full")


def _covariances(mixture: Mixture, chosen: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Array:
    if not mixture.family.n_factors:
        return mixture.matrices[:, chosen[:, None], chosen]
    loadings = mixture.loadings[:, chosen]
    covariances = loadings @ loadings.transpose(0, 2, 1)
    covariances[:, range(len(chosen)), range(len(chosen))] = mixture.variances[:, chosen]
    return covariances


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
    seen = marginal(mixture, (x, y))
    angles = np.linspace(0, 2 * np.pi, points)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.sqrt(-2 * np.log1p(-share))
    axes = np.linalg.cholesky(seen.covariances)
    return np.asarray(seen.means[:, None] + circle @ axes.transpose(0, 2, 1))
