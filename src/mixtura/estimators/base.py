"""What the estimators share: parameters checked, rows read, starts drawn, runs compared, questions answered.

It translates and does no mathematics of its own: parameters become a family, a rule and starts; `fitting.climb` does the work; the fitted
`Mixture` answers. An estimator says how each step is made and what it learns.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mixtura import checking, checkpoints
from mixtura.blas import one_thread
from mixtura.errors import ConstantColumnWarning, InterruptionWarning, ParameterError, RepairWarning
from mixtura.estimators.given import Given
from mixtura.estimators.history import ConvergenceWarning, History
from mixtura.estimators.progress import Progress
from mixtura.estimators.rows import rows_of
from mixtura.families import Family, family_of
from mixtura.fitting import Fit, Interrupted, Step, climb, interruption
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Regularisation, regularisation_of
from mixtura.rules import Rule
from mixtura.scouting import Scout
from mixtura.sources import Source
from mixtura.starting import check_components, check_distinct, from_labels, start_of

INDIFFERENT = ("random_state", "n_jobs", "verbose", "verbose_interval", "warm_start")  # parameters that a checkpoint is not compared by as they are


class MixtureEstimator(DensityMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """A mixture behind scikit-learn's interface. Subclasses store their parameters, these among them, and answer the abstract methods."""

    n_components: int
    covariance_type: str | Family
    n_factors: int | None = None
    tol: float
    reg_covar: str | float | Regularisation
    max_iter: int
    n_init: int
    init_params: str | ArrayLike
    random_state: int | np.random.RandomState | np.random.Generator | None
    warm_start: bool
    verbose: int
    verbose_interval: int
    n_jobs: int | None

    mixture_: Mixture
    history_: History
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]

    @abstractmethod
    def _rule(self, regularisation: Regularisation) -> Rule:
        """How each step is made."""

    @abstractmethod
    def _given(self, family: Family, D: int) -> Given:
        """The parameters that the caller wants to start with."""

    @abstractmethod
    def _begun(self, source: Source, start: Mixture, rule: Rule, way: str) -> tuple[Mixture, Rule]:
        """What a run begins with, and its rule, where the start was made in this way (see History)."""

    @abstractmethod
    def _learn(self, best: Step) -> None:
        """Keeps what was learnt, at the best step of all."""

    @abstractmethod
    def _tolerance(self, source: Source) -> float:
        """`tol`, in nats per row of these."""

    @abstractmethod
    def _lower_bound(self, objective: float) -> float:
        """What is reported of an objective per row, once `_learn` is done."""

    @property
    @abstractmethod
    def _gaussians(self) -> AnyGaussians:
        """What rows are weighed with."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | str | None = None,
        *,
        columns: Sequence[str] | None = None,
        checkpoint: checkpoints.PathLike | None = None,
        checkpoint_every: str | float = "30s",
    ) -> Self:
        """Learns from the rows of X (N, D), weighted by `sample_weight` (N,); `y` is ignored.

        X is an array or a pandas, polars or other table of numbers, or whatever else `mixtura.open` takes: a path, files larger than memory, a
        collection of Dask or Spark, which is worked on where it is. `columns` chooses columns of a table or file, `sample_weight` may be the
        name of one. The names of columns are kept.

        `checkpoint` is a folder in which the fit is kept, so that it survives its process: see `mixtura.fit`. Called again with the same arguments
        it goes on, and ends with the same bits; random_state=None is kept as it was drawn. Ctrl-C ends the fit with the best step by then
        (InterruptionWarning, `history_.interrupted`); before the first step is complete it is raised.

        Raises ParameterError and DataError; see the class for these and for what is warned of. FileError for a checkpoint that cannot be written.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> mixtura.GaussianMixture(2, random_state=0).fit(X).converged_
        True
        """
        self._fit(X, sample_weight, columns, checkpoint, checkpoint_every)
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: ArrayLike | str | None = None) -> Any:
        """`fit`, then the component of each row of X, as `predict` gives it: (N,).

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> mixtura.GaussianMixture(2, random_state=0).fit_predict(X)[[0, -1]]
        array([0, 1])
        """
        return self._ask(self._fit(X, sample_weight), "component")

    def predict(self, X: Any) -> Any:
        """The component of greatest posterior for each row of X (N, D): (N,), the first of equals.

        X is whatever `fit` takes; rows of a file are read in one pass, a collection of Dask or Spark gives a lazy one of the same kind.
        This and the methods below raise NotFittedError before `fit`, DataError for rows that are not finite, and ValueError for other columns.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> model.predict([[-3.0], [3.0]])
        array([0, 1])
        """
        return self._ask(self._read(X), "component")

    def predict_proba(self, X: Any) -> Any:
        """The posterior r_ik of each component for each row: (N, K), rows sum to 1.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> model.predict_proba([[-3.0], [3.0]]).round(3)
        array([[1., 0.],
               [0., 1.]])
        """
        return self._ask(self._read(X), "posterior")

    def score_samples(self, X: Any) -> Any:
        """log p(x_i) of each row, in nats: (N,); under variational Bayes log sum_k exp E[log pi_k N(x_i | mu_k, Sigma_k)].

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> model.score_samples([[-3.0], [0.0]]).round(1)
        array([-1.5, -5.6])
        """
        return self._ask(self._read(X), "log_density")

    def score(self, X: Any, y: Any = None, sample_weight: ArrayLike | str | None = None) -> float:
        """The mean of `score_samples` over rows, weighted by `sample_weight` (N,), in nats per row; `y` is ignored.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> round(model.score(X), 2)
        -2.07
        """
        total, weight = self._fitted().log_likelihood(self._read(X, sample_weight), gaussians=self._gaussians)
        return total / weight

    def bic(self, X: Any, sample_weight: ArrayLike | str | None = None) -> float:
        """-2 loglik + p log n, in nats, of `mixture_`: smaller is better (mclust's has the other sign).

        p parameters are free, without those that are `fixed`; n is the sum of weights.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> bool(np.isclose(model.bic(X), -2 * 100 * model.score(X) + 5 * np.log(100)))
        True
        """
        log_likelihood, n = self._fitted().log_likelihood(self._read(X, sample_weight))
        return -2 * log_likelihood + self._n_parameters * float(np.log(n))

    def aic(self, X: Any, sample_weight: ArrayLike | str | None = None) -> float:
        """-2 loglik + 2 p, in nats, of `mixture_`: smaller is better. p parameters are free, as in `bic`.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> bool(np.isclose(model.aic(X), -2 * 100 * model.score(X) + 2 * 5))
        True
        """
        return -2 * self._fitted().log_likelihood(self._read(X, sample_weight))[0] + 2 * self._n_parameters

    def sample(self, n_samples: int = 1) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Rows drawn from the mixture (n_samples, D), and the component of each (n_samples,), grouped by component as scikit-learn does.

        Drawn by `random_state`, so an integer there gives the same rows every time. Raises ParameterError unless n_samples >= 1.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> rows, component = model.sample(3)
        >>> rows.shape, component.shape
        ((3, 1), (3,))
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
        """The covariances Sigma in the shape of their type, in squared units; of factors (K, D, D), made when they are asked for."""
        return self.mixture_.matrices if self.mixture_.family.n_factors else self.mixture_.covariances

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

    def _repr_html_inner(self) -> str:
        """scikit-learn's diagram, and below it what was learnt."""
        return str(super()._repr_html_inner()) + self._learnt_html()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle: dict[str, str] = super()._repr_mimebundle_(**kwargs)
        return {kind: text + self._learnt_html() if kind == "text/html" else text for kind, text in bundle.items()}

    def _learnt_html(self) -> str:
        if not self.__sklearn_is_fitted__():
            return ""
        names = getattr(self, "feature_names_in_", None)
        return self.mixture_.html(None if names is None else [str(name) for name in names])

    def _fit(
        self,
        X: Any,
        sample_weight: ArrayLike | str | None,
        columns: Sequence[str] | None = None,
        checkpoint: checkpoints.PathLike | None = None,
        every: str | float = "30s",
    ) -> Source:
        """Runs every start, keeps the best run, tells what went wrong with it; returns the rows as they were read."""
        task = self._task()
        with self._as_it_was_if_refused() as fitted:
            source = self._source(X, sample_weight, columns, reset=True)
            check_components(source, self.n_components)
            _tell_constant_columns(source)
            with one_thread(), checkpoints.opened(checkpoint, every, source, self._call(), self.random_state) as kept:
                way, starts = self._starts(kept.source, task, kept.seeded(self.random_state))
                runs = self._runs(starts, way, task, kept)
                self._keep(runs, way, source)
                fitted()
                kept.finish(self.mixture_)
        self._tell(source, kept)
        return source

    @contextmanager
    def _as_it_was_if_refused(self) -> Iterator[Callable[[], object]]:
        """Puts everything back that was learnt before, where learning fails, or is interrupted, ahead of a call of what this gives."""
        before, fitted = dict(vars(self)), list[bool]()
        try:
            yield lambda: fitted.append(True)
        except BaseException:
            if not fitted:
                self.__dict__.clear()
                self.__dict__.update(before)
            raise

    def _call(self) -> dict[str, Any]:
        """What a checkpoint is compared by: everything that what is learnt depends on, but for rows and chance."""
        parameters = {name: value for name, value in self.get_params(deep=False).items() if name not in INDIFFERENT}
        if not isinstance(self.init_params, str):
            parameters["init_params"] = np.asarray(self.init_params)
        previous = self.mixture_ if self.warm_start and hasattr(self, "mixture_") else None
        return {"function": f"{type(self).__name__}.fit", **parameters, "previous": previous}

    def _runs(self, starts: Iterator[Mixture], way: str, task: Task, kept: checkpoints.Unkept) -> list[Fit]:
        """A run from each start; an interrupt ends them, and what was done by then counts, if anything was."""
        progress, runs = Progress(self.verbose, self.verbose_interval), list[Fit]()
        try:
            for start in starts:
                runs.append(self._run(kept, *self._begun(kept.source, start, task.rule, way), progress))
                if runs[-1].interrupted:
                    return runs
        except KeyboardInterrupt:
            if not runs:
                raise
            runs[-1] = replace(runs[-1], interrupted=True)
        return runs

    def _task(self) -> Task:
        """The parameters that say how to fit, each checked."""
        checking.whole("max_iter", self.max_iter, 0)
        checking.whole("n_init", self.n_init, 1)
        checking.whole("verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, 0)
        checking.whole("verbose_interval", self.verbose_interval, 1)
        if not isinstance(self.warm_start, bool | int | np.bool_):
            raise ParameterError(f"warm_start is not usable: got {checking.short(self.warm_start)}, expected True or False; try False")
        checking.number("tol", self.tol, "a number >= 0 in nats", lambda tol: 0 <= tol < np.inf, 1e-3)
        if isinstance(self.init_params, str) or self.init_params is None:
            start_of(self.init_params)
        regularisation = regularisation_of(self.reg_covar)
        return Task(family_of(self.covariance_type, self.n_factors), regularisation, self._rule(regularisation))

    def _source(self, X: Any, sample_weight: ArrayLike | str | None = None, columns: Sequence[str] | None = None, *, reset: bool = False) -> Source:
        return rows_of(self, X, sample_weight, columns, self.n_jobs, reset=reset)

    def _starts(self, source: Source, task: Task, random_state: Any) -> tuple[str, Iterator[Mixture]]:
        """How the runs begin, and the mixture from which each does."""
        if self.warm_start and hasattr(self, "mixture_"):
            return "previous", iter([self._previous(source.D, task.family)])
        given = self._given(task.family, source.D)
        whole = given.alone(task.family)
        if whole is not None:
            return "given", iter([whole])
        if isinstance(self.init_params, str):
            return self.init_params, self._drawn(source, task, given, random_state)
        return "labels", iter([given.put_into(self._from_labels(source, self.init_params, task, random_state))])

    def _previous(self, D: int, family: Family) -> Mixture:
        previous = self.mixture_
        if (previous.K, previous.D) != (self.n_components, D):
            raise ParameterError(
                f"warm_start cannot go on from the last fit: got {self.n_components} components and {D} columns, expected {previous.K} and "
                f"{previous.D} as before; try warm_start=False"
            )
        if family.n_factors and previous.family is not family:  # loadings of zero would stay zero
            raise ParameterError(
                f"warm_start cannot go on from the last fit: got family {family.name!r}, expected {previous.family.name!r} as before, because more "
                "factors are found from rows; try warm_start=False"
            )
        return previous if previous.family.name == family.name else previous.to_family(family)

    def _from_labels(self, source: Source, labels: ArrayLike, task: Task, random_state: Any) -> Mixture:
        return from_labels(source, labels, self.n_components, task.family, task.regularisation, _generator(random_state))

    def _drawn(self, source: Source, task: Task, given: Given, random_state: Any) -> Iterator[Mixture]:
        """`n_init` starts by `init_params`, all from one generator, with what is given put in."""
        assert isinstance(self.init_params, str)
        generator = _generator(random_state)
        scout = Scout.of(source, generator)
        check_distinct(len(scout.rows), self.n_components)
        for _ in range(self.n_init):
            yield given.put_into(start_of(self.init_params)(scout, self.n_components, task.family, task.regularisation, generator))

    def _run(self, kept: checkpoints.Unkept, start: Mixture, rule: Rule, progress: Progress) -> Fit:
        def told(step: Step) -> None:
            kept.offer((not any(event.kind == "repair" for event in step.events), step.objective), step.mixture)
            progress.step(step)

        progress.begin()
        try:
            run = climb(kept.source, start, rule, tol=self._tolerance(kept.source), max_steps=self.max_iter, on_step=told)
        except Interrupted as interrupted:
            run = interrupted.fit
        progress.end(run)
        return run

    def _keep(self, runs: list[Fit], start: str, source: Source | None = None) -> None:
        finals = tuple(run.best.objective for run in runs)
        winner = max(range(len(runs)), key=lambda run: (not _repaired(runs[run]), finals[run]))
        best = runs[winner]
        self._learn(best.best)
        self.converged_ = best.converged
        self.n_iter_ = best.n_steps
        self.lower_bound_ = self._lower_bound(best.best.objective)
        self.lower_bounds_ = [self._lower_bound(objective) for objective in best.objectives[1:]]
        trace = best.log_likelihoods, best.objectives, best.remaining, best.events
        self.history_ = History(*trace, start, winner, finals, **_place(source), interrupted=any(run.interrupted for run in runs))

    def _tell(self, source: Source, kept: checkpoints.Unkept) -> None:
        """Warns of repairs, and of a fit that was interrupted or did not converge; `max_iter=0` asks for the start alone and is no reason to."""
        repairs = [f"step {number}: {event.message}" for number, event in self.history_.events if event.kind == "repair"]
        if repairs:
            more = f" (and {len(repairs) - 1} more repairs)" if len(repairs) > 1 else ""
            _warn(f"a component was repaired: {repairs[0]}{more}; try fewer components or a simpler covariance_type", RepairWarning)
        if self.history_.interrupted:
            _warn(self._interruption(kept), InterruptionWarning)
        elif not self.converged_ and self.max_iter > 0:
            gain = self.history_.remaining
            left = f"an estimated {gain:.2g} nats per row still to gain" if np.isfinite(gain) else "a gain still to come that cannot be estimated"
            _warn(
                f"the fit did not converge: got {left} after max_iter={self.max_iter} steps, expected at most tol={self._tolerance(source):.3g}; "
                f"try max_iter={10 * self.max_iter}, fewer components or another init_params",
                ConvergenceWarning,
            )

    def _interruption(self, kept: checkpoints.Unkept) -> str:
        runs = f" in the best of {len(self.history_.runs)} of {self.n_init} runs" * (self.n_init > 1)
        return interruption(self.n_iter_, kept, runs)

    @property
    def _n_parameters(self) -> int:
        """How many parameters of the mixture were free."""
        return self._rule(regularisation_of(self.reg_covar)).n_parameters(self.mixture_)

    def _fitted(self) -> Mixture:
        check_is_fitted(self)
        return self.mixture_

    def _read(self, X: Any, sample_weight: ArrayLike | str | None = None) -> Source:
        """The rows to be asked about, once there is something to answer with."""
        check_is_fitted(self)
        return self._source(X, sample_weight)

    def _ask(self, source: Source, name: str) -> Any:
        return self.mixture_.ask(source, name, self._gaussians)


class Task(NamedTuple):
    """What to fit, and how."""

    family: Family
    regularisation: Regularisation
    rule: Rule


def _repaired(run: Fit) -> bool:
    """Whether its mixture owes its likelihood to a component held at the floor: such a maximum is most often spurious."""
    return any(event.kind == "repair" for event in run.best.events)


def _place(source: Source | None) -> dict[str, Any]:
    """Where rows lay, and what worked on them, where that is known."""
    return {} if source is None else {"source": source.origin, "engine": source.engine}


def _generator(random_state: Any) -> np.random.Generator:
    """numpy's new generator, seeded by scikit-learn's `random_state`."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    try:
        state = check_random_state(random_state)
    except (ValueError, OverflowError):
        raise ParameterError(
            f"random_state is not usable: got {checking.short(random_state)}, expected None, an integer from 0 to 2**32 - 1, a RandomState or a "
            "Generator; try 0"
        ) from None
    return np.random.default_rng(state.randint(2**32, size=4, dtype=np.uint32))


def _tell_constant_columns(source: Source) -> None:
    constant = [f"{source.columns[j]!r}" for j in np.flatnonzero(source.profile.constant)]
    if constant:
        names = ", ".join(constant[:8]) + (f" and {len(constant) - 8} more" if len(constant) > 8 else "")
        _warn(f"a column holds one value: got {names} constant, expected columns that vary; try leaving it out", ConstantColumnWarning)


def _warn(message: str, category: type[Warning]) -> None:
    """Warns as if from the line that called `fit`."""
    warnings.warn(message, category, stacklevel=5)
