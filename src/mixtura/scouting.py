"""What a start looks at: distinct rows of a subsample, and hard partitions of them into K parts by k-means++ and two trees.

Rows are in sorted order with their summed weights, so that neither the order of the data nor a weight of 2 instead of a row twice changes
a partition.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura.factors import Factors
from mixtura.families import Family
from mixtura.hierarchy import agglomerate
from mixtura.mixture import Mixture
from mixtura.moments import MATRIX, Array, Moment
from mixtura.properties import cached_property
from mixtura.regularisation import Regularisation
from mixtura.rules.maximising import TINY
from mixtura.sources import ArraySource, Source
from mixtura.statistics import Statistics

SUBSAMPLE = 50_000  # rows that learning begins on
SCOUTED = 10_000  # rows that candidates are drawn from and compared on
TREE = 2_000  # rows up to which trees are grown: time and memory grow with the square
SHAPED = 400_000_000  # N^2 D^3 up to which the other tree is grown: about a second
AT_ONCE = 2_000_000  # distances held at the same time
NUMBERS_AT_ONCE = 8_000_000  # differences held at the same time: 64 MB

Labels = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Scout:
    """A subsample, fewer rows of it (`source`), and of these the distinct ones with their weights, as they are and standardised."""

    subsample: ArraySource
    source: ArraySource
    rows: Array
    weights: Array
    standardised: Array

    @classmethod
    def of(cls, data: Source, generator: np.random.Generator) -> Scout:
        """At most 50,000 rows, and at most 10,000 of these sorted and merged."""
        subsample = data.sample(SUBSAMPLE, generator)
        source = subsample.sample(SCOUTED, generator)
        weights = np.ones(source.n_rows) if source.weights is None else source.weights
        rows, merged = _distinct(np.asarray(source.X, dtype=float), weights)
        profile = data.profile
        return cls(subsample, source, rows, merged, (rows - profile.mean) / profile.deviation)

    @cached_property
    def trees(self) -> list[list[list[int]]]:
        """Trees over the distinct rows, where these are few enough: what each merger joins, a row, or as N + m what merger m did.

        Ward's, of round clusters, and that of clusters with a covariance each (`hierarchy`).
        """
        N, D = self.rows.shape
        if not 2 <= N <= TREE:
            return []
        from scipy.cluster.hierarchy import ward

        trees = [ward(self.standardised)[:, :2].astype(int).tolist()]
        if N**2 * D**3 <= SHAPED:
            trees.append(agglomerate(self.rows, self.weights, self.reference(MATRIX) / N ** (2 / D)).tolist())
        return trees

    def reference(self, moment: Moment) -> Array:
        """The covariance of the rows: what a floor is relative to."""
        kept = self._references
        if moment.reference.name not in kept:
            kept[moment.reference.name] = sums(self.rows, self.weights[:, None], moment.reference, pooled=False).data_covariance
        return kept[moment.reference.name]

    @cached_property
    def _references(self) -> dict[str, Array]:
        return {}

    def labellings(self, K: int, draws: int, generator: np.random.Generator) -> Labels:
        """Partitions of the distinct rows into K parts, one a row of labels: the cut of each tree, and `draws` of k-means++."""
        cuts = [_cut(tree, len(self.rows), K) for tree in self.trees] if len(self.rows) >= K else []
        if K == 1:
            return cuts[0][None] if cuts else self.plus_plus(1, 1, generator)
        return np.vstack([*cuts, self.plus_plus(K, draws, generator)])

    def plus_plus(self, K: int, draws: int, generator: np.random.Generator) -> Labels:
        """k-means++ seeds (Arthur & Vassilvitskii 2007) and one Lloyd step, `draws` times (draws, N)."""
        if draws > 1 and draws * K * len(self.rows) > AT_ONCE:
            return np.vstack([self.plus_plus(K, 1, generator) for _ in range(draws)])
        labels = self._nearest(self.standardised[self.seeds(K, draws, generator)])
        weighted = one_hot(labels, K) * self.weights
        centres = weighted @ self.standardised / np.maximum(weighted.sum(axis=2), sys.float_info.min)[..., None]
        moved = self._nearest(centres)
        whole = (one_hot(moved, K).max(axis=2) > 0).all(axis=1, keepdims=True)
        return np.where(whole, moved, labels)  # where a centre would be left without rows, the seeds' own parts

    def seeds(self, K: int, draws: int, generator: np.random.Generator) -> Labels:
        """K distinct rows (draws, K), each drawn with probability proportional to its weighted squared distance to those before."""
        gap = np.broadcast_to(1.0, (draws, len(self.rows)))
        chosen = np.empty((draws, K), dtype=np.intp)
        for k in range(K):
            chosen[:, k] = _draw(self.weights * gap, generator)
            distance = self._squares(self.standardised[chosen[:, k]])
            gap = distance if k == 0 else np.minimum(gap, distance)
        return chosen

    def _squares(self, centres: Array) -> Array:
        """Squared distances (draws, N) from the rows to a centre (draws, D) each."""
        if len(centres) > 1 and centres.size * len(self.rows) > NUMBERS_AT_ONCE:
            return np.vstack([self._squares(centre[None]) for centre in centres])
        apart = self.standardised - centres[:, None]
        return np.asarray(np.einsum("cnd,cnd->cn", apart, apart))

    def _nearest(self, centres: Array) -> Labels:
        """The nearest centre (draws, K, D) of each row."""
        distances = (centres**2).sum(axis=2)[..., None] - 2 * centres @ self.standardised.T
        labels: Labels = distances.argmin(axis=1)
        return labels


def _cut(tree: list[list[int]], N: int, K: int) -> Labels:
    """The cut of a tree over N rows into K parts."""
    part = [0] * (2 * N - 1)
    for merger in range(N - 2, -1, -1):  # from the root down: of the last K - 1 mergers the second half becomes a part of its own
        one, other = tree[merger]
        part[one] = part[N + merger]
        part[other] = N - 1 - merger if merger > N - 1 - K else part[one]
    return np.array(part[:N], dtype=np.intp)


def one_hot(labels: Labels, K: int) -> Array:
    """Responsibilities (.., K, N) of labels (.., N): one or zero."""
    return np.asarray(labels[..., None, :] == np.arange(K)[:, None], dtype=float)


def sums(rows: Array, responsibilities: Array, moment: Moment, pooled: bool) -> Statistics:
    """Statistics from responsibilities (N, K) that are already there, about the components' means."""
    counts = responsibilities.sum(axis=0)
    K, D = responsibilities.shape[1], rows.shape[1]
    means = responsibilities.T @ rows / np.maximum(counts, sys.float_info.min)[:, None]
    if (counts <= 0).any():
        means[counts <= 0] = np.average(rows, axis=0, weights=responsibilities.sum(axis=1))
    second = np.empty((K, *moment.shape(D)))
    for k in range(K):
        held = responsibilities[:, k].nonzero()[0]
        centred = rows[held] - means[k]
        weighted = centred * responsibilities[held, k, None]
        second[k] = weighted.T @ centred if moment is MATRIX else moment.product(weighted, centred).sum(axis=0)
    kept = second.sum(axis=0) if pooled else second
    return Statistics(moment, pooled, len(rows), float(counts.sum()), np.nan, counts, means, np.zeros((K, D)), kept)


