"""Selection: its criteria against the textbook, its ranking, table, picture and JSON, folds, subsamples and interrupts."""

from __future__ import annotations

import itertools
import json
import math
import pickle
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases import overlapping, reference, some_mixture, textbook

import mixtura
from mixtura.cli import heat
from mixtura.errors import DataError, FileError, InterruptionWarning, MissingLibraryError, ParameterError
from mixtura.families import ALL, Family, family_of
from mixtura.selection import Candidate, Progress, Selection
from mixtura.selection.criteria import CRITERIA, held_out
from mixtura.selection.selection import ranked
from mixtura.sources import ArraySource

COLUMNS = ["components", "family", "code", "log_likelihood", "n_parameters", "bic", "icl", "aic", "entropy", "status", "rows", "sweeps", "seconds"]
STATUSES = ("converged", "not converged", "repaired", "spurious", "too few rows", "interrupted")


@pytest.fixture(scope="module")
def faithful() -> Selection:
    return mixtura.select(reference("faithful"), range(1, 5), ["full", "tied", "EEI", "VEV"], random_state=0)


@pytest.fixture(scope="module")
def small() -> Selection:
    """Cells of many kinds: regular, spurious, and with too few rows."""
    X = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.2], [5.0, 5.0], [5.1, 5.2]])
    return mixtura.select(X, [1, 2, 3, 7], ["full", "spherical"], random_state=0)


@pytest.fixture(scope="module")
def three() -> np.ndarray:
    """3,000 rows around three centres."""
    return np.random.default_rng(0).normal(size=(3000, 2)) + np.repeat([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]], 1000, axis=0)


# the classification


def _entropies(posterior: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    safe = np.where(posterior > 0, posterior, 1.0)
    return float(weights @ -(posterior * np.log(safe)).sum(axis=1)), float(weights @ np.log(posterior.max(axis=1)))


def test_classification_is_the_textbooks(family: Family, dtype: type) -> None:
    """In blocks too: 5,000 rows are several."""
    mixture = some_mixture(family, 3, 2, spread=1.0)
    X = overlapping(5000, 2, 3, seed=1, dtype=dtype) / np.array([0.1, 30.0], dtype=dtype)
    weights = np.random.default_rng(2).uniform(0, 3, size=len(X))
    posterior = textbook(mixture, X)[1]
    for given, used in ((None, np.ones(len(X))), (weights, weights)):
        np.testing.assert_allclose(mixture.classification(X, given), _entropies(posterior, used), rtol=1e-10 if dtype is np.float64 else 1e-4)


def test_classification_counts_a_weight_of_two_as_a_row_twice_and_of_none_not_at_all() -> None:
    mixture, X = some_mixture(family_of("full"), 3, 2), overlapping(50, 2, 3, seed=1)
    counts = np.arange(50) % 4
    np.testing.assert_allclose(mixture.classification(X, counts), mixture.classification(np.repeat(X, counts, axis=0)), rtol=1e-12)


def test_one_component_is_sure_of_every_row() -> None:
    assert some_mixture(family_of("full"), 1, 2).classification(reference("faithful")) == (0.0, 0.0)


def test_classification_refuses_what_is_not_finite() -> None:
    with pytest.raises(DataError, match="NaN in column 'x1', row 1"):
        some_mixture(family_of("full"), 2, 2).classification([[0.0, 1.0], [0.0, math.nan]])


# the criteria


@pytest.mark.parametrize("weighted", [False, True])
def test_criteria_are_the_textbooks(weighted: bool) -> None:
    X = reference("faithful")
    weights = np.random.default_rng(0).uniform(0.2, 3, size=len(X)) if weighted else None
    n = float(len(X) if weights is None else weights.sum())
    selection = mixtura.select(X, [1, 2, 3], ["full", "VEV", "tied_spherical"], sample_weight=weights, random_state=0)
    for one in selection.cells:
        assert one.mixture is not None
        density, posterior = textbook(one.mixture, X)
        used = np.ones(len(X)) if weights is None else weights
        log_likelihood, p = float(used @ density), one.n_parameters
        entropy, certainty = _entropies(posterior, used)
        assert p == one.family.n_parameters(one.components, 2)
        assert one.log_likelihood == pytest.approx(log_likelihood, rel=1e-10)
        assert one.bic == pytest.approx(2 * log_likelihood - p * math.log(n), rel=1e-10)
        assert one.icl == pytest.approx(one.bic + 2 * certainty, rel=1e-10)
        assert one.aic == pytest.approx(2 * log_likelihood - 2 * p, rel=1e-10)
        assert one.entropy == pytest.approx(entropy, rel=1e-8, abs=1e-8)
        assert one.icl >= one.bic - 2 * one.entropy - 1e-8  # the likeliest component's log posterior is above the expected one
        assert (one.rows, one.regular) == (len(X), True)


def test_each_criterion_has_its_own_best() -> None:
    """Two components that overlap make one group: two for the density, one for the classification; AIC takes more than BIC."""
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(0, 1, 300), rng.normal(2.4, 1, 300), rng.normal(12, 1, 300)])[:, None]
    best = {criterion: mixtura.select(X, range(1, 6), "tied", criterion=criterion, random_state=0).ranking[0].components for criterion in CRITERIA}
    assert best["icl"] == 2 and best["bic"] == 3
    assert best["aic"] >= best["bic"] and best["held_out"] >= best["bic"]


