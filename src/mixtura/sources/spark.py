"""Rows of a Spark DataFrame, worked on where its partitions are.

The first pass packs the chosen columns into blocks of bytes, which Spark keeps (in memory, on disk where that is short, and made again where an
executor is lost). Later passes hand those bytes to its Python workers and bring back one sum a partition; no row is converted twice. Sums
are taken within each partition in order, then over partitions in order: the bits depend on the partitions alone, not on who worked.
"""

from __future__ import annotations

import contextlib
import math
import re
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyspark import cloudpickle

from mixtura.errors import DataError, ParameterError, WorkerError
from mixtura.properties import cached_property
from mixtura.sources import spark_columns
from mixtura.sources.source import Passed, Question, Source
from mixtura.sources.spark_blocks import Asking, Counting, Mapping, Packing, Place, Summing, Unpacking, add
from mixtura.sources.spark_kept import Kept, KeptFrame, KeptRDD
from mixtura.sources.tasks import Block, require_finite

S = TypeVar("S")
FEW = 32  # partitions whose sums may all come to the driver as they are
LIGHT = 2**23  # bytes of sums that come to the driver at once, for which adding them up before is no gain


class Held(NamedTuple):
    """The packed blocks, kept by Spark; how many rows each partition has, the number of its first, and how many bytes all blocks have."""

    kept: Kept
    lengths: NDArray[np.int64]
    starts: NDArray[np.int64]
    n_bytes: int


@dataclass(frozen=True)
class _Looked:
    """Raises DataError for the first value of a block that is not finite."""

    columns: tuple[str, ...]
    place: Place

    def __call__(self, block: Block) -> int:
        require_finite(block, self.columns, self.place)
        return 0


