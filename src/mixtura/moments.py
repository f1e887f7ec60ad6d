"""What is kept of a symmetric D x D matrix: all of it, its diagonal, or its trace.

The second moments of a component, its covariance and its gradient all have one of these three shapes. Every formula that differs
between full, diagonal and spherical mixtures is a method here; nothing else in Mixtura branches on the shape. Arrays may carry any
leading axes (components).

    moment     second moment   covariance     whitener U (U'U = precision)
    MATRIX     (.., D, D)      (.., D, D)     (.., D, D) lower triangular
    DIAGONAL   (.., D)         (.., D)        (.., D)
    NORM       (..)  trace     (..)           (.., D) all equal
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mixtura.triangular import factors, inverse_factors, positive_definite

Array = NDArray[np.float64]
ROUNDING = 1e-6  # what numbers may lose on their way through a file or a caller before they are called wrong


class Moment(ABC):
    """One way to keep a symmetric matrix."""

    name: str  # MATRIX, DIAGONAL or NORM in lower case
    axes: int  # how many trailing axes the kept array has

    def __reduce__(self) -> Any:
        return self.name.upper()  # there is one of each, after pickling too

    @property
    def reference(self) -> Moment:
        """In which shape the covariance of all rows is what others are relative to."""
        return self

    def reduce(self, second: Array) -> Array:
        """What `reference` keeps of what this moment keeps."""
        return second

    @abstractmethod
    def shape(self, D: int) -> tuple[int, ...]:
        """The trailing shape."""

    @abstractmethod
    def product(self, a: Array, b: Array) -> Array:
        """(ab' + ba') / 2 of vectors (.., D)."""

    def pooled_product(self, a: Array, b: Array) -> Array:
        """The sum of `product` over the components of vectors (K, D)."""
        return np.asarray(self.product(a, b).sum(axis=0))

    @abstractmethod
    def rescale(self, second: Array, scale: Array) -> Array:
        """The second moment of S x, S = diag(scale); NORM needs one scale for all columns."""

    def rescaled(self, scale: Array) -> Moment:
        """The moment in whose terms `rescale` answers."""
        return self

    @abstractmethod
    def keep(self, matrices: Array) -> Array:
        """What this moment keeps of (.., D, D) second moments."""

    @property
    @abstractmethod
    def kept(self) -> str:
        """What it keeps of second moments, in words."""

    @abstractmethod
    def narrowed(self, second: Array, to: Moment) -> Array | None:
        """What `to` keeps of the second moments of which this one kept `second`; None where it keeps more."""

    @abstractmethod
    def divisor(self, D: int) -> int:
        """Second moment / (rows * divisor) = covariance."""

    @abstractmethod
    def rows_of_dof(self, dof: float, D: int) -> float:
        """What an inverse Wishart (inverse gamma) prior of so many degrees of freedom counts for, in rows, at the mode of the covariance."""

    @abstractmethod
    def log_determinants(self, whiteners: Array) -> Array:
        """log det U of whiteners (.., ...)."""

    @abstractmethod
    def trace_of_product(self, whiteners: Array, second: Array) -> Array:
        """tr(Sigma^-1 S) of whiteners U of Sigma and second moments S, both (.., ...)."""

    @abstractmethod
    def n_parameters(self, D: int) -> int:
        """Free numbers in one covariance."""

    @abstractmethod
    def matrices(self, covariances: Array, D: int) -> Array:
        """The covariances as (.., D, D)."""

    def variances(self, covariances: Array, D: int) -> Array:
        """The variance of each column (.., D)."""
        return np.asarray(np.diagonal(self.matrices(covariances, D), axis1=-2, axis2=-1))

    def widest(self, covariance: Array, D: int) -> Array:
        """The longest axis (D,) of one covariance, as long as the deviation along it."""
        values, vectors = np.linalg.eigh(self.matrices(covariance, D))
        return np.asarray(vectors[:, -1] * np.sqrt(values[-1]))

    def draw(self, covariances: Array, component: NDArray[np.int64], D: int, generator: np.random.Generator) -> Array:
        """Rows about zero (n, D), each of the covariance (K, ...) of its component."""
        rows = generator.standard_normal((len(component), D))
        for k, factor in enumerate(_roots(self.matrices(covariances, D))):
            mine = component == k
            rows[mine] = rows[mine] @ factor.T
        return rows

    def maximise(self, scatter: Array, rows: Array, D: int, previous: Array | None = None) -> Array:
        """The covariances of greatest likelihood for scatter of so many rows, in closed form."""
        return np.asarray(scatter / (rows * self.divisor(D)).reshape(rows.shape + (1,) * self.axes))

    def as_scatter(self, covariances: Array, rows: Array, D: int) -> Array:
        """The scatter that so many rows of these covariances have: what `maximise` turns into them."""
        return np.asarray(covariances * (rows * self.divisor(D)).reshape(rows.shape + (1,) * self.axes))

    @abstractmethod
    def whiteners(self, covariances: Array, D: int) -> Array:
        """U with U'U = inverse covariance. Raises numpy's LinAlgError where a covariance is not positive definite."""

    @abstractmethod
    def floor(self, covariances: Array, reference: Array, relative: float) -> tuple[Array, NDArray[np.bool_]]:
        """The nearest covariances in likelihood with every eigenvalue at least `relative` that of `reference`, and which changed.

        Maximising the likelihood subject to Sigma >= c R clips the eigenvalues of Sigma in the metric of R (Sigma = R gives ones), so EM
        with this floor still never lowers the likelihood. `reference` is a covariance of the same moment.
        """

    def below(self, covariances: Array, reference: Array, relative: float) -> NDArray[np.bool_]:
        """Which covariances have an eigenvalue below `relative` that of `reference`: those that `floor` changes."""
        return self.floor(covariances, reference, relative)[1]

    @abstractmethod
    def add_to_diagonal(self, covariances: Array, value: float) -> Array:
        """Sigma + value I."""

    @abstractmethod
    def gradient(self, covariances: Array, scatter: Array, D: int) -> Array:
        """Sigma^-1 (S - Sigma) Sigma^-1 / 2, the derivative per unit of weight; `scatter` S is a second moment per row."""

    @abstractmethod
    def to_coordinates(self, covariances: Array) -> Array:
        """Unconstrained coordinates: the log-Cholesky factor, or half the logarithm."""

    @abstractmethod
    def from_coordinates(self, coordinates: Array) -> Array:
        """The covariances at these coordinates: positive definite wherever they are."""

    @abstractmethod
    def pullback(self, covariances: Array, gradient: Array) -> Array:
        """The derivative by the coordinates from the derivative by the covariances."""


class _Matrix(Moment):
    name = "matrix"
    axes = 2
    kept = "the products of all pairs of columns"

    def shape(self, D: int) -> tuple[int, ...]:
        return (D, D)

    def product(self, a: Array, b: Array) -> Array:
        outer = a[..., :, None] * b[..., None, :]
        result: Array = (outer + outer.swapaxes(-1, -2)) * 0.5
        return result

    def pooled_product(self, a: Array, b: Array) -> Array:
        half = a.T @ b / 2
        return np.asarray(half + half.T)

    def rescale(self, second: Array, scale: Array) -> Array:
        return second * (scale[:, None] * scale)

    def keep(self, matrices: Array) -> Array:
        return matrices

    def narrowed(self, second: Array, to: Moment) -> Array | None:
        return to.keep(second) if to in (MATRIX, DIAGONAL, NORM) else None

    def divisor(self, D: int) -> int:
        return 1

    def rows_of_dof(self, dof: float, D: int) -> float:
        return dof + D + 1

    def log_determinants(self, whiteners: Array) -> Array:
        return np.asarray(np.log(np.diagonal(whiteners, axis1=-2, axis2=-1)).sum(axis=-1))

    def trace_of_product(self, whiteners: Array, second: Array) -> Array:
        return np.asarray(((whiteners @ second) * whiteners).sum(axis=(-2, -1)))

    def n_parameters(self, D: int) -> int:
        return D * (D + 1) // 2

    def matrices(self, covariances: Array, D: int) -> Array:
        return covariances

    def whiteners(self, covariances: Array, D: int) -> Array:
        return inverse_factors(covariances)

    def floor(self, covariances: Array, reference: Array, relative: float) -> tuple[Array, NDArray[np.bool_]]:
        low = self.below(covariances, reference, relative)
        if low.any():
            covariances = covariances.copy()
            covariances[low] = _clip_eigenvalues(covariances[low], reference, relative)
        return covariances, low

    def below(self, covariances: Array, reference: Array, relative: float) -> NDArray[np.bool_]:
        return ~positive_definite(covariances - relative * reference)

    def add_to_diagonal(self, covariances: Array, value: float) -> Array:
        return covariances + value * np.eye(covariances.shape[-1])

    def gradient(self, covariances: Array, scatter: Array, D: int) -> Array:
        precision = np.linalg.inv(covariances)
        product: Array = precision @ (scatter - covariances) @ precision / 2
        return product

    def to_coordinates(self, covariances: Array) -> Array:
        factor = factors(covariances)
        diagonal = np.arange(factor.shape[-1])
        factor[..., diagonal, diagonal] = np.log(factor[..., diagonal, diagonal])
        return factor

    def from_coordinates(self, coordinates: Array) -> Array:
        factor = _exponentiate_diagonal(coordinates)
        product: Array = factor @ np.swapaxes(factor, -1, -2)
        return product

    def pullback(self, covariances: Array, gradient: Array) -> Array:
        factor = factors(covariances)
        result = np.tril(2 * gradient @ factor)
        diagonal = np.arange(factor.shape[-1])
        result[..., diagonal, diagonal] *= factor[..., diagonal, diagonal]
        return result


class _Vector(Moment):
    """What DIAGONAL and NORM share: their numbers are variances, one by one."""

    def log_determinants(self, whiteners: Array) -> Array:
        return np.asarray(np.log(whiteners).sum(axis=-1))

    def floor(self, covariances: Array, reference: Array, relative: float) -> tuple[Array, NDArray[np.bool_]]:
        least = relative * reference
        low: NDArray[np.bool_] = np.asarray(covariances < least)
        return np.asarray(np.maximum(covariances, least)), np.asarray(low.any(axis=-1)) if self.axes else low

    def add_to_diagonal(self, covariances: Array, value: float) -> Array:
        return covariances + value

    def to_coordinates(self, covariances: Array) -> Array:
        return np.log(covariances) / 2

    def from_coordinates(self, coordinates: Array) -> Array:
        return np.exp(2 * coordinates)

    def pullback(self, covariances: Array, gradient: Array) -> Array:
        return 2 * gradient * covariances


class _Diagonal(_Vector):
    name = "diagonal"
    axes = 1
    kept = "the squares of each column"

    def shape(self, D: int) -> tuple[int, ...]:
        return (D,)

    def product(self, a: Array, b: Array) -> Array:
        return a * b

    def rescale(self, second: Array, scale: Array) -> Array:
        return second * scale**2

    def keep(self, matrices: Array) -> Array:
        return np.diagonal(matrices, axis1=-2, axis2=-1).copy()

    def narrowed(self, second: Array, to: Moment) -> Array | None:
        if to is NORM:
            return np.asarray(second.sum(axis=-1))
        return second if to is DIAGONAL else None

    def divisor(self, D: int) -> int:
        return 1

    def rows_of_dof(self, dof: float, D: int) -> float:
        return dof + 2

    def trace_of_product(self, whiteners: Array, second: Array) -> Array:
        return np.asarray((whiteners**2 * second).sum(axis=-1))

    def n_parameters(self, D: int) -> int:
        return D

    def matrices(self, covariances: Array, D: int) -> Array:
        return covariances[..., None] * np.eye(D)

    def whiteners(self, covariances: Array, D: int) -> Array:
        return _reciprocal_root(covariances)

    def gradient(self, covariances: Array, scatter: Array, D: int) -> Array:
        return (scatter / covariances - 1) / covariances / 2  # whose square may leave float64


class _Norm(_Vector):
    name = "norm"
    axes = 0
    kept = "the sum of the squares of all columns"

    def shape(self, D: int) -> tuple[int, ...]:
        return ()

    def product(self, a: Array, b: Array) -> Array:
        summed: Array = (a * b).sum(axis=-1)
        return summed

    def rescale(self, second: Array, scale: Array) -> Array:
        return np.asarray(second * scale[0] ** 2)

    def keep(self, matrices: Array) -> Array:
        traces: Array = np.trace(matrices, axis1=-2, axis2=-1)
        return traces

    def narrowed(self, second: Array, to: Moment) -> Array | None:
        return second if to is NORM else None

    def divisor(self, D: int) -> int:
        return D

    def rows_of_dof(self, dof: float, D: int) -> float:
        return (dof + 2) / D

    def trace_of_product(self, whiteners: Array, second: Array) -> Array:
        return np.asarray(whiteners[..., 0] ** 2 * second)

    def n_parameters(self, D: int) -> int:
        return 1

    def matrices(self, covariances: Array, D: int) -> Array:
        return np.asarray(covariances)[..., None, None] * np.eye(D)

    def whiteners(self, covariances: Array, D: int) -> Array:
        roots = _reciprocal_root(np.asarray(covariances))
        return np.repeat(roots[..., None], D, axis=-1)

    def gradient(self, covariances: Array, scatter: Array, D: int) -> Array:
        return (scatter / covariances - D) / covariances / 2


MATRIX: Final[Moment] = _Matrix()
DIAGONAL: Final[Moment] = _Diagonal()
NORM: Final[Moment] = _Norm()


def symmetric(matrices: Array) -> bool:
    """Whether covariances or precisions (.., D, D) are symmetric but for rounding.

    An entry is measured by the roots of the two diagonal entries that bound it, so that it is a small number where these are.

    >>> symmetric(np.array([[1.0, 1e-16], [0.0, 4.0]])), symmetric(np.array([[1e-9, 5e-10], [0.0, 1e-9]]))
    (True, False)
    """
    roots = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    return bool((np.abs(matrices - np.swapaxes(matrices, -1, -2)) <= ROUNDING * roots[..., :, None] * roots[..., None, :]).all())


def _reciprocal_root(variances: Array) -> Array:
    if not (variances > 0).all():
        raise np.linalg.LinAlgError("a variance is not positive")
    result: Array = 1 / np.sqrt(variances)
    return result


def _roots(matrices: Array) -> Array:
    """R with R R' = the matrices (K, D, D): their factors, or where rounding leaves them no more than semidefinite, by their eigenvalues."""
    try:
        return factors(matrices)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrices)
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :])


def _exponentiate_diagonal(coordinates: Array) -> Array:
    factor = np.tril(coordinates)
    diagonal = np.arange(factor.shape[-1])
    factor[..., diagonal, diagonal] = np.exp(factor[..., diagonal, diagonal])
    return factor


def _clip_eigenvalues(covariances: Array, reference: Array, relative: float) -> Array:
    """Clips Sigma v = lambda R v at lambda >= relative, of covariances (n, D, D); a hair above, so that the check in `floor` passes next time."""
    L, U = np.linalg.cholesky(reference), inverse_factors(reference)
    values, vectors = np.linalg.eigh(U @ covariances @ U.T)
    basis = L @ vectors
    clipped: Array = (basis * np.maximum(values, relative * (1 + 1e-9))[:, None, :]) @ basis.swapaxes(-1, -2)
    return (clipped + clipped.swapaxes(-1, -2)) / 2
