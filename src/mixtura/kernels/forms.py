"""Which form of the kernels a sweep takes, and the mixture made ready for it.

A `Plan` is made once per pass over the rows and then works block by block, in any thread. The expanded form is taken where it is the
faster one and loses less than the guard allows; otherwise the centred form, which loses nothing.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.blas import with_one_thread
from mixtura.frame import Frame
from mixtura.kernels import centred, expanded
from mixtura.kernels.expanded import DIAGONAL, FEATURES, FULL, LINEAR, NORM, TILE
from mixtura.kernels.panel import HIDDEN
from mixtura.kernels.passes import HALF_LOG_TWO_PI, SCRATCH, Form, Pass, whole_tiles, working
from mixtura.moments import Array, Moment
from mixtura.statistics import Statistics

EPSILON = {np.dtype(kind): float(np.finfo(kind).eps) for kind in (np.float64, np.float32)}
GUARD = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4}  # nats that a logit may lose (DESIGN: numerical rules)
# measured ns on one core with 512-bit registers, float64; only their ratios decide
EXPANDED_NS, FEATURE_NS = 0.040, 0.13  # per feature and component in each product; per feature built
CENTRED_NS, COLUMN_NS = 0.042, 0.33  # per entry of the tiled triangle in each product; per column centred
SQUARES_NS = 0.27  # per column where the covariance is diagonal
# what the centred form's own gains, exactness and rows picked one by one, are worth where the two cost nearly the same
PREFERENCE = 1.15
# what a second form must save, in ns per row: below it compiling it, some seconds, outweighs the gain
WORTH_NS = 50.0


class Gaussians(NamedTuple):
    """A mixture as the kernels want it: log weights (K,), means (K, D), and U with U'U = precision.

    `whiteners` is (K, D, D) or (K, D), with K = 1 where all components share it.
    """

    log_weights: Array
    means: Array
    whiteners: Array
    isotropic: bool

    def standardised(self, frame: Frame) -> Gaussians:
        """The same mixture in the frame's coordinates, where every density is larger by the product of the scales."""
        return Gaussians(self.log_weights, (self.means - frame.centre) / frame.scale, self.whiteners * frame.scale, self.isotropic)

    def farthest(self, limit: float) -> float:
        """A bound of the distance, in deviations, between a mean and a row whose columns lie within the limit: |U| |x| + |U mu|."""
        U, whitened = self.whiteners, self.whitened_means
        widest = np.sqrt(np.square(U).reshape(len(U), -1).sum(axis=1).max() * self.means.shape[1])
        return float(widest * limit + np.sqrt(np.square(whitened).sum(axis=1).max()))

    @with_one_thread
    def plan(self, frame: Frame, dtype: Any, sums: tuple[Moment, bool] | None = None, *, densities: bool = True) -> Plan:
        """The passes at it over rows of a dtype; see Plan."""
        return Plan(self, frame, dtype, sums, densities=densities)

    @property
    def constants(self) -> Array:
        """log pi_k - D/2 log 2 pi + log det U_k."""
        U, D = self.whiteners, self.means.shape[1]
        diagonal = U.diagonal(0, -2, -1) if U.ndim == 3 else U
        result: Array = self.log_weights + (np.add.reduce(np.log(diagonal), axis=-1) - D * HALF_LOG_TWO_PI)
        return result

    @property
    def whitened_means(self) -> Array:
        """U_k mu_k (K, D)."""
        if self.whiteners.ndim == 2:
            return self.whiteners * self.means
        # not a product of BLAS, whose threads would spin on beside the sweep's
        result: Array = np.einsum("kij,kj->ki", self.whiteners, self.means)
        return result

    @property
    def shared(self) -> bool:
        """Whether all components have one covariance, so that the quadratic term cancels in the posterior."""
        return len(self.whiteners) == 1

    @property
    def order(self) -> int:
        """The features that the logits need."""
        if self.shared:
            return LINEAR
        if self.whiteners.ndim == 3:
            return FULL
        return NORM if self.isotropic else DIAGONAL


