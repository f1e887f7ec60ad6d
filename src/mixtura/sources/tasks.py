"""What is done to a block of rows: tasks as values, which can be sent to where the rows are."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mixtura.blas import with_one_thread
from mixtura.errors import DataError
from mixtura.frame import Frame, Profile
from mixtura.kernels import Answers, AnyGaussians
from mixtura.kernels.passes import Pass
from mixtura.moments import Array, Moment
from mixtura.properties import cached_property

DENSE = frozenset(("probability", "log_density"))  # answers for which the kernels weigh every component exactly


class Block(NamedTuple):
    """Rows in hand: `rows` (n, D), their weights (n,) or None, and the number of the first.

    >>> import numpy as np
    >>> from mixtura.sources import Block
    >>> block = Block(start=0, rows=np.ones((3, 2)), weights=None)
    >>> block.rows.shape
    (3, 2)
    """

    start: int
    rows: NDArray[Any]
    weights: NDArray[np.float64] | None


class Columned(Protocol):
    """What tells which results fit a source: its columns and dtype."""

    dtype: np.dtype[Any]

    @property
    def D(self) -> int:
        """The number of columns."""


@dataclass(frozen=True)
class Profiled:
    """The profile of a block."""

    def __call__(self, block: Block) -> Profile:
        """Ranges, means and squares of the block's columns."""
        return Profile.of(block.rows, block.weights)

    def fits(self, result: Any, source: Columned) -> bool:
        """Whether this can be a profile of the source's rows."""
        if not (isinstance(result, Profile) and is_count(result.rows) and isinstance(result.weight, float)):
            return False
        return all(_is_array(one, (source.D,)) for one in (result.minimum, result.maximum, result.mean, result.squares))


@dataclass(frozen=True, eq=False)
class Picked:
    """Copies of the rows of these numbers, ascending, with their weights: a list of one block, and lists add."""

    numbers: NDArray[np.intp]

    def __call__(self, block: Block) -> list[Block]:
        """Those in the block."""
        first, last = np.searchsorted(self.numbers, [block.start, block.start + len(block.rows)])
        chosen = self.numbers[first:last] - block.start
        return [Block(block.start, block.rows[chosen], None if block.weights is None else block.weights[chosen])]

    def fits(self, result: Any, source: Columned) -> bool:
        """Whether these can be blocks of the source with so many rows."""
        return isinstance(result, list) and all(is_block(one, source) for one in result) and sum(len(one.rows) for one in result) == len(self.numbers)


@dataclass(frozen=True, eq=False)
class _Weighing:
    """A pass of the kernels at given Gaussians over rows of one dtype: made ready once, wherever it arrives."""

    gaussians: AnyGaussians
    frame: Frame
    kind: np.dtype[Any]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "plan"}

    @property
    def K(self) -> int:
        """The number of components."""
        return len(self.gaussians.means)


@dataclass(frozen=True, eq=False)
class Swept(_Weighing):
    """The E-step: a block's sums at a mixture, as one flat array (Pass.sweep). `sums` says which: (moment, pooled)."""

    sums: tuple[Moment, bool]

    @cached_property
    def plan(self) -> Pass:
        """The kernels' pass, which also reads the sums."""
        return self.gaussians.plan(self.frame, self.kind, self.sums)

    def __call__(self, block: Block) -> Array:
        """The sums of the block."""
        return self.plan.sweep(block.rows, block.weights)

    def fits(self, result: Any, source: Columned) -> bool:
        """Whether these can be such sums."""
        return _is_array(result, (self.plan.size,)) and is_count(round(result[2]) if np.isfinite(result[2]) else None)


@dataclass(frozen=True, eq=False)
class _Asking(_Weighing):
    """A pass that answers questions about each row: some of component, probability, log_density and posterior."""

    @property
    @abstractmethod
    def _names(self) -> tuple[str, ...]:
        """Which."""

    @cached_property
    def plan(self) -> Pass:
        """The kernels' pass."""
        return self.gaussians.plan(self.frame, self.kind, densities=self._dense)

    @property
    def _dense(self) -> bool:
        return not DENSE.isdisjoint(self._names)

    def _answers(self, block: Block) -> Answers:
        """Those for the rows of the block."""
        names = self._names
        room = Answers.room(len(block.rows), self.K, self.plan.dtype, "component" in names, self._dense, "posterior" in names)
        self.plan.answers(block.rows, room)
        return room


