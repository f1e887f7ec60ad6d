"""EM on few rows: many starts of one family in one compiled call (kernels.climb), from any statistics that stand for a start.

What comes out is where to begin, or where a climb arrived; figures that are told are measured there by an ordinary sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mixtura.families import Family
from mixtura.kernels.climb import Bench, Limits, Parts, Standings, climb, expect, from_coordinates, long, short, step
from mixtura.kernels.expanded import DIAGONAL, FULL, features
from mixtura.kernels.lanes import lanes_per_register
from mixtura.kernels.maximise import CODES, is_diagonal, maximiser
from mixtura.kernels.panel import LIMIT, workspace
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.properties import cached_property
from mixtura.regularisation import RELATIVE_FLOOR, Floor, Ridge
from mixtura.scouting import Labels, one_hot
from mixtura.sources import ArraySource
from mixtura.statistics import Statistics

TILE, WIDTH = 4, 512
BORN = 0.25  # of the weight and the covariance of the component where another is born
WIDER = 2.0  # than the whole is the wider of two halves with one centre; the other is as much narrower
MOST = 2_000_000  # entries of the table of features, up to which rows are few


class Start(NamedTuple):
    """Starts as statistics: counts (.., K), means (.., K, D), scatter (.., K, D, D)."""

    counts: Array
    means: Array
    scatter: Array

    @classmethod
    def of(cls, mixture: Mixture) -> Start:
        """What a sweep of a sample that is just like the mixture would give, for one row in all."""
        return cls.of_parts(mixture.weights, mixture.means, mixture.matrices)

    @classmethod
    def of_parts(cls, weights: Array, means: Array, matrices: Array) -> Start:
        """The same of its parts: weights (.., K), means (.., K, D), covariances (.., K, D, D)."""
        return cls(weights, means, weights[..., None, None] * matrices)

    @classmethod
    def seen(cls, statistics: Statistics) -> Start:
        """The M-step of statistics with whole second moments."""
        return cls(statistics.counts, statistics.means, statistics.scatter)

    @classmethod
    def grown(cls, mixture: Mixture) -> list[Start]:
        """One component more: each in turn split in two, side by side, and where volumes vary into a narrow and a wide one."""
        K = mixture.K
        each = np.arange(K)
        values, vectors = np.linalg.eigh(mixture.matrices)
        aside = vectors[:, :, -1] * np.sqrt(values[:, -1:]) / 2  # one half deviation along the longest axis
        weights, means, matrices = (
            np.repeat(np.concatenate([array, array[:1]])[None], K, axis=0) for array in (mixture.weights, mixture.means, mixture.matrices)
        )
        means[:, -1], matrices[:, -1] = mixture.means, mixture.matrices
        weights[each, each] /= 2
        weights[:, -1] = weights[each, each]
        wider = matrices.copy()
        wider[each, each] /= WIDER
        wider[:, -1] *= WIDER
        grown = [cls.of_parts(weights, means, wider)] if mixture.family.code[0] == "V" else []
        means = means.copy()
        means[each, each] -= aside
        means[:, -1] += aside
        return [cls.of_parts(weights, means, matrices), *grown]

    @classmethod
    def born(cls, mixture: Mixture, places: Array) -> Start:
        """One component more at each of some places (M, D) in turn: a quarter of the one that is there, its covariance a quarter as well.

        After Verbeek, Vlassis & Kroese (2003), Neural Computation 15, 469-485, who draw such components within each of the others.
        """
        M, K = len(places), mixture.K
        parent, each = mixture.assign(places), np.arange(M)
        weights, means, matrices = (
            np.repeat(np.concatenate([array, array[:1]])[None], M, axis=0) for array in (mixture.weights, mixture.means, mixture.matrices)
        )
        weights[:, K] = mixture.weights[parent] * BORN
        weights[each, parent] *= 1 - BORN
        means[:, K] = places
        matrices[:, K] = mixture.matrices[parent] * BORN
        return cls.of_parts(weights, means, matrices)

    @classmethod
    def of_partitions(cls, rows: Array, weights: Array, labels: Labels, K: int) -> Start:
        """Hard partitions (M, N) of weighted rows into K parts."""
        N, D = rows.shape
        centre = weights @ rows / weights.sum()
        centred = rows - centre
        features = np.hstack([np.ones((N, 1)), centred, (centred[:, :, None] * centred[:, None, :]).reshape(N, D * D)]) * weights[:, None]
        sums = (one_hot(labels, K).reshape(-1, N) @ features).reshape(len(labels), K, -1)
        counts = sums[..., 0]
        means = sums[..., 1 : 1 + D] / np.maximum(counts, np.finfo(float).tiny)[..., None]
        between = counts[..., None, None] * means[..., :, None] * means[..., None, :]
        return cls(counts, centre + means, sums[..., 1 + D :].reshape(len(labels), K, D, D) - between)

    @classmethod
    def together(cls, starts: Sequence[Start]) -> Start:
        """All of them (M, ..), each being one or several."""
        K, D = starts[0].means.shape[-2:]
        shapes = (K,), (K, D), (K, D, D)
        return cls(*(np.concatenate([one[i].reshape(-1, *shape) for one in starts]) for i, shape in enumerate(shapes)))


@dataclass(frozen=True, eq=False)
class Few:
    """The rows of a source that are few enough, their covariance, and what keeps covariances above a floor relative to it."""

    source: ArraySource
    reference: Array
    regularisation: Floor | Ridge

    @staticmethod
    def fits(source: object) -> bool:
        """Whether the rows are in memory and few enough."""
        return isinstance(source, ArraySource) and source.n_rows * features(FULL, source.D) <= MOST

    def run(self, family: Family, starts: Start, steps: int, covariances: Array | None = None, *, tol: float | None = None) -> Standings:
        """So many plain steps from each of M starts, or accelerated ones until less than `tol` nats per row are left.

        All in the frame's coordinates, where starts are expected as well: see `begin`.
        """
        M, K, D = starts.means.shape
        code = CODES.index(family.code)
        order = DIAGONAL if is_diagonal(code) else FULL
        F, register = features(order, D), lanes_per_register(np.float64)
        filled, table = -(-K // TILE) * TILE, -(-F // 3) * 3
        rows = self._rows
        width = min(WIDTH, -(-len(rows) // (4 * register)) * 4 * register)
        panels = -(-len(rows) // width)
        room = workspace(panels * table + filled + 8, width, np.dtype(np.float64))
        phi, rest = room[: panels * table].reshape(panels, table, width), room[panels * table :]
        lists = np.empty((filled // TILE + 1, width + register), dtype=np.int64)
        nothing = np.empty(0, dtype=np.int64), np.empty(0), np.empty((0, 0))
        packed, sums = np.empty((filled // TILE, table, TILE)), np.empty((table, filled))
        bench = Bench(packed, rest[:filled], rest[filled : filled + 3], lists, sums, *nothing)
        known = np.full(M, covariances is not None)
        at = Standings(
            starts.counts.copy(),
            starts.means.copy(),
            np.ascontiguousarray(starts.scatter).copy(),
            np.empty((M, K)),
            np.empty((M, K, D)),
            np.zeros((M, K, D, D)) if covariances is None else covariances.copy(),
            known,
            np.full(M, -np.inf),
            np.zeros(M, dtype=bool),
            np.zeros(M, dtype=bool),
            np.zeros((M, steps + 2)),
            np.zeros(M, dtype=np.int64),
        )
        n = self._weight
        limits = Limits(self._reference, *self._floor, n / len(rows) / 2, tol or 0.0, steps)
        centre, inverse = self._centre_and_inverse
        do = Parts(expect.compiled, maximiser(code).compiled, step.compiled, from_coordinates.compiled)
        run = (short if tol is None else long).compiled
        climb(rows, self._weights, centre, inverse, LIMIT[np.dtype(np.float64)], order, run, do, code, limits, at, phi, bench, register)
        return at

    def begin(self, starts: Start) -> Start:
        """Starts of the caller's coordinates in the frame's, as many rows in all as there are."""
        frame = self.source.frame(True)
        share = self._weight / starts.counts.sum(axis=-1)
        scale = frame.scale[0]
        return Start(
            starts.counts * share[..., None],
            (starts.means - frame.centre) / scale,
            starts.scatter * (share[..., None, None, None] / scale**2),
        )

    def mixture(self, at: Standings, m: int, family: Family) -> Mixture:
        """Where start m stands, in the caller's coordinates."""
        frame = self.source.frame(True)
        covariances = family.moment.keep(at.covariances[m]) / family.moment.divisor(self.source.D)
        if family.pooled:
            covariances = covariances[:1].reshape(family.moment.shape(self.source.D))
        return Mixture.trusted(at.weights[m], frame.centre + frame.scale * at.centres[m], np.asarray(covariances * frame.scale[0] ** 2), family)

    def log_likelihoods(self, at: Standings, of: Array | None = None) -> Array:
        """Mean log-likelihoods per row in the caller's coordinates: where starts stand, or others `of` the frame's."""
        return np.asarray((at.log_likelihoods if of is None else of) - np.log(self.source.frame(True).scale).sum())

    @cached_property
    def _rows(self) -> Array:
        return np.asarray(self.source.X, dtype=float)

    @cached_property
    def _weights(self) -> Array:
        """Those of the rows; none where all are 1."""
        weights = self.source.weights
        return np.empty(0) if weights is None or (weights == 1).all() else weights

    @cached_property
    def _weight(self) -> float:
        return float(self._weights.sum()) if len(self._weights) else float(len(self._rows))

    @cached_property
    def _centre_and_inverse(self) -> tuple[Array, Array]:
        frame = self.source.frame(True)
        return frame.centre, 1 / frame.scale

    @cached_property
    def _reference(self) -> Array:
        return np.asarray(self.reference / self.source.frame(True).scale[0] ** 2)

    @cached_property
    def _floor(self) -> tuple[float, float]:
        """The floor, relative to the reference, and what is added to every variance."""
        if isinstance(self.regularisation, Ridge):
            return RELATIVE_FLOOR**2, float(self.regularisation.value / self.source.frame(True).scale[0] ** 2)
        return self.regularisation.relative, 0.0
