"""Variational Bayes: what is believed of weights, means and precisions, instead of one value for each.

    before the rows    pi ~ Dirichlet or sticks (Proportions)    Lambda_k ~ W(W_0, nu_0)    mu_k | Lambda_k ~ N(m_0, (beta_0 Lambda_k)^-1)
    after them         of the same form, with                    nu_k W_k = Sigma_k^-1, nu_k, m_k, beta_k

(Bishop 2006, "Pattern recognition and machine learning", section 10.2; Attias 2000.) Rows are weighed with expected natural parameters,

    log rho_ik = E[log pi_k] + E[log|Lambda_k|] / 2 - D/2 log 2 pi - D / (2 beta_k) - nu_k (x_i - m_k)' W_k (x_i - m_k) / 2

which are Gaussians to a kernel, so the sweep is EM's. The family is the form of W_k: with "diag" or "spherical" it is diagonal or a multiple
of the identity, with a tied one it is the same for all components and so is nu. Each is the best posterior of its form for the one model above,
and this is what scikit-learn's formulas amount to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mixtura import checking
from mixtura.blas import with_one_thread
from mixtura.errors import ParameterError
from mixtura.families import Family
from mixtura.frame import LARGEST
from mixtura.kernels import AnyGaussians, Gaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array, symmetric
from mixtura.regularisation import RELATIVE_FLOOR, Floor
from mixtura.rules.maximising import check_lasting, maximise, suited
from mixtura.rules.natural import expected_statistics
from mixtura.rules.prior import Prior
from mixtura.rules.proportions import PROPORTIONS, Proportions
from mixtura.rules.rule import Rule, Update
from mixtura.rules.wishart import Wishart
from mixtura.statistics import Statistics

NEVER = -1e30  # the least log weight: a concentration near zero must not leave float32
LEAST = 1e-2  # of the data's covariance, itself made definite by COLLINEAR: a default prior keeps nine digits where columns are collinear
SAFE = Floor(RELATIVE_FLOOR**2)  # the prior regularises; this only keeps one too weak for float64 from ending in NaN


@dataclass(frozen=True, eq=False)
class NormalWishart:
    """What is believed before the rows: `proportions` of weights, by `concentration`; `rows` beta_0 behind `mean` m_0 (D,); `dof` nu_0.

    `covariance` is W_0^-1 in the shape of one covariance of the family: not divided by nu_0, as scikit-learn has it.
    """

    family: Family
    concentration: float
    proportions: Proportions
    rows: float
    mean: Array
    dof: float
    covariance: Array

    @property
    def scatter(self) -> Array:
        """W_0^-1 as the second moment that the family keeps."""
        return np.asarray(self.covariance * self.family.moment.divisor(len(self.mean)))

    @property
    def precision(self) -> Wishart:
        """The distribution of one component's precision."""
        moment, D = self.family.moment, len(self.mean)
        return Wishart(np.array([self.dof]), 2 * moment.log_determinants(moment.whiteners(self.covariance[None], D)), D)

    def as_rows(self, K: int) -> Prior:
        """The rows that it adds to statistics: the M-step then gives m_k, and (nu_k W_k)^-1 as covariances."""
        each = 1 if not self.family.pooled else K
        scatter = self.scatter * each
        return Prior(np.zeros(1), np.array([self.rows]), self.mean[None], self.dof * each, scatter if self.family.pooled else scatter[None])


