"""Rows that come one after the other: read ahead, cut into blocks as an array's would be, worked on by threads, never all held.

A subclass says how to read: `pieces` are what its reader hands over, of any length, and `fill` turns part of one into rows. Pieces are
turned into rows by the threads that work on them, in a table that each keeps; memory is that of a few blocks.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError
from mixtura.sources.arrays import ArraySource, block_bounds, most_rows, n_threads
from mixtura.sources.source import Passed, Source
from mixtura.sources.tasks import Block
from mixtura.sources.workers import ahead, map_in_order, sum_in_order

S = TypeVar("S")
AHEAD = 2  # pieces that are read before they are asked for
WINDOW = 2**23  # numbers that are shuffled at a time: 64 MB


class Slice(NamedTuple):
    """Rows `first` to `last` of a piece."""

    piece: Any
    first: int
    last: int


class Unread(NamedTuple):
    """A block before it is turned into rows: the number of its first, how many there are, and the slices that hold them."""

    start: int
    length: int
    slices: list[Slice]


class StreamSource(Source):
    """Rows that are read anew for every pass. `n_jobs` threads work on them. Blocks are those of an array where the number of rows is known."""

    n_jobs: int
    weighted: bool = False
    apart: bool = True  # whether a thread of its own draws the pieces; else whoever is free does, while others work, and works on what it drew
    order: Literal["C", "F"] = "C"  # in which the tables that rows are written into lie in memory

    def __init__(self, n_jobs: int | None):
        self.n_jobs = n_threads(n_jobs)
        self._local = threading.local()

    @abstractmethod
    def pieces(self) -> Iterator[Any]:
        """All rows once, in order, in pieces of any length (len); what was read ahead is let go when the iterator is closed."""

    @abstractmethod
    def fill(self, part: Slice, rows: NDArray[Any], weights: NDArray[np.float64] | None) -> None:
        """Writes part of a piece into rows (n, D), and its weights (n,), where there are any."""

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
        return f"{self.n_jobs} thread{'s' * (self.n_jobs > 1)}, read ahead"

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks, added in row order."""
        return sum_in_order(lambda unread: task(self._read(unread)), self._blocks(), self.n_jobs)

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite."""
        checked = self.checked
        return map_in_order(lambda unread: task(checked(self._read(unread))), self._blocks(), self.n_jobs)

    def batches(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        """All rows of positive weight once, in mini-batches of so many (the last may have fewer), shuffled by the seed within windows of 64 MB.

        Neighbours in a file may be alike, and windows follow the file: rows that are sorted should be shuffled before they are written.
        """
        generator = np.random.default_rng(seed)
        window = max(rows, WINDOW // self.D // rows * rows)
        held: list[Block] = []
        for unread in self._blocks():
            block = self._read(unread)
            kept = slice(None) if block.weights is None else np.flatnonzero(block.weights)
            held.append(Block(0, block.rows[kept].copy(), None if block.weights is None else block.weights[kept]))
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

    def _blocks(self) -> Iterator[Unread]:
        """The blocks of a pass, which tells how far it has come, and in the end how many rows there were."""
        expected, start = self._count, 0
        waiting: list[Slice] = []
        held = 0
        bounds = self._lengths(expected)
        length = next(bounds)
        with closing(ahead(self.pieces, AHEAD) if self.apart or self.n_jobs == 1 else self.pieces()) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                first = 0
                while first < len(piece):
                    last = min(len(piece), first + length - held)
                    waiting.append(Slice(piece, first, last))
                    held += last - first
                    first = last
                    if held == length:
                        yield Unread(start, held, waiting)
                        start, held, waiting = start + held, 0, []
                        self._tell(start)
                        length = next(bounds)
            if held:
                yield Unread(start, held, waiting)
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

    def _read(self, unread: Unread) -> Block:
        """The rows of a block, in this thread's table."""
        rows, weights = self._room(unread.length)
        at = 0
        for part in unread.slices:
            end = at + part.last - part.first
            self.fill(part, rows[at:end], None if weights is None else weights[at:end])
            at = end
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            row = int(np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))[0])
            raise DataError(
                f"a weight is not usable: got {weights[row]} in {self.place(unread.start + row)}, expected a finite number >= 0; try removing the row"
            )
        return Block(unread.start, rows, weights)

    def _room(self, length: int) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
        room = getattr(self._local, "room", None)
        if room is None or len(room[0]) < length:
            room = self._local.room = np.empty((length, self.D), self.dtype, self.order), np.empty(length if self.weighted else 0)
        return room[0][:length], room[1][:length] if self.weighted else None


def _counted(block: Block) -> int:
    return len(block.rows)
