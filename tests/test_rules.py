"""The rules one by one: what each promises beyond the laws that all go through."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
from cases import overlapping, reference, some_mixture

import mixtura
from mixtura.errors import ParameterError
from mixtura.families import ALL, FAMILIES, USUAL, Family
from mixtura.rules import EM, MAP, Fixed, GradientAscent, NaturalGradient, Online, Prior, Rule, Squarem, rule_of
from mixtura.rules.maximising import maximise
from mixtura.rules.natural import expected_statistics


def steps_of(X: np.ndarray, start: mixtura.Mixture, rule: Rule, count: int) -> list[mixtura.Step]:
    return list(itertools.islice(mixtura.iterate(X, start, rule), count))


def shaken(start: mixtura.Mixture, X: np.ndarray) -> mixtura.Mixture:
    """A worse start: its means moved by a third of a deviation, its weights all alike."""
    return mixtura.Mixture(np.full(start.K, 1 / start.K), start.means + 0.3 * X.std(axis=0), start.covariances, start.family)


def same(a: mixtura.Mixture, b: mixtura.Mixture, tolerance: float) -> None:
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=tolerance, atol=tolerance * np.abs(getattr(b, name)).max())


# natural gradient


def test_a_whole_natural_step_is_em(family: Family) -> None:
    X = overlapping(200, 3, 3, seed=1)
    start = mixtura.start(X, 3, family, random_state=0)
    for natural, em in zip(steps_of(X, start, NaturalGradient(1.0), 10), steps_of(X, start, EM(), 10), strict=True):
        same(natural.mixture, em.mixture, 1e-12)


def test_what_a_mixture_expects_is_the_mixture(family: Family) -> None:
    """The M-step of its own expectations gives it back: the natural gradient of size 0 stands still."""
    mixture = some_mixture(family, 3, 3)
    expected = expected_statistics(mixture, mixtura.sweep(mixture, overlapping(50, 3, 3, seed=2)))
    same(maximise(family, expected, mixtura.regularisation.Floor())[0], mixture, 1e-13)


def test_a_small_natural_step_goes_along_the_fisher_preconditioned_gradient(family: Family) -> None:
    """By differences: to first order the step moves weights, means and covariances by eta times (EM's target less what is there), where means
    move by n_k / (n pi_k) of that way, since expectation parameters hold them times their weight."""
    X, mixture, eta = overlapping(150, 2, 2, seed=3), some_mixture(family, 2, 2, spread=1.0), 1e-6
    mixture = mixtura.Mixture(mixture.weights, mixture.means * X.std(axis=0), mixture.covariances * X.var(axis=0).min(), family)
    statistics = mixtura.sweep(mixture, X)
    moved = NaturalGradient(eta).update(mixture, statistics, NaturalGradient(eta).initial(mixture)).mixture
    share = statistics.counts / statistics.counts.sum()
    np.testing.assert_allclose((moved.weights - mixture.weights) / eta, share - mixture.weights, rtol=1e-4, atol=1e-6)
    pull = (share / mixture.weights)[:, None] * (statistics.means - mixture.means)
    np.testing.assert_allclose((moved.means - mixture.means) / eta, pull, rtol=1e-3, atol=1e-4 * np.abs(pull).max())


# MAP


def test_the_mode_with_one_component_has_the_closed_form(family: Family) -> None:
    """Fraley & Raftery (2007): (Lambda + W) / (n + nu + D + 2) with nu = D + 2, and the same for variances; the means agree, so theirs is 0."""
    X, D = overlapping(40, 3, 2, seed=4), 3
    mode = mixtura.fit(X, mixtura.start(X, 1, family), MAP()).mixture
    covariance = np.cov(X.T, bias=True)
    W, nu = 40 * covariance, D + 2
    expected = {
        2: (W + mixtura.sweep(mode, X, moment=mixtura.moments.MATRIX).data_covariance) / (40 + nu + D + 2),
        1: (np.diag(W) + np.diag(covariance)) / (40 + nu + 3),
        0: (np.trace(W) + np.trace(covariance) / D) / (40 * D + nu + 2 + D),
    }[family.moment.axes]
    np.testing.assert_allclose(mode.means[0], X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(mode.covariances if family.pooled else mode.covariances[0], expected, rtol=1e-9)


def test_the_mode_is_a_maximum_of_likelihood_times_prior(family: Family) -> None:
    """Any small change of any parameter lowers the objective, with a prior that says something of each."""
    X = overlapping(120, 2, 2, seed=5)
    believed = mixtura.start(X[::3], 2, family, random_state=0)
    rule = MAP(believed, relevance=30)
    mode = mixtura.fit(X, mixtura.start(X, 2, family, random_state=1), rule, tol=0, max_steps=5000).mixture

    def objective(mixture: mixtura.Mixture) -> float:
        return rule.objective(mixture, mixtura.sweep(mixture, X), rule.initial(mixture))

    top, rng = objective(mode), np.random.default_rng(0)
    for _ in range(20):
        weights = mode.weights * np.exp(1e-3 * rng.normal(size=2))
        shape = mode.covariances.shape
        change = rng.normal(size=shape)
        if family.moment.axes == 2:
            L = np.linalg.cholesky(mode.covariances)
            change = L @ (change + change.swapaxes(-1, -2)) @ L.swapaxes(-1, -2)
        else:
            change = change * mode.covariances
        means = mode.means + 1e-3 * X.std(axis=0) * rng.normal(size=(2, 2))
        covariances = family.project(mode.covariances + 1e-3 * change, weights, 2)
        assert objective(mixtura.Mixture(weights / weights.sum(), means, covariances, family)) < top


def test_a_mixture_as_prior_adapts_as_reynolds_does() -> None:
    """Reynolds, Quatieri & Dunn (2000), eq. 11 to 13, one step: alpha_k = n_k / (n_k + r), for means and variances."""
    X, background = overlapping(200, 2, 3, seed=6), some_mixture(FAMILIES["diag"], 3, 2)
    posterior = background.posterior(X)
    n, r = posterior.sum(axis=0), 16.0
    first, second = posterior.T @ X / n[:, None], posterior.T @ X**2 / n[:, None]
    alpha = (n / (n + r))[:, None]
    means = alpha * first + (1 - alpha) * background.means
    variances = alpha * second + (1 - alpha) * (background.covariances + background.means**2) - means**2
    adapted = mixtura.adapt(background, X, relevance=r, max_steps=1)
    np.testing.assert_allclose(adapted.means, means, rtol=1e-10)
    np.testing.assert_allclose(adapted.covariances, variances, rtol=1e-10)
    np.testing.assert_allclose(adapted.weights, (n + 3 * r * background.weights) / (200 + 3 * r), rtol=1e-10)


def test_adapting_to_nothing_new_changes_nothing_and_to_much_is_em(family: Family) -> None:
    background = some_mixture(family, 2, 2)
    few = background.sample(3, random_state=0)[0]
    same(mixtura.adapt(background, few, relevance=1e9), background, 1e-6)
    many = background.sample(4000, random_state=1)[0]
    same(mixtura.adapt(background, many, relevance=1e-9, max_steps=5), steps_of(many, background, EM(), 6)[-1].mixture, 1e-6)


def test_adapting_some_parameters_leaves_the_others(family: Family) -> None:
    background = some_mixture(family, 3, 2)
    X = background.sample(300, random_state=0)[0] + 0.5
    adapted = mixtura.adapt(background, X, parameters=("means",))
    np.testing.assert_array_equal(adapted.weights, background.weights)
    np.testing.assert_array_equal(adapted.covariances, background.covariances)
    assert (np.abs(adapted.means - background.means) > 1e-3).all()


def test_the_weak_prior_keeps_a_component_of_equal_rows_off_its_singularity(family: Family) -> None:
    X = np.concatenate([overlapping(40, 2, 1, seed=7), np.repeat([[50.0, 500.0]], 10, axis=0)])
    start = mixtura.start(X, 2, family, random_state=0)
    result = mixtura.fit(X, start, MAP(), max_steps=5000)  # a RepairWarning would be an error here
    assert result.converged and not result.events


# fixed


@pytest.mark.without(
    where=lambda family, rule: rule is GradientAscent and family.constraint is not None
)  # components share part of their covariances
@pytest.mark.parametrize("rule", [EM, MAP, NaturalGradient, GradientAscent, Online], ids=lambda rule: rule.__name__)
def test_fixed_parts_stay_and_the_others_move(family: Family, rule: type[Rule]) -> None:
    X = overlapping(300, 2, 3, seed=8)
    start = mixtura.start(X, 3, family, random_state=0)
    start = mixtura.Mixture([0.2, 0.5, 0.3], start.means + 0.3 * X.std(axis=0), start.covariances, family)
    shared = [True] * 3 if family.coupled else [False, True, False]
    fixed = {"weights": [True, False, False], "means": [False, True, True], "covariances": shared}
    options = {"learning_rate": 0.1} if rule is GradientAscent else {"batch_rows": 100} if rule is Online else {}
    end = steps_of(X, start, rule(**options, fixed=fixed), 5)[-1].mixture
    assert end.weights[0] == 0.2 and end.weights.sum() == pytest.approx(1, abs=1e-15)
    np.testing.assert_array_equal(end.means[1:], start.means[1:])
    kept = ... if family.coupled else 1
    np.testing.assert_array_equal(end.covariances[kept], start.covariances[kept])
    assert end.weights[1] != 0.5 and (end.means[0] != start.means[0]).all()
    if not family.coupled:
        assert (np.abs(end.covariances[[0, 2]] - start.covariances[[0, 2]]) > 0).any()


def test_fixed_optimum_is_the_same_by_em_and_by_the_gradient(family: Family) -> None:
    """Both climb the likelihood on the parameters that are left free, and never fall; where there is no gradient, EM and its acceleration."""
    X = overlapping(300, 2, 3, seed=9)
    start = mixtura.start(X, 3, family, random_state=0)
    start = mixtura.Mixture([0.2, 0.5, 0.3], start.means, start.covariances, family)  # a weight that no rows would choose
    fixed = {"weights": [False, True, False], "means": [True, False, False]}
    em = mixtura.fit(X, start, EM(fixed=fixed), tol=1e-12, max_steps=20_000)
    assert (np.diff(em.log_likelihoods) > -1e-12).all()
    if family.constraint is None:
        ascent = mixtura.fit(X, start, GradientAscent(0.5, fixed=fixed), tol=1e-12, max_steps=50_000)
        assert ascent.log_likelihood == pytest.approx(em.log_likelihood, abs=1e-7)
    accelerated = mixtura.fit(X, start, Squarem(EM(fixed=fixed), patience=2), tol=1e-12, max_steps=20_000)
    assert accelerated.log_likelihood == pytest.approx(em.log_likelihood, abs=1e-7)
    assert accelerated.mixture.weights[1] == start.weights[1]


def test_fixed_means_have_their_scatter_about_them() -> None:
    """One component with a fixed mean has the closed form: the second moment about that mean."""
    X = overlapping(60, 2, 1, seed=10)
    start = mixtura.Mixture([1.0], [[1.0, 2.0]], np.cov(X.T)[None])
    result = mixtura.fit(X, start, EM(fixed={"means": [True]})).mixture
    np.testing.assert_allclose(result.covariances[0], (X - [1.0, 2.0]).T @ (X - [1.0, 2.0]) / 60, rtol=1e-12)


def test_components_with_fixed_parts_are_not_reseeded() -> None:
    X = overlapping(100, 1, 1, seed=11)
    start = mixtura.Mixture([0.5, 0.5], [X.mean(axis=0), [1e6]], np.full((2, 1, 1), X.var()))
    fixed = steps_of(X, start, EM(fixed={"means": [False, True]}), 3)[-1]
    assert fixed.mixture.means[1] == 1e6
    free = steps_of(X, start, EM(), 3)[1]
    assert free.mixture.means[1] != 1e6 and "re-seeded" in free.events[0].message


def test_some_fixed_covariances_are_refused_where_components_share_part_of_them(family: Family) -> None:
    rule, start = EM(fixed={"covariances": [True, False]}), some_mixture(family, 2, 2)
    if family.coupled:
        with pytest.raises(ParameterError, match="got flags that differ, but all components share .* try a family of covariances of their own"):
            rule.initial(start)
    else:
        rule.initial(start)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"scales": [True]}, "expected masks by the names"),
        ({"means": [1, 0]}, r"fixed\['means'\] is not usable"),
        ({"means": True}, r"fixed\['means'\] is not usable"),
        ([True, False], "fixed is not usable"),
        ({"means": [True]}, "got 1 flags, expected 2"),
        ({"covariances": [True, False]}, "all components share one covariance"),
    ],
)
def test_fixed_refuses(fixed: object, message: str) -> None:
    start = some_mixture(FAMILIES["tied"], 2, 1)
    with pytest.raises(ParameterError, match=message):
        next(mixtura.iterate([[0.0], [1.0]], start, EM(fixed=fixed)))  # type: ignore[arg-type]


# Squarem


def problem(seed: int, families: Sequence[Family]) -> tuple[np.ndarray, mixtura.Mixture]:
    """A small problem of one of these families, any size and overlap, and a start that is good or bad."""
    rng = np.random.default_rng(seed)
    N, D, K = int(rng.integers(60, 500)), int(rng.integers(1, 5)), int(rng.integers(2, 6))
    centres = rng.normal(scale=rng.uniform(0.7, 2.5), size=(K, D))
    X = centres[rng.integers(K, size=N)] + rng.normal(size=(N, D)) @ (np.eye(D) + 0.3 * rng.normal(size=(D, D)))
    family = families[seed % len(families)]
    if seed % 2:
        return X, mixtura.start(X, K, family, random_state=seed)
    covariance = family.moment.keep(np.cov(X.T, bias=True).reshape(1, D, D)) / family.moment.divisor(D)
    covariances = covariance[0] if family.pooled else np.repeat(covariance, K, axis=0)
    return X, mixtura.Mixture(np.full(K, 1 / K), X[rng.choice(N, K, replace=False)], covariances, family)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::mixtura.errors.RepairWarning")
@pytest.mark.parametrize("decade", range(10))
def test_acceleration_never_ends_below_em(decade: int) -> None:
    """A hundred seeded problems, half of them from bad starts. Both stop with an estimated 1e-9 nats left; estimates may be wrong 100-fold."""
    for seed in range(10 * decade, 10 * decade + 10):
        X, start = problem(seed, ALL)
        source = mixtura.open(X)
        em = mixtura.fit(source, start, EM(), tol=1e-9, max_steps=30_000)
        accelerated = mixtura.fit(source, start, Squarem(EM()), tol=1e-9, max_steps=30_000)
        assert accelerated.log_likelihood >= em.log_likelihood - 1e-7, seed
        assert accelerated.converged


@pytest.mark.long
@pytest.mark.parametrize("seed", [304, 378, 608])
def test_acceleration_does_not_wander_to_another_top(seed: int) -> None:
    """Problems from bad starts on which extrapolations that only must not fall end elsewhere, far below EM."""
    X, start = problem(seed, USUAL)
    em, accelerated = (mixtura.fit(X, start, rule, tol=1e-9, max_steps=30_000).log_likelihood for rule in (EM(), Squarem(EM())))
    assert accelerated >= em - 1e-7


@pytest.mark.long
def test_acceleration_needs_fewer_sweeps_and_knows_when_it_has_arrived() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(5, 2))
    X = centres[rng.integers(5, size=3000)] + rng.normal(size=(3000, 2))
    start = mixtura.start(X, 5, random_state=0)
    best = mixtura.fit(X, start, tol=1e-11, max_steps=50_000).log_likelihood
    for tol in (1e-5, 1e-7):
        plain, accelerated = (mixtura.fit(X, start, rule, tol=tol, max_steps=20_000) for rule in (EM(), Squarem(EM(), tol=tol)))
        assert plain.n_steps > 100 and accelerated.n_steps < plain.n_steps / 2
        assert best - accelerated.log_likelihood < 3 * tol


def test_acceleration_waits_until_em_is_slow() -> None:
    """With well separated components it is EM, bit for bit."""
    X = reference("faithful")
    start = mixtura.start(X, 2, random_state=0)
    plain, accelerated = (mixtura.fit(X, start, rule) for rule in (EM(), Squarem(EM())))
    assert plain.log_likelihoods == accelerated.log_likelihoods


def test_acceleration_survives_repairs_and_the_floor() -> None:
    X = np.concatenate([overlapping(60, 2, 1, seed=12), np.repeat([[50.0, 500.0]], 10, axis=0)])
    start = mixtura.start(X, 3, random_state=0)
    with pytest.warns(mixtura.errors.RepairWarning):
        result = mixtura.fit(X, start, Squarem(EM(), patience=0), tol=1e-8)
    assert np.isfinite(result.mixture.covariances).all() and result.converged


@pytest.mark.parametrize("rule", [NaturalGradient(), GradientAscent(), Online(), Squarem(), "em"], ids=str)
def test_only_em_and_map_are_accelerated(rule: object) -> None:
    with pytest.raises(ParameterError, match="cannot be accelerated"):
        Squarem(rule)  # type: ignore[arg-type]


# online


def test_online_ends_near_batch_em_and_repeats(family: Family) -> None:
    X = overlapping(20_000, 3, 3, seed=13) / np.geomspace(0.1, 30.0, 3)
    start = shaken(mixtura.start(X, 3, family, random_state=0), X)
    rule = Online(batch_rows=500, passes=4, seed=3)
    em, online, again = (mixtura.fit(X, start, one, tol=1e-10, max_steps=5000) for one in (EM(), rule, rule))
    assert online.n_steps == 4 and online.converged
    assert 0 <= em.log_likelihood - online.log_likelihood < 1e-3
    same(online.mixture, again.mixture, 0.0)
    other = mixtura.fit(X, start, Online(batch_rows=500, passes=4, seed=4), tol=1e-10)
    assert not np.array_equal(other.mixture.means, online.mixture.means)


@pytest.mark.long
def test_averaging_is_worth_its_name() -> None:
    """Polyak's average is nearer to the optimum than where the last batch left off, in each of ten orders."""
    X = overlapping(20_000, 2, 3, seed=14)
    start = shaken(mixtura.start(X, 3, random_state=0), X)
    em = mixtura.fit(X, start, EM(), tol=1e-10, max_steps=5000).log_likelihood
    gaps = np.array(
        [
            [em - mixtura.fit(X, start, Online(200, passes=3, seed=seed, average=average), tol=0).log_likelihood for average in (True, False)]
            for seed in range(10)
        ]
    )
    assert (gaps[:, 0] < gaps[:, 1]).all()


def test_online_follows_rows_that_drift() -> None:
    """Two means that move apart by 0.01 a batch: with a forgetting of 1/10 the lag is that of ten batches, and without it they are lost."""
    rng = np.random.default_rng(0)
    start = mixtura.Mixture([0.5, 0.5], [[-2.0], [2.0]], [[[1.0]], [[1.0]]])

    def lag(rule: Online) -> float:
        mixture, state = start, rule.initial(start)
        for t in range(400):
            at = 2 + 0.01 * t
            batch = rng.normal(size=(500, 1)) + np.repeat([[-at], [at]], 250, axis=0)
            mixture, state, *_ = rule.update(mixture, mixtura.sweep(mixture, batch), state)
        return float(at - mixture.means.max())

    assert abs(lag(Online(forgetting=0.1)) - 0.01 * 9) < 0.05  # the mean age of an exponential memory: (1 - f) / f batches
    assert lag(Online(exponent=1.0, offset=1.0)) > 1.0


def test_an_exponent_of_one_weighs_all_batches_alike() -> None:
    """The running sums are then the plain mean of the batches' sums."""
    rule, mixture = Online(exponent=1.0, offset=1.0), some_mixture(FAMILIES["full"], 2, 2)
    batches = [mixtura.sweep(mixture, overlapping(30, 2, 2, seed=seed)) for seed in range(5)]
    state = rule.initial(mixture)
    for batch in batches:
        state = rule.update(mixture, batch, state).state
    mean = sum(batches).scale(1 / 5)  # type: ignore[union-attr]
    np.testing.assert_allclose(state.running.counts, mean.counts, rtol=1e-12)
    np.testing.assert_allclose(state.running.means, mean.means, rtol=1e-12)
    np.testing.assert_allclose(state.running.scatter, mean.scatter, rtol=1e-10)


def test_batches_hold_every_row_of_positive_weight_once() -> None:
    X, weights = np.arange(101.0)[:, None], np.random.default_rng(0).integers(0, 3, size=101).astype(float)
    source = mixtura.open(X, weight=weights)
    batches = list(source.batches(20, [0, 1]))
    assert {len(batch.X) for batch in batches} <= {13, 14, 15, 16, 17, 18, 19, 20}
    seen = np.concatenate([batch.X[:, 0] for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), X[weights > 0, 0])
    np.testing.assert_array_equal(np.concatenate([batch.weights for batch in batches]), weights[seen.astype(int)])
    assert all(batch.frame(False) is not None and np.array_equal(batch.frame(False).scale, source.frame(False).scale) for batch in batches)


# what is refused, and what travels


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NaturalGradient(0.0), "learning_rate is not usable: got 0.0"),
        (lambda: NaturalGradient(1.5), "try 0.5, or 1 for EM"),
        (lambda: NaturalGradient("fast"), "got 'fast'"),
        (lambda: Online(0), "batch_rows is not usable"),
        (lambda: Online(passes=0), "passes is not usable"),
        (lambda: Online(exponent=0.5), "0.5 < exponent <= 1"),
        (lambda: Online(offset=0), "offset is not usable"),
        (lambda: Online(forgetting=1.0), "forgetting is not usable"),
        (lambda: MAP("strong"), "prior is not usable: got 'strong'"),
        (lambda: MAP(relevance=0), "relevance is not usable"),
        (lambda: Squarem(patience=-1), "patience is not usable"),
        (lambda: rule_of("em", learning_rate=0.1), "has no learning rate"),
        (lambda: rule_of(EM(), fixed={"means": [True]}), "says itself what is fixed"),
        (lambda: Fixed.of({"means": ["yes"]}), "expected True or False"),
        (lambda: mixtura.adapt(some_mixture(FAMILIES["full"], 2, 1), [[0.0], [1.0]], parameters=("shape",)), "parameters is not usable"),
    ],
)
def test_refuses(make: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()  # type: ignore[operator]


def test_a_prior_that_does_not_fit_is_refused() -> None:
    start = some_mixture(FAMILIES["full"], 2, 2)
    for other in (some_mixture(FAMILIES["full"], 3, 2), some_mixture(FAMILIES["diag"], 2, 2), some_mixture(FAMILIES["full"], 2, 3)):
        with pytest.raises(ParameterError, match="the prior does not fit"):
            MAP(other).initial(start)
    assert isinstance(MAP(Prior.of_mixture(start)).initial(start).prior, Prior)


@pytest.mark.parametrize("rule", [Squarem(), MAP(), NaturalGradient(), Online(), EM(fixed={"means": [True, False]})], ids=lambda r: type(r).__name__)
def test_rules_pickle_and_compare(rule: Rule) -> None:
    assert pickle.loads(pickle.dumps(rule)) == rule
