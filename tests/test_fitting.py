"""The loop: what it yields, when it stops, what it tells; the start; the selection around it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from cases import overlapping, reference, some_mixture

import mixtura
from mixtura.errors import ConstantColumnWarning, DataError, ParameterError
from mixtura.families import ALL, FAMILIES, USUAL, Family
from mixtura.rules import EM, GradientAscent, rule_of
from mixtura.scouting import Scout
from mixtura.starting import STARTS, start_of
from mixtura.stopping import remaining_gain


def test_steps_belong_together() -> None:
    """Mixture, statistics and likelihood of a step are those of one mixture; the first is the start."""
    X = reference("faithful")
    start = mixtura.start(X, 2, random_state=0)
    steps = list(itertools.islice(mixtura.iterate(X, start), 4))
    assert [step.number for step in steps] == [0, 1, 2, 3]
    assert steps[0].mixture is start and math.isnan(steps[0].change)
    for before, step in itertools.pairwise(steps):
        assert step.log_likelihood == pytest.approx(step.mixture.score(X), abs=1e-12)
        assert step.change == step.log_likelihood - before.log_likelihood


@pytest.mark.parametrize("ratio", [0.1, 0.9, 0.999])
def test_remaining_gain_of_a_geometric_climb(ratio: float) -> None:
    """Changes c r^t leave exactly c r^t r / (1 - r)."""
    trace = [-(ratio**t) for t in range(5)]
    assert remaining_gain(trace) == pytest.approx(-trace[-1], rel=1e-6)


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        ([-1.0], math.inf),
        ([-2.0, -1.0], math.inf),
        ([-3.0, -2.0, -1.0, 0.0], math.inf),  # a steady climb has no end in sight
        ([-1.0, -1.0, -1.0], 0.0),
        ([-1.0, -0.5, -0.7, -0.6], math.inf),  # a fall tells nothing
        ([-10.0, -10.0 + 8e-10, -10.0 - 1e-10, -10.0 + 5e-10], 0.0),  # but one among changes below 1e-10 of the likelihood is trembling
        ([-10.0, -10.0 + 4e-9, -10.0 + 1e-9, -10.0 + 2e-9], math.inf),
        ([-10.0, -10.0 + 3e-10, -10.0 + 6e-10, -10.0 + 9e-10], math.inf),  # and small steps that all go up are a climb
    ],
)
def test_remaining_gain_elsewhere(trace: list[float], expected: float) -> None:
    assert remaining_gain(trace) == expected


@pytest.mark.parametrize("rule", [pytest.param(EM(), id="em"), pytest.param(GradientAscent(0.02), id="gradient", marks=pytest.mark.long)])
def test_stops_when_the_remaining_gain_is_below_tol_not_when_steps_are_small(rule: mixtura.rules.Rule) -> None:
    X = overlapping(300, 2, 3, seed=3)
    start = mixtura.start(X, 3, random_state=0)
    best = mixtura.fit(X, start, EM(), tol=1e-13, max_steps=20_000).log_likelihood
    for tol in (1e-3, 1e-5):
        result = mixtura.fit(X, start, rule, tol=tol, max_steps=20_000)
        assert result.converged
        assert best - result.log_likelihood < 3 * tol  # the estimate extrapolates the last ratio, which still changes


def test_max_steps_bounds_the_loop() -> None:
    X = overlapping(300, 2, 3, seed=3)
    result = mixtura.fit(X, mixtura.start(X, 3, random_state=0), tol=0.0, max_steps=5)
    assert (result.n_steps, result.converged, len(result.log_likelihoods)) == (5, False, 6)


def test_refuses_max_steps() -> None:
    with pytest.raises(ParameterError, match="max_steps"):
        mixtura.fit([[0.0], [1.0]], some_mixture(FAMILIES["full"], 1, 1), max_steps=-1)


@pytest.mark.parametrize("tol", [-1.0, math.nan])
def test_refuses_tol(tol: float) -> None:
    with pytest.raises(ParameterError, match="tol"):
        mixtura.fit([[0.0], [1.0]], some_mixture(FAMILIES["full"], 1, 1), tol=tol)


def test_refuses_rules() -> None:
    with pytest.raises(ParameterError, match="unknown rule"):
        rule_of("newton")
    with pytest.raises(ParameterError, match="learning rate"):
        rule_of("em", learning_rate=0.1)
    with pytest.raises(ParameterError, match="its own learning rate"):
        rule_of(EM(), learning_rate=0.1)
    for rate in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ParameterError, match="learning_rate"):
            GradientAscent(rate)


@pytest.mark.parametrize("name", STARTS)
def test_every_start_leads_somewhere(name: str, family: Family) -> None:
    X = overlapping(200, 2, 3, seed=5)
    source = mixtura.open(X)
    begin = [
        start_of(name)(Scout.of(source, rng), 3, family, mixtura.regularisation.Floor(), rng)
        for rng in (np.random.default_rng(seed) for seed in (1, 1, 2))
    ]
    np.testing.assert_array_equal(begin[0].means, begin[1].means)
    result = mixtura.fit(source, begin[2])
    assert result.converged and result.log_likelihood > begin[2].score(X)


def test_auto_start_is_near_the_best_known_optimum() -> None:
    """Median over ten seeds within 0.01 nats per row of the best of forty random restarts."""
    X = reference("iris")
    scores = [mixtura.fit(X, mixtura.start(X, 3, random_state=seed)).log_likelihood for seed in range(10)]
    assert np.median(scores) >= -180.185477 / 150 - 0.01


@pytest.mark.parametrize(
    ("X", "K", "error", "message"),
    [
        ([[0.0], [1.0]], 3, DataError, "got 2 rows for 3 components"),
        ([[0.0], [0.0], [1.0]], 3, DataError, "too few distinct rows: got 2"),
        ([[0.0], [1.0]], 0, ParameterError, "n_components"),
        ([[0.0], [1.0]], 1.5, ParameterError, "n_components"),
        ([[0.0], [1e300]], 1, DataError, "column 'x0' cannot be squared"),
        ([[0.0], [1e-300]], 1, DataError, "column 'x0' cannot be squared"),
        ([[0.0, 1.0], [np.inf, 1.0]], 1, DataError, "inf in column 'x0', row 1"),
    ],
)
def test_start_refuses(X: object, K: int, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mixtura.start(X, K)


def test_selection_finds_what_was_planted() -> None:
    planted = mixtura.Mixture([0.3, 0.3, 0.4], [[0, 0], [6, 0], [0, 6]], np.tile([[0.2, 1.5]], (3, 1)), "diag")
    X = planted.sample(600, random_state=0)[0]
    selection = mixtura.select(X, range(1, 6), random_state=0)
    assert (selection.ranking[0].components, selection.ranking[0].family.name) == (3, "tied_diag")
    assert len(selection.ranking) == 5 * len(ALL)
    regular = [c.bic for c in selection.ranking if c.regular]
    assert regular == sorted(regular, reverse=True)
    for c in selection.ranking:
        assert c.mixture is not None
        assert c.bic == pytest.approx(2 * c.log_likelihood - c.n_parameters * math.log(600))
        assert c.aic == pytest.approx(2 * c.log_likelihood - 2 * c.n_parameters)
        assert c.log_likelihood == pytest.approx(600 * c.mixture.score(X))


def test_general_families_are_never_worse_than_the_special_ones() -> None:
    selection = mixtura.select(reference("iris"), range(1, 6), "all", random_state=0)
    found = {(c.components, c.family.name): c.log_likelihood for c in selection.ranking}
    for special, general in itertools.permutations(ALL, 2):
        if general.nests(special):
            for K in range(1, 6):
                assert found[K, general.name] >= found[K, special.name] - 1e-6


def test_selection_is_the_same_for_any_number_of_threads() -> None:
    X = overlapping(3000, 2, 3, seed=9)
    one, many = (mixtura.select(X, [1, 2, 3], ["full", "tied"], random_state=0, n_jobs=jobs) for jobs in (1, 4))
    assert [(c.components, c.family, c.bic) for c in one.ranking] == [(c.components, c.family, c.bic) for c in many.ranking]


def test_selection_knows_cells_it_cannot_fit_and_optima_it_should_not_trust() -> None:
    X = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.2], [5.0, 5.0], [5.1, 5.2]])
    selection = mixtura.select(X, range(1, 8), "full", random_state=0)
    status = {c.components: c.status for c in selection.ranking}
    assert status[6] == status[7] == "too few rows"
    assert status[1] == "converged" and status[3] == "spurious"
    assert selection.ranking[0].components == 1


@pytest.mark.parametrize(
    ("families", "D", "expected"), [("auto", 2, ALL), ("auto", 33, USUAL), ("all", 2, ALL), ("usual", 2, USUAL)], ids=lambda value: str(value)[:5]
)
def test_groups_of_families(families: str, D: int, expected: tuple[Family, ...]) -> None:
    X = np.random.default_rng(0).normal(size=(60, D))
    assert {one.family for one in mixtura.select(X, 1, families, random_state=0).cells} == set(expected)


def test_one_column_knows_two_families() -> None:
    selection = mixtura.select(reference("acidity"), [1, 2], random_state=0)
    assert {c.family.code for c in selection.ranking} == {"EII", "VII"}


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        ([[1.0, 2.0]], {}, DataError, "a single row"),
        ([[1.0, 2.0]] * 9, {}, DataError, "9 identical rows"),
        ([[1.0], [2.0]], {"n_components": 3}, DataError, "2 rows for 3 components"),
        ([[1.0], [2.0]], {"n_components": []}, ParameterError, "n_components"),
        ([[1.0], [2.0]], {"n_components": [0, 1]}, ParameterError, "n_components"),
        ([[1.0], [2.0]], {"families": []}, ParameterError, "no family"),
        ([[1.0], [2.0]], {"families": ["full", "round"]}, ParameterError, "unknown covariance family"),
        ([[1.0], [2.0], [2.0]], {"n_components": [3]}, DataError, "too few distinct rows"),
        ([[1.0], [2.0]], {"random_state": -1}, ParameterError, "random_state"),
        ([[1.0], [2.0]], {"criterion": "mdl"}, ParameterError, "unknown criterion"),
        ([[1.0], [2.0]], {"reg_covar": -1.0}, ParameterError, "reg_covar"),
    ],
)
def test_selection_refuses(X: object, options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mixtura.select(X, **options)


def test_constant_columns_fit_and_are_told() -> None:
    X = np.column_stack([reference("faithful"), np.full(272, 4.0)])
    with pytest.warns(ConstantColumnWarning, match="'x2'"):
        selection = mixtura.select(X, [2], ["full", "diag", "tied"], random_state=0)
    assert selection.constant_columns == ("x2",)
    for c in selection.ranking:
        assert c.mixture is not None
        bare = mixtura.select(reference("faithful"), [2], c.family, random_state=0).ranking[0].mixture
        assert bare is not None
        order, other = (np.argsort(np.argsort(mixture.means[:, 0])) for mixture in (c.mixture, bare))
        np.testing.assert_array_equal(order[c.mixture.assign(X)], other[bare.assign(X[:, :2])])


def test_progress_is_told_for_every_cell() -> None:
    seen: list[mixtura.selection.Progress] = []
    mixtura.select(reference("faithful"), [1, 2], ["full", "tied"], random_state=0, on_progress=seen.append)
    assert {(one.components, one.family.name, one.cell, one.cells) for one in seen} == {
        (1, "tied", 0, 4),
        (1, "full", 1, 4),
        (2, "tied", 2, 4),
        (2, "full", 3, 4),
    }
