"""The M-step of every family, compiled: what `Family.maximise` does, for one small problem, in place.

Closed forms are written out; the others turn as `families` does it, common axes less often a step: EM turns them on. For matrices this small
LAPACK's wrappers would take longer than Jacobi's rotations. tests/test_families.py holds the two together.
"""

from __future__ import annotations

import numpy as np
from numba import types

from mixtura.families.common_axes import turn
from mixtura.families.proportional import turns_of_diagonals, turns_of_matrices
from mixtura.families.volumes import SHAPELESS
from mixtura.kernels.lanes import Pointer, kernel

CODES = ("EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")
EII, VII, EEI, VEI, EVI, VVI, EEE, VEE, EVE, VVE, EEV, VEV, EVV, VVV = range(len(CODES))
ROTATIONS = 30  # sweeps of them, at most: they converge quadratically
FIRST, MORE, TURNS = 6, 2, 4  # sweeps of common axes over all planes: from none, and from those of a step before; tangents in a plane
_numbers, _matrices = types.Array(types.float64, 1, "C"), types.Array(types.float64, 3, "C")
MAXIMISE = types.void(types.int64, _numbers, _matrices, _matrices, types.boolean)


def is_diagonal(code: int) -> bool:
    """Whether the axes of this family are the columns."""
    return code <= VVI


@kernel
def scaled(matrix, factor, result):  # type: ignore[no-untyped-def]
    """result = factor * matrix. Written out, as all here: what NumPy would say in a line takes a second to compile."""
    D = len(matrix)
    for i in range(D):
        for j in range(D):
            result[i, j] = factor * matrix[i, j]


@kernel
def copy_matrices(source, target):  # type: ignore[no-untyped-def]
    """target = source (K, D, D)."""
    for k in range(len(source)):
        scaled(source[k], 1.0, target[k])


@kernel
def lower_factor(matrix, L):  # type: ignore[no-untyped-def]
    """The lower triangle of L with LL' = matrix; whether there is one."""
    D = len(matrix)
    for j in range(D):
        for i in range(j, D):
            value = matrix[i, j]
            for m in range(j):
                value -= L[i, m] * L[j, m]
            if i == j:
                if not 0.0 < value < np.inf:
                    return False
                L[i, i] = np.sqrt(value)
            else:
                L[i, j] = value / L[j, j]
    return True


@kernel
def whiten(matrix, U):  # type: ignore[no-untyped-def]
    """The lower triangle of U with U'U = matrix^-1, and the sum of the logarithms of its diagonal; NaN where there is none."""
    D = len(matrix)
    L = np.empty((D, D))
    if not lower_factor(matrix, L):
        return np.nan
    total = 0.0
    for j in range(D):
        U[j, j] = 1.0 / L[j, j]
        total -= np.log(L[j, j])
        for i in range(j + 1, D):
            value = 0.0
            for m in range(j, i):
                value -= L[i, m] * U[m, j]
            U[i, j] = value / L[i, i]
    return total


@kernel
def geometric_mean(matrix):  # type: ignore[no-untyped-def]
    """|matrix|^(1/D), 0 where it is not positive definite."""
    D = len(matrix)
    L = np.empty((D, D))
    if not lower_factor(matrix, L):
        return 0.0
    total = 0.0
    for j in range(D):
        total += np.log(L[j, j])
    return np.exp(2.0 * total / D)


@kernel
def geometric_mean_of_diagonal(values):  # type: ignore[no-untyped-def]
    """The same of a diagonal."""
    total = 0.0
    for i in range(len(values)):
        if not values[i] > 0.0:
            return 0.0
        total += np.log(values[i])
    return np.exp(total / len(values))


