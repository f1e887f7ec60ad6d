"""Rules that follow the gradient: the optimum they reach, what they take back, what they remember, and how SciPy's thread ends."""

from __future__ import annotations

import functools
import gc
import itertools
import math
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from cases import FREE, overlapping, reference, some_mixture

import mixtura
from mixtura.errors import InterruptionWarning, ParameterError
from mixtura.families import FAMILIES, Family
from mixtura.regularisation import Floor, Ridge
from mixtura.rules import EM, LBFGS, Cosine, Exponential, Fixed, GradientAscent, Power, Rule, Schedule, rule_of
from mixtura.rules.conversation import Conversation
from mixtura.rules.coordinates import Chart, Coordinates
from mixtura.rules.lifted import LiftedChart
from mixtura.rules.line_search import Answer, Question, climb
from mixtura.rules.metric import Metric
from mixtura.rules.optimizers import OPTIMIZERS

WHOLE = {
    "sgd": GradientAscent(0.5),
    "momentum": GradientAscent(0.2, "momentum"),
    "adam": GradientAscent(0.05, "adam"),
    "lbfgs": LBFGS(),
    "lbfgs at once": LBFGS(patience=0),
}
CLOSE = {"lbfgs": 1e-8, "lbfgs at once": 1e-8}  # nats per row from EM's optimum; 1e-6 for the others
MASKS: list[dict[str, list[bool]]] = [
    {},
    {"weights": [True, False, False]},
    {"weights": [True, True, True]},
    {"means": [False, True, True]},
    {"covariances": [True, True, True]},
]


