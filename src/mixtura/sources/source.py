"""A source: where rows live, and how to sum or map over them.

The one place where a pass over the data happens. A source cuts its rows into blocks that depend on the data alone, never on the number of
threads, and adds their sums in one order: 1 thread and 16 give the same bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError
from mixtura.frame import LARGEST, Frame, Profile
from mixtura.kernels import Gaussians, Plan
from mixtura.moments import Moment
from mixtura.statistics import Statistics

S = TypeVar("S")


class Block(NamedTuple):
    """Rows in hand: `rows` (n, D), their weights (n,) or None, and the number of the first."""

    start: int
    rows: NDArray[Any]
    weights: NDArray[np.float64] | None


class Source(ABC):
    """Rows of D numbers, wherever they are. Subclasses say how many, and run tasks over their blocks.

    `named` tells whether the columns have names of their own; others are called x0, x1, ...
    """

    columns: tuple[str, ...]
    named: bool
    dtype: np.dtype[Any]
    n_rows: int

    @abstractmethod
    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks, added in row order."""

    @abstractmethod
    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite."""

    @abstractmethod
    def sample(self, n: int, generator: np.random.Generator) -> Source:
        """At most n rows drawn without replacement, in row order; all rows where there are no more."""

    @abstractmethod
    def batches(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        """All rows once, shuffled by the seed, in equal mini-batches of at most so many rows; they share these rows' profile and frame."""

    @abstractmethod
    def folds(self, count: int, seed: Sequence[int]) -> Iterator[tuple[Source, Source]]:
        """All rows of positive weight, shuffled by the seed and dealt into so many equal parts: of each part the other rows, and the part."""

    @property
    def D(self) -> int:
        """How many columns."""
        return len(self.columns)

    @cached_property
    def profile(self) -> Profile:
        """Ranges, means and squares of the columns, from one pass.

        Raises DataError where a value is not finite or a column's range leaves float64 when squared.
        """
        profile = self.reduce(lambda block: Profile.of(block.rows, block.weights))
        if profile.rows == 0:
            raise DataError("no rows to fit: got 0 rows of positive weight, expected at least 1; try other data or weights")
        # the overflow of squares is found before NaN is looked for, so that 1e300 is not called missing
        if not np.isfinite(profile.minimum + profile.maximum).all():
            self._refuse_not_finite()
        deviation = profile.deviation
        for j in np.flatnonzero(~((deviation < LARGEST) & (deviation > 1 / LARGEST) & (np.abs(profile.mean) < LARGEST))):
            raise DataError(
                f"column {self.columns[j]!r} cannot be squared in float64: got values from {profile.minimum[j]:.3g} to {profile.maximum[j]:.3g}, "
                f"expected magnitudes between {1 / LARGEST:.0e} and {LARGEST:.0e}; try other units for this column"
            )
        return profile

    def frame(self, common: bool) -> Frame:
        """The standardised coordinates of these rows; `common` gives all columns one scale."""
        return self._frames[common]

    def everything(self, moment: Moment, common: bool) -> Statistics:
        """All rows as one component about the frame's origin, summed once and kept: the constant part of tied structures."""
        key = (moment.name, common)
        if key not in self._everything:
            plan = Plan(self._one_component(common), self.frame(common), self.dtype, (moment, False))
            about_centre = plan.statistics(self.reduce(lambda block: plan.sweep(block.rows, block.weights)))
            self._everything[key] = about_centre.repivot(np.zeros((1, self.D)))
        return self._everything[key]

    @cached_property
    def _frames(self) -> tuple[Frame, Frame]:
        mean, deviation = self.profile.mean, self.profile.deviation
        return Frame.of(mean, deviation, False, self.dtype), Frame.of(mean, deviation, True, self.dtype)

    @cached_property
    def _everything(self) -> dict[tuple[str, bool], Statistics]:
        return {}

    def _one_component(self, common: bool) -> Gaussians:
        frame = self.frame(common)
        return Gaussians(np.zeros(1), frame.centre[None], 1 / frame.scale[None], common)

    def _refuse_not_finite(self) -> None:
        for _ in self.map(lambda block: np.empty(0)):
            pass

    def require_finite(self, block: Block) -> Block:
        """The block itself; raises DataError naming column and row of its first value that is not finite."""
        with np.errstate(invalid="ignore", over="ignore"):
            suspicious = not np.isfinite(block.rows.sum())
        if suspicious and not (finite := np.isfinite(block.rows)).all():
            row, column = (int(index) for index in np.argwhere(~finite)[0])
            raise DataError(
                f"a value is not finite: got {_spelled(block.rows[row, column])} in column {self.columns[column]!r}, row {block.start + row}, "
                "expected a number; try removing the row or filling the value in"
            )
        return block


def _spelled(value: Any) -> str:
    return "NaN" if np.isnan(value) else str(value)
