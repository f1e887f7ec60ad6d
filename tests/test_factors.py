"""Factor analysers: the laws of test_laws.py for covariances that are loadings and noise, with the textbook's dense formulas as oracle."""

from __future__ import annotations

import itertools
import json
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import reference, textbook
from sklearn.base import clone
from sklearn.decomposition import PCA, FactorAnalysis
from typer.testing import CliRunner

import mixtura
from mixtura.cli import app
from mixtura.errors import ParameterError
from mixtura.exchange import exchanges, improve, merged
from mixtura.factors import Factors
from mixtura.families import ALL, Family, factor, family_of, ppca
from mixtura.moments import DIAGONAL, MATRIX
from mixtura.regularisation import Floor, Ridge
from mixtura.rules import EM, LBFGS, MAP, Fixed, GradientAscent, NaturalGradient, Online, Rule, Squarem, Variational
from mixtura.scouting import Scout

FAMILIES = (factor(1), factor(3), ppca(1), ppca(3))
SHAPES = ((1, 2, 1), (3, 5, 2), (5, 8, 5), (2, 13, 4))  # components, columns, factors: whole tiles and parts of them
RULES = {"EM": EM(), "Squarem": Squarem(EM(), patience=2)}


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    """Both kinds, with one factor and several."""
    return request.param  # type: ignore[no-any-return]


def planted(family: Family, K: int, D: int, seed: int = 0, apart: float = 2.0, noise: float = 1.0) -> mixtura.Mixture:
    """A mixture of the family with nothing special about it."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(K, D, family.n_factors))
    noises = noise * rng.uniform(0.5, 1.5, size=K if family.one_scale else (K, D))
    return mixtura.Mixture.of_factors(rng.dirichlet(np.full(K, 5.0)), apart * rng.normal(size=(K, D)), loadings, noises)


def rows_of(K: int, D: int, n: int, seed: int = 0, dtype: type = np.float64) -> np.ndarray:
    """Rows that no family of few factors made exactly, in columns of unequal units."""
    return (planted(factor(D - 1), K, D, seed).sample(n, random_state=seed)[0] * np.geomspace(0.5, 5.0, D)).astype(dtype)


def trace(X: np.ndarray, start: mixtura.Mixture, rule: Rule, steps: int, **options: Any) -> list[mixtura.Step]:
    return list(itertools.islice(mixtura.iterate(X, start, rule, **options), steps))


def dense_step(mixture: mixtura.Mixture, X: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, loadings and noise after one step of Ghahramani & Hinton's EM, with D x D matrices, component by component."""
    posterior = textbook(mixture, X)[1] * weights[:, None]
    means, loadings, noises = [], [], []
    for r, A, Sigma in zip(posterior.T, mixture.loadings, mixture.matrices, strict=True):
        mean = r @ X / r.sum()
        S = (X - mean).T @ ((X - mean) * r[:, None]) / r.sum()
        beta = A.T @ np.linalg.inv(Sigma)
        loading = S @ beta.T @ np.linalg.inv(np.eye(A.shape[1]) - beta @ A + beta @ S @ beta.T)
        noise = np.diag(S - loading @ beta @ S)
        means.append(mean)
        loadings.append(loading)
        noises.append(noise.mean() if mixture.family.one_scale else noise)
    return np.array(means), np.array(loadings), np.array(noises)


