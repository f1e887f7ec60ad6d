"""One pass over the rows, and what it says of a mixture: how surely it tells rows apart, and which rows are unlike all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixtura.blas import with_one_thread
from mixtura.explaining.rows import Rows, Smallest
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.properties import cached_property
from mixtura.sources import Block
from mixtura.sources.tasks import AskedAtOnce

SURE = 0.95  # a probability from which on a row is called surely of its component
RARE = 0.001  # of the draws from a mixture are less likely than what is called rare
DRAWS, MOST_NUMBERS = 50_000, 2**22  # rows drawn to find that: a tenth of error; and numbers in them


@dataclass(frozen=True, eq=False)
class Survey:
    """What one pass said of N rows and a mixture of K components. Rows of weight zero are not there.

    `rows` counts rows, `weight` sums w_i, `log_likelihood` sums w_i log p(x_i), in nats. `crossings` (K, K) sums w_i r_ik over the rows assigned to
    j; `sure` and `rare` sum the weights of rows whose component has a probability of at least SURE, and whose log density is below `threshold`.
    `least` are the least likely rows, the least first; `drawn` some rows drawn at random, a row's chance in proportion to its weight, in row order.
    """

    rows: int
    weight: float
    log_likelihood: float
    crossings: Array
    sure: float
    rare: float
    threshold: float
    least: Rows
    drawn: Rows

    @cached_property
    def overlap(self) -> Array:
        """See `overlap`: (K, K), rows sum to 1; NaN for a component that no row has a part in."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.crossings / self.crossings.sum(axis=1, keepdims=True))

    @property
    def counts(self) -> Array:
        """sum_i w_i r_ik, the rows that each component answers for: (K,)."""
        return np.asarray(self.crossings.sum(axis=1))

    @property
    def mistaken(self) -> float:
        """The share of rows that are assigned to another component than theirs, were the mixture true: 1 - sum_i w_i max_k r_ik / sum_i w_i."""
        return float(max(0.0, 1 - np.trace(self.crossings) / self.weight))


@with_one_thread
def survey(
    mixture: Mixture,
    data: Any,
    sample_weight: ArrayLike | str | None = None,
    *,
    least: int = 10,
    drawn: int = 0,
    columns: Sequence[int] | None = None,
    threshold: float = -np.inf,
    random_state: int = 0,
    gaussians: AnyGaussians | None = None,
) -> Survey:
    """All that explains a mixture by its rows, in one pass; of the rows only the `least` likely and the `drawn` ones are kept.

    `data` is anything `mixtura.open` takes. Of the rows that are drawn only these `columns` are kept (all by default). `threshold` is the log density
    below which rows are counted as `rare`. `gaussians` are what rows are weighed with, where these are not the mixture's own.

    Raises DataError for rows that are not finite or not as wide as the mixture.
    """
    source = mixture.source(data, sample_weight)
    asked = AskedAtOnce(
        mixture.gaussians if gaussians is None else gaussians,
        mixture.frame,
        source.dtype,
        ("component", "probability", "log_density", "posterior"),
    )
    kept = np.arange(mixture.D) if columns is None else np.asarray(columns, np.intp)
    tally: _Tally = source.reduce(_Surveyed(asked, least, drawn, kept, threshold, random_state))
    if not np.isfinite(tally.sums[-1]):
        source.refuse_not_finite()
    rows, weight, log_likelihood, sure, rare, _ = (float(value) for value in tally.sums)
    in_order = np.argsort(tally.drawn.rows.numbers, kind="stable")
    return Survey(int(rows), weight, log_likelihood, tally.crossings, sure, rare, threshold, tally.least.rows, tally.drawn.rows.chosen(in_order))


