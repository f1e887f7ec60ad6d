"""A family is a covariance structure: what it needs summed, how it maximises the likelihood, how many parameters are free.

The M-step of every family takes the same weights and means (n_k/n and the components' mean rows); a family adds the covariances.
Celeux & Govaert (1995), Pattern Recognition 28, 781-793, derive them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura.moments import DIAGONAL, MATRIX, NORM, Array, Moment


@dataclass(frozen=True)
class Family:
    """One covariance structure: `moment` is the part of each covariance that is free, `pooled` whether all components share it.

    `name` is ours and scikit-learn's, `code` is mclust's. Covariances have the shape (K, ...), or (...) where pooled, with ... the
    moment's: (D, D), (D,) or ().

    >>> from mixtura.families import FAMILIES
    >>> FAMILIES["VVV"].name, FAMILIES["tied"].n_parameters(K=3, D=2)
    ('full', 11)
    """

    name: str
    code: str
    moment: Moment
    pooled: bool

    def shape(self, K: int, D: int) -> tuple[int, ...]:
        """The shape of the array of covariances."""
        return self.moment.shape(D) if self.pooled else (K, *self.moment.shape(D))

    def n_covariance_parameters(self, K: int, D: int) -> int:
        """Free covariance parameters."""
        return self.moment.n_parameters(D) * (1 if self.pooled else K)

    def n_parameters(self, K: int, D: int) -> int:
        """Free parameters: covariances, K D means, K - 1 weights."""
        return self.n_covariance_parameters(K, D) + K * D + K - 1

    def maximise(self, scatter: Array, counts: Array, D: int) -> Array:
        """The covariances of greatest likelihood: scatter / n_k (pooled: scatter / n), per column for NORM. Counts (.., K)."""
        rows = np.asarray(counts.sum(axis=-1) if self.pooled else counts)
        return np.asarray(scatter / (rows * self.moment.divisor(D)).reshape(rows.shape + (1,) * self.moment.axes))

    def matrices(self, covariances: Array, K: int, D: int) -> Array:
        """All covariances as (K, D, D)."""
        return np.broadcast_to(self.moment.matrices(covariances, D), (K, D, D))

    def nests(self, other: Family) -> bool:
        """Whether every mixture of `other` is also one of this family."""
        return self.moment.axes >= other.moment.axes and self.pooled <= other.pooled

    def convert(self, covariances: Array, other: Family, K: int, D: int) -> Array:
        """Covariances of this family in the shape of `other`, which nests it."""
        kept = other.moment.keep(self.moment.matrices(covariances, D)) / other.moment.divisor(D)
        return kept if self.pooled == other.pooled else np.broadcast_to(kept, other.shape(K, D)).copy()


FULL = Family("full", "VVV", MATRIX, pooled=False)
TIED = Family("tied", "EEE", MATRIX, pooled=True)
DIAG = Family("diag", "VVI", DIAGONAL, pooled=False)
TIED_DIAG = Family("tied_diag", "EEI", DIAGONAL, pooled=True)
SPHERICAL = Family("spherical", "VII", NORM, pooled=False)
TIED_SPHERICAL = Family("tied_spherical", "EII", NORM, pooled=True)