@pytest.fixture(params=FREE, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> Family:
    """Every family whose covariances have a gradient of their own."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=WHOLE, ids=lambda name: name.replace(" ", "-"))
def name(request: pytest.FixtureRequest) -> str:
    """Every rule that sees all rows at once, in turn."""
    return str(request.param)


def trace(X: np.ndarray, start: mixtura.Mixture, rule: Rule, steps: int, **options: Any) -> list[mixtura.Step]:
    return list(itertools.islice(mixtura.iterate(X, start, rule, **options), steps))


def shaken(start: mixtura.Mixture, X: np.ndarray) -> mixtura.Mixture:
    return mixtura.Mixture(start.weights, start.means + 0.3 * X.std(axis=0), start.covariances, start.family)


def test_all_reach_the_optimum_of_em(family: Family, name: str) -> None:
    X = overlapping(300, 2, 2, seed=11)
    start = shaken(mixtura.start(X, 2, family, random_state=0), X)
    best = mixtura.fit(X, start, EM(), tol=1e-12, max_steps=20_000).log_likelihood
    found = mixtura.fit(X, start, WHOLE[name], tol=1e-9, max_steps=5_000)
    assert found.converged
    assert abs(found.log_likelihood - best) < CLOSE.get(name, 1e-6)


def test_what_is_told_to_remain_is_about_what_remains(family: Family, name: str) -> None:
    """The estimates extrapolate a pace that still changes: momentum ripples, so that seven times the tolerance were seen."""
    X = overlapping(300, 2, 3, seed=3)
    start = mixtura.start(X, 3, family, random_state=0)
    found = mixtura.fit(X, start, WHOLE[name], tol=1e-5, max_steps=5_000)
    further = max(step.log_likelihood for step in trace(X, found.mixture, LBFGS(), 150))
    assert found.converged
    assert further - found.log_likelihood < 1e-4


def test_what_is_fixed_stays_and_the_rest_reaches_the_optimum_of_em(name: str) -> None:
    X = overlapping(300, 2, 2, seed=11)
    start = shaken(mixtura.start(X, 2, "full", random_state=0), X)
    masks = {"weights": [True, False], "means": [False, True], "covariances": [True, False]}
    rule = WHOLE[name]
    settings = {"patience": rule.patience} if isinstance(rule, LBFGS) else {"learning_rate": rule.learning_rate, "optimizer": rule.optimizer}
    found = mixtura.fit(X, start, type(rule)(**settings, fixed=masks), tol=1e-9, max_steps=5_000)
    best = mixtura.fit(X, start, EM(fixed=masks), tol=1e-12, max_steps=20_000)
    assert abs(found.log_likelihood - best.log_likelihood) < CLOSE.get(name, 1e-6)
    np.testing.assert_allclose(found.mixture.weights, start.weights, rtol=1e-15)
    np.testing.assert_array_equal(found.mixture.means[1], start.means[1])
    np.testing.assert_array_equal(found.mixture.covariances[0], start.covariances[0])
    assert np.abs(found.mixture.means[0] - start.means[0]).max() > 1e-3


@pytest.mark.parametrize("masks", MASKS, ids=lambda masks: "-".join(masks) or "free")
@pytest.mark.parametrize("lifted", [False, True], ids=["chart", "lifted"])
def test_gradient_by_the_coordinates_against_differences(family: Family, masks: dict[str, list[bool]], lifted: bool) -> None:
    """Central differences with a step of 1e-5 err by about 1e-10 of third derivatives, and by rounding of 1e-16 / 1e-5."""
    mixture, X, h = some_mixture(family, 3, 3, seed=4), some_mixture(family, 3, 3, seed=5).sample(50, random_state=0)[0], 1e-5
    statistics, fixed = mixtura.sweep(mixture, X), Fixed.of(masks)
    chart = LiftedChart.of(family, statistics, Floor(0.05), fixed) if lifted else Chart.of(statistics, fixed)
    here = chart.to_coordinates(mixture)
    gradient = chart.gradient(mixture, statistics)
    zero = gradient.like(np.zeros_like(gradient.flat))
    np.testing.assert_array_equal(fixed.keep_means(zero.means, gradient.means), 0)
    np.testing.assert_array_equal(fixed.keep_covariances(zero.factors, gradient.factors), 0)
    rng = np.random.default_rng(0)
    for _ in range(6):
        direction = rng.normal(size=here.flat.shape)
        up, down = (chart.from_coordinates(here.like(here.flat + sign * h * direction), mixture).score(X) for sign in (1, -1))
        lower = here._replace(factors=np.tril(np.ones_like(here.factors)) if family.moment.axes == 2 else np.ones_like(here.factors))
        inside = gradient.flat * np.concatenate([np.ones(here.logits.size + here.means.size), lower.factors.ravel()])
        assert inside @ direction == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-8)


def test_whoever_lowers_the_likelihood_says_so_at_the_next_step(family: Family, name: str) -> None:
    X = overlapping(300, 3, 4, seed=7)
    start = shaken(mixtura.start(X, 4, family, random_state=0), X)
    steps = trace(X, start, WHOLE[name], 60)
    values = np.array([step.log_likelihood for step in steps])
    noted = np.array([any(event.kind == "note" for event in step.events) for step in steps])
    falls = np.diff(values) < -1e-12 * np.abs(values).max()
    assert noted[2:][falls[:-1]].all()
    assert values[-1] > values[0] + 0.01


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_that_falls_is_taken_back(optimizer: str) -> None:
    """After a fall the next step starts from the best mixture so far: within LONGEST of it, along every coordinate."""
    X = reference("faithful")
    steps = trace(X, mixtura.start(X, 3, "diag", random_state=0), GradientAscent(20.0, optimizer), 80)
    chart = Chart.of(steps[0].statistics, Fixed())
    fallen = 0
    best = steps[0]
    for before, step in itertools.pairwise(steps):
        if before.log_likelihood < best.log_likelihood - 1e-12:
            fallen += 1
            apart = (
                chart.to_coordinates(step.mixture)._replace(logits=np.zeros(0)).flat
                - chart.to_coordinates(best.mixture)._replace(logits=np.zeros(0)).flat
            )
            assert np.abs(apart).max() <= 1 + 1e-9
        else:
            best = before
    assert fallen > 3


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_mini_batches_come_near_the_optimum(family: Family, optimizer: str) -> None:
    """Within 2e-3 nats per row after ten passes: a hundredth of what the start lacks, and what 4000 rows know is no finer (parameters / 2n)."""
    X = overlapping(4_000, 2, 2, seed=13)
    start = shaken(mixtura.start(X, 2, family, random_state=0), X)
    best = mixtura.fit(X, start, EM(), tol=1e-10, max_steps=5_000).log_likelihood
    rate = {"sgd": Power(2.0), "momentum": Power(0.3), "adam": Power(0.3)}[optimizer]
    rule = GradientAscent(rate, optimizer, batch_rows=100, passes=10)
    found = mixtura.fit(X, start, rule)
    assert found.converged and found.n_steps == 10
    assert not any(event.kind == "note" for _, event in found.events)
    assert best - found.log_likelihood < 2e-3


def test_mini_batches_are_drawn_by_the_seed() -> None:
    X = overlapping(500, 2, 2, seed=13)
    start = mixtura.start(X, 2, random_state=0)
    once, twice, other = (trace(X, start, GradientAscent(0.1, "adam", batch_rows=50, seed=seed), 3)[-1].mixture.means for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, twice)
    assert (once != other).any()


def test_coordinates_mean_the_same_for_every_batch() -> None:
    """The chart is that of the first batch, though the second has other centres and scales."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(50, 2)), 100 + 7 * rng.normal(size=(50, 2))
    rule, mixture = GradientAscent(0.1, "momentum", batch_rows=50), some_mixture(FAMILIES["diag"], 2, 2)
    step = rule.update(mixture, mixtura.sweep(mixture, first), rule.initial(mixture))
    after = rule.update(step.mixture, mixtura.sweep(step.mixture, second), step.state)
    np.testing.assert_array_equal(after.state.ground.chart.scale, step.state.ground.chart.scale)
    np.testing.assert_allclose(after.state.ground.chart.centre, first.mean(axis=0))


def test_a_rate_far_too_large_leaves_valid_mixtures(family: Family) -> None:
    """Even with a column that is the sum of others, whose covariances at the floor are at the end of float64."""
    X = overlapping(120, 2, 3, seed=5)
    X = np.column_stack([X, X.sum(axis=1)])
    start = mixtura.start(X, 3, family, random_state=0)
    for optimizer, batch_rows in itertools.product(OPTIMIZERS, (None, 5)):
        steps = trace(X, start, GradientAscent(1e6, optimizer, batch_rows=batch_rows), 12)
        assert np.isfinite([step.log_likelihood for step in steps]).all()


def test_first_directions_by_hand() -> None:
    g, h = np.array([2.0, -0.5]), np.array([1.0, 4.0])
    plain = OPTIMIZERS["sgd"]
    np.testing.assert_array_equal(plain.update(g, plain.init(g))[0], g)
    momentum = OPTIMIZERS["momentum"]  # v1 = g, d1 = g + 0.9 g; v2 = h + 0.9 g, d2 = h + 0.9 v2
    first, memory = momentum.update(g, momentum.init(g))
    second, _ = momentum.update(h, memory)
    np.testing.assert_allclose(first, 1.9 * g)
    np.testing.assert_allclose(second, 1.9 * h + 0.81 * g)
    adam = OPTIMIZERS["adam"]
    first, memory = adam.update(g, adam.init(g))
    second, _ = adam.update(h, memory)
    np.testing.assert_allclose(first, g / (np.abs(g) + 1e-8))
    m, v = (0.09 * g + 0.1 * h) / (1 - 0.81), (0.000999 * g**2 + 0.001 * h**2) / (1 - 0.998001)
    np.testing.assert_allclose(second, m / (np.sqrt(v) + 1e-8), rtol=1e-12)


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 1.0), ("momentum", 1.9)])
def test_the_first_step_goes_so_far_along_the_gradient(optimizer: str, factor: float) -> None:
    X = reference("faithful")
    start = mixtura.start(X, 2, "full", random_state=0)
    before, after = trace(X, shaken(start, X), GradientAscent(0.01, optimizer), 2)
    chart = Chart.of(before.statistics, Fixed())
    here, there = chart.to_coordinates(before.mixture), chart.to_coordinates(after.mixture)
    gradient = chart.gradient(before.mixture, before.statistics)
    np.testing.assert_allclose(there.means, here.means + 0.01 * factor * gradient.means, rtol=1e-10)
    np.testing.assert_allclose(there.factors, here.factors + 0.01 * factor * gradient.factors, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Power(0.5, 0.5, 1.0), {0: 0.5, 3: 0.25, 99: 0.05}),
        (Power(), {0: 2**-0.7, 98: 100**-0.7}),
        (Exponential(0.8, 10), {0: 0.8, 10: 0.4, 25: 0.8 * 2**-2.5}),
        (Cosine(0.2, 10, 0.1), {0: 0.2, 5: 0.15, 10: 0.1, 1000: 0.1}),
    ],
    ids=repr,
)
def test_schedules(schedule: Schedule, rates: dict[int, float]) -> None:
    for t, rate in rates.items():
        assert schedule(t) == pytest.approx(rate, rel=1e-12)
    assert pickle.loads(pickle.dumps(schedule)) == schedule


