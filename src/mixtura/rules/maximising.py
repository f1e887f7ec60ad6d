"""The M-step: the mixture of greatest likelihood for given statistics, and the repair of components that collapse.

pi_k = n_k / n        mu_k = xbar_k        Sigma_k = the family's maximiser of the scatter

A prior is rows added to these; what is fixed stays. EM, and every rule that ends in an M-step, goes through `step`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import ParameterError
from mixtura.families import Family
from mixtura.families.constraint import across
from mixtura.mixture import Mixture
from mixtura.moments import Array, Moment
from mixtura.regularisation import Regularisation
from mixtura.rules.fixed import Fixed
from mixtura.rules.prior import Prior
from mixtura.rules.rule import Event, Update
from mixtura.statistics import Statistics

EMPTY = 0.5  # a component that holds less than half a row has nothing to say about its covariance
TINY = 1e-12  # of all weight: the least that a component counts, so that its logarithm stays a number
SECOND_CHANCES = 3  # how often a component is re-seeded before it is left to fade


def maximise(
    family: Family,
    statistics: Statistics,
    regularisation: Regularisation,
    reference: Array | None = None,
    *,
    previous: Mixture | None = None,
    prior: Prior | None = None,
    fixed: Fixed | None = None,
) -> tuple[Mixture, tuple[Event, ...]]:
    """The mixture of greatest likelihood for these statistics, regularised, and events that name the components that collapsed.

    With a `prior`, the mode of the posterior. `reference` is the data's covariance where it is known already; components without rows keep
    the covariance of the `previous` mixture, and what is `fixed` is kept from it.
    """
    D = statistics.pivots.shape[1]
    least = TINY * statistics.counts.sum()
    counts = np.maximum(statistics.counts, least)
    means, scatter, rows, shares = statistics.means, statistics.scatter, counts, counts
    if prior is not None or (fixed is not None and any(fixed.means)):
        means, scatter = _about_other_means(statistics, previous, prior, fixed)
    if prior is not None:
        shares = counts + prior.shares
        rows = counts + prior.counts / (len(counts) if family.pooled else 1)
    if prior is None and previous is not None and not family.pooled and (lost := statistics.counts < least).any():
        kept = family.moment.as_scatter(previous.covariances, rows, D)
        scatter = np.where(across(lost, scatter), kept, scatter)
    reference = statistics.data_covariance if reference is None else reference
    before = None if previous is None else previous.covariances
    covariances, collapsed = regularisation.maximise(family, scatter, rows, D, reference, before)
    weights = shares / shares.sum()
    if fixed is not None and previous is not None:
        weights, covariances = fixed.keep_weights(weights, previous.weights), fixed.keep_covariances(covariances, previous.covariances)
        if any(fixed.covariances):
            collapsed = collapsed & ~np.array(fixed.covariances[0] if family.pooled else fixed.covariances)
    moved = Mixture.trusted(weights, means, covariances, family)
    if not collapsed.any():
        return moved, ()
    who = "the shared covariance" if family.pooled else f"the covariance of component {', '.join(map(str, np.flatnonzero(collapsed)))}"
    return moved, (Event("repair", f"{who} collapsed and was held at the floor"),)


def _about_other_means(statistics: Statistics, previous: Mixture | None, prior: Prior | None, fixed: Fixed | None) -> tuple[Array, Array]:
    """The means of rows and prior together, or where they are fixed, and the second moments of both about them."""
    means = statistics.means
    if prior is not None:
        means = means + (prior.rows / (statistics.counts + prior.rows))[:, None] * (prior.means - means)
    if fixed is not None and previous is not None:
        means = fixed.keep_means(means, previous.means)
    second = statistics.repivot(means).second
    if prior is not None:
        apart = means - prior.means
        product = statistics.moment.pooled_product if statistics.pooled else statistics.moment.product
        second = second + product(prior.rows[:, None] * apart, apart) + prior.scatter
    return means, second


class State(NamedTuple):
    """How often each component was re-seeded, the data's covariance, which no step changes, and the prior once it is known."""

    reseeded: NDArray[np.int_]
    reference: Array | None = None
    prior: Prior | None = None

    @classmethod
    def before(cls, mixture: Mixture) -> State:
        """No component re-seeded yet, nothing known of the data."""
        return cls(np.zeros(mixture.K, dtype=int))


