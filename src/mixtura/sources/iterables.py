"""Arrays that come one after the other out of a program: a function that gives a new iterator for every pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixtura.errors import DataError
from mixtura.sources.arrays import as_rows
from mixtura.sources.digests import digest
from mixtura.sources.streams import StreamSource


class IterableSource(StreamSource):
    """Arrays (n, D) of equal width, from an iterable that can be gone through again and again, or a function that returns one.

    The first array tells the width and, float32 or not, the dtype. `n_rows` is counted in the first pass. Raises DataError for an array of
    another width or kind, naming its number, and where a pass gives other rows than the one before.

    >>> import numpy as np, mixtura
    >>> source = mixtura.open(lambda: (np.full((2, 3), float(i)) for i in range(4)))
    >>> source.n_rows, source.D
    (8, 3)
    """

    def __init__(self, arrays: Iterable[Any] | Callable[[], Iterable[Any]], columns: Sequence[str] | None, n_jobs: int | None):
        super().__init__(n_jobs)
        self._arrays = arrays
        first = next(iter(self._begin()), None)
        if first is None:
            raise DataError("no rows: got an iterable without arrays, expected at least one; try other data")
        rows = as_rows(first)
        self.dtype = rows.dtype
        self.named = columns is not None
        self.columns = tuple(columns) if columns is not None else tuple(f"x{j}" for j in range(rows.shape[1]))
        self.origin = "iterable of arrays"
        self._require_width(rows, 0)
        self._first = rows.shape, digest(rows)

    @property
    def fingerprint(self) -> str:
        """Columns, and the digest of the first array: of the others nothing is known before a pass."""
        shape, named = self._first
        return f"{self.origin}\ncolumns {', '.join(self.columns)}\nthe first {shape} {self.dtype} {named.hex() if named else ''}"

    def pieces(self) -> Iterator[NDArray[Any]]:
        """The arrays, each checked."""
        for number, array in enumerate(self._begin()):
            rows = as_rows(array)
            self._require_width(rows, number)
            yield rows

    def fill(self, piece: Any, first: int, rows: NDArray[Any], weights: NDArray[np.float64]) -> None:
        """Copies them."""
        rows[:] = piece[first : first + len(rows)]

    def _begin(self) -> Iterable[Any]:
        arrays = self._arrays() if callable(self._arrays) else self._arrays
        if arrays is self._arrays and isinstance(arrays, Iterator):
            raise DataError(
                "the rows can be read only once: got an iterator, expected something that begins anew for every pass; "
                "try a function that returns it, as in mixtura.open(lambda: batches())"
            )
        return arrays

    def _require_width(self, rows: NDArray[Any], number: int) -> None:
        if rows.shape[1] != self.D:
            raise DataError(f"the arrays do not agree: got {rows.shape[1]} columns in array {number}, expected {self.D}; try arrays of one width")
        if rows.dtype != self.dtype and self.dtype == np.float32:
            raise DataError(f"the arrays do not agree: got {rows.dtype} in array {number}, expected float32 as in the first; try one dtype")