# held-out density


@pytest.mark.parametrize("weighted", [False, True])
def test_held_out_density_of_one_component_is_that_of_the_closed_form(weighted: bool) -> None:
    """Leaving out each row in turn, whatever the seed: the Gaussian of the other rows' mean and covariance."""
    X = reference("faithful")[:40]
    weights = np.random.default_rng(0).uniform(0.2, 3, size=len(X)) if weighted else np.ones(len(X))
    selection = mixtura.select(X, 1, "full", criterion="held_out", folds=40, sample_weight=weights if weighted else None, random_state=5)
    densities = []
    for i in range(len(X)):
        others, w = np.delete(X, i, axis=0), np.delete(weights, i)
        fitted = mixtura.Mixture([1.0], np.average(others, axis=0, weights=w)[None], np.cov(others.T, aweights=w, ddof=0)[None])
        densities.append(textbook(fitted, X[i : i + 1])[0][0])
    assert selection.ranking[0].held_out == pytest.approx(np.average(densities, weights=weights), rel=1e-9)


def test_held_out_rows_without_weight_count_for_nothing() -> None:
    X = reference("faithful")[:60]
    padded, weights = np.vstack([X, X + 1000]), np.repeat([1.0, 0.0], 60)
    one, other = (
        mixtura.select(rows, [1, 2], "full", criterion="held_out", folds=60, sample_weight=given, random_state=0)
        for rows, given in ((X, None), (padded, weights))
    )
    for mine, theirs in zip(one.cells, other.cells, strict=True):
        assert mine.held_out == pytest.approx(theirs.held_out, abs=1e-6)


def test_held_out_winner_is_the_fit_to_all_rows_and_its_seed_decides() -> None:
    X = reference("faithful")
    runs = [mixtura.select(X, [2, 3], ["full", "tied"], criterion="held_out", random_state=seed) for seed in (0, 0, 1)]
    plain = mixtura.select(X, [2, 3], ["full", "tied"], random_state=0)
    first, same, other = ([one.held_out for one in run.cells] for run in runs)
    assert first == same != other
    assert all(math.isfinite(density) for density in first)
    for mine, theirs in zip(runs[0].cells, plain.cells, strict=True):
        assert mine.bic == pytest.approx(theirs.bic, abs=2 * len(X) * 1e-6) and theirs.held_out == -math.inf  # other draws, the same top to tol
        assert mine.held_out < mine.log_likelihood / len(X)  # rows are less likely where they were not learnt from
    assert runs[0].ranking[0].held_out == max(first)
    np.testing.assert_array_equal(runs[0].best.mixture_.means, runs[0].ranking[0].mixture.means)  # type: ignore[union-attr]


