"""Which form of the kernels a sweep takes, and the mixture made ready for it.

A `Plan` is made once per pass over the rows and then works block by block, in any thread. The expanded form is taken where it is the
faster one and loses less than the guard allows; otherwise the centred form, which loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.frame import Frame
from mixtura.kernels import centred, expanded
from mixtura.kernels.expanded import DIAGONAL, FEATURES, FULL, LINEAR, NORM, TILE
from mixtura.kernels.lanes import lanes_per_register
from mixtura.kernels.panel import HIDDEN, LIMIT, workspace
from mixtura.moments import Array, Moment
from mixtura.statistics import Statistics

EPSILON = {np.dtype(kind): float(np.finfo(kind).eps) for kind in (np.float64, np.float32)}
NEGLIGIBLE = 1e-12  # of a row: what all posteriors that a sweep leaves out may amount to
GUARD = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-4}  # nats that a logit may lose (DESIGN: numerical rules)
PANEL_BYTES = 800_000  # features and logits of a panel share a core's L2 cache with the sums
PANEL_ROWS = (128, 256)  # of float64: fewer leave the sums' own traffic exposed, more leave the cache
# measured ns on one core with 512-bit registers, float64; only their ratios decide
EXPANDED_NS, FEATURE_NS = 0.040, 0.13  # per feature and component in each product; per feature built
CENTRED_NS, COLUMN_NS = 0.042, 0.33  # per entry of the tiled triangle in each product; per column centred
SQUARES_NS = 0.27  # per column where the covariance is diagonal
# what the centred form's own gains, exactness and rows picked one by one, are worth where the two cost nearly the same
PREFERENCE = 1.15
# what a second form must save, in ns per row: below it compiling it, some seconds, outweighs the gain
WORTH_NS = 50.0
HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2
SCRATCH = 8  # rows that a pass works in besides its panels and logits
_EMPTY: dict[np.dtype[Any], NDArray[Any]] = {np.dtype(kind): np.empty(0, dtype=kind) for kind in (np.float64, np.float32)}


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


class Answers(NamedTuple):
    """What is known of each row: its likeliest component, that component's posterior, the log density, the posterior (n, K)."""

    component: NDArray[np.int64]
    probability: NDArray[Any]
    log_density: NDArray[Any]
    posterior: NDArray[Any]

    @classmethod
    def room(cls, n: int, K: int, dtype: np.dtype[Any], component: bool, density: bool, posterior: bool) -> Answers:
        """Room for the wanted answers of n rows; those not wanted are empty."""
        n_density = n if density else 0
        return cls(
            np.empty(n if component else 0, np.int64),
            np.empty(n_density, dtype),
            np.empty(n_density, dtype),
            np.empty((n if posterior else 0, K), dtype),
        )

    def part(self, start: int, stop: int) -> Answers:
        """The same room for some of the rows."""
        return Answers(self.component[start:stop], self.probability[start:stop], self.log_density[start:stop], self.posterior[start:stop])


_NO_SUMS = np.empty((0, 0))
_NOTHING = {kind: Answers.room(0, 0, kind, False, False, False) for kind in _EMPTY}


class Form(NamedTuple):
    """A compiled pass with the arrays of one mixture: `arguments` follow the frame.

    `room` is the height of the table that it works in. `shapes` are those of the tables that a sweep fills, `read` turns them into counts,
    pivots, first and second moments.
    """

    run: Any
    arguments: tuple[Any, ...]
    panel_rows: int
    room: int
    shapes: tuple[tuple[int, ...], ...]
    read: Callable[[Plan, list[Array]], tuple[Array, Array, Array, Array]]  # not bound: a cycle would leave every plan to the collector


