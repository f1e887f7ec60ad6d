"""The first mixture: several quick guesses on a subsample, short EM runs together, the best goes on.

Converged k-means is wasted time (its optimum is not the mixture's); one Lloyd step after k-means++ is enough. Small data add a Ward
tree, whose cuts serve every K. Everything random comes from one generator. Candidates are drawn from distinct rows in sorted order
with their summed weights, so that neither the order of rows nor a weight of 2 instead of a row twice changes the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.errors import DataError, ParameterError
from mixtura.families import Family, family_of
from mixtura.fitting import Step, iterate
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX, Array, Moment
from mixtura.randomness import generator_of
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules import EM
from mixtura.rules.em import maximise
from mixtura.sources import ArraySource, Source
from mixtura.sources import open as open_source
from mixtura.statistics import Statistics

SUBSAMPLE = 50_000  # rows that starting looks at
TREE = 2_000  # rows up to which a Ward tree is grown: time and memory grow with the square
CANDIDATES = 4  # k-means++ draws that run against each other
SHORT_STEPS = (2, 6)  # EM steps that all candidates run, and that the best of them run on
KEPT = 3  # candidates that run on


@dataclass(frozen=True, eq=False)
class Scout:
    """Distinct rows of a subsample with their weights, and the same rows standardised: what all candidates are drawn from."""

    source: Source
    rows: Array
    weights: Array
    standardised: Array

    @classmethod
    def of(cls, data: Source, generator: np.random.Generator) -> Scout:
        """A subsample of at most 50,000 rows, sorted and merged."""
        sampled = data.sample(SUBSAMPLE, generator)
        assert isinstance(sampled, ArraySource)
        weights = np.ones(sampled.n_rows) if sampled.weights is None else sampled.weights
        rows, merged = _distinct(np.asarray(sampled.X, dtype=float), weights)
        profile = data.profile
        return cls(sampled, rows, merged, (rows - profile.mean) / profile.deviation)

    @cached_property
    def tree(self) -> NDArray[np.float64] | None:
        """Ward's tree over the distinct rows (scipy's linkage), where they are few enough."""
        if not 2 <= len(self.rows) <= TREE:
            return None
        from scipy.cluster.hierarchy import ward

        result: NDArray[np.float64] = ward(self.standardised)
        return result

    def partition(self, labels: NDArray[np.intp], K: int, family: Family, regularisation: Regularisation) -> Mixture:
        """The M-step of a hard partition of the distinct rows."""
        hard = np.zeros((len(self.rows), K))
        hard[np.arange(len(self.rows)), labels] = 1.0
        return from_responsibilities(self.rows, hard * self.weights[:, None], family, regularisation)

    def labellings(self, K: int, draws: int, generator: np.random.Generator) -> list[NDArray[np.intp]]:
        """Hard partitions of the distinct rows into K parts: the Ward cut, where there is a tree, and `draws` of k-means++."""
        cut = self.ward(K)
        drawn = [self.plus_plus(K, generator) for _ in range(draws if K > 1 or cut is None else 0)]
        return drawn if cut is None else [cut, *drawn]

    def ward(self, K: int) -> NDArray[np.intp] | None:
        """The cut of the Ward tree into K parts; None where there is no tree."""
        if self.tree is None or len(self.rows) < K:
            return None
        from scipy.cluster.hierarchy import fcluster

        labels: NDArray[np.intp] = fcluster(self.tree, K, criterion="maxclust") - 1
        return labels if labels.max() == K - 1 else None

    def plus_plus(self, K: int, generator: np.random.Generator) -> NDArray[np.intp]:
        """k-means++ seeds (Arthur & Vassilvitskii 2007) and one Lloyd step."""
        labels = _nearest(self.standardised, self.standardised[self.seeds(K, generator)])
        if K == 1:
            return labels
        counts = np.bincount(labels, self.weights, minlength=K)
        centres = np.stack([np.bincount(labels, self.weights * column, minlength=K) for column in self.standardised.T], axis=1)
        return _nearest(self.standardised, centres / counts[:, None], keep=labels)

    def seeds(self, K: int, generator: np.random.Generator) -> NDArray[np.intp]:
        """K distinct rows, each drawn with probability proportional to its weighted squared distance to those before."""
        chosen = [_draw(self.weights, generator)]
        gap = ((self.standardised - self.standardised[chosen[0]]) ** 2).sum(axis=1)
        for _ in range(1, K):
            chosen.append(_draw(self.weights * gap, generator))
            gap = np.minimum(gap, ((self.standardised - self.standardised[chosen[-1]]) ** 2).sum(axis=1))
        return np.array(chosen)


def start(
    data: Any,
    n_components: int,
    family: str | Family = "full",
    *,
    random_state: Any = None,
    regularisation: Regularisation | None = None,
    sample_weight: ArrayLike | None = None,
) -> Mixture:
    """A first mixture for `iterate` and `fit`: the best of several short EM runs on at most 50,000 rows.

    `random_state` is anything that numpy.random.default_rng takes.

    Raises DataError where there are fewer distinct rows than components.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> mixtura.start(X, 3, "diag", random_state=0)
    Mixture(3 components, 2 columns, family='diag')
    """
    source = open_source(data, weights=sample_weight)
    check_components(source, n_components)
    generator = generator_of(random_state)
    scout = Scout.of(source, generator)
    return best_start(scout, n_components, family_of(family), regularisation or Floor(), generator)


def best_start(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    """The best of the candidates after short EM runs on the scout's subsample."""
    check_distinct(len(scout.rows), K)
    candidates = [scout.partition(labels, K, family, regularisation) for labels in scout.labellings(K, CANDIDATES, generator)]
    return short_runs(candidates, scout.source, regularisation)


