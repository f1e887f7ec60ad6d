"""Exchanges: two components that could be one are merged and one that should be two is split, which EM alone cannot do.

What to try is told by the classification likelihood, the sum over components of n_k (log n_k - log|Sigma_k| / 2): a merger's needs no pass
over the rows, a split's one cut through a component's rows. Whether it was good is told by EM (after Ueda, Nakano, Ghahramani & Hinton 2000,
Neural Computation 12, 2109-2128, whose criteria cost more).

Factors are merged and split in kind, without D x D matrices. Two of them often share their middle and not their directions, so that no plane
parts their rows: there a few steps of EM on the component's own rows say what its halves are.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.blas import one_thread
from mixtura.factors import Factors, log_determinants, projections
from mixtura.families import Family
from mixtura.fitting import Step, iterate
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX, Array
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import EM
from mixtura.scouting import Scout, analysers, sums
from mixtura.sources import ArraySource

STEPS = 4  # of EM after an exchange, and without it, before the two are compared
LEAST = 4  # components: with three, each split leaves one pair to merge, and different draws do as well
OWN_STEPS, OWN_CUTS = 6, 3  # of EM on a component's own rows, from as many cuts across factors and one more
TABLE = 4_000_000  # entries of all pairs' covariances, twice: with more components exchanges would take memory and longer than they save
ATTEMPTS = 12  # at exchanges
FAILURES = 2  # exchanges in a row that EM did not confirm before no more are tried


class Components(NamedTuple):
    """Any number of components: weights (n,), means (n, D), covariances (n, D, D), or of q factors (n, D, q + 1)."""

    weights: Array
    means: Array
    covariances: Array

    def at(self, chosen: NDArray[np.intp]) -> Components:
        """The chosen ones."""
        return Components(self.weights[chosen], self.means[chosen], self.covariances[chosen])


Cut = tuple[float, Components] | None  # what a component gains in two, and its halves, whose weights are shares of any sum


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
    """For every component that a cut divides: its split, with the cheapest merger of two others."""
    K, D, q = mixture.K, mixture.D, mixture.family.n_factors
    if K < LEAST or K**2 * D * (q + 1 if q else D) > TABLE:
        return []
    pairs, costs, merged = _mergers(_components(mixture), mixture.family)
    order = np.argsort(costs, kind="stable")
    cuts = _own_cuts(mixture, scout) if q else _cuts(mixture, scout)
    result = []
    for k, cut in enumerate(cuts):
        if cut is not None:
            gain, halves = cut
            best = order[(pairs[order] != k).all(axis=1)][0]
            shares = halves.weights * (mixture.weights[k] / halves.weights.sum())
            parts = Components(*map(np.concatenate, zip(merged.at(best[None]), halves._replace(weights=shares), strict=True)))
            result.append(Exchange(float(gain - costs[best]), (int(pairs[best, 0]), int(pairs[best, 1])), k, parts))
    return result


def merged(mixture: Mixture, regularisation: Regularisation, reference: Array, most: int) -> list[Mixture]:
    """One component less: two as one, those first that cost the least classification likelihood. `reference` is the data's covariance."""
    pairs, costs, merged = _mergers(_components(mixture), mixture.family)
    return [_joined(mixture, pairs[best], merged.at(np.array([best])), regularisation, reference) for best in np.argsort(costs, kind="stable")[:most]]


def _joined(mixture: Mixture, pair: NDArray[np.intp], one: Components, regularisation: Regularisation, reference: Array) -> Mixture:
    """The mixture with `one` component in the place of two."""
    others, family = np.setdiff1d(np.arange(mixture.K), pair), mixture.family
    both = zip(_components(mixture), one, strict=True)
    weights, means, matrices = (np.concatenate([mine[others], new]) for mine, new in both)
    return _of(family, weights, means, mixture.covariances if family.pooled else matrices, regularisation, reference)


def twice(mixture: Mixture, k: int = -1) -> Mixture:
    """The same distribution with component k (the heaviest) as two equal ones of half its weight."""
    k = int(np.argmax(mixture.weights)) if k < 0 else k
    weights = np.append(mixture.weights, mixture.weights[k] / 2)
    weights[k] /= 2
    covariances = mixture.covariances if mixture.family.pooled else np.concatenate([mixture.covariances, mixture.covariances[[k]]])
    return Mixture.trusted(weights, np.vstack([mixture.means, mixture.means[k]]), covariances, mixture.family)


