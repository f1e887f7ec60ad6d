"""A few steps of EM from many candidates at once, for data so small that a step's arithmetic is nothing and its calls are everything.

All candidates' statistics are one product with the table of features 1, x, xx', as in the kernels' expanded form. Its rounding is good enough
to rank candidates by, and nothing of it goes on but the best ones' responsibilities.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixtura.families import Family
from mixtura.moments import Array
from mixtura.regularisation import RELATIVE_FLOOR, Regularisation
from mixtura.triangular import inverse_factors


class Standing(NamedTuple):
    """Where C candidates stand: log-likelihoods (C,), mean per row, whether a covariance collapsed (C,), responsibilities (C, K, N)."""

    log_likelihoods: Array
    collapsed: NDArray[np.bool_]
    responsibilities: Array

    def best(self, n: int) -> Standing:
        """The n most promising: those that collapsed rank last, and those that differ by rounding keep their order."""
        order = np.lexsort((-np.round(self.log_likelihoods, 8), self.collapsed))[:n]
        return Standing(self.log_likelihoods[order], self.collapsed[order], self.responsibilities[order])


class Lockstep:
    """EM on N rows (N, D) with weights (N,), for C candidates given by their responsibilities (C, K, N).

    `reference` is the rows' covariance, as `regularisation` wants it.
    """

    def __init__(self, rows: Array, weights: Array, family: Family, regularisation: Regularisation, reference: Array):
        self.weights, self.family, self.regularisation, self.reference = weights, family, regularisation, reference
        self.n, self.D = weights.sum(), rows.shape[1]
        self.least = weights.sum() / len(rows) / 2  # what a component counts at least: half a row
        centred = rows - weights @ rows / self.n
        squares = (centred[:, :, None] * centred[:, None, :]).reshape(len(rows), -1)
        self.features = np.hstack([np.ones((len(rows), 1)), centred, squares])
        self.weighted = self.features * weights[:, None]

    def run(self, responsibilities: Array, steps: int) -> Standing:
        """So many steps further."""
        C, K, N = responsibilities.shape
        covariances = None
        for _ in range(steps):
            natural, collapsed, covariances = self._maximise(responsibilities, covariances)
            logits = (natural @ self.features.T).reshape(C, K, N)
            top = logits.max(axis=1, keepdims=True)
            np.exp(logits - top, out=logits)
            total = logits.sum(axis=1, keepdims=True)
            responsibilities = logits / total
            log_density = (top + np.log(total))[:, 0]
        return Standing(log_density @ self.weights / self.n, collapsed, responsibilities)

    def _maximise(self, responsibilities: Array, previous: Array | None) -> tuple[Array, NDArray[np.bool_], Array]:
        """The M-step as natural parameters (C * K, F), which candidates have a covariance at the floor, and the covariances."""
        family, D = self.family, self.D
        C, K, N = responsibilities.shape
        sums = (responsibilities.reshape(C * K, N) @ self.weighted).reshape(C, K, -1)
        counts = np.maximum(sums[..., 0], self.least)
        means = sums[..., 1 : 1 + D] / counts[..., None]
        scatter = sums[..., 1 + D :].reshape(C, K, D, D) - counts[..., None, None] * means[..., :, None] * means[..., None, :]
        kept = family.moment.keep(scatter)
        summed = kept.sum(axis=1) if family.pooled else kept
        covariances, low = self.regularisation.maximise(family, summed, counts, D, self.reference, previous)
        try:
            whiteners = inverse_factors(family.moment.matrices(covariances, D))
        except np.linalg.LinAlgError:  # at a floor so low that it is all rounding: a higher one ranks as well
            whiteners = inverse_factors(family.moment.matrices(family.moment.floor(covariances, self.reference, RELATIVE_FLOOR)[0], D))
        if family.pooled:
            whiteners = whiteners[:, None]
        precisions = np.broadcast_to(whiteners.swapaxes(-1, -2) @ whiteners, (C, K, D, D))
        slopes = (precisions @ means[..., None])[..., 0]
        offsets = np.log(counts / self.n) + np.log(np.diagonal(whiteners, axis1=-2, axis2=-1)).sum(axis=-1)
        constants = offsets - (slopes * means).sum(axis=-1) / 2 - D / 2 * np.log(2 * np.pi)
        natural = np.concatenate([constants[..., None], slopes, precisions.reshape(C, K, D * D) / -2], axis=-1)
        return natural.reshape(C * K, -1), np.asarray(low.reshape(C, -1).any(axis=1)), covariances
