"""A tree over rows by model-based agglomeration: those two clusters merge whose merger costs the least classification likelihood.

    cost of a merger = v(i and j together) - v(i) - v(j)        v(k) = n_k log|(W_k + prior) / (n_k + 1)|

with W_k the scatter of cluster k: every cluster has a covariance of its own, so elongated clusters stay whole, as Ward's do not. `prior` is one
row's worth of scatter, so that a single row has a volume. Banfield & Raftery (1993), Biometrics 49, 803-821, for the criterion; Fraley (1998),
SIAM Journal on Scientific Computing 20, 270-281, for its use as a start.

Time is N^2 costs and N^2 log N comparisons for any rows, memory 9 N^2 bytes. A merger may make any other pair the cheapest one of a cluster (beside
one far row, all rows are nearest to the largest cluster), so no chain of nearest neighbours and no search among fewer pairs is safe. Each cost
is computed once, when the younger cluster of a pair is born, and kept with it. So the costs that a cluster keeps only ever end, with the other
cluster. Above them stands a binary tree of bounds: none below a node is less. An end leaves the bounds; a search that they led to it in vain
raises them, so that it is paid for by this end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mixtura.compiling import compiled
from mixtura.moments import Array

GROUP = 32  # costs below one leaf of the bounds: few enough to look through, and as many fewer bounds as costs
DEAREST = np.finfo(float).max  # what a cost counts that is not a number


def agglomerate(rows: Array, weights: Array, prior: Array) -> NDArray[np.int64]:
    """What each merger joins (N - 1, 2): a row, or as N + m what merger m did. `prior` is (D, D), in the rows' squared units.

    A merged cluster has the place of its first row. Of mergers that cost the same to the bit comes first that of the first place, and of these
    that with the first other.
    """
    N, D = rows.shape
    mergers = np.empty((N - 1, 2), dtype=np.int64)
    leaves = 1
    while leaves * GROUP < N:
        leaves *= 2
    clusters = weights.copy(), np.array(rows, order="C"), np.zeros((N, D, D)), np.zeros(N), np.arange(N)
    search = np.empty((N, N)), np.full((N, 2 * leaves), np.inf), np.arange(N), np.full(N, np.inf)
    _agglomerate(*clusters, *search, np.ascontiguousarray(prior), np.empty((D, D)), mergers)
    return mergers


@compiled(nogil=True, error_model="numpy")
def _agglomerate(n, means, W, own, label, costs, bounds, nearest, least, prior, scratch, mergers):  # type: ignore[no-untyped-def]
    """Clusters n (N,), means (N, D), W (N, D, D), at first the rows; `own` is v of each, `label` what mergers call it, -1 once it has ended.

    `costs` (N, N) are those each has with all that were born before it, `bounds` (N, 2 leaves) theirs, of which node v is above 2 v and 2 v + 1.
    `nearest` is the cheapest of them, at what `least` cost. Fills mergers and returns nothing: where a kernel returns an array, an interrupt that
    came meanwhile is raised as a SystemError.
    """
    N, D = means.shape
    for i in range(N):
        own[i] = _merged(i, i, n, means, W, prior, scratch)
    for i in range(N):
        _begin(i, i + 1, n, means, W, prior, own, label, costs, bounds, scratch)
        _search(i, label, costs, bounds, nearest, least)
    for m in range(N - 1):
        i, j = N, N
        for k in range(N):
            if label[k] >= 0 and (i == N or least[k] <= least[i]):
                one, other = min(k, nearest[k]), max(k, nearest[k])
                if i == N or least[k] < least[i] or one < min(i, j) or (one == min(i, j) and other < max(i, j)):
                    i, j = k, nearest[k]
        i, j = min(i, j), max(i, j)
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
        label[i] = N + m
        label[j] = -1
        _begin(i, 0, n, means, W, prior, own, label, costs, bounds, scratch)
        for k in range(N):
            if label[k] >= 0 and (k == i or nearest[k] == i or nearest[k] == j):
                _search(k, label, costs, bounds, nearest, least)


@compiled(nogil=True, error_model="numpy")
def _begin(i, first, n, means, W, prior, own, label, costs, bounds, scratch):  # type: ignore[no-untyped-def]
    """The costs of cluster i with all in places from `first` on, and their bounds."""
    N, leaves = len(n), bounds.shape[1] // 2
    for leaf in range(leaves):
        smallest = np.inf
        for k in range(leaf * GROUP, min((leaf + 1) * GROUP, N)):
            costs[i, k] = np.inf
            if label[k] >= 0 and k >= first and k != i:
                one, other = min(i, k), max(i, k)
                cost = _merged(one, other, n, means, W, prior, scratch) - own[one] - own[other]
                costs[i, k] = cost if cost < DEAREST else DEAREST
                smallest = min(smallest, costs[i, k])
        bounds[i, leaves + leaf] = smallest
    for node in range(leaves - 1, 0, -1):
        bounds[i, node] = min(bounds[i, 2 * node], bounds[i, 2 * node + 1])


@compiled(nogil=True, error_model="numpy")
def _search(i, label, costs, bounds, nearest, least):  # type: ignore[no-untyped-def]
    """Finds the nearest of cluster i: down to the first leaf of the least bound, and again where it has less to offer, until one keeps its word."""
    N, leaves = len(label), bounds.shape[1] // 2
    while True:
        promised = bounds[i, 1]
        node = 1
        while node < leaves:
            node = 2 * node + (bounds[i, 2 * node] > bounds[i, 2 * node + 1])
        smallest = np.inf
        for k in range((node - leaves) * GROUP, min((node - leaves + 1) * GROUP, N)):
            if costs[i, k] < smallest and 0 <= label[k] <= max(label[i], N - 1):  # born after i, it keeps this cost itself
                smallest = costs[i, k]
                nearest[i] = k
        bounds[i, node] = smallest
        while node > 1:
            node //= 2
            bounds[i, node] = min(bounds[i, 2 * node], bounds[i, 2 * node + 1])
        if smallest == promised:
            break
    least[i] = smallest


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
