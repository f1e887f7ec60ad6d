"""How far apart mixtures are, coordinate by coordinate: the Fisher information of rows whose component is known, at one mixture.

    logit of pi_k        pi_k
    mu_k                 pi_k Sigma_k^-1
    L_k, entry ij        pi_k (Sigma_k^-1)_ii for i > j, pi_k (1 + L_ii^2 (Sigma_k^-1)_ii) for the logarithm of L_ii

of Sigma_k = L_k L_k', summed over k where components share it; of the last only the diagonal is kept. In coordinates where this is the identity EM's
step is about the gradient itself, so an optimiser that knows no better begins as EM does (Jamshidian & Jennrich 1997, JRSS B 59, 569-587).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.rules.coordinates import Coordinates

LEAST = 1e-6  # a component counts so much at least: without rows it would have no scale at all


class Metric(NamedTuple):
    """Unit coordinates about an origin: there, the information of a row is about one. Each is a chart's times the root of the information.

    `logits` (K,) and `factors` hold the inverse roots, `means` those of each component: a number a column (K, D) or a triangular matrix (K, D, D).

    >>> import mixtura, numpy as np
    >>> from mixtura.rules.coordinates import Chart
    >>> mixture = mixtura.Mixture([0.25, 0.75], [[0.0], [9.0]], [[4.0], [1.0]], "diag")
    >>> metric = Metric.of(mixture, Chart(np.zeros(1), np.ones(1)).to_coordinates(mixture), np.ones(1))
    >>> metric.means  # the standard errors of the means after one row
    array([[4.        ], [1.15470054]])
    """

    origin: Coordinates
    logits: Array
    means: Array
    factors: Array

    @classmethod
    def of(cls, mixture: Mixture, origin: Coordinates, scale: Array) -> Metric:
        """At this mixture, which is at `origin` of a chart of this scale (D,)."""
        weights = np.maximum(mixture.weights, LEAST)
        shares = np.ones(1) if mixture.family.pooled else weights
        U = mixture.whiteners * scale  # of the standardised covariances
        if U.ndim == 2:
            information = np.full(origin.factors.shape, 2.0 * mixture.family.moment.divisor(mixture.D))
            means = 1 / (U * np.sqrt(weights)[:, None])
        else:
            precisions = (U**2).sum(axis=1)
            information = np.repeat(precisions[:, :, None], mixture.D, axis=2)
            diagonal = np.arange(mixture.D)
            information[:, diagonal, diagonal] = 1 + precisions / U[:, diagonal, diagonal] ** 2
            means = np.linalg.inv(U) / np.sqrt(weights)[:, None, None]
        information = (information.T * shares).T.reshape(origin.factors.shape)
        return cls(origin, 1 / np.sqrt(weights), means, 1 / np.sqrt(information))

    def outward(self, unit: Array) -> Array:
        """The chart's coordinates (P,) of unit coordinates (P,)."""
        step = self.origin.like(unit)
        means = _products(self.means, step.means)
        return self.origin.flat + Coordinates(self.logits * step.logits, means, self.factors * step.factors).flat

    def inward(self, gradient: Array) -> Array:
        """The gradient by unit coordinates of one by the chart's."""
        by = self.origin.like(gradient)
        means = _products(self.means.swapaxes(1, 2) if self.means.ndim == 3 else self.means, by.means)
        return Coordinates(self.logits * by.logits, means, self.factors * by.factors).flat

    def bounds(self, factors: Array) -> Array:
        """The unit coordinates (P,) of bounds on factors alone, of which none excludes the origin."""
        free = np.full(self.logits.size + self.origin.means.size, -np.inf)
        return np.concatenate([free, np.minimum((factors - self.origin.factors) / self.factors, 0.0).ravel()])


def _products(by: Array, rows: Array) -> Array:
    return by * rows if by.ndim == 2 else np.asarray((by @ rows[..., None])[..., 0])