class Posterior(NamedTuple):
    """What is believed after the rows, beside m_k and (nu_k W_k)^-1, the means and covariances of the mixture: `rows` beta, `dof` nu (K,)."""

    proportions: Proportions
    rows: Array
    dof: Array

    def gaussians(self, mixture: Mixture) -> AnyGaussians:
        """What rows are weighed with: exp of the expected logarithm of pi_k N(x | mu_k, Lambda_k^-1)."""
        D = mixture.D
        unit = Wishart(self.dof, np.zeros_like(self.dof), D).expected_log_determinant
        log_weights = self.proportions.expected_logs + (unit - D * np.log(self.dof) - D / self.rows) / 2
        return mixture.gaussians._replace(log_weights=np.maximum(log_weights, NEVER))

    def divergence(self, mixture: Mixture, prior: NormalWishart) -> float:
        """The Kullback-Leibler divergence of the prior from this, in nats: Bishop's 10.73, 10.74, 10.76 and 10.77, signs turned."""
        moment, U, D, nu, beta = mixture.family.moment, mixture.whiteners, mixture.D, self.dof, self.rows
        before, after = prior.precision, Wishart(nu, 2 * moment.log_determinants(U) - D * np.log(nu), D)
        apart = mixture.means - prior.mean
        distances = moment.trace_of_product(U, moment.product(apart, apart))
        traces = moment.trace_of_product(U, prior.scatter)
        of_means = D * (prior.rows / beta - 1 + np.log(beta / prior.rows)) + prior.rows * distances
        of_precisions = (nu - before.dof) * after.expected_log_determinant + traces - D * nu
        constants = after.log_constant - before.log_constant
        return self.proportions.divergence(prior.proportions) + float(np.sum(constants + (of_means + of_precisions) / 2))


class Beliefs(NamedTuple):
    """The state of the rule: prior and posterior, None as long as no row was seen, and the data's covariance.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
    >>> mixture = mixtura.start(X, 2, random_state=0)
    >>> step = next(mixtura.iterate(X, mixture, mixtura.rules.Variational()))
    >>> step.state.posterior is None  # no row was seen yet
    True
    """

    prior: NormalWishart | None = None
    posterior: Posterior | None = None
    reference: Array | None = None


