"""Exchanges: two components that could be one are merged and one that should be two is split, which EM alone cannot do.

What to try is told by the classification likelihood, the sum over components of n_k (log n_k - log|Sigma_k| / 2): a merger's needs no pass
over the rows, a split's one cut through a component's rows. Whether it was good is told by EM (after Ueda, Nakano, Ghahramani & Hinton 2000,
Neural Computation 12, 2109-2128, whose criteria cost more).
"""

from __future__ import annotations

from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.families import Family
from mixtura.fitting import Step, iterate
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX, Array
from mixtura.regularisation import Regularisation
from mixtura.rules import EM
from mixtura.scouting import Scout, sums

STEPS = 4  # of EM after an exchange, and without it, before the two are compared
LEAST = 4  # components: with three, each split leaves one pair to merge, and different draws do as well
TABLE = 4_000_000  # entries of all pairs' covariances, twice: with more components exchanges would take memory and longer than they save
ATTEMPTS = 12  # at exchanges
FAILURES = 2  # exchanges in a row that EM did not confirm before no more are tried


class Components(NamedTuple):
    """Any number of components: weights (n,), means (n, D), covariances (n, D, D)."""

    weights: Array
    means: Array
    covariances: Array

    def at(self, chosen: NDArray[np.intp]) -> Components:
        """The chosen ones."""
        return Components(self.weights[chosen], self.means[chosen], self.covariances[chosen])


class Exchange(NamedTuple):
    """Components `pair` become the first of `parts`, component `split` the other two; `gain` in nats of classification likelihood per row."""

    gain: float
    pair: tuple[int, int]
    split: int
    parts: Components


def improve(mixture: Mixture, scout: Scout, regularisation: Regularisation) -> Mixture:
    """Exchanges, the most promising first, as long as EM confirms them; the best mixture in the end."""
    failures, rule = 0, EM(regularisation)
    for _ in range(min(mixture.K, ATTEMPTS)):
        proposals = sorted(exchanges(mixture, scout), key=lambda one: one.gain, reverse=True)
        if failures == FAILURES or len(proposals) <= failures or proposals[failures].gain <= 0:
            break
        exchanged = _exchanged(mixture, proposals[failures], scout, regularisation)
        without, having = (next(islice(iterate(scout.source, one, rule), STEPS, None)) for one in (mixture, exchanged))
        better = promise(having) > promise(without)
        mixture, failures = (having.mixture, 0) if better else (without.mixture, failures + 1)
    return mixture


def promise(step: Step) -> tuple[bool, float]:
    """Collapsed candidates rank last, however high their likelihood; those that differ by rounding keep their order."""
    return not any(event.kind == "repair" for event in step.events), round(step.log_likelihood, 8)


def exchanges(mixture: Mixture, scout: Scout) -> list[Exchange]:
    """For every component that a cut divides: its split, with the cheapest merger of two others. None of factors: pairs would be D x D."""
    K, family = mixture.K, mixture.family
    if K < LEAST or (K * mixture.D) ** 2 > TABLE or family.n_factors:
        return []
    pairs, costs, merged = _mergers(Components(mixture.weights, mixture.means, mixture.matrices), family)
    order = np.argsort(costs, kind="stable")
    component, n = mixture.assign(scout.rows), scout.weights.sum()
    prior = scout.reference(MATRIX) / K ** (2 / mixture.D)
    longest = np.linalg.eigh(mixture.matrices)[1][..., -1]
    result = []
    for k in range(K):
        mine = component == k
        if (cut := _cut(scout.rows[mine], scout.weights[mine] / n, longest[k], prior, 1 / n, family)) is not None:
            gain, halves = cut
            best = order[(pairs[order] != k).all(axis=1)][0]
            shares = halves.weights * (mixture.weights[k] / halves.weights.sum())
            parts = Components(*map(np.concatenate, zip(merged.at(best[None]), halves._replace(weights=shares), strict=True)))
            result.append(Exchange(float(gain - costs[best]), (int(pairs[best, 0]), int(pairs[best, 1])), k, parts))
    return result


