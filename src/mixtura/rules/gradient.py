"""The gradient M-step: exact gradients of the mean log-likelihood, and ascent along them.

By Fisher's identity the gradient needs the statistics only. With l the mean log-likelihood per row, alpha the logits of the weights
(pi = softmax(alpha)), and S_k the scatter about the current mean over n_k:

    dl/d alpha_k = n_k/n - pi_k
    dl/d mu_k    = (n_k/n) Sigma_k^-1 (xbar_k - mu_k)
    dl/d Sigma_k = (n_k/2n) Sigma_k^-1 (S_k - Sigma_k) Sigma_k^-1        (tr(G dSigma) for symmetric dSigma)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mixtura.errors import ParameterError
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules.rule import Event, Rule, Update
from mixtura.statistics import Statistics


class Gradient(NamedTuple):
    """The gradient of the mean log-likelihood at one component: by its logit, mean (D,) and covariance (the family's shape)."""

    weight: float
    mean: Array
    covariance: Array


class Coordinates(NamedTuple):
    """A mixture as unconstrained numbers: logits (K,), standardised means (K, D), log-Cholesky factors in the family's shape."""

    logits: Array
    means: Array
    factors: Array


def gradients(mixture: Mixture, statistics: Statistics) -> Iterator[Gradient]:
    """The gradient of the mean log-likelihood, component by component: (weight, mean, covariance).

    `weight` is n_k/n - pi_k, the derivative by the logit: the one by log pi_k when the weights are renormalised afterwards. `mean` is
    (D,), per unit of each column. `covariance` has the shape of one covariance, for full (D, D) and symmetric: a change dSigma changes l
    by sum(G * dSigma). Where the family shares its covariance each component yields the share n_k/n of the gradient; the shares add up.

    Source: Fisher's identity; Salakhutdinov, Roweis & Ghahramani (2003), "Optimization with EM and expectation-conjugate-gradient".

    >>> import mixtura
    >>> X = [[-2.0], [-1.0], [1.0], [2.0]]
    >>> mixture = mixtura.Mixture([1.0], [[0.5]], [[[1.0]]])
    >>> for weight, mean, covariance in mixtura.gradients(mixture, mixtura.sweep(mixture, X)):
    ...     print(weight, mean, covariance)
    0.0 [-0.5] [[0.875]]
    """
    by_covariance = covariance_gradients(mixture, statistics)
    by_mean = mean_gradients(mixture, statistics)
    shares = statistics.counts / statistics.counts.sum()
    for k in range(mixture.K):
        yield Gradient(float(shares[k] - mixture.weights[k]), by_mean[k], shares[k] * by_covariance if mixture.family.pooled else by_covariance[k])


def mean_gradients(mixture: Mixture, statistics: Statistics) -> Array:
    """dl/d mu_k, (K, D)."""
    pull = statistics.repivot(mixture.means).first / statistics.counts.sum()
    U = mixture.whiteners  # the precision is U'U
    if U.ndim == 2:
        return np.asarray(pull * U**2)
    return np.asarray((U.swapaxes(1, 2) @ (U @ pull[..., None]))[..., 0])


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


def to_coordinates(mixture: Mixture, centre: Array, scale: Array) -> Coordinates:
    """The unconstrained coordinates of a mixture, standardised by centre and scale (D,)."""
    moment = mixture.family.moment
    logits = np.log(np.maximum(mixture.weights, np.finfo(float).tiny))
    return Coordinates(logits, (mixture.means - centre) / scale, moment.to_coordinates(moment.rescale(mixture.covariances, 1 / scale)))


def from_coordinates(coordinates: Coordinates, like: Mixture, centre: Array, scale: Array) -> Mixture:
    """The mixture at these coordinates: valid wherever they are finite."""
    moment = like.family.moment
    weights = np.exp(coordinates.logits - coordinates.logits.max())
    covariances = moment.rescale(moment.from_coordinates(coordinates.factors), scale)
    return Mixture(weights / weights.sum(), centre + scale * coordinates.means, covariances, like.family)


def coordinate_gradient(mixture: Mixture, statistics: Statistics, scale: Array) -> Coordinates:
    """The gradient of the mean log-likelihood by the unconstrained coordinates."""
    moment = mixture.family.moment
    by_logits = statistics.counts / statistics.counts.sum() - mixture.weights
    standardised = moment.rescale(mixture.covariances, 1 / scale)
    by_factors = moment.pullback(standardised, moment.rescale(covariance_gradients(mixture, statistics), scale))
    return Coordinates(by_logits, mean_gradients(mixture, statistics) * scale, by_factors)


class _State(NamedTuple):
    """The last mixture that the likelihood accepted, its statistics, and the rate in force."""

    mixture: Mixture | None
    statistics: Statistics | None
    rate: float


@dataclass(frozen=True)
class GradientAscent(Rule):
    """Steps along the exact gradient of the mean log-likelihood: theta <- theta + learning_rate * dl/dtheta.

    theta are the logits of the weights, the means in units of the data's deviations, and the log-Cholesky factors of the standardised
    covariances, so every step is a valid mixture and no step needs a projection. `learning_rate` is therefore a number without units; 1e-3
    is the textbook's and slow, 0.1 to 1 usually climbs well. A step that lowers the likelihood is taken back and the rate halved, told as
    an event; a covariance that collapses is held at the floor.

    Raises ParameterError unless learning_rate > 0.

    >>> import mixtura
    >>> mixtura.rules.GradientAscent(learning_rate=0.5).learning_rate
    0.5
    """

    learning_rate: float = 1e-3
    regularisation: Regularisation = field(default_factory=Floor)

    def __post_init__(self) -> None:
        if not (isinstance(self.learning_rate, int | float | np.number) and 0 < float(self.learning_rate) < np.inf):
            raise ParameterError(f"learning_rate is not usable: got {self.learning_rate!r}, expected a number > 0; try 0.1")

    def initial(self, mixture: Mixture) -> _State:
        """No mixture accepted yet, the full rate."""
        return _State(None, None, self.learning_rate)

    def update(self, mixture: Mixture, statistics: Statistics, state: _State) -> Update:
        """One step uphill from the best mixture so far."""
        events: tuple[Event, ...] = ()
        if state.statistics is not None and state.mixture is not None and _fell(statistics, state.statistics):
            mixture, statistics = state.mixture, state.statistics
            state = state._replace(rate=state.rate / 2)
            events = (Event("note", f"the likelihood fell: step taken back, learning rate halved to {state.rate:g}"),)
        moved, collapsed = self._step(mixture, statistics, state.rate)
        return Update(moved, _State(mixture, statistics, state.rate), events + collapsed)

    def _step(self, mixture: Mixture, statistics: Statistics, rate: float) -> tuple[Mixture, tuple[Event, ...]]:
        centre, scale = _standardisation(statistics)
        here = to_coordinates(mixture, centre, scale)
        uphill = coordinate_gradient(mixture, statistics, scale)
        there = Coordinates(*(x + np.clip(rate * g, -1, 1) for x, g in zip(here, uphill, strict=True)))
        moved = from_coordinates(there, mixture, centre, scale)
        covariances, collapsed = self.regularisation.apply(mixture.family, moved.covariances, statistics.data_covariance)
        if not collapsed.any():
            return moved, ()
        held = Mixture(moved.weights, moved.means, covariances, mixture.family)
        return held, (Event("repair", "a covariance collapsed and was held at the floor"),)


def _fell(now: Statistics, before: Statistics) -> bool:
    drop = before.log_likelihood / before.weight - now.log_likelihood / now.weight
    return not drop <= 1e-12 * max(1.0, abs(before.log_likelihood / before.weight))


def _standardisation(statistics: Statistics) -> tuple[Array, Array]:
    """Centre and scale of the data, as far as the statistics know them: one scale for all columns where only the trace was kept."""
    D = statistics.pivots.shape[1]
    covariance = statistics.data_covariance
    variances = np.diagonal(covariance) if statistics.moment.axes == 2 else np.broadcast_to(covariance, D)
    return statistics.total.means[0], np.sqrt(variances)
