"""Variational Bayes: the bound against its definition and the exact evidence, BayesianGaussianMixture against scikit-learn."""

from __future__ import annotations

import inspect
import pickle
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.exceptions
import sklearn.mixture
from cases import FREE, overlapping
from scipy.special import betaln, gammaln, multigammaln, psi
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import mixtura
import mixtura.estimators
from mixtura import BayesianGaussianMixture
from mixtura.errors import ConstantColumnWarning, ConvergenceWarning, ParameterError
from mixtura.families import Family
from mixtura.moments import DIAGONAL, MATRIX
from mixtura.rules import Beliefs, Variational
from mixtura.rules.proportions import PROPORTIONS, Dirichlet
from mixtura.scouting import Scout
from mixtura.starting import from_responsibilities

TYPES = ("full", "tied", "diag", "spherical")  # scikit-learn's
KINDS = tuple(PROPORTIONS)
PARAMETERS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "weight_concentration_", "mean_precision_")
PARAMETERS += ("degrees_of_freedom_", "weight_concentration_prior_", "mean_precision_prior_", "mean_prior_")
PARAMETERS += ("degrees_of_freedom_prior_", "covariance_prior_")
K = 5


@pytest.fixture(params=FREE, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    """Every family that variational inference knows."""
    return request.param  # type: ignore[no-any-return]


def rows(n: int = 300, seed: int = 0) -> np.ndarray:
    """Three components that touch, in three columns: `n` rows."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0, 0.0], [3.5, 0.0, 1.0], [0.0, 5.0, 2.0]])
    return centres[rng.integers(3, size=n)] + np.array([1.0, 2.0, 0.5]) * rng.standard_normal((n, 3))


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return rows()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Both kinds of weight priors in turn."""
    return request.param  # type: ignore[no-any-return]


def responsibilities(X: np.ndarray, k: int = K) -> np.ndarray:
    """Soft ones, by distance to the first k rows."""
    logits = -((X[:, None] - X[:k]) ** 2).sum(axis=2) / 4
    r = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(r / r.sum(axis=1, keepdims=True))


class Theirs(sklearn.mixture.BayesianGaussianMixture):  # type: ignore[misc]
    """scikit-learn's, from given responsibilities."""

    def _initialize_parameters(self, X: np.ndarray, random_state: Any, xp: Any = None) -> None:
        self._initialize(X, responsibilities(X, self.n_components))


@pytest.fixture
def same_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours, from the same."""

    def start(scout: Scout, K: int, family: Family, regularisation: Any, generator: Any) -> mixtura.Mixture:
        return from_responsibilities(scout.rows, responsibilities(rows(), K)[np.lexsort(rows().T[::-1])], family, regularisation)

    monkeypatch.setattr(mixtura.estimators.base, "start_of", lambda name: start)


# the bound


def brute_force(X: np.ndarray, mixture: mixtura.Mixture, beliefs: Beliefs) -> float:
    """The bound, expectation by expectation, in matrices and loops: Bishop (2006), equations 10.70 to 10.77, and sticks in the Dirichlet's place."""
    assert beliefs.prior is not None
    assert beliefs.posterior is not None
    prior, (proportions, beta, nu) = beliefs.prior, beliefs.posterior
    family, D, K = mixture.family, mixture.D, mixture.K
    inverse_W0 = family.moment.matrices(prior.covariance, D)
    W = np.array([np.linalg.inv(mixture.matrices[k]) / nu[k] for k in range(K)])
    log_precision = np.array([sum(psi((nu[k] + 1 - i) / 2) for i in range(1, D + 1)) + D * np.log(2) + np.linalg.slogdet(W[k])[1] for k in range(K)])

    def wishart_constant(W: np.ndarray, nu: float) -> float:
        return float(-nu / 2 * np.linalg.slogdet(W)[1] - nu * D / 2 * np.log(2) - multigammaln(nu / 2, D))

    if isinstance(proportions, Dirichlet):
        a, a0 = proportions.a, np.full(K, prior.concentration)
        log_pi = psi(a) - psi(a.sum())
        of_weights = gammaln(a0.sum()) - gammaln(a0).sum() + (a0 - 1) @ log_pi
        of_weights -= gammaln(a.sum()) - gammaln(a).sum() + (a - 1) @ log_pi
    else:
        a, b = proportions.parameters
        log_v, log_left = psi(a) - psi(a + b), psi(b) - psi(a + b)
        log_pi = np.array([log_v[k] + log_left[:k].sum() for k in range(K)])
        of_weights = sum(-betaln(1, prior.concentration) + (prior.concentration - 1) * log_left[k] for k in range(K))
        of_weights -= sum(-betaln(a[k], b[k]) + (a[k] - 1) * log_v[k] + (b[k] - 1) * log_left[k] for k in range(K))
    log_rho = np.empty((len(X), K))
    for k in range(K):
        apart = X - mixture.means[k]
        squares = D / beta[k] + nu[k] * np.einsum("ni,ij,nj->n", apart, W[k], apart)
        log_rho[:, k] = log_pi[k] + (log_precision[k] - D * np.log(2 * np.pi) - squares) / 2
    r = np.exp(log_rho - log_rho.max(axis=1, keepdims=True))
    r /= r.sum(axis=1, keepdims=True)
    bound = (r * log_rho).sum() - (r * np.log(np.maximum(r, 1e-300))).sum() + of_weights
    for k in range(K):
        apart = mixture.means[k] - prior.mean
        bound += (D * np.log(prior.rows / (2 * np.pi)) + log_precision[k]) / 2  # E[log p(mu, Lambda)]
        bound -= (D * prior.rows / beta[k] + prior.rows * nu[k] * apart @ W[k] @ apart) / 2
        bound += wishart_constant(np.linalg.inv(inverse_W0), prior.dof) + (prior.dof - D - 1) / 2 * log_precision[k]
        bound -= nu[k] * np.trace(inverse_W0 @ W[k]) / 2
        bound -= log_precision[k] / 2 + D / 2 * np.log(beta[k] / (2 * np.pi)) - D / 2  # E[log q(mu, Lambda)]
        bound -= wishart_constant(W[k], nu[k]) + (nu[k] - D - 1) / 2 * log_precision[k] - nu[k] * D / 2
    return float(bound)


@pytest.mark.parametrize("given", [False, True], ids=["priors of the rows", "priors given"])
def test_the_objective_is_the_bound_by_its_definition(X: np.ndarray, family: Family, kind: str, given: bool) -> None:
    covariance = family.moment.keep(np.diag([1.0, 2.0, 3.0])) / family.moment.divisor(3)
    priors: dict[str, Any] = {"mean_prior": [1.0, 2.0, 0.0], "degrees_of_freedom_prior": 4.5, "covariance_prior": covariance}
    rule = Variational(kind, 0.7, 2.5, **priors if given else {})
    for step in islice(mixtura.iterate(X, mixtura.start(X, K, family, random_state=0), rule), 1, 5):
        assert step.objective * len(X) == pytest.approx(brute_force(X, step.mixture, step.state), rel=1e-11)


def test_with_one_component_the_bound_is_the_evidence(X: np.ndarray) -> None:
    """A normal-Wishart prior is conjugate then, and p(X) is known: Murphy (2007), "Conjugate Bayesian analysis", equation 266."""
    n, D, beta0, nu0, m0, S0 = len(X), 3, 0.3, 5.0, np.array([0.5, 0.0, 1.0]), np.diag([1.0, 3.0, 2.0])
    model = BayesianGaussianMixture(mean_precision_prior=beta0, degrees_of_freedom_prior=nu0, mean_prior=m0, covariance_prior=S0).fit(X)
    apart = X.mean(axis=0) - m0
    S = S0 + n * np.cov(X.T, bias=True) + beta0 * n / (beta0 + n) * np.outer(apart, apart)
    gammas = multigammaln((nu0 + n) / 2, D) - multigammaln(nu0 / 2, D) + D / 2 * np.log(beta0 / (beta0 + n))
    evidence = gammas - n * D / 2 * np.log(np.pi) + nu0 / 2 * np.linalg.slogdet(S0)[1] - (nu0 + n) / 2 * np.linalg.slogdet(S)[1]
    # a stick alone has its own prior, whose posterior is the prior and n rows: what the rest of the process holds is not looked at
    for kind in KINDS:
        stick = np.log(n + 1) if kind == "dirichlet_process" else 0.0  # log of the evidence that all rows fell to it: B(1 + n, 1) / B(1, 1)
        elbo = clone(model).set_params(weight_concentration_prior_type=kind).fit(X).elbo_
        assert elbo == pytest.approx(evidence - stick, rel=1e-11)


def test_the_bound_never_falls(X: np.ndarray, family: Family, kind: str, dtype: type) -> None:
    start = mixtura.start(X.astype(dtype), K, family, random_state=0)
    trace = [step.objective for step in islice(mixtura.iterate(X.astype(dtype), start, Variational(kind)), 150)]
    assert np.diff(trace).min() > {8: -1e-13, 4: -3e-6}[np.dtype(dtype).itemsize]  # rounding
    assert trace[-1] - trace[0] > 1e-3


def test_a_ridge_lowers_the_bound_and_is_no_climb_downhill(X: np.ndarray, kind: str) -> None:
    start, plain, blurred = mixtura.start(X, K, random_state=0), Variational(kind), Variational(kind, ridge=1e-2)
    steps = list(islice(mixtura.iterate(X, start, blurred), 100))
    assert np.diff([step.objective for step in steps]).min() > -1e-6  # rows are weighed without it: second order in 1e-2
    last = steps[-1]
    assert last.objective < plain.objective(last.mixture, last.statistics, last.state)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])