class SparkSource(Source):
    """The numeric columns of a DataFrame, or those named, or one column of arrays or vectors; `weight` names a column of row weights.

    A column of arrays or vectors called v becomes columns v_0, v_1, ... Rows are numbered in the order of their partitions, and must be the
    same whenever Spark computes the DataFrame. `close` gives back what Spark keeps; so does the end of the source.

    Raises DataError for unknown columns, text in a chosen one, and weights that are no numbers.
    """

    def __init__(self, data: Any, columns: Sequence[str] | None = None, weight: str | ArrayLike | None = None):
        if weight is not None and not isinstance(weight, str):
            raise ParameterError("weights of rows on Spark are a column: got numbers, expected a name; try weight='name'")
        self.data = spark_columns.require_frame(data)
        self.weight = weight
        self._choice = spark_columns.choose(self.data, columns, weight)
        self._reading = self._choice.reading
        self.columns, self.dtype, self.skipped = self._reading.columns, self._reading.dtype, self._choice.skipped
        self.named = True
        self.origin = "Spark DataFrame"

    @property
    def n_rows(self) -> int:
        """How many rows, those of weight zero among them; the first to ask has them packed."""
        return int(self._held.lengths.sum())

    @property
    def engine(self) -> str:
        """The master, and how many partitions it has been found to work on."""
        if "_held" not in vars(self):
            return f"Spark: {self.data.sparkSession.sparkContext.master if self._is_classic else 'Connect'}"
        count = len(self._held.lengths)
        return f"Spark: {self._held.kept.place}, {count} partition{'s' * (count > 1)}"

    @property
    def fingerprint(self) -> str:
        """Columns and weight: what a DataFrame reads may be anything."""
        return f"{super().fingerprint}, weight {self.weight}"

    def reduce(self, task: Callable[[Block], S]) -> S:
        """The sum of task(block) over all blocks, added within each partition in order, then over partitions in order."""
        held, count = self._held, len(self._held.lengths)
        many = count > FEW and count * self._size(task) > LIGHT
        size = max(FEW, math.ceil(math.sqrt(count))) if many else None
        with _watched(held.kept, "a pass over the rows"):
            partials = held.kept.partials(Summing(cloudpickle.dumps(task), self._unpacking), held.n_bytes, size)
        partials.sort(key=lambda partial: partial.partition)
        total = add(iter(partials))
        result: S = total.opened()
        self._require_same(total.rows)
        if self.watch is not None:
            self.watch(Passed(self.n_rows, self.n_rows, held.n_bytes, held.n_bytes))
        return result

    def map(self, task: Callable[[Block], NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """task(block) for every block, in row order, after checking that its rows are finite; a partition's results come at a time."""
        held, seen = self._held, 0
        with _watched(held.kept, "a pass over the rows"):
            for partial in held.kept.in_order(Mapping(cloudpickle.dumps(task), self._unpacking, self.columns)):
                yield partial.opened()
                seen += partial.rows
        self._require_same(seen)

    def each(self, question: Question) -> Any:
        """The caller's DataFrame with one more column, named as the question (in place of one of that name): lazily, nothing is computed here."""
        import pyarrow
        from pyspark.sql import functions

        number = "long" if question.dtype == np.int64 else "double"
        asking = Asking(cloudpickle.dumps(question), self._reading)

        def answers(batches: Any) -> Any:
            return asking(batches)

        answers.__annotations__ = {"batches": Iterator[pyarrow.Array], "return": Iterator[pyarrow.Array]}  # by which Spark knows what it takes
        function = functions.arrow_udf(answers, number if question.width is None else f"array<{number}>")
        return self.data.withColumn(question.name, function(functions.struct(*self._choice.expressions)))

    def refuse_not_finite(self) -> None:
        """Looks for the first value that is not finite. Raises DataError naming it, where there is one."""
        self.reduce(_Looked(self.columns, Place(self._held.starts)))

    def place(self, row: int) -> str:
        """Where a row lies: its partition, and its number within it."""
        return Place(self._held.starts)(row)

    def close(self) -> None:
        """Lets Spark forget the packed blocks; another pass would pack them again."""
        if "_held" in vars(self):
            self._finalizer()
            del self._held

    @cached_property
    def _held(self) -> Held:
        from pyspark.sql import functions

        weight = [] if self.weight is None else [spark_columns.weight_of(self.weight)]
        chosen = [*self._choice.expressions, *weight, functions.spark_partition_id().alias("partition")]
        kind = KeptRDD if self._is_classic else KeptFrame
        with _translated("packing the rows"):
            kept = kind(self.data.select(*chosen), Packing(self._reading, self.weight is not None))
        self._finalizer = weakref.finalize(self, _forget, kept)
        self._finalizer.atexit = False  # what Spark keeps ends with its session; asking it then may hang
        with _watched(kept, "packing the rows"):
            counts = sorted(kept.partials(Counting()), key=lambda partial: partial.partition)
        for count in counts:
            if count.failed:
                count.opened()
        if not counts:
            raise DataError("no rows: got an empty DataFrame, expected at least one row; try other data")
        lengths = np.zeros(max(kept.n_partitions or 0, counts[-1].partition + 1), np.int64)
        lengths[[count.partition for count in counts]] = [count.rows for count in counts]
        n_bytes = int(lengths.sum()) * (self.D * self.dtype.itemsize + 8 * (self.weight is not None))
        return Held(kept, lengths, np.cumsum(lengths) - lengths, n_bytes)

    @property
    def _is_classic(self) -> bool:
        from pyspark.sql import SparkSession

        return isinstance(self.data.sparkSession, SparkSession)

    @property
    def _unpacking(self) -> Unpacking:
        return Unpacking(self.D, self.dtype, self.weight is not None, self._held.starts)

    def _size(self, task: Callable[[Block], Any]) -> int:
        """The bytes of a partition's sum: those of no rows at all."""
        nothing = Block(0, np.empty((0, self.D), self.dtype), None if self.weight is None else np.empty(0))
        return len(cloudpickle.dumps(task(nothing)))

    def _require_same(self, rows: int) -> None:
        if rows != self.n_rows:
            raise DataError(
                f"the rows are not the same in every pass: got {rows}, expected {self.n_rows} as before; try a DataFrame that was written to files"
            )


@contextlib.contextmanager
def _watched(kept: Kept, what: str) -> Iterator[None]:
    """Spark's errors become one of ours, and an interruption ends the jobs that were begun here."""
    with _translated(what), kept.tagged(f"mixtura-{uuid.uuid4().hex}"):
        yield


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise WorkerError(f"Spark gave up {what}: got {_reason(error)}, expected results from every partition; {_remedy(error)}") from None


def _forget(kept: Kept) -> None:
    """Has Spark drop what it keeps, from a thread of its own: this may be called in the midst of another conversation with the JVM."""
    threading.Thread(target=_unpersist, args=(kept,), name="mixtura-unpersist", daemon=True).start()


def _unpersist(kept: Kept) -> None:
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    with contextlib.suppress(PySparkException, Py4JError, OSError):  # the session may have ended
        kept.forget()


def _reason(error: Exception) -> str:
    """The line of a long message that tells most: the last of Python's traceback, the deepest cause of Java's, or the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    python = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Interrupt): ", line) and not line.startswith(("py4j.", "org.", "java."))]
    java = [line for line in lines if "Job aborted" in line or line.startswith("Caused by: ")]
    return (python or java or lines or [type(error).__name__])[-1].removeprefix("Caused by: ")[:500]


def _remedy(error: Exception) -> str:
    text = str(error)
    if "No module named" in text:
        return "try installing mixtura and what it needs wherever executors run"
    if "exited unexpectedly" in text or "ExecutorLost" in text or "OutOfMemory" in text:
        return "try more memory for executors (spark.executor.memoryOverhead), or smaller partitions"
    return "try df.count() alone, to see whether Spark can compute the rows"
