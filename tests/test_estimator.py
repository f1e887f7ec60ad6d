"""GaussianMixture against scikit-learn: its conformance suite, its figures, and the promises that are Mixtura's own."""

import inspect
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn.exceptions
import sklearn.mixture
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import mixtura
import mixtura.estimators
from mixtura import GaussianMixture
from mixtura.errors import ConstantColumnWarning, ConvergenceWarning, DataError, MixturaError, ParameterError, RepairWarning

TYPES = ("full", "tied", "diag", "spherical")  # scikit-learn's
FAMILIES = (*TYPES, "tied_diag", "tied_spherical")
CODES = {"full": "VVV", "tied": "EEE", "diag": "VVI", "spherical": "VII", "tied_diag": "EEI", "tied_spherical": "EII"}


def rows(n=300, seed=0):
    """Three components that touch, in three columns: `n` rows."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0, 0.0], [3.5, 0.0, 1.0], [0.0, 5.0, 2.0]])
    spreads = np.array([[1.0, 2.0, 0.5], [1.0, 1.0, 1.0], [0.5, 0.5, 0.7]])
    component = rng.integers(3, size=n)
    return centres[component] + spreads[component] * rng.standard_normal((n, 3))


@pytest.fixture(scope="module")
def X():
    return rows()


def one_step_of_sklearn(X, covariance_type, reg_covar=1e-6):
    """scikit-learn after one step: a mixture that is nobody's optimum."""
    model = sklearn.mixture.GaussianMixture(3, covariance_type=covariance_type, reg_covar=reg_covar, max_iter=1, random_state=0)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        return model.fit(X)


def parameters_of(model):
    return {"weights_init": model.weights_, "means_init": model.means_, "precisions_init": model.precisions_}


def settled(**parameters):
    """An estimator that runs to the last digit."""
    return GaussianMixture(3, tol=0.0, max_iter=10_000, **parameters)


# scikit-learn's contract


@pytest.mark.filterwarnings("ignore::mixtura.errors.MixturaWarning")  # the suite fits constant columns and fifteen rows in thirty columns
@parametrize_with_checks(
    [
        GaussianMixture(),
        GaussianMixture(2, covariance_type="tied"),
        GaussianMixture(3, covariance_type="diag", reg_covar=1e-3),
        GaussianMixture(2, covariance_type="factor", n_factors=1),
        GaussianMixture(2, covariance_type="EII", rule="gradient", learning_rate=0.5, init_params="k-means++"),
    ]
)
def test_conforms(estimator, check):
    check(estimator)


def test_signature_is_that_of_sklearn():
    theirs = inspect.signature(sklearn.mixture.GaussianMixture).parameters
    ours = inspect.signature(GaussianMixture).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    differ = {name for name in theirs if (theirs[name].default, theirs[name].kind) != (ours[name].default, ours[name].kind)}
    assert differ == {"reg_covar", "init_params"}
    assert list(ours)[len(theirs) :] == ["rule", "learning_rate", "fixed", "n_factors", "n_jobs"]


def test_clones_and_pickles(X):
    model = GaussianMixture(3, covariance_type="diag", random_state=0).fit(X)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "mixture_")
    back = pickle.loads(pickle.dumps(model))
    assert np.array_equal(back.predict_proba(X), model.predict_proba(X))
    assert back.history_ == model.history_
    assert back.set_params(warm_start=True).fit(X).lower_bound_ >= model.lower_bound_


def test_before_fit_nothing_is_known(X):
    model = GaussianMixture()
    for ask in (model.predict, model.predict_proba, model.score, model.score_samples, model.bic, model.aic):
        with pytest.raises(sklearn.exceptions.NotFittedError):
            ask(X)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        model.sample()


def test_serves_in_a_pipeline_and_a_search(X):
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 2, 3]}, cv=3).fit(X)
    assert search.best_params_ == {"gaussianmixture__n_components": 3}
    assert search.predict(X).shape == (len(X),)


