"""The M-step's sums at posteriors that somebody has: what an E-step found, or the components of rows that are known.

    n_k = sum_i w_i r_ik        xbar_k = sum_i w_i r_ik x_i / n_k        S_k = sum_i w_i r_ik (x_i - xbar_k)(x_i - xbar_k)'

Two passes: the first finds the means, the second sums about them. The posteriors travel with the task to where the rows are.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.blas import one_thread
from mixtura.errors import DataError, ParameterError
from mixtura.families import Family, family_of
from mixtura.moments import MATRIX, NORM, Array, Moment
from mixtura.sources.opening import open as open_source
from mixtura.sources.source import Source
from mixtura.sources.tasks import Block
from mixtura.statistics import Statistics

UNKNOWN = -1  # the label of a row whose component nobody knows
LOOSE = 1e-3  # what the posteriors of a row may miss a sum of 1 by: those of float32 rows of small density are no closer


@dataclass(frozen=True, eq=False)
class Shares:
    """Which share each of K components has in each row: labels (N,), of which -1 is no component's, or posteriors (N, K), where all may be 0."""

    of_rows: NDArray[Any]
    K: int

    @classmethod
    def of_posterior(cls, posterior: ArrayLike, n_rows: int) -> Shares:
        """Posteriors (N, K). Raises DataError unless every row is K numbers >= 0 with sum 1."""
        shares = _posteriors("the posterior", posterior, n_rows, None)
        _check_sums("the posterior", shares, np.ones(n_rows, dtype=bool))
        return cls(shares, shares.shape[1])

    @classmethod
    def of_labels(cls, labels: ArrayLike, n_rows: int, K: int) -> Shares:
        """Labels 0 to K - 1, or posteriors (N, K); a row is unknown whose label is -1, or whose posteriors are all -1.

        Raises DataError for anything else.
        """
        array = _array("labels", labels)
        if array.ndim == 1:
            return cls(_labels(array, n_rows, K), K)
        shares = _posteriors("labels", array, n_rows, K)
        known = (shares != UNKNOWN).any(axis=1)
        _check_sums("labels", shares, known)
        return cls(np.where(known[:, None], shares, 0.0), K)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which rows belong anywhere (N,)."""
        return np.asarray(self.of_rows != UNKNOWN if self.of_rows.ndim == 1 else self.of_rows.any(axis=1))

    def rows(self, start: int, stop: int) -> Array:
        """Those of some rows (n, K)."""
        part = self.of_rows[start:stop]
        return np.asarray(part[:, None] == np.arange(self.K), dtype=float) if part.ndim == 1 else part

    def taken(self, rows: NDArray[np.intp]) -> Array:
        """Those of the rows of these numbers (n, K)."""
        return Shares(self.of_rows[rows], self.K).rows(0, len(rows))

    def dealt(self, n: int, generator: np.random.Generator) -> NDArray[np.intp]:
        """Numbers of rows, ascending: all that belong anywhere; where these are more than n, of each component at most n / K, drawn at random."""
        if self.known.sum() <= n:
            return np.flatnonzero(self.known)
        chosen = np.zeros(len(self.of_rows), dtype=bool)
        for k in range(self.K):
            mine = np.flatnonzero(self.of_rows == k if self.of_rows.ndim == 1 else self.of_rows[:, k] > 0)
            chosen[mine if len(mine) <= n // self.K else generator.choice(mine, n // self.K, replace=False, shuffle=False)] = True
        return np.flatnonzero(chosen)

    def statistics(self, source: Source, moment: Moment, pooled: bool) -> Statistics:
        """The sums over the rows of the source. Raises DataError for rows that are not finite."""
        with one_thread():  # the blocks have threads of their own
            profile = source.profile
            firsts = source.reduce(_Firsts(self, profile.mean))
            counts = firsts[:, 0]
            pivots = profile.mean + firsts[:, 1:] / np.where(counts > 0, counts, 1.0)[:, None]
            sums = source.reduce(_Seconds(self, pivots, moment))
        first, second = sums[2 : 2 + pivots.size].reshape(pivots.shape), sums[2 + pivots.size :].reshape(self.K, *moment.shape(source.D))
        second = second.sum(axis=0) if pooled else second
        return Statistics(moment, pooled, round(sums[1]), float(sums[0]), np.nan, counts, pivots, first, second)


@dataclass(frozen=True, eq=False)
class _Weighed:
    """A task at given shares."""

    shares: Shares

    def _of(self, block: Block) -> tuple[Array, Array]:
        """The rows of the block that belong anywhere, and their shares, times their weights (n, K)."""
        shares = self.shares.rows(block.start, block.start + len(block.rows))
        if block.weights is not None:
            shares = shares * block.weights[:, None]
        belong = shares.any(axis=1)
        rows, shares = (block.rows, shares) if belong.all() else (block.rows[belong], shares[belong])
        return np.asarray(rows, dtype=float), shares


@dataclass(frozen=True, eq=False)
class _Firsts(_Weighed):
    """Counts, and sums about one centre: (K, 1 + D)."""

    centre: Array

    def __call__(self, block: Block) -> Array:
        """Those of the block."""
        rows, shares = self._of(block)
        return np.column_stack([shares.sum(axis=0), shares.T @ (rows - self.centre)])


@dataclass(frozen=True, eq=False)
class _Seconds(_Weighed):
    """Weight and rows that belong somewhere; sums and second moments about a pivot for each component: flat."""

    pivots: Array
    moment: Moment

    def __call__(self, block: Block) -> Array:
        """Those of the block."""
        rows, shares = self._of(block)
        first, second = np.empty_like(self.pivots), []
        for k, pivot in enumerate(self.pivots):
            held = shares[:, k] > 0
            centred, weights = rows[held] - pivot, shares[held, k]
            first[k] = weights @ centred
            second.append(_second(centred, weights, self.moment).ravel())
        return np.concatenate([[shares.sum(), len(shares)], first.ravel(), *second])


def _second(centred: Array, weights: Array, moment: Moment) -> Array:
    """sum_i w_i x_i x_i' as the moment keeps it; symmetric to the last bit."""
    if moment is MATRIX:
        roots = centred * np.sqrt(weights)[:, None]
        return np.asarray(roots.T @ roots)
    squares = weights @ centred**2
    return np.asarray(squares.sum() if moment is NORM else squares)


