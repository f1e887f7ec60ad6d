"""The parameters that a caller starts from: scikit-learn's `weights_init`, `means_init` and `precisions_init` as a mixture's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking
from mixtura.errors import ParameterError
from mixtura.families import Family
from mixtura.mixture import Mixture
from mixtura.moments import Array, symmetric


class Given(NamedTuple):
    """The parameters with which the caller wants to start, as a mixture's; None where the start decides."""

    weights: Array | None
    means: Array | None
    covariances: Array | None

    @classmethod
    def of(
        cls, family: Family, K: int, D: int, weights: ArrayLike | None = None, means: ArrayLike | None = None, precisions: ArrayLike | None = None
    ) -> Given:
        """What the three say of K components in D columns; precisions (K, ...) have the shape that covariances have in this family.

        Raises ParameterError where one does not fit, or a precision is not symmetric positive definite.

        >>> from mixtura.families import family_of
        >>> Given.of(family_of("spherical"), K=2, D=3, precisions=[4.0, 0.25]).covariances
        array([0.25, 4.  ])
        """
        if family.n_factors and precisions is not None:
            raise ParameterError(
                f"precisions_init does not fit family {family.name!r}: got precisions, expected None; try mixtura.fit from a Mixture.of_factors"
            )
        inverted = _given("precisions_init", precisions, family.shape(K, D))
        return cls(
            _given("weights_init", weights, (K,)),
            _given("means_init", means, (K, D)),
            None if inverted is None else _inverses(inverted, family),
        )

    def alone(self, family: Family) -> Mixture | None:
        """The mixture of these parameters, where all are given."""
        if self.weights is None or self.means is None or self.covariances is None:
            return None
        return Mixture(self.weights, self.means, self.covariances, family)

    def put_into(self, mixture: Mixture) -> Mixture:
        """The mixture with the given parameters instead of its own."""
        if all(array is None for array in self):
            return mixture
        weights = mixture.weights if self.weights is None else self.weights
        means = mixture.means if self.means is None else self.means
        return Mixture(weights, means, mixture.covariances if self.covariances is None else self.covariances, mixture.family)


def _given(name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array | None:
    if value is None:
        return None
    array = checking.array(name, value, f"an array of floats of shape {shape}", "None")
    if array.shape != shape:
        raise ParameterError(f"{name} does not fit: got shape {array.shape}, expected {shape}; try None to let the start decide")
    return array


def _inverses(precisions: Array, family: Family) -> Array:
    """The covariances of these precisions, both in the family's shape."""
    wrong = ParameterError("precisions_init is not a precision: got one that is not symmetric positive definite, expected one; try its inverse")
    if family.moment.axes < 2:
        if not (precisions > 0).all():
            raise wrong
        return 1 / precisions
    if not symmetric(precisions):
        raise wrong
    try:
        np.linalg.cholesky(precisions)
        inverses = np.linalg.inv(precisions)
    except np.linalg.LinAlgError:
        raise wrong from None
    return np.asarray((inverses + np.swapaxes(inverses, -1, -2)) / 2)