# the sweep


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [factor, ppca])
@pytest.mark.parametrize("n", [1, 3, 300])
def test_answers_are_those_of_the_textbook(shape: tuple[int, int, int], kind: Any, n: int, dtype: type) -> None:
    K, D, q = shape
    mixture = planted(kind(q), K, D)
    X = mixture.sample(n, random_state=1)[0].astype(dtype)
    log_density, posterior = textbook(mixture, X)
    tolerance = 1e-11 if dtype is np.float64 else 2e-5
    np.testing.assert_allclose(mixture.log_density(X), log_density, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(mixture.posterior(X), posterior, rtol=0, atol=tolerance * D)
    np.testing.assert_array_equal(mixture.assign(X), posterior.argmax(axis=1))
    assert mixtura.sweep(mixture, X).log_likelihood == pytest.approx(log_density.sum(), rel=tolerance, abs=n * tolerance)


@pytest.mark.parametrize("noise", [1e-6, 1.0])
@pytest.mark.parametrize("centre", [0.0, 1e6])
def test_little_noise_and_far_means_lose_no_digits(family: Family, noise: float, centre: float) -> None:
    """Factors explain up to a million times what is left: |y|^2 - y'B M^-1 B'y would lose six digits, the textbook's inverse ten."""
    near = planted(family, 2, 20, noise=noise)
    X = near.sample(200, random_state=0)[0]
    moved = mixtura.Mixture.of_factors(near.weights, near.means + centre, near.loadings, near.noise)
    expected = _by_whitened_rows(near, X)
    # far away the rows themselves are rounded, to 1e-16 of the centre; seen from a deviation of the noise
    rounding = 1e-10 if centre == 0 else 1e-9 * np.sqrt(1 / noise)
    np.testing.assert_allclose(moved.log_density(X + centre), expected, rtol=0, atol=rounding * np.abs(expected).max())


def _by_whitened_rows(mixture: mixtura.Mixture, X: np.ndarray) -> np.ndarray:
    """log p(x) by the singular values of [A, sqrt(Psi)], which never squares them."""
    logits = []
    for k in range(mixture.K):
        noise = np.broadcast_to(mixture.noise[k], mixture.D)
        U, s, _ = np.linalg.svd(np.hstack([mixture.loadings[k], np.diag(np.sqrt(noise))]), full_matrices=False)
        squares = (((X - mixture.means[k]) @ U / s) ** 2).sum(axis=1)
        logits.append(np.log(mixture.weights[k]) - squares / 2 - np.log(s).sum() - mixture.D / 2 * np.log(2 * np.pi))
    return np.asarray(np.logaddexp.reduce(logits))


def test_sums_are_those_of_whole_second_moments(family: Family, dtype: type) -> None:
    mixture, weights = planted(family, 3, 6), np.random.default_rng(2).uniform(0.5, 2.0, size=400)
    X = mixture.sample(400, random_state=3)[0].astype(dtype)
    kept, whole = mixtura.sweep(mixture, X, weights), mixtura.sweep(mixture, X.astype(float), weights, moment=MATRIX)
    tolerance = 1e-10 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(kept.counts, whole.counts, rtol=tolerance)
    np.testing.assert_allclose(kept.means, whole.means, rtol=0, atol=tolerance * np.abs(X).max())
    np.testing.assert_allclose(kept.scatter, kept.moment.keep(whole.scatter), rtol=0, atol=tolerance * np.abs(whole.scatter).max())
    reduced = kept.reduced.data_covariance
    expected = np.cov(X.T.astype(float), aweights=weights, bias=True).diagonal()
    np.testing.assert_allclose(reduced, expected.mean() if family.one_scale else expected, rtol=tolerance)


def test_statistics_merge_however_the_rows_are_parted(family: Family) -> None:
    mixture = planted(family, 3, 6)
    X, weights = mixture.sample(400, random_state=1)[0], np.random.default_rng(2).uniform(0.5, 2.0, size=400)
    whole, order = mixtura.sweep(mixture, X, weights), np.random.default_rng(3).permutation(400)
    for cuts in ([200], [1, 2, 300], [37, 111, 222, 399]):
        merged = sum(mixtura.sweep(mixture, X[i], weights[i]) for i in np.split(order, cuts))
        assert isinstance(merged, mixtura.Statistics)
        for name in ("counts", "means", "scatter", "log_likelihood"):
            expected = getattr(whole, name)
            np.testing.assert_allclose(getattr(merged, name), expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    scaled = mixtura.sweep(mixture, X, 2.5 * weights)
    np.testing.assert_allclose(whole.scale(2.5).scatter, scaled.scatter, rtol=0, atol=1e-11 * np.abs(scaled.scatter).max())
    with pytest.raises(TypeError):
        _ = whole + mixtura.sweep(planted(family, 3, 6, seed=1), X)  # projected by another mixture


def test_pivots_do_not_matter(family: Family) -> None:
    mixture = planted(family, 3, 6)
    statistics = mixtura.sweep(mixture, mixture.sample(100, random_state=0)[0])
    elsewhere = statistics.repivot(np.random.default_rng(0).normal(size=(3, 6)) * 10)
    np.testing.assert_allclose(elsewhere.means, statistics.means, rtol=1e-10)
    np.testing.assert_allclose(elsewhere.scatter, statistics.scatter, rtol=0, atol=1e-10 * np.abs(statistics.scatter).max())


def test_threads_change_no_bit(family: Family, dtype: type) -> None:
    mixture = planted(family, 3, 6)
    X = mixture.sample(9_000, random_state=0)[0].astype(dtype)
    one, two = (trace(X, mixture, EM(), 3, n_jobs=threads)[-1] for threads in (1, 2))
    assert one.log_likelihood == two.log_likelihood
    np.testing.assert_array_equal(one.mixture.covariances, two.mixture.covariances)


# learning


def test_a_step_is_that_of_the_textbook(family: Family) -> None:
    mixture, X = planted(family, 3, 6), rows_of(3, 6, 300)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, size=300)
    moved = trace(X, mixture, EM(), 2, sample_weight=weights)[-1].mixture
    for got, expected in zip((moved.means, moved.loadings, moved.noise), dense_step(mixture, X, weights), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_log_likelihood_never_falls(family: Family, dtype: type, rule: Rule) -> None:
    X = rows_of(4, 6, 300, seed=7, dtype=dtype)
    start = mixtura.start(X, 4, family, random_state=0)
    shaken = mixtura.Mixture(start.weights, start.means + 0.5 * X.std(axis=0), start.covariances, family)
    steps = trace(X, shaken, rule, 80)
    values = np.array([step.objective for step in steps])
    taken_back = np.array([any(event.kind == "note" for event in step.events) for step in steps])
    falls = np.diff(values) < -(1e-12 if dtype is np.float64 else 2e-5) * np.abs(values).max()
    if isinstance(rule, EM):
        assert not falls.any() and not taken_back.any()
    else:
        assert (taken_back[2:] | taken_back[1:-1])[falls[:-1]].all()
    assert values[-1] > values[0] + 0.01


def test_a_ridge_is_noise_that_is_added(family: Family) -> None:
    X = rows_of(2, 6, 300, seed=7)
    start = mixtura.start(X, 2, family, random_state=0)
    plain, ridged = (trace(X, start, EM(*regularisation), 2)[-1].mixture for regularisation in ((), (Ridge(0.25),)))
    np.testing.assert_allclose(ridged.noise, plain.noise + 0.25, rtol=1e-12)
    np.testing.assert_array_equal(ridged.loadings, plain.loadings)


@pytest.mark.parametrize("q", [1, 3])
def test_one_ppca_has_the_closed_form(q: int) -> None:
    """Loadings along the widest principal components, and as noise the mean variance of the others (Tipping & Bishop 1999, equations 8, 9)."""
    X = rows_of(1, 7, 400, seed=9)
    rng = np.random.default_rng(0)
    start = mixtura.Mixture.of_factors([1.0], X[:1], rng.normal(size=(1, 7, q)), [1.0])
    best = mixtura.fit(X, start, tol=1e-13, max_steps=5_000)
    values, vectors = np.linalg.eigh(np.cov(X.T, bias=True))
    noise = values[: 7 - q].mean()
    wide = vectors[:, 7 - q :]
    covariance = (wide * (values[7 - q :] - noise)) @ wide.T + noise * np.eye(7)
    np.testing.assert_allclose(best.mixture.means[0], X.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(best.mixture.matrices[0], covariance, rtol=0, atol=1e-6 * np.abs(covariance).max())
    assert best.log_likelihood == pytest.approx(PCA(q).fit(X).score(X), abs=1e-2)  # theirs divides by N - 1
    begun = mixtura.start(X, 1, ppca(q), random_state=0)  # found at once
    np.testing.assert_allclose(begun.matrices[0], covariance, rtol=0, atol=1e-4 * np.abs(covariance).max())


def test_one_factor_analyser_is_that_of_sklearn() -> None:
    """Where factors tell (D - q)^2 >= D + q, the likelihood has one top; there diag(Sigma) = diag(S) and beta S = A' in whitened rows."""
    X = planted(factor(2), 1, 8).sample(1_000, random_state=0)[0]
    mine = mixtura.fit(X, mixtura.start(X, 1, factor(2), random_state=0), tol=1e-12, max_steps=5_000)
    theirs = FactorAnalysis(2, tol=1e-10, max_iter=20_000, svd_method="lapack").fit(X)
    assert mine.converged
    assert mine.log_likelihood == pytest.approx(theirs.score(X), abs=1e-7)
    np.testing.assert_allclose(mine.mixture.matrices[0], theirs.get_covariance(), atol=1e-3)
    np.testing.assert_allclose(mine.mixture.variances[0], X.var(axis=0), rtol=1e-5)


def test_squarem_and_em_find_the_same_optimum(family: Family) -> None:
    X = planted(family, 2, 10).sample(400, random_state=0)[0]
    start = mixtura.start(X, 2, family, random_state=0)
    em, fast = mixtura.fit(X, start, EM(), tol=1e-9, max_steps=20_000), mixtura.fit(X, start, tol=1e-9, max_steps=20_000)
    assert em.converged and fast.converged
    assert abs(em.log_likelihood - fast.log_likelihood) < 1e-7


def test_maps_of_rows_carry_the_fit_along(family: Family) -> None:
    """A scale per column where each has its noise, rotations and one scale where all have one; always any shift."""
    X = rows_of(3, 6, 250, seed=13)
    rng = np.random.default_rng(1)
    A = 3.7 * np.linalg.qr(rng.normal(size=(6, 6)))[0] if family.equivariance == "similarities" else np.diag(np.geomspace(1e-3, 700, 6))
    shift = rng.normal(size=6) * np.abs(A).sum(axis=1)
    start = mixtura.start(X, 3, family, random_state=0)
    scales = 3.7**2 if family.one_scale else np.diag(A) ** 2
    mapped = mixtura.Mixture.of_factors(start.weights, start.means @ A.T + shift, A @ start.loadings, start.noise * scales)
    here, there = trace(X, start, EM(), 30)[-1], trace(X @ A.T + shift, mapped, EM(), 30)[-1]
    assert abs(here.log_likelihood - there.log_likelihood - np.linalg.slogdet(A)[1]) < 1e-8
    np.testing.assert_allclose(there.mixture.means, here.mixture.means @ A.T + shift, rtol=1e-6, atol=1e-6 * np.abs(X @ A.T).max(axis=0).min())


def test_units_of_a_column_change_no_assignment() -> None:
    X, units = planted(factor(2), 3, 8).sample(500, random_state=0)[0], np.geomspace(1e-4, 1e4, 8)
    mine = mixtura.fit(X, mixtura.start(X, 3, "factor:2", random_state=0)).mixture
    theirs = mixtura.fit(X * units, mixtura.start(X * units, 3, "factor:2", random_state=0)).mixture
    np.testing.assert_array_equal(mine.assign(X), theirs.assign(X * units))


def test_permuted_components_permute_the_fit(family: Family) -> None:
    X, k = rows_of(3, 6, 200, seed=17), np.array([2, 0, 1])
    start = mixtura.start(X, 3, family, random_state=0)
    permuted = mixtura.Mixture(start.weights[k], start.means[k], start.covariances[k], family)
    here, there = trace(X, start, EM(), 10)[-1], trace(X, permuted, EM(), 10)[-1]
    np.testing.assert_allclose(there.mixture.covariances, here.mixture.covariances[k], rtol=0, atol=1e-8 * np.abs(here.mixture.covariances).max())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_weight_two_is_a_row_twice(family: Family, rule: Rule) -> None:
    X = rows_of(2, 6, 150, seed=19)
    weights = np.random.default_rng(0).integers(0, 4, size=150)
    repeated = np.repeat(X, weights, axis=0)
    start, same = mixtura.start(X, 2, family, random_state=0, sample_weight=weights), mixtura.start(repeated, 2, family, random_state=0)
    np.testing.assert_allclose(same.covariances, start.covariances, rtol=0, atol=1e-8 * np.abs(start.covariances).max())
    weighted, plain = trace(X, start, rule, 15, sample_weight=weights)[-1], trace(repeated, start, rule, 15)[-1]
    assert abs(weighted.log_likelihood - plain.log_likelihood) < 1e-10
    np.testing.assert_allclose(weighted.mixture.matrices, plain.mixture.matrices, rtol=0, atol=1e-8 * np.abs(plain.mixture.matrices).max())


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_float32_follows_float64(family: Family, rule: Rule) -> None:
    X = rows_of(2, 6, 500, seed=21, dtype=np.float32)
    start = mixtura.start(X, 2, family, random_state=0)
    single, double = trace(X, start, rule, 10)[-1], trace(X.astype(float), start, rule, 10)[-1]
    assert abs(single.log_likelihood - double.log_likelihood) < 1e-4 * max(1, abs(double.log_likelihood))
    np.testing.assert_allclose(single.mixture.matrices, double.mixture.matrices, rtol=0, atol=2e-3 * np.abs(double.mixture.matrices).max())


def test_what_is_fixed_stays(family: Family) -> None:
    X = rows_of(2, 6, 300, seed=23)
    start = mixtura.start(X, 2, family, random_state=0)
    fixed = Fixed(means=(True, False), covariances=(False, True), weights=(True, True))
    steps = trace(X, mixtura.Mixture(start.weights, start.means + 0.3, start.covariances, family), EM(fixed=fixed), 20)
    first, last = steps[0].mixture, steps[-1].mixture
    np.testing.assert_array_equal(last.means[0], first.means[0])
    np.testing.assert_array_equal(last.covariances[1], first.covariances[1])
    np.testing.assert_array_equal(last.weights, first.weights)
    assert (np.diff([step.log_likelihood for step in steps]) > -1e-12 * np.abs(steps[0].log_likelihood)).all()


def test_collapsing_components_are_repaired_and_told(family: Family) -> None:
    """Copies of one row among others: a component that starts on them would have no noise at all."""
    X = np.vstack([np.random.default_rng(0).normal(size=(80, 5)), np.full((10, 5), 7.0)])
    noise = np.full(2, 1e-3) if family.one_scale else np.full((2, 5), 1e-3)
    start = mixtura.Mixture.of_factors([0.5, 0.5], [[0.0] * 5, [7.0] * 5], np.full((2, 5, family.n_factors), 0.01), noise)
    with pytest.warns(mixtura.errors.RepairWarning, match="covariance of component 1 collapsed"):
        result = mixtura.fit(X, start, max_steps=200)
    assert np.isfinite(result.log_likelihood) and np.linalg.eigvalsh(result.mixture.matrices).min() > 0
    least = 1e-6 * (X.var(axis=0).mean() if family.one_scale else X.var(axis=0))
    assert (result.mixture.noise >= least * (1 - 1e-12)).all()


def test_components_that_lose_their_rows_are_reseeded(family: Family) -> None:
    X = rows_of(2, 6, 300, seed=27)
    start = mixtura.start(X, 2, family, random_state=0)
    means = np.vstack([start.means, X.mean(axis=0) + 1e4 * X.std(axis=0)])
    lost = mixtura.Mixture([0.4, 0.4, 0.2], means, np.concatenate([start.covariances, start.covariances[:1]]), family)
    with pytest.warns(mixtura.errors.RepairWarning, match="component 2 lost its rows"):
        result = mixtura.fit(X, lost, max_steps=500)
    assert result.log_likelihood >= mixtura.fit(X, start).log_likelihood - 1e-6
    assert (result.mixture.weights * 300 > 1).all()


@pytest.mark.filterwarnings("ignore::mixtura.errors.MixturaWarning")
@pytest.mark.parametrize("n", [4, 12])
def test_fewer_rows_than_factors_or_columns_end_in_numbers(family: Family, n: int) -> None:
    X = np.random.default_rng(0).normal(size=(n, 20))
    X[:, 3] = 1.0  # and a constant column
    result = mixtura.fit(X, mixtura.start(X, 2, family, random_state=0), max_steps=50)
    assert np.isfinite(result.log_likelihood) and np.isfinite(result.mixture.covariances).all()


# starts that EM cannot mend


def wrong(truth: mixtura.Mixture) -> mixtura.Mixture:
    """The first component as two halves, the last two as one."""
    moment, weights = truth.family.moment, truth.weights
    assert isinstance(moment, Factors)
    shift = moment.widest(truth.covariances[0], truth.D) / 2
    share = weights[-1] / weights[-2:].sum()
    joined = moment.merged(truth.covariances[-2], truth.covariances[-1], share, truth.means[-1] - truth.means[-2])
    means = [truth.means[0] - shift, truth.means[0] + shift, *truth.means[1:-2], truth.means[-2] + share * (truth.means[-1] - truth.means[-2])]
    covariances = [truth.covariances[0], *truth.covariances[:-2], joined]
    return mixtura.Mixture([weights[0] / 2, weights[0] / 2, *weights[1:-2], weights[-2:].sum()], means, covariances, truth.family)


@pytest.mark.parametrize("family", [factor(3), ppca(3)], ids=lambda family: family.name)
def test_an_exchange_goes_where_em_cannot(family: Family) -> None:
    """Also where components share their middle and differ in their directions, so that no plane parts their rows."""
    truth = planted(family, 5, 40, apart=0.3)
    X = truth.sample(1_500, random_state=0)[0]
    scout = Scout.of(mixtura.open(X), np.random.default_rng(0))
    stuck = mixtura.fit(X, wrong(truth), tol=1e-4)
    best = max(exchanges(wrong(truth), scout), key=lambda one: one.gain)
    assert (best.pair, best.split) == ((0, 1), 4)
    moved = mixtura.fit(X, improve(wrong(truth), scout, Floor()), tol=1e-4)
    assert stuck.log_likelihood + 1 < moved.log_likelihood
    assert moved.log_likelihood == pytest.approx(mixtura.fit(X, truth, tol=1e-4).log_likelihood, abs=1e-2)
    (fewer,) = merged(wrong(truth), Floor(), scout.reference(family.moment), most=1)
    assert fewer.K == 4 and fewer.family is family and fewer.score(X) > wrong(truth).score(X) - 2


def test_a_merger_keeps_what_its_rank_can_keep(family: Family) -> None:
    """Two halves of one component are that component; any two keep their variances, and no other q loadings over that noise come nearer."""
    moment, mixture = family.moment, planted(family, 2, 6)
    assert isinstance(moment, Factors)
    same = moment.merged(mixture.covariances[0], mixture.covariances[0], 0.3, np.zeros(6))
    np.testing.assert_allclose(moment.matrices(same, 6), mixture.matrices[0], atol=1e-12)
    apart = mixture.means[1] - mixture.means[0]
    whole = 0.7 * mixture.matrices[0] + 0.3 * mixture.matrices[1] + 0.21 * np.outer(apart, apart)
    merged = moment.merged(*mixture.covariances, 0.3, apart)
    variances = moment.variances(merged, 6)
    np.testing.assert_allclose(
        variances.sum() if family.one_scale else variances, np.trace(whole) if family.one_scale else np.diag(whole), rtol=1e-12
    )


# one done-when, and the memory


def test_a_planted_mixture_of_many_columns_is_recovered() -> None:
    """200 columns, 2 components of 5 factors, 2,000 rows: on other rows better than whole and than diagonal covariances."""
    truth = planted(factor(5), 2, 200, apart=0.5)
    X, other = (truth.sample(2_000, random_state=seed)[0] for seed in (1, 2))
    scores = {
        name: mixtura.GaussianMixture(2, covariance_type=name, init_params="kmeans", random_state=0).fit(X).score(other)
        for name in ("factor:5", "diag", "full")
    }
    assert scores["factor:5"] > max(scores["diag"], scores["full"]) + 10
    assert truth.score(other) - scores["factor:5"] < 2.0  # estimating p = 2,781 numbers costs about p / 2N = 0.7 nats


@pytest.mark.parametrize("kind", ["factor:2", "ppca:2"])
def test_no_table_of_columns_by_columns_is_made(kind: str) -> None:
    D = 3_000
    X = np.random.default_rng(0).normal(size=(60, D))
    tracemalloc.start()
    try:
        best = mixtura.fit(X, mixtura.start(X, 2, kind, random_state=0), max_steps=3).mixture
        best.score(X)
        best.sample(10, random_state=0)
        assert tracemalloc.get_traced_memory()[1] < D * D * 8 / 3
    finally:
        tracemalloc.stop()


# the mixture and its family


def test_save_load_and_pickle(family: Family, tmp_path: Path) -> None:
    mixture = planted(family, 3, 6)
    mixture.save(tmp_path / "model.safetensors")
    for other in (mixtura.Mixture.load(tmp_path / "model.safetensors"), pickle.loads(pickle.dumps(mixture))):
        assert other.family == family
        np.testing.assert_array_equal(other.covariances, mixture.covariances)
    X = mixture.sample(40, random_state=0)[0]
    merged = pickle.loads(pickle.dumps(mixtura.sweep(mixture, X))) + mixtura.sweep(mixture, X)
    np.testing.assert_allclose(merged.counts, 2 * mixtura.sweep(mixture, X).counts)


def test_samples_have_the_moments_of_their_components(family: Family) -> None:
    mixture = planted(family, 2, 6)
    X, component = mixture.sample(40_000, random_state=0)
    for k in range(2):
        mine = X[component == k]
        np.testing.assert_allclose(mine.mean(axis=0), mixture.means[k], atol=0.1)
        np.testing.assert_allclose(np.cov(mine.T), mixture.matrices[k], atol=0.2)
    np.testing.assert_array_equal(X, mixture.sample(40_000, random_state=0)[0])
    np.testing.assert_allclose(mixture.variances, np.diagonal(mixture.matrices, axis1=1, axis2=2), rtol=1e-14)


def test_special_families_are_contained_in_general_ones() -> None:
    X = np.random.default_rng(0).normal(size=(50, 6))
    for special, general in itertools.product((*FAMILIES, *ALL), repeat=2):
        if not (special.n_factors or general.n_factors):
            continue
        covariances = (
            np.broadcast_to(special.moment.keep(np.eye(6)) / special.moment.divisor(6), special.shape(2, 6)) if not special.n_factors else None
        )
        plain = None if covariances is None else mixtura.Mixture([0.5, 0.5], X[:2], covariances, special)
        mixture = planted(special, 2, 6) if plain is None else plain
        if general.nests(special):
            np.testing.assert_allclose(mixture.to_family(general).log_density(X), mixture.log_density(X), rtol=1e-12)
        else:
            with pytest.raises(ParameterError, match="not always"):
                mixture.to_family(general)
    contained = {general.name: {special.name for special in (*FAMILIES, *ALL) if general.nests(special)} for general in FAMILIES}
    spheres = {"tied_spherical", "spherical"}
    assert contained["ppca:3"] == {"ppca:1", "ppca:3"} | spheres
    assert contained["factor:1"] == {"factor:1", "ppca:1", "tied_diag", "vei", "evi", "diag"} | spheres
    assert all(family_of("full").nests(family) and not family_of("evv").nests(family) for family in FAMILIES)


@pytest.mark.parametrize(("K", "D", "q"), [(1, 5, 1), (3, 10, 4), (2, 6, 5)])
def test_free_parameters(K: int, D: int, q: int) -> None:
    loadings, most = D * q - q * (q - 1) // 2, D * (D + 1) // 2
    assert factor(q).n_parameters(K, D) == K * min(loadings + D, most) + K * D + K - 1
    assert ppca(q).n_parameters(K, D) == K * (loadings + 1) + K * D + K - 1 <= K * most + K * D + K - 1


def test_names(family: Family) -> None:
    kind, _, q = family.name.partition(":")
    assert family_of(family.name) is family_of(kind, int(q)) is family_of(family) is family
    assert pickle.loads(pickle.dumps(family)) == family


# what a user may ask for


@pytest.mark.parametrize("kind", ["factor", "ppca"])
def test_estimator(kind: str, tmp_path: Path) -> None:
    truth = planted(family_of(kind, 2), 2, 10)
    X = truth.sample(800, random_state=0)[0]
    model = mixtura.GaussianMixture(2, covariance_type=kind, n_factors=2, random_state=0)
    assert clone(model).get_params() == model.get_params()
    model.fit(X)
    assert model.converged_ and model.score(X) > truth.score(X)
    assert model.loadings_.shape == (2, 10, 2) and model.noise_.shape == ((2, 10) if kind == "factor" else (2,))
    noise = np.broadcast_to(model.noise_.reshape(2, -1), (2, 10))
    np.testing.assert_allclose(model.covariances_, model.loadings_ @ model.loadings_.swapaxes(1, 2) + noise[..., None] * np.eye(10))
    np.testing.assert_allclose(model.precisions_ @ model.covariances_, np.broadcast_to(np.eye(10), (2, 10, 10)), atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert model.bic(X) == pytest.approx(-2 * model.score(X) * 800 + model.mixture_.n_parameters * np.log(800))
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(mixtura.GaussianMixture.load(tmp_path / "model.safetensors").predict(X), model.predict(X))
    named = mixtura.GaussianMixture(2, covariance_type=f"{kind}:2", random_state=0).fit(X)
    np.testing.assert_array_equal(named.loadings_, model.loadings_)
    longer = clone(model).set_params(warm_start=True).fit(X).fit(X)
    assert longer.history_.start == "previous" and longer.score(X) >= model.score(X) - 1e-9


@pytest.mark.filterwarnings("ignore::mixtura.errors.MixturaWarning")
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
def test_every_start_serves(init_params: str, family: Family) -> None:
    X = planted(family, 2, 6).sample(200, random_state=0)[0]
    model = mixtura.GaussianMixture(2, covariance_type=family, init_params=init_params, random_state=0, max_iter=500).fit(X)
    assert np.isfinite(model.score(X)) and model.mixture_.family is family


def test_selection_finds_the_number_of_factors() -> None:
    X = planted(factor(2), 2, 12, apart=1.5).sample(500, random_state=0)[0]
    chosen = [factor(1), "factor:2", factor(3), ppca(2), "diag", "spherical", "full"]
    selection = mixtura.select(X, range(1, 4), chosen, random_state=0, tol=1e-4)
    assert selection.ranking[0].cell == (2, "factor:2")
    assert len(selection.cells) == 21
    cells = {(one.components, one.family): one.log_likelihood for one in selection.cells}
    for (K, general), log_likelihood in cells.items():
        for (fewer, special), contained in cells.items():
            if general.nests(special) and (fewer == K or (fewer == K - 1 and general == special)):
                assert log_likelihood >= contained - 1e-6, (K, general.name, special.name)


def test_command(tmp_path: Path) -> None:
    X = planted(factor(1), 2, 5).sample(400, random_state=0)[0]
    np.savetxt(tmp_path / "rows.csv", X, delimiter=",", header="a,b,c,d,e", comments="")
    words = [
        "fit",
        str(tmp_path / "rows.csv"),
        "--components",
        "1:2",
        "--family",
        "factor:1,ppca:2,diag",
        "--output",
        str(tmp_path / "out"),
        "--json",
    ]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["best"]["family"] == "factor:1"
    assert CliRunner().invoke(app, ["show", str(tmp_path / "out")]).exit_code == 0
    bad = CliRunner().invoke(app, [*words[:4], "--family", "factor:9", *words[6:]])
    assert bad.exit_code == 2 and "too many factors: got 9 for 5 columns" in bad.stderr


# what cannot be

GOOD = planted(factor(2), 2, 5)
REFUSED = {
    "no number": (lambda: family_of("factor"), "family 'factor' needs a number of factors: got none"),
    "no such number": (lambda: family_of("ppca:0"), "family 'ppca' needs a number of factors: got '0'"),
    "not a number": (lambda: family_of("factor:two"), "needs a number of factors: got 'two'"),
    "no factors": (lambda: factor(0), "n_factors is not usable: got 0, expected an integer >= 1"),
    "half a factor": (lambda: ppca(1.5), "n_factors is not usable: got 1.5"),  # type: ignore[arg-type]
    "two numbers": (lambda: family_of("factor:2", 3), "two numbers of factors: got 'factor:2' and n_factors=3"),
    "a number for none": (lambda: family_of("full", 3), "family 'full' has no factors: got n_factors=3"),
    "as many as columns": (lambda: mixtura.start(GOOD.means[[0, 1, 0]] + np.eye(3, 5), 1, "factor:5"), "too many factors: got 5 for 5 columns"),
    "one column": (lambda: mixtura.start(np.arange(9.0)[:, None], 1, "ppca:1"), "too many factors: got 1 for one column .*; try family 'spherical'"),
    "of a selection": (lambda: mixtura.select(np.eye(9, 4), 1, ["factor:2", "ppca:4"]), "too many factors: got 4 for 4 columns"),
    "noise of zero": (
        lambda: mixtura.Mixture.of_factors(GOOD.weights, GOOD.means, GOOD.loadings, GOOD.noise * [[1], [0]]),
        "covariance of component 1 is not positive definite",
    ),
    "unequal noise": (lambda: mixtura.Mixture(GOOD.weights, GOOD.means, GOOD.covariances, "ppca:2"), "noise is not that of family ppca"),
    "noise of a third": (
        lambda: mixtura.Mixture.of_factors(GOOD.weights, GOOD.means, GOOD.loadings, np.ones(3)),
        r"loadings and noise do not fit: got shapes \(2, 5, 2\) and \(3,\)",
    ),
    "a matrix": (lambda: mixtura.Mixture(GOOD.weights, GOOD.means, GOOD.matrices, "factor:2"), "covariances do not fit family 'factor:2'"),
    "no loadings": (lambda: GOOD.to_family("full").loadings, "a full mixture has no factors"),
    "gradients": (lambda: list(mixtura.gradients(GOOD, mixtura.sweep(GOOD, GOOD.means))), "family factor:2 has no gradients by its covariances"),
    "precisions": (
        lambda: mixtura.GaussianMixture(2, covariance_type="factor:2", precisions_init=np.ones((2, 5, 3))).fit(np.eye(9, 5)),
        "precisions_init does not fit family 'factor:2'",
    ),
    "other factors than before": (
        lambda: (
            mixtura.GaussianMixture(1, covariance_type="ppca:1", warm_start=True)
            .fit(np.eye(9, 5))
            .set_params(n_factors=2, covariance_type="ppca")
            .fit(np.eye(9, 5))
        ),
        "warm_start cannot go on from the last fit: got family 'ppca:2', expected 'ppca:1'",
    ),
    "Bayes": (
        lambda: mixtura.BayesianGaussianMixture(n_components=2, covariance_type="factor:2").fit(np.eye(9, 5)),
        "variational inference does not know family",
    ),
    "adapting": (lambda: mixtura.adapt(GOOD, GOOD.means), "MAP does not know family factor:2"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_sense_is_refused(what: str) -> None:
    ask, told = REFUSED[what]
    with pytest.raises(ParameterError, match=told) as caught:
        ask()
    assert "expected" in str(caught.value) and "; try " in str(caught.value)


@pytest.mark.parametrize(
    "rule", [MAP(), Squarem(MAP()), NaturalGradient(), Online(), GradientAscent(), LBFGS(), Variational()], ids=lambda rule: type(rule).__name__
)
def test_rules_that_add_to_second_moments_refuse_them(rule: Rule, family: Family) -> None:
    with pytest.raises(ParameterError, match=f"does not know family {family.name}: got factors, .*; try rule 'em', or family 'full'"):
        rule.initial(planted(family, 2, 5))


def test_a_stream_is_no_method() -> None:
    model = mixtura.GaussianMixture(2, covariance_type="factor", n_factors=2)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as caught:
        _ = model.partial_fit
    assert "covariance_type 'factor' does not learn from batches" in str(caught.value.__cause__)


def test_loadings_of_others_are_no_attributes() -> None:
    model = mixtura.GaussianMixture().fit(reference("faithful"))
    assert not hasattr(model, "loadings_") and not hasattr(model, "noise_")
    assert mixtura.sweep(GOOD, GOOD.means, moment=DIAGONAL).second.shape == (2, 5)
