"""BayesianGaussianMixture: scikit-learn's estimator of that name, by variational Bayes, fitted by Mixtura's loop."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from mixtura.checking import short
from mixtura.errors import ParameterError
from mixtura.estimators.base import MixtureEstimator
from mixtura.estimators.given import Given
from mixtura.families import Family
from mixtura.fitting import Step
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Regularisation, Ridge
from mixtura.rules import Rule, Variational
from mixtura.rules.proportions import PROPORTIONS
from mixtura.rules.variational import Beliefs, NormalWishart, Posterior
from mixtura.sources import Source


class BayesianGaussianMixture(MixtureEstimator):
    """A Gaussian mixture of which all parameters are uncertain: the posterior q nearest to the true one, with scikit-learn's interface.

        log p(X) >= ELBO = E_q[log p(X, z, pi, mu, Lambda)] - E_q[log q]        (Bishop 2006, section 10.2; Blei & Jordan 2006)

    Components that the rows do not need get weights close to zero, so `n_components` K is a bound on their number. Signature, methods and
    attributes are those of sklearn.mixture.BayesianGaussianMixture (1.9), with N rows and D columns. What differs, by design:

    - `tol` (nats, of the sum over all rows as in scikit-learn) bounds the estimated remaining gain of the ELBO (Aitken), not the last change.
      Components fade late, after long stretches where the ELBO is almost level, and what each of them gains is some nats in all, however
      many rows there are: a fit that stops too early has too many.
    - `reg_covar="auto"` adds nothing: the prior regularises. A number is scikit-learn's, added to every variance in squared units.
    - `init_params="auto"` starts from the best of several short EM runs, heaviest component first. scikit-learn's four ways are there too, and
      labels or posteriors of the rows, as in GaussianMixture. The posterior begins as if all rows had been drawn from the start.
    - `fit`, `score`, `bic` and `aic` take `sample_weight`: a weight of 2 is a row twice.
    - `covariance_type` also takes tied_diag and tied_spherical, and mclust's codes. Each type is the best posterior, among those whose expected
      precisions have this form, for the one model in which every component has a full precision of its own.
    - `elbo_` is the ELBO itself, all constants included, so that it compares models; `lower_bound_` and `lower_bounds_` are less constants, in
      the way of scikit-learn.
    - `bic` and `aic` are those of `mixture_`, the point estimate that `weights_`, `means_` and `covariances_` show.
    - `n_jobs=None` takes every processor, or this process's share of them inside joblib's, Dask's and other workers; a number is obeyed. The
      number of threads changes no bit of the result.
    - Learnt attributes cannot be assigned to. Rows of float32 are computed in float32, with sums in float64.

    `predict`, `predict_proba` and `score_samples` weigh rows with the posterior's expected natural parameters. Of `n_init` runs the one of
    greatest ELBO is kept. `warm_start` goes on from the last posterior. `random_state`, `verbose` and `verbose_interval` are as in GaussianMixture.

    The priors are scikit-learn's: `weight_concentration_prior` (None: 1 / K) of a "dirichlet_process", stick by stick, or of a
    "dirichlet_distribution", component by component; `mean_precision_prior` (None: 1) rows behind `mean_prior` (D,) (None: the mean of the rows);
    `degrees_of_freedom_prior` > D - 1 (None: D) behind `covariance_prior` (None: the covariance of the rows): full and tied (D, D), diag and
    tied_diag (D,), spherical and tied_spherical a number.

    Attributes: `weights_` (K,), `means_` (K, D), `covariances_`, `precisions_`, `precisions_cholesky_`, `converged_`, `n_iter_`,
    `n_features_in_`, `feature_names_in_`, `mixture_` and `history_` as in GaussianMixture; `lower_bound_`, `lower_bounds_`, `elbo_` in nats;
    `weight_concentration_`: (K,), or two of them for the process, a and b of each stick's Beta(a, b); `mean_precision_` (K,);
    `degrees_of_freedom_` (K,), or one number where the covariance is tied; `weight_concentration_prior_`, `mean_precision_prior_`, `mean_prior_`,
    `degrees_of_freedom_prior_`, `covariance_prior_`; `beliefs_`, prior and posterior as rules.Variational holds them.

    Raises ParameterError for a parameter that makes no sense and DataError for rows that cannot be fitted; both are ValueErrors. Warns
    ConvergenceWarning and ConstantColumnWarning; InterruptionWarning after Ctrl-C.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [8.0]], 100, axis=0)
    >>> model = mixtura.BayesianGaussianMixture(n_components=6, weight_concentration_prior=1e-3, random_state=0).fit(X)
    >>> model.weights_.round(2)
    array([0.5, 0.5, 0. , 0. , 0. , 0. ])
    >>> model.predict([[0.0, 0.0]]) == model.predict([[8.0, 8.0]])
    array([False])
    """

    beliefs_: Beliefs
    elbo_: float

    def __init__(
        self,
        *,
        n_components: int = 1,
        covariance_type: str | Family = "full",
        tol: float = 1e-3,
        reg_covar: str | float | Regularisation = "auto",
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike = "auto",
        weight_concentration_prior_type: str = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        n_jobs: int | None = None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.n_jobs = n_jobs

    @property
    def weight_concentration_(self) -> Array | tuple[Array, Array]:
        """a of the Dirichlet distribution (K,), or a and b of each stick's Beta distribution."""
        return self._posterior.proportions.parameters

    @property
    def mean_precision_(self) -> Array:
        """beta (K,): how many rows stand behind each mean, those of the prior with them."""
        return self._posterior.rows

    @property
    def degrees_of_freedom_(self) -> Array | float:
        """nu (K,), one number where the components share their covariance."""
        dof = self._posterior.dof
        return float(dof[0]) if self.mixture_.family.pooled else dof

    @property
    def weight_concentration_prior_(self) -> float:
        """The concentration of the weights before the rows."""
        return self._prior.concentration

    @property
    def mean_precision_prior_(self) -> float:
        """beta_0, the rows behind `mean_prior_`."""
        return self._prior.rows

    @property
    def mean_prior_(self) -> Array:
        """m_0 (D,)."""
        return self._prior.mean

    @property
    def degrees_of_freedom_prior_(self) -> float:
        """nu_0."""
        return self._prior.dof

    @property
    def covariance_prior_(self) -> Array | float:
        """W_0^-1 in the shape of one covariance; a number where that is spherical."""
        covariance = self._prior.covariance
        return float(covariance) if covariance.ndim == 0 else covariance

    def _rule(self, regularisation: Regularisation) -> Rule:
        return Variational(
            self.weight_concentration_prior_type,
            self.weight_concentration_prior,
            self.mean_precision_prior,
            self.mean_prior,
            self.degrees_of_freedom_prior,
            self.covariance_prior,
            regularisation.value if isinstance(regularisation, Ridge) else 0.0,
        )

    def _given(self, family: Family, D: int) -> Given:
        return Given(None, None, None)

    def _begun(self, source: Source, start: Mixture, rule: Rule, way: str) -> tuple[Mixture, Rule]:
        """The posterior that the start amounts to, or the last fit's."""
        assert isinstance(rule, Variational)
        rule.check(start.family, source.D)
        common = start.family.one_scale
        frame = source.frame(common)
        everything = source.everything(start.family.moment, common).translate(frame.centre, frame.scale)
        begun, beliefs = rule.begin(_heaviest_first(start) if way == "auto" else start, everything, self._previous_posterior(way))
        return begun, replace(rule, begun=beliefs)

    def _previous_posterior(self, way: str) -> Posterior | None:
        if way != "previous":
            return None
        kind = self.weight_concentration_prior_type
        if not isinstance(self._posterior.proportions, PROPORTIONS[kind]):
            raise ParameterError(
                f"warm_start cannot go on from the last fit: got weight_concentration_prior_type={short(kind)}, expected that of the last fit; "
                "try warm_start=False"
            )
        return self._posterior

    def _learn(self, best: Step) -> None:
        self.mixture_, self.beliefs_ = best.mixture, best.state
        self._weight = best.statistics.weight
        self.elbo_ = best.objective * self._weight

    def _tolerance(self, source: Source) -> float:
        return self.tol / source.profile.weight

    def _lower_bound(self, objective: float) -> float:
        """The ELBO less what the prior and the number of rows alone decide, which scikit-learn leaves out."""
        prior, K, D = self._prior, self.mixture_.K, self.mixture_.D
        of_precisions = float(prior.precision.log_constant[0]) + D * (D - 1) / 4 * math.log(math.pi)
        of_means = D / 2 * math.log(prior.rows)
        of_rows = -self._weight * D / 2 * math.log(2 * math.pi)
        return objective * self._weight - K * (of_precisions + of_means) - prior.proportions.log_constant - of_rows

    @property
    def _gaussians(self) -> AnyGaussians:
        return self._posterior.gaussians(self.mixture_)

    @property
    def _prior(self) -> NormalWishart:
        assert self.beliefs_.prior is not None
        return self.beliefs_.prior

    @property
    def _posterior(self) -> Posterior:
        assert self.beliefs_.posterior is not None
        return self.beliefs_.posterior


def _heaviest_first(mixture: Mixture) -> Mixture:
    """The same components in the order that a process expects."""
    order = np.argsort(-mixture.weights, kind="stable")
    covariances = mixture.covariances if mixture.family.pooled else mixture.covariances[order]
    return Mixture.trusted(mixture.weights[order], mixture.means[order], covariances, mixture.family)
