"""Which columns of a Spark DataFrame are rows' numbers, and how Arrow batches of them become arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError, ParameterError
from mixtura.sources import tables

TRANSPOSED = 4_096  # rows that are written column by column: their part of the table stays in a core's L2 cache
SQL = {np.dtype(np.float64): "DOUBLE", np.dtype(np.float32): "FLOAT"}


@dataclass(frozen=True)
class Reading:
    """How the values of Arrow arrays are laid out in rows (n, D): a column each, or one column of lists where `listed`."""

    columns: tuple[str, ...]
    dtype: np.dtype[Any]
    listed: str | None

    def fill(self, values: Sequence[Any], rows: NDArray[Any]) -> int | None:
        """Writes these arrays into rows (n, D), nulls as NaN; the number of the first list that is of another length, where there is one."""
        if self.listed is not None:
            return self._unpack(values[0], rows)
        columns = [column.to_numpy(zero_copy_only=False) for column in values]
        for start in range(0, len(rows), TRANSPOSED):
            part = slice(start, start + TRANSPOSED)
            for j, column in enumerate(columns):
                rows[part, j] = column[part]
        return None

    def other_width(self, got: int, place: str) -> DataError:
        """What is to be said of a list of another length."""
        return DataError(
            f"column {self.listed!r} holds arrays of several lengths: got {got} numbers in {place}, expected {len(self.columns)}; "
            "try arrays of one length"
        )

    def _unpack(self, lists: Any, rows: NDArray[Any]) -> int | None:
        valid = np.asarray(lists.is_valid().to_numpy(zero_copy_only=False))
        lengths = lists.value_lengths().fill_null(len(self.columns)).to_numpy(zero_copy_only=False)
        if (wrong := np.flatnonzero(lengths != len(self.columns))).size:
            return int(wrong[0])
        numbers = lists.flatten().to_numpy(zero_copy_only=False).reshape(-1, len(self.columns))
        if valid.all():
            rows[:] = numbers
        else:
            rows[~valid] = np.nan
            rows[valid] = numbers
        return None


class Choice(NamedTuple):
    """The columns that were chosen: as expressions of Spark, and as they are read; and the names of those left out for holding no numbers."""

    expressions: list[Any]
    reading: Reading
    skipped: tuple[str, ...]


def choose(frame: Any, columns: Sequence[str] | None, weight: str | None) -> Choice:
    """All numeric columns but the weight, or those named; one column of arrays or vectors stands for as many columns as it is wide.

    Raises DataError for unknown columns, text in a chosen one, and where it is not clear which columns are meant.
    """
    fields = {field.name: field for field in frame.schema.fields}
    known = [field.name for field in frame.schema.fields]
    if twice := [name for name in fields if known.count(name) > 1]:
        raise DataError(f"column {twice[0]!r} is there twice: got {tables.listing(known)}, expected different names; try renaming one")
    if weight is not None:
        tables.choose(known, [weight])
        _require_number(fields[weight])
    lists = [name for name in known if _is_listed(fields[name])]
    if columns is None:
        return _all(frame, fields, lists, weight)
    if not all(name in known for name in columns) and (listed := _expanded(columns, lists)) is not None:
        return Choice(_list(fields[listed]), Reading(tuple(columns), _dtype([fields[listed]]), listed), ())
    chosen = tables.choose(known, columns)
    if len(chosen) == 1 and chosen[0] in lists:
        return _of_list(frame, fields[chosen[0]], ())
    for name in chosen:
        if name in lists:
            raise DataError(f"column {name!r} holds arrays: got it beside {len(chosen) - 1} more, expected it alone; try columns=[{name!r}]")
        _require_number(fields[name])
    return _of_numbers(fields, chosen, ())


def weight_of(weight: str) -> Any:
    """The weights as an expression of Spark."""
    from pyspark.sql import functions

    return functions.expr(f"CAST({_quoted(weight)} AS DOUBLE)").alias("weight")


def _all(frame: Any, fields: dict[str, Any], lists: list[str], weight: str | None) -> Choice:
    numbers = tuple(name for name in fields if _is_number(fields[name].dataType) and name != weight)
    if lists and (numbers or len(lists) > 1):
        beside = f"numbers in {tables.listing(numbers)} and " if numbers else ""
        raise DataError(f"the columns are not clear: got {beside}arrays in {tables.listing(lists)}, expected a choice; try columns=[{lists[0]!r}]")
    if not lists and not numbers:
        raise DataError(f"no column is numeric: got {tables.listing(list(fields))}, expected at least one column of numbers; try converting one")
    skipped = tuple(name for name in fields if name not in (*numbers, *lists, weight))
    return _of_list(frame, fields[lists[0]], skipped) if lists else _of_numbers(fields, numbers, skipped)


def _of_numbers(fields: dict[str, Any], names: tuple[str, ...], skipped: tuple[str, ...]) -> Choice:
    from pyspark.sql import functions

    dtype = _dtype([fields[name] for name in names])
    casts = [functions.expr(f"CAST({_quoted(name)} AS {SQL[dtype]})").alias(f"x{j}") for j, name in enumerate(names)]
    return Choice(casts, Reading(names, dtype, None), skipped)


def _of_list(frame: Any, field: Any, skipped: tuple[str, ...]) -> Choice:
    expressions, name = _list(field), field.name
    width = (field.metadata or {}).get("ml_attr", {}).get("num_attrs")
    if width is None:
        first = frame.select(*expressions).where("x IS NOT NULL").selectExpr("size(x)").head()
        if first is None:
            raise DataError(f"no rows: got none with numbers in {name!r}, expected at least one; try other data")
        width = first[0]
    if width < 1:
        raise DataError(f"column {name!r} holds no numbers: got arrays of length {width}, expected at least one number in each; try other data")
    return Choice(expressions, Reading(tuple(f"{name}_{j}" for j in range(width)), _dtype([field]), name), skipped)


def _list(field: Any) -> list[Any]:
    """The column of arrays as an expression."""
    from pyspark.sql import functions

    if _is_vector(field.dataType):
        from pyspark.ml.functions import vector_to_array

        return [vector_to_array(functions.expr(_quoted(field.name))).alias("x")]
    return [functions.expr(f"CAST({_quoted(field.name)} AS ARRAY<{SQL[_dtype([field])]}>)").alias("x")]


def _expanded(columns: Sequence[str], lists: list[str]) -> str | None:
    """The column of arrays whose entries these are the names of, all of them in order."""
    return next((name for name in lists if list(columns) == [f"{name}_{j}" for j in range(len(columns))]), None)


def _dtype(fields: list[Any]) -> np.dtype[Any]:
    from pyspark.sql.types import FloatType

    return np.dtype(np.float32 if all(isinstance(getattr(f.dataType, "elementType", f.dataType), FloatType) for f in fields) else np.float64)


def _is_number(kind: Any) -> bool:
    from pyspark.sql.types import BooleanType, NumericType

    return isinstance(kind, NumericType | BooleanType)


def _is_vector(kind: Any) -> bool:
    return type(kind).__name__ == "VectorUDT"


def _is_listed(field: Any) -> bool:
    from pyspark.sql.types import ArrayType

    return _is_vector(field.dataType) or (isinstance(field.dataType, ArrayType) and _is_number(field.dataType.elementType))


def _require_number(field: Any) -> None:
    if not _is_number(field.dataType):
        raise DataError(
            f"column {field.name!r} is not numeric: got {field.dataType.simpleString()}, expected numbers; try leaving it out or converting it"
        )


def require_frame(data: Any) -> Any:
    """A DataFrame of Spark, also that beneath one of pandas-on-Spark. Raises ParameterError for all else, and DataError for a stream."""
    frame = data.to_spark() if hasattr(type(data), "to_spark") else data
    if not hasattr(type(frame), "mapInArrow"):
        raise ParameterError(f"rows on Spark are a DataFrame: got {type(data).__name__}, expected pyspark.sql.DataFrame; try rdd.toDF()")
    if frame.isStreaming:
        raise DataError("the rows never end: got a streaming DataFrame, expected one that can be read again; try foreachBatch")
    return frame


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
