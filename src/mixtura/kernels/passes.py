"""A pass over rows: what any form of the kernels is handed, block by block, in any thread, and what it gives back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.frame import Frame
from mixtura.kernels.expanded import TILE
from mixtura.kernels.lanes import lanes_per_register
from mixtura.kernels.panel import HIDDEN, LIMIT, workspace
from mixtura.moments import Array, Moment
from mixtura.statistics import Statistics

NEGLIGIBLE = 1e-12  # of a row: what all posteriors that a sweep leaves out may amount to
PANEL_BYTES = 800_000  # features and logits of a panel share a core's L2 cache with the sums
PANEL_ROWS = (128, 256)  # of float64: fewer leave the sums' own traffic exposed, more leave the cache
HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2
SCRATCH = 8  # rows that a pass works in besides its panels and logits
SPAN = 2.0**80  # scales and origins of columns that float32 standardises without overflow
_EMPTY: dict[np.dtype[Any], NDArray[Any]] = {np.dtype(kind): np.empty(0, dtype=kind) for kind in (np.float64, np.float32)}


class Weighing(Protocol):
    """A mixture as the kernels want it."""

    def standardised(self, frame: Frame) -> Self:
        """The same in the frame's coordinates."""

    def farthest(self, limit: float) -> float:
        """A bound of the distance, in deviations, between a mean and a row whose columns lie within the limit."""


def countable(gaussians: Weighing, frame: Frame, dtype: np.dtype[Any]) -> bool:
    """Whether the squared distances of all standardised rows stay above the logit of a component that is not there, with room for sums."""
    with np.errstate(over="ignore", invalid="ignore"):
        return gaussians.standardised(frame).farthest(LIMIT[dtype]) < math.sqrt(-HIDDEN[dtype] / 10)


def working(gaussians: Weighing, frame: Frame, dtype: Any) -> tuple[np.dtype[Any], Frame]:
    """The dtype to compute in, and the frame with a centre that is of it: the rows' own, or float64 where float32 overflows."""
    kind = np.dtype(dtype)
    if kind == np.float32:
        spans = (frame.scale < SPAN).all() and (frame.scale > 1 / SPAN).all() and (np.abs(frame.centre) < SPAN).all()
        rounded = frame.rounded(kind)
        if spans and countable(gaussians, rounded, kind):
            return kind, rounded
    return np.dtype(np.float64), frame


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
    read: Callable[[Any, list[Array]], tuple[Array, Array, Array, Array]]  # not bound: a cycle would leave every plan to the collector


class Pass(ABC):
    """One way over rows of one dtype at one mixture in one frame. A form says what is computed; this, how it is run.

    `sums` names what the M-step needs: (moment, pooled). Where it is None only answers are wanted.
    """

    form: Form

    def __init__(self, K: int, frame: Frame, dtype: Any, sums: tuple[Moment, bool] | None):
        self.K = K
        self.dtype = np.dtype(dtype)
        self.frame = frame
        self.sums = sums
        self.step = lanes_per_register(self.dtype)
        self.cut = math.log(NEGLIGIBLE / K)
        self._frame_arguments = _frame_arguments(frame, self.dtype)

    @abstractmethod
    def statistics(self, flat: Array) -> Statistics:
        """The statistics that summed blocks amount to, in the frame's coordinates."""

    @property
    @abstractmethod
    def wants_total(self) -> bool:
        """Whether `complete` needs the second moments of all rows."""

    @abstractmethod
    def complete(self, statistics: Statistics, everything: Statistics | None) -> Statistics:
        """Adds what is the same for any mixture: all rows' second moments, `everything` (K = 1, about the frame's origin), where wanted."""

    @property
    def size(self) -> int:
        """How many numbers a sweep gives."""
        return 3 + sum(math.prod(shape) for shape in self.form.shapes)

    def sweep(self, rows: NDArray[Any], weights: NDArray[Any] | None) -> Array:
        """The sums of a block (n, D) as one flat array, which adds to those of other blocks; `statistics` reads it.

        It begins with the log-likelihood, the weight and the number of rows.
        """
        w, unit = (_EMPTY[self.dtype], 1.0) if weights is None else _in_units(weights, self.dtype)
        flat = np.zeros(self.size)
        flat[0] = self._run(rows, w, self.cut, self._tables(flat), _NOTHING[self.dtype])
        flat *= unit
        flat[1] = len(rows) if weights is None else weights.sum()
        flat[2] = len(rows)
        return flat

    def _run(self, rows: NDArray[Any], weights: NDArray[Any], cut: float, tables: Sequence[Array], answers: Answers) -> float:
        """One pass over a block, which fills what is not empty; posteriors below the cut (a logarithm) are negligible."""
        form, width = self.form, self.form.panel_rows + self.step
        lists = np.empty((whole_tiles(self.K, TILE) // TILE + 1, width), dtype=np.int64)
        working = cut, form.panel_rows, self.step, workspace(form.room, width, self.dtype), lists
        wanted = answers.component, answers.log_density, answers.probability, answers.posterior
        loglik: float = form.run(rows.astype(self.dtype, copy=False), weights, *self._frame_arguments, *form.arguments, *working, *tables, *wanted)
        return loglik

    def _panel_rows(self, rows_of_table: int) -> int:
        """Rows per panel: as many as let the panel stay in L2, in whole pairs of registers."""
        least, most = (rows * 8 // self.dtype.itemsize for rows in PANEL_ROWS)
        fitting = PANEL_BYTES // (rows_of_table * self.dtype.itemsize)
        return int(min(max(fitting, least), most) // (2 * self.step) * (2 * self.step))

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


def _in_units(weights: Array, dtype: np.dtype[Any]) -> tuple[NDArray[Any], float]:
    """A copy of weights in a dtype, and what one of them stands for: a power of two near the largest, so that none overflows.

    A kernel is compiled once, for an array of its own: those of others may be read-only or have gaps.
    """
    if dtype == np.float64:
        return weights.astype(dtype), 1.0
    unit = float(np.exp2(np.frexp(weights.max())[1]))
    return (weights / unit).astype(dtype), unit


@lru_cache(maxsize=32)
def _frame_arguments(frame: Frame, dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """What `standardise` takes: the centre, one over the scale, and the limit of standardised rows."""
    return frame.centre.astype(dtype), (1 / frame.scale).astype(dtype), dtype.type(LIMIT[dtype])


def whole_tiles(n: int, tile: int) -> int:
    """n, filled up to whole tiles."""
    return -(-n // tile) * tile
