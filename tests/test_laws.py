"""The laws of STYLE.md: every family, rule and dtype goes through the same ones."""

from __future__ import annotations

import itertools
import pickle
from pathlib import Path

import numpy as np
import pytest
from cases import FREE, overlapping, reference, some_mixture

import mixtura
from mixtura.families import ALL, FAMILIES, Family
from mixtura.moments import MATRIX
from mixtura.rules import EM, LBFGS, MAP, GradientAscent, NaturalGradient, Online, Rule, Squarem

ALL_ROWS = 10_000  # a batch that holds them: then Online is no matter of chance
RULES = {
    "EM": EM(),
    "Squarem": Squarem(EM(), patience=2),
    "MAP": MAP(),
    "NaturalGradient": NaturalGradient(0.5),
    "Online": Online(batch_rows=ALL_ROWS, average=False),
    "GradientAscent": GradientAscent(0.3),
    "LBFGS": LBFGS(),
}
BY_GRADIENT = ("GradientAscent", "LBFGS")
CLIMBING = ("EM", "MAP", "NaturalGradient", "Online")  # the others may aim too far, and take it back


def _refused(family: Family | None = None, rule: Rule | None = None, **others: object) -> bool:
    """Whether the rule does not know the family: that it refuses it is a law of its own."""
    return family is not None and family.constraint is not None and type(rule).__name__ in BY_GRADIENT


pytestmark = pytest.mark.without(where=_refused)


@pytest.fixture(params=RULES.values(), ids=RULES)
def rule(request: pytest.FixtureRequest) -> Rule:
    """Every rule in turn."""
    return request.param  # type: ignore[no-any-return]


def trace(X: np.ndarray, start: mixtura.Mixture, rule: Rule, steps: int, **options: object) -> list[mixtura.Step]:
    return list(itertools.islice(mixtura.iterate(X, start, rule, **options), steps))  # type: ignore[arg-type]


def close(a: mixtura.Mixture, b: mixtura.Mixture, tolerance: float) -> None:
    scale = np.abs(a.means).max()
    np.testing.assert_allclose(a.weights, b.weights, rtol=0, atol=tolerance)
    np.testing.assert_allclose(a.means, b.means, rtol=0, atol=tolerance * scale)
    np.testing.assert_allclose(a.covariances, b.covariances, rtol=0, atol=tolerance * np.abs(a.covariances).max())


@pytest.mark.smoke
def test_statistics_merge_however_the_rows_are_parted(family: Family, dtype: type) -> None:
    X, mixture = overlapping(400, 3, 3, seed=1, dtype=dtype), some_mixture(family, 3, 3, spread=5.0)
    weights = np.random.default_rng(2).uniform(0.5, 2.0, size=400)
    whole = mixtura.sweep(mixture, X, weights)
    order = np.random.default_rng(3).permutation(400)
    for cuts in ([200], [1, 2, 300], [37, 111, 222, 399]):
        parts = [mixtura.sweep(mixture, X[i], weights[i]) for i in np.split(order, cuts)]
        merged = sum(parts)
        assert isinstance(merged, mixtura.Statistics)
        tolerance = 1e-10 if dtype is np.float64 else 1e-4
        np.testing.assert_allclose(merged.counts, whole.counts, rtol=tolerance)
        np.testing.assert_allclose(merged.means, whole.means, rtol=tolerance, atol=tolerance * np.abs(whole.means).max())
        np.testing.assert_allclose(merged.scatter, whole.scatter, rtol=tolerance, atol=tolerance * np.abs(whole.scatter).max())
        np.testing.assert_allclose(merged.log_likelihood, whole.log_likelihood, rtol=tolerance)


def test_pivots_do_not_matter(family: Family) -> None:
    statistics = mixtura.sweep(some_mixture(family, 3, 2), overlapping(100, 2, 3, seed=1))
    elsewhere = statistics.repivot(np.random.default_rng(0).normal(size=(3, 2)) * 10)
    np.testing.assert_allclose(elsewhere.means, statistics.means, rtol=1e-10)
    np.testing.assert_allclose(elsewhere.scatter, statistics.scatter, rtol=1e-9, atol=1e-9 * np.abs(statistics.scatter).max())