# agreement with scikit-learn


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("reg_covar", [1e-6, 1e-3])
def test_converges_to_the_optimum_of_sklearn(X, covariance_type, reg_covar):
    start = parameters_of(one_step_of_sklearn(X, covariance_type, reg_covar))
    common = {"covariance_type": covariance_type, "reg_covar": reg_covar, **start}
    theirs = sklearn.mixture.GaussianMixture(3, tol=1e-12, max_iter=10_000, **common).fit(X)
    ours = GaussianMixture(3, tol=1e-12, max_iter=10_000, **common).fit(X)
    assert ours.converged_
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-6)
    assert np.allclose(ours.means_, theirs.means_, atol=1e-3)  # the likelihood is flat there: its root
    assert ours.lower_bound_ == pytest.approx(ours.score(X), abs=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_answers_as_sklearn_does_at_the_same_parameters(X, covariance_type):
    theirs = one_step_of_sklearn(X, covariance_type)
    ours = GaussianMixture(3, covariance_type=covariance_type, max_iter=0, **parameters_of(theirs)).fit(X)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.shape == other.shape
        assert mine.dtype == other.dtype
        assert np.allclose(mine, other, rtol=1e-9, atol=1e-9)
    new = rows(100, seed=1)
    assert np.array_equal(ours.predict(new), theirs.predict(new))
    assert np.allclose(ours.predict_proba(new), theirs.predict_proba(new), atol=1e-9)
    assert np.allclose(ours.score_samples(new), theirs.score_samples(new), atol=1e-8)
    for criterion in ("score", "bic", "aic"):
        assert getattr(ours, criterion)(new) == pytest.approx(getattr(theirs, criterion)(new), rel=1e-9)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_every_family_by_name_and_code(X, covariance_type):
    model = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X)
    coded = GaussianMixture(3, covariance_type=CODES[covariance_type], random_state=0).fit(X)
    assert np.array_equal(model.covariances_, coded.covariances_)
    assert model.precisions_.shape == model.precisions_cholesky_.shape == model.covariances_.shape
    covariances, precisions, P = model.covariances_, model.precisions_, model.precisions_cholesky_
    if covariances.shape[-2:] == (3, 3) and covariance_type in ("full", "tied"):
        assert np.allclose(covariances @ precisions, np.eye(3))
        assert np.allclose(P, np.triu(P))
    else:
        assert np.allclose(covariances * precisions, 1.0)
        assert np.allclose(P**2, precisions)


def test_bic_and_aic_count_parameters_and_weights(X):
    model = GaussianMixture(3, covariance_type="tied", random_state=0).fit(X)
    weights = np.full(len(X), 0.5)
    loglik, p = model.score(X) * len(X), model.mixture_.n_parameters
    assert p == 6 + 9 + 2
    assert model.bic(X) == pytest.approx(-2 * loglik + p * np.log(len(X)))
    assert model.aic(X) == pytest.approx(-2 * loglik + 2 * p)
    assert model.bic(X, weights) == pytest.approx(-loglik + p * np.log(len(X) / 2))
    assert model.aic(X, sample_weight=weights) == pytest.approx(-loglik + 2 * p)


def test_samples(X):
    model = GaussianMixture(3, random_state=0).fit(X)
    drawn, component = model.sample(5000)
    assert drawn.shape == (5000, 3)
    assert np.array_equal(component, np.sort(component))
    assert np.array_equal(drawn, model.sample(5000)[0])
    assert np.allclose(np.bincount(component) / 5000, model.weights_, atol=0.03)  # four deviations
    assert np.allclose(drawn[component == 0].mean(axis=0), model.means_[0], atol=0.3)
    assert [array.shape for array in model.sample()] == [(1, 3), (1,)]
    with pytest.raises(ParameterError, match="try n=1"):
        model.sample(0)


def test_verbose_speaks_as_sklearn_does(X, capsys):
    for verbose, expected in ((0, []), (1, ["Initialization 0", "  Iteration 2", "  Iteration 4", "Initialization did not converge."])):
        with pytest.warns(ConvergenceWarning):
            GaussianMixture(3, verbose=verbose, verbose_interval=2, max_iter=4, tol=0.0, random_state=0).fit(X)
        assert capsys.readouterr().out.splitlines() == expected
    with pytest.warns(ConvergenceWarning):
        GaussianMixture(3, verbose=2, verbose_interval=3, max_iter=4, tol=0.0, n_init=2, random_state=0).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0].split(".")[0] for line in lines] == [
        *("Initialization 0", "  Iteration 3", "Initialization did not converge"),
        *("Initialization 1", "  Iteration 3", "Initialization did not converge"),
    ]
    assert "ll change" in lines[1]
    assert "time lapse" in lines[1]
    assert "lower bound" in lines[2]


