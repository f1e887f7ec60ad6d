"""A tree over rows by model-based agglomeration: those two clusters merge whose merger costs the least classification likelihood.

    cost of a merger = v(i and j together) - v(i) - v(j)        v(k) = n_k log|(W_k + prior) / (n_k + 1)|

with W_k the scatter of cluster k: every cluster has a covariance of its own, so elongated clusters stay whole, as Ward's do not. `prior` is one
row's worth of scatter, so that a single row has a volume. Banfield & Raftery (1993), Biometrics 49, 803-821, for the criterion; Fraley (1998),
SIAM Journal on Scientific Computing 20, 270-281, for its use as a start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixtura.compiling import compiled
from mixtura.moments import Array


def agglomerate(rows: Array, weights: Array, prior: Array) -> NDArray[np.int64]:
    """What each merger joins (N - 1, 2): a row, or as N + m what merger m did. `prior` is (D, D), in the rows' squared units."""
    N, D = rows.shape
    mergers = np.empty((N - 1, 2), dtype=np.int64)
    clusters = weights.copy(), np.array(rows, order="C"), np.zeros((N, D, D))
    search = np.zeros(N), np.arange(N), np.ones(N, dtype=bool), np.zeros(N, dtype=np.int64), np.full(N, np.inf)
    _agglomerate(*clusters, *search, np.ascontiguousarray(prior), np.empty((D, D)), mergers)
    return mergers


@compiled(nogil=True, error_model="numpy")
def _agglomerate(n, means, W, own, label, active, nearest, cost, prior, scratch, mergers):  # type: ignore[no-untyped-def]
    """Clusters n (N,), means (N, D), W (N, D, D), at first the rows; `own` is v of each, `nearest` the cheapest partner after it, at what `cost`.

    Fills mergers and returns nothing: where a kernel returns an array, an interrupt that came meanwhile is raised as a SystemError.
    """
    N, D = means.shape
    for i in range(N):
        own[i] = _merged(i, i, n, means, W, prior, scratch)
    for i in range(N - 1):
        _find_nearest(i, n, means, W, prior, own, active, nearest, cost, scratch)
    for m in range(N - 1):
        i = 0
        for k in range(N):
            if active[k] and cost[k] < cost[i]:
                i = k
        j = nearest[i]
        mergers[m, 0] = label[i]
        mergers[m, 1] = label[j]
        own[i] = _merged(i, j, n, means, W, prior, scratch)
        share = n[j] / (n[i] + n[j])
        for a in range(D):
            for b in range(D):
                W[i, a, b] += W[j, a, b] + n[i] * share * (means[j, a] - means[i, a]) * (means[j, b] - means[i, b])
        for a in range(D):
            means[i, a] += share * (means[j, a] - means[i, a])
        n[i] += n[j]
        active[j] = False
        cost[j] = np.inf
        label[i] = N + m
        for k in range(N):
            if active[k] and (k == i or nearest[k] == i or nearest[k] == j):
                _find_nearest(k, n, means, W, prior, own, active, nearest, cost, scratch)
        for k in range(i):
            if active[k]:
                together = _merged(k, i, n, means, W, prior, scratch) - own[k] - own[i]
                if together < cost[k]:
                    cost[k], nearest[k] = together, i


@compiled(nogil=True, error_model="numpy")
def _find_nearest(i, n, means, W, prior, own, active, nearest, cost, scratch):  # type: ignore[no-untyped-def]
    """The cheapest merger of cluster i with one that comes after it."""
    cost[i] = np.inf
    for j in range(i + 1, len(n)):
        if active[j]:
            together = _merged(i, j, n, means, W, prior, scratch) - own[i] - own[j]
            if together < cost[i]:
                cost[i], nearest[i] = together, j


@compiled(nogil=True, error_model="numpy")
def _merged(i, j, n, means, W, prior, A):  # type: ignore[no-untyped-def]
    """v of clusters i and j together, or of i where they are the same."""
    D = len(prior)
    count = n[i] if i == j else n[i] + n[j]
    between = 0.0 if i == j else n[i] * n[j] / count
    for a in range(D):
        for b in range(a + 1):
            A[a, b] = prior[a, b] + W[i, a, b]
            if i != j:
                A[a, b] += W[j, a, b] + between * (means[j, a] - means[i, a]) * (means[j, b] - means[i, b])
    product, total = 1.0, 0.0
    for a in range(D):  # Cholesky's decomposition in place
        for b in range(a):
            value = A[a, b]
            for c in range(b):
                value -= A[a, c] * A[b, c]
            A[a, b] = value / A[b, b]
            A[a, a] -= A[a, b] * A[a, b]
        product *= A[a, a]
        A[a, a] = np.sqrt(A[a, a])
        if not 1e-200 < product < 1e200:
            total += np.log(product)
            product = 1.0
    return count * (total + np.log(product) - D * np.log(count + 1.0))