def short_runs(candidates: list[Mixture], source: Source, regularisation: Regularisation) -> Mixture:
    """A few EM steps from each candidate, some more from the best of them; the mixture of greatest likelihood."""
    first, more = SHORT_STEPS
    leading = _ranked_runs(candidates, source, regularisation, first)[:KEPT]
    return _ranked_runs(leading, source, regularisation, more)[0]


def _ranked_runs(candidates: list[Mixture], source: Source, regularisation: Regularisation, steps: int) -> list[Mixture]:
    """Where so many EM steps lead from each candidate, the best first. A component that collapses is repaired without a word."""
    last = [next(islice(iterate(source, one, EM(regularisation)), steps, None)) for one in candidates]
    return [step.mixture for step in sorted(last, key=_promise, reverse=True)]


def _promise(step: Step) -> tuple[bool, float]:
    """Collapsed candidates rank last, however high their likelihood; those that differ by rounding keep their order."""
    return not any(event.kind == "repair" for event in step.events), round(step.log_likelihood, 8)


def from_responsibilities(rows: Array, responsibilities: Array, family: Family, regularisation: Regularisation) -> Mixture:
    """The M-step from given responsibilities (N, K), row weights multiplied in: the textbook's other way to begin."""
    return maximise(family, sums(rows, responsibilities, family.moment, family.pooled), regularisation)[0]


def sums(rows: Array, responsibilities: Array, moment: Moment, pooled: bool) -> Statistics:
    """Statistics from responsibilities (N, K) that are already there, about the components' means."""
    counts = responsibilities.sum(axis=0)
    K, D = responsibilities.shape[1], rows.shape[1]
    means = responsibilities.T @ rows / np.maximum(counts, np.finfo(float).tiny)[:, None]
    means[counts <= 0] = np.average(rows, axis=0, weights=responsibilities.sum(axis=1))
    second = np.empty((K, *moment.shape(D)))
    for k in range(K):
        centred = rows - means[k]
        weighted = centred * responsibilities[:, k : k + 1]
        second[k] = weighted.T @ centred if moment is MATRIX else moment.product(weighted, centred).sum(axis=0)
    kept = second.sum(axis=0) if pooled else second
    return Statistics(moment, pooled, len(rows), float(counts.sum()), np.nan, counts, means, np.zeros((K, D)), kept)