def step(mixture: Mixture, statistics: Statistics, state: State, regularisation: Regularisation, fixed: Fixed) -> Update:
    """The M-step, and half of the heaviest component for one that lost its rows.

    Raises ParameterError for statistics that do not suit the mixture, and nothing for whatever the data made of a component.
    """
    statistics = suited(mixture, statistics)
    reference = statistics.data_covariance if state.reference is None else state.reference
    moved, events = maximise(mixture.family, statistics, regularisation, reference, previous=mixture, prior=state.prior, fixed=fixed)
    reseeded = state.reseeded
    if state.prior is None and (empty := _empty(statistics)).any():
        free = ~fixed.components if len(fixed.components) else np.ones(mixture.K, dtype=bool)
        empty &= (reseeded < SECOND_CHANCES) & free
        for k in np.flatnonzero(empty):
            others = free & (np.arange(mixture.K) != k)
            if others.any():
                moved = split(moved, into=int(k), heaviest=int(np.argmax(np.where(others, moved.weights, -1))))
                events += (Event("repair", f"component {k} lost its rows and was re-seeded from the heaviest component"),)
        reseeded = reseeded + empty
    return Update(moved, state._replace(reseeded=reseeded, reference=reference), events)


def split(mixture: Mixture, into: int, heaviest: int | None = None) -> Mixture:
    """Replaces component `into` by half of the heaviest: both move one half deviation apart along its longest axis."""
    weights, means = mixture.weights.copy(), mixture.means.copy()
    source = int(np.argmax(weights)) if heaviest is None else heaviest
    one = mixture.covariances if mixture.family.pooled else mixture.covariances[source]
    shift = mixture.family.moment.widest(one, mixture.D) / 2
    weights[into] = weights[source] = weights[source] / 2
    means[into], means[source] = means[source] + shift, means[source] - shift
    covariances = mixture.covariances
    if not mixture.family.pooled:
        covariances = covariances.copy()
        covariances[into] = covariances[source]
    return Mixture(weights / weights.sum(), means, covariances, mixture.family)


def suited(mixture: Mixture, statistics: Statistics) -> Statistics:
    """The statistics as the mixture's family keeps them.

    Raises ParameterError where they are of other components or columns than the mixture, or hold less than its family needs.
    """
    family = mixture.family
    if statistics.pivots.shape != mixture.means.shape:
        (K, D), expected = statistics.pivots.shape, mixture.means.shape
        raise ParameterError(
            f"the statistics are not of such a mixture: got sums of {K} components in {D} columns, expected {expected[0]} in {expected[1]}; "
            "try mixtura.sweep(mixture, X)"
        )
    kept = statistics.kept_as(family.moment, family.pooled)
    if kept is None:
        raise ParameterError(
            f"the statistics hold less than family {family.name!r} needs: got {_in_words(statistics.moment, statistics.pooled)}, expected "
            f"{_in_words(family.moment, family.pooled)}; try mixtura.sweep(mixture, X), or mixtura.Statistics.of(..., family={family.name!r})"
        )
    return kept


def _in_words(moment: Moment, pooled: bool) -> str:
    return f"{moment.kept}, {'summed over components' if pooled else 'component by component'}"


def check_lasting(family: Family, rule: str) -> None:
    """Raises ParameterError where every mixture projects second moments anew, so that no others can be added to them or followed uphill."""
    if family.n_factors:
        raise ParameterError(
            f"{rule} does not know family {family.name}: got factors, whose sums are taken at one mixture and mean nothing at another, expected "
            "whole second moments; try rule 'em', or family 'full'"
        )


def _empty(statistics: Statistics) -> NDArray[np.bool_]:
    per_row = statistics.weight / statistics.rows
    return np.asarray(statistics.counts < EMPTY * per_row)