@pytest.mark.parametrize("weights", [None, np.arange(11) % 3])
def test_folds_hold_out_every_row_once(weights: np.ndarray | None) -> None:
    source = ArraySource(np.arange(11.0)[:, None], weights)
    used = set(np.arange(11.0) if weights is None else np.flatnonzero(weights))
    parts = list(source.folds(3, [0]))
    held = [row for _, part in parts for row in part.X[:, 0]]  # type: ignore[attr-defined]
    assert sorted(held) == sorted(used)
    for rest, part in parts:
        assert set(rest.X[:, 0]) == used - set(part.X[:, 0])  # type: ignore[attr-defined]
        assert {part.n_rows for _, part in parts} <= {len(used) // 3, len(used) // 3 + 1}
    assert sorted(held) != held and [row for _, part in source.folds(3, [1]) for row in part.X[:, 0]] != held  # type: ignore[attr-defined]


def test_held_out_densities_are_of_the_folds_so_far_and_of_cells_that_all_of_them_fitted() -> None:
    source = ArraySource(reference("faithful")[:7], np.arange(1.0, 8.0))
    mixtures = {("always", fold): some_mixture(family_of("full"), 1, 2, seed=fold, centre=30.0, spread=50.0) for fold in range(3)}
    only = {0: "first", 1: "later", 2: "later"}

    def learn(fold: int, training: Any) -> dict[Any, mixtura.Mixture]:
        return {(1, "always"): mixtures["always", fold], (1, only[fold]): mixtures["always", fold]}

    total, weight = 0.0, 0.0
    parts = [part for _, part in source.folds(3, [5])]
    for fold, densities in enumerate(held_out(source, 3, 5, learn)):
        rows, weights = parts[fold].X, parts[fold].weights  # type: ignore[attr-defined]
        total, weight = total + weights @ textbook(mixtures["always", fold], rows)[0], weight + weights.sum()
        assert set(densities) == ({(1, "always"), (1, "first")} if fold == 0 else {(1, "always")})
        assert densities[1, "always"] == pytest.approx(total / weight)
    assert weight == 28


def test_cells_that_a_fold_cannot_fit_have_no_held_out_density() -> None:
    selection = mixtura.select([[0.0], [1.0], [2.0], [10.0]], [1, 4], "full", criterion="held_out", folds=4, random_state=0)
    assert [math.isfinite(one.held_out) for one in selection.cells] == [True, False]
    assert selection.table["held_out"].to_list()[1] is None


# the ranking, the best


def _candidate(status: str, rows: int, bic: float) -> Candidate:
    return Candidate(1, family_of("full"), None, 0.0, 1, bic, bic, bic, 0.0, status, rows, 0.0)


def test_ranking_is_regular_before_not_then_all_rows_before_some_then_the_criterion() -> None:
    order = [("converged", 9, 1.0), ("not converged", 9, 0.5), ("repaired", 5, 7.0), ("spurious", 9, 99.0), ("spurious", 9, 98.0)]
    order += [("too few rows", 0, -math.inf), ("interrupted", 0, -math.inf)]
    candidates = [_candidate(*one) for one in order]
    for shuffled in itertools.islice(itertools.permutations(candidates[:5]), 0, None, 7):
        assert ranked([*shuffled, *candidates[5:]], "bic") == candidates


def test_ranking_keeps_every_cell_and_cells_their_order(faithful: Selection) -> None:
    assert set(faithful.ranking) == set(faithful.cells)
    families = ["tied_diag", "tied", "vev", "full"]
    assert [one.cell for one in faithful.cells] == [(K, family) for K in range(1, 5) for family in families]
    assert [one.bic for one in faithful.ranking] == sorted((one.bic for one in faithful.cells), reverse=True)


@pytest.mark.parametrize("data", ["array", "pandas", "polars", "path", "npy"])
def test_best_is_an_estimator_of_the_first_candidate(tmp_path: Path, data: str) -> None:
    X = reference("faithful")
    names = ["eruptions", "waiting"]
    np.save(tmp_path / "rows.npy", X)
    rows: Any = {
        "array": X,
        "pandas": pd.DataFrame(X, columns=names),
        "polars": pl.DataFrame(X, names),
        "npy": X,
        "path": pd.DataFrame(X, columns=names),
    }[data]
    given: Any = {"path": Path(__file__).parent.parent / "examples" / "old_faithful.csv", "npy": tmp_path / "rows.npy"}.get(data, rows)
    selection = mixtura.select(given, [2, 3], ["full", "tied"], random_state=0, tol=1e-7, max_iter=500, reg_covar=1e-9)
    first, best = selection.ranking[0], selection.best
    assert isinstance(best, mixtura.GaussianMixture)
    assert best is selection.best
    assert best.mixture_ is first.mixture
    np.testing.assert_array_equal(best.predict(rows), first.mixture.assign(X))  # type: ignore[union-attr]
    assert best.bic(rows) == pytest.approx(-first.bic)
    assert best.score(rows) == pytest.approx(first.log_likelihood / len(X))
    assert best.predict_proba(rows).shape == (len(X), best.n_components)
    assert (best.n_components, best.covariance_type, best.n_iter_, best.converged_) == (3, "tied", first.sweeps, True)
    assert (best.tol, best.max_iter, best.reg_covar, best.random_state) == (1e-7, 500, 1e-9, 0)
    assert best.lower_bound_ == first.log_likelihood / len(X)
    assert (list(getattr(best, "feature_names_in_", [])) or None) == (None if data in ("array", "npy") else names)
    best.save(tmp_path / "model.safetensors")
    loaded = mixtura.GaussianMixture.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.predict_proba(rows), best.predict_proba(rows))
    np.testing.assert_array_equal(loaded.sample(5)[0], best.sample(5)[0])
    assert loaded.fit(rows).mixture_.K == 3


