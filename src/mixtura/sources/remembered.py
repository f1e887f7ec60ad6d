"""A source whose passes are remembered: what was summed once is looked up, not summed again.

A fit is a function of what `reduce` returns, and tasks are values, so a fit that begins anew with the same tasks runs to where it was killed without
a pass over the rows, and goes on with the same bits: whatever the rule, and whatever it keeps from step to step.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import FileError
from mixtura.kernels.expanded import FULL, features
from mixtura.sources.arrays import ArraySource
from mixtura.sources.digests import digest
from mixtura.sources.journal import MISSING, Journal
from mixtura.sources.source import Source
from mixtura.sources.tasks import Block, is_block, is_count

S = TypeVar("S")
Fits = Callable[[Any, Source], bool]
# entries of the table of features of rows in memory up to which a pass, some milliseconds, is not worth writing down; climbs are compiled there
FEW = 2_000_000


def remembered(source: Source, journal: Journal, context: tuple[Any, ...] = ()) -> Source:
    """The source with its passes remembered; few rows in memory as they are. `context` tells these rows from others in the journal."""
    if isinstance(source, ArraySource):
        return source if source.n_rows * features(FULL, source.D) <= FEW else RememberedArray(source, journal, context)
    return Remembered(source, journal, context)


class Remembering(Source):
    """What is common to sources that remember: each task is looked up under its digest, and that of the context."""

    inner: Source
    journal: Journal
    context: tuple[Any, ...]

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks: what is remembered of it, or from a pass. A task without a digest takes a pass every time."""
        fits: Fits = getattr(task, "fits", lambda result, source: True)
        return self._recalled((task,), lambda: self.inner.reduce(task), lambda result: fits(result, self))

    def folds(self, count: int, seed: Sequence[int]) -> Iterator[tuple[Source, Source]]:
        """Those of the source, each remembered."""
        for fold, parts in enumerate(self.inner.folds(count, seed)):
            training, held = (
                remembered(part, self.journal, (*self.context, "fold", count, *map(int, seed), fold, is_held))
                for is_held, part in zip((False, True), parts, strict=True)
            )
            yield training, held

    def batches(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        """Those of the source, each remembered, and drawn when the first of them has to be looked at."""
        context = (*self.context, "batches", rows, *map(int, seed))
        drawn = _Drawn(lambda: self._drawn(rows, seed))
        key = digest(*context, "how many")
        assert key is not None
        known = self.journal.get(key)
        self._require(known is MISSING or is_count(known))
        for number in itertools.count():
            if number == known if known is not MISSING else drawn.at(number) is None:
                break
            batch = Remembered(_Later(self, drawn, number), self.journal, (*context, number))
            batch.profile = self.profile
            yield batch
        self.journal.put(key, number)

    def _drawn(self, rows: int, seed: Sequence[int]) -> Iterator[Source]:
        self.inner.profile = self.profile  # which may not have been taken from a pass
        return self.inner.batches(rows, seed)

    def _recalled(self, what: tuple[Any, ...], compute: Callable[[], S], fits: Callable[[Any], bool]) -> S:
        key = digest(*self.context, *what)
        if key is None:
            return compute()
        found = self.journal.get(key)
        if found is not MISSING:
            self._require(fits(found))
            known: S = found
            return known
        result = compute()
        self.journal.put(key, result)
        return result

    def _require(self, fits: bool) -> None:
        """What a journal of strangers holds under the right name may still be anything."""
        if not fits:
            raise FileError(f"{self.journal.path} is of another fit: got a result of another kind, expected that of its task; try another folder")


class Remembered(Remembering):
    """Any source, with its passes remembered."""

    def __init__(self, inner: Source, journal: Journal, context: tuple[Any, ...]):
        self.inner, self.journal, self.context = inner, journal, context
        self.columns, self.named, self.dtype, self.skipped = inner.columns, inner.named, inner.dtype, inner.skipped
        self.origin, self.n_bytes, self.watch = inner.origin, inner.n_bytes, inner.watch

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self._recalled(("how many rows",), lambda: self.inner.n_rows, is_count)

    @property
    def engine(self) -> str:
        """What works on the source."""
        return self.inner.engine

    @property
    def fingerprint(self) -> str:
        """That of the source."""
        return self.inner.fingerprint

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, from a pass: there are as many answers as rows, and none are remembered."""
        return self.inner.map(task)

    def each(self, question: Any) -> Any:
        """The source's own answers."""
        return self.inner.each(question)

    def place(self, row: int) -> str:
        """Where the row lies."""
        return self.inner.place(row)

    def refuse_not_finite(self) -> None:
        """Looks in the source for the first value that is not finite."""
        self.inner.refuse_not_finite()

    def take(self, rows: NDArray[np.intp]) -> ArraySource:
        """The rows of these numbers, remembered; so are passes over them."""

        def block() -> Block:
            taken = self.inner.take(rows)
            return Block(0, np.asarray(taken.X), taken.weights)

        _, X, weights = self._recalled(("rows", rows), block, lambda found: is_block(found, self) and len(found.rows) == len(rows))
        taken = remembered(ArraySource(X, weights, self.columns if self.named else None), self.journal, (*self.context, "rows", rows))
        assert isinstance(taken, ArraySource)
        return taken


class RememberedArray(Remembering, ArraySource):
    """Rows in memory, with their passes remembered; in all else what they were, so that nothing takes another path."""

    def __init__(self, inner: ArraySource, journal: Journal, context: tuple[Any, ...]):
        vars(self).update(vars(inner))
        self.inner, self.journal, self.context = inner, journal, context

    def take(self, rows: NDArray[np.intp]) -> ArraySource:
        """The rows of these numbers, passes over them remembered; the source itself where these are all."""
        taken = super().take(rows)
        if taken is self:
            return self
        known = remembered(taken, self.journal, (*self.context, "rows", rows))
        assert isinstance(known, ArraySource)
        return known


class _Drawn:
    """Batches that are drawn one after the other, as far as they are asked for."""

    def __init__(self, begin: Callable[[], Iterator[Source]]):
        self.begin = begin
        self.batches: Iterator[Source] | None = None
        self.batch: Source | None = None
        self.number = -1

    def at(self, number: int) -> Source | None:
        """The batch of this number, no less than the last one asked for; None where there are no more."""
        if self.batches is None:
            self.batches = self.begin()
        while self.number < number:
            self.batch = next(self.batches, None)
            self.number += 1
        return self.batch


class _Later(Source):
    """A batch that is drawn when it is looked at."""

    def __init__(self, whole: Source, drawn: _Drawn, number: int):
        self.columns, self.named, self.dtype, self.origin = whole.columns, whole.named, whole.dtype, whole.origin
        self.drawn, self.number = drawn, number

    @property
    def _batch(self) -> Source:
        batch = self.drawn.at(self.number)
        assert batch is not None  # as many were counted
        return batch

    @property
    def n_rows(self) -> int:
        """How many rows are in the batch."""
        return self._batch.n_rows

    @property
    def engine(self) -> str:
        """What works on it."""
        return self._batch.engine

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The batch's sum."""
        return self._batch.reduce(task)

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """The batch's answers."""
        return self._batch.map(task)