def statistics_of(X: Any, posterior: ArrayLike, sample_weight: ArrayLike | str | None, family: str | Family) -> Statistics:
    """See Statistics.of."""
    kept = family_of(family)
    if kept.n_factors:
        raise ParameterError(
            f"family {kept.name!r} has no sums at posteriors alone: got factors, whose sums are taken at one mixture, expected whole second "
            "moments; try 'full', or mixtura.sweep(mixture, X)"
        )
    source = open_source(X, weight=sample_weight)
    return Shares.of_posterior(posterior, source.n_rows).statistics(source, kept.moment, kept.pooled)


def _array(what: str, value: Any) -> NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        with suppress(TypeError, ValueError):
            array = array.astype(float)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{what} cannot be read: got {type(value).__name__} of {array.dtype}, expected numbers; try numpy.unique(names, return_inverse=True)[1]"
        )
    return array


def _labels(array: NDArray[Any], n_rows: int, K: int) -> NDArray[np.int64]:
    if array.shape != (n_rows,):
        raise DataError(f"labels do not fit the rows: got {len(array)} labels, expected {n_rows}, one a row; try {UNKNOWN} for rows of no label")
    whole = np.isfinite(array) & (array >= UNKNOWN) & (array < K) & (array == np.floor(array))
    if not whole.all():
        row = int(np.flatnonzero(~whole)[0])
        raise DataError(
            f"a label is not usable: got {array[row]} in row {row}, expected 0 to {K - 1} for {K} component{'s' * (K != 1)}, or {UNKNOWN} where it "
            "is not known; try numpy.unique(labels, return_inverse=True)[1], or more components"
        )
    return array.astype(np.int64)


def _posteriors(what: str, value: Any, n_rows: int, K: int | None) -> Array:
    array = _array(what, value)
    if array.ndim != 2 or len(array) != n_rows or array.shape[1] != (array.shape[1] if K is None else K) or array.shape[1] == 0:
        alone = "" if K is None else f", or labels ({n_rows},)"
        raise DataError(
            f"{what} does not fit: got shape {array.shape}, expected ({n_rows}, {'K' if K is None else K}), a row for each row of the data{alone}; "
            "try mixture.posterior(X)"
        )
    return np.asarray(array, dtype=float)


def _check_sums(what: str, shares: Array, known: NDArray[np.bool_]) -> None:
    """Raises DataError where the shares of a known row are not numbers >= 0 with sum 1."""
    with np.errstate(invalid="ignore", over="ignore"):
        usable = (shares >= 0).all(axis=1) & (np.abs(shares.sum(axis=1) - 1) <= LOOSE) | ~known
    if not usable.all():
        row = int(np.flatnonzero(~usable)[0])
        raise DataError(
            f"{what} is no distribution: got {np.array2string(shares[row], threshold=8)} in row {row}, expected numbers >= 0 with sum 1; "
            "try posterior / posterior.sum(axis=1, keepdims=True)"
        )
