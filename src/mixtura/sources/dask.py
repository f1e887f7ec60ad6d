"""Dask collections: rows stay on the workers, as tables that are made ready once; what travels in a sweep is the mixture and K x F tables.

    collection --persist--> a table for each partition --sweep--> a sum for each --tree, in one order--> the client

Each table is cut into blocks as an array's would be, a function of its shape alone. So the bits of a sum do not depend on how many workers there
are, nor on which of them die: Dask computes a lost table anew from the collection's graph.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import dask.array
import dask.base
import distributed  # noqa: F401  # a missing one is told where the source is made, not in the first pass
import narwhals as nw
import numpy as np
from dask import delayed
from numpy.typing import ArrayLike, NDArray

from mixtura.errors import DataError, ParameterError
from mixtura.properties import cached_property
from mixtura.sources import tables
from mixtura.sources.arrays import as_weights
from mixtura.sources.dask_crew import Crew
from mixtura.sources.dask_partition import Columns, Share, answered, answers, frame_of_answers, given, labelled, length, summed, table, weighed
from mixtura.sources.source import Passed, Question, Source
from mixtura.sources.tasks import Block

S = TypeVar("S")


class DaskSource(Source):
    """The rows of a dask.array (N, D), or the chosen columns (all numeric ones by default) of a dask.dataframe, on the active client's workers.

    `weight` names a column, or is an array of weights (N,): of Dask, cut as the rows are, or of NumPy. Chunks of unknown length are counted. Nothing
    is computed until the first pass, which keeps the tables on the workers for as long as the source lives; where no client is active, that
    starts one on this machine.

    Raises DataError for other collections, text, unknown columns and shapes that do not fit, ParameterError for a weight that makes no sense.
    """

    def __init__(self, data: Any, columns: Sequence[str] | None, weight: str | ArrayLike | None):
        kind = [*type(data).__module__.split("."), ""][1]
        if kind == "array" and isinstance(data, dask.array.Array):
            self._take_array(data, columns, weight)
        elif kind == "dataframe" and getattr(data, "ndim", None) == 2:
            self._take_frame(data, columns, weight)
        else:
            raise DataError(
                f"this Dask collection is no table: got {type(data).__name__}, expected an array (N, D) or a data frame; "
                "try .to_frame(), .to_dataframe() or dask.array"
            )
        self._weight = weight

    def _take_array(self, data: Any, columns: Sequence[str] | None, weight: str | ArrayLike | None) -> None:
        if data.ndim != 2 or data.shape[1] == 0 or np.isnan(data.shape[1]) or data.dtype.kind not in "fiub":
            raise DataError(
                f"the Dask array is no table of numbers: got shape {data.shape} of {data.dtype}, expected (rows, columns) of numbers; "
                "try x[:, None] for one column, x.astype(float), or compute_chunk_sizes() for a number of columns that is not known"
            )
        if isinstance(weight, str):
            raise ParameterError(f"an array has no column of weights: got weight={weight!r}, expected numbers; try an array of them")
        D = data.shape[1]
        if columns is not None and len(columns) != D:
            raise DataError(f"the names do not fit the array: got {tables.listing(columns)}, expected {D} of them; try one for each column")
        self.named = columns is not None
        self.columns = tuple(columns) if columns is not None else tuple(f"x{j}" for j in range(D))
        self.dtype = np.dtype(np.float32 if data.dtype == np.float32 else np.float64)
        self.origin = "Dask array"
        self._data = data if data.numblocks[1] == 1 else data.rechunk({1: -1})
        self._columns = Columns(self.columns, self.dtype)

    def _take_frame(self, data: Any, columns: Sequence[str] | None, weight: str | ArrayLike | None) -> None:
        labels = {str(label): label for label in data.columns}
        if len(labels) < len(data.columns):
            raise DataError(
                f"a column is there twice: got {tables.listing(list(map(str, data.columns)))}, expected different names; try renaming one"
            )
        schema = nw.from_native(data._meta.set_axis(list(labels), axis=1), eager_only=True).schema
        by_name = weight if isinstance(weight, str) else None
        self.named, self.origin = True, "Dask data frame"
        self.columns = tables.numeric(schema, but=by_name) if columns is None else tables.choose(list(labels), columns)
        self.skipped = tuple(name for name in labels if name not in self.columns and name != by_name) if columns is None else ()
        taken = tuple(dict.fromkeys([*self.columns, *([] if by_name is None else tables.choose(list(labels), [by_name]))]))
        for name in taken:
            if not tables.is_numeric(schema[name]):
                raise DataError(f"column {name!r} is not numeric: got {schema[name]}, expected numbers; try leaving it out or converting it")
        self.dtype = np.dtype(np.float32 if all(schema[name] == nw.Float32 for name in self.columns) else np.float64)
        self._data = data[[labels[name] for name in taken]]
        self._columns = Columns(self.columns, self.dtype, taken, by_name)

    @property
    def n_rows(self) -> int:
        """How many rows, those of weight zero among them; counted on the workers where the collection does not say."""
        return int(sum(self._lengths))

    @property
    def engine(self) -> str:
        """So many workers, and the partitions that they hold."""
        partitions = len(self._parts(self._data))
        return f"Dask: {self._crew.words}, {partitions} partition{'s' * (partitions != 1)}"

    @property
    def fingerprint(self) -> str:
        """Dask's own name for the collection, the columns and the weights."""
        weight = self._weight if isinstance(self._weight, str | None) else dask.base.tokenize(self._weight)
        return f"{self.origin} {dask.base.tokenize(self._data)}\ncolumns {', '.join(self.columns)}\nweight {weight}"

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks: of each partition in row order on its worker, of the partitions by a tree of fixed shape."""
        try:
            ready, shares = self._shares
            sent = self._crew.submit(given, task)
            sums = self._crew.map(_name(task), summed, ready, shares, [sent] * len(shares))
            sent.release()
            result: S = self._crew.sum(sums)
        except KeyboardInterrupt:
            self._let_go()
            raise
        self._tell(shares[-1])
        return result

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite; the results of a few partitions wait their turn."""
        waiting: deque[tuple[Share, Any]] = deque()
        try:
            ready, shares = self._shares
            sent, ahead = self._crew.submit(given, task), self._crew.ahead
            for one, share in zip(ready, shares, strict=True):
                waiting.append((share, self._crew.submit(answered, one, share, sent, self.columns)))
                if len(waiting) > ahead:
                    yield from self._next(waiting)
            while waiting:
                yield from self._next(waiting)
        except KeyboardInterrupt:
            self._let_go()
            raise
        finally:
            for _, future in waiting:
                future.release()

    def each(self, question: Question) -> Any:
        """The question's answers for all rows, lazily: a Dask array (N,) or (N, width); of a data frame, a series or frame with its index.

        Nothing runs until they are computed or written; rows that are not finite are refused then.
        """
        asked = delayed(question, pure=False, traverse=False)
        empty = np.empty((0,) if question.width is None else (0, question.width), question.dtype)
        if self._columns.labels:
            plain = self._columns._replace(weight=None)
            return self._data.map_partitions(frame_of_answers, asked, columns=plain, meta=labelled(empty, question.name))
        rows = self._data.chunks[0]
        if np.isnan(rows).any() and "_lengths" in vars(self):
            rows = self._lengths
        shape = {"drop_axis": 1, "chunks": (rows,)} if question.width is None else {"chunks": (rows, (question.width,))}
        return self._data.map_blocks(answers, question=asked, columns=self._columns, dtype=question.dtype, meta=empty, **shape)

    def place(self, row: int) -> str:
        """Partition, and row within it."""
        _, shares = self._shares
        return next(share for share in reversed(shares) if share.start <= row).place(row)

    @cached_property
    def _crew(self) -> Crew:
        return Crew.at_hand()

    @cached_property
    def _tables(self) -> list[Any]:
        """The futures of the partitions' tables."""
        parts = self._parts(self._data)
        beside = self._weight if not isinstance(self._weight, str) else None
        lazily = beside is not None and dask.base.is_dask_collection(beside)
        weights = self._lazy_weights(beside, len(parts)) if lazily else [None] * len(parts)
        make = delayed(table, pure=False, traverse=False)
        ready = self._crew.compute([make(part, self._columns, i, weight) for i, (part, weight) in enumerate(zip(parts, weights, strict=True))])
        if beside is None or lazily:
            return ready
        ends = np.cumsum(self._counted(ready))
        return self._crew.map("weighed", weighed, ready, np.split(as_weights(beside, int(ends[-1])), ends[:-1]), range(len(ready)))

    def _lazy_weights(self, weights: Any, partitions: int) -> list[Any]:
        """The partitions of a Dask array or series of weights."""
        if getattr(weights, "ndim", None) != 1:
            raise DataError(f"sample_weight does not fit the data: got {type(weights).__name__}, expected one number per row; try a series or array")
        if isinstance(weights, dask.array.Array) and isinstance(self._data, dask.array.Array):
            rows, cuts = self._data.shape[0], self._data.chunks[0]
            if not np.isnan([rows, *weights.shape]).any() and weights.shape != (rows,):
                raise DataError(f"sample_weight does not fit the data: got shape {weights.shape}, expected ({rows},); try one weight per row")
            if not np.isnan([*cuts, *weights.chunks[0]]).any():
                weights = weights.rechunk((cuts,))
        parts = self._parts(weights)
        if len(parts) != partitions:
            raise DataError(
                f"the weights are not cut as the rows are: got {len(parts)} partitions, expected {partitions}; try the same chunks or divisions"
            )
        return parts

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        """How many rows each partition has."""
        if isinstance(self._data, dask.array.Array) and not np.isnan(self._data.chunks[0]).any():
            return tuple(map(int, self._data.chunks[0]))
        return tuple(self._counted(self._tables))

    def _counted(self, ready: list[Any]) -> list[int]:
        counts: list[int] = self._crew.sum(self._crew.map("length", length, ready))
        return counts

    @cached_property
    def _shares(self) -> tuple[list[Any], list[Share]]:
        """The tables that hold rows, and which of all rows these are."""
        starts = np.cumsum([0, *self._lengths])
        shares = [Share(i, int(starts[i]), rows) for i, rows in enumerate(self._lengths) if rows]
        if not shares:
            raise DataError(f"no rows: got {len(self._lengths)} partitions without any, expected at least one; try other data")
        return [self._tables[share.partition] for share in shares], shares

    def _next(self, waiting: deque[tuple[Share, Any]]) -> Iterator[NDArray[Any]]:
        share, future = waiting[0]
        results = self._crew.result(future)
        waiting.popleft()
        self._tell(share)
        yield from results

    def _tell(self, share: Share) -> None:
        if self.watch is not None:
            self.watch(Passed(share.start + share.length, self.n_rows, None, None))

    def _let_go(self) -> None:
        """After an interrupt: tables that are not ready are not made, and those that are stay."""
        if any(one.status == "pending" for one in vars(self).get("_tables", ())):
            for name in ("_tables", "_shares"):
                vars(self).pop(name, None)

    @staticmethod
    def _parts(collection: Any) -> list[Any]:
        """The partitions, each as a delayed value."""
        parts = collection.to_delayed()
        return list(parts.ravel()) if isinstance(parts, np.ndarray) else list(parts)


def _name(task: Any) -> str:
    return getattr(task, "__name__", type(task).__name__).lower()