# weights, seeds, threads, units


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_a_weight_of_two_is_a_row_twice(X, covariance_type):
    weights = np.random.default_rng(0).integers(0, 4, size=len(X))
    weighted = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(X, sample_weight=weights)
    repeated = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit(np.repeat(X, weights, axis=0))
    # at a maximum the likelihood tells parameters apart to the root of its rounding only, 1e-8 deviations: one step more or less is chance
    # (test_laws compares after equal numbers of steps)
    assert np.allclose(weighted.means_, repeated.means_, rtol=0, atol=1e-6)
    assert np.allclose(weighted.covariances_, repeated.covariances_, rtol=0, atol=1e-6)
    assert weighted.score(X, sample_weight=weights) == pytest.approx(repeated.score(np.repeat(X, weights, axis=0)), rel=1e-12)
    assert weighted.bic(X, weights) == pytest.approx(repeated.bic(np.repeat(X, weights, axis=0)), rel=1e-12)
    assert np.array_equal(
        GaussianMixture(3, random_state=0).fit_predict(X, sample_weight=np.ones(len(X))), GaussianMixture(3, random_state=0).fit_predict(X)
    )


@pytest.mark.parametrize("init_params", ["auto", "kmeans", "k-means++", "random", "random_from_data"])
def test_one_seed_gives_one_answer(X, init_params):
    def means(random_state):
        return GaussianMixture(3, init_params=init_params, random_state=random_state, max_iter=0).fit(X).means_

    assert np.array_equal(means(7), means(7))
    assert np.array_equal(means(7), means(np.random.RandomState(7)))
    assert np.array_equal(means(np.random.default_rng(7)), means(np.random.default_rng(7)))
    if init_params in ("random", "random_from_data"):
        assert not np.array_equal(means(7), means(8))


def test_a_state_moves_on_and_a_seed_does_not(X):
    model = GaussianMixture(3, init_params="random", max_iter=0, random_state=np.random.RandomState(0))
    assert not np.array_equal(model.fit(X).means_, model.fit(X).means_)


def test_the_number_of_threads_changes_no_bit():
    many = rows(6000)  # six blocks
    fits = [GaussianMixture(3, random_state=0, n_jobs=n_jobs).fit(many) for n_jobs in (1, 2, 3, None)]
    for other in fits[1:]:
        assert np.array_equal(other.covariances_, fits[0].covariances_)
        assert np.array_equal(other.predict_proba(many), fits[0].predict_proba(many))
        assert other.history_ == fits[0].history_


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "tied_diag"])  # a sphere knows no units but common ones
def test_units_change_no_label(X, covariance_type):
    scale = np.array([1e3, 1.0, 1e-5])
    labels = GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit_predict(X)
    assert np.array_equal(GaussianMixture(3, covariance_type=covariance_type, random_state=0).fit_predict(X * scale), labels)
    assert np.array_equal(GaussianMixture(3, covariance_type="spherical", random_state=0).fit_predict(X * 1e3).shape, labels.shape)


def test_common_units_change_no_label_of_spheres(X):
    labels = GaussianMixture(3, covariance_type="spherical", random_state=0).fit_predict(X)
    assert np.array_equal(GaussianMixture(3, covariance_type="spherical", random_state=0).fit_predict(X * 1e3), labels)


def test_single_precision_rows_are_computed_in_single_precision(X):
    short = X.astype(np.float32)
    single = GaussianMixture(3, random_state=0).fit(short)
    double = GaussianMixture(3, random_state=0).fit(short.astype(float))
    assert single.means_.dtype == np.float64
    assert not np.array_equal(single.means_, double.means_)
    assert np.allclose(single.means_, double.means_, atol=1e-3)
    assert single.score(short) == pytest.approx(double.score(short), abs=1e-5)


# starting and going on


def test_what_is_given_replaces_what_the_start_says(X):
    free = GaussianMixture(3, max_iter=0, random_state=0).fit(X)
    weights, means, precisions = np.array([0.2, 0.3, 0.5]), X[:3], np.broadcast_to(np.eye(3), (3, 3, 3))
    by_means = GaussianMixture(3, max_iter=0, random_state=0, means_init=means).fit(X)
    assert np.array_equal(by_means.means_, means)
    assert np.array_equal(by_means.weights_, free.weights_)
    assert np.array_equal(by_means.covariances_, free.covariances_)
    by_rest = GaussianMixture(3, max_iter=0, random_state=0, weights_init=weights, precisions_init=precisions).fit(X)
    assert np.array_equal(by_rest.weights_, weights)
    assert np.array_equal(by_rest.precisions_, precisions)
    assert np.array_equal(by_rest.means_, free.means_)
    whole = GaussianMixture(3, max_iter=0, weights_init=weights, means_init=means, precisions_init=precisions, n_init=5).fit(X)
    assert (free.history_.start, whole.history_.start) == ("auto", "given")
    assert len(whole.history_.runs) == 1