def test_scaled_statistics_are_those_of_scaled_weights(family: Family) -> None:
    X, mixture = overlapping(100, 2, 2, seed=5), some_mixture(family, 2, 2)
    scaled, weighted = mixtura.sweep(mixture, X).scale(2.5), mixtura.sweep(mixture, X, np.full(100, 2.5))
    for name in ("weight", "log_likelihood", "counts", "means", "scatter"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(weighted, name), rtol=1e-11, atol=1e-11)


def test_objective_never_falls(family: Family, dtype: type, rule: Rule) -> None:
    X = overlapping(300, 3, 4, seed=7, dtype=dtype)
    start = mixtura.start(X, 4, family, random_state=0)
    shaken = mixtura.Mixture(start.weights, start.means + 0.5 * X.std(axis=0), start.covariances, family)
    steps = trace(X, shaken, rule, 60)
    values = np.array([step.objective for step in steps])
    rounding = (1e-12 if dtype is np.float64 else 2e-5) * np.abs(values).max()
    taken_back = np.array([any(event.kind == "note" for event in step.events) for step in steps])
    falls = np.diff(values) < -rounding
    if type(rule).__name__ in CLIMBING:
        assert not falls.any() and not taken_back.any()
    else:  # a step may be aimed too far, but then the next one takes it back, to what was reached before
        assert (taken_back[2:] | taken_back[1:-1])[falls[:-1]].all()
    assert values[-1] > values[0] + 0.01


@pytest.mark.smoke
def test_one_component_has_the_closed_form(family: Family, dtype: type) -> None:
    X = overlapping(200, 3, 2, seed=9, dtype=dtype)
    weights = np.random.default_rng(0).uniform(0.5, 2, size=200)
    best = mixtura.fit(X, mixtura.start(X, 1, family, sample_weight=weights), sample_weight=weights).mixture
    mean = np.average(X.astype(float), axis=0, weights=weights)
    covariance = np.cov(X.T.astype(float), aweights=weights, bias=True)
    kept = family.moment.keep(covariance[None]) / family.moment.divisor(3)
    tolerance = 1e-10 if dtype is np.float64 else 1e-4
    np.testing.assert_allclose(best.means[0], mean, rtol=tolerance)
    np.testing.assert_allclose(best.covariances, kept[0] if family.pooled else kept, rtol=tolerance)


@pytest.mark.parametrize("name", BY_GRADIENT)
def test_gradients_of_each_covariance_refuse_what_components_share(family: Family, name: str) -> None:
    mixture = some_mixture(family, 3, 2)
    if family.constraint is None:
        RULES[name].initial(mixture)
    else:
        with pytest.raises(mixtura.errors.ParameterError, match=f"family {family.code}: got components that share .* try rule 'em'"):
            RULES[name].initial(mixture)


@pytest.mark.parametrize("family", FREE, ids=lambda family: family.name)
def test_gradient_ascent_and_em_find_the_same_optimum(family: Family) -> None:
    X = overlapping(300, 2, 2, seed=11)
    start = mixtura.start(X, 2, family, random_state=0)
    em = mixtura.fit(X, start, EM(), tol=1e-10)
    ascent = mixtura.fit(X, start, GradientAscent(0.5), tol=1e-10, max_steps=20_000)
    assert em.converged and ascent.converged
    assert abs(em.log_likelihood - ascent.log_likelihood) < 1e-8
    close(em.mixture, ascent.mixture, 1e-3)


