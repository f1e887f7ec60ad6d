"""What Spark's Python workers do: pack rows into blocks of bytes, once, and then run tasks over the blocks.

    block      partition, number of its first row within it, number of rows (int64), weights (float64), rows, in one piece of memory
    partial    the sum over a partition, pickled, or what was found wrong with it

What is wrong with the rows is a result, not an exception: Spark would try it four times over.
"""

from __future__ import annotations

import functools
import gc
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError, MixturaError
from mixtura.sources.source import Question
from mixtura.sources.spark_columns import Reading
from mixtura.sources.tasks import Block, require_finite

BLOCK_BYTES = 2**20  # of a block: enough that what a task costs besides is little, few enough to stay near the core
LEAST, MOST = 1_024, 65_536  # rows of a block, as for arrays
HEADER = 3  # integers before a block
FAILED = -1  # the number of rows of a block that holds an error instead


class Packed(NamedTuple):
    """A block as it is sent: `length` says how many rows it has, and `bytes` what follows its header."""

    partition: int
    first: int
    length: int
    bytes: memoryview

    @classmethod
    def of(cls, sent: Any) -> Packed:
        """The block in these bytes."""
        partition, first, length = np.frombuffer(sent, np.int64, HEADER).tolist()
        return cls(partition, first, length, memoryview(sent)[HEADER * 8 :])


@dataclass(frozen=True, eq=False)
class Place:
    """Says in words where a row is: its partition, and its number within it. `starts` are the numbers of the partitions' first rows."""

    starts: NDArray[np.int64]

    def __call__(self, row: int) -> str:
        """The place of a row that is numbered through all partitions."""
        partition = int(np.searchsorted(self.starts, row, side="right")) - 1
        return place(partition, row - int(self.starts[partition]))


def place(partition: int, row: int) -> str:
    """Where a row is, in words."""
    return f"row {row} of partition {partition}"


@dataclass(frozen=True, eq=False)
class Packing:
    """Arrow batches of numbers, weights and their partition's number become blocks, each an Arrow batch of one entry.

    The partition's number comes with the rows: a task may go through several, and its own context would give all of them one number.
    """

    reading: Reading
    weighted: bool

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Blocks of equal length, but for the last of a partition."""
        partition, first, held = 0, 0, 0
        D, dtype = len(self.reading.columns), self.reading.dtype
        most = max(LEAST, min(MOST, BLOCK_BYTES // (D * dtype.itemsize)))
        rows, weights = np.empty((most, D), dtype), np.empty(most if self.weighted else 0)
        for batch in batches:
            start = 0
            while start < batch.num_rows:
                count = min(batch.num_rows - start, most - held)
                part, partition = batch.slice(start, count), batch.column(batch.num_columns - 1)[0].as_py()
                try:
                    self._fill(part, rows[held : held + count], weights[held : held + count], partition, first + held)
                except DataError as error:
                    yield _packed(partition, first, FAILED, np.empty(0), np.frombuffer(pickle.dumps(error), np.uint8))
                    return
                start, held = start + count, held + count
                if held == most:
                    yield _packed(partition, first, held, weights, rows)
                    first, held = first + held, 0
        if held:
            yield _packed(partition, first, held, weights[:held], rows[:held])

    def _fill(self, batch: Any, rows: NDArray[Any], weights: NDArray[np.float64], partition: int, first: int) -> None:
        *values, _ = batch.columns
        numbers = values.pop() if self.weighted else None
        if (wrong := self.reading.fill(values, rows)) is not None:
            raise self.reading.other_width(len(values[0][wrong]), place(partition, first + wrong))
        if numbers is None:
            return
        weights[:] = numbers.to_numpy(zero_copy_only=False)
        if (bad := np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))).size:
            raise DataError(
                f"a weight is not usable: got {weights[bad[0]]} in {place(partition, first + int(bad[0]))}, expected a finite number >= 0; "
                "try removing the row"
            )


@dataclass(frozen=True, eq=False)
class Unpacking:
    """Bytes become blocks of arrays again, without a copy."""

    D: int
    dtype: np.dtype[Any]
    weighted: bool
    starts: NDArray[np.int64]

    def __call__(self, sent: Iterator[Any]) -> Iterator[tuple[int, Block]]:
        """Each after the number of its partition."""
        for packed in map(Packed.of, sent):
            count = packed.length if self.weighted else 0
            rows = np.frombuffer(packed.bytes, self.dtype, packed.length * self.D, offset=8 * count).reshape(-1, self.D)
            weights = np.frombuffer(packed.bytes, np.float64, count) if self.weighted else None
            yield packed.partition, Block(int(self.starts[packed.partition]) + packed.first, rows, weights)


class Partial(NamedTuple):
    """The sum over some partitions, the first of which is told, and how many rows it is of; or what was found wrong with them."""

    partition: int
    rows: int
    failed: bool
    result: bytes

    def opened(self) -> Any:
        """The sum. Raises what was found wrong instead, where something was."""
        result = pickle.loads(self.result)  # noqa: S301  of this program's own making
        if self.failed:
            raise result
        return result


@dataclass(frozen=True, eq=False)
class Counting:
    """Bytes of blocks become partials that count the rows of each partition, or say why they could not be packed."""

    def __call__(self, sent: Iterator[Any]) -> Iterator[Partial]:
        """One for each partition that has rows."""
        for partition, blocks in groupby(map(Packed.of, sent), lambda packed: packed.partition):
            rows, error = 0, None
            for packed in blocks:
                if packed.length == FAILED:
                    error = bytes(packed.bytes)
                else:
                    rows += packed.length
            yield Partial(partition, rows, error is not None, error or b"")


@dataclass(frozen=True, eq=False)
class Summing:
    """Bytes of blocks become partials: the sum of a task over the blocks of each partition, in their order."""

    task: bytes
    unpacking: Unpacking

    def __call__(self, sent: Iterator[Any]) -> Iterator[Partial]:
        """One for each partition that has rows."""
        task = loaded(self.task)
        settle()
        for partition, numbered in groupby(self.unpacking(sent), lambda pair: pair[0]):
            yield _summed(partition, task, (block for _, block in numbered))


@dataclass(frozen=True, eq=False)
class Mapping:
    """Bytes of blocks become the results of a task, a partial each; the rows of every block are seen to be finite first."""

    task: bytes
    unpacking: Unpacking
    columns: tuple[str, ...]

    def __call__(self, sent: Iterator[Any]) -> Iterator[Partial]:
        """Under the number of their partition; the first failure is the last of them."""
        task, where = loaded(self.task), Place(self.unpacking.starts)
        for partition, block in self.unpacking(sent):
            try:
                result = task(require_finite(block, self.columns, where))
            except MixturaError as error:
                yield Partial(partition, len(block.rows), True, pickle.dumps(error))
                return
            yield Partial(partition, len(block.rows), False, pickle.dumps(result))


@dataclass(frozen=True, eq=False)
class Adding:
    """Partials in the order of their partitions become one for every `size` partitions."""

    size: int

    def __call__(self, partials: Iterator[Partial]) -> Iterator[Partial]:
        """Under the number of the first partition of each."""
        for _, some in groupby(partials, lambda partial: partial.partition // self.size):
            yield add(some)


@dataclass(frozen=True, eq=False)
class Asking:
    """Structures of the chosen columns become the answers to a question; the rows of every batch are seen to be finite first."""

    question: bytes
    reading: Reading

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Arrow arrays of numbers, or of lists of them."""
        question: Question = loaded(self.question)
        partition, start = _partition(), 0
        for batch in batches:
            rows = np.empty((len(batch), len(self.reading.columns)), self.reading.dtype)
            if (wrong := self.reading.fill(batch.flatten(), rows)) is not None:
                raise self.reading.other_width(len(batch.flatten()[0][wrong]), place(partition, start + wrong))
            block = require_finite(Block(start, rows, None), self.reading.columns, functools.partial(place, partition))
            yield _arrow(question(block))
            start += len(rows)


