"""Numbers at the ends of what float64 and float32 hold: answered as ordinary ones are, or refused with the reason.

The oracle of float32 is float64, that of other units the same rows in ordinary ones.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from cases import some_mixture

import mixtura
from mixtura.errors import DataError, ParameterError
from mixtura.families import ALL, family_of

EACH = [family.name for family in ALL] + ["factor:1", "ppca:1"]
HUGE = 10**400
LONG = 10**5000  # more digits than Python writes
PAIR = mixtura.Mixture([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])


def heaps(D: int = 2, n: int = 60) -> np.ndarray:
    """Two heaps well apart."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, D)) + np.repeat([[0.0], [9.0]], n // 2, axis=0)


def quietly(model, X, weights=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mixtura.errors.MixturaWarning)
        return model.fit(X, sample_weight=weights)


@pytest.mark.parametrize(
    ("means", "variances", "got"),
    [
        ([0.0, 1.0], [1e-306, 1e-306], "standard deviations from 1e-153"),
        ([0.0, 1.0], [1e250, 1.0], "1e+125"),
        ([0.0, 1e160], [1.0, 1.0], "means to 1e+160"),
        ([0.0, 1.0], [1e-100, 1.0], "components that are no more than some 1e49 times as narrow"),
    ],
)
@pytest.mark.parametrize("family", ["diag", "full"])
def test_mixtures_that_float64_cannot_square_are_refused(means, variances, got, family):
    covariances = np.array(variances).reshape((2, 1) if family == "diag" else (2, 1, 1))
    with pytest.raises(ParameterError, match="cannot be computed with in float64.*; try other units") as caught:
        mixtura.Mixture([0.5, 0.5], np.array(means)[:, None], covariances, family)
    assert got in str(caught.value)


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_no_row_is_too_far_to_be_answered(name, dtype):
    K, D = 3, 3
    mixture = mixtura.Mixture.of_factors([0.2, 0.3, 0.5], np.eye(3), np.full((3, 3, 1), 0.1), np.full(3, 1e-9)) if ":" in name else None
    if mixture is None:
        ordinary = some_mixture(family_of(name), K, D)
        mixture = mixtura.Mixture(ordinary.weights, ordinary.means, ordinary.covariances * 1e-14, name)  # narrow: float32 alone would overflow
    directions = np.random.default_rng(1).normal(size=(60, D))
    with np.errstate(over="ignore"):
        X = (directions / np.abs(directions).max() * np.geomspace(1e-300, 3e38 if dtype == np.float32 else 1.7e308, 60)[:, None]).astype(dtype)
    component, posterior, density = mixture.assign(X), mixture.posterior(X), mixture.log_density(X)
    assert component.min() >= 0
    assert component.max() < K
    assert np.isfinite(density).all()
    assert np.isfinite(posterior).all()
    np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-5)
    records = next(mixture.records(X, "component", "log_density", "probability"))
    assert np.isfinite(records["log_density"]).all()
    assert set(records["component"]) <= set(range(K))
    assert np.isfinite(mixture.score(X))


@pytest.mark.parametrize("name", ["full", "tied", "diag", "spherical", "factor:1"])
@pytest.mark.parametrize("unit", [1e-44, 1e-39, 1e-30, 1e30, 1e37])
def test_float32_rows_of_any_unit_are_told_apart(name, unit):
    X = (heaps() * unit).astype(np.float32)
    single, double = (quietly(mixtura.GaussianMixture(2, covariance_type=name, random_state=0), rows) for rows in (X, X.astype(float)))
    np.testing.assert_array_equal(single.predict(X), np.repeat(single.predict(X[[0, -1]]), 30))
    np.testing.assert_allclose(single.means_, double.means_, rtol=1e-4, atol=1e-4 * unit)