def test_schedules_and_functions_set_the_rate_of_each_update() -> None:
    X = overlapping(100, 2, 2, seed=1)
    start = shaken(mixtura.start(X, 2, "diag", random_state=0), X)
    seen: list[int] = []

    def rate(t: int) -> float:
        seen.append(t)
        return 0.1 * 2 ** (-t / 5)

    by_function, by_schedule = trace(X, start, GradientAscent(rate), 8)[-1], trace(X, start, GradientAscent(Exponential(0.1, 5)), 8)[-1]
    assert seen == list(range(7))
    np.testing.assert_array_equal(by_function.mixture.means, by_schedule.mixture.means)


def test_weight_two_is_a_row_twice(family: Family, name: str) -> None:
    X = overlapping(120, 2, 2, seed=19)
    weights = np.random.default_rng(0).integers(0, 4, size=120)
    start = shaken(mixtura.start(X, 2, family, random_state=0), X)
    weighted = trace(X, start, WHOLE[name], 8, sample_weight=weights)
    plain = trace(np.repeat(X, weights, axis=0), start, WHOLE[name], 8)
    for one, other in zip(weighted, plain, strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-9)


def test_the_same_bits_twice(family: Family, name: str) -> None:
    X = overlapping(200, 3, 3, seed=17)
    start = mixtura.start(X, 3, family, random_state=0)
    once, twice = trace(X, start, WHOLE[name], 25)[-1], trace(X, start, pickle.loads(pickle.dumps(WHOLE[name])), 25)[-1]
    np.testing.assert_array_equal(once.mixture.means, twice.mixture.means)
    np.testing.assert_array_equal(once.mixture.covariances, twice.mixture.covariances)


