"""Frame and Profile: where the data lie, from one pass, and the standardised coordinates in which the kernels read rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mixtura.moments import Array

LARGEST = 1e70  # beyond it, and below its inverse, the squares of variances, which gradients and determinants take, leave float64


@dataclass(frozen=True, eq=False)
class Profile:
    """Immutable column-wise sums of weighted rows: range, mean and squares about the mean. `+` merges other rows' profile.

    Shapes: minimum, maximum, mean, squares (D,). `rows` counts rows whose weight is positive. A NaN shows as NaN in `minimum`.
    """

    rows: int
    weight: float
    minimum: Array
    maximum: Array
    mean: Array
    squares: Array

    @classmethod
    def of(cls, rows: Any, weights: Array | None = None) -> Profile:
        """The profile of a block (n, D) in one go; `weights` (n,) default to 1."""
        if weights is not None:
            kept = weights > 0
            rows, weights = (rows, weights) if kept.all() else (rows[kept], weights[kept])
        if not len(rows):
            D = rows.shape[1]
            return cls(0, 0.0, np.full(D, np.inf), np.full(D, -np.inf), np.zeros(D), np.zeros(D))
        with np.errstate(invalid="ignore", over="ignore"):
            columns = np.ascontiguousarray(rows.T, dtype=float)  # ten times as fast as down the rows, and the same bits for any layout of these
            minimum, maximum = columns.min(axis=1), columns.max(axis=1)
            mean = columns.mean(axis=1) if weights is None else np.einsum("ji,i->j", columns, weights) / weights.sum()
            centred = columns - mean[:, None]
            squares = np.einsum("ji,ji->j", centred, centred) if weights is None else np.einsum("i,ji,ji->j", weights, centred, centred)
            weight = float(len(rows) if weights is None else weights.sum())
        return cls(len(rows), weight, minimum, maximum, mean, squares)

    def __add__(self, other: Profile | int) -> Profile:
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, Profile):
            return NotImplemented
        with np.errstate(over="ignore"):
            weight = float(np.add(self.weight, other.weight))
        share = other.weight / weight if weight else 0.0
        with np.errstate(invalid="ignore", over="ignore"):
            shift = other.mean - self.mean
            return replace(
                self,
                rows=self.rows + other.rows,
                weight=weight,
                minimum=np.minimum(self.minimum, other.minimum),
                maximum=np.maximum(self.maximum, other.maximum),
                mean=self.mean + share * shift,
                squares=self.squares + other.squares + shift**2 * share * self.weight,
            )

    __radd__ = __add__

    @property
    def constant(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which columns hold one value only."""
        return np.asarray(self.minimum == self.maximum)

    @property
    def deviation(self) -> Array:
        """The standard deviation of each column; for a constant column its absolute value, or 1 for zero."""
        with np.errstate(invalid="ignore", over="ignore"):
            variance = self.squares / self.weight
            spread = np.where(variance > 0, np.sqrt(variance), self.maximum - self.minimum)  # whose squares are less than float64 holds
        return np.where(self.constant, np.where(self.mean != 0, np.abs(self.mean), 1.0), spread)


@dataclass(frozen=True, eq=False)
class Frame:
    """Standardised coordinates z = (x - centre) / scale.

    Scales are powers of two and the centre is a number of the rows' own dtype, so that nothing is rounded on the way in.
    """

    centre: Array
    scale: Array

    @classmethod
    def of(cls, mean: Array, deviation: Array, common: bool, dtype: Any = np.float64) -> Frame:
        """The frame about these means and deviations (D,); `common` gives all columns one scale, as spherical shapes need."""
        if common:
            deviation = np.full(len(mean), np.sqrt(np.mean(np.square(deviation / deviation.max()))) * deviation.max())
        return cls(_rounded(mean, dtype), np.exp2(np.round(np.log2(deviation))))

    def rounded(self, dtype: Any) -> Frame:
        """The same with a centre that is a number of this dtype: itself where it is one already."""
        centre = _rounded(self.centre, dtype)
        return self if np.array_equal(centre, self.centre) else Frame(centre, self.scale)


def _rounded(centre: Array, dtype: Any) -> Array:
    """The nearest numbers of a dtype, as float64."""
    with np.errstate(over="ignore"):
        return np.asarray(np.asarray(centre, dtype=dtype), dtype=float)