def test_affine_maps_carry_the_fit_along(family: Family) -> None:
    """Any linear map, one scale per column, or rotations and one scale in all; always any shift."""
    X = overlapping(250, 3, 3, seed=13)
    rng = np.random.default_rng(1)
    similarity, scales = 3.7 * np.linalg.qr(rng.normal(size=(3, 3)))[0], np.diag([1e-3, 5.0, 700.0])
    A = {"similarities": similarity, "scales": scales, "linear": rng.normal(size=(3, 3))}[family.equivariance]
    shift = np.array([5.0, -3.0, 100.0])
    start = mixtura.start(X, 3, family, random_state=0)
    matrices = A @ start.matrices @ A.T
    kept = family.moment.keep(matrices[0] if family.pooled else matrices) / family.moment.divisor(3)
    mapped_start = mixtura.Mixture(start.weights, start.means @ A.T + shift, kept, family)
    here = trace(X, start, EM(), 30)[-1]
    there = trace(X @ A.T + shift, mapped_start, EM(), 30)[-1]
    assert abs(here.log_likelihood - there.log_likelihood - np.linalg.slogdet(A)[1]) < 1e-8
    np.testing.assert_allclose(there.mixture.weights, here.mixture.weights, atol=1e-7)
    np.testing.assert_allclose(there.mixture.means, here.mixture.means @ A.T + shift, rtol=1e-6, atol=1e-6 * np.abs(X @ A.T).max())


# a sphere is a sphere, and axes are at right angles, in one set of units only
@pytest.mark.without(where=lambda family: family.equivariance == "similarities")
def test_units_of_a_column_change_no_assignment(family: Family) -> None:
    X = overlapping(300, 2, 3, seed=15)
    units = np.array([1e4, 1e-3])
    mine = mixtura.fit(X, mixtura.start(X, 3, family, random_state=0)).mixture
    theirs = mixtura.fit(X * units, mixtura.start(X * units, 3, family, random_state=0)).mixture
    np.testing.assert_array_equal(mine.assign(X), theirs.assign(X * units))


def test_permuted_components_and_columns_permute_the_fit(family: Family, rule: Rule) -> None:
    X = overlapping(200, 3, 3, seed=17)
    start = mixtura.start(X, 3, family, random_state=0)
    # log-Cholesky factors depend on the order of the columns, so steps along their gradient do as well
    k, j = np.array([2, 0, 1]), np.array([1, 2, 0]) if type(rule).__name__ in CLIMBING else np.arange(3)
    axes = family.moment.axes
    covariances = start.covariances if family.pooled else start.covariances[k]
    if axes:
        covariances = covariances[..., j]
    if axes == 2:
        covariances = covariances[..., j, :]
    permuted = mixtura.Mixture(start.weights[k], start.means[k][:, j], covariances, family)
    here, there = trace(X, start, rule, 10)[-1], trace(X[:, j], permuted, rule, 10)[-1]
    np.testing.assert_allclose(there.mixture.means, here.mixture.means[k][:, j], rtol=1e-8)
    assert abs(here.log_likelihood - there.log_likelihood) < 1e-10


@pytest.mark.smoke
def test_weight_two_is_a_row_twice(family: Family, rule: Rule) -> None:
    X = overlapping(120, 2, 2, seed=19)
    weights = np.random.default_rng(0).integers(0, 4, size=120)
    repeated = np.repeat(X, weights, axis=0)
    start = mixtura.start(X, 2, family, random_state=0, sample_weight=weights)
    close(start, mixtura.start(repeated, 2, family, random_state=0), 1e-9)
    weighted, plain = trace(X, start, rule, 15, sample_weight=weights)[-1], trace(repeated, start, rule, 15)[-1]
    assert abs(weighted.log_likelihood - plain.log_likelihood) < 1e-10
    close(weighted.mixture, plain.mixture, 1e-8)


def test_float32_follows_float64(family: Family, rule: Rule) -> None:
    X = overlapping(500, 3, 2, seed=21, dtype=np.float32)
    start = mixtura.start(X, 2, family, random_state=0)
    single, double = trace(X, start, rule, 10)[-1], trace(X.astype(float), start, rule, 10)[-1]
    assert abs(single.log_likelihood - double.log_likelihood) < 1e-4 * max(1, abs(double.log_likelihood))
    close(single.mixture, double.mixture, 2e-3)