@kernel
def eigen(matrix, values, vectors):  # type: ignore[no-untyped-def]
    """Eigenvalues in ascending order and their vectors (columns), by Jacobi's rotations (Golub & Van Loan, 8.5)."""
    D = len(matrix)
    A, Q = np.empty((D, D)), np.empty((D, D))
    for i in range(D):
        for j in range(D):
            A[i, j] = matrix[i, j]
            Q[i, j] = 1.0 if i == j else 0.0
    for _ in range(ROTATIONS):
        turned = False
        for i in range(D - 1):
            for j in range(i + 1, D):
                if A[i, j] * A[i, j] <= 1e-30 * abs(A[i, i] * A[j, j]):
                    continue
                turned = True
                half = (A[j, j] - A[i, i]) / (2.0 * A[i, j])
                t = 1.0 / (abs(half) + np.sqrt(half * half + 1.0))
                if half < 0.0:
                    t = -t
                c = 1.0 / np.sqrt(t * t + 1.0)
                s = t * c
                for m in range(D):
                    a, b = A[m, i], A[m, j]
                    A[m, i], A[m, j] = c * a - s * b, s * a + c * b
                    a, b = Q[m, i], Q[m, j]
                    Q[m, i], Q[m, j] = c * a - s * b, s * a + c * b
                for m in range(D):
                    a, b = A[i, m], A[j, m]
                    A[i, m], A[j, m] = c * a - s * b, s * a + c * b
        if not turned:
            break
    for i in range(D):
        place = 0
        for j in range(D):
            if A[j, j] < A[i, i] or (A[j, j] == A[i, i] and j < i):
                place += 1
        values[place] = A[i, i]
        for j in range(D):
            vectors[j, place] = Q[j, i]


@kernel
def compose(Q, values, S):  # type: ignore[no-untyped-def]
    """S = Q diag(values) Q'."""
    D = len(values)
    for i in range(D):
        for j in range(i + 1):
            value = 0.0
            for m in range(D):
                value += Q[i, m] * values[m] * Q[j, m]
            S[i, j] = S[j, i] = value


@kernel
def sum_of(n):  # type: ignore[no-untyped-def]
    """The sum of some numbers, in order."""
    total = 0.0
    for k in range(len(n)):
        total += n[k]
    return total


@kernel
def equal_volumes(own, n, factors):  # type: ignore[no-untyped-def]
    """What to multiply W_k by so that all volumes are equal, from own = |W_k|^(1/D); NaN for a W_k without shape."""
    volume = sum_of(own) / sum_of(n)
    for k in range(len(n)):
        factors[k] = volume / own[k] if own[k] > SHAPELESS * n[k] * volume else np.nan


@kernel
def share(n, B):  # type: ignore[no-untyped-def]
    """Diagonal scatters B (K, D) become the diagonal that all share: their sum over n."""
    K, D = B.shape
    total = sum_of(n)
    for i in range(D):
        value = 0.0
        for k in range(K):
            value += B[k, i]
        for k in range(K):
            B[k, i] = value / total


@kernel
def multiply(B, factors, divide):  # type: ignore[no-untyped-def]
    """B_k (K, D) times its factor, or divided by it."""
    K, D = B.shape
    for k in range(K):
        for i in range(D):
            B[k, i] = B[k, i] / factors[k] if divide else B[k, i] * factors[k]


@Pointer.of(MAXIMISE)
def diagonals(code, n, W, S, known):  # type: ignore[no-untyped-def]
    """The families whose axes are the columns."""
    K, D, _ = W.shape
    B = np.empty((K, D))
    for k in range(K):
        for i in range(D):
            B[k, i] = W[k, i, i]
    if code == EII or code == EEI:
        share(n, B)
    elif code == VII or code == VVI:
        multiply(B, n, True)
    if code == EII or code == VII:
        for k in range(K):
            mean = 0.0
            for i in range(D):
                mean += B[k, i] / D
            for i in range(D):
                B[k, i] = mean
    if code == VEI or code == EVI:
        previous = np.empty((K, D))
        for k in range(K):
            for i in range(D):
                previous[k, i] = S[k, i, i]
        spectra(code == EVI, n, B, previous, known)
    for k in range(K):
        for i in range(D):
            for j in range(D):
                S[k, i, j] = B[k, i] if i == j else 0.0


@kernel
def spectra(volumes, n, B, previous, known):  # type: ignore[no-untyped-def]
    """Diagonal scatters B (K, D) become diagonals of equal volumes, or else proportional ones, turned from the volumes of `previous`."""
    K, D = B.shape
    if volumes:
        own, factors = np.empty(K), np.empty(K)
        for k in range(K):
            own[k] = geometric_mean_of_diagonal(B[k])
        equal_volumes(own, n, factors)
        multiply(B, factors, False)
        return
    v, C = np.empty(K), np.empty(D)
    for k in range(K):
        v[k] = geometric_mean_of_diagonal(previous[k]) if known else 1.0
    turns_of_diagonals(B, n, v, C)
    for k in range(K):
        for i in range(D):
            B[k, i] = v[k] * C[i]


