"""Statistics: all that ever leaves a block of rows. They add, so blocks, threads, files and machines are one program.

For components k with posteriors r_ik and row weights w_i:

    counts_k = sum_i w_i r_ik          first_k = sum_i w_i r_ik (x_i - p_k)
    second_k = sum_i w_i r_ik (x_i - p_k)(x_i - p_k)', of which `moment` keeps a part; summed over k where `pooled`

about a pivot p_k per component, because scatter about a nearby point keeps the digits that raw second moments lose.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mixtura.moments import Array, Moment
from mixtura.properties import cached_property
from mixtura.triangular import positive_definite

if TYPE_CHECKING:
    from mixtura.families import Family

COLLINEAR = 1e-4  # share of the diagonal in the data's covariance: with the floor's 1e-6 it leaves ten digits of precision


@dataclass(frozen=True, eq=False)
class Statistics:
    """Immutable sums over weighted rows; `+` merges those of other rows taken at the same mixture and pivots.

    Shapes: counts (K,), pivots and first (K, D), second (K, ...) or, pooled, (...), with ... the moment's shape; of factors S beta'
    and the diagonal of S (mixtura.factors), with `moment` telling beta. `log_likelihood` is the
    sum of w_i log p(x_i) in nats, `weight` the sum of w_i, `rows` the number of rows.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> mixture = mixtura.Mixture([1.0], X[:1], np.eye(2)[None])
    >>> left, right = mixtura.sweep(mixture, X[:40]), mixtura.sweep(mixture, X[40:])
    >>> bool(np.allclose((left + right).means, X.mean(axis=0)))
    True
    """

    moment: Moment
    pooled: bool
    rows: int
    weight: float
    log_likelihood: float
    counts: Array
    pivots: Array
    first: Array
    second: Array

    @classmethod
    def of(cls, X: Any, posterior: ArrayLike, sample_weight: ArrayLike | str | None = None, family: str | Family = "full") -> Statistics:
        """The sums of the rows of X (N, D) at posteriors r_ik (N, K), whoever computed them, as `family` keeps them: what the M-step asks for.

        X is anything that `mixtura.open` takes, and is read in two passes: the first finds the means, the second sums about them, so that neither an
        offset of the rows nor the distance between components costs a digit. With posteriors of 0 and 1, `means` are the means of the classes and
        `scatter` over `counts` their covariances. `log_likelihood` is NaN: posteriors do not tell it. So EM and `mixtura.gradients` take these
        statistics; rules that compare likelihoods from step to step need those of `mixtura.sweep`.

        Raises DataError for rows that are not finite, and for posteriors that are not N rows of numbers >= 0 with sum 1; ParameterError for families
        of factors, whose sums are taken at one mixture.

        >>> import numpy as np, mixtura
        >>> X = np.array([[0.0], [2.0], [10.0], [14.0]])
        >>> statistics = mixtura.Statistics.of(X, [[1, 0], [1, 0], [0, 1], [0, 1]])
        >>> statistics.means.ravel(), (statistics.scatter / statistics.counts[:, None, None]).ravel()
        (array([ 1., 12.]), array([1., 4.]))
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[0.0], [12.0]], [[[1.0]], [[4.0]]])
        >>> for weight, mean, covariance in mixtura.gradients(mixture, statistics):
        ...     print(weight, mean, covariance)
        0.0 [0.5] [[0.25]]
        0.0 [0.] [[0.]]
        """
        from mixtura.sources.posteriors import statistics_of

        return statistics_of(X, posterior, sample_weight, family)

    def __add__(self, other: Statistics | int) -> Statistics:
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, Statistics) or (self.moment, self.pooled) != (other.moment, other.pooled):
            return NotImplemented
        other = other.repivot(self.pivots)
        return Statistics(
            self.moment,
            self.pooled,
            self.rows + other.rows,
            self.weight + other.weight,
            self.log_likelihood + other.log_likelihood,
            self.counts + other.counts,
            self.pivots,
            self.first + other.first,
            self.second + other.second,
        )

    __radd__ = __add__

    def scale(self, factor: float) -> Statistics:
        """The statistics of the same rows with every weight multiplied by `factor`.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> statistics = mixtura.sweep(mixture, [[-1.0], [3.0]])
        >>> statistics.scale(0.5).weight, statistics.scale(0.5).rows
        (1.0, 2)
        """
        return replace(
            self,
            weight=self.weight * factor,
            log_likelihood=self.log_likelihood * factor,
            counts=self.counts * factor,
            first=self.first * factor,
            second=self.second * factor,
        )

    def kept_as(self, moment: Moment, pooled: bool) -> Statistics | None:
        """These sums with no more second moments than `moment` keeps, summed over components where `pooled`; None where they hold less than that.

        >>> import mixtura
        >>> from mixtura.moments import DIAGONAL, MATRIX
        >>> statistics = mixtura.Statistics.of([[0.0, 0.0], [2.0, 4.0]], [[1.0], [1.0]])
        >>> statistics.kept_as(DIAGONAL, pooled=True).second, statistics.kept_as(DIAGONAL, pooled=True).kept_as(MATRIX, pooled=True)
        (array([2., 8.]), None)
        """
        if self.moment is moment and self.pooled == pooled:
            return self
        second = self.moment.narrowed(self.second, moment)
        if second is None or (self.pooled and not pooled):
            return None
        kept = self.moment if second is self.second else moment  # of factors, with the mixture that they are of
        return replace(self, moment=kept, pooled=pooled, second=second if pooled == self.pooled else second.sum(axis=0))

    def repivot(self, pivots: Array) -> Statistics:
        """The same sums about other pivots (K, D): second' = second - 2 sym(first d') + counts dd', d = new - old.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> statistics = mixtura.sweep(mixture, [[-1.0], [3.0]])
        >>> moved = statistics.repivot(statistics.means)  # about their own means
        >>> bool(abs(moved.first).max() < 1e-12), bool(abs(moved.means - statistics.means).max() < 1e-12)
        (True, True)
        """
        if pivots is self.pivots or np.array_equal(pivots, self.pivots):
            return self
        shift = pivots - self.pivots
        moved = self.counts[:, None] * shift
        second = self.second + self._product(shift, moved - 2 * self.first)
        return self._about(pivots, self.first - moved, second, self.log_likelihood)

    def _product(self, a: Array, b: Array) -> Array:
        """(ab' + ba') / 2 for each component, or summed over them."""
        return self.moment.pooled_product(a, b) if self.pooled else self.moment.product(a, b)

    def translate(self, centre: Array, scale: Array) -> Statistics:
        """The statistics of centre + scale * x.

        >>> import mixtura
        >>> mixture = mixtura.Mixture([0.5, 0.5], [[-1.0], [1.0]], [[[1.0]], [[1.0]]])
        >>> statistics = mixtura.sweep(mixture, [[-1.0], [3.0]])
        >>> import numpy as np
        >>> metres = statistics.translate(np.array([10.0]), np.array([2.0]))  # of the rows 10 + 2 x
        >>> np.allclose(metres.means, 10 + 2 * statistics.means), np.allclose(metres.scatter, 4 * statistics.scatter)
        (True, True)
        """
        log_likelihood = self.log_likelihood - self.weight * float(np.log(scale).sum())
        moved = self._about(centre + scale * self.pivots, self.first * scale, self.moment.rescale(self.second, scale), log_likelihood)
        moment = self.moment.rescaled(scale)
        return moved if moment is self.moment else replace(moved, moment=moment)

    def _about(self, pivots: Array, first: Array, second: Array, log_likelihood: float) -> Statistics:
        # written out: dataclasses.replace takes ten times as long, and this runs several times a step
        return Statistics(self.moment, self.pooled, self.rows, self.weight, log_likelihood, self.counts, pivots, first, second)

    @property
    def mean_log_likelihood(self) -> float:
        """In nats per row, or rather per unit of weight."""
        return self.log_likelihood / self.weight

    @cached_property
    def means(self) -> Array:
        """The weighted mean of each component's rows (K, D); a component without rows keeps its pivot."""
        return self.pivots + self._offsets

    @cached_property
    def scatter(self) -> Array:
        """The second moments about `means`: sums, not divided by anything."""
        return self.second - self._product(self._offsets, self.first)  # as `repivot` does it, with first = counts * offsets

    @cached_property
    def _offsets(self) -> Array:
        """The means seen from the pivots; none for a component without rows."""
        return self.first / np.maximum(self.counts, sys.float_info.min)[:, None]

    @cached_property
    def reduced(self) -> Statistics:
        """The same sums, less second moments: what the covariance of all rows needs (Moment.reference)."""
        if self.moment.reference is self.moment:
            return self
        return replace(self, moment=self.moment.reference, second=self.moment.reduce(self.second))

    @cached_property
    def total(self) -> Statistics:
        """All components taken as one (K = 1), about the overall mean; second moments are those of `reduced`."""
        if self.reduced is not self:
            return self.reduced.total
        mean = (self.counts @ self.means / self.counts.sum())[None]
        about = self.repivot(np.repeat(mean, len(self.counts), axis=0))
        counts, first = about.counts.sum(keepdims=True), about.first.sum(axis=0, keepdims=True)
        second = about.second if self.pooled else about.second.sum(axis=0, keepdims=True)
        return Statistics(self.moment, self.pooled, self.rows, self.weight, self.log_likelihood, counts, mean, first, second)

    @cached_property
    def data_covariance(self) -> Array:
        """The covariance of all rows, in the moment's shape, made positive definite: what 'relative to the data' means.

        A column whose variance is zero to rounding counts with its squared mean (or 1), so that it has a scale at all; a matrix is
        mixed with a ten-thousandth of its diagonal, so that collinear columns keep a small variance in every direction.
        """
        if self.reduced is not self:
            return self.reduced.data_covariance
        overall = self.total
        D = self.pivots.shape[1]
        covariance = overall.second.reshape(self.moment.shape(D)) / (overall.counts[0] * self.moment.divisor(D))
        if self.moment.axes == 0:
            squares = np.atleast_1d((overall.means**2).mean())
            return np.asarray(_without_zeros(np.atleast_1d(covariance), squares)[0])
        squares = overall.means[0] ** 2
        if self.moment.axes == 1:
            return _without_zeros(covariance, squares)
        diagonal = np.diagonal(covariance)
        variances = _without_zeros(diagonal, squares)
        mixed = np.asarray((1 - COLLINEAR) * covariance + np.diag(variances - (1 - COLLINEAR) * diagonal))
        return mixed if positive_definite(mixed).all() else np.diag(variances)  # of sums about points so far away that they lost the directions


def _without_zeros(variances: Array, squares: Array) -> Array:
    fallback = np.where(squares > 0, squares, 1.0)
    return np.where(variances > 1e-20 * squares, variances, fallback)
