"""The sweep and the per-row answers against the textbook formula, in both forms, for every family, dtype and awkward shape."""

from __future__ import annotations

import numpy as np
import pytest
from cases import some_mixture, textbook

import mixtura
from mixtura.families import FAMILIES, Family
from mixtura.kernels import Plan, forms, passes
from mixtura.kernels.forms import GUARD
from mixtura.moments import MATRIX

# relative to sums over rows of order one: rounding of a few hundred operations, and of the rows themselves in float32
SUMS = {np.float64: 1e-12, np.float32: 2e-5}
ROWS = {np.float64: 1e-10, np.float32: 2e-3}
SHAPES = [(1, 1, 1), (7, 1, 2), (300, 2, 3), (33, 3, 5), (517, 5, 8), (64, 9, 4), (2500, 4, 6), (40, 37, 2)]


def rows_for(n: int, D: int, dtype: type) -> np.ndarray:
    return (2 * np.random.default_rng(n + D).normal(size=(n, D))).astype(dtype)


@pytest.fixture(params=["chosen", "expanded", "centred"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The form as the cost model chooses it, and each of the two whatever it costs (the guard stays)."""
    if request.param == "expanded":
        monkeypatch.setattr(forms, "expanding_costs", lambda *shape: -np.inf)
    if request.param == "centred":
        monkeypatch.setattr(forms.Plan, "_expands", lambda self: False)
    return request.param  # type: ignore[no-any-return]


@pytest.mark.parametrize(("n", "D", "K"), SHAPES)
def test_sweep_is_the_textbook_e_step(family: Family, dtype: type, form: str, n: int, D: int, K: int) -> None:
    X, mixture = rows_for(n, D, dtype), some_mixture(family, K, D)
    weights = None if n % 2 else np.random.default_rng(1).uniform(0, 2, size=n)
    log_density, posterior = textbook(mixture, X)
    w = np.ones(n) if weights is None else weights
    r = posterior * w[:, None]
    centred = X.astype(float)[:, None, :] - mixture.means
    first = np.einsum("nk,nkd->kd", r, centred)
    full = np.einsum("nk,nki,nkj->kij", r, centred, centred)
    for moment in (None, MATRIX):
        statistics = mixtura.sweep(mixture, X, weights, moment=moment).repivot(mixture.means)
        second = statistics.moment.keep(full)
        scale = n * SUMS[dtype]
        assert statistics.rows == n
        np.testing.assert_allclose(statistics.weight, w.sum(), rtol=1e-12)
        np.testing.assert_allclose(statistics.counts, r.sum(axis=0), rtol=0, atol=scale)
        np.testing.assert_allclose(statistics.first, first, rtol=0, atol=10 * scale)
        np.testing.assert_allclose(statistics.second, second.sum(axis=0) if statistics.pooled else second, rtol=0, atol=100 * D * scale)
        np.testing.assert_allclose(statistics.log_likelihood, w @ log_density, rtol=0, atol=100 * D * scale)


@pytest.mark.parametrize(("n", "D", "K"), SHAPES)
def test_answers_are_the_textbook_ones(family: Family, dtype: type, form: str, n: int, D: int, K: int) -> None:
    X, mixture = rows_for(n, D, dtype), some_mixture(family, K, D)
    log_density, posterior = textbook(mixture, X)
    answers = mixture.answers(X, component=True, density=True, posterior=True)
    np.testing.assert_allclose(answers.log_density, log_density, rtol=ROWS[dtype], atol=ROWS[dtype])
    np.testing.assert_allclose(answers.posterior, posterior, rtol=0, atol=ROWS[dtype])
    np.testing.assert_allclose(answers.probability, answers.posterior.max(axis=1), rtol=1e-5)
    # the assignment may differ from the oracle's only where two posteriors agree to rounding
    chosen = posterior[np.arange(n), answers.component]
    assert (chosen >= posterior.max(axis=1) - ROWS[dtype]).all()


def test_layouts_change_no_bit(dtype: type) -> None:
    X, mixture = rows_for(3000, 3, dtype), some_mixture(FAMILIES["full"], 4, 3)
    frozen = X.copy()
    frozen.flags.writeable = False
    layouts = [X, np.asfortranarray(X), frozen, np.repeat(X, 2, axis=0)[::2], np.repeat(X, 2, axis=1)[:, ::2]]
    first, *others = [mixtura.sweep(mixture, rows) for rows in layouts]
    for other in others:
        assert other.log_likelihood == first.log_likelihood
        np.testing.assert_array_equal(other.scatter, first.scatter)


@pytest.mark.parametrize("n", [100, 2049, 50_001, 140_000])
def test_threads_give_the_same_bits(family: Family, n: int) -> None:
    X, mixture = rows_for(n, 2, np.float64), some_mixture(family, 3, 2)
    alone, shared = (mixtura.sweep(mixture, mixtura.open(X, n_jobs=jobs)) for jobs in (1, 5))
    assert alone.log_likelihood == shared.log_likelihood
    for name in ("counts", "first", "second"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(shared, name))


@pytest.mark.parametrize(("distance", "expands"), [(1e2, True), (1e4, False)])
def test_guard_takes_the_centred_form_when_the_expanded_one_would_lose(
    family: Family, distance: float, expands: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """eps * mu' P mu = 2.2e-16 * distance^2 crosses 1e-9 nats at about 2100 deviations."""
    monkeypatch.setattr(forms, "expanding_costs", lambda *shape: -np.inf)  # the guard alone decides
    means = np.array([[-distance, 0.0], [distance, 0.0]])
    mixture = some_mixture(family, 2, 2)
    mixture = mixtura.Mixture(mixture.weights, means, mixture.covariances, family)
    X = np.repeat(means, 500, axis=0) + np.random.default_rng(0).normal(size=(1000, 2))
    # a frame of unit scale, so that `distance` is the standardised one
    frame = mixtura.frame.Frame(np.zeros(2), np.ones(2))
    plan = Plan(mixture.gaussians, frame, np.float64, (family.moment, family.pooled))
    assert plan.expands == expands
    statistics = plan.statistics(plan.sweep(X, None))
    if plan.wants_total:
        total = mixtura.open(X).everything(family.moment, family.moment.axes == 0)
        source_frame = mixtura.open(X).frame(family.moment.axes == 0)
        about_origin = total.translate(source_frame.centre, source_frame.scale).repivot(np.zeros((1, 2)))
        statistics = plan.complete(statistics, about_origin)
    log_density, posterior = textbook(mixture, X)
    assert abs(statistics.log_likelihood - log_density.sum()) < 1000 * GUARD[np.dtype(float)]
    np.testing.assert_allclose(statistics.counts, posterior.sum(axis=0), rtol=1e-9)
    within = X - means[posterior.argmax(axis=1)]
    full = np.stack([within[:500].T @ within[:500], within[500:].T @ within[500:]])
    kept = family.moment.keep(full)
    np.testing.assert_allclose(statistics.repivot(means).second, kept.sum(axis=0) if family.pooled else kept, rtol=1e-6)


def test_far_from_the_origin(family: Family) -> None:
    """Offset 1e6 (deviation 1): the answers are those at the origin, but for the rounding of the rows, 1e6 * eps."""
    X, mixture = rows_for(500, 3, np.float64), some_mixture(family, 3, 3)
    far = mixtura.Mixture(mixture.weights, mixture.means + 1e6, mixture.covariances, family)
    np.testing.assert_allclose(far.log_density(X + 1e6), mixture.log_density(X), rtol=0, atol=1e-7)
    near_sums, far_sums = mixtura.sweep(mixture, X), mixtura.sweep(far, X + 1e6)
    np.testing.assert_allclose(far_sums.scatter, near_sums.scatter, rtol=1e-7)


def test_outliers_stay_finite(family: Family, dtype: type) -> None:
    mixture = some_mixture(family, 2, 2)
    X = np.array([[0.0, 0.0], [1e30, -1e30], [1e-30, 1e30]], dtype=dtype)
    answers = mixture.answers(X, component=True, density=True, posterior=True)
    assert np.isfinite(answers.log_density).all() and np.isfinite(answers.posterior).all()
    np.testing.assert_allclose(answers.posterior.sum(axis=1), 1.0, rtol=1e-5)
    assert answers.log_density[0] > -100 and answers.log_density[1] < -1e6


@pytest.mark.parametrize(("n", "D", "K"), [(3000, 2, 9), (500, 6, 5), (700, 37, 3)])
def test_what_is_negligible_is_left_out_and_missed_by_nobody(family: Family, dtype: type, form: str, n: int, D: int, K: int) -> None:
    """Components 20 deviations apart: rows side by side that share a component leave whole groups out, rows in any order few."""
    mixture = some_mixture(family, K, D, spread=20.0)
    X, component = mixture.sample(n, random_state=0)
    X = X[np.argsort(component)].astype(dtype)
    weights = np.random.default_rng(1).uniform(0, 2, size=n) if n % 2 == 0 else None
    for rows in (X, np.random.default_rng(2).permutation(X)):
        w = np.ones(n) if weights is None else weights
        log_density, posterior = textbook(mixture, rows)
        statistics = mixtura.sweep(mixture, rows, weights).repivot(mixture.means)
        np.testing.assert_allclose(statistics.counts, w @ posterior, rtol=0, atol=n * SUMS[dtype])
        np.testing.assert_allclose(statistics.log_likelihood, w @ log_density, rtol=SUMS[dtype], atol=100 * n * SUMS[dtype])
        centred = rows.astype(float)[:, None, :] - mixture.means
        first = np.einsum("n,nk,nkd->kd", w, posterior, centred)
        np.testing.assert_allclose(statistics.first, first, rtol=0, atol=100 * n * SUMS[dtype])


def test_what_is_left_out_is_bounded(family: Family, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows between two components, posteriors from 1e-20 to 1: nothing above the bound is lost, and beyond it something is left out."""
    means = np.zeros((5, 2))
    means[4, 0] = 30.0  # a group of its own
    mixture = some_mixture(family, 5, 2)
    mixture = mixtura.Mixture(mixture.weights, means, np.ones_like(mixture.covariances) if family.moment.axes < 2 else _unit(family), family)
    X = np.random.default_rng(0).normal(size=(4096, 2)) * [4.0, 1.0]
    X = X[np.argsort(X[:, 0])]
    kept = mixtura.sweep(mixture, X).counts[4]
    monkeypatch.setattr(passes, "NEGLIGIBLE", 1e-120)
    everything = mixtura.sweep(mixture, X).counts[4]
    assert kept < everything <= kept + 4096 * 1e-12


def _unit(family: Family) -> np.ndarray:
    return np.eye(2) if family.pooled else np.repeat(np.eye(2)[None], 5, axis=0)


def test_weights_may_be_read_only_or_have_gaps() -> None:
    """As those of a column of a table, or that came from another process."""
    X, weights = np.random.default_rng(0).normal(size=(200, 2)), np.random.default_rng(1).uniform(0.5, 2.0, (200, 2))
    mixture = mixtura.Mixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [np.eye(2)] * 2)
    read_only = weights[:, 0].copy()
    read_only.flags.writeable = False
    expected = mixtura.sweep(mixture, X, weights[:, 0].copy())
    for given in (weights[:, 0], read_only):
        block = mixture.gaussians.plan(mixtura.open(X).frame(False), np.float64, (mixture.family.moment, False))
        assert block.statistics(block.sweep(X, given)).weight == expected.weight
