"""Proportional covariances: one shape and orientation, a volume each. Sigma_k = lambda_k C.

    C = sum_k W_k / lambda_k / n        lambda_k = tr(W_k C^-1) / (D n_k)        in turn, until neither changes

VEI for diagonals, VEE for whole matrices: Celeux & Govaert (1995), models [lambda_k B] and [lambda_k C]. Each half is a maximum, so the
likelihood never falls; in log lambda what is minimised is convex, so there is one optimum. Compiled: the matrices are small and the turns many.
"""

from __future__ import annotations

import numpy as np

from mixtura.families.compiled import compiled
from mixtura.families.constraint import Constraint
from mixtura.families.volumes import geometric_means
from mixtura.moments import Array

TURNS = 500  # at most; where a scatter is singular there may be no optimum to arrive at
LEAST, BUDGET = 10, 2_000_000_000  # turns of large matrices, and D^3 of all together, at most: a second. Each raises the likelihood, so EM climbs
MANY = 128  # columns from which on LAPACK inverts in less time
ROUNDING = 1e-13  # relative change of every volume: nothing is left to gain


class Proportional(Constraint):
    """Sigma_k = lambda_k C."""

    def maximise(self, scatter: Array, counts: Array, previous: Array | None) -> Array:
        """Turn by turn, from the volumes of `previous` or from equal ones."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            volumes = np.ones_like(counts) if previous is None else geometric_means(previous, counts)
        K, D = counts.shape[-1], scatter.shape[-1]
        shared = np.empty(counts.shape[:-1] + scatter.shape[counts.ndim :])
        volumes = np.array(np.broadcast_to(volumes, counts.shape))
        flat = scatter.reshape(-1, *scatter.shape[counts.ndim - 1 :])
        turns = _turns_by_lapack if flat.ndim == 4 and D >= MANY else _turns
        turns(np.ascontiguousarray(flat), counts.reshape(-1, K), volumes.reshape(-1, K), shared.reshape(-1, *(D,) * (flat.ndim - 2)))
        with np.errstate(invalid="ignore", over="ignore"):  # a scatter of zeros, or of no numbers, has NaN for volume
            return np.asarray(volumes.reshape(counts.shape + (1,) * (flat.ndim - 2)) * np.expand_dims(shared, counts.ndim - 1))


PROPORTIONAL = Proportional()


def _turns_by_lapack(scatter: Array, counts: Array, volumes: Array, shared: Array) -> None:
    """What `_turns` does, of large matrices."""
    D = scatter.shape[-1]
    for W, n, v, C in zip(scatter, counts, volumes, shared, strict=True):
        for _ in range(max(LEAST, min(TURNS, BUDGET // D**3))):
            with np.errstate(divide="ignore", invalid="ignore"):
                C[:] = np.tensordot(np.where(v > 0, 1 / (v * n.sum()), 0.0), W, 1)
            try:
                np.linalg.cholesky(C)
                now = np.tensordot(W, np.linalg.inv(C), 2) / (D * n)
            except np.linalg.LinAlgError:
                now = np.full_like(v, np.nan)  # not positive definite, as Cholesky's factors say
            change = float(np.max(np.abs(now - v) / now))
            v[:] = now
            if not change > ROUNDING:
                break


@compiled
def _turns(scatter, counts, volumes, shared):  # type: ignore[no-untyped-def]
    """For every problem scatter (K, D) or (K, D, D), counts (K,): volumes (K,), where to begin, become those of the optimum, shared its C."""
    for p in range(len(scatter)):
        if scatter.ndim == 4:
            turns_of_matrices(scatter[p], counts[p], volumes[p], shared[p])
        else:
            turns_of_diagonals(scatter[p], counts[p], volumes[p], shared[p])


@compiled
def turns_of_diagonals(W, n, v, C):  # type: ignore[no-untyped-def]
    """Volumes v (K,), where to begin, become those of the optimum for diagonal scatters W (K, D) and counts n (K,), and C (D,) its shape."""
    K, D = W.shape
    rows = 0.0
    for k in range(K):
        rows += n[k]
    for _ in range(TURNS):
        for j in range(D):
            C[j] = 0.0
        for k in range(K):
            if v[k] > 0.0:
                factor = 1.0 / (v[k] * rows)
                for j in range(D):
                    C[j] += factor * W[k, j]
        change = 0.0
        for k in range(K):
            trace = 0.0
            for j in range(D):
                trace += W[k, j] / C[j]
            now = trace / (D * n[k])
            change = max(change, abs(now - v[k]) / now)
            v[k] = now
        if not change > ROUNDING:
            break


@compiled
def turns_of_matrices(W, n, v, C):  # type: ignore[no-untyped-def]
    """The same of W (K, D, D) and C (D, D)."""
    K, D, _ = W.shape
    precision = np.empty((D, D))
    rows = 0.0
    for k in range(K):
        rows += n[k]
    for _ in range(TURNS):
        for i in range(D):
            for j in range(i + 1):
                C[i, j] = 0.0
        for k in range(K):
            if v[k] > 0.0:
                factor = 1.0 / (v[k] * rows)
                for i in range(D):
                    for j in range(i + 1):
                        C[i, j] += factor * W[k, i, j]
        _invert(C, precision)
        change = 0.0
        for k in range(K):
            trace = 0.0
            for i in range(D):
                for j in range(i):
                    trace += 2.0 * W[k, i, j] * precision[i, j]
                trace += W[k, i, i] * precision[i, i]
            now = trace / (D * n[k])
            change = max(change, abs(now - v[k]) / now)
            v[k] = now
        if not change > ROUNDING:
            break
    for i in range(D):
        for j in range(i):
            C[j, i] = C[i, j]


@compiled
def _invert(matrix, inverse):  # type: ignore[no-untyped-def]
    """The lower triangle of the inverse from that of a symmetric matrix, by Cholesky's factors; NaN where it is not positive definite."""
    D = len(matrix)
    L = np.empty((D, D))
    U = np.empty((D, D))  # the inverse of L
    for j in range(D):
        for i in range(j, D):
            value = matrix[i, j]
            for m in range(j):
                value -= L[i, m] * L[j, m]
            L[i, j] = np.sqrt(value) if i == j else value / L[j, j]
    for j in range(D):
        U[j, j] = 1.0 / L[j, j]
        for i in range(j + 1, D):
            value = 0.0
            for m in range(j, i):
                value -= L[i, m] * U[m, j]
            U[i, j] = value / L[i, i]
    for i in range(D):
        for j in range(i + 1):
            value = 0.0
            for m in range(i, D):
                value += U[m, i] * U[m, j]
            inverse[i, j] = value