@pytest.mark.parametrize("name", ["full", "tied", "diag", "factor:1"])
def test_an_origin_far_away_costs_float32_rows_nothing(name):
    X = (heaps() + np.array([1e6, -3e6])).astype(np.float32)
    mixture = quietly(mixtura.GaussianMixture(2, covariance_type=name, random_state=0), X.astype(float)).mixture_
    np.testing.assert_allclose(mixture.log_density(X), mixture.log_density(X.astype(float)), atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weight", [1e60, 2.0**100, 1e-60])
def test_weights_of_any_unit_count_alike(dtype, weight):
    X, ones = heaps().astype(dtype), np.ones(60)
    plain, scaled = (quietly(mixtura.GaussianMixture(2, random_state=0), X, ones * unit).mixture_ for unit in (1.0, weight))
    np.testing.assert_allclose(scaled.weights, plain.weights, rtol=1e-6)
    np.testing.assert_allclose(scaled.covariances, plain.covariances, rtol=1e-4)
    np.testing.assert_allclose(scaled.score(X, ones * weight), plain.score(X), rtol=1e-6)


@pytest.mark.parametrize("weight", [1e300, 1.7e308, 1e-310, 5e-324])
def test_weights_that_float64_cannot_count_are_refused(weight):
    weights = np.full(60, weight)
    for call in (
        lambda: mixtura.GaussianMixture(2).fit(heaps(), sample_weight=weights),
        lambda: mixtura.select(heaps(), [1, 2], sample_weight=weights),
        lambda: PAIR.score(heaps(1), weights),
    ):
        with pytest.raises(DataError, match=r"the weights cannot be counted in float64.*; try weights / weights.mean\(\)"):
            call()


@pytest.mark.parametrize("rows", [[[0.0], [1e-200], [2e-200]], [[0.0], [5e-324]], [[1e-75], [3e-75]], [[1e75], [3e75]], [[-1e308], [1e308]]])
def test_columns_that_float64_cannot_square_are_refused(rows):
    with pytest.raises(DataError, match="column 'x0' cannot be squared in float64"):
        mixtura.open(np.array(rows)).frame(common=False)


@pytest.mark.parametrize("cut", [1e3, 1e6, 1e9])
def test_every_row_belongs_to_a_component_however_far_all_are(cut):
    mixture = mixtura.Mixture([0.5, 0.5], [[-cut, 0.0], [2 * cut, 0.0]], np.tile(np.eye(2) * 1e-6, (2, 1, 1)))
    for dtype in (np.float64, np.float32):
        assert mixtura.sweep(mixture, heaps().astype(dtype)).counts.tolist() == [60.0, 0.0]


@pytest.mark.parametrize("means", [[[1e8, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, -1e30]]])
def test_starts_too_far_from_the_rows_are_refused(means):
    start = mixtura.Mixture([0.5, 0.5], means, [[1.0, 1.0], [1.0, 1.0]], "diag")
    for call in (
        lambda: next(mixtura.iterate(heaps(), start)),
        lambda: mixtura.GaussianMixture(2, covariance_type="diag", means_init=means).fit(heaps()),
        lambda: mixtura.adapt(start, heaps()),
    ):
        with pytest.raises(ParameterError, match=r"the start does not fit the rows.*; try mixtura.start"):
            call()


@pytest.mark.parametrize("name", ["vee", "evv", "vev", "eve"])
def test_members_of_a_family_are_known_however_flat_they_are(name, tmp_path):
    X = heaps(8, 6)  # no more rows than columns: flat but for the floor
    model = quietly(mixtura.GaussianMixture(2, covariance_type=name, reg_covar=1e-300, random_state=0, max_iter=20), X)
    model.save(tmp_path / "model")
    loaded = mixtura.GaussianMixture.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.covariances_, model.covariances_)
    assert np.isfinite(loaded.sample(9)[0]).all()