def test_units_change_the_bound_by_their_logarithm_and_no_label(X: np.ndarray, covariance_type: str, kind: str) -> None:
    def fitted(rows: np.ndarray) -> BayesianGaussianMixture:
        common = {"n_components": K, "covariance_type": covariance_type, "weight_concentration_prior_type": kind, "random_state": 0}
        return BayesianGaussianMixture(**common, max_iter=2000).fit(rows)

    scale = np.array([1e3, 1.0, 1e-4])
    one, other = fitted(X), fitted(X * scale)
    assert other.elbo_ == pytest.approx(one.elbo_ - len(X) * np.log(scale).sum(), rel=1e-8)
    assert np.array_equal(one.predict(X), other.predict(X * scale))


# scikit-learn's contract


@pytest.mark.filterwarnings("ignore::mixtura.errors.MixturaWarning")  # the suite fits constant columns and fifteen rows in thirty columns
@parametrize_with_checks(
    [
        BayesianGaussianMixture(),
        BayesianGaussianMixture(n_components=3, weight_concentration_prior_type="dirichlet_distribution"),
        # the ridge: fifteen rows in thirty columns leave a posterior seven digits, and the suite compares seven
        BayesianGaussianMixture(n_components=2, covariance_type="tied", weight_concentration_prior=1e-2, reg_covar=1e-3),
        BayesianGaussianMixture(n_components=3, covariance_type="diag", reg_covar=1e-3, init_params="kmeans"),
        BayesianGaussianMixture(n_components=2, covariance_type="spherical", weight_concentration_prior_type="dirichlet_distribution"),
        BayesianGaussianMixture(n_components=2, covariance_type="EII", init_params="random_from_data"),
    ]
)
def test_conforms(estimator: BayesianGaussianMixture, check: Any) -> None:
    check(estimator)


