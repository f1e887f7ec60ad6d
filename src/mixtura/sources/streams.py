"""Rows that come one after the other: cut into blocks as an array's would be, worked on by threads, never all held.

A subclass says how to read: `pieces` are what its reader hands over, of any length, and `fill` writes part of one into a table. Tables are
used again; memory is that of a few blocks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError
from mixtura.properties import cached_property
from mixtura.sources.arrays import ArraySource, block_bounds, most_rows
from mixtura.sources.processors import asked, in_words, n_threads
from mixtura.sources.source import Passed, Source
from mixtura.sources.tasks import Block
from mixtura.sources.workers import ahead, map_in_order, sum_in_order

S = TypeVar("S")
AHEAD = 2  # blocks that are read before they are asked for
WINDOW = 2**23  # numbers that are shuffled at a time: 64 MB


class Table(NamedTuple):
    """Room for the rows of a block and their weights, used again once a task is done with it."""

    rows: NDArray[Any]
    weights: NDArray[np.float64]


class Held(NamedTuple):
    """A block, and the table that it lies in."""

    block: Block
    table: Table


class StreamSource(Source):
    """Rows that are read anew for every pass. `n_jobs` threads work on them. Blocks are those of an array where the number of rows is known."""

    weighted: bool = False
    apart: bool = True  # whether a thread of its own draws blocks; else whoever is free does, while others work, and works on what it drew
    order: Literal["C", "F"] = "C"  # in which the tables that rows are written into lie in memory

    def __init__(self, n_jobs: int | None):
        self.n_jobs = asked(n_jobs)
        self._free: deque[Table] = deque(maxlen=2 * n_threads(n_jobs) + 2)

    @abstractmethod
    def pieces(self) -> Iterator[Any]:
        """All rows once, in order, in pieces of any length (len); what was read ahead is let go when the iterator is closed."""

    @abstractmethod
    def fill(self, piece: Any, first: int, rows: NDArray[Any], weights: NDArray[np.float64]) -> None:
        """Writes rows of a piece, from the first on, into a table (n, D), and their weights, where there are any, into another (n,)."""

    def known_rows(self) -> int | None:
        """How many rows there are, if that is known without a pass."""
        return None

    def bytes_before(self, row: int) -> int | None:
        """How many bytes come before a row, if that is known."""
        if self.n_bytes is None or self._count is None:
            return None
        return round(self.n_bytes * row / max(self._count, 1))

    @property
    def n_rows(self) -> int:
        """How many rows, those of weight zero among them; counted in a pass where the source does not say."""
        if self._count is None:
            self.reduce(_counted)
        assert self._count is not None
        return self._count

    @property
    def engine(self) -> str:
        """So many threads."""
        return in_words(n_threads(self.n_jobs))

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks, added in row order."""
        return sum_in_order(lambda held: self._done(task, held), self._drawn(), self.n_jobs)

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite."""
        checked = self.checked
        return map_in_order(lambda held: self._done(lambda block: task(checked(block)), held), self._drawn(), self.n_jobs)

    def batches(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        """All rows of positive weight once, in mini-batches of so many (the last may have fewer), shuffled by the seed within windows of 64 MB.

        Neighbours in a file may be alike, and windows follow the file: rows that are sorted should be shuffled before they are written.
        """
        generator = np.random.default_rng(seed)
        window = max(rows, WINDOW // self.D // rows * rows)
        held: list[Block] = []
        for drawn in self._drawn():
            held.append(self._done(_weighing, drawn))
            if sum(len(one.rows) for one in held) >= window:
                yield from self._shuffled(held, rows, generator)
                held = []
        if held:
            yield from self._shuffled(held, rows, generator)

    def _shuffled(self, held: list[Block], rows: int, generator: np.random.Generator) -> Iterator[Source]:
        X = np.concatenate([block.rows for block in held])
        weights = np.concatenate([block.weights for block in held if block.weights is not None]) if self.weighted else None
        order = generator.permutation(len(X))
        for chosen in np.array_split(order, -(-len(X) // rows)) if len(X) else ():
            batch = ArraySource(X[chosen], None if weights is None else weights[chosen], self.columns if self.named else None, self.n_jobs)
            batch.profile = self.profile
            yield batch

    @cached_property
    def _known(self) -> int | None:
        return self.known_rows()

    @property
    def _count(self) -> int | None:
        return self._known if self._known is not None else vars(self).get("_counted")

    def _drawn(self) -> Iterator[Held]:
        """The blocks of a pass, drawn by whoever is free, or by a thread of its own."""
        return ahead(self._blocks, AHEAD) if self.apart or n_threads(self.n_jobs) == 1 else self._blocks()

    def _done(self, task: Callable[[Block], S], held: Held) -> S:
        try:
            return task(held.block)
        finally:
            self._free.append(held.table)

    def _blocks(self) -> Iterator[Held]:
        """The blocks of a pass, which tells how far it has come, and in the end how many rows there were.

        Rows are copied out of what was read at once, while both lie in the cache of whoever read them.
        """
        expected, start, held = self._count, 0, 0
        bounds = self._lengths(expected)
        length = next(bounds)
        table = self._table(length)
        with closing(self.pieces()) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                first = 0
                while first < len(piece):
                    last = held + min(len(piece) - first, length - held)
                    self.fill(piece, first, table.rows[held:last], table.weights[held:last])
                    first, held = first + last - held, last
                    if held == length:
                        yield self._held(start, held, table)
                        start, held = start + held, 0
                        self._tell(start)
                        length = next(bounds)
                        table = self._table(length)
            if held:
                yield self._held(start, held, table)
                self._tell(start + held)
        self._finish(start + held, expected)

    def _finish(self, rows: int, expected: int | None) -> None:
        if expected is not None and rows != expected:
            raise DataError(f"the rows are not the same in every pass: got {rows}, expected {expected} as before; try rows that stay as they are")
        if rows == 0:
            raise DataError(f"no rows: got none from {self.origin}, expected at least one; try other data")
        if self._known is None:
            self._counted = rows

    def _lengths(self, n_rows: int | None) -> Iterator[int]:
        if self._known is not None and n_rows:
            for start, stop in pairwise(block_bounds(n_rows, self.D)):
                yield stop - start
        while True:
            yield most_rows(self.D)

    def _tell(self, rows: int) -> None:
        if self.watch is not None:
            self.watch(Passed(rows, self._count, self.bytes_before(rows), self.n_bytes))

    def _held(self, start: int, length: int, table: Table) -> Held:
        rows, weights = table.rows[:length], table.weights[:length] if self.weighted else None
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            row = int(np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))[0])
            raise DataError(
                f"a weight is not usable: got {weights[row]} in {self.place(start + row)}, expected a finite number >= 0; try removing the row"
            )
        return Held(Block(start, rows, weights), table)

    def _table(self, length: int) -> Table:
        try:
            table = self._free.pop()
        except IndexError:
            table = Table(np.empty((0, self.D)), np.empty(0))
        if len(table.rows) >= length:
            return table
        room = most_rows(self.D) if self._known is None else length + 1  # blocks differ by one row
        return Table(np.empty((room, self.D), self.dtype, self.order), np.empty(room if self.weighted else 0))


def _weighing(block: Block) -> Block:
    """A copy of the rows of positive weight."""
    kept = slice(None) if block.weights is None else np.flatnonzero(block.weights)
    return Block(0, block.rows[kept].copy(), None if block.weights is None else block.weights[kept])


def _counted(block: Block) -> int:
    return len(block.rows)