X = np.arange(8.0).reshape(4, 2)
REFUSED = {
    "an endless integer among the rows": (lambda: mixtura.open([[1, 2], [HUGE, 3]]), DataError, "the data are not numbers"),
    "one for an estimator": (lambda: mixtura.GaussianMixture(1).fit([[1, 2], [HUGE, 3]]), DataError, "the data are not numbers"),
    "ragged rows": (lambda: mixtura.open([[1.0], [1.0, 2.0]]), DataError, "the data are not a table"),
    "ragged rows for an estimator": (lambda: mixtura.GaussianMixture(1).fit([[1.0], [1.0, 2.0]]), DataError, "the data are not a table"),
    "a masked number": (lambda: mixtura.open(np.ma.masked_less(X, 3)).profile, DataError, "got NaN in column 'x0', row 0"),
    "one for an estimator ": (lambda: mixtura.GaussianMixture(1).fit(np.ma.masked_less(X, 3)), DataError, "got NaN in column 'x0', row 0"),
    "an endless weight": (lambda: mixtura.open(X, weight=[1, HUGE, 1, 1]), DataError, "weights are not numbers"),
    "a word for a weight": (lambda: mixtura.open(X, weight=[1, "a", 1, 1]), DataError, "weights are not numbers"),
    "one name for two columns": (lambda: mixtura.open(X, ["a"]), ParameterError, "got 1 names, expected 2"),
    "a word for names": (lambda: mixtura.open(X, "ab"), ParameterError, "columns are not names: got 'ab'"),
    "a number for names": (lambda: mixtura.open(X, 2), ParameterError, "columns are not names: got 2"),
    "half a row": (lambda: PAIR.sample(2.5), ParameterError, "n is not usable: got 2.5, expected an integer >= 1"),
    "endless rows": (lambda: PAIR.sample(HUGE), ParameterError, "n is not usable: got 1000"),
    "an endless mean": (lambda: mixtura.Mixture([1.0], [[HUGE]], [[[1.0]]]), ParameterError, "means are not numbers: got"),
    "an unknown answer": (lambda: list(PAIR.records([[0.0]], "colour")), ParameterError, "unknown answer: got 'colour'"),
    "an endless number": (lambda: mixtura.GaussianMixture(1, tol=LONG).fit(X), ParameterError, "tol is not usable: got an integer of"),
    "endless components": (lambda: mixtura.GaussianMixture(LONG).fit(X), ParameterError, "n_components is not usable: got an integer of"),
    "an endless ridge": (lambda: mixtura.GaussianMixture(1, reg_covar=1e300).fit(X), ParameterError, "reg_covar is not usable: got 1e+300"),
    "a list for a rule": (lambda: mixtura.GaussianMixture(1, rule=["em"]).fit(X), ParameterError, "unknown rule: got ['em']"),
    "a word for a rule": (lambda: mixtura.fit([[0.0], [1.0]], PAIR, "em"), ParameterError, "rule is not usable: got 'em'"),
    "a list for a start": (lambda: mixtura.GaussianMixture(1, init_params=[]).fit(X), DataError, "labels do not fit the rows: got 0 labels"),
    "an array for warm_start": (lambda: mixtura.GaussianMixture(1, warm_start=X).fit(X), ParameterError, "warm_start is not usable"),
    "words for a floor": (lambda: mixtura.regularisation.Floor("a"), ParameterError, "relative is not usable: got 'a'"),
    "a word for steps": (lambda: mixtura.select(X, 1, max_iter="a"), ParameterError, "max_iter is not usable: got 'a'"),
    "a word for numbers of components": (lambda: mixtura.select(X, "12"), ParameterError, "n_components is not usable: got '12'"),
    "a text without end": (lambda: mixtura.GaussianMixture(1, rule="x" * 9000).fit(X), ParameterError, "unknown rule: got 'xxx"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_strange_values_are_refused_in_one_short_line(case):
    call, kind, named = REFUSED[case]
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert named in message
    assert "; try " in message
    assert len(message) < 700
    assert "\n" not in message
