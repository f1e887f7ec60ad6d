"""What keeps covariances away from zero: a floor relative to the data (the default), or a ridge in squared units."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixtura import checking
from mixtura.families import Family
from mixtura.families.constraint import across
from mixtura.frame import LARGEST
from mixtura.moments import Array

RELATIVE_FLOOR = 1e-6  # of the data's variance in the same direction: below it a maximum counts as spurious


class Regularisation(ABC):
    """Turns the family's maximiser into covariances that are positive definite."""

    @abstractmethod
    def maximise(
        self, family: Family, scatter: Array, counts: Array, D: int, reference: Array, previous: Array | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """The family's maximiser (Family.maximise) made positive definite, and which covariances collapsed.

        `reference` is the data's covariance (Statistics.data_covariance).
        """

    @abstractmethod
    def apply(self, family: Family, covariances: Array, reference: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Covariances that are free of each other made positive definite, and which of them collapsed; of others, only the latter counts."""

    def hold(self, family: Family, covariances: Array, weights: Array, D: int, reference: Array) -> Array:
        """Any covariances as the nearest of the family (Family.project) that are positive definite."""
        if family.constraint is None:
            return self.apply(family, covariances, reference)[0]
        counts = np.maximum(weights, np.finfo(float).eps)
        return self.maximise(family, covariances * across(counts, covariances), counts, D, reference)[0]


@dataclass(frozen=True)
class Floor(Regularisation):
    """No eigenvalue below `relative` times the data's variance in its direction.

    The constrained maximiser, so EM still climbs; equivariant, so changing the units of a column changes no assignment. In families whose
    components share part of their covariances it is near the maximiser, and in the family (Family.maximise_above).

    >>> import numpy as np, mixtura
    >>> from mixtura.regularisation import Floor
    >>> X = np.r_[np.random.default_rng(0).normal(size=(100, 1)), np.full((50, 1), 9.0)]  # one row fifty times
    >>> floor = Floor(1e-4)
    >>> start = mixtura.start(X, 2, regularisation=floor, random_state=0)
    >>> step = next(s for s in mixtura.iterate(X, start, mixtura.rules.EM(floor)) if s.number == 2)
    >>> float((step.mixture.covariances.min() / X.var()).round(6))
    0.0001
    """

    relative: float = RELATIVE_FLOOR

    def __post_init__(self) -> None:
        checking.number("relative", self.relative, "a number > 0 and less than 1", lambda relative: 0 < relative < 1, RELATIVE_FLOOR)

    def maximise(
        self, family: Family, scatter: Array, counts: Array, D: int, reference: Array, previous: Array | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Held in the metric of the data's covariance."""
        return family.maximise_above(scatter, counts, D, reference, self.relative, previous=previous)

    def apply(self, family: Family, covariances: Array, reference: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Clips in the metric of the data's covariance."""
        return family.moment.floor(covariances, reference, self.relative)


@dataclass(frozen=True)
class Ridge(Regularisation):
    """scikit-learn's `reg_covar`: adds `value`, in squared units, to every variance; then the default floor, should that not do.

    >>> import numpy as np, mixtura
    >>> from mixtura.regularisation import Ridge
    >>> X = np.r_[np.random.default_rng(0).normal(size=(100, 1)), np.full((50, 1), 9.0)]  # one row fifty times
    >>> ridge = Ridge(0.01)
    >>> start = mixtura.start(X, 2, regularisation=ridge, random_state=0)
    >>> float(mixtura.fit(X, start, mixtura.rules.EM(ridge)).mixture.covariances.min().round(6))
    0.01
    """

    value: float

    def __post_init__(self) -> None:
        checking.number("value", self.value, f"a number from 0 to {LARGEST**2:.0e} in squared units", lambda value: 0 <= value <= LARGEST**2, 0)

    def maximise(
        self, family: Family, scatter: Array, counts: Array, D: int, reference: Array, previous: Array | None = None
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Sigma + value I, floored at a millionth of that floor; where components share part of it, that of rows blurred by value I."""
        return family.maximise_above(scatter, counts, D, reference, RELATIVE_FLOOR**2, self.value, previous)

    def apply(self, family: Family, covariances: Array, reference: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Sigma + value I, floored at a millionth of that floor so that nothing stays singular."""
        ridged = family.moment.add_to_diagonal(covariances, self.value)
        return family.moment.floor(ridged, reference, RELATIVE_FLOOR**2)


def regularisation_of(value: str | float | Regularisation) -> Regularisation:
    """The regularisation that `reg_covar` names: "auto" or a number >= 0.

    Raises ParameterError for anything else.
    """
    if isinstance(value, Regularisation):
        return value
    if isinstance(value, str) and value == "auto":
        return Floor()
    checking.number(
        "reg_covar", value, f"'auto' or a number from 0 to {LARGEST**2:.0e} in squared units", lambda value: 0 <= value <= LARGEST**2, "'auto'"
    )
    return Ridge(float(value))
