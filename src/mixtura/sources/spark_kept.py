"""The packed blocks as Spark keeps them, and how functions get to them.

KeptRDD      sessions with a JVM of their own: bytes go to the Python workers and back as they are, with nothing to plan
KeptFrame    Spark Connect, which has no RDDs: the same blocks as a column of a DataFrame
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from mixtura.sources.spark_blocks import Adding, Packing, Partial, binary

PACKED = "block BINARY"
PARTIAL = "partition INT, rows LONG, failed BOOLEAN, result BINARY"
TASK_BYTES = 2**26  # of blocks that a task of Spark goes through: what starting one costs should be a small part

Working = Callable[[Iterator[Any]], Iterator[Partial]]  # what is done to the bytes of blocks, where they are


class Kept(ABC):
    """Packed blocks, kept in memory, on disk where that is short, and made again where they were lost."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it works, in words."""

    @property
    @abstractmethod
    def n_partitions(self) -> int | None:
        """How many partitions, those without rows among them, where that is known."""

    @abstractmethod
    def partials(self, function: Working, n_bytes: int | None = None, size: int | None = None) -> list[Partial]:
        """What the function makes of all blocks; of `n_bytes` bytes, where that is known. Those of `size` partitions are added where they are."""

    @abstractmethod
    def in_order(self, function: Working) -> Iterator[Partial]:
        """What the function makes of all blocks, partition by partition, as they come."""

    @abstractmethod
    def forget(self) -> None:
        """Has Spark keep them no longer."""

    @abstractmethod
    def tagged(self, tag: str) -> contextlib.AbstractContextManager[None]:
        """Jobs begun within carry this tag; an exception that is none of Spark's (Ctrl-C above all) ends them."""


class KeptRDD(Kept):
    """An RDD of bytes."""

    def __init__(self, frame: Any, packing: Packing):
        from pyspark import RDD, StorageLevel
        from pyspark.serializers import NoOpSerializer

        self.context = frame.sparkSession.sparkContext
        packed = frame.mapInArrow(packing, PACKED)
        encoder = self.context._jvm.org.apache.spark.sql.Encoders.BINARY()
        self.rdd = RDD(getattr(packed._jdf, "as")(encoder).javaRDD(), self.context, NoOpSerializer())
        self.rdd.persist(StorageLevel.MEMORY_AND_DISK_DESER)  # they are bytes already

    @property
    def place(self) -> str:
        """The master."""
        return str(self.context.master)

    @property
    def n_partitions(self) -> int:
        """As the RDD says."""
        return int(self.rdd.getNumPartitions())

    def partials(self, function: Working, n_bytes: int | None = None, size: int | None = None) -> list[Partial]:
        """With several partitions to a task where they are small."""
        rdd = self.rdd if n_bytes is None else self.rdd.coalesce(max(self.context.defaultParallelism, -(-n_bytes // TASK_BYTES)))
        partials = rdd.mapPartitions(function)
        if size is not None:
            groups = -(-self.n_partitions // size)
            keyed = partials.keyBy(Group(size)).groupByKey(groups)
            partials = keyed.mapPartitions(Regrouped(Adding(size)))
        found: list[Partial] = partials.collect()
        return found

    def in_order(self, function: Working) -> Iterator[Partial]:
        """A job for each partition, one ahead."""
        yield from self.rdd.mapPartitions(function).toLocalIterator(prefetchPartitions=True)

    def forget(self) -> None:
        """Without waiting for it."""
        self.rdd.unpersist()

    @contextlib.contextmanager
    def tagged(self, tag: str) -> Iterator[None]:
        """By the context's tags, which count for this thread."""
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        self.context.addJobTag(tag)
        try:
            yield
        except (PySparkException, Py4JError):
            raise
        except BaseException:
            with contextlib.suppress(PySparkException, Py4JError, OSError):
                self.context.cancelJobsWithTag(tag)
            raise
        finally:
            with contextlib.suppress(PySparkException, Py4JError, OSError):
                self.context.removeJobTag(tag)


class KeptFrame(Kept):
    """A DataFrame with a column of bytes."""

    def __init__(self, frame: Any, packing: Packing):
        from pyspark import StorageLevel

        self.session = frame.sparkSession
        self.frame = frame.mapInArrow(packing, PACKED).persist(StorageLevel.MEMORY_AND_DISK)

    @property
    def place(self) -> str:
        """Nothing more is known."""
        return "Connect"

    @property
    def n_partitions(self) -> None:
        """Only those with rows are seen."""

    def partials(self, function: Working, n_bytes: int | None = None, size: int | None = None) -> list[Partial]:
        """A task for each partition."""
        frame = self.frame.mapInArrow(InArrow(function), PARTIAL)
        if size is not None:
            from pyspark.sql import functions

            frame = frame.repartition(functions.expr(f"partition DIV {size}")).sortWithinPartitions("partition")
            frame = frame.mapInArrow(AddingInArrow(Adding(size)), PARTIAL)
        return list(_partials(frame.toArrow()))

    def in_order(self, function: Working) -> Iterator[Partial]:
        """A partition's at a time."""
        for row in self.frame.mapInArrow(InArrow(function), PARTIAL).toLocalIterator(prefetchPartitions=True):
            yield Partial(row.partition, row.rows, row.failed, bytes(row.result))

    def forget(self) -> None:
        """Without waiting for it."""
        self.frame.unpersist()

    @contextlib.contextmanager
    def tagged(self, tag: str) -> Iterator[None]:
        """By the session's tags, which count for this thread."""
        from pyspark.errors import PySparkException

        self.session.addTag(tag)
        try:
            yield
        except PySparkException:
            raise
        except BaseException:
            with contextlib.suppress(PySparkException, OSError):
                self.session.interruptTag(tag)
            raise
        finally:
            with contextlib.suppress(PySparkException, OSError):
                self.session.removeTag(tag)


@dataclass(frozen=True)
class Group:
    """The number of a partial's group of partitions."""

    size: int

    def __call__(self, partial: Partial) -> int:
        """From that of its partition."""
        return partial.partition // self.size


@dataclass(frozen=True)
class Regrouped:
    """A function of partials, in the order of their partitions, for groups of them."""

    function: Adding

    def __call__(self, groups: Iterator[tuple[int, Any]]) -> Iterator[Partial]:
        """Group by group."""
        for _, partials in groups:
            yield from self.function(iter(sorted(partials, key=lambda partial: partial.partition)))


@dataclass(frozen=True)
class InArrow:
    """A function of blocks' bytes, for Arrow batches of them."""

    function: Working

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Partials as batches."""
        sent = (entry.as_buffer() for batch in batches for entry in batch.column(0))
        return map(_batch, self.function(sent))


@dataclass(frozen=True)
class AddingInArrow:
    """Partials are added, from Arrow batches and to them."""

    function: Adding

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Partials as batches."""
        return map(_batch, self.function(partial for batch in batches for partial in _partials(batch)))


def _batch(partial: Partial) -> Any:
    import pyarrow

    kinds = pyarrow.int32(), pyarrow.int64(), pyarrow.bool_()
    values = [pyarrow.array([value], kind) for value, kind in zip(partial[:3], kinds, strict=True)]
    return pyarrow.RecordBatch.from_arrays([*values, binary([partial.result])], names=["partition", "rows", "failed", "result"])


def _partials(table: Any) -> Iterator[Partial]:
    for partition, rows, failed, result in zip(*(table.column(i) for i in range(4)), strict=True):
        yield Partial(partition.as_py(), rows.as_py(), failed.as_py(), result.as_py())
