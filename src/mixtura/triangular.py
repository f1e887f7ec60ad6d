"""Triangular factors of many small matrices at once. Compiled: for three 4 x 4 matrices LAPACK's wrappers take ten times as long."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
_compiled = njit(nogil=True, error_model="numpy", fastmath={"contract"}, cache=True)


def inverse_factors(matrices: Array) -> Array:
    """U with U'U = the inverse of symmetric matrices (.., D, D): lower triangular.

    Raises numpy's LinAlgError where one is not positive definite, or its inverse leaves float64.
    """
    factors = np.array(matrices, dtype=float, order="C")
    if not _invert(factors.reshape(-1, *factors.shape[-2:])):
        raise np.linalg.LinAlgError("a matrix is not positive definite")
    return factors


def positive_definite(matrices: Array) -> NDArray[np.bool_]:
    """Which of the symmetric matrices (.., D, D) are positive definite."""
    factors = np.array(matrices, dtype=float, order="C")
    result = np.empty(factors.shape[:-2], dtype=bool)
    _check(factors.reshape(-1, *factors.shape[-2:]), result.reshape(-1))
    return result


@_compiled
def _factor(A):  # type: ignore[no-untyped-def]
    """The upper triangle of A becomes R with R'R = A (Golub & Van Loan, 4.2.9), four rows at a time; whether there is one."""
    D = A.shape[0]
    for j in range(0, D, 4):
        stop = min(j + 4, D)
        for p in range(j, stop):
            row = A[p]
            for q in range(j, p):
                above, slope = A[q], A[q, p]
                for m in range(p, D):
                    row[m] -= slope * above[m]
            if not 0.0 < row[p] < np.inf:
                return False
            factor = 1.0 / np.sqrt(row[p])
            for m in range(p, D):
                row[m] *= factor
        if stop < D:
            a, b, c, d = A[j], A[j + 1], A[j + 2], A[j + 3]
            for i in range(stop, D):
                row, e, f, g, h = A[i], a[i], b[i], c[i], d[i]
                for m in range(i, D):
                    row[m] -= e * a[m] + f * b[m] + g * c[m] + h * d[m]
    return True


@_compiled
def _check(matrices, result):  # type: ignore[no-untyped-def]
    for k in range(len(matrices)):
        result[k] = _factor(matrices[k])


@_compiled
def _invert(matrices):  # type: ignore[no-untyped-def]
    """Each matrix becomes U: forward substitution, the rows of U from those above it, in the place of the lower triangle."""
    D = matrices.shape[1]
    for k in range(len(matrices)):
        A = matrices[k]
        if not _factor(A):
            return False
        finite = 0.0
        for i in range(D):
            row, factor = A[i], 1.0 / A[i, i]
            row[:i] = 0.0
            fours = i - i % 4
            for j in range(0, fours, 4):
                a, b, c, d = A[j], A[j + 1], A[j + 2], A[j + 3]
                e, f, g, h = factor * a[i], factor * b[i], factor * c[i], factor * d[i]
                for m in range(j + 1):
                    row[m] -= e * a[m] + f * b[m] + g * c[m] + h * d[m]
                row[j + 1] -= f * b[j + 1] + g * c[j + 1] + h * d[j + 1]
                row[j + 2] -= g * c[j + 2] + h * d[j + 2]
                row[j + 3] -= h * d[j + 3]
            for j in range(fours, i):
                above, slope = A[j], factor * A[j, i]
                for m in range(j + 1):
                    row[m] -= slope * above[m]
            row[i] = factor
            for m in range(i + 1):
                finite += 0.0 * row[m]
        for i in range(D):
            A[i, i + 1 :] = 0.0
        if finite != 0.0:
            return False
    return True