def merge(mixture: Mixture, regularisation: Regularisation, reference: Array) -> Mixture:
    """One component less: those two as one that cost the least classification likelihood. `reference` is the data's covariance."""
    pairs, costs, merged = _mergers(Components(mixture.weights, mixture.means, mixture.matrices), mixture.family)
    best, family = int(np.argmin(costs)), mixture.family
    others = np.setdiff1d(np.arange(mixture.K), pairs[best])
    joined = zip((mixture.weights, mixture.means, mixture.matrices), merged.at(np.array([best])), strict=True)
    weights, means, matrices = (np.concatenate([mine[others], new]) for mine, new in joined)
    return _of(family, weights, means, mixture.covariances if family.pooled else matrices, regularisation, reference)


def _mergers(components: Components, family: Family) -> tuple[NDArray[np.intp], Array, Components]:
    """All pairs (n, 2), what merging them costs, and what they become."""
    pairs = np.stack(np.triu_indices(len(components.weights), 1), axis=1)
    one, other = components.at(pairs[:, 0]), components.at(pairs[:, 1])
    weights = one.weights + other.weights
    share = (other.weights / weights)[:, None]
    apart = other.means - one.means
    between = (share * (1 - share) * apart)[..., None] * apart[:, None, :]
    within = (1 - share[..., None]) * one.covariances + share[..., None] * other.covariances
    merged = Components(weights, one.means + share * apart, within + between)
    values = _values(components, family)
    return pairs, values[pairs].sum(axis=1) - _values(merged, family), merged


def _cut(rows: Array, weights: Array, direction: Array, prior: Array, row: float, family: Family) -> tuple[float, Components] | None:
    """Rows cut in two across a direction, then once more between the halves' means; the gain and the halves. None for too few rows."""
    D = rows.shape[1]
    if len(rows) < 2 * (D + 1):
        return None
    whole = _held(rows, weights[:, None], prior, row)
    middle = whole.means[0]
    for _ in range(2):
        sides = (rows - middle) @ direction > 0
        if sides.sum() in (0, len(sides)):
            return None
        halves = _held(rows, np.stack([~sides, sides], axis=1) * weights[:, None], prior, row)
        middle, direction = halves.means.mean(axis=0), halves.means[1] - halves.means[0]
    return float(_values(halves, family).sum() - _values(whole, family)[0]), halves


def _held(rows: Array, responsibilities: Array, prior: Array, row: float) -> Components:
    """The components of these responsibilities, each with one `row` more, whose covariance is `prior`."""
    statistics = sums(rows, responsibilities, MATRIX, pooled=False)
    return Components(statistics.counts, statistics.means, (statistics.second + row * prior) / (statistics.counts + row)[:, None, None])


def _values(components: Components, family: Family) -> Array:
    """pi_k (log pi_k - log|Sigma_k| / 2), the covariances being of this family."""
    D = components.means.shape[1]
    kept = family.moment.keep(components.covariances) / family.moment.divisor(D)
    _, log_determinants = np.linalg.slogdet(family.moment.matrices(kept, D))
    return np.asarray(components.weights * (np.log(components.weights) - log_determinants / 2))


def _exchanged(mixture: Mixture, exchange: Exchange, scout: Scout, regularisation: Regularisation) -> Mixture:
    """The mixture after an exchange."""
    weights, means, matrices = mixture.weights.copy(), mixture.means.copy(), mixture.matrices.copy()
    places = [exchange.pair[0], exchange.pair[1], exchange.split]
    weights[places], means[places], matrices[places] = exchange.parts
    family = mixture.family
    return _of(family, weights, means, mixture.covariances if family.pooled else matrices, regularisation, scout.reference(family.moment))


def _of(family: Family, weights: Array, means: Array, matrices: Array, regularisation: Regularisation, reference: Array) -> Mixture:
    """The mixture of this family nearest to these components; a shared covariance is given as it is."""
    D = means.shape[1]
    covariances = matrices if family.pooled else family.moment.keep(matrices) / family.moment.divisor(D)
    return Mixture.trusted(weights / weights.sum(), means, regularisation.hold(family, covariances, weights, D, reference), family)