class Plan:
    """The passes over rows of one dtype at one mixture in one frame.

    `sums` names what the M-step needs: (moment, pooled). Where it is None only answers are wanted; `densities` says whether densities are
    among them, which a quadratic term that cancels in the posterior does not leave out.
    """

    def __init__(self, gaussians: Gaussians, frame: Frame, dtype: Any, sums: tuple[Moment, bool] | None = None, *, densities: bool = True):
        self.densities = densities
        self.dtype = np.dtype(dtype)
        self.frame = frame
        self.sums = sums
        self.local = gaussians.standardised(frame)
        self.order = self._order()
        self.K, self.D = (int(length) for length in self.local.means.shape)
        self.step = lanes_per_register(self.dtype)
        self.cut = math.log(NEGLIGIBLE / self.K)
        self.whitened = self.local.whitened_means
        self.distances = np.add.reduce(self.whitened * self.whitened, axis=-1)  # mu' P mu
        self.expands = self._expands()
        self.form = self._expanded() if self.expands else self._centred()
        self._frame_arguments = _frame_arguments(frame, self.dtype)

    def sweep(self, rows: NDArray[Any], weights: NDArray[Any] | None) -> Array:
        """The sums of a block (n, D) as one flat array, which adds to those of other blocks; `statistics` reads it.

        It begins with the log-likelihood, the weight and the number of rows.
        """
        w = _EMPTY[self.dtype] if weights is None else weights.astype(self.dtype)
        flat = np.zeros(3 + sum(math.prod(shape) for shape in self.form.shapes))
        flat[0] = self._run(rows, w, self.cut, self._tables(flat), _NOTHING[self.dtype])
        flat[1] = len(rows) if weights is None else weights.sum()
        flat[2] = len(rows)
        return flat

    def statistics(self, flat: Array) -> Statistics:
        """The statistics that summed blocks amount to, in the frame's coordinates."""
        assert self.sums is not None
        moment, pooled = self.sums
        counts, pivots, first, second = self.form.read(self, self._tables(flat))
        kept = second.sum(axis=0) if pooled and not self.wants_total else second
        return Statistics(moment, pooled, round(flat[2]), float(flat[1]), float(flat[0]), counts, pivots, first, kept)

    def _run(self, rows: NDArray[Any], weights: NDArray[Any], cut: float, tables: Sequence[Array], answers: Answers) -> float:
        """One pass over a block, which fills what is not empty; posteriors below the cut (a logarithm) are negligible."""
        form, width = self.form, self.form.panel_rows + self.step
        lists = np.empty((_filled(self.K, TILE) // TILE + 1, width), dtype=np.int64)
        working = cut, form.panel_rows, self.step, workspace(form.room, width, self.dtype), lists
        wanted = answers.component, answers.log_density, answers.probability, answers.posterior
        loglik: float = form.run(rows, weights, *self._frame_arguments, *form.arguments, *working, *tables, *wanted)
        return loglik

    def _tables(self, flat: Array) -> list[Array]:
        """Views of the flat sums in the shapes that the kernel fills."""
        tables, start = [], 3
        for shape in self.form.shapes:
            stop = start + math.prod(shape)
            tables.append(flat[start:stop].reshape(shape))
            start = stop
        return tables

    def answers(self, rows: NDArray[Any], wanted: Answers) -> None:
        """Fills the wanted answers of a block's rows, those whose arrays are not empty; log densities are those of the caller's coordinates."""
        cut = -np.inf if wanted.posterior.size else self.cut
        self._run(rows, _EMPTY[self.dtype], cut, [_NO_SUMS] * len(self.form.shapes), wanted)
        wanted.log_density[:] -= np.log(self.frame.scale).sum()

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

    def _panel_rows(self, rows_of_table: int) -> int:
        """Rows per panel: as many as let the panel stay in L2, in whole pairs of registers."""
        least, most = (rows * 8 // self.dtype.itemsize for rows in PANEL_ROWS)
        fitting = PANEL_BYTES // (rows_of_table * self.dtype.itemsize)
        return int(min(max(fitting, least), most) // (2 * self.step) * (2 * self.step))

    def _expanded(self) -> Form:
        """H, packed by groups of components: <H_k, phi(z)> is the logit, less the quadratic term in the linear order."""
        U, whitened, D, K = self.local.whiteners, self.whitened, self.D, self.K
        H = np.zeros((_filled(K, TILE), expanded.features(self.order, D)))
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
        shape = (_filled(H.shape[1], FEATURES), len(H))
        panel_rows, room = self._panel_rows(sum(shape)), sum(shape) + SCRATCH
        return Form(expanded.run, (self.order, K, packed), panel_rows, room, (shape,), Plan._read_expanded)

    def _centred(self) -> Form:
        U, means = self._paired(self.local.whiteners), self.local.means
        kind = self.dtype
        packed_means, constants = (np.ascontiguousarray(array, dtype=kind) for array in (means, self.local.constants))
        hidden, filled = HIDDEN[kind], _filled(self.K, TILE)
        if not self._needs_matrices():
            room = self.D + filled + SCRATCH
            arguments = (packed_means, np.ascontiguousarray(U, dtype=kind), constants, hidden)
            shapes: tuple[tuple[int, ...], ...] = ((self.K * self.D, 4),)
            return Form(centred.run_diagonal, arguments, self._panel_rows(room), room, shapes, Plan._read_diagonals)
        matrices = U if U.ndim == 3 else U[..., None] * np.eye(self.D)
        padded = _filled(self.D, TILE)
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
        K, D, padded = self.K, self.D, _filled(self.D, TILE)
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
    F, padded = expanded.features(order, D), _filled(D, TILE)
    expanding = EXPANDED_NS * 2 * F * _filled(K, TILE) + FEATURE_NS * F
    centring = K * (CENTRED_NS * padded * (padded + 4) + COLUMN_NS * padded if matrices else SQUARES_NS * D)
    return PREFERENCE * expanding - centring


@lru_cache(maxsize=32)
def _frame_arguments(frame: Frame, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """What `standardise` takes: the centre, one over the scale, and the limit of standardised rows."""
    return frame.centre.astype(dtype), (1 / frame.scale).astype(dtype), dtype.type(LIMIT[dtype])


def _filled(n: int, tile: int) -> int:
    """n, filled up to whole tiles."""
    return -(-n // tile) * tile


@lru_cache(maxsize=32)
def _upper(D: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
    """Rows and columns of the upper triangle, and what its entries of the precision count for in a logit."""
    i, j = np.triu_indices(D)
    return i, j, np.where(i == j, -0.5, -1.0)
