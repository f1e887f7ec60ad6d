"""Expectation-maximisation in closed form (Dempster, Laird & Rubin 1977), and the repair of components that collapse.

pi_k = n_k / n        mu_k = xbar_k        Sigma_k = the family's maximiser of the scatter
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules.rule import Event, Rule, Update
from mixtura.statistics import Statistics

EMPTY = 0.5  # a component that holds less than half a row has nothing to say about its covariance
TINY = 1e-12  # of all weight: the least that a component counts, so that its logarithm stays a number
SECOND_CHANCES = 3  # how often a component is re-seeded before it is left to fade


@dataclass(frozen=True)
class EM(Rule):
    """The maximum of the expected complete log-likelihood: never lowers the likelihood, except where it repairs a component.

    A covariance that collapses is floored (see `regularisation`); a component that loses its rows is re-seeded as half of the heaviest
    one, three times at most. Both are told as events.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-3.0], [3.0]], 100, axis=0)
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> steps = mixtura.iterate(X, start, rule=mixtura.rules.EM())
    >>> bool(next(steps).log_likelihood < next(steps).log_likelihood)
    True
    """

    regularisation: Regularisation = field(default_factory=Floor)

    def initial(self, mixture: Mixture) -> _State:
        """No component re-seeded yet, the data's covariance not known."""
        return _State(np.zeros(mixture.K, dtype=int), None)

    def update(self, mixture: Mixture, statistics: Statistics, state: _State) -> Update:
        """The M-step. Raises nothing, whatever the data made of a component."""
        reference = statistics.data_covariance if state.reference is None else state.reference
        moved, events = maximise(mixture.family, statistics, self.regularisation, reference, mixture.covariances)
        reseeded = state.reseeded
        if (empty := _empty(statistics)).any():
            empty &= reseeded < SECOND_CHANCES
            for k in np.flatnonzero(empty):
                moved = split(moved, into=int(k))
                events += (Event("repair", f"component {k} lost its rows and was re-seeded from the heaviest component"),)
            reseeded = reseeded + empty
        return Update(moved, _State(reseeded, reference), events)


class _State(NamedTuple):
    """How often each component was re-seeded, and the data's covariance, which no step changes."""

    reseeded: NDArray[np.int_]
    reference: Array | None


def maximise(
    family: Family,
    statistics: Statistics,
    regularisation: Regularisation,
    reference: Array | None = None,
    previous: Array | None = None,
) -> tuple[Mixture, tuple[Event, ...]]:
    """The mixture of greatest likelihood for these statistics, regularised, and events that name the components that collapsed.

    `reference` is the data's covariance where it is known already; `previous` are the covariances that components without rows keep.
    """
    least = TINY * statistics.counts.sum()
    counts = np.maximum(statistics.counts, least)
    covariances = family.maximise(statistics.scatter, counts, statistics.pivots.shape[1])
    if previous is not None and not family.pooled and (lost := statistics.counts < least).any():
        covariances = np.where(lost.reshape(-1, *[1] * family.moment.axes), previous, covariances)
    reference = statistics.data_covariance if reference is None else reference
    covariances, collapsed = regularisation.apply(family, covariances, reference)
    moved = Mixture.trusted(counts / counts.sum(), statistics.means, covariances, family)
    if not collapsed.any():
        return moved, ()
    who = "the shared covariance" if family.pooled else f"the covariance of component {', '.join(map(str, np.flatnonzero(collapsed)))}"
    return moved, (Event("repair", f"{who} collapsed and was held at the floor"),)


def split(mixture: Mixture, into: int, heaviest: int | None = None) -> Mixture:
    """Replaces component `into` by half of the heaviest: both move one half deviation apart along its longest axis."""
    weights, means = mixture.weights.copy(), mixture.means.copy()
    source = int(np.argmax(weights)) if heaviest is None else heaviest
    values, vectors = np.linalg.eigh(mixture.matrices[source])
    shift = vectors[:, -1] * np.sqrt(values[-1]) / 2
    weights[into] = weights[source] = weights[source] / 2
    means[into], means[source] = means[source] + shift, means[source] - shift
    covariances = mixture.covariances
    if not mixture.family.pooled:
        covariances = covariances.copy()
        covariances[into] = covariances[source]
    return Mixture(weights / weights.sum(), means, covariances, mixture.family)


def _empty(statistics: Statistics) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    per_row = statistics.weight / statistics.rows
    return np.asarray(statistics.counts < EMPTY * per_row)