def test_lbfgs_needs_fewer_sweeps_than_em_and_em_fewer_than_plain_ascent() -> None:
    X = overlapping(300, 2, 3, seed=3)
    start = mixtura.start(X, 3, random_state=0)
    newton, em, ascent = (mixtura.fit(X, start, rule, tol=1e-7, max_steps=5_000).n_steps for rule in (LBFGS(), EM(), GradientAscent(0.5)))
    assert newton < em / 4 and em < ascent


def test_lbfgs_stays_at_the_optimum_and_says_so(family: Family) -> None:
    X = overlapping(200, 2, 2, seed=25)
    steps = trace(X, mixtura.start(X, 2, family, random_state=0), LBFGS(), 120)
    done = next(step.number for step in steps if step.remaining == 0)
    values = {step.log_likelihood for step in steps[done:]}
    assert len(values) == 1
    assert values.pop() == pytest.approx(max(step.log_likelihood for step in steps), abs=1e-13)
    chart = Chart.of(steps[-1].statistics, Fixed())
    assert np.abs(chart.gradient(steps[-1].mixture, steps[-1].statistics).flat).max() < 1e-5


def test_lbfgs_holds_covariances_at_the_floor_and_tells(family: Family) -> None:
    """Ten copies of one row: the maximum lies at the floor, which LiftedChart knows to FADED, so EM's likelihood is met to about 1e-4 / 2."""
    X = np.vstack([np.random.default_rng(0).normal(size=(50, 2)), np.full((10, 2), 7.0)])
    covariances = np.broadcast_to(family.moment.keep(np.eye(2) * 1e-3) / family.moment.divisor(2), family.shape(2, 2))
    start = mixtura.Mixture([0.5, 0.5], [[0.0, 0.0], [7.0, 7.0]], covariances, family)
    if family.pooled:
        found = mixtura.fit(X, start, LBFGS(patience=0), max_steps=300)
        assert abs(found.log_likelihood - mixtura.fit(X, start, EM()).log_likelihood) < 1e-5
        return
    with pytest.warns(mixtura.errors.RepairWarning, match="collapsed"):
        found = mixtura.fit(X, start, LBFGS(patience=0), max_steps=300)
    with pytest.warns(mixtura.errors.RepairWarning):
        em = mixtura.fit(X, start, EM())
    assert found.converged
    assert abs(found.log_likelihood - em.log_likelihood) < 1e-4
    held = LiftedChart.of(family, found.best.statistics, Floor(), Fixed())
    np.testing.assert_array_equal(held.collapsed(found.mixture), [False, True])