def test_best_can_be_saved_after_a_generator_and_by_any_rule(tmp_path: Path) -> None:
    best = mixtura.select(reference("faithful"), 2, "full", random_state=np.random.default_rng(0), rule="gradient", learning_rate=0.5).best
    best.save(tmp_path / "model.safetensors")
    assert mixtura.GaussianMixture.load(tmp_path / "model.safetensors").get_params()["learning_rate"] == 0.5


def test_selections_can_be_pickled(faithful: Selection) -> None:
    assert repr(pickle.loads(pickle.dumps(faithful))) == repr(faithful)


# the table


def test_table_is_narwhals_on_pyarrow_and_converts(small: Selection) -> None:
    import pyarrow

    table = small.table
    assert isinstance(table.to_native(), pyarrow.Table)
    assert table.columns == COLUMNS
    assert table["components"].to_list() == [1, 1, 2, 2, 3, 3, 7, 7]
    assert table["family"].to_list() == ["spherical", "full"] * 4
    as_pandas, as_polars = table.to_pandas(), table.to_polars()
    assert list(as_pandas.columns) == list(as_polars.columns) == COLUMNS
    for one, line in zip(small.cells, table.rows(named=True), strict=True):
        for name in ("log_likelihood", "bic", "icl", "aic", "entropy", "seconds"):
            value = getattr(one, name)
            assert line[name] == (value if math.isfinite(value) else None)
        assert [line[name] for name in ("code", "status", "rows", "sweeps", "n_parameters")] == [
            one.family.code, one.status, one.rows, one.sweeps, one.n_parameters,
        ]  # fmt: skip
    assert set(table["status"].to_list()) <= set(STATUSES)
    assert {"spurious", "too few rows"} < set(table["status"].to_list())
    assert all(one.sweeps == len(one.history) - 1 for one in small.cells if one.fit is not None)


def test_table_has_the_held_out_density_where_it_is_the_criterion() -> None:
    table = mixtura.select(reference("faithful"), [1, 2], "full", criterion="held_out", folds=2, random_state=0).table
    assert table.columns == [*COLUMNS[:8], "held_out", *COLUMNS[8:]]