def add(partials: Iterator[Partial]) -> Partial:
    """Their sum from left to right; the first that has failed, where one has."""
    first = next(partials)
    rows, total = first.rows, None if first.failed else first.opened()
    failure = first if first.failed else None
    for partial in partials:
        rows += partial.rows
        if failure is None and partial.failed:
            failure = partial
        if failure is None:
            total += partial.opened()
    return Partial(first.partition, rows, failure is not None, pickle.dumps(total) if failure is None else failure.result)


def _summed(partition: int, task: Callable[[Block], Any], blocks: Iterator[Block]) -> Partial:
    rows, total = 0, None
    try:
        for block in blocks:
            term = task(block)
            if rows:
                total += term
            else:
                total = term
            rows += len(block.rows)
    except MixturaError as error:
        return Partial(partition, rows, True, pickle.dumps(error))
    return Partial(partition, rows, False, pickle.dumps(total))


@lru_cache(maxsize=4)
def loaded(task: bytes) -> Any:
    """The task that these bytes are, with all that it makes ready once: a worker meets it again in every partition."""
    return pickle.loads(task)  # noqa: S301  from the program that asked for it, as the function itself is


@lru_cache(maxsize=1)
def settle() -> None:
    """Takes all that was imported out of the collector's sight, once: Spark's daemon collects garbage after every task, and would look it through."""
    gc.freeze()


def _partition() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None
    return int(context.partitionId())


def _packed(partition: int, first: int, length: int, weights: NDArray[np.float64], rows: NDArray[Any]) -> Any:
    import pyarrow

    size = 8 * HEADER + weights.nbytes + rows.nbytes
    block = np.zeros(-(-size // 8) * 8, np.uint8)  # so that the next begins at a multiple of 8 too
    block[: 8 * HEADER].view(np.int64)[:] = partition, first, length
    block[8 * HEADER : 8 * HEADER + weights.nbytes] = weights.view(np.uint8)
    block[8 * HEADER + weights.nbytes : size] = rows.reshape(-1).view(np.uint8)
    return pyarrow.RecordBatch.from_arrays([binary([block])], names=["block"])


def binary(buffers: list[Any]) -> Any:
    """An Arrow array of these bytes, not copied where there is one piece."""
    import pyarrow

    if len(buffers) != 1:
        return pyarrow.array([bytes(buffer) for buffer in buffers], pyarrow.binary())
    data = pyarrow.py_buffer(buffers[0])
    return pyarrow.Array.from_buffers(pyarrow.binary(), 1, [None, pyarrow.py_buffer(np.array([0, data.size], np.int32)), data])


def _arrow(answers: NDArray[Any]) -> Any:
    import pyarrow

    if answers.ndim == 1:
        return pyarrow.array(answers)
    offsets = np.arange(0, answers.size + 1, answers.shape[1], dtype=np.int32)
    return pyarrow.ListArray.from_arrays(pyarrow.array(offsets), pyarrow.array(answers.ravel()))
