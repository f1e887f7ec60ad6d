"""Tables of named columns (pandas, polars, Arrow, through narwhals) and anything else that is array-like, as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError


def as_array(data: Any, columns: Sequence[str] | None = None) -> tuple[tuple[str, ...] | None, NDArray[Any]]:
    """Column names (None for a plain array) and rows. A table gives the chosen columns, or all numeric ones.

    Raises DataError for an unknown or not numeric column, and where no column is numeric.
    """
    if isinstance(data, np.ndarray | list | tuple):
        return None, np.asarray(data)
    frame = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        return None, np.asarray(data)
    names = _numeric_columns(frame) if columns is None else _chosen_columns(frame, columns)
    return tuple(names), _to_numpy(frame, names)


def _numeric_columns(frame: Any) -> list[str]:
    names = [name for name, kind in frame.schema.items() if kind.is_numeric() or kind == nw.Boolean]
    if not names:
        raise DataError(f"no column is numeric: got {_listing(frame.columns)}, expected at least one column of numbers; try converting one")
    return names


def _chosen_columns(frame: Any, columns: Sequence[str]) -> list[str]:
    for name in columns:
        if name not in frame.columns:
            raise DataError(f"unknown column {name!r}: got a table of {_listing(frame.columns)}; try one of these")
        kind = frame.schema[name]
        if not (kind.is_numeric() or kind == nw.Boolean):
            raise DataError(f"column {name!r} is not numeric: got {kind}, expected numbers; try leaving it out or converting it")
    return list(columns)


def _to_numpy(frame: Any, names: list[str]) -> NDArray[Any]:
    kinds = {frame.schema[name] for name in names}
    dtype = np.float32 if kinds == {nw.Float32} else np.float64
    result = np.empty((len(frame), len(names)), dtype=dtype)
    for j, name in enumerate(names):
        result[:, j] = frame[name].cast(nw.Float64 if dtype == np.float64 else nw.Float32).to_numpy()
    return result


def _listing(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
