"""Frozen parts: weights, means or covariances of chosen components that learning leaves as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.checking import short
from mixtura.errors import ParameterError
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.moments import Array

Mask = tuple[bool, ...]


class Fixed(NamedTuple):
    """For each kind of parameter, which components keep theirs: a flag a component, or nothing where all are free.

    Rules take it as `fixed`, also written as a dictionary: `fixed={"means": [True, False]}` keeps the first mean where the start has it.

    >>> import mixtura
    >>> X = [[-3.0], [-2.0], [2.0], [3.0]]
    >>> start = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[4.0]], [[4.0]]])
    >>> rule = mixtura.rules.EM(fixed={"means": [True, False], "weights": [True, True]})
    >>> result = mixtura.fit(X, start, rule).mixture
    >>> result.means[0], result.weights
    (array([-1.]), array([0.5, 0.5]))
    """

    weights: Mask = ()
    means: Mask = ()
    covariances: Mask = ()

    @classmethod
    def of(cls, value: Masks) -> Fixed:
        """What a caller wrote: None, a Fixed, or masks by name.

        Raises ParameterError for another name, and for a mask that is not flags.
        """
        if value is None or isinstance(value, Fixed):
            return value or cls()
        if not isinstance(value, Mapping) or not set(value) <= set(cls._fields):
            raise ParameterError(
                f"fixed is not usable: got {short(value)}, expected masks by the names weights, means, covariances; "
                "try {'means': [True, False]} for two components"
            )
        return cls(**{name: _mask(name, mask) for name, mask in value.items()})

    def check(self, mixture: Mixture) -> None:
        """Raises ParameterError where a mask does not fit the mixture, or frees part of a covariance that all components share."""
        for name, mask in self._asdict().items():
            if mask and len(mask) != mixture.K:
                raise ParameterError(
                    f"fixed[{name!r}] does not fit: got {len(mask)} flags, expected {mixture.K}, one a component; try [False] * {mixture.K}"
                )
        if mixture.family.coupled and len(set(self.covariances)) > 1:
            raise ParameterError(
                f"fixed['covariances'] does not fit family {mixture.family.name!r}: got flags that differ, but all components share "
                f"{'one covariance' if mixture.family.pooled else 'part of their covariances'}; "
                "try a family of covariances of their own, such as 'full', or equal flags"
            )

    @property
    def components(self) -> NDArray[np.bool_]:
        """Which components have any part fixed; empty where none has."""
        masks = [mask for mask in self if any(mask)]
        return np.any(masks, axis=0) if masks else np.zeros(0, dtype=bool)

    def n_free(self, family: Family, K: int, D: int) -> int:
        """How many of a mixture's parameters are free beside those that are fixed.

        Weights sum to 1, so where some are fixed the others have one free parameter less than there are of them.

        >>> from mixtura.families import FAMILIES
        >>> Fixed(means=(True, False)).n_free(FAMILIES["full"], K=2, D=1)  # a mean, two variances and a weight
        4
        """
        weights, means, covariances = (K - sum(mask) for mask in self)
        return (family.n_covariance_parameters(covariances, D) if covariances else 0) + means * D + max(weights - 1, 0)

    def keep_means(self, means: Array, before: Array) -> Array:
        """The means (K, D), those that are fixed as they were before."""
        return np.where(np.array(self.means)[:, None], before, means) if any(self.means) else means

    def keep_covariances(self, covariances: Array, before: Array) -> Array:
        """The covariances in the family's shape (K, ...) or, shared, (...), those that are fixed as they were before."""
        if not any(self.covariances):
            return covariances
        if all(self.covariances):
            return before.copy()
        mask = np.array(self.covariances).reshape(-1, *[1] * (covariances.ndim - 1))
        return np.where(mask, before, covariances)

    def keep_weights(self, weights: Array, before: Array) -> Array:
        """The weights (K,), which sum to 1: those that are fixed as they were before, the others sharing the rest in their proportions."""
        if not any(self.weights):
            return weights
        free = ~np.array(self.weights)
        kept = before.copy()
        if free.any():
            kept[free] = weights[free] * ((1 - before[~free].sum()) / weights[free].sum())
        return kept


Masks = Fixed | Mapping[str, Sequence[bool]] | None  # how a caller may write it


def _mask(name: str, value: Any) -> Mask:
    array = np.asarray(value)
    if array.dtype != bool or array.ndim != 1:
        raise ParameterError(f"fixed[{name!r}] is not usable: got {short(value)}, expected True or False for each component; try [True, False]")
    return tuple(bool(flag) for flag in array)