def test_representations_list_the_best(faithful: Selection, small: Selection) -> None:
    heading, _, header, first, *rest = repr(faithful).splitlines()
    assert heading == "Selection: the best 10 of 16 candidates by BIC, larger is better"
    assert header.split() == ["components", "family", "mclust", "BIC", "ICL", "AIC", "loglik", "parameters", "sweeps", "status"]
    assert first.split()[:4] == ["3", "tied", "EEE", "-2314.30"] and len(rest) == 9
    assert len({line.index("converged") for line in (first, *rest)}) == 1
    assert repr(small).startswith("Selection: 8 candidates by BIC") and repr(small).endswith("too few rows")
    html = faithful._repr_html_()
    assert html.count("<tr>") == 11 and '<td style="text-align:left">EEE</td><td>-2314.30</td>' in html


# JSON


def test_json_has_every_candidate_and_only_finite_numbers(small: Selection, tmp_path: Path) -> None:
    path = tmp_path / "selection.json"
    text = small.to_json(path)
    assert path.read_text() == text + "\n" == small.to_json() + "\n"
    assert "NaN" not in text and "Infinity" not in text
    facts = json.loads(text)
    assert facts["best"] == facts["candidates"][0]
    assert (facts["criterion"], facts["interrupted"]) == ("bic", False)
    assert [(one["components"], one["family"]) for one in facts["candidates"]] == [one.cell for one in small.ranking]
    assert facts["candidates"][-1]["bic"] is None
    assert list(tmp_path.iterdir()) == [path]