def test_the_best_of_several_runs_is_kept(X):
    model = GaussianMixture(3, init_params="random_from_data", n_init=6, random_state=2, tol=1e-8, max_iter=2000).fit(X)
    history = model.history_
    assert len(history.runs) == 6
    assert len(set(history.runs)) > 1
    assert model.lower_bound_ == max(history.runs) == history.runs[history.run]
    assert model.score(X) == pytest.approx(max(history.runs), rel=1e-12)


def test_a_run_that_collapsed_comes_last(monkeypatch):
    spiked = np.concatenate([np.random.default_rng(0).normal(size=(60, 1)), np.full((4, 1), 4.0)])  # four equal rows: the likelihood has no bound
    spike = mixtura.Mixture([0.9, 0.1], [[0.0], [4.0]], [[[1.0]], [[1e-4]]])
    regular = mixtura.Mixture([0.5, 0.5], [[0.0], [0.0]], [[[1.0]], [[1.0]]])  # both alike, and so they stay
    starts = iter([regular, spike])
    monkeypatch.setattr(mixtura.estimators.base, "start_of", lambda name: lambda *_: next(starts))
    model = GaussianMixture(2, n_init=2).fit(spiked)
    assert model.history_.runs[0] < model.history_.runs[1]
    assert model.history_.run == 0
    assert model.history_.events == ()


@pytest.mark.parametrize("name", list(mixtura.rules.RULES))
def test_every_rule_by_its_name(X, name):
    """From one start all end on one top; a prior pulls a little, and mini-batches leave a little."""
    start = parameters_of(one_step_of_sklearn(X, "full"))
    model = GaussianMixture(3, rule=name, tol=1e-7, max_iter=20_000, learning_rate=0.5 if name in ("gradient", "natural") else None, **start).fit(X)
    best = GaussianMixture(3, tol=1e-9, max_iter=5000, **start).fit(X)
    assert model.converged_ and abs(model.score(X) - best.score(X)) < {"map": 0.02, "online": 0.01}.get(name, 1e-5)


def test_fixed_parameters_stay_at_their_init(X):
    means = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, 5.0, 2.0]])
    fixed = {"means": [True, False, True], "weights": [False, False, True]}
    with pytest.raises(ParameterError, match="fixed weights have no values: got weights_init=None"):
        GaussianMixture(3, fixed=fixed, means_init=means).fit(X)
    model = GaussianMixture(3, fixed=fixed, means_init=means, weights_init=[0.25, 0.25, 0.5], random_state=0, max_iter=1000).fit(X)
    assert np.array_equal(model.means_[[0, 2]], means[[0, 2]]) and model.weights_[2] == 0.5
    assert not np.allclose(model.means_[1], means[1], atol=1e-3)
    for batch in np.split(X, 3):
        model.partial_fit(batch)
    assert np.array_equal(model.means_[[0, 2]], means[[0, 2]]) and model.weights_[2] == 0.5


def test_history_tells_how_it_went(X):
    model = GaussianMixture(3, init_params="random", random_state=0, tol=1e-9, max_iter=5000, rule=mixtura.rules.EM()).fit(X)
    history = model.history_
    assert model.n_iter_ == len(model.lower_bounds_) == len(history.log_likelihoods) - 1
    assert list(history.log_likelihoods[1:]) == model.lower_bounds_
    assert history.objectives == history.log_likelihoods and history.remaining <= 1e-9
    assert np.all(np.diff(history.log_likelihoods) > -1e-12)
    assert model.lower_bound_ == model.lower_bounds_[-1]
    assert (history.start, history.run, history.events, history.source) == ("random", 0, (), "array")
    with pytest.raises(AttributeError):
        history.run = 1


