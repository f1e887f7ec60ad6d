"""A source: where rows live, and how to sum or map over them.

The one place where a pass over the data happens. A source cuts its rows into blocks that depend on the data alone, never on the number of
threads or workers, and adds their sums in one order: 1 thread and 16 give the same bits.

What is done to a block is a task: a function of the block, which may be sent to where the block is. So tasks are values (frozen dataclasses of
arrays and numbers) or small functions that hold nothing but such; they keep nothing of a block, whose arrays are only lent, but copies.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError, ParameterError
from mixtura.frame import LARGEST, Frame, Profile
from mixtura.kernels import Gaussians
from mixtura.moments import Moment
from mixtura.properties import cached_property
from mixtura.sources.tasks import Block, Picked, Profiled, Swept, require_finite
from mixtura.statistics import Statistics

if TYPE_CHECKING:
    from mixtura.sources.arrays import ArraySource

S = TypeVar("S")


class Passed(NamedTuple):
    """How far a pass has come: rows and bytes read, and how many there are (None where the first pass has still to tell)."""

    rows: int
    n_rows: int | None
    bytes: int | None
    n_bytes: int | None


class Question(Protocol):
    """A task with an answer for each row: (n,) of a dtype, or (n, width) where there is a width."""

    @property
    def name(self) -> str:
        """What a table calls it."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the answers."""

    @property
    def width(self) -> int | None:
        """How many answers a row has; None for one."""

    def __call__(self, block: Block) -> NDArray[Any]:
        """The answers for the rows of a block."""


class Source(ABC):
    """Rows of D numbers, wherever they are. Subclasses say how many, and run tasks over their blocks.

    `named` tells whether the columns have names of their own; others are called x0, x1, ... `skipped` are columns of a file or table that were
    not taken because they hold no numbers. `origin` says where the rows lie, `engine` what works on them. `watch`, where it is set, is told
    how far a pass has come. `n_bytes` is what a pass reads, where that is known. `n_jobs` is how many threads were asked for, of what is in memory.

    >>> import numpy as np, mixtura
    >>> source = mixtura.open(np.arange(6.0).reshape(3, 2))
    >>> source.n_rows, source.D, source.profile.mean
    (3, 2, array([2., 3.]))
    >>> float(source.reduce(lambda block: block.rows.sum()))  # any function of a block whose answers add
    15.0
    >>> [part.tolist() for part in source.map(lambda block: block.rows.max(axis=1))]
    [[1.0, 3.0, 5.0]]
    """

    columns: tuple[str, ...]
    named: bool
    dtype: np.dtype[Any]
    skipped: tuple[str, ...] = ()
    origin: str = "array"
    n_bytes: int | None = None
    watch: Callable[[Passed], object] | None = None
    n_jobs: int | None = None

    @property
    @abstractmethod
    def n_rows(self) -> int:
        """How many rows, those of weight zero among them; the first to ask may cost a pass."""

    @property
    @abstractmethod
    def engine(self) -> str:
        """What works on the rows, in words."""

    @abstractmethod
    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks, added in row order."""

    @abstractmethod
    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite."""

    def each(self, question: Question) -> Any:
        """The question's answers for all rows: an array, or a lazy collection where rows are on a cluster."""
        answers = np.empty((self.n_rows,) if question.width is None else (self.n_rows, question.width), question.dtype)
        start = 0
        for part in self.map(question):
            answers[start : start + len(part)] = part
            start += len(part)
        return answers

    def sample(self, n: int, generator: np.random.Generator) -> ArraySource:
        """At most n rows drawn without replacement, in row order, in memory; all rows where there are no more."""
        return self.take(np.sort(generator.choice(self.n_rows, n, replace=False, shuffle=False)) if n < self.n_rows else np.arange(self.n_rows))

    def take(self, rows: NDArray[np.intp]) -> ArraySource:
        """The rows of these numbers, ascending, in memory."""
        from mixtura.sources.arrays import ArraySource

        taken = self.reduce(Picked(rows))
        weights = None if taken[0].weights is None else np.concatenate([block.weights for block in taken if block.weights is not None])
        return ArraySource(np.concatenate([block.rows for block in taken]), weights, self.columns if self.named else None, self.n_jobs)

    def batches(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        """All rows once, shuffled by the seed, in equal mini-batches of at most so many rows; they share these rows' profile and frame."""
        raise ParameterError(
            f"mini-batches cannot be drawn here: got rows on {self.engine}, expected rows at hand; try rule='em', or rows from files"
        )

    def folds(self, count: int, seed: Sequence[int]) -> Iterator[tuple[Source, Source]]:
        """All rows of positive weight, shuffled by the seed and dealt into equal parts (here within each block): of each the others, and the part."""
        from mixtura.sources.parts import Part

        for fold in range(count):
            yield Part(self, count, fold, tuple(seed), held=False), Part(self, count, fold, tuple(seed), held=True)

    @property
    def fingerprint(self) -> str:
        """What tells these rows from others, as far as that is known without reading them."""
        return f"{self.origin}, {self.D} columns: {', '.join(self.columns)}"

    def place(self, row: int) -> str:
        """Where a row lies, for a message."""
        return f"row {row}"

    @property
    def D(self) -> int:
        """How many columns."""
        return len(self.columns)

    @cached_property
    def profile(self) -> Profile:
        """Ranges, means and squares of the columns, from one pass.

        Raises DataError where a value is not finite or a column's range leaves float64 when squared.
        """
        profile = self.reduce(Profiled())
        if profile.rows == 0:
            raise DataError("no rows to fit: got 0 rows of positive weight, expected at least 1; try other data or weights")
        require_countable(profile.weight)
        # the overflow of squares is found before NaN is looked for, so that 1e300 is not called missing
        if not (np.isfinite(profile.minimum) & np.isfinite(profile.maximum)).all():
            self.refuse_not_finite()
        deviation = profile.deviation
        for j in np.flatnonzero(~((deviation < LARGEST) & (deviation > 1 / LARGEST) & (np.maximum(-profile.minimum, profile.maximum) < LARGEST))):
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
            task = Swept(self._one_component(common), self.frame(common), self.dtype, (moment, False))
            about_centre = task.plan.statistics(self.reduce(task))
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

    def refuse_not_finite(self) -> None:
        """Looks for the first value that is not finite. Raises DataError naming it, where there is one."""
        for _ in self.map(_nothing):
            pass

    @property
    def checked(self) -> Callable[[Block], Block]:
        """The block itself, once its rows are seen to be finite; raises DataError naming column and place of the first value that is not."""
        return partial(require_finite, columns=self.columns, place=self.place)


def require_countable(weight: float) -> None:
    """Raises DataError where a sum of weights is not one that sums weighted by them stay within float64 for."""
    if not 1 / LARGEST < weight < LARGEST:
        raise DataError(
            f"the weights cannot be counted in float64: got a sum of {weight:.3g}, expected one between {1 / LARGEST:.0e} and {LARGEST:.0e}; "
            "try weights / weights.mean()"
        )


def _nothing(block: Block) -> NDArray[Any]:
    return np.empty(0)