def test_signature_is_that_of_sklearn() -> None:
    theirs = inspect.signature(sklearn.mixture.BayesianGaussianMixture).parameters
    ours = inspect.signature(BayesianGaussianMixture).parameters
    assert list(ours) == [*theirs, "n_jobs"]
    differ = {name for name in theirs if (theirs[name].default, theirs[name].kind) != (ours[name].default, ours[name].kind)}
    assert differ == {"reg_covar", "init_params"}


def test_clones_pickles_and_is_not_fitted_before_fit(X: np.ndarray) -> None:
    model = BayesianGaussianMixture(n_components=3, random_state=0)
    for ask in (model.predict, model.predict_proba, model.score, model.score_samples, model.bic, model.aic):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            ask(X)
    back = pickle.loads(pickle.dumps(model.fit(X)))
    assert np.array_equal(back.predict_proba(X), model.predict_proba(X))
    assert (back.elbo_, back.history_) == (model.elbo_, model.history_)
    assert clone(model).get_params() == model.get_params()


def same(mine: Any, other: Any, **tolerance: float) -> bool:
    """Whether both are alike: tuples of arrays, arrays, or a number and an array of it."""
    if isinstance(other, tuple):
        return len(mine) == len(other) and all(same(*pair, **tolerance) for pair in zip(mine, other, strict=True))
    return np.shape(mine) == np.shape(other) and np.allclose(mine, other, **tolerance)