def test_warm_start_goes_on_where_it_stopped(X):
    start = parameters_of(one_step_of_sklearn(X, "full"))
    common = {"tol": 0.0, "reg_covar": 1e-6, **start}
    with pytest.warns(ConvergenceWarning):
        whole = GaussianMixture(3, max_iter=6, **common).fit(X)
    model = GaussianMixture(3, max_iter=3, warm_start=True, **common)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    assert not np.allclose(model.means_, whole.means_, rtol=1e-6)
    with pytest.warns(ConvergenceWarning):
        model.fit(X)
    assert model.history_.start == "previous"
    assert np.allclose(model.means_, whole.means_, rtol=1e-12)


def test_warm_start_into_a_more_general_family(X):
    model = GaussianMixture(3, covariance_type="diag", warm_start=True, random_state=0).fit(X)
    special = model.lower_bound_
    assert model.set_params(covariance_type="full").fit(X).lower_bound_ > special
    assert model.covariances_.shape == (3, 3, 3)
    with pytest.raises(ParameterError, match="more general family"):
        model.set_params(covariance_type="spherical").fit(X)
    with pytest.raises(ParameterError, match=r"got 2 components and 3 columns, expected 3 and 3.*try warm_start=False"):
        model.set_params(n_components=2).fit(X)


def test_the_gradient_rule_reaches_the_same_optimum(X):
    start = parameters_of(one_step_of_sklearn(X, "full"))
    exact = settled(**start).fit(X)
    named = GaussianMixture(3, rule="gradient", learning_rate=0.5, tol=1e-9, max_iter=5000, **start).fit(X)
    given = GaussianMixture(3, rule=mixtura.rules.GradientAscent(0.5), tol=1e-9, max_iter=5000, **start).fit(X)
    assert named.lower_bound_ == pytest.approx(exact.lower_bound_, abs=1e-6)
    assert np.array_equal(named.means_, given.means_)
    assert np.array_equal(clone(given).fit(X).means_, given.means_)


# tables


NO_NUMBERS = {
    "a word in a data frame": (lambda: pd.DataFrame({"a": [1.0, 2.0], "b": ["3", "x"]}), "column 'b' is not numeric: got 'x' in row 1"),
    "a word in polars": (lambda: pl.DataFrame({"a": [1.0, 2.0], "b": ["3", "x"]}), "column 'b' is not numeric: got 'x' in row 1"),
    "dates beside numbers": (
        lambda: pd.DataFrame({"a": [1.0, 2.0], "t": pd.date_range("2020", periods=2)}),
        "column 't' is not numeric: got Datetime",
    ),
    "dates alone": (lambda: pd.DataFrame({"t": pd.date_range("2020", periods=2)}), "column 't' is not numeric: got Datetime"),
    "an array of dates": (lambda: np.array([["2020"], ["2021"]], "M8[D]"), "the data are not numbers: got dtype datetime64"),
    "an array of words": (lambda: np.array([["a"], ["b"]]), "the data are not numbers: got dtype <U1"),
    "a word in a list": (lambda: [[1.0, "x"], [2.0, 3.0]], "the data are not numbers: got dtype <U32"),
    "objects": (
        lambda: np.array([[1.0, "x"], [2.0, 3.0]], object),
        "the data are not numbers: got dtype object (could not convert string to float: 'x')",
    ),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_what_is_no_number_is_refused_by_its_column(case):
    make, message = NO_NUMBERS[case]
    with pytest.raises(DataError, match=re.escape(message)):
        GaussianMixture(1).fit(make())


def test_numbers_that_are_kept_as_objects_are_numbers(X):
    expected = GaussianMixture(2, random_state=0).fit(X).means_
    np.testing.assert_array_equal(GaussianMixture(2, random_state=0).fit(X.astype(object)).means_, expected)
    np.testing.assert_array_equal(GaussianMixture(2, random_state=0).fit(pd.DataFrame(X).astype(object)).means_, expected)


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame])
def test_tables_keep_their_names(X, table):
    frame = table({"a": X[:, 0], "b": X[:, 1], "c": X[:, 2]})
    model = GaussianMixture(3, random_state=0).fit(frame)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert model.n_features_in_ == 3
    assert np.allclose(model.means_, GaussianMixture(3, random_state=0).fit(X).means_, rtol=1e-9)
    assert model.predict(frame).shape == (len(X),)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["b", "a", "c"]])
    with pytest.raises(DataError, match="column 'b', row 1"):
        GaussianMixture().fit(table({"a": [1.0, 2.0, 3.0], "b": [1.0, float("inf"), 2.0]}))