@dataclass(frozen=True, eq=False)
class Variational(Rule):
    """Variational Bayes: climbs the bound on log p(X), the evidence, and never falls; components that are not needed fade.

    Each step takes the posterior of greatest bound for given responsibilities, and shows as mixture its point estimate: E[pi], m_k and
    (nu_k W_k)^-1. A step's `objective` is the bound per row at its beliefs, constants and all.

    The parameters are named as in scikit-learn, and None is what scikit-learn takes: a concentration of 1 / K; 1 row behind the mean of all
    rows; D degrees of freedom behind the covariance of all rows. `covariance_prior` is of the shape of one covariance of the family.
    `ridge`, a number in squared units, is added to every variance of a component's rows, as scikit-learn's `reg_covar`: they count as blurred
    by so much, in the bound too. The bound then is a little less and, as rows are weighed without it, may fall by a trifle.

    Steps begin with rows weighed by the start as it is, or by the beliefs `begun`, those of a Step or of `begin`.

    Raises ParameterError for another prior type, numbers out of range, and priors that do not fit the start.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 1)) + np.repeat([[-3.0], [3.0]], 100, axis=0)
    >>> start = mixtura.start(X, 5, random_state=0)
    >>> fit = mixtura.fit(X, start, mixtura.rules.Variational(weight_concentration_prior=1e-3))
    >>> np.sort(fit.mixture.weights).round(2)
    array([0. , 0. , 0. , 0.5, 0.5])
    """

    weight_concentration_prior_type: str = "dirichlet_process"
    weight_concentration_prior: float | None = None
    mean_precision_prior: float | None = None
    mean_prior: ArrayLike | None = None
    degrees_of_freedom_prior: float | None = None
    covariance_prior: ArrayLike | None = None
    ridge: float = 0.0
    begun: Beliefs | None = None

    def __post_init__(self) -> None:
        checking.word("weight_concentration_prior_type", self.weight_concentration_prior_type, PROPORTIONS, "dirichlet_process")
        for name in ("weight_concentration_prior", "mean_precision_prior", "degrees_of_freedom_prior"):
            if getattr(self, name) is not None:
                checking.number(
                    name, getattr(self, name), f"a number > 0 and at most {LARGEST:.0e}, or None", lambda value: 0 < value <= LARGEST, None
                )
        checking.number("ridge", self.ridge, "a number >= 0 in squared units", lambda value: 0 <= value < np.inf, 0)

    def initial(self, mixture: Mixture) -> Beliefs:
        """What was begun with, or nothing believed yet: a prior may wait for the rows."""
        self.check(mixture.family, mixture.D)
        begun = self.begun or Beliefs()
        if begun.posterior is not None and (
            not isinstance(begun.posterior.proportions, PROPORTIONS[self.weight_concentration_prior_type]) or len(begun.posterior.rows) != mixture.K
        ):
            raise ParameterError(
                f"what was begun with does not fit: got {type(begun.posterior.proportions).__name__} weights of {len(begun.posterior.rows)} "
                f"components, expected {self.weight_concentration_prior_type!r} and {mixture.K}; try begun=None"
            )
        return begun

    def check(self, family: Family, D: int) -> None:
        """Raises ParameterError where a prior does not fit mixtures of this family in D columns, or no Wishart distribution fits the family."""
        check_lasting(family, "variational inference")
        if family.constraint is not None:
            raise ParameterError(
                f"variational inference does not know family {family.code}: got components that share part of their covariances, expected one "
                "covariance for all or each its own; try 'full', or rule 'map' for a prior"
            )
        dof = self.degrees_of_freedom_prior
        if dof is not None and not dof > D - 1:
            raise ParameterError(
                f"degrees_of_freedom_prior is not usable: got {dof!r}, expected more than {D - 1}, the number of columns less one; try None for {D}"
            )
        if self.mean_prior is not None:
            _array("mean_prior", self.mean_prior, (D,))
        if self.covariance_prior is None:
            return
        covariance = _array("covariance_prior", self.covariance_prior, family.moment.shape(D))
        try:
            family.moment.whiteners(covariance[None], D)
            fits = family.moment.axes < 2 or symmetric(covariance)
        except np.linalg.LinAlgError:
            fits = False
        if not fits:
            raise ParameterError(
                "covariance_prior is not a covariance: got one that is not symmetric positive definite, expected one; try None for that of the rows"
            )

    def gaussians(self, mixture: Mixture, state: Beliefs) -> AnyGaussians:
        """Expected natural parameters; the mixture's own before there are beliefs."""
        return mixture.gaussians if state.posterior is None else state.posterior.gaussians(mixture)

    @with_one_thread
    def update(self, mixture: Mixture, statistics: Statistics, state: Beliefs) -> Update:
        """The posterior of greatest bound for these responsibilities: the prior's rows and theirs together (Bishop's 10.58 to 10.63)."""
        statistics = suited(mixture, statistics)
        family, counts = mixture.family, statistics.counts
        prior = self._prior(family, mixture.K, statistics, state)
        reference = statistics.data_covariance if state.reference is None else state.reference
        moved, events = maximise(family, _blurred(statistics, self.ridge), SAFE, reference, prior=prior.as_rows(mixture.K))
        dof = prior.dof + (np.full(mixture.K, counts.mean()) if family.pooled else counts)
        posterior = Posterior(prior.proportions.after(counts), prior.rows + counts, dof)
        shown = Mixture.trusted(posterior.proportions.expected, moved.means, moved.covariances, family)
        return Update(shown, Beliefs(prior, posterior, reference), events)

    def objective(self, mixture: Mixture, statistics: Statistics, state: Beliefs) -> float:
        """The bound on log p(X) per row: sum_i log sum_k rho_ik less the divergence of the posterior from the prior.

        Before there are beliefs, the bound at those which these responsibilities lead to.
        """
        bound, now, beliefs = statistics.log_likelihood, mixture, state
        if beliefs.posterior is None:
            now, beliefs, *_ = self.update(mixture, statistics, state)
            bound += _expected_log_density(self.gaussians(now, beliefs), statistics) - _expected_log_density(mixture.gaussians, statistics)
        assert beliefs.posterior is not None
        blur = statistics.moment.trace_of_product(now.whiteners, _blurred(statistics, self.ridge).second - statistics.second).sum() / 2
        prior = self._prior(now.family, now.K, statistics, beliefs)
        return float(bound - blur - beliefs.posterior.divergence(now, prior)) / statistics.weight

    def begin(self, start: Mixture, everything: Statistics, posterior: Posterior | None = None) -> tuple[Mixture, Beliefs]:
        """Where to begin when all rows are known, `everything`: at a posterior, or at that after as many rows as if drawn from the start.

        The start's components count n pi_k rows of mean mu_k and covariance Sigma_k; no pass over the rows is needed.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> mixture = mixtura.start(X, 2, random_state=0)
        >>> rule, source = mixtura.rules.Variational(), mixtura.open(X)
        >>> everything = source.everything(mixture.family.moment, common=False)
        >>> begun, beliefs = rule.begin(mixture, everything)
        >>> begun.weights.round(2)
        array([0.5, 0.5])
        """
        self.check(start.family, start.D)
        beliefs = Beliefs(self._prior(start.family, start.K, everything, Beliefs()), posterior, everything.data_covariance)
        if posterior is not None:
            return start, beliefs
        drawn = expected_statistics(start, replace(everything, pooled=start.family.pooled))
        begun = replace(self, ridge=0.0).update(start, drawn, beliefs)
        return begun.mixture, begun.state

    def _prior(self, family: Family, K: int, statistics: Statistics, beliefs: Beliefs) -> NormalWishart:
        """The prior, with the rows' own mean and covariance where none is given."""
        if beliefs.prior is not None:
            return beliefs.prior
        D = statistics.pivots.shape[1]
        mean = statistics.total.means[0] if self.mean_prior is None else _array("mean_prior", self.mean_prior, (D,))
        if self.covariance_prior is None:
            covariance = _sample_covariance(family, statistics)
        else:
            covariance = _array("covariance_prior", self.covariance_prior, family.moment.shape(D))
        concentration = _given(self.weight_concentration_prior, 1 / K)
        proportions = PROPORTIONS[self.weight_concentration_prior_type].prior(concentration, K)
        rows, dof = _given(self.mean_precision_prior, 1.0), _given(self.degrees_of_freedom_prior, D)
        return NormalWishart(family, concentration, proportions, rows, mean, dof, covariance)


