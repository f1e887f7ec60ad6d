"""A partition of a Dask collection on its worker: made ready once, cut into blocks as an array would be, worked on there.

These functions run in the workers' processes, several at a time in the threads of one. They change nothing that they are given: a worker that
dies has its part of the work done again, from the same inputs. What they refuse comes to the client as a value, and is raised there: Dask's workers
write down a traceback of all that is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce, wraps
from itertools import pairwise
from operator import add
from typing import Any, NamedTuple, TypeVar

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError, MixturaError
from mixtura.sources import tables
from mixtura.sources.arrays import block_bounds
from mixtura.sources.source import Question
from mixtura.sources.tasks import Block, require_finite
from mixtura.sources.workers import sum_in_order

S = TypeVar("S")


class Table(NamedTuple):
    """The rows (n, D) of a partition, contiguous, and their weights (n,) or None. A tuple, of which Dask knows how much memory it takes."""

    rows: NDArray[Any]
    weights: NDArray[np.float64] | None


@dataclass(frozen=True)
class Share:
    """Which of all rows a partition holds: `length` rows, the first of which has the number `start`."""

    partition: int
    start: int
    length: int

    def place(self, row: int) -> str:
        """Where a row lies, for a message."""
        return f"row {row - self.start} of partition {self.partition} (row {row} of all)"


class Columns(NamedTuple):
    """What is taken of each partition: columns of these names, as numbers of one dtype; `weight` names that of the weights in a data frame.

    `labels` are the names of all columns that a data frame's partitions come with, those and perhaps the weight's.
    """

    names: tuple[str, ...]
    dtype: np.dtype[Any]
    labels: tuple[str, ...] = ()
    weight: str | None = None

    def rows(self, part: Any, partition: int) -> NDArray[Any]:
        """The rows of a partition. Raises DataError where it is not as wide as the collection says, or holds other things than numbers."""
        if not self.labels:
            array = np.asarray(part)
            if array.ndim != 2 or array.shape[1] != len(self.names):
                raise DataError(
                    f"a partition does not fit the collection: got shape {array.shape} in partition {partition}, expected (rows, {len(self.names)}); "
                    "try a collection whose shape is that of its chunks"
                )
            rows = array
        else:
            rows = tables.to_rows(self._frame(part), self.names)
        return np.require(rows, self.dtype, ["C", "A", "W"])

    def weights(self, part: Any) -> NDArray[Any] | None:
        """The column of weights, if there is one."""
        return None if self.weight is None else tables.to_rows(self._frame(part), [self.weight])[:, 0]

    def _frame(self, part: Any) -> Any:
        return nw.from_native(part.set_axis(list(self.labels), axis=1), eager_only=True)


def _refusing(function: Callable[..., S]) -> Callable[..., S | MixturaError]:
    """The function, which returns a MixturaError rather than raise it, and hands on the first that it is given."""

    @wraps(function)
    def call(*arguments: Any) -> S | MixturaError:
        try:
            return next((one for one in arguments if isinstance(one, MixturaError)), None) or function(*arguments)
        except MixturaError as error:
            return error

    return call


@_refusing
def table(part: Any, columns: Columns, partition: int, weights: Any = None) -> Table:
    """A partition of an array or data frame, ready to be worked on; `weights` (n,) are those of an array beside it."""
    rows = columns.rows(part, partition)
    own = columns.weights(part) if weights is None else weights
    return Table(rows, None if own is None else _usable(own, len(rows), partition))


@_refusing
def weighed(bare: Table, weights: Any, partition: int) -> Table:
    """The same rows with weights (n,)."""
    return Table(bare.rows, _usable(weights, len(bare.rows), partition))


def _usable(weights: Any, rows: int, partition: int) -> NDArray[np.float64]:
    """The weights (n,). Raises DataError for any that is no finite number >= 0."""
    numbers = np.array(weights, dtype=np.float64)
    if numbers.shape != (rows,):
        raise DataError(
            f"the weights do not fit the rows: got shape {numbers.shape} in partition {partition}, expected ({rows},); "
            "try weights that are cut as the rows are"
        )
    usable = np.isfinite(numbers) & (numbers >= 0)
    if not usable.all():
        row = int(np.flatnonzero(~usable)[0])
        raise DataError(
            f"a weight is not usable: got {numbers[row]} in row {row} of partition {partition}, expected a finite number >= 0; try removing the row"
        )
    return numbers


@_refusing
def length(ready: Table) -> list[int]:
    """How many rows, as a list, which adds to those of other partitions."""
    return [len(ready.rows)]


def given(task: Any) -> Any:
    """The task itself, as a result of its own: it travels once to each worker, and comes again to one that takes the place of another."""
    return task


@_refusing
def summed(ready: Table, share: Share, task: Callable[[Block], S]) -> S:
    """The sum of task(block) over the partition's blocks, in row order."""
    return sum_in_order(task, _blocks(ready, share), 1)


@_refusing
def answered(ready: Table, share: Share, task: Callable[[Block], Any], columns: Sequence[str]) -> list[Any]:
    """task(block) for each of the partition's blocks, in row order, after checking that its rows are finite."""
    return [task(require_finite(block, columns, share.place)) for block in _blocks(ready, share)]


def total(parts: list[Any]) -> Any:
    """The sum of these, from left to right, in a new array or list; or the first refusal among them."""
    return next((one for one in parts if isinstance(one, MixturaError)), None) or reduce(add, parts)


def answers(part: Any, question: Question, columns: Columns, block_id: tuple[int, ...] = (0,)) -> NDArray[Any]:
    """The question's answers for the rows of a chunk of an array: (n,) or (n, width)."""
    partition = block_id[0]
    rows = columns.rows(part, partition)
    if not len(rows):
        return np.empty((0,) if question.width is None else (0, question.width), question.dtype)
    return question(require_finite(Block(0, rows, None), columns.names, lambda row: f"row {row} of partition {partition}"))


def frame_of_answers(part: Any, question: Question, columns: Columns, partition_info: dict[str, Any] | None = None) -> Any:
    """The same for a partition of a data frame, as a series or frame with its index."""
    return labelled(answers(part, question, columns, ((partition_info or {}).get("number", 0),)), question.name, part.index)


def labelled(values: NDArray[Any], name: str, index: Any = None) -> Any:
    """Answers as a pandas series, or as a frame with columns component_0, component_1, ..."""
    import pandas

    if values.ndim == 1:
        return pandas.Series(values, index, name=name)
    return pandas.DataFrame(values, index, [f"component_{k}" for k in range(values.shape[1])])


def _blocks(ready: Table, share: Share) -> list[Block]:
    rows, weights = ready
    if len(rows) != share.length:
        raise DataError(
            f"the rows are not as many as the collection said: got {len(rows)} in partition {share.partition}, expected {share.length}; "
            "try compute_chunk_sizes(), or a collection that is the same whenever it is computed"
        )
    bounds = pairwise(block_bounds(*rows.shape))
    return [Block(share.start + first, rows[first:last], None if weights is None else weights[first:last]) for first, last in bounds]