class Plan(Pass):
    """The passes over rows at a mixture of whole, diagonal or spherical covariances.

    Where no `sums` but answers are wanted, `densities` says whether densities are among them, which a quadratic term that cancels in the
    posterior does not leave out.
    """

    def __init__(self, gaussians: Gaussians, frame: Frame, dtype: Any, sums: tuple[Moment, bool] | None = None, *, densities: bool = True):
        kind, frame = working(gaussians, frame, dtype)
        super().__init__(len(gaussians.means), frame, kind, sums)
        self.densities = densities
        self.local = gaussians.standardised(frame)
        self.order = self._order()
        self.D = int(self.local.means.shape[1])
        self.whitened = self.local.whitened_means
        self.distances = np.add.reduce(self.whitened * self.whitened, axis=-1)  # mu' P mu
        self.expands = self._expands()
        self.form = self._expanded() if self.expands else self._centred()

    def statistics(self, flat: Array) -> Statistics:
        """The statistics that summed blocks amount to, in the frame's coordinates."""
        assert self.sums is not None
        moment, pooled = self.sums
        counts, pivots, first, second = self.form.read(self, self._tables(flat))
        kept = second.sum(axis=0) if pooled and not self.wants_total else second
        return Statistics(moment, pooled, round(flat[2]), float(flat[1]), float(flat[0]), counts, pivots, first, kept)

    def complete(self, statistics: Statistics, everything: Statistics | None) -> Statistics:
        """Adds to linear sums what is the same for any mixture: all rows' second moments, `everything` (K = 1, about the frame's origin)."""
        if everything is None:
            return statistics
        assert self.sums is not None
        moment, pooled = self.sums
        second = everything.second[0]
        if self.local.shared and self.local.whiteners.ndim == 3:
            quadratic = float(np.sum((self.local.whiteners[0].T @ self.local.whiteners[0]) * second))
        else:
            squares = self.local.whiteners[0] ** 2
            quadratic = float(np.sum(squares * second)) if moment.axes == 1 else float(squares[0] * second)
        return Statistics(
            moment,
            pooled,
            statistics.rows,
            statistics.weight,
            statistics.log_likelihood - quadratic / 2,
            statistics.counts,
            statistics.pivots,
            statistics.first,
            np.asarray(second),
        )

    @property
    def wants_total(self) -> bool:
        """Whether `complete` needs the second moments of all rows."""
        return self.sums is not None and self.expands and self.order == LINEAR

    def _order(self) -> int:
        """The richest of what the logits and what the sums need."""
        if self.sums is None:
            local = self.local
            if local.shared and not self.densities:
                return LINEAR
            return FULL if local.whiteners.ndim == 3 else NORM if local.isotropic else DIAGONAL
        moment, pooled = self.sums
        needed = LINEAR if pooled else (NORM, DIAGONAL, FULL)[moment.axes]
        if self.local.order == needed == LINEAR and not self._keeps(moment):
            needed = FULL
        return max(self.local.order, needed)

    def _keeps(self, moment: Moment) -> bool:
        """Whether the pooled second moment that is kept suffices for the cancelled quadratic term of the likelihood."""
        return moment.axes >= (2 if self.local.whiteners.ndim == 3 else 0 if self.local.isotropic else 1)

    def _expands(self) -> bool:
        """Whether the expanded form is accurate enough and the faster one."""
        if EPSILON[self.dtype] * float(self.distances.max()) > GUARD[self.dtype]:
            return False
        return self.order == LINEAR or expanding_costs(self.order, self.K, self.D, self._needs_matrices()) <= WORTH_NS

    def _needs_matrices(self) -> bool:
        return self.local.whiteners.ndim == 3 or (self.sums is not None and self.sums[0].axes == 2)

    def _paired(self, U: Array) -> Array:
        """One U for each component."""
        return U if len(U) == self.K else np.repeat(U, self.K, axis=0)

    def _expanded(self) -> Form:
        """H, packed by groups of components: <H_k, phi(z)> is the logit, less the quadratic term in the linear order."""
        U, whitened, D, K = self.local.whiteners, self.whitened, self.D, self.K
        H = np.zeros((whole_tiles(K, TILE), expanded.features(self.order, D)))
        H[K:, 0] = HIDDEN[self.dtype]
        H[:K, 0] = self.local.constants - self.distances / 2
        H[:K, 1 : 1 + D] = np.einsum("ki,kij->kj", whitened, U) if U.ndim == 3 else U * whitened
        if self.order == NORM:
            H[:K, 1 + D] = -(U[:, 0] ** 2) / 2
        elif self.order == DIAGONAL:
            H[:K, 1 + D :] = -(U**2) / 2
        elif self.order == FULL:
            precision = U.swapaxes(1, 2) @ U if U.ndim == 3 else U[..., None] ** 2 * np.eye(D)
            i, j, factor = _upper(D)
            H[:K, 1 + D :] = precision[:, i, j] * factor
        packed = np.ascontiguousarray(H.reshape(-1, TILE, H.shape[1]).transpose(0, 2, 1), dtype=self.dtype)
        shape = (whole_tiles(H.shape[1], FEATURES), len(H))
        panel_rows, room = self._panel_rows(sum(shape)), sum(shape) + SCRATCH
        return Form(expanded.run, (self.order, K, packed), panel_rows, room, (shape,), Plan._read_expanded)

    def _centred(self) -> Form:
        U, means = self._paired(self.local.whiteners), self.local.means
        kind = self.dtype
        packed_means, constants = (np.ascontiguousarray(array, dtype=kind) for array in (means, self.local.constants))
        hidden, filled = HIDDEN[kind], whole_tiles(self.K, TILE)
        if not self._needs_matrices():
            room = self.D + filled + SCRATCH
            arguments = (packed_means, np.ascontiguousarray(U, dtype=kind), constants, hidden)
            shapes: tuple[tuple[int, ...], ...] = ((self.K * self.D, 4),)
            return Form(centred.run_diagonal, arguments, self._panel_rows(room), room, shapes, Plan._read_diagonals)
        matrices = U if U.ndim == 3 else U[..., None] * np.eye(self.D)
        padded = whole_tiles(self.D, TILE)
        factors = np.zeros((self.K, padded, padded))
        factors[:, : self.D, : self.D] = matrices
        packed = np.ascontiguousarray(factors.reshape(self.K, padded // 4, 4, padded).transpose(0, 1, 3, 2), dtype=kind)
        room = 2 * padded + filled + SCRATCH
        arguments = (packed_means, packed, constants, hidden)
        shapes = ((self.K, padded + TILE), (self.K * padded, padded))
        return Form(centred.run_matrix, arguments, self._panel_rows(room), room, shapes, Plan._read_matrices)

    def _read_expanded(self, tables: list[Array]) -> tuple[Array, Array, Array, Array]:
        D, K, table = self.D, self.K, tables[0]
        columns = table[1 + D : expanded.features(self.order, D), :K].T
        return table[0, :K].copy(), np.zeros((K, D)), np.ascontiguousarray(table[1 : 1 + D, :K].T), self._second_moments(columns)

    def _second_moments(self, columns: Array) -> Array:
        """The part of the features' sums (K, ...) that the moment keeps; the linear order sums none."""
        moment, D = self._moment, self.D
        if self.order == LINEAR:
            return np.zeros(moment.shape(D))
        if self.order == FULL:
            i, j, _ = _upper(D)
            matrices = np.empty((self.K, D, D))
            matrices[:, i, j] = columns
            matrices[:, j, i] = columns
            return moment.keep(matrices)
        if self.order == DIAGONAL:
            return np.ascontiguousarray(columns) if moment.axes else columns.sum(axis=1)
        return columns[:, 0].copy()

    def _read_matrices(self, tables: list[Array]) -> tuple[Array, Array, Array, Array]:
        K, D, padded = self.K, self.D, whole_tiles(self.D, TILE)
        first, second = tables
        matrices = second.reshape(K, padded, padded)[:, :D, :D]
        symmetric = np.where(np.tri(D, dtype=bool), matrices, matrices.swapaxes(1, 2))
        return first[:, padded].copy(), self._pivots, first[:, :D].copy(), self._moment.keep(symmetric)

    def _read_diagonals(self, tables: list[Array]) -> tuple[Array, Array, Array, Array]:
        table = tables[0].reshape(self.K, self.D, 4)
        squares = table[..., 1]
        return table[:, 0, 2].copy(), self._pivots, table[..., 0].copy(), squares.copy() if self._moment.axes else squares.sum(axis=1)

    @property
    def _moment(self) -> Moment:
        assert self.sums is not None
        return self.sums[0]

    @property
    def _pivots(self) -> Array:
        """The means as the centred kernels saw them, rounded to the rows' dtype."""
        rounded: Array = self.form.arguments[0].astype(float)
        return rounded


@lru_cache(maxsize=256)
def expanding_costs(order: int, K: int, D: int, matrices: bool) -> float:
    """The ns per row by which the expanded form is slower than the centred one, less what both spend."""
    F, padded = expanded.features(order, D), whole_tiles(D, TILE)
    expanding = EXPANDED_NS * 2 * F * whole_tiles(K, TILE) + FEATURE_NS * F
    centring = K * (CENTRED_NS * padded * (padded + 4) + COLUMN_NS * padded if matrices else SQUARES_NS * D)
    return PREFERENCE * expanding - centring


@lru_cache(maxsize=32)
def _upper(D: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Rows and columns of the upper triangle, and what its entries of the precision count for in a logit."""
    i, j = np.triu_indices(D)
    return i, j, np.where(i == j, -0.5, -1.0)