def test_lbfgs_raises_a_start_below_the_floor_and_tells() -> None:
    X = overlapping(200, 2, 2, seed=1)
    start = mixtura.start(X, 2, "diag", random_state=0)
    thin = mixtura.Mixture(start.weights, start.means, start.covariances * [[1e-9], [1.0]], "diag")
    steps = trace(X, thin, LBFGS(patience=0), 60)
    assert steps[1].events[0].kind == "repair" and "component 0" in steps[1].events[0].message
    np.testing.assert_allclose(steps[1].mixture.covariances[0, 0], 2e-6 * X[:, 0].var(), rtol=1e-3)
    assert steps[-1].log_likelihood > steps[1].log_likelihood + 0.01


def test_lifted_covariances_end_at_the_floor_whatever_the_regularisation(family: Family) -> None:
    X = overlapping(100, 2, 2, seed=1)
    mixture = mixtura.start(X, 2, family, random_state=0)
    statistics = mixtura.sweep(mixture, X)
    for regularisation in (Floor(1e-3), Ridge(0.5), Ridge(0.0)):
        chart = LiftedChart.of(family, statistics, regularisation, Fixed())
        here = chart.to_coordinates(mixture)
        lowest = np.where(np.isfinite(chart.lowest(family)), chart.lowest(family), 0.0)
        bottom = chart.from_coordinates(here._replace(factors=np.broadcast_to(lowest, here.factors.shape)), mixture)
        zero = np.zeros((1, *family.moment.shape(2)))
        floor = regularisation.apply(family, zero, statistics.data_covariance)[0][0]
        if family.moment.axes == 2:  # the diagonal of the factor at its bound, and nothing beside it
            assert chart.collapsed(bottom).all()
        else:
            np.testing.assert_allclose(bottom.covariances, np.broadcast_to(floor, bottom.covariances.shape), rtol=1e-9)


def test_the_metric_is_the_information_of_rows_whose_component_is_known(family: Family) -> None:
    """Minus the second differences of the complete-data likelihood: its gradient is that of statistics that a mixture nearby expects."""
    from mixtura.rules.natural import expected_statistics

    mixture, h = some_mixture(family, 2, 3, seed=2), 1e-5
    statistics = mixtura.sweep(mixture, mixture.sample(100, random_state=0)[0])
    chart = Chart.of(statistics, Fixed())
    here = chart.to_coordinates(mixture)
    metric = Metric.of(mixture, here, chart.scale)

    def pull(unit: np.ndarray) -> np.ndarray:
        there = chart.from_coordinates(here.like(metric.outward(unit)), mixture)
        return metric.inward(chart.gradient(mixture, expected_statistics(there, statistics)).flat)

    units = np.eye(here.flat.size)
    information = np.array([(pull(h * unit) - pull(-h * unit)) / (2 * h) for unit in units])
    K, D = 2, 3
    lower = np.tril(np.ones((D, D)), 0) if family.moment.axes == 2 else np.ones(family.moment.shape(D))
    meant = np.concatenate([np.ones(K * D), np.broadcast_to(lower, here.factors.shape).ravel()])
    np.testing.assert_allclose(np.diagonal(information)[K:], meant, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(information[K : K + K * D, K : K + K * D], np.eye(K * D), atol=1e-6)


def test_climbing_refuses_what_is_too_far_and_what_is_nothing() -> None:
    """A quartic whose first Newton steps overshoot, beyond a cliff where there is no answer: no question lies further than LONGEST from the last."""
    metric = Metric(Coordinates(np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1))), np.ones(1), np.ones((1, 1)), np.ones((1, 1)))
    asked: list[np.ndarray] = []

    def answer(question: Question) -> Answer | None:
        asked.append(question.at)
        if question.at.max() > 0.8:
            return None
        away = question.at - 0.75
        return Answer(float(-((away**2) ** 0.75).sum()), -1.5 * np.sign(away) * np.abs(away) ** 0.5)

    top = climb(answer, metric, np.full(3, -np.inf), 10)
    assert any(at.max() > 0.8 for at in asked)
    np.testing.assert_allclose(top.at, 0.75, atol=1e-3)