def analysers(rows: Array, responsibilities: Array, family: Family, regularisation: Regularisation) -> Mixture:
    """The mixture of factor analysers that responsibilities (N, K) amount to: the widest directions of each component's rows (Factors.first)."""
    factors = family.moment
    assert isinstance(factors, Factors)
    seen = sums(rows, responsibilities, factors.reference, pooled=False)
    covariances = factors.first(rows, responsibilities, seen.data_covariance)
    counts = np.maximum(seen.counts, TINY * seen.counts.sum())
    return Mixture.trusted(counts / counts.sum(), seen.means, regularisation.apply(family, covariances, seen.data_covariance)[0], family)


def _distinct(rows: Array, weights: Array) -> tuple[Array, Array]:
    """Distinct rows in sorted order and the sum of their weights; rows of weight zero are left out."""
    rows, weights = rows[weights > 0], weights[weights > 0]
    order = np.lexsort(rows.T[::-1])
    rows, weights = rows[order], weights[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return rows[first], np.add.reduceat(weights, np.flatnonzero(first))


def _draw(weights: Array, generator: np.random.Generator) -> Labels:
    """For each row of `weights`, an index drawn with probability proportional to it."""
    cumulative = np.cumsum(weights, axis=1)
    passed = cumulative <= (generator.uniform(size=len(weights)) * cumulative[:, -1])[:, None]
    return np.asarray(np.minimum(passed.sum(axis=1), weights.shape[1] - 1), dtype=np.intp)
