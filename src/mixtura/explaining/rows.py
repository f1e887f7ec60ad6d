"""A few rows out of many, found while they pass by: those of the smallest keys."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mixtura.moments import Array


class Rows(NamedTuple):
    """Some rows: their numbers (from 0, n), values (n, D), components and their probabilities, and log densities in nats, all (n,)."""

    numbers: NDArray[np.int64]
    values: Array
    component: NDArray[np.int64]
    probability: Array
    log_density: Array

    def chosen(self, which: NDArray[np.intp]) -> Self:
        """Those of these places."""
        return type(self)(*(array[which] for array in self))  # type: ignore[arg-type]


class Smallest:
    """At most `limit` rows: those of the smallest keys, in that order; of equal keys the first rows. `+` merges, 0 is nothing."""

    def __init__(self, limit: int, keys: Array, rows: Rows):
        best = np.lexsort((rows.numbers, keys))[:limit]
        self.limit, self.keys, self.rows = limit, keys[best], rows.chosen(best)

    def __add__(self, other: Smallest | int) -> Smallest:
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, Smallest):
            return NotImplemented
        both = Rows(*(np.concatenate(pair) for pair in zip(self.rows, other.rows, strict=True)))
        return Smallest(self.limit, np.concatenate([self.keys, other.keys]), both)

    __radd__ = __add__
