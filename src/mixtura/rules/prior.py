"""A conjugate prior: rows that were never seen, added to the statistics before the M-step.

    pi ~ Dirichlet(1 + shares)        mu_k | Sigma_k ~ N(mean_k, Sigma_k / rows_k)        Sigma_k ~ inverse Wishart(dof, scatter_k)

and for variances, of a column or of all, an inverse gamma distribution in the Wishart's place. The modes are those of Fraley & Raftery (2007),
"Bayesian regularization for normal mixture estimation and model-based clustering", Journal of Classification 24, 155-181.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mixtura import checking
from mixtura.errors import ParameterError
from mixtura.families import Family
from mixtura.frame import LARGEST
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.statistics import Statistics

WEAK = 0.01  # rows that the weak prior puts behind a mean: Fraley & Raftery (2007), section 3


@dataclass(frozen=True, eq=False)
class Prior:
    """What is believed before the rows are seen, as rows; K components, or 1 for what all of them are believed to be.

    `shares` (K,) are rows added to each component's in the weights, `rows` (K,) those behind the means (K, D), `counts` those behind a
    covariance and `scatter` their second moments about the mean, in the family's shape: (K, ...), or (...) where the covariance is shared.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> statistics = mixtura.sweep(mixtura.start(X, 2, random_state=0), X)
    >>> prior = mixtura.rules.Prior.weak(mixtura.families.FAMILIES["full"], statistics)
    >>> prior.rows, prior.counts  # D + 2 degrees of freedom, and D + 2 more for the mode
    (array([0.01]), 8)
    """

    shares: Array
    rows: Array
    means: Array
    counts: float
    scatter: Array

    @classmethod
    def weak(cls, family: Family, statistics: Statistics) -> Prior:
        """Fraley and Raftery's default for these rows, which changes with the units of a column as the rows do.

        A hundredth of a row behind every mean, which is that of all rows; D + 2 degrees of freedom; the covariance of all rows, shrunk by
        K^(2/D) as if the components shared their volume; weights as likely as any others.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> mixture = mixtura.start(X, 2, random_state=0)
        >>> prior = mixtura.rules.Prior.weak(mixture.family, mixtura.sweep(mixture, X))
        >>> mixtura.fit(X, mixture, mixtura.rules.MAP(prior)).mixture
        Mixture(2 components, 1 columns, family='full')
        """
        K, D = statistics.pivots.shape
        shrunk = np.asarray(statistics.data_covariance / K ** (2 / D))
        counts = family.moment.rows_of_dof(D + 2, D) + (K if family.pooled else 1)
        return cls(np.zeros(1), np.full(1, WEAK), statistics.total.means, counts, shrunk if family.pooled else shrunk[None])

    @classmethod
    def of_mixture(cls, mixture: Mixture, relevance: float = 16.0) -> Prior:
        """The mixture itself, as if it had been learnt from `relevance` rows a component: with no other rows, it is the mode.

        After n_k rows the means and covariances are those of Reynolds, Quatieri & Dunn (2000), "Speaker verification using adapted Gaussian
        mixture models", Digital Signal Processing 10, 19-41, equations 12 and 13, with alpha_k = n_k / (n_k + relevance).

        Raises ParameterError unless relevance > 0.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> mixture = mixtura.start(X, 2, random_state=0)
        >>> prior = mixtura.rules.Prior.of_mixture(mixture, relevance=10.0)
        >>> mixtura.fit(X[:5], mixture, mixtura.rules.MAP(prior)).mixture.weights.round(2)
        array([0.6, 0.4])
        """
        check_relevance(relevance)
        family, K = mixture.family, mixture.K
        counts = float(relevance) * (K if family.pooled else 1)
        scatter = mixture.covariances * (counts * family.moment.divisor(mixture.D))
        return cls(K * relevance * mixture.weights, np.full(K, float(relevance)), mixture.means, counts, scatter)

    def check(self, mixture: Mixture) -> None:
        """Raises ParameterError where the prior is of other components, columns or another family than the mixture."""
        family, K, D = mixture.family, mixture.K, mixture.D
        for name, axes in (("shares", ()), ("rows", ()), ("means", (D,)), ("scatter", family.moment.shape(D))):
            got = getattr(self, name).shape
            fitting = [axes] if name == "scatter" and family.pooled else [(K, *axes), (1, *axes)]
            if got not in fitting:
                raise ParameterError(
                    f"the prior does not fit the mixture: got {name} of shape {got}, expected {fitting[0]} for {K} components of family "
                    f"{family.name!r} in {D} columns; try a prior made of such a mixture"
                )

    def log_density(self, mixture: Mixture) -> float:
        """The logarithm of its density at a mixture, in nats, less what is the same for all mixtures."""
        U, pooled = mixture.whiteners, mixture.family.pooled
        diagonal = np.diagonal(U, axis1=-2, axis2=-1) if U.ndim == 3 else U
        apart = mixture.means - self.means
        whitened = (U @ apart[..., None])[..., 0] if U.ndim == 3 else U * apart
        traces = mixture.family.moment.trace_of_product(U, self.scatter[None] if pooled else self.scatter)
        by_covariances = self.counts * np.log(diagonal).sum(axis=-1) - traces / 2
        by_means = self.rows * (whitened**2).sum(axis=1) / 2
        by_weights = self.shares * np.log(np.maximum(mixture.weights, np.finfo(float).tiny))
        return float(by_weights.sum() + by_covariances.sum() - by_means.sum())


def check_relevance(relevance: float) -> None:
    """Raises ParameterError unless it is a number of rows > 0."""
    checking.number("relevance", relevance, f"a number of rows > 0 and at most {LARGEST:.0e}", lambda rows: 0 < rows <= LARGEST, 16)