@pytest.mark.smoke
def test_save_and_load(family: Family, tmp_path: Path) -> None:
    mixture = some_mixture(family, 3, 2)
    mixture.save(tmp_path / "model.safetensors", {"columns": ["a", "b"]})
    loaded, metadata = mixtura.Mixture.load_with_metadata(tmp_path / "model.safetensors")
    assert metadata["columns"] == ["a", "b"] and loaded.family is family
    for name in ("weights", "means", "covariances"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(mixture, name))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.smoke
def test_pickling_keeps_what_there_is_one_of(family: Family) -> None:
    X, mixture = overlapping(40, 2, 2, seed=33), some_mixture(family, 2, 2)
    thawed = pickle.loads(pickle.dumps(mixture))
    assert thawed.family.moment is family.moment
    merged = pickle.loads(pickle.dumps(mixtura.sweep(thawed, X))) + mixtura.sweep(mixture, X)
    np.testing.assert_allclose(merged.counts, 2 * mixtura.sweep(mixture, X).counts)


@pytest.mark.parametrize("family", FREE, ids=lambda family: family.name)
def test_gradients_against_differences(family: Family) -> None:
    """Central differences of the mean log-likelihood; the step 1e-5 leaves an error of about 1e-10 of third derivatives, 1e-6 relative."""
    mixture, h = some_mixture(family, 3, 3, seed=4), 1e-5
    X = some_mixture(family, 3, 3, seed=5).sample(50, random_state=0)[0]

    def value(weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> float:
        return mixtura.Mixture(weights / weights.sum(), means, covariances, family).score(X)

    def difference(change: dict[str, np.ndarray]) -> float:
        at = {name: np.array(getattr(mixture, name)) for name in ("weights", "means", "covariances")}
        up, down = ({name: at[name] + sign * h * change.get(name, 0) for name in at} for sign in (1, -1))
        return (value(**up) - value(**down)) / (2 * h)

    yielded = list(mixtura.gradients(mixture, mixtura.sweep(mixture, X)))
    assert len(yielded) == 3
    for k, (by_weight, by_mean, by_covariance) in enumerate(yielded):
        unit = np.eye(3)[k]
        # the derivative by the logit, log pi_k, with the weights renormalised
        assert by_weight == pytest.approx(difference({"weights": unit * mixture.weights[k]}), rel=1e-6, abs=1e-9)
        for j in range(3):
            assert by_mean[j] == pytest.approx(difference({"means": np.outer(unit, np.eye(3)[j])}), rel=1e-6, abs=1e-9)
        assert np.shape(by_covariance) == family.moment.shape(3)
    by_covariances = np.array([gradient.covariance for gradient in yielded])
    rng = np.random.default_rng(0)
    for _ in range(5):
        direction = rng.normal(size=mixture.covariances.shape)
        if family.moment.axes == 2:
            direction = direction + np.swapaxes(direction, -1, -2)
        expected = (by_covariances.sum(axis=0) if family.pooled else by_covariances) * direction
        assert expected.sum() == pytest.approx(difference({"covariances": direction}), rel=1e-6, abs=1e-9)


def test_gradients_vanish_at_the_optimum(family: Family) -> None:
    X = overlapping(200, 2, 2, seed=25)
    best = mixtura.fit(X, mixtura.start(X, 2, family, random_state=0), tol=0, max_steps=2000).mixture
    deviations = X.std(axis=0)
    for weight, mean, _ in mixtura.gradients(best, mixtura.sweep(best, X)):
        assert abs(weight) < 1e-6
        assert np.abs(mean * deviations).max() < 1e-5


def test_gradient_steps_keep_covariances_positive_definite() -> None:
    """Even a rate far too large: every step is a valid mixture (the constructor checks) and none is NaN."""
    X = reference("faithful")
    start = mixtura.start(X, 3, "full", random_state=0)
    for step in trace(X, start, GradientAscent(50.0), 60):
        checked = mixtura.Mixture(step.mixture.weights, step.mixture.means, step.mixture.covariances)
        assert np.linalg.eigvalsh(checked.matrices).min() > 0 and np.isfinite(step.log_likelihood)


def test_collapsing_components_are_repaired_and_told(family: Family) -> None:
    """Ten copies of one row among others: a component that starts on them would have no covariance at all."""
    X = np.vstack([np.random.default_rng(0).normal(size=(50, 2)), np.full((10, 2), 7.0)])
    covariances = np.broadcast_to(family.moment.keep(np.eye(2) * 1e-3) / family.moment.divisor(2), family.shape(2, 2))
    start = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [7.0, 7.0]], covariances, family)
    if "V" not in family.code[:2]:  # volume and shape are those of all rows: there is nothing to collapse
        result = mixtura.fit(X, start)
    else:
        with pytest.warns(mixtura.errors.RepairWarning, match="collapsed"):
            result = mixtura.fit(X, start)
        assert any(event.kind == "repair" for _, event in result.events)
    assert result.converged and np.isfinite(result.log_likelihood)
    assert np.linalg.eigvalsh(result.mixture.matrices).min() > 0


