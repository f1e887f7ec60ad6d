"""Triangular factors of many small matrices at once. Compiled: for three 4 x 4 matrices LAPACK's wrappers take two to four times as long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixtura.compiling import compiled

Array = NDArray[np.float64]


def inverse_factors(matrices: Array) -> Array:
    """U with U'U = the inverse of symmetric matrices (.., D, D): lower triangular.

    Raises numpy's LinAlgError where one is not positive definite, or its inverse leaves float64.
    """
    D = matrices.shape[-1]
    beside = np.zeros((*matrices.shape[:-1], 2 * D))
    beside[..., :D] = matrices
    beside.reshape(-1, 2 * D * D)[:, D :: 2 * D + 1] = 1.0
    usable = _eliminated(beside)
    factors = beside[..., D:].copy()
    if not (usable.all() and np.isfinite(np.add.reduce(factors, axis=None))):
        raise np.linalg.LinAlgError("a matrix is not positive definite")
    return factors


def factors(matrices: Array) -> Array:
    """L with L L' = symmetric matrices (.., D, D), lower triangular: LAPACK's, or where it finds one singular, the inverses of `inverse_factors`.

    Raises numpy's LinAlgError where these find it singular too.
    """
    try:
        return np.asarray(np.linalg.cholesky(matrices), dtype=float)
    except np.linalg.LinAlgError:
        return np.asarray(np.tril(np.linalg.inv(inverse_factors(matrices))), dtype=float)


def positive_definite(matrices: Array) -> NDArray[np.bool_]:
    """Which of the symmetric matrices (.., D, D) are positive definite."""
    return _eliminated(np.array(matrices, dtype=float, order="C"))


def _eliminated(matrices: Array) -> NDArray[np.bool_]:
    usable = np.empty(matrices.shape[:-2], dtype=bool)
    _eliminate(matrices.reshape(-1, *matrices.shape[-2:]), usable.reshape(-1))
    return usable


@compiled(nogil=True, error_model="numpy", fastmath={"contract"})
def _eliminate(matrices, usable):  # type: ignore[no-untyped-def]
    """A becomes R, upper triangular with R'R = A, and (A I), where the identity stands beside it, (R U) with U the inverse of R'.

    Cholesky's decomposition as elimination by rows (Golub & Van Loan, 4.2), four rows at a time; usable is whether all pivots are
    positive. The lower triangle of A is neither read nor cleared.
    """
    _, D, width = matrices.shape
    for k in range(len(matrices)):
        A = matrices[k]
        usable[k] = True
        for j in range(D):
            row, pivot = A[j], A[j, j]
            if not 0.0 < pivot < np.inf:
                usable[k] = False
                break
            end = min(D + j + 1, width)  # what stands further right in the identity's place is still zero
            factor = 1.0 / np.sqrt(pivot)
            for m in range(j, end):
                row[m] *= factor
            first = j - j % 4
            if j < first + 3:
                for i in range(j + 1, min(first + 4, D)):
                    below, h = A[i], row[i]
                    for m in range(i, end):
                        below[m] -= h * row[m]
            else:
                a, b, c = A[first], A[first + 1], A[first + 2]
                for i in range(j + 1, D):
                    below, e, f, g, h = A[i], a[i], b[i], c[i], row[i]
                    for m in range(i, end):
                        below[m] -= e * a[m] + f * b[m] + g * c[m] + h * row[m]
