"""Unconstrained coordinates of a mixture, and the exact gradient of the mean log-likelihood in them and out of them.

By Fisher's identity the gradient needs the statistics only. With l the mean log-likelihood per row, alpha the logits of the weights
(pi = softmax(alpha)), and S_k the scatter about the current mean over n_k:

    dl/d alpha_k = n_k/n - pi_k
    dl/d mu_k    = (n_k/n) Sigma_k^-1 (xbar_k - mu_k)
    dl/d Sigma_k = (n_k/2n) Sigma_k^-1 (S_k - Sigma_k) Sigma_k^-1        (tr(G dSigma) for symmetric dSigma)

The coordinates are the logits, the means in units of the data's deviations, and the log-Cholesky factors of the standardised covariances:
wherever they are, they are a valid mixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.rules.fixed import Fixed
from mixtura.rules.maximising import check_lasting, suited
from mixtura.statistics import Statistics


class Gradient(NamedTuple):
    """The gradient of the mean log-likelihood at one component: by its logit, mean (D,) and covariance (the family's shape)."""

    weight: float
    mean: Array
    covariance: Array


def gradients(mixture: Mixture, statistics: Statistics) -> Iterator[Gradient]:
    """The gradient of the mean log-likelihood, component by component: (weight, mean, covariance).

    `weight` is n_k/n - pi_k, the derivative by the logit: the one by log pi_k when the weights are renormalised afterwards. `mean` is
    (D,), per unit of each column. `covariance` has the shape of one covariance, for full (D, D) and symmetric: a change dSigma changes l
    by sum(G * dSigma). Where the family shares its covariance each component yields the share n_k/n of the gradient; the shares add up.

    `statistics` are those of `mixtura.sweep`, or of a posterior (Statistics.of), and may hold more second moments than the family keeps.

    Raises ParameterError for statistics of other components or columns, or that hold less than the family needs.

    Source: Fisher's identity; Salakhutdinov, Roweis & Ghahramani (2003), "Optimization with EM and expectation-conjugate-gradient".

    >>> import mixtura
    >>> X = [[-2.0], [-1.0], [1.0], [2.0]]
    >>> mixture = mixtura.Mixture([1.0], [[0.5]], [[[1.0]]])
    >>> for weight, mean, covariance in mixtura.gradients(mixture, mixtura.sweep(mixture, X)):
    ...     print(weight, mean, covariance)
    0.0 [-0.5] [[0.875]]
    """
    statistics = statistics if mixture.family.n_factors else suited(mixture, statistics)  # factors have no gradients, and say so
    by_covariance = covariance_gradients(mixture, statistics)
    by_mean = mean_gradients(mixture, statistics)
    shares = statistics.counts / statistics.counts.sum()
    if mixture.family.pooled:
        by_covariance = shares.reshape(-1, *[1] * mixture.family.moment.axes) * by_covariance
    return (Gradient(float(shares[k] - mixture.weights[k]), by_mean[k], by_covariance[k]) for k in range(mixture.K))


@with_one_thread
def mean_gradients(mixture: Mixture, statistics: Statistics) -> Array:
    """dl/d mu_k, (K, D)."""
    pull = statistics.repivot(mixture.means).first / statistics.counts.sum()
    U = mixture.whiteners  # the precision is U'U
    if U.ndim == 2:
        return np.asarray(pull * U**2)
    return np.asarray((U.swapaxes(1, 2) @ (U @ pull[..., None]))[..., 0])


@with_one_thread
def covariance_gradients(mixture: Mixture, statistics: Statistics) -> Array:
    """dl/d Sigma in the family's shape (K, ...), or (...) where pooled."""
    family, D = mixture.family, mixture.D
    n = statistics.counts.sum()
    second = statistics.repivot(mixture.means).second
    if family.pooled:
        return family.moment.gradient(mixture.covariances, second / n, D)
    share = (statistics.counts / n).reshape(-1, *[1] * family.moment.axes)
    counts = np.maximum(statistics.counts, np.finfo(float).tiny).reshape(share.shape)
    return np.asarray(share * family.moment.gradient(mixture.covariances, second / counts, D))


def check_free(mixture: Mixture, rule: str) -> None:
    """Raises ParameterError where components share part of their covariances, so that steps along a gradient of each would part them.

    Also where they are factors (maximising.check_lasting).
    """
    check_lasting(mixture.family, rule)
    if mixture.family.constraint is not None:
        raise ParameterError(
            f"{rule} does not know family {mixture.family.code}: got components that share part of their covariances, expected one covariance for "
            "all or each its own; try rule 'em', or family 'full'"
        )


class Coordinates(NamedTuple):
    """A mixture as unconstrained numbers: logits (K,), standardised means (K, D), log-Cholesky factors in the family's shape.

    Gradients, and steps, are of the same shape. What is fixed has a gradient of zero.
    """

    logits: Array
    means: Array
    factors: Array

    @property
    def flat(self) -> Array:
        """All of them, one after the other."""
        return np.concatenate([part.ravel() for part in self])

    def like(self, flat: Array) -> Coordinates:
        """Numbers in the order of `flat`, in these shapes."""
        parts = np.split(flat, np.cumsum([part.size for part in self])[:-1])
        return Coordinates(*(part.reshape(mine.shape) for part, mine in zip(parts, self, strict=True)))


class Chart(NamedTuple):
    """Between mixtures and coordinates: the centre and scale (D,) that standardise, and what is fixed."""

    centre: Array
    scale: Array
    fixed: Fixed = Fixed()

    @classmethod
    def of(cls, statistics: Statistics, fixed: Fixed) -> Chart:
        """Standardised by the data, as far as the statistics know them: one scale for all columns where only the trace was kept."""
        D = statistics.pivots.shape[1]
        covariance = statistics.data_covariance
        variances = np.diagonal(covariance) if covariance.ndim == 2 else np.broadcast_to(covariance, D)
        return cls(statistics.total.means[0], np.sqrt(variances), fixed)

    def to_coordinates(self, mixture: Mixture) -> Coordinates:
        """Where the mixture is."""
        moment = mixture.family.moment
        logits = np.log(np.maximum(mixture.weights, np.finfo(float).tiny))
        factors = moment.to_coordinates(moment.rescale(mixture.covariances, 1 / self.scale))
        return Coordinates(logits, (mixture.means - self.centre) / self.scale, factors)

    def from_coordinates(self, coordinates: Coordinates, like: Mixture) -> Mixture:
        """The mixture at these coordinates, valid wherever they are finite; what is fixed is that of `like`.

        Where components share part of their covariances, the nearest such (Family.project): not every coordinate is one of theirs.

        Raises ParameterError where numbers are so large or small that a covariance leaves float64.
        """
        moment, fixed = like.family.moment, self.fixed
        weights = np.exp(coordinates.logits - coordinates.logits.max())
        weights = fixed.keep_weights(weights / weights.sum(), like.weights)
        means = fixed.keep_means(self.centre + self.scale * coordinates.means, like.means)
        there = like.family.project(moment.rescale(moment.from_coordinates(coordinates.factors), self.scale), weights, like.D)
        return Mixture(weights, means, fixed.keep_covariances(there, like.covariances), like.family)

    def gradient(self, mixture: Mixture, statistics: Statistics) -> Coordinates:
        """The gradient of the mean log-likelihood by the coordinates; zero where they are fixed."""
        moment, fixed = mixture.family.moment, self.fixed
        standardised = moment.rescale(mixture.covariances, 1 / self.scale)
        by_factors = moment.pullback(standardised, moment.rescale(covariance_gradients(mixture, statistics), self.scale))
        by_means = mean_gradients(mixture, statistics) * self.scale
        return Coordinates(
            self._by_logits(mixture, statistics),
            fixed.keep_means(by_means, np.zeros_like(by_means)),
            fixed.keep_covariances(by_factors, np.zeros_like(by_factors)),
        )

    def _by_logits(self, mixture: Mixture, statistics: Statistics) -> Array:
        """n_k/n - pi_k; where weights are fixed, the others are the softmax of their logits times what is left to them."""
        shares = statistics.counts / statistics.counts.sum()
        if not any(self.fixed.weights):
            return np.asarray(shares - mixture.weights)
        free = ~np.array(self.fixed.weights)
        left = mixture.weights[free].sum()
        return np.where(free, shares - mixture.weights * (shares[free].sum() / left if free.any() else 0.0), 0.0)