@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 1e-2])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_makes_the_steps_of_sklearn(X: np.ndarray, same_start: None, covariance_type: str, kind: str, reg_covar: float) -> None:
    common = {"n_components": K, "covariance_type": covariance_type, "reg_covar": reg_covar, "weight_concentration_prior_type": kind, "tol": 0.0}
    common["init_params"] = "random"  # not "auto", which puts the heaviest component first
    for max_iter in (0, 1, 6):
        theirs, ours = Theirs(max_iter=max_iter, **common), BayesianGaussianMixture(max_iter=max_iter, **common)
        if max_iter == 0:
            theirs.fit(X)
            ours.fit(X)
        else:
            with pytest.warns(sklearn.exceptions.ConvergenceWarning):
                theirs.fit(X)
            with pytest.warns(ConvergenceWarning):
                ours.fit(X)
        for name in PARAMETERS:
            assert same(getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-9), name
        new = rows(100, seed=1)
        assert np.array_equal(ours.predict(new), theirs.predict(new))
        assert np.allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-9)
        assert np.allclose(ours.score_samples(new), theirs.score_samples(new), atol=1e-9)
        assert ours.score(new) == pytest.approx(theirs.score(new), rel=1e-9)


@pytest.mark.parametrize("reg_covar", [1e-6, 1e-2])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_converges_to_the_bound_of_sklearn(X: np.ndarray, same_start: None, covariance_type: str, kind: str, reg_covar: float) -> None:
    common = {
        "n_components": 3,
        "covariance_type": covariance_type,
        "reg_covar": reg_covar,
        "weight_concentration_prior_type": kind,
        "max_iter": 5000,
    }
    common["init_params"] = "random"
    theirs = Theirs(tol=1e-9, **common).fit(X)  # in all, theirs; ours per row
    ours = BayesianGaussianMixture(tol=1e-12, **common).fit(X)
    assert ours.lower_bounds_[-1] == pytest.approx(float(np.squeeze(theirs.lower_bound_)), rel=1e-9)
    assert ours.lower_bound_ >= ours.lower_bounds_[-1]  # greater where a ridge lets it fall by a trifle at the end
    assert ours.lower_bound_ == pytest.approx(ours.lower_bounds_[-1], rel=1e-9 if reg_covar < 1e-3 else 1e-6)
    for name in PARAMETERS:
        # the bound is flat there: its root
        tolerance = 1e-5 if reg_covar < 1e-3 else 2e-3
        assert same(getattr(ours, name), getattr(theirs, name), rtol=tolerance, atol=tolerance), name


