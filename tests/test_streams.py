"""A stream: batch by batch as good as all at once, killed and resumed with the same bits, written and read to the last of them."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cases import overlapping

import mixtura
from mixtura import GaussianMixture
from mixtura.errors import DataError, FileError, ModelFileError, ParameterError
from mixtura.estimators.parameters import as_json, from_json
from mixtura.families import Family
from mixtura.rules import EM, MAP, Fixed, GradientAscent, NaturalGradient, Online, Squarem

BATCHES, ROWS = 100, 10_000

GOING_ON = """
import os, signal, sys
import mixtura

folder, dies_in = sys.argv[1], int(sys.argv[2])
path = f"{folder}/stream.safetensors"
rows = mixtura.Mixture.load(f"{folder}/planted.safetensors")
model = mixtura.GaussianMixture.load(path) if os.path.exists(path) else mixtura.GaussianMixture(4, random_state=0)
for t in range(getattr(model, "n_iter_", 0), 100):
    model.partial_fit(rows.sample(500, random_state=t)[0])
    if t == dies_in:
        os.kill(os.getpid(), signal.SIGKILL)
    model.save(path)
"""


def planted(seed: int = 0) -> mixtura.Mixture:
    """Four components that touch, in three columns of unlike units."""
    rng = np.random.default_rng(seed)
    A = np.eye(3) + 0.3 * rng.normal(size=(4, 3, 3))
    units = np.array([1.0, 50.0, 0.02])
    return mixtura.Mixture([0.4, 0.3, 0.2, 0.1], 2.5 * rng.normal(size=(4, 3)) * units, units[:, None] * (A @ A.swapaxes(1, 2)) * units)


def test_a_hundred_batches_end_near_batch_em() -> None:
    """Within 0.01 nats per row, on rows that neither has seen more often than once a pass."""
    whole = planted().sample(BATCHES * ROWS, random_state=1)[0]
    model = GaussianMixture(4, random_state=0)
    for batch in np.split(whole, BATCHES):
        model.partial_fit(batch)
    em = GaussianMixture(4, random_state=0, tol=1e-7, max_iter=1000).fit(whole)
    assert model.n_iter_ == BATCHES
    assert em.score(whole) - model.score(whole) < 0.01


@pytest.mark.long
def test_killed_and_resumed_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    """One process learns from all batches; another is killed (SIGKILL) before it saves batch 50, and a third goes on from the file."""
    ends = []
    for folder, deaths in ((tmp_path / "straight", [-1]), (tmp_path / "broken", [50, -1])):
        folder.mkdir()
        planted().save(folder / "planted.safetensors")
        for dies_in in deaths:
            done = subprocess.run([sys.executable, "-c", GOING_ON, str(folder), str(dies_in)], check=False)
            assert done.returncode == (-9 if dies_in >= 0 else 0)
            assert sorted(path.name for path in folder.iterdir()) == ["planted.safetensors", "stream.safetensors"]
            ends.append(GaussianMixture.load(folder / "stream.safetensors"))
    straight, killed, resumed = ends
    assert (straight.n_iter_, killed.n_iter_, resumed.n_iter_) == (BATCHES, 50, BATCHES)
    assert resumed.stream_.numbers() == straight.stream_.numbers()
    for name, tensor in straight.stream_.tensors().items():
        np.testing.assert_array_equal(resumed.stream_.tensors()[name], tensor)
    np.testing.assert_array_equal(resumed.means_, straight.means_)


def test_every_family_resumes_to_the_bit(family: Family, dtype: type, tmp_path: Path) -> None:
    rule = Online(forgetting=0.05) if family.pooled else "em"
    batches = np.split(overlapping(800, 3, 2, seed=1, dtype=dtype), 8)
    straight, broken = (GaussianMixture(2, covariance_type=family, rule=rule, random_state=0) for _ in range(2))
    for t, batch in enumerate(batches):
        straight.partial_fit(batch, sample_weight=np.arange(100) % 3 + 0.5)
        broken.partial_fit(batch, sample_weight=np.arange(100) % 3 + 0.5)
        broken.save(tmp_path / "model")
        broken = GaussianMixture.load(tmp_path / "model")
        assert broken.n_iter_ == t + 1
    for name, tensor in straight.stream_.tensors().items():
        np.testing.assert_array_equal(broken.stream_.tensors()[name], tensor)
    np.testing.assert_allclose(broken.means_, straight.means_, rtol=1e-14)


def test_a_stream_follows_a_moving_mean() -> None:
    """The path of one of two means is known, 3 + 0.02 t; with a forgetting of 0.2 the stream lags by (1 - f) / f = 4 batches."""
    rng = np.random.default_rng(0)
    model = GaussianMixture(2, rule=Online(forgetting=0.2), random_state=0)
    for t in range(200):
        at = 3 + 0.02 * t
        model.partial_fit(rng.normal(size=(1000, 1)) + np.repeat([[-3.0], [at]], 500, axis=0))
        if t > 30:
            assert abs(model.means_.max() - (at - 0.02 * 4)) < 0.1
    assert abs(model.means_.min() + 3) < 0.1


def test_batches_of_unlike_sizes_count_by_their_rows() -> None:
    """With one share for all, a batch in two halves is no batch of half the weight twice: its sums count, not its number."""
    X = overlapping(1000, 2, 2, seed=3)
    first, second = X[:900], X[900:]
    model = GaussianMixture(1, rule=Online(exponent=1.0, offset=1.0, average=False))
    model.partial_fit(first).partial_fit(second)
    np.testing.assert_allclose(model.means_[0], X.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(model.covariances_[0], np.cov(X.T, bias=True), rtol=1e-10)


def test_fit_and_stream_hand_over_to_each_other() -> None:
    X = overlapping(3000, 2, 3, seed=4)
    model = GaussianMixture(3, random_state=0).fit(X)
    fitted = model.mixture_
    model.partial_fit(X[:1000])
    assert model.history_.start == "stream" and model.stream_.state.batches == 1
    assert abs(model.score(X) - fitted.score(X)) < 0.05
    model.fit(X)
    assert not hasattr(model, "stream_") and np.array_equal(model.means_, fitted.means)


def test_repairs_of_a_stream_are_told_once() -> None:
    X = np.concatenate([np.zeros((50, 1)), overlapping(50, 1, 1, seed=5) + 40])
    model = GaussianMixture(2, random_state=0)
    with pytest.warns(mixtura.errors.RepairWarning, match="batch 1"):
        model.partial_fit(X)
    model.partial_fit(X)  # a second warning would be an error here


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"covariance_type": "EEE", "rule": Online(batch_rows=7), "reg_covar": 1e-3, "random_state": np.int64(3)},
        {"rule": Squarem(MAP(relevance=3.0, fixed={"means": [True, False]})), "means_init": [[0.0, 0.0], [1.0, 1.0]]},
        {"rule": NaturalGradient(0.3), "weights_init": np.array([0.25, 0.75]), "fixed": None},
        {"fixed": Fixed(weights=(True, False)), "verbose": True},
        {"rule": GradientAscent(learning_rate=0.2, optimizer="momentum")},
        {"rule": EM(regularisation=mixtura.regularisation.Ridge(0.1)), "covariance_type": mixtura.families.FAMILIES["VVI"]},
    ],
    ids=lambda parameters: "-".join(parameters) or "defaults",
)
def test_parameters_are_read_as_they_were_written(parameters: dict[str, object]) -> None:
    for name, value in GaussianMixture(2, **parameters).get_params().items():
        back = from_json(as_json(name, value))
        assert np.array_equal(back, value) if isinstance(value, list | np.ndarray) else back == value


def test_a_fitted_estimator_is_read_as_it_was_written(tmp_path: Path) -> None:
    X = pd.DataFrame(overlapping(200, 2, 2, seed=6), columns=["a", "b"])
    model = GaussianMixture(2, random_state=0).fit(X)
    model.save(tmp_path / "model.safetensors")
    back = GaussianMixture.load(tmp_path / "model.safetensors")
    assert back.history_ == model.history_ and back.get_params() == model.get_params()
    for name in ("weights_", "means_", "covariances_", "lower_bound_", "lower_bounds_", "converged_", "n_iter_", "n_features_in_"):
        np.testing.assert_array_equal(getattr(back, name), getattr(model, name))
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(back.feature_names_in_, ["a", "b"])
    mixture, metadata = mixtura.Mixture.load_with_metadata(tmp_path / "model.safetensors")
    assert metadata["columns"] == ["a", "b"] and np.array_equal(mixture.means, model.means_)


def test_what_cannot_be_saved_or_loaded_is_told(tmp_path: Path) -> None:
    X, path = overlapping(60, 1, 1, seed=7), tmp_path / "model.safetensors"
    model = GaussianMixture(1, random_state=np.random.default_rng(0)).fit(X)
    with pytest.raises(ParameterError, match="random_state cannot be saved"):
        model.save(path)
    assert list(tmp_path.iterdir()) == []
    model.mixture_.save(path)
    with pytest.raises(ModelFileError, match="holds a mixture and no estimator"):
        GaussianMixture.load(path)
    with pytest.raises(FileError, match="no such file"):
        GaussianMixture.load(tmp_path / "nothing")
    for damage in ({}, {"parameters": {"rule": {"kind": "os.system", "fields": {}}}}, {"parameters": {}, "figures": {}, "history": {}}):
        model.mixture_.save(path, {"estimator": damage})
        with pytest.raises(ModelFileError):
            GaussianMixture.load(path)


@pytest.mark.parametrize(
    ("parameters", "X", "error", "message"),
    [
        ({"n_components": 5}, [[0.0], [1.0]], ValueError, "too few rows"),
        ({}, [[0.0], [np.nan]], ValueError, "NaN in column 'x0', row 1"),
    ],
)
def test_refuses(parameters: dict[str, object], X: object, error: type[Exception], message: str) -> None:
    model = GaussianMixture(**parameters)
    with pytest.raises(error, match=message):
        model.partial_fit(X)
    assert not hasattr(model, "mixture_")


@pytest.mark.parametrize("rule", ["gradient", "lbfgs", EM()], ids=str)
def test_other_rules_have_no_stream_and_say_why(rule: object) -> None:
    model = GaussianMixture(rule=rule)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError) as told:
        _ = model.partial_fit
    assert "partial_fit cannot go by this rule" in str(told.value.__cause__) and "try rule='online'" in str(told.value.__cause__)


def test_a_stream_keeps_its_shape() -> None:
    X = overlapping(100, 2, 2, seed=8)
    model = GaussianMixture(2, random_state=0).partial_fit(X)
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :1])
    for other in ({"n_components": 3}, {"covariance_type": "diag"}):
        with pytest.raises(ParameterError, match="the stream cannot go on"):
            copy.deepcopy(model).set_params(**other).partial_fit(X)


def test_a_bad_batch_changes_nothing() -> None:
    X = overlapping(300, 2, 2, seed=9)
    straight, disturbed = (GaussianMixture(2, random_state=0).partial_fit(X[:100]) for _ in range(2))
    bad = X[100:200].copy()
    bad[7, 1] = np.nan
    with pytest.raises(DataError, match="NaN in column 'x1', row 7"):
        disturbed.partial_fit(bad)
    assert disturbed.n_iter_ == 1
    for model in (straight, disturbed):
        model.partial_fit(X[100:])
    for name, tensor in straight.stream_.tensors().items():
        np.testing.assert_array_equal(disturbed.stream_.tensors()[name], tensor)
