"""Equal volumes: shapes (and orientations) are the components' own, the determinant is one for all.

    Sigma_k = lambda C_k, |C_k| = 1        C_k = W_k / |W_k|^(1/D)        lambda = sum_k |W_k|^(1/D) / n

EVI for diagonals, EVV for whole matrices: Celeux & Govaert (1995), models [lambda B_k] and [lambda C_k].
"""

from __future__ import annotations

import numpy as np

from mixtura.families.constraint import Constraint, across
from mixtura.moments import Array

SHAPELESS = 1e-12  # of the common volume: rows within a millionth of a deviation are equal but for rounding


class EqualVolumes(Constraint):
    """|Sigma_k| is the same for all components."""

    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """In closed form; NaN where a scatter is nothing but rounding, which has no shape."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            own = geometric_means(scatter, counts)
            volume = own.sum(axis=-1, keepdims=True) / counts.sum(axis=-1, keepdims=True)
            larger = np.where(own > SHAPELESS * counts * volume, volume / own, np.nan)
            return np.asarray(scatter * across(larger, scatter))


def geometric_means(matrices: Array, counts: Array) -> Array:
    """|W_k|^(1/D) of matrices (.., K, D, D) or diagonals (.., K, D), for counts (.., K)."""
    D = matrices.shape[-1]
    if matrices.ndim > counts.ndim + 1:
        return np.asarray(np.exp(np.linalg.slogdet(matrices)[1] / D))
    return np.asarray(np.exp(np.log(matrices).sum(axis=-1) / D))


EQUAL_VOLUMES = EqualVolumes()