def test_json_leaves_nothing_half_written(small: Selection, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot write"):
        small.to_json(tmp_path / "none" / "selection.json")
    assert list(tmp_path.iterdir()) == []


# subsamples


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_best_go_on_to_all_rows(three: np.ndarray, criterion: str) -> None:
    selection = mixtura.select(three, range(1, 6), ["full", "tied"], criterion=criterion, folds=2, subsample=500, max_iter=100, random_state=0)
    all_rows = [one for one in selection.cells if one.rows == 3000]
    assert 5 <= len(all_rows) < 10
    assert {one.rows for one in selection.cells} == {500, 3000}
    assert set(selection.ranking[: len(all_rows)]) == set(all_rows)
    values = [getattr(one, criterion) for one in selection.ranking[: len(all_rows)]]
    assert values == sorted(values, reverse=True)
    assert {one.rows for one in selection.compared} == {500}
    for one in all_rows:
        assert one.mixture is not None and one.before is not None
        assert one.log_likelihood == pytest.approx(3000 * one.mixture.score(three))
        assert one.before.cell == one.cell and one.seconds > one.before.seconds
        fit = mixtura.fit(three, one.before.mixture, mixtura.rules.rule_of("em"), max_steps=100)  # type: ignore[arg-type]
        assert one.log_likelihood / 3000 >= fit.log_likelihood - 1e-6  # better where it would have ended below one that it contains
        assert one.sweeps == one.fit.n_steps  # type: ignore[union-attr]
    assert selection.ranking[0].cell == ((2, "full") if criterion == "icl" else (3, "tied"))  # of three that overlap, two are apart
    assert selection.best.score(three) == pytest.approx(selection.ranking[0].log_likelihood / 3000)


@pytest.mark.parametrize("seed", range(3))
def test_more_rows_afford_more_components_than_the_subsample_shows(seed: int) -> None:
    """The five best of 150 rows are too small; of 4,000 rows the eight that were planted are best, found one neighbour after the other."""
    planted = mixtura.Mixture(np.full(8, 1 / 8), np.column_stack([np.linspace(0, 22, 8), np.zeros(8)]), [1.0, 1.0], "tied_diag")
    selection = mixtura.select(planted.sample(4000, seed)[0], range(1, 11), "EEI", subsample=150, random_state=0)
    assert max(one.components for one in ranked(selection.compared, "bic")[:5]) < 8
    assert selection.ranking[0].components == 8
    assert sum(one.rows == 4000 for one in selection.cells) == 9


@pytest.mark.parametrize(("seed", "groups", "max_iter"), [(0, 5, 1000), (1, 5, 1000), (2, 5, 1000), (0, 1, 3), (4, 1, 3)])
def test_none_on_all_rows_ends_below_one_that_it_contains(seed: int, groups: int, max_iter: int) -> None:
    """Not even where a component more has nothing to find and three steps to do so."""
    X = overlapping(2000, 2, groups, seed=seed) if groups > 1 else np.random.default_rng(seed).normal(size=(600, 2))
    options: dict[str, Any] = {"subsample": 60 if groups > 1 else 40, "max_iter": max_iter, "random_state": seed}
    selection = mixtura.select(X, range(1, 7), ["tied_diag", "diag", "tied", "full"], **options)
    found = {one.cell: one for one in selection.cells if one.rows == len(X)}
    for one, other in itertools.permutations(found.values(), 2):
        fewer = one.components == other.components + 1 and one.family is other.family
        if fewer or (one.components == other.components and one.family.nests(other.family)):
            assert one.log_likelihood >= other.log_likelihood - 1e-6


def test_held_out_densities_of_refitted_candidates_are_of_all_rows(three: np.ndarray) -> None:
    """One component has one optimum: refitted, its density is that of the closed form on the folds of all rows."""
    selection = mixtura.select(three, 1, "full", criterion="held_out", folds=3, subsample=200, random_state=0)
    whole = mixtura.select(three, 1, "full", criterion="held_out", folds=3, subsample=None, random_state=0)
    one = selection.ranking[0]
    assert one.before is not None and one.rows == 3000
    assert one.held_out > one.before.held_out
    assert one.held_out == pytest.approx(whole.ranking[0].held_out, abs=1e-3)  # other folds, the same rows


@pytest.mark.parametrize("subsample", [None, 3000, 10**9])
def test_a_subsample_of_all_rows_is_none(three: np.ndarray, subsample: int | None) -> None:
    selections = [mixtura.select(three, [1, 2, 3], "tied", subsample=rows, random_state=0) for rows in (subsample, 50_000)]
    assert repr(selections[0]) == repr(selections[1])
    assert all(one.before is None for one in selections[0].cells)


def test_many_rows_are_subsampled_by_default() -> None:
    X = np.random.default_rng(1).normal(size=(60_000, 2)) + np.repeat([[0.0, 0.0], [4.0, 0.0]], 30_000, axis=0)
    selection = mixtura.select(X, [1, 2, 3], ["tied", "diag", "full"], random_state=0, tol=1e-5)
    assert {one.rows for one in selection.cells} == {50_000, 60_000}
    assert {one.rows for one in selection.compared} == {50_000}
    assert (selection.ranking[0].components, selection.ranking[0].rows) == (2, 60_000)


def test_a_subsample_is_the_same_for_any_number_of_threads(three: np.ndarray) -> None:
    one, many = (mixtura.select(three, [1, 2, 3], ["full", "tied"], subsample=500, random_state=0, n_jobs=jobs) for jobs in (1, 4))
    assert repr(one) == repr(many)


# progress and interrupts


class Interrupt:
    """Interrupts (Ctrl-C) at a cell; remembers what it was told."""

    def __init__(self, cell: int) -> None:
        self.cell, self.seen = cell, list[tuple[int, int]]()

    def __call__(self, at: Progress) -> None:
        self.seen.append((at.cell, at.cells))
        if at.cell == self.cell:
            raise KeyboardInterrupt


def test_an_interrupt_gives_what_is_done() -> None:
    with pytest.warns(InterruptionWarning, match=r"interrupted: got \d of 8 cells, expected all of them; try") as told:
        selection = mixtura.select(reference("faithful"), range(1, 5), ["full", "tied"], random_state=0, n_jobs=1, on_progress=Interrupt(3))
    assert len(told) == 1 and "\n" not in str(told[0].message)
    assert selection.interrupted
    done = [one for one in selection.cells if one.fit is not None]
    assert f"got {len(done)} of" in str(told[0].message) and 1 <= len(done) < 8
    assert [one.status == "interrupted" for one in selection.ranking] == [False] * len(done) + [True] * (8 - len(done))
    assert selection.cells[3].status == "interrupted"
    assert selection.best.n_components == selection.ranking[0].components
    assert selection.best.predict(reference("faithful")).max() == selection.best.n_components - 1
    assert selection.table["bic"].null_count() == 8 - len(done)
    assert "interrupted" in repr(selection) and json.loads(selection.to_json())["interrupted"]


def test_an_interrupt_before_anything_is_done_is_raised() -> None:
    with pytest.raises(KeyboardInterrupt):
        mixtura.select(reference("faithful"), [1, 2], "full", random_state=0, on_progress=Interrupt(0))


@pytest.mark.parametrize(
    ("cell", "message", "criterion"),
    [
        (1, "got [12] of 4 cells, and 0 of 3 folds, so that they are ranked by bic", "bic"),
        (5, "got all 4 cells, and 0 of 3 folds, so that they are ranked by bic", "bic"),
        (13, "got all 4 cells, and 2 of 3 folds, expected all", "held_out"),
    ],
)
def test_an_interrupt_among_folds_keeps_those_that_are_done(cell: int, message: str, criterion: str) -> None:
    options: dict[str, Any] = {"criterion": "held_out", "folds": 3, "random_state": 0, "n_jobs": 1}
    with pytest.warns(InterruptionWarning, match=message):
        selection = mixtura.select(reference("faithful"), [1, 2], ["full", "tied"], **options, on_progress=Interrupt(cell))
    assert selection.interrupted and selection.criterion == criterion
    assert selection.best.n_components in (1, 2)
    assert all(math.isfinite(one.held_out) == (criterion == "held_out") for one in selection.cells)


def test_an_interrupt_among_refits_keeps_those_that_are_done(three: np.ndarray) -> None:
    interrupt = Interrupt(8)
    with pytest.warns(InterruptionWarning, match="got all 6 cells, and 2 refitted to all rows, expected at least 5"):
        selection = mixtura.select(three, [1, 2, 3], ["full", "tied"], subsample=500, random_state=0, on_progress=interrupt)
    assert selection.interrupted
    assert [one.rows for one in selection.ranking] == [3000] * 2 + [500] * 4
    assert {cells for _, cells in interrupt.seen} == {11}


@pytest.mark.parametrize(("options", "cells"), [({}, 4), ({"criterion": "held_out", "folds": 3}, 16), ({"subsample": 500}, 9)])
def test_progress_is_numbered_through(three: np.ndarray, options: dict[str, Any], cells: int) -> None:
    seen: list[Progress] = []
    mixtura.select(three, [1, 2], ["full", "tied"], random_state=0, on_progress=seen.append, **options)
    told = sorted({one.cell for one in seen})
    assert told == list(range(len(told))) and {one.cells for one in seen} == {cells}
    assert len(told) == (8 if "subsample" in options else cells)  # of five that may go on to all rows there are four


# the picture


@pytest.fixture
def pyplot() -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def test_plot_shows_every_family_apart_and_in_the_picture(pyplot: Any) -> None:
    from matplotlib.text import Text

    selection = mixtura.select(reference("iris"), range(1, 5), "all", random_state=0, max_iter=30)
    ax = selection.plot()
    figure = ax.figure
    figure.canvas.draw()
    codes = [text.get_text().split()[0] for text in ax.texts]
    assert sorted(codes) == sorted(family.code for family in ALL)
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # an annotation's own extent holds its thin line
    texts = sorted((box.y0, box.y1) for box in boxes)
    assert all(upper[0] >= lower[1] - 2 for lower, upper in itertools.pairwise(texts))  # pixels: fonts keep some room of their own
    assert all(box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    styles = {(line.get_color(), line.get_linestyle()) for line in ax.lines if line.get_linestyle() != "None"}
    assert len(styles) == 14
    best = selection.ranking[0]
    assert ax.get_title(loc="left") == f"best: {best.components} components, {best.family.code}"
    ring = next(line for line in ax.lines if line.get_markersize() == 13)
    assert ring.get_xydata().tolist() == [[best.components, best.bic]]
    assert all(one.bic <= ax.get_ylim()[1] for one in selection.cells if one.regular)


def test_plot_marks_cells_that_are_not_regular_and_takes_axes(small: Selection, pyplot: Any) -> None:
    axes = pyplot.subplots(1, 2)[1]
    assert small.plot(axes[1]) is axes[1]
    assert not axes[0].lines
    crosses = [xy[0] for line in axes[1].lines if line.get_marker() == "x" for xy in line.get_xydata()]
    assert sorted(crosses) == sorted(one.components for one in small.cells if one.status == "spurious")
    assert [text.get_text() for text in axes[1].get_legend().get_texts()][:2] == ["the best", "not regular"]
    dots = sum(len(line.get_xydata()) for line in axes[1].lines if line.get_marker() == "o") - 1
    assert dots == sum(one.regular for one in small.cells)


def test_plot_of_a_subsample_compares_the_same_rows(three: np.ndarray, pyplot: Any) -> None:
    selection = mixtura.select(three, range(1, 4), ["full", "tied"], subsample=500, random_state=0)
    assert all(one.regular for one in selection.compared)  # others stand at the edge where they are beyond it
    ax = selection.plot()
    values = {round(y, 6) for line in ax.lines for y in line.get_ydata()}
    assert values == {round(one.bic, 6) for one in selection.compared}
    assert ax.get_ylabel() == "BIC (larger is better), of 500 rows"


def test_plot_says_what_to_install(faithful: Selection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingLibraryError, match=re.escape("pip install mixtura[plot]")) as caught:
        faithful.plot()
    assert isinstance(caught.value, ImportError)


# the map in the terminal


@pytest.mark.parametrize("value", [0.0, 0.049, 0.05, 9.949, 9.95, 99.4, 999.4, 999.5, 9_499.0, 99_499.0, 99_500.0, 949_999.0, 1e6, 5e11, 1e16, 1e30])
def test_short_numbers_are_short_and_right(value: float) -> None:
    text = heat.short(value)
    assert len(text) <= 3
    if text != "...":
        letters = " kMGTP"
        number = float(text.rstrip(letters)) * 1000.0 ** max(letters.find(text[-1]), 0)
        assert number == pytest.approx(value, rel=0.06, abs=0.051)


def test_quarters_are_quarters_and_equals_are_together() -> None:
    values = {(K, "full"): float(v) for K, v in enumerate([8, 7, 6, 5, 4, 3, 2, 2, -math.inf])}
    assert list(heat._quarters(values).values()) == [0, 0, 1, 1, 2, 2, 3, 3]


# what cannot be done


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"criterion": "ICL"}, ParameterError, "unknown criterion: got 'ICL', expected one of 'bic', 'icl', 'aic', 'held_out'"),
        ({"criterion": "held_out", "folds": 1}, ParameterError, "folds is not usable: got 1, expected an integer >= 2; try 5"),
        ({"criterion": "held_out", "folds": 2.5}, ParameterError, "folds is not usable"),
        ({"criterion": "held_out", "folds": 21}, DataError, "got 20 rows for 21 folds"),
        ({"subsample": 0}, ParameterError, "subsample is not usable: got 0"),
        ({"subsample": "all"}, ParameterError, "subsample is not usable: got 'all'"),
        ({"criterion": "held_out", "n_components": 18}, DataError, "nothing could be fitted to the rows of every 4 folds"),
        ({"subsample": 5, "n_components": 6}, DataError, "too few distinct rows: got 5 for 6 components"),
    ],
)
def test_select_refuses(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        mixtura.select(overlapping(20, 2, 2, seed=0), **{"n_components": 1, "families": "full", "random_state": 0, **options})


def test_folds_of_identical_rows_still_fit() -> None:
    """Without the one row that differs, the others are one point."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        selection = mixtura.select([[1.0], [1.0], [1.0], [2.0]], 1, "full", criterion="held_out", folds=4, random_state=0)
    assert selection.ranking[0].mixture is not None