def test_tables_of_single_precision_and_integers(X):
    single = GaussianMixture(3, random_state=0).fit(pd.DataFrame(X.astype(np.float32)))
    assert np.array_equal(single.means_, GaussianMixture(3, random_state=0).fit(X.astype(np.float32)).means_)
    whole = np.round(10 * X).astype(int)
    assert np.array_equal(
        GaussianMixture(3, random_state=0).fit(pd.DataFrame(whole)).means_, GaussianMixture(3, random_state=0).fit(whole.astype(float)).means_
    )


def test_learnt_attributes_are_views(X):
    model = GaussianMixture(2, random_state=0).fit(X)
    with pytest.raises(AttributeError):
        model.means_ = np.zeros((2, 3))
    with pytest.raises(ValueError, match="read-only"):
        model.means_[0] = 0.0


# what cannot be fitted


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"n_components": 0}, "n_components is not usable: got 0"),
        ({"n_components": 2.0}, "n_components is not usable: got 2.0"),
        ({"covariance_type": "round"}, "unknown covariance family: got 'round'"),
        ({"tol": -1.0}, "tol is not usable: got -1.0"),
        ({"tol": "small"}, "tol is not usable: got 'small'"),
        ({"reg_covar": -1e-6}, "reg_covar is not usable: got -1e-06"),
        ({"max_iter": -1}, "max_iter is not usable: got -1"),
        ({"max_iter": 1.5}, "max_iter is not usable: got 1.5"),
        ({"n_init": 0}, "n_init is not usable: got 0"),
        ({"init_params": "k_means"}, "unknown init_params: got 'k_means'"),
        ({"random_state": "chance"}, "random_state is not usable: got 'chance'"),
        ({"verbose": -1}, "verbose is not usable: got -1"),
        ({"verbose_interval": 0}, "verbose_interval is not usable: got 0"),
        ({"rule": "guess"}, "unknown rule: got 'guess'"),
        ({"learning_rate": 0.1}, "rule 'em' has no learning rate: got 0.1"),
        ({"rule": "gradient", "learning_rate": -0.1}, "learning_rate is not usable: got -0.1"),
        ({"n_jobs": 0}, "n_jobs is not a number of threads: got 0"),
        ({"weights_init": [0.5, 0.5]}, r"weights_init does not fit: got shape \(2,\), expected \(1,\)"),
        ({"weights_init": [0.5]}, "weights are not a distribution"),
        ({"means_init": [[0.0, 0.0]]}, r"means_init does not fit: got shape \(1, 2\), expected \(1, 3\)"),
        ({"means_init": "middle"}, "means_init is not numbers: got 'middle'"),
        ({"precisions_init": [np.diag([1.0, 1.0, -1.0])]}, "precisions_init is not a precision"),
        ({"precisions_init": [np.ones((3, 3))]}, "precisions_init is not a precision"),
        ({"precisions_init": [np.eye(3) + np.eye(3, k=1)]}, "precisions_init is not a precision"),
        ({"precisions_init": [1e-9 * (np.eye(3) + 0.5 * np.eye(3, k=1))]}, "precisions_init is not a precision"),
        ({"precisions_init": [0.0], "covariance_type": "spherical"}, "precisions_init is not a precision"),
        ({"precisions_init": [1.0]}, r"precisions_init does not fit: got shape \(1,\), expected \(1, 3, 3\)"),
    ],
)
def test_parameters_that_make_no_sense(X, parameters, told):
    with pytest.raises(ParameterError, match=told + r".*; try ") as caught:
        GaussianMixture(**parameters).fit(X)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (np.array([[1.0, 2.0], [np.nan, 3.0], [2.0, 1.0]]), "not finite: got NaN in column 'x0', row 1"),
        (np.array([[1.0, 2.0], [1.0, -np.inf], [2.0, 1.0]]), "not finite: got -inf in column 'x1', row 1"),
        (np.array([[1e300], [-1e300], [0.0]]), "column 'x0' cannot be squared"),
        (np.array([[1.0], [2.0]]), "too few rows: got 2 rows for 3 components"),
    ],
)
@pytest.mark.filterwarnings("ignore::mixtura.errors.ConstantColumnWarning")
def test_rows_that_cannot_be_fitted(data, told):
    with pytest.raises(DataError, match=told + ".*expected.*; try "):
        GaussianMixture(3).fit(data)


