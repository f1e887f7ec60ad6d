"""GaussianMixture: scikit-learn's estimator of that name, fitted by Mixtura's loop.

It translates and does no mathematics of its own: parameters become a family, a rule and starts; `fitting.fit` does the work; the fitted
`Mixture` answers. In reading order: the warning, `History`, the estimator, the checks of its parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import exceptions
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mixtura import errors
from mixtura.errors import ConstantColumnWarning, ParameterError, RepairWarning
from mixtura.estimators.given import Given
from mixtura.estimators.progress import Progress
from mixtura.families import Family, family_of
from mixtura.fitting import Fit, fit, remaining_gain
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Regularisation, regularisation_of
from mixtura.rules import Event, Rule, rule_of
from mixtura.scouting import Scout
from mixtura.sources import ArraySource
from mixtura.starting import check_components, check_distinct, start_of


class ConvergenceWarning(errors.ConvergenceWarning, exceptions.ConvergenceWarning):  # type: ignore[misc]
    """`max_iter` came before convergence; caught as Mixtura's warning and as scikit-learn's."""


@dataclass(frozen=True)
class History:
    """How a fit came about.

    `log_likelihoods` are the mean log-likelihoods per row, in nats, of the run that was kept: at its start, then after each of its `n_iter_`
    steps. `events` are the repairs and notes of that run, each with the number of its step. `start` is the way it began: the
    `init_params`, "given" where every parameter was, or "previous" after a warm start. `runs` holds the log-likelihood at which each of
    the `n_init` runs ended, `run` which of them was kept (from 0). `source` is where the rows lay.
    """

    log_likelihoods: tuple[float, ...]
    events: tuple[tuple[int, Event], ...]
    start: str
    run: int
    runs: tuple[float, ...]
    source: str = "array"


class GaussianMixture(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """A Gaussian mixture p(x) = sum_k pi_k N(x | mu_k, Sigma_k) by maximum likelihood, with scikit-learn's interface.

    Signature, methods and attributes are those of sklearn.mixture.GaussianMixture (1.9), with N rows, D columns and K = `n_components`.
    What differs, by design:

    - `tol` (nats per row) bounds the estimated remaining gain of the log-likelihood (Aitken; Boehning et al. 1994), not the last
      change: a fit that creeps is not taken for one that has arrived.
    - `reg_covar="auto"` keeps every variance at a millionth, or more, of the data's own in that direction, so changing the units of a
      column changes no label. A number is scikit-learn's: added to every variance, in squared units.
    - `init_params="auto"` starts from the best of several short EM runs, on at most 50,000 rows. scikit-learn's four ways are there too.
    - A component that collapses or loses its rows is repaired, told once (RepairWarning) and recorded in `history_`; a fit never fails on it.
    - `fit`, `score`, `bic` and `aic` take `sample_weight`: a weight of 2 is a row twice.
    - `covariance_type` takes every family of Mixtura by name or mclust code: full (VVV), tied (EEE), diag (VVI), spherical (VII),
      tied_diag (EEI), tied_spherical (EII).
    - `rule` says how each step is made: "em", "gradient" (with `learning_rate`), or a Rule, which brings its own regularisation.
    - `n_jobs=None` takes every processor. The number of threads changes no bit of the result.
    - `lower_bound_` is the log-likelihood of the mixture that was kept, and `lower_bounds_[i]` that after step i + 1; scikit-learn
      reports the mixture before each step.
    - Learnt attributes cannot be assigned to; they are views of `mixture_`, in float64 whatever the rows are. Rows of float32 are
      computed in float32, with sums in float64.

    `weights_init` (K,), `means_init` (K, D) and `precisions_init` (in the shape of `precisions_`) replace the start's values, each for
    itself. Of `n_init` runs the one of greatest likelihood is kept, before those that owe theirs to a repaired component. `warm_start` goes
    on from `mixture_`. `random_state` is None, an integer, a RandomState or a Generator. `verbose` 1 prints every `verbose_interval`-th
    step, 2 adds its gain and time.

    Attributes: `weights_` (K,), `means_` (K, D), in the columns' units; `covariances_` and `precisions_`: full (K, D, D), tied (D, D), diag
    (K, D), spherical (K,), tied_diag (D,), tied_spherical (); `precisions_cholesky_` of the same shape, upper triangular P with
    precision = P P', or its root; `converged_`, `n_iter_`, `lower_bound_`, `lower_bounds_`; `n_features_in_`, `feature_names_in_`;
    `mixture_` (mixtura.Mixture), `history_` (History).

    Raises ParameterError for a parameter that makes no sense and DataError for rows that cannot be fitted; both are ValueErrors. Warns
    ConvergenceWarning, ConstantColumnWarning and RepairWarning.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [8.0]], 100, axis=0)
    >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
    >>> model.weights_
    array([0.5, 0.5])
    >>> model.predict([[0.0, 0.0]]) == model.predict([[8.0, 8.0]])
    array([False])
    """

    mixture_: Mixture
    history_: History
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str | Family = "full",
        tol: float = 1e-3,
        reg_covar: str | float | Regularisation = "auto",
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        rule: str | Rule = "em",
        learning_rate: float | None = None,
        n_jobs: int | None = None,
    ):
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.rule = rule
        self.learning_rate = learning_rate
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Maximises sum_i w_i log p(x_i) over the rows of X (N, D), weighted by `sample_weight` (N,); `y` is ignored.

        X is an array or a pandas, polars or other table of numbers; the names of its columns are kept.

        Raises ParameterError and DataError; see the class for these and for what is warned of.
        """
        self._fit(X, sample_weight)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> NDArray[np.int64]:
        """`fit`, then the component of each row of X, as `predict` gives it: (N,)."""
        source = self._fit(X, sample_weight)
        return self.mixture_.assign(source)

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The component of greatest posterior for each row of X (N, D): (N,), the first of equals.

        This and the methods below raise NotFittedError before `fit`, DataError for rows that are not finite, and ValueError for other columns.
        """
        return self._fitted().assign(self._source(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """The posterior r_ik = pi_k N(x_i | mu_k, Sigma_k) / p(x_i): (N, K), rows sum to 1."""
        return self._fitted().posterior(self._source(X))

    def score_samples(self, X: Any) -> NDArray[np.float64]:
        """log p(x_i) of each row, in nats: (N,)."""
        return self._fitted().log_density(self._source(X))

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """The mean of log p(x_i) over rows, weighted by `sample_weight` (N,), in nats per row; `y` is ignored."""
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        return log_likelihood / n

    def bic(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """-2 loglik + p log n, in nats: smaller is better (mclust's has the other sign). p parameters are free, n is the sum of weights."""
        log_likelihood, n = self._log_likelihood(X, sample_weight)
        return -2 * log_likelihood + self.mixture_.n_parameters * float(np.log(n))

    def aic(self, X: Any, sample_weight: ArrayLike | None = None) -> float:
        """-2 loglik + 2 p, in nats: smaller is better. p parameters are free."""
        return -2 * self._log_likelihood(X, sample_weight)[0] + 2 * self.mixture_.n_parameters

    def sample(self, n_samples: int = 1) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Rows drawn from the mixture (n_samples, D), and the component of each (n_samples,), grouped by component as scikit-learn does.

        Drawn by `random_state`, so an integer there gives the same rows every time. Raises ParameterError unless n_samples >= 1.
        """
        rows, component = self._fitted().sample(n_samples, _generator(self.random_state))
        order = np.argsort(component, kind="stable")
        return rows[order], component[order]

    @property
    def weights_(self) -> Array:
        """The weights pi (K,)."""
        return self.mixture_.weights

    @property
    def means_(self) -> Array:
        """The means mu (K, D), in the columns' units."""
        return self.mixture_.means

    @property
    def covariances_(self) -> Array:
        """The covariances Sigma in the shape of their type, in squared units."""
        return self.mixture_.covariances

    @property
    def precisions_cholesky_(self) -> Array:
        """P with precision = P P': upper triangular, or the root of the precision where that is one number per column or component."""
        family = self.mixture_.family
        if family.moment.axes < 2:
            return 1 / np.sqrt(self.covariances_)
        upper = np.swapaxes(self.mixture_.whiteners, -1, -2)
        return upper[0] if family.pooled else upper

    @property
    def precisions_(self) -> Array:
        """The precisions Sigma^-1, in the shape of the covariances."""
        P = self.precisions_cholesky_
        return P**2 if self.mixture_.family.moment.axes < 2 else P @ np.swapaxes(P, -1, -2)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "mixture_")

    def _fit(self, X: Any, sample_weight: ArrayLike | None) -> ArraySource:
        """Runs every start, keeps the best run, tells what went wrong with it; returns the rows as they were read."""
        task = self._task()
        source = self._source(X, sample_weight, reset=True)
        check_components(source, self.n_components)
        _tell_constant_columns(source)
        progress = Progress(self.verbose, self.verbose_interval)
        way, starts = self._starts(source, task)
        runs = [self._run(source, start, task, progress) for start in starts]
        self._keep(runs, way)
        self._tell(source)
        return source

    def _task(self) -> Task:
        """The parameters that say how to fit, each checked."""
        _check_whole("max_iter", self.max_iter, 0)
        _check_whole("n_init", self.n_init, 1)
        _check_whole("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, 0)
        _check_whole("verbose_interval", self.verbose_interval, 1)
        _check_tolerance(self.tol)
        start_of(self.init_params)
        regularisation = regularisation_of(self.reg_covar)
        return Task(family_of(self.covariance_type), regularisation, rule_of(self.rule, regularisation, self.learning_rate))

    def _source(self, X: Any, sample_weight: ArrayLike | None = None, *, reset: bool = False) -> ArraySource:
        """X as a source. scikit-learn checks names, width and kind; the source checks the numbers, and names column and row."""
        rows = validate_data(self, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False, ensure_min_samples=2 if reset else 1)
        names = getattr(self, "feature_names_in_", None)
        return ArraySource(rows, sample_weight, None if names is None else [str(name) for name in names], self.n_jobs)

    def _starts(self, source: ArraySource, task: Task) -> tuple[str, Iterator[Mixture]]:
        """How the runs begin, and the mixture from which each does."""
        if self.warm_start and hasattr(self, "mixture_"):
            return "previous", iter([self._previous(source.D, task.family)])
        given = Given.of(task.family, self.n_components, source.D, self.weights_init, self.means_init, self.precisions_init)
        whole = given.alone(task.family)
        return (self.init_params, self._drawn(source, task, given)) if whole is None else ("given", iter([whole]))

    def _previous(self, D: int, family: Family) -> Mixture:
        previous = self.mixture_
        if (previous.K, previous.D) != (self.n_components, D):
            raise ParameterError(
                f"warm_start cannot go on from the last fit: got {self.n_components} components and {D} columns, expected {previous.K} and "
                f"{previous.D} as before; try warm_start=False"
            )
        return previous if previous.family.name == family.name else previous.to_family(family)

    def _drawn(self, source: ArraySource, task: Task, given: Given) -> Iterator[Mixture]:
        """`n_init` starts by `init_params`, all from one generator, with what is given put in."""
        generator = _generator(self.random_state)
        scout = Scout.of(source, generator)
        check_distinct(len(scout.rows), self.n_components)
        for _ in range(self.n_init):
            yield given.put_into(start_of(self.init_params)(scout, self.n_components, task.family, task.regularisation, generator))

    def _run(self, source: ArraySource, start: Mixture, task: Task, progress: Progress) -> Fit:
        progress.begin()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RepairWarning)  # told once, of the run that wins
            run = fit(source, start, task.rule, tol=self.tol, max_steps=self.max_iter, on_step=progress.step)
        progress.end(run)
        return run

    def _keep(self, runs: list[Fit], start: str) -> None:
        finals = tuple(run.log_likelihood for run in runs)
        winner = max(range(len(runs)), key=lambda run: (not _repaired(runs[run]), finals[run]))
        best = runs[winner]
        self.mixture_ = best.mixture
        self.converged_ = best.converged
        self.n_iter_ = best.n_steps
        self.lower_bound_ = best.log_likelihood
        self.lower_bounds_ = list(best.log_likelihoods[1:])
        self.history_ = History(best.log_likelihoods, best.events, start, winner, finals)

    def _tell(self, source: ArraySource) -> None:
        """Warns of repairs, and of a fit that did not converge; `max_iter=0` asks for the start alone and is no reason to."""
        repairs = [f"step {number}: {event.message}" for number, event in self.history_.events if event.kind == "repair"]
        if repairs:
            more = f" (and {len(repairs) - 1} more repairs)" if len(repairs) > 1 else ""
            _warn(f"a component was repaired: {repairs[0]}{more}; try fewer components or a simpler covariance_type", RepairWarning)
        if not self.converged_ and self.max_iter > 0:
            gain = remaining_gain(self.history_.log_likelihoods)
            left = f"an estimated {gain:.2g} nats per row still to gain" if np.isfinite(gain) else "a gain still to come that cannot be estimated"
            _warn(
                f"the fit did not converge: got {left} after max_iter={self.max_iter} steps, expected at most tol={self.tol:g}; "
                f"try max_iter={10 * self.max_iter}, fewer components or another init_params",
                ConvergenceWarning,
            )

    def _fitted(self) -> Mixture:
        check_is_fitted(self)
        return self.mixture_

    def _log_likelihood(self, X: Any, sample_weight: ArrayLike | None) -> tuple[float, float]:
        """sum_i w_i log p(x_i) and sum_i w_i."""
        mixture, source = self._fitted(), self._source(X, sample_weight)
        density = mixture.log_density(source)
        if source.weights is None:
            return float(density.sum()), float(len(density))
        return float(source.weights @ density), float(source.weights.sum())


