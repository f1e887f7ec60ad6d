"""Rows that become float64 or float32 block by block: memory-mapped arrays of other numbers or some columns, and large tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.sources import tables


class LazyRows(ABC):
    """Looks like an array (N, D) as far as it is cut in slices, or rows are picked; `np.asarray` converts all of it."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @abstractmethod
    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """These rows, a slice or ascending numbers, converted."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        rows = self[: self.shape[0]]
        return rows if dtype is None else rows.astype(dtype, copy=False)


class ChosenColumns(LazyRows):
    """Some columns of an array of numbers (N, D) that may be larger than memory."""

    def __init__(self, array: NDArray[Any], columns: Sequence[int]):
        self._array, self._columns = array, list(columns)
        self.shape = (len(array), len(columns))
        self.dtype = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        with np.errstate(over="ignore", invalid="ignore"):  # what float64 does not hold is infinite, and refused as that
            return np.ascontiguousarray(self._array[rows][:, self._columns], dtype=self.dtype)


class TableRows(LazyRows):
    """Columns of a narwhals frame."""

    def __init__(self, frame: Any, names: Sequence[str]):
        self._frame, self._names = frame.select(names), names
        self.shape = (len(frame), len(names))
        self.dtype = self[:0].dtype

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        return tables.to_rows(self._frame[rows], self._names)
