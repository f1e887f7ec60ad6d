"""A part of a source's rows, dealt out within each block: what cross-validation looks at where rows cannot be shuffled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.properties import cached_property
from mixtura.sources.arrays import ArraySource
from mixtura.sources.source import Source
from mixtura.sources.tasks import Block, Picked, require_finite

S = TypeVar("S")


@dataclass(frozen=True)
class Deal:
    """Rows of positive weight in a block, shuffled by the seed and dealt into `count` parts: part `fold`, or all others."""

    count: int
    fold: int
    seed: tuple[int, ...]
    held: bool

    def __call__(self, block: Block) -> NDArray[np.intp]:
        """Which rows of the block, ascending."""
        rows = np.arange(len(block.rows)) if block.weights is None else np.flatnonzero(block.weights)
        generator = np.random.default_rng([*self.seed, block.start])
        fold = generator.permutation((np.arange(len(rows)) + generator.integers(self.count)) % self.count)
        kept: NDArray[np.intp] = rows[(fold == self.fold) == self.held]
        return kept


@dataclass(frozen=True, eq=False)
class Dealt:
    """A task over a part of each block; the part's first row has the number that `starts` says, or else that of the block."""

    task: Callable[[Block], Any]
    deal: Deal
    starts: dict[int, int] | None = None
    columns: tuple[str, ...] | None = None  # where rows are to be checked

    def __call__(self, block: Block) -> Any:
        """What the task makes of it."""
        chosen = self.deal(block)
        start = block.start if self.starts is None else self.starts[block.start]
        part = Block(start, block.rows[chosen], None if block.weights is None else block.weights[chosen])
        return self.task(part if self.columns is None else require_finite(part, self.columns, "row {} of a fold".format))


class Part(Source):
    """The rows of a source that one fold holds out, or the others."""

    def __init__(self, whole: Source, count: int, fold: int, seed: tuple[int, ...], held: bool):
        self.whole = whole
        self.columns, self.named, self.dtype, self.origin = whole.columns, whole.named, whole.dtype, whole.origin
        self.deal = Deal(count, fold, seed, held)

    @property
    def n_rows(self) -> int:
        """How many rows are in this part."""
        return sum(count for _, count in self._counts)

    @property
    def engine(self) -> str:
        """What works on the whole."""
        return self.whole.engine

    @property
    def fingerprint(self) -> str:
        """The whole's, and which part."""
        return f"{self.whole.fingerprint}, {self.deal}"

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over the part of every block, added in row order; blocks begin where those of the whole do."""
        total: S = self.whole.reduce(Dealt(task, self.deal))
        return total

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for the part of every block, in row order, after checking that the rows are finite."""
        return self.whole.map(Dealt(task, self.deal, columns=self.columns))

    def take(self, rows: NDArray[np.intp]) -> ArraySource:
        """The rows of these numbers, counted within this part."""
        starts, before = {}, 0
        for start, count in self._counts:
            starts[start] = before
            before += count
        taken = self.whole.reduce(Dealt(Picked(rows), self.deal, starts))
        weights = None if taken[0].weights is None else np.concatenate([block.weights for block in taken])
        return ArraySource(np.concatenate([block.rows for block in taken]), weights, self.columns if self.named else None)

    @cached_property
    def _counts(self) -> list[tuple[int, int]]:
        counts: list[tuple[int, int]] = self.whole.reduce(Dealt(_counted, self.deal))
        return counts


def _counted(block: Block) -> list[tuple[int, int]]:
    return [(block.start, len(block.rows))]
