"""Where rows live, and how to sum or map over them. `open` picks the source for whatever it is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from mixtura.sources.arrays import ArraySource
from mixtura.sources.source import Block, Source


def open(data: Any, *, columns: Sequence[str] | None = None, weights: ArrayLike | None = None, n_jobs: int | None = None) -> Source:
    """A source of rows from an array, a pandas, polars or Arrow table, a path to a file, or a source itself.

    Opening once saves the pass that looks for NaN and the columns' ranges when the same rows are swept many times. `columns` chooses
    columns of a table or file (all numeric ones by default), `weights` (N,) counts rows more or less than once.

    Raises DataError for rows that cannot be fitted, FileError for a file that cannot be read.

    >>> import numpy as np, mixtura
    >>> source = mixtura.open(np.arange(6.0).reshape(3, 2))
    >>> source.n_rows, source.columns
    (3, ('x0', 'x1'))
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, str | Path):
        from mixtura.sources import files

        names, array, _ = files.read(data, columns)
        nameless = columns is None and Path(data).suffix.lower() == ".npy"
        return ArraySource(array, weights, None if nameless else names, n_jobs)
    from mixtura.sources import tables

    chosen, array = tables.as_array(data, columns)
    return ArraySource(array, weights, chosen, n_jobs)


__all__ = ["ArraySource", "Block", "Source", "open"]
