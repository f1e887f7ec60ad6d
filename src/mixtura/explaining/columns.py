"""In which columns a component differs from the rest of the mixture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.integrate import trapezoid

from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.moments import Array

REACH = 6.0  # standard deviations to each side of a mean: what lies beyond is 2e-9
FAR = 1_000.0  # squared: what is beyond is nothing, and numbers that are nearly nothing are slow
POINTS = 121  # for each component: the integral of a function with kinks is then right to a few in ten thousand


class Distinctive(NamedTuple):
    """Each component beside the rest, which is the mixture of all others; column by column, arrays (K, D).

    `shared` is what the two densities have in common, between 0 (the column alone tells them apart) and 1 (it tells nothing). `difference` is that
    of the means in pooled standard deviations, above 0 where the component is higher. `ratio` is the component's deviation over that
    of the rest. `rest` and `spread` are mean and deviation of the rest, in the column's units.

    >>> import mixtura
    >>> found = mixtura.explaining.distinctive(mixtura.Mixture([0.5, 0.5], [[0.0], [4.0]], [[1.0], [9.0]], "diag"))
    >>> found.rest.ravel(), found.ratio.ravel().round(2)
    (array([4., 0.]), array([0.33, 3.  ]))
    """

    shared: Array
    difference: Array
    ratio: Array
    rest: Array
    spread: Array


@with_one_thread
def distinctive(mixture: Mixture) -> Distinctive:
    """int min(p_k(x), q_k(x)) dx for each column x, with p_k the component and q_k = sum_{l != k} pi_l p_l / (1 - pi_k) the rest.

    This overlapping coefficient (Weitzman 1970) counts a difference of means, of spreads, and a component in the middle of others alike,
    and does not depend on units. It looks at one column at a time: what only several tell together, it does not see.

    Raises ParameterError where there is one component.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[0.0, 5.0], [4.0, 5.0]], [[1.0, 9.0], [1.0, 9.0]], "diag")
    >>> mixtura.explaining.distinctive(mixture).shared.round(3)  # 2 Phi(-4 / 2) in the first column
    array([[0.046, 1.   ],
           [0.046, 1.   ]])
    """
    if mixture.K == 1:
        raise ParameterError("nothing is distinctive of the only component: got K = 1, expected at least 2; try a mixture of more components")
    means, deviations = mixture.means, np.sqrt(mixture.variances)
    others = _others(mixture.weights)
    rest = others @ means
    centred = means - mixture.weights @ means  # squares of columns far from zero would leave no digits
    spread = np.sqrt(others @ (deviations**2 + centred**2) - (others @ centred) ** 2)
    pooled = np.sqrt((deviations**2 + spread**2) / 2)
    shared = np.stack([_shared(means[:, j], deviations[:, j], mixture.weights) for j in range(mixture.D)], axis=1)
    return Distinctive(shared, (means - rest) / pooled, deviations / spread, rest, spread)


def _others(weights: Array) -> Array:
    """The weights of the others in the rest of each component: (K, K), zero on the diagonal, rows sum to 1."""
    others = weights * (1 - np.eye(len(weights)))
    return np.asarray(others / others.sum(axis=1, keepdims=True))


def _shared(means: Array, deviations: Array, weights: Array) -> Array:
    """The overlapping coefficient of each component with its rest, in one column: trapezoids between points near every component."""
    points = np.unique(means[:, None] + deviations[:, None] * np.linspace(-REACH, REACH, POINTS))
    away = (points - means[:, None]) / deviations[:, None]
    densities = np.exp(-np.minimum(away**2, FAR) / 2) / (deviations[:, None] * np.sqrt(2 * np.pi))
    parts = weights[:, None] * densities
    left = ((1 - np.eye(len(weights))) * weights).sum(axis=1, keepdims=True)
    rest = np.maximum(parts.sum(axis=0) - parts, 0.0) / left
    common = trapezoid(np.minimum(densities, rest), points, axis=1)
    return np.asarray(np.minimum(common, 1.0))