def overlap(mixture: Mixture, data: Any, sample_weight: ArrayLike | str | None = None) -> Array:
    """O_kj = sum_{i assigned to j} w_i r_ik / sum_i w_i r_ik: of the rows of component k, the share that is assigned to component j; (K, K).

    A row is assigned to the component of greatest posterior. The diagonal tells how often a component's rows are recognised. It is an
    estimate from the rows: whose row is whose is not known, so each counts for component k by its posterior r_ik. That is right as far as
    the mixture is.

    Raises DataError for rows that are not finite or not as wide as the mixture.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> rows, _ = mixture.sample(100_000, random_state=0)
    >>> mixtura.explaining.overlap(mixture, rows).round(2)  # Phi(1) and Phi(-1)
    array([[0.84, 0.16],
           [0.16, 0.84]])
    """
    return survey(mixture, data, sample_weight, least=0).overlap


def least_likely(mixture: Mixture, data: Any, n: int = 10, sample_weight: ArrayLike | str | None = None) -> Rows:
    """The n rows of smallest log p(x_i), the least likely first; found in one pass that holds no more than these.

    Rows of weight zero are left out.

    >>> import mixtura
    >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
    >>> mixtura.explaining.least_likely(mixture, [[0.0], [9.0], [-4.0]], n=2).numbers
    array([1, 2])
    """
    return survey(mixture, data, sample_weight, least=n).least


@with_one_thread
def rare(mixture: Mixture, share: float = RARE, random_state: Any = 0) -> float:
    """The log density, in nats, that this share of rows drawn from the mixture falls below: estimated from 50,000 draws, fewer of very wide rows.

    >>> import mixtura
    >>> round(rare(mixtura.Mixture([1.0], [[0.0]], [[[1.0]]]), 0.05), 1)  # log N(1.96 | 0, 1)
    -2.8
    """
    draws = max(1_000, min(DRAWS, MOST_NUMBERS // mixture.D))
    return float(np.quantile(mixture.log_density(mixture.sample(draws, random_state)[0]), share))


class _Tally:
    """Sums and a few rows; `+` adds and merges."""

    def __init__(self, sums: Array, crossings: Array, least: Smallest, drawn: Smallest):
        self.sums, self.crossings, self.least, self.drawn = sums, crossings, least, drawn

    def __add__(self, other: _Tally | int) -> _Tally:
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, _Tally):
            return NotImplemented
        return _Tally(self.sums + other.sums, self.crossings + other.crossings, self.least + other.least, self.drawn + other.drawn)

    __radd__ = __add__


@dataclass(frozen=True, eq=False)
class _Surveyed:
    """The tally of a block."""

    asked: AskedAtOnce
    least: int
    drawn: int
    columns: NDArray[np.intp]
    threshold: float
    seed: int
    K: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "K", self.asked.K)

    @with_one_thread
    def __call__(self, block: Block) -> _Tally:
        """Sums over its rows, and the few that are kept so far."""
        with np.errstate(invalid="ignore", over="ignore"):
            finite = block.rows.sum(dtype=float)  # not finite where a value is not: see Scored
        there = np.arange(len(block.rows)) if block.weights is None else np.flatnonzero(block.weights)
        weights = np.ones(len(there)) if block.weights is None else block.weights[there]
        answers = self.asked(block)[there]
        density = answers["log_density"].astype(float)
        probability, component = answers["probability"].astype(float), answers["component"]
        crossings = np.zeros((self.K, self.K))
        np.add.at(crossings, component, answers["posterior"] * weights[:, None])
        counted = [weights, weights * density, weights * (probability >= SURE), weights * (density < self.threshold)]
        with np.errstate(invalid="ignore", over="ignore"):
            sums = np.array([len(there), *(one.sum() for one in counted), finite])
        keys = np.random.default_rng([self.seed, block.start]).exponential(size=len(there)) / weights  # Efraimidis & Spirakis 2006

        def few(limit: int, keys: Array, columns: Any) -> Smallest:
            first = np.arange(len(there)) if limit >= len(there) else np.argpartition(keys, limit)[: max(limit, 0)]
            if limit < len(there) and limit > 0:
                first = np.flatnonzero(keys <= keys[first].max())  # equals of the last, too: the first of them is to stay
            values = block.rows[there[first]][:, columns].astype(float)
            return Smallest(limit, keys[first], Rows(block.start + there[first], values, component[first], probability[first], density[first]))

        return _Tally(sums, crossings.T, few(self.least, density, slice(None)), few(self.drawn, keys, self.columns))
