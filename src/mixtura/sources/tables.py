"""Tables of named columns (pandas, polars, Arrow, through narwhals) and anything else that is array-like, as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError

SHOWN = 8  # names that a message lists before it only counts
TEXTS = (nw.String, nw.Categorical, nw.Object)  # kinds of column whose cells may be tried one by one


def as_frame(data: Any) -> Any:
    """The data as a narwhals frame; None where they are no table but array-like. Raises DataError where two columns have one name."""
    if isinstance(data, np.ndarray | list | tuple):
        return None
    try:
        frame = nw.from_native(data, eager_only=True, pass_through=True)
    except nw.exceptions.DuplicateError:
        names = [str(name) for name in getattr(data, "column_names", data.columns)]  # Arrow's columns are not names
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"column {twice!r} is there twice: got {listing(names)}, expected different names; try renaming one") from None
    return frame if isinstance(frame, nw.DataFrame) else None


def numeric(schema: nw.Schema, but: str | None = None) -> tuple[str, ...]:
    """The names of all numeric columns `but` one. Raises DataError where there is none."""
    names = tuple(name for name, kind in schema.items() if is_numeric(kind) and name != but)
    if not names:
        raise DataError(f"no column is numeric: got {listing(list(schema))}, expected at least one column of numbers; try converting one")
    return names


def choose(known: Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """The chosen columns. Raises DataError where one is unknown or chosen twice, and where none is chosen."""
    if unknown := [name for name in columns if name not in known]:
        raise DataError(f"unknown column{'s' * (len(unknown) > 1)} {listing(unknown)}: expected some of {listing(known)}; try one of these")
    if not columns or len(set(columns)) < len(columns):
        raise DataError(f"the columns are not usable: got {listing(columns) or 'none'}, expected each of them once; try {listing(known[:1])}")
    return tuple(columns)


def to_rows(frame: Any, names: Sequence[str]) -> NDArray[Any]:
    """These columns of a narwhals frame as one array (N, D): float32 where all are, else float64; nulls become NaN.

    Raises DataError for a column that is not numeric, naming its first cell that is not a number.
    """
    for name in names:
        if not is_numeric(frame.schema[name]):
            raise DataError(f"column {name!r} is not numeric: got {_culprit(frame[name])}, expected numbers; try leaving it out or converting it")
    single = all(frame.schema[name] == nw.Float32 for name in names)
    rows = np.empty((len(frame), len(names)), dtype=np.float32 if single else np.float64)
    for j, name in enumerate(names):
        rows[:, j] = frame[name].cast(nw.Float32 if single else nw.Float64).to_numpy()
    return rows


def is_numeric(kind: Any) -> bool:
    """Whether a column of this kind holds numbers; true and false count as 1 and 0."""
    return bool(kind.is_numeric() or kind == nw.Boolean)


def is_number(text: str) -> bool:
    """Whether this text reads as a number.

    >>> is_number("1e-3"), is_number("1,5")
    (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def first_text(column: Any) -> tuple[int, str] | None:
    """Row and content of the first cell that does not read as a number, in a column of text; None where there is none."""
    if column.dtype not in TEXTS:
        return None
    cells = ((row, str(cell)) for row, cell in enumerate(column) if cell is not None)
    return next(((row, cell) for row, cell in cells if not is_number(cell)), None)


def listing(names: Sequence[str]) -> str:
    """Names for a message, quoted; only the first few of many.

    >>> listing(["a", "b"])
    "'a', 'b'"
    """
    shown = ", ".join(repr(name) for name in names[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _culprit(column: Any) -> str:
    if len(column) and column.null_count() == len(column):
        return "no value at all"
    found = first_text(column)
    return f"{found[1]!r} in row {found[0]}" if found else str(column.dtype)