@pytest.mark.parametrize("init_params", ["auto", "kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_and_seed(X: np.ndarray, init_params: str) -> None:
    def fitted(random_state: Any) -> BayesianGaussianMixture:
        return BayesianGaussianMixture(n_components=3, init_params=init_params, random_state=random_state, max_iter=2000, tol=1e-7).fit(X)

    assert np.array_equal(fitted(7).means_, fitted(7).means_)
    assert fitted(7).converged_


# what is its own


@pytest.mark.parametrize(("given", "weights"), [(None, [0.5, 0.5]), (1e-3, [0.5, 0.5])])
def test_components_that_are_not_needed_fade(kind: str, given: float | None, weights: list[float]) -> None:
    rng = np.random.default_rng(0)
    two = rng.normal(size=(600, 2)) + np.repeat([[0.0], [6.0]], 300, axis=0)
    model = BayesianGaussianMixture(
        n_components=8, weight_concentration_prior_type=kind, weight_concentration_prior=given, tol=1e-6, max_iter=2000, random_state=0
    ).fit(two)
    assert np.sort(model.weights_)[-2:] == pytest.approx(weights, abs=0.01)
    assert len(set(model.predict(two))) == 2
    fewer = clone(model).set_params(n_components=1).fit(two)
    assert model.elbo_ > fewer.elbo_


def test_the_bound_tells_how_many_components() -> None:
    rng = np.random.default_rng(1)
    three = rng.normal(size=(300, 2)) + np.repeat([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]], 100, axis=0)
    bounds = [
        BayesianGaussianMixture(
            n_components=k, weight_concentration_prior_type="dirichlet_distribution", weight_concentration_prior=1.0, random_state=0
        )
        .fit(three)
        .elbo_
        for k in (1, 2, 3, 4, 5)
    ]
    assert int(np.argmax(bounds)) == 2


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical"])
def test_a_weight_of_two_is_a_row_twice(X: np.ndarray, covariance_type: str, kind: str) -> None:
    weights = np.random.default_rng(0).integers(0, 4, size=len(X))
    repeated = np.repeat(X, weights, axis=0)
    common = {"n_components": 4, "covariance_type": covariance_type, "weight_concentration_prior_type": kind, "random_state": 0}
    model = BayesianGaussianMixture(**common, max_iter=2000)
    one, other = clone(model).fit(X, sample_weight=weights), clone(model).fit(repeated)
    assert one.elbo_ == pytest.approx(other.elbo_, rel=1e-8)
    for name in PARAMETERS:
        assert same(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-6), name
    assert one.score(X, sample_weight=weights) == pytest.approx(other.score(repeated), rel=1e-8)
    assert one.bic(X, weights) == pytest.approx(other.bic(repeated), rel=1e-8)


def test_bic_and_aic_are_those_of_the_point_mixture(X: np.ndarray) -> None:
    model = BayesianGaussianMixture(n_components=3, random_state=0).fit(X)
    loglik, p = float(model.mixture_.log_density(X).sum()), model.mixture_.n_parameters
    assert model.bic(X) == pytest.approx(-2 * loglik + p * np.log(len(X)))
    assert model.aic(X) == pytest.approx(-2 * loglik + 2 * p)
    assert model.score(X) * len(X) < loglik  # expected logarithms are less than logarithms of what is expected


def test_single_precision_rows(X: np.ndarray, kind: str) -> None:
    model = BayesianGaussianMixture(n_components=3, weight_concentration_prior_type=kind, random_state=0)
    single, double = clone(model).fit(X.astype(np.float32)), clone(model).fit(X.astype(np.float32).astype(float))
    assert single.means_.dtype == np.float64
    assert not np.array_equal(single.means_, double.means_)
    assert np.allclose(single.means_, double.means_, atol=1e-3)
    assert single.elbo_ == pytest.approx(double.elbo_, rel=1e-5)


def test_the_number_of_threads_changes_no_bit() -> None:
    many = rows(6000)  # six blocks
    fits = [BayesianGaussianMixture(n_components=4, random_state=0, n_jobs=n_jobs, tol=1.0, max_iter=1000).fit(many) for n_jobs in (1, 2, None)]
    assert all(np.array_equal(fits[0].covariances_, other.covariances_) and fits[0].elbo_ == other.elbo_ for other in fits[1:])


def test_warm_start_goes_on_where_it_stopped(X: np.ndarray, kind: str) -> None:
    common = {"n_components": 4, "weight_concentration_prior_type": kind, "tol": 0.0, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        whole = BayesianGaussianMixture(max_iter=6, **common).fit(X)
    model = BayesianGaussianMixture(max_iter=3, warm_start=True, **common)
    for way in ("auto", "previous"):
        with pytest.warns(ConvergenceWarning):
            model.fit(X)
        assert model.history_.start == way
    assert model.elbo_ == pytest.approx(whole.elbo_, rel=1e-13)
    assert np.allclose(model.means_, whole.means_, rtol=1e-12)
    other = next(name for name in KINDS if name != kind)
    with pytest.raises(ParameterError, match="warm_start cannot go on from the last fit: .*; try warm_start=False"):
        model.set_params(weight_concentration_prior_type=other).fit(X)
    with pytest.raises(ParameterError, match=r"got 2 components.*; try warm_start=False"):
        model.set_params(weight_concentration_prior_type=kind, n_components=2).fit(X)


def test_a_step_s_beliefs_begin_another_loop(X: np.ndarray, kind: str) -> None:
    start = mixtura.start(X, 4, random_state=0)
    steps = list(islice(mixtura.iterate(X, start, Variational(kind)), 6))
    again = next(islice(mixtura.iterate(X, steps[3].mixture, Variational(kind, begun=steps[3].state)), 2, None))
    assert again.objective == pytest.approx(steps[5].objective, rel=1e-14)
    other = next(name for name in KINDS if name != kind)
    with pytest.raises(ParameterError, match=r"what was begun with does not fit.*; try begun=None"):
        next(mixtura.iterate(X, steps[3].mixture, Variational(other, begun=steps[3].state)))


def test_the_best_of_several_runs_is_kept(X: np.ndarray) -> None:
    model = BayesianGaussianMixture(n_components=3, init_params="random_from_data", n_init=4, random_state=2, tol=1e-7, max_iter=2000).fit(X)
    assert len(set(model.history_.runs)) > 1
    assert model.elbo_ == max(model.history_.runs) * len(X)


def test_tables_keep_their_names(X: np.ndarray) -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    model = BayesianGaussianMixture(n_components=2, random_state=0).fit(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.sample(5)[0].shape == (5, 3)
    with pytest.raises(AttributeError):
        model.mean_prior_ = np.zeros(3)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "tied_diag", "tied_spherical"])
def test_constant_and_equal_columns_have_a_prior(X: np.ndarray, covariance_type: str) -> None:
    wide = np.column_stack([X, X[:, 0], np.full(len(X), 7.0)])
    with pytest.warns(ConstantColumnWarning):
        model = BayesianGaussianMixture(n_components=3, covariance_type=covariance_type, random_state=0, max_iter=1000).fit(wide)
    assert np.isfinite(model.covariances_).all()
    assert np.isfinite(model.elbo_)


@pytest.mark.parametrize("concentration", [1e-300, 1e-10, 1e10])
def test_extreme_concentrations(X: np.ndarray, kind: str, concentration: float) -> None:
    far = mixtura.Mixture(np.full(3, 1 / 3), [[0.0, 0.0, 0.0], [1e5, 0.0, 0.0], [0.0, 5.0, 2.0]], np.ones(3), "spherical")  # one without rows
    rule = Variational(kind, weight_concentration_prior=concentration)
    for step in islice(mixtura.iterate(X, far, rule), 20):
        assert np.isfinite(step.objective)
    for dtype in (np.float64, np.float32):  # the far one's expected log weight is -1e127
        posterior = step.mixture.answers(X.astype(dtype), posterior=True, gaussians=rule.gaussians(step.mixture, step.state)).posterior
        assert np.allclose(posterior.sum(axis=1), 1.0)


def test_a_prior_that_float64_cannot_hold_is_held_at_the_floor(X: np.ndarray) -> None:
    rule = Variational(mean_precision_prior=1e-100, covariance_prior=np.full(3, 1e-300))
    twins = np.repeat(X[:3], 10, axis=0)
    start = mixtura.Mixture(np.full(3, 1 / 3), X[:3], np.full((3, 3), 1e-3), "diag")
    for step in islice(mixtura.iterate(twins, start, rule), 5):
        assert np.isfinite(step.objective)
    assert step.events[0].kind == "repair"


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_components": 0}, "n_components is not usable: got 0"),
        ({"covariance_type": "round"}, "unknown covariance family: got 'round'"),
        ({"tol": -1.0}, "tol is not usable: got -1.0"),
        ({"reg_covar": -1e-6}, "reg_covar is not usable: got -1e-06"),
        ({"max_iter": -1}, "max_iter is not usable: got -1"),
        ({"init_params": "k_means"}, "unknown init_params: got 'k_means'"),
        ({"weight_concentration_prior_type": "flat"}, "unknown weight_concentration_prior_type: got 'flat'"),
        ({"weight_concentration_prior_type": None}, "unknown weight_concentration_prior_type: got None"),
        ({"weight_concentration_prior": 0.0}, "weight_concentration_prior is not usable: got 0.0"),
        ({"weight_concentration_prior": [1.0]}, "weight_concentration_prior is not usable: got"),
        ({"mean_precision_prior": -1.0}, "mean_precision_prior is not usable: got -1.0"),
        ({"degrees_of_freedom_prior": np.inf}, "degrees_of_freedom_prior is not usable: got inf"),
        ({"degrees_of_freedom_prior": 2.0}, "degrees_of_freedom_prior is not usable: got 2.0, expected more than 2"),
        ({"mean_prior": [0.0]}, r"mean_prior does not fit: got shape \(1,\), expected \(3,\)"),
        ({"mean_prior": "middle"}, "mean_prior is not numbers: got 'middle'"),
        ({"mean_prior": [0.0, np.nan, 0.0]}, "mean_prior is not finite: got NaN"),
        ({"covariance_prior": np.eye(2)}, r"covariance_prior does not fit: got shape \(2, 2\), expected \(3, 3\)"),
        ({"covariance_prior": -np.eye(3)}, "covariance_prior is not a covariance"),
        ({"covariance_prior": np.eye(3) + np.eye(3, k=1)}, "covariance_prior is not a covariance"),
        ({"covariance_prior": 1e-9 * (np.eye(3) + 0.5 * np.eye(3, k=1))}, "covariance_prior is not a covariance"),
        ({"covariance_prior": 0.0, "covariance_type": "spherical"}, "covariance_prior is not a covariance"),
        ({"covariance_prior": [1.0, 1.0], "covariance_type": "tied_diag"}, r"covariance_prior does not fit: got shape \(2,\), expected \(3,\)"),
    ],
)
def test_parameters_that_make_no_sense(X: np.ndarray, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(ParameterError, match=told + r".*; try ") as caught:
        BayesianGaussianMixture(**parameters).fit(X)
    assert "expected" in str(caught.value)


def test_priors_have_the_shapes_of_sklearn(X: np.ndarray, family: Family) -> None:
    model = BayesianGaussianMixture(n_components=2, covariance_type=family.name, random_state=0).fit(X)
    expected: Any = np.cov(X.T) if family.moment is MATRIX else X.var(axis=0, ddof=1)
    expected = expected if family.moment in (MATRIX, DIAGONAL) else expected.mean()
    assert same(model.covariance_prior_, expected, rtol=1e-12)
    assert np.shape(model.degrees_of_freedom_) == (() if family.pooled else (2,))


def test_rows_of_many_columns() -> None:
    wide = overlapping(400, 12, 3, seed=0)
    model = BayesianGaussianMixture(n_components=3, random_state=0).fit(wide)
    assert model.elbo_ == pytest.approx(brute_force(wide, model.mixture_, model.beliefs_), rel=1e-6)
