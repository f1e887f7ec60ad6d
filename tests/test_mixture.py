"""What a mixture answers by itself, what it refuses, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cases import some_mixture
from safetensors.numpy import save_file

from mixtura import GaussianMixture, Mixture
from mixtura.errors import DataError, FileError, ModelFileError, ParameterError
from mixtura.families import FAMILIES, Family

EYE = np.eye(2)[None]

REFUSED = [
    ("weights that do not sum to 1", dict(weights=[0.5, 0.4], means=np.zeros((2, 2)), covariances=np.repeat(EYE, 2, 0)), "not a distribution"),
    ("a negative weight", dict(weights=[1.5, -0.5], means=np.zeros((2, 2)), covariances=np.repeat(EYE, 2, 0)), "not a distribution"),
    ("no weights", dict(weights=[], means=np.zeros((0, 2)), covariances=np.zeros((0, 2, 2))), "not a distribution"),
    ("one mean too many", dict(weights=[1.0], means=np.zeros((2, 2)), covariances=EYE), "do not fit the weights"),
    ("covariances of another family", dict(weights=[1.0], means=np.zeros((1, 2)), covariances=np.ones((1, 2))), r"expected \(1, 2, 2\)"),
    ("text", dict(weights=["a"], means=np.zeros((1, 2)), covariances=EYE), "weights are not numbers"),
    ("NaN", dict(weights=[1.0], means=[[np.nan, 0.0]], covariances=EYE), "means are not finite"),
    ("half a matrix", dict(weights=[1.0], means=np.zeros((1, 2)), covariances=[[[1.0, 0.5], [0.0, 1.0]]]), "not symmetric"),
    ("half a small matrix", dict(weights=[1.0], means=np.zeros((1, 2)), covariances=[[[1e-9, 5e-10], [0.0, 1e-9]]]), "not symmetric"),
    ("a singular matrix", dict(weights=[0.5, 0.5], means=np.zeros((2, 2)), covariances=[np.eye(2), np.ones((2, 2))]), "component 1 is not positive"),
    ("a variance of zero", dict(weights=[1.0], means=np.zeros((1, 2)), covariances=[[1.0, 0.0]], family="diag"), "component 0 is not positive"),
    ("a shared variance below zero", dict(weights=[1.0], means=np.zeros((1, 2)), covariances=-1.0, family="EII"), "the shared covariance is not"),
    ("an unknown family", dict(weights=[1.0], means=np.zeros((1, 2)), covariances=EYE, family="round"), "unknown covariance family"),
]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("units", [(1, 1, 1, 1), (1e-6, 1, 1e3, 1e6)])
def test_what_is_symmetric_but_for_rounding_is_taken(scale: float, units: tuple[float, ...]) -> None:
    """Of entries that should be 0, the two halves may have nothing in common; precisions are inverted as they are."""
    Q = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    unit = np.array(units) * np.sqrt(scale)
    covariance = unit[:, None] * (Q @ np.diag([2.0] * 4) @ np.linalg.inv(Q)) * unit
    assert not np.array_equal(covariance, covariance.T)
    mixture = Mixture([1.0], [np.zeros(4)], [covariance])
    assert np.array_equal(mixture.covariances[0], covariance)
    given = {"weights_init": [1.0], "means_init": np.zeros((1, 4)), "precisions_init": [covariance]}
    rows = np.random.default_rng(0).normal(size=(20, 4)) / unit
    model = GaussianMixture(max_iter=0, **given).fit(rows)
    np.testing.assert_allclose(model.covariances_[0] * unit[:, None] * unit, np.eye(4) / 2, atol=1e-12)


@pytest.mark.parametrize(("arguments", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refuses(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message) as caught:
        Mixture(**arguments)  # type: ignore[arg-type]
    assert "expected" in str(caught.value) and "try" in str(caught.value)


def test_is_immutable(family: Family) -> None:
    mixture = some_mixture(family, 2, 2)
    with pytest.raises(AttributeError):
        mixture.weights = np.ones(2)  # type: ignore[misc]
    for array in (mixture.weights, mixture.means, mixture.covariances):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1.0


def test_answers_agree_with_each_other(family: Family) -> None:
    mixture = some_mixture(family, 4, 3)
    X = mixture.sample(200, random_state=1)[0]
    posterior, log_density = mixture.posterior(X), mixture.log_density(X)
    np.testing.assert_allclose(posterior.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(mixture.assign(X), posterior.argmax(axis=1))
    assert mixture.score(X) == pytest.approx(log_density.mean())
    weights = np.arange(200.0)
    assert mixture.score(X, weights) == pytest.approx(weights @ log_density / weights.sum())


def test_sample_has_the_moments_of_the_mixture(family: Family) -> None:
    """200,000 rows: the standard error of a mean is sd / 450, so 5 of them stay below 0.06 here."""
    mixture = some_mixture(family, 3, 2)
    rows, component = mixture.sample(200_000, random_state=0)
    for k in range(3):
        mine = rows[component == k]
        assert len(mine) / 200_000 == pytest.approx(mixture.weights[k], abs=0.006)
        np.testing.assert_allclose(mine.mean(axis=0), mixture.means[k], atol=0.06)
        np.testing.assert_allclose(np.cov(mine.T), mixture.matrices[k], atol=0.15)
    again = mixture.sample(10, random_state=5)
    np.testing.assert_array_equal(again[0], mixture.sample(10, random_state=5)[0])


@pytest.mark.parametrize("n", [0, -3])
def test_sample_needs_rows(family: Family, n: int) -> None:
    with pytest.raises(ParameterError, match="cannot sample"):
        some_mixture(family, 2, 2).sample(n)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0, 2.0, 3.0]], "got 3 columns, expected 2"),
        ([1.0, 2.0], "one dimension"),
        ([[1.0, np.nan]], r"NaN in column 'x1', row 0"),
        ([[0.0, 0.0]] * 5000 + [[-np.inf, 0.0]], r"-inf in column 'x0', row 5000"),
        ([["a", "b"]], "not numbers"),
        (np.zeros((0, 2)), "not a table"),
    ],
)
def test_refuses_rows(rows: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        some_mixture(FAMILIES["full"], 2, 2).log_density(rows)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    some_mixture(FAMILIES["full"], 2, 2).save(good)
    whole = good.read_bytes()
    arrays = {"weights": np.ones(1)}
    foreign, bare = tmp_path / "foreign.safetensors", tmp_path / "bare.safetensors"
    save_file(arrays, foreign)
    save_file(arrays, bare, metadata={"mixtura.mixture.1": json.dumps({"family": "full"})})
    for name, content, message in [
        ("truncated", whole[: len(whole) // 2], "damaged or not a model file"),
        ("header only", whole[:8], "damaged or not a model file"),
        ("empty", b"", "damaged or not a model file"),
        ("text", b"weights,means\n", "damaged or not a model file"),
        ("pickle", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s.", "damaged or not a model file"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message):
            Mixture.load(path)
    with pytest.raises(ModelFileError, match="not a mixtura model"):
        Mixture.load(foreign)
    with pytest.raises(ModelFileError, match="holds no usable mixture"):
        Mixture.load(bare)
    with pytest.raises(FileError, match="no such file"):
        Mixture.load(tmp_path / "absent")


def test_saving_where_nothing_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    with pytest.raises(FileError, match="cannot write"):
        some_mixture(FAMILIES["full"], 2, 2).save(blocked / "model.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and blocked.read_text() == "kept"
