"""GaussianMixture: scikit-learn's estimator of that name, by maximum likelihood, fitted by Mixtura's loop."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if

from mixtura.blas import one_thread
from mixtura.errors import ParameterError, RepairWarning
from mixtura.estimators import saving
from mixtura.estimators.base import MixtureEstimator, Task
from mixtura.estimators.given import Given
from mixtura.estimators.history import History
from mixtura.estimators.stream import Stream, online_rule
from mixtura.families import Family, has_factors
from mixtura.fitting import Fit, Step, sweep
from mixtura.kernels import AnyGaussians
from mixtura.mixture import Mixture
from mixtura.moments import Array
from mixtura.regularisation import Regularisation
from mixtura.rules import Event, Fixed, Masks, Online, Rule, rule_of
from mixtura.sources import Source
from mixtura.starting import check_components


def _learns_from_batches(estimator: GaussianMixture) -> bool:
    """Whether there is a partial_fit: other rules have none, nor have factors, and scikit-learn asks with hasattr. Raises what says why."""
    if has_factors(estimator.covariance_type):
        raise ParameterError(
            f"covariance_type {estimator.covariance_type!r} does not learn from batches: got factors, whose sums are taken at one mixture and mean "
            "nothing at another, expected whole second moments; try fit, or covariance_type='full'"
        )
    return online_rule(estimator.rule) is not None


class GaussianMixture(MixtureEstimator):
    """A Gaussian mixture p(x) = sum_k pi_k N(x | mu_k, Sigma_k) by maximum likelihood, with scikit-learn's interface.

    Signature, methods and attributes are those of sklearn.mixture.GaussianMixture (1.9), with N rows, D columns and K = `n_components`.
    What differs, by design:

    - `tol` (nats per row) bounds the estimated remaining gain of the log-likelihood (Aitken; Boehning et al. 1994), not the last
      change: a fit that creeps is not taken for one that has arrived.
    - `reg_covar="auto"` keeps every variance at a millionth, or more, of the data's own in that direction, so changing the units of a
      column changes no label. A number is scikit-learn's: added to every variance, in squared units.
    - `init_params="auto"` starts from the best of several short EM runs, on at most 50,000 rows. scikit-learn's four ways are there too, and
      labels (N,) or posteriors (N, K) of the rows that are fitted, -1 where they are not known: see `mixtura.start`. Such a start is one run.
    - A component that collapses or loses its rows is repaired, told once (RepairWarning) and recorded in `history_`; a fit never fails on it.
    - `fit`, `score`, `bic` and `aic` take `sample_weight`: a weight of 2 is a row twice.
    - `covariance_type` takes every family of Mixtura by name or mclust code: full (VVV), tied (EEE), diag (VVI), spherical (VII),
      tied_diag (EEI), tied_spherical (EII), and by code VEI EVI VEE EVE VVE EEV VEV EVV. For many columns there are "factor" and "ppca" with
      `n_factors` columns of loadings (families.factor, families.ppca): covariances are then `loadings_` and `noise_`, and never D x D in a fit.
    - `rule` says how each step is made: "em" (accelerated once it proves slow), "map", "natural" and "gradient" (with `learning_rate`), "online",
      "lbfgs", or a Rule, which brings its own regularisation. `fixed` keeps chosen weights, means and covariances at their `weights_init`,
      `means_init` and `precisions_init` (see rules.Fixed).
    - `partial_fit` learns from a stream; `save` and `load` keep it, in files that execute nothing.
    - `n_jobs=None` takes every processor, or this process's share of them inside joblib's, Dask's and other workers; a number is obeyed. The
      number of threads changes no bit of the result.
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
    precision = P P', or its root; `loadings_` (K, D, q) and `noise_` (K, D), for ppca (K,), where Sigma_k = A_k A_k' + Psi_k, and the four
    before then (K, D, D), made when they are asked for; `converged_`, `n_iter_`, `lower_bound_`, `lower_bounds_`; `n_features_in_`,
    `feature_names_in_`;
    `mixture_` (mixtura.Mixture), `history_` (History), `stream_` where `partial_fit` was used.

    Raises ParameterError for a parameter that makes no sense and DataError for rows that cannot be fitted; both are ValueErrors. Warns
    ConvergenceWarning, ConstantColumnWarning and RepairWarning; InterruptionWarning after Ctrl-C.

    >>> import numpy as np, mixtura
    >>> X = np.random.default_rng(0).normal(size=(200, 2)) + np.repeat([[0.0], [8.0]], 100, axis=0)
    >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
    >>> model.weights_
    array([0.5, 0.5])
    >>> model.predict([[0.0, 0.0]]) == model.predict([[8.0, 8.0]])
    array([False])
    """

    stream_: Stream

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str | Family = "full",
        tol: float = 1e-3,
        reg_covar: str | float | Regularisation = "auto",
        max_iter: int = 100,
        n_init: int = 1,
        init_params: str | ArrayLike = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        rule: str | Rule = "em",
        learning_rate: float | None = None,
        fixed: Masks = None,
        n_factors: int | None = None,
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
        self.fixed = fixed
        self.n_factors = n_factors
        self.n_jobs = n_jobs

    @available_if(_learns_from_batches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learns from a batch X (N, D) of a stream, weighted by `sample_weight` (N,), by stepwise EM (rules.Online); `y` is ignored.

        s <- (1 - eta_t) s + eta_t s_hat, then the M-step, with s_hat the sums of batch t at the mixture so far: nothing of a batch is kept but
        its sums. The first batch also gives the start, unless `fit` did before; batches of some hundred rows a component or more are a good
        size. `rule` may be an Online of your own, with other step sizes, or with forgetting for rows that drift.

        `lower_bound_` is the mean log-likelihood of the batch before it was learnt from, in nats per row: what the stream knew of it. `n_iter_`
        counts batches. `save` keeps all of this, and a stream that goes on from the file ends with the same bits.

        Raises what `fit` raises. With a rule that does not learn from batches there is no such method (AttributeError, and why).
        """
        task = self._task()
        rule = online_rule(self.rule, task.regularisation, self.fixed)
        with self._as_it_was_if_refused():
            repairs = self._learn_batch(X, sample_weight, task, rule)
        if repairs:
            warnings.warn(f"a component was repaired in batch {self.n_iter_}: {repairs[0].message}; try larger batches", RepairWarning, stacklevel=2)
        return self

    def _learn_batch(self, X: Any, sample_weight: ArrayLike | None, task: Task, rule: Online) -> list[Event]:
        """Learns from a batch; the repairs that were not told before."""
        source = self._source(X, sample_weight, reset=not hasattr(self, "mixture_"))
        with one_thread():
            stream = self.stream_ if hasattr(self, "stream_") else self._stream(source, task, rule)
        if (stream.mixture.K, stream.mixture.family) != (self.n_components, task.family):
            raise ParameterError(
                f"the stream cannot go on: got {self.n_components} components of family {task.family.name!r}, expected {stream.mixture.K} of "
                f"family {stream.mixture.family.name!r} as before; try fit, or a new estimator"
            )
        with one_thread():
            statistics = sweep(stream.mixture, source)
            self.stream_, repairs = stream.after(statistics, rule)
            self.mixture_ = rule.outcome(self.stream_.mixture, self.stream_.state)
        self.n_iter_, self.converged_ = self.stream_.state.batches, False
        self.lower_bound_ = statistics.log_likelihood / statistics.weight
        self.lower_bounds_ = [self.lower_bound_]
        told = tuple((self.n_iter_, event) for event in repairs)
        self.history_ = History((self.lower_bound_,), (self.lower_bound_,), np.inf, told, "stream", 0, (self.lower_bound_,))
        return repairs

    @classmethod
    def from_fit(cls, fit: Fit, *, columns: Sequence[str] | None = None, **parameters: Any) -> Self:
        """The estimator that a `mixtura.fit` leads to: fitted, with its mixture and history; `columns` (D,) name the columns.

        `parameters` are those of the estimator; number of components and family are the mixture's.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> fit = mixtura.fit(X, mixtura.start(X, 2, "diag", random_state=0))
        >>> mixtura.GaussianMixture.from_fit(fit, random_state=0)
        GaussianMixture(covariance_type='diag', n_components=2, random_state=0)
        """
        estimator = cls(fit.mixture.K, covariance_type=fit.mixture.family.name, **parameters)
        estimator.n_features_in_ = fit.mixture.D
        if columns is not None:
            estimator.feature_names_in_ = np.array(columns, dtype=object)
        estimator._keep([fit], "given")
        return estimator

    def save(self, path: str | Path) -> None:
        """Writes parameters, mixture and, of a stream, its running sums to a safetensors file: nothing that can execute.

        The file is a model file as `Mixture.save` and the command write them, and can be used as such.

        Raises NotFittedError before `fit`, ParameterError for a parameter that cannot be written down (a generator, say), and FileError where the
        file cannot be written.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> import tempfile
        >>> model.save(f"{tempfile.mkdtemp()}/model.safetensors")
        """
        saving.save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The estimator in a file that `save` wrote. Raises FileError, ModelFileError for a damaged or foreign file.

        >>> import numpy as np, mixtura
        >>> X = np.random.default_rng(0).normal(size=(100, 1)) + np.repeat([[-3.0], [3.0]], 50, axis=0)
        >>> model = mixtura.GaussianMixture(2, random_state=0).fit(X)
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/model.safetensors"
        >>> model.save(path)
        >>> bool((mixtura.GaussianMixture.load(path).predict(X) == model.predict(X)).all())
        True
        """
        return saving.load(cls, path)

    def _stream(self, source: Source, task: Task, rule: Online) -> Stream:
        """A stream that begins with what `fit` found, or with a start in its first batch."""
        if hasattr(self, "mixture_"):
            return Stream.begin(self._previous(source.D, task.family), rule)
        check_components(source, self.n_components)
        return Stream.begin(next(self._starts(source, task, self.random_state)[1]), rule)

    def _rule(self, regularisation: Regularisation) -> Rule:
        return rule_of(self.rule, regularisation, self.learning_rate, self.fixed, self.tol)

    def _given(self, family: Family, D: int) -> Given:
        fixed = Fixed.of(self.fixed)
        for part, name in zip(fixed._fields, ("weights_init", "means_init", "precisions_init"), strict=True):
            if any(getattr(fixed, part)) and getattr(self, name) is None:
                raise ParameterError(f"fixed {part} have no values: got {name}=None, expected them for all components; try {name}=...")
        return Given.of(family, self.n_components, D, self.weights_init, self.means_init, self.precisions_init)

    def _begun(self, source: Source, start: Mixture, rule: Rule, way: str) -> tuple[Mixture, Rule]:
        return start, rule

    def _learn(self, best: Step) -> None:
        self.mixture_ = best.mixture
        if hasattr(self, "stream_"):
            del self.stream_  # the next one begins here

    def _tolerance(self, source: Source) -> float:
        return self.tol

    def _lower_bound(self, objective: float) -> float:
        return objective

    @property
    def loadings_(self) -> Array:
        """The loadings A_k (K, D, q) of covariance_type "factor" or "ppca", in the columns' units. AttributeError for others."""
        return self._with_factors("loadings_").loadings

    @property
    def noise_(self) -> Array:
        """The noise Psi_k of each column (K, D), or for "ppca" of all (K,), in squared units. AttributeError for others."""
        return self._with_factors("noise_").noise

    def _with_factors(self, name: str) -> Mixture:
        if not self.mixture_.family.n_factors:
            raise AttributeError(f"no {name}: got covariance_type {self.mixture_.family.name!r}, expected 'factor' or 'ppca'; try covariances_")
        return self.mixture_

    @property
    def _gaussians(self) -> AnyGaussians:
        return self.mixture_.gaussians