class Task(NamedTuple):
    """What to fit, and how."""

    family: Family
    regularisation: Regularisation
    rule: Rule


def _repaired(run: Fit) -> bool:
    """Whether its mixture owes its likelihood to a component held at the floor: such a maximum is most often spurious."""
    return any(event.kind == "repair" for event in run.best.events)


def _generator(random_state: Any) -> np.random.Generator:
    """numpy's new generator, seeded by scikit-learn's `random_state`."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    try:
        state = check_random_state(random_state)
    except ValueError:
        raise ParameterError(
            f"random_state is not usable: got {random_state!r}, expected None, an integer from 0 to 2**32 - 1, a RandomState or a Generator; try 0"
        ) from None
    return np.random.default_rng(state.randint(2**32, size=4, dtype=np.uint32))


def _check_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ParameterError(f"{name} is not usable: got {value!r}, expected an integer >= {least}; try {max(least, 1)}")


def _check_tolerance(tol: Any) -> None:
    if isinstance(tol, bool) or not isinstance(tol, int | float | np.number) or not 0 <= tol < np.inf:
        raise ParameterError(f"tol is not usable: got {tol!r}, expected a number >= 0 in nats per row; try 1e-3")


def _tell_constant_columns(source: ArraySource) -> None:
    constant = [f"{source.columns[j]!r}" for j in np.flatnonzero(source.profile.constant)]
    if constant:
        names = ", ".join(constant[:8]) + (f" and {len(constant) - 8} more" if len(constant) > 8 else "")
        _warn(f"a column holds one value: got {names} constant, expected columns that vary; try leaving it out", ConstantColumnWarning)


def _warn(message: str, category: type[Warning]) -> None:
    """Warns as if from the line that called `fit`."""
    warnings.warn(message, category, stacklevel=5)