def alive() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mixtura-conversation"]


def ended() -> bool:
    """Whether all conversations' threads end; they are waited for, as ending takes a moment."""
    gc.collect()
    for thread in alive():
        thread.join(timeout=10)
    return not alive()


def test_threads_end_with_the_fit_with_the_loop_and_with_an_error() -> None:
    X = overlapping(200, 2, 3, seed=3)
    start = mixtura.start(X, 3, random_state=0)
    mixtura.fit(X, start, LBFGS(), tol=1e-3)
    assert ended()
    loop = mixtura.iterate(X, start, LBFGS(patience=0))
    list(itertools.islice(loop, 5))
    assert len(alive()) == 1
    del loop
    assert ended()

    def stop(step: mixtura.Step, error: type[BaseException]) -> None:
        if step.number == 6:
            raise error

    with pytest.raises(ZeroDivisionError):
        mixtura.fit(X, start, LBFGS(), on_step=functools.partial(stop, error=ZeroDivisionError))
    assert ended()
    with pytest.warns(InterruptionWarning):
        mixtura.fit(X, start, LBFGS(), on_step=functools.partial(stop, error=KeyboardInterrupt))
    assert ended()


def test_what_a_program_raises_reaches_whoever_answers() -> None:
    def program(ask: Any) -> None:
        ask("first")
        raise ZeroDivisionError("of the program's own")

    talk: Conversation[str, int] = Conversation(program)
    assert talk.question == "first"
    with pytest.raises(ZeroDivisionError, match="its own|program's own"):
        talk.answer(1)
    assert ended()


def test_closing_a_conversation_ends_the_program() -> None:
    talk: Conversation[int, int] = Conversation(lambda ask: [ask(t) for t in itertools.count()])
    assert talk.answer(0) == 1
    talk.close()
    assert ended()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientAscent(optimizer="rmsprop"), "unknown optimizer: got 'rmsprop', expected one of 'sgd', 'momentum', 'adam'; try"),
        (lambda: GradientAscent(-1.0), "learning_rate is not usable: got -1.0"),
        (lambda: GradientAscent("fast"), "learning_rate is not usable: got 'fast'"),  # type: ignore[arg-type]
        (lambda: GradientAscent(batch_rows=0), "batch_rows is not usable: got 0"),
        (lambda: GradientAscent(passes=0), "passes is not usable: got 0"),
        (lambda: GradientAscent(seed=-1), "seed is not usable: got -1"),
        (lambda: Power(0.0), "rate is not usable: got 0.0"),
        (lambda: Power(exponent=1.5), "exponent is not usable: got 1.5"),
        (lambda: Power(offset=0), "offset is not usable: got 0"),
        (lambda: Exponential(half_life=0), "half_life is not usable: got 0"),
        (lambda: Cosine(updates=0), "updates is not usable: got 0"),
        (lambda: Cosine(0.1, last=0.2), "last is not usable: got 0.2"),
        (lambda: LBFGS(memory=0), "memory is not usable: got 0"),
        (lambda: LBFGS(patience=-1), "patience is not usable: got -1"),
        (lambda: rule_of("lbfgs", learning_rate=0.1), "rule 'lbfgs' has no learning rate"),
    ],
)
def test_refuses(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize("rate", [math.nan, -1.0, math.inf, "fast"])
def test_refuses_what_a_function_answers(rate: Any) -> None:
    X = overlapping(50, 1, 2, seed=1)
    with pytest.raises(ParameterError, match=r"learning_rate\(0\) is not usable"):
        trace(X, some_mixture(FAMILIES["full"], 2, 1), GradientAscent(lambda t: rate), 2)


def test_rules_by_name_and_after_pickling() -> None:
    assert rule_of("lbfgs") == LBFGS()
    assert rule_of("gradient", learning_rate=0.1) == GradientAscent(0.1)
    for rule in (*WHOLE.values(), GradientAscent(Power(), "adam", batch_rows=10, passes=3, seed=4, fixed={"means": [True]})):
        assert pickle.loads(pickle.dumps(rule)) == rule