def _sample_covariance(family: Family, statistics: Statistics) -> Array:
    """The covariance of all rows with n - 1 in the denominator, floored where columns are constant or collinear."""
    moment, everything = family.moment, statistics.total
    D, n = everything.pivots.shape[1], statistics.weight
    covariance = everything.second.reshape(moment.shape(D)) / (max(n - 1, n / 2) * moment.divisor(D))  # weights may sum to less than two rows
    return np.asarray(moment.floor(covariance[None], statistics.data_covariance, LEAST)[0][0])


def _blurred(statistics: Statistics, variance: float) -> Statistics:
    """The statistics of rows that are each spread by so much in every column."""
    moment = statistics.moment
    unit, counts = moment.keep(np.eye(statistics.pivots.shape[1])), statistics.counts
    rows = counts.sum() if statistics.pooled else counts.reshape(-1, *[1] * moment.axes)
    return replace(statistics, second=statistics.second + variance * rows * unit) if variance else statistics


def _expected_log_density(gaussians: AnyGaussians, statistics: Statistics) -> float:
    """sum_ik w_i r_ik log pi_k N(x_i | mu_k, Sigma_k) under the statistics' responsibilities r, whatever Gaussians they came from."""
    assert isinstance(gaussians, Gaussians)  # factors are refused
    traces = statistics.moment.trace_of_product(gaussians.whiteners, statistics.repivot(gaussians.means).second)
    return float(statistics.counts @ gaussians.constants - traces.sum() / 2)


def _given(value: float | None, otherwise: float) -> float:
    return float(otherwise if value is None else value)


def _array(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    array = checking.array(name, value, f"an array of floats of shape {shape}", "None")
    if array.shape != shape:
        raise ParameterError(f"{name} does not fit: got shape {array.shape}, expected {shape}; try None for that of the rows")
    if not np.isfinite(array).all():
        raise ParameterError(f"{name} is not finite: got NaN or infinity, expected numbers; try None for that of the rows")
    return array