def test_components_that_lose_their_rows_are_reseeded(family: Family) -> None:
    X = overlapping(200, 2, 2, seed=27)
    start = mixtura.start(X, 2, family, random_state=0)
    means = np.vstack([start.means, X.mean(axis=0) + 1e4 * X.std(axis=0)])
    covariances = start.covariances if family.pooled else np.concatenate([start.covariances, start.covariances[:1]])
    lost = mixtura.Mixture([0.4, 0.4, 0.2], means, covariances, family)
    with pytest.warns(mixtura.errors.RepairWarning, match="component 2 lost its rows"):
        result = mixtura.fit(X, lost)
    assert result.log_likelihood >= mixtura.fit(X, start).log_likelihood - 1e-6
    assert (result.mixture.weights * 200 > 1).all()


def test_special_families_are_contained_in_general_ones() -> None:
    X = overlapping(50, 3, 2, seed=29)
    for special, general in itertools.product(ALL, ALL):
        mixture = some_mixture(special, 2, 3)
        if general.nests(special):
            np.testing.assert_allclose(mixture.to_family(general).log_density(X), mixture.log_density(X), rtol=1e-12)
        else:
            with pytest.raises(mixtura.errors.ParameterError, match="not always"):
                mixture.to_family(general)


@pytest.mark.parametrize(
    ("code", "formula"),
    [
        ("EII", lambda K, D: 1),
        ("VII", lambda K, D: K),
        ("EEI", lambda K, D: D),
        ("VVI", lambda K, D: K * D),
        ("EEE", lambda K, D: D * (D + 1) // 2),
        ("VVV", lambda K, D: K * D * (D + 1) // 2),
    ],
)
def test_parameter_counts(code: str, formula: object) -> None:
    for K, D in itertools.product((1, 2, 5), (1, 2, 7)):
        assert FAMILIES[code].n_covariance_parameters(K, D) == formula(K, D)  # type: ignore[operator]
        assert FAMILIES[code].n_parameters(K, D) == formula(K, D) + K * D + K - 1  # type: ignore[operator]


def test_pooled_second_moments_are_the_sum_of_the_others(family: Family) -> None:
    X, mixture = overlapping(80, 3, 2, seed=31), some_mixture(family, 2, 3)
    kept = mixtura.sweep(mixture, X).repivot(mixture.means).second
    whole = mixtura.sweep(mixture, X, moment=MATRIX).repivot(mixture.means).second
    expected = family.moment.keep(whole)
    np.testing.assert_allclose(kept, expected.sum(axis=0) if family.pooled else expected, rtol=1e-9, atol=1e-9 * np.abs(whole).max())