@Pointer.of(MAXIMISE)
def own_axes(code, n, W, S, known):  # type: ignore[no-untyped-def]
    """EEV and VEV: eigenvectors of their own, eigenvalues in order equal or proportional."""
    K, D, _ = W.shape
    values, vectors, previous = np.empty((K, D)), np.empty((K, D, D)), np.empty((K, D))
    for k in range(K):
        if known and code == VEV:
            volume = geometric_mean(S[k])
            for i in range(D):
                previous[k, i] = volume
        eigen(W[k], values[k], vectors[k])
        for i in range(D):
            values[k, i] = max(values[k, i], 0.0)
    if code == EEV:
        share(n, values)
    else:
        spectra(False, n, values, previous, known)
    for k in range(K):
        compose(vectors[k], values[k], S[k])


@kernel
def turned(code, n, W, Q, sweeps, S):  # type: ignore[no-untyped-def]
    """EVE and VVE from axes Q, which are turned: S, and the criterion there."""
    K, D, _ = W.shape
    seen, half, axes, B = np.empty((K, D, D)), np.empty((D, D)), np.empty((D, D)), np.empty((K, D))
    scaled(Q, 1.0, axes)
    for k in range(K):
        for i in range(D):
            for j in range(D):
                value = 0.0
                for m in range(D):
                    value += W[k, i, m] * Q[m, j]
                half[i, j] = value
        for i in range(D):
            for j in range(D):
                value = 0.0
                for m in range(D):
                    value += Q[m, i] * half[m, j]
                seen[k, i, j] = value
    turn(seen, n, axes, code == EVE, sweeps, TURNS)
    for k in range(K):
        for i in range(D):
            B[k, i] = max(seen[k, i, i], 0.0)
    if code == EVE:
        spectra(True, n, B, B, False)
    else:
        multiply(B, n, True)
    value = 0.0
    for k in range(K):
        for i in range(D):
            value += n[k] * np.log(B[k, i])
        compose(axes, B[k], S[k])
    return value


@Pointer.of(MAXIMISE)
def common_axes(code, n, W, S, known):  # type: ignore[no-untyped-def]
    """EVE and VVE: from the axes of the covariances before; without, the better of the columns and of all scatters together."""
    K, D, _ = W.shape
    together, values, Q = np.zeros((D, D)), np.empty(D), np.zeros((D, D))
    for k in range(K):
        trace = 0.0
        for i in range(D):
            trace += S[k, i, i] if known else W[k, i, i]
        factor = n[k] / max(trace, 1e-300)
        for i in range(D):
            for j in range(D):
                together[i, j] += factor * (S[k, i, j] if known else W[k, i, j])
    eigen(together, values, Q)
    sweeps = MORE if known else FIRST
    value = turned(code, n, W, Q, sweeps, S)
    if not known:
        for i in range(D):
            for j in range(D):
                Q[i, j] = 1.0 if i == j else 0.0
        other = np.empty((K, D, D))
        if turned(code, n, W, Q, sweeps, other) < value:
            copy_matrices(other, S)


@Pointer.of(MAXIMISE)
def matrices(code, n, W, S, known):  # type: ignore[no-untyped-def]
    """The families of whole matrices that need no eigenvectors."""
    K, D, _ = W.shape
    if code == EEE:
        total = sum_of(n)
        for i in range(D):
            for j in range(D):
                value = 0.0
                for k in range(K):
                    value += W[k, i, j]
                for k in range(K):
                    S[k, i, j] = value / total
    elif code == VEE:
        v, C = np.empty(K), np.empty((D, D))
        for k in range(K):
            v[k] = geometric_mean(S[k]) if known else 1.0
        turns_of_matrices(W, n, v, C)
        for k in range(K):
            scaled(C, v[k], S[k])
    elif code == EVV:
        own, factors = np.empty(K), np.empty(K)
        for k in range(K):
            own[k] = geometric_mean(W[k])
        equal_volumes(own, n, factors)
        for k in range(K):
            scaled(W[k], factors[k], S[k])
    else:
        for k in range(K):
            scaled(W[k], 1.0 / n[k], S[k])


def maximiser(code: int) -> Pointer:
    """What fills S (K, D, D) with the covariances of greatest likelihood for counts n (K,) and scatter W (K, D, D), which are not changed.

    maximiser(code)(code, n, W, S, known): `known` is whether S holds the covariances of a step before. Not finite where a scatter has no shape.
    """
    return diagonals if is_diagonal(code) else common_axes if code in (EVE, VVE) else own_axes if code in (EEV, VEV) else matrices