@dataclass(frozen=True, eq=False)
class Asked(_Asking):
    """A question: `name` is component, probability, log_density or posterior of each row."""

    name: str

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the answers."""
        return np.dtype(np.int64 if self.name == "component" else np.float64)

    @property
    def width(self) -> int | None:
        """The number of components where the posterior is asked for."""
        return self.K if self.name == "posterior" else None

    def __call__(self, block: Block) -> NDArray[Any]:
        """The answers for the rows of the block."""
        return np.asarray(getattr(self._answers(block), self.name).astype(self.dtype, copy=False))


@dataclass(frozen=True, eq=False)
class AskedAtOnce(_Asking):
    """Several questions in one pass: `names` are some of component, probability, log_density and posterior. The answers of a row are a record."""

    names: tuple[str, ...]

    @property
    def _names(self) -> tuple[str, ...]:
        return self.names

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """That of the records: whole numbers for components, else that of the rows."""
        kinds: dict[str, Any] = {"component": (np.int64,), "posterior": (self.kind, (self.K,))}
        return np.dtype([(name, *kinds.get(name, (self.kind,))) for name in self.names])

    def __call__(self, block: Block) -> NDArray[Any]:
        """The records of the rows of the block: (n,)."""
        answers = self._answers(block)
        records = np.empty(len(block.rows), self.dtype)
        for name in self.names:
            records[name] = _within(getattr(answers, name), records.dtype[name].base)
        return records


def _within(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """The values, those beyond the largest number of this kind as that number."""
    if values.dtype == kind or kind.kind != "f":
        return values
    most = float(np.finfo(kind).max)
    return values.clip(-most, most)


@dataclass(frozen=True, eq=False)
class Scored(_Weighing):
    """sum_i w_i log p(x_i), sum_i w_i, and the sum of all values, which is not finite where one of them is not."""

    @with_one_thread
    def __call__(self, block: Block) -> Array:
        """Those of the block."""
        density = Asked(self.gaussians, self.frame, self.kind, "log_density")(block)
        weights = np.ones(len(density)) if block.weights is None else block.weights
        with np.errstate(invalid="ignore", over="ignore"):
            return np.array([weights @ density, weights.sum(), block.rows.sum(dtype=float)])

    def fits(self, result: Any, source: Columned) -> bool:
        """Whether these can be such sums."""
        return _is_array(result, (3,))


@dataclass(frozen=True, eq=False)
class Classified(_Weighing):
    """-sum_i w_i sum_k r_ik log r_ik, sum_i w_i log max_k r_ik, and the sum of all values (see Scored)."""

    @with_one_thread
    def __call__(self, block: Block) -> Array:
        """Those of the block."""
        posterior = Asked(self.gaussians, self.frame, self.kind, "posterior")(block)
        logarithms = np.log(np.maximum(posterior, sys.float_info.min))  # of 0 too, which counts for nothing
        each = np.stack([-(posterior * logarithms).sum(axis=1), logarithms.max(axis=1)])
        with np.errstate(invalid="ignore", over="ignore"):
            return np.array([*(each.sum(axis=1) if block.weights is None else each @ block.weights), block.rows.sum(dtype=float)])

    def fits(self, result: Any, source: Columned) -> bool:
        """Whether these can be such sums."""
        return _is_array(result, (3,))


def is_count(value: Any) -> bool:
    """Whether this can be a number of rows."""
    return type(value) is int and value >= 0


def is_block(value: Any, source: Columned) -> bool:
    """Whether this can be a block of the source's rows."""
    return (
        isinstance(value, Block)
        and is_count(value.start)
        and isinstance(value.rows, np.ndarray)
        and value.rows.dtype == source.dtype
        and value.rows.ndim == 2
        and value.rows.shape[1] == source.D
        and (value.weights is None or _is_array(value.weights, (len(value.rows),)))
    )


def _is_array(value: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.float64 and value.shape == shape


def require_finite(block: Block, columns: Sequence[str], place: Callable[[int], str]) -> Block:
    """The block itself; raises DataError naming column and place of its first value that is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        suspicious = not np.isfinite(block.rows.sum())
    if suspicious and not (finite := np.isfinite(block.rows)).all():
        row, column = (int(index) for index in np.argwhere(~finite)[0])
        raise DataError(
            f"a value is not finite: got {_spelled(block.rows[row, column])} in column {columns[column]!r}, {place(block.start + row)}, "
            "expected a number; try removing the row or filling the value in"
        )
    return block


def _spelled(value: Any) -> str:
    return "NaN" if np.isnan(value) else str(value)