@pytest.mark.parametrize("init_params", ["auto", "kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.filterwarnings("ignore::mixtura.errors.ConstantColumnWarning")
def test_fewer_distinct_rows_than_components(init_params):
    with pytest.raises(DataError, match="too few distinct rows: got 1 for 3 components, expected at least 3; try fewer components"):
        GaussianMixture(3, init_params=init_params).fit(np.ones((10, 2)))


@pytest.mark.parametrize("data", [[[1.0, 2.0]], [1.0, 2.0], [["a"], ["b"]], [], np.ones((3, 2)) * 1j])
def test_rows_that_sklearn_refuses(data):
    with pytest.raises(ValueError, match=r".+"):
        GaussianMixture().fit(data)


@pytest.mark.parametrize("weights", [np.ones(3), -np.ones(300), np.zeros(300), np.full(300, np.nan)])
def test_weights_that_make_no_sense(X, weights):
    with pytest.raises(DataError, match=r"expected.*; try "):
        GaussianMixture().fit(X, sample_weight=weights)


def test_rows_to_answer_must_be_finite_and_as_wide(X):
    model = GaussianMixture(3, random_state=0).fit(X)
    with pytest.raises(DataError, match="column 'x2', row 4"):
        model.predict(np.where(np.arange(30).reshape(10, 3) == 14, np.nan, X[:10]))
    with pytest.raises(ValueError, match="expecting 3 features"):
        model.predict(X[:, :2])


# what is warned of


def test_a_fit_that_does_not_converge_is_told(X):
    told = r"did not converge: got .* after max_iter=5 steps, expected at most tol=1e-10; try max_iter=50"
    for category in (mixtura.errors.ConvergenceWarning, sklearn.exceptions.ConvergenceWarning):
        with pytest.warns(category, match=told):
            model = GaussianMixture(3, init_params="random", max_iter=5, tol=1e-10, random_state=0).fit(X)
    assert not model.converged_
    assert model.n_iter_ == 5


def test_no_steps_are_the_start_alone(X):
    model = GaussianMixture(3, max_iter=0, random_state=0).fit(X)
    assert (model.n_iter_, model.converged_, model.lower_bounds_) == (0, False, [])
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-12)


@pytest.mark.filterwarnings("ignore::mixtura.errors.RepairWarning")  # a constant column has no variance to keep
def test_a_constant_column_is_told_and_fitted(X):
    with pytest.warns(ConstantColumnWarning, match="got 'x3' constant.*; try leaving it out"):
        model = GaussianMixture(3, covariance_type="diag", random_state=0).fit(np.column_stack([X, np.full(len(X), 7.0)]))
    assert np.isfinite(model.means_).all()
    assert np.allclose(model.means_[:, 3], 7.0)


@pytest.mark.parametrize("covariance_type", FAMILIES)
def test_a_collapse_is_repaired_and_told_once(covariance_type):
    twins = np.repeat([[0.0, 0.0], [1.0, 5.0]], 20, axis=0)  # two points: no component has a variance
    with pytest.warns(RepairWarning, match=r"repaired: step 1.*; try fewer components") as told:
        model = GaussianMixture(2, covariance_type=covariance_type, n_init=3, random_state=0).fit(twins)
    assert len(told) == 1
    assert np.isfinite(model.covariances_).all()
    assert len(set(model.predict(twins))) == 2
    assert model.history_.events[0][1].kind == "repair"


def test_every_error_is_mixturas_and_a_builtin(X):
    with pytest.raises(MixturaError) as caught:
        GaussianMixture(0).fit(X)
    assert isinstance(caught.value, ValueError)


# what is fixed, and what was there before


FIXED = {  # of two components in two columns: full has 11 parameters, tied 8, diag 9
    "nothing": ({}, {"full": 11, "tied": 8, "diag": 9}),
    "everything": ({"weights": [True, True], "means": [True, True], "covariances": [True, True]}, {"full": 0, "tied": 0, "diag": 0}),
    "weights": ({"weights": [True, True]}, {"full": 10, "tied": 7, "diag": 8}),
    "one weight, and so the other": ({"weights": [True, False]}, {"full": 10, "tied": 7, "diag": 8}),
    "a mean": ({"means": [False, True]}, {"full": 9, "tied": 6, "diag": 7}),
    "a covariance": ({"covariances": [True, False]}, {"full": 8, "diag": 7}),
    "all covariances": ({"covariances": [True, True]}, {"full": 5, "tied": 5, "diag": 5}),
}


@pytest.mark.parametrize("rule", ["em", "gradient", "natural", "lbfgs", "of its own"])
@pytest.mark.parametrize(("masks", "free"), FIXED.values(), ids=FIXED)
def test_what_is_fixed_is_not_counted_as_free(X, masks, free, rule):
    for family, expected in free.items():
        D = 2
        start = mixtura.start(X[:, :D], 2, family, random_state=0)
        given = GaussianMixture.from_fit(mixtura.fit(X[:, :D], start, max_steps=0))
        options = {"rule": mixtura.rules.EM(fixed=masks)} if rule == "of its own" else {"rule": rule, "fixed": masks}
        with pytest.warns(ConvergenceWarning):
            model = GaussianMixture(2, covariance_type=family, max_iter=1, tol=0.0, **parameters_of(given), **options).fit(X[:, :D])
        n = len(X)
        assert model.bic(X[:, :D]) == pytest.approx(-2 * n * model.score(X[:, :D]) + expected * np.log(n), abs=1e-9)
        assert model.aic(X[:, :D]) == pytest.approx(-2 * n * model.score(X[:, :D]) + expected * 2, abs=1e-9)


def test_of_three_weights_one_is_free_where_one_is_fixed():
    fixed = mixtura.rules.Fixed(weights=(True, False, False))
    assert fixed.n_free(mixtura.families.FAMILIES["full"], 3, 1) == 3 + 3 + 1


def _interrupted():
    raise KeyboardInterrupt


REFUSED = {  # each after a fit to a table of two columns with names
    "NaN in other columns": lambda model: model.fit(np.full((5, 3), np.nan)),
    "words": lambda model: model.fit(pd.DataFrame({"c": ["x", "y"], "d": ["z", "z"]})),
    "fewer rows than components": lambda model: model.set_params(n_components=7).fit(np.ones((3, 1))),
    "no such file": lambda model: model.fit("nowhere.csv"),
    "a file without a column": lambda model: model.fit("examples/old_faithful.csv", columns=["height"]),
    "weights of another length": lambda model: model.fit(np.ones((9, 3)), sample_weight=np.ones(4)),
    "labels of other rows": lambda model: model.set_params(init_params=[0, 1]).fit(np.random.default_rng(0).normal(size=(9, 3))),
    "means of another width": lambda model: model.set_params(means_init=np.zeros((2, 5))).fit(np.random.default_rng(0).normal(size=(9, 3))),
    "a parameter": lambda model: model.set_params(tol=-1).fit(np.ones((9, 3))),
    "warm start in other columns": lambda model: model.set_params(warm_start=True).fit(np.random.default_rng(0).normal(size=(9, 3))),
    "a batch of other columns": lambda model: model.partial_fit(pd.DataFrame(np.ones((9, 3)), columns=list("abc"))),
    "a batch with NaN": lambda model: model.partial_fit(pd.DataFrame({"a": [np.nan, 1.0], "b": [0.0, 1.0]})),
    "an interrupt before the first step": lambda model: model.fit(_interrupted),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("estimator", [GaussianMixture, mixtura.BayesianGaussianMixture])
def test_a_fit_that_is_refused_leaves_the_model_that_was_there(estimator, case, X):
    if estimator is not GaussianMixture and ("batch" in case or "means" in case):
        pytest.skip("it has no such way to be asked")
    table = pd.DataFrame(X[:, :2], columns=["a", "b"])
    model = estimator(n_components=2, random_state=0, max_iter=1000).fit(table)
    before, labels = {name: value for name, value in vars(model).items() if name.endswith("_")}, model.predict(table)
    with pytest.raises((ValueError, OSError, KeyboardInterrupt)):
        REFUSED[case](model)
    after = {name: value for name, value in vars(model).items() if name.endswith("_")}
    assert after.keys() == before.keys() and all(after[name] is before[name] for name in before)
    assert np.array_equal(model.predict(table), labels)


def test_a_first_fit_that_is_refused_leaves_nothing():
    model = GaussianMixture(2)
    with pytest.raises(DataError):
        model.fit(pd.DataFrame({"a": [0.0, np.nan, 1.0]}))
    assert not [name for name in vars(model) if name.endswith("_")]