def _random(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    hazard = generator.uniform(size=(len(scout.rows), K))
    return from_responsibilities(scout.rows, hazard / hazard.sum(axis=1, keepdims=True) * scout.weights[:, None], family, regularisation)


def _random_rows(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    chosen = generator.choice(len(scout.rows), size=K, replace=False, p=scout.weights / scout.weights.sum())
    return _around(scout, scout.rows[chosen], family, regularisation)


def _seeded(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    return _around(scout, scout.rows[scout.seeds(K, generator)], family, regularisation)


def _k_means(scout: Scout, K: int, family: Family, regularisation: Regularisation, generator: np.random.Generator) -> Mixture:
    from sklearn.cluster import KMeans

    seed = int(generator.integers(2**31))
    labels = KMeans(K, n_init=1, random_state=seed).fit(scout.rows, sample_weight=scout.weights).labels_
    return scout.partition(labels, K, family, regularisation)


def _around(scout: Scout, means: Array, family: Family, regularisation: Regularisation) -> Mixture:
    """Equal components about given means, each with the covariance of all rows: single rows have none of their own."""
    everything = sums(scout.rows, scout.weights[:, None], family.moment, family.pooled)
    covariances, K = maximise(family, everything, regularisation)[0].covariances, len(means)
    return Mixture(np.full(K, 1 / K), means, covariances if family.pooled else np.repeat(covariances, K, axis=0), family)


Start = Callable[[Scout, int, Family, Regularisation, np.random.Generator], Mixture]
STARTS: dict[str, Start] = {
    "auto": best_start,
    "kmeans": _k_means,
    "k-means++": _seeded,
    "random": _random,
    "random_from_data": _random_rows,
}


def start_of(name: str) -> Start:
    """The way to start that `init_params` names. Raises ParameterError for an unknown name."""
    if name not in STARTS:
        raise ParameterError(f"unknown init_params: got {name!r}, expected one of {', '.join(map(repr, STARTS))}; try 'auto'")
    return STARTS[name]


def check_components(source: Source, n_components: int) -> None:
    """Raises ParameterError unless n_components >= 1, DataError where there are fewer rows than components."""
    if isinstance(n_components, bool) or not isinstance(n_components, int | np.integer) or n_components < 1:
        raise ParameterError(f"n_components is not usable: got {n_components!r}, expected an integer >= 1; try 1")
    if source.profile.rows < n_components:
        raise DataError(
            f"too few rows: got {source.profile.rows} rows for {n_components} components, expected at least as many rows as components; "
            "try fewer components"
        )


def check_distinct(n_distinct: int, K: int) -> None:
    """Raises DataError where there are fewer distinct rows than components."""
    if n_distinct < K:
        raise DataError(f"too few distinct rows: got {n_distinct} for {K} components, expected at least {K}; try fewer components")


def _distinct(rows: Array, weights: Array) -> tuple[Array, Array]:
    """Distinct rows in sorted order and the sum of their weights; rows of weight zero are left out."""
    rows, weights = rows[weights > 0], weights[weights > 0]
    order = np.lexsort(rows.T[::-1])
    rows, weights = rows[order], weights[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return rows[first], np.add.reduceat(weights, np.flatnonzero(first))


def _draw(weights: Array, generator: np.random.Generator) -> int:
    cumulative = np.cumsum(weights)
    return int(min(np.searchsorted(cumulative, generator.uniform() * cumulative[-1], side="right"), len(weights) - 1))


def _nearest(rows: Array, centres: Array, keep: NDArray[np.intp] | None = None) -> NDArray[np.intp]:
    """The nearest centre of each row; where that would leave a centre without rows, the assignment `keep`."""
    distances = (centres**2).sum(axis=1) - 2 * rows @ centres.T
    labels: NDArray[np.intp] = distances.argmin(axis=1)
    if keep is not None and len(np.unique(labels)) < len(centres):
        return keep
    return labels
