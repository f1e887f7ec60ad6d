"""Statistics of a posterior, and labels as a start: what an E-step or a person knows of the rows, handed to the M-step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from cases import FREE, halves, overlapping, some_mixture
from sklearn.base import clone

import mixtura
from mixtura import BayesianGaussianMixture, GaussianMixture, Statistics
from mixtura.errors import DataError, ParameterError
from mixtura.families import ALL, Family, family_of
from mixtura.moments import DIAGONAL, MATRIX, NORM, Moment
from mixtura.rules import EM, LBFGS, MAP, GradientAscent, NaturalGradient, Online, Rule, Squarem, Variational
from mixtura.scouting import SUBSAMPLE

N, D, K = 3_000, 3, 3  # more rows than one block holds
X = overlapping(N, D, K, seed=0)
Z = np.random.default_rng(1).integers(K, size=N)
HALVES = halves(N)
RULES: dict[str, Rule] = {
    "EM": EM(),
    "Squarem": Squarem(),
    "MAP": MAP(),
    "natural": NaturalGradient(0.5),
    "online": Online(),
    "gradient": GradientAscent(0.1),
    "lbfgs": LBFGS(),
    "variational": Variational(),
}


def assert_alike(one: Statistics, other: Statistics, rtol: float = 1e-9) -> None:
    """The same sums, whatever their pivots."""
    assert (one.moment, one.pooled, one.rows) == (other.moment, other.pooled, other.rows)
    np.testing.assert_allclose([one.weight, *one.counts], [other.weight, *other.counts], rtol=rtol)
    deviations = np.sqrt(np.abs(X).std(axis=0).max())
    np.testing.assert_allclose(one.means, other.means, rtol=rtol, atol=rtol * deviations)
    np.testing.assert_allclose(one.scatter, other.scatter, rtol=rtol, atol=rtol * np.abs(other.scatter).max())


# the sums


@pytest.mark.parametrize("weights", [None, HALVES], ids=["plain", "weighted"])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_at_the_posterior_of_a_mixture_they_are_those_of_a_sweep(family: Family, offset: float, weights: np.ndarray | None) -> None:
    """To what the posteriors themselves lose at this offset, about a part in 1e10."""
    mixture = mixtura.start(X + offset, K, family, random_state=0)
    ours, swept = Statistics.of(X + offset, mixture.posterior(X + offset), weights, family), mixtura.sweep(mixture, X + offset, weights)
    if weights is None:
        assert ours.rows == swept.rows == N
    assert np.isnan(ours.log_likelihood)
    np.testing.assert_allclose(ours.counts, swept.counts, rtol=1e-7)
    np.testing.assert_allclose(ours.means, swept.means, rtol=1e-12, atol=1e-6)
    np.testing.assert_allclose(ours.scatter, swept.scatter, rtol=1e-6, atol=1e-7 * np.abs(swept.scatter).max())


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e12])
def test_of_ones_and_zeros_they_are_means_and_covariances_of_the_classes(offset: float) -> None:
    """Rows of 1/1024 are exact at every offset here, and so must the covariances be, to the rounding of a sum."""
    rows = np.round(X * 1024) / 1024
    statistics = Statistics.of(rows + offset, np.eye(K)[Z])
    covariances = family_of("full").maximise(statistics.scatter, statistics.counts, D)
    for k in range(K):
        mine = rows[Z == k]
        np.testing.assert_allclose(statistics.means[k], mine.mean(axis=0) + offset, rtol=1e-15, atol=1e-12)
        np.testing.assert_allclose(covariances[k], np.cov(mine.T, bias=True), rtol=1e-12)
        np.testing.assert_array_equal(covariances[k], covariances[k].T)


def test_em_makes_of_ones_and_zeros_the_mixture_of_the_classes() -> None:
    rule, mixture = EM(), some_mixture(family_of("full"), K, D)
    after = rule.update(mixture, Statistics.of(X, np.eye(K)[Z]), rule.initial(mixture)).mixture
    np.testing.assert_allclose(after.weights, np.bincount(Z) / N, rtol=1e-15)
    np.testing.assert_allclose(after.means, [X[Z == k].mean(axis=0) for k in range(K)], rtol=1e-12)
    np.testing.assert_allclose(after.covariances, [np.cov(X[Z == k].T, bias=True) for k in range(K)], rtol=1e-12)


def test_clusters_ten_million_deviations_apart_keep_their_widths() -> None:
    rows = np.random.default_rng(0).normal(size=(N, 2)) + 1e7 * Z[:, None]
    statistics = Statistics.of(rows, np.eye(K)[Z])
    for k in range(K):
        np.testing.assert_allclose(statistics.scatter[k] / statistics.counts[k], np.cov(rows[Z == k].T, bias=True), rtol=1e-8, atol=1e-8)


def test_they_add_and_a_weight_of_two_is_a_row_twice(family: Family) -> None:
    posterior = np.random.default_rng(2).dirichlet(np.ones(K), size=N)
    whole = Statistics.of(X, posterior, family=family)
    assert_alike(Statistics.of(X[:700], posterior[:700], family=family) + Statistics.of(X[700:], posterior[700:], family=family), whole)
    order = np.random.default_rng(3).permutation(N)
    assert_alike(Statistics.of(X[order], posterior[order], family=family), whole)
    twice = Statistics.of(np.concatenate([X, X]), np.concatenate([posterior, posterior]), family=family)
    weighed = Statistics.of(X, posterior, np.full(N, 2.0), family)
    np.testing.assert_allclose(weighed.counts, twice.counts, rtol=1e-12)
    np.testing.assert_allclose(weighed.scatter, twice.scatter, rtol=1e-9, atol=1e-9 * np.abs(twice.scatter).max())


def _csv(folder: Path) -> str:
    pd.DataFrame(X, columns=list("abc")).to_csv(folder / "rows.csv", index=False)
    return str(folder / "rows.csv")


def _blocks() -> Iterator[np.ndarray]:
    yield from np.array_split(X, 7)


def _dask(folder: Path) -> Any:
    return pytest.importorskip("dask.array").from_array(X, chunks=(700, D))


READERS: dict[str, Callable[[Path], Any]] = {
    "list": lambda folder: X.tolist(),
    "pandas": lambda folder: pd.DataFrame(X, columns=list("abc")),
    "polars": lambda folder: pl.DataFrame(X, schema=list("abc")),
    "csv": _csv,
    "csv in passes": lambda folder: mixtura.open(_csv(folder), in_memory=False),
    "blocks": lambda folder: _blocks,
    "dask": _dask,
    "a source": lambda folder: mixtura.open(X),
}


@pytest.mark.parametrize("reader", READERS)
def test_rows_may_be_wherever_rows_are_read_from(reader: str, tmp_path: Path) -> None:
    posterior = np.random.default_rng(2).dirichlet(np.ones(K), size=N)
    assert_alike(Statistics.of(READERS[reader](tmp_path), posterior), Statistics.of(X, posterior))


def test_the_number_of_threads_changes_no_bit() -> None:
    posterior = np.random.default_rng(2).dirichlet(np.ones(K), size=N)
    one, four = (Statistics.of(mixtura.open(X, n_jobs=threads), posterior) for threads in (1, 4))
    assert np.array_equal(one.second, four.second) and np.array_equal(one.first, four.first)


def test_single_precision_rows_are_summed_in_double_precision() -> None:
    short = X.astype(np.float32)
    ours, exact = Statistics.of(short, np.eye(K)[Z]), Statistics.of(short.astype(float), np.eye(K)[Z])
    assert np.array_equal(ours.second, exact.second)
    Statistics.of(short, mixtura.start(short, K, random_state=0).posterior(short))  # these are distributions to float32


GOOD = np.full((4, 2), 0.5)
ROWS = [[0.0], [1.0], [5.0], [7.0]]
WRONG: dict[str, tuple[Any, str]] = {
    "one row less": (GOOD[1:], r"the posterior does not fit: got shape \(3, 2\), expected \(4, K\)"),
    "labels": ([0, 1, 1, 0], r"the posterior does not fit: got shape \(4,\)"),
    "no class": (np.empty((4, 0)), "the posterior does not fit"),
    "sums of 1.1": (GOOD * 1.1, r"the posterior is no distribution: got \[0.55 0.55\] in row 0, expected numbers >= 0 with sum 1"),
    "a negative one": ([[1.5, -0.5], *GOOD[1:]], "no distribution: got .* in row 0"),
    "an unknown row": ([*GOOD[:3], [0.0, 0.0]], r"no distribution: got \[0. 0.\] in row 3"),
    "NaN": ([*GOOD[:3], [np.nan, 1.0]], "no distribution: got .* in row 3"),
    "words": ([["a", "b"]] * 4, "the posterior cannot be read: got list of <U1, expected numbers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_posterior_that_is_none_is_refused(case: str) -> None:
    posterior, message = WRONG[case]
    with pytest.raises(DataError, match=message):
        Statistics.of(ROWS, posterior)


def test_rows_that_are_not_finite_and_families_of_factors_are_refused() -> None:
    with pytest.raises(DataError, match="a value is not finite: got NaN"):
        Statistics.of([[0.0], [np.nan], [5.0], [7.0]], GOOD)
    with pytest.raises(ParameterError, match="family 'factor:1' has no sums at posteriors alone"):
        Statistics.of(X, np.eye(K)[Z], family="factor:1")


# gradients and rules


def more(family: Family) -> list[tuple[Moment, bool]]:
    """What holds all that the family needs."""
    kinds = [MATRIX, DIAGONAL, NORM]
    return [(moment, pooled) for moment in kinds[: kinds.index(family.moment) + 1] for pooled in (False, True)[: 1 + family.pooled]]


def test_gradients_take_what_holds_enough_and_refuse_what_does_not(family: Family) -> None:
    mixture = some_mixture(family, K, D, seed=4)
    posterior, expected = mixture.posterior(X), list(mixtura.gradients(mixture, mixtura.sweep(mixture, X)))
    for kept in ALL:
        statistics = Statistics.of(X, posterior, family=kept)
        if (kept.moment, kept.pooled) in more(family):
            for one, same in zip(mixtura.gradients(mixture, statistics), expected, strict=True):
                assert one.weight == pytest.approx(same.weight, abs=1e-9)
                np.testing.assert_allclose(one.mean, same.mean, rtol=1e-7, atol=1e-9 * np.abs(same.mean).max())
                np.testing.assert_allclose(one.covariance, same.covariance, rtol=1e-6, atol=1e-9 * np.abs(same.covariance).max())
        else:
            with pytest.raises(ParameterError, match=f"the statistics hold less than family '{family.name}' needs: got the .*expected the "):
                mixtura.gradients(mixture, statistics)  # at once, before anything is taken from it


def test_every_rule_takes_what_holds_enough_and_refuses_what_does_not(family: Family) -> None:
    start = mixtura.start(X, K, family, random_state=0)
    whole, swept = mixtura.sweep(start, X, moment=MATRIX), mixtura.sweep(start, X)
    least = Statistics.of(X, start.posterior(X), family="tied_spherical")
    for name, rule in RULES.items():
        if name in ("gradient", "lbfgs", "variational") and family not in FREE:
            continue
        expected, got = (rule.update(start, statistics, rule.initial(start)).mixture for statistics in (swept, whole))
        np.testing.assert_allclose(got.means, expected.means, rtol=1e-9, err_msg=name)
        np.testing.assert_allclose(got.covariances, expected.covariances, rtol=1e-7, err_msg=name)
        if (least.moment, least.pooled) not in more(family):
            with pytest.raises(ParameterError, match="the statistics hold less than"):
                rule.update(start, least, rule.initial(start))


def test_statistics_of_other_components_or_columns_are_refused() -> None:
    mixture = some_mixture(family_of("full"), K, D)
    for other in (some_mixture(family_of("full"), K + 1, D).sample(50, random_state=0)[0], X[:, :2]):
        statistics = mixtura.sweep(mixtura.start(other, K + (other.shape[1] == D), random_state=0), other)
        for take in (mixtura.gradients, lambda mixture, statistics: EM().update(mixture, statistics, EM().initial(mixture))):
            with pytest.raises(ParameterError, match=r"the statistics are not of such a mixture: got sums of \d components in \d columns"):
                take(mixture, statistics)


# labels as a start


@pytest.mark.parametrize("as_posteriors", [False, True], ids=["labels", "posteriors"])
def test_a_start_from_labels_is_the_m_step_of_what_is_known(family: Family, as_posteriors: bool) -> None:
    known = np.random.default_rng(5).random(N) < 0.3
    labels: Any = np.where(known, Z, -1)
    if as_posteriors:
        labels = np.where(known[:, None], np.eye(K)[Z], -1.0)
    start = mixtura.start(X, K, family, labels=labels)
    rule, like = EM(), some_mixture(family, K, D)
    expected = mixtura.start(X[known], K, family, labels=Z[known])
    np.testing.assert_allclose(start.weights, np.bincount(Z[known]) / known.sum())
    np.testing.assert_allclose(start.means, [X[known & (Z == k)].mean(axis=0) for k in range(K)], rtol=1e-12)
    np.testing.assert_allclose(start.covariances, expected.covariances, rtol=1e-9)
    if family.constraint is None:
        whole = rule.update(like, Statistics.of(X[known], np.eye(K)[Z[known]], family=family), rule.initial(like)).mixture
        np.testing.assert_allclose(start.covariances, whole.covariances, rtol=1e-9)
    assert np.isfinite(mixtura.fit(X, start, EM(), max_steps=3).log_likelihood)


LABELS: dict[str, tuple[Any, str]] = {
    "too few": ([0, 1, 1], "labels do not fit the rows: got 3 labels, expected 4"),
    "beyond K": ([0, 1, 2, 1], "a label is not usable: got 2 in row 2, expected 0 to 1 for 2 components, or -1"),
    "below -1": ([0, 1, -2, 1], "a label is not usable: got -2 in row 2"),
    "half": ([0, 1, 0.5, 1], "a label is not usable: got 0.5 in row 2"),
    "NaN": ([0, 1, None, 1], "a label is not usable: got nan in row 2"),
    "names": (["a", "b", "b", "a"], r"labels cannot be read: got list of <U1, expected numbers; try numpy.unique\(names, return_inverse=True\)"),
    "an empty component": ([1, 1, -1, 1], "a component has no rows: got none of positive weight for component 0"),
    "nothing known": ([-1] * 4, "a component has no rows: got none of positive weight for component 0, 1"),
    "posteriors of three": (np.full((4, 3), 1 / 3), r"labels does not fit: got shape \(4, 3\), expected \(4, 2\)"),
    "no distribution": (np.full((4, 2), 0.6), r"labels is no distribution: got \[0.6 0.6\] in row 0"),
    "partly unknown": ([[1, 0], [0, 1], [-1, 1], [0, 1]], "labels is no distribution: got .* in row 2"),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_that_are_none_are_refused(case: str) -> None:
    labels, message = LABELS[case]
    with pytest.raises(DataError, match=message):
        mixtura.start(ROWS, 2, labels=labels)
    with pytest.raises(DataError, match=message):
        GaussianMixture(2, init_params=labels).fit(ROWS)


def test_a_component_whose_rows_weigh_nothing_has_none() -> None:
    with pytest.raises(DataError, match="got none of positive weight for component 1"):
        mixtura.start(ROWS, 2, labels=[0, 0, 1, 0], sample_weight=[1, 1, 0, 1])


@pytest.mark.parametrize("family", ["factor:1", "ppca:1"])
def test_factors_start_from_labels(family: str) -> None:
    """Weights and means are of all rows, also of more than are looked at for directions."""
    rows = np.concatenate([X] * (SUBSAMPLE // N + 1))
    labels = np.tile(Z, SUBSAMPLE // N + 1)
    few, many = mixtura.start(X, K, family, labels=Z), mixtura.start(rows, K, family, labels=labels, random_state=0)
    np.testing.assert_allclose(many.weights, few.weights, rtol=1e-12)
    np.testing.assert_allclose(many.means, few.means, rtol=1e-9)
    np.testing.assert_allclose(many.variances, few.variances, rtol=0.1)  # of at most 16,666 rows each, drawn from 17 copies of a thousand
    np.testing.assert_allclose(few.means, [X[Z == k].mean(axis=0) for k in range(K)], rtol=1e-12)


@pytest.mark.parametrize("estimator", [GaussianMixture, BayesianGaussianMixture], ids=lambda estimator: estimator.__name__)
@pytest.mark.parametrize("labels", [Z, Z.tolist(), np.eye(K)[Z], pd.Series(Z)], ids=["array", "list", "posteriors", "series"])
def test_an_estimator_takes_labels(estimator: Any, labels: Any) -> None:
    model = estimator(n_components=K, init_params=labels, n_init=4, max_iter=0)
    assert clone(model).get_params()["init_params"] is not labels
    fitted = clone(model).fit(X)
    assert (fitted.history_.start, len(fitted.history_.runs)) == ("labels", 1)
    if estimator is GaussianMixture:
        np.testing.assert_array_equal(fitted.means_, mixtura.start(X, K, labels=Z).means)
    assert "init_params" in repr(model)
    assert fitted.set_params(max_iter=500, tol=1e-2).fit(X).converged_


def test_an_estimator_with_labels_is_kept_in_a_file_and_in_checkpoints(tmp_path: Path) -> None:
    for labels in (Z, pd.Series(Z)):
        model = GaussianMixture(K, init_params=labels, max_iter=500).fit(X, checkpoint=tmp_path / "kept")
        model.save(tmp_path / "model.safetensors")
        again = GaussianMixture.load(tmp_path / "model.safetensors")
        assert np.array_equal(again.init_params, Z)
        assert np.array_equal(again.fit(X).means_, model.means_)


def test_labels_lead_to_the_optimum_that_they_are_of() -> None:
    """Two rows known of each of two clusters that overlap: the others follow."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(0, 1, (200, 1)), rng.normal(4, 1, (200, 1))])
    labels = np.full(400, -1)
    labels[[0, 1, 200, 201]] = 1, 1, 0, 0  # and in the order that the labels say
    model = GaussianMixture(2, init_params=labels, max_iter=1000).fit(rows)
    np.testing.assert_allclose(model.means_.ravel(), [4, 0], atol=0.3)


def test_a_stream_may_begin_from_labels_of_its_first_batch() -> None:
    model = GaussianMixture(K, init_params=Z, rule="online").partial_fit(X)
    np.testing.assert_allclose(model.means_, [X[Z == k].mean(axis=0) for k in range(K)], atol=5 * X.std(axis=0).max())
    with pytest.raises(DataError, match="labels do not fit the rows"):
        GaussianMixture(K, init_params=Z, rule="online").partial_fit(X[:100])