def _mergers(components: Components, family: Family) -> tuple[NDArray[np.intp], Array, Components]:
    """All pairs (n, 2), what merging them costs, and what they become."""
    pairs = np.stack(np.triu_indices(len(components.weights), 1), axis=1)
    one, other = components.at(pairs[:, 0]), components.at(pairs[:, 1])
    weights = one.weights + other.weights
    share = (other.weights / weights)[:, None]
    apart = other.means - one.means
    if isinstance(family.moment, Factors):
        with one_thread():
            both = [family.moment.merged(*pair) for pair in zip(one.covariances, other.covariances, share[:, 0], apart, strict=True)]
        covariances = np.array(both).reshape(len(pairs), *components.covariances.shape[1:])
    else:
        between = (share * (1 - share) * apart)[..., None] * apart[:, None, :]
        covariances = (1 - share[..., None]) * one.covariances + share[..., None] * other.covariances + between
    merged = Components(weights, one.means + share * apart, covariances)
    values = _values(components, family)
    return pairs, values[pairs].sum(axis=1) - _values(merged, family), merged


def _components(mixture: Mixture) -> Components:
    """Those of a mixture, as they are merged and split: whole covariances, or factors."""
    return Components(mixture.weights, mixture.means, mixture.covariances if mixture.family.n_factors else mixture.matrices)


def _cuts(mixture: Mixture, scout: Scout) -> Iterator[Cut]:
    """Each component cut across its longest axis."""
    component, n = mixture.assign(scout.rows), scout.weights.sum()
    prior = scout.reference(MATRIX) / mixture.K ** (2 / mixture.D)
    longest = np.linalg.eigh(mixture.matrices)[1][..., -1]
    for k in range(mixture.K):
        mine = component == k
        yield _cut(scout.rows[mine], scout.weights[mine] / n, longest[k], prior, 1 / n, mixture.family)


def _own_cuts(mixture: Mixture, scout: Scout) -> Iterator[Cut]:
    """Each component of factors in two, by EM on its own rows: what they gain, and the halves."""
    component, n = mixture.assign(scout.rows), scout.weights.sum()
    for k in range(mixture.K):
        mine = component == k
        yield _halved(mixture, k, scout.rows[mine], scout.weights[mine], n)


def _halved(mixture: Mixture, k: int, rows: Array, weights: Array, n: float) -> Cut:
    """The best of some steps of EM from several cuts; None for too few rows. Cuts are across the widest factors, and between well and ill fitted."""
    family, own = mixture.family, Mixture.trusted(np.ones(1), mixture.means[[k]], mixture.covariances[[k]], mixture.family)
    if len(rows) < 2 * (family.n_factors + 2):
        return None
    source, density = ArraySource(rows, weights), own.log_density(rows)
    factors = np.einsum("qd,nd->nq", projections(own.covariances[0]), rows - own.means[0])
    turned = np.linalg.eigh(np.einsum("nq,n,np->qp", factors, weights, factors))[1][:, ::-1]
    scores = [density - np.median(density), *(factors @ turned[:, :OWN_CUTS]).T]
    best: Step | None = None
    for sides in (score > 0 for score in scores):
        if family.n_factors < sides.sum() < len(rows) - family.n_factors:
            start = analysers(rows, np.stack([~sides, sides], axis=1) * weights[:, None], family, Floor())
            last = next(islice(iterate(source, start, EM()), OWN_STEPS, None))
            best = last if best is None or promise(last) > promise(best) else best
    if best is None:
        return None
    gain = weights.sum() / n * best.log_likelihood - weights @ density / n
    return float(gain), Components(best.mixture.weights, best.mixture.means, best.mixture.covariances)


def _cut(rows: Array, weights: Array, direction: Array, prior: Array, row: float, family: Family) -> Cut:
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
    if family.n_factors:
        determinants = log_determinants(components.covariances)
    else:
        kept = family.moment.keep(components.covariances) / family.moment.divisor(D)
        determinants = np.linalg.slogdet(family.moment.matrices(kept, D))[1]
    return np.asarray(components.weights * (np.log(components.weights) - determinants / 2))


def _exchanged(mixture: Mixture, exchange: Exchange, scout: Scout, regularisation: Regularisation) -> Mixture:
    """The mixture after an exchange."""
    weights, means, matrices = (array.copy() for array in _components(mixture))
    places = [exchange.pair[0], exchange.pair[1], exchange.split]
    weights[places], means[places], matrices[places] = exchange.parts
    family = mixture.family
    return _of(family, weights, means, mixture.covariances if family.pooled else matrices, regularisation, scout.reference(family.moment))


def _of(family: Family, weights: Array, means: Array, matrices: Array, regularisation: Regularisation, reference: Array) -> Mixture:
    """The mixture of this family nearest to these components; a shared covariance is given as it is."""
    D = means.shape[1]
    covariances = matrices if family.pooled or family.n_factors else family.moment.keep(matrices) / family.moment.divisor(D)
    return Mixture.trusted(weights / weights.sum(), means, regularisation.hold(family, covariances, weights, D, reference), family)
